"""Marks come off pictures: blindly, by a mask, of one's own logo, and off many pictures that share one."""

from copy import deepcopy
from functools import cache
from pathlib import Path
from tempfile import mkdtemp

import numpy as np
import pytest
from PIL import Image, ImageDraw
from skimage import data

import refold
from refold import DataError, ParameterError, Restorer
from refold.estimators import DamageKind, Mark, shared_mark
from refold.estimators._picture_unmarking import OWN, UNKNOWN, found_places
from refold.objectives import Watermark

QUICK = {"widths": (16, 16), "blocks": 1, "crop": 32, "batch_size": 4, "threads": 1, "random_state": 0}


@cache
def remover():
    """A small network that knows one mark: the emblem, upright, at about its size."""
    shape, colour = emblem()
    logo = np.dstack([np.broadcast_to(np.rint(255 * colour), (96, 96, 3)), 255 * shape]).astype(np.uint8)
    file = Path(mkdtemp()) / "emblem.png"
    Image.fromarray(logo).save(file)
    own = Watermark(logo=str(file), low=0.5, high=0.6, smallest=0.9, largest=1.0, turned=0, tiled=0)
    chosen = {**QUICK, "widths": (16, 32, 32), "crop": 64, "learning_rate": 4e-3}
    pictures = [data.immunohistochemistry()[::3, ::3], data.rocket()[::2, ::2], data.astronaut()[::2, ::2]]
    return Restorer(corruption=own, steps=150, **chosen).fit(pictures)


@cache
def emblem():
    """Opacity (H, W) and a colour: a ring and a bar, as on many marks."""
    canvas = Image.new("L", (384, 384))
    pencil = ImageDraw.Draw(canvas)
    pencil.ellipse((40, 40, 344, 344), outline=255, width=70)
    pencil.rectangle((170, 90, 214, 294), fill=255)
    opacity = np.asarray(canvas.resize((96, 96), Image.Resampling.BOX), np.float32) / 255
    return opacity, np.array([1.0, 0.95, 0.9], np.float32)


def marked(picture, place, opacity=0.5, colour=None):
    """A picture of 8 bits with the emblem at a place, and where that is."""
    shape, usual = emblem()
    colour = usual if colour is None else np.array(colour)
    alpha = np.zeros(picture.shape[:2], np.float32)
    alpha[place[0] : place[0] + 96, place[1] : place[1] + 96] = opacity * shape
    colour = colour if picture.ndim == 3 else colour.mean(keepdims=True)
    flat = picture.reshape(*alpha.shape, -1)
    laid = (1 - alpha[..., None]) * flat + alpha[..., None] * 255 * colour
    return np.rint(laid).astype(np.uint8).reshape(picture.shape), alpha


def psnr(picture, true, mask=...):
    return 10 * np.log10(255**2 / max(1e-3, np.mean((picture[mask].astype(float) - true[mask]) ** 2)))


def photos():
    return {
        "chelsea": (data.chelsea()[:200, 100:320], (60, 70)),
        "coffee": (data.coffee()[100:300, 200:420], (30, 80)),
        "camera": (data.camera()[100:300, 100:320], (50, 60)),
    }


@pytest.mark.parametrize("name", ["coffee", "camera"])
def test_a_mark_of_ones_own_is_found_and_taken_off_and_the_rest_stays_bit_for_bit(name):
    true, place = photos()[name]
    damaged, alpha = marked(true, place)
    restoration = remover().restoration(damaged)
    assert restoration.changed and restoration.noise is None
    assert restoration.picture.dtype == np.uint8 and restoration.picture.shape == true.shape
    assert np.array_equal(restoration.picture[~restoration.mask], damaged[~restoration.mask])
    inside = alpha > 0.1
    assert (restoration.mask & inside).sum() > 0.75 * inside.sum()
    assert psnr(restoration.picture, true, inside) > psnr(damaged, true, inside) + 3


def test_where_nothing_is_found_the_very_same_pixels_come_back():
    blind = refold.Restorer()
    blind.net_, blind.kind_ = deepcopy(remover().net_), remover().kind_
    blind.net_.tail.bias.data[12:16] = -100  # the plane that says where
    damaged, _ = marked(*photos()["chelsea"])
    restoration = blind.restoration(damaged)
    assert not restoration.changed and not restoration.mask.any()
    assert np.array_equal(restoration.picture, damaged) and restoration.picture is not damaged


