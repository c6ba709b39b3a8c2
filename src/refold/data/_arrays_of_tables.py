"""Tables as named arrays: columns of one type side by side, and which cells are missing."""

import base64
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from refold._atomic import write_whole
from refold._errors import DataError
from refold.data._array_records import Records
from refold.data._arrays_in_files import ArraysOfFile, NamedArray
from refold.data._files import ending_of, read_file, reading
from refold.data._text import beginning_of, dialect_of, is_packed

Array = NDArray[Any]

ENDINGS = (".parquet", ".feather", ".arrow", ".csv", ".tsv", ".txt")
_NULLS = "missing"
_ROWS = 1 << 16  # that are written at once
_MOST_SHOWN = 8


# --- reading -------------------------------------------------------------------------------------------------------


def open_table(path: Path, member: str = "", drop: Sequence[str] = ()) -> ArraysOfFile:
    """Open a table: Parquet by groups of rows, others whole."""
    closing = ExitStack()
    with reading(path), closing:
        rows = _ParquetRows(path, closing) if ending_of(path) == ".parquet" else _RowsInMemory(read_file(str(path)))
        names = _chosen(rows.schema, drop, path)
        arrays = tuple(_arrays(rows, names))
        kept = pa.schema([rows.schema.field(name) for name in names])
        about = {"schema": base64.b64encode(kept.serialize().to_pybytes()).decode(), **_dialect(path)}
        return ArraysOfFile("table", path.name, about, arrays, closing=closing.pop_all())
    raise AssertionError


def _dialect(path: Path) -> dict[str, Any]:
    if ending_of(path) not in (".csv", ".tsv", ".txt"):
        return {}
    dialect = dialect_of(beginning_of(path))
    return {"delimiter": dialect.delimiter, "headless": dialect.headless}


class _RowsInMemory:
    """A table in memory."""

    def __init__(self, table: pa.Table) -> None:
        self.schema, self.count, self._table = table.schema, len(table), table

    def take(self, name: str, start: int, stop: int) -> pa.Array:
        return _joined(self._table[name].slice(start, stop - start))

    def missing(self, name: str) -> bool:
        return bool(self._table[name].null_count)


class _ParquetRows:
    """A Parquet file, of which one group of rows of some columns is in memory."""

    def __init__(self, path: Path, closing: ExitStack) -> None:
        from pyarrow import parquet

        self._path, self._file = path, closing.enter_context(parquet.ParquetFile(path))
        self.schema, meta = self._file.schema_arrow.remove_metadata(), self._file.metadata
        counts = [meta.row_group(place).num_rows for place in range(meta.num_row_groups)]
        self._ends = np.cumsum([0, *counts])
        self.count = int(self._ends[-1])
        self._held: dict[str, tuple[int, pa.ChunkedArray]] = {}

    def take(self, name: str, start: int, stop: int) -> pa.Array:
        first = int(np.searchsorted(self._ends, start, "right")) - 1
        parts: list[pa.ChunkedArray] = []
        for group in range(first, len(self._ends) - 1):
            begin, end = int(self._ends[group]), int(self._ends[group + 1])
            if begin >= stop:
                break
            inside = max(start, begin) - begin
            parts.append(self._group(name, group).slice(inside, min(stop, end) - begin - inside))
        chunks = [chunk for part in parts for chunk in part.chunks]
        return _joined(pa.chunked_array(chunks, self.schema.field(name).type))

    def missing(self, name: str) -> bool:
        return any(self._group(name, group).null_count for group in range(len(self._ends) - 1))

    def _group(self, name: str, group: int) -> pa.ChunkedArray:
        held = self._held.get(name)
        if held is None or held[0] != group:
            with reading(self._path):
                self._held[name] = held = (group, self._file.read_row_group(group, [name])[name])
        return held[1]


_Rows = _RowsInMemory | _ParquetRows


def _joined(column: pa.ChunkedArray) -> pa.Array:
    found = column.combine_chunks()
    return found if isinstance(found, pa.Array) else pa.concat_arrays(found.chunks)


def _chosen(schema: pa.Schema, drop: Sequence[str], path: Path) -> list[str]:
    for name in drop:
        if name not in schema.names:
            known = ", ".join(schema.names[:_MOST_SHOWN])
            raise DataError(f"the table has no column {name!r}; its columns are {known}")
    if len(set(schema.names)) < len(schema.names):
        raise DataError(f"{path.name!r} has a column name more than once; rename one of the columns")
    names = [name for name in schema.names if name not in drop]
    others = [name for name in names if _number_type(schema.field(name).type) is None]
    if others:
        shown = ", ".join(map(repr, others[:_MOST_SHOWN])) + (", ..." if len(others) > _MOST_SHOWN else "")
        raise DataError(
            f"the column{'s' if len(others) > 1 else ''} {shown} of {path.name!r} "
            f"{'are' if len(others) > 1 else 'is'} neither numbers, truth values nor dates; leave such columns out "
            "with --drop COLUMN"
        )
    return names


def _number_type(kind: pa.DataType) -> pa.DataType | None:
    """Return the type of numbers that a column has inside; None for texts and the like."""
    if pa.types.is_boolean(kind) or pa.types.is_integer(kind) or pa.types.is_floating(kind):
        return kind
    if pa.types.is_temporal(kind) and not pa.types.is_interval(kind):
        return pa.int32() if kind.bit_width == 32 else pa.int64()
    return None


