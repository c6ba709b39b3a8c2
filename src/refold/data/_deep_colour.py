"""Colour pictures of 16 bits a channel, which Pillow reads as 8: PNG by pypng, TIFF by tifffile."""

import struct
import zlib
from collections.abc import Mapping
from copy import copy
from io import BytesIO
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from refold._errors import DataError

Array = NDArray[Any]

_KEPT_CHUNKS = (b"iCCP", b"gAMA", b"cHRM", b"sRGB", b"cICP", b"pHYs", b"eXIf", b"tEXt", b"zTXt", b"iTXt", b"tIME")
_PROFILE_CHUNKS, PROFILE_TAG = (b"iCCP", b"cICP", b"sRGB"), 34675
# description, make, model, orientation, software, date, artist, copyright, XMP, colour profile
_SAID = (270, 271, 272, 274, 305, 306, 315, 33432, 700, PROFILE_TAG)
KEPT_TAGS = (*_SAID, 33550, 33922, 34264, 34735, 34736, 34737, 42112, 42113)  # and those of GeoTIFF
_RESOLUTION, _INCH = (282, 283, 296), 2
_METRE = 39.3701  # inches
_EXIF, _UNDEFINED = b"Exif\0\0", 7  # the second is a type of tags


def read_deep_png(path: Path) -> tuple[Array, Array | None, dict[str, Any]]:
    """Return pixels (H, W, 3) or (H, W), transparency or None, and the chunks that are kept; uint16."""
    import png

    content = path.read_bytes()
    width, height, rows, info = png.Reader(bytes=content).read()
    samples = np.empty((height, width * info["planes"]), np.uint16)
    for place, row in enumerate(rows):
        samples[place] = row
    pixels = samples.reshape(height, width, info["planes"])
    chunks = [(kind, data) for kind, data in png.Reader(bytes=content).chunks() if kind in _KEPT_CHUNKS]
    alpha = np.ascontiguousarray(pixels[..., -1]) if info["alpha"] else None
    if "transparent" in info:
        alpha = opaque_but(pixels, info["transparent"])
    colours = pixels[..., : info["planes"] - bool(info["alpha"])]
    return np.ascontiguousarray(colours[..., 0] if info["greyscale"] else colours), alpha, {"chunks": chunks}


def opaque_but(pixels: Array, colour: Any) -> Array:
    """Return transparency, uint16 (H, W): that of pixels (H, W, C) of which one colour is not seen."""
    return np.where((pixels == np.array(colour)).all(axis=2), 0, np.iinfo(np.uint16).max).astype(np.uint16)


def deep_png(pixels: Array, alpha: Array | None, info: Mapping[str, Any]) -> bytes:
    """Return a PNG file, with the chunks of one, or with what Pillow tells of another kind of file."""
    import png

    samples = pixels[..., None] if pixels.ndim == 2 else pixels
    samples = samples if alpha is None else np.concatenate([samples, alpha[..., None]], axis=2)
    height, width = pixels.shape[:2]
    writer = png.Writer(width, height, greyscale=pixels.ndim == 2, alpha=alpha is not None, bitdepth=16)
    file = BytesIO()
    writer.write(file, samples.reshape(height, -1))
    head, *rest = png.Reader(bytes=file.getvalue()).chunks()
    result = BytesIO()
    png.write_chunks(result, [head, *(info.get("chunks") or _chunks_of(info)), *rest])
    return result.getvalue()


