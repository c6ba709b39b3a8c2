"""Batches from records on disk: read ahead by a thread, mixed through a buffer, memory flat."""

from collections.abc import Callable, Generator, Iterator, Sequence
from itertools import accumulate
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from refold._errors import DataError
from refold.data import Piece, prefetched
from refold.train._batches import Batch, as_tensor, batch_bounds, batch_count

Array = NDArray[Any]

_BLOCK_BYTES = 1 << 22
_OPEN_PIECES = 2  # read in turn, so that neighbours in the file do not meet in a batch


class Streamed:
    """Records on disk, dealt in batches.

    Every pass reads the pieces in a drawn order, several in turn, and draws the records through a buffer. A thread
    does that ahead of the training.

    Parameters
    ----------
    pieces : sequence of Piece
    encode : callable
        From a piece's records to numbers of shape (n, *record).
    record_bytes : int
        Of one encoded record.
    left_out : ndarray of int
        Places of the records that are not dealt, sorted.
    device : torch.device
        Where the batches go.
    buffer : int
        Records among which the next one is drawn.
    """

    places: torch.Tensor | None = None

    def __init__(
        self,
        pieces: Sequence[Piece],
        encode: Callable[[Any], Array],
        record_bytes: int,
        left_out: NDArray[np.intp],
        device: torch.device,
        buffer: int,
    ) -> None:
        self._pieces, self._encode, self._left_out, self._device = tuple(pieces), encode, left_out, device
        self._starts = list(accumulate((piece.size for piece in pieces), initial=0))
        self._rows = max(1, _BLOCK_BYTES // record_bytes)
        self._buffer = max(1, min(buffer, len(self)))

    def __len__(self) -> int:
        return self._starts[-1] - len(self._left_out)

    def shuffled(self, batch_size: int, generator: torch.Generator, skip: int = 0) -> Iterator[Batch]:
        """Yield every record once, in a drawn order; a last batch of one record joins the batch before it.

        Parameters
        ----------
        batch_size : int
        generator : torch.Generator
            One number is drawn from it.
        skip : int
            Batches left out at the beginning; their records are read all the same.
        """
        rng = np.random.default_rng(int(torch.randint(2**62, (1,), generator=generator)))
        drawn = drawn_through(self._mixed(rng), self._buffer, rng)
        bounds = (batch_bounds(batch, len(self), batch_size) for batch in range(batch_count(len(self), batch_size)))
        for batch, numbers in enumerate(_ahead(drawn, (stop - start for start, stop in bounds))):
            if batch >= skip:
                yield Batch(as_tensor(numbers, self._device))

    def in_order(self, batch_size: int) -> Iterator[Batch]:
        """Yield every record once, in order."""
        places = range(len(self._pieces))
        blocks = (block for place in places for block in self._blocks_of(place))
        sizes = (min(batch_size, len(self) - start) for start in range(0, len(self), batch_size))
        for numbers in _ahead(blocks, sizes):
            yield Batch(as_tensor(numbers, self._device))

    def _mixed(self, rng: np.random.Generator) -> Iterator[Array]:
        waiting = [int(place) for place in rng.permutation(len(self._pieces))]
        reading: list[Iterator[Array]] = []
        while waiting or reading:
            while waiting and len(reading) < _OPEN_PIECES:
                reading.append(self._blocks_of(waiting.pop()))
            for blocks in list(reading):
                block = next(blocks, None)
                if block is None:
                    reading.remove(blocks)
                else:
                    yield block

    def _blocks_of(self, place: int) -> Iterator[Array]:
        start = self._starts[place]
        for values in self._pieces[place].blocks(self._rows):
            yield without(self._encode(values), self._left_out, start)
            start += len(values)


def without(numbers: Array, left_out: NDArray[np.intp], start: int) -> Array:
    """Return records `start`, `start` + 1, ... without those whose places are among `left_out`, which is sorted."""
    first, last = np.searchsorted(left_out, (start, start + len(numbers)))
    return np.delete(numbers, left_out[first:last] - start, axis=0) if last > first else numbers


def drawn_through(blocks: Iterator[Array], capacity: int, rng: np.random.Generator) -> Generator[Array]:
    """Yield the records of `blocks` in another order: each new one takes the place of one drawn from a buffer."""
    buffer: Array | None = None
    filled = rows = 0
    for block in blocks:
        if buffer is None:
            buffer = np.empty((capacity, *block.shape[1:]), block.dtype)
        space = capacity - filled
        buffer[filled : filled + min(space, len(block))] = block[:space]
        filled, rows = filled + min(space, len(block)), max(rows, min(len(block), capacity))
        for start in range(space, len(block), capacity):
            part = block[start : start + capacity]
            slots = rng.choice(capacity, len(part), replace=False)
            drawn = buffer[slots]
            buffer[slots] = part
            yield drawn
    if buffer is not None:
        order = rng.permutation(filled)
        for start in range(0, filled, rows):
            yield buffer[order[start : start + rows]]


def _next(made: Iterator[Array]) -> Array:
    block = next(made, None)
    if block is None:
        raise DataError("the data hold fewer records than when they were opened; fit again")
    return block


def _ahead(blocks: Iterator[Array], sizes: Iterator[int]) -> Iterator[Array]:
    """Yield records in parts of the given sizes; the blocks that they come from are made by a thread."""
    made = prefetched(blocks)
    try:
        rest: list[Array] = []
        for size in sizes:
            while sum(map(len, rest)) < size:
                rest.append(_next(made))
            whole = rest[0] if len(rest) == 1 else np.concatenate(rest)
            yield whole[:size]
            rest = [whole[size:]]
    finally:
        made.close()
