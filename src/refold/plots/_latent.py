"""The map of the codes: one, two or three numbers per sample."""

import textwrap
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

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
from refold.plots._look import BLUE, GREY, HAIRLINE, HUES, INK, LABEL_SIZE, MUTED, SMALL_SIZE, shortened
from refold.plots._static import Axes, Figure, blank, dress, head_room, note, plain

MOST_POINTS = 100_000
_RASTER_FROM = 1_500
_MAP_WIDTH, _MAP_HEIGHT = 5.2, 4.5
_MARGIN, _BOTTOM = 0.72, 0.64
_LETTER_INCHES = 0.085
_SMALL_LETTER_INCHES = 0.06
_LINE_INCHES = 0.14
_CELL_INCHES = 0.08
_LAYERS = 1.5
_LONGEST_NAME = 26
_THUMBNAIL_INCHES = 0.3
_FLATTEST = 8.0


@dataclass(frozen=True)
class _Sheet:
    """Where the map stands on its figure, in inches: names need room at the left or at the right."""

    left: float
    right: float
    top: float
    bottom: float = _BOTTOM

    @property
    def size(self) -> tuple[float, float]:
        return self.left + _MAP_WIDTH + self.right, self.top + _MAP_HEIGHT + self.bottom

    def share(self, left: float, bottom: float, wide: float, tall: float) -> tuple[float, float, float, float]:
        """Return a rectangle given in inches from the map's lower left corner in shares of the figure."""
        width, height = self.size
        return (self.left + left) / width, (self.bottom + bottom) / height, wide / width, tall / height

    @property
    def map(self) -> tuple[float, float, float, float]:
        return self.share(0, 0, _MAP_WIDTH, _MAP_HEIGHT)


def latent_scatter(
    codes: npt.ArrayLike,
    *,
    colours: Sequence[Any] | Array | None = None,
    thumbnails: npt.ArrayLike | None = None,
    title: str = "",
    caption: str = "",
) -> Figure:
    """Draw the codes of samples as a map.

    Parameters
    ----------
    codes : array-like of shape (n, k), finite floats
        One row per sample. k = 1 gives a histogram (a strip per class where `colours` are given), k = 2 a
        map with equal scales, k >= 3 the first three numbers in space. Beyond 100,000 rows an even random
        choice of 100,000 is drawn, and the figure says so.
    colours : sequence of shape (n,), default=None
        Names, booleans or at most 20 distinct whole numbers make a legend (past 20 names the rarest become
        "others"); any other numbers make a colour bar. None and NaN are missing and grey.
    thumbnails : array-like of shape (n, H, W) or (n, H, W, C), default=None
        uint8, or floats in 0..1. On a 2-D map as many as fit without touching are drawn on their points.
    title : str, default=""
        Title of the figure.
    caption : str, default=""
        Written small under the figure.

    Returns
    -------
    figure : matplotlib.figure.Figure

    Raises
    ------
    DataError
        If codes are not finite numbers of shape (n, k), or the counts of the others differ from n.

    Examples
    --------
    >>> import numpy as np
    >>> from refold.plots import latent_scatter
    >>> codes = np.random.default_rng(0).normal(size=(200, 2))
    >>> figure = latent_scatter(codes, colours=["left" if x < 0 else "right" for x, _ in codes])
    >>> [text.get_text() for text in figure.legends[0].get_texts()]
    ['left', 'right']
    """
    points = read_codes(codes)
    colouring = read_colours(colours, len(points))
    pictures = _read_thumbnails(thumbnails, len(points))
    shown = _drawing_order(len(points))
    remarks = " ".join(filter(None, (caption, _what_is_left_out(points, len(shown)))))
    sheet, lines = _plan_sheet(points, colouring, title, remarks)
    figure = blank(*sheet.size, title)
    if points.shape[1] == 1:
        _draw_line(figure.add_axes(sheet.map), points[:, 0], colouring, shown)
    elif points.shape[1] == 2:
        _draw_map(figure.add_axes(sheet.map), points, colouring, shown, pictures)
    else:
        _draw_space(figure, sheet, points[:, :3], colouring, shown)
    if isinstance(colouring, Categories) and points.shape[1] > 1:
        _add_legend(figure, sheet, colouring)
    elif isinstance(colouring, Gradient):
        _add_colour_bar(figure, sheet, colouring)
    if lines:
        note(figure, "\n".join(lines))
    return figure


