"""Fields without learning: every value from its neighbours on a coarser grid, as SZ3 and its kin do.

The idea is that of Zhao et al. (2021), "Optimizing error-bounded lossy compression for scientific data by dynamic
spline interpolation", with neighbours along all axes between which a place stands (Liu et al. 2024, "High-performance
effective scientific error-bounded lossy compression with auto-tuned multi-component interpolation"). What a value
differs by from its prediction is coded in the context of what its neighbours differed by.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np
from numpy.typing import NDArray

from refold.codec._bits import BitWriter, Coder
from refold.codec._chunks import GrowingChunks
from refold.codec._differences import MOST_DIFFERENCE, choices, close_shape, differences, undone
from refold.codec._grades import GradedCounts, geometric_chances
from refold.codec._lattice_stages import LEADS, Stage, stages
from refold.codec._numbers import Counts, code_numbers

Array = NDArray[Any]

_MOST = 1 << 50  # numbers are added up, some sixteen-fold

_TIGHTNESS = ((16, 16), (20, 32), (24, 48), (32, 64))  # sixteenths: growth of precision a level, and its most
_LEVELS = 3  # that have counts of their own: the finest, the next, the others
_LARGEST_CHUNK = 1 << 15  # numbers
_FEW = 12  # places; stages of fewer take the mean of all curves
_TRIED = 1 << 16  # values that a plan is tried on
_WIDTHS = (3, 2)  # bits of the parts of a plan
_GRADES, _SMALLEST, _HALF_POWER = 26, 1 / 128, 1.4142135623730951  # expected sizes, two in each power of two
UNIT, _TABLE = 64, 1 << 12  # parts in which expected sizes are given, and the most


@dataclass(frozen=True)
class Plan:
    """How a field is visited, and how much finer coarse levels are kept."""

    lead: int = LEADS.index(0)
    tightness: int = 1
    along: int | None = None  # which of `choices`, if differences are taken in place of curves

    def step(self, shift: int, level: int) -> int:
        """Return the step of a level, at most ``2**shift``."""
        growth, most = _TIGHTNESS[self.tightness]
        fine = 16.0
        for _ in range(level):
            fine = min(fine * growth / 16, float(most))
        return max(1, int((1 << shift) * 16 / fine))


@dataclass(frozen=True)
class LatticeWay:
    """Interpolation from coarse to fine."""

    limits: ClassVar[tuple[int, int]] = (-_MOST, _MOST)
    gaps: ClassVar[bool] = True

    def applies(self, shape: tuple[int, ...], shift: int) -> bool:
        """Every array can be coded so."""
        return True

    def code(self, coder: Coder, known: Array, shift: int, true: Array | None = None) -> Array:
        """Write or read a field; see the other ways.

        Parameters
        ----------
        coder : BitWriter or BitReader
        known : ndarray, any shape, bool
            Where there are values.
        shift : int
            A step is ``2**shift`` units; 0 for whole numbers, which come back as they are.
        true : ndarray, the same shape, float64
            Values in units; for the writer.

        Returns
        -------
        ndarray, the same shape, int64
            Values in units, no more than half a step from `true`.
        """
        known = np.asarray(known, bool)
        if not known.any():
            return np.zeros(known.shape, np.int64)
        if known.ndim == 0:
            return self.code(coder, known[None], shift, None if true is None else true[None]).reshape(())
        if true is not None:
            true = np.where(known, true, 0)
        plan = _code_plan(coder, None if true is None else _best_plan(known, shift, true))
        return _coded(coder, known, shift, plan, true)


def _coded(coder: Coder, known: Array, shift: int, plan: Plan, true: Array | None) -> Array:
    if plan.along is None:
        return _Pass(coder, known, shift, plan, true).run()
    shape, found = close_shape(known), np.zeros(known.shape, np.int64)
    axes = choices(len(shape))[plan.along]
    numbers = None if true is None else _rounded(known, shift, true, shape, axes).astype(np.float64)
    inner = _Pass(coder, np.ones(shape, bool), 0, plan, numbers).run()
    found[known] = undone(inner, axes).reshape(-1) << shift
    return found


def _rounded(known: Array, shift: int, true: Array, shape: tuple[int, ...], axes: tuple[int, ...]) -> Array:
    return differences(np.rint(true[known] / (1 << shift)).astype(np.int64).reshape(shape), axes)


def _code_plan(coder: Coder, plan: Plan | None) -> Plan:
    """Write or read a plan: whether it takes differences, then how it goes on."""

    def code(width: int, number: int | None) -> int:
        return int(coder.draw(1, width, None if plan is None else np.array([number]))[0])

    if code(1, None if plan is None else int(plan.along is not None)):
        return Plan(along=code(2, plan.along if plan else None))
    lead = code(_WIDTHS[0], plan.lead if plan else None)
    return Plan(lead, code(_WIDTHS[1], plan.tightness if plan else None))


def _best_plan(known: Array, shift: int, true: Array) -> Plan:
    """Try plans on a part of the field, one after the other in the direction that pays."""
    part = _middle(known.shape)
    small, some = known[part], true[part]
    if not small.any():
        return Plan()
    costs: dict[Plan, int] = {}

    def cost(plan: Plan) -> int:
        if plan not in costs:
            writer = BitWriter()
            _coded(writer, small, shift, plan, some)
            costs[plan] = len(writer.to_bytes())
        return costs[plan]

    plan = Plan()
    if small.ndim > 1:
        plan = _climbed(cost, [Plan(number, plan.tightness) for number in range(len(LEADS))], plan)
    if shift:
        plan = _climbed(cost, [Plan(plan.lead, number) for number in range(len(_TIGHTNESS))], plan)
    other = _best_differences(known, small, shift, true, some)
    return plan if other is None or cost(plan) <= cost(other) else other


def _best_differences(known: Array, small: Array, shift: int, true: Array, some: Array) -> Plan | None:
    """Return the axes along which differences are smallest, if those of the whole field are not too large."""
    if np.abs(true).max() * 2 ** min(known.ndim, 4) >= MOST_DIFFERENCE << shift:
        return None
    shape = close_shape(small)
    kinds = choices(len(shape))
    sizes = [np.log2(1 + np.abs(_rounded(small, shift, some, shape, axes))).sum() for axes in kinds]
    return Plan(along=int(np.argmin(sizes)))


def _climbed(cost: Callable[[Plan], int], plans: list[Plan], start: Plan) -> Plan:
    """Return the first plan beside which none is cheaper."""
    at = plans.index(start)
    for move in (1, -1):
        while 0 <= at + move < len(plans) and cost(plans[at + move]) < cost(plans[at]):
            at += move
    return plans[at]


def _middle(shape: tuple[int, ...]) -> tuple[slice, ...]:
    """Return a part that is small enough to be tried, with the longest axes cut first."""
    sizes = list(shape)
    while np.prod(sizes) > _TRIED:
        longest = int(np.argmax(sizes))
        sizes[longest] = (sizes[longest] + 1) // 2
    return tuple(
        slice((size - kept) // 2, (size - kept) // 2 + kept) for size, kept in zip(shape, sizes, strict=True)
    )


class _Pass:
    """One field on its way through the coder."""

    def __init__(self, coder: Coder, known: Array, shift: int, plan: Plan, true: Array | None) -> None:
        self.coder, self.known, self.shift, self.plan, self.true = coder, known, shift, plan, true
        self.whole = bool(known.all())
        self.field = np.zeros(known.shape, np.int64)  # found, and where nothing is known what was expected
        self.sizes = np.zeros(known.shape, np.int32)  # of what was coded, in sixteenths of a full step
        self.counts = GradedCounts(2 * _LEVELS, _PRIOR)
        self.choices = np.ones((known.ndim + 1, 2 * known.ndim + 2), np.int64)
        self.chunks = GrowingChunks(_LARGEST_CHUNK)

    def run(self) -> Array:
        """Return the field."""
        self._start()
        for stage in stages(self.known.shape, LEADS[self.plan.lead]):
            self._visit(stage)
        return np.where(self.known, self.field, 0)

    def _start(self) -> None:
        """Code the first known value, near which the first place is expected, then that place."""
        origin = (0,) * self.known.ndim
        first = np.unravel_index(int(self.known.argmax()), self.known.shape)
        self.field[origin] = self._alone(first, 0)
        if self.known[origin]:
            self.field[origin] += self._alone(origin, self.field[origin])

    def _alone(self, place: tuple[Any, ...], expected: int) -> int:
        """Return by how much a value is not as expected, to the nearest step."""
        true = None if self.true is None else np.rint((self.true[place] - expected) / (1 << self.shift))
        number = None if true is None else np.array([true], np.int64)
        return int(code_numbers(self.coder, np.zeros(1, np.int64), Counts.empty(1), number)[0]) << self.shift

    def _visit(self, stage: Stage) -> None:
        lines = [_Line.of(self, stage, axis) for axis in stage.axes]
        step = self.plan.step(self.shift, stage.level)
        true = None if self.true is None else self.true[stage.places]
        centre = self._centre(lines, step, true) if self.plan.along is None else np.zeros_like(lines[0].near)
        known = self.known[stage.places]
        numbers = None if true is None else np.rint((true - centre) / step).astype(np.int64)
        found = self._code_stage(stage, lines, known, step, numbers)
        self.field[stage.places] = centre + found * step
        self.sizes[stage.places] = np.minimum(np.abs(found), 1 << 20) * max(1, (16 * step) >> self.shift)

    def _centre(self, lines: list["_Line"], step: int, true: Array | None) -> Array:
        """Return what is expected; where there is a choice of curves, it is coded."""
        count = len(lines)
        if lines[0].near.size < _FEW:
            return _joined(lines, 2 * count if count > 1 else 0)
        options = 2 * count + (2 if count > 1 else 0)
        weights = self.choices[count, :options]
        best = None
        if true is not None:
            costs = [np.log2(1 + 4 / step * np.abs(true - _joined(lines, option))).sum() for option in range(options)]
            best = np.array([np.argmin(costs)])
        option = int(self.coder.choose(weights[None], best)[0])
        weights[option] = min(weights[option] + 2, 1000)
        return _joined(lines, option)

    def _code_stage(
        self, stage: Stage, lines: list["_Line"], known: Array, step: int, numbers: Array | None
    ) -> Array:
        """Code every second place, then the others, which then have neighbours on all sides."""
        found = np.zeros(known.shape, np.int64)
        level = min(stage.level, _LEVELS - 1)
        before = _expected(lines, step, curved=self.plan.along is None)
        odd = _odd(known.shape)
        for turn in range(2):
            at = np.flatnonzero(known & (odd == turn))
            expected = before if turn == 0 else before + UNIT * _around(np.abs(found)) // (2 * known.ndim)
            contexts = (2 * level + turn) * self.counts.grades + _grades_of(expected.reshape(-1)[at])
            for chunk in self.chunks.of(len(at)):
                part = None if numbers is None else numbers.reshape(-1)[at[chunk]]
                found.reshape(-1)[at[chunk]] = code_numbers(self.coder, contexts[chunk], self.counts, part)  # type: ignore[arg-type]
        return found


@dataclass(frozen=True)
class _Line:
    """The two pairs of neighbours along one axis, and which of them are known: 15 if all are."""

    near: Array  # sum of the two, in units
    far: Array
    known: Array  # bits 1 far left, 2 near left, 4 near right, 8 far right; broadcasts
    values: tuple[Array, Array, Array, Array]
    sizes: Array  # sum of the two nearest

    @staticmethod
    def of(run: _Pass, stage: Stage, axis: int) -> "_Line":
        beside, count = stage.beside(axis), run.field[stage.places].shape[axis]
        values = _four(run.field[beside], axis, count)
        if run.whole:
            shape = [1] * run.known.ndim
            shape[axis] = run.known[beside].shape[axis]
            sure = np.ones(shape, bool)
        else:
            sure = run.known[beside]
        one, two, three, four = _four(sure.astype(np.int8), axis, count, fill=True)
        sizes = run.sizes[beside]
        _, left, right, _ = _four(sizes, axis, count)
        return _Line(
            values[1] + values[2], values[0] + values[3], one + 2 * two + 4 * three + 8 * four, values, left + right
        )

    def curve(self, cubic: bool) -> Array:
        """Return what is expected, times 16."""
        expected = 9 * self.near - self.far if cubic else 8 * self.near
        if (partial := self.known != 15).any():
            at = np.flatnonzero(np.broadcast_to(partial, expected.shape))
            weights = (_CUBIC if cubic else _LINEAR)[np.broadcast_to(self.known, expected.shape).reshape(-1)[at]]
            values = np.stack([value.reshape(-1)[at] for value in self.values], 1)
            expected.reshape(-1)[at] = (weights * values).sum(1)
        return expected

    def bend(self) -> Array:
        """Return how far the curves are apart, times 16."""
        bend: Array = np.abs(self.near - self.far)
        if (partial := self.known != 15).any():
            bend[np.broadcast_to(partial, bend.shape)] = 0
        return bend


def _four(values: Array, axis: int, count: int, *, fill: bool = False) -> tuple[Array, Array, Array, Array]:
    """Return the neighbours of `count` places along an axis, two on either side; beyond the ends, 0 or as there."""
    shape = list(values.shape)
    shape[axis] = count + 3
    padded = np.zeros(shape, values.dtype)
    inner = [slice(None)] * values.ndim
    inner[axis] = slice(1, 1 + values.shape[axis])
    padded[tuple(inner)] = values
    if not fill:  # what is not there is like what is beside it
        ends = [slice(None)] * values.ndim
        last = [slice(None)] * values.ndim
        ends[axis], last[axis] = (
            slice(1 + values.shape[axis], None),
            slice(values.shape[axis], 1 + values.shape[axis]),
        )
        padded[tuple(ends)] = padded[tuple(last)]
        ends[axis], last[axis] = slice(0, 1), slice(1, 2)
        padded[tuple(ends)] = padded[tuple(last)]
    parts = []
    for start in range(4):
        inner[axis] = slice(start, start + count)
        parts.append(np.ascontiguousarray(padded[tuple(inner)]))
    return parts[0], parts[1], parts[2], parts[3]


def _joined(lines: list[_Line], option: int) -> Array:
    """Return what is expected: by one line (cubic, linear, cubic, ...) or by the mean of all."""
    if option < 2 * len(lines):
        line = lines[option // 2]
        expected, weights = line.curve(option % 2 == 0), _WEIGHT[line.known]
        if len(lines) == 1 or weights.all():
            return np.asarray((expected + 8) >> 4)
        return np.where(weights > 0, (expected + 8) >> 4, _joined(lines, 2 * len(lines) + option % 2))
    curves = [line.curve(option % 2 == 0) for line in lines]
    shares = [_WEIGHT[line.known] for line in lines]
    if all((share == 4).all() for share in shares):
        total = 16 * len(lines)
        return np.asarray((sum(curves) + total // 2) // total)
    parts = np.asarray(sum(shares))
    none = parts == 0
    parts = np.where(none, len(lines), parts)
    summed = sum(np.where(none, 1, share) * curve for share, curve in zip(shares, curves, strict=True))
    return np.asarray((summed + 8 * parts) // (16 * parts))


def _expected(lines: list[_Line], step: int, *, curved: bool) -> Array:
    """Return expected sizes, in parts of `UNIT`, from sizes beside and from how far lines are from straight."""
    expected = np.asarray(sum(line.sizes for line in lines) // (2 * len(lines)) * (UNIT // 16), np.int64)
    if not curved:
        return expected
    bend = lines[0].bend()
    for line in lines[1:]:
        bend = np.minimum(bend, line.bend())
    return np.asarray(expected // 2 + np.minimum(bend, step << 12) // step)


def _odd(shape: tuple[int, ...]) -> Array:
    total = np.zeros((1,) * len(shape), np.int8)
    for axis, size in enumerate(shape):
        own = [1] * len(shape)
        own[axis] = size
        total = (total + (np.arange(size) % 2).astype(np.int8).reshape(own)) % 2
    return np.asarray(total)


def _around(sizes: Array) -> Array:
    """Return the sum of the neighbours on all sides."""
    total = np.zeros_like(sizes)
    for axis in range(sizes.ndim):
        moved, summed = np.moveaxis(sizes, axis, 0), np.moveaxis(total, axis, 0)
        summed[1:] += moved[:-1]
        summed[:-1] += moved[1:]
    return total


def _weights_of(four: dict[int, tuple[int, int, int, int]]) -> Array:
    table = np.zeros((16, 4), np.int64)
    for which, weights in four.items():
        table[which] = weights
    return table


_LINEAR = _weights_of(
    {0: (0, 8, 8, 0)}
    | dict.fromkeys((6, 7, 14, 15), (0, 8, 8, 0))
    | dict.fromkeys((2, 3, 10, 11), (0, 16, 0, 0))
    | dict.fromkeys((4, 5, 12, 13), (0, 0, 16, 0))
    | {1: (16, 0, 0, 0), 8: (0, 0, 0, 16), 9: (8, 0, 0, 8)}
)
_CUBIC = _LINEAR.copy()
for _which, _four_weights in {
    15: (-1, 9, 9, -1), 7: (-2, 12, 6, 0), 14: (0, 6, 12, -2), 3: (-8, 24, 0, 0), 12: (0, 0, 24, -8),
    11: (-4, 16, 0, 4), 13: (4, 0, 16, -4),
}.items():  # fmt: skip
    _CUBIC[_which] = _four_weights
_WEIGHT = np.array([4 if which & 6 == 6 else 1 if which else 0 for which in range(16)])


def _grades_of(expected: Array) -> Array:
    """Return the grades of expected sizes, int64 in parts of `UNIT`, 0 and more."""
    return np.asarray(_GRADE_OF[np.clip(expected, 0, _TABLE - 1)])


def _table_of_grades() -> Array:
    sizes = np.maximum(np.arange(_TABLE), 0.25) / UNIT
    mantissas, exponents = np.frexp(sizes / _SMALLEST)
    return np.asarray(np.clip(2 * exponents - 2 + (mantissas > 0.5 * _HALF_POWER), 0, _GRADES - 1))


_GRADE_OF = _table_of_grades()
_PRIOR = geometric_chances([_SMALLEST * 2.0 ** (grade // 2) * _HALF_POWER ** (grade % 2) for grade in range(_GRADES)])
