"""What a detector found, as a page for somebody who has to act on it."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np
import numpy.typing as npt
from matplotlib import colormaps
from PIL import Image

from refold.plots._inputs import Array
from refold.plots._look import BLUE, INK, MUTED, ORANGE, SMALL_SIZE
from refold.plots._numbers import NumbersTable
from refold.plots._page import Page
from refold.plots._pictures import Pictures
from refold.plots._sections import FigureSection, Section, Text
from refold.plots._static import Figure, blank, dress, head_room

_BINS = 60
_SHOWN_BEYOND = 1.5  # times what lies between the lowest score and the threshold
_HEAT_OPACITY = 0.65
_READ_IT = (
    "The score says how strange a record is: the higher, the stranger. The p-value says what share of normal records "
    "is as strange or stranger; 0.01 is one in a hundred. Look at flagged records from the top of the table down: "
    "what is wrong there is either an error in the data, an event, or something normal that training never saw. In "
    "the last case add such records to the training data and fit again."
)


@dataclass(frozen=True)
class StrangeRecord:
    """One of the strangest records.

    Parameters
    ----------
    name : str
        Its place, file or kept columns.
    score, p_value : float
    flagged : bool
    reason : str, default=""
    shares : mapping of str to float, default={}
        Of columns in the score.
    """

    name: str
    score: float
    p_value: float
    flagged: bool
    reason: str = ""
    shares: Mapping[str, float] = field(default_factory=dict)


@dataclass(frozen=True)
class DetectionReport:
    """What a detector found in some data.

    Parameters
    ----------
    title, lead : str
    normal_scores : ndarray of shape (m,)
        Scores that normal records had, each as if it was new.
    scores : ndarray of shape (n,)
        Of the records that were judged.
    threshold : float
    figures : sequence of (str, object)
        Promised and observed, a name and a value each.
    strangest : sequence of StrangeRecord
    gallery : sequence of (str, ndarray, ndarray)
        Caption, picture and its heat map (H, W), for pictures.
    hottest : float, default=1
        Heat that gets the brightest colour.
    """

    title: str
    lead: str
    normal_scores: Array
    scores: Array
    threshold: float
    figures: Sequence[tuple[str, object]]
    strangest: Sequence[StrangeRecord]
    gallery: Sequence[tuple[str, Array, Array]] = ()
    hottest: float = 1.0


def detection_page(report: DetectionReport) -> Page:
    """Return the page of a report.

    Examples
    --------
    >>> strange = StrangeRecord("row 7", 9.0, 0.001, True, "pressure 8.1, expected 3.2")
    >>> report = DetectionReport("Pump", "1 of 3 records flagged.", np.arange(5.0), np.array([1.0, 2.0, 9.0]),
    ...                          4.0, [("flagged", 1)], [strange])
    >>> [section.heading for section in detection_page(report).sections][:2]
    ['How to read this', 'Scores']
    """
    sections: list[Section] = [
        Text("How to read this", (_READ_IT,)),
        FigureSection(
            "Scores",
            score_histogram(report.normal_scores, report.scores, report.threshold),
            "Records to the right of the line are flagged. Counts are logarithmic, so that single records are seen.",
        ),
        NumbersTable("Promised and observed", ("", ""), list(report.figures)),
        _table(report.strangest),
    ]
    if report.gallery:
        sections.append(_gallery(report))
    return Page(report.title, report.lead, sections)


def _table(strangest: Sequence[StrangeRecord]) -> NumbersTable:
    why = any(record.reason for record in strangest)
    rows = [
        [
            record.name,
            record.score,
            record.p_value,
            "flagged" if record.flagged else "",
            *([_why(record)] if why else []),
        ]
        for record in strangest
    ]
    header = ("record", "score", "p-value", "", *(("why",) if why else ()))
    return NumbersTable("The strangest records", header, rows, "Percentages are shares of the score.")


def _why(record: StrangeRecord) -> str:
    shares = ", ".join(f"{name} {share:.0%}" for name, share in list(record.shares.items())[:3] if share >= 0.05)
    return f"{record.reason} ({shares})" if shares else record.reason


def _gallery(report: DetectionReport) -> Pictures:
    images, captions = [], []
    for caption, picture, heat in report.gallery:
        images += [_as_colour(picture), heat_over(picture, heat, report.hottest)]
        captions += [caption, "where it is strange"]
    caption = "All heat maps share one scale, which belongs to the threshold: normal pictures stay dark."
    return Pictures("Gallery of the strangest", images, captions, caption)


def heat_over(picture: npt.ArrayLike, heat: npt.ArrayLike, hottest: float) -> Array:
    """Return a picture in dim grey with its heat over it, uint8 (H, W, 3).

    Parameters
    ----------
    picture : array of shape (H, W) or (H, W, C)
    heat : array of shape (H, W)
        Below 0 nothing is shown.
    hottest : float
        Heat that gets the brightest colour.
    """
    grey = _as_colour(np.asarray(picture)).astype(np.float64).mean(axis=2, keepdims=True) * 0.6
    share = np.clip(np.asarray(heat, dtype=np.float64) / max(hottest, 1e-9), 0, 1)
    colours = colormaps["inferno"](share)[..., :3] * 255
    opacity = _HEAT_OPACITY * np.sqrt(share)[..., None]
    mixed: Array = np.rint(grey * (1 - opacity) + colours * opacity).astype(np.uint8)
    return mixed


def _as_colour(picture: Array) -> Array:
    """Return a picture of any type as uint8 (H, W, 3)."""
    values = picture
    if values.dtype != np.uint8:
        low, high = float(values.min()), float(values.max())
        unit = low >= 0 and high <= 1
        scaled = values.astype(np.float64) if unit else (values - low) / max(high - low, 1e-9)
        values = np.rint(scaled * 255).astype(np.uint8)
    flat = values[..., 0] if values.ndim == 3 and values.shape[2] == 1 else values
    colour: Array = np.asarray(Image.fromarray(flat).convert("RGB"))
    return colour


def score_histogram(
    normal_scores: npt.ArrayLike, scores: npt.ArrayLike, threshold: float, *, title: str = ""
) -> Figure:
    """Draw how many records have which score, beside those of normal records, with the threshold.

    Parameters
    ----------
    normal_scores : array of shape (m,)
        Scores of normal records that were not learned from.
    scores : array of shape (n,)
        Of the records that were judged.
    threshold : float
    title : str, default=""

    Returns
    -------
    figure : matplotlib.figure.Figure
    """
    normal, judged = np.asarray(normal_scores, dtype=np.float64), np.asarray(scores, dtype=np.float64)
    low, end, highest = _ends(np.concatenate([normal, judged, [threshold]]), threshold)
    edges = np.linspace(low, end, _BINS + 1).tolist()
    tall = 3.3 + head_room(title)
    figure = blank(7.4, tall, title)
    axes = figure.add_axes((0.09, 0.16, 0.88, (tall - 0.9 - head_room(title)) / tall))
    axes.hist(judged.clip(low, end), edges, color=BLUE, alpha=0.75, label="judged", log=True)
    weights = np.full(len(normal), len(judged) / max(len(normal), 1))
    label = "normal ones, scaled to as many"
    axes.hist(normal.clip(low, end), edges, weights=weights, histtype="step", color=INK, label=label)
    axes.axvline(threshold, color=ORANGE, linewidth=1.6, label=f"threshold {threshold:.3g}")
    dress(axes, "score", "records")
    axes.set_ylim(bottom=0.5)
    axes.set_xlim(low, end)
    if highest > end:
        told = f"the last bar holds all up to {highest:.3g}"
        axes.text(1, 0.94, told, transform=axes.transAxes, ha="right", fontsize=SMALL_SIZE, color=MUTED)
    axes.legend(
        frameon=False, fontsize=SMALL_SIZE, labelcolor=MUTED, loc="lower right", bbox_to_anchor=(1, 1), ncols=3
    )
    return figure


def _ends(scores: Array, threshold: float) -> tuple[float, float, float]:
    """Return where the axis begins and ends, and the highest score, so that one far out does not squeeze the rest."""
    low, highest = float(scores.min()), float(scores.max())
    end = min(highest, threshold + _SHOWN_BEYOND * max(threshold - low, 1e-9))
    return low, end if end > low else low + 1, highest