def _read_thumbnails(thumbnails: npt.ArrayLike | None, count: int) -> npt.NDArray[np.uint8] | None:
    if thumbnails is None:
        return None
    pictures = as_array(thumbnails, "thumbnails")
    check_count("thumbnails", np.atleast_1d(pictures), count)
    return read_pictures(pictures, "thumbnails")


def _drawing_order(count: int) -> npt.NDArray[np.intp]:
    """Shuffle, so that no class covers another merely by coming later in the data."""
    return np.random.default_rng(0).permutation(count)[:MOST_POINTS]


def _what_is_left_out(points: Array, shown: int) -> str:
    count, width = points.shape
    remarks = []
    if shown < count:
        remarks.append(f"{shown:,} of {count:,} points, chosen at random")
    if width > 3:
        remarks.append(f"the first 3 of {width} numbers")
    return "Shown: " + "; ".join(remarks) + "." if remarks else ""


def _plan_sheet(points: Array, colouring: Colouring, title: str, remarks: str) -> tuple[_Sheet, list[str]]:
    """Return the sheet, and the remarks in lines that fit under it."""
    left, right = _MARGIN, 0.25
    if isinstance(colouring, Categories):
        longest = _LETTER_INCHES * max(len(shortened(name, _LONGEST_NAME)) for name in colouring.names)
        left, right = (longest + 0.4, right) if points.shape[1] == 1 else (left, longest + 0.65)
    elif isinstance(colouring, Gradient):
        right = 1.2
    lines = textwrap.wrap(remarks, int((left + _MAP_WIDTH + right) / _SMALL_LETTER_INCHES))
    return _Sheet(left, right, head_room(title), _BOTTOM + _LINE_INCHES * len(lines)), lines


def _dots(count: int) -> dict[str, Any]:
    """Size and strength of a dot: many are small and thin, few are large and full."""
    return {
        "s": float(np.clip(24 * (1_000 / count) ** 0.75, 0.8, 46)),
        "alpha": float(np.clip(14 / count**0.3, 0.45, 0.9)),
        "linewidths": 0,
        "rasterized": count > _RASTER_FROM,
    }


def _scale_colours(gradient: Gradient) -> Array:
    colours = _colour_map()(np.nan_to_num(gradient.share))
    colours[np.isnan(gradient.share)] = _colour_list((GREY,))[0]
    return np.asarray(colours)


def _colour_map() -> Any:
    """Viridis without its last tones, which vanish on white."""
    from matplotlib import colormaps
    from matplotlib.colors import LinearSegmentedColormap

    return LinearSegmentedColormap.from_list("refold", colormaps["viridis"](np.linspace(0, 0.93, 256)))


def _colour_list(hues: tuple[str, ...]) -> Array:
    from matplotlib.colors import to_rgba_array

    return np.asarray(to_rgba_array(hues))


def _marker(number: int, categories: Categories) -> str:
    return "^" if len(HUES) <= number and categories.hues[number] != GREY else "o"


def _scatter(
    axes: Axes, places: Sequence[Array], colouring: Colouring, shown: Array, strengths: Array | None = None
) -> None:
    """Draw dots at `places` (one array per axis), one call per marker so that classes stay mixed."""
    for members, look in _layers(colouring, shown):
        dots = _dots(len(shown)) | ({} if strengths is None else {"alpha": strengths[members]})
        axes.scatter(*(place[members] for place in places), **dots, **look)


def _strengths(points: Array, shown: Array, limits: Array) -> Array:
    """Return how opaque each dot is: the thinner, the more of them lie on its place, so that the crowd shows."""
    cells = np.array([_MAP_WIDTH, _MAP_HEIGHT]) / _CELL_INCHES
    places = ((points - limits[:, 0]) / (limits[:, 1] - limits[:, 0]) * cells).astype(np.intp)
    numbers = places[:, 0] + places[:, 1] * (int(cells[0]) + 1)
    crowd = np.bincount(numbers[shown], minlength=numbers.max() + 1)[numbers]
    area = np.pi / 4 * _dots(len(shown))["s"] / 72**2
    return np.asarray(np.clip(_LAYERS * _CELL_INCHES**2 / np.maximum(crowd * area, 1e-12), 0.15, 0.9))


