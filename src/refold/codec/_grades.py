"""Contexts that stand for an expected size, and counts that begin from what such a size lets expect.

A grade is a size that a whole number will probably have. What is counted moves the chances, first those of the grade
wherever it occurs, then those of the grade in its group (a level of a lattice, a turn).
"""

from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from refold.codec._bits import CERTAIN
from refold.codec._numbers import _CLASSES, _COLUMNS, _FIRST, _SECOND, _SIGN, Noted

Array = NDArray[Any]

_MOST_COUNTED = 1 << 14
_TRUST_PRIOR, _TRUST_GRADE = 6, 10  # decisions that what is known before is worth
_MANY = 4096  # decisions; fewer are counted one by one
_EXPONENTIAL = 1.0157477085866857  # e to the power of 1/64
_LEAST_TAIL = 1e-290


@dataclass
class GradedCounts:
    """How often decisions were false and true in every group and grade; for `code_numbers`.

    `prior` is (grades, columns), chances in 65536. A context is the number of a group times grades, plus a grade.
    """

    groups: int
    prior: Array
    seen: Array = field(init=False)  # (groups * grades * columns, 2) int64
    shared: Array = field(init=False)  # (grades * columns, 2) int64

    def __post_init__(self) -> None:
        cells = self.prior.size
        self.seen = np.zeros((2, self.groups * cells), np.int64)
        self.shared = np.zeros((2, cells), np.int64)
        self._start = np.ascontiguousarray(self.prior.reshape(-1))
        self._table: Array | None = None

    @property
    def grades(self) -> int:
        """Of each group."""
        return len(self.prior)

    def chances(self, cells: Array) -> Array:
        """Return the chance (n,) in 65536 of true in cells (n,)."""
        if 2 * len(cells) < self.seen.shape[1]:
            return self._chances_of(cells)
        if self._table is None:
            self._table = self._chances_of(np.arange(self.seen.shape[1]))
        return np.asarray(self._table[cells])

    def _chances_of(self, cells: Array) -> Array:
        common = cells % len(self._start)
        no, yes = self.shared[0][common], self.shared[1][common]
        shared = (yes * CERTAIN + _TRUST_PRIOR * self._start[common]) // (no + yes + _TRUST_PRIOR)
        no, yes = self.seen[0][cells], self.seen[1][cells]
        chances = (yes * CERTAIN + _TRUST_GRADE * shared) // (yes + no + _TRUST_GRADE)
        return np.asarray(np.clip(chances, 1, CERTAIN - 1))

    def learn(self, noted: Noted) -> None:
        """Count decisions (n,) in cells (n,)."""
        for cells, bits in noted:
            self._count(self.seen, cells, bits)
            self._count(self.shared, cells % len(self._start), bits)
        self._table = None

    @staticmethod
    def _count(counts: Array, cells: Array, bits: Array) -> None:
        width = counts.shape[1]
        flat, at = counts.reshape(-1), cells + width * bits
        if len(cells) < _MANY:
            np.add.at(flat, at, 1)
            full = cells[counts[0][cells] + counts[1][cells] > _MOST_COUNTED]
        else:
            flat += np.bincount(at, minlength=2 * width)
            full = np.flatnonzero(counts.sum(0) > _MOST_COUNTED)
        while len(full):
            full = np.unique(full)
            counts[:, full] >>= 1
            full = full[counts[:, full].sum(0) > _MOST_COUNTED]


def geometric_chances(means: list[float]) -> Array:
    """Return the chances of decisions, (grades, columns), for two-sided geometric numbers of these mean sizes."""
    return np.stack([_chances(_geometric_tails(mean)) for mean in means])


def logistic_chances(scales: list[float]) -> Array:
    """Return the chances of decisions, (grades, columns), for rounded logistic numbers of these scales."""
    return np.stack([_chances(_logistic_tails(scale)) for scale in scales])


def _chances(tail: list[float]) -> Array:
    """Return the chances of all decisions of a number that is at least ``size / 4`` as often as ``tail[size]`` says.

    `tail` holds pairs for every power of two: of it, of a quarter more, a half more, three quarters more.
    """
    row = np.full(_COLUMNS, CERTAIN // 2, np.int64)
    for level in range(_CLASSES - 1):
        before = 1.0 if level == 0 else tail[4 * (level - 1)]
        row[level] = int(CERTAIN * (tail[4 * level] / before))
    for number in range(2, _CLASSES):
        start, first, half, third, end = tail[4 * number - 4 : 4 * number + 1]
        row[_FIRST + number] = _part(half - end, start - end)
        if number > 2:
            row[_SECOND + 2 * number] = _part(first - half, start - half)
            row[_SECOND + 2 * number + 1] = _part(third - end, half - end)
    row[_SIGN] = CERTAIN // 2
    return np.clip(row, 1, CERTAIN - 1)


def _part(some: float, whole: float) -> int:
    return int(CERTAIN * (some / whole)) if whole > 0 else CERTAIN // 4


def _sizes() -> list[float]:
    return [2.0**level * (1 + quarter / 4) for level in range(_CLASSES) for quarter in range(4)]


def _geometric_tails(mean: float) -> list[float]:
    ratio = float((np.sqrt(1 + mean * mean) - 1) / mean)
    return [max(2 / (1 + ratio) * _power(ratio, size), _LEAST_TAIL) for size in _sizes()]


def _logistic_tails(scale: float) -> list[float]:
    return [max(2 / (1 + _power(_EXPONENTIAL, 64 * (size - 0.5) / scale)), _LEAST_TAIL) for size in _sizes()]


def _power(base: float, exponent: float) -> float:
    """Return a power, the exponent rounded, by products alone, which all machines make alike."""
    rest, power = int(min(exponent + 0.5, 1e6)), 1.0
    while rest:
        if rest & 1:
            power *= base
        base = min(base * base, 1e300)
        power = min(power, 1e300)
        rest >>= 1
    return power
