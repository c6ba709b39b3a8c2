"""Pictures from files to arrays and back."""

import warnings
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from math import prod
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageOps, UnidentifiedImageError

from refold._errors import DataError, RefoldWarning

PICTURE_SUFFIXES = (".png", ".jpg", ".jpeg", ".tif", ".tiff", ".bmp", ".webp", ".gif", ".pgm", ".ppm")
LUMINANCE = (0.299, 0.587, 0.114)  # of red, green and blue, as in ITU-R BT.601 and in Pillow
_GREY_MODES = ("1", "L", "LA", "I;16", "I;16L", "I;16B", "I", "F")
DEEP_MODES = ("I;16", "I;16L", "I;16B", "I")
_READERS = 4  # threads: Pillow decodes without holding the interpreter


def is_picture(path: Path) -> bool:
    """Say whether the file's name is one of a picture."""
    return path.suffix.lower() in PICTURE_SUFFIXES


def picture_files(folder: Path) -> list[Path]:
    """Return the pictures in a folder and the folders below it, sorted by path."""
    return sorted(path for path in folder.rglob("*") if is_picture(path) and not path.name.startswith("."))


@dataclass(frozen=True)
class PictureSet:
    """Pictures in files, known by their heads, that all become arrays of one shape.

    Grey pictures give (n, H, W), colour pictures and mixtures (n, H, W, 3); uint8, or uint16 where all are
    16-bit grey. Transparency is laid on white.

    Parameters
    ----------
    files : tuple of pathlib.Path
    mode : str
        Pillow's name for what they become.
    size : (height, width)
        Pictures of another size are resized to it.
    """

    files: tuple[Path, ...]
    mode: str
    size: tuple[int, int]

    @property
    def shape(self) -> tuple[int, ...]:
        """Of the array of all pictures."""
        return (len(self.files), *self.size, *((3,) if self.mode == "RGB" else ()))

    @property
    def dtype(self) -> np.dtype[Any]:
        """Of the pixels."""
        return np.dtype(np.uint16 if self.mode == "I;16" else np.uint8)

    @property
    def record_bytes(self) -> int:
        """Bytes of one picture in memory."""
        return prod(self.shape[1:]) * self.dtype.itemsize

    def decoded(self, files: Sequence[Path]) -> Iterator[NDArray[Any] | None]:
        """Yield some of the pictures, decoded by a few threads; None for those that cannot be."""
        with ThreadPoolExecutor(_READERS) as pool:
            yield from pool.map(lambda path: decode_picture(path, self.mode, self.size), files)


def decode_picture(path: Path, mode: str, size: tuple[int, int]) -> NDArray[Any] | None:
    """Return the picture in a file, turned upright, in a mode and a size (height, width); None if it is broken."""
    try:
        with Image.open(path) as image:
            converted = _convert(ImageOps.exif_transpose(image), mode)
    except (OSError, ValueError, SyntaxError, Image.DecompressionBombError):
        return None
    if converted.size != size[::-1]:
        converted = converted.resize(size[::-1], Image.Resampling.BICUBIC)
    return np.asarray(converted)


def survey_pictures(files: Sequence[Path], image_size: tuple[int, int] | None = None) -> PictureSet:
    """Read the heads of pictures; those without a readable one are left out with a warning that names them.

    Parameters
    ----------
    files : sequence of pathlib.Path
    image_size : (height, width), optional
        Resize every picture to this size.

    Raises
    ------
    DataError
        If two pictures differ in size and no `image_size` is given, or none can be read.
    """
    heads = [head_of(path) for path in files]
    kept = [path for path, head in zip(files, heads, strict=True) if head is not None]
    known = [head for head in heads if head is not None]
    report_broken([path for path, head in zip(files, heads, strict=True) if head is None], len(files))
    if image_size is None:
        _check_sizes(kept, known)
    size = known[0][1] if image_size is None else image_size
    return PictureSet(tuple(kept), common_mode([mode for mode, _ in known]), (int(size[0]), int(size[1])))