def _layers(colouring: Colouring, shown: Array) -> list[tuple[Array, dict[str, Any]]]:
    if colouring is None:
        return [(shown, {"color": BLUE})]
    if isinstance(colouring, Gradient):
        return [(shown, {"c": _scale_colours(colouring)[shown]})]
    markers = np.array([_marker(number, colouring) for number in range(len(colouring.names))])
    of_points = markers[colouring.index[shown]]
    colours = _colour_list(colouring.hues)[colouring.index]
    layers = [(shown[of_points == marker], marker) for marker in ("o", "^")]
    return [(members, {"c": colours[members], "marker": marker}) for members, marker in layers if len(members)]


def _draw_line(axes: Axes, values: Array, colouring: Colouring, shown: Array) -> None:
    if colouring is None:
        _draw_histogram(axes, values)
    else:
        _draw_strips(axes, values, colouring, shown)


def _draw_histogram(axes: Axes, values: Array) -> None:
    bins = int(np.clip(np.sqrt(len(values)), 8, 90))
    axes.hist(values, bins=bins, color=BLUE, linewidth=0)
    dress(axes, "number 1", "samples")


def _draw_strips(axes: Axes, values: Array, colouring: Colouring, shown: Array) -> None:
    """One row per class; the height inside a row is chance and only keeps dots apart."""
    names = colouring.names if isinstance(colouring, Categories) else ("",)
    rows = colouring.index if isinstance(colouring, Categories) else np.zeros(len(values))
    jitter = np.random.default_rng(1).uniform(-0.36, 0.36, len(values))
    _scatter(axes, (values, rows + jitter), colouring, shown)
    dress(axes, "number 1")
    axes.set_yticks(range(len(names)), [plain(shortened(name, _LONGEST_NAME)) for name in names])
    axes.set_ylim(len(names) - 0.5, -0.5)


def _draw_map(
    axes: Axes, points: Array, colouring: Colouring, shown: Array, pictures: npt.NDArray[np.uint8] | None
) -> None:
    limits = _limits(points)
    axes.set(xlim=limits[0], ylim=limits[1])
    _scatter(axes, (points[:, 0], points[:, 1]), colouring, shown, _strengths(points, shown, limits))
    dress(axes, "number 1", "number 2")
    if pictures is not None:
        _lay_thumbnails(axes, points, pictures, limits, _edge_colours(colouring, len(points)))


def _limits(points: Array) -> Array:
    """Return (low, high) per axis with equal scales, unless one axis would be squeezed to a line."""
    inches = np.array([_MAP_WIDTH, _MAP_HEIGHT])
    low, high = points.min(axis=0), points.max(axis=0)
    spans = np.where(high > low, high - low, 0.0)
    spans = np.where(spans > 0, spans, spans.max() or 1.0)
    middle = low / 2 + high / 2
    if spans.max() / spans.min() <= _FLATTEST:
        spans = (spans / inches).max() * inches
    margin = 1.1 + _THUMBNAIL_INCHES / inches.min()
    return np.stack([middle - spans * margin / 2, middle + spans * margin / 2], axis=1)


def _edge_colours(colouring: Colouring, count: int) -> Array:
    if colouring is None:
        return np.repeat(_colour_list((HAIRLINE,)), count, axis=0)
    if isinstance(colouring, Gradient):
        return _scale_colours(colouring)
    return np.asarray(_colour_list(colouring.hues)[colouring.index])


def _lay_thumbnails(axes: Axes, points: Array, pictures: Array, limits: Array, edges: Array) -> None:
    per_inch = (limits[:, 1] - limits[:, 0]) / np.array([_MAP_WIDTH, _MAP_HEIGHT])
    height, width = pictures.shape[1:3]
    half = per_inch * _THUMBNAIL_INCHES / 2 * np.array([width, height]) / max(width, height)
    for place in _spread(points / (2.25 * half)):
        (x, y), (across, up) = points[place], half
        extent = (x - across, x + across, y - up, y + up)
        axes.imshow(_as_drawn(pictures[place]), extent=extent, aspect="auto", interpolation="none", zorder=3)
        axes.add_patch(_frame(extent, edges[place]))
    axes.set(xlim=limits[0], ylim=limits[1])


