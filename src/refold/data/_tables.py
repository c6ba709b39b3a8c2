"""Tables of mixed columns: numbers, texts, truth values, dates, with missing cells."""

import warnings
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any, get_args

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from refold._errors import DataError, RefoldWarning
from refold.data._arrow_types import ColumnKind, arrow_type, fits_float32, kind_of_type, plain_values, storage_type
from refold.data._counting import MAX_CATEGORIES, ColumnCounter, count_columns
from refold.data._frames import check_names

Numbers = NDArray[np.float32] | NDArray[np.float64]

_ROWS_TOGETHER, _COLUMNS_TOGETHER = 4096, 32  # put side by side at a time, so that they stay in the cache
_A_DAY = {"s": 86_400, "ms": 86_400_000, "us": 86_400_000_000, "ns": 86_400_000_000_000}
_CALENDAR_DAYS = (-719_162, 2_932_896)  # since 1970: the years 1 to 9999
_INSTANT_DAYS = (-719_161, 2_932_895)  # a day less at both ends, for time zones
_NANOSECOND_DAYS = (-106_750, 106_750)  # what 64 bits of nanoseconds hold, from 1677 to 2262
_MOST_DAYS = 999_999_998  # of a duration, as Python counts them


@dataclass(frozen=True)
class Column:
    """One column of a table.

    Parameters
    ----------
    name : str
    kind : {"number", "integer", "category", "date", "empty"}
        Truth values are a category of two. An empty column held no value at all in `fit`.
    type : str
        Arrow type of the user's column, such as ``"int64"``; `decode` returns it.
    categories : tuple of str, int, float or bool
        The values of a category column, the most frequent first; their places are the codes. Dates and the like
        stand as the whole numbers that Arrow stores, decimal numbers as texts.
    """

    name: str
    kind: ColumnKind
    type: str
    categories: tuple[str | int | float | bool, ...] = ()

    @classmethod
    def fit(cls, name: str, values: pa.ChunkedArray) -> "Column":
        """Learn kind, type and categories of the column from its values."""
        counter = ColumnCounter(name, values.type)
        counter.add(values)
        return cls.counted(counter)

    @classmethod
    def counted(cls, counter: ColumnCounter) -> "Column":
        """Return the column whose values were counted."""
        return cls(counter.name, counter.kind, str(counter.type), counter.categories())

    @property
    def dtype(self) -> np.dtype[Any]:
        """float32 where it holds every value of the column exactly, else float64."""
        single = self.kind in ("category", "empty") or fits_float32(self.type)
        return np.dtype(np.float32 if single else np.float64)

    def encode(self, values: pa.ChunkedArray, mark_unseen: bool = False) -> Numbers:
        """Return the values as `dtype` of shape (n,): numbers, codes or days since 1970; missing is NaN.

        With `mark_unseen` a value that is none of the categories gets the code after the last one.
        """
        if mark_unseen and self.kind == "category":
            return self._encode_marked(values)
        try:
            return _ENCODERS[self.kind](self, values)
        except (pa.ArrowInvalid, pa.ArrowNotImplementedError, pa.ArrowTypeError) as error:
            raise DataError(
                f"column {self.name!r} was fitted as {self.kind} ({self.type}) and now holds {values.type}, "
                "which cannot be read as such; convert the column"
            ) from error

    def _encode_marked(self, values: pa.ChunkedArray) -> Numbers:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", RefoldWarning)  # they do not count as missing here
            codes = self.encode(values)
        known = ~values.is_null().to_numpy()
        return np.where(np.isnan(codes) & known, len(self.categories), codes).astype(self.dtype)

    def decode(self, numbers: Numbers) -> pa.Array:
        """Return numbers of shape (n,) as an Arrow array of the user's type; NaN becomes null."""
        return _DECODERS[self.kind](self, np.asarray(numbers, dtype=np.float64))

    def to_json(self) -> dict[str, Any]:
        """Return a description that JSON can hold."""
        return {"name": self.name, "kind": self.kind, "type": self.type, "categories": list(self.categories)}

    @classmethod
    def from_json(cls, description: dict[str, Any]) -> "Column":
        """Rebuild a column from `to_json`; refuses what no honest description holds."""
        name, kind, type_ = str(description["name"]), description["kind"], description["type"]
        if kind not in get_args(ColumnKind):
            raise DataError(
                f"a column cannot be of kind {str(kind)[:40]!r}; known are {_listed(get_args(ColumnKind))}"
            )
        if kind not in ("empty", kind_of_type(arrow_type(type_))):
            raise DataError(f"the column {name!r} of type {type_} cannot be of kind {kind!r}")
        column = cls(name, kind, type_, tuple(description["categories"]))
        _check_categories(column, description["categories"])
        return column