def _arrays(rows: _Rows, names: Sequence[str]) -> Iterator[NamedArray]:
    groups: dict[tuple[str, bool], list[str]] = {}
    for name in names:
        kind = rows.schema.field(name).type
        inside = _number_type(kind) or kind
        groups.setdefault((np.dtype(inside.to_pandas_dtype()).name, kind != inside), []).append(name)
    for (dtype, dates), columns in groups.items():
        called = columns[0] if len(columns) == 1 else f"{dtype} dates" if dates else dtype
        yield _named(called, rows, columns, np.dtype(dtype), False)
    incomplete = [name for name in names if rows.missing(name)]
    if incomplete:
        yield _named(_NULLS, rows, incomplete, np.dtype(bool), True)


def _named(called: str, rows: _Rows, columns: list[str], dtype: np.dtype[Any], nulls: bool) -> NamedArray:
    shape = (rows.count, len(columns))
    records = Records(_Columns(rows, columns, dtype, nulls), shape, dtype)
    exact = dtype.kind != "f"
    return NamedArray(called, records, shape, exact, more={"nulls" if nulls else "columns": columns})


def columns_apart(arrays: Sequence[NamedArray]) -> tuple[NamedArray, ...]:
    """Return arrays with every column of floats on its own, so that each has its own range."""
    found: list[NamedArray] = []
    for array in arrays:
        source = array.records.source
        if isinstance(source, _Columns) and array.records.dtype.kind == "f":
            found += [_named(name, source.rows, [name], array.records.dtype, False) for name in source.names]
        else:
            found.append(array)
    return tuple(found)


@dataclass(frozen=True)
class _Columns:
    """Columns side by side; a missing cell repeats the one above it, which costs the least."""

    rows: _Rows
    names: Sequence[str]
    dtype: np.dtype[Any]
    nulls: bool

    def __getitem__(self, part: slice) -> Array:
        found = np.empty((part.stop - part.start, len(self.names)), self.dtype)
        for place, name in enumerate(self.names):
            column = self.rows.take(name, part.start, part.stop)
            found[:, place] = column.is_null().to_numpy(zero_copy_only=False) if self.nulls else _values(column)
        return found


def _values(column: pa.Array) -> Array:
    import pyarrow.compute as pc

    kind = _number_type(column.type)
    numbers = column if kind == column.type else column.view(kind)
    if numbers.null_count:
        numbers = pc.fill_null(pc.fill_null_forward(numbers), pa.scalar(0, pa.int8()).cast(kind))
    return np.asarray(numbers.to_numpy(zero_copy_only=False))


# --- writing -------------------------------------------------------------------------------------------------------


def write_table(path: Path, arrays: Sequence[NamedArray], about: dict[str, Any]) -> None:
    """Write a table part by part in the kind that the path's ending names, whole or not at all.

    Raises
    ------
    ValueError
        If what is told of the table does not suit its arrays.
    """
    schema, found = _schema_of(about), _by_column(arrays)
    counts = {len(array.records) for array in arrays}
    if set(schema.names) != {name for name, nulls in found if not nulls} or len(counts) != 1:
        raise ValueError("the columns of the table do not suit its arrays")
    with write_whole(path) as temporary, _writer(temporary, path, schema, about) as writer:
        for start in range(0, max(counts), _ROWS):
            stop = min(start + _ROWS, max(counts))
            parts = {id(array): array.records[start:stop] for array in arrays}
            columns = [_column(name, schema.field(name).type, found, parts) for name in schema.names]
            writer.write(pa.RecordBatch.from_arrays(columns, schema=schema))


_Found = dict[tuple[str, bool], tuple[int, int]]


def _schema_of(about: dict[str, Any]) -> pa.Schema:
    schema = pa.ipc.read_schema(pa.py_buffer(base64.b64decode(about["schema"], validate=True)))
    if len(set(schema.names)) < len(schema.names) or any(_number_type(field.type) is None for field in schema):
        raise ValueError("the table has columns that cannot be")
    return schema


def _by_column(arrays: Sequence[NamedArray]) -> _Found:
    """Return of every column, of values or of what is missing, its array and its place there."""
    found: _Found = {}
    for array in arrays:
        nulls = "nulls" in array.more
        names = array.more["nulls" if nulls else "columns"]
        if len(array.shape) != 2 or len(names) != array.shape[1]:
            raise ValueError("the columns of an array are not as many as are told")
        found |= {(str(name), nulls): (id(array), place) for place, name in enumerate(names)}
    return found


def _column(name: str, kind: pa.DataType, found: _Found, parts: dict[int, Array]) -> pa.Array:
    array, place = found[name, False]
    missing = found.get((name, True))
    mask = None if missing is None else parts[missing[0]][:, missing[1]].astype(bool)
    values = np.ascontiguousarray(parts[array][:, place])
    inside = pa.array(values.astype(values.dtype.newbyteorder("="), copy=False), _number_type(kind), mask=mask)
    return inside if inside.type == kind else inside.view(kind)


@contextmanager
def _writer(temporary: Path, path: Path, schema: pa.Schema, about: dict[str, Any]) -> Iterator[Any]:
    """Yield what writes batches of rows, in the kind that the final path's ending names."""
    ending = ending_of(path)
    if ending == ".parquet":
        from pyarrow import parquet

        with parquet.ParquetWriter(temporary, schema) as writer:
            yield writer
    elif ending in (".feather", ".arrow"):
        with pa.ipc.new_file(str(temporary), schema, options=pa.ipc.IpcWriteOptions(compression="lz4")) as writer:
            yield writer
    else:
        from pyarrow import csv

        delimiter = str(about.get("delimiter") or ("\t" if ending == ".tsv" else ","))
        options = csv.WriteOptions(include_header=not about.get("headless"), delimiter=delimiter)
        with (
            pa.output_stream(str(temporary), compression="gzip" if is_packed(path) else None) as file,
            csv.CSVWriter(file, schema, write_options=options) as writer,
        ):
            yield writer
