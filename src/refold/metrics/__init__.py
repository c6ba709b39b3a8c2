"""How well a code keeps what is in the data: neighbours, distances, labels, and the records themselves.

Everything takes arrays and tensors of any shape (n, ...) and tables of numbers, and holds no matrix of all pairs.

>>> from sklearn.datasets import load_digits
>>> from sklearn.decomposition import PCA
>>> import refold
>>> X = load_digits().data
>>> round(refold.metrics.trustworthiness(X, PCA(2).fit_transform(X)), 3)
0.83
"""

from refold.metrics._intrusions import continuity, trustworthiness
from refold.metrics._map_quality import MapQuality, map_quality
from refold.metrics._neighbour_accuracy import neighbour_accuracy
from refold.metrics._neighbourhoods import Neighbourhoods, neighbourhoods
from refold.metrics._neighbours_kept import NeighboursKept, neighbours_kept
from refold.metrics._reconstruction import reconstruction_error
from refold.metrics._shepard import shepard_correlation

__all__ = [
    "MapQuality",
    "Neighbourhoods",
    "NeighboursKept",
    "continuity",
    "map_quality",
    "neighbour_accuracy",
    "neighbourhoods",
    "neighbours_kept",
    "reconstruction_error",
    "shepard_correlation",
    "trustworthiness",
]
