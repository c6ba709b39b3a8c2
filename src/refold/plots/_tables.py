"""A table and what came back, one small panel per column."""

from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from refold._errors import DataError
from refold.plots._inputs import Array
from refold.plots._look import BLUE, INK, LABEL_SIZE, MUTED, ORANGE, SMALL_SIZE, shortened
from refold.plots._static import Axes, Figure, blank, dress, head_room, note, plain

MOST_PANELS = 12
_MOST_ACROSS = 4
_MOST_NAMES = 6
_PANEL_INCHES = 2.35
_RASTER_FROM = 1_500

Table = Mapping[str, Sequence[Any] | Array]


def table_reconstruction(before: Table, after: Table, *, title: str = "") -> Figure:
    """Draw the columns of a table against what was rebuilt of them.

    Parameters
    ----------
    before, after : mapping from str to sequence of shape (n,)
        The columns of the original and of the rebuilt table. Numbers give a scatter with the line of
        equality and R2 in the panel's title; strings and booleans give the share of equal values and a
        small table of which value became which. None and NaN are missing; a pair with one is left out.
        At most 12 columns are drawn, and the figure says how many were not.
    title : str, default=""
        Title of the figure.

    Returns
    -------
    figure : matplotlib.figure.Figure

    Raises
    ------
    DataError
        If there is no column, a column is absent from `after`, or lengths differ.

    Examples
    --------
    >>> from refold.plots import table_reconstruction
    >>> before = {"age": [20, 30, None, 50], "smoker": ["no", "yes", "no", "no"]}
    >>> after = {"age": [22.0, 29.0, 41.0, 48.0], "smoker": ["no", "yes", "no", "yes"]}
    >>> figure = table_reconstruction(before, after)
    >>> [axes.get_title(loc="left") for axes in figure.axes]
    ['age\\nR² = 0.98', 'smoker\\n75 % equal']
    """
    names = list(before)
    _check_columns(before, after, names)
    drawn = names[:MOST_PANELS]
    across = min(_MOST_ACROSS, len(drawn))
    down = -(-len(drawn) // across)
    foot = 0.3 if len(names) > len(drawn) else 0.05
    height = down * (_PANEL_INCHES + 0.25) + head_room(title) + foot
    figure = blank(max(across * _PANEL_INCHES, 3.2), height, title)
    figure.set_layout_engine(
        "constrained",
        rect=(0, foot / height, 1, 1 - (foot + head_room(title)) / height),
        h_pad=0.1,
        w_pad=0.09,
    )
    for number, name in enumerate(drawn, start=1):
        _draw_column(figure.add_subplot(down, across, number), name, list(before[name]), list(after[name]))
    if len(names) > len(drawn):
        note(figure, f"Shown: the first {len(drawn)} of {len(names):,} columns.")
    return figure


def _check_columns(before: Table, after: Table, names: list[str]) -> None:
    absent = [name for name in names if name not in after]
    if not names or absent:
        raise DataError(
            f"got {len(names)} columns of which the rebuilt table lacks {absent[:5]}; "
            "give two tables with the same columns, one or more"
        )
    for name in names:
        if len(before[name]) != len(after[name]) or not len(before[name]):
            raise DataError(
                f"got {len(before[name]):,} values before and {len(after[name]):,} after in column {name!r}; "
                "give as many after as before, one or more"
            )


def _draw_column(axes: Axes, name: str, before: list[Any], after: list[Any]) -> None:
    pairs = [(x, y) for x, y in zip(before, after, strict=True) if not (_missing(x) or _missing(y))]
    dress(axes)
    axes.set_box_aspect(1)
    if not pairs:
        _title(axes, name, "no values to compare")
        axes.set_axis_off()
    elif all(_is_number(value) for pair in pairs for value in pair):
        _draw_numbers(axes, name, np.array(pairs, dtype=np.float64))
    else:
        _draw_names(axes, name, [(str(x), str(y)) for x, y in pairs])


def _missing(value: Any) -> bool:
    return value is None or bool(value != value)


def _is_number(value: Any) -> bool:
    return isinstance(value, int | float | np.integer | np.floating) and not isinstance(value, bool)


def _title(axes: Axes, name: str, verdict: str) -> None:
    axes.set_title(f"{plain(shortened(name, 24))}\n{verdict}", fontsize=LABEL_SIZE, color=INK, loc="left", pad=5)


def _draw_numbers(axes: Axes, name: str, pairs: npt.NDArray[np.float64]) -> None:
    pairs = pairs[np.isfinite(pairs).all(axis=1)]
    low, high = (float(pairs.min()), float(pairs.max())) if len(pairs) else (0.0, 1.0)
    margin = (high - low) * 0.05 or abs(low) * 0.05 or 0.5
    ends = (low - margin, high + margin)
    axes.plot(ends, ends, color=ORANGE, linewidth=1.0, zorder=1)
    size = float(np.clip(260 / np.sqrt(max(len(pairs), 1)), 1.5, 22))
    strength = float(np.clip(8 / max(len(pairs), 1) ** 0.35, 0.15, 0.8))
    raster = len(pairs) > _RASTER_FROM
    axes.scatter(*pairs.T, s=size, alpha=strength, color=BLUE, linewidths=0, rasterized=raster, zorder=2)
    axes.set(xlim=ends, ylim=ends)
    axes.locator_params(nbins=4)
    _label_sides(axes, "original", "rebuilt")
    _title(axes, name, _r2(pairs))


def _label_sides(axes: Axes, x_label: str, y_label: str) -> None:
    axes.set_xlabel(x_label, fontsize=SMALL_SIZE, color=MUTED)
    axes.set_ylabel(y_label, fontsize=SMALL_SIZE, color=MUTED)


def _r2(pairs: npt.NDArray[np.float64]) -> str:
    before, after = pairs.T
    spread = float(((before - before.mean()) ** 2).sum()) if len(pairs) else 0.0
    if spread == 0.0:
        return "R² undefined: constant"
    return f"R² = {1 - float(((before - after) ** 2).sum()) / spread:.2f}"


def _draw_names(axes: Axes, name: str, pairs: list[tuple[str, str]]) -> None:
    names = _most_frequent([value for pair in pairs for value in pair])
    shares = _confusion(pairs, names)
    axes.imshow(shares, cmap=_white_to_blue(), vmin=0, vmax=1)
    for (row, column), share in np.ndenumerate(shares):
        if share >= 0.005:
            _write_share(axes, (row, column), float(share))
    _label_sides(axes, "rebuilt", "original")
    _label_names(axes, [plain(shortened(value, 10)) for value in names])
    equal = 100 * sum(x == y for x, y in pairs) / len(pairs)
    _title(axes, name, f"{equal:.{1 if len(pairs) >= 200 else 0}f} % equal")


def _label_names(axes: Axes, labels: list[str]) -> None:
    slanted = {"rotation": 40, "ha": "right", "rotation_mode": "anchor"}
    axes.set_xticks(range(len(labels)), labels, **(slanted if max(map(len, labels)) > 3 else {}))
    axes.set_yticks(range(len(labels)), labels)


def _write_share(axes: Axes, place: tuple[int, int], share: float) -> None:
    row, column = place
    colour = "#fefefe" if share > 0.55 else "#1d232c"
    axes.text(column, row, f"{100 * share:.0f}", ha="center", va="center", fontsize=SMALL_SIZE - 1, color=colour)


def _most_frequent(values: list[str]) -> list[str]:
    ranked = [value for value, _ in Counter(values).most_common()]
    if len(ranked) <= _MOST_NAMES:
        return sorted(ranked)
    return [*sorted(ranked[: _MOST_NAMES - 1]), _OTHERS]


_OTHERS = "others"


def _confusion(pairs: list[tuple[str, str]], names: list[str]) -> npt.NDArray[np.float64]:
    """Return shares of shape (names, names): of all samples with this original, how many became that."""
    place = {name: number for number, name in enumerate(names)}
    counts = np.zeros((len(names), len(names)))
    for before, after in pairs:
        counts[place.get(before, len(names) - 1), place.get(after, len(names) - 1)] += 1
    return np.asarray(counts / np.maximum(counts.sum(axis=1, keepdims=True), 1))


def _white_to_blue() -> Any:
    from matplotlib.colors import LinearSegmentedColormap

    return LinearSegmentedColormap.from_list("refold", ["#eef3f9", BLUE, "#123f70"])
