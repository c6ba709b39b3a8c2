"""Write records chunk by chunk to the kind of file that the path's ending names."""

from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager, ExitStack, contextmanager
from pathlib import Path
from types import TracebackType
from typing import Any

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from refold._atomic import write_whole
from refold._errors import DataError
from refold.data._frames import frame_kind, to_arrow
from refold.data._pictures import save_picture
from refold.data._stream_tables import conform

WRITABLE = ".parquet, .csv, .npy, .npz, or a folder for pictures"
Append = Callable[[Any], None]


class RecordWriter:
    """Writes records chunk by chunk; the file appears whole when all are written, or not at all.

    Every picture of a folder is a file of its own and appears as it is written.

    Parameters
    ----------
    path : path-like
        Tables go to ``.parquet``, a row group for each chunk, or ``.csv``, rows of numbers too (columns are named
        0, 1, ...); arrays of any shape to ``.npy``; pictures to a folder, a PNG each. A path without an ending is
        a folder.
    size : int
        Number of records that will be written.
    names : sequence of str
        File names for the pictures of a folder; numbered where there are none.

    Raises
    ------
    DataError
        If the ending is unknown, does not suit the records, or stands for a file that is not written in chunks; on
        leaving, if another number of records was written.

    Examples
    --------
    >>> import tempfile
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     with RecordWriter(Path(folder) / "out.npy", size=5) as writer:
    ...         writer.write(np.zeros((3, 2)))
    ...         writer.write(np.ones((2, 2)))
    ...     np.load(Path(folder) / "out.npy").shape
    (5, 2)
    """

    def __init__(self, path: str | Path, size: int, names: Sequence[str] = ()) -> None:
        self._path, self._size, self._names = Path(path), size, names
        self._kind = _kind_of(self._path)
        self._open, self._written = ExitStack(), 0
        self._append: Append | None = None

    def __enter__(self) -> "RecordWriter":
        return self

    def write(self, records: Any) -> None:
        """Write the next records: a table, or an array of shape (n, ...) like those before.

        Raises
        ------
        DataError
            If the records do not suit the file or the ones before.
        """
        if self._append is None:
            self._append = self._open.enter_context(self._kind(self._path, records, self._size, self._names))
        self._append(records)
        self._written += len(records)

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        if error is None and self._written != self._size:
            error = DataError(
                f"{self._written} records were written to {self._path.name!r} and {self._size} were announced; "
                "write as many"
            )
            self._open.__exit__(DataError, error, None)
            raise error
        self._open.__exit__(kind, error, traceback)


Kind = Callable[[Path, Any, int, Sequence[str]], AbstractContextManager[Append]]


def _kind_of(path: Path) -> Kind:
    suffix = path.suffix.lower()
    if suffix == ".npz":
        raise DataError(f"{path.name!r} is packed as a whole and cannot be written in chunks; take .npy")
    if suffix in _KINDS:
        return _KINDS[suffix]
    if suffix == "" or path.is_dir():
        return _picture_folder
    raise DataError(f"{path.name!r} has an ending that cannot be written; allowed are {WRITABLE}")


# --- tables ------------------------------------------------------------------------------------------------------


@contextmanager
def _parquet_file(path: Path, first: Any, size: int, names: Sequence[str]) -> Iterator[Append]:
    from pyarrow import parquet

    schema = _as_table(first, path).schema
    with write_whole(path) as temporary, parquet.ParquetWriter(temporary, schema) as writer:
        yield lambda records: writer.write_table(_like(_as_table(records, path), schema, path))


@contextmanager
def _csv_file(path: Path, first: Any, size: int, names: Sequence[str]) -> Iterator[Append]:
    from pyarrow import csv

    schema = _csv_ready(_as_table(first, path)).schema
    with write_whole(path) as temporary, csv.CSVWriter(temporary, schema) as writer:
        yield lambda records: writer.write_table(_like(_csv_ready(_as_table(records, path)), schema, path))


def _as_table(records: Any, path: Path) -> pa.Table:
    if frame_kind(records) is not None:
        return to_arrow(records)
    if records.ndim != 2:
        raise DataError(
            f"{path.name!r} cannot hold an array of shape {records.shape}; write it to .npy, .npz or a folder"
        )
    return pa.table(
        [pa.array(column) for column in records.T], names=[str(place) for place in range(records.shape[1])]
    )


