"""Pictures of any sizes, read one at a time."""

import os
from abc import ABC, abstractmethod
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from glob import glob
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from refold._errors import DataError
from refold.data._many_files import is_file_list, is_pattern
from refold.data._pictures import common_mode, decode_picture, head_of, is_picture, picture_files, report_broken
from refold.data._sources import Source
from refold.data._streams import Stream

_READERS = 4
Size = tuple[int, int]


class Pictures(ABC):
    """Pictures that may differ in size, each read when it is asked for.

    Parameters
    ----------
    names : sequence of str
        Of every picture: its file below the folder, or "0", "1", ... for arrays.
    files : sequence of pathlib.Path, default=()
        Of every picture, where they are in files.

    Attributes
    ----------
    size : int
        How many pictures there are.
    names : tuple of str
    files : tuple of pathlib.Path
    """

    def __init__(self, names: Sequence[str], files: Sequence[Path] = ()) -> None:
        self.names = tuple(names)
        self.files = tuple(files)
        self.size = len(self.names)

    @abstractmethod
    def read(self, place: int) -> NDArray[Any]:
        """Return the picture at a place: (H, W) if all are grey, else (H, W, channels)."""

    @property
    @abstractmethod
    def same_shape(self) -> tuple[int, ...] | None:
        """The shape that all of them have; None if they differ."""

    @property
    @abstractmethod
    def dtype(self) -> np.dtype[Any]:
        """A type that holds the values of all of them."""

    def __iter__(self) -> Iterator[NDArray[Any]]:
        for place in range(self.size):
            yield self.read(place)

    def at(self, places: Sequence[int] | NDArray[np.intp]) -> "Pictures":
        """Return some of the pictures, still read one at a time."""
        return _SomePictures(self, places)

    def stacked(self) -> NDArray[Any]:
        """Return pictures of one shape as one array (n, H, W) or (n, H, W, C)."""
        return np.stack(list(self))


class _SomePictures(Pictures):
    """Some of other pictures."""

    def __init__(self, pictures: Pictures, places: Sequence[int] | NDArray[np.intp]) -> None:
        self._places = [int(place) for place in places]
        files = [pictures.files[place] for place in self._places] if pictures.files else ()
        super().__init__([pictures.names[place] for place in self._places], files)
        self._pictures = pictures

    def read(self, place: int) -> NDArray[Any]:
        """Return the picture at a place."""
        return self._pictures.read(self._places[place])

    @property
    def same_shape(self) -> tuple[int, ...] | None:
        """The shape that all of the pictures have from which these were taken; None if they differ."""
        return self._pictures.same_shape

    @property
    def dtype(self) -> np.dtype[Any]:
        """A type that holds the values of all of them."""
        return self._pictures.dtype


def open_pictures(data: Any, *, image_size: Size | None = None) -> Pictures | None:
    """Open pictures, or return None where the data are something else.

    Parameters
    ----------
    data : path, list of paths, pattern, array or list of arrays
        A folder, a picture, pictures, a pattern such as ``tiles/*.png``; an array of shape (n, H, W) or
        (n, H, W, C); arrays of shapes (H, W) or (H, W, C) that may differ.
    image_size : (height, width), optional
        Resize the pictures of files to this size.

    Raises
    ------
    DataError
        If no picture can be read, or the pictures differ in channels.

    Examples
    --------
    >>> open_pictures(np.zeros((5, 20, 30), np.uint8)).same_shape
    (20, 30)
    >>> open_pictures([np.zeros((20, 30)), np.zeros((25, 30))]).size
    2
    >>> open_pictures([[1.0, 2.0], [3.0, 4.0]]) is None
    True
    """
    if isinstance(data, Pictures):
        return data
    if isinstance(data, str | os.PathLike):
        return _open_path(str(data), image_size)
    if is_file_list(data):
        files = [Path(item) for item in data]
        return _open_files(files, None, image_size) if all(map(is_picture, files)) else None
    arrays = _arrays(data)
    return PicturesInArrays(arrays) if arrays else None


def pictures_in(opened: Source | Stream) -> Pictures | None:
    """Return opened records as pictures, where they are arrays of pictures; such a stream is read whole."""
    values = opened.values if isinstance(opened, Source) else opened.head
    if not isinstance(values, np.ndarray) or values.ndim < 3:
        return None
    whole = opened if isinstance(opened, Source) else next(opened.chunks(opened.size))
    return open_pictures(whole.values)


def _open_path(text: str, image_size: Size | None) -> Pictures | None:
    path = Path(text)
    if path.is_dir():
        files = picture_files(path)
        return _open_files(files, path, image_size) if files else None
    if path.is_file():
        return _open_files([path], None, image_size) if is_picture(path) else None
    files = sorted(Path(name) for name in glob(text, recursive=True)) if is_pattern(text) else []
    return _open_files(files, None, image_size) if files and all(map(is_picture, files)) else None


# --- files ---------------------------------------------------------------------------------------------------------


