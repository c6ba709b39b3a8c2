"""Places for the codes of records, found before an autoencoder learns to take records there and back."""

from typing import Any

import numpy as np
from numpy.typing import NDArray

from refold.layouts import arranged, nearest_neighbours, neighbour_graph, unrolled
from refold.objectives import Keep, KeepDistances, KeepSmooth, Smooth, Towards
from refold.train import with_threads

Array = NDArray[Any]

_MOST_PLACED = 100_000  # records; of more, some are drawn
_MOST_COLUMNS, _COMPONENTS = 1024, 256
_LEAST_LEFT = 0.1  # share of the variance: even where components rebuild everything, codes go to their places
_FEW = 500  # records: of so many, places weigh half
_SAMPLED = 5_000  # records that directions are found from
_REACH = {"neighbours": 0.1, "distances": 0.3}  # of the pull towards a place, in deviations of all places


def code_places(keep: Keep, features: Array, dimensions: int, seed: int) -> Array:
    """Return where the codes of records should be, NaN for those that have no place.

    Parameters
    ----------
    keep : Keep
    features : ndarray of shape (n, columns)
        NaN where nothing is known.
    dimensions : int
        Numbers of a code.
    seed : int

    Returns
    -------
    places : ndarray of shape (n, dimensions), float32
    """
    size = len(features)
    chosen = np.random.default_rng(seed).permutation(size)[:_MOST_PLACED] if size > _MOST_PLACED else np.arange(size)
    places = np.full((size, dimensions), np.nan, np.float32)
    with with_threads(1):  # many small steps; with other work on the machine two threads wait for each other
        places[chosen] = _found(keep, _whole_rows(features[chosen]), dimensions, seed)
    return places


def _found(keep: Keep, rows: Array, dimensions: int, seed: int) -> Array:
    neighbours = nearest_neighbours(rows, min(int(keep.count), len(rows) - 1))
    if isinstance(keep, KeepDistances):
        return unrolled(rows, neighbours, dimensions, seed)
    start = np.zeros((len(rows), dimensions), np.float32)
    found = (rows @ _directions(rows, dimensions))[:, :dimensions]
    start[:, : found.shape[1]] = found
    return arranged(neighbour_graph(neighbours), start, seed)


def towards(keep: Keep, features: Array, dimensions: int) -> Towards:
    """Return the term of the objective that takes codes to their places.

    Places of neighbours weigh little where as many principal components leave little, since there the errors weigh
    little too and neighbours are kept anyway; and where records are few, whose neighbours say little about others.
    """
    share = 1.0 if isinstance(keep, KeepDistances) else _share_left(features, dimensions) ** 2 * _trust(len(features))
    return Towards(keep.weight * share * _variance(features), _REACH[keep.name], keep.name)


def smoothness(keep: KeepSmooth, features: Array) -> Smooth:
    """Return the term of the objective that makes the decoder stretch the code alike everywhere.

    Parameters
    ----------
    keep : KeepSmooth
    features : ndarray of shape (n, columns)
        Of some records; NaN where nothing is known.
    """
    return Smooth(keep.weight * _variance(features))


def _variance(features: Array) -> float:
    """Return the mean variance of a feature, above 0."""
    known = features[:, ~np.isnan(features).all(axis=0)]
    return max(float(np.nanvar(known, axis=0, dtype=np.float64).mean()), 1e-12) if known.size else 1e-12


def _share_left(features: Array, dimensions: int) -> float:
    """Return which share of the variance so many principal components leave."""
    rows = _some(_whole_rows(features)).astype(np.float64)
    squares = np.square(np.linalg.svd(rows - rows.mean(0), compute_uv=False))
    return max(_LEAST_LEFT, float(squares[dimensions:].sum() / max(squares.sum(), 1e-300)))


def _trust(count: int) -> float:
    """Return how far places of so many records hold for others."""
    return count / (count + _FEW)


def _whole_rows(features: Array) -> Array:
    """Return rows (n, columns) without gaps and without more columns than are worth while."""
    rows = features.reshape(len(features), -1)
    gaps = np.isnan(rows)
    if gaps.any():
        rows = np.where(gaps, np.nanmean(rows, axis=0, dtype=np.float64).astype(np.float32), rows)
    if rows.shape[1] > _MOST_COLUMNS:
        rows = rows @ _directions(rows, _COMPONENTS)
    return rows


def _directions(rows: Array, count: int) -> Array:
    """Return the first principal directions (columns, count) of some rows."""
    some = _some(rows)
    _, _, directions = np.linalg.svd(some - some.mean(0), full_matrices=False)
    return np.ascontiguousarray(directions[:count].T)


def _some(rows: Array) -> Array:
    return rows[:: max(1, len(rows) // _SAMPLED)]
