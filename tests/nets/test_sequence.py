"""Convolutional autoencoders of windows: mirrored for every length, and each member by itself."""

import pytest
import torch

from refold.nets import EnsembleSpec, SequenceEnsemble

CHANNELS, FLAGS = 3, 2


def ensemble(window, members=2):
    torch.manual_seed(0)
    return SequenceEnsemble(EnsembleSpec(members, 8, 5), window, CHANNELS + FLAGS, CHANNELS)


@pytest.mark.parametrize("window", [2, 3, 4, 5, 10, 31, 64, 65])
def test_windows_of_every_length_come_back_as_long(window):
    windows = torch.randn(7, window * (CHANNELS + FLAGS))
    assert ensemble(window)(windows).shape == (2, 7, window * CHANNELS)


def test_every_sample_of_a_window_is_seen_and_rebuilt():
    net, windows = ensemble(21), torch.randn(1, 21 * (CHANNELS + FLAGS), requires_grad=True)
    net(windows).square().sum().backward()
    assert bool((windows.grad != 0).all())
    rebuilt = net(windows)[0, 0]
    assert bool((rebuilt != 0).all())


def test_neighbours_share_weights():
    """A pattern two samples later is seen by the first convolution as the same pattern one step later."""
    net = ensemble(32)
    early = torch.zeros(2, 1, 32, CHANNELS + FLAGS)
    late = early.clone()
    early[:, :, 10:14], late[:, :, 12:16] = 1, 1
    assert torch.equal(net.down[0](early)[:, :, :-1], net.down[0](late)[:, :, 1:])


def test_members_learn_nothing_from_each_other():
    net = ensemble(16)
    net(torch.randn(2, 4, 16 * (CHANNELS + FLAGS)))[0].square().sum().backward()
    for weight in net.parameters():
        assert bool(weight.grad[0].abs().sum() > 0) and not bool(weight.grad[1].any())
