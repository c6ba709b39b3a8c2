"""Penalties against their textbook formulas."""

import pytest
import torch
from torch import distributions, nn

from refold.objectives import Contractive, Sparse, Variational


def seeded(seed=0):
    return torch.Generator().manual_seed(seed)


@pytest.mark.parametrize("beta", [0.1, 1.0, 4.0])
def test_the_divergence_is_the_closed_form(beta):
    mean, log_variance = torch.randn(2, 50, 3, generator=seeded())
    inputs = torch.zeros(50, 7)
    code = distributions.Normal(mean, (0.5 * log_variance).exp())
    expected = distributions.kl_divergence(code, distributions.Normal(0.0, 1.0)).sum(dim=1)
    given = Variational(beta)(torch.cat([mean, log_variance], dim=1), inputs, seeded())
    assert given.tolist() == pytest.approx((beta * expected).tolist(), rel=1e-4, abs=1e-6)


def test_the_divergence_of_the_standard_normal_is_nothing():
    assert Variational()(torch.zeros(4, 6), torch.zeros(4, 2, 5, 5), seeded()).tolist() == [0.0] * 4


def test_sparsity_is_the_mean_absolute_value():
    code = torch.tensor([[1.0, -3.0], [0.0, 0.5]])
    assert Sparse(0.5)(code, torch.zeros(2, 4), seeded()).tolist() == [1.0, 0.125]


def test_contraction_is_the_jacobians_norm_in_expectation():
    encoder = nn.Linear(6, 3)
    inputs = torch.randn(20_000, 6, generator=seeded()).requires_grad_(True)
    exact = encoder.weight.square().sum().item()
    estimate = Contractive(2.0)(encoder(inputs), inputs, seeded())
    assert estimate.shape == (20_000,)
    assert estimate.mean().item() == pytest.approx(2 * exact, rel=0.03)


def test_contraction_of_a_curved_encoder_is_that_of_each_record():
    encoder = nn.Sequential(nn.Linear(4, 8), nn.Tanh(), nn.Linear(8, 2))
    record = torch.randn(1, 4, generator=seeded())
    jacobian = torch.autograd.functional.jacobian(encoder, record)[0, :, 0]
    inputs = record.repeat(20_000, 1).requires_grad_(True)
    estimate = Contractive(1.0)(encoder(inputs), inputs, seeded()).mean().item()
    assert estimate == pytest.approx(jacobian.square().sum().item(), rel=0.03)


def test_contraction_can_be_learned_from():
    encoder = nn.Linear(6, 3)
    inputs = torch.randn(5, 6, generator=seeded()).requires_grad_(True)
    Contractive(1.0)(encoder(inputs), inputs, seeded()).mean().backward()
    assert encoder.weight.grad.abs().sum() > 0


def test_contraction_is_nothing_where_nothing_is_learned():
    with torch.no_grad():
        assert Contractive()(torch.ones(3, 2), torch.ones(3, 4), seeded()).tolist() == [0.0] * 3
