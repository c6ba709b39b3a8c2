"""Errors against their textbook formulas."""

import numpy as np
import pytest
import torch
from torch import nn
from torch.nn import functional

from refold.nets import NetSpec, build_net
from refold.objectives import ERRORS, column_errors, mean_error

SPEC = {
    "kind": "dense", "latent_dim": 1, "hidden": (3,), "activation": "relu", "latent_activation": "identity",
    "normalise": False, "variational": False, "exact": False,
}  # fmt: skip


def records(n=30, columns=4):
    generator = torch.Generator().manual_seed(0)
    return torch.randn(n, columns, generator=generator), torch.rand(n, columns, generator=generator)


def net_of(n_categories, output="identity"):
    shape, unit = (len(n_categories),), output == "sigmoid"
    return build_net(NetSpec(raw_shape=shape, n_categories=n_categories, output_activation=output, unit=unit, **SPEC))


def test_the_three_errors():
    outputs, targets = records()
    identity, sigmoid = nn.Identity(), nn.Sigmoid()
    assert torch.allclose(ERRORS["squared"](outputs, targets, identity), (outputs - targets) ** 2)
    assert torch.allclose(ERRORS["absolute"](outputs, targets, identity), (outputs - targets).abs())
    by_hand = functional.binary_cross_entropy(outputs.sigmoid(), targets, reduction="none")
    assert torch.allclose(ERRORS["cross_entropy"](outputs, targets, sigmoid), by_hand, atol=1e-5)
    assert torch.allclose(ERRORS["cross_entropy"](outputs.sigmoid(), targets, identity), by_hand, atol=1e-4)


def test_cross_entropy_survives_extreme_outputs():
    outputs = torch.tensor([[1e4, -1e4, 0.0]])
    for activation in (nn.Sigmoid(), nn.Identity()):
        assert torch.isfinite(ERRORS["cross_entropy"](outputs, torch.tensor([[0.0, 1.0, 0.5]]), activation)).all()


@pytest.mark.parametrize("error", sorted(ERRORS))
def test_every_category_column_adds_its_log_loss(error):
    net = net_of((0, 3, 0, 2), output="sigmoid")
    outputs = records(columns=7)[0]
    codes = torch.randint(2, (30, 2), generator=torch.Generator().manual_seed(1))
    numbers = records(columns=2)[1]
    targets = torch.cat([numbers, functional.one_hot(codes[:, 0], 3), functional.one_hot(codes[:, 1], 2)], dim=1)
    errors = column_errors(ERRORS[error], net, outputs, targets.float())
    assert errors.shape == (30, 4)
    assert torch.allclose(errors[:, :2], ERRORS[error](outputs[:, :2], numbers, nn.Sigmoid()))
    assert torch.allclose(errors[:, 2], functional.cross_entropy(outputs[:, 2:5], codes[:, 0], reduction="none"))
    assert torch.allclose(errors[:, 3], functional.cross_entropy(outputs[:, 5:], codes[:, 1], reduction="none"))


def test_the_mean_is_over_what_was_seen():
    errors = torch.tensor([[1.0, 2.0, 6.0], [4.0, 4.0, 4.0]])
    seen = torch.tensor([[True, False, True], [False, False, False]])
    assert mean_error(errors, None).tolist() == [3.0, 4.0]
    assert mean_error(errors, seen).tolist() == [3.5, 0.0]


def test_no_gradient_comes_from_missing_cells():
    net = net_of((0, 0))
    raw = torch.tensor([[1.0, float("nan")], [2.0, 3.0]])
    targets, seen = net.scaling.targets(raw)
    outputs = torch.randn(2, 2, requires_grad=True)
    mean_error(column_errors(ERRORS["squared"], net, outputs, targets), seen).sum().backward()
    assert (outputs.grad == 0).tolist() == [[False, True], [False, False]]
    assert np.isfinite(outputs.grad.numpy()).all()
