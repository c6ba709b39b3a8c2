"""The convolutional pair: halve the picture, stage by stage, and double it on the way back."""

from collections.abc import Callable, Sequence
from itertools import pairwise
from math import prod

from torch import Tensor, nn

from refold.nets._dense import CodeLayer, in_float32
from refold.nets._norms import GroupNorm

Activation = Callable[[], nn.Module]
Size = tuple[int, int]


class OutputConvolution(nn.ConvTranspose2d):
    """A transposed convolution that stays in float32 where the others multiply in bfloat16."""

    def forward(self, input: Tensor, output_size: list[int] | None = None) -> Tensor:
        """Return the outputs (B, C, H, W)."""
        with in_float32(input):
            return super().forward(input.float(), output_size)


def stage_sizes(size: Size, stages: int) -> list[Size]:
    """Return the picture's size before the first stage and after each; a side of 1 stays 1.

    Examples
    --------
    >>> stage_sizes((28, 3), 3)
    [(28, 3), (14, 2), (7, 1), (4, 1)]
    """
    sizes = [size]
    for _ in range(stages):
        height, width = sizes[-1]
        sizes.append(((height + 1) // 2, (width + 1) // 2))
    return sizes


def conv_encoder(
    input_shape: Sequence[int], hidden: Sequence[int], code_size: int, activation: Activation, normalise: bool
) -> nn.Sequential:
    """Return a network from (B, C, H, W) to (B, code_size); each number of `hidden` is a stage's channels."""
    channels, sizes = _plan(input_shape, hidden)
    layers: list[nn.Module] = []
    for (inner, outer), (before, _) in zip(pairwise(channels), pairwise(sizes), strict=True):
        conv = nn.Conv2d(inner, outer, 3, stride=_stride(before), padding=1)
        layers += [conv, *_norm(outer, normalise), activation()]
    return nn.Sequential(*layers, nn.Flatten(), CodeLayer(channels[-1] * prod(sizes[-1]), code_size))


def convolutions(
    input_shape: Sequence[int], channels: Sequence[int], activation: Activation
) -> tuple[list[nn.Module], int]:
    """Return layers from (B, C, H, W) to (B, values), each stage halving the picture, and how many values."""
    counts = [input_shape[0], *channels]
    sizes = stage_sizes((input_shape[1], input_shape[2]), len(channels))
    layers: list[nn.Module] = []
    for place, ((inner, outer), size) in enumerate(zip(pairwise(counts), sizes[:-1], strict=True)):
        reach = 2 if place == 0 else 1  # the first sees strokes, not only their edges
        layers += [nn.Conv2d(inner, outer, 2 * reach + 1, stride=_stride(size), padding=reach), activation()]
    return [*layers, nn.Flatten()], counts[-1] * prod(sizes[-1])


def conv_decoder(
    feature_shape: Sequence[int],
    hidden: Sequence[int],
    latent_dim: int,
    activation: Activation,
    normalise: bool,
) -> nn.Sequential:
    """Return the mirror image: a network from (B, latent_dim) to (B, C, H, W), of any height and width."""
    channels, sizes = _plan(feature_shape, hidden)
    smallest = (channels[-1], *sizes[-1])
    layers: list[nn.Module] = [nn.Linear(latent_dim, prod(smallest)), nn.Unflatten(1, smallest)]
    stages = list(zip(pairwise(channels), pairwise(sizes), strict=True))
    for (outer, inner), (before, after) in reversed(stages):
        # the encoder's stage took `before` to `after`; padding by what was rounded away makes it exact
        padding = _lost_by_rounding(before, after)
        layers += [*_norm(inner, normalise), activation()]
        last = before == sizes[0]
        kind = OutputConvolution if last else nn.ConvTranspose2d
        layers.append(kind(inner, outer, 3, stride=_stride(before), padding=1, output_padding=padding))
    return nn.Sequential(*layers)


def _plan(shape: Sequence[int], hidden: Sequence[int]) -> tuple[list[int], list[Size]]:
    channels, height, width = shape
    return [channels, *hidden], stage_sizes((height, width), len(hidden))


def _lost_by_rounding(before: Size, after: Size) -> Size:
    (down, across), (height, width) = _stride(before), after
    return before[0] - (height - 1) * down - 1, before[1] - (width - 1) * across - 1


def _stride(size: Size) -> Size:
    return (2 if size[0] > 1 else 1, 2 if size[1] > 1 else 1)


def _norm(channels: int, normalise: bool) -> list[nn.Module]:
    return [GroupNorm(1, channels)] if normalise else []
