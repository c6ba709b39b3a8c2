"""A known logo is found at any place, size and opacity and taken off exactly; pictures without it stay."""

import io

import numpy as np
import pytest
import torch
from PIL import Image, ImageDraw, ImageFont
from skimage import data

from refold import DataError, logo_mark
from refold.estimators import found_logo, logos_of
from refold.objectives import Watermark
from refold.train import UNIT


def drawn():
    """Return a logo as Pillow draws it: a ring, a bar and letters of three colours."""
    logo = Image.new("RGBA", (200, 120))
    pencil = ImageDraw.Draw(logo)
    pencil.ellipse((6, 16, 94, 104), outline=(230, 40, 30, 255), width=14)
    pencil.rectangle((104, 84, 190, 98), fill=(250, 250, 250, 255))
    pencil.text((102, 22), "Rf", font=ImageFont.load_default(56.0), fill=(20, 60, 160, 255))
    return logo


LOGO = np.asarray(drawn())
PHOTOS = {
    "astronaut": data.astronaut()[:240, 100:420],
    "chelsea": data.chelsea()[20:260, 60:380],
    "coffee": data.coffee()[100:340, 150:470],
}


def laid(size, width, top, left):
    """Return a canvas (H, W, 4), 0 to 1, with the logo at a width, cut to what is seen of it."""
    logo = drawn().crop(drawn().getchannel("A").getbbox())
    logo = logo.resize((width, round(logo.height * width / logo.width)), Image.Resampling.LANCZOS)
    canvas = Image.new("RGBA", size[::-1])
    canvas.paste(logo, (left, top))
    return np.asarray(canvas) / 255, (top, left, logo.height, logo.width)


def stamped(photo, canvas, opacity, high=255):
    alpha = opacity * canvas[..., 3:]
    return np.rint((1 - alpha) * photo + alpha * canvas[..., :3] * high)


def decibels(found, true, high=255):
    return 10 * np.log10(high**2 / np.mean((found.astype(float) - true) ** 2))


@pytest.mark.parametrize(
    ("name", "opacity", "width", "top", "left"),
    [("astronaut", 0.3, 120, 31, 167), ("chelsea", 0.5, 57, 180, 12), ("coffee", 0.8, 260, 20, 41)],
)
def test_place_size_and_opacity_are_found_and_what_lies_below_comes_back(name, opacity, width, top, left):
    photo = PHOTOS[name]
    canvas, truth = laid(photo.shape[:2], width, top, left)
    marked = stamped(photo, canvas, opacity).astype(np.uint8)
    found = found_logo(marked, logos_of(LOGO)[0])
    (place,) = found.places
    assert np.allclose((place.top, place.left, place.height, place.width), truth, atol=0.25)
    assert abs(found.opacity - opacity) < 0.02
    freed = found.mark(photo.shape[:2]).removed_from(marked)
    assert freed.dtype == marked.dtype and freed.shape == marked.shape
    inside = canvas[..., 3] > 0
    assert np.array_equal(freed[~inside], marked[~inside])
    assert decibels(freed[inside], photo[inside]) > 35 > 25 > decibels(marked[inside], photo[inside])


def test_the_damage_that_is_trained_on_comes_off(tmp_path):
    drawn().save(tmp_path / "logo.png")
    lay = Watermark(str(tmp_path / "logo.png"), "", 0.6, 0.6, 0.5, 0.5, turned=0, tiled=0)
    photo = PHOTOS["chelsea"]
    raw = torch.from_numpy(photo / np.float32(255))[None]
    marked = (lay(raw, UNIT, torch.Generator().manual_seed(3))[0].numpy() * 255).round().astype(np.uint8)
    freed = logo_mark(marked, LOGO).removed_from(marked)
    assert decibels(freed, photo) > 45 > decibels(marked, photo) + 15


def test_a_logo_laid_again_and_again_comes_off_everywhere(tmp_path):
    drawn().save(tmp_path / "logo.png")
    lay = Watermark(str(tmp_path / "logo.png"), "", 0.5, 0.5, 0.25, 0.25, turned=0, tiled=1)
    photo = PHOTOS["chelsea"]
    raw = torch.from_numpy(photo / np.float32(255))[None]
    marked = (lay(raw, UNIT, torch.Generator().manual_seed(1))[0].numpy() * 255).round().astype(np.uint8)
    found = found_logo(marked, logos_of(LOGO)[0])
    assert len(found.places) > 10
    freed = found.mark(photo.shape[:2]).removed_from(marked)
    assert decibels(freed, photo) > decibels(marked, photo) + 12


