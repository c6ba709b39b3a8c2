"""Values that are no ordinary numbers: gaps, infinities, and the number that stands for land.

They are taken out before anything is predicted, and come back bit for bit.
"""

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from refold.codec._bits import Coder
from refold.codec._masks import code_mask
from refold.codec._numbers import Counts, code_numbers

Array = NDArray[Any]

MOST_PATTERNS = 255
_FAR = 3  # times the range of all other values: what stands for "nothing here" lies far outside
_AT_ONCE = 4096


@dataclass(frozen=True)
class Specials:
    """Which pattern stands where: `where` (as the block) is 0 at ordinary numbers, else 1 + an index."""

    patterns: Array
    where: Array

    @property
    def known(self) -> Array:
        """Where ordinary numbers are."""
        return np.asarray(self.where == 0)


def find_specials(values: Array, fill: tuple[float, ...] = ()) -> Specials | None:
    """Return what is no ordinary number in a block; None if there are too many kinds of it.

    Parameters
    ----------
    values : ndarray
        Of whole numbers, bool or floats.
    fill : tuple of float
        Numbers that stand for nothing, see `find_fill`.
    """
    out = np.isin(values, np.array(fill, values.dtype)) if fill else np.zeros(values.shape, bool)
    if values.dtype.kind == "f":
        out |= ~np.isfinite(values)
    where = np.zeros(values.shape, np.int64)
    if not out.any():
        return Specials(np.zeros(0, values.dtype), where)
    patterns, which = np.unique(values[out].view(f"u{values.dtype.itemsize}"), return_inverse=True)
    if len(patterns) > MOST_PATTERNS:
        return None
    where[out] = which + 1
    return Specials(patterns.view(values.dtype), where)


def find_fill(values: Array) -> tuple[float, ...]:
    """Return numbers that stand for nothing: the same number many times, far outside of all others, such as 1e20."""
    found: list[float] = []
    finite = values[np.isfinite(values)] if values.dtype.kind == "f" else values.reshape(-1)
    while len(found) < 4 and finite.size > 2:
        ends = (finite.min(), finite.max())
        outside = next((end for end in ends if _stands_apart(finite, end)), None)
        if outside is None:
            break
        found.append(outside.item())
        finite = finite[finite != outside]
    return tuple(found)


def _stands_apart(values: Array, end: Any) -> bool:
    others = values[values != end]
    if len(others) < 2 or len(values) - len(others) < 2:
        return False
    lowest, highest = float(others.min()), float(others.max())
    return min(abs(float(end) - lowest), abs(float(end) - highest)) > _FAR * (highest - lowest) > 0


def code_specials(coder: Coder, shape: tuple[int, ...], patterns: Array, where: Array | None = None) -> Specials:
    """Write or read where patterns stand."""
    if not len(patterns):
        return Specials(patterns, np.zeros(shape, np.int64))
    out = code_mask(coder, shape, None if where is None else where > 0)
    found = np.zeros(shape, np.int64)
    found[out] = 1
    if len(patterns) > 1:
        which = None if where is None else where[out] - 1
        found[out] += _code_kinds(coder, int(out.sum()), which)
    return Specials(patterns, found)


def _code_kinds(coder: Coder, count: int, which: Array | None) -> Array:
    """Write or read which pattern, each as likely as it was before."""
    counts, parts = Counts.empty(1), []
    for start in range(0, count, _AT_ONCE):
        some = min(_AT_ONCE, count - start)
        true = None if which is None else which[start : start + some]
        parts.append(code_numbers(coder, np.zeros(some, np.int64), counts, true))
    return np.concatenate(parts) if parts else np.zeros(0, np.int64)
