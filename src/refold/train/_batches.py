"""Batches from data in memory: kept in its compact type, gathered where it lies, in a drawn order."""

import warnings
from collections.abc import Iterator
from typing import Any, NamedTuple, Protocol

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor


class Batch(NamedTuple):
    """Some records.

    Parameters
    ----------
    raw : Tensor of shape (B, *record)
    places : Tensor of shape (B, latent_dim), optional
        Where their codes should be.
    """

    raw: Tensor
    places: Tensor | None = None


class Batches(Protocol):
    """Encoded records, dealt in batches; from memory or from disk.

    Attributes
    ----------
    places : Tensor of shape (n, latent_dim), optional
        Where the codes of the records should be, in their order.
    """

    places: Tensor | None

    def __len__(self) -> int:
        """Return the number of records."""

    def shuffled(self, batch_size: int, generator: torch.Generator, skip: int = 0) -> Iterator[Batch]:
        """Yield every record once, in a drawn order, without the first `skip` batches."""

    def in_order(self, batch_size: int) -> Iterator[Batch]:
        """Yield every record once, in order."""


class InMemory:
    """Records in memory, dealt in batches.

    Parameters
    ----------
    numbers : ndarray of shape (n, *record)
        Encoded records; they keep their dtype until the network scales them, and are not copied on a processor.
    device : torch.device
        Where the records are kept.
    dealt : ndarray of int, optional
        The records that are dealt, in their order; all by default.
    places : ndarray of shape (n, latent_dim), optional
        Where the codes of all `numbers` should be; NaN where they may be anywhere.

    Attributes
    ----------
    places : Tensor of shape (len(self), latent_dim), optional
        Those of the records that are dealt, in their order, as long as training does not ask for others.
    """

    def __init__(
        self,
        numbers: NDArray[Any],
        device: torch.device,
        dealt: NDArray[np.intp] | None = None,
        places: NDArray[np.float32] | None = None,
    ) -> None:
        if device.type != "cpu" and dealt is not None:
            numbers, places, dealt = numbers[dealt], None if places is None else places[dealt], None
        self._records = as_tensor(numbers, device)
        self._code_places = None if places is None else as_tensor(places, device)
        self._dealt = None if dealt is None else torch.from_numpy(dealt)

    def __len__(self) -> int:
        return len(self._records if self._dealt is None else self._dealt)

    @property
    def places(self) -> Tensor | None:
        """Where the codes of the records that are dealt should be, in their order."""
        every = self._code_places
        return every if every is None or self._dealt is None else every[self._dealt]

    @places.setter
    def places(self, places: Tensor | None) -> None:
        if places is not None and self._dealt is not None:
            every = torch.full((len(self._records), places.shape[1]), torch.nan)
            every[self._dealt] = places
            places = every
        self._code_places = None if places is None else places.to(self._records.device)

    def shuffled(self, batch_size: int, generator: torch.Generator, skip: int = 0) -> Iterator[Batch]:
        """Yield every record once, in a drawn order; a last batch of one record joins the batch before it.

        Parameters
        ----------
        batch_size : int
        generator : torch.Generator
        skip : int
            Batches left out at the beginning.
        """
        order = torch.randperm(len(self), generator=generator)
        order = (order if self._dealt is None else self._dealt[order]).to(self._records.device)
        for batch in range(skip, batch_count(len(self), batch_size)):
            start, stop = batch_bounds(batch, len(self), batch_size)
            yield self._batch(order[start:stop])

    def in_order(self, batch_size: int) -> Iterator[Batch]:
        """Yield every record once, in order."""
        for start in range(0, len(self), batch_size):
            stop = start + batch_size
            yield self._batch(slice(start, stop) if self._dealt is None else self._dealt[start:stop])

    def _batch(self, which: Tensor | slice) -> Batch:
        return Batch(self._records[which], None if self._code_places is None else self._code_places[which])


def as_tensor(numbers: NDArray[Any], device: torch.device) -> Tensor:
    """Return numbers on a device without a copy where that is possible; nothing may write to the result."""
    contiguous = np.ascontiguousarray(numbers)
    if device.type == "mps" and contiguous.dtype == np.float64:
        contiguous = contiguous.astype(np.float32)
    if contiguous.flags.writeable:
        return torch.from_numpy(contiguous).to(device)
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", message="The given NumPy array is not writable")  # nothing writes to it
        return torch.from_numpy(contiguous).to(device)


def batch_count(size: int, batch_size: int) -> int:
    """Return how many batches `size` records make; a last batch of one record joins the batch before it.

    Examples
    --------
    >>> [batch_count(size, 3) for size in (1, 6, 7, 8)]
    [1, 2, 2, 3]
    """
    return max(1, size // batch_size + (size % batch_size > 1)) if batch_size > 1 else size


def batch_bounds(batch: int, size: int, batch_size: int) -> tuple[int, int]:
    """Return where a batch (counted from 0) starts and stops.

    Examples
    --------
    >>> [batch_bounds(batch, 7, 3) for batch in range(batch_count(7, 3))]
    [(0, 3), (3, 7)]
    """
    last = batch == batch_count(size, batch_size) - 1
    return batch * batch_size, size if last else (batch + 1) * batch_size
