"""Masks as lengths of runs."""

from typing import Any

import numpy as np
from numpy.typing import NDArray

from refold.codec._bits import Coder
from refold.codec._numbers import Counts, code_numbers

Array = NDArray[Any]


def code_mask(coder: Coder, shape: tuple[int, ...], mask: Array | None = None) -> Array:
    """Write or read a mask of bool: what differs from the slice before, as lengths of runs."""
    flat = None if mask is None else _changes(mask).reshape(-1)
    edges = None if flat is None else np.flatnonzero(np.diff(flat, prepend=0))
    count = int(
        code_numbers(
            coder, np.zeros(1, np.int64), Counts.empty(1), None if edges is None else np.array([len(edges)])
        )[0]
    )
    gaps = None if edges is None else np.diff(edges, prepend=0)
    counts, parts = Counts.empty(1), []
    for start in range(0, count, 256):
        some = min(256, count - start)
        true = None if gaps is None else gaps[start : start + some]
        parts.append(code_numbers(coder, np.zeros(some, np.int64), counts, true))
    marks = np.zeros(int(np.prod(shape)) + 1, np.int64)
    if parts:
        marks[np.clip(np.cumsum(np.concatenate(parts)), 0, len(marks) - 1)] ^= 1
    changed = (np.cumsum(marks[:-1]) % 2 == 1).reshape(shape)
    return np.logical_xor.accumulate(changed, axis=0) if len(shape) > 1 else changed


def _changes(mask: Array) -> Array:
    if mask.ndim < 2:
        return mask
    changed = mask.copy()
    changed[1:] ^= mask[:-1]
    return changed
