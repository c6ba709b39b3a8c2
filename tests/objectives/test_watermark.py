"""Marks over pictures: half transparent, where they should be, of logos, texts and drawn emblems."""

import os

import numpy as np
import pytest
import torch
from PIL import Image

from refold import ParameterError
from refold.objectives import Both, Domain, Either, Masking, Watermark, describe, parse_corruption
from refold.objectives._marks import drawn_emblem

PIXELS = Domain(torch.tensor(0.0), torch.tensor(255.0), torch.tensor(True))
KINDS = [Watermark(), Watermark(text="refold"), Watermark(tiled=1.0), Watermark(largest=2.0)]


def seeded(seed=0):
    return torch.Generator().manual_seed(seed)


def pictures_of(*shape, dtype=torch.float32):
    return (torch.rand(shape, generator=seeded(5)) * 255).to(dtype)


@pytest.fixture
def logo(tmp_path):
    """A red disc, opaque, on nothing."""
    pixels = np.zeros((60, 60, 4), np.uint8)
    rows, columns = np.indices((60, 60)) - 29.5
    pixels[rows**2 + columns**2 < 25**2] = (255, 0, 0, 255)
    Image.fromarray(pixels).save(tmp_path / "disc.png")
    return str(tmp_path / "disc.png")


@pytest.mark.parametrize("watermark", KINDS, ids=str)
@pytest.mark.parametrize("shape", [(4, 48, 61, 3), (4, 3, 48, 61), (4, 1, 48, 61), (4, 48, 61)], ids=str)
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64, torch.uint8])
def test_pictures_of_every_layout_keep_shape_type_and_the_input(watermark, shape, dtype):
    pictures = pictures_of(*shape, dtype=dtype)
    before = pictures.clone()
    first, second = (watermark(pictures, PIXELS, seeded(3)) for _ in range(2))
    assert pictures.equal(before) and first.shape == pictures.shape
    assert first.dtype == (torch.float32 if dtype == torch.uint8 else dtype)
    assert torch.equal(first, second) and not torch.equal(first, watermark(pictures, PIXELS, seeded(4)))
    for marked, whole in zip(first, before, strict=True):
        assert not torch.equal(marked, whole.to(marked.dtype))
    assert first.min() >= 0 and first.max() <= 255 + 1e-3


def test_a_mark_is_a_blend_that_leaves_the_rest_bit_for_bit(logo):
    watermark = Watermark(logo=logo, low=0.5, high=0.5, smallest=0.5, largest=0.5, tiled=0)
    whole = pictures_of(3, 3, 100, 120)
    marked = watermark(whole, PIXELS, seeded())
    red = torch.tensor([255.0, 0, 0])[:, None, None]
    inside = (marked - (0.5 * whole + 0.5 * red)).abs().amax(1) < 0.5
    same = (marked == whole).all(1)
    assert inside.float().mean().item() == pytest.approx(np.pi * 25**2 / 12000, rel=0.06)  # a disc of radius 25
    assert 1 - (inside | same).float().mean() < 0.03  # the border of the disc is fainter
    assert torch.equal(marked == whole, (marked == whole).all(1, keepdim=True).expand_as(whole))


def test_values_are_in_the_units_of_the_domain(logo):
    watermark = Watermark(logo=logo, low=1, high=1, smallest=0.5, largest=0.5, tiled=0)
    degrees = Domain(torch.tensor(-10.0), torch.tensor(30.0), torch.tensor(True))
    marked = watermark(torch.rand(1, 3, 80, 80, generator=seeded()) * 40 - 10, degrees, seeded())
    assert ((marked[0, 0] > 29.9) & (marked[0, 1] < -9.9)).float().mean() > 0.1


def test_grey_pictures_get_grey_marks(logo):
    grey = pictures_of(2, 1, 60, 70).expand(-1, 3, -1, -1)
    marked = Watermark(logo=logo)(grey, PIXELS, seeded())
    assert torch.equal(marked, marked[:, :1].expand_as(marked)) and not torch.equal(marked, grey)
    one = Watermark(logo=logo)(grey[:, :1].clone(), PIXELS, seeded())
    assert torch.allclose(one, marked[:, :1])
    coloured = Watermark(logo=logo)(pictures_of(2, 3, 60, 70), PIXELS, seeded())
    assert not torch.allclose(coloured[:, 0], coloured[:, 1])


def test_lost_pixels_stay_lost_and_no_others_are():
    pictures = pictures_of(4, 3, 50, 60)
    pictures[:, :, 10:30, 20:40] = float("nan")
    marked = Watermark(tiled=1.0)(pictures, PIXELS, seeded())
    assert torch.equal(marked.isnan(), pictures.isnan())
    both = Both(Masking(0.3), Watermark(tiled=1.0))(pictures_of(4, 3, 50, 60), PIXELS, seeded())
    assert 0.2 < both.isnan().float().mean() < 0.4


