"""Files of any kind as named arrays, and named arrays as files of the kind they came from."""

import os
from collections.abc import Callable, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from refold._errors import DataError
from refold.data._array_records import Records

ARRAY_KINDS = (
    ".npy, .npz (file.npz::name for one array), .parquet, .feather, .csv, .tsv, .nc, zarr folders, pictures and "
    "folders of pictures"
)


@dataclass(frozen=True, eq=False)
class NamedArray:
    """One array of a file.

    Parameters
    ----------
    name : str
        What it is called inside its file; may be nothing where it is alone.
    records : Records
    shape : tuple of int
        That of the records, or () for a single number without axes.
    exact : bool
        Whether its values shall come back bit for bit whatever is allowed for others: dates, places, masks.
    scale, offset : float
        A stored value is this times itself plus that in the units of the user.
    fill : tuple of float
        Numbers that stand for nothing, as the file tells.
    more : dict
        What it takes to write it as it was, as JSON.
    """

    name: str
    records: Records
    shape: tuple[int, ...]
    exact: bool = False
    scale: float = 1.0
    offset: float = 0.0
    fill: tuple[float, ...] = ()
    more: dict[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, eq=False)
class ArraysOfFile:
    """A file as named arrays; a context manager that closes it.

    Parameters
    ----------
    kind : str
        One of the keys of `WRITTEN_AS`.
    name : str
        That of the file or folder.
    about : dict
        What it takes to write the file as it was, beside its arrays; JSON.
    arrays : tuple of NamedArray
    notes : tuple of str
        What the user may want to know.
    """

    kind: str
    name: str
    about: dict[str, Any]
    arrays: tuple[NamedArray, ...]
    notes: tuple[str, ...] = ()
    closing: ExitStack = field(default_factory=ExitStack)

    def __enter__(self) -> "ArraysOfFile":
        return self

    def __exit__(self, *error: object) -> None:
        self.closing.close()


def open_arrays(text: str | os.PathLike[str], drop: Sequence[str] = ()) -> ArraysOfFile:
    """Open a file or a folder as named arrays; what is large stays on the disk.

    Parameters
    ----------
    text : str
        A path; ``file.npz::name`` is one array of several.
    drop : sequence of str
        Columns, variables or arrays to leave out.

    Raises
    ------
    DataError
        If there is none, it cannot be read, or holds what cannot be compressed.

    Examples
    --------
    >>> import numpy as np
    >>> np.save("waves.npy", np.zeros((3, 2)))
    >>> with open_arrays("waves.npy") as file:
    ...     file.kind, file.arrays[0].shape
    ('npy', (3, 2))
    """
    name, _, member = str(text).partition("::")
    path = Path(name)
    if not path.exists():
        raise DataError(f"there is no file or folder {name!r}; check the path")
    if member and path.suffix.lower() != ".npz":
        raise DataError(f"'::' names one array of an .npz file, and {path.name!r} is none; leave it out")
    opened = _opener(path)(path, member, drop)
    if not opened.arrays:
        opened.closing.close()
        raise DataError(f"{path.name!r} holds no array that could be compressed")
    return opened


def _opener(path: Path) -> Callable[[Path, str, Sequence[str]], ArraysOfFile]:
    from refold.data import _arrays_of_fields, _arrays_of_numpy, _arrays_of_pictures, _arrays_of_tables
    from refold.data._files import ending_of
    from refold.data._pictures import is_picture

    ending = ending_of(path)
    if path.is_dir():
        is_store = any((path / name).exists() for name in _arrays_of_fields.ZARR_MARKS)
        return _arrays_of_fields.open_zarr if is_store else _arrays_of_pictures.open_folder
    if ending in (".npy", ".npz"):
        return _arrays_of_numpy.open_npy if ending == ".npy" else _arrays_of_numpy.open_npz
    if ending in _arrays_of_tables.ENDINGS:
        return _arrays_of_tables.open_table
    if ending in _arrays_of_fields.NETCDF_ENDINGS:
        return _arrays_of_fields.open_netcdf
    if is_picture(path):
        return _arrays_of_pictures.open_picture
    raise DataError(f"{path.name!r} is not of a kind that can be compressed; allowed are {ARRAY_KINDS}")
