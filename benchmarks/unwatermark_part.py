"""The part of ``make bench-restore`` about marks: logos that were never learned, over photographs, taken off blindly.

Every fifth logo (in order of their names) is kept from training. Over each of 32 photographs one of them is laid,
turned and somewhere, 20 to 80 percent of the shorter side, at one opacity; the picture is rounded to 8 bits. OpenCV's
inpainting is given the true mask; our network is given nothing. The same seeds in every run.
"""

import os
import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from statistics import mean
from typing import Any

import cv2
import numpy as np
import torch
from scipy import ndimage

import refold
from refold.data import read_picture_file
from refold.estimators import shared_mark
from refold.objectives import Watermark
from refold.train import UNIT

Array = np.ndarray[Any, Any]

OPACITIES = (0.3, 0.5, 0.8)
SIZES = (0.2, 0.8)
JUDGED_BY = 5
RADIUS = 3  # of inpainting, pixels
SHARED, SHARED_SIDE, SHARED_LOGOS = (10, 30), 320, 4


@dataclass(frozen=True)
class Marked:
    """A photograph, itself with a mark, and where that is; 8 bits."""

    true: Array
    marked: Array
    mask: Array


Method = Callable[[Marked], Array]


def unwatermark(restorer: refold.Restorer) -> list[str]:
    """Return the tables as lines of Markdown."""
    lines = [
        "| held-out logos on 32 photographs, PSNR in dB: whole / inside the mark | 0.3 | 0.5 | 0.8 |",
        "|---|---|---|---|",
    ]
    blind = {opacity: [ours(restorer)(each) for each in marked(opacity)] for opacity in OPACITIES}
    rows = {name: {o: [method(each) for each in marked(o)] for o in OPACITIES} for name, method in PEERS.items()}
    rows["**refold**, blind"] = blind
    for name, found in rows.items():
        lines.append(f"| {name} | {' | '.join(_both(found[o], marked(o)) for o in OPACITIES)} |")
    better = " | ".join(_better(rows, opacity) for opacity in OPACITIES)
    lines.append(f"| pictures in which refold is better inside the mark than both | {better} |")
    lines.append(f"| pictures in which no mark was found | {' | '.join(_missed(blind[o], o) for o in OPACITIES)} |")
    return [*lines, "", *many_of_one(restorer), "", clean(restorer)]


# --- data ----------------------------------------------------------------------------------------------------------


def _data() -> Path:
    named = os.environ.get("REFOLD_DATA")
    return Path(named) if named else Path("..") / "shared" / "data"


@cache
def photos(*names: str) -> list[Array]:
    """Return the pictures of a folder of photographs, 8 bits."""
    paths = sorted(path for path in _data().joinpath("photos", *names).glob("*") if path.suffix in (".png", ".jpg"))
    if not paths:
        raise SystemExit(f"no pictures in photos/{'/'.join(names)} of $REFOLD_DATA")
    return [read_picture_file(path).pixels for path in paths]


@cache
def judged_logos() -> list[Path]:
    """Return the logos that were not learned."""
    return sorted(_data().joinpath("logos").glob("*.png"))[JUDGED_BY - 1 :: JUDGED_BY]


def with_mark(picture: Array, logo: Path, opacity: float, seed: int) -> Marked:
    """Return a picture with a logo somewhere."""
    lay = Watermark(logo=str(logo), low=opacity, high=opacity, smallest=SIZES[0], largest=SIZES[1], tiled=0)
    raw = torch.from_numpy(picture / np.float32(255))[None]
    laid = lay(raw, UNIT, torch.Generator().manual_seed(seed))[0].numpy()
    rounded = np.rint(laid * 255).clip(0, 255).astype(np.uint8)
    return Marked(picture, rounded, (rounded != picture).any(2))


@cache
def marked(opacity: float) -> list[Marked]:
    """Return all photographs with a held-out logo each."""
    logos = judged_logos()
    return [
        with_mark(picture, logos[place % len(logos)], opacity, place)
        for place, picture in enumerate(photos("test_colour"))
    ]


