"""Who is near to whom: the rows of a set in the order of their distance, a few rows at a time.

Two rows at the same distance count in the order in which they stand, as if by a stable sort. Distances of many
columns come from a matrix product in single precision, which brackets them; where brackets overlap, and only there,
the distances themselves are computed. So the order is that of double precision, whatever the product rounded.
"""

from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from refold.metrics._rows import Array, squared_distances, within_range

Places = NDArray[np.intp]

_FEW_COLUMNS = 8  # differences of so many columns take no longer than a product
_WORTH_EXACTNESS = 64  # columns up to which a product in double precision takes hardly longer than what follows it
_ROWS_AT_ONCE = 1024
_COLUMNS_AT_ONCE = 4096  # of a product, whose rounding grows with them
_TRIED_ROWS, _TRIED_NEIGHBOURS, _TRIED_MOST = 32, 10, 40


class Distances(Protocol):
    """From some rows to all rows of a set; a row is no neighbour of itself."""

    def nearest(self, size: int) -> Places:
        """Return the places (b, size) of the nearest rows, nearest first."""

    def nearer_than(self, place: Places) -> Places:
        """Return how many rows are nearer than the one at `place` (b,)."""


class DistanceSource(Protocol):
    """A set of rows."""

    def part(self, start: int, stop: int) -> Distances:
        """Return the distances from the rows between two places to all."""


def distances_of(rows: Array) -> DistanceSource:
    """Return the distances between rows (n, values) in the way that is quickest for them."""
    rows = within_range(rows)
    if rows.shape[1] <= _FEW_COLUMNS:
        return Differences(np.ascontiguousarray(rows.T, dtype=np.float64))
    whole = _without_offset(rows)
    if whole is not None:
        return WholeNumbers(whole, np.square(whole).sum(axis=1))
    return Brackets.of(rows)


@dataclass(frozen=True)
class Differences:
    """Distances of few columns, from their differences.

    Parameters
    ----------
    columns : ndarray of shape (values, n), float64
    """

    columns: NDArray[np.float64]

    def part(self, start: int, stop: int) -> Distances:
        """Return the distances from the rows between two places to all."""
        total = np.zeros((stop - start, self.columns.shape[1]))
        difference = np.empty(self.columns.shape[1])
        for row, squares in enumerate(total, start):  # one at a time stays in the cache
            for column in self.columns:
                np.subtract(column, column[row], out=difference)
                squares += np.square(difference, out=difference)
        return ExactDistances(_without_itself(total, start))


@dataclass(frozen=True)
class WholeNumbers:
    """Distances of whole numbers so small that no sum is rounded, from a product.

    Parameters
    ----------
    rows : ndarray of shape (n, values), float32 or float64
    squares : ndarray of shape (n,)
    """

    rows: Array
    squares: Array

    def part(self, start: int, stop: int) -> Distances:
        """Return the distances from the rows between two places to all."""
        total = self.squares[start:stop, None] + self.squares
        total -= (2 * self.rows[start:stop]) @ self.rows.T
        return ExactDistances(_without_itself(total, start))


@dataclass(frozen=True)
class ExactDistances:
    """Squared distances as they are.

    Parameters
    ----------
    squares : ndarray of shape (b, n)
        Infinite from a row to itself.
    """

    squares: Array

    def nearest(self, size: int) -> Places:
        """Return the places (b, size) of the nearest rows, nearest first."""
        limit = np.partition(self.squares, size - 1, axis=1)[:, size - 1 : size]
        chosen = self.squares <= limit
        too_many = np.flatnonzero(_counted(chosen) > size)
        chosen[too_many] = _first_of_tied(self.squares[too_many], limit[too_many], size)
        places = _true_cells(chosen)[1].reshape(-1, size)
        order = np.argsort(np.take_along_axis(self.squares, places, axis=1), axis=1, kind="stable")
        return np.take_along_axis(places, order, axis=1)

    def nearer_than(self, place: Places) -> Places:
        """Return how many rows are nearer than the one at `place` (b,)."""
        own = self.squares[np.arange(len(place)), place][:, None]
        nearer = _counted(self.squares < own)
        tied = np.flatnonzero(_counted(self.squares <= own) > nearer + 1)
        before = np.arange(self.squares.shape[1]) < place[tied, None]
        nearer[tied] += _counted((self.squares[tied] == own[tied]) & before)
        return nearer


