"""The nearest neighbours of every record among all."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from refold._errors import ParameterError

_BLOCK_VALUES = 1 << 24  # distances that are held at once
_EXACT_BELOW = 20_000  # records; of more, candidates are found among the first components
_COMPONENTS, _CANDIDATES = 64, 3  # of the candidates' distances, and how many times as many as are asked for
_SPARE = 4  # candidates more than asked for: distances from products are not exact in the last digits


@dataclass(frozen=True)
class Neighbours:
    """The nearest neighbours of every record, the nearest first.

    Parameters
    ----------
    places : ndarray of shape (n, k), int64
        Which records they are; never the record itself.
    distances : ndarray of shape (n, k), float32
        Euclidean.
    """

    places: NDArray[np.int64]
    distances: NDArray[np.float32]


def nearest_neighbours(rows: NDArray[Any], count: int) -> Neighbours:
    """Return the nearest neighbours of every row among all others.

    Up to 20,000 rows they are exact. Of more rows with many columns, three times as many candidates are taken by
    their distance over the first 64 principal components, and the nearest of these by the true distance.

    Parameters
    ----------
    rows : ndarray of shape (n, columns)
        Finite.
    count : int
        Below n.

    Returns
    -------
    neighbours : Neighbours

    Raises
    ------
    ParameterError
        If there are not so many others.

    Examples
    --------
    >>> import numpy as np
    >>> nearest_neighbours(np.array([[0.0], [1.0], [3.0]]), 1).places.ravel().tolist()
    [1, 0, 1]
    """
    if not 1 <= count < len(rows):
        raise ParameterError(f"{len(rows)} records have 1 to {len(rows) - 1} neighbours each, not {count}")
    values = torch.from_numpy(np.ascontiguousarray(rows, np.float32))
    values = values - values.mean(0)
    if len(values) <= _EXACT_BELOW or values.shape[1] <= _COMPONENTS:
        reduced, candidates = values, min(len(values) - 1, count + _SPARE)
    else:
        reduced, candidates = _first_components(values), min(len(values) - 1, _CANDIDATES * count)
    parts = [_nearest(values, found, start, count) for start, found in _candidates(reduced, candidates)]
    places, distances = (torch.cat(each).numpy() for each in zip(*parts, strict=True))
    return Neighbours(places, distances)


def _first_components(values: Tensor) -> Tensor:
    directions: Tensor = torch.linalg.eigh(values.T @ values).eigenvectors
    return values @ directions[:, -_COMPONENTS:]


def _candidates(values: Tensor, count: int) -> Iterator[tuple[int, Tensor]]:
    """Yield for blocks of rows where they start and which others are nearest, in no order."""
    size = len(values)
    lengths = values.square().sum(1)
    rows = max(1, _BLOCK_VALUES // size)
    room = torch.empty(rows, size)
    for start in range(0, size, rows):
        block = values[start : start + rows]
        apart = torch.addmm(lengths[None], block, values.T, alpha=-2, out=room[: len(block)])
        own = torch.arange(len(block))
        apart[own, own + start] = torch.inf
        yield start, apart.topk(count, dim=1, largest=False, sorted=False).indices


def _nearest(values: Tensor, candidates: Tensor, start: int, count: int) -> tuple[Tensor, Tensor]:
    """Return the nearest candidates by the true distance; of equal ones those that come first."""
    candidates = candidates.sort(dim=1).values
    block = values[start : start + len(candidates), None]
    rows = max(1, _BLOCK_VALUES // (candidates.shape[1] * values.shape[1]))
    parts = (slice(first, first + rows) for first in range(0, len(block), rows))
    apart = torch.cat([(values[candidates[part]] - block[part]).square_().sum(2) for part in parts])
    order = apart.sort(dim=1, stable=True)
    return candidates.gather(1, order.indices[:, :count]), order.values[:, :count].sqrt()