def _as_drawn(picture: Array) -> Array:
    """Grey pictures as RGB, so that vector files keep them as they are."""
    return np.repeat(picture[..., None], 3, axis=2) if picture.ndim == 2 else picture


def _frame(extent: tuple[float, float, float, float], colour: Array) -> Any:
    from matplotlib.patches import Rectangle

    left, right, bottom, top = extent
    return Rectangle(
        (left, bottom), right - left, top - bottom, fill=False, edgecolor=colour, linewidth=1.3, zorder=4
    )


def _spread(units: Array) -> list[int]:
    """Choose points that are one unit or more apart on some axis, trying them in a fixed random order."""
    order = np.random.default_rng(2).permutation(len(units))
    chosen: list[int] = []
    while len(order):
        chosen.append(int(order[0]))
        order = order[np.abs(units[order] - units[order[0]]).max(axis=1) >= 1.0]
    return chosen


def _draw_space(figure: Figure, sheet: _Sheet, points: Array, colouring: Colouring, shown: Array) -> None:
    box = sheet.share(-_MARGIN, 0.15 - _BOTTOM, _MAP_WIDTH + _MARGIN, _MAP_HEIGHT + _BOTTOM - 0.15)
    axes: Axes = figure.add_axes(box, projection="3d")
    _scatter(axes, (points[:, 0], points[:, 1], points[:, 2]), colouring, shown)
    axes.view_init(elev=22, azim=-58)
    axes.set_box_aspect((1, 1, 0.86), zoom=1.0)
    for number, axis in enumerate((axes.xaxis, axes.yaxis, axes.zaxis), start=1):
        _dress_space_axis(axis, f"number {number}")
    axes.patch.set_alpha(0)


def _dress_space_axis(axis: Any, label: str) -> None:
    axis.set_pane_color((0, 0, 0, 0))
    axis.line.set_color(HAIRLINE)
    axis.get_major_locator().set_params(nbins=5)
    axis._axinfo["grid"].update(color=HAIRLINE, linewidth=0.5)
    axis.set_tick_params(labelcolor=MUTED, labelsize=SMALL_SIZE, color=HAIRLINE)
    axis.set_label_text(label, fontsize=LABEL_SIZE, color=MUTED)


def _add_legend(figure: Figure, sheet: _Sheet, categories: Categories) -> None:
    from matplotlib.lines import Line2D

    keys = [
        Line2D(
            [],
            [],
            linestyle="",
            marker=_marker(number, categories),
            color=hue,
            markersize=6,
            markeredgewidth=0,
        )
        for number, hue in enumerate(categories.hues)
    ]
    figure.legend(
        keys,
        [plain(shortened(name, _LONGEST_NAME)) for name in categories.names],
        loc="center left",
        bbox_to_anchor=sheet.share(_MAP_WIDTH + 0.1, _MAP_HEIGHT / 2, 0, 0)[:2],
        frameon=False,
        fontsize=LABEL_SIZE,
        labelcolor=INK,
        handletextpad=0.2,
        borderaxespad=0,
    )


def _add_colour_bar(figure: Figure, sheet: _Sheet, gradient: Gradient) -> None:
    from matplotlib.cm import ScalarMappable
    from matplotlib.colors import Normalize

    spread = 0.0 if gradient.high > gradient.low else abs(gradient.low) * 0.05 or 0.5
    scale = Normalize(gradient.low - spread, gradient.high + spread)
    strip = figure.add_axes(sheet.share(_MAP_WIDTH + 0.3, _MAP_HEIGHT * 0.25, 0.16, _MAP_HEIGHT * 0.5))
    bar = figure.colorbar(ScalarMappable(scale, _colour_map()), cax=strip)
    bar.outline.set_visible(False)
    strip.tick_params(labelsize=SMALL_SIZE, labelcolor=MUTED, color=HAIRLINE, length=3)
