"""How strong the noise of a picture is."""

import numpy as np
from numpy.typing import NDArray

Planes = NDArray[np.float32]

_BLOCK, _QUIETEST = 8, 0.1  # pixels of a block's side, and the share of blocks that are thought flat
_OF_PURE_NOISE = 0.797  # root mean square in the tenth quietest of a hundred blocks that hold nothing but noise
_SMALLEST = 2 * _BLOCK + 2  # pixels of a side
_SATURATED = 1e-3  # of the range: where pixels end at black or white, noise was cut off
_FEWEST = 0.02  # of the blocks must be free of that


def noise_deviation(planes: Planes, whole_range: bool = False) -> float | None:
    """Return the standard deviation of the noise in a picture, root mean square over its planes.

    The filter that cancels planes and edges (Immerkaer 1996, Computer Vision and Image Understanding 64) leaves noise
    and fine texture; the quietest blocks have little of the second. None for pictures too small to tell.

    Parameters
    ----------
    planes : ndarray of shape (planes, H, W), 0 to 1
    whole_range : bool, default=False
        Whether values may lie anywhere, so that none is cut off.
    """
    if min(planes.shape[1:]) < _SMALLEST:
        return None
    squares = [_noise_variance(plane, whole_range) for plane in planes]
    return float(np.sqrt(np.mean(squares)))


def _noise_variance(plane: Planes, whole_range: bool) -> float:
    blocks = np.mean(_in_blocks(_without_picture(plane)) ** 2, axis=(1, 3))
    if not whole_range:
        inner = _in_blocks(plane[1:-1, 1:-1])
        free = ((inner > _SATURATED) & (inner < 1 - _SATURATED)).all(axis=(1, 3))
        blocks = blocks[free] if free.mean() >= _FEWEST else blocks
    return float(np.quantile(blocks, _QUIETEST)) / _OF_PURE_NOISE**2


def _in_blocks(plane: Planes) -> Planes:
    height, width = (length // _BLOCK * _BLOCK for length in plane.shape)
    return plane[:height, :width].reshape(height // _BLOCK, _BLOCK, width // _BLOCK, _BLOCK)


def _without_picture(plane: Planes) -> Planes:
    """Return second differences along both sides (H - 2, W - 2), scaled so that noise keeps its deviation."""
    across = plane[:, :-2] - 2 * plane[:, 1:-1] + plane[:, 2:]
    left: Planes = (across[:-2] - 2 * across[1:-1] + across[2:]) / 6
    return left
