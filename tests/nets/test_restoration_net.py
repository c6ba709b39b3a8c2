"""The restoration network: any size, no biases, and a reach that is true."""

import pytest
import torch

from refold import ParameterError
from refold.nets import RestorationSpec

SPEC = RestorationSpec(channels=1, widths=(4, 6, 8), blocks=1)

FINDING = RestorationSpec(1, (4, 4), 2, finds=True, gains=True, bias=True)


def random_net(spec=SPEC):
    torch.manual_seed(0)
    net = spec.build().double()
    for weight in net.parameters():
        torch.nn.init.normal_(weight, std=0.2)
    return net


@pytest.mark.parametrize("size", [(1, 1), (1, 9), (7, 8), (33, 50)])
def test_pictures_of_every_size_keep_it(size):
    assert random_net()(torch.rand(2, 1, *size, dtype=torch.float64)).shape == (2, 1, *size)


def test_sides_that_are_no_whole_strides_are_mirrored_and_not_drawn_out():
    net, picture = random_net(), torch.rand(1, 1, 21, 24, dtype=torch.float64)
    mirrored = torch.cat([picture, picture[:, :, -4:-1].flip(2)], dim=2)
    torch.testing.assert_close(net(picture), net(mirrored)[:, :, :21])


def test_an_untrained_network_leaves_pictures_as_they_are():
    picture = torch.rand(1, 3, 20, 20)
    assert torch.equal(RestorationSpec(3, (4, 6), 1).build()(picture), picture)


def test_what_finds_damage_says_where_and_begins_with_nothing():
    picture = torch.rand(1, 3, 20, 20)
    answer = RestorationSpec(3, (4, 6), 1, finds=True, gains=True, bias=True).build()(picture)
    assert answer.shape == (1, 4, 20, 20)
    assert torch.equal(answer[:, :3], picture) and not answer[:, 3:].any()


def test_a_gain_stretches_the_pictures_own_contrast():
    """What one number for all pixels of a place can do: all channels farther from the middle by the same factor."""
    spec = RestorationSpec(3, (4,), 0, gains=True, bias=True)
    net, picture = spec.build(), torch.rand(1, 3, 8, 8)
    net.tail.bias.data[4 * spec.channels :] = 1.5  # the last plane, at the four places of a block
    torch.testing.assert_close(net(picture) - 0.5, 2.5 * (picture - 0.5))


def test_twice_the_contrast_is_twice_the_answer():
    net, picture = random_net(), torch.rand(1, 1, 24, 32, dtype=torch.float64)
    torch.testing.assert_close(net(2 * picture), 2 * net(picture))


@pytest.mark.parametrize("spec", [SPEC, RestorationSpec(1, (4, 4), 2), RestorationSpec(1, (4,), 3), FINDING])
def test_nothing_beyond_the_reach_matters_and_much_within_it_does(spec):
    net, middle, side = random_net(spec), 2 * spec.reach, 4 * spec.reach
    plain = torch.rand(1, 1, side, side, dtype=torch.float64)
    changed = plain.clone()
    changed[..., middle, middle] += 1
    moved = (net(changed) - net(plain))[0].abs().amax(0).nonzero() - middle
    assert int(moved.abs().max()) <= spec.reach
    assert int(moved.abs().max()) > 0.7 * spec.reach


def test_descriptions_that_no_honest_file_has_are_refused():
    good = SPEC.to_json()
    assert RestorationSpec.from_json(good) == SPEC
    for wrong in ({"channels": 2}, {"widths": [0]}, {"widths": [1 << 20]}, {"blocks": -1}, {"widths": []}):
        with pytest.raises(ParameterError):
            RestorationSpec.from_json({**good, **wrong})
