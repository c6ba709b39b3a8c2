"""Colours for grey pictures: the luminance stays, hints are obeyed, sizes and types are kept, errors help."""

import numpy as np
import pytest
import torch
from PIL import Image
from skimage import data
from skimage.color import rgb2lab

import refold
from refold import DataError, ParameterError, Restorer
from refold.nets import RestorationSpec
from refold.train import (
    COLOUR_GUIDES,
    PLANES_OF_RGB,
    RGB_OF_PLANES,
    ColourExamples,
    Hints,
    area_means,
    obeying,
    reduced_size,
    spread_hints,
)

SMALL = {"widths": (8, 8), "blocks": 1, "crop": 32, "batch_size": 4, "threads": 1, "random_state": 0}
RED = (200, 40, 40)
CUP = (123, 150, (60, 110, 200))


def photo(name):
    return np.asarray(Image.fromarray(getattr(data, name)()).reduce(2))


def grey(picture):
    return np.rint(picture @ PLANES_OF_RGB[0]).astype(np.uint8)


def true_hints(picture, count, seed=0):
    rng = np.random.default_rng(seed)
    rows, columns = (rng.integers(length, size=count).tolist() for length in picture.shape[:2])
    return [(row, column, tuple(picture[row, column].tolist())) for row, column in zip(rows, columns, strict=True)]


def ab_error(found, true):
    return np.mean((rgb2lab(found) - rgb2lab(true))[..., 1:] ** 2)


@pytest.fixture(scope="module")
def colouriser():
    return refold.pretrained("colorize")


# --- what it is worth -----------------------------------------------------------------------------------------------


def test_guesses_are_nearer_to_the_truth_than_grey(colouriser):
    """On the whole: a night sky, such as that of the rocket, becomes brownish and is farther from it."""
    errors = []
    for name in ("coffee", "chelsea", "retina", "astronaut"):
        true = photo(name)
        plain = np.repeat(grey(true)[..., None], 3, axis=2)
        errors.append((ab_error(colouriser.restore(grey(true)), true), ab_error(plain, true)))
    ours, of_grey = np.mean(errors, axis=0)
    assert ours < 0.9 * of_grey


@pytest.mark.parametrize("name", ["coffee", "chelsea", "rocket"])
def test_hints_of_twenty_places_are_worth_decibels(colouriser, name):
    true = photo(name)
    without = ab_error(colouriser.restore(grey(true)), true)
    few, many = (ab_error(colouriser.restore(grey(true), hints=true_hints(true, n)), true) for n in (5, 40))
    assert many < few < without and many < 0.45 * ab_error(np.repeat(grey(true)[..., None], 3, axis=2), true)


