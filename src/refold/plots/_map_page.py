"""A map of records as a page of its own: it moves, turns, tells its points, and saves those that are chosen."""

import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import numpy.typing as npt

from refold._atomic import write_whole
from refold._errors import DataError, ParameterError, nearest
from refold.plots._inputs import Array, as_array, check_count, read_codes, read_pictures
from refold.plots._look import MOST_CATEGORIES
from refold.plots._map_columns import Blocks, MapColumn, read_column
from refold.plots._markup import escaped, json_in_script, smallest_picture
from refold.plots._page import own_file, policy
from refold.plots._turning import sheet_of, shrunk

MOST_RECORDS = 300_000
_MOST_LETTERS = 80_000_000
_ALL_TILES = 60_000_000
_SHEET_SIDE = 1024
_SCRIPTS = ("_map_reading.js", "_map_painting.js", "_map_thumbnails.js", "_map_parquet.js", "_map_page.js")
_REACH = (0.25, 99.75)


@dataclass(frozen=True, eq=False)
class MapPage:
    """Codes as a map that fills the window.

    Parameters
    ----------
    title, lead : str
        Plain text.
    codes : array-like of shape (n, k), finite floats
        k = 1 shows a line (points are spread upward by chance, so that they do not cover each other), k = 2 a
        map, k >= 3 a space of any three of the numbers. Of more than 300,000 rows an even random choice of
        300,000 is shown, and the page says so.
    columns : mapping of str to sequence of shape (n,), default={}
        Arrays, sequences or Arrow columns by name: numbers, truth values, dates, times, anything else as text.
        The points can be coloured by each. None and NaN are missing.
    labels : sequence of str of shape (n,), default=None
        The records' names; None numbers them from 0.
    thumbnails : array-like of shape (n, H, W) or (n, H, W, C), default=None
        uint8, or floats in 0..1.
    colour : str, default=None
        The column that colours the points at first; None takes the first one of a few classes.

    Raises
    ------
    DataError
        If codes are not finite numbers of shape (n, k), or the counts of the others differ from n.
    ParameterError
        If `colour` is no column.

    Examples
    --------
    >>> from refold.plots import MapPage
    >>> page = MapPage("Two", "Records of two.", [[0, 0], [1, 2]], {"side": ["left", "right"]})
    >>> [column.name for column in page.numbers()]
    ['number 1', 'number 2']
    """

    title: str
    lead: str
    codes: npt.ArrayLike
    columns: Mapping[str, Any] = field(default_factory=dict)
    labels: Sequence[str] | None = None
    thumbnails: npt.ArrayLike | None = None
    colour: str | None = None

    def __post_init__(self) -> None:
        count = len(read_codes(self.codes))
        for name, values in self.columns.items():
            check_count(f"values of {name!r}", values, count)
            if isinstance(values, np.ndarray) and values.ndim != 1:
                raise DataError(f"got values of {name!r} of shape {values.shape}; give one value per code")
        if self.labels is not None:
            check_count("labels", self.labels, count)
        if self.thumbnails is not None:
            check_count("thumbnails", np.atleast_1d(as_array(self.thumbnails, "thumbnails")), count)
        if self.colour is not None and self.colour not in self.columns:
            known = ", ".join(map(repr, self.columns)) or "none"
            raise ParameterError(
                f"got the colour {self.colour!r}{nearest(self.colour, self.columns)}; the columns are {known}"
            )

    def rows(self) -> Array:
        """Return the places of the records that are shown, in their order."""
        count = len(read_codes(self.codes))
        if count <= MOST_RECORDS:
            return np.arange(count)
        return np.sort(np.random.default_rng(0).choice(count, MOST_RECORDS, replace=False))

    def read_columns(self) -> list[MapColumn]:
        """Return the columns, as far as records are shown."""
        return [read_column(name, values).taken(self.rows()) for name, values in self.columns.items()]

    def numbers(self) -> list[MapColumn]:
        """Return the numbers of the codes as columns, as far as records are shown."""
        codes = read_codes(self.codes)[self.rows()]
        return [MapColumn(f"number {place}", "number", values) for place, values in enumerate(codes.T, start=1)]


