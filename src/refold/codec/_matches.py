"""Numbers that stood elsewhere in a table after the same numbers as here."""

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

Array = NDArray[Any]

_LENGTHS = (6, 3)  # of what is looked for: one match of each
KINDS = len(_LENGTHS)
_WHOLE = 16
_MIX = np.uint64(0x9E3779B97F4A7C15)


@dataclass
class Matches:
    """Where each row may go on like another: cells of the table, and how many cells before them were the same."""

    values: Array
    kinds: "tuple[_Kind, ...]"

    @staticmethod
    def of(values: Array, shift: int, period: int) -> "Matches":
        """Return matches of nothing yet in values (n, columns), which are filled in place.

        Only columns that are a multiple of `period` apart are compared.
        """
        bits = max(8, min(22, (values.size * 2).bit_length()))
        lengths = [length for length in _LENGTHS if values.shape[1] > _LENGTHS[-1] and shift == 0]
        none = np.zeros(len(values), np.int64)
        kinds = (
            _Kind(values, length, period, none.copy(), none.copy(), np.full(1 << bits, -1)) for length in lengths
        )
        return Matches(values, tuple(kinds))

    def before(self, values: Array) -> "Matches":
        """Return matches in values (more, columns) that start like these."""
        none = np.zeros(len(values), np.int64)
        kinds = (
            _Kind(values, kind.least, kind.period, none.copy(), none.copy(), kind.latest.copy())
            for kind in self.kinds
        )
        return Matches(values, tuple(kinds))

    def find(self, rows: Array, column: int) -> list[tuple[Array, Array]]:
        """Return numbers (n,) that may come in `column` of rows (n,), and how many before were right; 0: none."""
        return [kind.find(rows, column) for kind in self.kinds]

    def note(self, rows: Array, column: int) -> None:
        """Learn that `column` of rows (n,) is there now."""
        for kind in self.kinds:
            kind.note(rows, column)


@dataclass
class _Kind:
    """Matches of at least so many numbers."""

    values: Array
    least: int
    period: int
    cell: Array
    length: Array
    latest: Array  # cell after the numbers with this hash
    hashes: Array = None  # type: ignore[assignment]

    def find(self, rows: Array, column: int) -> tuple[Array, Array]:
        if column >= self.least:
            self.hashes = self._hashes(rows, column)
            missing = self.length[rows] == 0
            open_, cells = rows[missing], self.latest[self.hashes[missing]]
            open_, cells = open_[cells >= 0], cells[cells >= 0]
            same = self._same(open_, column, cells)
            open_, cells = open_[same], cells[same]
            self.cell[open_], self.length[open_] = cells, self._extent(open_, column, cells)
        length = self.length[rows]
        since = column % self.period
        score = np.where(length >= since, _WHOLE + min(since, _WHOLE - 1), np.minimum(length, _WHOLE - 1))
        return self.values.reshape(-1)[self.cell[rows]], np.where(length > 0, score, 0)

    def note(self, rows: Array, column: int) -> None:
        if column < self.least:
            return
        columns = self.values.shape[1]
        cells, length = self.cell[rows], self.length[rows]
        goes_on = (length > 0) & (self.values.reshape(-1)[cells] == self.values[rows, column])
        cells += 1
        goes_on &= cells % columns > 0
        self.length[rows] = np.where(goes_on, length + 1, 0)
        self.cell[rows] = np.where(goes_on, cells, 0)
        self.latest[self.hashes] = rows * columns + column

    def _hashes(self, rows: Array, column: int) -> Array:
        before = self.values[rows, column - self.least : column].astype(np.uint64)
        mixed = np.full(len(rows), column % self.period, np.uint64)
        for numbers in before.T:
            mixed += numbers
            mixed *= _MIX
            mixed ^= mixed >> np.uint64(29)
        mixed *= _MIX
        return (mixed >> np.uint64(65 - len(self.latest).bit_length())).astype(np.int64)

    def _extent(self, rows: Array, column: int, cells: Array) -> Array:
        """Return how many numbers (n,) before are the same."""
        flat, extent, going = self.values.reshape(-1), np.full(len(rows), self.least), np.arange(len(rows))
        for back in range(self.least + 1, min(column, _WHOLE) + 1):
            going = going[cells[going] % self.values.shape[1] >= back]
            going = going[flat[cells[going] - back] == self.values[rows[going], column - back]]
            if not len(going):
                break
            extent[going] = back
        return extent

    def _same(self, rows: Array, column: int, cells: Array) -> Array:
        flat, least = self.values.reshape(-1), self.least
        there = flat[cells[:, None] - np.arange(1, least + 1)]
        return np.asarray((there == self.values[rows, column - least : column][:, ::-1]).all(1))