def test_small_and_unsure_places_are_thought_to_belong_to_the_picture():
    likely = np.zeros((60, 80), np.float32)
    likely[10:13, 10:13] = 1  # small
    likely[20:50, 10:30] = 0.7  # unsure everywhere
    assert not found_places(likely, OWN).any()
    likely[30, 60], likely[20:50, 50:70] = 0.99, 0.7
    likely[30, 60] = 0.99
    found = found_places(likely, OWN)
    assert found[18:52, 48:72].all() and found.sum() == 34 * 24  # the sure part, two pixels larger
    assert not found_places(likely, UNKNOWN).any()  # sure at one place only
    likely[20:50, 50:70] = 0.96
    assert np.array_equal(found_places(likely, UNKNOWN), found)
    assert not found_places(np.full((60, 80), 0.99, np.float32), UNKNOWN).any()  # no mark covers all


def test_a_mask_says_where_and_nowhere_else():
    true, place = photos()["chelsea"]
    damaged, alpha = marked(true, place)
    left = alpha > 0
    left[:, place[1] + 48 :] = False
    half = remover().restoration(damaged, left)
    assert np.array_equal(half.mask, left) and np.array_equal(half.picture[~left], damaged[~left])
    assert psnr(half.picture, true, left) > psnr(damaged, true, left) + 4
    nowhere = remover().restoration(damaged, np.zeros(alpha.shape, bool))
    assert not nowhere.changed and np.array_equal(nowhere.picture, damaged)
    with pytest.raises(DataError, match="they must be of one size"):
        remover().restore(damaged, left[1:])


def test_less_strength_is_between():
    true, place = photos()["coffee"]
    damaged = marked(true, place)[0] / np.float32(255)
    mask = marked(true, place)[1] > 0
    whole, half = remover().restore(damaged, mask), remover().restore(damaged, mask, strength=0.5)
    np.testing.assert_allclose(half, (whole + damaged) / 2, atol=1e-6)
    assert np.abs(whole - damaged).max() > 0.1
    nothing = remover().restoration(damaged, mask, strength=0.0)
    assert not nothing.changed and np.array_equal(nothing.picture, damaged)


def test_pictures_of_every_type_and_kind():
    true, place = photos()["coffee"]
    damaged, alpha = marked(true, place)
    mask = alpha > 0
    eight = remover().restore(damaged, mask).astype(float)
    deep = remover().restore(damaged.astype(np.uint16) * 257, mask)
    assert deep.dtype == np.uint16 and np.abs(deep / 257 - eight).max() < 0.51
    single = remover().restore(damaged / np.float64(255), mask)
    assert single.dtype == np.float64 and np.abs(single * 255 - eight).max() < 0.51
    grey, _ = marked(true[..., 1], place)
    assert remover().restore(grey, mask).shape == grey.shape
    assert remover().restore(grey[..., None], mask).shape == (*grey.shape, 1)
    four = np.dstack([damaged, damaged[..., 0]])
    freed = remover().restore(four, mask)
    assert freed.shape == four.shape and np.array_equal(freed[~mask], four[~mask])


def test_little_memory_gives_the_same_picture():
    true, place = photos()["coffee"]
    large = np.tile(marked(true, place)[0] / np.float32(255), (2, 2, 1))
    everywhere = np.ones(large.shape[:2], bool)
    assert remover().tiles_of(large, "60MB") > 1
    few, whole = (remover().restore(large, everywhere, max_memory=memory) for memory in ("60MB", "4GB"))
    np.testing.assert_allclose(few, whole, atol=1e-4)


# --- a mark of one's own ------------------------------------------------------------------------------------------


