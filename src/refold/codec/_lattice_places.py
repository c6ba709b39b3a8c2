"""The lattice of one slice, and what stands around each place when it is visited.

A slice is visited from stride 2**k to 1. At each stride come first the places in the middle of four known ones, then
those on the edges between; either way 16 known places stand around, a square of four by four, the second time turned
by 45 degrees. The values there, and those in the two slices before, are told as differences to a base in parts of a
local scale.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import NDArray

Array = NDArray[Any]

MARGIN = 3  # places beyond the border
_REACH = (-3, -1, 1, 3)
CENTRE = tuple((down, right) for down in _REACH for right in _REACH)
EDGE = tuple(((one + two) // 2, (one - two) // 2) for one in _REACH for two in _REACH)
AROUND = len(CENTRE)
NEAR = tuple(number for number, (down, right) in enumerate(CENTRE) if abs(down) == abs(right) == 1)
DIFFERENCES = 3 * AROUND + 4  # around; around and at the place one and two slices before; how the bases moved
INPUTS = DIFFERENCES + AROUND + 8
MOST_INPUT = 127
_FINE = 24.0  # parts of a local scale
_LARGEST = 2.0**31  # difference that is told, so that sums of products stay exact
_STEP_PARTS = 8  # the local scale is at least a step in so many parts


@dataclass(frozen=True, eq=False)
class StagePlaces:
    """The known places of a stage: where they are, and which places around them are known."""

    stride: int
    turned: bool
    grid: tuple[int, int]  # of the lattice of this stride, with its margin
    at: Array  # (n,) places in that grid, flattened
    flat: Array  # (n,) places in the slice, flattened
    height: Array  # (n,) int, -64 to 64: where in the slice

    @cached_property
    def around(self) -> tuple[int, ...]:
        """Steps to the 16 places around in the flattened grid."""
        return tuple(down * self.grid[1] + right for down, right in (EDGE if self.turned else CENTRE))


@dataclass(frozen=True, eq=False)
class Layout:
    """All stages of slices of one mask."""

    known: Array  # (height, width) bool

    @cached_property
    def stages(self) -> tuple[StagePlaces, ...]:
        """Stages in the order of visits; the place (0, 0), from which all begins, is in none."""
        return tuple(stage for stage in self._all_stages() if len(stage.at))

    def _all_stages(self) -> Iterator[StagePlaces]:
        height, width = self.known.shape
        stride = 1 << max(0, (max(height, width) - 1).bit_length() - 1)
        while stride:
            some, other = np.arange(stride, height, 2 * stride), np.arange(stride, width, 2 * stride)
            even, also = np.arange(0, height, 2 * stride), np.arange(0, width, 2 * stride)
            yield self._stage(stride, False, *_grid(some, other))
            down, across = _grid(some, also), _grid(even, other)
            yield self._stage(stride, True, *(np.concatenate(pair) for pair in zip(down, across, strict=True)))
            stride //= 2

    def _stage(self, stride: int, turned: bool, rows: Array, columns: Array) -> StagePlaces:
        keep = self.known[rows, columns]
        rows, columns = rows[keep], columns[keep]
        height, width = self.known.shape
        grid = ((height - 1) // stride + 1 + 2 * MARGIN, (width - 1) // stride + 1 + 2 * MARGIN)
        at = (rows // stride + MARGIN) * grid[1] + columns // stride + MARGIN
        return StagePlaces(stride, turned, grid, at, rows * width + columns, 128 * rows // height - 64)

    @cached_property
    def masks(self) -> dict[int, Array]:
        """Of every stride, the mask on its lattice with a margin, flattened, 0 or 1."""
        return {stage.stride: widened(self.known.astype(np.float64), stage.stride) for stage in self.stages}

    @cached_property
    def around(self) -> dict[StagePlaces, Array]:
        """Of every stage, which places around are known, (16, n), 0 or 1."""
        return {stage: taken(self.masks[stage.stride], stage, stage.around) for stage in self.stages}


def _grid(rows: Array, columns: Array) -> tuple[Array, Array]:
    return np.repeat(rows, len(columns)), np.tile(columns, len(rows))


def widened(values: Array, stride: int) -> Array:
    """Return every `stride`-th value with a margin of zeros, flattened."""
    part = values[::stride, ::stride]
    wide = np.zeros((part.shape[0] + 2 * MARGIN, part.shape[1] + 2 * MARGIN))
    wide[MARGIN:-MARGIN, MARGIN:-MARGIN] = part
    return wide.reshape(-1)


def taken(wide: Array, stage: StagePlaces, steps: tuple[int, ...]) -> Array:
    """Return values (k, n) that stand `steps` (k,) from the places of a stage."""
    found = np.empty((len(steps), len(stage.at)), wide.dtype)
    least = min(steps)
    start = stage.at + least
    for row, step in zip(found, steps, strict=True):
        np.take(wide[step - least :], start, out=row, mode="clip")
    return found


@dataclass
class Slice:
    """Values of one slice as far as they are found, 0 elsewhere, and what was coded there."""

    layout: Layout
    values: Array  # (height, width) float64 of whole numbers
    sizes: Array  # (height, width) float64
    expected: float = 0.0  # where nothing is known

    def __post_init__(self) -> None:
        self._wide: dict[int, Array] = {}

    @staticmethod
    def empty(layout: Layout) -> "Slice":
        """Return a slice of which nothing is found."""
        return Slice(layout, np.zeros(layout.known.shape), np.zeros(layout.known.shape))

    def wide(self, stride: int) -> Array:
        """Return the values of a lattice once all are found."""
        if stride not in self._wide:
            self._wide[stride] = widened(self.values, stride)
        return self._wide[stride]


@dataclass(frozen=True)
class Sight:
    """What is seen from the places of a stage."""

    inputs: Array  # (INPUTS, n) float32, whole numbers of -127 to 127
    differences: Array  # (DIFFERENCES, n) float64, whole numbers
    base: Array  # (n,) float64, whole numbers
    scale: Array  # (n,) float64, in units
    active: Array  # (n,) sum of sizes near


def look(stage: StagePlaces, now: Slice, before: tuple[Slice | None, Slice | None], step: int) -> Sight:
    """Return what is seen of a slice and of two before it."""
    known = now.layout.around[stage]
    values = taken(widened(now.values, stage.stride), stage, stage.around)
    active = taken(widened(now.sizes, stage.stride), stage, tuple(stage.around[number] for number in NEAR)).sum(0)
    seen = [_around_before(stage, now, past) for past in before]
    base = _base(values, known, seen, now.expected)
    differences = np.zeros((DIFFERENCES, len(base)))
    own = differences[:AROUND]
    np.subtract(values, base, out=own)
    own *= known
    np.clip(own, -_LARGEST, _LARGEST, out=own)
    scale = np.maximum(np.abs(own).sum(0) / np.maximum(known.sum(0), 1), step / _STEP_PARTS)
    for number, part in enumerate(seen):
        if part is not None:
            start = AROUND + number * (AROUND + 1)
            differences[start : start + AROUND + 1] = (part.values - part.base) * part.known
            differences[DIFFERENCES - 2 + number] = (part.base - base) * part.sure
    past = differences[AROUND:]
    np.clip(past, -_LARGEST, _LARGEST, out=past)
    inputs = np.zeros((INPUTS, len(base)), np.float32)
    np.multiply(differences, _FINE / scale, out=inputs[:DIFFERENCES], casting="unsafe")
    np.multiply(known, 64, out=inputs[DIFFERENCES : DIFFERENCES + AROUND], casting="unsafe")
    rest = inputs[DIFFERENCES + AROUND :]
    rest[0], rest[1] = 64 * stage.turned, 8 * (stage.stride.bit_length() - 1)
    rest[2], rest[3] = logarithm(scale / step) / 4, stage.height
    for number, part in enumerate(seen):
        rest[4 + number] = 0 if part is None else 64 * part.known[-1]
    rest[6], rest[7] = 16 * known[list(NEAR)].sum(0), 8 * active
    np.rint(inputs, out=inputs)
    np.clip(inputs, -MOST_INPUT, MOST_INPUT, out=inputs)
    return Sight(inputs, differences, base, scale, active)


@dataclass(frozen=True)
class _Past:
    values: Array  # (17, n): around and at the place
    known: Array
    base: Array
    sure: Array  # (n,) whether there is a base


def _around_before(stage: StagePlaces, now: Slice, past: Slice | None) -> _Past | None:
    if past is None:
        return None
    values = taken(past.wide(stage.stride), stage, (*stage.around, 0))
    if past.layout is now.layout:
        known = np.concatenate([now.layout.around[stage], np.ones((1, len(stage.at)))])
    else:
        mask = widened(past.layout.known.astype(np.float64), stage.stride)
        known = taken(mask, stage, (*stage.around, 0))
    near = known[list(NEAR)].sum(0)
    mean = np.rint(values[list(NEAR)].sum(0) / np.maximum(near, 1))
    return _Past(values, known, np.where(near > 0, mean, values[-1]), np.maximum(near > 0, known[-1]))


def _base(values: Array, known: Array, seen: list[_Past | None], expected: float) -> Array:
    """Return the mean of the four nearest; where none is known, of all around, or the value before."""
    near = known[list(NEAR)].sum(0)
    base = np.rint(values[list(NEAR)].sum(0) / np.maximum(near, 1))
    if len(alone := np.flatnonzero(near == 0)):
        count = known[:, alone].sum(0)
        mean = np.rint(values[:, alone].sum(0) / np.maximum(count, 1))
        other = np.full(len(alone), expected)
        for part in reversed(seen):
            if part is not None:
                other = np.where(part.known[-1, alone] > 0, part.values[-1, alone], other)
        base[alone] = np.where(count > 0, mean, other)
    return base


def logarithm(ratios: Array) -> Array:
    """Return nearly the logarithm to base 2, times 64, of floats above 0: whole numbers that all machines find."""
    mantissas, exponents = np.frexp(ratios)
    return np.rint(64 * (exponents - 2 + 2 * mantissas))
