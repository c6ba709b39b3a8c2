"""The dense pair: flatten, narrower and narrower, and the same way back."""

from collections.abc import Callable, Sequence
from itertools import pairwise
from math import prod

import torch
from torch import Tensor, nn

Activation = Callable[[], nn.Module]


class CodeLayer(nn.Linear):
    """A linear layer that stays in float32 where the others multiply in bfloat16: a code has few numbers to spare."""

    def forward(self, input: Tensor) -> Tensor:
        """Return the code (B, numbers)."""
        with torch.autocast(input.device.type, enabled=False):
            return super().forward(input.float())


def dense_encoder(
    input_shape: Sequence[int], hidden: Sequence[int], code_size: int, activation: Activation, normalise: bool
) -> nn.Sequential:
    """Return a network from (B, *input_shape) to (B, code_size) through layers of `hidden` sizes."""
    sizes = [prod(input_shape), *hidden]
    layers = [layer for pair in pairwise(sizes) for layer in _step(*pair, activation, normalise)]
    return nn.Sequential(nn.Flatten(), *layers, CodeLayer(sizes[-1], code_size))


def dense_decoder(
    feature_shape: Sequence[int],
    hidden: Sequence[int],
    latent_dim: int,
    activation: Activation,
    normalise: bool,
) -> nn.Sequential:
    """Return the mirror image: a network from (B, latent_dim) to (B, *feature_shape)."""
    sizes = [latent_dim, *reversed(hidden)]
    layers = [layer for pair in pairwise(sizes) for layer in _step(*pair, activation, normalise)]
    last = nn.Linear(sizes[-1], prod(feature_shape))
    return nn.Sequential(*layers, last, nn.Unflatten(1, tuple(feature_shape)))


def _step(inner: int, outer: int, activation: Activation, normalise: bool) -> list[nn.Module]:
    norm: list[nn.Module] = [nn.LayerNorm(outer)] if normalise else []
    return [nn.Linear(inner, outer), *norm, activation()]
