"""Tiles give what the whole picture gives."""

import numpy as np
import pytest
import torch

from refold.nets import RestorationSpec
from refold.train import Tiling, apply_in_tiles

SPEC = RestorationSpec(channels=1, widths=(4, 6), blocks=1)


def net():
    torch.manual_seed(0)
    made = SPEC.build()
    for weight in made.parameters():
        torch.nn.init.normal_(weight, std=0.1)
    return made


@pytest.mark.parametrize("size", [(1, 1), (30, 200), (131, 97), (128, 128)])
@pytest.mark.parametrize("side", [32, 64])
def test_tiles_are_the_whole(size, side):
    planes = np.random.default_rng(0).random((2, 1, *size), dtype=np.float32)
    tiled = apply_in_tiles(net(), planes, Tiling(side, SPEC.reach, SPEC.stride), torch.device("cpu"))
    with torch.inference_mode():
        whole = net()(torch.from_numpy(planes)).numpy()
    assert np.abs(whole - planes).max() > 0.01
    np.testing.assert_allclose(tiled, whole, atol=1e-6)


def test_every_tile_is_told_of():
    tiling, told = Tiling(32, SPEC.reach, SPEC.stride), []
    apply_in_tiles(net(), np.zeros((1, 1, 70, 40), np.float32), tiling, torch.device("cpu"), lambda: told.append(1))
    assert len(told) == tiling.count(70, 40) == 6
