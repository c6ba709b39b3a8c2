"""Rows of pictures under each other: the original and what came back."""

from collections.abc import Mapping
from typing import Any

import numpy as np
import numpy.typing as npt

from refold._errors import DataError, ParameterError
from refold.plots._inputs import Array, read_pictures
from refold.plots._look import INK, LABEL_SIZE, shortened
from refold.plots._static import DOTS_PER_INCH, Figure, blank, head_room, plain

_CELL_INCHES = 0.72
_WIDEST_INCHES = 12.0
_LETTER_INCHES = 0.082
_EDGE_INCHES = 0.14


def reconstruction_grid(rows: Mapping[str, npt.ArrayLike], *, columns: int = 10, title: str = "") -> Figure:
    """Draw labelled rows of pictures under each other, so that one column is one sample.

    Parameters
    ----------
    rows : mapping from str to array-like of shape (n, H, W) or (n, H, W, C)
        The rows from top to bottom, all of one shape; C is 1, 3 or 4. uint8 is drawn as it is. Floats share
        one scale: 0..1 if the first float row keeps to it (what leaves it in other rows is cut off, as on
        any screen), else from the lowest to the highest number of all float rows.
    columns : int, default=10
        The first `columns` samples are drawn.
    title : str, default=""
        Title of the figure.

    Returns
    -------
    figure : matplotlib.figure.Figure
        Every pixel of a small picture is a whole number of dots, so edges stay crisp.

    Raises
    ------
    DataError
        If there is no row, or the shapes differ or are no pictures.
    ParameterError
        If `columns` is less than 1.

    Examples
    --------
    >>> import numpy as np
    >>> from refold.plots import reconstruction_grid
    >>> digits = np.random.default_rng(0).random((20, 8, 8))
    >>> figure = reconstruction_grid({"original": digits, "through 3 numbers": digits.round()}, columns=5)
    >>> len(figure.axes)
    2
    """
    if columns < 1:
        raise ParameterError(f"got columns={columns!r}; a grid needs at least 1: give a whole number from 1")
    pictures = _read_rows(rows, columns)
    cell = _cell_dots(pictures)
    labels = [shortened(label, 30) for label in rows]
    left = _EDGE_INCHES * 2 + _LETTER_INCHES * max(map(len, labels))
    row_height = (cell[0] + _gap(cell)) / DOTS_PER_INCH
    strip_width = (len(pictures[0]) * (cell[1] + _gap(cell)) - _gap(cell)) / DOTS_PER_INCH
    width = left + max(strip_width, 0.11 * len(title) - left) + _EDGE_INCHES
    figure = blank(width, head_room(title) + row_height * len(pictures) + _EDGE_INCHES, title)
    for number, (label, row) in enumerate(zip(labels, pictures, strict=True)):
        top = head_room(title) + number * row_height
        _draw_row(figure, label, _strip(row, cell), (left, top))
    return figure


def _read_rows(rows: Mapping[str, npt.ArrayLike], columns: int) -> list[Array]:
    arrays = {label: np.asarray(rows[label]) for label in rows}
    shapes = {array.shape for array in arrays.values()}
    if len(shapes) != 1:
        told = ", ".join(f"{label!r} {array.shape}" for label, array in arrays.items()) or "no rows"
        raise DataError(f"got {told}; a grid needs one row or more, all of one shape: cut them to the same samples")
    cut = {label: array[:columns] if array.ndim else array for label, array in arrays.items()}
    scaled = _scaled_together({label: array for label, array in cut.items() if array.dtype != np.uint8})
    return [scaled[label] if label in scaled else read_pictures(array) for label, array in cut.items()]


def _scaled_together(rows: dict[str, Array]) -> dict[str, Array]:
    """Scale all rows that are not uint8 by one scale: 0..1 if the first of them keeps to it."""
    if not rows:
        return {}
    together = np.concatenate([np.atleast_1d(row) for row in rows.values()])
    if _keeps_to_0_1(next(iter(rows.values()))):
        together = np.clip(together, 0, 1)
    return dict(zip(rows, np.split(read_pictures(together), len(rows)), strict=True))


def _keeps_to_0_1(row: Array) -> bool:
    return bool(row.size and row.dtype.kind == "f" and row.min() >= 0 and row.max() <= 1)


def _cell_dots(pictures: list[Array]) -> tuple[int, int]:
    """Return the height and width of one cell in dots: the picture enlarged by a whole number, or shrunk."""
    count, height, width = pictures[0].shape[:3]
    wanted = min(_CELL_INCHES, _WIDEST_INCHES / count) * DOTS_PER_INCH
    factor = wanted / max(height, width)
    factor = round(factor) if factor >= 1 else factor
    return max(1, round(height * factor)), max(1, round(width * factor))


def _gap(cell: tuple[int, int]) -> int:
    return max(4, min(cell) // 12)


def _strip(row: Array, cell: tuple[int, int]) -> npt.NDArray[np.uint8]:
    """Return one RGBA picture with the row's pictures side by side and nothing between them."""
    gap = _gap(cell)
    strip = np.zeros((cell[0], len(row) * (cell[1] + gap) - gap, 4), dtype=np.uint8)
    for number, picture in enumerate(row):
        start = number * (cell[1] + gap)
        strip[:, start : start + cell[1]] = _resized(picture, cell)
    return strip


def _resized(picture: Array, cell: tuple[int, int]) -> Array:
    from PIL import Image

    height, width = cell
    grows = height >= picture.shape[0]
    image = Image.fromarray(picture).convert("RGBA")
    return np.asarray(image.resize((width, height), Image.Resampling.NEAREST if grows else Image.Resampling.BOX))


def _draw_row(figure: Figure, label: str, strip: Array, place: tuple[float, float]) -> None:
    """Lay a strip dot by dot, its top left corner at `place` in inches from the figure's top left."""
    width, height = figure.get_size_inches()
    left, top = place
    tall, wide = strip.shape[0] / DOTS_PER_INCH, strip.shape[1] / DOTS_PER_INCH
    axes = figure.add_axes((left / width, 1 - (top + tall) / height, wide / width, tall / height))
    axes.imshow(strip, interpolation="nearest", aspect="auto")
    axes.set_axis_off()
    middle = 1 - (top + tall / 2) / height
    look: dict[str, Any] = {"ha": "right", "va": "center", "fontsize": LABEL_SIZE, "color": INK}
    figure.text((left - _EDGE_INCHES) / width, middle, plain(label), **look)
