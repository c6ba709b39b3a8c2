"""Parquet files read row group by row group, and a row group block by block."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, replace
from math import ceil
from pathlib import Path
from typing import Any

import pyarrow as pa

from refold.data._files import reading
from refold.data._stream_tables import chosen, conform, plain_schema, runs_of, table_stream
from refold.data._streams import Stream

_BUFFERED_BYTES = 1 << 25  # of a file's columns together while they are read
_BUFFERS = (1 << 14, 1 << 20)  # smallest and largest buffer of one column


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
        runs = runs_of([group.total_byte_size for group in groups])
        pieces = [
            RowGroups(path, tuple(run), sum(groups[place].num_rows for place in run), schema, metadata)
            for run in runs
        ]
        texts = not all(map(_has_width, schema.types))
        unpacked = sum(group.total_byte_size for group in groups) if texts else 0
        return table_stream(pieces, schema, ceil(unpacked / max(metadata.num_rows, 1)))


def _parquet_file(path: Path, metadata: Any = None, columns: int = 1) -> Any:
    """Return an open file that reads its columns page by page: else a row group would be read whole."""
    from pyarrow import parquet

    buffer_size = min(max(_BUFFERED_BYTES // max(columns, 1), _BUFFERS[0]), _BUFFERS[1])
    return parquet.ParquetFile(path, metadata=metadata, pre_buffer=False, buffer_size=buffer_size)


def _has_width(type_: pa.DataType) -> bool:
    """Say whether all cells of a type take the same space."""
    try:
        return int(type_.bit_width) > 0
    except ValueError:
        return False
