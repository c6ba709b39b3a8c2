"""Named arrays to a file of the kind they came from."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from secrets import token_hex
from shutil import rmtree

from refold._errors import CompressedFileError, DataError, RefoldError
from refold.data._arrays_in_files import ArraysOfFile
from refold.data._arrays_of_fields import NETCDF_ENDINGS, ZARR_MARKS, write_netcdf, write_zarr
from refold.data._arrays_of_numpy import write_npy, write_npz
from refold.data._arrays_of_pictures import write_one_picture, write_pictures
from refold.data._files import ending_of
from refold.data._pictures import is_picture

_TABLES = (".parquet", ".feather", ".arrow", ".csv", ".tsv", ".txt")
_SUIT = {
    "npy": (".npy",),
    "npz": (".npz",),
    "table": _TABLES,
    "pictures": ("",),
    "netcdf": NETCDF_ENDINGS,
    "zarr": (".zarr", ""),
}
_ANY = (".npy", ".npz")  # hold arrays of any kind, without what else their file told


def endings_for(file: ArraysOfFile) -> tuple[str, ...]:
    """Return the endings of outputs that can hold what a file held; "" for a folder."""
    of_kind = _SUIT.get(file.kind, ())
    single = (".png", ".tif", ".tiff", ".bmp", ".pgm", ".ppm") if _one_picture(file) else ()
    return tuple(dict.fromkeys([*of_kind, *single, *(_ANY if len(file.arrays) == 1 else _ANY[1:])]))


def _one_picture(file: ArraysOfFile) -> bool:
    return file.kind == "pictures" and len(file.arrays) == 1 and len(file.arrays[0].records) == 1


def write_arrays(path: Path, file: ArraysOfFile) -> None:
    """Write what a file held, part by part, whole or not at all.

    Parameters
    ----------
    path : Path
        Its ending is one of `endings_for`, or it is a folder.
    file : ArraysOfFile

    Raises
    ------
    CompressedFileError
        If what is told of the arrays does not suit them.
    DataError
        If the kind of file cannot hold them.
    """
    with _told_plainly(file):
        ending = ending_of(path)
        if ending == ".npy":
            write_npy(path, file.arrays[0])
        elif ending == ".npz":
            write_npz(path, file.arrays, file.about)
        elif file.kind == "table":
            from refold.data._arrays_of_tables import write_table

            write_table(path, file.arrays, file.about)
        elif file.kind == "netcdf":
            write_netcdf(path, file.arrays, file.about)
        elif file.kind == "zarr":
            write_zarr(path, file.arrays, file.about)
        elif _one_picture(file) and is_picture(path) and not path.is_dir():
            write_one_picture(path, file.arrays[0], 0)
        elif file.kind == "pictures":
            _write_folder(path, file)
        else:
            raise DataError(f"{path.name!r} cannot hold what {file.name!r} held; give another output")


def _write_folder(path: Path, file: ArraysOfFile) -> None:
    """Write a new folder whole or not at all; into one that is there each picture on its own."""
    if path.exists():
        write_pictures(path, file.arrays)
        return
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = path.with_name(f".{path.name[:40]}.{token_hex(4)}")
    try:
        temporary.mkdir()
        write_pictures(temporary, file.arrays)
        temporary.rename(path)
    finally:
        rmtree(temporary, ignore_errors=True)


@contextmanager
def _told_plainly(file: ArraysOfFile) -> Iterator[None]:
    try:
        yield
    except (RefoldError, OSError, MemoryError):
        raise
    except Exception as error:  # what is told of arrays may be anything, and four libraries are given it
        reason = (str(error).splitlines() or [type(error).__name__])[0]
        raise CompressedFileError(
            f"{file.name!r} cannot be written as it was: {reason}; its arrays can be had with --array NAME -o OUT.npy"
        ) from error


def is_replaceable(path: Path, file: ArraysOfFile) -> bool:
    """Say whether an output may take the place of what is there: no folder is removed that is not of its kind."""
    if not path.is_dir():
        return True
    if file.kind == "pictures":
        return True
    return file.kind == "zarr" and (any((path / mark).exists() for mark in ZARR_MARKS) or not any(path.iterdir()))


def is_taken(path: Path, file: ArraysOfFile) -> bool:
    """Say whether there is something that an output would replace or be mixed with."""
    return any(path.iterdir()) if path.is_dir() and file.kind in ("pictures", "zarr") else path.exists()
