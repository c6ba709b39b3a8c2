"""Read tables and arrays from files; reading a file never runs code."""

import struct
import zipfile
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from tokenize import TokenError
from typing import Any

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from refold._errors import DataError
from refold.data._frames import to_arrow
from refold.data._text import beginning_of, dialect_of, parse_text

READABLE = ".csv, .tsv, .txt (also .gz), .parquet, .feather, .arrow, .npy, .npz and folders of pictures"
_MEMBER = "::"  # separates a .npz file from the name of one of its arrays
_UNREADABLE = (
    *(OSError, EOFError, ValueError, TypeError, KeyError, NotImplementedError, MemoryError),
    *(pa.ArrowException, zipfile.BadZipFile, zlib.error, struct.error, TokenError),
)
_PREFERRED_ARRAYS = ("X", "x", "data", "x_train", "images")


def read_file(text: str) -> NDArray[Any] | pa.Table:
    """Return the array or Arrow table in a file; ``file.npz::name`` names one array of several.

    Raises
    ------
    DataError
        If the file is absent, of another kind, or broken.
    """
    name, _, member = text.partition(_MEMBER)
    path = Path(name)
    if not path.is_file():
        raise DataError(f"there is no file or folder {name!r}; check the path")
    reader = _READERS.get(ending_of(path))
    if reader is None:
        raise DataError(f"{path.name!r} is not of a kind that can be read; allowed are {READABLE}")
    with reading(path):
        return _read_npz(path, member) if reader is _read_npz else reader(path)


@contextmanager
def reading(path: Path) -> Iterator[None]:
    """Turn what the libraries beneath raise into a DataError that names the file."""
    try:
        yield
    except DataError:
        raise
    except _UNREADABLE as error:
        raise DataError(f"{path.name!r} cannot be read: {_first_line(error)}") from error


def _first_line(error: Exception) -> str:
    return (str(error).splitlines() or [type(error).__name__])[0]


def ending_of(path: Path) -> str:
    """Return the ending that says what a file holds: ``.csv`` for ``table.CSV.gz``."""
    suffixes = [suffix.lower() for suffix in path.suffixes]
    return suffixes[-2] if suffixes[-1:] == [".gz"] and len(suffixes) > 1 else "".join(suffixes[-1:])


def _read_npy(path: Path) -> NDArray[Any]:
    return native(checked_records(np.load(path, allow_pickle=False), path.name))


def _read_npz(path: Path, member: str = "") -> NDArray[Any]:
    with np.load(path, allow_pickle=False) as arrays:
        name = member or _only_array(path, arrays)
        if name not in arrays.files:
            raise DataError(f"{path.name!r} has no array {name!r}; it holds {', '.join(arrays.files)}")
        return native(checked_records(arrays[name], f"{path.name}{_MEMBER}{name}"))


def _only_array(path: Path, arrays: Any) -> str:
    if len(arrays.files) == 1:
        return str(arrays.files[0])
    for name in _PREFERRED_ARRAYS:
        if name in arrays.files:
            return name
    raise DataError(
        f"{path.name!r} holds several arrays ({', '.join(arrays.files)}); name one as {path.name}{_MEMBER}"
        f"{arrays.files[0] if arrays.files else 'NAME'}"
    )


def native(array: NDArray[Any]) -> NDArray[Any]:
    """Return the array in this machine's order of bytes."""
    return array.astype(array.dtype.newbyteorder("="), copy=False)


def checked_records(array: NDArray[Any], name: str) -> NDArray[Any]:
    """Return the array if it holds records of numbers.

    Raises
    ------
    DataError
        If it holds something else, too few or too many dimensions, or no record.
    """
    if array.dtype.kind not in "biuf" or array.ndim < 2 or len(array) == 0:
        raise DataError(
            f"{name!r} is an array of {array.dtype} with shape {array.shape}; allowed are numbers of shape "
            "(n, features), (n, H, W) or (n, H, W, C) with at least one record"
        )
    return array


def _read_parquet(path: Path) -> pa.Table:
    from pyarrow import parquet

    return to_arrow(parquet.read_table(path))


def _read_feather(path: Path) -> pa.Table:
    from pyarrow import feather

    return to_arrow(feather.read_table(path))


def _read_text(path: Path) -> pa.Table:
    return parse_text(path, dialect_of(beginning_of(path)))


_READERS: dict[str, Any] = {
    ".csv": _read_text,
    ".tsv": _read_text,
    ".txt": _read_text,
    ".parquet": _read_parquet,
    ".feather": _read_feather,
    ".arrow": _read_feather,
    ".npy": _read_npy,
    ".npz": _read_npz,
}
