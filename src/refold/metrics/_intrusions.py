"""Trustworthiness and continuity: what is near in the code and far in the data, and the other way round."""

from dataclasses import dataclass
from typing import Any

from refold.metrics._neighbourhoods import Neighbourhoods, neighbourhoods
from refold.metrics._rows import check_whole, paired_rows


def trustworthiness(data: Any, code: Any, n_neighbors: int = 5) -> float:
    """Return how far the nearest neighbours in the code are near in the data too.

    1 if every one of them is among the `n_neighbors` nearest in the data, less for others, by their rank [1]_. It is
    `sklearn.manifold.trustworthiness` in little memory. Of neighbours at the same distance, whose order
    scikit-learn leaves open, the one that stands first counts as nearer.

    Parameters
    ----------
    data : array-like or tensor of shape (n, ...), or table of numbers
    code : array-like or tensor of shape (n, ...), or table of numbers
    n_neighbors : int, default=5
        Below n / 2.

    Returns
    -------
    float
        From 0 to 1. A random code gives about 0.5.

    Raises
    ------
    DataError
        If the numbers of records differ, or values are not finite.
    ParameterError
        If `n_neighbors` is out of range.

    References
    ----------
    .. [1] J. Venna, S. Kaski, "Neighborhood preservation in nonlinear projection methods", ICANN 2001.

    Examples
    --------
    >>> from sklearn.datasets import load_iris
    >>> from sklearn.decomposition import PCA
    >>> X = load_iris().data
    >>> round(trustworthiness(X, PCA(1).fit_transform(X)), 3), trustworthiness(X, X)
    (0.921, 1.0)
    """
    return _intrusions(data, code, n_neighbors).trustworthiness


def continuity(data: Any, code: Any, n_neighbors: int = 5) -> float:
    """Return how far the nearest neighbours in the data are near in the code too.

    It is `trustworthiness` with data and code exchanged, and takes the same parameters.

    Examples
    --------
    >>> from sklearn.datasets import load_iris
    >>> from sklearn.decomposition import PCA
    >>> X = load_iris().data
    >>> round(continuity(X, PCA(1).fit_transform(X)), 3)
    0.955
    """
    return _intrusions(data, code, n_neighbors).continuity


@dataclass
class Intrusions:
    """By how many ranks neighbours in one are no neighbours in the other, summed over the blocks seen so far.

    Parameters
    ----------
    size : int
        Number of all records.
    n_neighbors : int
    """

    size: int
    n_neighbors: int
    into_code: int = 0
    out_of_code: int = 0

    def add(self, block: Neighbourhoods) -> None:
        """Count a block."""
        self.into_code += _beyond(block.ranks_in_data[:, : self.n_neighbors], self.n_neighbors)
        self.out_of_code += _beyond(block.ranks_in_code[:, : self.n_neighbors], self.n_neighbors)

    @property
    def trustworthiness(self) -> float:
        """From 0 to 1."""
        return self._share(self.into_code)

    @property
    def continuity(self) -> float:
        """From 0 to 1."""
        return self._share(self.out_of_code)

    def _share(self, ranks: int) -> float:
        most = self.size * self.n_neighbors * (2 * self.size - 3 * self.n_neighbors - 1)
        return 1 - 2 * ranks / most


def check_n_neighbors(n_neighbors: Any, size: int) -> int:
    """Return a number of neighbours below half the number of records.

    Raises
    ------
    ParameterError
    """
    return check_whole(n_neighbors, "n_neighbors", (size - 1) // 2, f"less than half of the {size} records")


def _intrusions(data: Any, code: Any, n_neighbors: int) -> Intrusions:
    rows, codes = paired_rows(data, code)
    intrusions = Intrusions(len(rows), check_n_neighbors(n_neighbors, len(rows)))
    for block in neighbourhoods(rows, codes, n_neighbors, ranked=n_neighbors):
        intrusions.add(block)
    return intrusions


def _beyond(ranks: Any, n_neighbors: int) -> int:
    return int((ranks - n_neighbors).clip(min=0).sum())
