"""Feather files read batch by batch; they are files of Arrow's record batches."""

import os
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from struct import unpack_from
from typing import Any, BinaryIO

import pyarrow as pa

from refold._errors import DataError
from refold.data._files import reading
from refold.data._stream_tables import chosen, conform, plain_schema, runs_of, table_stream
from refold.data._streams import Stream

_SIGN = b"ARROW1"


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
            count = 0
            for place in self.places:
                batch = file.get_batch(place)
                count += len(batch)
                for start in range(0, len(batch), rows):
                    table = pa.Table.from_batches([batch.slice(start, rows)])
                    yield conform(table, self.schema)
        if count != self.size:
            raise DataError(f"{self.path.name!r} is broken or changed after it was opened; open it again")

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
        runs = runs_of([int(size * share) for size in sizes])
        pieces = [RecordBatches(path, tuple(run), sum(sizes[place] for place in run), schema) for run in runs]
        return table_stream(pieces, schema)


@contextmanager
def _feather_file(path: Path) -> Iterator[Any]:
    """Open a file by a map of it, out of which cells that are not packed are not even copied."""
    with pa.memory_map(str(path)) as source:
        yield pa.ipc.open_file(source)


# --- how many records the batches hold: in their heads, to which Arrow offers no way but reading the batches ------


def _batch_sizes(path: Path) -> list[int]:
    with open(path, "rb") as file:
        return [_size_in_head(_head(file, start, length)) for start, length in _heads(_footer(file))]


def _footer(file: BinaryIO) -> bytes:
    file.seek(-4 - len(_SIGN), os.SEEK_END)
    (length,) = unpack_from("<i", file.read(4))
    file.seek(-4 - len(_SIGN) - length, os.SEEK_END)
    return file.read(length)


def _heads(footer: bytes) -> Iterator[tuple[int, int]]:
    """Yield where the heads of the batches start and how long they are."""
    place = _field(footer, _pointed_to(footer, 0), 3)
    blocks = _pointed_to(footer, place) if place else len(footer)
    for block in range(unpack_from("<I", footer, blocks)[0] if place else 0):
        yield unpack_from("<qi", footer, blocks + 4 + 24 * block)


def _head(file: BinaryIO, start: int, length: int) -> bytes:
    file.seek(start)
    head = file.read(length)
    return head[8:] if head[:4] == b"\xff\xff\xff\xff" else head[4:]


def _size_in_head(head: bytes) -> int:
    batch = _pointed_to(head, _field(head, _pointed_to(head, 0), 2))
    place = _field(head, batch, 0)
    return int(unpack_from("<q", head, place)[0]) if place else 0


def _pointed_to(data: bytes, place: int) -> int:
    return place + int(unpack_from("<I", data, place)[0])


def _field(data: bytes, table: int, field: int) -> int:
    """Return where a field of a table of FlatBuffers stands, 0 if it is left out."""
    fields = table - int(unpack_from("<i", data, table)[0])
    (length,) = unpack_from("<H", data, fields)
    offset = int(unpack_from("<H", data, fields + 4 + 2 * field)[0]) if 4 + 2 * field < length else 0
    return table + offset if offset else 0
