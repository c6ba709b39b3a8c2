"""Values of any type as whole numbers, and back by operations that every machine does alike.

Exactly, by a `NumberMap`; or within a bound, as multiples of a unit. Where errors are promised as a share of each
value, the multiples are of its logarithm, or rather of a number that nearly is one and whose way back needs only a
square root.
"""

import struct
from dataclasses import dataclass, replace
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from refold.codec._bits import Coder
from refold.codec._bound import OF_VALUE, Bound
from refold.codec._masks import code_mask
from refold.codec._number_maps import NumberMap, number_map

Array = NDArray[Any]

FINE = 4  # a step is 2**FINE units, so that predictions are finer than what is kept
_MOST_UNITS = float(1 << 50)
_BEND = (
    85 / 256
)  # of the curve that stands for the logarithm; its slope is that of the logarithm within .922 and 1.04
_LEAST_SLOPE = 0.9218
_TIGHTER = (1.0, 0.999, 0.5)  # steps that are tried one after the other, until all values are within the bound


class Whole(Protocol):
    """What stands between values and whole numbers."""

    @property
    def shift(self) -> int:
        """A number may be off by half of 2**shift; 0 means exact."""

    def true(self, values: Array) -> Array:
        """Return the numbers of values, which need not be whole unless `shift` is 0."""

    def code_rest(self, coder: Coder, shape: tuple[int, ...], values: Array | None = None) -> Array | None:
        """Write or read what numbers do not say."""

    def values(self, numbers: Array, rest: Array | None, dtype: Any) -> Array:
        """Return the values of whole numbers."""

    def to_bytes(self) -> bytes:
        """Return what `whole_from_bytes` makes the same of."""


@dataclass(frozen=True)
class Exact:
    """Every value has a number of its own."""

    numbers: NumberMap
    shift: int = 0

    def true(self, values: Array) -> Array:
        """Return the numbers."""
        return self.numbers.to_numbers(values)

    def code_rest(self, coder: Coder, shape: tuple[int, ...], values: Array | None = None) -> Array | None:
        """There is no rest."""

    def values(self, numbers: Array, rest: Array | None, dtype: Any) -> Array:
        """Return the values, all bits of them."""
        return self.numbers.to_values(numbers).astype(dtype, copy=False)

    def to_bytes(self) -> bytes:
        """Return the map."""
        return b"e" + self.numbers.to_bytes()


@dataclass(frozen=True)
class Grid:
    """Whole numbers rounded to every ``2 * reach + 1``-th one: none is off by more than `reach`."""

    reach: int
    shift: int = 0

    def true(self, values: Array) -> Array:
        """Return which point of the grid is nearest."""
        return (values.astype(np.int64) + self.reach) // (2 * self.reach + 1)

    def code_rest(self, coder: Coder, shape: tuple[int, ...], values: Array | None = None) -> Array | None:
        """There is no rest."""

    def values(self, numbers: Array, rest: Array | None, dtype: Any) -> Array:
        """Return the points, within what the type can hold."""
        limits = np.iinfo(dtype)
        return np.asarray(np.clip(numbers * (2 * self.reach + 1), limits.min, limits.max), dtype)

    def to_bytes(self) -> bytes:
        """Return the reach."""
        return b"g" + struct.pack("<q", self.reach)


@dataclass(frozen=True)
class Multiples:
    """Floats as multiples of a unit."""

    unit: float
    shift: int = FINE

    def true(self, values: Array) -> Array:
        """Return how many units a value is, rounded only if `shift` is 0."""
        return _perhaps_rounded(values.astype(np.float64) / self.unit, self.shift)

    def code_rest(self, coder: Coder, shape: tuple[int, ...], values: Array | None = None) -> Array | None:
        """There is no rest."""

    def values(self, numbers: Array, rest: Array | None, dtype: Any) -> Array:
        """Return one product for each number, rounded to the type."""
        with np.errstate(over="ignore"):
            return (numbers.astype(np.float64) * self.unit).astype(dtype)

    def to_bytes(self) -> bytes:
        """Return the unit."""
        return (b"m" if self.shift else b"q") + struct.pack("<d", self.unit)


@dataclass(frozen=True)
class Logarithms:
    """Floats as multiples of a unit of nearly their binary logarithm; signs are the rest, zero is a special value."""

    unit: float
    shift: int = FINE

    def true(self, values: Array) -> Array:
        """Return how many units the logarithm of a value is, rounded only if `shift` is 0."""
        halves, exponents = np.frexp(np.abs(values.astype(np.float64)))
        part = 2 * halves - 1
        return _perhaps_rounded((exponents + part + _BEND * part * (1 - part)) / self.unit, self.shift)

    def code_rest(self, coder: Coder, shape: tuple[int, ...], values: Array | None = None) -> Array | None:
        """Write or read where values are negative."""
        return code_mask(coder, shape, None if values is None else values < 0)

    def values(self, numbers: Array, rest: Array | None, dtype: Any) -> Array:
        """Return the values: the curve's way back, and the sign."""
        curve = numbers.astype(np.float64) * self.unit
        exponents = np.floor(curve)
        part = ((1 + _BEND) - np.sqrt((1 + _BEND) * (1 + _BEND) - 4 * _BEND * (curve - exponents))) / (2 * _BEND)
        with np.errstate(over="ignore", under="ignore"):
            size = np.ldexp((part + 1) / 2, np.clip(exponents, -1100, 1100).astype(np.int32))
            return np.where(np.asarray(rest), -size, size).astype(dtype)

    def to_bytes(self) -> bytes:
        """Return the unit."""
        return (b"l" if self.shift else b"k") + struct.pack("<d", self.unit)


