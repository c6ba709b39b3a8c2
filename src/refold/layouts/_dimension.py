"""How many numbers data have of their own: two estimates from distances to the nearest neighbours."""

from typing import Any

import numpy as np
from numpy.typing import NDArray

from refold.layouts._neighbours import Neighbours

_LEFT_OUT = 0.1  # share of the largest ratios, which hang on gaps in the data
_FIRST, _LAST = 10, 20  # neighbours over which the likelihood is averaged


def two_nearest_dimension(neighbours: Neighbours) -> float:
    """Return the intrinsic dimension by TwoNN: from how much farther the second neighbour is than the first.

    Facco, d'Errico, Rodriguez and Laio (2017, Scientific Reports 7, 12140): the logarithms of the ratios are
    distributed exponentially, and their rate is the dimension; it is fitted through the origin without the largest
    tenth. Records that occur more than once have no such ratio.

    Parameters
    ----------
    neighbours : Neighbours
        At least two of each record.

    Returns
    -------
    dimension : float
        NaN if nearly all records occur more than once.
    """
    first, second = neighbours.distances[:, 0].astype(np.float64), neighbours.distances[:, 1].astype(np.float64)
    apart = first > 0
    ratios = np.sort(np.log(second[apart] / first[apart]))
    kept = int(len(ratios) * (1 - _LEFT_OUT))
    if kept < 2 or not ratios[:kept].any():
        return float("nan")
    beyond = -np.log1p(-np.arange(1, kept + 1) / len(ratios))
    return float(ratios[:kept] @ beyond / (ratios[:kept] @ ratios[:kept]))


def likeliest_dimension(neighbours: Neighbours) -> float:
    """Return the intrinsic dimension that makes the distances to 10 to 20 neighbours likeliest.

    Levina and Bickel (2004, NIPS), with the mean over records of the inverse (MacKay and Ghahramani 2005).

    Parameters
    ----------
    neighbours : Neighbours
        At least three of each record; 20 where there are so many.

    Returns
    -------
    dimension : float
        NaN if nearly all records occur more than once.
    """
    distances = neighbours.distances.astype(np.float64)
    logarithms = np.log(distances[(distances > 0).all(1)])
    if len(logarithms) < 2:
        return float("nan")
    last = min(_LAST, logarithms.shape[1])
    counts = range(min(_FIRST, last), last + 1)
    return float(np.mean([_likeliest(logarithms[:, :count]) for count in counts]))


def _likeliest(logarithms: NDArray[Any]) -> float:
    inverse = (logarithms[:, -1:] - logarithms[:, :-1]).mean(1).mean()
    return float(1 / inverse) if inverse > 0 else float("nan")
