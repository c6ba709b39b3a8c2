"""Optimizers by name, behind one pair of verbs."""

from collections.abc import Sequence
from math import prod

import torch
from torch import Tensor, nn

from refold.nets import AutoencoderNet
from refold.train._plan import Plan

_SMALLEST_MATRIX = 8
_MUON_RATE = 7.5  # Muon's steps have unit norm: a rate some seven times AdamW's moves weights about as far


class Optimizer:
    """One or two of torch's optimizers that step together.

    Parameters
    ----------
    members : sequence of (torch.optim.Optimizer, float)
        Each with its multiple of the plan's learning rate.
    """

    def __init__(self, members: Sequence[tuple[torch.optim.Optimizer, float]]) -> None:
        self._members = tuple(members)

    def step(self, rate: float) -> None:
        """Move the weights along their gradients at a learning rate, and forget the gradients."""
        for member, multiple in self._members:
            for group in member.param_groups:
                group["lr"] = rate * multiple
            member.step()
            member.zero_grad(set_to_none=True)


def make_optimizer(net: AutoencoderNet, plan: Plan) -> Optimizer:
    """Return the optimizer that the plan names.

    "adamw" is AdamW for all weights; biases and normalisation are not decayed. "muon" (Jordan et al. 2024) moves
    the matrices between hidden layers along orthogonalised gradients and leaves the others to AdamW.
    """
    matrices = _hidden_matrices(net) if plan.optimizer == "muon" else []
    members: list[tuple[torch.optim.Optimizer, float]] = [(_adamw(net, matrices, plan), 1.0)]
    if matrices:
        muon = torch.optim.Muon(matrices, weight_decay=0.3 * plan.weight_decay, ns_steps=3, adjust_lr_fn="original")
        members.append((muon, _MUON_RATE))
    return Optimizer(members)


def _adamw(net: nn.Module, left_out: Sequence[Tensor], plan: Plan) -> torch.optim.Optimizer:
    others = {id(weight) for weight in left_out}
    weights = [weight for weight in net.parameters() if weight.requires_grad and id(weight) not in others]
    groups = [
        {"params": [weight for weight in weights if weight.ndim > 1], "weight_decay": plan.weight_decay},
        {"params": [weight for weight in weights if weight.ndim <= 1], "weight_decay": 0.0},
    ]
    fused = all(weight.device.type in ("cpu", "cuda") and weight.is_floating_point() for weight in weights)
    return torch.optim.AdamW([group for group in groups if group["params"]], lr=plan.learning_rate, fused=fused)


def _hidden_matrices(net: AutoencoderNet) -> list[Tensor]:
    """Return the matrices of dense layers that do not touch the data and are no mere handful of rows."""
    data_sizes = {prod(net.scaling.input_shape), prod(net.scaling.feature_shape)}
    weights = [layer.weight for layer in net.modules() if isinstance(layer, nn.Linear)]
    return [
        weight for weight in weights if min(weight.shape) >= _SMALLEST_MATRIX and data_sizes.isdisjoint(weight.shape)
    ]
