"""The dense pair: flatten, narrower and narrower, and the same way back."""

from collections.abc import Callable, Sequence
from itertools import pairwise
from math import prod
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional

from refold.nets._candidates import moved, prefer_first
from refold.nets._norms import LayerNorm

Activation = Callable[[], nn.Module]

_WIDEST_TRAINED = 1024


class CodeLayer(nn.Linear):
    """A linear layer that stays in float32 where the others multiply in bfloat16: a code has few numbers to spare."""

    def forward(self, input: Tensor) -> Tensor:
        """Return the code (B, numbers)."""
        with in_float32(input):
            return super().forward(input.float())


class OutputLayer(nn.Linear):
    """A linear layer whose result is float32 where the others multiply in bfloat16; its gradients are not."""

    def forward(self, input: Tensor) -> Tensor:
        """Return the outputs (B, numbers)."""
        if input.dtype != torch.bfloat16:
            return super().forward(input)
        outputs: Tensor = _ExactProduct.apply(input, self.weight, self.bias)  # type: ignore[no-untyped-call]
        return outputs


class _ExactProduct(torch.autograd.Function):
    """A linear map in float32 with gradients in bfloat16, which are two thirds of the work."""

    @staticmethod
    def forward(ctx: Any, input: Tensor, weight: Tensor, bias: Tensor) -> Tensor:
        ctx.save_for_backward(input, weight)
        with in_float32(input):
            return functional.linear(input.float(), weight, bias)

    @staticmethod
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        input, weight = ctx.saved_tensors
        short = gradient.to(torch.bfloat16)
        return short @ weight.to(torch.bfloat16), (short.t() @ input).to(weight.dtype), gradient.sum(0)


def in_float32(input: Tensor) -> torch.autocast:
    """Return a context in which nothing multiplies in bfloat16."""
    return torch.autocast("cpu" if input.is_meta else input.device.type, enabled=False)


class WithShortcut(nn.Module):
    """Hidden layers with a straight linear path beside them, as in a residual network.

    Parameters
    ----------
    deep : torch.nn.Sequential
        From (B, *shape) to (B, *outer_shape), or to what `Likeliest` gives where there are candidates.
    inner, outer : int
        Values per record before and after the linear path.
    outer_shape : tuple of int
        Shape of a record after the linear path.
    candidates : int
        From which the hidden layers choose a code: the linear path is added to all of them, and not to their scores.
    """

    def __init__(
        self, deep: nn.Sequential, inner: int, outer: int, outer_shape: Sequence[int], candidates: int = 0
    ) -> None:
        super().__init__()
        self.deep = deep
        self.straight = CodeLayer(inner, outer)
        self.outer_shape = tuple(outer_shape)
        self.candidates = candidates

    def forward(self, input: Tensor) -> Tensor:
        """Return the sum of both paths."""
        deep: Tensor = self.deep(input)
        straight: Tensor = self.straight(input.flatten(1))
        if self.candidates:
            return moved(deep, straight, self.candidates)
        return deep + straight.view(-1, *self.outer_shape)

    @torch.no_grad()
    def start_straight(self, weight: Tensor, bias: Tensor) -> None:
        """Begin with a given linear map and with hidden layers that add nothing yet.

        A wide map stays as it is: AdamW moves every weight by the same step, and the sum over thousands of values
        would throw the code about.
        """
        self.straight.weight.copy_(weight)
        self.straight.bias.copy_(bias)
        self.straight.requires_grad_(max(weight.shape) <= _WIDEST_TRAINED)
        last = [layer for layer in self.deep if isinstance(layer, nn.Linear | nn.ConvTranspose2d)][-1]
        nn.init.zeros_(last.weight)
        if self.candidates:
            prefer_first(last, self.straight.out_features, self.candidates)
        elif last.bias is not None:
            nn.init.zeros_(last.bias)


def dense_encoder(
    input_shape: Sequence[int], hidden: Sequence[int], code_size: int, activation: Activation, normalise: bool
) -> nn.Sequential:
    """Return a network from (B, *input_shape) to (B, code_size) through layers of `hidden` sizes."""
    sizes = [prod(input_shape), *hidden]
    layers = [layer for pair in pairwise(sizes) for layer in _step(*pair, activation, normalise)]
    return _started(nn.Sequential(nn.Flatten(), *layers, CodeLayer(sizes[-1], code_size)))


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
    last = OutputLayer(sizes[-1], prod(feature_shape))
    return _started(nn.Sequential(*layers, last, nn.Unflatten(1, tuple(feature_shape))))


def _started(half: nn.Sequential) -> nn.Sequential:
    """Set the first weights as He et al. (2015) do for rectifiers; the last layer begins at half of that."""
    linears = [layer for layer in half if isinstance(layer, nn.Linear)]
    for layer in linears:
        nn.init.kaiming_normal_(layer.weight, nonlinearity="relu")
        nn.init.zeros_(layer.bias)
    with torch.no_grad():
        linears[-1].weight.mul_(0.5)
    return half


def _step(inner: int, outer: int, activation: Activation, normalise: bool) -> list[nn.Module]:
    norm: list[nn.Module] = [LayerNorm(outer)] if normalise else []
    return [nn.Linear(inner, outer), *norm, activation()]
