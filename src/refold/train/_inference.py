"""Run a network over many records so that a record gets the same numbers alone or among others."""

from collections.abc import Callable
from math import prod
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

_VALUES_A_BLOCK = 1 << 20
_LARGEST_BLOCK = 256


def apply_in_blocks(
    function: Callable[[Tensor], Tensor], records: NDArray[Any], device: torch.device
) -> NDArray[Any]:
    """Return ``function(records)`` computed in blocks of one fixed size, the last one padded.

    The size depends on the shape of a record alone: matrix products of other sizes are summed in another order,
    and the same record would get slightly different numbers in another company.

    Parameters
    ----------
    function : callable
        From a tensor (block, *record) to a tensor (block, ...).
    records : ndarray of shape (n, *record)
    device : torch.device

    Returns
    -------
    results : ndarray of shape (n, ...)
    """
    block = block_size(records.shape[1:])
    parts: list[NDArray[Any]] = []
    with torch.inference_mode():
        for start in range(0, len(records), block):
            part = np.ascontiguousarray(records[start : start + block])
            parts.append(function(_padded(part, block, device)).cpu().numpy()[: len(part)])
    return np.concatenate(parts)


def block_size(shape: tuple[int, ...]) -> int:
    """Return how many records of this shape are computed at once.

    Examples
    --------
    >>> block_size((28, 28)), block_size((480, 640, 3))
    (256, 1)
    """
    return max(1, min(_LARGEST_BLOCK, _VALUES_A_BLOCK // prod(shape)))


def _padded(part: NDArray[Any], block: int, device: torch.device) -> Tensor:
    if len(part) < block:
        part = np.concatenate([part, np.repeat(part[-1:], block - len(part), axis=0)])
    elif not part.flags.writeable:
        part = part.copy()
    narrow = device.type == "mps" and part.dtype == np.float64
    return torch.from_numpy(part.astype(np.float32) if narrow else part).to(device)