def read_deep_tiff(path: Path) -> tuple[Array, Array | None, dict[str, Any]]:
    """Return pixels (H, W, 3), transparency or None, and the tags that are kept; uint16.

    Raises
    ------
    DataError
        If it is no RGB picture of 16 bits.
    """
    import tifffile

    with tifffile.TiffFile(path) as file:
        page = file.pages.first
        pixels = page.asarray()
        if page.planarconfig == tifffile.PLANARCONFIG.SEPARATE:
            pixels = np.moveaxis(pixels, 0, -1)
        is_rgb = page.photometric == tifffile.PHOTOMETRIC.RGB and pixels.ndim == 3 and pixels.shape[2] in (3, 4)
        if not is_rgb or pixels.dtype != np.uint16:
            raise DataError(
                f"{path.name!r} has {pixels.dtype} values of shape {pixels.shape}; of deep colours RGB and RGBA of "
                "16 bits can be kept"
            )
        tags = [_tag_of(page.tags[code]) for code in KEPT_TAGS if code in page.tags]
        info: dict[str, Any] = {"tags": tags, "packed": page.compression != tifffile.COMPRESSION.NONE}
        if all(code in page.tags for code in _RESOLUTION[:2]):
            info["resolution"] = tuple(page.tags[code].value for code in _RESOLUTION if code in page.tags)
    alpha = np.ascontiguousarray(pixels[..., 3]) if pixels.shape[2] == 4 else None
    return np.ascontiguousarray(pixels[..., :3]), alpha, info


def deep_tiff(pixels: Array, alpha: Array | None, info: Mapping[str, Any]) -> bytes:
    """Return a TIFF file, packed if it was, with the tags of one, or with what Pillow tells of another kind."""
    import tifffile

    samples = pixels if alpha is None else np.concatenate([pixels, alpha[..., None]], axis=2)
    options: dict[str, Any] = {"photometric": "rgb"} if pixels.ndim == 3 else {"photometric": "minisblack"}
    if alpha is not None:
        options["extrasamples"] = ["unassalpha"]
    resolution = info.get("resolution") or ((*info["dpi"], _INCH) if "dpi" in info else None)
    if resolution is not None:
        (x, y, *unit) = resolution
        options |= {"resolution": (x, y), "resolutionunit": unit[0] if unit else None}
    file = BytesIO()
    tifffile.imwrite(
        file,
        samples,
        extratags=info.get("tags") or _tags_of(info),
        metadata=None,
        software=False,
        compression="zlib" if info.get("packed") or "compression" in info else None,
        **options,
    )
    return file.getvalue()


def _tag_of(tag: Any) -> tuple[int, int, int, Any, bool]:
    return tag.code, tag.dtype, tag.count, tag.value, True


def without_profile(info: Mapping[str, Any]) -> dict[str, Any]:
    """Return what a file says but for its colour profile: that of grey is none of colours."""
    kept = {name: value for name, value in info.items() if name != "icc_profile"}
    if "chunks" in kept:
        kept["chunks"] = [(kind, data) for kind, data in kept["chunks"] if kind not in _PROFILE_CHUNKS]
    if "tags" in kept:
        kept["tags"] = [tag for tag in kept["tags"] if tag[0] != PROFILE_TAG]
    if "tiffinfo" in kept:
        kept["tiffinfo"] = copy(kept["tiffinfo"])
        kept["tiffinfo"].pop(PROFILE_TAG, None)
    return kept


def _chunks_of(info: Mapping[str, Any]) -> list[tuple[bytes, bytes]]:
    chunks = []
    if "icc_profile" in info:
        chunks.append((b"iCCP", b"profile\0\0" + zlib.compress(info["icc_profile"])))
    if "dpi" in info:
        chunks.append((b"pHYs", struct.pack(">IIB", *(round(float(dots) * _METRE) for dots in info["dpi"]), 1)))
    if "exif" in info:
        chunks.append((b"eXIf", info["exif"].removeprefix(_EXIF)))
    return chunks


def _tags_of(info: Mapping[str, Any]) -> list[tuple[int, int, int, Any, bool]]:
    directory = info.get("tiffinfo")
    tags = (
        [] if directory is None else [_as_tag(code, directory.tagtype[code], directory[code]) for code in directory]
    )
    if "icc_profile" in info and all(tag[0] != PROFILE_TAG for tag in tags):
        tags.append(_as_tag(PROFILE_TAG, _UNDEFINED, info["icc_profile"]))
    return tags


def _as_tag(code: int, kind: int, value: Any) -> tuple[int, int, int, Any, bool]:
    single = not isinstance(value, tuple | bytes | str)
    return code, kind, 1 if single else len(value) + isinstance(value, str), value, True
