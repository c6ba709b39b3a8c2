"""Learned ways as one model: bytes that name themselves by their digest."""

from collections.abc import Callable, Mapping
from typing import Any

from refold._errors import CompressedFileError
from refold.codec._columns import LearnedColumns, PlainColumns
from refold.codec._in_order import InOrder
from refold.codec._lattice import LatticeWay
from refold.codec._learned_code import LearnedCode
from refold.codec._learned_lattice import LearnedLattice
from refold.codec._lengths import length_bytes, read_length
from refold.codec._raster import LearnedRaster
from refold.codec._ways import CODE, COLUMNS, FIELD, IN_ORDER, LATTICE, PICTURES, TABLE, LearnedWay, Way, Ways

PLAIN: dict[int, Way] = {IN_ORDER: InOrder(), LATTICE: LatticeWay(), COLUMNS: PlainColumns()}
LEARNED: dict[int, Callable[[bytes], LearnedWay]] = {
    FIELD: LearnedLattice.from_bytes,
    PICTURES: LearnedRaster.from_bytes,
    TABLE: LearnedColumns.from_bytes,
    CODE: LearnedCode.from_bytes,
}


def model_of(ways: Mapping[int, LearnedWay]) -> bytes:
    """Return learned ways as a model."""
    parts = []
    for number, way in sorted(ways.items()):
        content = way.to_bytes()
        parts.append(bytes([number]) + length_bytes(len(content)) + content)
    return b"".join(parts)


def ways_of(model: bytes) -> Ways:
    """Return the plain ways, and the learned ones of a model.

    Raises
    ------
    CompressedFileError
        If it is no model, or one of a newer version.
    """
    ways: dict[int, Any] = dict(PLAIN)
    try:
        while model:
            number = model[0]
            length, start = read_length(model, 1)
            if number not in LEARNED or start + length > len(model):
                raise CompressedFileError(
                    "the model knows a way that this version of refold does not; install a newer one"
                )
            ways[number] = LEARNED[number](model[start : start + length])
            model = model[start + length :]
    except (ValueError, IndexError, TypeError, KeyError, OverflowError, AssertionError) as error:
        if isinstance(error, CompressedFileError):
            raise
        raise CompressedFileError("the model of compressed data is damaged; take another copy of it") from error
    return ways