@dataclass(frozen=True)
class Brackets:
    """Distances of many columns, from a product that rounds.

    With a row's square s and u the rounding, a squared distance lies within e (s + s') of what the product gives, e
    being a little more than u times the number of columns (N. J. Higham, "Accuracy and stability of numerical
    algorithms", 2002, section 3.1).

    Parameters
    ----------
    rows : ndarray of shape (n, values)
        As the user gave them.
    centred : ndarray of shape (n, values), float32 or float64
        Less what is usual, in a scale of about 1.
    low, high : ndarray of shape (n,)
        The squares, less and more what a distance may be off.
    """

    rows: Array
    centred: Array
    low: Array
    high: Array

    @classmethod
    def of(cls, rows: Array) -> "Brackets":
        """Return brackets in single precision, or in double where those leave too much open."""
        brackets = cls._in(rows, np.float32)
        tried = np.unique(np.linspace(0, len(rows) - 1, _TRIED_ROWS).astype(int))
        size = min(_TRIED_NEIGHBOURS, len(rows) - 1)
        left = [brackets.part(place, place + 1).candidates(size).sum() for place in tried]
        return cls._in(rows, np.float64) if np.mean(left) > _TRIED_MOST else brackets

    @classmethod
    def _in(cls, rows: Array, dtype: type[np.floating[Any]]) -> "Brackets":
        # not the mean, from which all but a far outlier would be far
        middle = np.median(rows[:: -(-len(rows) // _ROWS_AT_ONCE)], axis=0).astype(np.float64)
        peak = float(max((rows.max(axis=0) - middle).max(), (middle - rows.min(axis=0)).max()))
        scale = np.ldexp(1.0, -int(np.frexp(peak)[1]))
        centred = np.empty(rows.shape, dtype)
        squares = np.empty(len(rows))
        for start in range(0, len(rows), _ROWS_AT_ONCE):
            part = slice(start, start + _ROWS_AT_ONCE)
            exact = (rows[part] - middle) * scale
            centred[part], squares[part] = exact, np.square(exact).sum(axis=1)
        off, least = _rounding(rows.shape[1], np.finfo(dtype))
        low, high = (squares * (1 - off) - least).astype(dtype), (squares * (1 + off) + least).astype(dtype)
        return cls(rows, centred, low, high)

    def part(self, start: int, stop: int) -> "BracketedDistances":
        """Return the distances from the rows between two places to all."""
        product = self._product(2 * self.centred[start:stop])
        low = self.low[start:stop, None] + self.low
        low -= product
        high = np.subtract(self.high[start:stop, None] + self.high, product, out=product)
        return BracketedDistances(self.rows, start, _without_itself(low, start), _without_itself(high, start))

    def _product(self, factors: Array) -> Array:
        columns = [slice(start, start + _COLUMNS_AT_ONCE) for start in range(0, factors.shape[1], _COLUMNS_AT_ONCE)]
        product: Array = factors[:, columns[0]] @ self.centred[:, columns[0]].T
        for part in columns[1:]:
            product += factors[:, part] @ self.centred[:, part].T
        return product


@dataclass(frozen=True)
class BracketedDistances:
    """Squared distances of which is known between which numbers they lie.

    Parameters
    ----------
    rows : ndarray of shape (n, values)
    start : int
        Place of the first row that distances are from.
    low, high : ndarray of shape (b, n)
    """

    rows: Array
    start: int
    low: Array
    high: Array

    def candidates(self, size: int) -> NDArray[np.bool_]:
        """Say (b, n) which rows may be among the nearest."""
        return self.low <= np.partition(self.high, size - 1, axis=1)[:, size - 1 : size]

    def nearest(self, size: int) -> Places:
        """Return the places (b, size) of the nearest rows, nearest first."""
        row, place = _true_cells(self.candidates(size))
        order = np.lexsort((self._exact(row, place), row))
        first = np.searchsorted(row, np.arange(len(self.low)))
        nearest: Places = place[order[first[:, None] + np.arange(size)]]
        return nearest

    def nearer_than(self, place: Places) -> Places:
        """Return how many rows are nearer than the one at `place` (b,)."""
        at = np.arange(len(place)), place
        low, high = self.low[at][:, None], self.high[at][:, None]
        surely = self.high < low
        perhaps = self.low <= high
        row, other = _true_cells(perhaps & ~surely)  # the one at `place` is among them
        exact, own = self._exact(row, other), self._exact(*at)[row]
        nearer = (exact < own) | ((exact == own) & (other < place[row]))
        return _counted(surely) + np.bincount(row[nearer], minlength=len(place))

    def _exact(self, row: Places, place: Places) -> NDArray[np.float64]:
        return squared_distances(self.rows, self.start + row, place)


def _without_offset(rows: Array) -> Array | None:
    """Return whole numbers less the smallest of their column, or None if they are none or their sums are rounded."""
    smallest = rows.min(axis=0).astype(np.float64)
    largest_sum = 4 * float(np.square(rows.max(axis=0) - smallest).sum())
    single = largest_sum < 2**24
    if not single and (largest_sum >= 2**53 or rows.shape[1] > _WORTH_EXACTNESS):
        return None
    if rows.dtype.kind == "f" and not (np.rint(rows) == rows).all():
        return None
    whole: Array = (rows - smallest).astype(np.float32 if single else np.float64)
    return whole


def _rounding(columns: int, precision: np.finfo[Any]) -> tuple[float, float]:
    """Return by which part of the squares, and by what at least, a distance may be off."""
    # the product rounds in its own precision, the distance that it is compared with in double precision
    unit = float(precision.eps) / 2 + 3 * float(np.finfo(np.float64).eps) / 2
    roundings = min(columns, _COLUMNS_AT_ONCE) + columns // _COLUMNS_AT_ONCE + 8
    return roundings * unit, columns * float(precision.tiny)


def _without_itself(squares: Array, start: int) -> Array:
    row = np.arange(len(squares))
    squares[row, start + row] = np.inf
    return squares


def _first_of_tied(squares: Array, limit: Array, size: int) -> NDArray[np.bool_]:
    """Say which `size` entries of each row are the smallest, of those equal to the limit the first."""
    tied = squares == limit
    nearer = squares < limit
    left = size - _counted(nearer)
    first: NDArray[np.bool_] = nearer | (tied & (np.cumsum(tied, axis=1) <= left[:, None]))
    return first


def _true_cells(true: NDArray[np.bool_]) -> tuple[Places, Places]:
    """Return row and column of what is true, row by row."""
    # ten times as fast as np.nonzero of two dimensions
    row, column = np.divmod(np.flatnonzero(true), true.shape[1])
    return row, column


def _counted(true: NDArray[np.bool_]) -> Places:
    """Return how many of each row are true."""
    # 32 bits are several times as fast as 64
    counts: Places = true.sum(axis=1, dtype=np.int32).astype(np.intp)
    return counts