def read_pictures(
    pictures: PictureSet, progress: Callable[[int, int], None] | None = None
) -> tuple[NDArray[Any], list[Path]]:
    """Return all pictures as an array of shape (n, *record), and the files that could be decoded.

    Broken files are left out with a warning that names them.

    Parameters
    ----------
    pictures : PictureSet
    progress : callable, optional
        Called with (done, total).

    Raises
    ------
    DataError
        If none can be decoded.
    """
    values, readable = np.empty(pictures.shape, pictures.dtype), np.ones(len(pictures.files), np.bool_)
    for place, picture in enumerate(pictures.decoded(pictures.files)):
        readable[place] = picture is not None
        if picture is not None:
            values[place] = picture
        if progress is not None:
            progress(place + 1, len(pictures.files))
    report_broken([pictures.files[place] for place in np.flatnonzero(~readable)], len(pictures.files))
    if readable.all():
        return values, list(pictures.files)
    return values[readable], [pictures.files[place] for place in np.flatnonzero(readable)]


def save_picture(picture: NDArray[Any], path: Path) -> None:
    """Write a picture of shape (H, W), (H, W, 1) or (H, W, 3), uint8 or uint16, or floats of 0 to 1."""
    flat = picture[..., 0] if picture.ndim == 3 and picture.shape[-1] == 1 else picture
    if flat.dtype.kind == "f":
        flat = np.rint(np.clip(flat, 0, 1) * 255).astype(np.uint8)
    Image.fromarray(flat.astype(np.uint8) * 255 if flat.dtype == np.bool_ else flat).save(path)


def head_of(path: Path) -> tuple[str, tuple[int, int]] | None:
    """Return mode and (height, width) as the head of a file tells them, upright; None if it is broken."""
    try:
        with Image.open(path) as image:
            exif = Image.Image.getexif(image)  # PNG's own getexif would decode the picture
            turned = exif.get(0x0112, 1) >= 5  # EXIF orientations 5 to 8 lie on their side
            width, height = image.size
            return image.mode, (width, height) if turned else (height, width)
    except (OSError, UnidentifiedImageError, ValueError, Image.DecompressionBombError):
        return None


def _check_sizes(files: Sequence[Path], heads: Sequence[tuple[str, tuple[int, int]]]) -> None:
    first = heads[0][1]
    for path, (_, size) in zip(files, heads, strict=True):
        if size != first:
            raise DataError(
                f"the pictures differ in size: {files[0].name!r} is {first[0]}x{first[1]} and {path.name!r} is "
                f"{size[0]}x{size[1]} (height x width); give image_size=(height, width) to resize all, such as "
                f"image_size=({min(first[0], 64)}, {min(first[1], 64)})"
            )


def report_broken(broken: Sequence[Path], total: int) -> None:
    """Warn of broken files by name.

    Raises
    ------
    DataError
        If no other is left.
    """
    if broken and len(broken) == total:
        raise DataError(f"none of the {total} pictures can be read ({broken[0].name!r} is the first)")
    if broken:
        names = ", ".join(path.name for path in broken[:3]) + (", ..." if len(broken) > 3 else "")
        warnings.warn(
            f"{len(broken)} of {total} pictures cannot be read and are left out: {names}",
            RefoldWarning,
            stacklevel=4,
        )


def common_mode(modes: Sequence[str]) -> str:
    """Return the mode that pictures of these modes become: grey, 16-bit grey, or colour where one has it."""
    if any(mode not in _GREY_MODES for mode in modes):
        return "RGB"
    return "I;16" if all(mode in DEEP_MODES for mode in modes) else "L"


def _convert(image: Image.Image, mode: str) -> Image.Image:
    if mode == "I;16":
        return Image.fromarray(np.asarray(image).astype(np.uint16))
    if image.mode in DEEP_MODES:
        image = Image.fromarray((np.asarray(image).clip(0, 65535) // 257).astype(np.uint8))
    if image.mode in ("LA", "RGBA", "PA") or "transparency" in image.info:
        image = _on_white(image)
    return image.convert(mode)


def _on_white(image: Image.Image) -> Image.Image:
    with_alpha = image.convert("RGBA")
    white = Image.new("RGBA", with_alpha.size, "white")
    return Image.alpha_composite(white, with_alpha).convert("RGB")
