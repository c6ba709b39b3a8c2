"""What of a small picture is looked at before its next pixel: all of it is known to both sides of a coder.

Pixels come row by row, and the channels of a pixel one after the other. A `RasterWalk` goes through many pictures of
one shape at once and gives whole numbers of -255 to 255: a window of pixels, flags of the nearest ones, sums over
blocks further away, what the picture was like so far, and the place.

Where pictures have no background (photographs), a pixel is told from a guess, a weighted sum of its neighbours, and
the window is seen as differences to that guess.
"""

from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import NDArray

Array = NDArray[Any]
Step = tuple[int, int, int]  # row, column, channel

MOST = 255  # of an input
_NEAR = (
    *((0, -1), (-1, 0), (-1, -1), (-1, 1), (0, -2), (-2, 0)),
    *((-1, -2), (-1, 2), (-2, -1), (-2, 1), (0, -3), (-3, 0)),
)  # the nearest pixels, rows and columns from here
_NEAREST = 4  # of them are compared with common levels
_BLOCK = 5  # rows and columns of a block
_KNOTS = 14  # of a coordinate
_COMMON = 4  # levels
_GUESS = 8  # bits below the point of the weights of a guess
_GUESSED_IF = 0.8  # of the entropy of levels, what differences to a guess may have
_SAMPLE = 300_000  # pixels that weights of a guess are found from
_TALLY = np.array([0, 1, 2, 3, 3, 4], np.uint8)  # what a level was seen so often counts as
BESIDE = 5  # a level not seen, but one beside it
TALLIES = 6


