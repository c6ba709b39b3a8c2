"""Write records to the kind of file that the path's ending names."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from refold._atomic import write_whole
from refold._errors import DataError
from refold.data._frames import frame_kind, to_arrow
from refold.data._pictures import save_picture

WRITABLE = ".parquet, .csv, .npy, .npz, or a folder for pictures"


def write_records(records: Any, path: str | Path, names: Sequence[str] = ()) -> None:
    """Write a table or an array of records; each file appears whole or not at all.

    Parameters
    ----------
    records : table, or ndarray of shape (n, ...)
        Tables go to ``.parquet`` or ``.csv``, rows of numbers too (columns are named 0, 1, ...); arrays of any
        shape to ``.npy`` or ``.npz``; pictures to a folder, a PNG each.
    path : path-like
        A path without an ending is a folder.
    names : sequence of str
        File names for the pictures of a folder; numbered where there are none.

    Raises
    ------
    DataError
        If the ending is unknown or does not suit the records.

    Examples
    --------
    >>> import numpy as np, tempfile, pathlib
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     write_records(np.zeros((2, 8, 8), np.uint8), pathlib.Path(folder) / "out")
    ...     sorted(path.name for path in (pathlib.Path(folder) / "out").iterdir())
    ['0.png', '1.png']
    """
    path = Path(path)
    suffix = path.suffix.lower()
    if suffix in (".npy", ".npz"):
        _write_array(_as_array(records, path), path)
    elif suffix in (".parquet", ".csv"):
        _write_table(_as_table(records, path), path)
    elif suffix == "" or path.is_dir():
        _write_pictures(_as_array(records, path), path, names)
    else:
        raise DataError(f"{path.name!r} has an ending that cannot be written; allowed are {WRITABLE}")


def _as_array(records: Any, path: Path) -> NDArray[Any]:
    if isinstance(records, np.ndarray):
        return records
    raise DataError(f"{path.name!r} cannot hold a table; write it to .parquet or .csv")


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


def _write_array(array: NDArray[Any], path: Path) -> None:
    with write_whole(path) as temporary:
        if path.suffix.lower() == ".npz":
            np.savez_compressed(temporary, X=array)
        else:
            np.save(temporary, array)


def _write_table(table: pa.Table, path: Path) -> None:
    from pyarrow import csv, parquet

    with write_whole(path) as temporary:
        if path.suffix.lower() == ".csv":
            csv.write_csv(_csv_ready(table), temporary)
        else:
            parquet.write_table(table, temporary)


def _csv_ready(table: pa.Table) -> pa.Table:
    """Return the table without dictionary columns, which CSV cannot hold."""
    for place, field in enumerate(table.schema):
        if pa.types.is_dictionary(field.type):
            table = table.set_column(place, field.name, table[field.name].cast(field.type.value_type))
    return table


def _write_pictures(pictures: NDArray[Any], folder: Path, names: Sequence[str]) -> None:
    if pictures.ndim not in (3, 4) or (pictures.ndim == 4 and pictures.shape[-1] not in (1, 3)):
        raise DataError(
            f"records of shape {pictures.shape[1:]} are not pictures; a folder takes (H, W) or (H, W, 3), write "
            "others to .npy or .parquet"
        )
    pixels = _as_pixels(pictures)
    for picture, name in zip(pixels, _file_names(len(pictures), names), strict=True):
        with write_whole(folder / name) as temporary:
            save_picture(picture, temporary)


def _as_pixels(pictures: NDArray[Any]) -> NDArray[Any]:
    """Return pictures in a type that a file can hold."""
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