def _like(table: pa.Table, schema: pa.Schema, path: Path) -> pa.Table:
    """Return a table with the columns of the first one."""
    try:
        return conform(table, schema)
    except (KeyError, pa.ArrowException) as error:
        raise DataError(f"{path.name!r} cannot take records unlike those before: {error}") from error


def _csv_ready(table: pa.Table) -> pa.Table:
    """Return the table without dictionary columns, which CSV cannot hold."""
    for place, field in enumerate(table.schema):
        if pa.types.is_dictionary(field.type):
            table = table.set_column(place, field.name, table[field.name].cast(field.type.value_type))
    return table


# --- arrays ------------------------------------------------------------------------------------------------------


@contextmanager
def _array_file(path: Path, first: Any, size: int, names: Sequence[str]) -> Iterator[Append]:
    like = as_array(first, path)
    descr = np.lib.format.dtype_to_descr(like.dtype)
    header = {"descr": descr, "fortran_order": False, "shape": (size, *like.shape[1:])}
    with write_whole(path) as temporary, open(temporary, "wb") as file:
        np.lib.format.write_array_header_1_0(file, header)
        yield lambda records: _checked_like(as_array(records, path), like, path).tofile(file)


def as_array(records: Any, path: Path) -> NDArray[Any]:
    """Return records that are an array.

    Raises
    ------
    DataError
        If they are a table.
    """
    if isinstance(records, np.ndarray):
        return records
    raise DataError(f"{path.name!r} cannot hold a table; write it to .parquet or .csv")


def _checked_like(array: NDArray[Any], like: NDArray[Any], path: Path) -> NDArray[Any]:
    if (array.dtype, array.shape[1:]) == (like.dtype, like.shape[1:]):
        return array
    raise DataError(
        f"{path.name!r} holds records of {like.dtype} of shape {like.shape[1:]} and cannot take records of "
        f"{array.dtype} of shape {array.shape[1:]}; write records of one kind"
    )


# --- pictures ----------------------------------------------------------------------------------------------------


@contextmanager
def _picture_folder(path: Path, first: Any, size: int, names: Sequence[str]) -> Iterator[Append]:
    files = iter(_file_names(size, names))
    yield lambda records: _write_pictures(_as_pixels(as_array(records, path)), path, files)


def _write_pictures(pictures: NDArray[Any], folder: Path, files: Iterator[Path]) -> None:
    for picture, name in zip(pictures, files, strict=False):
        with write_whole(folder / name) as temporary:
            save_picture(picture, temporary)


def _as_pixels(pictures: NDArray[Any]) -> NDArray[Any]:
    """Return pictures in a type that a file can hold."""
    if pictures.ndim not in (3, 4) or (pictures.ndim == 4 and pictures.shape[-1] not in (1, 3)):
        raise DataError(
            f"records of shape {pictures.shape[1:]} are not pictures; a folder takes (H, W) or (H, W, 3), write "
            "others to .npy or .parquet"
        )
    grey = pictures.ndim == 3 or pictures.shape[-1] == 1
    if pictures.dtype.kind in "fb" or pictures.dtype == np.uint8 or (grey and pictures.dtype == np.uint16):
        return pictures
    if pictures.min() < 0 or pictures.max() > 255:
        raise DataError(
            f"records of {pictures.dtype} from {pictures.min()} to {pictures.max()} are not pictures; a folder takes "
            "0 to 255, and 16 bits where pictures are grey, write others to .npy"
        )
    return pictures.astype(np.uint8)


def _file_names(count: int, names: Sequence[str]) -> list[Path]:
    """Return a name for each picture: its own where names differ, numbered where they would meet."""
    width = len(str(max(count - 1, 0)))
    own = [Path(name).with_suffix(".png") for name in names]
    if own and len(set(own)) == count:
        return own
    numbers = [f"{place:0{width}d}" for place in range(count)]
    if not own:
        return [Path(f"{number}.png") for number in numbers]
    return [name.with_stem(f"{number}-{name.stem}") for number, name in zip(numbers, own, strict=True)]


_KINDS: dict[str, Kind] = {".parquet": _parquet_file, ".csv": _csv_file, ".npy": _array_file}
