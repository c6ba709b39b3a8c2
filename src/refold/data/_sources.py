"""Open whatever the user names: arrays, tables of any library, files, folders of pictures."""

import os
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from refold._errors import DataError
from refold.data._files import read_file
from refold.data._frames import FrameKind, frame_kind, from_arrow, to_arrow
from refold.data._pictures import is_picture, picture_files, read_pictures

Progress = Callable[[int, int], None]


@dataclass(frozen=True)
class Source:
    """Records that have been opened, and how their owner wants results back.

    Parameters
    ----------
    values : ndarray of shape (n, *record) or pyarrow.Table
    names : tuple of str
        File names of the pictures of a folder, relative to it; empty for everything else.
    frame : {"pandas", "polars", "pyarrow"} or None
        Whose table it was; None for arrays.
    original : object
        The user's own table, whose index and dtypes results take over.
    """

    values: Any
    names: tuple[str, ...] = ()
    frame: FrameKind | None = None
    original: Any = None

    @property
    def size(self) -> int:
        """Number of records."""
        return len(self.values)

    def give_back(self, records: Any) -> Any:
        """Return decoded records in the kind of container that was opened."""
        if self.frame is None or not isinstance(records, pa.Table):
            return records
        like = self.original if len(records) == self.size else None
        return from_arrow(records, self.frame, like)


def open_source(data: Any, *, image_size: tuple[int, int] | None = None, progress: Progress | None = None) -> Source:
    """Open data of any kind that refold accepts.

    Parameters
    ----------
    data : array-like, table, path or list of paths
        Arrays of shape (n, features), (n, H, W) or (n, H, W, C); tables of pandas, polars, pyarrow or anything
        with Arrow's C stream; paths of CSV, TSV, Parquet, Feather, ``.npy`` and ``.npz`` files (one array of
        several is named as ``file.npz::name``), of folders of pictures, or a list of picture files.
    image_size : (height, width), optional
        Resize pictures to this size; without it all must have the same size.
    progress : callable, optional
        Called with (done, total) while pictures are read.

    Returns
    -------
    Source

    Raises
    ------
    DataError
        If the data cannot be read; the message says why and what is allowed.

    Examples
    --------
    >>> open_source([[1.0, 2.0], [3.0, 4.0], [5.0, 6.0]]).size
    3
    """
    if isinstance(data, Source):
        return data
    source = _open(data, image_size, progress)
    if source.size == 0:
        raise DataError("the data hold no records; give at least one")
    return source


def _open(data: Any, image_size: tuple[int, int] | None, progress: Progress | None) -> Source:
    if isinstance(data, str | os.PathLike):
        return _open_path(str(data), image_size, progress)
    if _is_list_of_pictures(data):
        files = [Path(item) for item in data]
        return Source(read_pictures(files, image_size, progress)[0], tuple(path.name for path in files))
    kind = frame_kind(data)
    if kind is not None:
        return Source(to_arrow(data), frame=kind, original=data)
    return Source(_checked_array(data))


def _open_path(text: str, image_size: tuple[int, int] | None, progress: Progress | None) -> Source:
    path = Path(text)
    if path.is_dir():
        return _open_folder(path, image_size, progress)
    if is_picture(path):
        return Source(read_pictures([path], image_size, progress)[0], (path.name,))
    values = read_file(text)
    return Source(values, frame="pyarrow" if isinstance(values, pa.Table) else None)


def _open_folder(folder: Path, image_size: tuple[int, int] | None, progress: Progress | None) -> Source:
    values, kept = read_pictures(picture_files(folder), image_size, progress)
    return Source(values, tuple(path.relative_to(folder).as_posix() for path in kept))


def _is_list_of_pictures(data: Any) -> bool:
    return (
        isinstance(data, list | tuple)
        and len(data) > 0
        and all(isinstance(item, str | os.PathLike) and is_picture(Path(item)) for item in data)
    )


def _checked_array(data: Any) -> NDArray[Any]:
    from sklearn.utils.validation import check_array

    if isinstance(data, np.ndarray) and data.ndim > 4:
        raise DataError(
            f"X has {data.ndim} dimensions {data.shape}; allowed are (n, features), (n, H, W) and (n, H, W, C); "
            "reshape it"
        )
    checked: NDArray[Any] = check_array(data, dtype="numeric", allow_nd=True, ensure_all_finite=False, input_name="X")
    return checked
