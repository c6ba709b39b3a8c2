"""The writer's look at a table: which numbers tell most about which others. Nothing here need be exact."""

from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from refold.codec._bins import Bins, bin_width
from refold.codec._column_plans import ONE, SOURCES, Places, Plan, Source

Array = NDArray[Any]

_LOOKED_AT = 1500  # rows
_LEVELS = 12  # of a number, to see what depends on what
_FEW, _MANY = 24, 256  # distinct values with symbols of their own
_LARGEST = 1 << 44  # of a number times a factor that is not whole
_FAR = 1 << 60  # beyond which differences are not taken
_MARGIN = 4  # bins beyond those seen, where there may be more
_TERMS = 4
_ALIKE = 0.3  # share of the differences among columns that there may be among those of a kind
_PLAN = 200  # bits of two plans, about
_WIDE, _NEAR = 256, 64  # of wider tables only so many columns before and beside are looked at, else it takes minutes


def chosen_plans(known: Array, shift: int, true: Array, open_: bool = False) -> list[list[Plan]]:
    """Return plans of every column: for one group of rows, or for three where rows tell about their neighbours."""
    whole = np.where(known, true, 0)
    whole = whole if whole.dtype.kind == "i" else np.rint(whole).astype(np.int64)
    changed = open_ or shift > 0 or not known.all()  # then numbers are looked at that are others when coded
    found = _chosen(_filled(known, whole), shift)
    return [[plan if plan.open else _opened(plan) for plan in group] for group in found] if changed else found


def _opened(plan: Plan) -> Plan:
    """Return a plan for other numbers too."""
    special = plan.special
    if plan.direct and special[-1] - special[0] <= 4 * len(special):
        special = tuple(range(special[0] - _MARGIN, special[-1] + _MARGIN + 1))
    return replace(plan, open=True, first=max(plan.first - _MARGIN, 0), last=plan.last + _MARGIN, special=special)


def _chosen(values: Array, shift: int) -> list[list[Plan]]:
    alone = _Look.of(values, shift, 0).plans()
    if len(values) < 64:
        return [alone]
    groups = [_Look.of(values, shift, stride) for stride in (1, 2, 8)]
    near = groups[0].plans()
    gain = sum(look_cost(values, shift, a, 0) for a in [alone]) - look_cost(values, shift, near, 1)
    if gain < max(0.02, _PLAN / len(values)) * values.shape[1]:
        return [alone]
    found = [near, groups[1].plans(), groups[2].plans()]
    return [[_opened(plan) for plan in group] for group in found]  # as rows are not always as far apart as looked at


