"""The cloud of points that a reader can turn, as data for `_turning_scatter.js`."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
from PIL import Image

from refold.plots._inputs import (
    Array,
    Categories,
    Colouring,
    Gradient,
    as_array,
    check_count,
    read_codes,
    read_colours,
    read_pictures,
)
from refold.plots._look import BLUE, GREY
from refold.plots._markup import base64_text, caption_line, data_uri, json_in_script, png

_STEPS = 64
_SHEET_DOTS = 24_000_000  # a telephone can hold as many at once
_LARGEST_TILE = 96
_IN_REACH = 99.5


@dataclass(frozen=True, eq=False)
class TurningScatter:
    """Codes as a cloud of points that turns, zooms, and tells its points.

    Parameters
    ----------
    heading : str
    codes : array-like of shape (n, k), finite floats
        k >= 3 shows the first three numbers in space, k = 2 a map, k = 1 a line (points are spread upward
        by chance, so that they do not cover each other). Up to 100,000 points or so stay smooth.
    colours : sequence of shape (n,), default=None
        As in `latent_scatter`; classes can be switched on and off.
    labels : sequence of str of shape (n,), default=None
        Shown under the pointer; None shows the class or number of the point.
    thumbnails : array-like of shape (n, H, W) or (n, H, W, C), default=None
        uint8, or floats in 0..1. Shown under the pointer.
    caption : str, default=""

    Raises
    ------
    DataError
        If codes are not finite numbers of shape (n, k), or the counts of the others differ from n.

    Examples
    --------
    >>> from refold.plots import TurningScatter
    >>> cloud = TurningScatter("Two points", [[0, 0, 0], [1, 2, 3]], ["a", "b"])
    >>> '"name":"a"' in cloud.html()
    True
    """

    heading: str
    codes: npt.ArrayLike
    colours: Sequence[Any] | Array | None = None
    labels: Sequence[str] | None = None
    thumbnails: npt.ArrayLike | None = None
    caption: str = ""

    def __post_init__(self) -> None:
        count = len(read_codes(self.codes))
        read_colours(self.colours, count)
        if self.labels is not None:
            check_count("labels", self.labels, count)
        if self.thumbnails is not None:
            check_count("thumbnails", np.atleast_1d(as_array(self.thumbnails, "thumbnails")), count)
            read_pictures(self.thumbnails, "thumbnails")

    def html(self) -> str:
        """Return the cloud's data in a card; the page's script raises it."""
        sprite, tile = self._sprite()
        return (
            f'<div class="card cloud"><script type="application/json">{json_in_script(self._data(tile))}</script>'
            f'<img src="{sprite}" alt="" hidden>'
            "<noscript>This cloud of points needs JavaScript.</noscript></div>" + caption_line(self.caption)
        )

    def _data(self, tile: dict[str, int] | None) -> dict[str, Any]:
        codes = read_codes(self.codes)
        colouring = read_colours(self.colours, len(codes))
        return {
            "description": self._description(codes),
            "flat": codes.shape[1] < 3,
            "tile": tile,
            **_pack_places(codes),
            **pack_colours(colouring, len(codes)),
            **_pack_labels(self._shown_labels(colouring, len(codes))),
        }

    def _description(self, codes: Array) -> str:
        return f"{self.heading}: {len(codes):,} points. Drag or use the arrow keys to turn, plus and minus to zoom."

    def _shown_labels(self, colouring: Colouring, count: int) -> list[str]:
        if self.labels is not None:
            return [str(label) for label in self.labels]
        if isinstance(colouring, Categories):
            return [colouring.names[place] for place in colouring.index]
        if isinstance(colouring, Gradient) and self.colours is not None:
            return [f"{value:.4g}" for value in np.asarray(self.colours, dtype=np.float64)]
        return [f"sample {place:,}" for place in range(count)]

    def _sprite(self) -> tuple[str, dict[str, int] | None]:
        if self.thumbnails is None:
            return "data:,", None
        tiles = shrunk(read_pictures(self.thumbnails, "thumbnails"), _SHEET_DOTS)
        across = int(np.ceil(np.sqrt(len(tiles) * tiles.shape[1] / tiles.shape[2])))
        tile = {"width": tiles.shape[2], "height": tiles.shape[1], "across": across}
        return data_uri("image/png", png(sheet_of(tiles, across))), tile


def shrunk(pictures: Array, most_dots: int) -> Array:
    """Return thumbnails made so small that all of them have at most `most_dots` pixels."""
    count, height, width = pictures.shape[:3]
    factor = min(1.0, _LARGEST_TILE / max(height, width), (most_dots / (count * height * width)) ** 0.5)
    if factor == 1.0:
        return pictures
    size = max(1, int(width * factor)), max(1, int(height * factor))
    return np.stack([np.asarray(Image.fromarray(p).resize(size, Image.Resampling.BOX)) for p in pictures])


def sheet_of(tiles: Array, across: int) -> Array:
    """Return one picture with all tiles, row by row from the top left."""
    down = -(-len(tiles) // across)
    full = np.zeros((down * across, *tiles.shape[1:]), dtype=np.uint8)
    full[: len(tiles)] = tiles
    grid = full.reshape(down, across, *tiles.shape[1:]).swapaxes(1, 2)
    return np.ascontiguousarray(grid.reshape(down * tiles.shape[1], across * tiles.shape[2], *tiles.shape[3:]))


def _pack_places(codes: Array) -> dict[str, Any]:
    """Return x right, y up, z toward the reader as int16 shares of the farthest coordinate."""
    shown = _spread_lines(codes[:, :3])
    low, high = np.percentile(shown, [100 - _IN_REACH, _IN_REACH], axis=0)
    centred = shown - (low / 2 + high / 2)
    farthest = float(np.abs(centred).max()) or 1.0
    shares = centred / farthest
    places = np.zeros((len(codes), 3))
    places[:, : shares.shape[1]] = shares
    if codes.shape[1] >= 3:
        places = places[:, [0, 2, 1]] * np.array([1.0, 1.0, -1.0])
    reach = float(np.percentile(np.abs(places).max(axis=1), _IN_REACH)) or 1.0
    steps = np.rint(places * 32767).astype("<i2")
    return {
        "places": base64_text(steps.tobytes()),
        "reach": round(max(reach, 0.02), 5),
        "line": codes.shape[1] == 1,
        "axes": _axes(codes.shape[1]),
    }


def _spread_lines(codes: Array) -> Array:
    """Give single numbers a second one by chance, within a band that says it means nothing."""
    if codes.shape[1] > 1:
        return codes
    width = float(np.ptp(codes)) or 1.0
    upward = np.random.default_rng(1).uniform(-0.12, 0.12, len(codes)) * width
    return np.column_stack([codes[:, 0], upward])


def _axes(width: int) -> list[dict[str, Any]]:
    corner = [-1, -1, 1] if width >= 3 else [-1, -1, 0] if width == 2 else [-1, -0.4, 0]
    ends = {
        "number 1": [1, *corner[1:]],
        "number 2": [corner[0], corner[1], -1] if width >= 3 else [corner[0], 1, 0],
        "number 3": [corner[0], 1, corner[2]],
    }
    return [{"name": name, "from": corner, "to": end} for name, end in list(ends.items())[:width]]


def pack_colours(colouring: Colouring, count: int) -> dict[str, Any]:
    """Return the kind of every point as base64 bytes, a colour per kind, and a legend or the ends of a scale."""
    if isinstance(colouring, Categories):
        return _pack_classes(colouring)
    if isinstance(colouring, Gradient):
        return _pack_scale(colouring)
    kinds = np.zeros(count, dtype=np.uint8)
    return {"kinds": base64_text(kinds.tobytes()), "palette": [BLUE], "classes": [], "scale": None}


def _pack_classes(categories: Categories) -> dict[str, Any]:
    counts = np.bincount(categories.index, minlength=len(categories.names))
    classes = [
        {"name": name, "count": f"{counts[kind]:,}", "kind": kind} for kind, name in enumerate(categories.names)
    ]
    kinds = base64_text(categories.index.astype(np.uint8).tobytes())
    return {"kinds": kinds, "palette": list(categories.hues), "classes": classes, "scale": None}


def _pack_scale(gradient: Gradient) -> dict[str, Any]:
    steps = np.rint(np.nan_to_num(gradient.share) * (_STEPS - 1))
    kinds = np.where(np.isnan(gradient.share), _STEPS, steps).astype(np.uint8)
    scale = {"low": f"{gradient.low:.4g}", "high": f"{gradient.high:.4g}", "steps": _STEPS}
    return {
        "kinds": base64_text(kinds.tobytes()),
        "palette": [*_scale_hues(), GREY],
        "classes": [],
        "scale": scale,
    }


def _scale_hues() -> list[str]:
    """Viridis without both its ends, which vanish on black and on white."""
    from matplotlib import colormaps
    from matplotlib.colors import to_hex

    return [to_hex(colour) for colour in colormaps["viridis"](np.linspace(0.1, 0.92, _STEPS))]


def _pack_labels(labels: list[str]) -> dict[str, Any]:
    """Return every different label once, and which point has which if some share one."""
    different = list(dict.fromkeys(labels))
    if len(different) == len(labels):
        return {"labels": different, "labelOf": None}
    place = {label: number for number, label in enumerate(different)}
    which = np.array([place[label] for label in labels], dtype="<u4")
    return {"labels": different, "labelOf": base64_text(which.tobytes())}
