"""Arrays on disk read piece by piece; they are read and not mapped, so that resident memory stays flat."""

import mmap
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from io import FileIO
from math import prod
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from refold._errors import DataError
from refold.data._files import checked_records, native, reading
from refold.data._streams import PIECE_BYTES, Stream, head_records

Array = NDArray[Any]


@dataclass(frozen=True)
class ArrayFile:
    """Where the numbers of an array lie in a file.

    Parameters
    ----------
    path : pathlib.Path
    offset : int
        Bytes before the first number.
    shape : tuple of int
        ``(n, *record)``.
    dtype : numpy.dtype
    fortran : bool
        Whether the first axis runs fastest, so that a record is scattered over the file.
    """

    path: Path
    offset: int
    shape: tuple[int, ...]
    dtype: np.dtype[Any]
    fortran: bool

    @property
    def record_bytes(self) -> int:
        """Bytes of one record."""
        return prod(self.shape[1:]) * self.dtype.itemsize

    def read(self, start: int, stop: int) -> Array:
        """Return the records from `start` to before `stop`, in C order."""
        with reading(self.path), open(self.path, "rb", buffering=0) as file:
            return native(self._scattered(file, start, stop) if self.fortran else self._together(file, start, stop))

    def _together(self, file: FileIO, start: int, stop: int) -> Array:
        records = np.empty((stop - start, *self.shape[1:]), self.dtype)
        _fill(file, self.offset + start * self.record_bytes, records)
        return records

    def _scattered(self, file: FileIO, start: int, stop: int) -> Array:
        columns = np.empty((prod(self.shape[1:]), stop - start), self.dtype)
        for place, column in enumerate(columns):
            _fill(file, self.offset + (place * self.shape[0] + start) * self.dtype.itemsize, column)
        return np.ascontiguousarray(columns.reshape(*self.shape[:0:-1], stop - start).T)


@dataclass(frozen=True, eq=False)
class MappedArray:
    """A mapped array that is no plain part of its file, such as every second record."""

    array: Array

    @property
    def shape(self) -> tuple[int, ...]:
        """``(n, *record)``."""
        return self.array.shape

    @property
    def record_bytes(self) -> int:
        """Bytes of one record."""
        return prod(self.shape[1:]) * self.array.dtype.itemsize

    def read(self, start: int, stop: int) -> Array:
        """Return the records from `start` to before `stop`, in C order."""
        return native(np.array(self.array[start:stop], order="C"))


@dataclass(frozen=True)
class ArrayRange:
    """Neighbouring records of an array on disk."""

    file: ArrayFile | MappedArray
    start: int
    size: int

    def blocks(self, rows: int) -> Iterator[Array]:
        """Yield the records in order, at most `rows` at a time."""
        stop = self.start + self.size
        for start in range(self.start, stop, rows):
            yield self.file.read(start, min(start + rows, stop))


def open_arrays(paths: Sequence[Path]) -> Stream:
    """Return the records of ``.npy`` files, one after the other, as a stream; only the headers are read.

    Raises
    ------
    DataError
        If a file is broken, holds no records of numbers, or other records than the first one.
    """
    files = [_array_file(path) for path in paths]
    for file in files:
        _check_alike(files[0], file)
    return _array_stream(files)


def open_mapped(array: np.memmap[Any, Any]) -> Stream:
    """Return the records of a mapped array as a stream."""
    return _array_stream([_file_behind(array) or MappedArray(np.asarray(array))])


def _file_behind(array: np.memmap[Any, Any]) -> ArrayFile | None:
    """Return where a mapped array lies in its file; None where it is no plain part of it or differs from it."""
    mapping, path = getattr(array, "_mmap", None), array.filename
    if mapping is None or path is None or array.mode == "c" or not array.flags.c_contiguous:
        return None
    mapped_from = array.offset - array.offset % mmap.ALLOCATIONGRANULARITY
    offset = mapped_from + array.ctypes.data - np.frombuffer(mapping, np.uint8).ctypes.data
    return ArrayFile(Path(path), offset, array.shape, array.dtype, fortran=False)


def _array_file(path: Path) -> ArrayFile:
    with reading(path):
        array = checked_records(np.load(path, mmap_mode="r", allow_pickle=False), path.name)
    fortran = array.flags.f_contiguous and not array.flags.c_contiguous
    return ArrayFile(path, int(getattr(array, "offset", 0)), array.shape, array.dtype, fortran)


def _array_stream(files: Sequence[ArrayFile | MappedArray]) -> Stream:
    pieces = tuple(piece for file in files for piece in _pieces(file))
    head = files[0].read(0, min(head_records(files[0].record_bytes), files[0].shape[0]))
    return Stream(pieces, sum(piece.size for piece in pieces), files[0].record_bytes, None, (), head)


def _pieces(file: ArrayFile | MappedArray) -> Iterator[ArrayRange]:
    size, rows = file.shape[0], max(1, PIECE_BYTES // max(file.record_bytes, 1))
    for start in range(0, size, rows):
        yield ArrayRange(file, start, min(rows, size - start))


def _check_alike(first: ArrayFile, other: ArrayFile) -> None:
    ours, theirs = [f"{file.dtype} of shape {file.shape[1:]}" for file in (first, other)]
    if ours != theirs:
        raise DataError(
            f"{first.path.name!r} holds records of {ours} and {other.path.name!r} records of {theirs}; files "
            "that are read together must hold the same kind of records"
        )


def _fill(file: FileIO, offset: int, array: Array) -> None:
    """Read as many bytes into a contiguous array as it has."""
    file.seek(offset)
    space = array.reshape(-1).view(np.uint8).data
    while len(space):
        count = file.readinto(space)
        if not count:
            raise EOFError("it is shorter than it was when it was opened")
        space = space[count:]