@pytest.mark.parametrize("kind", ["grey", "grey in three channels", "16 bits", "floats"])
def test_every_kind_of_picture(kind):
    photo = PHOTOS["chelsea"]
    canvas, _ = laid(photo.shape[:2], 110, 60, 100)
    if kind.startswith("grey"):
        photo = np.asarray(Image.fromarray(photo).convert("L"))[..., None]
        weights = np.array([0.299, 0.587, 0.114])
        canvas = np.dstack([np.repeat((canvas[..., :3] @ weights)[..., None], 3, axis=2), canvas[..., 3]])
    photo = photo * {"16 bits": 257.0, "floats": 1 / 255}.get(kind, 1.0)
    high, dtype = {"16 bits": (65535, np.uint16), "floats": (1.0, np.float32)}.get(kind, (255, np.uint8))
    alpha = 0.5 * canvas[..., 3:]
    marked = (1 - alpha) * photo + alpha * canvas[..., : photo.shape[2]] * high
    marked = (np.rint(marked) if dtype != np.float32 else marked).astype(dtype)
    if kind == "grey":
        marked, photo = marked[..., 0], photo[..., 0]
    elif kind.startswith("grey"):
        marked, photo = (np.repeat(each, 3, axis=2) for each in (marked, photo))
    freed = logo_mark(marked, LOGO).removed_from(marked)
    assert freed.dtype == dtype and freed.shape == marked.shape
    inside = canvas[..., 3] > 0
    assert decibels(freed[inside], photo[inside], high) > 35


def test_a_turn_of_a_few_degrees_is_followed():
    photo = PHOTOS["coffee"]
    logo = drawn().rotate(3, Image.Resampling.BICUBIC, expand=True)
    canvas = Image.new("RGBA", photo.shape[1::-1])
    canvas.paste(logo, (70, 50))
    canvas = np.asarray(canvas) / 255
    marked = stamped(photo, canvas, 0.5).astype(np.uint8)
    found = found_logo(marked, logos_of(LOGO)[0])
    assert abs(np.degrees(found.places[0].turn) + 3) < 0.3
    freed = found.mark(photo.shape[:2]).removed_from(marked)
    assert decibels(freed, photo) > decibels(marked, photo) + 12


def test_jpeg_files():
    photo = PHOTOS["chelsea"]
    canvas, _ = laid(photo.shape[:2], 150, 50, 80)
    file = io.BytesIO()
    Image.fromarray(stamped(photo, canvas, 0.5).astype(np.uint8)).save(file, "JPEG", quality=85)
    marked = np.asarray(Image.open(file))
    freed = logo_mark(marked, LOGO).removed_from(marked)
    inside = canvas[..., 3] > 0
    assert decibels(freed[inside], photo[inside]) > decibels(marked[inside], photo[inside]) + 7


@pytest.mark.parametrize("background", ["plain", "laid too"])
def test_a_logo_without_transparency(background):
    photo = PHOTOS["coffee"]
    flat = Image.new("RGBA", (216, 136), (30, 120, 70, 255))
    flat.alpha_composite(drawn(), (8, 8))
    logo = np.asarray(flat.convert("RGB"))
    canvas, _ = laid(photo.shape[:2], 140, 70, 90)
    if background == "laid too":
        canvas = np.zeros((*photo.shape[:2], 4))
        canvas[70 : 70 + 136, 60 : 60 + 216] = np.asarray(flat) / 255
    marked = stamped(photo, canvas, 0.5).astype(np.uint8)
    freed = logo_mark(marked, logo).removed_from(marked)
    inside = canvas[..., 3] > 0
    assert decibels(freed[inside], photo[inside]) > decibels(marked[inside], photo[inside]) + 12


@pytest.mark.parametrize("name", [*PHOTOS, "grey", "camera", "noise", "plain", "tiny"])
def test_nothing_is_found_where_nothing_is(name):
    others = {
        "grey": PHOTOS["coffee"].mean(2).astype(np.uint8),
        "camera": data.camera()[100:340, 80:400],
        "noise": np.random.default_rng(0).integers(0, 256, (200, 260, 3), np.uint8),
        "plain": np.full((120, 160, 3), 90, np.uint8),
        "tiny": np.full((5, 900), 7, np.uint8),
    }
    picture = PHOTOS.get(name, others.get(name))
    mark = logo_mark(picture, LOGO)
    assert not mark.alpha.any() and mark.alpha.shape == picture.shape[:2]
    assert np.array_equal(mark.removed_from(picture), picture)


def test_what_is_no_logo_and_no_picture_is_told_of():
    photo = PHOTOS["coffee"]
    with pytest.raises(DataError, match="transparent everywhere"):
        logo_mark(photo, np.zeros((40, 40, 4), np.uint8))
    with pytest.raises(DataError, match="one colour and no transparency"):
        logo_mark(photo, np.full((40, 40, 3), 9, np.uint8))
    with pytest.raises(DataError, match="7x40 pixels"):
        logo_mark(photo, LOGO[:40, :7])
    with pytest.raises(DataError, match="a logo must have shape"):
        logo_mark(photo, LOGO[..., :2])
    with pytest.raises(DataError, match="must lie in 0 to 1"):
        logo_mark(photo, LOGO.astype(np.float32))
    with pytest.raises(DataError, match="a picture must have shape"):
        logo_mark(np.zeros((40, 40, 4), np.uint8), LOGO)


def test_every_size_that_is_searched_is_told_of():
    from refold.estimators import sizes_searched

    told = []
    logo_mark(PHOTOS["coffee"], LOGO, lambda: told.append(1))
    assert len(told) == sizes_searched(PHOTOS["coffee"].shape, logos_of(LOGO))
