"""What a detector found in series, as a page for somebody who has to act on it."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from refold.plots._detection import score_histogram
from refold.plots._inputs import Array
from refold.plots._look import BLUE, MUTED, ORANGE, SMALL_SIZE
from refold.plots._numbers import NumbersTable
from refold.plots._page import Page
from refold.plots._sections import FigureSection, Section, Text
from refold.plots._static import Figure, blank, dress, head_room

_DRAWN = 2_000  # points of a curve; of longer ones the highest of each stretch is drawn
_READ_IT = (
    "The score says how strange a sample is; above the line it is flagged. Flagged samples that follow each other "
    "are one event. Look at the events from the top of their table down: each names the columns that make it strange "
    "and what they should have shown. If an event is something normal that training never saw, add it to the "
    "training data and fit again."
)


@dataclass(frozen=True)
class SeriesReport:
    """What a detector found in series.

    Parameters
    ----------
    title, lead : str
    normal_scores : ndarray of shape (m,)
        Scores of normal samples, each as if it was new.
    scores : ndarray of shape (n,)
        Of the samples that were judged, in their order.
    threshold : float
    figures : sequence of (str, object)
        Promised and observed, a name and a value each.
    events : sequence of (int, int)
        First and last place of each.
    header : sequence of str
    rows : sequence of sequences
        The table of events.
    """

    title: str
    lead: str
    normal_scores: Array
    scores: Array
    threshold: float
    figures: Sequence[tuple[str, object]]
    events: Sequence[tuple[int, int]]
    header: Sequence[str]
    rows: Sequence[Sequence[object]]


def series_page(report: SeriesReport) -> Page:
    """Return the page of a report on series.

    Examples
    --------
    >>> report = SeriesReport("Pump", "1 event.", np.arange(5.0), np.array([1.0, 2.0, 9.0, 1.0]), 4.0,
    ...                       [("events", 1)], [(2, 2)], ("start", "end"), [["sample 2", "sample 2"]])
    >>> [section.heading for section in series_page(report).sections]
    ['How to read this', 'Score in time', 'Events', 'Promised and observed', 'Scores']
    """
    caption = "Events are shaded. Of many samples the highest of each stretch is drawn."
    sections: list[Section] = [
        Text("How to read this", (_READ_IT,)),
        FigureSection("Score in time", score_curve(report.scores, report.threshold, report.events), caption),
        NumbersTable(
            "Events", report.header, report.rows, "The strongest first. Percentages are shares of the score."
        ),
        NumbersTable("Promised and observed", ("", ""), list(report.figures)),
        FigureSection(
            "Scores",
            score_histogram(report.normal_scores, report.scores, report.threshold),
            "Samples to the right of the line are flagged. Counts are logarithmic.",
        ),
    ]
    return Page(report.title, report.lead, sections)


def score_curve(
    scores: npt.ArrayLike,
    threshold: float,
    events: Sequence[tuple[int, int]] = (),
    *,
    title: str = "",
    unit: str = "sample",
) -> Figure:
    """Draw scores in time with the threshold, events shaded.

    Parameters
    ----------
    scores : array of shape (n,)
    threshold : float
    events : sequence of (int, int), default=()
        First and last place of each.
    title : str, default=""
    unit : str, default="sample"

    Returns
    -------
    figure : matplotlib.figure.Figure
    """
    places, values = _thinned(np.asarray(scores, dtype=np.float64))
    tall = 3.0 + head_room(title)
    figure = blank(7.4, tall, title)
    axes = figure.add_axes((0.09, 0.17, 0.88, (tall - 0.85 - head_room(title)) / tall))
    for first, last in events:
        axes.axvspan(first - 0.5, last + 0.5, color=ORANGE, alpha=0.18, linewidth=0)
    axes.plot(places, values, color=BLUE, linewidth=0.9, label="score")
    axes.axhline(threshold, color=ORANGE, linewidth=1.4, label=f"threshold {threshold:.3g}")
    if values.max() > 20 * max(threshold, 1e-9):
        axes.set_yscale("symlog", linthresh=max(threshold, 1e-9))
    dress(axes, unit, "score")
    axes.set_xlim(0, max(len(np.asarray(scores)) - 1, 1))
    axes.legend(
        frameon=False, fontsize=SMALL_SIZE, labelcolor=MUTED, loc="lower right", bbox_to_anchor=(1, 1), ncols=2
    )
    return figure


def _thinned(scores: Array) -> tuple[Array, Array]:
    """Return places and values of the highest score of each of at most so many stretches."""
    if len(scores) <= _DRAWN:
        return np.arange(len(scores)), scores
    edges = np.linspace(0, len(scores), _DRAWN + 1).astype(int)[:-1]
    return edges, np.maximum.reduceat(scores, edges)
