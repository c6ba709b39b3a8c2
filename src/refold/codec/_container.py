"""The compressed file: arrays in blocks that stand for themselves, and perhaps the model that they need.

Layout (`docs/format.md` tells all of it): the signature ``refz``, a version, then sections, each of a letter, a
length, the content and a checksum over all three. ``M`` is a model, ``A`` begins an array, ``B`` is one block of it,
``Z`` ends the file, so that one that is cut short is not taken for whole. Whole numbers are little-endian; lengths
are of seven bits a byte, low ones first.
"""

import json
import os
import struct
import zlib
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from hashlib import sha256
from math import prod
from typing import IO, Any

import numpy as np
from numpy.typing import NDArray

from refold._errors import CompressedFileError
from refold.codec._lengths import LONGEST, length_bytes, read_length

Array = NDArray[Any]

SIGNATURE, VERSION = b"refz", 1
MODEL, ARRAY, BLOCK, END = b"M", b"A", b"B", b"Z"
MOST_VALUES = 1 << 26  # of a block: no reader need have more at once
_MOST_DIMENSIONS, _LONGEST_TEXT = 32, 1 << 24  # names of many pictures are one text
_TYPES = frozenset(
    f"{order}{kind}" for order in "<>" for kind in ("i2", "i4", "i8", "u2", "u4", "u8", "f2", "f4", "f8")
)
_ALL_TYPES = _TYPES | {"|b1", "|i1", "|u1"}


