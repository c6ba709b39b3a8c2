"""Digits on one sheet, and the picture formats that code it: PNG, JPEG, WebP, AVIF and JPEG XL."""

import importlib
import io
from typing import Any

import numpy as np
from compress_running import Array
from PIL import Image


def jpeg_xl_there() -> bool:
    """Return whether Pillow writes JPEG XL; its plugin is GPL-3, so the extra `bench` does not install it."""
    try:
        plugin = importlib.import_module("pillow_jxl.JpegXLImagePlugin")
    except ImportError:
        return False
    plugin.DECODE_THREADS = 0  # no threads beside the one
    return True


NO_JPEG_XL = "JPEG XL was not measured: `pip install pillow-jxl-plugin` (GPL-3, so not in the extra `bench`)."


def sheet_of(digits: Array, columns: int) -> Array:
    """Return square pictures as one, `columns` beside each other."""
    rows, side = len(digits) // columns, digits.shape[1]
    return np.ascontiguousarray(
        digits.reshape(rows, columns, side, side).swapaxes(1, 2).reshape(rows * side, columns * side)
    )


def digits_of(sheet: Array, side: int) -> Array:
    """Return the pictures of a sheet."""
    rows, columns = sheet.shape[0] // side, sheet.shape[1] // side
    return np.ascontiguousarray(sheet.reshape(rows, side, columns, side).swapaxes(1, 2).reshape(-1, side, side))


def picture_there(picture: Array, kind: str, **options: Any) -> bytes:
    """Return the bytes of a grey picture as a file of a format."""
    file = io.BytesIO()
    Image.fromarray(picture).save(file, kind, **options)
    return file.getvalue()


def picture_back(blob: bytes) -> Array:
    """Return the grey picture of a file."""
    return np.asarray(Image.open(io.BytesIO(blob)).convert("L"))
