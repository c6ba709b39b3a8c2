"""Optimizers by name, behind three verbs: step, tensors, load_tensors."""

from collections.abc import Sequence
from math import prod, sqrt
from typing import Protocol

import torch
from torch import Tensor, nn

from refold.nets import AutoencoderNet
from refold.train._machine import this_machine
from refold.train._plan import Plan

_SMALLEST_MATRIX = 8
_MUON_RATE = 7.5  # Muon's steps have unit norm: a rate some seven times AdamW's moves weights about as far
_KERNEL_MUON_RATE = 0.8  # four times AdamW's rate, at .2 of the root of the longer side
_MUON_DECAY, _MOMENTUM = 0.3, 0.95
_NEWTON_SCHULZ, _NEWTON_SCHULZ_STEPS, _SMALLEST_NORM = (3.4445, -4.775, 2.0315), 3, 1e-7
_TINY = 1e-8  # of a momentum's norm; what is below is nothing
_BETAS, _EPSILON = (0.9, 0.999), 1e-8


class Optimizer(Protocol):
    """Moves weights along their gradients."""

    def step(self, rate: float) -> None:
        """Move the weights at a learning rate, and forget the gradients."""

    def tensors(self) -> dict[str, Tensor]:
        """Return moments and counts of steps, by names that `load_tensors` understands."""

    def load_tensors(self, tensors: dict[str, Tensor]) -> None:
        """Take over what `tensors` returned for an optimizer of the same network and plan."""


class AdamW:
    """Adam with weight decay apart from the gradient (Loshchilov and Hutter 2019, arXiv 1711.05101).

    It calls the kernel that is behind ``torch.optim.AdamW(fused=True)``: the same numbers, without the second and
    the 80 MB that the first step of any of torch's optimizers takes to import a compiler.

    Parameters
    ----------
    weights : sequence of Tensor
    weight_decay : float
    """

    def __init__(self, weights: Sequence[Tensor], weight_decay: float) -> None:
        self._weights, self._weight_decay = list(weights), weight_decay
        self._means: list[Tensor] = []
        self._squares: list[Tensor] = []
        self._steps = torch.zeros((), device=weights[0].device)

    def step(self, rate: float) -> None:
        """Move the weights that have a gradient, and forget the gradients."""
        self._begin()
        moved = [place for place, weight in enumerate(self._weights) if weight.grad is not None]
        weights, means, squares = (
            [tensors[place] for place in moved] for tensors in (self._weights, self._means, self._squares)
        )
        self._steps += 1
        torch._fused_adamw_(
            weights,
            [weight.grad for weight in weights if weight.grad is not None],
            means,
            squares,
            [],
            [self._steps] * len(moved),
            lr=rate,
            beta1=_BETAS[0],
            beta2=_BETAS[1],
            weight_decay=self._weight_decay,
            eps=_EPSILON,
            amsgrad=False,
            maximize=False,
        )
        for weight in weights:
            weight.grad = None

    def tensors(self) -> dict[str, Tensor]:
        """Return moments and the count of steps."""
        self._begin()
        moments = {"mean": self._means, "square": self._squares}
        named = {
            f"{name}.{place}": moment for name, tensors in moments.items() for place, moment in enumerate(tensors)
        }
        return {**named, "steps": self._steps}

    def _begin(self) -> None:
        """Make the moments when they are needed first: they must lie in memory as the weights do while training."""
        if not self._means:
            self._means = [torch.zeros_like(weight) for weight in self._weights]
            self._squares = [torch.zeros_like(weight) for weight in self._weights]

    def load_tensors(self, tensors: dict[str, Tensor]) -> None:
        """Take over moments and the count of steps."""
        for name, moment in self.tensors().items():
            moment.copy_(tensors[name])


class Muon:
    """Muon (Jordan et al. 2024): matrices move along orthogonalised momenta.

    The products of the orthogonalisation are in bfloat16 only where that is faster: a processor without instructions
    for it takes 20 to 30 times as long as in float32. In bfloat16 it gives the numbers of ``torch.optim.Muon``.

    Parameters
    ----------
    weights : sequence of Tensor
        Matrices.
    weight_decay : float
    """

    def __init__(self, weights: Sequence[Tensor], weight_decay: float) -> None:
        self._weights, self._weight_decay = list(weights), _MUON_DECAY * weight_decay
        self._momenta: list[Tensor] = []
        faster = weights[0].device.type in this_machine().bfloat16_on
        self._dtype = torch.bfloat16 if faster else torch.float32

    @torch.no_grad()
    def step(self, rate: float) -> None:
        """Move the weights that have a gradient, and forget the gradients."""
        self._begin()
        for weight, momentum in zip(self._weights, self._momenta, strict=True):
            if weight.grad is None:
                continue
            momentum.lerp_(weight.grad, 1 - _MOMENTUM)
            ahead = weight.grad.lerp(momentum, _MOMENTUM)
            weight.mul_(1 - rate * _MUON_RATE * self._weight_decay)
            stretch = sqrt(max(1.0, weight.shape[0] / weight.shape[1]))
            weight.add_(orthogonalised(ahead.to(self._dtype)), alpha=-rate * _MUON_RATE * stretch)
            weight.grad = None

    def tensors(self) -> dict[str, Tensor]:
        """Return the momenta."""
        self._begin()
        return {f"momentum_buffer.{place}": momentum for place, momentum in enumerate(self._momenta)}

    def _begin(self) -> None:
        if not self._momenta:
            self._momenta = [torch.zeros_like(weight) for weight in self._weights]

    def load_tensors(self, tensors: dict[str, Tensor]) -> None:
        """Take over the momenta."""
        for name, momentum in self.tensors().items():
            momentum.copy_(tensors[name])


