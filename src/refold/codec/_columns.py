"""Tables: every column from columns before it and from rows near by, by opinions that are counted and mixed."""

from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from typing import Any, ClassVar

import numpy as np
from numpy.typing import NDArray

from refold.codec._bins import Bins
from refold.codec._bits import BitReader, BitWriter, Coder
from refold.codec._column_choices import chosen_plans, period_of
from refold.codec._column_plans import Places, Plan, code_plans, growing
from refold.codec._matches import KINDS, Matches
from refold.codec._mixing import Gains, Mixer, Record, choose, gates_of, log2_of, weights_of
from refold.codec._numbers import MOST, Counts, code_numbers

Array = NDArray[Any]

_WIDEST = 1024  # columns
_LEVELS = 32  # ranks of a column's numbers, as contexts
_SEEN = 64  # what a symbol that came once weighs against the guess before any came
_PRIOR = 4096  # what the first opinion weighs in the others, in parts of one symbol that came
_GROUPS = 3  # rows 1, 2 and more apart
_SOURCES = 3
_SCORES = 32  # how well a copy did so far
_SIGNED = 17
_LEVEL = _LEVELS + 1
_DIRECT_CONTEXTS = (_LEVEL, _LEVEL * 8, _LEVEL**2, _LEVEL**2, _LEVEL**2 * 16, 64)
_CONTEXTS = (_SIGNED**2, _SIGNED**2, _LEVEL * 8 + 8, _LEVEL * 8, 64, 17 * 17)


@dataclass(frozen=True)
class PlainColumns:
    """Without learning: what there is to know is counted while it is coded."""

    limits: ClassVar[tuple[int, int]] = (-MOST, MOST)
    gaps: ClassVar[bool] = True

    def applies(self, shape: tuple[int, ...], shift: int) -> bool:
        """Return whether arrays of this shape can be coded."""
        return len(shape) == 2 and 0 < shape[1] <= _WIDEST and shift == 0

    def code(self, coder: Coder, known: Array, shift: int, true: Array | None = None) -> Array:
        """Write or read numbers (n, columns), see the room's other ways."""
        if not known.any():
            return np.zeros(known.shape, np.int64)
        plans = None if true is None else chosen_plans(known, shift, true)
        period = _code_period(coder, None if true is None else np.where(known, true, 0))
        return _Table.of(_code_groups(coder, known.shape[1], plans), known, shift, period).code(coder, true)


@dataclass(frozen=True, eq=False)
class LearnedColumns:
    """With examples (n, columns) int64, which are coded before the block and from which all counts start."""

    examples: Array
    shift: int = 0
    data: bytes = b""
    _ready: "list[_Table]" = field(default_factory=list, repr=False)

    limits: ClassVar[tuple[int, int]] = (-MOST, MOST)
    gaps: ClassVar[bool] = True

    def applies(self, shape: tuple[int, ...], shift: int) -> bool:
        """Return whether arrays of this shape can be coded."""
        return len(shape) == 2 and shape[1] == self.examples.shape[1] and shift == self.shift

    def code(self, coder: Coder, known: Array, shift: int, true: Array | None = None) -> Array:
        """Write or read numbers (n, columns), see the room's other ways."""
        if not known.any():
            return np.zeros(known.shape, np.int64)
        return self._ready[0].before(known).code(coder, true)

    def to_bytes(self) -> bytes:
        """Return the examples, as small as they get."""
        head = np.array([*self.examples.shape, self.shift], "<i4")
        return head.tobytes() + self.data

    @staticmethod
    def from_bytes(data: bytes) -> "LearnedColumns":
        """Return the way that `to_bytes` gave."""
        rows, columns, shift = np.frombuffer(data[:12], "<i4").tolist()
        way = _learned(BitReader(data[12:]), (rows, columns), shift, None)
        return replace(way, data=data[12:])

    @staticmethod
    def of(examples: Array, shift: int = 0) -> "LearnedColumns":
        """Return the way that knows examples (n, columns), whole numbers."""
        return _learned(BitWriter(), examples.shape, shift, examples)


def _learned(coder: Any, shape: tuple[int, int], shift: int, examples: Array | None) -> LearnedColumns:
    """Write or read examples and keep what was counted."""
    known = np.ones(shape, bool)
    plans = None if examples is None else chosen_plans(known, shift, examples, open_=True)
    period = _code_period(coder, examples)
    table = _Table.of(_code_groups(coder, shape[1], plans), known, shift, period)
    found = table.code(coder, examples)
    return LearnedColumns(found, shift, coder.to_bytes() if coder.writes else b"", [table])


