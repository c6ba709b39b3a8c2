"""The peers of the part ``fields``: SZ3, zfp, and quantising with differences and lzma (QL).

None of them knows land, so it gets values: the mean of the ocean, zero, the nearest ocean, or a smooth continuation
(Laplace's equation); or the ocean's values are laid in a row without the land. Where land is, is coded beside.
"""

import functools
import itertools
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass

import numpy as np
import pysz
import zfpy
from compress_running import Array, Trial, lzma_back, lzma_filters, lzma_there
from scipy.ndimage import distance_transform_edt

SMOOTHING_ROUNDS = 400
ALGORITHMS = ("LORENZO_REG", "INTERP_LORENZO", "INTERP", "NOPRED")
ZFP_LOOSER = (1, 2, 4, 8)


@dataclass(frozen=True, eq=False)
class Field:
    """A field in time: the part that is coded, the part before it, and which of its points are land at all times."""

    name: str
    learned: Array
    coded: Array
    land: Array | None = None

    @functools.cached_property
    def sea(self) -> Array:
        """Which values count."""
        land = np.zeros(self.coded.shape[1:], bool) if self.land is None else self.land
        return np.broadcast_to(~land, self.coded.shape)

    @functools.cached_property
    def span(self) -> float:
        """The range of the values that count."""
        values = self.coded[self.sea].astype(np.float64)
        return float(values.max() - values.min())

    @functools.cached_property
    def mask_size(self) -> int:
        """Bytes that say where land is."""
        return 0 if self.land is None else len(lzma_there(np.packbits(self.land).tobytes()))


@dataclass(frozen=True, eq=False)
class Laid:
    """Values of a field as a peer takes them, and which of them count."""

    name: str
    axes: str
    values: Array
    seen: Array

    def turned(self, name: str) -> "Laid":
        """Return the same with the axes in reverse."""
        return Laid(name, self.axes[::-1], *(np.ascontiguousarray(each.T) for each in (self.values, self.seen)))


@functools.cache
def layouts(field: Field) -> tuple[Laid, ...]:
    """Return the ways to lay a field out."""
    if field.land is None:
        whole = Laid("time first", "tx", field.coded, field.sea)
        return whole, whole.turned("place first")
    rows, columns = distance_transform_edt(field.land, return_distances=False, return_indices=True)
    nearest = field.coded[:, rows, columns]
    mean = np.float32(field.coded[field.sea].mean(dtype=np.float64))
    points = np.ascontiguousarray(field.coded[:, ~field.land])
    ocean = Laid("ocean in a row, time first", "tp", points, np.ones_like(points, bool))
    return (
        Laid("land smooth", "tyx", _smooth(nearest, field.land), field.sea),
        Laid("land nearest", "tyx", nearest, field.sea),
        Laid("land mean", "tyx", np.where(field.sea, field.coded, mean), field.sea),
        Laid("land zero", "tyx", np.where(field.sea, field.coded, np.float32(0)), field.sea),
        ocean,
        ocean.turned("ocean in a row, place first"),
    )


def _smooth(filled: Array, land: Array) -> Array:
    """Return fields whose land is the mean of its four neighbours, so that nothing jumps."""
    values = filled.astype(np.float64)
    for _ in range(SMOOTHING_ROUNDS):
        padded = np.pad(values, ((0, 0), (1, 1), (1, 1)), mode="edge")
        around = padded[:, :-2, 1:-1] + padded[:, 2:, 1:-1] + padded[:, 1:-1, :-2] + padded[:, 1:-1, 2:]
        values = np.where(land, around / 4, values)
    return values.astype(np.float32)


def total(blobs: list[bytes]) -> int:
    """Return the bytes of several blobs."""
    return sum(map(len, blobs))


def _wholes_and_slices(values: Array) -> dict[str, list[Array]]:
    """Return a field as one block, and as blocks of one time each where they have two dimensions."""
    return {f"{values.ndim}-D": [values]} | ({"a slice each": list(values)} if values.ndim == 3 else {})


def _joined(parts: list[Array]) -> Array:
    return parts[0] if len(parts) == 1 else np.stack(parts)


# --- SZ3 -----------------------------------------------------------------------------------------------------------


def sz3(laid: Laid, bound: float) -> Iterator[Trial]:
    """Yield SZ3 with each of its predictors."""
    for algorithm, (shape, blocks) in itertools.product(ALGORITHMS, _wholes_and_slices(laid.values).items()):
        yield Trial(
            f"{algorithm}, {shape}",
            functools.partial(_sz3_there, blocks, bound, algorithm),
            functools.partial(_sz3_back, blocks),
            total,
        )