@dataclass(frozen=True)
class TableAdapter:
    """What a table looks like, and the way to a matrix of numbers and back.

    A value of a category column that was not seen in `fit`, or that was not among the
    100 most frequent ones, counts as missing.

    Parameters
    ----------
    columns : tuple of Column

    Examples
    --------
    >>> import pyarrow as pa
    >>> table = pa.table({"age": [31, None, 54], "city": ["Graz", "Linz", "Graz"]})
    >>> adapter = TableAdapter.fit(table)
    >>> adapter.encode(table)
    array([[31.,  0.],
           [nan,  1.],
           [54.,  0.]])
    >>> adapter.decode(adapter.encode(table)).equals(table)
    True
    """

    columns: tuple[Column, ...]

    kind = "table"

    @classmethod
    def fit(cls, table: pa.Table) -> "TableAdapter":
        """Learn the columns of `table`."""
        return cls.fit_chunks([table], table.schema)

    @classmethod
    def fit_chunks(cls, chunks: Iterable[pa.Table], schema: pa.Schema) -> "TableAdapter":
        """Learn the columns of a table that comes in chunks; memory does not grow with their number.

        Parameters
        ----------
        chunks : iterable of pyarrow.Table
            No more of them are taken than it needs to know the columns.
        schema : pyarrow.Schema
            Names and types of the columns of every chunk.

        Raises
        ------
        DataError
            If there is no column, a name occurs twice, or a column cannot be learned.
        """
        counters = column_counters(schema)
        count_columns(counters, chunks)
        return cls.counted(counters)

    @classmethod
    def counted(cls, counters: Iterable[ColumnCounter]) -> "TableAdapter":
        """Return the adapter for columns whose values were counted."""
        return cls(tuple(Column.counted(counter) for counter in counters))

    @property
    def shape(self) -> tuple[int, ...]:
        """Shape of one record: (columns,)."""
        return (len(self.columns),)

    @property
    def n_categories(self) -> tuple[int, ...]:
        """Number of categories of each column, 0 for columns of numbers."""
        return tuple(len(column.categories) for column in self.columns)

    @property
    def value_range(self) -> tuple[float, float] | None:
        """None: columns differ."""
        return None

    @property
    def dtype(self) -> np.dtype[Any]:
        """Of the numbers: float32 where it holds every value of every column exactly, else float64."""
        return np.result_type(*[column.dtype for column in self.columns])

    def encode(self, table: pa.Table, mark_unseen: bool = False) -> Numbers:
        """Return the table as numbers of shape (n, columns) of `dtype`, NaN where a cell is missing.

        Columns are taken by name; other columns of the table are left aside. With `mark_unseen` a value that is none
        of its column's categories gets the code after the last one instead of counting as missing.

        Raises
        ------
        DataError
            If the table lacks a column, or one holds an infinite value or values of another kind than in `fit`.
        """
        self._check_has_columns(table)
        numbers = np.empty((len(table), len(self.columns)), self.dtype)
        for start in range(0, len(self.columns), _COLUMNS_TOGETHER):
            group = self.columns[start : start + _COLUMNS_TOGETHER]
            encoded = [column.encode(table[column.name], mark_unseen) for column in group]
            _put_side_by_side(encoded, numbers[:, start : start + _COLUMNS_TOGETHER])
        return numbers

    def _check_has_columns(self, table: pa.Table) -> None:
        check_names(table.column_names)
        missing = [column.name for column in self.columns if column.name not in table.column_names]
        if missing:
            raise DataError(
                f"the table lacks {_listed(missing)}; it must have every column that was fitted: "
                f"{_listed([column.name for column in self.columns])}"
            )

    def decode(self, numbers: Numbers) -> pa.Table:
        """Return a matrix of numbers of shape (n, columns) as a table with the user's names and types."""
        arrays = [column.decode(numbers[:, place]) for place, column in enumerate(self.columns)]
        return pa.table(arrays, names=[column.name for column in self.columns])

    def to_json(self) -> dict[str, Any]:
        """Return a description that JSON can hold."""
        return {"kind": self.kind, "columns": [column.to_json() for column in self.columns]}

    @classmethod
    def from_json(cls, description: dict[str, Any]) -> "TableAdapter":
        """Rebuild an adapter from `to_json`."""
        columns = tuple(Column.from_json(column) for column in description["columns"])
        if not columns:
            raise DataError("a table has at least one column")
        check_names([column.name for column in columns])
        return cls(columns)


