"""Open whatever the user names: arrays, tables of any library, files, folders of pictures."""

import os
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, overload

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from refold._errors import DataError
from refold.data._files import read_file
from refold.data._frames import frame_kind, to_arrow
from refold.data._many_files import (
    TOGETHER,
    is_file_list,
    is_pattern,
    kind_of,
    matching_files,
    open_files,
    streamed_files,
)
from refold.data._pictures import PICTURE_SUFFIXES, is_picture, picture_files, read_pictures, survey_pictures
from refold.data._sources import Source
from refold.data._stream_arrays import open_mapped
from refold.data._stream_datasets import is_dataset, open_dataset
from refold.data._stream_pictures import picture_stream
from refold.data._streams import Stream, in_memory_bytes
from refold.data._text import is_packed

_TEXT_IN_MEMORY, _PACKED_TEXT_IN_MEMORY = 3, 12  # bytes in memory for a byte in the file
Progress = Callable[[int, int], None]
Size = tuple[int, int]


@overload
def open_source(data: Any, *, image_size: Size | None = None, progress: Progress | None = None) -> Source: ...
@overload
def open_source(
    data: Any, *, image_size: Size | None = None, progress: Progress | None = None, max_memory: int | None
) -> Source | Stream: ...
def open_source(
    data: Any,
    *,
    image_size: Size | None = None,
    progress: Progress | None = None,
    max_memory: int | None = None,
) -> Source | Stream:
    """Open data of any kind that refold accepts.

    Parameters
    ----------
    data : array-like, table, path or list of paths
        Arrays of shape (n, features), (n, H, W) or (n, H, W, C); tables of pandas, polars, pyarrow or anything
        with Arrow's C stream, datasets of pyarrow; paths of CSV, TSV, Parquet, Feather, ``.npy`` and ``.npz``
        files (one array of several is named as ``file.npz::name``); of many pictures, tables or ``.npy`` files
        of one kind a list, a pattern such as ``data/*.parquet``, or the folder, in which folders called such as
        ``year=2024`` give columns.
    image_size : (height, width), optional
        Resize pictures to this size; without it all must have the same size.
    progress : callable, optional
        Called with (done, total) while pictures are read.
    max_memory : int, optional
        Bytes. Files whose records would need more, as they are and as numbers, are not read but opened as a
        `Stream`. Without it everything is read.

    Returns
    -------
    Source or Stream

    Raises
    ------
    DataError
        If the data cannot be read; the message says why and what is allowed.

    Examples
    --------
    >>> open_source([[1.0, 2.0], [3.0, 4.0], [5.0, 6.0]]).size
    3
    """
    if isinstance(data, Source | Stream):
        return data
    opened = _open(data, _Wishes(image_size, progress, max_memory))
    if opened.size == 0:
        raise DataError("the data hold no records; give at least one")
    return opened


@dataclass(frozen=True)
class _Wishes:
    """How the records shall be opened."""

    image_size: Size | None
    progress: Progress | None
    max_memory: int | None

    def fits(self, need: int) -> bool:
        """Say whether so many bytes may be taken."""
        return self.max_memory is None or need <= self.max_memory


def _open(data: Any, wishes: _Wishes) -> Source | Stream:
    if isinstance(data, str | os.PathLike):
        return _open_path(str(data), wishes)
    if is_file_list(data):
        return _open_files([Path(item) for item in data], wishes)
    if is_dataset(data):
        return _settled(open_dataset(data), wishes)
    kind = frame_kind(data)
    if kind is not None:
        return Source(to_arrow(data), frame=kind, original=data)
    array = _checked_array(data)
    if isinstance(data, np.memmap) and not wishes.fits(array.nbytes):
        return open_mapped(data)
    return Source(array)


def _open_path(text: str, wishes: _Wishes) -> Source | Stream:
    path = Path(text)
    if path.is_dir():
        return _open_folder(path, wishes)
    if is_picture(path) and path.is_file():
        return _open_pictures([path], None, wishes)
    if is_pattern(text):
        return _open_files(matching_files(text), wishes)
    return _open_file(text, wishes)


def _open_file(text: str, wishes: _Wishes) -> Source | Stream:
    path = Path(text)
    if wishes.max_memory is not None and path.is_file() and kind_of(path) is not None:
        stream = _stream_if_large(path, wishes)
        if stream is not None:
            return stream
    values = read_file(text)
    return Source(values, frame="pyarrow" if isinstance(values, pa.Table) else None)


def _stream_if_large(path: Path, wishes: _Wishes) -> Stream | None:
    """Return the stream of a file whose records do not fit; of a text this is told before it is surveyed."""
    in_memory = _PACKED_TEXT_IN_MEMORY if is_packed(path) else _TEXT_IN_MEMORY
    if kind_of(path) == "text" and wishes.fits(path.stat().st_size * in_memory):
        return None
    try:
        stream = open_files([path])
    except DataError:
        if kind_of(path) != "Feather":
            raise
        return None  # Feather's first version is only read whole
    return stream if kind_of(path) == "text" or not wishes.fits(in_memory_bytes(stream)) else None


def _open_folder(folder: Path, wishes: _Wishes) -> Source | Stream:
    pictures = picture_files(folder)
    if pictures:
        return _open_pictures(pictures, folder, wishes)
    files = streamed_files(folder)
    if not files:
        raise DataError(
            f"the folder {folder.name!r} holds no records; allowed are pictures ({', '.join(PICTURE_SUFFIXES)}) and "
            f"files of one kind ({TOGETHER})"
        )
    return _settled(open_files(files, folder), wishes)


def _open_files(files: Sequence[Path], wishes: _Wishes) -> Source | Stream:
    if all(is_picture(path) for path in files):
        return _open_pictures(files, None, wishes)
    return _settled(open_files(files), wishes)


def _open_pictures(files: Sequence[Path], folder: Path | None, wishes: _Wishes) -> Source | Stream:
    pictures = survey_pictures(files, wishes.image_size)
    if not wishes.fits(pictures.record_bytes * len(pictures.files)):
        return picture_stream(pictures, _names(pictures.files, folder))
    values, kept = read_pictures(pictures, wishes.progress)
    return Source(values, _names(kept, folder))


def _names(files: Sequence[Path], folder: Path | None) -> tuple[str, ...]:
    return tuple(path.name if folder is None else path.relative_to(folder).as_posix() for path in files)


def _settled(stream: Stream, wishes: _Wishes) -> Source | Stream:
    """Return the stream, or its records where they fit into memory."""
    if stream.size == 0 or not wishes.fits(in_memory_bytes(stream)):
        return stream
    return next(stream.chunks(stream.size))


def _checked_array(data: Any) -> NDArray[Any]:
    from sklearn.utils.validation import check_array

    if isinstance(data, np.ndarray) and data.ndim > 4:
        raise DataError(
            f"X has {data.ndim} dimensions {data.shape}; allowed are (n, features), (n, H, W) and (n, H, W, C); "
            "reshape it"
        )
    try:
        checked: NDArray[Any] = check_array(
            data, dtype="numeric", allow_nd=True, ensure_all_finite=False, input_name="X"
        )
    except ValueError as error:
        raise DataError(str(error)) from error
    return checked
