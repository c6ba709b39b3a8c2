"""How the columns of a table are coded: chosen by the writer from the data, sent in few bytes."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from refold.codec._bins import Bins
from refold.codec._bits import Coder
from refold.codec._numbers import Counts, code_numbers

Array = NDArray[Any]
Source = tuple[int, int]  # 0: this row, 1: the row before, 2: the row after, among the rows that are known; a column

_FRACTION = 8
ONE = 1 << _FRACTION  # of a factor
SOURCES = 3
_HEAD = 10


@dataclass(frozen=True)
class Places:
    """Rows (n,) of a table and the rows before and after them that are known then."""

    rows: Array
    before: Array
    after: Array

    def of(self, source: Source) -> tuple[Array, int]:
        """Return where the numbers of a source are."""
        return (self.rows, self.before, self.after)[source[0]], source[1]

    def plus(self, other: "Places") -> "Places":
        """Return both, one after the other."""
        pairs = zip(self.each(), other.each(), strict=True)
        return Places(*(np.concatenate(pair) for pair in pairs))

    def each(self) -> tuple[Array, Array, Array]:
        """Return the three arrays."""
        return self.rows, self.before, self.after

    @staticmethod
    def apart(rows: Array, stride: int, end: int, start: int = 0) -> "Places":
        """Return rows whose neighbours are `stride` away; at the end (and start) of the table there is one only."""
        before, after = rows - stride, rows + stride
        before = np.where(before < start, np.where(after < end, after, rows), before)
        return Places(rows, before, np.where(after < end, after, before))


@dataclass(frozen=True)
class Plan:
    """How one column is coded: a centre, bins of what is left, values with a symbol of their own, sources to look at.

    The centre is ``offset + sum(factor * number of source) / 256``. `direct`: symbols stand for numbers themselves.
    """

    direct: bool
    spread: int  # bits of what is usually left
    width: int  # bits of the finest bins
    first: int
    last: int
    offset: int
    terms: tuple[tuple[Source, int], ...]
    sources: tuple[Source, ...]
    special: tuple[int, ...]  # in direct plans all values there are
    open: bool = False  # whether there may be numbers that no symbol stands for

    def bins(self) -> Bins:
        """Return what symbols stand for, without the special ones."""
        if self.direct:
            return Bins.of(np.array(self.special, np.int64))
        return Bins.around_zero(self.width, self.first, self.last)

    def centre(self, values: Array, places: Places, shift: int) -> Array:
        """Return centres (n,) in units of the values."""
        whole = all(factor % ONE == 0 for _, factor in self.terms)
        summed = np.zeros(len(places.rows), np.int64)
        for source, factor in self.terms:
            summed += values[places.of(source)] * (factor // ONE if whole else factor)
        return np.asarray((summed if whole else summed >> _FRACTION) + (self.offset << shift))

    def head(self) -> list[int]:
        """Return numbers that every plan has."""
        sizes = [len(self.terms), len(self.sources), len(self.special)]
        return [int(self.direct), self.spread, self.width, self.first, self.last, self.offset, int(self.open), *sizes]

    def rest(self, column: int) -> list[int]:
        """Return numbers of which there are as many as the head says, of a plan of this column."""
        pairs = [*(source for source, _ in self.terms), *self.sources]
        places = [part for lag, at in pairs for part in (lag, column - at)]
        return [*places, *(factor for _, factor in self.terms), *np.diff(np.array((0, *self.special))).tolist()]

    @staticmethod
    def of(head: list[int], rest: list[int], column: int) -> "Plan":
        """Return the plan that gave these numbers."""
        direct, spread, width, first, last, offset, open_, terms, sources, _ = head
        places, end = rest[: 2 * (terms + sources)], 2 * (terms + sources)
        pairs = [(lag, column - back) for lag, back in zip(places[::2], places[1::2], strict=True)]
        factors, steps = rest[end : end + terms], rest[end + terms :]
        weighed = tuple(zip(pairs[:terms], factors, strict=True))
        special = tuple(np.cumsum(np.array(steps, np.int64)).tolist())
        return Plan(
            bool(direct), spread, width, first, last, offset, weighed, tuple(pairs[terms:]), special, bool(open_)
        )


def code_plans(coder: Coder, columns: int, groups: int, plans: list[list[Plan]] | None = None) -> list[list[Plan]]:
    """Write or read plans of the columns for every group."""
    counts = Counts.empty(_HEAD + 4)
    found = []
    for group in range(groups):
        aims = [None if plans is None else plans[group][column] for column in range(columns)]
        found.append([_code_plan(coder, counts, column, plan) for column, plan in enumerate(aims)])
    return found


def _code_plan(coder: Coder, counts: Counts, column: int, plan: Plan | None) -> Plan:
    """Write or read a plan: how many numbers there are, then these by their kinds."""
    head = None if plan is None else np.array(plan.head(), np.int64)
    head = code_numbers(coder, np.arange(_HEAD), counts, head)
    terms, sources, special = head[-3:].tolist()
    kinds = [0, 1] * (terms + sources) + [2] * terms + [3] * special
    rest = None if plan is None else np.array(plan.rest(column), np.int64)
    rest = code_numbers(coder, np.array(kinds, np.int64) + _HEAD, counts, rest)
    return Plan.of(head.tolist(), rest.tolist(), column)


def growing(count: int, seen: int, least: int = 16, most: int = 4096) -> Iterator[slice]:
    """Yield slices that cut `count` rows into parts that grow with what has been seen before them."""
    start = 0
    while start < count:
        end = min(start + min(max(least, (seen + start) // 2), most), count)
        yield slice(start, end)
        start = end
