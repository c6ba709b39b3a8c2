"""The plainest way: numbers one after the other, each less the one before. All others are held against it."""

from typing import Any, ClassVar

import numpy as np
from numpy.typing import NDArray

from refold.codec._bits import Coder
from refold.codec._numbers import MOST, Counts, code_numbers

Array = NDArray[Any]

_AT_ONCE = 1024


class InOrder:
    """Differences of neighbours on a grid of steps, with chances that are counted on the way."""

    limits: ClassVar[tuple[int, int]] = (-(MOST // 2), MOST // 2)
    gaps: ClassVar[bool] = True

    def applies(self, shape: tuple[int, ...], shift: int) -> bool:
        """Every block can be coded so."""
        return True

    def code(self, coder: Coder, known: Array, shift: int, true: Array | None = None) -> Array:
        """Write or read numbers; see `Way`."""
        steps = None if true is None else _rounded(true[known], shift)
        apart = None if steps is None else np.diff(steps, prepend=0)
        counts, parts = Counts.empty(1), [np.zeros(0, np.int64)]
        for start in range(0, int(known.sum()), _AT_ONCE):
            some = min(_AT_ONCE, int(known.sum()) - start)
            told = None if apart is None else apart[start : start + some]
            parts.append(code_numbers(coder, np.zeros(some, np.int64), counts, told))
        found = np.zeros(known.shape, np.int64)
        found[known] = np.cumsum(np.concatenate(parts)) << shift
        return found


def _rounded(true: Array, shift: int) -> Array:
    return true.astype(np.int64) if not shift else np.rint(true / (1 << shift)).astype(np.int64)