def test_a_restorer_learns_the_users_own_mark(tmp_path):
    shape, _ = emblem()
    logo = np.dstack([np.full((96, 96, 3), 255, np.uint8), (255 * shape).astype(np.uint8)])
    Image.fromarray(logo).save(tmp_path / "my_logo.png")
    corruption = f'watermark("{tmp_path / "my_logo.png"}", low=0.6, high=0.6, turned=0, tiled=0)'
    restorer = Restorer(corruption=corruption, steps=3, **QUICK).fit([data.astronaut()[::2, ::2], data.coffee()])
    assert restorer.kind_ == DamageKind(finds=True) and restorer.net_.spec.finds and restorer.net_.spec.gains
    restorer.save(tmp_path / "mine.safetensors")
    again = refold.load(tmp_path / "mine.safetensors")
    assert again.kind_ == restorer.kind_ and again.corruption.startswith('watermark("')
    damaged, alpha = marked(*photos()["chelsea"])
    assert np.array_equal(again.restore(damaged, alpha > 0), restorer.restore(damaged, alpha > 0))
    with pytest.raises(ParameterError, match="there is no logo"):
        Restorer(corruption='watermark("nowhere.png")', steps=3, **QUICK).fit([data.camera()])


# --- one mark on many pictures -----------------------------------------------------------------------------------


def several(count, size=160):
    pictures = [data.chelsea(), data.coffee(), data.astronaut(), data.rocket(), data.immunohistochemistry()]
    starts = [(0, 0), (90, 140), (120, 40)]
    cut = [each[top : top + size, left : left + size] for top, left in starts for each in pictures]
    return cut[:count]


@pytest.mark.parametrize("colour", [None, (0.1, 0.4, 0.8)], ids=["white", "blue"])
def test_a_mark_that_many_pictures_share_is_told_and_taken_off(colour):
    whole = several(15)
    damaged = [marked(each, (30, 40), colour=colour)[0] for each in whole]
    alpha = marked(whole[0], (30, 40))[1]
    mark = shared_mark(damaged)
    assert mark.alpha.shape == (160, 160) and mark.colour.shape == (160, 160, 3)
    sure = alpha > 0.45
    assert np.median(np.abs(mark.alpha - alpha)[sure]) < 0.05
    gained = []
    for each, true in zip(damaged, whole, strict=True):
        freed = mark.removed_from(each)
        assert freed.dtype == np.uint8 and np.array_equal(freed[mark.alpha == 0], each[mark.alpha == 0])
        gained.append(psnr(freed, true) - psnr(each, true))
    assert np.mean(gained) > 10


def known_mark():
    shape, colour = emblem()
    return Mark(0.5 * shape, np.broadcast_to(colour, (96, 96, 3)).astype(np.float32))


def test_a_known_mark_comes_off_but_for_rounding():
    for true in (data.coffee()[:96, :96], data.camera()[:96, :96]):
        damaged, _ = marked(true, (0, 0))
        freed = known_mark().removed_from(damaged)
        limit = 1.5 if true.ndim == 3 else 2.5
        assert np.abs(freed.astype(int) - true).max() <= limit
        half = known_mark().removed_from(damaged / 255, 0.5)
        np.testing.assert_allclose(half, (damaged + known_mark().removed_from(damaged / 255) * 255) / 510, atol=1e-6)
    deep = known_mark().removed_from(damaged.astype(np.uint16) * 257)
    assert deep.dtype == np.uint16 and np.abs(deep / 257 - freed).max() < 1


def test_pictures_that_share_no_mark_are_refused():
    with pytest.raises(DataError, match="no mark was found that all pictures share"):
        shared_mark(several(8))
    with pytest.raises(DataError, match="there are 2 pictures"):
        shared_mark(several(2))
    with pytest.raises(DataError, match="must be of one size"):
        shared_mark([*several(8, 96), data.camera()])
    with pytest.raises(DataError, match="must be of one size"):
        known_mark().removed_from(data.camera())
    with pytest.raises(ParameterError, match="strength must be"):
        known_mark().removed_from(data.camera()[:96, :96], 2)


# --- marks that nobody knows --------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", ["chelsea", "coffee", "camera"])
def test_the_network_that_ships_leaves_pictures_without_a_mark_alone(name):
    true = photos()[name][0]
    restoration = refold.pretrained("unwatermark").restoration(true)
    assert not restoration.changed and np.array_equal(restoration.picture, true)


def test_the_network_that_ships_takes_a_mark_off_that_it_has_never_seen():
    true, place = photos()["camera"]
    true = np.repeat(true[..., None], 3, axis=2)
    damaged, _ = marked(true, place, colour=(0.1, 0.5, 0.9))
    restoration = refold.pretrained("unwatermark").restoration(damaged)
    assert psnr(restoration.picture, true) > psnr(damaged, true) + 2
    assert np.array_equal(restoration.picture[~restoration.mask], damaged[~restoration.mask])
