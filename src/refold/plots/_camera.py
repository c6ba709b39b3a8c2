"""What a camera's detector saw, as a page for somebody who has to act on it."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from refold.plots._detection import heat_over
from refold.plots._inputs import Array
from refold.plots._numbers import NumbersTable
from refold.plots._page import Page
from refold.plots._pictures import Pictures
from refold.plots._sections import FigureSection, Section, Text
from refold.plots._series import score_curve

_READ_IT = (
    "The score says how strange the strangest place of a frame is; an alarm needs two of three frames that agree on "
    "a place. Look at the pictures of each event: the box shows where it began, the heat map what led to the alarm. "
    "If it is nothing, refold accept MODEL EVENT teaches the model so."
)


@dataclass(frozen=True)
class CameraReport:
    """What a detector saw in a camera's frames.

    Parameters
    ----------
    title, lead : str
    scores : ndarray of shape (n,)
        Of the frames that were judged, in their order.
    threshold : float
        The last one.
    events : sequence of (int, int)
        First and last frame of each, among the scores.
    figures : sequence of (str, object)
        A name and a value each.
    shown : sequence of (str, ndarray, ndarray)
        Of each event a caption, its first frame and the heat map in the frame's size, 1 for the brightest colour.
    """

    title: str
    lead: str
    scores: Array
    threshold: float
    events: Sequence[tuple[int, int]]
    figures: Sequence[tuple[str, object]]
    shown: Sequence[tuple[str, Array, Array]] = ()


def camera_page(report: CameraReport) -> Page:
    """Return the page of a report.

    Examples
    --------
    >>> report = CameraReport("Ridge", "No event in 3 frames.", np.zeros(3), 1.0, [], [("frames", 3)])
    >>> [section.heading for section in camera_page(report).sections]
    ['How to read this', 'Score in time', 'Figures']
    """
    scores = report.scores if len(report.scores) else np.zeros(1)
    sections: list[Section] = [
        Text("How to read this", (_READ_IT,)),
        FigureSection(
            "Score in time", score_curve(scores, report.threshold, report.events, unit="frame"), "Events are shaded."
        ),
        NumbersTable("Figures", ("", ""), list(report.figures)),
    ]
    if report.shown:
        images, captions = [], []
        for caption, picture, heat in report.shown:
            images += [picture, heat_over(picture, heat, 1.0)]
            captions += [caption, "where it is strange"]
        sections.append(Pictures("Events", images, captions))
    return Page(report.title, report.lead, sections)
