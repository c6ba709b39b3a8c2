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

ONE = 1 << 12  # of a factor
SOURCES = 3
_FIELDS = 40


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

    The centre is ``offset + sum(factor * number of source) / 4096``. `direct`: symbols stand for numbers themselves.
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
        return np.asarray((summed if whole else summed >> 12) + (self.offset << shift))

    def numbers(self) -> list[int]:
        """Return the plan as numbers."""
        terms = [part for (lag, column), factor in self.terms for part in (lag, column, factor)]
        sources = [part for source in self.sources for part in source]
        steps = np.diff(np.array((0, *self.special), np.int64)).tolist()
        head = [int(self.direct), self.spread, self.width, self.first, self.last, self.offset]
        return [*head, len(self.terms), len(self.sources), *terms, *sources, *steps]

    @staticmethod
    def of(numbers: list[int]) -> "Plan":
        """Return the plan that gave these numbers."""
        direct, spread, width, first, last, offset, terms, sources, *rest = numbers
        ends = 3 * terms, 3 * terms + 2 * sources
        triples = zip(*(iter(rest[: ends[0]]),) * 3, strict=True)
        pairs = zip(*(iter(rest[ends[0] : ends[1]]),) * 2, strict=True)
        return Plan(
            bool(direct),
            spread,
            width,
            first,
            last,
            offset,
            tuple(((lag, column), factor) for lag, column, factor in triples),
            tuple(pairs),
            tuple(np.cumsum(np.array(rest[ends[1] :], np.int64)).tolist()),
        )


def code_plans(coder: Coder, count: int, plans: list[Plan] | None = None) -> list[Plan]:
    """Write or read `count` plans."""
    counts = Counts.empty(_FIELDS + 1)
    return [_code_plan(coder, counts, None if plans is None else plans[at]) for at in range(count)]


def _code_plan(coder: Coder, counts: Counts, plan: Plan | None) -> Plan:
    numbers = None if plan is None else np.array(plan.numbers(), np.int64)
    length = None if numbers is None else np.array([len(numbers)], np.int64)
    fields = int(code_numbers(coder, np.array([_FIELDS]), counts, length)[0])
    contexts = np.minimum(np.arange(fields), _FIELDS - 1)
    return Plan.of(code_numbers(coder, contexts, counts, numbers).tolist())


def growing(count: int, seen: int, least: int = 8, most: int = 4096) -> Iterator[slice]:
    """Yield slices that cut `count` rows into parts that grow with what has been seen before them."""
    start = 0
    while start < count:
        end = min(start + min(max(least, (seen + start) // 2), most), count)
        yield slice(start, end)
        start = end
