"""From nearest neighbours to a graph whose edges say how much two records belong together."""

import numpy as np
import torch
from scipy import sparse

from refold.layouts._neighbours import Neighbours

_ROUNDS = 64  # of halving until widths are exact


def neighbour_graph(neighbours: Neighbours) -> sparse.csr_matrix:
    """Return the fuzzy graph of neighbours: symmetric, weights 0 to 1.

    Each record measures distances by its own ruler, beyond its nearest neighbour and so wide that the weights of its
    k neighbours sum to log2 k; an edge belongs to the graph if it does from either end (McInnes, Healy and
    Melville 2018, arXiv 1802.03426, sections 3.1 and 4.2).

    Parameters
    ----------
    neighbours : Neighbours

    Returns
    -------
    graph : csr_matrix of shape (n, n), float32
    """
    size, count = neighbours.places.shape
    weights = _weights(torch.from_numpy(neighbours.distances)).numpy()
    ends = np.arange(0, size * count + 1, count)
    one_way = sparse.csr_matrix((weights.ravel(), neighbours.places.ravel(), ends), shape=(size, size))
    other_way = one_way.T.tocsr()
    graph = (one_way + other_way - one_way.multiply(other_way)).tocsr()
    graph.sort_indices()
    return graph


def _weights(distances: torch.Tensor) -> torch.Tensor:
    beyond = (distances - distances[:, :1]).double()
    wanted = np.log2(max(2, distances.shape[1]))
    low = torch.zeros(len(beyond), 1, dtype=torch.float64)
    high = torch.full_like(low, torch.inf)
    width = beyond.mean(1, keepdim=True).clamp(min=1e-12)
    for _ in range(_ROUNDS):
        wide = (-beyond / width).exp().sum(1, keepdim=True) > wanted
        high, low = torch.where(wide, width, high), torch.where(wide, low, width)
        width = torch.where(high.isinf(), 2 * width, (low + high) / 2)
    return (-beyond / width).exp().float()