def _code_period(coder: Coder, true: Array | None) -> int:
    """Write or read after how many columns others of the same kind come."""
    period = None if true is None else np.array([period_of(true)])
    return int(coder.draw(1, 11, period)[0])


def _code_groups(coder: Coder, columns: int, plans: list[list[Plan]] | None) -> list[list[Plan]]:
    """Write or read the plans of all groups; tables without order among rows have one group."""
    ordered = coder.draw(1, 1, None if plans is None else np.array([len(plans) > 1]).astype(int))[0]
    return code_plans(coder, columns, _GROUPS if ordered else 1, plans)


@dataclass
class _Memory:
    """What is known of a column in a group: contexts (m, n) and symbols (n,) seen, the weights of opinions."""

    contexts: Array
    symbols: Array
    mixer: Mixer
    gains: Gains
    age: int

    def copy(self) -> "_Memory":
        return _Memory(self.contexts, self.symbols, self.mixer.copy(), self.gains.copy(), self.age)


@dataclass
class _Group:
    """Rows that are alike far from known ones: those seen, and what is known of each column."""

    plans: list[Plan]
    bins: list[Bins]
    seen: Places
    memories: dict[int, _Memory]

    @staticmethod
    def of(plans: list[Plan]) -> "_Group":
        none = np.zeros(0, np.int64)
        return _Group(plans, [plan.bins() for plan in plans], Places(none, none, none), {})

    def copy(self) -> "_Group":
        memories = {column: memory.copy() for column, memory in self.memories.items()}
        return _Group(self.plans, self.bins, self.seen, memories)


