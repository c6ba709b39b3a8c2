"""How many of the nearest neighbours in the data are nearest in the code too, for neighbourhoods of many sizes."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from refold._errors import ParameterError
from refold.metrics._neighbourhoods import Neighbourhoods, neighbourhoods
from refold.metrics._rows import check_whole, paired_rows

_SIZES = (1, 2, 5, 10, 20, 50, 100)


@dataclass(frozen=True)
class NeighboursKept:
    """The curve of neighbours kept.

    Parameters
    ----------
    sizes : tuple of int
        Numbers of nearest neighbours.
    shares : tuple of float
        Which part of them, over all records, are the same in data and code.
    chance : tuple of float
        Which part would be in a code that knows nothing: size / (n - 1).
    """

    sizes: tuple[int, ...]
    shares: tuple[float, ...]
    chance: tuple[float, ...]


def neighbours_kept(data: Any, code: Any, sizes: Sequence[int] | None = None) -> NeighboursKept:
    """Return which part of the nearest neighbours in the data are nearest neighbours in the code too.

    This is the curve Q_NX [1]_. All sizes are read off one pass.

    Parameters
    ----------
    data : array-like or tensor of shape (n, ...), or table of numbers
    code : array-like or tensor of shape (n, ...), or table of numbers
    sizes : sequence of int, optional
        Numbers of nearest neighbours, each at most n - 1; without it those of 1, 2, 5, 10, 20, 50, 100 that are
        below n.

    Returns
    -------
    NeighboursKept

    Raises
    ------
    DataError
        If the numbers of records differ, or values are not finite.
    ParameterError
        If a size is out of range.

    References
    ----------
    .. [1] J. A. Lee, M. Verleysen, "Quality assessment of dimensionality reduction: rank-based criteria",
       Neurocomputing 72, 2009.

    Examples
    --------
    >>> from sklearn.datasets import load_iris
    >>> from sklearn.decomposition import PCA
    >>> X = load_iris().data
    >>> kept = neighbours_kept(X, PCA(2).fit_transform(X), sizes=(5, 50))
    >>> [round(share, 2) for share in kept.shares], [round(share, 2) for share in kept.chance]
    ([0.64, 0.96], [0.03, 0.34])
    """
    rows, codes = paired_rows(data, code)
    overlap = Overlap(checked_sizes(sizes, len(rows)), len(rows))
    for block in neighbourhoods(rows, codes, max(overlap.sizes)):
        overlap.add(block)
    return overlap.kept


@dataclass
class Overlap:
    """Neighbours that data and code have in common, counted over the blocks seen so far.

    Parameters
    ----------
    sizes : tuple of int
    size : int
        Number of all records.
    """

    sizes: tuple[int, ...]
    size: int
    met_at: NDArray[np.int64] = field(init=False)  # neighbours that both have first in a neighbourhood of this size

    def __post_init__(self) -> None:
        self.met_at = np.zeros(max(self.sizes) + 1, np.int64)

    def add(self, block: Neighbourhoods) -> None:
        """Count a block, whose neighbours are at least as many as the largest size."""
        most = max(self.sizes)
        in_data, in_code = block.in_data[:, :most], block.in_code[:, :most]
        rank = np.arange(1, most + 1)
        rank_in_data = np.full((len(in_data), self.size), most + 1, np.int32)
        np.put_along_axis(rank_in_data, in_data, rank.astype(np.int32)[None], axis=1)
        both = np.maximum(np.take_along_axis(rank_in_data, in_code, axis=1), rank)
        self.met_at += np.bincount(both.ravel(), minlength=most + 2)[: most + 1]

    @property
    def kept(self) -> NeighboursKept:
        """The curve."""
        met = np.cumsum(self.met_at)
        shares = tuple(float(met[size] / (self.size * size)) for size in self.sizes)
        return NeighboursKept(self.sizes, shares, tuple(size / (self.size - 1) for size in self.sizes))


def checked_sizes(sizes: Sequence[int] | None, size: int) -> tuple[int, ...]:
    """Return sizes of neighbourhoods among so many records.

    Raises
    ------
    ParameterError
        If there is none, or one is not a whole number from 1 to all other records.
    """
    if sizes is None:
        return tuple(k for k in _SIZES if k < size)
    if len(sizes) == 0:
        raise ParameterError("sizes is empty; name at least one number of neighbours")
    return tuple(check_whole(k, "each of sizes", size - 1, f"the others of {size} records") for k in sizes)