@dataclass(frozen=True)
class RasterContext:
    """What is looked at.

    Parameters
    ----------
    shape : tuple of int
        Rows, columns and channels of a picture.
    levels : int
        Pixels are 0 to ``levels - 1``; 256 at most.
    reflected : bool
        Whether the background is the highest level, so that levels are counted from there.
    common : tuple of int
        Levels other than 0 that are frequent, so that it is worth knowing where exactly they are.
    guess : tuple of tuple of int
        For every channel weights, in 256ths, of its neighbours and of the channels before it; empty where pictures
        have a background.
    """

    shape: tuple[int, int, int]
    levels: int
    reflected: bool = False
    common: tuple[int, ...] = ()
    guess: tuple[tuple[int, ...], ...] = ()

    @staticmethod
    def of(images: Array) -> "RasterContext":
        """Return what there is to look at in pictures (n, rows, columns[, channels]) of 0 to 255, like these."""
        shape = (*images.shape[1:], 1)[:3]
        counted = np.bincount(images.reshape(-1), minlength=2)
        levels = len(counted)
        reflected = bool(counted.argmax() > (levels - 1) / 2)
        counted = counted[::-1] if reflected else counted
        common = tuple(sorted((np.argsort(-counted[1:], kind="stable")[:_COMMON] + 1).tolist()))
        plain = RasterContext((shape[0], shape[1], shape[2]), levels, reflected, common)
        sample = images[:: max(1, images.size // _SAMPLE)]
        return _guessing(plain, plain.level_of(sample.astype(np.int64)))

    @cached_property
    def reach(self) -> tuple[int, int]:
        """Rows above and columns to both sides that the window has."""
        height, width, channels = self.shape
        most = 6 if channels == 1 else 3
        return min(most, height - 1), min(most, width - 1)

    @cached_property
    def scale(self) -> int:
        """What a level is multiplied by, so that inputs are of 0 to 255."""
        return MOST // (self.levels - 1)

    @cached_property
    def full(self) -> int:
        """The least level that counts as full."""
        return self.levels - 1 - (self.levels - 1) // 64

    @cached_property
    def steps(self) -> tuple[Step, ...]:
        """Places in the order of coding."""
        height, width, channels = self.shape
        return tuple((row, column, k) for row in range(height) for column in range(width) for k in range(channels))

    @cached_property
    def near(self) -> Array:
        """Columns of the inputs that hold the nearest pixels."""
        rows, columns = self.reach
        channels, across = self.shape[2], 2 * columns + 1
        begins = [
            rows * across + columns + right if down == 0 else (rows + down) * across + columns + right
            for down, right in _NEAR
            if -down <= rows and abs(right) <= columns
        ]
        return (np.array(begins, np.intp)[:, None] * channels + np.arange(channels)).reshape(-1)

    @cached_property
    def nearest(self) -> Array:
        """Those that are compared with common levels."""
        return self.near[: _NEAREST * self.shape[2]]

    @cached_property
    def places(self) -> tuple[Array, Array]:
        """Inputs for every row and for every column: between two knots each has a part of both."""
        return _hats(self.shape[0]), _hats(self.shape[1])

    def level_of(self, pixels: Array) -> Array:
        """Return levels of pixels, or pixels of levels."""
        return pixels.dtype.type(self.levels - 1) - pixels if self.reflected else pixels


class RasterWalk:
    """What is known of `count` pictures, from their first pixel to their last."""

    def __init__(self, context: RasterContext, count: int) -> None:
        height, width, channels = context.shape
        rows, columns = context.reach
        self._context = context
        self._pixels = np.zeros((count, height + rows, width + 2 * columns, channels), np.uint8)
        self._inside = np.zeros((1, *self._pixels.shape[1:]), np.int16)  # where pixels are known
        self._above = np.zeros((count, height + 1, width + 1), np.int32)  # sums of what is above and to the left
        self._row = np.zeros((count, width + 1), np.int32)  # sums of what is to the left in this row
        self._here = np.zeros(count, np.int32)
        self._ink, self._down, self._right = np.zeros((3, count), np.int64)
        self._some, self._full, self._again = np.zeros((3, count), np.int32)
        self._first, self._least = np.full((2, count), -1, np.int32)
        self._last = np.full(count, -1, np.int32)
        self._seen = np.zeros((count, context.levels), np.uint16)
        self.tallies = np.zeros((count, context.levels), np.uint8)

    def active(self, step: Step) -> Array:
        """Return for which pictures (n,) of bool the window is not all zero; all of them where there are guesses."""
        return self._any(step, MOST)

    def _any(self, step: Step, most: int) -> Array:
        if self._context.guess:
            return np.ones(len(self._pixels), bool)
        row, column, _ = step
        rows, columns = (min(most, reach) for reach in self._context.reach)
        top, begin, end = (
            max(row - rows, 0),
            max(column - columns, 0),
            min(column + columns + 1, self._context.shape[1]),
        )
        above = self._above
        window = above[:, row, end] - above[:, row, begin] - above[:, top, end] + above[:, top, begin]
        window += self._row[:, column] - self._row[:, begin] + self._here
        return np.asarray(window > 0)

    def near(self, step: Step) -> Array:
        """Return for which pictures (n,) of bool some of the pixels around this one are not zero."""
        return self._any(step, 2)

    def inked(self) -> Array:
        """Return which pictures (n,) of bool were not all zero so far."""
        return np.asarray(self._ink > 0)

    def guessed(self, step: Step, pictures: Array) -> Array:
        """Return levels (m,), int64, that pixels of `pictures` (m,) are told from; zeros if there is a background."""
        if not self._context.guess:
            return np.zeros(len(pictures), np.int64)
        sums = self.around(step, pictures) @ np.array(self._context.guess[step[2]])
        return np.asarray(np.clip((sums >> _GUESS) // self._context.scale, 0, self._context.levels - 1))

    def around(self, step: Step, pictures: Array) -> Array:
        """Return neighbours (m, k), int64, that a guess is made of; where there are none, others stand for them."""
        row, column, channel = step
        rows, columns = self._context.reach
        beside, above = (0, -1) if column else (-1, 0), (-1, 0) if row else (0, -1)
        left = (-1, -1) if row and column else above
        right = (-1, 1) if row and column + 1 < self._context.shape[1] else above
        places = [(row + rows + down, column + columns + across) for down, across in (beside, above, left, right)]
        seen = [self._pixels[pictures, down, across] for down, across in places]
        here = self._pixels[pictures, row + rows, column + columns, :channel]
        middle = np.full((len(pictures), 1), 1 << _GUESS)
        if not row and not column:
            seen = [np.full_like(one, MOST // 2) for one in seen]
        return np.concatenate([*seen, here, middle], 1, dtype=np.int64)

    def inputs(self, step: Step, pictures: Array) -> Array:
        """Return what is looked at (m, k), uint8, in `pictures` (m,); int16 where there are guesses."""
        if self._context.guess:
            return self._differences(step, pictures)
        window = self._window(step, pictures)
        near = window[:, self._context.near]
        common = np.array(self._context.common, np.uint8) * np.uint8(self._context.scale)
        flags = (near > 0, near >= self._context.full * self._context.scale)
        nearest = self._context.nearest
        exact = (window[:, nearest, None] == common).reshape(len(window), len(nearest) * len(common))
        parts = [
            window,
            *(flag.view(np.uint8) * np.uint8(MOST) for flag in (*flags, exact)),
            self._blocks(step, pictures),
            self._so_far(step, pictures),
            np.broadcast_to(self._place(step), (len(window), len(self._place(step)))),
        ]
        return np.concatenate(parts, 1)

    def _differences(self, step: Step, pictures: Array) -> Array:
        guessed = (self.guessed(step, pictures) * self._context.scale).astype(np.int16)[:, None]
        inside = self._window(step, np.zeros(1, np.intp), self._inside)
        window = (self._window(step, pictures) - guessed) * inside
        near, place = np.abs(window[:, self._context.near]), self._place(step).astype(np.int16)
        return np.concatenate([window, near, guessed, np.broadcast_to(place, (len(window), len(place)))], 1)

    def put(self, step: Step, levels: Array) -> None:
        """Take the pixels (n,) of this step."""
        row, column, channel = step
        rows, columns = self._context.reach
        values = levels * self._context.scale
        self._pixels[:, row + rows, column + columns, channel] = values
        if self._context.guess:
            self._inside[:, row + rows, column + columns, channel] = 1
            return
        self._here += values
        at = np.flatnonzero(levels)
        self._count(row, column, at, levels[at], values[at])
        if channel == self._context.shape[2] - 1:
            self._row[:, column + 1] = self._row[:, column] + self._here
            self._here[:] = 0
            if column == self._context.shape[1] - 1:
                self._above[:, row + 1] = self._above[:, row] + self._row

    def _count(self, row: int, column: int, at: Array, levels: Array, values: Array) -> None:
        self._ink[at] += values
        self._down[at] += values.astype(np.int64) * row
        self._right[at] += values.astype(np.int64) * column
        self._some[at] += 1
        self._full[at] += levels >= self._context.full
        self._again[at] += self._seen[at, levels] > 0
        self._seen[at, levels] += 1
        self._first[at] = np.where(self._first[at] < 0, row, self._first[at])
        self._least[at] = np.where(self._least[at] < 0, column, np.minimum(self._least[at], column))
        self._last[at] = np.maximum(self._last[at], column)
        self.tallies[at, levels] = _TALLY[np.minimum(self._seen[at, levels], len(_TALLY) - 1)]
        for beside in (np.maximum(levels - 1, 0), np.minimum(levels + 1, self._context.levels - 1)):
            told = self.tallies[at, beside]
            self.tallies[at, beside] = np.where(told == 0, BESIDE, told)

    def _window(self, step: Step, pictures: Array, pixels: Array | None = None) -> Array:
        pixels = self._pixels if pixels is None else pixels
        row, column, _ = step
        rows, columns = self._context.reach
        above = pixels[pictures, row : row + rows, column : column + 2 * columns + 1]
        beside = pixels[pictures, row + rows, column : column + columns + 1]
        count, channels = len(pictures), self._context.shape[2]
        above = above.reshape(count, rows * (2 * columns + 1) * channels)
        beside = beside.reshape(count, (columns + 1) * channels)[:, :-1]  # the last channel is never known here
        return np.concatenate([above, beside], 1)

    def _blocks(self, step: Step, pictures: Array) -> Array:
        """Return mean levels of blocks (m, k) around the window and above it."""
        row, column, _ = step
        rows, columns = self._context.reach
        height, width, channels = self._context.shape
        down = np.array([-height, -rows - 2 * _BLOCK, -rows - _BLOCK, -rows, 0])
        half = columns // 2
        out = np.array([-columns - 2 * _BLOCK, -columns - _BLOCK, -columns, -half, half + 1, columns + 1])
        out = np.append(out, [columns + 1 + _BLOCK, columns + 1 + 2 * _BLOCK])
        tops, begins = np.clip(row + down, 0, row), np.clip(column + out, 0, width)
        corners = self._above[pictures[:, None, None], tops[:, None], begins]
        sums = np.diff(np.diff(corners, axis=1), axis=2)
        return _whole(sums.reshape(len(pictures), sums.shape[1] * sums.shape[2]), 1 / (_BLOCK * _BLOCK * channels))

    def _so_far(self, step: Step, pictures: Array) -> Array:
        row, column, _ = step
        height, width, channels = self._context.shape
        ink, some = self._ink[pictures], self._some[pictures]
        first, least, last = self._first[pictures], self._least[pictures], self._last[pictures]
        any_ink, whole = ink > 0, np.maximum(ink, 1)
        area, share = height * width * channels, MOST / np.maximum(some, 1)
        columns = [
            _whole(ink, 4 / area),
            _whole(np.where(any_ink, row - first, 0), MOST / height),
            _whole(np.where(any_ink, column - least, 0), 127 / width, 128),
            _whole(np.where(any_ink, last - column, 0), 127 / width, 128),
            _whole(last - least, MOST / width),
            _whole(np.where(any_ink, row - self._down[pictures] / whole, 0), 127 / height, 128),
            _whole(np.where(any_ink, column - self._right[pictures] / whole, 0), 127 / width, 128),
            _whole(self._row[pictures, column] + self._here[pictures], 4 / (width * channels)),
            _whole(some, 4 * MOST / area),
            _whole(self._full[pictures], share),
            _whole(self._again[pictures], share),
            *(_whole(self._seen[pictures, level], share) for level in self._context.common),
        ]
        return np.stack(columns, 1)

    def _place(self, step: Step) -> Array:
        row, column, channel = step
        down, right = self._context.places
        channels = np.eye(self._context.shape[2], dtype=np.uint8)[channel] * np.uint8(MOST)
        return np.concatenate([down[row], right[column], channels[1:]])


def _guessing(context: RasterContext, levels: Array) -> RasterContext:
    """Return a context that guesses, if differences to guesses take clearly fewer bits than levels."""
    levels = levels.reshape(len(levels), -1)
    every, walk = np.arange(len(levels)), RasterWalk(context, len(levels))
    around: list[list[Array]] = [[] for _ in range(context.shape[2])]
    found: list[list[Array]] = [[] for _ in range(context.shape[2])]
    for number, step in enumerate(context.steps):
        around[step[2]].append(walk.around(step, every))
        found[step[2]].append(levels[:, number])
        walk.put(step, levels[:, number])
    guess, differences = [], []
    for seen, true in zip(map(np.concatenate, around), map(np.concatenate, found), strict=True):
        weights = np.linalg.lstsq(seen.astype(np.float64), true * float(context.scale), rcond=1e-6)[0]
        whole = np.rint(weights * (1 << _GUESS)).astype(np.int64)
        whole[-1] += context.scale // 2  # so that the guess is rounded
        guess.append(tuple(whole.tolist()))
        guessed = np.clip((seen @ whole >> _GUESS) // context.scale, 0, context.levels - 1)
        differences.append((true - guessed) % context.levels)
    better = _entropy(np.concatenate(differences)) < _GUESSED_IF * _entropy(levels)
    return replace(context, common=(), guess=tuple(guess)) if better else context


def _entropy(numbers: Array) -> float:
    shares = np.bincount(numbers.reshape(-1)) / numbers.size
    shares = shares[shares > 0]
    return float(-(shares * np.log2(shares)).sum())


def _hats(length: int) -> Array:
    knots = min(length, _KNOTS)
    place = np.arange(length) * ((knots - 1) / max(length - 1, 1))
    return np.asarray(np.rint(np.maximum(1 - np.abs(place[:, None] - np.arange(knots)), 0) * MOST), np.uint8)


def _whole(numbers: Array, scale: float | Array, offset: int = 0) -> Array:
    """Return inputs: one product, one sum and rounding are the same on every machine."""
    return np.asarray(np.clip(np.rint(numbers * scale) + offset, 0, MOST), np.uint8)
