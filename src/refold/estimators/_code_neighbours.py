"""Who is near to whom in the code."""

from typing import Any

import numpy as np
from numpy.typing import NDArray
from sklearn.utils.validation import check_is_fitted

from refold._errors import ParameterError
from refold.estimators._autoencoder import Autoencoder
from refold.layouts import Neighbours

Array = NDArray[Any]


def neighbours(model: Autoencoder, records: Any, among: Any, *, count: int = 10) -> Neighbours:
    """Return the records whose codes are nearest to those of others: what is alike.

    Parameters
    ----------
    model : Autoencoder
        Fitted.
    records : array-like, table, path or list of paths
        Of the kind that was fitted.
    among : array-like, table, path or list of paths
        Records to choose from. A record that stands in both is its own nearest neighbour.
    count : int, default=10
        Neighbours of each record, at most as many as there are to choose from.

    Returns
    -------
    neighbours : Neighbours
        ``places`` in `among`, int64 (n, count), the nearest first, and ``distances`` between codes, float32
        (n, count). They are exact.

    Raises
    ------
    ParameterError
        If there are not so many records to choose from.

    Examples
    --------
    >>> from sklearn.datasets import load_digits
    >>> import refold
    >>> digits = load_digits().images
    >>> model = refold.Autoencoder(max_epochs=1, random_state=0).fit(digits)
    >>> found = refold.neighbours(model, digits[:5], digits, count=3)
    >>> found.places[:, 0].tolist()
    [0, 1, 2, 3, 4]
    """
    check_is_fitted(model)
    return nearest_codes(model.transform(records), model.transform(among), count)


def nearest_codes(codes: Array, among: Array, count: int) -> Neighbours:
    """Return the nearest of some codes (m, k) to each of others (n, k)."""
    from sklearn.neighbors import NearestNeighbors

    if not (count == int(count) and 1 <= count <= len(among)):
        raise ParameterError(f"count={count} is not possible; there are 1 to {len(among)} records to choose from")
    searched = NearestNeighbors(n_neighbors=int(count)).fit(among.astype(np.float64))
    distances, places = searched.kneighbors(codes.astype(np.float64))
    return Neighbours(places.astype(np.int64), distances.astype(np.float32))
