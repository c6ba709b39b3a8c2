"""Marks to lay over pictures: logos from files, lines of text, and emblems that are drawn at random.

A mark is a picture with transparency. Emblems stand for the logos of this world where there are no files of them:
letters, rings, polygons and blobs in a few colours, some outlined, some with holes, shades of colour or a shadow.
"""

from collections.abc import Callable
from functools import lru_cache
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageChops, ImageDraw, ImageFilter, ImageFont

from refold._errors import ParameterError
from refold.data import picture_files

Colour = tuple[int, int, int]
Points = list[tuple[float, float]]

_LETTERS = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789&@%?!.-"
_FINER = 2  # times finer than wanted an emblem is drawn, so that its borders are smooth
_LARGEST_LOGO = 1024  # pixels of its longer side: larger ones are only slower
_SHORTEST, _LONGEST_TEXT = 2, 14


def read_logos(path: str) -> tuple[Image.Image, ...]:
    """Return the logo in a file, or all of those in a folder.

    Raises
    ------
    ParameterError
        If there is none, or one cannot be read.
    """
    place = Path(path).expanduser()
    files = picture_files(place) if place.is_dir() else [place]
    if not files:
        raise ParameterError(f"there are no pictures in {path!r}; give a logo, or a folder with some")
    return tuple(_read_logo(str(file), _changed_at(file)) for file in files)


def _changed_at(file: Path) -> int:
    try:
        return file.stat().st_mtime_ns
    except OSError:
        raise ParameterError(f"there is no logo {str(file)!r}; give a picture file or a folder of them") from None


@lru_cache(maxsize=512)
def _read_logo(file: str, changed_at: int) -> Image.Image:
    """Return a logo without what is transparent around it; a file that changed is read again."""
    try:
        with Image.open(file) as image:
            logo = image.convert("RGBA")
    except (OSError, ValueError, SyntaxError, Image.DecompressionBombError):
        raise ParameterError(f"{file!r} cannot be read as a picture; give another logo") from None
    seen = logo.getchannel("A").getbbox()
    if seen is None:
        raise ParameterError(f"the logo {file!r} is transparent everywhere; give one that can be seen")
    logo = logo.crop(seen)
    logo.thumbnail((_LARGEST_LOGO, _LARGEST_LOGO))
    return logo


# --- colours -------------------------------------------------------------------------------------------------------


def drawn_colour(rng: np.random.Generator) -> Colour:
    """Return white, a grey, black, or some colour."""
    kind = rng.random()
    if kind < 0.3:
        return (255, 255, 255)
    if kind < 0.45:
        grey = int(rng.integers(256))
        return (grey, grey, grey)
    if kind < 0.55:
        return (0, 0, 0)
    vivid = np.sort(rng.uniform(0, 255, 3))
    vivid[0], vivid[2] = vivid[0] * rng.random(), 255 - (255 - vivid[2]) * rng.random()
    red, green, blue = (int(value) for value in rng.permutation(vivid))
    return (red, green, blue)


def in_other_colours(mark: Image.Image, rng: np.random.Generator) -> Image.Image:
    """Return a mark in one drawn colour, or with its colours exchanged."""
    opacity = mark.getchannel("A")
    if rng.random() < 0.5:
        other = Image.new("RGBA", mark.size, drawn_colour(rng))
    else:
        channels = [mark.getchannel(name) for name in rng.permutation(list("RGB"))]
        turned = [ImageChops.invert(each) if rng.random() < 0.3 else each for each in channels]
        other = Image.merge("RGB", turned).convert("RGBA")
    other.putalpha(opacity)
    return other


# --- text ----------------------------------------------------------------------------------------------------------


def drawn_letters(rng: np.random.Generator) -> str:
    """Return a word or two of random letters."""
    letters = rng.choice(list(_LETTERS), rng.integers(_SHORTEST, _LONGEST_TEXT))
    if len(letters) > 5 and rng.random() < 0.4:
        letters[int(rng.integers(2, len(letters) - 2))] = " "
    return "".join(letters)