def test_a_hint_is_obeyed_whatever_is_usual(colouriser):
    """A purple cat, told by one pixel, by a stroke, and on a picture that is not made small."""
    picture = grey(data.chelsea())
    for size in (1, 3):
        small = np.asarray(Image.fromarray(picture).reduce(size))
        row, column = 150 // size, 225 // size
        for told in ((200, 60, 220), (60, 200, 60)):
            painted = np.zeros((*small.shape, 4), np.uint8)
            painted[row, column - 8 // size : column + 8 // size] = (*told, 255)
            for hints in ([(row, column, told)], painted):
                planes = colouriser.restore(small, hints=hints)[row, column] @ PLANES_OF_RGB.T
                wanted = np.array(told) @ PLANES_OF_RGB.T
                assert np.abs(planes - wanted)[1:].max() < 0.1 * np.abs(wanted[1:]).max()


def test_a_hint_reaches_what_is_as_light_and_not_what_is_not(colouriser):
    picture = np.full((60, 90), 60, np.uint8)
    picture[:, 45:] = 190
    chroma = colouriser.restore(picture, hints=[(30, 20, RED), (30, 70, (190, 190, 190))]) @ PLANES_OF_RGB[1:].T
    assert chroma[20:40, 5:40, 0].min() > 5 * np.abs(chroma[20:40, 50:85, 0]).max()


def test_a_single_hint_does_not_tint_the_whole_picture(colouriser):
    """A blue cup on a table that is lighter than the cup."""
    picture = grey(photo("coffee"))
    usual, blue = (colouriser.restore(picture, hints=hints) @ PLANES_OF_RGB[1:].T for hints in (None, [CUP]))
    cup, table = (slice(120, 126), slice(147, 153)), (slice(70, 110), slice(250, 290))
    moved = np.abs(blue - usual).mean(2)
    assert moved[cup].mean() > 40 and moved[table].mean() < 0.1 * moved[cup].mean()


def test_hints_as_a_list_and_as_pixels_are_the_same(colouriser):
    picture = grey(photo("coffee"))
    hints = true_hints(photo("coffee"), 12)
    painted = np.zeros((*picture.shape, 4), np.uint8)
    painted[..., :3] = 99  # what is transparent tells nothing
    for row, column, colour in hints:
        painted[row, column] = (*colour, 255)
    assert np.array_equal(colouriser.restore(picture, hints=hints), colouriser.restore(picture, hints=painted))
    painted[..., 3] = 0
    assert np.array_equal(colouriser.restore(picture, hints=painted), colouriser.restore(picture))


# --- what stays -----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("shape", [(1, 1), (1, 30), (31, 1), (2, 5, 3), (40, 30, 1), (700, 530), (3, 2000)])
@pytest.mark.parametrize("dtype", [np.uint8, np.uint16, np.uint32, np.float32, np.float64])
def test_the_luminance_of_every_size_and_type_stays(colouriser, shape, dtype):
    picture = np.random.default_rng(0).random(shape)
    if np.dtype(dtype).kind == "u":
        picture = np.rint(picture * np.iinfo(dtype).max)
    picture = picture.astype(dtype)
    found = colouriser.restore(picture, hints=[(0, 0, RED)], strength=2)
    assert found.shape == (*shape[:2], 3) and found.dtype == dtype
    own = picture.reshape(*shape[:2], -1).astype(float) @ (PLANES_OF_RGB[0] if shape[2:] == (3,) else [1.0])
    assert np.abs(found @ PLANES_OF_RGB[0] - own).max() <= (0.501 if np.dtype(dtype).kind == "u" else 1e-6)
    assert np.ptp(found.astype(float), axis=2).max() > 0.01 * picture.max()


def test_colours_of_a_picture_do_not_matter(colouriser):
    """An old photograph is yellowish as often as it is grey; what looks the same in grey gets the same colours."""
    picture = np.full((30, 30, 3), 120, np.uint8)
    yellowish = np.full((30, 30, 3), (136, 121, 73), np.uint8)
    assert grey(yellowish)[0, 0] == 120
    same = np.abs(colouriser.restore(yellowish).astype(int) - colouriser.restore(picture[..., 0]))
    assert same.max() <= 1
    assert np.array_equal(colouriser.restore(picture), colouriser.restore(picture[..., 0]))


def test_deeper_pixels_get_the_same_colours(colouriser):
    eight = grey(photo("coffee"))
    found = colouriser.restore(eight).astype(float)
    assert np.abs(colouriser.restore(eight.astype(np.uint16) * 257) / 257 - found).max() < 0.51
    assert np.abs(colouriser.restore(eight / np.float32(255)) * 255 - found).max() < 0.51


def test_strength_is_saturation(colouriser):
    picture = (grey(photo("coffee")) / 255).astype(np.float64)
    colours = [colouriser.restore(picture, strength=strength) @ PLANES_OF_RGB[1:].T for strength in (0, 0.5, 1, 2)]
    assert np.abs(colours[0]).max() < 1e-6
    assert np.isclose(2 * colours[1], colours[2], atol=1e-4).mean() > 0.97  # but for what would leave the range
    assert np.abs(colours[3]).mean() > 1.5 * np.abs(colours[2]).mean()


def test_a_picture_in_parts_is_the_whole(colouriser, monkeypatch):
    from refold.estimators import _colourising

    picture = grey(data.coffee())
    painted = np.zeros((*picture.shape, 4), np.uint8)
    painted[90:99, 30:300] = (*RED, 255)
    whole, told = colouriser.restore(picture, hints=painted), []
    monkeypatch.setattr(_colourising, "_TILE", 97)
    parts = colouriser.restoration(picture, hints=painted, told=lambda: told.append(1)).picture
    assert np.abs(parts.astype(int) - whole).max() <= 1
    assert len(told) == colouriser.tiles_of(picture) == 35


# --- learning -------------------------------------------------------------------------------------------------------


def test_a_restorer_of_ones_own_learns_colours_and_survives_its_file(tmp_path):
    """What is light is red and what is dark is blue, which only who has seen it can know."""
    rng = np.random.default_rng(0)
    waves = np.sin(np.arange(60) / rng.uniform(5, 12, (12, 1, 1)) + rng.uniform(0, 6, (12, 1, 1)))
    tones = np.repeat(110 + 50 * waves, 40, axis=1)[..., None]
    pictures = np.rint(tones + (tones - 110) * [0.6, 0, -1]).clip(0, 255).astype(np.uint8)
    given = {
        **SMALL,
        "corruption": "grey",
        "steps": 120,
        "learning_rate": 4e-3,
        "checkpoint": str(tmp_path / "unfinished"),
    }
    restorer = Restorer(**given).fit(pictures)
    assert restorer.kind_.colours and restorer.net_.spec.guides == COLOUR_GUIDES
    restorer.save(tmp_path / "r.safetensors")
    again = refold.load(tmp_path / "r.safetensors")
    hints = true_hints(pictures[0], 5)
    found = restorer.restore(grey(pictures[0]), hints=hints)
    assert np.array_equal(again.restore(grey(pictures[0]), hints=hints), found)
    assert again.get_params()["corruption"] == "grey" and again.kind_ == restorer.kind_
    same = Restorer(**{**given, "checkpoint": None}).fit(pictures)
    assert all(torch.equal(value, same.net_.state_dict()[name]) for name, value in restorer.net_.state_dict().items())
    untrained = Restorer(**{**given, "steps": 1, "checkpoint": None}).fit(pictures)
    errors = [sum(ab_error(each.restore(grey(p)), p) for p in pictures[:4]) for each in (restorer, untrained)]
    assert errors[0] < 0.9 * errors[1]


def test_examples_have_hints_or_none_and_keep_the_luminance():
    examples = ColourExamples([data.coffee(), data.camera(), data.coffee() / 255], 48)(24, torch.Generator())
    assert examples.given.shape == (24, 3 + COLOUR_GUIDES, 48, 48)
    assert torch.equal(examples.given[:, 0], examples.whole[:, 0])
    told = examples.given[:, 6].flatten(1).any(1)
    assert 0 < told.sum() < 24
    assert not examples.given[~told, 1:].any() and examples.given[told, 1:6].isfinite().all()


# --- parts ----------------------------------------------------------------------------------------------------------


def test_planes_of_colours_are_a_luminance_and_near_what_is_seen():
    assert np.allclose(PLANES_OF_RGB @ [1, 1, 1], [1, 0, 0]) and np.allclose(RGB_OF_PLANES[:, 0], 1)
    pixels = data.coffee()[::7, ::7].reshape(-1, 3) / 255
    seen = rgb2lab(pixels[None])[0, :, 1:]
    assert np.sqrt(np.mean((100 * (pixels @ PLANES_OF_RGB[1:].T) - seen) ** 2)) < 0.4 * seen.std()


def test_a_reduced_picture_is_of_means():
    assert reduced_size(3000, 4000, 160) == (120, 160) and reduced_size(9, 4, 160) == (9, 4)
    assert reduced_size(1, 5000, 160) == (1, 160)
    means = area_means(10, 4)
    assert np.allclose(means.sum(1), 1) and np.allclose(means[0], [0.4, 0.4, 0.2, *[0] * 7])
    assert np.array_equal(area_means(10, 4, slice(3, 7)), means[:, 3:7])


def test_many_hints_are_thinned_and_hints_at_odds_do_not_swing():
    tones = torch.rand(90, 90, generator=torch.Generator().manual_seed(0)) * 0.02 + 0.5
    rows, columns = (each.flatten() for each in torch.meshgrid(*[torch.arange(90)] * 2, indexing="ij"))
    chroma = 0.3 * torch.where((rows + columns) % 2 == 0, 1.0, -1.0)[:, None].repeat(1, 2)
    hints = Hints(rows, columns, tones.flatten(), chroma)
    assert len(hints.thinned().rows) <= 512 < len(hints.rows)
    assert spread_hints(tones, hints)[1:5].abs().max() <= 0.3 + 1e-6
    assert obeying(torch.zeros(2, 90, 90), tones, hints).abs().max() < 1


# --- what is refused ------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("hints", "sentence"),
    [
        (np.zeros((4, 5, 3), np.uint8), r"RGBA.*got uint8 of shape \(4, 5, 3\) for a picture of \(4, 5\)"),
        (np.zeros((5, 4, 4), np.uint8), r"got uint8 of shape \(5, 4, 4\)"),
        (np.zeros((4, 5, 4)), "got float64"),
        ([(4, 0, RED)], "outside of the picture of 4 rows and 5 columns"),
        ([(0, -1, RED)], "outside of the picture"),
        ([(0.5, 1, RED)], "outside of the picture"),
        ([(0, 0, (1, 2))], r"list of \(row, column, \(red, green, blue\)\); got"),
        ([(0, 0, "red")], "list of"),
        ([(0, 0, (0, 0, 256))], "three numbers from 0 to 255"),
        ("hints.png", "got str"),
        (7, "got int"),
    ],
)
def test_hints_that_are_none_are_refused(colouriser, hints, sentence):
    with pytest.raises(DataError, match=sentence):
        colouriser.restore(np.zeros((4, 5), np.uint8), hints=hints)


