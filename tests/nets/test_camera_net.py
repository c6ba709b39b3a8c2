"""The network for cameras: its size, its answers, the weights that ship with it."""

import pytest
import torch

from refold.nets import CameraNet
from refold.weights import camera_weights


def test_it_is_as_small_as_it_says():
    assert sum(weight.numel() for weight in CameraNet().parameters()) == 26_962


@pytest.mark.parametrize(("height", "width"), [(120, 160), (88, 160), (64, 64), (76, 101), (17, 16)])
def test_answers_have_half_the_size_of_views(height, width):
    answers = CameraNet()(torch.zeros(2, 10, height, width))
    assert answers.shape == (2, 2, height // 2, width // 2)


def test_it_begins_by_thinking_that_most_places_are_quiet():
    torch.manual_seed(0)
    with torch.no_grad():
        logits = CameraNet()(torch.randn(1, 10, 32, 32))[:, 0]
    assert logits.sigmoid().max() < 0.2


def test_an_answer_hangs_on_what_is_near_only():
    torch.manual_seed(0)
    net, views = CameraNet().eval(), torch.randn(1, 10, 64, 256)
    other = views.clone()
    other[..., 200:] = 0
    with torch.no_grad():
        near, far = net(views)[..., :40], net(other)[..., :40]
    assert torch.allclose(near, far, atol=1e-6)


def test_the_weights_that_ship_fit():
    weights = camera_weights()
    net = CameraNet()
    net.load_state_dict(weights)
    assert all(tensor.dtype == torch.float32 and tensor.isfinite().all() for tensor in weights.values())
    fresh = CameraNet().state_dict()
    assert not any(torch.equal(weights[name], fresh[name]) for name in fresh)
