"""Where a known logo may lie on a picture, and how large: its steps are compared with the picture's at every size.

Under a mark ``M = (1 - o a) p + o a c`` the step from a pixel to the next is ``o (step of ac - p step of a)`` and
what is left of the picture's own. With the picture's values for `p` both the size and the sign of every step of the
logo are known but for `o`, whatever its colours. How well they agree is a correlation, by Fourier transforms for all
places at once.
"""

from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy import fft

from refold.estimators._logo import Logo, Place, shrunk, steps

Array = NDArray[Any]
Planes = NDArray[np.floating[Any]]

SOFT = 0.05  # steps of a picture count up to about this much
FEW = 150  # steps of a logo from which on a good agreement says something
_FINER = 0.045  # from a size to the next, of a square logo; long ones are compared in finer detail
_SMALLEST, _LARGEST = 0.045, 1.05  # widths as a share of the picture's
_HIGHEST = 1.4  # times the picture's height
_SEARCHED = 30  # pixels of a square logo's side in the search, to twice as many
_FRAME = 4  # pixels around a logo in the search, both sides together
_THINNEST, _MORE = 1.0, 1.6  # pixels of lines in the search, and times as large at most for their sake
_TINIEST = 10  # pixels of a logo's longer side
_EDGE = 0.03  # squared step of a logo that counts as an edge
_INSIDE = 0.7  # share of a logo's edges that must lie within the picture
_SEEN, _WELL_SEEN = 0.01, 0.1  # share of their energy if the picture is about as bright, and if it is not
_PEAKS, _APART = 4, 0.25  # of a size, and how far apart as a share of the logo's sides
_OF_OCTAVE = 3  # candidates
_ALIKE = 0.12  # relative differences of size and place below which two candidates are one