def column_counters(schema: pa.Schema) -> list[ColumnCounter]:
    """Return a counter for each column.

    Raises
    ------
    DataError
        If there is no column, a name occurs twice, or a column cannot be learned.
    """
    if len(schema) == 0:
        raise DataError("the table has no columns; give at least one")
    check_names(schema.names)
    return [ColumnCounter(column.name, column.type) for column in schema]


def _put_side_by_side(columns: Sequence[Numbers], matrix: Numbers) -> None:
    for start in range(0, len(matrix), _ROWS_TOGETHER):
        rows = slice(start, start + _ROWS_TOGETHER)
        for place, column in enumerate(columns):
            matrix[rows, place] = column[rows]


def _listed(names: Sequence[str], most: int = 8) -> str:
    shown = ", ".join(repr(name) for name in names[:most])
    return shown + (f" and {len(names) - most} more" if len(names) > most else "")


def _check_categories(column: Column, listed: Any) -> None:
    """Raise DataError unless the categories are values that a column of this kind can have."""
    count = len(column.categories)
    plain = isinstance(listed, list) and all(isinstance(value, str | int | float) for value in listed)
    sound = 1 <= count <= MAX_CATEGORIES if column.kind == "category" else count == 0
    try:
        distinct = not listed or len(_known(column).unique()) == count
    except (pa.ArrowException, TypeError, ValueError, OverflowError):
        distinct = False
    if not (plain and sound and distinct):
        raise DataError(f"the categories of column {column.name!r} are not distinct plain values of its type")


def _known(column: Column) -> pa.Array:
    """Return the categories as an Arrow array of the values' type."""
    type_ = arrow_type(column.type, plain=True)
    return pa.array(column.categories, type=storage_type(type_)).cast(type_)


# --- to numbers ------------------------------------------------------------------------------------------------


def _encode_number(column: Column, values: pa.ChunkedArray) -> Numbers:
    numbers = _floats(column, values)
    if np.isinf(numbers).any():
        row = int(np.flatnonzero(np.isinf(numbers))[0])
        raise DataError(
            f"column {column.name!r} holds an infinite value (row {row}); make it a number or leave the cell empty"
        )
    return numbers


def _encode_integer(column: Column, values: pa.ChunkedArray) -> Numbers:
    if pa.types.is_time32(values.type):
        values = values.cast(pa.int32())
    elif pa.types.is_time64(values.type) or pa.types.is_duration(values.type):
        values = values.cast(pa.int64())
    return _encode_number(column, values)


def _encode_category(column: Column, values: pa.ChunkedArray) -> Numbers:
    plain = plain_values(values)
    known = _known(column)
    if plain.type != known.type:
        plain = plain.cast(known.type)
    codes = pc.index_in(plain, value_set=known, skip_nulls=True)
    unseen = codes.null_count - plain.null_count
    if unseen and len(column.categories) < MAX_CATEGORIES:
        warnings.warn(
            f"column {column.name!r} holds {unseen} values that are not among the {len(column.categories)} "
            "categories seen in fit; they count as missing",
            RefoldWarning,
            stacklevel=2,
        )
    return _floats(column, codes)


