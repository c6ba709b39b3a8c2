"""The nearest neighbours of every record among all."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from refold._errors import ParameterError

_BLOCK_VALUES = 1 << 22  # numbers that are held at once: few enough to stay near the processor
_EXACT_UP_TO = 20_000  # records; of more, candidates are taken from the nearest cells
_COMPONENTS, _CANDIDATES = 64, 2  # of the candidates' distances, and how many times as many as are asked for
_SPARE = 4  # candidates more than asked for: distances from products are not exact in the last digits
_SEARCHED, _FEWEST_SEARCHED = 0.4, 10_000  # share and number of the records
_ROUNDS, _RECORDS_A_CELL = 8, 80  # of moving cells to the middle of their records, and how many look


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

    Up to 20,000 rows they are exact. Of more, rows are dealt to cells around as many centres as the root of their
    count, and candidates come from the cells around a row's own that hold 10,000 rows or two fifths of all. There are
    twice as many as asked for, the nearest over the first 64 principal components; of these the nearest by the true
    distance are kept. One of 80 neighbours of handwritten digits is missed, and more of a cloud without
    structure, for others that are about as near.

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
    found = _among_all(values, count + _SPARE) if len(values) <= _EXACT_UP_TO else _among_cells(values, count)
    places, distances = torch.empty(len(values), count, dtype=torch.int64), torch.empty(len(values), count)
    for members, candidates in found:
        places[members], distances[members] = _nearest(values, members, candidates, count)
    return Neighbours(places.numpy(), distances.numpy())


def _among_all(values: Tensor, count: int) -> Iterator[tuple[Tensor, Tensor]]:
    everyone = torch.arange(len(values))
    yield from _candidates(values, values.square().sum(1), everyone, everyone, count)


def _among_cells(values: Tensor, count: int) -> Iterator[tuple[Tensor, Tensor]]:
    """Yield rows and which others are near, in no order: those of cells whose centres are near."""
    reduced = values if values.shape[1] <= _COMPONENTS else _first_components(values)
    centres = _centres(reduced)
    cells = _cells(reduced, centres)
    lengths = reduced.square().sum(1)
    wanted = _CANDIDATES * count + _SPARE
    for members, near in zip(cells, _cells_around(centres, cells), strict=True):
        others = torch.cat([cells[cell] for cell in near])
        yield from _candidates(reduced, lengths, members, others, wanted)


def _cells_around(centres: Tensor, cells: list[Tensor]) -> Iterator[list[int]]:
    """Yield for every cell those to search, its own first: so many that they hold enough records."""
    sizes = torch.tensor([len(cell) for cell in cells])
    enough = max(_FEWEST_SEARCHED, int(_SEARCHED * sizes.sum()))
    apart = torch.cdist(centres, centres).fill_diagonal_(-1)
    for order in apart.argsort(dim=1, stable=True):
        searched = int((sizes[order].cumsum(0) < enough).sum()) + 1
        yield order[:searched].tolist()


def _first_components(values: Tensor) -> Tensor:
    directions: Tensor = torch.linalg.eigh(values.T @ values).eigenvectors
    return values @ directions[:, -_COMPONENTS:]


def _centres(values: Tensor) -> Tensor:
    """Return middles of groups of rows, by Lloyd's algorithm on some of them."""
    count = int(len(values) ** 0.5)
    generator = torch.Generator().manual_seed(0)
    some = values[torch.randperm(len(values), generator=generator)[: _RECORDS_A_CELL * count]]
    centres = some[:count].clone()
    for _ in range(_ROUNDS):
        nearest = _nearest_centre(some, centres)
        sums = torch.zeros_like(centres).index_add_(0, nearest, some)
        sizes = torch.bincount(nearest, minlength=count)[:, None]
        centres = torch.where(sizes > 0, sums / sizes.clamp(min=1), centres)
    return centres


def _cells(values: Tensor, centres: Tensor) -> list[Tensor]:
    """Return for every centre the places of the rows that are nearest to it."""
    nearest = _nearest_centre(values, centres)
    sizes: list[int] = torch.bincount(nearest, minlength=len(centres)).tolist()
    return list(nearest.argsort(stable=True).split(sizes))  # type: ignore[no-untyped-call]


def _nearest_centre(values: Tensor, centres: Tensor) -> Tensor:
    lengths = centres.square().sum(1)
    rows = max(1, _BLOCK_VALUES // len(centres))
    return torch.cat([torch.addmm(lengths, part, centres.T, alpha=-2).argmin(1) for part in values.split(rows)])  # type: ignore[no-untyped-call]


def _candidates(
    values: Tensor, lengths: Tensor, members: Tensor, others: Tensor, count: int
) -> Iterator[tuple[Tensor, Tensor]]:
    """Yield rows of `members` and which of `others` are nearest, in no order; a row may be among its own."""
    columns, squares = values[others].T, lengths[others][None]
    rows = max(1, _BLOCK_VALUES // len(others))
    for part in members.split(rows):  # type: ignore[no-untyped-call]
        apart = torch.addmm(squares, values[part], columns, alpha=-2)
        yield part, others[apart.topk(min(count + 1, len(others)), dim=1, largest=False, sorted=False).indices]


def _nearest(values: Tensor, members: Tensor, candidates: Tensor, count: int) -> tuple[Tensor, Tensor]:
    """Return the truly nearest candidates, never the row itself; of equal ones those that come first."""
    candidates = candidates.sort(dim=1).values
    rows = max(1, _BLOCK_VALUES // (candidates.shape[1] * values.shape[1]))
    parts = zip(members.split(rows), candidates.split(rows), strict=True)  # type: ignore[no-untyped-call]
    apart = torch.cat([(values[near] - values[part][:, None]).square_().sum(2) for part, near in parts])
    apart[candidates == members[:, None]] = torch.inf
    order = apart.sort(dim=1, stable=True)
    return candidates.gather(1, order.indices[:, :count]), order.values[:, :count].sqrt()
