"""Batches from data in memory: kept in its compact type, gathered where it lies, in a drawn order."""

from collections.abc import Iterator
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor


class InMemory:
    """Records in memory, dealt in batches.

    Parameters
    ----------
    numbers : ndarray of shape (n, *record)
        Encoded records; they keep their dtype until the network scales them.
    device : torch.device
        Where the records are kept.
    """

    def __init__(self, numbers: NDArray[Any], device: torch.device) -> None:
        contiguous = np.ascontiguousarray(numbers)
        if not contiguous.flags.writeable:  # torch warns of memory that it could write to and must not
            contiguous = contiguous.copy()
        narrow = device.type == "mps" and contiguous.dtype == np.float64
        self._records = torch.from_numpy(contiguous.astype(np.float32) if narrow else contiguous).to(device)

    def __len__(self) -> int:
        return len(self._records)

    def shuffled(self, batch_size: int, generator: torch.Generator) -> Iterator[Tensor]:
        """Yield every record once, in a drawn order; a last batch of one record joins the batch before it."""
        order = torch.randperm(len(self), generator=generator).to(self._records.device)
        for start, stop in batch_bounds(len(self), batch_size):
            yield self._records.index_select(0, order[start:stop])

    def in_order(self, batch_size: int) -> Iterator[Tensor]:
        """Yield every record once, in order."""
        for start in range(0, len(self), batch_size):
            yield self._records[start : start + batch_size]


def batch_bounds(size: int, batch_size: int) -> list[tuple[int, int]]:
    """Return where batches start and stop; a last batch of one record joins the batch before it.

    Examples
    --------
    >>> batch_bounds(7, 3)
    [(0, 3), (3, 7)]
    """
    starts = list(range(0, size, batch_size))
    if len(starts) > 1 and size - starts[-1] == 1:
        starts.pop()
    return list(zip(starts, [*starts[1:], size], strict=True))