def _encode_date(column: Column, values: pa.ChunkedArray) -> Numbers:
    instants = values.cast(pa.timestamp("us", tz=getattr(values.type, "tz", None)), safe=False)
    return _floats(column, instants.cast(pa.int64())) / _A_DAY["us"]


def _encode_empty(column: Column, values: pa.ChunkedArray) -> Numbers:
    return np.full(len(values), np.nan, column.dtype)


def _floats(column: Column, values: pa.ChunkedArray) -> Numbers:
    """Return values as numbers of the column's dtype, missing ones as NaN; not copied where they are that already."""
    floats: Numbers = values.cast(pa.from_numpy_dtype(column.dtype), safe=False).to_numpy()
    return floats


_ENCODERS = {
    "number": _encode_number,
    "integer": _encode_integer,
    "category": _encode_category,
    "date": _encode_date,
    "empty": _encode_empty,
}


# --- and back --------------------------------------------------------------------------------------------------


def _decode_number(column: Column, numbers: Numbers) -> pa.Array:
    type_ = arrow_type(column.type)
    array = pa.array(numbers, from_pandas=True)
    if pa.types.is_decimal(type_):
        array = pc.round(array, ndigits=type_.scale)
    return array.cast(type_, safe=False)


def _decode_integer(column: Column, numbers: Numbers) -> pa.Array:
    type_ = arrow_type(column.type)
    lowest, highest = _integer_limits(type_)
    # the largest float64 that is still inside the type
    top = highest if highest < 2**53 else np.nextafter(float(highest), 0)
    whole = np.clip(np.rint(numbers), lowest, top)
    missing = np.isnan(whole)
    width = pa.int32() if pa.types.is_time32(type_) else pa.uint64() if type_ == pa.uint64() else pa.int64()
    integers = np.where(missing, 0, whole).astype(width.to_pandas_dtype())
    return pa.array(integers, type=width, mask=missing).cast(type_)


def _integer_limits(type_: pa.DataType) -> tuple[int, int]:
    if pa.types.is_time(type_):
        return 0, _A_DAY[type_.unit] - 1
    if pa.types.is_duration(type_):
        most = min(_MOST_DAYS * _A_DAY[type_.unit], 2**63 - 1)
        return -most, most
    bits = type_.bit_width
    return (0, 2**bits - 1) if pa.types.is_unsigned_integer(type_) else (-(2 ** (bits - 1)), 2 ** (bits - 1) - 1)


def _decode_category(column: Column, numbers: Numbers) -> pa.Array:
    missing = np.isnan(numbers)
    codes = _within(numbers, (0, len(column.categories) - 1)).astype(np.int64)
    values = _known(column).take(pa.array(codes, mask=missing))
    type_ = arrow_type(column.type)
    return values.dictionary_encode().cast(type_) if pa.types.is_dictionary(type_) else values


def _decode_date(column: Column, numbers: Numbers) -> pa.Array:
    type_ = arrow_type(column.type)
    missing = np.isnan(numbers)
    if pa.types.is_date(type_):
        whole = np.rint(_within(numbers, _CALENDAR_DAYS)).astype(np.int32)
        return pa.array(whole, mask=missing).cast(pa.date32()).cast(type_)
    # float64 cannot count nanoseconds, and a cast to a coarser unit would cut off instead of rounding
    unit = "us" if type_.unit == "ns" else type_.unit
    days = _within(numbers, _NANOSECOND_DAYS if type_.unit == "ns" else _INSTANT_DAYS)
    ticks = np.rint(days * _A_DAY[unit]).astype(np.int64)
    return pa.array(ticks, mask=missing).cast(pa.timestamp(unit, tz=type_.tz)).cast(type_)


def _within(numbers: Numbers, limits: tuple[float, float]) -> Numbers:
    """Return the numbers inside the limits, with 0 for those that are missing."""
    inside: Numbers = np.clip(np.nan_to_num(numbers, nan=0.0), *limits)
    return inside


def _decode_empty(column: Column, numbers: Numbers) -> pa.Array:
    return pa.nulls(len(numbers), type=arrow_type(column.type))


_DECODERS = {
    "number": _decode_number,
    "integer": _decode_integer,
    "category": _decode_category,
    "date": _decode_date,
    "empty": _decode_empty,
}
