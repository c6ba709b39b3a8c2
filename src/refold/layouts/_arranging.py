"""Free points pulled together along the edges of a graph and pushed apart everywhere."""

from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from scipy import sparse
from torch import Tensor

from refold.layouts._diffusing import diffused

_STEPS, _STEPS_TO_SETTLE = 300, 100
_RATE, _MOMENTUM = 0.3, 0.9
_CALMING_FROM = 0.5  # share of the steps after which the rate falls to nothing
_PUSHED, _PUSHED_SETTLING = 10.0, 20.0  # how strongly points are pushed apart, for each edge's pull
_LANDMARKS = 64  # points that push at a step
_SPREAD = 10.0  # deviation of the first places


def arranged(graph: sparse.csr_matrix, start: NDArray[Any], seed: int) -> NDArray[np.float32]:
    """Return places that keep the neighbours of a graph, of deviation 1.

    Edges pull with the force of a Student-t kernel, and all points push, of which a few are drawn at every step. The
    forces are those of UMAP with a = b = 1 (Böhm, Berens and Kobak 2022, arXiv 2007.08902, section 4), per unit
    of a point's edges; the points move all at once, with momentum, so that the result follows from the seed. They
    begin where the first places diffuse to along the graph, which settles what lies beside what at large.

    Parameters
    ----------
    graph : csr_matrix of shape (n, n), float32
        Symmetric.
    start : ndarray of shape (n, k)
        First places, such as principal components.
    seed : int

    Returns
    -------
    places : ndarray of shape (n, k), float32
    """
    places = _moved(graph, _scaled(diffused(graph, start), _SPREAD), _STEPS, _PUSHED, seed)
    return _scaled(places, 1.0)


def settled(graph: sparse.csr_matrix, places: NDArray[Any], seed: int) -> NDArray[np.float32]:
    """Return places that keep the neighbours of a graph better, near to the ones that are given.

    Points move as in `arranged`, for fewer steps and pushed harder. The result has the middle of what
    is given and the size at which it lies nearest; an axis along which nothing is spread stays so.

    Parameters
    ----------
    graph : csr_matrix of shape (n, n), float32
        Symmetric.
    places : ndarray of shape (n, k)
        Such as the codes of a network that has learned for a while.
    seed : int

    Returns
    -------
    places : ndarray of shape (n, k), float32
    """
    centre = places.mean(0, dtype=np.float64)
    found = _scaled(_moved(graph, _scaled(places, _SPREAD), _STEPS_TO_SETTLE, _PUSHED_SETTLING, seed), 1.0)
    size = float(np.vdot(found, places - centre)) / max(float(np.vdot(found, found)), 1e-12)
    return np.asarray(size * found + centre, np.float32)


def _moved(
    graph: sparse.csr_matrix, start: NDArray[np.float32], steps: int, pushed: float, seed: int
) -> NDArray[np.float32]:
    """Return where points are after so many steps, the last ones of which are ever smaller."""
    generator = torch.Generator().manual_seed(seed)
    edges = _Edges(graph)
    places = torch.from_numpy(start)
    speed = torch.zeros_like(places)
    for step in range(steps):
        calm = min(1.0, (1 - step / steps) / (1 - _CALMING_FROM))
        drawn = torch.randint(len(places), (_LANDMARKS,), generator=generator)
        force = edges.pull(places).add_(_push(places, places[drawn]), alpha=pushed)
        speed.mul_(_MOMENTUM).add_(force, alpha=_RATE * calm)
        places += speed
    moved: NDArray[np.float32] = places.numpy()
    return moved


def _scaled(places: NDArray[Any], deviation: float) -> NDArray[np.float32]:
    centred = np.asarray(places - places.mean(0), np.float32)
    return np.ascontiguousarray(centred * np.float32(deviation / max(float(centred.std()), 1e-12)))


class _Edges:
    def __init__(self, graph: sparse.csr_matrix) -> None:
        self._graph = graph.astype(np.float32)
        self._columns = torch.from_numpy(graph.indices.astype(np.int64))
        self._rows = torch.from_numpy(np.repeat(np.arange(graph.shape[0]), np.diff(graph.indptr)))
        self._weights = torch.from_numpy(self._graph.data)
        total = np.asarray(self._graph.sum(1), np.float32)
        self._total = torch.from_numpy(np.maximum(total, 1e-12))

    def pull(self, places: Tensor) -> Tensor:
        """Return the mean force along a point's edges."""
        apart = (places.index_select(0, self._rows) - places.index_select(0, self._columns)).square_().sum(1)
        pulls = (self._weights / (1 + apart)).numpy()
        forces = sparse.csr_matrix((pulls, self._graph.indices, self._graph.indptr), shape=self._graph.shape)
        sums = torch.from_numpy(np.asarray(forces @ np.ones((len(places), 1), np.float32)))
        return (torch.from_numpy(forces @ places.numpy()) - sums * places) / self._total


def _push(places: Tensor, landmarks: Tensor) -> Tensor:
    """Return the mean force away from landmarks."""
    lengths = places.square().sum(1, keepdim=True) + landmarks.square().sum(1)
    apart = torch.addmm(lengths, places, landmarks.T, alpha=-2).clamp_(min=0)
    kernel = apart.add_(1).square_().reciprocal_()
    return (kernel.sum(1, keepdim=True) * places - kernel @ landmarks) / len(landmarks)
