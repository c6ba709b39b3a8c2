"""Whether records that are farther apart in the data are farther apart in the code."""

from typing import Any

import numpy as np
from numpy.typing import NDArray

from refold.metrics._rows import Array, check_whole, paired_rows, squared_distances, within_range

PAIRS = 500_000  # drawn, they leave a deviation of about .001; 1,000 records have fewer
_MOST_PAIRS = 1 << 27


def shepard_correlation(data: Any, code: Any, pairs: int = PAIRS, seed: int = 0) -> float:
    """Return the rank correlation (Spearman) of distances in the data with distances in the code.

    It sums up Shepard's diagram, distances in the code over those in the data: 1 if every distance keeps its rank.

    Parameters
    ----------
    data : array-like or tensor of shape (n, ...), or table of numbers
    code : array-like or tensor of shape (n, ...), or table of numbers
    pairs : int, default=500_000
        With more pairs of records than that, so many different ones are drawn; else all count.
    seed : int, default=0
        The same seed draws the same pairs.

    Returns
    -------
    float
        From -1 to 1; 0 where all distances are the same in the data or in the code.

    Raises
    ------
    DataError
        If the numbers of records differ, or values are not finite.
    ParameterError
        If `pairs` is out of range.

    Examples
    --------
    >>> from sklearn.datasets import load_iris
    >>> from sklearn.decomposition import PCA
    >>> X = load_iris().data
    >>> round(shepard_correlation(X, PCA(1).fit_transform(X)), 3)
    0.981
    """
    rows, codes = paired_rows(data, code)
    pairs = check_whole(pairs, "pairs", _MOST_PAIRS, "as many as are held in memory")
    first, second = _pairs_of(len(rows), pairs, seed)
    return _rank_correlation(*(squared_distances(within_range(part), first, second) for part in (rows, codes)))


def _pairs_of(size: int, most: int, seed: int) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Return the places of all pairs of records, or of so many different ones."""
    total = size * (size - 1) // 2
    if total <= most:
        numbers = np.arange(total)
    else:
        numbers = np.random.default_rng(seed).choice(total, most, replace=False, shuffle=False)
    # pairs are counted (1, 0), (2, 0), (2, 1), (3, 0) ...; a large root may be rounded up to the next
    first = ((1 + np.sqrt(1 + 8 * numbers.astype(np.float64))) / 2).astype(np.int64)
    first -= first * (first - 1) // 2 > numbers
    return first, numbers - first * (first - 1) // 2


def _rank_correlation(squares: Array, others: Array) -> float:
    from scipy.stats import rankdata

    ranks, other_ranks = rankdata(squares), rankdata(others)
    ranks, other_ranks = ranks - ranks.mean(), other_ranks - other_ranks.mean()
    spread = float(np.linalg.norm(ranks) * np.linalg.norm(other_ranks))
    return float(np.clip(ranks @ other_ranks / spread, -1, 1)) if spread else 0.0
