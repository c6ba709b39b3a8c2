"""Places that keep distances along the data: a rolled-up sheet is laid out flat."""

from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy import sparse
from scipy.sparse import csgraph

from refold.layouts._neighbours import Neighbours

Array = NDArray[Any]

_LANDMARKS = 400


def unrolled(rows: Array, neighbours: Neighbours, dimensions: int, seed: int) -> NDArray[np.float32]:
    """Return places whose distances are those along the data, of deviation 1 altogether.

    Distances from some landmarks to all records are lengths of shortest paths from neighbour to neighbour; landmarks
    get places by classical scaling, all others by their distances to these (Tenenbaum, de Silva and Langford 2000,
    Science 290; de Silva and Tenenbaum 2004, landmark multidimensional scaling).

    Parameters
    ----------
    rows : ndarray of shape (n, columns)
    neighbours : Neighbours
        Of the rows.
    dimensions : int
    seed : int

    Returns
    -------
    places : ndarray of shape (n, dimensions), float32
    """
    graph = _connected(rows, neighbours)
    size = len(rows)
    chosen = np.random.default_rng(seed).choice(size, min(size, max(_LANDMARKS, dimensions + 1)), replace=False)
    squares = np.square(csgraph.dijkstra(graph, directed=False, indices=chosen))
    return _placed_by(squares, chosen, dimensions)


def _connected(rows: Array, neighbours: Neighbours) -> sparse.csr_matrix:
    """Return the graph of distances to neighbours, its parts joined where they are nearest."""
    size, count = neighbours.places.shape
    ends = np.arange(0, size * count + 1, count)
    apart = np.maximum(neighbours.distances, 1e-9).astype(np.float64)  # 0 would be no edge
    graph = sparse.csr_matrix((apart.ravel(), neighbours.places.ravel(), ends), shape=(size, size))
    graph = graph.maximum(graph.T).tocsr()
    count, part = csgraph.connected_components(graph, directed=False)
    if count == 1:
        return graph
    bridges = _bridges(rows, part, count)
    first, second, length = (np.array(each) for each in zip(*bridges, strict=True))
    return (graph + sparse.csr_matrix((length, (first, second)), shape=graph.shape)).tocsr()


def _bridges(rows: Array, part: Array, count: int) -> list[tuple[int, int, float]]:
    """Return an edge from each part but the largest to the nearest record outside of what is joined so far."""
    from scipy.spatial import cKDTree

    order = np.argsort(-np.bincount(part, minlength=count))
    joined = np.flatnonzero(part == order[0])
    bridges = []
    for each in order[1:]:
        own = np.flatnonzero(part == each)
        apart, nearest = cKDTree(rows[joined]).query(rows[own])
        closest = int(np.argmin(apart))
        bridges.append((int(own[closest]), int(joined[nearest[closest]]), max(float(apart[closest]), 1e-9)))
        joined = np.concatenate([joined, own])
    return bridges


def _placed_by(squares: Array, landmarks: Array, dimensions: int) -> NDArray[np.float32]:
    """Return places of all by squared distances (landmarks, n) to some of them."""
    among = squares[:, landmarks]
    usual = among.mean(0)
    centred = -0.5 * (among - usual - usual[:, None] + among.mean())
    values, vectors = np.linalg.eigh(centred)
    first = np.argsort(-values)[:dimensions]
    roots = np.sqrt(np.maximum(values[first], 1e-12))
    places = -0.5 * (squares - usual[:, None]).T @ (vectors[:, first] / roots)
    places -= places.mean(0)
    places /= max(float(places.std()), 1e-12)
    lacking = dimensions - places.shape[1]  # so few records span fewer dimensions
    return np.pad(places, [(0, 0), (0, lacking)]).astype(np.float32)
