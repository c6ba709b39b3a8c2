"""How differently a decoder stretches the code."""

import pytest
import torch
from torch import nn

from refold.nets import NetSpec, build_net
from refold.objectives import Smooth


def seeded(seed=0):
    return torch.Generator().manual_seed(seed)


def net_with(decoder):
    torch.manual_seed(0)
    spec = NetSpec("custom", (4,), (0,) * 4, 2, (5,), "tanh", "identity", "identity", False, False, False, False)
    return build_net(spec, decoder=decoder)


def linear(*rows):
    layer = nn.Linear(2, 4, bias=False)
    layer.weight.data = torch.tensor(rows).T.contiguous()
    return layer


CODE = torch.randn(4000, 2, generator=seeded(5))
ISOMETRY = ([0.0, 3.0, 0.0, 4.0], [5.0, 0.0, 0.0, 0.0])


def test_an_isometry_up_to_a_scale_costs_nothing():
    assert Smooth(1.0)(net_with(linear(*ISOMETRY)), CODE, seeded()).max().item() < 1e-4


def test_a_linear_decoder_costs_the_variance_of_the_logarithm_of_its_factors():
    net = net_with(linear([3.0, 0, 0, 0], [0, 1.0, 0, 0]))
    angle = torch.linspace(0, torch.pi, 10_000)
    squares = 9 * angle.cos() ** 2 + angle.sin() ** 2
    floor = 1e-3
    expected = (0.5 * torch.log(squares / squares.mean() + floor)).var().item()
    assert Smooth(2.0)(net, CODE, seeded()).mean().item() == pytest.approx(2 * expected, rel=0.05)


def test_neither_the_scale_of_the_code_nor_that_of_the_features_matters():
    decoder = nn.Sequential(nn.Linear(2, 8), nn.Tanh(), nn.Linear(8, 4))
    net = net_with(decoder)
    usual = Smooth(1.0)(net, CODE, seeded()).mean().item()
    with torch.no_grad():
        decoder[0].weight *= 500
        decoder[2].weight *= 7
        decoder[2].bias += 3
    assert Smooth(1.0)(net, CODE / 500, seeded()).mean().item() == pytest.approx(usual, rel=1e-3)


def test_only_the_decoder_learns_from_it():
    decoder = nn.Sequential(nn.Linear(2, 8), nn.Tanh(), nn.Linear(8, 4))
    code = CODE[:50].clone().requires_grad_()
    Smooth(1.0)(net_with(decoder), code, seeded()).mean().backward()
    assert code.grad is None
    assert all(weight.grad.abs().sum() > 0 for weight in (decoder[0].weight, decoder[2].weight))


@pytest.mark.parametrize("code", [CODE[:1], torch.zeros(5, 2)], ids=["one", "all the same"])
def test_codes_without_spread_are_no_trouble(code):
    decoder = nn.Sequential(nn.Linear(2, 8), nn.ReLU(), nn.Linear(8, 4))
    terms = Smooth(1.0)(net_with(decoder), code, seeded())
    assert terms.isfinite().all()
    terms.sum().backward()
    assert all(weight.grad is None or weight.grad.isfinite().all() for weight in decoder.parameters())


def test_chance_in_the_decoder_does_not_count():
    net = net_with(nn.Sequential(linear(*ISOMETRY), nn.Dropout(0.5))).train()
    assert Smooth(1.0)(net, CODE, seeded()).max().item() < 1e-4


def test_the_network_is_left_in_training():
    net = net_with(nn.Sequential(nn.Linear(2, 8), nn.Dropout(0.5), nn.Linear(8, 4))).train()
    Smooth(1.0)(net, CODE[:20], seeded())
    assert net.decoder[1].training