def test_impossible_wishes_are_refused(colouriser):
    picture = np.zeros((8, 8), np.uint8)
    with pytest.raises(ParameterError, match=r"strength must be from 0 to 2, got 2.5"):
        colouriser.restore(picture, strength=2.5)
    with pytest.raises(ParameterError, match="mask means nothing to a restorer that gives colours"):
        colouriser.restore(picture, picture == 0)
    with pytest.raises(ParameterError, match="noise means nothing"):
        colouriser.restore(picture, noise=0.1)
    with pytest.raises(DataError, match=r"must have shape \(H, W\) or \(H, W, 3\), got \(8, 8, 4\); convert it"):
        colouriser.restore(np.zeros((8, 8, 4), np.uint8))
    with pytest.raises(ParameterError, match="gives no colours, so that hints mean nothing"):
        refold.pretrained("denoise").restore(picture, hints=[(0, 0, RED)])


def test_colours_are_not_learned_from_grey_pictures():
    with pytest.raises(DataError, match="none of 2 pictures has colours"):
        Restorer(corruption="grey", steps=1, **SMALL).fit([data.camera(), np.repeat(data.camera()[..., None], 3, 2)])


def test_a_network_with_constants_learns_them():
    from refold.train import RestorationPlan, RestorationTraining

    net = RestorationSpec(3, (4, 4), 1, guides=COLOUR_GUIDES, bias=True).build()
    before = {name: value.clone() for name, value in net.state_dict().items() if name.endswith("bias")}
    training = RestorationTraining(net, RestorationPlan(steps=3, batch_size=2))
    training.run(ColourExamples([data.coffee()], 32))
    assert all(not torch.equal(net.state_dict()[name], value) for name, value in before.items())
