"""Whole numbers of any size as decisions, whose chances are counted while they are coded.

A number is coded as its class (0; 1; 2 and 3; 4 to 7; ...), one decision for each class that it leaves below, then
its sign, then its place within the class, of which the first two bits have chances of their own. Every decision is a
column of a table, every context a row. Both sides count alike, so that no table need be sent.
"""

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from refold.codec._bits import CERTAIN, Coder

Array = NDArray[Any]
Noted = list[tuple[Array, Array]]  # cells of the table and decisions made in them

_CLASSES = 63  # the last one ends at 2**62 - 1
_SIGN = _CLASSES
_FIRST, _SECOND = _SIGN + 1, _SIGN + 1 + _CLASSES
_COLUMNS = _SECOND + 2 * _CLASSES
_MOST_COUNTED = 1 << 15  # then both counts are halved, so that what was long ago weighs less

MOST = (1 << (_CLASSES - 1)) - 1  # the largest number that can be coded, and the smallest without its sign


@dataclass(frozen=True)
class Counts:
    """How often decisions were false and true; `seen` is (contexts, columns, 2) of int32."""

    seen: Array

    @staticmethod
    def empty(contexts: int) -> "Counts":
        """Return counts of nothing, after which all decisions are open."""
        return Counts(np.zeros((contexts, _COLUMNS, 2), np.int32))

    def copy(self) -> "Counts":
        """Return counts that go their own way from here."""
        return Counts(self.seen.copy())

    def chances(self, cells: Array) -> Array:
        """Return the chance (n,) in 65536 of true in cells (n,), by the estimate of Krichevsky and Trofimov."""
        no, yes = self.seen.reshape(-1, 2)[cells].astype(np.int64).T
        return np.asarray(np.clip((2 * yes + 1) * CERTAIN // (2 * (no + yes) + 2), 1, CERTAIN - 1))

    def learn(self, noted: Noted) -> None:
        """Count decisions (n,) in cells (n,)."""
        flat = self.seen.reshape(-1)
        for cells, bits in noted:
            np.add.at(flat, cells * 2 + bits, 1)
            pairs = self.seen.reshape(-1, 2)
            full = np.unique(cells[pairs[cells].sum(1) > _MOST_COUNTED])
            while len(full):
                pairs[full] >>= 1
                full = full[pairs[full].sum(1) > _MOST_COUNTED]


def code_numbers(coder: Coder, contexts: Array, counts: Counts, numbers: Array | None = None) -> Array:
    """Write or read whole numbers (n,), int64 of -MOST to MOST, in contexts (n,); then count what was decided.

    Chances are those of the counts before the call: numbers that shall profit from others go into another call.
    """
    noted: Noted = []
    rows = contexts.astype(np.int64) * _COLUMNS
    size = None if numbers is None else np.abs(numbers)
    classes = _classes(coder, rows, counts, noted, None if size is None else _class_of(size))
    signed = np.flatnonzero(classes)
    negative = np.zeros(len(rows), bool)
    negative[signed] = _decided(
        coder, rows[signed] + _SIGN, counts, noted, None if numbers is None else numbers[signed] < 0
    )
    found = _within(coder, rows, classes, counts, noted, size)
    counts.learn(noted)
    return np.where(negative, -found, found)


def _classes(coder: Coder, rows: Array, counts: Counts, noted: Noted, true: Array | None) -> Array:
    classes = np.zeros(len(rows), np.int64)
    above = np.arange(len(rows))
    for level in range(_CLASSES - 1):
        if not len(above):
            break
        bits = None if true is None else true[above] > level
        above = above[_decided(coder, rows[above] + level, counts, noted, bits)]
        classes[above] += 1
    return classes


def _within(coder: Coder, rows: Array, classes: Array, counts: Counts, noted: Noted, size: Array | None) -> Array:
    """Return numbers without their signs: the class says the leading bit, then come the bits below it."""
    found = (classes > 0).astype(np.int64)
    for cell, least in (
        (lambda at: _FIRST + classes[at], 2),
        (lambda at: _SECOND + 2 * classes[at] + found[at] % 2, 3),
    ):
        at = np.flatnonzero(classes >= least)
        bits = None if size is None else (size[at] >> (classes[at] - least)) & 1 == 1
        found[at] = 2 * found[at] + _decided(coder, rows[at] + cell(at), counts, noted, bits)
    for number in np.unique(classes[classes > 3]):
        at, width = np.flatnonzero(classes == number), int(number) - 3
        below = None if size is None else size[at] & ((1 << width) - 1)
        found[at] = (found[at] << width) | coder.draw(len(at), width, below)
    return found


def _decided(coder: Coder, cells: Array, counts: Counts, noted: Noted, bits: Array | None) -> Array:
    decided = coder.decide(counts.chances(cells), bits)
    noted.append((cells, decided))
    return decided


def _class_of(size: Array) -> Array:
    """Return how many bits numbers (n,) below 2**62 need."""
    _, exponents = np.frexp(size.astype(np.float64))
    return np.asarray(exponents - (size < np.left_shift(1, np.maximum(exponents, 1) - 1)) * (size > 0))
