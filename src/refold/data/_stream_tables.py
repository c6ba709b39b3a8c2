"""Parquet and Feather files read piece by piece."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from math import ceil
from pathlib import Path
from struct import unpack_from
from typing import Any

import pyarrow as pa

from refold.data._files import reading
from refold.data._frames import check_names, to_arrow
from refold.data._streams import HEAD_RECORDS, PIECE_BYTES, Stream, TablePiece

_BUFFERED_BYTES = 1 << 25  # of a Parquet file's columns together while they are read
_SIGN_BYTES = 8  # at the beginning of a Feather file
_TEXT = 1 << 10  # bits that stand for a cell whose width varies
_BUFFERS = (1 << 14, 1 << 20)  # smallest and largest buffer of one column


def plain_schema(schema: pa.Schema) -> pa.Schema:
    """Return names and types of the columns as tables have them inside.

    Raises
    ------
    DataError
        If a name occurs more than once.
    """
    check_names(schema.names)
    plain = to_arrow(schema.empty_table()).schema
    return pa.schema([(column.name, column.type) for column in plain])


def conform(table: pa.Table, schema: pa.Schema) -> pa.Table:
    """Return the columns of `schema` from a table, in its order and types."""
    columns = [_as_type(table[column.name], column.type) for column in schema]
    return pa.Table.from_arrays(columns, schema=schema)


def _as_type(column: pa.ChunkedArray, type_: pa.DataType) -> pa.ChunkedArray:
    return column if column.type == type_ else column.cast(type_, safe=False)


def chosen(schema: pa.Schema, columns: Sequence[str]) -> pa.Schema:
    """Return the schema of these columns only."""
    return pa.schema([schema.field(name) for name in columns])


def table_stream(pieces: Sequence[TablePiece], schema: pa.Schema, record_bytes: int = 0) -> Stream:
    """Return the stream of pieces of a table; without `record_bytes` its first records tell them."""
    filled = (piece for piece in pieces if piece.size)
    head: pa.Table = next((block for piece in filled for block in piece.blocks(HEAD_RECORDS)), schema.empty_table())
    size = sum(piece.size for piece in pieces)
    return Stream(tuple(pieces), size, max(record_bytes, ceil(head.nbytes / max(len(head), 1))), "pyarrow", (), head)


# --- Parquet ---------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class RowGroups:
    """Neighbouring row groups of a Parquet file: one, or several small ones."""

    path: Path
    places: tuple[int, ...]
    size: int
    schema: pa.Schema
    metadata: Any = field(repr=False, compare=False)

    def blocks(self, rows: int) -> Iterator[pa.Table]:
        """Yield the records in order, at most `rows` at a time."""
        with reading(self.path), _parquet_file(self.path, self.metadata, len(self.schema)) as file:
            for batch in file.iter_batches(rows, row_groups=list(self.places), columns=self.schema.names):
                yield conform(pa.Table.from_batches([batch]), self.schema)

    def select(self, columns: Sequence[str]) -> "RowGroups":
        """Return the piece with these columns only."""
        return replace(self, schema=chosen(self.schema, columns))


def open_parquet(path: Path) -> Stream:
    """Return the row groups of a Parquet file as a stream; only its footer and first records are read.

    Raises
    ------
    DataError
        If the file is broken or a column name occurs more than once.
    """
    with reading(path):
        with _parquet_file(path) as file:
            metadata, schema = file.metadata, plain_schema(file.schema_arrow)
        groups = [metadata.row_group(place) for place in range(metadata.num_row_groups)]
        runs = _runs([group.total_byte_size for group in groups])
        pieces = [
            RowGroups(path, tuple(run), sum(groups[place].num_rows for place in run), schema, metadata)
            for run in runs
        ]
        texts = any(_width(type_) == _TEXT for type_ in schema.types)
        unpacked = sum(group.total_byte_size for group in groups) if texts else 0
        return table_stream(pieces, schema, ceil(unpacked / max(metadata.num_rows, 1)))


def _parquet_file(path: Path, metadata: Any = None, columns: int = 1) -> Any:
    """Return an open file that reads its columns page by page: else a row group would be read whole."""
    from pyarrow import parquet

    buffer_size = min(max(_BUFFERED_BYTES // max(columns, 1), _BUFFERS[0]), _BUFFERS[1])
    return parquet.ParquetFile(path, metadata=metadata, pre_buffer=False, buffer_size=buffer_size)


def _width(type_: pa.DataType) -> int:
    """Return the bits of a cell."""
    try:
        return int(type_.bit_width)
    except ValueError:
        return _TEXT


def _runs(sizes: Sequence[int]) -> list[list[int]]:
    """Return the places of `sizes` in runs whose sums stay within PIECE_BYTES; what is larger stands alone."""
    runs: list[list[int]] = []
    total = PIECE_BYTES
    for place, size in enumerate(sizes):
        if total + size > PIECE_BYTES:
            runs.append([])
            total = 0
        runs[-1].append(place)
        total += size
    return runs


# --- Feather, which is a file of Arrow's record batches ---------------------------------------------------------


@dataclass(frozen=True)
class RecordBatches:
    """Neighbouring record batches of a Feather file: one, or several small ones."""

    path: Path
    places: tuple[int, ...]
    size: int
    schema: pa.Schema

    def blocks(self, rows: int) -> Iterator[pa.Table]:
        """Yield the records in order, at most `rows` at a time."""
        with reading(self.path), _feather_file(self.path) as file:
            for place in self.places:
                batch = file.get_batch(place)
                for start in range(0, len(batch), rows):
                    table = pa.Table.from_batches([batch.slice(start, rows)])
                    yield conform(table, self.schema)

    def select(self, columns: Sequence[str]) -> "RecordBatches":
        """Return the piece with these columns only."""
        return replace(self, schema=chosen(self.schema, columns))


def open_feather(path: Path) -> Stream:
    """Return the record batches of a Feather file as a stream; only its heads and first records are read.

    Raises
    ------
    DataError
        If the file is broken or a column name occurs more than once.
    """
    with reading(path):
        with _feather_file(path) as file:
            schema = plain_schema(file.schema)
        sizes = _batch_sizes(path)
        share = path.stat().st_size / max(sum(sizes), 1)
        runs = _runs([int(size * share) for size in sizes])
        pieces = [RecordBatches(path, tuple(run), sum(sizes[place] for place in run), schema) for run in runs]
        return table_stream(pieces, schema)


@contextmanager
def _feather_file(path: Path) -> Iterator[Any]:
    """Open a file by a map of it, out of which cells that are not packed are not even copied."""
    with pa.memory_map(str(path)) as source:
        yield pa.ipc.open_file(source)


def _batch_sizes(path: Path) -> list[int]:
    """Return the numbers of records of the batches, from the heads of their messages alone."""
    with pa.memory_map(str(path)) as source:
        source.seek(_SIGN_BYTES)
        messages = pa.ipc.MessageReader.open_stream(source)
        return [_length(message.metadata.to_pybytes()) for message in messages if message.type == "record batch"]


def _length(head: bytes) -> int:
    """Return the length that the head of a record batch states; Arrow offers no way to it but reading the batch."""
    (message,) = unpack_from("<I", head)
    batch = _place_of_field(head, message, 2)
    batch += int(unpack_from("<I", head, batch)[0])
    return int(unpack_from("<q", head, _place_of_field(head, batch, 0))[0])


def _place_of_field(head: bytes, table: int, field: int) -> int:
    """Return where a field of a table of FlatBuffers stands."""
    (back,) = unpack_from("<i", head, table)
    (offset,) = unpack_from("<H", head, table - back + 4 + 2 * field)
    return table + int(offset)
