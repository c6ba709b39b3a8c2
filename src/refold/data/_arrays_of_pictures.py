"""Pictures as named arrays: those of one shape in a stack, with their names."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import Any

import numpy as np
from numpy.typing import NDArray

from refold._errors import DataError
from refold.data._array_records import Records
from refold.data._arrays_in_files import ArraysOfFile, NamedArray
from refold.data._picture_file import PictureFile, read_picture_file, write_picture_file
from refold.data._pictures import picture_files

Array = NDArray[Any]

_EXACT_ENDINGS = (".png", ".tif", ".tiff", ".bmp", ".pgm", ".ppm")
_LOSSY = ("JPEG", "MPO")
_UNKEPT = ("exif", "icc_profile", "xmp", "chunks", "tags", "tiffinfo")


# --- reading -------------------------------------------------------------------------------------------------------


def open_picture(path: Path, member: str = "", drop: Sequence[str] = ()) -> ArraysOfFile:
    """Open one picture."""
    return open_pictures_as_arrays([path], [path.name], path.name, drop)


def open_folder(path: Path, member: str = "", drop: Sequence[str] = ()) -> ArraysOfFile:
    """Open the pictures of a folder and the folders below it."""
    files = picture_files(path)
    if not files:
        raise DataError(
            f"the folder {path.resolve().name!r} holds no pictures and is no zarr store; give the files themselves"
        )
    names = [file.relative_to(path).as_posix() for file in files]
    return open_pictures_as_arrays(files, names, path.resolve().name, drop)


def open_pictures_as_arrays(
    files: Sequence[Path], names: Sequence[str], called: str, drop: Sequence[str] = ()
) -> ArraysOfFile:
    """Open pictures as stacks of one shape each; every picture is decoded when it is needed."""
    stacks: dict[tuple[tuple[int, ...], str, bool], list[tuple[Path, str]]] = {}
    lossy = unkept = 0
    for file, name in zip(files, names, strict=True):
        if name in drop:
            continue
        picture = read_picture_file(file)
        lossy += picture.format in _LOSSY
        unkept += any(picture.info.get(key) for key in _UNKEPT)
        pixels = _samples(picture)
        stacks.setdefault((pixels.shape, pixels.dtype.str, picture.alpha is not None), []).append((file, name))
    kept = _names_to_write([name for stack in stacks.values() for _, name in stack])
    arrays = tuple(
        _stack(key, stack, kept, called if len(stacks) == 1 else _shape_name(key)) for key, stack in stacks.items()
    )
    return ArraysOfFile("pictures", called, {}, arrays, _notes(lossy, unkept, len(files)))


def _notes(lossy: int, unkept: int, count: int) -> tuple[str, ...]:
    notes = []
    if lossy:
        notes.append(f"{lossy} of {count} pictures are JPEGs, which are smaller as they are; they come back as PNG")
    if unkept:
        notes.append(f"{unkept} of {count} pictures have EXIF, a colour profile or tags, which are not kept")
    return tuple(notes)


def _shape_name(key: tuple[tuple[int, ...], str, bool]) -> str:
    shape, dtype, transparent = key
    return f"{'x'.join(map(str, shape))} {np.dtype(dtype).name}{' with transparency' if transparent else ''}"


def _stack(
    key: tuple[tuple[int, ...], str, bool], stack: list[tuple[Path, str]], kept: dict[str, str], called: str
) -> NamedArray:
    (shape, dtype, transparent), whole = key, (len(stack), *key[0])
    records = Records(_Stack([file for file, _ in stack], shape, np.dtype(dtype)), whole, np.dtype(dtype))
    more = {"names": [kept[name] for _, name in stack], **({"alpha": True} if transparent else {})}
    return NamedArray(called, records, whole, more=more)


def _names_to_write(names: Sequence[str]) -> dict[str, str]:
    """Return the name that each picture gets when it comes back: of a kind without loss, and its own alone."""
    exact = {name for name in names if name.lower().endswith(_EXACT_ENDINGS)}
    taken, found = {name.lower() for name in exact}, {name: name for name in exact}
    for name in names:
        if name not in exact:
            plain = str(PurePosixPath(name).with_suffix(".png"))
            found[name] = plain if plain.lower() not in taken else f"{name}.png"
            taken.add(found[name].lower())
    return found


def _samples(picture: PictureFile) -> Array:
    """Return pixels (H, W) or (H, W, C), transparency the last channel."""
    if picture.alpha is None:
        return picture.pixels
    return np.dstack([picture.pixels, picture.alpha.astype(picture.pixels.dtype, copy=False)])


@dataclass(frozen=True)
class _Stack:
    files: Sequence[Path]
    shape: tuple[int, ...]
    dtype: np.dtype[Any]

    def __getitem__(self, part: slice) -> Array:
        found = np.empty((part.stop - part.start, *self.shape), self.dtype)
        for place, file in enumerate(self.files[part]):
            pixels = _samples(read_picture_file(file))
            if pixels.shape != self.shape or pixels.dtype != self.dtype:
                raise DataError(f"the picture {file.name!r} was changed while it was read; start again")
            found[place] = pixels
        return found


# --- writing -------------------------------------------------------------------------------------------------------


def write_pictures(folder: Path, arrays: Sequence[NamedArray]) -> None:
    """Write pictures into a folder, each whole or not at all.

    Raises
    ------
    ValueError
        If what is told of them does not suit them, or a name leaves the folder.
    """
    names = [name for array in arrays for name in picture_names(array)]
    if len({name.lower() for name in names}) < len(names):
        raise ValueError("two pictures have one name")
    for array in arrays:
        told = picture_names(array)
        for place, name in enumerate(told):
            write_one_picture(folder / name, array, place)


def write_one_picture(path: Path, array: NamedArray, place: int) -> None:
    """Write one picture of a stack."""
    samples = array.records[place : place + 1][0]
    alpha = None
    if array.more.get("alpha"):
        if samples.ndim != 3 or samples.shape[2] < 2:
            raise ValueError("transparent pictures have too few channels")
        samples, alpha = samples[..., :-1], np.ascontiguousarray(samples[..., -1])
    samples = samples[..., 0] if samples.ndim == 3 and samples.shape[2] == 1 else samples
    write_picture_file(PictureFile(np.ascontiguousarray(samples), alpha), path)


def picture_names(array: NamedArray) -> list[str]:
    """Return the names of the pictures of a stack.

    Raises
    ------
    ValueError
        If there are none, or one leaves the folder.
    """
    names = array.more.get("names")
    if not isinstance(names, list) or len(names) != len(array.records) or array.records.ndim not in (3, 4):
        raise ValueError("the pictures have no names")
    return [inner_path(name) for name in names]


def inner_path(name: Any) -> str:
    """Return a path that stays inside of a folder.

    Raises
    ------
    ValueError
        If it does not.
    """
    parts = PurePosixPath(name).parts if isinstance(name, str) else ()
    bad = not parts or any(part in ("..", "/") or "\0" in part or "\\" in part or ":" in part for part in parts)
    if bad or PurePosixPath(name).is_absolute():
        raise ValueError(f"the name {str(name)[:80]!r} is none of a file inside of a folder")
    return str(name)
