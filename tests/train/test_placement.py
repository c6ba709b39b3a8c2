"""Where and how a network is trained follows from the machine and the work, and is said."""

import numpy as np
import pytest
import torch

from refold import Autoencoder
from refold.nets import NetSpec, build_net
from refold.train import Machine, Placement, measured, place

CPU = torch.device("cpu")
PLAIN = Machine("plain", cores=4, threads=4, device="cpu")
WITH_TILES = Machine("tiles", cores=4, threads=4, device="cpu", bfloat16_on={"cpu": "AMX"})


def net(kind="dense", shape=(784,), hidden=(512, 256)):
    categories = (0,) * shape[0] if len(shape) == 1 else ()
    return build_net(NetSpec(kind, shape, categories, 3, hidden, "silu", "identity", "identity", *[False] * 4))


def test_much_work_is_done_in_bfloat16_where_that_is_faster():
    assert place(net(), 256, CPU, machine=WITH_TILES).bfloat16
    assert not place(net(), 256, CPU, machine=PLAIN).bfloat16
    assert not place(net(shape=(6,), hidden=(8,)), 32, CPU, machine=WITH_TILES).bfloat16


def test_what_is_asked_for_is_done():
    assert not place(net(), 256, CPU, "float32", machine=WITH_TILES).bfloat16
    assert place(net(), 256, CPU, "bfloat16", machine=PLAIN).bfloat16
    assert place(net(), 256, CPU, threads=3, machine=PLAIN).threads == 3


def test_only_convolutions_are_laid_out_channels_last():
    pictures = net("conv", (16, 16, 3), (8,))
    placement = place(pictures, 32, CPU, machine=PLAIN)
    assert placement.channels_last and not place(net(), 32, CPU, machine=PLAIN).channels_last
    placement.lay_out(pictures)
    assert pictures.encoder[0].weight.is_contiguous(memory_format=torch.channels_last)


def test_little_work_has_one_thread_and_much_has_all():
    assert place(net(shape=(6,), hidden=(8,)), 32, CPU, machine=PLAIN).threads == 1
    assert place(net(), 256, CPU, machine=PLAIN).threads == 4


def test_every_choice_has_a_reason():
    assert len(place(net(), 256, CPU, machine=WITH_TILES).reasons) == 3


ON_TRIAL = Placement(CPU, threads=2, reasons=("", "", ""), on_trial=True)


class Clock:
    """Time that passes by what a step costs with so many threads."""

    def __init__(self, costs):
        self.costs, self.now, self.steps = costs, 0.0, 0

    def perf_counter(self):
        return self.now

    def step(self):
        self.steps += 1
        self.now += self.costs[torch.get_num_threads()]


@pytest.fixture
def forgetful(monkeypatch):
    monkeypatch.setattr("refold.train._placement._measured", {})


@pytest.mark.parametrize(("costs", "chosen"), [({1: 1.0, 2: 0.6}, 2), ({1: 1.0, 2: 4.0}, 1), ({1: 1.0, 2: 0.95}, 1)])
def test_a_trial_chooses_the_faster_number_of_threads(monkeypatch, forgetful, costs, chosen):
    clock = Clock(costs)
    monkeypatch.setattr("refold.train._placement.time", clock)
    before = torch.get_num_threads()
    placement = measured(ON_TRIAL, 10**9, 1000, clock.step)
    assert placement.threads == chosen and f"{chosen} of 2 threads" in placement.reasons[-1]
    assert torch.get_num_threads() == before
    tried = clock.steps
    assert measured(ON_TRIAL, 10**9, 1000, clock.step).threads == chosen
    assert clock.steps == tried  # the same work is not tried again: the same fit has the same threads


def test_few_steps_are_not_worth_a_trial(forgetful):
    def step():
        raise AssertionError

    assert measured(ON_TRIAL, 10**9, 10, step).threads == 2


def test_a_number_of_threads_that_was_asked_for_is_not_put_to_trial(forgetful, monkeypatch):
    monkeypatch.setattr("refold.train._placement._WORTH_IT", 0.0)  # one thread would win
    rows = np.random.default_rng(0).normal(size=(300, 40)).astype(np.float32)
    usual = {"latent_dim": 2, "hidden": (16,), "max_epochs": 8, "batch_size": 32, "random_state": 0}
    assert Autoencoder(**usual, threads=2).fit(rows).placement_.threads == 2


def test_a_trial_leaves_the_training_as_it_was(forgetful, monkeypatch):
    rows = np.random.default_rng(0).normal(size=(300, 40)).astype(np.float32)
    usual = {"latent_dim": 2, "hidden": (16,), "max_epochs": 8, "batch_size": 32, "random_state": 0}
    plain = Autoencoder(**usual, threads=1).fit(rows)
    monkeypatch.setattr("refold.train._placement._OPERATIONS_WORTH_THREADS", 0)
    monkeypatch.setattr("refold.train._placement._WORTH_IT", 0.0)  # one thread wins
    tried = Autoencoder(**usual, precision="float32").fit(rows)
    assert plain.placement_.threads == tried.placement_.threads == 1
    for name, value in plain.net_.state_dict().items():
        assert value.equal(tried.net_.state_dict()[name])
