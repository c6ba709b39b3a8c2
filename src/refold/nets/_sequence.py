"""Several mirrored convolutional autoencoders of windows in time, computed together as batched matrix products."""

import torch
from torch import Tensor, nn
from torch.nn import functional

from refold.nets._ensemble import EnsembleSpec, MemberLinear

_STRIDE, _KERNEL = 2, 4
_SHORTEST = 4  # samples below which a window is not made shorter


class MemberConv(nn.Module):
    """A convolution along time for each member, four samples wide, that halves the window.

    Parameters
    ----------
    members, inputs, outputs : int
        Channels.
    """

    def __init__(self, members: int, inputs: int, outputs: int) -> None:
        super().__init__()
        self.product = MemberLinear(members, _KERNEL * inputs, outputs)

    def forward(self, input: Tensor) -> Tensor:
        """Return (members, B, half, outputs) from (members, B, samples, inputs); an odd window is filled up."""
        padded = functional.pad(input, (0, 0, 1, 1 + input.shape[2] % 2))
        pairs = padded.reshape(*padded.shape[:2], padded.shape[2] // _STRIDE, -1)
        stretches = torch.cat([pairs[:, :, :-1], pairs[:, :, 1:]], dim=3)
        outputs: Tensor = self.product(stretches.flatten(1, 2))
        return outputs.view(*stretches.shape[:3], -1)


class MemberConvTranspose(nn.Module):
    """The mirror image of such a convolution: it doubles the window.

    Parameters
    ----------
    members, inputs, outputs : int
        Channels.
    samples : int
        Of the result: twice those of the input, or one less.
    """

    def __init__(self, members: int, inputs: int, outputs: int, samples: int) -> None:
        super().__init__()
        self.samples = samples
        self.product = MemberLinear(members, inputs, _KERNEL * outputs)

    def forward(self, input: Tensor) -> Tensor:
        """Return (members, B, samples, outputs) from (members, B, half, inputs)."""
        stretches: Tensor = self.product(input.flatten(1, 2)).view(*input.shape[:3], -1)
        earlier, later = stretches.chunk(2, dim=3)
        pairs = functional.pad(earlier, (0, 0, 0, 1)) + functional.pad(later, (0, 0, 1, 0))
        samples = pairs.view(*pairs.shape[:2], _STRIDE * pairs.shape[2], -1)
        return samples[:, :, 1 : 1 + self.samples]


class SequenceEnsemble(nn.Module):
    """Mirrored convolutional autoencoders of windows, one for each member.

    The window is halved, at least once, until it has four samples or fewer; what is left then becomes the code.

    Parameters
    ----------
    spec : EnsembleSpec
        `width` are the channels of all layers.
    window : int
        Samples.
    inputs, outputs : int
        Values of a sample before and after.
    """

    def __init__(self, spec: EnsembleSpec, window: int, inputs: int, outputs: int) -> None:
        super().__init__()
        self.members, self.window, self.outputs = spec.members, window, outputs
        members, channels = spec.members, spec.width
        lengths = [window]
        while len(lengths) == 1 or lengths[-1] > _SHORTEST:
            lengths.append(-(-lengths[-1] // _STRIDE))
        down: list[nn.Module] = []
        up: list[nn.Module] = []
        for length in lengths[:-1]:
            outermost = not down
            down += [MemberConv(members, inputs if outermost else channels, channels), nn.GELU()]
            up += [MemberConvTranspose(members, channels, outputs if outermost else channels, length), nn.GELU()]
        self.down, self.up = nn.Sequential(*down), nn.Sequential(*reversed(up))
        self.shortest = (lengths[-1], channels)
        self.encoder = MemberLinear(members, lengths[-1] * channels, spec.code)
        self.decoder = MemberLinear(members, spec.code, lengths[-1] * channels)

    def forward(self, input: Tensor) -> Tensor:
        """Return outputs (members, B, window * outputs) of windows (members, B, window * inputs).

        In a window stand first the features of all its samples, then all their flags. Windows (B, window * inputs)
        are seen by all members.
        """
        each = input if input.dim() == 3 else input.expand(self.members, *input.shape)
        values = self.window * self.outputs
        parts = [part for part in (each[..., :values], each[..., values:]) if part.shape[2]]
        samples = torch.cat([part.reshape(*part.shape[:2], self.window, -1) for part in parts], dim=3)
        code = self.encoder(self.down(samples).flatten(2))
        outputs: Tensor = self.up(self.decoder(code).unflatten(2, self.shortest)).flatten(2)
        return outputs

    @property
    def operations(self) -> int:
        """Floating-point operations of one window's way through all members, at most."""
        products = [layer.weight.numel() for layer in self.modules() if isinstance(layer, MemberLinear)]
        return 2 * self.window * sum(products)
