"""The autoencoder network: raw numbers -> features -> code -> features -> raw numbers."""

import torch
from torch import Tensor, nn

from refold.nets._candidates import Candidates, proposed_size, split_candidates
from refold.nets._scaling import Scaling


class AutoencoderNet(nn.Module):
    """A mirrored encoder and decoder between the two ends of a `Scaling`.

    Parameters
    ----------
    scaling : Scaling
    encoder : torch.nn.Module
        From (B, *scaling.input_shape) to (B, encoded_size), the code first. Behind it are logarithms of variances
        when variational, and candidates with their scores where there are some.
    decoder : torch.nn.Module
        From (B, latent_dim) to (B, *scaling.feature_shape).
    output_activation : torch.nn.Module
        Applied to the numbers among the decoder's outputs, not to category scores.
    latent_dim : int
    variational : bool
    candidates : int
        Places from which a code is chosen, 0 if it is not.

    Attributes
    ----------
    encoded_size : int
        Numbers that the encoder gives: `latent_dim` of a code, and what is behind it.
    operations : int
        Floating-point operations of one record's way through the network.
    """

    def __init__(
        self,
        scaling: Scaling,
        encoder: nn.Module,
        decoder: nn.Module,
        output_activation: nn.Module,
        latent_dim: int,
        variational: bool = False,
        candidates: int = 0,
    ) -> None:
        super().__init__()
        self.scaling = scaling
        self.encoder = encoder
        self.decoder = decoder
        self.output_activation = output_activation
        self.latent_dim = latent_dim
        self.variational = variational
        self.candidates = candidates
        self.encoded_size = latent_dim * (2 if variational else 1) + proposed_size(latent_dim, candidates)
        self.operations = 0

    def encode(self, raw: Tensor) -> Tensor:
        """Return the code (B, latent_dim) of raw records (B, *raw_shape); the mean when variational."""
        code: Tensor = self.encoder(self.scaling.inputs(raw))
        return code[:, : self.latent_dim]

    def candidates_of(self, encoded: Tensor) -> Candidates:
        """Return where codes may be, from all that the encoder gives (B, encoded_size); float32."""
        if not self.candidates:
            code = encoded[:, None, : self.latent_dim].float()
            return Candidates(code, torch.zeros_like(code[:, :, 0]))
        places, scores = split_candidates(encoded[:, self.latent_dim :].float(), self.latent_dim, self.candidates)
        return Candidates(places, scores.log_softmax(1))

    def decode(self, code: Tensor) -> Tensor:
        """Return raw records (B, *raw_shape) from codes (B, latent_dim)."""
        return self.scaling.restore(self.activate(self.decoder(code)))

    def features_of(self, code: Tensor) -> Tensor:
        """Return features (B, columns) from codes (B, latent_dim), those of categories as shares."""
        return self.scaling.as_shares(self.activate(self.decoder(code))).flatten(1)

    def forward(self, raw: Tensor) -> Tensor:
        """Return raw records rebuilt through the code."""
        return self.decode(self.encode(raw))

    def activate(self, outputs: Tensor) -> Tensor:
        """Return features from the decoder's outputs (B, *feature_shape)."""
        if isinstance(self.output_activation, nn.Identity):
            return outputs
        if not self.scaling.categories:
            activated: Tensor = self.output_activation(outputs)
            return activated
        split = outputs.shape[1] - sum(self.scaling.categories)
        activated = outputs.clone()
        activated[:, :split] = self.output_activation(outputs[:, :split])
        return activated
