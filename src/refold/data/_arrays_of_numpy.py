"""``.npy`` and ``.npz`` as named arrays; neither is ever whole in memory."""

import zipfile
from collections.abc import Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from math import prod
from pathlib import Path
from typing import IO, Any

import numpy as np
from numpy.typing import NDArray

from refold._atomic import write_whole
from refold._errors import DataError
from refold.data._array_records import records_of
from refold.data._arrays_in_files import ArraysOfFile, NamedArray
from refold.data._files import reading

Array = NDArray[Any]


# --- reading -------------------------------------------------------------------------------------------------------


def open_npy(path: Path, member: str = "", drop: Sequence[str] = ()) -> ArraysOfFile:
    """Open an array through a memory map."""
    with reading(path):
        _check_signature(path)
        try:
            values = np.load(path, mmap_mode="r", allow_pickle=False)
        except ValueError as error:
            if "Array can't be memory-mapped" in str(error):
                raise DataError(
                    f"{path.name!r} is an array of Python objects, which cannot be compressed; save numbers"
                ) from None
            values = np.load(path, allow_pickle=False)  # an array without values cannot be mapped
    return ArraysOfFile("npy", path.name, {}, (_named("", values, path.name),))


def _check_signature(path: Path) -> None:
    with path.open("rb") as file:
        if file.read(len(np.lib.format.MAGIC_PREFIX)) != np.lib.format.MAGIC_PREFIX:
            raise DataError(f"{path.name!r} cannot be read: it is no .npy file, or its beginning is damaged")


def open_npz(path: Path, member: str = "", drop: Sequence[str] = ()) -> ArraysOfFile:
    """Open the arrays of an archive, read one after the other."""
    closing = ExitStack()
    with reading(path), closing:
        archive = closing.enter_context(zipfile.ZipFile(path))
        known = {name.removesuffix(".npy"): name for name in archive.namelist() if name.endswith(".npy")}
        chosen = _chosen(known, path, member, drop)
        packed = any(each.compress_type != zipfile.ZIP_STORED for each in archive.infolist())
        arrays = tuple(
            _named(name, _Member.opened(path, archive, known[name], closing), f"{path.name}::{name}")
            for name in chosen
        )
        return ArraysOfFile("npz", path.name, {"packed": packed}, arrays, closing=closing.pop_all())
    raise AssertionError


def _chosen(known: dict[str, str], path: Path, member: str, drop: Sequence[str]) -> list[str]:
    for name in (*([member] if member else []), *drop):
        if name not in known:
            raise DataError(f"{path.name!r} has no array {name!r}; it holds {', '.join(known) or 'none'}")
    return [member] if member else [name for name in known if name not in drop]


def _named(name: str, values: Any, called: str) -> NamedArray:
    exact = values.dtype.kind in "bMmS"
    return NamedArray(name, records_of(values, called), tuple(values.shape), exact)


@dataclass(eq=False)
class _Member:
    """An array in an archive: its parts are read as the archive is unpacked, from the first to the last."""

    path: Path
    file: IO[bytes]
    start: int
    shape: tuple[int, ...]
    dtype: np.dtype[Any]

    @classmethod
    def opened(cls, path: Path, archive: zipfile.ZipFile, name: str, closing: ExitStack) -> "Array | _Member":
        file = closing.enter_context(archive.open(name))
        version = np.lib.format.read_magic(file)
        read_head = np.lib.format.read_array_header_1_0 if version == (1, 0) else np.lib.format.read_array_header_2_0
        shape, in_columns, dtype = read_head(file)
        if dtype.hasobject:
            raise DataError(f"{name!r} is an array of Python objects, which cannot be compressed; save numbers")
        if in_columns or not shape:
            with archive.open(name) as again:
                return np.lib.format.read_array(again, allow_pickle=False)
        return cls(path, file, file.tell(), shape, dtype)

    def __getitem__(self, part: Any) -> Array:
        *outer, last = part if isinstance(part, tuple) else (part,)
        inner = self.shape[len(outer) + 1 :]
        first = int(np.ravel_multi_index(tuple(outer), self.shape[: len(outer)])) if outer else 0
        before = first * self.shape[len(outer)] + last.start
        each = prod(inner) * self.dtype.itemsize
        wanted = (last.stop - last.start) * each
        with reading(self.path):
            self.file.seek(self.start + before * each)
            content = self.file.read(wanted)
        if len(content) != wanted:
            raise DataError("an array of the archive is cut short; take another copy of it")
        return np.frombuffer(content, self.dtype).reshape(last.stop - last.start, *inner)


# --- writing -------------------------------------------------------------------------------------------------------


def write_npy(path: Path, array: NamedArray) -> None:
    """Write an array part by part, whole or not at all."""
    with write_whole(path) as temporary, open(temporary, "wb") as file:
        _write_array(file, array)


def write_npz(path: Path, arrays: Sequence[NamedArray], about: dict[str, Any]) -> None:
    """Write arrays part by part as an archive, whole or not at all."""
    how = zipfile.ZIP_DEFLATED if about.get("packed") else zipfile.ZIP_STORED
    with write_whole(path) as temporary, zipfile.ZipFile(temporary, "w", how) as archive:
        for array in arrays:
            with archive.open(f"{array.name or 'array'}.npy", "w", force_zip64=True) as file:
                _write_array(file, array)


def _write_array(file: IO[bytes], array: NamedArray) -> None:
    descr = np.lib.format.dtype_to_descr(array.records.dtype)
    head = {"descr": descr, "fortran_order": False, "shape": array.shape}
    np.lib.format.write_array_header_1_0(file, head)
    for _, part in array.records.parts():
        file.write(np.ascontiguousarray(part).tobytes())
