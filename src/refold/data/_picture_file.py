"""One picture file to planes of numbers and back into a file of the same kind."""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image, PngImagePlugin

from refold._atomic import write_whole
from refold._errors import DataError
from refold.data._pictures import _DEEP_MODES

Array = NDArray[Any]

_KEPT = ("exif", "icc_profile", "dpi", "xmp", "gamma")
_AS_THEY_ARE = ("L", "RGB", "CMYK")
_WITH_ALPHA = {"LA": "L", "RGBA": "RGB", "La": "L", "RGBa": "RGB", "PA": "RGB"}
_DEEPEST, _DEEP_COLOUR = 16, (2, 4, 6)  # of a PNG's head: bits, and colour types that Pillow reads as 8 bits
_JPEG = {"quality": 95, "subsampling": 0}


@dataclass(frozen=True, eq=False)
class PictureFile:
    """A picture of a file, and what else the file says.

    Parameters
    ----------
    pixels : ndarray of shape (H, W) or (H, W, C)
        uint8, uint16 or float32; grey, RGB or CMYK, as in the file.
    alpha : ndarray of shape (H, W), uint8, or None
    format : str
        Pillow's name of the file's kind.
    info : mapping
        EXIF, ICC profile, resolution and the like, kept as they are.
    """

    pixels: Array
    alpha: Array | None = None
    format: str = "PNG"
    info: Mapping[str, Any] = field(default_factory=dict)

    def with_pixels(self, pixels: Array) -> "PictureFile":
        """Return the file with other pixels of the same shape and dtype."""
        return replace(self, pixels=pixels)


def read_picture_file(path: Path) -> PictureFile:
    """Read one picture as it is stored, not turned.

    Raises
    ------
    DataError
        If it is broken, holds several pictures, or more bits a colour than can be kept.
    """
    try:
        with Image.open(path) as image:
            _refuse_what_cannot_be_kept(path, image)
            image.load()
            return _picture_of(image)
    except DataError:
        raise
    except (OSError, ValueError, SyntaxError, Image.DecompressionBombError) as error:
        raise DataError(f"{path.name!r} cannot be read as a picture ({str(error).splitlines()[0]})") from error


def _refuse_what_cannot_be_kept(path: Path, image: Image.Image) -> None:
    count = int(getattr(image, "n_frames", 1))
    if count > 1:
        raise DataError(f"{path.name!r} holds {count} pictures; give files with one")
    if not isinstance(image, PngImagePlugin.PngImageFile):
        return
    with path.open("rb") as file:
        head = file.read(26)
    if head[24] == _DEEPEST and head[25] in _DEEP_COLOUR:
        raise DataError(f"{path.name!r} has 16 bits a colour, of which 8 would be lost; give it as TIFF or grey")


def _picture_of(image: Image.Image) -> PictureFile:
    info = {name: image.info[name] for name in _KEPT if name in image.info}
    kind = image.format or "PNG"
    if image.mode in _DEEP_MODES:
        return PictureFile(np.asarray(image).clip(0, 65535).astype(np.uint16), None, kind, info)
    if image.mode == "F":
        return PictureFile(np.asarray(image), None, kind, info)
    if image.mode == "P":
        image = image.convert("RGBA" if "transparency" in image.info else "RGB")
    if image.mode in _WITH_ALPHA:
        plain = np.asarray(image.convert("RGBA" if _WITH_ALPHA[image.mode] == "RGB" else "LA"))
        pixels = plain[..., :-1] if plain.shape[2] > 2 else plain[..., 0]
        return PictureFile(np.ascontiguousarray(pixels), np.ascontiguousarray(plain[..., -1]), kind, info)
    if image.mode not in _AS_THEY_ARE:
        image = image.convert("L" if image.mode == "1" else "RGB")
    return PictureFile(np.asarray(image), None, kind, info)


def write_picture_file(picture: PictureFile, path: Path) -> None:
    """Write a picture whole or not at all, in the kind that the path's suffix names.

    Raises
    ------
    DataError
        If that kind cannot hold it.
    """
    image = _image_of(picture)
    kind = Image.registered_extensions().get(path.suffix.lower(), picture.format)
    options: dict[str, Any] = dict(picture.info)
    if kind == "JPEG":
        options |= _JPEG
    if kind == "WEBP":
        options |= {"quality": 95}
    try:
        with write_whole(path) as unfinished, unfinished.open("wb") as file:
            image.save(file, format=kind, **options)
    except (OSError, ValueError, KeyError) as error:
        if isinstance(error, OSError) and error.errno is not None:
            raise
        reason = str(error).splitlines()[0]
        raise DataError(
            f"{path.name!r} cannot hold this picture ({reason}); give an output that ends in .png or .tif"
        ) from error


def _image_of(picture: PictureFile) -> Image.Image:
    pixels = picture.pixels
    mode = "CMYK" if pixels.ndim == 3 and pixels.shape[2] == 4 else None
    image = Image.frombytes("CMYK", pixels.shape[1::-1], pixels.tobytes()) if mode else Image.fromarray(pixels)
    if picture.alpha is not None:
        image.putalpha(Image.fromarray(picture.alpha))
    return image