class PicturesInFiles(Pictures):
    """Pictures in files that can all be decoded; see `open_pictures`.

    Parameters
    ----------
    files : sequence of pathlib.Path
    names : sequence of str
    mode : str
        Pillow's name for what they become.
    sizes : sequence of (height, width)
    """

    def __init__(self, files: Sequence[Path], names: Sequence[str], mode: str, sizes: Sequence[Size]) -> None:
        super().__init__(names, files)
        self._mode, self._sizes = mode, tuple(sizes)

    def read(self, place: int) -> NDArray[Any]:
        """Return the picture at a place: (H, W) or (H, W, 3), uint8, or uint16 where all are 16-bit grey.

        Raises
        ------
        DataError
            If its file has been changed or taken away.
        """
        picture = decode_picture(self.files[place], self._mode, self._sizes[place])
        if picture is None:
            raise DataError(f"the picture {self.names[place]!r} can no longer be read; open the pictures again")
        return picture

    @property
    def same_shape(self) -> tuple[int, ...] | None:
        """The shape that all of them have, as their heads tell; None if they differ."""
        if len(set(self._sizes)) > 1:
            return None
        return (*self._sizes[0], 3) if self._mode == "RGB" else self._sizes[0]

    @property
    def dtype(self) -> np.dtype[Any]:
        """uint8, or uint16 where all are 16-bit grey."""
        return np.dtype(np.uint16 if self._mode == "I;16" else np.uint8)


def _open_files(files: Sequence[Path], folder: Path | None, image_size: Size | None) -> Pictures:
    """Return those of the files that can be decoded: all are, once, so that none fails in the middle of a fit."""
    with ThreadPoolExecutor(_READERS) as pool:
        whole = list(pool.map(_is_whole, files))
    heads = [head_of(path) if good else None for path, good in zip(files, whole, strict=True)]
    kept = [(path, head) for path, head in zip(files, heads, strict=True) if head is not None]
    report_broken([path for path, head in zip(files, heads, strict=True) if head is None], len(files))
    names = _names_of([path for path, _ in kept], folder)
    sizes = [size if image_size is None else (int(image_size[0]), int(image_size[1])) for _, (_, size) in kept]
    return PicturesInFiles([path for path, _ in kept], names, common_mode([mode for _, (mode, _) in kept]), sizes)


def _names_of(files: Sequence[Path], folder: Path | None) -> list[str]:
    """Return the files' names below a folder: the given one, else one that makes them distinct."""
    names = [path.name for path in files]
    if folder is None and len(set(names)) < len(names):
        files = [path.absolute() for path in files]
        folder = Path(os.path.commonpath([path.parent for path in files]))
    return names if folder is None else [path.relative_to(folder).as_posix() for path in files]


def _is_whole(path: Path) -> bool:
    try:
        with Image.open(path) as image:
            image.load()
    except (OSError, ValueError, SyntaxError, Image.DecompressionBombError):
        return False
    return True


# --- arrays --------------------------------------------------------------------------------------------------------


class PicturesInArrays(Pictures):
    """Pictures in memory; see `open_pictures`.

    Parameters
    ----------
    arrays : sequence of ndarray of shape (H, W) or (H, W, C)
        Grey ones among coloured ones become coloured.

    Raises
    ------
    DataError
        If they differ in channels otherwise.
    """

    def __init__(self, arrays: Sequence[NDArray[Any]]) -> None:
        super().__init__([str(place) for place in range(len(arrays))])
        self._arrays = arrays
        channels = sorted({_channels(array) for array in arrays})
        if len([count for count in channels if count > 1]) > 1:
            raise DataError(
                f"the pictures have {' and '.join(map(str, channels))} channels; give pictures with as many channels "
                "each, or grey ones"
            )
        self._channels = channels[-1]

    def read(self, place: int) -> NDArray[Any]:
        """Return the picture at a place: (H, W) if all are grey, else (H, W, channels)."""
        array = self._arrays[place]
        if self._channels == 1:
            return array if array.ndim == 2 else array[..., 0]
        if _channels(array) == self._channels:
            return array
        return np.repeat(array.reshape(*array.shape[:2], 1), self._channels, axis=2)

    @property
    def same_shape(self) -> tuple[int, ...] | None:
        """The shape that all of them have; None if they differ."""
        sizes = {array.shape[:2] for array in self._arrays}
        if len(sizes) > 1:
            return None
        size = next(iter(sizes))
        return size if self._channels == 1 else (*size, self._channels)

    @property
    def dtype(self) -> np.dtype[Any]:
        """A type that holds the values of all of them."""
        return np.result_type(*{array.dtype for array in self._arrays})


def _arrays(data: Any) -> Sequence[NDArray[Any]]:
    """Return data as arrays of pictures; () if they are none."""
    if isinstance(data, list | tuple):
        if not data or not all(hasattr(item, "__array__") and np.ndim(item) in (2, 3) for item in data):
            return ()
        arrays = [np.asarray(item) for item in data]
        return arrays if all(map(_is_picture_array, arrays)) else ()
    if not hasattr(data, "__array__") or getattr(data, "ndim", 0) not in (3, 4):
        return ()
    array = data if isinstance(data, np.ndarray) else np.asarray(data)
    return list(array) if len(array) and _is_picture_array(array[0]) else ()


def _is_picture_array(array: NDArray[Any]) -> bool:
    return array.dtype.kind in "biuf" and array.ndim in (2, 3) and array.size > 0


def _channels(array: NDArray[Any]) -> int:
    return 1 if array.ndim == 2 else array.shape[2]
