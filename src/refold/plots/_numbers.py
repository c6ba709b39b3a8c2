"""A table of numbers on a page, the better ones marked."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np

from refold._errors import DataError, ParameterError
from refold.plots._markup import caption_line, escaped


@dataclass(frozen=True)
class NumbersTable:
    """A table whose first column names the rows.

    Parameters
    ----------
    heading : str
    header : sequence of str of shape (columns,)
    rows : sequence of sequences of shape (columns,)
        Text as it is; integers with thousands apart; floats with four significant digits; None and NaN as a
        dash. A column with a number in it is set to the right.
    caption : str, default=""
    highlight : mapping from str to "lowest" or "highest", default=None
        Which value is the better one: the key names a column (by its header) or a row (by its first cell),
        and the best number in it is marked, ties together.

    Raises
    ------
    DataError
        If a row has another number of cells than the header.
    ParameterError
        If `highlight` names neither a column nor a row, or asks for something else.

    Examples
    --------
    >>> from refold.plots import NumbersTable
    >>> table = NumbersTable("Error", ("method", "error"), [("PCA", 0.5), ("refold", 0.25)], "",
    ...                      highlight={"error": "lowest"})
    >>> "<mark>0.2500</mark>" in table.html()
    True
    """

    heading: str
    header: Sequence[str]
    rows: Sequence[Sequence[object]]
    caption: str = ""
    highlight: Mapping[str, Literal["lowest", "highest"]] | None = None

    def __post_init__(self) -> None:
        for row in self.rows:
            if len(row) != len(self.header):
                raise DataError(
                    f"got a row of {len(row)} cells, {list(row)!r:.80}, under {len(self.header)} headers; "
                    "give every row one cell per column"
                )
        for name, better in (self.highlight or {}).items():
            self._check_highlight(name, better)

    def _check_highlight(self, name: str, better: str) -> None:
        known = [*self.header, *(str(row[0]) for row in self.rows)]
        if name not in known or better not in ("lowest", "highest"):
            raise ParameterError(
                f"got highlight {name!r}: {better!r}; name a column or a row of {known!r:.200} "
                "and ask for 'lowest' or 'highest'"
            )

    def html(self) -> str:
        """Return the table in a card that scrolls sideways where it is too wide."""
        right = [any(_is_number(row[place]) for row in self.rows) for place in range(len(self.header))]
        best = self._best_places()
        head = "".join(_cell("th", escaped(name), right[k]) for k, name in enumerate(self.header))
        body = "\n".join(self._row(place, right, best) for place in range(len(self.rows)))
        return (
            f'<div class="card rows" tabindex="0"><table><thead><tr>{head}</tr></thead>\n'
            f"<tbody>{body}</tbody></table></div>{caption_line(self.caption)}"
        )

    def _row(self, place: int, right: list[bool], best: set[tuple[int, int]]) -> str:
        cells = []
        for column, value in enumerate(self.rows[place]):
            text = escaped(_shown(value))
            text = f"<mark>{text}</mark>" if (place, column) in best else text
            cells.append(_cell("th" if column == 0 else "td", text, right[column]))
        return f"<tr>{''.join(cells)}</tr>"

    def _best_places(self) -> set[tuple[int, int]]:
        best: set[tuple[int, int]] = set()
        for name, better in (self.highlight or {}).items():
            for line in self._lines(name):
                best |= self._best_of(line, better)
        return best

    def _lines(self, name: str) -> list[list[tuple[int, int]]]:
        """Return the cells of every column and every row of that name."""
        heights, widths = range(len(self.rows)), range(len(self.header))
        columns = [[(row, k) for row in heights] for k in widths if self.header[k] == name]
        rows = [[(row, k) for k in widths[1:]] for row in heights if str(self.rows[row][0]) == name]
        return columns or rows

    def _best_of(self, line: list[tuple[int, int]], better: str) -> set[tuple[int, int]]:
        numbers = {(row, k): self.rows[row][k] for row, k in line}
        finite = {place: float(v) for place, v in numbers.items() if _is_number(v) and not math.isnan(v)}  # type: ignore[arg-type]
        if not finite:
            return set()
        winner = min(finite.values()) if better == "lowest" else max(finite.values())
        return {place for place, value in finite.items() if value == winner}


def _is_number(value: object) -> bool:
    return isinstance(value, int | float | np.integer | np.floating) and not isinstance(value, bool)


def _cell(tag: str, text: str, is_right: bool) -> str:
    scope = ' scope="row"' if tag == "th" else ""
    side = ' class="number"' if is_right else ""
    return f"<{tag}{scope}{side}>{text}</{tag}>"


def _shown(value: Any) -> str:
    if value is None or value != value:
        return "–"
    if not _is_number(value) or value in (math.inf, -math.inf):
        return str(value)
    if isinstance(value, int | np.integer):
        return f"{value:,}"
    return _four_digits(float(value))


def _four_digits(value: float) -> str:
    if value == 0 or 1e-4 <= abs(value) < 1e9:
        places = 3 - math.floor(math.log10(abs(value))) if value else 3
        return f"{value:,.{min(max(places, 0), 6)}f}"
    return f"{value:.3g}"
