"""Tables of mixed columns: numbers, texts, truth values, dates, with missing cells."""

import re
import warnings
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Literal, get_args

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from refold._errors import DataError, RefoldWarning
from refold.data._frames import check_names

ColumnKind = Literal["number", "integer", "category", "date", "empty"]
Numbers = NDArray[np.float64]

MAX_CATEGORIES = 100
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
        kind = _kind(name, values)
        categories = _frequent_categories(name, values) if kind == "category" else ()
        return cls(name, kind, str(values.type), categories)

    def encode(self, values: pa.ChunkedArray) -> Numbers:
        """Return the values as float64 of shape (n,): numbers, codes or days since 1970; missing is NaN."""
        try:
            return _ENCODERS[self.kind](self, values)
        except (pa.ArrowInvalid, pa.ArrowNotImplementedError, pa.ArrowTypeError) as error:
            raise DataError(
                f"column {self.name!r} was fitted as {self.kind} ({self.type}) and now holds {values.type}, "
                "which cannot be read as such; convert the column"
            ) from error

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
        if kind not in ("empty", _kind_of_type(_arrow_type(type_))):
            raise DataError(f"the column {name!r} of type {type_} cannot be of kind {kind!r}")
        column = cls(name, kind, type_, tuple(description["categories"]))
        _check_categories(column, description["categories"])
        return column


