"""What streams of tables share, whatever file they come from."""

from collections.abc import Sequence
from math import ceil

import pyarrow as pa

from refold.data._frames import check_names, to_arrow
from refold.data._streams import HEAD_RECORDS, PIECE_BYTES, Stream, TablePiece


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
    """Return the stream of the pieces of a table that hold records; the first ones tell `record_bytes` at least."""
    filled = [piece for piece in pieces if piece.size]
    head: pa.Table = next((block for piece in filled for block in piece.blocks(HEAD_RECORDS)), schema.empty_table())
    size = sum(piece.size for piece in filled)
    return Stream(tuple(filled), size, max(record_bytes, ceil(head.nbytes / max(len(head), 1))), "pyarrow", (), head)


def runs_of(sizes: Sequence[int]) -> list[list[int]]:
    """Return the places of parts of these bytes in runs of at most PIECE_BYTES; what is larger stands alone."""
    runs: list[list[int]] = []
    total = 0
    for place, size in enumerate(sizes):
        if not runs or total + size > PIECE_BYTES:
            runs.append([])
            total = 0
        runs[-1].append(place)
        total += size
    return runs
