"""Tables: every column from columns before it and from rows near by, by opinions that are counted and mixed."""

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from refold.codec._bits import Coder
from refold.codec._column_choices import chosen_plans
from refold.codec._column_plans import Places, Plan, code_plans, growing
from refold.codec._matches import Matches
from refold.codec._mixing import BIT, Mixer, choose, log2_of, weights_of
from refold.codec._numbers import Counts, code_numbers

Array = NDArray[Any]

_WIDEST = 1024  # columns
_LEVELS = 32  # ranks of a column's numbers, as contexts
_SEEN = 64  # what a symbol that came once weighs against the guess before any came
_PRIOR = 4096  # what the first opinion weighs in the others, in parts of one symbol that came
_GROUPS = 3  # rows 1, 2 and more apart


@dataclass(frozen=True)
class PlainColumns:
    """Without learning: what there is to know is counted while it is coded."""

    def applies(self, shape: tuple[int, ...], shift: int) -> bool:
        """Return whether arrays of this shape can be coded."""
        return len(shape) == 2 and 0 < shape[1] <= _WIDEST

    def code(self, coder: Coder, known: Array, shift: int, true: Array | None = None) -> Array:
        """Write or read numbers (n, columns), see the room's other ways."""
        n, columns = known.shape
        if not n or not known.any():
            return np.zeros((n, columns), np.int64)
        plans = None if true is None else chosen_plans(known, shift, true)
        groups = _code_groups(coder, columns, plans)
        return _Table.of(groups, np.zeros((0, columns), np.int64), known, shift).code(coder, true)


def _code_groups(coder: Coder, columns: int, plans: list[list[Plan]] | None) -> list[list[Plan]]:
    """Write or read the plans of all groups; tables without order among rows have one group."""
    ordered = coder.draw(1, 1, None if plans is None else np.array([len(plans) > 1]).astype(int))[0]
    count = _GROUPS if ordered else 1
    found = code_plans(coder, count * columns, None if plans is None else [plan for group in plans for plan in group])
    return [found[at * columns : (at + 1) * columns] for at in range(count)]


@dataclass
class _Group:
    """What was seen of rows that are alike far from known ones."""

    plans: list[Plan]
    seen: Places
    mixers: dict[int, Mixer] = field(default_factory=dict)