@dataclass(frozen=True)
class TableAdapter:
    """What a table looks like, and the way to a matrix of numbers and back.

    A value of a category column that was not seen in `fit`, or that was not among the
    `MAX_CATEGORIES` most frequent ones, counts as missing.

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
        if table.num_columns == 0:
            raise DataError("the table has no columns; give at least one")
        check_names(table.column_names)
        return cls(tuple(Column.fit(name, table[name]) for name in table.column_names))

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

    def encode(self, table: pa.Table) -> Numbers:
        """Return the table as float64 of shape (n, columns), NaN where a cell is missing.

        Columns are taken by name; other columns of the table are left aside.
        """
        check_names(table.column_names)
        missing = [column.name for column in self.columns if column.name not in table.column_names]
        if missing:
            raise DataError(
                f"the table lacks {_listed(missing)}; it must have every column that was fitted: "
                f"{_listed([column.name for column in self.columns])}"
            )
        return np.column_stack([column.encode(table[column.name]) for column in self.columns])

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


def _listed(names: Sequence[str], most: int = 8) -> str:
    shown = ", ".join(repr(name) for name in names[:most])
    return shown + (f" and {len(names) - most} more" if len(names) > most else "")


# --- learning a column -----------------------------------------------------------------------------------------


def _kind(name: str, values: pa.ChunkedArray) -> ColumnKind:
    kind = _kind_of_type(values.type)
    if kind is None:
        raise DataError(
            f"column {name!r} holds {values.type}; allowed are numbers, texts, truth values and dates: "
            "convert the column or leave it out"
        )
    return "empty" if values.null_count == len(values) else kind


def _kind_of_type(type_: pa.DataType) -> ColumnKind | None:
    is_ = pa.types
    if is_.is_dictionary(type_):
        inner = _kind_of_type(type_.value_type)
        return None if inner is None else "category"
    if is_.is_boolean(type_) or _is_text(type_):
        return "category"
    if is_.is_integer(type_) or is_.is_time(type_) or is_.is_duration(type_):
        return "integer"
    if is_.is_floating(type_) or is_.is_decimal(type_):
        return "number"
    if is_.is_date(type_) or is_.is_timestamp(type_):
        return "date"
    return "empty" if is_.is_null(type_) else None


def _is_text(type_: pa.DataType) -> bool:
    return bool(pa.types.is_string(type_) or pa.types.is_large_string(type_))


def _frequent_categories(name: str, values: pa.ChunkedArray) -> tuple[Any, ...]:
    plain = _plain(values).drop_null()
    counts = pc.value_counts(plain.cast(_storage_type(plain.type))).to_pylist()
    counts.sort(key=lambda entry: (-entry["counts"], str(entry["values"])))
    kept = counts[:MAX_CATEGORIES]
    covered = sum(entry["counts"] for entry in kept) / sum(entry["counts"] for entry in counts)
    if covered < 0.5:
        warnings.warn(
            f"column {name!r} has {len(counts)} different texts in {len(values)} rows, too many to learn; the "
            f"{MAX_CATEGORIES} most frequent are kept and the others count as missing: leave the column out "
            "if it is an identifier",
            RefoldWarning,
            stacklevel=2,
        )
    return tuple(entry["values"] for entry in kept)


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
    type_ = _arrow_type(column.type, plain=True)
    return pa.array(column.categories, type=_storage_type(type_)).cast(type_)


def _storage_type(type_: pa.DataType) -> pa.DataType:
    """Return the type in which categories of `type_` are plain values."""
    if pa.types.is_decimal(type_):
        return pa.string()
    if pa.types.is_date32(type_) or pa.types.is_time32(type_):
        return pa.int32()
    return pa.int64() if pa.types.is_temporal(type_) else type_


def _plain(values: pa.ChunkedArray) -> pa.ChunkedArray:
    return values.cast(values.type.value_type) if pa.types.is_dictionary(values.type) else values


# --- to numbers ------------------------------------------------------------------------------------------------


def _encode_number(column: Column, values: pa.ChunkedArray) -> Numbers:
    numbers = _float64(values.cast(pa.float64(), safe=False))
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
    plain = _plain(values)
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
    return _float64(codes.cast(pa.float64()))


def _encode_date(column: Column, values: pa.ChunkedArray) -> Numbers:
    instants = values.cast(pa.timestamp("us", tz=getattr(values.type, "tz", None)), safe=False)
    return _float64(instants.cast(pa.int64()).cast(pa.float64(), safe=False)) / _A_DAY["us"]


def _encode_empty(column: Column, values: pa.ChunkedArray) -> Numbers:
    return np.full(len(values), np.nan)


def _float64(values: pa.ChunkedArray) -> Numbers:
    return np.asarray(pc.fill_null(values, float("nan")).to_numpy(), dtype=np.float64)


_ENCODERS = {
    "number": _encode_number,
    "integer": _encode_integer,
    "category": _encode_category,
    "date": _encode_date,
    "empty": _encode_empty,
}


# --- and back --------------------------------------------------------------------------------------------------


def _decode_number(column: Column, numbers: Numbers) -> pa.Array:
    type_ = _arrow_type(column.type)
    array = pa.array(numbers, from_pandas=True)
    if pa.types.is_decimal(type_):
        array = pc.round(array, ndigits=type_.scale)
    return array.cast(type_, safe=False)


def _decode_integer(column: Column, numbers: Numbers) -> pa.Array:
    type_ = _arrow_type(column.type)
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
    type_ = _arrow_type(column.type)
    return values.dictionary_encode().cast(type_) if pa.types.is_dictionary(type_) else values


def _decode_date(column: Column, numbers: Numbers) -> pa.Array:
    type_ = _arrow_type(column.type)
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
    return pa.nulls(len(numbers), type=_arrow_type(column.type))


_DECODERS = {
    "number": _decode_number,
    "integer": _decode_integer,
    "category": _decode_category,
    "date": _decode_date,
    "empty": _decode_empty,
}


# --- Arrow types as text ---------------------------------------------------------------------------------------

_WITH_ZONE = re.compile(r"timestamp\[(s|ms|us|ns), tz=([\w+\-/:]{1,64})\]")
_DECIMAL = re.compile(r"decimal(32|64|128|256)\((\d{1,2}), (-?\d{1,2})\)")
_DICTIONARY = re.compile(r"dictionary<values=([^<>]+), indices=(u?int(?:8|16|32|64)), ordered=([01])>")


def _arrow_type(text: str, *, plain: bool = False) -> pa.DataType:
    """Return the Arrow type that prints as `text`; with `plain`, the values' type of a dictionary."""
    if found := _DICTIONARY.fullmatch(text):
        values = _arrow_type(found[1])
        return values if plain else pa.dictionary(pa.type_for_alias(found[2]), values, found[3] == "1")
    try:
        if found := _WITH_ZONE.fullmatch(text):
            return pa.timestamp(found[1], tz=found[2])
        if found := _DECIMAL.fullmatch(text):
            return getattr(pa, f"decimal{found[1]}")(int(found[2]), int(found[3]))
        return pa.type_for_alias(_ALIASES.get(text, text))
    except ValueError as error:
        raise DataError(f"{text[:80]!r} is not an Arrow type that a table column can have") from error


_ALIASES = {"date32[day]": "date32", "date64[ms]": "date64"}
