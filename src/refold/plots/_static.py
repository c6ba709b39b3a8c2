"""The canvas under every static figure: its size, its dress, its file."""

import os
from pathlib import Path
from typing import Any

from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure as Figure

from refold._atomic import write_whole
from refold._errors import ParameterError
from refold.plots._look import HAIRLINE, INK, LABEL_SIZE, MUTED, PAPER, SMALL_SIZE, TITLE_SIZE

Axes = Any

DOTS_PER_INCH = 160
_WITHOUT_DATE: dict[str, dict[str, None]] = {
    ".png": {},
    ".pdf": {"CreationDate": None},
    ".svg": {"Date": None, "Creator": None, "Format": None, "Type": None},
}


def blank(width: float, height: float, title: str) -> Figure:
    """Return an empty figure of `width` x `height` inches with its title at the top left."""
    figure = Figure(figsize=(width, height), dpi=DOTS_PER_INCH, facecolor=PAPER)
    FigureCanvasAgg(figure)
    if title:
        place = {"x": 0.14 / width, "y": 1 - 0.12 / height, "ha": "left", "va": "top"}
        figure.suptitle(plain(title), **place, fontsize=TITLE_SIZE, color=INK, fontweight="bold")
    return figure


def head_room(title: str) -> float:
    """Return the inches that the title takes at the top."""
    return 0.5 + 0.22 * title.count("\n") if title else 0.16


def plain(text: str) -> str:
    """Return text that matplotlib shows letter by letter and never reads as a formula."""
    return str(text).replace("$", r"\$")


def dress(axes: Axes, x_label: str = "", y_label: str = "") -> None:
    """Give axes the house style: two thin spines, small muted ticks."""
    axes.spines[["top", "right"]].set_visible(False)
    axes.spines[["left", "bottom"]].set_color(HAIRLINE)
    axes.tick_params(which="both", color=HAIRLINE, labelcolor=MUTED, labelsize=SMALL_SIZE, length=3)
    axes.set_xlabel(plain(x_label), fontsize=LABEL_SIZE, color=MUTED)
    axes.set_ylabel(plain(y_label), fontsize=LABEL_SIZE, color=MUTED)
    axes.set_facecolor("none")


def head(axes: Axes, text: str) -> None:
    """Write the small title of one panel."""
    axes.set_title(plain(text), fontsize=LABEL_SIZE, color=INK, loc="left", pad=7)


def note(figure: Figure, text: str) -> None:
    """Write a small remark at the bottom left of the figure."""
    width, height = figure.get_size_inches()
    figure.text(0.14 / width, 0.08 / height, plain(text), fontsize=SMALL_SIZE, color=MUTED, va="bottom")


def save_figure(figure: Figure, path: str | os.PathLike[str]) -> None:
    """Write a figure to a PNG, PDF or SVG file, whole or not at all.

    Parameters
    ----------
    figure : matplotlib.figure.Figure
        Any figure, for instance one made by this package.
    path : path-like
        Where to write; the suffix .png, .pdf or .svg names the kind of file.

    Raises
    ------
    ParameterError
        If the suffix is another one.

    Examples
    --------
    >>> import tempfile
    >>> from refold.plots import latent_scatter, save_figure
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     save_figure(latent_scatter([[0.0, 1.0], [2.0, 3.0]]), f"{folder}/map.png")
    """
    suffix = Path(path).suffix.lower()
    if suffix not in _WITHOUT_DATE:
        raise ParameterError(
            f"got the figure file {os.fspath(path)!r}; its name must end in .png, .pdf or .svg: rename it"
        )
    with write_whole(path) as temporary:
        figure.savefig(temporary, format=suffix[1:], metadata=_WITHOUT_DATE[suffix])
