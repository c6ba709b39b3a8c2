"""A U-shaped network that takes damage off pictures, of any size."""

from dataclasses import asdict, dataclass, fields
from itertools import pairwise
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional

from refold._errors import ParameterError

_CHANNELS = (1, 3)
_MIDDLE = 0.5  # value that a gain leaves as it is
_MOST_LEVELS, _WIDEST, _MOST_BLOCKS, _MOST_GUIDES = 6, 1024, 16, 8


@dataclass(frozen=True)
class RestorationSpec:
    """What decides the shape of a restoration network.

    Parameters
    ----------
    channels : int
        Of the pictures: 1 or 3.
    widths : tuple of int
        Channels inside, at half the scale, a quarter, and so on.
    blocks : int
        Residual blocks at each scale, on the way down and on the way up.
    guides : int
        Planes beside the picture that tell more of it, such as which pixels are known.
    finds : bool
        Whether one more plane says where the damage is.
    gains : bool
        Whether one more plane says how much stronger the picture's own values become: what lies under something half
        transparent has lost contrast, and texture comes back by one number where it would take one for each pixel.
    bias : bool
        Whether layers add constants; networks against noise are better without.
    """

    channels: int = 1
    widths: tuple[int, ...] = (32, 64, 128)
    blocks: int = 2
    guides: int = 0
    finds: bool = False
    gains: bool = False
    bias: bool = False

    @property
    def stride(self) -> int:
        """Pixels that one place of the coarsest scale stands for."""
        return 2 << (len(self.widths) - 1)

    @property
    def reach(self) -> int:
        """Pixels beyond which one does not matter for another, a multiple of the stride."""
        convolutions = [4 * self.blocks] * len(self.widths)  # two a block, down and up
        convolutions[-1] = 2 * self.blocks
        convolutions[0] += 2  # the first and the last one
        pixels = sum(count * (2 << level) for level, count in enumerate(convolutions)) + self.stride
        return -(-pixels // self.stride) * self.stride

    def to_json(self) -> dict[str, Any]:
        """Return a description that JSON can hold."""
        return asdict(self)

    @classmethod
    def from_json(cls, description: dict[str, Any]) -> "RestorationSpec":
        """Rebuild a specification; refuses sizes that no honest file has.

        Raises
        ------
        ParameterError
        """
        known = {each.name for each in fields(cls)}
        given = {name: value for name, value in description.items() if name in known}
        return cls(**{**given, "widths": tuple(description["widths"])}).checked()

    def checked(self) -> "RestorationSpec":
        """Return the same specification.

        Raises
        ------
        ParameterError
            If its sizes are not possible.
        """
        sound = (
            self.channels in _CHANNELS
            and 1 <= len(self.widths) <= _MOST_LEVELS
            and all(type(width) is int and 1 <= width <= _WIDEST for width in self.widths)
            and type(self.blocks) is int
            and 0 <= self.blocks <= _MOST_BLOCKS
            and type(self.guides) is int
            and 0 <= self.guides <= _MOST_GUIDES
            and type(self.finds) is bool
            and type(self.gains) is bool
            and type(self.bias) is bool
        )
        if not sound:
            raise ParameterError(
                f"widths={self.widths} with blocks={self.blocks} is not possible; a restoration network has 1 to "
                f"{_MOST_LEVELS} widths of 1 to {_WIDEST}, and 0 to {_MOST_BLOCKS} blocks"
            )
        return self

    def build(self) -> "RestorationNet":
        """Return a network that leaves pictures as they are."""
        return RestorationNet(self)


class RestorationBlock(nn.Module):
    """Two convolutions with a ReLU between them, beside a straight path.

    Parameters
    ----------
    width : int
        Channels.
    bias : bool
    """

    def __init__(self, width: int, bias: bool) -> None:
        super().__init__()
        self.first = nn.Conv2d(width, width, 3, padding=1, bias=bias)
        self.second = nn.Conv2d(width, width, 3, padding=1, bias=bias)
        nn.init.orthogonal_(self.first.weight, 0.5)
        for zero in self.second.parameters():
            nn.init.zeros_(zero)

    def forward(self, maps: Tensor) -> Tensor:
        """Return maps of the same shape."""
        changed: Tensor = self.second(self.first(maps).relu_())  # in place: these maps are most of the memory
        return changed.add_(maps)


class RestorationNet(nn.Module):
    """From damaged pictures to whole ones: the damage is computed and taken off.

    Mirrored encoder and decoder with skips, on blocks of 2 x 2 pixels as channels, and without biases: the answer to
    a picture of twice the contrast is twice the answer, so that it holds for strengths of noise that training did not
    have (Mohan et al. 2020, arXiv 1906.05478; the shape after Zhang et al. 2021, arXiv 2008.13751).

    Parameters
    ----------
    spec : RestorationSpec
    """

    def __init__(self, spec: RestorationSpec) -> None:
        super().__init__()
        self.spec = spec
        widths, bias = spec.widths, spec.bias
        self.head = nn.Conv2d(4 * (spec.channels + spec.guides), widths[0], 3, padding=1, bias=bias)
        self.encoder = nn.ModuleList(_blocks(width, spec) for width in widths)
        self.decoder = nn.ModuleList(_blocks(width, spec) for width in widths[:-1])
        pairs = list(pairwise(widths))
        self.down = nn.ModuleList(nn.Conv2d(fine, coarse, 2, stride=2, bias=bias) for fine, coarse in pairs)
        self.up = nn.ModuleList(nn.ConvTranspose2d(coarse, fine, 2, stride=2, bias=bias) for fine, coarse in pairs)
        self.tail = nn.Conv2d(widths[0], 4 * (spec.channels + spec.finds + spec.gains), 3, padding=1, bias=bias)
        for layers, gain in (([self.head], 0.5), (self.down, 1.0), (self.up, 0.5)):
            for layer in layers:
                nn.init.orthogonal_(next(layer.parameters()), gain)
        for zero in self.tail.parameters():
            nn.init.zeros_(zero)

    def forward(self, pictures: Tensor) -> Tensor:
        """Return whole pictures of damaged ones, 0 to 1, of any size.

        Parameters
        ----------
        pictures : Tensor of shape (B, channels + guides, H, W)

        Returns
        -------
        whole : Tensor of shape (B, channels, H, W), or (B, channels + 1, H, W)
            The last plane is where the damage is, as logits, if the network finds it.
        """
        height, width = pictures.shape[-2:]
        lacking = (-height % self.spec.stride, -width % self.spec.stride)
        padded = _filled_up(pictures, *lacking) if any(lacking) else pictures
        damage = self._damage(padded)[..., :height, :width]
        channels = self.spec.channels
        whole = pictures[:, :channels] - damage[:, :channels]
        if self.spec.gains:
            whole = whole + damage[:, -1:] * (pictures[:, :channels] - _MIDDLE)
        return torch.cat([whole, damage[:, channels : channels + 1]], 1) if self.spec.finds else whole

    def _damage(self, pictures: Tensor) -> Tensor:
        first = maps = self.head(functional.pixel_unshuffle(pictures, 2))
        skips: list[Tensor] = []
        for level, blocks in enumerate(self.encoder):
            maps = blocks(maps)
            if level < len(self.down):
                skips.append(maps)
                maps = self.down[level](maps)
        for level in reversed(range(len(self.up))):
            maps = self.decoder[level](self.up[level](maps).add_(skips.pop()))
        return functional.pixel_shuffle(self.tail(maps + first), 2)


def _blocks(width: int, spec: RestorationSpec) -> nn.Sequential:
    return nn.Sequential(*(RestorationBlock(width, spec.bias) for _ in range(spec.blocks)))


def _filled_up(pictures: Tensor, rows: int, columns: int) -> Tensor:
    """Return pictures with mirrored rows and columns behind the last; repeated ones would be streaks, no noise."""
    mirrored = rows < pictures.shape[-2] and columns < pictures.shape[-1]
    return functional.pad(pictures, (0, columns, 0, rows), mode="reflect" if mirrored else "replicate")