@dataclass
class _Table:
    """Numbers found so far: examples first, then the block's rows."""

    groups: list[_Group]
    values: Array  # (examples + n, columns) int64
    left: Array  # (examples + n, columns) uint8, bits of the distance to the centre
    ranks: Array  # (examples + n, columns) uint8
    known: Array
    shift: int
    first: int  # row of the block
    matches: Matches
    boosts: "Boosts"
    edges: list[Array]
    ranked: int = 0

    @staticmethod
    def of(plans: list[list[Plan]], examples: Array, known: Array, shift: int) -> "_Table":
        n, (first, columns) = len(known), examples.shape
        values = np.zeros((first + n, columns), np.int64)
        values[:first] = examples
        everywhere = np.ones((first + n, columns), bool)
        everywhere[first:] = known
        zeros = np.zeros(values.shape, np.uint8)
        groups = [_Group(group, _examples(number, len(plans), first)) for number, group in enumerate(plans)]
        table = _Table(
            groups,
            values,
            zeros,
            zeros.copy(),
            everywhere,
            shift,
            first,
            Matches.of(values, shift),
            Boosts(),
            [np.zeros(0, np.int64)] * columns,
        )
        table.start()
        return table

    def start(self) -> None:
        """Look at the examples."""
        if self.first:
            rows = np.arange(self.first)
            for column in range(self.values.shape[1]):
                self.matches.note(rows, column)

    def code(self, coder: Coder, true: Array | None) -> Array:
        """Write or read the block."""
        for number, places in self.parts():
            group = self.groups[number]
            self.rank(group.seen)
            for column, plan in enumerate(group.plans):
                wanted = None if true is None else true[places.rows - self.first, column]
                _Column(self, group, number, column, plan, places).code(coder, wanted)
            group.seen = group.seen.plus(places)
        return np.where(self.known, self.values, 0)[self.first :]

    def parts(self) -> Iterator[tuple[int, Places]]:
        """Yield the group and the rows of each part, in the order in which they are coded."""
        n = len(self.values) - self.first
        if len(self.groups) == 1:
            for part in growing(n, self.first):
                yield 0, Places.apart(np.arange(self.first, self.first + n)[part], 0, len(self.values))
            return
        yield 2, Places.apart(np.array([self.first]), 0, len(self.values))
        stride = 1 << max(n - 1, 1).bit_length() - 1
        while stride:
            number = {1: 0, 2: 1}.get(stride, 2)
            rows = np.arange(self.first + stride, self.first + n, 2 * stride)
            for part in growing(len(rows), len(self.groups[number].seen.rows)):
                yield number, Places.apart(rows[part], stride, len(self.values), self.first)
            stride //= 2

    def rank(self, seen: Places) -> None:
        """Rank numbers among those seen; afresh whenever these are four times as many."""
        rows = np.concatenate([np.arange(self.first), *(group.seen.rows for group in self.groups)])
        if len(rows) >= 4 * self.ranked and len(rows) > 4:
            self.ranked = len(rows)
            sample = np.sort(self.values[rows[:: -(-len(rows) // 1024)]], 0)
            places = np.arange(1, _LEVELS) * len(sample) // _LEVELS
            for column in range(self.values.shape[1]):
                edges = np.unique(sample[places, column])
                self.edges[column] = edges
                self.ranks[rows, column] = np.searchsorted(edges, self.values[rows, column], "right")


def _examples(number: int, groups: int, count: int) -> Places:
    if groups == 1:
        return Places.apart(np.arange(count), 0, count)
    return Places.apart(np.arange(count), (1, 2, 8)[number], count)


@dataclass
class Boosts:
    """How much likelier a symbol is that stands elsewhere already; by kind and by how well it did so far."""

    gains: dict[Any, tuple[Array, Array]] = field(default_factory=dict)

    def of(self, key: Any, contexts: Array) -> Array:
        """Return gains (n,) in 1/256 bit."""
        if key not in self.gains:
            self.gains[key] = np.zeros(256), np.full(256, 2.0)
        return np.asarray(np.rint(self.gains[key][0][contexts]), np.int32)

    def learn(self, key: Any, contexts: Array, hits: Array, chances: Array) -> None:
        """Take a Newton step from whether symbols came that were expected with chances (n,) in 65536."""
        gains, firm = self.gains[key]
        gone = np.zeros(256)
        np.add.at(gone, contexts, hits * 65536.0 - chances)
        np.add.at(firm, contexts, np.floor(chances * (65536.0 - chances) / 65536.0) / 65536.0)
        gains += np.clip(369.3 * (gone / 65536.0) / firm, -1024.0, 1024.0)
        np.clip(gains, -8.0 * BIT, 24.0 * BIT, out=gains)


@dataclass
class _Column:
    """One column of some rows."""

    table: _Table
    group: _Group
    number: int
    column: int
    plan: Plan
    places: Places

    def code(self, coder: Coder, wanted: Array | None) -> None:
        """Write or read, then learn."""
        table, plan, places, column = self.table, self.plan, self.places, self.column
        shift = table.shift
        bins = plan.bins()
        centre = plan.centre(table.values, places, shift)
        known = table.known[places.rows, column]
        count = len(bins.starts) + (0 if plan.direct else len(plan.special))
        steps = None if wanted is None else self.steps(wanted, centre)
        symbols = None if steps is None else self.symbols(bins, steps, centre)
        if count > 1:
            symbols = self.chosen(coder, bins, centre, known, symbols, count)
        else:
            symbols = np.zeros(len(centre), np.int64)
        found = np.zeros(len(centre), np.int64)
        special = ~known | (symbols >= len(bins.starts))
        at = np.flatnonzero(~special)
        found[at] = bins.code_within(coder, symbols[at], None if steps is None else steps[at])
        found = found << shift if plan.direct else centre + (found << shift)
        if not plan.direct and len(plan.special):
            own = np.array(plan.special)[np.clip(symbols - len(bins.starts), 0, len(plan.special) - 1)] << shift
            found = np.where(special, own, found)
        found = np.where(known, found, centre)
        table.values[places.rows, column] = found
        table.left[places.rows, column] = _bits_of((found - centre) >> shift + plan.width)
        table.ranks[places.rows, column] = np.searchsorted(table.edges[column], found, "right")
        table.matches.note(places.rows, column)

    def steps(self, wanted: Array, centre: Array) -> Array:
        """Return how many steps the wanted numbers (n,) are away: from the centre, or from 0 in a direct plan."""
        near = np.nan_to_num(wanted)
        if self.table.shift == 0:
            whole = near.astype(np.int64)
            return whole if self.plan.direct else whole - centre
        return np.rint((near - centre) / (1 << self.table.shift)).astype(np.int64)

    def symbols(self, bins: Any, steps: Array, centre: Array) -> Array:
        """Return the symbols (n,) of steps."""
        symbols = bins.symbols(steps)
        if not self.plan.direct and self.table.shift == 0:
            for number, value in enumerate(self.plan.special):
                symbols[steps + centre == value] = len(bins.starts) + number
        return np.asarray(symbols)

    def chosen(
        self, coder: Coder, bins: Any, centre: Array, known: Array, symbols: Array | None, count: int
    ) -> Array:
        """Write or read symbols; learn from them."""
        table, group = self.table, self.group
        seen = group.seen
        every = seen.plus(self.places)
        old = len(seen.rows)
        use = np.concatenate([table.known[seen.rows, self.column], known])
        contexts = self.contexts(every)
        values = table.values[seen.rows, self.column]
        old_centre = self.plan.centre(table.values, seen, table.shift)
        old_steps = values >> table.shift if self.plan.direct else (values - old_centre) >> table.shift
        old_symbols = self.symbols(bins, old_steps, old_centre)
        opinions = self.opinions(bins, [c[:old][use[:old]] for c in contexts], [c[old:] for c in contexts],
                                 old_symbols[use[:old]], count)
        if self.column not in group.mixers:
            before = group.mixers.get(self.column - 1)
            if before is None or len(before.weights) != len(opinions):
                start = np.full(len(opinions), 0.35)
                start[0] = 1.0
            else:
                start = before.weights
            group.mixers[self.column] = Mixer.fresh(start)
        mixer = group.mixers[self.column]
        opinion = mixer.mixed(opinions)
        copies = self.copies(bins, centre)
        rows = np.arange(len(opinion))
        for key, context, symbol, there in copies:
            gain = table.boosts.of(key, context) + table.boosts.of((key, self.number, self.column), context)
            opinion[rows[there], symbol[there]] += gain[there]
        weights = weights_of(opinion)
        found = np.zeros(len(weights), np.int64)
        found[known] = choose(coder, weights[known], None if symbols is None else symbols[known])
        if known.any():
            mixer.learn(opinions[:, known], weights[known], found[known])
        total = weights.sum(1)
        for key, context, symbol, there in copies:
            there = there & known
            chances = weights[rows[there], symbol[there]].astype(np.int64) * 65536 // total[there]
            hits = found[there] == symbol[there]
            for one in (key, (key, self.number, self.column)):
                table.boosts.learn(one, context[there], hits, chances)
        return found

    def copies(self, bins: Any, centre: Array) -> list[tuple[Any, Array, Array, Array]]:
        """Return kind, contexts (n,), symbols (n,) and where there is one, of numbers that may come again."""
        table, places, column = self.table, self.places, self.column
        found = []
        for number, source in enumerate(self.plan.sources):
            value = table.values[places.of(source)]
            agree = np.zeros(len(value), np.int64)
            for back in (1, 2, 4):
                if column >= back and source[1] >= back:
                    lag = places.of((source[0], source[1] - back))
                    agree = 2 * agree + (table.values[lag] == table.values[places.rows, column - back])
                else:
                    agree = 2 * agree
            found.append((number, agree, *self.symbol_of(bins, value, centre)))
        if table.shift == 0:
            value, length = table.matches.find(places.rows, column)
            symbol, there = self.symbol_of(bins, value, centre)
            found.append(("match", np.minimum(length, 31), symbol, there & (length > 0)))
        return found

    def symbol_of(self, bins: Any, values: Array, centre: Array) -> tuple[Array, Array]:
        steps = values >> self.table.shift if self.plan.direct else (values - centre) >> self.table.shift
        symbols = self.symbols(bins, steps, centre)
        special = symbols >= len(bins.starts)
        there = special | bins.exact(np.where(special, 0, symbols), steps)
        return symbols, there

    def opinions(self, bins: Any, old: list[Array], new: list[Array], symbols: Array, count: int) -> Array:
        """Return opinions (m, n, k) of what came in contexts `old` for contexts `new`."""
        first = np.bincount(symbols, minlength=count) * _SEEN + self.prior(bins, count)
        log_first = log2_of(first)
        part = np.maximum(first * _PRIOR // first.sum(), 1)
        log_part = log2_of(part)
        opinions = np.empty((len(new) + 1, len(new[0]), count), np.int32)
        opinions[0] = log_first - log_first.max()
        for number, (before, now) in enumerate(zip(old, new, strict=True), 1):
            size = int(max(before.max(initial=0), now.max(initial=0))) + 1
            table = np.bincount(before * count + symbols, minlength=size * count).reshape(size, count)
            if size <= len(now):
                opinions[number] = (log2_of(table * _PRIOR + part) - log_part)[now]
            else:
                opinions[number] = log2_of(table[now] * _PRIOR + part) - log_part
        return opinions

    def prior(self, bins: Any, count: int) -> Array:
        """Return what symbols weigh before any came."""
        prior = np.full(count, 16, np.int64)
        if not self.plan.direct:
            far = _bits_of(bins.starts).astype(np.int64) - self.plan.spread
            prior[: len(far)] = np.maximum(64 >> np.clip(2 * far, 0, 6), 1)
        return prior

    def contexts(self, places: Places) -> list[Array]:
        """Return contexts (n,) of each opinion but the first."""
        table, plan, column = self.table, self.plan, self.column
        centre = plan.centre(table.values, places, table.shift)
        level = np.searchsorted(table.edges[column], centre, "right").astype(np.int64)
        ranks = [table.ranks[places.of(source)].astype(np.int64) for source in plan.sources]
        ranks += [np.zeros(len(centre), np.int64)] * (3 - len(ranks))
        left = table.left[places.rows]
        one = np.minimum(left[:, column - 1], 7).astype(np.int64) if column else np.zeros(len(centre), np.int64)
        two = np.minimum(left[:, column - 2], 7).astype(np.int64) if column > 1 else one
        if plan.direct:
            return [
                level,
                ranks[0] * 8 + one,
                ranks[0] * 32 + ranks[1],
                (ranks[1] * 32 + ranks[2]),
                (level * 32 + ranks[0] ) * 16 + (ranks[1] >> 1),
                one * 8 + two,
            ]
        apart = [_signed((table.values[places.of(s)] - centre) >> table.shift + plan.width) for s in plan.sources]
        apart += [np.zeros(len(centre), np.int64)] * (3 - len(apart))
        return [
            apart[0] * 17 + apart[1],
            apart[1] * 17 + apart[2],
            ranks[0] * 8 + (ranks[1] >> 2),
            level * 8 + one,
            one * 8 + two,
            (ranks[2] >> 1) * 16 + (ranks[1] >> 1),
        ]


def _bits_of(numbers: Array) -> Array:
    """Return how many bits numbers need, about."""
    return np.asarray(np.frexp(np.abs(numbers).astype(np.float64))[1], np.uint8)


def _signed(numbers: Array) -> Array:
    """Return 0 to 16: the sign and about the logarithm of numbers."""
    size = np.minimum(_bits_of(numbers), 8).astype(np.int64)
    return np.where(numbers < 0, -size, size) + 8
