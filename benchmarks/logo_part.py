"""The part of ``make bench-restore`` about known logos: the logo is given, its place, size and opacity are not.

The logos and photographs of the part about marks. Over each of 32 photographs one of 17 logos is laid upright,
somewhere, its longer side 10 to 80 percent of the picture's shorter one, at one opacity; the picture is rounded to 8
bits, or saved as a JPEG of quality 85 with half the colour. OpenCV's inpainting is given the true mask. False finds
are counted where no logo is: on every photograph the next two of the logos are searched. The same seeds in every run.
"""

import io
import time
from collections.abc import Sequence
from functools import cache
from statistics import mean
from typing import Any

import cv2
import numpy as np
import torch
from PIL import Image
from unwatermark_part import Array, Marked, inpainted, judged_logos, photos, psnr

import refold
from refold.objectives import Watermark
from refold.train import UNIT

OPACITIES = (0.3, 0.5, 0.8)
SIZES = (0.1, 0.8)
QUALITY = 85
CASES = (*((opacity, False) for opacity in OPACITIES), (0.5, True))
SEARCHED = 2  # logos on every clean photograph
AHEAD = 8.0


def logo(restorer: refold.Restorer) -> list[str]:
    """Return the tables as lines of Markdown."""
    columns = [f"{opacity}{', JPEG' * jpeg}" for opacity, jpeg in CASES]
    lines = [
        f"| a known logo on 32 photographs, PSNR in dB: whole / inside the mark | {' | '.join(columns)} |",
        "|---" * (len(CASES) + 1) + "|",
    ]
    start = time.perf_counter()
    known = [[without(each, place) for place, each in enumerate(marked(*case))] for case in CASES]
    seconds = (time.perf_counter() - start) / sum(len(each) for each in known)
    rows: dict[str, list[list[Array]]] = {
        "marked": [[each.marked for each in marked(*case)] for case in CASES],
        **{
            name: [[inpainted(flag)(each) for each in marked(*case)] for case in CASES]
            for name, flag in (
                ("Telea (OpenCV), told the true mask", cv2.INPAINT_TELEA),
                ("Navier-Stokes (OpenCV), told the true mask", cv2.INPAINT_NS),
            )
        },
        "refold, the network, told nothing": [
            [restorer.restore(each.marked) for each in marked(*case)] for case in CASES
        ],
        "**refold**, told the logo": known,
    }
    for name, found in rows.items():
        values = (_both(each, marked(*case)) for each, case in zip(found, CASES, strict=True))
        lines.append(f"| {name} | {' | '.join(values)} |")
    print(*lines, sep="\n", flush=True)
    lines.append(f"| it was not found | {' | '.join(map(_missed, known, CASES))} |")
    lines.append(f"| it gains less than {AHEAD:.0f} dB inside | {' | '.join(map(_little, known, CASES))} |")
    return [*lines, "", f"{seconds:.1f} s a picture of 481x321, one thread.", "", clean()]


# --- data ----------------------------------------------------------------------------------------------------------


@cache
def marked(opacity: float, jpeg: bool) -> list[Marked]:
    """Return all photographs with a logo each."""
    return [with_logo(picture, place, opacity, jpeg) for place, picture in enumerate(photos("test_colour"))]


def with_logo(picture: Array, place: int, opacity: float, jpeg: bool) -> Marked:
    """Return a picture with one of the logos somewhere, upright; where it lies is its mask."""
    lay = Watermark(str(logo_of(place)), "", opacity, opacity, *SIZES, turned=0, tiled=0)
    raw = torch.from_numpy(picture / np.float32(255))[None]
    laid = lay(raw, UNIT, torch.Generator().manual_seed(1000 + place))[0].numpy()
    rounded = np.rint(laid * 255).clip(0, 255).astype(np.uint8)
    mask = (rounded != picture).any(2)
    return Marked(picture, as_jpeg(rounded) if jpeg else rounded, mask)


def logo_of(place: int) -> Any:
    """Return the file of the logo that lies on a picture."""
    return judged_logos()[place % len(judged_logos())]


@cache
def pixels_of(place: int) -> Array:
    """Return a logo, RGBA."""
    with Image.open(logo_of(place)) as image:
        return np.asarray(image.convert("RGBA"))


def as_jpeg(picture: Array) -> Array:
    """Return a picture as it is after it was saved as JPEG."""
    file = io.BytesIO()
    Image.fromarray(picture).save(file, "JPEG", quality=QUALITY)
    return np.asarray(Image.open(file))


# --- tables --------------------------------------------------------------------------------------------------------


def without(case: Marked, place: int) -> Array:
    """Return a picture without the logo."""
    return refold.logo_mark(case.marked, pixels_of(place)).removed_from(case.marked)


def _both(found: Sequence[Array], cases: Sequence[Marked]) -> str:
    pairs = list(zip(found, cases, strict=True))
    whole = mean(psnr(each, case.true) for each, case in pairs)
    return f"{whole:.2f} / {mean(psnr(each, case.true, case.mask) for each, case in pairs):.2f}"


def _missed(found: Sequence[Array], case: tuple[float, bool]) -> str:
    missed = sum(np.array_equal(each, one.marked) for each, one in zip(found, marked(*case), strict=True))
    return f"{missed} of {len(found)}"


def _little(found: Sequence[Array], case: tuple[float, bool]) -> str:
    gains = (
        psnr(each, one.true, one.mask) - psnr(one.marked, one.true, one.mask)
        for each, one in zip(found, marked(*case), strict=True)
    )
    return f"{sum(gain < AHEAD for gain in gains)} of {len(found)}"


def clean() -> str:
    """Return in words how often a logo is found where none is."""
    pictures = [*photos("test_colour"), *photos("test_gray", "BSD68"), *photos("test_gray", "Set12")]
    false = sum(
        refold.logo_mark(picture, pixels_of(place + more)).alpha.any()
        for place, picture in enumerate(pictures)
        for more in range(1, SEARCHED + 1)
    )
    return f"Logos searched on photographs without any: {false} of {SEARCHED * len(pictures)} were found."
