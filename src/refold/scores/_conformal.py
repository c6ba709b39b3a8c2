"""From scores of normal records to p-values and thresholds that keep a promised rate of false alarms.

Split-conformal (Vovk et al. 2005; Bates et al. 2023 for outliers): as long as normal records to come are drawn like
the calibration ones, the p-value of a normal record is at most r in at most a share r of the cases, at any number of
them.
"""

from dataclasses import dataclass
from math import floor
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

Scores = NDArray[np.float64]

_ROUNDING = 1e-9


@dataclass(frozen=True)
class Threshold:
    """A threshold and what it promises.

    Parameters
    ----------
    value : float
        A record is flagged if its score is above it.
    promised : float
        Largest share of normal records that it flags on average.
    kept : bool
        Whether that is no more than what was asked for.
    """

    value: float
    promised: float
    kept: bool


class Calibration(nn.Module):
    """Scores of normal records that the scorer has not learned from.

    Parameters
    ----------
    scores : array-like of shape (m,)
    """

    scores: Tensor

    def __init__(self, scores: Any) -> None:
        super().__init__()
        ordered = np.sort(np.asarray(scores, dtype=np.float32))
        self.register_buffer("scores", torch.from_numpy(ordered))

    def forward(self, scores: Tensor) -> Tensor:
        """Return p-values (B,): the share of normal records as strange or stranger, the record itself among them."""
        below = torch.searchsorted(self.scores, scores.to(self.scores.dtype).contiguous())
        return (len(self.scores) - below + 1) / (len(self.scores) + 1)

    @property
    def smallest_rate(self) -> float:
        """The smallest rate of false alarms that so many scores can promise."""
        return 1 / (len(self.scores) + 1)

    def threshold(self, rate: float) -> Threshold:
        """Return the threshold for a rate of false alarms, or for the smallest one that can be promised.

        Parameters
        ----------
        rate : float
            Above 0 and below 1.

        Examples
        --------
        >>> normal = Calibration(range(99))
        >>> normal.threshold(0.05)
        Threshold(value=94.0, promised=0.05, kept=True)
        >>> normal.threshold(0.001)
        Threshold(value=98.0, promised=0.01, kept=False)
        """
        size = len(self.scores)
        flagged = floor(rate * (size + 1) + _ROUNDING)
        kept = flagged >= 1
        rank = min(max(flagged, 1), size)
        return Threshold(float(self.scores[size - rank]), rate if kept else self.smallest_rate, kept)


def binomial_limits(size: int, rate: float, calibrated: int, sureness: float = 0.99) -> tuple[float, float]:
    """Return between which shares the observed rate lies if a promise on `size` new normal records is kept.

    Both the new records and the ones that calibrated are draws, so the count is beta-binomial.

    Parameters
    ----------
    size : int
        New normal records.
    rate : float
        The promise.
    calibrated : int
        Scores that the threshold stands on.
    sureness : float, default=0.99

    Examples
    --------
    >>> low, high = binomial_limits(1000, 0.01, 500)
    >>> low < 0.01 < high
    True
    """
    from scipy.stats import betabinom

    flagged = max(1, floor(rate * (calibrated + 1) + _ROUNDING))
    spread = betabinom(size, flagged, calibrated + 1 - flagged)
    rest = (1 - sureness) / 2
    return float(spread.ppf(rest)) / size, float(spread.ppf(1 - rest)) / size