@dataclass(frozen=True)
class ArrayHead:
    """What is said of an array before its blocks.

    Parameters
    ----------
    name : str
    dtype : str
        As numpy writes it, with the order of bytes, such as ``"<f4"``.
    record : tuple of int
        Its shape without the first axis.
    rows : int
        How many records a block has; the last one may have fewer.
    scalar : bool
        Whether the array has no axes: then it is one record of no axes.
    bound : str
        The promise, in words of `parse_bound`.
    model : bytes
        The first eight bytes of the SHA-256 of the model that blocks may need, or nothing.
    more : dict
        What a reader may want to know beside, as JSON.
    """

    name: str
    dtype: str
    record: tuple[int, ...]
    rows: int
    scalar: bool = False
    bound: str = "0"
    model: bytes = b""
    more: dict[str, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class BlockHead:
    """A block before it is decoded: how many records, and where its bytes are in the file."""

    rows: int
    start: int
    length: int
    checksum: int  # CRC-32 of the values that come back
    way: int


@dataclass(frozen=True)
class ArrayEntry:
    """An array of a file, not decoded: what is said of it, and its blocks."""

    head: ArrayHead
    blocks: tuple[BlockHead, ...]

    @property
    def shape(self) -> tuple[int, ...]:
        """The shape of the array."""
        return self.head.record if self.head.scalar else (sum(block.rows for block in self.blocks), *self.head.record)

    @property
    def nbytes(self) -> int:
        """The bytes of the array when it is whole."""
        return prod(self.shape) * np.dtype(self.head.dtype).itemsize

    @property
    def compressed(self) -> int:
        """The bytes of its blocks in the file."""
        return sum(block.length for block in self.blocks)


def model_mark(model: bytes) -> bytes:
    """Return the eight bytes by which files name a model."""
    return sha256(model).digest()[:8]


# --- writing -------------------------------------------------------------------------------------------------------


class RefzWriter:
    """Writes sections one after the other to a file that is open for writing; nothing is held back."""

    def __init__(self, file: IO[bytes]) -> None:
        self._file = file
        file.write(SIGNATURE + bytes([VERSION]))

    def model(self, model: bytes) -> None:
        """Write a model."""
        self._section(MODEL, model)

    def begin(self, head: ArrayHead) -> None:
        """Begin an array."""
        self._section(ARRAY, _head_bytes(head))

    def block(self, rows: int, values: Array, packed: bytes) -> None:
        """Write a block of `rows` records; `values` are those that come back."""
        self._section(BLOCK, length_bytes(rows) + struct.pack("<I", values_checksum(values)) + packed)

    def end(self) -> None:
        """End the file."""
        self._section(END, b"")

    def _section(self, letter: bytes, content: bytes) -> None:
        section = letter + length_bytes(len(content)) + content
        self._file.write(section + struct.pack("<I", zlib.crc32(section)))


def values_checksum(values: Array) -> int:
    """Return the CRC-32 of values, little-endian, in C order."""
    return zlib.crc32(np.ascontiguousarray(values, values.dtype.newbyteorder("<")).tobytes())


def _head_bytes(head: ArrayHead) -> bytes:
    flags = int(head.scalar) | 2 * bool(head.model) | 4 * bool(head.more)
    parts = [bytes([flags]), _text(head.name), _text(head.dtype), _text(head.bound), length_bytes(len(head.record))]
    parts += [length_bytes(length) for length in (*head.record, head.rows)]
    more = [_text(json.dumps(head.more, separators=(",", ":")))] if head.more else []
    return b"".join([*parts, head.model, *more])


def _text(text: str) -> bytes:
    content = text.encode()
    return length_bytes(len(content)) + content


# --- reading -------------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class RefzContents:
    """What a file holds: arrays whose blocks are read when they are asked for, and models by their marks."""

    arrays: tuple[ArrayEntry, ...]
    models: dict[bytes, bytes]


def read_contents(file: IO[bytes], progress: Callable[[int], None] | None = None) -> RefzContents:
    """Return what a file holds; checksums of all sections are compared, nothing is decoded.

    Parameters
    ----------
    file : binary file
        Open for reading, and can seek.
    progress : callable, optional
        Told the position after every section.

    Raises
    ------
    CompressedFileError
        If it is no compressed file, of a newer format, cut short or altered.
    """
    arrays: list[tuple[ArrayHead, list[BlockHead]]] = []
    models: dict[bytes, bytes] = {}
    for letter, content, start in _sections(file):
        if letter == MODEL:
            models[model_mark(content)] = content
        elif letter == ARRAY:
            arrays.append((_head_of(content), []))
        elif arrays:
            arrays[-1][1].append(_block_of(content, start, arrays[-1]))
        else:
            raise _damaged("a block comes before any array")
        if progress is not None:
            progress(start + len(content))
    return RefzContents(tuple(ArrayEntry(head, tuple(blocks)) for head, blocks in arrays), models)


def read_block(file: IO[bytes], block: BlockHead) -> bytes:
    """Return the packed bytes of a block."""
    file.seek(block.start)
    content = file.read(block.length)
    if len(content) != block.length:
        raise _damaged("a block is cut short")
    return content


def _sections(file: IO[bytes]) -> Iterator[tuple[bytes, bytes, int]]:
    """Yield letter, content and the content's place of all sections but the last, which ends the file."""
    size = file.seek(0, os.SEEK_END)
    file.seek(0)
    if file.read(len(SIGNATURE)) != SIGNATURE:
        raise CompressedFileError("these are not compressed data of refold (.refz), or their beginning is damaged")
    version = file.read(1)
    if version != bytes([VERSION]):
        got = version[0] if version else "none"
        raise CompressedFileError(
            f"the format is {got}, and this version of refold reads {VERSION}; install a newer one"
        )
    while True:
        letter = file.read(1)
        length, described = _read_length(file)
        start = file.tell()
        if length + 4 > size - start:
            raise _damaged("the file is cut short")
        content, checksum = file.read(length), file.read(4)
        if zlib.crc32(letter + described + content) != struct.unpack("<I", checksum)[0]:
            raise _damaged("a checksum does not match")
        if letter == END:
            break
        if letter not in (MODEL, ARRAY, BLOCK):
            raise _damaged(f"a section is of the unknown kind {letter!r}")
        yield letter, content, start
    if file.tell() != size:
        raise _damaged("something follows its end")


def _read_length(file: IO[bytes]) -> tuple[int, bytes]:
    start, described = file.tell(), file.read(LONGEST)
    try:
        length, used = read_length(described)
    except ValueError as error:
        raise _damaged("the file is cut short") from error
    file.seek(start + used)
    return length, described[:used]


@dataclass
class _Cursor:
    content: bytes
    place: int = 0

    def take(self, count: int) -> bytes:
        found = self.content[self.place : self.place + count]
        if len(found) != count:
            raise _damaged("a section is too short")
        self.place += count
        return found

    def length(self) -> int:
        try:
            found, self.place = read_length(self.content, self.place)
        except ValueError as error:
            raise _damaged(str(error)) from error
        return found

    def text(self) -> str:
        length = self.length()
        if length > _LONGEST_TEXT:
            raise _damaged("a text is too long")
        try:
            return self.take(length).decode()
        except UnicodeDecodeError as error:
            raise _damaged("a text is not UTF-8") from error


def _head_of(content: bytes) -> ArrayHead:
    cursor = _Cursor(content)
    flags = cursor.take(1)[0]
    name, dtype, bound = cursor.text(), cursor.text(), cursor.text()
    dimensions = cursor.length()
    if dtype not in _ALL_TYPES or dimensions > _MOST_DIMENSIONS:
        raise _damaged("an array is of an unknown type")
    record = tuple(cursor.length() for _ in range(dimensions))
    rows = cursor.length()
    model = cursor.take(8) if flags & 2 else b""
    more = _json(cursor.text()) if flags & 4 else {}
    if prod(record) * max(rows, 1) > MOST_VALUES:
        raise _damaged("an array has blocks that are too large")
    return ArrayHead(name, dtype, record, rows, bool(flags & 1), bound, model, more)


def _json(text: str) -> dict[str, Any]:
    try:
        found = json.loads(text)
    except (ValueError, RecursionError) as error:
        raise _damaged("what is said of an array is not JSON") from error
    if not isinstance(found, dict):
        raise _damaged("what is said of an array is not JSON")
    return found


def _block_of(content: bytes, start: int, array: tuple[ArrayHead, list[BlockHead]]) -> BlockHead:
    head, before = array
    cursor = _Cursor(content)
    rows, checksum = cursor.length(), struct.unpack("<I", cursor.take(4))[0]
    complete = not before or before[-1].rows == head.rows
    if not 0 < rows <= max(head.rows, 1) or not complete or (head.scalar and (before or rows != 1)):
        raise _damaged("a block has a wrong number of records")
    way = cursor.take(1)[0]
    return BlockHead(rows, start + cursor.place - 1, len(content) - cursor.place + 1, checksum, way)


def _damaged(what: str) -> CompressedFileError:
    return CompressedFileError(f"the compressed data are damaged: {what}; take another copy of them")