_UNITS: dict[bytes, tuple[type[Multiples] | type[Logarithms], int]] = {
    b"m": (Multiples, FINE),
    b"q": (Multiples, 0),
    b"l": (Logarithms, FINE),
    b"k": (Logarithms, 0),
}


def _perhaps_rounded(numbers: Array, shift: int) -> Array:
    return np.asarray(numbers if shift else np.rint(numbers).astype(np.int64))


def coarse(whole: Whole) -> Whole:
    """Return the same rounding to whole steps, for ways that predict no parts of them."""
    if isinstance(whole, Multiples | Logarithms) and whole.shift:
        return replace(whole, unit=whole.unit * (1 << whole.shift), shift=0)
    return whole


def forms_of(whole: Whole) -> list[Whole]:
    """Return the rounding, and that to whole steps if it is another."""
    return [whole, coarse(whole)] if whole.shift else [whole]


def whole_from_bytes(data: bytes) -> Whole:
    """Return what `to_bytes` told.

    Raises
    ------
    ValueError
        If it told nothing that there is.
    """
    kind, rest = data[:1], data[1:]
    if kind == b"e":
        return Exact(NumberMap.from_bytes(rest))
    if kind == b"g" and len(rest) == 8:
        (reach,) = struct.unpack("<q", rest)
        if reach > 0:
            return Grid(reach)
    if kind in _UNITS and len(rest) == 8:
        (unit,) = struct.unpack("<d", rest)
        if np.isfinite(unit) and unit > 0:
            rounding, shift = _UNITS[kind]
            return rounding(unit, shift)
    raise ValueError("values are mapped in a way that is not known")


def whole_of(values: Array, known: Array, bound: Bound) -> Whole | None:
    """Return how values become whole numbers: as coarse as the bound allows where it allows anything, else exactly.

    Parameters
    ----------
    values : ndarray
        Of a block, without gaps.
    known : ndarray of bool
        Where values are kept; the others do not matter.
    bound : Bound
        Not one of a share of the range; see `Bound.within`.

    Returns
    -------
    whole : Whole or None
        None if there is none, because numbers would leave what can be coded.
    """
    if not bound.lossless and known.any():
        whole = _rounding(values, known, bound)
        if whole is not None:
            return whole
    numbers = number_map(values)
    return None if numbers is None else Exact(numbers)


def _rounding(values: Array, known: Array, bound: Bound) -> Whole | None:
    if values.dtype.kind != "f":
        reach = int(min(bound.amount, 1 << 40)) if bound.kind != OF_VALUE else 0
        fits = values.dtype.kind != "b" and reach and np.abs(values[known].astype(np.float64)).max() < _MOST_UNITS
        return Grid(reach) if fits else None
    return _logarithms(values[known], bound) if bound.kind == OF_VALUE else _multiples(values[known], bound)


def _multiples(ordinary: Array, bound: Bound) -> Multiples | None:
    largest = float(np.abs(ordinary).max())
    last = np.ldexp(float(np.finfo(ordinary.dtype).eps), int(np.frexp(largest)[1]) - 2)
    reach = bound.amount - float(last)  # the last rounding, to the type, has its share
    if not reach > bound.amount / 8 or not np.isfinite(reach):
        return None
    unit = 2 * reach * (1 - 1e-12) / (1 << FINE)
    return Multiples(unit) if 0 < unit < np.inf and largest / unit < _MOST_UNITS else None


def _logarithms(ordinary: Array, bound: Bound) -> Logarithms | None:
    if ordinary.dtype.itemsize < 4 or not (np.abs(ordinary) >= np.finfo(ordinary.dtype).tiny).all():
        return None
    reach = float(np.log2(1 + bound.amount)) - 2 * float(np.finfo(ordinary.dtype).eps)
    unit = 2 * _LEAST_SLOPE * reach / (1 << FINE)
    return Logarithms(unit) if reach > 0 and 2048 / unit < _MOST_UNITS else None


def tighter(whole: Whole) -> list[Whole]:
    """Return the same rounding with smaller and smaller steps, for what is not within the bound by the first."""
    if isinstance(whole, Multiples | Logarithms):
        return [replace(whole, unit=whole.unit * factor) for factor in _TIGHTER]
    return [whole]


def keeps(values: Array, found: Array, known: Array, bound: Bound) -> bool:
    """Return whether values came back within the bound, reckoned in float64; whole numbers exactly."""
    before, after = values[known], found[known]
    if bound.lossless or values.dtype.kind == "b":
        return before.tobytes() == after.tobytes()
    if values.dtype.kind in "iu" and values.dtype.itemsize == 8:
        apart = np.where(before > after, before - after, after - before).astype(np.uint64)
        return bool((apart <= np.uint64(min(bound.amount, 1 << 60))).all())
    with np.errstate(over="ignore", invalid="ignore"):
        return bool((np.abs(before.astype(np.float64) - after.astype(np.float64)) <= bound.allowed(before)).all())