class KernelMuon:
    """Muon for convolutions: a kernel moves along the orthogonalised matrix (outputs, inputs x places).

    Steps have the usual size of Adam's whatever the shape (Liu et al. 2025, arXiv 2502.16982). What is next to
    nothing is made nothing: momenta of units that have died fade for long, products of such numbers are too small for
    their type, and processors are so slow at these that a whole training took twice as long.

    Parameters
    ----------
    weights : sequence of Tensor of shape (outputs, inputs, h, w)
    turned : sequence of bool
        Which have shape (inputs, outputs, h, w), as those of transposed convolutions.
    """

    def __init__(self, weights: Sequence[Tensor], turned: Sequence[bool]) -> None:
        self._weights, self._turned = list(weights), list(turned)
        self._momenta = [torch.zeros_like(weight, memory_format=torch.contiguous_format) for weight in weights]

    @torch.no_grad()
    def step(self, rate: float) -> None:
        """Move the weights that have a gradient, and forget the gradients."""
        for weight, momentum, turned in zip(self._weights, self._momenta, self._turned, strict=True):
            if weight.grad is None:
                continue
            momentum.lerp_(weight.grad, 1 - _MOMENTUM)
            ahead = weight.grad.lerp(momentum, _MOMENTUM)
            ahead = ahead.transpose(0, 1) if turned else ahead
            matrix = ahead.reshape(len(ahead), -1)
            matrix = torch.where(matrix.abs() > _TINY * matrix.norm(), matrix, 0)
            move = orthogonalised(matrix).reshape(ahead.shape)
            size = _KERNEL_MUON_RATE * rate * sqrt(max(matrix.shape))
            weight.add_(move.transpose(0, 1) if turned else move, alpha=-size)
            weight.grad = None

    def tensors(self) -> dict[str, Tensor]:
        """Return the momenta."""
        return {f"momentum.{place}": momentum for place, momentum in enumerate(self._momenta)}

    def load_tensors(self, tensors: dict[str, Tensor]) -> None:
        """Take over the momenta."""
        for name, momentum in self.tensors().items():
            momentum.copy_(tensors[name])


def orthogonalised(matrix: Tensor) -> Tensor:
    """Return a matrix with nearly the same singular vectors and singular values about 1.

    Three steps of Newton and Schulz's iteration with Jordan's coefficients.
    """
    wide = matrix.T if matrix.shape[0] > matrix.shape[1] else matrix
    wide = wide / wide.norm().clamp(min=_SMALLEST_NORM)
    first, third, fifth = _NEWTON_SCHULZ
    for _ in range(_NEWTON_SCHULZ_STEPS):
        gram = wide @ wide.T
        wide = torch.addmm(wide, torch.addmm(gram, gram, gram, beta=third, alpha=fifth), wide, beta=first)
    return wide.T if matrix.shape[0] > matrix.shape[1] else wide


class Together:
    """Optimizers of different weights that step together.

    Parameters
    ----------
    members : sequence of Optimizer
    """

    def __init__(self, members: Sequence[Optimizer]) -> None:
        self._members = tuple(members)

    def step(self, rate: float) -> None:
        """Let every member step."""
        for member in self._members:
            member.step(rate)

    def tensors(self) -> dict[str, Tensor]:
        """Return the tensors of every member under its number."""
        numbered = enumerate(member.tensors() for member in self._members)
        return {f"{number}.{name}": value for number, tensors in numbered for name, value in tensors.items()}

    def load_tensors(self, tensors: dict[str, Tensor]) -> None:
        """Hand every member its tensors."""
        for number, member in enumerate(self._members):
            start = f"{number}."
            own = {name[len(start) :]: value for name, value in tensors.items() if name.startswith(start)}
            member.load_tensors(own)


def make_optimizer(net: AutoencoderNet, plan: Plan) -> Optimizer:
    """Return the optimizer that the plan names.

    "adamw" is AdamW for all weights; biases and normalisation are not decayed. "muon" moves the matrices between
    hidden layers and leaves the others to AdamW.
    """
    matrices = _hidden_matrices(net) if plan.optimizer == "muon" else []
    members: list[Optimizer] = [Muon(matrices, plan.weight_decay)] if matrices else []
    taken = {id(weight) for weight in matrices}
    others = [weight for weight in net.parameters() if weight.requires_grad and id(weight) not in taken]
    for weights, decay in (
        ([weight for weight in others if weight.ndim > 1], plan.weight_decay),
        ([weight for weight in others if weight.ndim <= 1], 0.0),
    ):
        if weights:
            members.append(AdamW(weights, decay))
    return Together(members)


def _hidden_matrices(net: AutoencoderNet) -> list[Tensor]:
    """Return the matrices of dense layers that neither take nor give data and are no mere handful of rows."""
    taken, shown = prod(net.scaling.input_shape), prod(net.scaling.feature_shape)
    inner = [layer.weight for layer in _dense_layers(net.encoder) if layer.in_features != taken]
    inner += [layer.weight for layer in _dense_layers(net.decoder) if layer.out_features != shown]
    return [weight for weight in inner if min(weight.shape) >= _SMALLEST_MATRIX]


def _dense_layers(half: nn.Module) -> list[nn.Linear]:
    return [layer for layer in half.modules() if isinstance(layer, nn.Linear)]
