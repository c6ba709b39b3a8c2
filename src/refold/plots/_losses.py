"""The course of a training, epoch by epoch."""

from collections.abc import Mapping, Sequence

import numpy as np
import numpy.typing as npt

from refold._errors import DataError
from refold.plots._inputs import Array
from refold.plots._look import BLUE, INK, MUTED, ORANGE, SMALL_SIZE
from refold.plots._static import Axes, Figure, blank, dress, head, head_room

_PANELS = {
    "loss": ("train_loss", "validation_loss"),
    "error": ("train_error", "validation_error"),
    "learning rate": ("learning_rate",),
}
_COLOURS = {"train": BLUE, "validation": ORANGE, "learning_rate": INK}
_LOG_FROM = 10.0
_PANEL_INCHES = (3.7, 3.0)

History = Mapping[str, Sequence[float | None] | Array]


def loss_curves(history: History, *, best_epoch: int | None = None, title: str = "") -> Figure:
    """Draw how loss and error fell over the epochs, training and validation in one panel.

    Parameters
    ----------
    history : mapping from str to sequence of shape (epochs,)
        Any of "train_loss", "validation_loss", "train_error", "validation_error", "learning_rate"; "epoch"
        numbers them (default 1, 2, ...). None and NaN leave a gap; names other than these are not drawn.
        A constant learning rate is not drawn either.
    best_epoch : int, default=None
        Epoch to mark, in the numbers of "epoch".
    title : str, default=""
        Title of the figure.

    Returns
    -------
    figure : matplotlib.figure.Figure
        One panel for loss, error and learning rate each, logarithmic where the values span a factor of 10.

    Raises
    ------
    DataError
        If there is no curve to draw or lengths differ.

    Examples
    --------
    >>> from refold.plots import loss_curves
    >>> history = {"train_loss": [9.0, 2.0, 0.5], "validation_loss": [9.5, 2.2, 0.8]}
    >>> [axes.get_yscale() for axes in loss_curves(history, best_epoch=3).axes]
    ['log']
    """
    curves = _read_history(history)
    epochs = _read_epochs(history, curves)
    panels = {name: _present(keys, curves) for name, keys in _PANELS.items()}
    panels = {name: keys for name, keys in panels.items() if keys and not _is_dull(name, keys, curves)}
    wide, tall = _PANEL_INCHES
    figure = blank(wide * len(panels), tall + head_room(title), title)
    figure.set_layout_engine("constrained", rect=(0, 0, 1, tall / (tall + head_room(title))), w_pad=0.12, h_pad=0.08)
    for number, (name, keys) in enumerate(panels.items(), start=1):
        axes = figure.add_subplot(1, len(panels), number)
        _draw_panel(axes, name, epochs, {key: curves[key] for key in keys}, best_epoch)
    return figure


def _read_history(history: History) -> dict[str, npt.NDArray[np.float64]]:
    known = [key for keys in _PANELS.values() for key in keys]
    curves = {key: np.array(history[key], dtype=np.float64) for key in known if key in history}
    curves = {key: values for key, values in curves.items() if np.isfinite(values).any()}
    if not set(curves) - {"learning_rate"}:
        raise DataError(
            f"got a history of {sorted(history)} without a finite loss; give one or more of {known[:4]}, "
            "each a sequence with one number per epoch"
        )
    lengths = {key: len(values) for key, values in curves.items()}
    if len(set(lengths.values())) > 1:
        raise DataError(f"got a history of unequal lengths {lengths}; give one number per epoch in each")
    return curves


def _read_epochs(history: History, curves: Mapping[str, Array]) -> npt.NDArray[np.float64]:
    count = len(next(iter(curves.values())))
    epochs = np.array(history["epoch"] if "epoch" in history else range(1, count + 1), dtype=np.float64)
    if len(epochs) != count:
        raise DataError(f"got {len(epochs)} epoch numbers for {count} epochs; give one per epoch or none")
    return epochs


def _present(keys: Sequence[str], curves: Mapping[str, Array]) -> list[str]:
    return [key for key in keys if key in curves]


def _is_dull(name: str, keys: list[str], curves: Mapping[str, Array]) -> bool:
    return name == "learning rate" and np.unique(curves[keys[0]][np.isfinite(curves[keys[0]])]).size == 1


def _draw_panel(axes: Axes, name: str, epochs: Array, curves: Mapping[str, Array], best: int | None) -> None:
    for key, values in curves.items():
        role = key.removesuffix("_loss").removesuffix("_error")
        marker = "o" if np.isfinite(values).sum() < 3 else ""
        axes.plot(epochs, values, label=role, color=_COLOURS[role], linewidth=1.6, marker=marker, markersize=4)
    if _spans_decades(list(curves.values())):
        axes.set_yscale("log")
    _mark_best(axes, epochs, best)
    dress(axes, "epoch")
    head(axes, name)
    _number_epochs(axes, epochs)
    if name != "learning rate":
        axes.legend(frameon=False, fontsize=SMALL_SIZE, labelcolor=INK, loc="best")


def _number_epochs(axes: Axes, epochs: Array) -> None:
    axes.xaxis.get_major_locator().set_params(integer=True)
    if len(epochs) == 1:
        axes.set_xlim(epochs[0] - 1, epochs[0] + 1)


def _spans_decades(curves: list[Array]) -> bool:
    values = np.concatenate(curves)
    values = values[np.isfinite(values)]
    return bool(values.min() > 0 and values.max() / values.min() >= _LOG_FROM)


def _mark_best(axes: Axes, epochs: Array, best: int | None) -> None:
    if best is not None and epochs.min() <= best <= epochs.max():
        look = {"color": MUTED, "linewidth": 0.9, "linestyle": (0, (3, 2)), "zorder": 0}
        axes.axvline(best, label=f"best epoch: {best}", **look)
