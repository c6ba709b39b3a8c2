"""A block of values to bytes: the shortest of all ways that keep the promise, and back."""

import struct
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from refold._errors import CompressedFileError
from refold.codec._bits import BitReader, BitWriter
from refold.codec._bound import Bound
from refold.codec._learned_code import LearnedCode
from refold.codec._lengths import length_bytes, read_length
from refold.codec._plain_bytes import BZ2, LZMA, RAW, shuffled, unshuffled
from refold.codec._specials import Specials, code_specials, find_specials
from refold.codec._ways import CODE, COLUMNS, FIELD, FIRST_LEARNED, LATTICE, PICTURES, TABLE, Way, Ways
from refold.codec._whole import Whole, forms_of, keeps, tighter, whole_from_bytes, whole_of

Array = NDArray[Any]

_BYTES = {0: (RAW, False), 1: (LZMA, False), 2: (BZ2, False), 3: (LZMA, True)}
_LARGE = 1 << 14  # values: ways of larger blocks are tried on a part
_LEAST_ROWS, _LEAST_RECORDS = 64, 8  # that such a part has of a table, and of others
_NEAR, _MOST_TRIED = 1.1, 2  # times the best on a part: ways that may be the best on the whole, and how many at most
_RIVALS = {FIELD: (LATTICE,), PICTURES: (LATTICE,), TABLE: (LATTICE, COLUMNS)}
_PART_LONGER = 1.3  # times its share of the whole: what a part may take, which lacks what lies around it
_SAMPLE = 1 << 16  # bytes that general compressors are tried on
_DAMAGED = (ValueError, IndexError, OverflowError, TypeError, AssertionError, ZeroDivisionError, struct.error)


@dataclass(frozen=True)
class Packed:
    """A block as bytes, the number of the way it went, and the values that will come back."""

    data: bytes
    way: int
    values: Array


def code_of(ways: Ways) -> LearnedCode | None:
    """Return the code that all blocks are reduced to, if that is how they are compressed."""
    found = ways.get(CODE)
    return found if isinstance(found, LearnedCode) else None


def pack(values: Array, bound: Bound, ways: Ways, fill: tuple[float, ...] = ()) -> Packed:
    """Return the shortest that keeps the promise, which was checked.

    Parameters
    ----------
    values : ndarray of bool, whole numbers or floats, (n, ...)
    bound : Bound
        Not one of a share of the range.
    ways : mapping of int to Way
    fill : tuple of float
        Numbers that stand for nothing and come back as they are.
    """
    code = code_of(ways)
    if code is not None:
        return _reduced(values, code)
    coded = _coded(values, bound, ways, fill)
    most = min((len(packed.data) for packed in coded), default=None)
    return _shortest([*coded, _shortest_bytes(values, most)])


def _shortest(packed: list[Packed]) -> Packed:
    return min(packed, key=lambda each: len(each.data))


def unpack(data: bytes, shape: tuple[int, ...], dtype: Any, ways: Ways) -> Array:
    """Return the values of a block.

    Raises
    ------
    CompressedFileError
        If the data are not those of such a block.
    """
    try:
        number = data[0]
        if number in _BYTES:
            return _from_bytes(number, data[1:], shape, np.dtype(dtype))
        if number not in ways:
            raise CompressedFileError(
                "a block needs a model that was not given; give the model it was compressed with"
            )
        code = code_of(ways)
        if code is not None and number == CODE:
            return _rebuilt(data[1:], shape, np.dtype(dtype), code)
        return _decoded(data[1:], shape, np.dtype(dtype), ways[number])
    except _DAMAGED as error:
        if isinstance(error, CompressedFileError):
            raise
        raise CompressedFileError("a block is damaged: it cannot be decoded") from error


# --- a code alone --------------------------------------------------------------------------------------------------


def _reduced(values: Array, code: LearnedCode) -> Packed:
    """Return records as their codes, and what these give back."""
    writer, codes = BitWriter(), code.encode(values)
    code.code(writer, len(values), codes)
    return Packed(bytes([CODE]) + writer.to_bytes(), CODE, code.decode(codes).astype(values.dtype, copy=False))


