"""One picture file to planes of numbers and back into a file of the same kind."""

import struct
import warnings
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image, TiffImagePlugin

from refold._atomic import write_whole
from refold._errors import DataError
from refold.data._deep_colour import (
    KEPT_TAGS,
    deep_png,
    deep_tiff,
    opaque_but,
    read_deep_png,
    read_deep_tiff,
    without_profile,
)
from refold.data._pictures import DEEP_MODES

Array = NDArray[Any]

_KEPT = ("exif", "icc_profile", "dpi", "xmp", "gamma")
_AS_THEY_ARE = ("L", "RGB", "CMYK")
_WITH_ALPHA = {"LA": "L", "RGBA": "RGB", "La": "L", "RGBa": "RGB", "PA": "RGB"}
_DEEPEST, _DEEP_COLOUR = 16, (2, 4, 6)  # of a PNG's head: bits, and colour types that Pillow reads as 8 bits
_DEEPEST_VALUE, _BYTE, _LEVELS, _BITS_PER_SAMPLE = 65535, 8, 255, 258
_FIRST_COUNTS = ("MPO",)  # telephones put a second picture, of depth or light, behind the photograph
# what Pillow raises for broken files
_BROKEN = (
    OSError,
    ValueError,
    SyntaxError,
    TypeError,
    KeyError,
    IndexError,
    AttributeError,
    OverflowError,
    EOFError,
    struct.error,
    Image.DecompressionBombError,
)
_JPEG = {"quality": 95, "subsampling": 0}
_DEEP = {"PNG": (read_deep_png, deep_png), "TIFF": (read_deep_tiff, deep_tiff)}
_OF_TIFF = ("tiffinfo", "compression")
_PACKED = ("tiff_lzw", "tiff_adobe_deflate", "packbits")  # without loss, of every type of pixels


@dataclass(frozen=True, eq=False)
class PictureFile:
    """A picture of a file, and what else the file says.

    Parameters
    ----------
    pixels : ndarray of shape (H, W) or (H, W, C)
        uint8, uint16 or float32; grey, RGB or CMYK, as in the file.
    alpha : ndarray of shape (H, W), uint8 or uint16, or None
    format : str
        Pillow's name of the file's kind.
    info : mapping
        EXIF, ICC profile, resolution and the like, kept as they are.
    """

    pixels: Array
    alpha: Array | None = None
    format: str = "PNG"
    info: Mapping[str, Any] = field(default_factory=dict)

    @property
    def is_deep(self) -> bool:
        """Whether it has colours, or transparency, of 16 bits."""
        return self.pixels.dtype == np.uint16 and (self.pixels.ndim == 3 or self.alpha is not None)

    def with_pixels(self, pixels: Array) -> "PictureFile":
        """Return the file with other pixels of its size and dtype; where grey became colours, without its profile."""
        info = self.info if pixels.ndim == self.pixels.ndim else without_profile(self.info)
        return replace(self, pixels=pixels, info=info)


def read_picture_file(path: Path) -> PictureFile:
    """Read one picture as it is stored, not turned.

    Raises
    ------
    DataError
        If it is broken, holds several pictures, or more bits a colour than can be kept.
    """
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", Image.DecompressionBombWarning)
            with Image.open(path) as image:
                _refuse_several(path, image)
                if _is_deep_colour(path, image):
                    return _deep_picture(path, image.format or "")
                image.load()
                return _picture_of(image)
    except DataError:
        raise
    except _BROKEN as error:
        raise DataError(f"{path.name!r} cannot be read as a picture ({_reason(error)})") from error


def _reason(error: Exception) -> str:
    return (str(error).splitlines() or [type(error).__name__])[0]


def _refuse_several(path: Path, image: Image.Image) -> None:
    count = int(getattr(image, "n_frames", 1))
    if count > 1 and image.format not in _FIRST_COUNTS:
        raise DataError(f"{path.name!r} holds {count} pictures; give files with one")


def _deep_picture(path: Path, kind: str) -> PictureFile:
    if kind not in _DEEP:
        raise DataError(
            f"{path.name!r} has 16 bits a colour, which is kept in .png and .tif; give it as one of these"
        )
    try:
        pixels, alpha, info = _DEEP[kind][0](path)
    except (DataError, MemoryError):
        raise
    except Exception as error:  # whatever two libraries and zlib raise for broken files
        raise DataError(f"{path.name!r} cannot be read as a picture ({_reason(error)})") from error
    return PictureFile(pixels, alpha, kind, info)


def _is_deep_colour(path: Path, image: Image.Image) -> bool:
    """Say whether a colour picture has more than the 8 bits that Pillow reads."""
    if image.format == "PNG":
        with path.open("rb") as file:
            head = file.read(26)
        return head[24] == _DEEPEST and head[25] in _DEEP_COLOUR
    if isinstance(image, TiffImagePlugin.TiffImageFile):
        bits = image.tag_v2.get(_BITS_PER_SAMPLE, (1,))
        return len(bits) > 1 and max(bits) > _BYTE
    if image.format == "PPM" and image.mode == "RGB":
        tiles = getattr(image, "tile", None)
        arguments = tiles[0][3] if tiles else ()
        return isinstance(arguments, tuple) and isinstance(arguments[-1], int) and arguments[-1] > _LEVELS
    return False


