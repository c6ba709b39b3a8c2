"""Codes that are chosen among candidates."""

import math

import numpy as np
import pytest
import torch

from refold import Autoencoder
from refold.nets import Candidates, NetSpec, build_net
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


def test_candidates_of_a_network_with_shortcuts_begin_around_the_linear_path(raw):
    torch.manual_seed(0)
    net = build_net(NetSpec(**{**vars(SPEC), "shortcut": True})).eval()
    weight = torch.zeros(2, 6)
    with torch.no_grad():
        weight[0, 0] = weight[1, 1] = 100.0
        net.encoder.start_straight(weight, torch.zeros(2))
        after = net.candidates_of(net.encoder(raw))
    offsets = after.places - 100 * raw[:, None, :2]
    torch.testing.assert_close(offsets, offsets[:1].expand_as(offsets), atol=1e-3, rtol=0)
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


def test_records_at_the_cut_of_a_ring_go_to_one_end_and_not_between():
    """A continuous code leads from one end of the ring to the other over everything between."""
    rng = np.random.default_rng(0)
    turn = rng.uniform(0, 2 * np.pi, 1200)
    ring = np.stack([np.cos(turn), np.sin(turn)], 1) @ rng.normal(size=(2, 10)) + rng.normal(0, 0.01, (1200, 10))
    usual = {"latent_dim": 1, "shortcut": False, "max_epochs": 40, "threads": 1, "random_state": 0}
    chosen, continuous = (
        Autoencoder(**usual, keep=keep).fit(ring[:900]).reconstruction_error(ring[900:]).max()
        for keep in ("neighbours", None)
    )
    assert chosen < 0.15 * ring.var(axis=0).mean() < continuous


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