def _rebuilt(data: bytes, shape: tuple[int, ...], dtype: np.dtype[Any], code: LearnedCode) -> Array:
    if shape[1:] != tuple(code.shape):
        raise CompressedFileError("a block is damaged: its records are not those that its model knows")
    return code.decode(code.code(BitReader(data), shape[0])).astype(dtype, copy=False)


# --- bytes ---------------------------------------------------------------------------------------------------------


def _shortest_bytes(values: Array, most: int | None) -> Packed:
    """Return the block by a general compressor, or as it is where a part says that it will take more than `most`."""
    data, size = np.ascontiguousarray(values).tobytes(), values.dtype.itemsize
    ends = len(data) if len(data) <= _SAMPLE else _SAMPLE // size * size
    tried = [number for number, (_, mixed) in _BYTES.items() if not mixed or size > 1]
    lengths = {number: len(_to_bytes(number, data[:ends], size)) for number in tried}
    best = min(lengths, key=lambda number: lengths[number])
    worth = most is None or lengths[best] * len(data) <= _PART_LONGER * most * max(ends, 1)
    packed = min((_to_bytes(number, data, size) for number in {0, best if worth else 0}), key=len)
    return Packed(packed, packed[0], values)


def _to_bytes(number: int, data: bytes, size: int) -> bytes:
    way, mixed = _BYTES[number]
    return bytes([number]) + way.pack(shuffled(data, size) if mixed else data)


def _from_bytes(number: int, data: bytes, shape: tuple[int, ...], dtype: np.dtype[Any]) -> Array:
    way, mixed = _BYTES[number]
    size = int(np.prod(shape)) * dtype.itemsize
    found = way.unpack(data, size)
    if len(found) != size:
        raise CompressedFileError(f"a block is damaged: it holds {len(found)} bytes, not {size}")
    found = unshuffled(found, dtype.itemsize) if mixed else found
    return np.frombuffer(found, dtype).reshape(shape).copy()


# --- ways ----------------------------------------------------------------------------------------------------------


def _coded(values: Array, bound: Bound, ways: Ways, fill: tuple[float, ...]) -> list[Packed]:
    """Return the block by all ways that may be the shortest and keep the promise."""
    specials = find_specials(values, fill)
    if specials is None:
        return []
    gapless = unbroken(values, specials.known)
    whole = whole_of(gapless, specials.known, bound)
    if whole is None:
        return []
    jobs = [_Job(gapless, form.true(gapless), specials, form) for form in forms_of(whole)]
    suiting = {number: _suiting(way, jobs) for number, way in ways.items()}
    given = {number: job for number, job in suiting.items() if job is not None}

    def kept(numbers: Iterable[int]) -> list[Packed]:
        tried = (_kept(number, ways[number], given[number], values, bound) for number in numbers)
        return [packed for packed in tried if packed is not None]

    learned = [number for number in given if number >= FIRST_LEARNED]
    plain = {number: job for number, job in given.items() if number < FIRST_LEARNED}
    if learned:  # what does the same without learning; the others are for other data
        rivals = {rival for number in learned for rival in _RIVALS.get(number, plain)}
        plain = {number: job for number, job in plain.items() if number in rivals}
    return kept([*learned, *_promising(plain, ways)])


def _suiting(way: Way, jobs: "list[_Job]") -> "_Job | None":
    """Return the block in the first form that a way can code."""
    return next((job for job in jobs if way.applies(job.values.shape, job.whole.shift) and job.lies_in(way)), None)


def _kept(number: int, way: Way, job: "_Job", values: Array, bound: Bound) -> Packed | None:
    """Return the block within the bound, by smaller steps if it must be."""
    for whole in tighter(job.whole):
        tried = job if whole == job.whole else _Job(job.values, whole.true(job.values), job.specials, whole)
        packed = _through(number, way, tried)
        if keeps(values, packed.values, job.specials.known, bound):
            return packed
    return None


