"""Arrays that are read part by part, in shapes and types that others can hold."""

from collections.abc import Iterator
from dataclasses import dataclass
from math import prod
from typing import Any

import numpy as np
from numpy.typing import NDArray

from refold._errors import DataError

Array = NDArray[Any]

_TOGETHER = 1 << 22  # values that are read at once
_MOST_AXES = 4
_LARGEST_RECORD = 1 << 24  # values: larger records are cut along their own first axis
_SAMPLES = 16  # places that a sample is taken from
_AS_WHOLE = {"M": "i8", "m": "i8", "S": "u1"}  # dates, durations and single bytes are whole numbers inside
_MOST_ELEMENTS = 1 << 50


@dataclass(frozen=True, eq=False)
class Records:
    """An array on a disk, or anywhere, of which only parts are in memory.

    Parameters
    ----------
    source : object
        Indexed by a slice of the first axis it gives an ndarray.
    shape : tuple of int
        Of one axis at least.
    dtype : numpy.dtype

    Examples
    --------
    >>> records = Records(np.arange(12).reshape(4, 3), (4, 3), np.dtype(int))
    >>> records[1:3].shape, len(records), records.size
    ((2, 3), 4, 12)
    """

    source: Any
    shape: tuple[int, ...]
    dtype: np.dtype[Any]

    def __getitem__(self, part: slice) -> Array:
        start, stop, step = part.indices(self.shape[0])
        found = np.asarray(self.source[start:stop]).astype(self.dtype, copy=False)
        return found[::step] if step != 1 else found

    def __len__(self) -> int:
        return self.shape[0]

    @property
    def ndim(self) -> int:
        """How many axes there are."""
        return len(self.shape)

    @property
    def size(self) -> int:
        """How many values there are."""
        return prod(self.shape)

    @property
    def nbytes(self) -> int:
        """The bytes of all values."""
        return self.size * self.dtype.itemsize

    def parts(self) -> Iterator[tuple[int, Array]]:
        """Yield the array in parts that memory holds, each with the place of its first record."""
        step = max(1, _TOGETHER // max(prod(self.shape[1:]), 1))
        for start in range(0, self.shape[0], step):
            yield start, self[start : start + step]

    def cut(self, start: int, stop: int) -> "Records":
        """Return some of the records, not read yet."""
        return Records(_Cut(self, start), (stop - start, *self.shape[1:]), self.dtype)

    def sample(self, values: int) -> Array:
        """Return about so many values: whole records, in runs spread over all."""
        wanted = max(1, values // max(prod(self.shape[1:]), 1))
        if wanted >= len(self):
            return self[:]
        runs = min(_SAMPLES, wanted)
        starts = np.linspace(0, len(self) - wanted // runs, runs).astype(int)
        return np.concatenate([self[int(start) : int(start) + wanted // runs] for start in starts], dtype=self.dtype)


@dataclass(frozen=True)
class _Cut:
    records: Records
    start: int

    def __getitem__(self, part: slice) -> Array:
        return self.records[self.start + part.start : self.start + part.stop]


def records_of(source: Any, name: str = "") -> Records:
    """Return what can be indexed as numpy arrays can as records; of no axes as one of one record.

    Raises
    ------
    DataError
        If the values are no numbers, truth values, dates or bytes.
    """
    dtype = np.dtype(source.dtype)
    known = (dtype.kind in "biuf" and dtype.itemsize <= 8) or dtype.kind in "Mm" or dtype in ("c8", "c16", "S1")
    if not known:
        raise DataError(
            f"{name or 'the array'!r} is of {dtype}, which cannot be compressed; allowed are numbers of at most 64 "
            "bits, truth values, dates and durations"
        )
    shape = tuple(int(length) for length in source.shape)
    return Records(source, shape, dtype) if shape else Records(np.asarray(source[()]).reshape(1), (1,), dtype)


# --- shapes and types that a compressed file has -------------------------------------------------------------------


def folded(records: Records, shape: tuple[int, ...]) -> tuple[Records, dict[str, Any]]:
    """Return records of at most four axes, none too large, of numbers; and what it takes to undo it.

    Parameters
    ----------
    records : Records
    shape : tuple of int
        The true shape, which has no axes where the records are one number.
    """
    more: dict[str, Any] = {}
    numbers = _as_numbers(records)
    if numbers is not records:
        more["dtype"] = records.dtype.str
    merged = 1
    while merged < numbers.ndim and (
        numbers.ndim - merged + 1 > _MOST_AXES or prod(numbers.shape[merged:]) > _LARGEST_RECORD
    ):
        merged += 1
    if merged > 1:
        first = prod(numbers.shape[:merged])
        numbers = Records(_Folded(numbers, merged), (first, *numbers.shape[merged:]), numbers.dtype)
    if numbers.shape != shape:
        more["shape"] = list(shape)
    return numbers, more


def unfolded(records: Records, more: dict[str, Any]) -> tuple[Records, tuple[int, ...]]:
    """Return records as they were before `folded`, and their true shape.

    Raises
    ------
    ValueError
        If what is said of them does not suit.
    """
    dtype = np.dtype(str(more["dtype"])) if "dtype" in more else records.dtype
    shape = _shape_of(more, records)
    inside = _shape_inside(shape or (1,), dtype)
    if dtype.kind not in "biufcMmS" or prod(inside) != records.size:
        raise ValueError("the shape or the type that is told of an array does not suit its values")
    if inside != records.shape:
        if inside[len(inside) - records.ndim + 1 :] != records.shape[1:]:
            raise ValueError("the shape that is told of an array does not suit its records")
        records = Records(_Unfolded(records, inside), inside, records.dtype)
    if dtype != records.dtype:
        if np.dtype(inside_type(dtype)).newbyteorder("=") != records.dtype.newbyteorder("="):
            raise ValueError("the type that is told of an array does not suit its values")
        records = Records(_Viewed(records, dtype), shape or (1,), dtype)
    return records, shape


def array_unfolded(values: Array, more: dict[str, Any]) -> Array:
    """Return a whole array as it was before `folded`; as it is where what is said of it does not suit."""
    if not {"shape", "dtype"} & more.keys():
        return values
    try:
        flat = values if values.ndim else values.reshape(1)
        records, shape = unfolded(Records(flat, flat.shape, flat.dtype), more)
        return records[:].reshape(shape)
    except (ValueError, TypeError, AttributeError):
        return values


def _shape_of(more: dict[str, Any], records: Records) -> tuple[int, ...]:
    told = more.get("shape", list(records.shape))
    if not isinstance(told, list) or not all(type(length) is int and 0 <= length < _MOST_ELEMENTS for length in told):
        raise ValueError("the shape that is told of an array is none")
    if len(told) > 64:
        raise ValueError("the shape that is told of an array has too many axes")
    return tuple(told)


def _shape_inside(shape: tuple[int, ...], dtype: np.dtype[Any]) -> tuple[int, ...]:
    return (*shape, 2) if dtype.kind == "c" else shape


def inside_type(dtype: np.dtype[Any]) -> str:
    """Return the type of the numbers that values are inside, in their order of bytes."""
    order = dtype.str[0] if dtype.str[0] in "<>" else "|"
    if dtype.kind == "c":
        return f"{order}f{dtype.itemsize // 2}"
    kind = _AS_WHOLE.get(dtype.kind)
    return dtype.str if kind is None else f"{order}{kind}"


def _as_numbers(records: Records) -> Records:
    """Return dates as whole numbers, and complex numbers as pairs along one more axis."""
    inside = np.dtype(inside_type(records.dtype))
    if inside == records.dtype:
        return records
    return Records(_Numbers(records, inside), _shape_inside(records.shape, records.dtype), inside)


@dataclass(frozen=True)
class _Numbers:
    """Values as the numbers that they are inside; indexed by slices and numbers as its source is."""

    records: Records
    inside: np.dtype[Any]

    def __getitem__(self, part: Any) -> Array:
        found = np.ascontiguousarray(self.records.source[part])
        shape = _shape_inside(found.shape, self.records.dtype)
        return found.reshape(-1).view(self.inside).reshape(shape)


@dataclass(frozen=True)
class _Viewed:
    """Numbers as the values that they are inside of."""

    records: Records
    dtype: np.dtype[Any]

    def __getitem__(self, part: slice) -> Array:
        found = np.ascontiguousarray(self.records[part])
        shape = found.shape[:-1] if self.dtype.kind == "c" else found.shape
        little = found.astype(found.dtype.newbyteorder("<"), copy=False).reshape(-1)
        return little.view(self.dtype.newbyteorder("<")).astype(self.dtype, copy=False).reshape(shape)


@dataclass(frozen=True)
class _Folded:
    """Records whose first axes are one."""

    records: Records
    merged: int

    def __getitem__(self, part: slice) -> Array:
        lead = self.records.shape[: self.merged]
        inner, pieces, place = lead[-1], [], part.start
        while place < part.stop:
            *outer, first = (int(index) for index in np.unravel_index(place, lead))
            last = min(inner, first + part.stop - place)
            pieces.append(np.asarray(self.records.source[(*outer, slice(first, last))]))
            place += last - first
        empty = np.zeros((0, *self.records.shape[self.merged :]), self.records.dtype)
        return np.concatenate(pieces) if pieces else empty


@dataclass(frozen=True)
class _Unfolded:
    """Records whose first axis are several."""

    records: Records
    shape: tuple[int, ...]

    def __getitem__(self, part: slice) -> Array:
        each = self.records.size // max(self.shape[0], 1) // max(prod(self.records.shape[1:]), 1)
        found = self.records[part.start * each : part.stop * each]
        return found.reshape(part.stop - part.start, *self.shape[1:])
