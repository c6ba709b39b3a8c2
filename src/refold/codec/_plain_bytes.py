"""Bytes as they are, or as general compressors make them smaller: the plain way that nothing may be worse than."""

import bz2
import lzma
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from refold._errors import CompressedFileError

_FILTERS = [{"id": lzma.FILTER_LZMA2, "preset": 6}]  # no header: what a block is stands in the file already
_MEMORY = 128 << 20  # bytes: what the preset needs to read, and some more


@dataclass(frozen=True)
class BytesWay:
    """How bytes become fewer, and come back as exactly `size` bytes or not at all."""

    pack: Callable[[bytes], bytes]
    unpack: Callable[[bytes, int], bytes]


def _unpack_lzma(data: bytes, size: int) -> bytes:
    reader = lzma.LZMADecompressor(lzma.FORMAT_RAW, filters=_FILTERS)
    try:
        return reader.decompress(data, max_length=size + 1)
    except lzma.LZMAError as error:
        raise CompressedFileError("a block is damaged: it cannot be read by lzma") from error


def _unpack_bz2(data: bytes, size: int) -> bytes:
    try:
        return bz2.BZ2Decompressor().decompress(data, max_length=size + 1)
    except (OSError, ValueError) as error:
        raise CompressedFileError("a block is damaged: it cannot be read by bz2") from error


RAW = BytesWay(lambda data: data, lambda data, size: data)
LZMA = BytesWay(lambda data: lzma.compress(data, lzma.FORMAT_RAW, filters=_FILTERS), _unpack_lzma)
BZ2 = BytesWay(bz2.compress, _unpack_bz2)


def shuffled(data: bytes, size: int) -> bytes:
    """Return all first bytes of items, then all second ones, ...; items have `size` bytes."""
    return np.frombuffer(data, np.uint8).reshape(-1, size).T.tobytes()


def unshuffled(data: bytes, size: int) -> bytes:
    """Return items whole again."""
    return np.frombuffer(data, np.uint8).reshape(size, -1).T.tobytes()
