"""Fields as differences of neighbours: those of Lorenzo's predictor (Ibarria et al. 2003), on the rounded values.

Where values are unknown the known ones move together: a mask that is the same in all slices leaves the first axis as
it is and lays the others in one; any other mask lays all known values in one.
"""

from typing import Any

import numpy as np
from numpy.typing import NDArray

Array = NDArray[Any]

MOST_DIFFERENCE = 1 << 52  # a float holds it


def close_shape(known: Array) -> tuple[int, ...]:
    """Return the shape of the known values, moved together."""
    if known.all():
        return known.shape
    if _same(known):
        return known.shape[0], int(known[0].sum())
    return (int(known.sum()),)


def _same(known: Array) -> bool:
    return known.ndim > 1 and bool((known == known[:1]).all())


def choices(dimensions: int) -> list[tuple[int, ...]]:
    """Return the axes along which differences may be taken: all, all but the first, the last, the first."""
    axes = tuple(range(dimensions))
    return [axes, axes[1:] or axes, axes[-1:], axes[:1]]


def differences(values: Array, axes: tuple[int, ...]) -> Array:
    """Return differences along all of `axes`; the first of a line is as it was."""
    for axis in axes:
        values = np.diff(values, axis=axis, prepend=0)
    return values


def undone(values: Array, axes: tuple[int, ...]) -> Array:
    """Return what `differences` was given."""
    for axis in axes:
        values = np.cumsum(values, axis=axis)
    return values