def test_sizes_and_opacities_are_those_asked_for(logo):
    small, large = (
        Watermark(logo=logo, low=0.6, high=0.6, smallest=share, largest=share, tiled=0) for share in (0.2, 0.8)
    )
    black = torch.zeros(6, 3, 100, 140)
    for watermark, share in ((small, 0.2), (large, 0.8)):
        marked = watermark(black + torch.rand(1, 3, 1, 1), PIXELS, seeded())
        widths = (marked[:, 0] > 20).any(1).sum(1)
        assert (widths - 100 * share).abs().max() <= 3
        assert marked.amax((1, 2, 3)) == pytest.approx([0.6 * 255] * 6, abs=1.5)
    tiled = Watermark(logo=logo, smallest=0.2, largest=0.2, tiled=1)(pictures_of(2, 3, 100, 140), PIXELS, seeded())
    changed = (tiled != pictures_of(2, 3, 100, 140)).any(1)
    for part in (changed[:, :50, :70], changed[:, 50:, :70], changed[:, :50, 70:], changed[:, 50:, 70:]):
        assert part.any((1, 2)).all()


def test_texts_differ_from_other_texts_and_drawn_marks_from_each_other():
    black = torch.zeros(5, 1, 64, 64)
    flat = {"low": 1, "high": 1, "turned": 0, "tiled": 0, "smallest": 0.8, "largest": 0.8}
    assert not torch.equal(
        Watermark(text="one", **flat)(black, PIXELS, seeded()), Watermark(text="two", **flat)(black, PIXELS, seeded())
    )
    drawn = Watermark(**flat)(black + 100, PIXELS, seeded())
    assert len({tuple(each.flatten().tolist()) for each in drawn}) == 5


def test_a_folder_gives_all_its_logos_and_a_changed_file_is_read_again(tmp_path):
    for name, colour in (("a", (255, 0, 0)), ("b", (0, 255, 0))):
        Image.new("RGBA", (30, 30), (*colour, 255)).save(tmp_path / f"{name}.png")
    watermark = Watermark(logo=str(tmp_path), low=1, high=1, tiled=0)
    marked = watermark(torch.zeros(12, 3, 40, 40) + torch.tensor([1.0, 2, 3])[:, None, None], PIXELS, seeded())
    strongest = marked.amax((2, 3))
    assert {tuple((each > 200).tolist()) for each in strongest} == {(True, False, False), (False, True, False)}
    for name in "ab":
        Image.new("RGBA", (30, 30), (0, 0, 255, 255)).save(tmp_path / f"{name}.png")
        os.utime(tmp_path / f"{name}.png", ns=(1, 1))
    again = watermark(torch.zeros(4, 3, 40, 40) + torch.tensor([1.0, 2, 3])[:, None, None], PIXELS, seeded())
    assert (again[:, 2].amax((1, 2)) > 200).all() and again[:, 0].max() < 10


def test_logos_in_other_colours(logo):
    recoloured = Watermark(logo=logo, low=1, high=1, recoloured=1.0)
    marked = recoloured(torch.zeros(8, 3, 60, 60) + torch.tensor([90.0, 91, 92])[:, None, None], PIXELS, seeded())
    not_red = (marked[:, 0] < 250).all((1, 2)) | (marked[:, 1] > 100).any((1, 2))
    assert not_red.sum() >= 4


def test_files_that_are_no_logos_are_refused_in_one_sentence(tmp_path):
    pictures = pictures_of(1, 3, 40, 40)
    (tmp_path / "text.png").write_text("no picture")
    Image.new("RGBA", (9, 9)).save(tmp_path / "nothing.png")
    (tmp_path / "empty").mkdir()
    for name, told in (
        ("missing.png", "there is no logo"),
        ("text.png", "cannot be read as a picture"),
        ("nothing.png", "is transparent everywhere"),
        ("empty", "there are no pictures in"),
    ):
        with pytest.raises(ParameterError, match=told):
            Watermark(logo=str(tmp_path / name))(pictures, PIXELS, seeded())


@pytest.mark.parametrize(
    "wrong",
    [
        {"logo": "a.png", "text": "b"},
        {"text": 'say "no"'},
        {"low": 0},
        {"low": 0.9},
        {"high": 1.1},
        {"smallest": 0},
        {"smallest": 0.9},
        {"largest": 11},
        {"tiled": 2},
        {"turned": 181},
        {"recoloured": -1},
    ],
)
def test_marks_that_cannot_be_are_refused(wrong):
    with pytest.raises(ParameterError):
        Watermark(**wrong)


def test_names_parse_to_themselves_with_texts_that_look_like_the_grammar():
    for watermark in (Watermark(), Watermark(text="a=b + c | (d), 'e'"), Watermark(logo="C:/my logo.png", low=0.4)):
        assert parse_corruption(describe(watermark)) == watermark
    assert parse_corruption("watermark('my_logo.png')") == Watermark(logo="my_logo.png")
    named = parse_corruption('watermark(text="x = y", high=0.5)|watermark')
    assert named == Either(Watermark(text="x = y", high=0.5), Watermark(), 0.5)


@pytest.mark.parametrize("seed", [5945, 5977, 10371, 27519, 33449, 33884])
def test_emblems_too_thin_for_their_outline_are_drawn(seed):
    rng = np.random.default_rng(seed)
    emblem = drawn_emblem(int(rng.integers(4, 60)), rng)
    assert emblem.getchannel("A").getbbox() is not None
