"""The sum that training makes small."""

from dataclasses import dataclass

import torch
from torch import Tensor

from refold.nets import AutoencoderNet
from refold.objectives._corruptions import Corruption, Domain
from refold.objectives._errors import NumberError, batch_error, column_count
from refold.objectives._penalties import Contractive, Penalty, Towards, Variational
from refold.objectives._smoothness import Smooth


@dataclass(frozen=True)
class Objective:
    """An error, penalties, and what happens to the data first.

    Parameters
    ----------
    error : callable
        A value of `ERRORS`.
    penalties : tuple of Penalty
    corruption : Corruption, optional
    towards : Towards, optional
        Asked of the codes of records that have a place.
    smooth : Smooth, optional
        Asked of the decoder.
    sizes : tuple of int
        The decoder is given so many of a code's first numbers, drawn for every record, and zeros for the others: then
        the first numbers carry most, and one network serves for all sizes (nested dropout, Rippel, Gelbart and
        Adams 2014, ICML). None gives it all.
    """

    error: NumberError
    penalties: tuple[Penalty, ...] = ()
    corruption: Corruption | None = None
    towards: Towards | None = None
    smooth: Smooth | None = None
    sizes: tuple[int, ...] = ()

    @property
    def variational(self) -> bool:
        """Whether the code is a distribution."""
        return any(isinstance(penalty, Variational) for penalty in self.penalties)

    def terms(
        self, net: AutoencoderNet, raw: Tensor, generator: torch.Generator, places: Tensor | None = None
    ) -> dict[str, Tensor]:
        """Return the terms of the objective, each a mean over the batch: "error" and one per penalty.

        Parameters
        ----------
        net : AutoencoderNet
            Draws the code at random in training mode when variational, takes its mean otherwise.
        raw : Tensor of shape (B, *raw_shape)
            Undamaged raw records.
        generator : torch.Generator
            Source of every random number.
        places : Tensor of shape (B, latent_dim), optional
            Where the codes should be.
        """
        targets, seen = net.scaling.targets(raw)
        damaged = self.corrupt(net, raw, generator)
        inputs = net.scaling.inputs_of(targets.detach(), raw) if damaged is raw else net.scaling.inputs(damaged)
        if net.training and any(isinstance(penalty, Contractive) for penalty in self.penalties):
            inputs.requires_grad_(True)
        encoded = net.encoder(inputs)
        code = encoded[:, : net.latent_dim]
        outputs = net.decoder(_shortened(_drawn(encoded, net, generator), self.sizes, generator))
        terms = {"error": batch_error(self.error, net, outputs, targets, seen)}
        for penalty in self.penalties:
            if isinstance(penalty, Variational):
                # the error is a mean over columns, so the divergence is shared out over them too
                terms[penalty.name] = penalty(encoded, inputs, generator).mean() / column_count(net)
            else:
                terms[penalty.name] = penalty(code, inputs, generator).mean()
        if self.towards is not None and places is not None:
            terms[self.towards.name] = self.towards(net.candidates_of(encoded), places).mean()
        if self.smooth is not None:
            terms[self.smooth.name] = self.smooth(net, code.float(), generator).mean()
        return terms

    def corrupt(self, net: AutoencoderNet, raw: Tensor, generator: torch.Generator) -> Tensor:
        """Return the records as the encoder shall see them."""
        if self.corruption is None:
            return raw
        scaling = net.scaling
        return self.corruption(raw, Domain(scaling.low, scaling.high, scaling.numeric()), generator)


def _shortened(code: Tensor, sizes: tuple[int, ...], generator: torch.Generator) -> Tensor:
    if not sizes:
        return code
    drawn = torch.randint(len(sizes), (len(code),), generator=generator, device=code.device)
    kept = torch.tensor(sizes, device=code.device)[drawn]
    return code * (torch.arange(code.shape[1], device=code.device) < kept[:, None])


def _drawn(encoded: Tensor, net: AutoencoderNet, generator: torch.Generator) -> Tensor:
    if not net.variational:
        return encoded[:, : net.latent_dim]
    mean, log_variance = encoded.chunk(2, dim=1)
    if not net.training:
        return mean
    noise = torch.randn(mean.shape, generator=generator, device=mean.device)
    return mean + noise * (0.5 * log_variance).exp()