def _sz3_there(blocks: list[Array], bound: float, algorithm: str) -> list[Array]:
    found = []
    for block in blocks:
        config = pysz.szConfig(block.shape)
        config.errorBoundMode, config.absErrorBound = pysz.szErrorBoundMode.ABS, bound
        config.cmprAlgo = getattr(pysz.szAlgorithm, algorithm)
        found.append(pysz.sz.compress(np.ascontiguousarray(block), config)[0])
    return found


def _sz3_back(blocks: list[Array], blobs: list[Array]) -> Array:
    pairs = zip(blocks, blobs, strict=True)
    return _joined([pysz.sz.decompress(blob, block.dtype, block.shape)[0] for block, blob in pairs])


# --- zfp -----------------------------------------------------------------------------------------------------------


def zfp(laid: Laid, bound: float) -> Iterator[Trial]:
    """Yield zfp at the bound, and at looser ones: its errors stay far below what it is asked for."""
    for looser, (shape, blocks) in itertools.product(ZFP_LOOSER, _wholes_and_slices(laid.values).items()):
        yield Trial(
            f"asked for {looser} bounds, {shape}",
            functools.partial(_zfp_there, blocks, looser * bound),
            lambda blobs: _joined([zfpy.decompress_numpy(blob) for blob in blobs]),
            total,
        )


def _zfp_there(blocks: list[Array], tolerance: float) -> list[bytes]:
    return [zfpy.compress_numpy(np.ascontiguousarray(block), tolerance=tolerance) for block in blocks]


# --- QL ------------------------------------------------------------------------------------------------------------


def ql(laid: Laid, bound: float) -> Iterator[Trial]:
    """Yield quantising, differences along some axes, and lzma, with the bytes of a number together or apart."""
    values = laid.values
    step = 2 * (bound - float(np.spacing(np.abs(values[laid.seen]).max())) / 2)
    subsets = itertools.chain.from_iterable(
        itertools.combinations(range(values.ndim), count) for count in range(1, values.ndim + 1)
    )
    for axes, apart in itertools.product(subsets, (False, True)):
        along = "+".join(laid.axes[axis] for axis in axes)
        yield Trial(
            f"differences along {along}, bytes {'apart' if apart else 'together'}",
            functools.partial(_ql_there, values, step, axes, apart),
            functools.partial(_ql_back, values, step, axes, apart),
        )


def _ql_filters(apart: bool) -> list[dict[str, int]]:
    return lzma_filters(3, 0, 0) if apart else lzma_filters(0, 1, 1)


def _ql_there(values: Array, step: float, axes: tuple[int, ...], apart: bool) -> bytes:
    numbers = np.rint(values.astype(np.float64) / step).astype(np.int64)
    for axis in axes:
        numbers = np.diff(numbers, axis=axis, prepend=0)
    narrow = _narrow(numbers)
    planes = narrow.reshape(-1, 1).view(np.uint8)
    data = planes.T.tobytes() if apart else narrow.tobytes()
    return bytes([narrow.itemsize]) + lzma_there(data, _ql_filters(apart))


def _narrow(numbers: Array) -> Array:
    """Return numbers in the narrowest type that wraps around without loss: int16, else int32."""
    for kind in (np.int16, np.int32):
        if np.abs(numbers).max() <= np.iinfo(kind).max:
            return np.ascontiguousarray(numbers.astype(kind))
    sys.exit("QL: the bound is too small for numbers of 32 bits")


def _ql_back(values: Array, step: float, axes: tuple[int, ...], apart: bool, blob: bytes) -> Array:
    width = blob[0]
    data = np.frombuffer(lzma_back(blob[1:], _ql_filters(apart)), np.uint8)
    planes = np.ascontiguousarray(data.reshape(width, -1).T) if apart else data
    numbers = planes.reshape(-1).view({2: np.int16, 4: np.int32}[width]).reshape(values.shape).astype(np.int64)
    for axis in reversed(axes):
        numbers = np.cumsum(numbers, axis=axis)
    return (numbers * step).astype(values.dtype)


PEERS: dict[str, Callable[[Laid, float], Iterator[Trial]]] = {"zfp": zfp, "SZ3": sz3, "QL": ql}
