"""The exact place, size and opacity of a known logo on a picture, and how sure it is that it is there."""

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from refold.data import LUMINANCE
from refold.estimators._logo import KERNELS, Logo, Place, Planes, Window, steps
from refold.estimators._logo_search import FEW, Pyramid, middles, softened

Array = NDArray[Any]

SHIFT, SIZE, TURN = 2, 4, 5  # how many of row, column, height, width and turn are free
_MOST_OPAQUE = 0.98
_FAINTEST_LEFT = 0.05  # of the picture, that a pixel is divided by
_OPACITIES, _HALVINGS, _CLOSE = 13, 8, 0.04  # of the search for the opacity
_OUTLIER, _EVEN = 0.04, 0.02  # steps that count no more the larger they are, for the opacity and for the place
_ROUNDS, _STILL = 8, 0.01  # of the fit, and pixels that it must move to go on
_FARTHEST, _GROWTH, _MOST_TURN = 1.0, 0.06, 0.03  # pixels, share of the size, radians in a round
_MOST_PIXELS = 300_000  # of a part of a picture that a fit is made on
_FEWEST = 3  # pixels of its shorter side
_EDGE = 0.01  # squared step of a logo that counts as an edge
_BLOCKS, _WEIGHTY, _WORST = 4, 0.01, 4  # a side; share of the edges in one; the worst quarter counts
_NEARLY_WHOLE = 0.15  # pixels from whole numbers, at which whole numbers are tried; more for large logos
_OF_SIZE = 0.002
_MIDDLING, _CLEAR_IN_GREY = 0.5, 0.1  # opacity, and share of the steps' energy that must be there without colour
_ENLARGED = 2.0  # times its own size, from which on its steps are wider than what JPEG does to colours
_BETTER_OFF = 1.01  # times less must be left over for a place between pixels
_LEAST_TURN, _BETTER_TURNED = 0.005, 1.03  # radians, and times as sure


@dataclass(frozen=True)
class Fit:
    """A logo at its place.

    Parameters
    ----------
    place : Place
        On the picture of its own size.
    opacity : float
        0 if the picture says that there is none.
    surety : float
        How well and how evenly all its edges agree, at most 1.
    level : int
        The level of the pyramid that it was fitted on.
    edges : int
        Pixels of the logo's edges there.
    """

    place: Place
    opacity: float
    surety: float
    level: int
    edges: int = 0


@dataclass(frozen=True, eq=False)
class _Part:
    """A part of a picture and the logo as it would lie there."""

    marked: Planes
    laid: Planes

    @classmethod
    def of(cls, picture: Planes, logo: Logo, place: Place) -> "_Part | None":
        """Return where a logo reaches, or None where that is hardly anything."""
        window = place.window(picture.shape[1:])
        marked = picture[:, window[0], window[1]]
        return None if min(marked.shape[1:]) < _FEWEST else cls(marked, logo.laid(place, window))

    def freed(self, opacity: float) -> Planes:
        """Return the picture below."""
        left = np.maximum(1 - opacity * self.laid[-1], _FAINTEST_LEFT)
        return np.asarray(((self.marked - opacity * self.laid[:-1]) / left).clip(0, 1))

    def left_over(self, opacity: float) -> tuple[Planes, Planes, Planes]:
        """Return what steps the logo leaves over, its own for an opacity of 1, and the values below them."""
        found, below = steps(self.laid), middles(self.freed(opacity))
        own = found[:, :-1] - below * found[:, -1:]
        return steps(self.marked) - opacity * own, own, below

    def opacity(self, near: float = 0.0) -> float:
        """Return the opacity at which nothing that looks like the logo is left, 0 if there is none."""
        lower, upper = near - _CLOSE, near + _CLOSE
        if lower > 0 and upper < _MOST_OPAQUE and self._still_there(lower) > 0 >= self._still_there(upper):
            return self._between(lower, upper)
        lower = 0.0
        if self._still_there(lower) <= 0:
            return 0.0
        for opacity in np.linspace(_FAINTEST_LEFT / 2, _MOST_OPAQUE, _OPACITIES):
            if self._still_there(opacity) <= 0:
                return self._between(lower, float(opacity))
            lower = float(opacity)
        return _MOST_OPAQUE

    def _between(self, lower: float, upper: float) -> float:
        for _ in range(_HALVINGS):
            middle = (lower + upper) / 2
            lower, upper = (middle, upper) if self._still_there(middle) > 0 else (lower, middle)
        return (lower + upper) / 2

    def _still_there(self, opacity: float) -> float:
        left, own, _ = self.left_over(opacity)
        return float((left / (np.abs(left) + _OUTLIER) * own).sum())

    @property
    def edges(self) -> int:
        """How many pixels are at the logo's edges."""
        return int(((steps(self.laid) ** 2).sum((0, 1)) > _EDGE).sum())

    def surety(self, opacity: float) -> float:
        """Return how well the picture's steps agree with the logo's, all over it."""
        _, own, _ = self.left_over(opacity)
        edges = (steps(self.laid) ** 2).sum((0, 1)) > _EDGE
        found = softened(steps(self.marked))
        parts = ((found * own).sum((0, 1)), (own**2).sum((0, 1)), (found**2).sum((0, 1)) * edges)
        alike, expected, seen = (each.sum() for each in parts)
        count = float(edges.sum())
        agreed = float(alike / np.sqrt(expected * seen + 1e-9)) * np.sqrt(count / (count + FEW))
        return float(agreed * (1 + max(0.0, _evenness(*parts))) / 2)

    def misfit(self, opacity: float) -> float:
        """Return how much the logo leaves over."""
        return float(np.abs(self.left_over(opacity)[0]).mean())


