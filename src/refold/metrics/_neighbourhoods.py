"""The nearest neighbours of records in the data and in the code, and which neighbours they are in the other."""

from collections import deque
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any

import numpy as np

from refold.metrics._distances import Distances, Places, distances_of
from refold.metrics._rows import check_whole, paired_rows

_CELLS_AT_ONCE = 1 << 21  # distances of a block, which takes about 64 MB
_MOST_THREADS = 16


@dataclass(frozen=True)
class Neighbourhoods:
    """Neighbours of some of the records; a record is no neighbour of itself.

    Parameters
    ----------
    in_data, in_code : ndarray of shape (b, size), int
        Places of the nearest records, nearest first.
    ranks_in_data : ndarray of shape (b, ranked), int
        Which neighbours in the data the first `ranked` of `in_code` are: 1 is the nearest.
    ranks_in_code : ndarray of shape (b, ranked), int
        Which neighbours in the code the first `ranked` of `in_data` are.
    """

    in_data: Places
    in_code: Places
    ranks_in_data: Places
    ranks_in_code: Places


def neighbourhoods(
    data: Any, code: Any, size: int, ranked: int = 0, rows_at_once: int | None = None
) -> Iterator[Neighbourhoods]:
    """Return the neighbourhoods of all records in order, a block of records at a time.

    Distances are Euclidean. Of neighbours at the same distance the one that stands first counts as nearer. Memory
    grows with the number of records, not with its square. Results do not depend on blocks and threads; the latter are
    as many as torch's.

    Parameters
    ----------
    data : array-like or tensor of shape (n, ...), or table of numbers
    code : array-like or tensor of shape (n, ...), or table of numbers
    size : int
        Neighbours of each record, at most n - 1.
    ranked : int, default=0
        How many of them get their rank in the other; at most `size`.
    rows_at_once : int, optional
        Records of a block; without it so many that a block stays small.

    Returns
    -------
    iterator of Neighbourhoods

    Raises
    ------
    DataError
        If the numbers of records differ, or values are not finite.
    ParameterError
        If `size` or `ranked` is out of range.

    Examples
    --------
    >>> import numpy as np
    >>> line, mixed = np.array([[0.0], [1.0], [3.0], [7.0]]), np.array([[0.0], [7.0], [3.0], [1.0]])
    >>> block = next(neighbourhoods(line, mixed, size=1, ranked=1))
    >>> block.in_data.tolist(), block.in_code.tolist()
    ([[1], [0], [1], [2]], [[3], [2], [3], [0]])
    >>> block.ranks_in_data.tolist()
    [[3], [2], [3], [3]]
    """
    rows, codes = paired_rows(data, code)
    check_whole(size, "size", len(rows) - 1, f"the others of {len(rows)} records")
    if ranked != 0:
        check_whole(ranked, "ranked", size, "the neighbours asked for")
    step = rows_at_once or max(1, _CELLS_AT_ONCE // len(rows))
    of_data, of_code = distances_of(rows), distances_of(codes)

    def block(start: int) -> Neighbourhoods:
        stop = min(start + step, len(rows))
        by_data, by_code = of_data.part(start, stop), of_code.part(start, stop)
        in_data, in_code = by_data.nearest(size), by_code.nearest(size)
        ranks = _ranks(by_data, in_code[:, :ranked]), _ranks(by_code, in_data[:, :ranked])
        return Neighbourhoods(in_data, in_code, *ranks)

    return _in_order(block, range(0, len(rows), step))


def _in_order(block: Callable[[int], Neighbourhoods], starts: range) -> Iterator[Neighbourhoods]:
    """Yield the blocks in order; each is the work of one of torch's threads, which are as many blocks ahead."""
    import torch

    threads = min(torch.get_num_threads(), _MOST_THREADS)
    ahead: deque[Future[Neighbourhoods]] = deque()
    with ThreadPoolExecutor(threads) as pool:
        for start in starts:
            ahead.append(pool.submit(block, start))
            if len(ahead) > threads:
                yield ahead.popleft().result()
        while ahead:
            yield ahead.popleft().result()


def _ranks(distances: Distances, places: Places) -> Places:
    ranks = np.empty_like(places)
    for column, place in enumerate(places.T):
        ranks[:, column] = distances.nearer_than(place) + 1
    return ranks
