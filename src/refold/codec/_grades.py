"""Contexts that stand for an expected size, and counts that begin from what such a size lets expect.

A grade is a size that a whole number will probably have, to half a power of two. Numbers of a grade are at first taken
for two-sided geometric ones of that mean; what is counted moves the chances, first those of the grade wherever it
occurs, then those of the grade in its group (a level of a lattice, a turn).
"""

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from refold.codec._bits import CERTAIN
from refold.codec._numbers import _CLASSES, _COLUMNS, _FIRST, _SECOND, _SIGN, Noted

Array = NDArray[Any]

GRADES = 26
UNIT = 64  # expected sizes are given in parts of this
_HALF_POWER = 1.4142135623730951
_SMALLEST = 1 / 128  # the expected size of grade 0
_TABLE = 1 << 12
_MOST_COUNTED = 1 << 14
_TRUST_PRIOR, _TRUST_GRADE = 6, 10  # decisions that what is known before is worth


@dataclass
class GradedCounts:
    """How often decisions were false and true in every group and grade; for `code_numbers`."""

    seen: Array  # (groups, grades, columns, 2) int64
    prior: Array  # (grades, columns) int64, chances in 65536

    @staticmethod
    def empty(groups: int, prior: Array | None = None) -> "GradedCounts":
        """Return counts of nothing."""
        start = geometric_chances() if prior is None else prior
        return GradedCounts(np.zeros((groups, *start.shape, 2), np.int64), start)

    def __post_init__(self) -> None:
        self._table: Array | None = None

    def chances(self, cells: Array) -> Array:
        """Return the chance (n,) in 65536 of true in cells (n,)."""
        if self._table is None:
            self._table = self._chances_of_all().reshape(-1)
        return np.asarray(self._table[cells])

    def _chances_of_all(self) -> Array:
        no, yes = self.seen[..., 0], self.seen[..., 1]
        all_yes = yes.sum(0)
        all_seen = all_yes + no.sum(0)
        shared = (all_yes * CERTAIN + _TRUST_PRIOR * self.prior) // (all_seen + _TRUST_PRIOR)
        chances = (yes * CERTAIN + _TRUST_GRADE * shared) // (yes + no + _TRUST_GRADE)
        return np.asarray(np.clip(chances, 1, CERTAIN - 1), np.int32)

    def learn(self, noted: Noted) -> None:
        """Count decisions (n,) in cells (n,)."""
        cells = np.concatenate([2 * cells + bits for cells, bits in noted])
        flat = self.seen.reshape(-1)
        flat += np.bincount(cells, minlength=len(flat))
        pairs = self.seen.reshape(-1, 2)
        while len(full := np.flatnonzero(pairs.sum(1) > _MOST_COUNTED)):
            pairs[full] >>= 1
        self._table = None


def grades_of(expected: Array) -> Array:
    """Return the grades of expected sizes, int64 in parts of `UNIT`, 0 and more."""
    return np.asarray(_GRADE_OF[np.minimum(expected, _TABLE - 1)])


def geometric_chances() -> Array:
    """Return what decisions of `code_numbers` have as chances, (grades, columns), for two-sided geometric numbers."""
    table = np.full((GRADES, _COLUMNS), CERTAIN // 2, np.int64)
    mean = _SMALLEST
    for grade in range(GRADES):
        ratio = (np.sqrt(1 + mean * mean) - 1) / mean
        table[grade] = _geometric(float(ratio), table[grade])
        mean *= _HALF_POWER
    return np.clip(table, 1, CERTAIN - 1)


def _geometric(ratio: float, row: Array) -> Array:
    """Fill a row; `power` is the chance that a number is larger by as much as a class is wide."""
    row[0] = int(CERTAIN * (2 * ratio / (1 + ratio)))
    powers = [ratio]
    for level in range(1, _CLASSES - 1):
        row[level] = int(CERTAIN * powers[-1])
        powers.append(powers[-1] * powers[-1])
    for number in range(2, _CLASSES):
        half = powers[number - 2]
        row[_FIRST + number] = int(CERTAIN * (half / (1 + half)))
        if number > 2:
            quarter = powers[number - 3]
            row[_SECOND + 2 * number : _SECOND + 2 * number + 2] = int(CERTAIN * (quarter / (1 + quarter)))
    row[_SIGN] = CERTAIN // 2
    return row


def _table_of_grades() -> Array:
    sizes = np.maximum(np.arange(_TABLE), 0.25) / UNIT
    mantissas, exponents = np.frexp(sizes / _SMALLEST)
    return np.clip(2 * exponents - 2 + (mantissas > 0.5 * _HALF_POWER), 0, GRADES - 1)


_GRADE_OF = _table_of_grades()
