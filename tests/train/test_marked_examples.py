"""Examples of marks: cut where the mark is, counted where it is, and some without any."""

import numpy as np
import torch
from skimage import data

from refold.objectives import Watermark
from refold.train import PictureCrops, marked_examples


def drawn(count, whole=0.25, side=32):
    crops = PictureCrops([data.chelsea()], 128, 3)
    return marked_examples(crops, Watermark(tiled=0), side, whole)(count, torch.Generator().manual_seed(0))


def test_most_show_a_part_of_a_mark_and_some_none():
    examples = drawn(40)
    assert examples.whole.shape == examples.given.shape == (40, 3, 32, 32)
    marked = (examples.given != examples.whole).flatten(1).any(1)
    assert 20 <= marked.sum() <= 35
    assert (drawn(10, whole=1.0).given == drawn(10, whole=1.0).whole).all()


def test_only_the_mark_and_its_rim_count():
    examples = drawn(20)
    changed = (examples.given - examples.whole).abs().amax(1, keepdim=True) > 1.5 / 255
    assert (examples.weights[changed] == 1).all()
    rim = examples.weights[~changed]
    assert (rim < 0.5).all() and (rim == 0).any() and (rim > 0).any()


def test_pictures_are_rounded_to_levels_before_and_after():
    """A picture is one of 8 bits: values between the levels would tell where the mark is."""
    for pictures in drawn(8)[:2]:
        levels = pictures.numpy() * 255
        np.testing.assert_allclose(levels, np.rint(levels), atol=1e-4)
