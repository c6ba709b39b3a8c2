"""Places for the codes of records, found before an autoencoder learns to take records there and back."""

from collections.abc import Callable
from contextlib import AbstractContextManager
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from refold.layouts import arranged, nearest_neighbours, neighbour_graph, settled, unrolled
from refold.objectives import Keep, KeepDistances, KeepSmooth, Smooth, Towards
from refold.train import Settle, with_threads

Array = NDArray[Any]

_MOST_PLACED = 100_000  # records; of more, some are drawn
_MOST_COLUMNS, _COMPONENTS = 1024, 256
_LEAST_LEFT = 0.1  # share of the variance: even where components rebuild everything, codes go to their places
_FEW = 500  # records: of so many, places weigh half
_SAMPLED = 5_000  # records that directions are found from
_REACH = {"neighbours": 0.1, "distances": 0.3}  # of the pull towards a place, in deviations of all places


@dataclass(frozen=True)
class Placing:
    """Where the codes of records should be.

    Parameters
    ----------
    places : ndarray of shape (n, dimensions), float32, optional
        Of all records in their order; NaN for those that have no place.
    towards : Towards, optional
        The term of the objective that takes codes to their places.
    settle : callable, optional
        From the codes (n, dimensions), float32, of a network that has learned for a while, to places that are as good
        and easier to reach.
    """

    places: Array | None = None
    towards: Towards | None = None
    settle: Callable[[Array], Array] | None = None

    def places_of(self, records: NDArray[np.intp]) -> Array | None:
        """Return the places (k, dimensions) of k records, None where none are asked for."""
        return None if self.places is None else self.places[records]

    def settle_around(self, held_out: NDArray[np.intp]) -> Settle | None:
        """Return `settle` for the codes of records that are not held out, and of those that are."""
        if self.places is None or self.settle is None:
            return None
        settle, size = self.settle, len(self.places)
        training = np.delete(np.arange(size), held_out)

        def settle_both(codes: Tensor, held_out_codes: Tensor) -> tuple[Tensor, Tensor]:
            every = np.empty((size, codes.shape[1]), np.float32)
            every[training], every[held_out] = codes.numpy(), held_out_codes.numpy()
            places = torch.from_numpy(settle(every))
            return places[training], places[held_out]

        return settle_both


def find_placing(keep: Keep, features: Array, dimensions: int, seed: int) -> Placing:
    """Find where the codes of records should be.

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
    placing : Placing
    """
    size = len(features)
    chosen = np.random.default_rng(seed).permutation(size)[:_MOST_PLACED] if size > _MOST_PLACED else np.arange(size)

    def among_all(found: Array) -> Array:
        places = np.full((size, dimensions), np.nan, np.float32)
        places[chosen] = found
        return places

    pull = _towards(keep, features, dimensions)
    with _one_thread():
        rows = _whole_rows(features[chosen])
        neighbours = nearest_neighbours(rows, min(int(keep.count), len(rows) - 1))
        if isinstance(keep, KeepDistances):
            return Placing(among_all(unrolled(rows, neighbours, dimensions, seed)), pull)
        graph = neighbour_graph(neighbours)
        places = arranged(graph, _first_components(rows, dimensions), seed)

    def settle(codes: Array) -> Array:
        with _one_thread():
            return among_all(settled(graph, codes[chosen], seed))

    return Placing(among_all(places), pull, settle)


def _one_thread() -> AbstractContextManager[None]:
    """Return a context of one thread: at many small steps two would wait for each other."""
    return with_threads(1)


def _first_components(rows: Array, dimensions: int) -> Array:
    """Return so many principal components of rows; zeros where there are fewer."""
    components = np.zeros((len(rows), dimensions), np.float32)
    found = (rows @ _directions(rows, dimensions))[:, :dimensions]
    components[:, : found.shape[1]] = found
    return components


def _towards(keep: Keep, features: Array, dimensions: int) -> Towards:
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