def written(text: str, width: int, rng: np.random.Generator) -> Image.Image:
    """Return a text of about a width in pixels, in a drawn colour, plain, outlined, or with a shadow."""
    font = ImageFont.load_default(_size_for(text, width))
    rim = int(rng.integers(1, 3)) * max(1, width // 150) if rng.random() < 0.3 else 0
    left, top, right, bottom = (
        int(side)
        for side in ImageDraw.Draw(Image.new("L", (1, 1))).textbbox((0, 0), text, font=font, stroke_width=rim)
    )
    mark = Image.new("RGBA", (max(1, right - left) + 4, max(1, bottom - top) + 4))
    fill, line = (*drawn_colour(rng), 255), (*drawn_colour(rng), 255)
    if rim and rng.random() < 0.3:
        fill = (*line[:3], 0)  # letters of which only the outline is there
    ImageDraw.Draw(mark).text((2 - left, 2 - top), text, fill=fill, font=font, stroke_width=rim, stroke_fill=line)
    return _with_shadow(mark, rng) if rng.random() < 0.3 else mark


def _size_for(text: str, width: int) -> float:
    usual = ImageFont.load_default(100.0).getlength(text)
    return float(np.clip(100 * width / max(usual, 1.0), 6, 2000))


def _with_shadow(mark: Image.Image, rng: np.random.Generator) -> Image.Image:
    longest = max(mark.size)
    blur, away = rng.uniform(0.005, 0.03) * longest, rng.uniform(0.01, 0.04) * longest
    room = int(np.ceil(2 * blur + away)) + 1
    large = Image.new("RGBA", (mark.width + 2 * room, mark.height + 2 * room))
    large.paste(mark, (room, room))
    turn = rng.uniform(0, 2 * np.pi)
    moved = ImageChops.offset(large.getchannel("A"), round(away * np.cos(turn)), round(away * np.sin(turn)))
    dark = rng.uniform(0.4, 0.9)
    shadow = Image.new("RGBA", large.size, (0, 0, 0, 255))
    shadow.putalpha(moved.filter(ImageFilter.GaussianBlur(blur)).point(lambda value: round(dark * value)))
    return Image.alpha_composite(shadow, large)


# --- emblems -------------------------------------------------------------------------------------------------------


def drawn_emblem(side: int, rng: np.random.Generator) -> Image.Image:
    """Return a simple emblem of about `side` pixels, drawn at random."""
    fine = side * _FINER
    emblem = Image.new("RGBA", (fine, fine))
    palette = [drawn_colour(rng) for _ in range(rng.integers(1, 4))]
    for _ in range(rng.integers(1, 5)):
        shape = _shape(fine, rng)
        if rng.random() < 0.25:  # a hole in what is there already
            emblem.putalpha(ImageChops.subtract(emblem.getchannel("A"), shape))
        else:
            emblem = Image.alpha_composite(emblem, _painted(shape, palette, rng))
    if emblem.getchannel("A").getbbox() is None:
        emblem = _painted(_shape(fine, rng), palette, rng)
    if rng.random() < 0.2:
        emblem = _with_shadow(emblem, rng)
    seen = emblem.getchannel("A").getbbox()
    return emblem.crop(seen) if seen else emblem


def _painted(shape: Image.Image, palette: list[Colour], rng: np.random.Generator) -> Image.Image:
    """Return a shape in one colour, or going over from one to another; seldom half transparent by itself."""
    first, second = (palette[int(place)] for place in rng.integers(len(palette), size=2))
    paint = Image.new("RGBA", shape.size, first)
    if rng.random() < 0.35:
        other = Image.new("RGBA", shape.size, drawn_colour(rng) if first == second else second)
        ramp = Image.linear_gradient("L").rotate(float(rng.uniform(0, 360))).resize(shape.size)
        paint = Image.composite(paint, other, ramp)
    thin = rng.uniform(0.4, 1) if rng.random() < 0.2 else 1.0
    paint.putalpha(shape.point(lambda value: round(thin * value)))
    return paint


def _shape(side: int, rng: np.random.Generator) -> Image.Image:
    shape = Image.new("L", (side, side))
    drawn = _SHAPES[int(rng.integers(len(_SHAPES)))]
    drawn(ImageDraw.Draw(shape), side, rng)
    return shape


def _box(side: int, rng: np.random.Generator) -> tuple[float, float, float, float]:
    width, height = rng.uniform(0.2, 1, 2) * side
    left, top = rng.uniform(0, 1, 2) * (side - np.array([width, height]))
    return float(left), float(top), float(left + width), float(top + height)


def _thickness(side: int, rng: np.random.Generator) -> int:
    return max(1, round(side * float(rng.uniform(0.015, 0.15))))


def _ring(pencil: ImageDraw.ImageDraw, side: int, rng: np.random.Generator) -> None:
    left, top, right, bottom = _box(side, rng)
    if rng.random() < 0.6:
        bottom = top + right - left
    if rng.random() < 0.4:
        pencil.ellipse((left, top, right, bottom), fill=255)
    else:
        start, sweep = rng.uniform(0, 360), 360 if rng.random() < 0.6 else rng.uniform(60, 330)
        pencil.arc((left, top, right, bottom), start, start + sweep, fill=255, width=_thickness(side, rng))


def _rectangle(pencil: ImageDraw.ImageDraw, side: int, rng: np.random.Generator) -> None:
    left, top, right, bottom = (round(edge) for edge in _box(side, rng))
    box, thinnest = (left, top, right, bottom), min(right - left, bottom - top)
    round_by = min(round(float(rng.uniform(0, 0.2)) * side), thinnest // 3)  # Pillow refuses what leaves no inside
    if rng.random() < 0.6:
        pencil.rounded_rectangle(box, round_by, fill=255)
    else:
        width = max(1, min(_thickness(side, rng), thinnest // 3))
        pencil.rounded_rectangle(box, round_by, outline=255, width=width)


def _polygon(pencil: ImageDraw.ImageDraw, side: int, rng: np.random.Generator) -> None:
    corners, star = int(rng.integers(3, 9)), rng.random() < 0.3
    turns = np.arange(2 * corners if star else corners) * (np.pi / corners if star else 2 * np.pi / corners)
    far = np.ones(len(turns)) if rng.random() < 0.5 else rng.uniform(0.4, 1, len(turns))
    if star:
        far[::2] *= rng.uniform(0.3, 0.7)
    _close(pencil, _around(side, turns + rng.uniform(0, 2 * np.pi), far, rng), side, rng)


def _blob(pencil: ImageDraw.ImageDraw, side: int, rng: np.random.Generator) -> None:
    turns = np.linspace(0, 2 * np.pi, 60, endpoint=False)
    far = np.ones(len(turns))
    for wave in range(1, 5):
        far += rng.normal(0, 0.25 / wave) * np.cos(wave * turns + rng.uniform(0, 2 * np.pi))
    _close(pencil, _around(side, turns, far / np.abs(far).max(), rng), side, rng)


def _around(side: int, turns: NDArray[Any], far: NDArray[Any], rng: np.random.Generator) -> Points:
    radius = rng.uniform(0.15, 0.5) * side
    middle = rng.uniform(radius, max(radius, side - radius), 2)
    places = middle + radius * far[:, None] * np.stack([np.cos(turns), np.sin(turns)], 1)
    return [(float(x), float(y)) for x, y in places]


def _close(pencil: ImageDraw.ImageDraw, points: Points, side: int, rng: np.random.Generator) -> None:
    if rng.random() < 0.7:
        pencil.polygon(points, fill=255)
    else:
        pencil.line([*points, *points[:2]], fill=255, width=_thickness(side, rng), joint="curve")


def _stripes(pencil: ImageDraw.ImageDraw, side: int, rng: np.random.Generator) -> None:
    left, top, right, bottom = _box(side, rng)
    thickness = _thickness(side, rng)
    for place in np.arange(top, bottom, thickness * rng.uniform(1.5, 3)):
        pencil.rectangle((left, place, right, place + thickness), fill=255)


def _bow(pencil: ImageDraw.ImageDraw, side: int, rng: np.random.Generator) -> None:
    points = [(float(x), float(y)) for x, y in rng.uniform(0, side, (int(rng.integers(2, 6)), 2))]
    pencil.line(points, fill=255, width=_thickness(side, rng), joint="curve")


def _letter(pencil: ImageDraw.ImageDraw, side: int, rng: np.random.Generator) -> None:
    text = drawn_letters(rng)[: int(rng.integers(1, 5))].strip() or "R"
    font = ImageFont.load_default(_size_for(text, round(side * float(rng.uniform(0.4, 1)))))
    x, y = rng.uniform(0, 0.5, 2) * side
    pencil.text((float(x), float(y)), text, fill=255, font=font, stroke_width=int(rng.integers(0, 1 + side // 60)))


_SHAPES: tuple[Callable[[ImageDraw.ImageDraw, int, np.random.Generator], None], ...] = (
    _ring,
    _ring,
    _rectangle,
    _polygon,
    _polygon,
    _blob,
    _stripes,
    _bow,
    _letter,
    _letter,
)
