"""How strong the noise of a picture is."""

from collections.abc import Iterable

import numpy as np
from numpy.typing import NDArray

Planes = NDArray[np.float32]

_BLOCK, _QUIETEST = 8, 0.1  # pixels of a block's side, and the share of blocks that are thought flat
_OF_PURE_NOISE = 0.797  # root mean square in the tenth quietest of a hundred blocks that hold nothing but noise
_SMALLEST = 2 * _BLOCK + 2  # pixels of a side
_SATURATED = 1e-3  # of the range: where pixels end at black or white, noise was cut off
_FEWEST = 0.02  # of the blocks must be free of that


def noise_deviation(bands: Iterable[Planes], whole_range: bool = False) -> float | None:
    """Return the standard deviation of the noise in a picture, root mean square over its planes.

    The filter that cancels planes and edges (Immerkaer 1996, Computer Vision and Image Understanding 64) leaves noise
    and fine texture; the quietest blocks have little of the second. None for pictures too small to tell.

    Parameters
    ----------
    bands : iterable of ndarray of shape (planes, rows, W), 0 to 1
        The picture from top to bottom, in one or several parts.
    whole_range : bool, default=False
        Whether values may lie anywhere, so that none is cut off.
    """
    found = [_blocks_of(part, whole_range) for part in bands if min(part.shape[1:]) >= _SMALLEST]
    if not found:
        return None
    blocks = np.concatenate([variances for variances, _ in found], axis=1)
    free = np.concatenate([each for _, each in found], axis=1)
    squares = [_of_quietest(*pair) for pair in zip(blocks, free, strict=True)]
    return float(np.sqrt(np.mean(squares)))


def _blocks_of(planes: Planes, whole_range: bool) -> tuple[Planes, NDArray[np.bool_]]:
    """Return the variance of each block (planes, blocks), and which of them touch neither black nor white."""
    variances = [np.mean(_in_blocks(_without_picture(plane)) ** 2, axis=(1, 3)).ravel() for plane in planes]
    inner = [_in_blocks(plane[1:-1, 1:-1]) for plane in planes]
    free = [((each > _SATURATED) & (each < 1 - _SATURATED)).all(axis=(1, 3)).ravel() | whole_range for each in inner]
    return np.stack(variances), np.stack(free)


def _of_quietest(blocks: Planes, free: NDArray[np.bool_]) -> float:
    usable = blocks[free] if free.mean() >= _FEWEST else blocks
    return float(np.quantile(usable, _QUIETEST)) / _OF_PURE_NOISE**2


def _in_blocks(plane: Planes) -> Planes:
    height, width = (length // _BLOCK * _BLOCK for length in plane.shape)
    return plane[:height, :width].reshape(height // _BLOCK, _BLOCK, width // _BLOCK, _BLOCK)


def _without_picture(plane: Planes) -> Planes:
    """Return second differences along both sides (H - 2, W - 2), scaled so that noise keeps its deviation."""
    across = plane[:, :-2] - 2 * plane[:, 1:-1] + plane[:, 2:]
    left: Planes = (across[:-2] - 2 * across[1:-1] + across[2:]) / 6
    return left
