"""Read tables and arrays from files; reading a file never runs code."""

import zipfile
import zlib
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from refold._errors import DataError

READABLE = ".csv, .tsv, .txt (also .gz), .parquet, .feather, .arrow, .npy, .npz and folders of pictures"
_MEMBER = "::"  # separates a .npz file from the name of one of its arrays
_UNREADABLE = (
    *(OSError, EOFError, ValueError, TypeError, KeyError, NotImplementedError, MemoryError),
    *(pa.ArrowException, zipfile.BadZipFile, zlib.error),
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
    reader = _READERS.get(_suffix(path))
    if reader is None:
        raise DataError(f"{path.name!r} is not of a kind that can be read; allowed are {READABLE}")
    try:
        return _read_npz(path, member) if reader is _read_npz else reader(path)
    except DataError:
        raise
    except _UNREADABLE as error:
        raise DataError(f"{path.name!r} cannot be read: {_first_line(error)}") from error


def _first_line(error: Exception) -> str:
    return (str(error).splitlines() or [type(error).__name__])[0]


def _suffix(path: Path) -> str:
    suffixes = [suffix.lower() for suffix in path.suffixes]
    return suffixes[-2] if suffixes[-1:] == [".gz"] and len(suffixes) > 1 else "".join(suffixes[-1:])


def _read_npy(path: Path) -> NDArray[Any]:
    return _records(np.load(path, allow_pickle=False), path.name)


def _read_npz(path: Path, member: str = "") -> NDArray[Any]:
    with np.load(path, allow_pickle=False) as arrays:
        name = member or _only_array(path, arrays)
        if name not in arrays.files:
            raise DataError(f"{path.name!r} has no array {name!r}; it holds {', '.join(arrays.files)}")
        return _records(arrays[name], f"{path.name}{_MEMBER}{name}")


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


def _records(array: NDArray[Any], name: str) -> NDArray[Any]:
    if array.dtype.kind not in "biuf" or array.ndim < 2 or len(array) == 0:
        raise DataError(
            f"{name!r} is an array of {array.dtype} with shape {array.shape}; allowed are numbers of shape "
            "(n, features), (n, H, W) or (n, H, W, C) with at least one record"
        )
    return array


def _read_parquet(path: Path) -> pa.Table:
    from pyarrow import parquet

    return parquet.read_table(path).replace_schema_metadata()


def _read_feather(path: Path) -> pa.Table:
    from pyarrow import feather

    return feather.read_table(path).replace_schema_metadata()


def _read_csv(path: Path) -> pa.Table:
    from pyarrow import csv as arrow_csv

    first_line, encoding = _peek(path)
    delimiter = max(",;\t|", key=first_line.count)
    headless = _is_row_of_numbers(first_line, delimiter)
    return arrow_csv.read_csv(
        path,
        read_options=arrow_csv.ReadOptions(encoding=encoding, autogenerate_column_names=headless),
        parse_options=arrow_csv.ParseOptions(delimiter=delimiter, newlines_in_values=True),
        convert_options=arrow_csv.ConvertOptions(strings_can_be_null=True),
    )


def _peek(path: Path) -> tuple[str, str]:
    """Return the first line of a text file, unpacked if need be, and the encoding of its beginning."""
    with pa.input_stream(str(path)) as stream:
        beginning = stream.read(1 << 20)
    if not beginning.strip():
        raise DataError(f"{path.name!r} is empty; it must hold a line of column names and at least one row")
    if b"\0" in beginning:
        raise DataError(f"{path.name!r} is not a text file; allowed are {READABLE}")
    encoding = "utf8" if _is_utf8(beginning) else "latin1"
    return beginning.decode(encoding, errors="ignore").lstrip("\ufeff\r\n").splitlines()[0], encoding


def _is_utf8(beginning: bytes) -> bool:
    try:
        beginning.decode("utf8")
    except UnicodeDecodeError as error:
        return error.start > len(beginning) - 4  # a character cut in two by the end of the sample
    return True


def _is_row_of_numbers(line: str, delimiter: str) -> bool:
    """Say whether a first line is data and not names: numbers, neither in quotes nor counting 0, 1, 2."""
    try:
        numbers = [float(field) for field in line.split(delimiter)]
    except ValueError:
        return False
    return len(numbers) == 1 or numbers != list(range(len(numbers)))


_READERS: dict[str, Any] = {
    ".csv": _read_csv,
    ".tsv": _read_csv,
    ".txt": _read_csv,
    ".parquet": _read_parquet,
    ".feather": _read_feather,
    ".arrow": _read_feather,
    ".npy": _read_npy,
    ".npz": _read_npz,
}
