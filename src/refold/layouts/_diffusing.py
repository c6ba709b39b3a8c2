"""First places for a layout: components smoothed along a graph until only its large shape is left."""

from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy import sparse

_STEPS, _STEPS_TO_STRAIGHTEN = 300, 10
_OWN = 0.01  # of the places as they were: what has become one point could not be pushed apart


def diffused(graph: sparse.csr_matrix, places: NDArray[Any]) -> NDArray[np.float32]:
    """Return places after many steps of taking the mean of a record's neighbours.

    Such steps, with places kept uncorrelated and of the same spread, are power iterations towards the eigenvectors
    of the graph's Laplacian (Belkin and Niyogi 2003, Neural Computation 15), which show its large shape. Parts of the
    graph without a way between them stay where their components are.

    Parameters
    ----------
    graph : csr_matrix of shape (n, n), float32
        Symmetric.
    places : ndarray of shape (n, k)
        Such as principal components.

    Returns
    -------
    places : ndarray of shape (n, k), float32
        Of deviation 1 in each of k uncorrelated directions, as far as there are so many.
    """
    totals = np.maximum(np.asarray(graph.sum(1), np.float32), 1e-12)
    mean = (sparse.diags_array(1 / totals.ravel()) @ graph).astype(np.float64)
    mass = totals / totals.sum()
    start = _straightened(places, mass)
    found = start
    for step in range(1, _STEPS + 1):
        found = mean @ found
        if step % _STEPS_TO_STRAIGHTEN == 0:
            found = _straightened(found, mass)
    return np.asarray(found + _OWN * start, np.float32)


def _straightened(places: NDArray[Any], mass: NDArray[Any]) -> NDArray[np.float64]:
    """Return centred places turned and stretched so that directions are uncorrelated, of deviation 1 or 0."""
    centred = places - (mass * places).sum(0)
    variances, directions = np.linalg.eigh((mass * centred).T.astype(np.float64) @ centred)
    kept = variances > 1e-10 * max(float(variances[-1]), 1e-300)
    stretch = np.where(kept, 1 / np.sqrt(np.where(kept, variances, 1)), 0)
    return np.asarray(centred @ (directions * stretch) @ directions.T)
