"""Arrays to sections of a compressed file and back, block by block."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from math import prod
from typing import IO, Any

import numpy as np
from numpy.typing import NDArray

from refold._errors import CompressedFileError, DataError
from refold.codec import (
    CODE,
    FIRST_LEARNED,
    MOST_VALUES,
    ArrayEntry,
    ArrayHead,
    BlockHead,
    Bound,
    RefzContents,
    RefzWriter,
    Ways,
    find_fill,
    model_mark,
    pack,
    read_block,
    unpack,
    values_checksum,
    ways_of,
)
from refold.estimators._code_alone import Spread
from refold.estimators._packing_pool import Packing

Array = NDArray[Any]
Told = Callable[[int], None]

BLOCK = 1 << 22  # values: large enough to learn from, small enough to go to at random
_MOST_AXES = 4
_LOOKED_AT = 1 << 22  # values that numbers for "nothing here" are looked for in


@dataclass(frozen=True)
class Wish:
    """How an array is compressed: what is promised, by which ways and how many values a block has at most."""

    bound: Bound
    ways: Ways
    fill: tuple[float, ...] | None = None  # None: they are looked for
    block: int = BLOCK


@dataclass
class Tally:
    """What came of the blocks of an array."""

    values: int = 0
    raw: int = 0
    packed: int = 0
    largest_error: float = 0.0
    squares: float = 0.0  # of all errors
    spread: Spread = field(default_factory=Spread)  # of values that were reduced to a code
    blocks: int = 0
    by_way: dict[int, int] = field(default_factory=dict)  # values, by the number of the way
    sizes: list[int] = field(default_factory=list)  # bytes of each block
    bound: Bound | None = None  # that the values had together

    def add(self, before: Array, after: Array, packed: int, way: int) -> None:
        """Count a block."""
        self.values += before.size
        self.raw += before.nbytes
        self.packed += packed
        self.blocks += 1
        self.sizes.append(packed)
        self.by_way[way] = self.by_way.get(way, 0) + before.size
        errors = errors_of(before, after)
        self.largest_error = max(self.largest_error, float(errors.max(initial=0.0)))
        with np.errstate(over="ignore"):
            self.squares += float(np.square(errors).sum())
        if way == CODE:
            self.spread.add(before)

    @property
    def kept(self) -> float:
        """Return the share of the variance that comes back from a code."""
        return self.spread.kept(self.squares)

    @property
    def learned(self) -> float:
        """Return the share of values that went a learned way."""
        return sum(count for way, count in self.by_way.items() if way >= FIRST_LEARNED) / max(self.values, 1)


def checked_array(X: Any) -> Array:
    """Return an array that can be compressed.

    Raises
    ------
    DataError
        If it is none of numbers, or has too many axes or too large records.
    """
    values = np.asarray(X)
    if values.dtype.kind not in "biuf" or values.dtype.itemsize > 8:
        raise DataError(
            f"an array of {values.dtype} cannot be compressed; give whole numbers, bool, or floats of at most 64 bits"
        )
    if values.ndim > _MOST_AXES:
        raise DataError(f"an array of {values.ndim} axes cannot be compressed; reshape it to at most {_MOST_AXES}")
    if prod(values.shape[1:]) > MOST_VALUES:
        raise DataError(
            f"a record of {prod(values.shape[1:]):,} values is too large for a block; reshape the array so that its "
            f"first axis cuts it into parts of at most {MOST_VALUES:,}"
        )
    return values


def write_array(
    writer: RefzWriter, values: Any, wish: Wish, name: str = "", more: dict[str, Any] | None = None,
    mark: bytes = b"", told: Told | None = None, packing: Packing | None = None,
) -> Tally:  # fmt: skip
    """Write an array to a compressed file; only one block at a time is in memory where it stays on a disk.

    Parameters
    ----------
    writer : RefzWriter
    values : ndarray or Records
    wish : Wish
    name : str
    more : dict, optional
        What a reader may want to know beside, as JSON.
    mark : bytes
        Of the model that blocks may need.
    told : callable, optional
        Told how many values were written.
    packing : callable, optional
        What packs blocks (`packing_by`), with the ways of `wish`; without it they are packed here.
    """
    tally = Tally()
    records = values.reshape(1) if values.ndim == 0 else values
    rows = rows_of_block(records.shape, wish.block)
    fill = wish.fill if wish.fill is not None else fill_of(records)
    bound = bound_within(records, wish.bound, fill, rows)
    tally.bound = bound
    writer.begin(
        ArrayHead(
            name, _dtype_text(values), records.shape[1:], rows, not values.ndim, str(wish.bound), mark, more or {}
        )
    )
    blocks = (_native(records[start : start + rows]) for start in range(0, len(records), rows))
    pairs = ((each, pack(each, bound, wish.ways, fill)) for each in blocks)
    for block, packed in pairs if packing is None else packing(blocks, bound, fill):
        writer.block(len(block), packed.values, packed.data)
        tally.add(block, packed.values, len(packed.data), packed.way)
        if told is not None:
            told(block.size)
    return tally


def read_blocks(file: IO[bytes], entry: ArrayEntry, ways: Ways) -> Iterator[Array]:
    """Yield the blocks of an array, each compared with its checksum.

    Raises
    ------
    CompressedFileError
        If a block is damaged, or needs a model that is not among `ways`.
    """
    for block in entry.blocks:
        yield read_one_block(file, entry, block, ways)


def read_one_block(file: IO[bytes], entry: ArrayEntry, block: BlockHead, ways: Ways) -> Array:
    """Return a block of an array, compared with its checksum."""
    dtype = np.dtype(entry.head.dtype)
    values = unpack(read_block(file, block), (block.rows, *entry.head.record), dtype.newbyteorder("<"), ways)
    if values_checksum(values) != block.checksum:
        raise CompressedFileError(
            "the compressed data are damaged, or were made by a version of refold that reckons differently: a block "
            "came back with other values than it had"
        )
    return values.astype(dtype, copy=False)


def read_array(file: IO[bytes], entry: ArrayEntry, ways: Ways) -> Array:
    """Return an array whole."""
    found = np.empty(entry.shape if not entry.head.scalar else (1,), np.dtype(entry.head.dtype))
    start = 0
    for block in read_blocks(file, entry, ways):
        found[start : start + len(block)] = block
        start += len(block)
    return found.reshape(entry.shape)


def ways_for(entry: ArrayEntry, contents: RefzContents, models: dict[bytes, bytes]) -> Ways:
    """Return the ways that blocks of an array may need.

    Raises
    ------
    CompressedFileError
        If they need a model that is neither in the file nor among `models`.
    """
    mark = entry.head.model
    if not mark or not any(block.way >= FIRST_LEARNED for block in entry.blocks):
        return ways_of(b"")
    model = {**models, **contents.models}.get(mark)
    if model is None:
        raise CompressedFileError(
            f"these data were compressed with the model {mark.hex()}, which is not in the file; give that model"
        )
    return ways_of(model)


def marked(model: bytes) -> bytes:
    """Return how a file names a model; nothing for none."""
    return model_mark(model) if model else b""


# --- what is asked of the whole array ------------------------------------------------------------------------------


def rows_of_block(shape: tuple[int, ...], block: int = BLOCK) -> int:
    """Return how many records a block has."""
    return int(min(max(1, block // max(prod(shape[1:]), 1)), max(shape[0], 1)))


def fill_of(records: Array) -> tuple[float, ...]:
    """Return numbers that stand for nothing, found in records spread over all."""
    step = max(1, records.size // _LOOKED_AT)
    return find_fill(_native(records[::step])) if records.size else ()


def bound_within(records: Array, bound: Bound, fill: tuple[float, ...], rows: int) -> Bound:
    """Return the bound that this array has: of a share of the range, after one pass over all values."""
    if bound.lossless or bound.within(np.zeros(0)) == bound:
        return bound
    lowest, highest = np.inf, -np.inf
    for start in range(0, len(records), rows):
        values = _native(records[start : start + rows]).reshape(-1)
        ordinary = values[np.isfinite(values) & ~np.isin(values, np.array(fill, values.dtype))]
        if ordinary.size:
            lowest, highest = min(lowest, float(ordinary.min())), max(highest, float(ordinary.max()))
    ends = np.array([lowest, highest]) if lowest <= highest else np.zeros(1)
    return bound.within(ends)


def errors_of(before: Array, after: Array) -> Array:
    """Return by how much values differ, in float64; those that are not finite do not count."""
    finite = np.isfinite(before) & np.isfinite(after)
    with np.errstate(over="ignore"):
        return np.abs(before[finite].astype(np.float64) - after[finite].astype(np.float64))


def _native(values: Array) -> Array:
    return np.ascontiguousarray(values, values.dtype.newbyteorder("<"))


def _dtype_text(values: Array) -> str:
    text = values.dtype.str
    return text if text[0] != "=" else values.dtype.newbyteorder("<").str