def _evenness(alike: Array, expected: Array, seen: Array) -> float:
    """Return how well the worst parts agree: what looks like a logo by chance does so at some of its edges."""
    rows, columns = (np.arange(length) * _BLOCKS // length for length in alike.shape)
    block = (rows[:, None] * _BLOCKS + columns).ravel()
    sums = [np.bincount(block, each.ravel(), _BLOCKS**2) for each in (alike, expected, seen)]
    weighty = sums[1] > _WEIGHTY * sums[1].sum()
    agreed = np.sort(sums[0][weighty] / np.sqrt(sums[1][weighty] * sums[2][weighty] + 1e-9))
    return float(agreed[: max(1, len(agreed) // _WORST)].mean()) if len(agreed) else 0.0


# --- place and size ------------------------------------------------------------------------------------------------


def fitted(pyramid: Pyramid, logo: Logo, start: Place, level: int, free: int = SIZE) -> Fit:
    """Return the logo where it fits best near a place, on one level: Gauss-Newton, outliers count less."""
    picture, scale = pyramid.levels[level], pyramid.scale(level)
    place, opacity = start.scaled(1 / scale[0], 1 / scale[1]), 0.0
    for _ in range(_ROUNDS):
        part = _Part.of(picture, logo, place)
        opacity = 0.0 if part is None else part.opacity(opacity)
        if part is None or opacity == 0:
            return Fit(place.scaled(*scale), 0.0, 0.0, level)
        move = _move(part, place, place.window(picture.shape[1:]), opacity, free)
        place = _moved(place, move)
        if np.abs(move).max() < _STILL:
            break
    return judged(pyramid, logo, place.scaled(*scale), level)


def judged(pyramid: Pyramid, logo: Logo, place: Place, level: int) -> Fit:
    """Return a logo at a place as it is, with its opacity and how sure it is."""
    scale = pyramid.scale(level)
    part = _Part.of(pyramid.levels[level], logo, place.scaled(1 / scale[0], 1 / scale[1]))
    opacity = 0.0 if part is None else part.opacity()
    if part is None or opacity == 0:
        return Fit(place, 0.0, 0.0, level)
    return Fit(place, opacity, part.surety(opacity), level, part.edges)


def agreement(pyramid: Pyramid, logo: Logo, place: Place, opacity: float, level: int) -> float:
    """Return which share of the steps' size goes when a logo is taken off a place, below 0 if it grows."""
    scale = pyramid.scale(level)
    part = _Part.of(pyramid.levels[level], logo, place.scaled(1 / scale[0], 1 / scale[1]))
    if part is None:
        return 0.0
    edges = (steps(part.laid) ** 2).sum((0, 1)) > _EDGE
    before = np.abs(steps(part.marked)[..., edges]).sum()
    return float(1 - np.abs(part.left_over(opacity)[0][..., edges]).sum() / max(before, 1e-9)) if edges.any() else 0.0


def _move(part: _Part, place: Place, window: Window, opacity: float, free: int) -> Array:
    """Return by how much row, column, height, width and turn are to be changed, as many as are free."""
    left, own, below = part.left_over(opacity)
    changes = [_change(field, opacity, below) for field in _changes(part.laid, place, window)[:free]]
    system = np.stack([*changes, own.ravel()], 1)
    weights = 1 / (np.abs(left.ravel()) + _EVEN)
    weighted = system * weights[:, None]
    normal = system.T @ weighted
    normal += np.diag(1e-3 * np.diag(normal) + 1e-9)
    found = np.linalg.solve(normal, weighted.T @ left.ravel())[:free]
    most = (_FARTHEST, _FARTHEST, 1 + _GROWTH * place.height, 1 + _GROWTH * place.width, _MOST_TURN)[:free]
    return np.asarray(np.clip(found, np.negative(most), most))


def _changes(laid: Planes, place: Place, window: Window) -> list[Planes]:
    """Return how the planes change with row, column, height, width and turn."""
    down, right = (np.asarray(each) for each in np.gradient(laid, axis=(1, 2)))
    row, column = place.middle
    rows = np.arange(window[0].start, window[0].stop)[:, None] + 0.5 - row
    columns = np.arange(window[1].start, window[1].stop) + 0.5 - column
    return [
        -down,
        -right,
        -down * (rows / place.height),
        -right * (columns / place.width),
        right * rows - down * columns,
    ]


def _change(field: Planes, opacity: float, below: Planes) -> Array:
    found = steps(field)
    return np.asarray(opacity * (found[:, :-1] - below * found[:, -1:])).ravel()


def _moved(place: Place, move: Array) -> Place:
    row, column = place.middle
    height = place.height + (move[2] if len(move) > SHIFT else 0)
    width = place.width + (move[3] if len(move) > SHIFT else 0)
    turn = place.turn + (move[4] if len(move) > SIZE else 0)
    top, left = row + move[0] - height / 2, column + move[1] - width / 2
    return Place(float(top), float(left), float(height), float(width), float(turn))


def refined(pyramid: Pyramid, logo: Logo, fit: Fit, free: int = SIZE) -> Fit:
    """Return a fit on the finest level that is not too large."""
    while fit.level > 0 and fit.opacity > 0:
        rows, columns = pyramid.scale(fit.level - 1)
        if fit.place.height * fit.place.width / (rows * columns) > _MOST_PIXELS:
            break
        fit = fitted(pyramid, logo, fit.place, fit.level - 1, free)
    return fit


def also_turned(pyramid: Pyramid, logo: Logo, fit: Fit) -> Fit:
    """Return the fit turned a little, if it is better so."""
    turned = fitted(pyramid, logo, fit.place, fit.level, TURN)
    better = abs(turned.place.turn) > _LEAST_TURN and turned.surety > _BETTER_TURNED * fit.surety
    return turned if better else fit


# --- as programs lay logos: at whole pixels, by one of a few kernels -----------------------------------------------


def settled(picture: Planes, logo: Logo, fit: Fit) -> tuple[Place, str, float]:
    """Return the exact place, the kernel, and the opacity, with whole pixels where these fit as well."""
    window = _affordable(fit.place.window(picture.shape[1:]))
    cut = picture[:, window[0], window[1]]
    if len(cut) == 3 and fit.place.height < _ENLARGED * logo.shape[0]:
        cut, logo = _in_tones(cut, logo, fit.place, window)
    options = [(fit.place, _BETTER_OFF), (_at_whole_pixels(fit.place), 1.0)]
    found = []
    for place, worse in options[: 1 + _is_nearly_whole(fit.place)]:
        for kernel in KERNELS:
            part = _Part(cut, logo.laid(place, window, kernel))
            opacity = part.opacity(fit.opacity)
            found.append((worse * part.misfit(opacity), place, kernel, opacity))
    _, place, kernel, opacity = min(found, key=lambda each: each[0])
    return place, kernel, opacity


def _in_tones(cut: Planes, logo: Logo, place: Place, window: Window) -> tuple[Planes, Logo]:
    """Return a part of a picture and the logo in grey, if that can be seen: JPEG files keep colours at half the size,
    and so their steps say too little of the opacity.
    """
    tones, grey = np.tensordot(np.array(LUMINANCE, np.float32), cut, 1)[None], logo.in_grey()
    energy, whole = (
        float((_Part(each, known.laid(place, window)).left_over(_MIDDLING)[1] ** 2).mean())
        for each, known in ((tones, grey), (cut, logo))
    )
    return (tones, grey) if energy > _CLEAR_IN_GREY * whole else (cut, logo)


def _at_whole_pixels(place: Place) -> Place:
    return Place(*(float(round(each)) for each in (place.top, place.left, place.height, place.width)))


def _is_nearly_whole(place: Place) -> bool:
    whole = _at_whole_pixels(place)
    away = max(abs(getattr(whole, name) - getattr(place, name)) for name in ("top", "left", "height", "width"))
    most = _NEARLY_WHOLE + _OF_SIZE * max(place.height, place.width)
    return place.turn == 0 and min(whole.height, whole.width) >= 1 and away <= most


def _affordable(window: Window) -> Window:
    """Return a part of a window, its middle rows, where it is too large."""
    rows, columns = window
    most = max(4, _MOST_PIXELS // max(1, columns.stop - columns.start))
    if rows.stop - rows.start <= most:
        return window
    start = (rows.start + rows.stop - most) // 2
    return slice(start, start + most), columns
