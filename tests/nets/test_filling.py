"""Lost pixels continue what is around them."""

import numpy as np
import pytest
import torch

from refold.nets import filled_smoothly


def grid(height, width):
    rows, columns = np.mgrid[:height, :width] / 40
    return torch.from_numpy(np.stack([rows, columns, rows * 0.5 + columns * 0.3]))[None]


def test_a_slope_goes_on_through_what_is_lost():
    whole = grid(61, 70)
    lost = torch.rand(1, 1, 61, 70, generator=torch.Generator().manual_seed(0)) < 0.6
    lost[..., 20:28, 20:28] = True
    filled = filled_smoothly(whole.masked_fill(lost, 99.0), ~lost)
    assert torch.equal(filled[~lost.expand_as(whole)], whole[~lost.expand_as(whole)])
    inside = (slice(None), slice(None), slice(4, -4), slice(4, -4))
    assert (filled - whole)[inside].abs().max() < 0.04  # of a range of 1.7


@pytest.mark.parametrize("size", [(1, 1), (1, 9), (2, 3), (5, 1), (33, 64)])
def test_every_size_and_every_share_is_filled(size):
    whole = torch.full((2, 1, *size), 0.25)
    for share in (0.5, 1.0):
        lost = torch.rand(2, 1, *size, generator=torch.Generator().manual_seed(1)) < share
        filled = filled_smoothly(whole.masked_fill(lost, float("nan")), ~lost)
        known = ~lost.flatten(1).all(1)
        assert filled.isfinite().all() and torch.allclose(filled[known], whole[known])
    assert (filled == 0.5).all()  # nothing is known: the middle


def test_large_holes_do_not_blow_up():
    whole = torch.rand(1, 1, 200, 200, generator=torch.Generator().manual_seed(2))
    lost = torch.zeros(1, 1, 200, 200, dtype=torch.bool)
    lost[..., 10:190, 10:190] = True
    filled = filled_smoothly(whole, ~lost)
    assert filled.min() > -0.5 and filled.max() < 1.5