def period_of(values: Array) -> int:
    """Return after how many columns (n, columns) others of the same kind come; all of them if there are none."""
    columns = int(values.shape[1])
    marks = np.quantile(values, np.linspace(0.05, 0.95, 10), 0)
    spread = max(float(np.abs(marks - marks.mean(1)[:, None]).mean()), 1e-12)
    for period in range(1, columns // 2 + 1):
        if columns % period == 0 and np.abs(marks[:, period:] - marks[:, :-period]).mean() < _ALIKE * spread:
            return period
    return columns


def look_cost(values: Array, shift: int, plans: list[Plan], stride: int) -> float:
    """Return about how many bits a row costs."""
    look = _Look.of(values, shift, stride)
    return sum(_cost(look.left(column, plan.terms, plan.offset)) for column, plan in enumerate(plans))


def _filled(known: Array, values: Array) -> Array:
    for column in np.flatnonzero(~known.all(0)):
        there = known[:, column]
        values[~there, column] = int(np.median(values[there, column])) if there.any() else 0
    return values


def _cost(numbers: Array) -> float:
    """Return about the bits of a number."""
    width = bin_width(numbers)
    bins = Bins.around_zero(width, 0, 10_000)
    symbols = bins.symbols(numbers)
    counts = np.bincount(symbols)
    counts = counts[counts > 0]
    entropy = np.log2(len(numbers)) - (counts * np.log2(counts)).sum() / len(numbers)
    return float(entropy + bins.widths[symbols].mean() + 0.5 * len(counts) / len(numbers) * np.log2(len(numbers)))


@dataclass(frozen=True)
class _Look:
    """Some rows of a table, and how much columns tell about columns."""

    values: Array
    shift: int
    places: Places
    stride: int
    told: Array  # (lags, columns, columns) bits that source [lag, c] tells about column

    @staticmethod
    def of(values: Array, shift: int, stride: int) -> "_Look":
        end = len(values)
        rows = np.arange(stride, end - stride) if stride and end > 3 * stride else np.arange(end)
        rows = rows[:: -(-len(rows) // _LOOKED_AT)]
        places = Places.apart(rows, stride, end)
        return _Look(values, shift, places, stride, _told(values, places, 3 if stride else 1))

    def plans(self) -> list[Plan]:
        return [self.plan(column) for column in range(self.values.shape[1])]

    def plan(self, column: int) -> Plan:
        sources = self.sources(column)
        terms, offset = self.centre(column, sources)
        left_everywhere = self.left(column, terms, offset, everywhere=True)
        width = max(bin_width(left_everywhere), 0)
        own = np.unique(self.values[:, column])
        spread = int(np.median(np.abs(left_everywhere))).bit_length()
        direct = self.shift == 0 and (len(own) <= _FEW or (len(own) <= _MANY and own[-1] - own[0] > 8 * len(own)))
        special = own if direct else self.special(column, width)
        if direct:
            first = last = 0
        else:
            symbols = Bins.around_zero(width, 0, 10_000).symbols(left_everywhere)
            first, last = int(symbols.min()), int(symbols.max())
        return Plan(
            direct, spread, width, first, last, offset, terms, sources, tuple(int(value) for value in special)
        )

    def special(self, column: int, width: int) -> Array:
        """Return values that come often although numbers are wide."""
        if self.shift or width < 2:
            return np.zeros(0, np.int64)
        own, often = np.unique(self.values[:, column], return_counts=True)
        return own[np.sort(np.argsort(-often, kind="stable")[:8])][
            np.sort(often)[::-1][:8][np.argsort(np.argsort(-often, kind="stable")[:8])]
            >= max(4, len(self.values) / 200)
        ]

    def sources(self, column: int) -> tuple[Source, ...]:
        """Return what tells most about a column, and does not tell the same."""
        told = self.told[:, :, column].copy()
        told[0, column:] = 0
        found: list[Source] = []
        told = np.where(told > 0.02, told, 0)
        while len(found) < SOURCES and told.max() > 0:
            lag, at = np.unravel_index(int(told.argmax()), told.shape)
            found.append((int(lag), int(at)))
            told[lag, at] = 0
            same = _same_lag(self.told, (int(lag), int(at)), told.shape[0])
            told *= np.clip(1 - 0.7 * same, 0.05, 1)
        return tuple(found)

    def column(self, source: Source) -> Array:
        return np.asarray(self.values[self.places.of(source)])

    def left(self, column: int, terms: Any, offset: int, everywhere: bool = False) -> Array:
        plan = Plan(False, 0, 0, 0, 0, offset, terms, (), ())
        places = self.places
        if everywhere:
            places = Places.apart(np.arange(len(self.values)), self.stride, len(self.values))
        left = self.values[places.rows, column] - plan.centre(self.values, places, self.shift)
        return np.asarray(left >> self.shift)

    def centre(self, column: int, sources: tuple[Source, ...]) -> tuple[tuple[tuple[Source, int], ...], int]:
        """Return factors and offset of the centre that leaves least."""
        aim = self.values[self.places.rows, column]
        options: list[tuple[tuple[tuple[Source, int], ...], int]] = [((), int(np.median(aim)) >> self.shift)]
        largest = int(np.abs(self.values).max())
        if largest < _FAR:
            options += [(((source, ONE),), 0) for source in sources]
        if largest < _LARGEST and sources:
            options += self.lines(column, sources)
        costs = [_cost(self.left(column, *option)) + 0.02 * len(option[0]) for option in options]
        return options[int(np.argmin(costs))]

    def lines(self, column: int, sources: tuple[Source, ...]) -> list[Any]:
        """Return linear predictions, of few and of more sources."""
        told = self.told[:, :, column].copy()
        told[0, column:] = 0
        best = np.argsort(-told, axis=None)[:10]
        many = [(int(at) // told.shape[1], int(at) % told.shape[1]) for at in best if told.flat[at] > 0.01]
        many += [source for source in sources if source not in many]
        aim = self.values[self.places.rows, column].astype(float)
        found = []
        for number in (2, _TERMS):
            picked = _forward(np.stack([self.column(s) for s in many], 1).astype(float), aim, number)
            found.append(self.line([many[at] for at in picked], aim))
        return found

    def line(self, sources: list[Source], aim: Array) -> Any:
        design = np.stack([*(self.column(source) for source in sources), np.ones(len(aim))], 1).astype(float)
        factors = _robust(design, aim)
        whole = np.rint(factors[:-1] * ONE).astype(int).tolist()
        terms = tuple((source, factor) for source, factor in zip(sources, whole, strict=True) if factor)
        places = Plan(False, 0, 0, 0, 0, 0, terms, (), ()).centre(self.values, self.places, self.shift)
        return terms, int(np.floor(np.median(aim - places) / (1 << self.shift) + 0.5))


def _forward(design: Array, aim: Array, number: int) -> list[int]:
    """Return the columns of a design that least squares picks one after the other."""
    limits = np.quantile(design, [0.01, 0.99], 0)
    design = np.clip(design, *limits)
    aim = np.clip(aim, *np.quantile(aim, [0.01, 0.99]))
    design, left = design - design.mean(0), aim - aim.mean()
    picked: list[int] = []
    for _ in range(min(number, design.shape[1])):
        norms = np.sqrt((design**2).sum(0))
        fit = np.abs(design.T @ left) / np.maximum(norms, 1e-9)
        fit[norms < 1e-6] = 0
        fit[picked] = -1
        picked.append(int(fit.argmax()))
        chosen = design[:, picked]
        left = aim - aim.mean() - chosen @ np.linalg.lstsq(chosen, aim - aim.mean(), rcond=1e-9)[0]
    return picked


def _robust(design: Array, aim: Array) -> Array:
    """Return factors that leave a small sum of distances."""
    weights = np.ones(len(aim))
    for _ in range(6):
        root = np.sqrt(weights)[:, None]
        factors = np.linalg.lstsq(design * root, aim * root[:, 0], rcond=1e-9)[0]
        left = np.abs(aim - design @ factors)
        weights = 1 / np.maximum(left, max(0.5, 0.05 * float(np.median(left))))
    return np.asarray(np.clip(factors, -64, 64))


def _told(values: Array, places: Places, lags: int) -> Array:
    """Return about how many bits sources tell about columns, (lags, columns, columns)."""
    aims = _levels(values[places.rows])
    found = [
        _shared(_levels(values[rows]) if number else aims, aims)
        for number, rows in zip(range(lags), places.each(), strict=False)
    ]
    return np.stack(found)


def _levels(numbers: Array) -> Array:
    """Return numbers (n, columns) as levels, where all are about as frequent."""
    ordered = np.sort(numbers, 0)
    edges = ordered[np.arange(1, _LEVELS) * len(ordered) // _LEVELS]
    return np.stack(
        [np.searchsorted(np.unique(edge), column, "right") for edge, column in zip(edges.T, numbers.T, strict=True)],
        1,
    )


def _shared(sources: Array, aims: Array) -> Array:
    """Return the mutual information in bits of levels, (columns, columns), less what chance gives."""
    columns = aims.shape[1]
    if columns <= _WIDE:
        return _shared_by(sources, aims)
    found = np.zeros((columns, columns))
    for start in range(0, columns, _NEAR):
        first, stop = max(0, start - _NEAR), start + _NEAR
        found[first:stop, start:stop] = _shared_by(sources[:, first:stop], aims[:, start:stop])
    return found


def _shared_by(sources: Array, aims: Array) -> Array:
    """Return the same of some sources and some columns, (sources, columns)."""
    n = len(aims)
    joint = (_flags(sources).T @ _flags(aims)).reshape(sources.shape[1], _LEVELS, aims.shape[1], _LEVELS)
    left, right = joint.sum(3), joint.sum(1)
    bits = _entropy(left[:, :, 0], n).sum(1)[:, None] + _entropy(right[0], n).sum(1)[None]
    bits = bits - _entropy(joint, n).sum((1, 3))
    cells = (joint > 0).sum((1, 3)) - (left[:, :, 0] > 0).sum(1)[:, None] - (right[0] > 0).sum(1)[None] + 1
    return np.asarray(np.maximum(bits - cells / (2 * n * np.log(2)), 0))


def _flags(levels: Array) -> Array:
    n, columns = levels.shape
    flags = np.zeros((n, columns * _LEVELS), np.float32)
    flags[np.arange(n)[:, None], levels + np.arange(columns) * _LEVELS] = 1
    return flags


def _entropy(counts: Array, n: int) -> Array:
    return np.where(counts > 0, -counts / n * np.log2(np.maximum(counts, 1) / n), 0)


def _same_lag(told: Array, source: Source, lags: int) -> Array:
    """Return about which share of a source others tell, (lags, columns); across lags it is a guess."""
    own = told[0][source[1], source[1]]
    share = told[0][source[1]] / max(own, 1e-6)
    found = np.stack([share] * lags)
    found[[lag for lag in range(lags) if lag != source[0]]] *= 0.5
    return found
