"""A convolutional network over a picture of any size, tile by tile, with the result of the whole."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from itertools import product
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

Array = NDArray[Any]


@dataclass(frozen=True)
class Tiling:
    """How a picture is cut.

    Parameters
    ----------
    side : int
        Pixels of a tile, a multiple of the stride.
    reach : int
        Pixels around a tile that are computed with it and left out of the result; beyond them none may matter.
    stride : int
        Places at which the network may be cut.
    """

    side: int
    reach: int
    stride: int

    def parts(self, length: int) -> Iterator[tuple[slice, slice, slice]]:
        """Yield for one side of a picture what is read, what of that is kept, and where that lies in the picture."""
        for start in range(0, length, self.side):
            end = min(start + self.side, length)
            first, last = max(0, start - self.reach), min(length, end + self.reach)
            yield slice(first, last), slice(start - first, end - first), slice(start, end)

    def count(self, height: int, width: int) -> int:
        """Return how many tiles a picture has."""
        return -(-height // self.side) * -(-width // self.side)


def apply_in_tiles(
    function: Callable[[Tensor], Tensor],
    planes: Array,
    tiling: Tiling,
    device: torch.device,
    told: Callable[[], None] | None = None,
) -> Array:
    """Return ``function(planes)`` computed tile by tile.

    Every value is the one that the whole picture would give, but for the order of sums (below 1e-6): tiles overlap by
    all that can matter, and begin where the network's own grids do.

    Parameters
    ----------
    function : callable
        From a tensor (B, C, h, w) to one (B, D, h, w).
    planes : ndarray of shape (B, C, H, W), float32
    tiling : Tiling
    device : torch.device
    told : callable, optional
        Called after every tile.

    Returns
    -------
    result : ndarray of shape (B, D, H, W), float32
    """
    result: Array | None = None
    rows, columns = (list(tiling.parts(length)) for length in planes.shape[-2:])
    with torch.inference_mode():
        for (read_rows, kept_rows, to_rows), (read_columns, kept_columns, to_columns) in product(rows, columns):
            part = torch.from_numpy(np.ascontiguousarray(planes[..., read_rows, read_columns]))
            whole = function(part.to(device).contiguous(memory_format=torch.channels_last))
            if result is None:
                result = np.empty((*whole.shape[:2], *planes.shape[2:]), np.float32)
            result[..., to_rows, to_columns] = whole[..., kept_rows, kept_columns].cpu().numpy()
            if told is not None:
                told()
    assert result is not None  # every picture has a tile
    return result