@dataclass(frozen=True)
class _Job:
    """A block on its way to a writer: values without gaps, their numbers, and what is said beside these."""

    values: Array
    true: Array
    specials: Specials
    whole: Whole

    def lies_in(self, way: Way) -> bool:
        """Return whether a way can code these numbers."""
        known = self.specials.known
        lowest, highest = (self.true.min(), self.true.max()) if self.true.size else (0, 0)
        return bool(way.limits[0] <= lowest and highest <= way.limits[1] and (way.gaps or known.all()))

    def part(self, where: tuple[slice, ...]) -> "_Job":
        specials = Specials(self.specials.patterns, self.specials.where[where])
        return _Job(self.values[where], self.true[where], specials, self.whole)


def unbroken(values: Array, known: Array) -> Array:
    """Return values with special ones replaced by ordinary ones, of a table those of the same column."""
    if known.all():
        return values
    filled = np.where(known, values, values[known][0] if known.any() else values.dtype.type(1))
    if values.ndim == 2:
        first = known.argmax(axis=0)
        filled = np.where(known, filled, filled[first, np.arange(values.shape[1])])
    return filled


def _promising(jobs: dict[int, _Job], ways: Ways) -> list[int]:
    """Return the ways that are worth the whole block: of a large one those that do well on a part of it."""
    if len(jobs) < 2 or next(iter(jobs.values())).values.size <= _LARGE:
        return list(jobs)
    sizes = {}
    for number, job in jobs.items():
        sizes[number] = len(_through(number, ways[number], job.part(_part_of(job.values.shape))).data)
    ranked = sorted(sizes, key=lambda number: sizes[number])[:_MOST_TRIED]
    return [number for number in ranked if sizes[number] <= _NEAR * sizes[ranked[0]]]


def _part_of(shape: tuple[int, ...]) -> tuple[slice, ...]:
    """Return the middle of a block: whole records while they are small; of wide tables some columns."""
    record, least = int(np.prod(shape[1:])), _LEAST_ROWS if len(shape) == 2 else _LEAST_RECORDS
    each = max(least, _LARGE // max(record, 1))
    inner = 1.0 if record * least <= _LARGE else (_LARGE / least / record) ** (1 / (len(shape) - 1))
    lengths = [min(shape[0], each), *(max(1, int(length * inner)) for length in shape[1:])]
    starts = [(length - some) // 2 for length, some in zip(shape, lengths, strict=True)]
    return tuple(slice(start, start + some) for start, some in zip(starts, lengths, strict=True))


def _through(number: int, way: Way, job: _Job) -> Packed:
    """Return the block as this way codes it, and what comes back."""
    patterns, described, shape = job.specials.patterns, job.whole.to_bytes(), job.values.shape
    head = bytes([number]) + length_bytes(len(described)) + described + bytes([len(patterns)]) + patterns.tobytes()
    writer = BitWriter()
    code_specials(writer, shape, patterns, job.specials.where)
    rest = job.whole.code_rest(writer, shape, job.values)
    numbers = way.code(writer, job.specials.known, job.whole.shift, job.true)
    return Packed(head + writer.to_bytes(), number, _joined(numbers, rest, job.specials, job.whole, job.values.dtype))


def _decoded(data: bytes, shape: tuple[int, ...], dtype: np.dtype[Any], way: Way) -> Array:
    length, start = read_length(data)
    end = start + length
    whole, count = whole_from_bytes(data[start:end]), data[end]
    start = end + 1 + count * dtype.itemsize
    patterns, reader = np.frombuffer(data[end + 1 : start], dtype), BitReader(data[start:])
    specials = code_specials(reader, shape, patterns)
    if len(patterns) != count or not way.applies(shape, whole.shift):
        raise CompressedFileError("a block is damaged: it says what cannot be")
    rest = whole.code_rest(reader, shape)
    return _joined(way.code(reader, specials.known, whole.shift), rest, specials, whole, dtype)


def _joined(numbers: Array, rest: Array | None, specials: Specials, whole: Whole, dtype: np.dtype[Any]) -> Array:
    values = whole.values(numbers, rest, dtype)
    out = ~specials.known
    if out.any():
        values[out] = specials.patterns[specials.where[out] - 1]
    return values
