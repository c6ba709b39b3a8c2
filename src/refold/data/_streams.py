"""Records on disk that are read piece by piece, for data larger than memory."""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from math import ceil
from typing import Any, Protocol, cast

import numpy as np
import pyarrow as pa

from refold.data._frames import FrameKind
from refold.data._sources import Source, check_columns

PIECE_BYTES = 1 << 23  # what one piece holds where the file leaves the choice
HEAD_RECORDS = 128
_HEAD_BYTES = 1 << 20
_ENCODED_CELL = 8  # bytes of a table's cell as a number


class Piece(Protocol):
    """A part of the records that can be read without the others."""

    @property
    def size(self) -> int:
        """Number of records."""

    def blocks(self, rows: int) -> Iterator[Any]:
        """Yield the records in order, at most `rows` at a time: arrays (n, *record) or Arrow tables."""


class TablePiece(Piece, Protocol):
    """A piece of a table."""

    def select(self, columns: Sequence[str]) -> "TablePiece":
        """Return the piece with these columns only; the others are not read."""


@dataclass(frozen=True)
class Stream:
    """Records on disk that are read piece by piece; memory does not grow with their number.

    Parameters
    ----------
    pieces : tuple of Piece
        What can be read apart, in the order of the records: row groups, ranges of a file, handfuls of pictures.
    size : int
        Number of records.
    record_bytes : int
        Estimate of one record's bytes in memory.
    frame : {"pyarrow"} or None
        "pyarrow" for tables; None for arrays and pictures.
    names : tuple of str
        File names of the pictures of a folder, relative to it; empty for everything else.
    head : ndarray of shape (k, *record) or pyarrow.Table
        The first few records; they show shape and dtype, or names and types of the columns.
    """

    pieces: tuple[Piece, ...]
    size: int
    record_bytes: int
    frame: FrameKind | None
    names: tuple[str, ...]
    head: Any

    def chunks(self, rows: int) -> Iterator[Source]:
        """Yield the records in order as sources in memory of `rows` records, the last one perhaps of fewer.

        Raises
        ------
        DataError
            If a file cannot be read or changed after it was opened.
        """
        start = 0
        for values in in_rows(_blocks(self.pieces, rows), rows):
            yield Source(values, self.names[start : start + len(values)], self.frame)
            start += len(values)

    def select(self, columns: Sequence[str]) -> "Stream":
        """Return the stream with these columns of its table only; the others are not read.

        Raises
        ------
        DataError
            If it holds no table, or the table lacks one of them.
        """
        known = self.head.column_names if self.frame else None
        check_columns(columns, known)
        pieces = tuple(cast("TablePiece", piece).select(tuple(columns)) for piece in self.pieces)
        head = self.head.select(list(columns))
        record_bytes = ceil(self.record_bytes * head.nbytes / max(self.head.nbytes, 1))
        return replace(self, pieces=pieces, head=head, record_bytes=record_bytes)


def in_memory_bytes(data: Source | Stream) -> int:
    """Return about how many bytes the records take in memory; those of tables count twice, as cells and as numbers.

    Parameters
    ----------
    data : Source or Stream

    Examples
    --------
    >>> in_memory_bytes(Source(np.zeros((5, 2), np.float32)))
    40
    """
    values = data.values if isinstance(data, Source) else data.head
    encoded = _ENCODED_CELL * values.num_columns if data.frame else widened_bytes(values.dtype, data.record_bytes)
    return data.size * (data.record_bytes + encoded)


def widened_bytes(dtype: np.dtype[Any], record_bytes: int) -> int:
    """Return what a record takes once more as numbers, where its own type is not what networks take."""
    if dtype in (np.uint8, np.float32, np.float64):
        return 0
    return record_bytes // dtype.itemsize * (1 if dtype == np.bool_ else 4 if dtype.itemsize <= 2 else 8)


def head_records(record_bytes: int) -> int:
    """Return how many records a head holds: few where they are large."""
    return min(HEAD_RECORDS, max(1, _HEAD_BYTES // max(record_bytes, 1)))


def in_rows(blocks: Iterable[Any], rows: int) -> Iterator[Any]:
    """Yield blocks of arrays or tables joined and cut to `rows` records; what fits as it is is not copied."""
    held: list[Any] = []
    for block in blocks:
        while (space := rows - sum(map(len, held))) <= len(block):
            yield _joined([*held, block[:space]])
            held, block = [], block[space:]
        if len(block):
            held.append(block)
    if held:
        yield _joined(held)


def _blocks(pieces: Iterable[Piece], rows: int) -> Iterator[Any]:
    for piece in pieces:
        yield from piece.blocks(rows)


def _joined(blocks: Sequence[Any]) -> Any:
    if len(blocks) == 1:
        return blocks[0]
    return pa.concat_tables(blocks) if isinstance(blocks[0], pa.Table) else np.concatenate(blocks)
