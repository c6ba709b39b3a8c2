"""Numbers that stood elsewhere in a table after the same numbers as here."""

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

Array = NDArray[Any]

_LENGTHS = (8, 4, 2)  # of what is looked for, the longest first
_MIX = np.uint64(0x9E3779B97F4A7C15)


@dataclass
class Matches:
    """Where each row may go on like another: a cell of the table, and how many cells before it were the same."""

    values: Array
    cell: Array
    length: Array
    tables: dict[int, Array]
    bits: int

    @staticmethod
    def of(values: Array, shift: int) -> "Matches":
        """Return matches of nothing yet in values (n, columns), which are filled in place."""
        rows, columns = values.shape
        bits = max(8, min(22, (values.size * 2).bit_length()))
        lengths = [length for length in _LENGTHS if length < columns and shift == 0]
        tables = {length: np.full(1 << bits, -1, np.int64) for length in lengths}
        return Matches(values, np.zeros(rows, np.int64), np.zeros(rows, np.int64), tables, bits)

    def find(self, rows: Array, column: int) -> tuple[Array, Array]:
        """Return numbers (n,) that may come in `column` of rows (n,), and how far they are to be believed; 0: not."""
        for length, table in self.tables.items():
            if column < length:
                continue
            open_ = rows[self.length[rows] < length]
            cells = table[self._hashes(open_, column, length)]
            open_, cells = open_[cells >= 0], cells[cells >= 0]
            same = self._same(open_, column, cells, length)
            better = same & (self.length[open_] == 0)
            self.cell[open_[better]], self.length[open_[better]] = cells[better], length
        return self.values.reshape(-1)[self.cell[rows]], self.length[rows]

    def note(self, rows: Array, column: int) -> None:
        """Learn that `column` of rows (n,) is there now."""
        if not self.tables:
            return
        columns, flat = self.values.shape[1], self.values.reshape(-1)
        hit = flat[self.cell[rows]] == self.values[rows, column]
        cells = self.cell[rows] + 1
        goes_on = hit & (cells % columns > 0) & (self.length[rows] > 0)
        self.length[rows] = np.where(goes_on, self.length[rows] + 1, 0)
        self.cell[rows] = np.where(goes_on, cells, 0)
        for length, table in self.tables.items():
            if column >= length:
                table[self._hashes(rows, column, length)] = rows * columns + column

    def _hashes(self, rows: Array, column: int, length: int) -> Array:
        mixed = np.zeros(len(rows), np.uint64)
        for back in range(length, 0, -1):
            mixed = (mixed + self.values[rows, column - back].astype(np.uint64) + np.uint64(1)) * _MIX
            mixed ^= mixed >> np.uint64(29)
        return (mixed >> np.uint64(64 - self.bits)).astype(np.int64)

    def _same(self, rows: Array, column: int, cells: Array, length: int) -> Array:
        flat = self.values.reshape(-1)
        same = np.ones(len(rows), bool)
        for back in range(1, length + 1):
            same &= flat[cells - back] == self.values[rows, column - back]
        return same