@dataclass
class _Table:
    """Numbers found so far: examples first, then the block's rows from `first` on."""

    groups: list[_Group]
    values: Array  # (examples + n, columns) int64
    left: Array  # (examples + n, columns) uint8, bits of the distance to the centre
    ranks: Array  # (examples + n, columns) uint8
    known: Array
    shift: int
    first: int
    matches: Matches
    gains: Gains
    edges: list[Array]
    record: Record
    others: Counts  # of numbers without a symbol
    ranked: int = 0
    age: int = 0  # how often ranks were made afresh

    @staticmethod
    def of(plans: list[list[Plan]], known: Array, shift: int, period: int) -> "_Table":
        values = np.zeros(known.shape, np.int64)
        return _Table(
            [_Group.of(group) for group in plans],
            values,
            np.zeros(known.shape, np.uint8),
            np.zeros(known.shape, np.uint8),
            known,
            shift,
            0,
            Matches.of(values, shift, period),
            Gains.fresh((_SOURCES + KINDS) * _SCORES),
            [np.zeros(0, np.int64)] * known.shape[1],
            Record.fresh((_SOURCES + KINDS) * _SCORES),
            Counts.empty(1),
        )

    def before(self, known: Array) -> "_Table":
        """Return a table that goes on with a block's rows."""
        values = np.concatenate([self.values, np.zeros(known.shape, np.int64)])
        none = np.zeros(known.shape, np.uint8)
        return _Table(
            [group.copy() for group in self.groups],
            values,
            np.concatenate([self.left, none]),
            np.concatenate([self.ranks, none]),
            np.concatenate([self.known, known]),
            self.shift,
            len(self.values),
            self.matches.before(values),
            self.gains.copy(),
            self.edges,
            self.record.copy(),
            self.others.copy(),
            self.ranked,
            self.age,
        )

    def code(self, coder: Coder, true: Array | None) -> Array:
        """Write or read the block."""
        if true is not None:
            true = np.where(self.known[self.first :], true, 0)
        for number, places in self.parts():
            group = self.groups[number]
            self.rank()
            for column, plan in enumerate(group.plans):
                wanted = None if true is None else true[places.rows - self.first, column]
                _Column(self, group, column, plan, group.bins[column], places).code(coder, wanted)
            group.seen = group.seen.plus(places)
        return np.where(self.known, self.values, 0)[self.first :]

    def parts(self) -> Iterator[tuple[int, Places]]:
        """Yield the group and the rows of each part, in the order in which they are coded."""
        end = len(self.values)
        if len(self.groups) == 1:
            for part in growing(end - self.first, 0):
                yield 0, Places.apart(np.arange(self.first, end)[part], 0, end)
            return
        yield 2, Places.apart(np.array([self.first]), 0, end)
        stride = 1 << max(end - self.first - 1, 1).bit_length() - 1
        while stride:
            number = {1: 0, 2: 1}.get(stride, 2)
            rows = np.arange(self.first + stride, end, 2 * stride)
            for part in growing(len(rows), 0 if self.first else len(self.groups[number].seen.rows)):
                yield number, Places.apart(rows[part], stride, end, self.first)
            stride //= 2

    def rank(self) -> None:
        """Rank numbers among those seen; afresh whenever these are four times as many."""
        count = sum(len(group.seen.rows) for group in self.groups)
        if count < 4 * self.ranked or count < 8:
            return
        self.ranked, self.age, edges = count, self.age + 1, []
        rows = np.concatenate([group.seen.rows for group in self.groups])
        sample = np.sort(self.values[rows[:: -(-count // 1024)]], 0)
        sample = sample[np.arange(1, _LEVELS) * len(sample) // _LEVELS]
        for column in range(self.values.shape[1]):
            edges.append(np.unique(sample[:, column]))
            self.ranks[rows, column] = np.searchsorted(edges[-1], self.values[rows, column], "right")
        self.edges = edges


@dataclass
class _Copies:
    """Symbols (e, n) that stand elsewhere, where there are some, and how well copying did (e, n)."""

    symbols: Array
    there: Array
    scores: Array


@dataclass
class _Column:
    """One column of some rows."""

    table: _Table
    group: _Group
    column: int
    plan: Plan
    bins: Bins
    places: Places

    def code(self, coder: Coder, wanted: Array | None) -> None:
        """Write or read, then note."""
        table, places, column = self.table, self.places, self.column
        centre = self.plan.centre(table.values, places, table.shift)
        known = table.known[places.rows, column]
        steps = None if wanted is None else self.steps(wanted, centre)
        symbols = None if steps is None else self.symbols(steps, centre)
        if self.count > 1:
            symbols = self.chosen(coder, centre, known, symbols)
        else:
            symbols = np.zeros(len(centre), np.int64)
            table.matches.find(places.rows, column)  # which must look at every column
        found = np.where(known, self.numbers(coder, symbols, known, centre, steps), centre)
        table.values[places.rows, column] = found
        table.left[places.rows, column] = np.minimum(_bits_of((found - centre) >> (table.shift + self.plan.width)), 7)
        table.ranks[places.rows, column] = np.searchsorted(table.edges[column], found, "right")
        table.matches.note(places.rows, column)

    @property
    def count(self) -> int:
        """How many symbols there are."""
        return self.other + int(self.plan.open)

    @property
    def other(self) -> int:
        """The symbol of what no other symbol stands for, in open plans."""
        return len(self.bins.starts) + (0 if self.plan.direct else len(self.plan.special))

    def steps(self, wanted: Array, centre: Array) -> Array:
        """Return how many steps wanted numbers (n,) are away: from the centre, or from 0 in a direct plan."""
        if self.table.shift == 0:
            whole = wanted.astype(np.int64)
            return whole if self.plan.direct else whole - centre
        return np.asarray(np.rint((wanted - centre) / (1 << self.table.shift)), np.int64)

    def symbols(self, steps: Array, centre: Array) -> Array:
        """Return the symbols (n,) of steps."""
        symbols = self.bins.symbols(steps)
        if self.plan.open:
            symbols[~self.bins.exact(symbols, steps)] = self.other
        if not self.plan.direct and self.table.shift == 0:
            for number, value in enumerate(self.plan.special):
                symbols[steps + centre == value] = len(self.bins.starts) + number
        return symbols

    def numbers(self, coder: Coder, symbols: Array, known: Array, centre: Array, steps: Array | None) -> Array:
        """Write or read what symbols leave open; return numbers (n,)."""
        found, own = np.zeros(len(centre), np.int64), len(self.bins.starts)
        at = np.flatnonzero(known & (symbols < own))
        found[at] = self.bins.code_within(coder, symbols[at], None if steps is None else steps[at])
        at = np.flatnonzero(known & (symbols == self.other))
        contexts = np.zeros(len(at), np.int64)
        found[at] = code_numbers(coder, contexts, self.table.others, None if steps is None else steps[at])
        if self.plan.direct:
            return found
        found = centre + (found << self.table.shift)
        special = (symbols >= own) & (symbols < self.other)
        found[special] = np.array((*self.plan.special, 0), np.int64)[symbols[special] - own]
        return np.asarray(found)

    def chosen(self, coder: Coder, centre: Array, known: Array, symbols: Array | None) -> Array:
        """Write or read symbols (n,); learn from them."""
        memory = self.memory()
        contexts = self.contexts(self.places, centre)
        opinions = self.opinions(memory, contexts)
        copies = self.copies(centre)
        gains = np.rint(self.table.gains.gains + memory.gains.gains).astype(np.int32)[copies.scores] * copies.there
        gates = gates_of(gains.max(0, initial=0))
        opinion = memory.mixer.mixed(opinions, gates)
        rows = np.arange(len(centre))
        for gain, symbol in zip(gains, copies.symbols, strict=True):
            opinion[rows, symbol] += gain
        weights = weights_of(opinion)
        plain = weights
        if len(gains):
            best = gains.argmax(0)
            able = np.flatnonzero(gains[best, rows] > 0)
            expected = copies.symbols[best, rows][able]
            cells, corrected = self.table.record.corrected(copies.scores[best, rows][able], weights[able], expected)
            weights = weights.copy()
            weights[able] = corrected
        if known.all():
            found = choose(coder, weights, symbols)
        else:
            found = np.zeros(len(centre), np.int64)
            found[known] = choose(coder, weights[known], None if symbols is None else symbols[known])
        if len(gains):
            fits = known[able]
            self.table.record.learn(cells[fits], (found[able] == expected)[fits])
        weights = plain
        at = np.flatnonzero(known)
        self.learn(memory, contexts[:, at], opinions[:, at], gates[at], weights[at], found[at])
        self.learn_copies(memory, copies, weights, found, known)
        return found

    def memory(self) -> _Memory:
        """Return what is known of this column."""
        memory, table, seen = self.group.memories.get(self.column), self.table, self.group.seen
        if memory is None:
            last = self.group.memories.get(self.column - 1)
            contexts = self.contexts(self.places, np.zeros(len(self.places.rows), np.int64))
            start = Mixer.start(len(contexts) + 1) if last is None else last.mixer.weights
            start = start if start.shape[1] == len(contexts) + 1 else Mixer.start(len(contexts) + 1)
            none = np.zeros(0, np.int64)
            memory = _Memory(
                contexts[:, :0], none, Mixer.fresh(start), Gains.fresh(len(table.gains.gains)), table.age
            )
            self.group.memories[self.column] = memory
        if memory.age != table.age:
            there = table.known[seen.rows, self.column]
            seen = Places(*(rows[there] for rows in seen.each()))
            memory.contexts = self.contexts(seen, self.plan.centre(table.values, seen, table.shift))
            memory.age = table.age
        return memory

    def opinions(self, memory: _Memory, contexts: Array) -> Array:
        """Return opinions (m, n, k) of what came in contexts like these."""
        count = self.count
        first = np.bincount(memory.symbols, minlength=count).astype(np.int64) * _SEEN + self.prior()
        opinion = log2_of(first)
        part = np.maximum(first * _PRIOR // first.sum(), 1)
        table, slots = self.counted(memory, contexts)
        came = np.flatnonzero(table)
        extra = np.zeros(len(table), np.int32)
        usual = part[came % count]
        extra[came] = log2_of(table[came] * _PRIOR + usual) - log2_of(usual)
        opinions = np.empty((len(contexts) + 1, contexts.shape[1], count), np.int32)
        opinions[0] = opinion - opinion.max()
        np.take(extra.reshape(-1, count), slots, 0, out=opinions[1:], mode="clip")
        return opinions

    def counted(self, memory: _Memory, contexts: Array) -> tuple[Array, Array]:
        """Return what came in these contexts (m, n), as a table's cells, and the rows of the table (m, n)."""
        slots = np.full(self.size, -1, np.int32)
        present = np.zeros(self.size, bool)
        present[contexts] = True
        slots[present] = np.arange(present.sum(), dtype=np.int32)
        past = slots[memory.contexts]
        at = past >= 0
        cells = past[at].astype(np.int64) * self.count + np.broadcast_to(memory.symbols, past.shape)[at]
        counts = np.bincount(cells, minlength=int(present.sum()) * self.count)
        return counts.astype(np.int64, copy=False), slots[contexts]

    def prior(self) -> Array:
        """Return what symbols weigh before any came."""
        prior = np.full(self.count, 16, np.int64)
        if not self.plan.direct:
            far = _bits_of(self.bins.starts).astype(np.int64) - self.plan.spread
            prior[: len(far)] = np.maximum(64 >> np.clip(2 * far, 0, 6), 1)
        prior[self.other :] = 1
        return prior

    def learn(
        self, memory: _Memory, contexts: Array, opinions: Array, gates: Array, weights: Array, found: Array
    ) -> None:
        """Note what came in which contexts."""
        if len(found):
            memory.mixer.learn(opinions, gates, weights, found)
            memory.contexts = np.concatenate([memory.contexts, contexts], 1)
            memory.symbols = np.concatenate([memory.symbols, found])

    def learn_copies(self, memory: _Memory, copies: _Copies, weights: Array, found: Array, known: Array) -> None:
        """Note which copies were right."""
        which, rows = np.nonzero(copies.there & known)
        symbols, scores = copies.symbols[which, rows], copies.scores[which, rows]
        chances = weights[rows, symbols].astype(np.int64) * 65536 // weights.sum(1)[rows]
        same = (copies.symbols[:, rows] == symbols) & copies.there[:, rows]
        for gains in (self.table.gains, memory.gains):
            gains.learn(scores, found[rows] == symbols, chances, np.maximum(same.sum(0), 1))

    def copies(self, centre: Array) -> _Copies:
        """Return numbers that may come again."""
        table, places, column = self.table, self.places, self.column
        found = [(table.values[places.of(source)], self.agreeing(source)) for source in self.plan.sources]
        found += table.matches.find(places.rows, column)
        values = np.stack([value for value, _ in found]) if found else np.zeros((0, len(centre)), np.int64)
        scores = np.stack([score for _, score in found]) if found else values
        kinds = [*range(len(self.plan.sources)), *range(_SOURCES, _SOURCES + KINDS)][: len(found)]
        steps = values >> table.shift if self.plan.direct else (values - centre) >> table.shift
        symbols = self.symbols(steps.reshape(-1), np.tile(centre, len(found))).reshape(values.shape)
        own = len(self.bins.starts)
        there = (symbols >= own) & (symbols < self.other) | self.bins.exact(np.minimum(symbols, own - 1), steps)
        matched = np.array([kind >= _SOURCES for kind in kinds], bool)[:, None]
        there &= ~matched | (scores > 0)
        scores = np.minimum(scores, _SCORES - 1) + np.array(kinds, np.int64)[:, None] * _SCORES
        return _Copies(symbols, there, scores)

    def agreeing(self, source: tuple[int, int]) -> Array:
        """Return in which of the columns before, 1, 2 and 4 back, the source was right: 0 to 7."""
        table, places, agreeing = self.table, self.places, np.zeros(len(self.places.rows), np.int64)
        for back in (1, 2, 4):
            agreeing *= 2
            if self.column >= back and source[1] >= back:
                there = table.values[places.of((source[0], source[1] - back))]
                agreeing += there == table.values[places.rows, self.column - back]
        return agreeing

    @property
    def sizes(self) -> tuple[int, ...]:
        """How many contexts opinions have."""
        return _DIRECT_CONTEXTS if self.plan.direct else _CONTEXTS

    @property
    def size(self) -> int:
        """How many contexts there are."""
        return sum(self.sizes)

    def contexts(self, places: Places, centre: Array) -> Array:
        """Return contexts (m, n) of each opinion but the first."""
        table, plan, column, none = self.table, self.plan, self.column, np.zeros(len(centre), np.int64)
        level = np.searchsorted(table.edges[column], centre, "right")
        ranks = [table.ranks[places.of(source)].astype(np.int64) for source in plan.sources]
        first, second, third = (*ranks, none, none, none)[:3]
        one, two = (
            table.left[places.rows, column - back].astype(np.int64) if column >= back else none for back in (1, 2)
        )
        if plan.direct:
            found = [
                level,
                first * 8 + one,
                first * 33 + second,
                second * 33 + third,
                (level * 33 + first) * 16 + (second >> 1) % 16,
                one * 8 + two,
            ]
            return self.stacked(found)
        apart = [_signed((table.values[places.of(s)] - centre) >> table.shift + plan.width) for s in plan.sources]
        near, next_, last = (*apart, none, none, none)[:3]
        found = [
            near * _SIGNED + next_,
            next_ * _SIGNED + last,
            first * 8 + (second >> 2),
            level * 8 + one,
            one * 8 + two,
            (third >> 1) * 17 + (second >> 1),
        ]
        return self.stacked(found)

    def stacked(self, contexts: list[Array]) -> Array:
        """Return contexts of all opinions, one after the other, (m, n)."""
        ends = np.cumsum(self.sizes)
        return np.asarray(np.stack(contexts) + (ends - self.sizes)[:, None], np.int32)


def _bits_of(numbers: Array) -> Array:
    """Return how many bits numbers need, about."""
    return np.asarray(np.frexp(np.abs(numbers).astype(np.float64))[1], np.uint8)


def _signed(numbers: Array) -> Array:
    """Return 0 to 16: the sign and about the logarithm of numbers."""
    size = np.minimum(_bits_of(numbers), 8).astype(np.int64)
    return np.where(numbers < 0, -size, size) + 8
