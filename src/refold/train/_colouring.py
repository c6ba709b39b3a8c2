"""Colours as luminance and two planes of chroma, hints spread over a picture, examples of grey pictures."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from refold.data import LUMINANCE
from refold.objectives import numpy_generator
from refold.train._examples import Examples

Array = NDArray[Any]

COLOUR_GUIDES = 4  # beside luminance and chroma: chroma of near hints (2), how near they are, where they are
COLOUR_SIDE = 160  # pixels of the longer side of the reduced picture in which colours are guessed
MOST_HINTS = 512  # cells; of more a part is drawn, evenly

# luminance of ITU-R BT.601, and linear planes near a hundredth of CIELab's a and b (least squares over photographs):
# an error in them is about an error that is seen
_CHROMA = np.array([[1.67, 0.66], [0.0, -1.48]])  # of R - Y and B - Y
PLANES_OF_RGB = np.stack(
    [LUMINANCE, *(_CHROMA @ (np.array([[1.0, 0.0, 0.0], [0.0, 0.0, 1.0]]) - np.stack([LUMINANCE] * 2)))]
)
RGB_OF_PLANES = np.linalg.inv(PLANES_OF_RGB)

_WIDE, _NEAR = (32.0, 0.08), (12.0, 0.08)  # deviations of the kernels: pixels of the reduced picture, tone
_UNTOLD = 0.03  # weight, among the hints, of what is guessed without them
_OBEYED = (4.0, 0.1)  # of what is put right around hints
_LET_GO = 0.02  # share of a single hint that may be left wrong, so that hints at odds do not swing
_ROWS = 32  # that are worked on at once


@dataclass(frozen=True, eq=False)
class Hints:
    """Where which colour was told, in the cells of a reduced picture.

    Parameters
    ----------
    rows, columns : Tensor of shape (hints,)
    tones : Tensor of shape (hints,)
        Luminance where the colour was told.
    chroma : Tensor of shape (hints, 2)
    """

    rows: Tensor
    columns: Tensor
    tones: Tensor
    chroma: Tensor

    def thinned(self) -> "Hints":
        """Return at most `MOST_HINTS` of them, evenly."""
        if len(self.rows) <= MOST_HINTS:
            return self
        kept = torch.linspace(0, len(self.rows) - 1, MOST_HINTS).round().long()
        return Hints(self.rows[kept], self.columns[kept], self.tones[kept], self.chroma[kept])


_NOWHERE = torch.zeros(0, dtype=torch.long)
NO_HINTS = Hints(_NOWHERE, _NOWHERE, torch.zeros(0), torch.zeros(0, 2))


def spread_hints(tones: Tensor, hints: Hints) -> Tensor:
    """Return what a network is given of a grey picture and of hints: 3 + `COLOUR_GUIDES` planes.

    Every pixel takes the mean of all hints, each the less the farther it is and the more its tone differs: a kernel
    in place and luminance. One is wide and reaches everything, one is for what is near.

    Parameters
    ----------
    tones : Tensor of shape (H, W)
        Luminance.
    hints : Hints

    Returns
    -------
    planes : Tensor of shape (7, H, W)
        Luminance, chroma (wide), chroma (near), how near a hint is, where they are.
    """
    planes = tones.new_zeros(3 + COLOUR_GUIDES, *tones.shape)
    planes[0] = tones
    if not len(hints.rows):
        return planes
    few = hints.thinned()
    for start in range(0, tones.shape[0], _ROWS):
        rows = slice(start, start + _ROWS)
        planes[1:3, rows], _ = _mean_of_hints(tones[rows], start, few, *_WIDE)
        planes[3:5, rows], planes[5, rows] = _mean_of_hints(tones[rows], start, few, *_NEAR)
    planes[6, hints.rows, hints.columns] = 1.0
    return planes


def _mean_of_hints(tones: Tensor, start: int, hints: Hints, reach: float, tone: float) -> tuple[Tensor, Tensor]:
    closeness = _closeness(tones, start, hints, reach, tone)
    nearest = closeness.amax(0)
    weights = (closeness - nearest).exp_()
    total = torch.einsum("khw,kc->chw", weights, hints.chroma)
    return total / weights.sum(0), nearest.exp()


def _closeness(tones: Tensor, start: int, hints: Hints, reach: float, tone: float) -> Tensor:
    """Return logarithms of the kernel (hints, rows, columns)."""
    height, width = tones.shape
    rows = (torch.arange(start, start + height) - hints.rows[:, None]) / reach
    columns = (torch.arange(width) - hints.columns[:, None]) / reach
    apart = rows.square()[:, :, None] + columns.square()[:, None, :]
    apart += ((tones - hints.tones[:, None, None]) / tone).square_()
    return apart.mul_(-0.5)


def share_told(tones: Tensor, hints: Hints) -> Tensor:
    """Return how much hints have to say about every pixel (H, W), 0 to 1: nothing where all are far or of other tone.

    Without it a single hint, the mean of all hints everywhere, would tint the whole picture. The nearest
    hint counts and not their sum, because a stroke is many hints that say the same.
    """
    few, nearest = hints.thinned(), torch.zeros_like(tones)
    for start in range(0, tones.shape[0], _ROWS):
        rows = slice(start, start + _ROWS)
        nearest[rows] = _closeness(tones[rows], start, few, *_WIDE).amax(0).exp_()
    return nearest / (nearest + _UNTOLD)


def obeying(chroma: Tensor, tones: Tensor, hints: Hints) -> Tensor:
    """Return chroma (2, H, W) put right at the hints, and around them where the tone is alike."""
    if not len(hints.rows):
        return chroma
    few = hints.thinned()
    wrong = few.chroma - chroma[:, few.rows, few.columns].T
    at_each_other = torch.stack(
        [each / _OBEYED[0] for each in (few.rows, few.columns)] + [few.tones / _OBEYED[1]], 1
    ).double()
    kernel = (-0.5 * torch.cdist(at_each_other, at_each_other).square()).exp()
    kernel += _LET_GO * torch.eye(len(kernel), dtype=torch.float64)
    parts = torch.linalg.solve(kernel, wrong.double()).float()
    result = chroma.clone()
    for start in range(0, tones.shape[0], _ROWS):
        rows = slice(start, start + _ROWS)
        weights = _closeness(tones[rows], start, few, *_OBEYED).exp_()
        result[:, rows] += torch.einsum("khw,kc->chw", weights, parts)
    return result


# --- reduced pictures ----------------------------------------------------------------------------------------------


def reduced_size(height: int, width: int, side: int = COLOUR_SIDE) -> tuple[int, int]:
    """Return the size of a picture whose longer side is at most `side`."""
    share = min(1.0, side / max(height, width))
    return max(1, round(height * share)), max(1, round(width * share))


def area_means(length: int, cells: int, part: slice | None = None) -> NDArray[np.float32]:
    """Return the matrix (cells, length) that takes means over equal parts of a side; or some of its columns."""
    edges = np.linspace(0, length, cells + 1)
    starts = np.arange(length) if part is None else np.arange(part.start, part.stop)
    covered = np.minimum(edges[1:, None], starts + 1) - np.maximum(edges[:-1, None], starts)
    return np.asarray(np.clip(covered, 0, None) * (cells / length), np.float32)


# --- examples ------------------------------------------------------------------------------------------------------

_SIDES = (208, 160)  # longer sides of the reduced pictures that are learned from
_WITHOUT = 0.3  # share of the crops without a hint
_MOST_DRAWN = 50
_DOTS = 0.4  # share of the crops in which hints are dots, not single pixels
_WIDEST_DOT = 2
_INEXACT = 0.015  # deviation of a hint: a pixel differs from the mean of its cell
_RECOLOURED = 0.2  # share of the crops with hints whose colours are turned, so that hints count more than habit
_GAMMA = 0.2


class ColourExamples:
    """Crops of reduced pictures, mirrored at random but not turned, and hints at random places.

    Parameters
    ----------
    pictures : sequence of ndarray of shape (H, W) or (H, W, 3)
        uint8, uint16, or floats of 0 to 1.
    side : int
        Of a crop; pictures that are smaller are mirrored at their borders.
    """

    def __init__(self, pictures: Sequence[Array], side: int) -> None:
        self._pictures = [_reduced(picture, longer, side) for picture in pictures for longer in _SIDES]
        self._side = side

    def __call__(self, count: int, generator: torch.Generator) -> Examples:
        """Return so many examples."""
        rng = numpy_generator(generator)
        drawn = [self._example(rng) for _ in range(count)]
        whole, given = (torch.stack(each) for each in zip(*drawn, strict=True))
        return Examples(whole, given, torch.tensor([0.0, 1.0, 1.0])[None, :, None, None])

    def _example(self, rng: np.random.Generator) -> tuple[Tensor, Tensor]:
        picture = self._pictures[rng.integers(len(self._pictures))]
        top, left = (int(rng.integers(length - self._side + 1)) for length in picture.shape[1:])
        whole = picture[:, top : top + self._side, left : left + self._side].clone()
        if rng.random() < 0.5:
            whole = whole.flip(2)
        whole[0] = whole[0].clamp(0, 1) ** float(np.exp(_GAMMA * rng.normal()))
        count = 0 if rng.random() < _WITHOUT else round(_MOST_DRAWN ** rng.random())
        if count and rng.random() < _RECOLOURED:
            whole[1:] = _turned(whole[1:], rng)
        return whole, spread_hints(whole[0], _drawn_hints(whole, count, rng))


def _reduced(picture: Array, longer: int, side: int) -> Tensor:
    """Return luminance and chroma of a picture made small, (3, h, w)."""
    unit = picture if picture.dtype.kind == "f" else picture / np.float32(np.iinfo(picture.dtype).max)
    colours = np.repeat(unit[..., None], 3, axis=2) if unit.ndim == 2 else unit
    height, width = reduced_size(picture.shape[0], picture.shape[1], longer)
    down, across = area_means(picture.shape[0], height), area_means(picture.shape[1], width)
    small = np.einsum("chx,wx->chw", np.einsum("hy,yxc->chx", down, colours, optimize=True), across, optimize=True)
    planes = np.tensordot(PLANES_OF_RGB, small, 1)
    lacking = [(0, 0), (0, max(0, side - height)), (0, max(0, side - width))]
    return torch.from_numpy(np.pad(planes, lacking, mode="symmetric").astype(np.float32))


def _turned(chroma: Tensor, rng: np.random.Generator) -> Tensor:
    angle, share = rng.uniform(0, 2 * np.pi), rng.uniform(0.5, 1.5)
    turn = share * np.array([[np.cos(angle), -np.sin(angle)], [np.sin(angle), np.cos(angle)]])
    return torch.einsum("dc,chw->dhw", torch.from_numpy(turn.astype(np.float32)), chroma)


def _drawn_hints(whole: Tensor, count: int, rng: np.random.Generator) -> Hints:
    """Return the true colours at random places, or of dots around them."""
    side = whole.shape[1]
    rows, columns = (torch.from_numpy(rng.integers(side, size=count)) for _ in range(2))
    chroma = whole[1:, rows, columns].T + torch.from_numpy(rng.normal(0, _INEXACT, (count, 2)).astype(np.float32))
    if rng.random() < _DOTS:
        radius = int(rng.integers(1, _WIDEST_DOT, endpoint=True))
        around = torch.cartesian_prod(*[torch.arange(-radius, radius + 1)] * 2)
        rows = (rows[:, None] + around[:, 0]).clamp(0, side - 1).flatten()
        columns = (columns[:, None] + around[:, 1]).clamp(0, side - 1).flatten()
        chroma = chroma.repeat_interleave(len(around), 0)
    return Hints(rows, columns, whole[0, rows, columns], chroma)
