"""How much codes of different sizes represent."""

from collections.abc import Sequence

from refold.plots._look import BLUE, INK, MUTED, ORANGE, SMALL_SIZE
from refold.plots._static import Figure, blank, dress, head, head_room

_INCHES = (6.4, 3.6)


def code_size_curves(
    sizes: Sequence[int],
    represented: Sequence[float],
    components: Sequence[float],
    *,
    recommended: int | None = None,
    intrinsic: Sequence[float] = (),
    title: str = "",
) -> Figure:
    """Draw the share of the variance that codes of different sizes represent.

    Parameters
    ----------
    sizes : sequence of int
        Numbers of a code, ascending.
    represented, components : sequence of float
        Shares by an autoencoder and by as many principal components, at most 1.
    recommended : int, default=None
        Size to mark.
    intrinsic : sequence of float, default=()
        Estimates of the intrinsic dimension; the range that they span is shaded.
    title : str, default=""
        Title of the figure.

    Returns
    -------
    figure : matplotlib.figure.Figure

    Examples
    --------
    >>> from refold.plots import code_size_curves
    >>> figure = code_size_curves([1, 2, 4], [0.5, 0.8, 0.9], [0.4, 0.6, 0.8], recommended=2)
    >>> len(figure.axes[0].lines)
    3
    """
    wide, tall = _INCHES
    figure = blank(wide, tall + head_room(title), title)
    figure.set_layout_engine("constrained", rect=(0, 0, 1, tall / (tall + head_room(title))), w_pad=0.12, h_pad=0.08)
    axes = figure.add_subplot()
    if intrinsic:
        axes.axvspan(min(intrinsic), max(intrinsic), color=MUTED, alpha=0.15, lw=0, label="intrinsic dimension")
    axes.plot(sizes, represented, color=BLUE, marker="o", markersize=4, linewidth=1.6, label="autoencoder")
    axes.plot(sizes, components, color=ORANGE, marker="o", markersize=4, linewidth=1.6, label="principal components")
    if recommended is not None:
        axes.axvline(
            recommended, color=INK, linewidth=0.9, linestyle=(0, (3, 2)), label=f"recommended: {recommended}"
        )
    if len(sizes) > 1:
        axes.set_xscale("log", base=2)
    shown = [size for size in sizes if size & (size - 1) == 0 or size == sizes[-1]]
    axes.set_xticks(shown, [str(size) for size in shown])
    axes.minorticks_off()
    axes.set_ylim(min(0.0, *represented, *components), 1.02)
    dress(axes, "numbers of the code")
    head(axes, "share of the variance represented")
    axes.legend(frameon=False, fontsize=SMALL_SIZE, labelcolor=INK, loc="best")
    return figure