def psnr(found: Array, true: Array, mask: Array | None = None) -> float:
    """Return decibels of 8-bit pictures, or of what is inside a mask."""
    error = (found.astype(np.float64) - true) ** 2
    return float(10 * np.log10(255**2 / max(1e-3, np.mean(error if mask is None else error[mask]))))


# --- methods -------------------------------------------------------------------------------------------------------


def inpainted(flag: int) -> Method:
    """Return OpenCV's inpainting where the mark truly is."""

    def restore(case: Marked) -> Array:
        around = ndimage.binary_dilation(case.mask).astype(np.uint8)
        return cv2.inpaint(case.marked, around, RADIUS, flag)

    return restore


def ours(restorer: refold.Restorer) -> Method:
    """Return the restorer, which is told nothing."""
    return lambda case: restorer.restore(case.marked)


PEERS: dict[str, Method] = {
    "marked": lambda case: case.marked,
    "Telea (OpenCV), told the true mask": inpainted(cv2.INPAINT_TELEA),
    "Navier-Stokes (OpenCV), told the true mask": inpainted(cv2.INPAINT_NS),
}


# --- tables --------------------------------------------------------------------------------------------------------


def _both(found: Sequence[Array], cases: Sequence[Marked]) -> str:
    pairs = list(zip(found, cases, strict=True))
    whole = mean(psnr(each, case.true) for each, case in pairs)
    inside = mean(psnr(each, case.true, case.mask) for each, case in pairs)
    return f"{whole:.2f} / {inside:.2f}"


def _better(rows: dict[str, dict[float, list[Array]]], opacity: float) -> str:
    inside = [
        [psnr(each, case.true, case.mask) for each, case in zip(found[opacity], marked(opacity), strict=True)]
        for found in list(rows.values())[1:]
    ]
    better = [mine > max(telea, stokes) for telea, stokes, mine in zip(*inside, strict=True)]
    return f"{sum(better)} of {len(better)}"


def _missed(found: Sequence[Array], opacity: float) -> str:
    missed = sum(np.array_equal(each, case.marked) for each, case in zip(found, marked(opacity), strict=True))
    return f"{missed} of {len(found)}"


def many_of_one(restorer: refold.Restorer | None = None) -> list[str]:
    """Return the table of one mark at one place of many pictures; with a restorer also what it does one by one."""
    lines = ["| one mark on many pictures, 0.5: whole / inside | 10 pictures | 30 pictures |", "|---|---|---|"]
    methods = {**PEERS, **({} if restorer is None else {"refold, one by one": ours(restorer)})}
    found: dict[str, list[str]] = {name: [] for name in (*methods, "**refold**, shared_mark")}
    for count in SHARED:
        sets = [
            _same_mark(logo, count) for logo in judged_logos()[:: len(judged_logos()) // SHARED_LOGOS][:SHARED_LOGOS]
        ]
        cases = [case for each in sets for case in each]
        together = [mark.removed_from(case.marked) for each in sets for mark in [_shared(each)] for case in each]
        for name, method in methods.items():
            found[name].append(_both([method(case) for case in cases], cases))
        found["**refold**, shared_mark"].append(_both(together, cases))
    return [*lines, *(f"| {name} | {' | '.join(values)} |" for name, values in found.items())]


def _shared(cases: Sequence[Marked]) -> Any:
    return shared_mark([case.marked for case in cases])


def _same_mark(logo: Path, count: int) -> list[Marked]:
    squares = [picture[:SHARED_SIDE, :SHARED_SIDE] for picture in photos("test_colour")[:count]]
    return [with_mark(picture, logo, 0.5, judged_logos().index(logo)) for picture in squares]


def clean(restorer: refold.Restorer) -> str:
    """Return in words how many clean pictures come back as they were."""
    pictures = [*photos("test_colour"), *photos("test_gray", "BSD68"), *photos("test_gray", "Set12")]
    kept = sum(np.array_equal(restorer.restore(picture), picture) for picture in pictures)
    return f"{kept} of {len(pictures)} photographs without a mark come back pixel for pixel."


if __name__ == "__main__":
    torch.set_num_threads(1)
    print(*unwatermark(refold.load(sys.argv[1])), sep="\n")