def write_map(page: MapPage, path: str | os.PathLike[str]) -> None:
    """Write a map as one HTML file that needs nothing else, whole or not at all.

    The file holds its own style, script, data and pictures; a content security policy inside it forbids every
    request and every script but its own. All texts are escaped. Chosen records are saved by the page itself, as
    a Parquet file.

    Parameters
    ----------
    page : MapPage
    path : path-like
        Where to write, usually with the suffix .html.

    Examples
    --------
    >>> import pathlib, tempfile
    >>> from refold.plots import MapPage, write_map
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     path = pathlib.Path(folder, "map.html")
    ...     write_map(MapPage("Two", "Records of two.", [[0, 0], [1, 2]]), path)
    ...     path.read_text(encoding="utf-8")[:15]
    '<!doctype html>'
    """
    whole = _document(page)
    with write_whole(path) as temporary:
        temporary.write_text(whole, encoding="utf-8")


def map_script() -> str:
    """Return the script of the page, in one scope of its own."""
    return '(() => {\n"use strict";\n' + "\n".join(map(own_file, _SCRIPTS)) + "\nopenMap();\n})();\n"


def _document(page: MapPage) -> str:
    script = map_script()
    blocks = Blocks()
    data = _data(page, blocks)
    tile, sheets = _sheets(page)
    data |= {"tile": tile}
    kept = [_data_script(f"block-{number}", text) for number, text in enumerate(blocks.texts)]
    kept += [_data_script(f"sheet-{number}", text) for number, text in enumerate(sheets)]
    return f"""<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta http-equiv="Content-Security-Policy" content="{policy(script)}">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>{escaped(page.title)}</title>
<style>{own_file("_page.css")}{own_file("_map_page.css")}</style>
</head>
<body class="map">
<header><h1>{escaped(page.title)}</h1><p class="lead">{escaped(page.lead)}</p></header>
<main id="map"><noscript>This map needs JavaScript.</noscript></main>
{_data_script("data", json_in_script(data))}
{"".join(kept)}
<script>{script}</script>
</body>
</html>
"""


def _data_script(name: str, text: str) -> str:
    """Return data that the page's script reads when it needs them; the text holds no `<`."""
    return f'<script type="application/json" id="{name}">{text}</script>\n'


def _data(page: MapPage, blocks: Blocks) -> dict[str, Any]:
    rows = page.rows()
    count = len(read_codes(page.codes))
    of_rows = MapColumn("row", "whole", rows.astype(np.float64)) if len(rows) < count else None
    labels = None if page.labels is None else read_column("name", list(map(str, page.labels))).taken(rows)
    axes, columns, left_out = _packed_columns(page, blocks)
    return {
        "count": len(rows),
        "total": count,
        "rows": of_rows and of_rows.packed(blocks),
        "labels": labels and labels.packed(blocks),
        "columns": columns,
        "axes": axes,
        "leftOut": left_out,
        "colour": page.colour or _telling(columns),
    }


def _telling(columns: Sequence[dict[str, Any]]) -> str | None:
    """Return the first column of a few classes, else the first one."""
    few = (column["name"] for column in columns if 2 <= len(column["classes"]) <= MOST_CATEGORIES)
    return next(few, columns[0]["name"] if columns else None)


def _packed_columns(page: MapPage, blocks: Blocks) -> tuple[list[Any], list[Any], list[str]]:
    """Pack numbers of the codes and columns, as long as the file stays one that can be sent and opened.

    The first three numbers come first, since without them there is no map.
    """
    numbers = page.numbers()
    axes: list[Any] = []
    columns: list[Any] = []
    left_out: list[str] = []
    for column in (*numbers[:3], *page.read_columns(), *numbers[3:]):
        if len(axes) >= min(3, len(numbers)) and blocks.letters > _MOST_LETTERS:
            left_out.append(column.name)
        elif column in numbers:
            axes.append({**column.packed_with_colours(blocks), "reach": _reach(column.values)})
        else:
            columns.append(column.packed_with_colours(blocks))
    return axes, columns, left_out


def _reach(values: Array) -> list[float]:
    """Return between which values nearly all points lie: far points shall not shrink the others out of sight."""
    low, high = np.percentile(values, _REACH)
    return [float(low), float(high)] if high > low else [float(values.min()), float(values.max())]


def _sheets(page: MapPage) -> tuple[dict[str, int] | None, list[str]]:
    """Return where thumbnails stand on sheets, and the sheets: small ones, so that each is opened when needed."""
    if page.thumbnails is None:
        return None, []
    tiles = shrunk(read_pictures(page.thumbnails, "thumbnails")[page.rows()], _ALL_TILES)
    height, width = tiles.shape[1:3]
    across, down = max(1, _SHEET_SIDE // width), max(1, _SHEET_SIDE // height)
    tile = {"width": width, "height": height, "across": across, "sheet": across * down}
    starts = range(0, len(tiles), across * down)
    return tile, [smallest_picture(sheet_of(tiles[start : start + across * down], across)) for start in starts]
