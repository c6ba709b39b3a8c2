"""Colours for grey photographs: the shipped network beside grey itself and hints that are only spread.

32 colour photographs are made grey (luminance of ITU-R BT.601). Hints are the true colours of single pixels at random
places, from a seed that is the picture's number. Errors are those of CIELab's a and b (PSNR with a peak of 255) and
CIEDE2000, means over the pictures; colourfulness is Hasler and Suesstrunk's, as a share of the true picture's.
"""

import os
from collections.abc import Callable
from pathlib import Path
from statistics import mean
from typing import Any

import numpy as np
import torch
from skimage.color import deltaE_ciede2000, rgb2lab

from refold import Restorer
from refold.data import read_picture_file
from refold.objectives import luminance

Array = np.ndarray[Any, Any]
Hint = tuple[int, int, tuple[int, int, int]]

PHOTOS = Path(os.environ.get("REFOLD_DATA", "../shared/data")) / "photos" / "test_colour"
COUNTS = (0, 5, 20, 50)
BARS = (
    "| | ab-PSNR, dB | over grey, dB | worst over grey, dB | CIEDE2000 | colourfulness |",
    "|---|---|---|---|---|---|",
)


def colourise(restorer: Restorer, folder: Path = PHOTOS) -> list[str]:
    """Return the lines of a table: grey, hints only spread, ours with 0 to 50 hints."""
    photos = [read_picture_file(path).pixels for path in sorted(folder.iterdir())]
    lines = [f"{len(photos)} photographs.", "", *BARS]
    grey = measured(photos, lambda picture, hints: np.repeat(picture[..., None], 3, axis=2), 0)
    lines.append(line("grey picture", grey, grey))
    spread = without_network(restorer)
    lines += [line(f"{count} hints, only spread", measured(photos, spread, count), grey) for count in COUNTS[1:]]
    for count in COUNTS:
        ours = measured(photos, lambda picture, hints: restorer.restore(picture, hints=hints), count)
        lines.append(line(f"ours, {count} hints" if count else "ours, no hints", ours, grey))
    return lines


def measured(
    photos: list[Array], method: Callable[[Array, list[Hint]], Array], count: int
) -> list[tuple[float, ...]]:
    """Return ab-PSNR, CIEDE2000 and relative colourfulness, picture by picture."""
    results = []
    for number, true in enumerate(photos):
        found = method(made_grey(true), random_hints(true, count, number))
        one, other = rgb2lab(true), rgb2lab(found)
        error = np.mean((one - other)[..., 1:] ** 2)
        colour = colourfulness(found) / max(1e-9, colourfulness(true))
        results.append((float(10 * np.log10(255**2 / error)), float(deltaE_ciede2000(one, other).mean()), colour))
    return results


def made_grey(picture: Array) -> Array:
    """Return the luminance of a picture of 8 bits."""
    planes = torch.from_numpy(picture.transpose(2, 0, 1)[None].astype(np.float64))
    return luminance(planes)[0, 0].round().numpy().astype(np.uint8)


def random_hints(true: Array, count: int, seed: int) -> list[Hint]:
    """Return the colours of so many pixels."""
    rng = np.random.default_rng(seed)
    places = np.stack(np.unravel_index(rng.choice(true[..., 0].size, count, replace=False), true.shape[:2]), 1)
    return [(int(row), int(column), tuple(true[row, column].tolist())) for row, column in places]


def without_network(restorer: Restorer) -> Callable[[Array, list[Hint]], Array]:
    """Return the same way with hints spread by their kernel in place and luminance, and nothing learned."""

    class Spread(torch.nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.some = torch.nn.Parameter(torch.zeros(1))  # says where to compute
            self.told = torch.zeros(1)

        def forward(self, given: torch.Tensor) -> torch.Tensor:
            if given[:, 6].any():
                self.told = given[:, :3]
            return self.told  # again where it is asked without hints: far from all of them nothing better is known

    plain = Restorer()
    plain.net_, plain.kind_ = Spread(), restorer.kind_
    return lambda picture, hints: plain.restore(picture, hints=hints)


def colourfulness(picture: Array) -> float:
    """Return Hasler and Suesstrunk's measure."""
    red, green, blue = picture.astype(float).transpose(2, 0, 1)
    one, other = red - green, (red + green) / 2 - blue
    return float(np.hypot(one.std(), other.std()) + 0.3 * np.hypot(one.mean(), other.mean()))


def line(name: str, results: list[tuple[float, ...]], grey: list[tuple[float, ...]]) -> str:
    """Return one line of the table."""
    psnr, difference, colour = (mean(each) for each in zip(*results, strict=True))
    gains = [ours[0] - theirs[0] for ours, theirs in zip(results, grey, strict=True)]
    return f"| {name} | {psnr:.2f} | {mean(gains):+.2f} | {min(gains):+.2f} | {difference:.2f} | {colour:.2f} |"


if __name__ == "__main__":
    import refold

    print("\n".join(colourise(refold.pretrained("colourise"))))
