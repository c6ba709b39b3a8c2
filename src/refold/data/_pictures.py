"""Pictures from files to arrays and back."""

import warnings
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageOps, UnidentifiedImageError

from refold._errors import DataError, RefoldWarning

PICTURE_SUFFIXES = (".png", ".jpg", ".jpeg", ".tif", ".tiff", ".bmp", ".webp", ".gif", ".pgm", ".ppm")
_GREY_MODES = ("1", "L", "LA", "I;16", "I;16L", "I;16B", "I", "F")
_DEEP_MODES = ("I;16", "I;16L", "I;16B", "I")
_READERS = 4  # threads: Pillow decodes without holding the interpreter


def is_picture(path: Path) -> bool:
    """Say whether the file's name is one of a picture."""
    return path.suffix.lower() in PICTURE_SUFFIXES


def picture_files(folder: Path) -> list[Path]:
    """Return the pictures in a folder and the folders below it, sorted by path."""
    files = sorted(path for path in folder.rglob("*") if is_picture(path) and not path.name.startswith("."))
    if not files:
        raise DataError(f"the folder {folder.name!r} holds no pictures; allowed are {', '.join(PICTURE_SUFFIXES)}")
    return files


def read_pictures(
    files: Sequence[Path],
    image_size: tuple[int, int] | None = None,
    progress: Callable[[int, int], None] | None = None,
) -> tuple[NDArray[Any], list[Path]]:
    """Return pictures of one size as an array, and the files that could be read.

    Grey pictures give (n, H, W), colour pictures and mixtures (n, H, W, 3); uint8, or uint16 where all are
    16-bit grey. Transparency is laid on white. Broken files are left out with a warning that names them.

    Parameters
    ----------
    files : sequence of pathlib.Path
    image_size : (height, width), optional
        Resize every picture to this size.
    progress : callable, optional
        Called with (done, total).

    Raises
    ------
    DataError
        If two pictures differ in size and no `image_size` is given, or none can be read.
    """
    heads = [_head(path) for path in files]
    kept = [path for path, head in zip(files, heads, strict=True) if head is not None]
    known = [head for head in heads if head is not None]
    _report_broken([path for path, head in zip(files, heads, strict=True) if head is None], len(files))
    if image_size is None:
        _check_sizes(kept, known)
    mode = _common_mode([mode for mode, _ in known])
    pictures = _read_all(kept, mode, image_size, progress)
    broken = [path for path, picture in zip(kept, pictures, strict=True) if picture is None]
    _report_broken(broken, len(files))
    readable = [path for path in kept if path not in set(broken)]
    return np.stack([picture for picture in pictures if picture is not None]), readable


def save_picture(picture: NDArray[Any], path: Path) -> None:
    """Write a picture of shape (H, W), (H, W, 1) or (H, W, 3), uint8 or uint16, or floats of 0 to 1."""
    flat = picture[..., 0] if picture.ndim == 3 and picture.shape[-1] == 1 else picture
    if flat.dtype.kind == "f":
        flat = np.rint(np.clip(flat, 0, 1) * 255).astype(np.uint8)
    Image.fromarray(flat.astype(np.uint8) * 255 if flat.dtype == np.bool_ else flat).save(path)


def _head(path: Path) -> tuple[str, tuple[int, int]] | None:
    try:
        with Image.open(path) as image:
            turned = image.getexif().get(0x0112, 1) >= 5  # EXIF orientations 5 to 8 lie on their side
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


def _report_broken(broken: Sequence[Path], total: int) -> None:
    if broken and len(broken) == total:
        raise DataError(f"none of the {total} pictures can be read ({broken[0].name!r} is the first)")
    if broken:
        names = ", ".join(path.name for path in broken[:3]) + (", ..." if len(broken) > 3 else "")
        warnings.warn(
            f"{len(broken)} of {total} pictures cannot be read and are left out: {names}",
            RefoldWarning,
            stacklevel=4,
        )


def _common_mode(modes: Sequence[str]) -> str:
    if any(mode not in _GREY_MODES for mode in modes):
        return "RGB"
    return "I;16" if all(mode in _DEEP_MODES for mode in modes) else "L"


def _read_all(
    files: Sequence[Path],
    mode: str,
    image_size: tuple[int, int] | None,
    progress: Callable[[int, int], None] | None,
) -> list[NDArray[Any] | None]:
    pictures: list[NDArray[Any] | None] = []
    with ThreadPoolExecutor(_READERS) as pool:
        for picture in pool.map(lambda path: _read_one(path, mode, image_size), files):
            pictures.append(picture)
            if progress is not None:
                progress(len(pictures), len(files))
    return pictures


def _read_one(path: Path, mode: str, image_size: tuple[int, int] | None) -> NDArray[Any] | None:
    try:
        with Image.open(path) as image:
            converted = _convert(ImageOps.exif_transpose(image), mode)
    except (OSError, ValueError, SyntaxError, Image.DecompressionBombError):
        return None
    if image_size is not None and converted.size != image_size[::-1]:
        converted = converted.resize(image_size[::-1], Image.Resampling.BICUBIC)
    return np.asarray(converted)


def _convert(image: Image.Image, mode: str) -> Image.Image:
    if mode == "I;16":
        return Image.fromarray(np.asarray(image).astype(np.uint16))
    if image.mode in _DEEP_MODES:
        image = Image.fromarray((np.asarray(image).clip(0, 65535) // 257).astype(np.uint8))
    if image.mode in ("LA", "RGBA", "PA") or "transparency" in image.info:
        image = _on_white(image)
    return image.convert(mode)


def _on_white(image: Image.Image) -> Image.Image:
    with_alpha = image.convert("RGBA")
    white = Image.new("RGBA", with_alpha.size, "white")
    return Image.alpha_composite(white, with_alpha).convert("RGB")