def _picture_of(image: Image.Image) -> PictureFile:
    info = {name: image.info[name] for name in _KEPT if name in image.info}
    kind = image.format or "PNG"
    if isinstance(image, TiffImagePlugin.TiffImageFile):
        info |= _tiff_info(image)
    if image.mode in DEEP_MODES:
        pixels = _sixteen_bits(np.asarray(image))
        key = image.info.get("transparency")
        return PictureFile(pixels, None if key is None else opaque_but(pixels[..., None], key), kind, info)
    if image.mode == "F":
        return PictureFile(np.asarray(image), None, kind, info)
    if "transparency" in image.info:
        image = image.convert("LA" if image.mode in ("1", "L") else "RGBA")
    elif image.mode == "P":
        image = image.convert("RGB")
    if image.mode in _WITH_ALPHA:
        plain = np.asarray(image.convert("RGBA" if _WITH_ALPHA[image.mode] == "RGB" else "LA"))
        pixels = plain[..., :-1] if plain.shape[2] > 2 else plain[..., 0]
        return PictureFile(np.ascontiguousarray(pixels), np.ascontiguousarray(plain[..., -1]), kind, info)
    if image.mode not in _AS_THEY_ARE:
        image = image.convert("L" if image.mode == "1" else "RGB")
    return PictureFile(np.asarray(image), None, kind, info)


def _tiff_info(image: TiffImagePlugin.TiffImageFile) -> dict[str, Any]:
    """Return what Pillow writes into a TIFF file again: tags, and how it is packed."""
    tags = TiffImagePlugin.ImageFileDirectory_v2()
    for code in KEPT_TAGS:
        if code in image.tag_v2:
            tags[code] = image.tag_v2[code]
            tags.tagtype[code] = image.tag_v2.tagtype[code]
    packed = image.info.get("compression")
    return {"tiffinfo": tags, **({"compression": packed} if packed in _PACKED else {})}


def _sixteen_bits(pixels: Array) -> Array:
    if pixels.min() < 0 or pixels.max() > _DEEPEST_VALUE:
        raise DataError(
            f"the picture has whole numbers of {pixels.min()} to {pixels.max()}, and 0 to {_DEEPEST_VALUE} can be "
            "kept; give it as floats"
        )
    return pixels.astype(np.uint16)


def write_picture_file(picture: PictureFile, path: Path) -> None:
    """Write a picture whole or not at all, in the kind that the path's suffix names.

    Raises
    ------
    DataError
        If that kind cannot hold it.
    """
    kind = Image.registered_extensions().get(path.suffix.lower(), "")
    if picture.is_deep:
        _write_deep(picture, kind, path)
        return
    if picture.pixels.dtype.kind == "f" and picture.pixels.ndim == 3:
        _write_float_colours(picture, kind, path)
        return
    image = _image_of(picture)
    options = {name: value for name, value in picture.info.items() if kind == "TIFF" or name not in _OF_TIFF}
    if kind == "JPEG":
        options |= _JPEG
    if kind == "WEBP":
        options |= {"lossless": True}
    try:
        with write_whole(path) as unfinished, unfinished.open("wb") as file:
            image.save(file, format=kind, **options)
    except (OSError, ValueError, KeyError) as error:
        if isinstance(error, OSError) and error.errno is not None:
            raise
        raise DataError(
            f"{path.name!r} cannot hold this picture ({_reason(error)}); give an output that ends in .png or .tif"
        ) from error


def _write_deep(picture: PictureFile, kind: str, path: Path) -> None:
    if kind not in _DEEP:
        raise DataError(f"{path.name!r} cannot hold 16 bits a colour; give an output that ends in .png or .tif")
    content = _DEEP[kind][1](picture.pixels, picture.alpha, picture.info)
    with write_whole(path) as unfinished:
        unfinished.write_bytes(content)


def _write_float_colours(picture: PictureFile, kind: str, path: Path) -> None:
    if kind != "TIFF":
        raise DataError(f"{path.name!r} cannot hold colours as floats; give an output that ends in .tif")
    content = deep_tiff(picture.pixels, picture.alpha, picture.info)
    with write_whole(path) as unfinished:
        unfinished.write_bytes(content)


def _image_of(picture: PictureFile) -> Image.Image:
    pixels = picture.pixels
    mode = "CMYK" if pixels.ndim == 3 and pixels.shape[2] == 4 else None
    image = Image.frombytes("CMYK", pixels.shape[1::-1], pixels.tobytes()) if mode else Image.fromarray(pixels)
    if picture.alpha is not None:
        image.putalpha(Image.fromarray(picture.alpha))
    return image