@dataclass(frozen=True, eq=False)
class Pyramid:
    """A picture at its own size, at half of it, and so on.

    Parameters
    ----------
    levels : tuple of ndarray, each (channels, H, W), float32
    """

    levels: tuple[Planes, ...]

    @classmethod
    def of(cls, values: Planes) -> "Pyramid":
        """Make it of a picture (channels, H, W)."""
        levels = [values]
        while min(levels[-1].shape[1:]) >= 2 * _TINIEST:
            height, width = levels[-1].shape[1:]
            levels.append(shrunk(levels[-1], (-(-height // 2), -(-width // 2))))
        return cls(tuple(levels))

    def scale(self, level: int) -> tuple[float, float]:
        """Return how many times as high and wide the picture is as on a level."""
        own, there = self.levels[0].shape, self.levels[level].shape
        return own[1] / there[1], own[2] / there[2]


@dataclass(frozen=True)
class Candidate:
    """Where the logo may be.

    Parameters
    ----------
    score : float
        How well its steps agree, at most 1.
    place : Place
        On the picture of its own size.
    level : int
        On which level it was found.
    """

    score: float
    place: Place
    level: int


def middles(planes: Planes) -> Planes:
    """Return the values between which `steps` are."""
    here = planes[:, :-1, :-1]
    return np.stack([planes[:, 1:, :-1] + here, planes[:, :-1, 1:] + here]) * np.float32(0.5)


def softened(found: Planes) -> Planes:
    """Return steps of a picture (2, channels, H, W) of which strong ones count not much more than faint ones."""
    return np.asarray(found / (np.sqrt((found**2).sum((0, 1))) + SOFT))


@dataclass(frozen=True, eq=False)
class Correlator:
    """What of a picture is compared with logos, transformed.

    Parameters
    ----------
    size, shape : tuple of int
        Of the picture, and of the transforms, which hold a logo beyond each border.
    soft, of_tone, inside, tone, squared, energy : ndarray, complex
        Softened steps, these times the picture, ones, the picture, its square, and squares of softened steps.
    """

    size: tuple[int, int]
    shape: tuple[int, ...]
    soft: Array
    of_tone: Array
    inside: Array
    tone: Array
    squared: Array
    energy: Array

    @classmethod
    def of(cls, picture: Planes, room: tuple[int, int]) -> "Correlator":
        """Make it of a picture (channels, H, W) for logos of at most `room`."""
        size = (picture.shape[1], picture.shape[2])
        shape = tuple(fft.next_fast_len(own + more, real=True) for own, more in zip(size, room, strict=True))
        between = middles(picture)
        soft, tone = softened(steps(picture)), between.mean(0)

        def transformed(field: Array) -> Array:
            return np.asarray(fft.rfft2(field.astype(np.float32), shape))

        return cls(
            size,
            shape,
            transformed(soft),
            transformed((between * soft).sum(1)),
            transformed(np.ones(soft.shape[2:])),
            transformed(tone),
            transformed((tone**2).sum(0)),
            transformed((soft**2).sum((0, 1))),
        )

    def scores(self, laid: Planes, least_inside: float = _INSIDE) -> Array:
        """Return how well a logo (channels + 1, h, w) agrees where its corner is at each place, wrapped around."""
        found = steps(laid)
        colour, opacity = found[:, :-1], found[:, -1]
        edges = ((found**2).sum((0, 1)) > _EDGE).astype(np.float32)
        alike = self._sum(self.soft, colour) - self._sum(self.of_tone, opacity)
        expected = self._sum(self.inside, (colour**2).sum((0, 1))) + self._sum(self.squared, (opacity**2).sum(0))
        expected -= 2 * self._sum(self.tone, (colour * opacity[:, None]).sum(0))
        seen, there, inside = (self._back(each) for each in (alike, expected, self._sum(self.energy, edges)))
        count = self._back(self._sum(self.inside, edges)).clip(0)
        energy = float((found**2).sum())
        telling = count * (there / (_WELL_SEEN * energy)).clip(0, 1)  # few edges where it is as bright as the picture
        agreed = seen / np.sqrt(there.clip(1e-3) * inside.clip(1e-3)) * np.sqrt(telling / (telling + FEW))
        possible = (count > least_inside * edges.sum()) & (there > _SEEN * energy)
        return np.where(possible, agreed, 0)

    def _sum(self, field: Array, of_logo: Array) -> Array:
        product = field * np.conj(fft.rfft2(of_logo.astype(np.float32), self.shape))
        return np.asarray(product.reshape(-1, *product.shape[-2:]).sum(0))

    def _back(self, product: Array) -> Array:
        return np.asarray(fft.irfft2(product, self.shape))

    def peaks(
        self, scores: Array, apart: tuple[float, float], most: int, least: float
    ) -> Iterator[tuple[float, list[int]]]:
        """Yield the largest scores that are apart, and where the corner is (row, column); `scores` are used up."""
        reach = [np.arange(-max(2, int(length)), max(2, int(length)) + 1) for length in apart]
        for _ in range(most):
            row, column = np.unravel_index(int(scores.argmax()), scores.shape)
            score = float(scores[row, column])
            if score <= least:
                return
            scores[np.ix_((reach[0] + row) % scores.shape[0], (reach[1] + column) % scores.shape[1])] = 0
            wrapped = zip((int(row), int(column)), self.shape, self.size, strict=True)
            yield score, [at - own if at >= limit else at for at, own, limit in wrapped]


def widths_of(size: tuple[int, int], logo: Logo) -> list[float]:
    """Return at how many pixels of width a logo is searched on a picture of a size (H, W), the widest first."""
    upright = logo.shape[0] / logo.shape[1]
    finer = 1 + _FINER * _SEARCHED / _side(logo)
    count = int(np.log(_LARGEST / _SMALLEST) / np.log(finer)) + 1
    widths = (size[1] * _LARGEST / finer**place for place in range(count))
    return [each for each in widths if each * max(1, upright) >= _TINIEST and each * upright <= _HIGHEST * size[0]]


def candidates(pyramid: Pyramid, logo: Logo, told: Callable[[], None]) -> list[Candidate]:
    """Return where a logo may be, some in each octave of sizes, the best first; `told` is called after each width."""
    found: list[Candidate] = []
    last, correlator = -1, None
    size = pyramid.levels[0].shape[1:]
    for width in widths_of((size[0], size[1]), logo):
        level = level_of(pyramid, logo, width)
        if level != last or correlator is None:
            last, correlator = level, correlator_of(pyramid, logo, width, level)
        found += _of_width(pyramid, correlator, logo, width, level)
        told()
    return _different(found)


def level_of(pyramid: Pyramid, logo: Logo, width: float) -> int:
    """Return on which level a logo of a width is searched."""
    longest = width * max(1, logo.shape[0] / logo.shape[1])
    level = int(np.ceil(np.log2(max(1.0, longest / (2 * _side(logo))))))
    return min(level, len(pyramid.levels) - 1)


def _side(logo: Logo) -> float:
    """Return the pixels of the longer side in the search: more for long logos and thin lines, which would vanish."""
    longest = max(logo.shape)
    side = _SEARCHED * np.sqrt(longest / np.sqrt(logo.shape[0] * logo.shape[1]))
    return float(side * np.clip(_THINNEST / (logo.thickness * side / longest), 1, _MORE))


def correlator_of(pyramid: Pyramid, logo: Logo, width: float, level: int) -> Correlator:
    """Return a level of a picture, made to be compared with a logo of at most a width."""
    own = _lying(pyramid, logo, width, level)
    return Correlator.of(pyramid.levels[level], (int(own.height) + _FRAME + 2, int(own.width) + _FRAME + 2))


def _lying(pyramid: Pyramid, logo: Logo, width: float, level: int) -> Place:
    rows, columns = pyramid.scale(level)
    return Place(0, 0, width * logo.shape[0] / logo.shape[1] / rows, width / columns)


def _of_width(pyramid: Pyramid, correlator: Correlator, logo: Logo, width: float, level: int) -> Iterator[Candidate]:
    own = _lying(pyramid, logo, width, level)
    for score, place in places_of(correlator, logo, own, _PEAKS, 0.0, _INSIDE):
        yield Candidate(score, place.scaled(*pyramid.scale(level)), level)


def places_of(
    correlator: Correlator, logo: Logo, own: Place, most: int, least: float, least_inside: float
) -> Iterator[tuple[float, Place]]:
    """Yield the places on a level where a logo of a size fits best, and how well."""
    frame = [int(np.ceil(length)) + _FRAME for length in (own.height, own.width)]
    top, left = ((whole - length) / 2 for whole, length in zip(frame, (own.height, own.width), strict=True))
    laid = logo.laid(Place(top, left, own.height, own.width, own.turn), (slice(0, frame[0]), slice(0, frame[1])))
    scores = correlator.scores(laid, least_inside)
    for score, (row, column) in correlator.peaks(scores, (own.height * _APART, own.width * _APART), most, least):
        yield score, Place(row + top, column + left, own.height, own.width, own.turn)


def _different(found: list[Candidate]) -> list[Candidate]:
    kept: list[Candidate] = []
    octaves: Counter[int] = Counter()
    for each in sorted(found, key=lambda candidate: -candidate.score):
        octave = int(np.log2(each.place.width))
        if octaves[octave] < _OF_OCTAVE and not any(_is_same(each.place, other.place) for other in kept):
            kept.append(each)
            octaves[octave] += 1
    return kept


def _is_same(one: Place, other: Place) -> bool:
    near = _ALIKE * max(other.height, other.width)
    (row, column), (there, across) = one.middle, other.middle
    return abs(np.log(one.width / other.width)) < _ALIKE and abs(row - there) < near and abs(column - across) < near
