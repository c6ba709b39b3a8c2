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
_AT_ONCE = 2048
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

    def __post_init__(self) -> None:
        object.__setattr__(self, "_masks", {})

    def mask(self, stride: int) -> Array:
        """Return the mask on a lattice with a margin, flattened, 0 or 1."""
        masks: dict[int, Array] = self._masks  # type: ignore[attr-defined]
        if stride not in masks:
            masks[stride] = widened(self.known.astype(np.float64), stride)
        return masks[stride]

    @cached_property
    def around(self) -> dict[StagePlaces, Array]:
        """Of every stage, which places around are known, (16, n), 0 or 1."""
        return {
            stage: _take(self.mask(stage.stride), stage.at, stage.around, np.empty((AROUND, len(stage.at))))
            for stage in self.stages
        }

    @cached_property
    def _whole(self) -> dict[StagePlaces, bool]:
        return {stage: bool(known.all()) for stage, known in self.around.items()}

    def whole(self, stage: StagePlaces) -> bool:
        """Return whether all places around are known."""
        return self._whole[stage]


def _grid(rows: Array, columns: Array) -> tuple[Array, Array]:
    return np.repeat(rows, len(columns)), np.tile(columns, len(rows))


def widened(values: Array, stride: int) -> Array:
    """Return every `stride`-th value with a margin of zeros, flattened."""
    part = values[::stride, ::stride]
    wide = np.zeros((part.shape[0] + 2 * MARGIN, part.shape[1] + 2 * MARGIN))
    wide[MARGIN:-MARGIN, MARGIN:-MARGIN] = part
    return wide.reshape(-1)


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
    """What is seen from places of a stage."""

    places: Array  # (n,) in the slice, flattened
    inputs: Array  # (INPUTS, n) float32, whole numbers of -127 to 127
    differences: Array  # (DIFFERENCES, n) float64, whole numbers
    base: Array  # (n,) float64, whole numbers
    scale: Array  # (n,) float64, in units
    active: Array  # (n,) sum of sizes near


def look(stage: StagePlaces, now: Slice, before: tuple[Slice | None, Slice | None], step: int) -> Iterator[Sight]:
    """Yield what is seen of a slice and of two before it, for as many places at once as the cache holds."""
    wide = (widened(now.values, stage.stride), widened(now.sizes, stage.stride))
    for start in range(0, len(stage.at), _AT_ONCE):
        yield _look(stage, slice(start, start + _AT_ONCE), now, wide, before, step)


def _look(
    stage: StagePlaces,
    part: slice,
    now: Slice,
    wide: tuple[Array, Array],
    before: tuple[Slice | None, Slice | None],
    step: int,
) -> Sight:
    at, whole = stage.at[part], now.layout.whole(stage)
    known = now.layout.around[stage][:, part]
    differences = np.zeros((DIFFERENCES, len(at)))
    own = _take(wide[0], at, stage.around, differences[:AROUND])
    near = known[list(NEAR)].sum(0)
    base = np.rint(own[list(NEAR)].sum(0) / np.maximum(near, 1))
    pasts = [_around_before(stage, part, now, past, differences, number) for number, past in enumerate(before)]
    if not near.all():
        _base_elsewhere(base, own, known, pasts, now.expected)
    own -= base
    if not whole:
        own *= known
    for number, past in enumerate(pasts):
        if past is not None:
            np.multiply(past.base - base, past.sure, out=differences[DIFFERENCES - 2 + number])
    np.clip(differences, -_LARGEST, _LARGEST, out=differences)
    count = AROUND if whole else np.maximum(known.sum(0), 1)
    scale = np.maximum(np.abs(own).sum(0) / count, step / _STEP_PARTS)
    active = sum(wide[1][at + stage.around[number]] for number in NEAR)
    inputs = np.empty((INPUTS, len(at)), np.float32)
    np.multiply(differences, _FINE / scale, out=inputs[:DIFFERENCES], casting="unsafe")
    np.multiply(known, 64, out=inputs[DIFFERENCES : DIFFERENCES + AROUND], casting="unsafe")
    rest = inputs[DIFFERENCES + AROUND :]
    rest[0], rest[1] = 64 * stage.turned, 8 * (stage.stride.bit_length() - 1)
    rest[2], rest[3] = logarithm(scale / step) / 4, stage.height[part]
    for number, past in enumerate(pasts):
        rest[4 + number] = 0 if past is None else 64 * past.here
    rest[6], rest[7] = 16 * near, 8 * active
    np.rint(inputs, out=inputs)
    np.clip(inputs, -MOST_INPUT, MOST_INPUT, out=inputs)
    return Sight(stage.flat[part], inputs, differences, base, scale, np.asarray(active))


def _take(wide: Array, at: Array, steps: tuple[int, ...], out: Array) -> Array:
    """Put values (k, n) that stand `steps` (k,) from places into `out`."""
    least = min(steps)
    start = at + least
    for row, step in zip(out, steps, strict=True):
        np.take(wide[step - least :], start, out=row, mode="clip")
    return out


@dataclass(frozen=True)
class _Past:
    base: Array  # (n,)
    sure: Array  # (n,) whether there is a base
    value: Array  # (n,) at the place itself
    here: Array  # (n,) whether that is known


def _around_before(
    stage: StagePlaces, part: slice, now: Slice, past: Slice | None, differences: Array, number: int
) -> _Past | None:
    """Put the differences of a slice before into their rows."""
    if past is None:
        return None
    start, at, steps = AROUND + number * (AROUND + 1), stage.at[part], (*stage.around, 0)
    values = _take(past.wide(stage.stride), at, steps, differences[start : start + AROUND + 1])
    if past.layout is now.layout:
        known, whole, here = now.layout.around[stage][:, part], now.layout.whole(stage), np.ones(len(at))
    else:
        mask = _take(past.layout.mask(stage.stride), at, steps, np.empty((AROUND + 1, len(at))))
        known, whole, here = mask[:-1], False, mask[-1]
    near, value = known[list(NEAR)].sum(0), values[-1].copy()
    base = np.rint(values[list(NEAR)].sum(0) / np.maximum(near, 1))
    base = np.where(near > 0, base, value)
    values -= base
    if not whole:
        values[:-1] *= known
        values[-1] *= here
    return _Past(base, np.maximum(near > 0, here), value, here)


def _base_elsewhere(base: Array, values: Array, known: Array, pasts: list[_Past | None], expected: float) -> None:
    """Where none of the four nearest is known, take the mean of all around, or the value before."""
    alone = np.flatnonzero(known[list(NEAR)].sum(0) == 0)
    count = known[:, alone].sum(0)
    mean = np.rint(values[:, alone].sum(0) / np.maximum(count, 1))
    other = np.full(len(alone), expected)
    for past in reversed(pasts):
        if past is not None:
            other = np.where(past.here[alone] > 0, past.value[alone], other)
    base[alone] = np.where(count > 0, mean, other)


def logarithm(ratios: Array) -> Array:
    """Return nearly the logarithm to base 2, times 64, of floats above 0: whole numbers that all machines find."""
    mantissas, exponents = np.frexp(ratios)
    return np.asarray(np.rint(64 * (exponents - 2 + 2 * mantissas)))
