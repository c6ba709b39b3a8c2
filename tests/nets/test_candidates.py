"""Codes that are chosen among candidates."""

import math

import numpy as np
import pytest
import torch

from refold import Autoencoder
from refold.nets import Candidates, NetSpec, build_net, start_from_components
from refold.objectives import Towards

SPEC = NetSpec(
    kind="dense",
    raw_shape=(6,),
    n_categories=(0,) * 6,
    latent_dim=2,
    hidden=(16, 8),
    activation="relu",
    latent_activation="identity",
    output_activation="identity",
    normalise=True,
    variational=False,
    unit=False,
    exact=False,
    candidates=5,
)


@pytest.fixture
def net():
    torch.manual_seed(0)
    return build_net(SPEC).eval()


@pytest.fixture
def raw():
    return torch.randn(200, 6, generator=torch.Generator().manual_seed(1)) * 4


def test_the_code_is_the_candidate_with_the_highest_chance(net, raw):
    with torch.no_grad():
        candidates = net.candidates_of(net.encoder(net.scaling.inputs(raw)))
        code = net.encode(raw)
    best = candidates.log_chances.argmax(1)
    assert len(best.unique()) > 1
    assert torch.equal(code, candidates.places[torch.arange(len(raw)), best])
    torch.testing.assert_close(candidates.log_chances.exp().sum(1), torch.ones(len(raw)))


def test_a_network_with_shortcuts_starts_as_pca_and_its_other_candidates_around(raw):
    nets = [build_net(NetSpec(**{**vars(SPEC), "shortcut": True, "candidates": count})).eval() for count in (5, 0)]
    for net in nets:
        start_from_components(net, raw.numpy(), seed=0)
    with torch.no_grad():
        assert torch.equal(nets[0].encode(raw), nets[1].encode(raw))
        torch.testing.assert_close(nets[0](raw), nets[1](raw))
        offsets = (
            nets[0].candidates_of(nets[0].encoder(nets[0].scaling.inputs(raw))).places - nets[1].encode(raw)[:, None]
        )
    torch.testing.assert_close(offsets, offsets[:1].expand_as(offsets), atol=1e-5, rtol=0)
    assert torch.cdist(offsets[0], offsets[0]).fill_diagonal_(1).min() > 0.05


def test_without_candidates_the_code_is_the_only_one():
    net = build_net(NetSpec(**{**vars(SPEC), "candidates": 0}))
    outputs = torch.randn(3, 2)
    candidates = net.candidates_of(outputs)
    assert torch.equal(candidates.places[:, 0], outputs) and not candidates.log_chances.any()


def test_one_good_candidate_that_is_chosen_is_enough():
    places = torch.tensor([[0.0, 0.0]])
    near, far = torch.tensor([0.0, 0.0]), torch.tensor([3.0, 4.0])
    towards = Towards(2.0, 0.5, "neighbours")
    alone = towards(Candidates(far[None, None], torch.zeros(1, 1)), places)
    assert alone.item() == pytest.approx(2 * math.log(1 + 25 / 0.25))
    both = torch.stack([near, far])[None]
    sure, wrong = (torch.tensor([[share, 1 - share]]).log() for share in (0.99, 0.01))
    assert towards(Candidates(both, sure), places).item() < 0.03 < 4 < towards(Candidates(both, wrong), places).item()


def test_records_without_a_place_are_not_pulled():
    places = torch.tensor([[torch.nan, torch.nan], [1.0, 1.0]])
    candidates = torch.randn(2, 3, 2).requires_grad_()
    scores = torch.zeros(2, 3).requires_grad_()
    Towards(1.0, 0.1, "neighbours")(Candidates(candidates, scores.log_softmax(1)), places).sum().backward()
    assert not candidates.grad[0].any() and not scores.grad[0].any()
    assert candidates.grad[1].abs().min() > 0 and torch.isfinite(candidates.grad).all()


def codes_on_a_line(candidates):
    """Return codes along a line of records that shall lie at -3 on one side of its middle and at 3 on the other."""
    torch.manual_seed(0)
    net = build_net(NetSpec(**{**vars(SPEC), "candidates": candidates}))
    direction = torch.randn(1, 6)
    towards, optimizer = Towards(1.0, 0.1, "neighbours"), torch.optim.Adam(net.encoder.parameters(), 3e-3)
    for _ in range(400):
        line = torch.rand(256, 1) * 2 - 1
        places = torch.cat([3 * line.sign(), line], 1)
        optimizer.zero_grad()
        towards(net.candidates_of(net.encoder(line @ direction)), places).mean().backward()
        optimizer.step()
    with torch.no_grad():
        return net.eval().encode(torch.linspace(-1, 1, 50_001)[:, None] @ direction)[:, 0]


def test_a_code_that_is_chosen_jumps_over_what_lies_between():
    """A continuous one must lead over everything between two groups, however few records that takes."""
    jumping, leading = codes_on_a_line(candidates=5), codes_on_a_line(candidates=0)
    for codes in (jumping, leading):
        assert codes[:20_000].median() < -2.5 and codes[-20_000:].median() > 2.5
    assert (jumping.abs() > 2).all()
    assert (leading.abs() < 2).any()


@pytest.mark.parametrize(
    ("changes", "count"),
    [
        ({"keep": "neighbours"}, 32),
        ({"keep": "neighbours + smooth"}, 32),
        ({"keep": "distances"}, 0),
        ({"keep": None}, 0),
        ({"keep": "neighbours", "penalty": "variational"}, 0),
        ({"keep": "neighbours", "latent_activation": "tanh"}, 0),
        ({"keep": "neighbours", "encoder": torch.nn.Linear(6, 2)}, 0),
    ],
)
def test_codes_are_chosen_where_groups_come_apart_and_the_network_is_ours(changes, count):
    rows = np.random.default_rng(0).normal(size=(40, 6)).astype(np.float32)
    model = Autoencoder(latent_dim=2, max_epochs=1, random_state=0, **changes).fit(rows)
    assert model.spec_.candidates == count
