"""How many of the training records are anomalies, where that is not known."""

from typing import Any

import numpy as np
from numpy.typing import NDArray

_BELOW = 0.16  # a deviation below the median of a normal distribution
_FAR = 3.5  # deviations above the median from which a score is no longer thought normal
_MOST = 0.5


def contaminated_share(scores: NDArray[Any]) -> float:
    """Return the share of scores that lie farther above the median than those below it could explain.

    The lower half of the scores is taken for that of normal records, and normal scores for symmetric.

    Parameters
    ----------
    scores : ndarray of shape (n,)

    Examples
    --------
    >>> normal = np.random.default_rng(0).normal(size=950)
    >>> contaminated_share(np.append(normal, np.full(50, 9.0)))
    0.05
    """
    middle, low = np.median(scores), np.quantile(scores, _BELOW)
    return float(min(_MOST, np.mean(scores > middle + _FAR * (middle - low))))
