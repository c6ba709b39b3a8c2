"""What readers of a detector's report rely on."""

import numpy as np
import pytest

from refold.plots import DetectionReport, StrangeRecord, detection_page, heat_over, score_curve, score_histogram


def axes_of(scores, threshold=2.0):
    return score_histogram(np.linspace(-3, 2, 200), np.asarray(scores, dtype=float), threshold).axes[0]


def counts_of(axes):
    return [bar.get_height() for bar in axes.patches if hasattr(bar, "get_height")]


def test_one_score_far_out_does_not_squeeze_the_rest_and_is_still_counted():
    scores = [*np.linspace(-3, 2, 50), 1e6]
    axes = axes_of(scores)
    low, high = axes.get_xlim()
    assert low == -3 and high == pytest.approx(2 + 1.5 * 5)
    assert sum(counts_of(axes)) == len(scores) and counts_of(axes)[-1] == 1
    assert "up to 1e+06" in " ".join(text.get_text() for text in axes.texts)


def test_scores_near_the_threshold_end_the_axis_where_they_end():
    axes = axes_of([-3, 0, 4.0])
    assert axes.get_xlim() == (-3, 4) and not axes.texts


@pytest.mark.parametrize("scores", [[1.0], [2.0, 2.0]])
def test_scores_that_are_all_alike_are_drawn(scores):
    axes = score_histogram(scores, scores, scores[0]).axes[0]
    assert sum(counts_of(axes)) == len(scores)


def test_heat_is_drawn_relative_to_what_counts_as_hot():
    picture = np.full((4, 4), 100, np.uint8)
    heat = np.zeros((4, 4))
    heat[1, 1], heat[2, 2] = 1.0, 10.0
    drawn = heat_over(picture, heat, 10.0).astype(int)
    change = np.abs(drawn - drawn[0, 0]).sum(2)
    assert drawn.shape == (4, 4, 3) and change[2, 2] > change[1, 1] > 0
    assert np.abs(heat_over(picture, heat, 1e4).astype(int) - drawn[0, 0]).max() < 20


def test_the_page_names_records_reasons_and_captions():
    strange = StrangeRecord("row 7", 9.0, 0.001, True, "pressure 8.1, expected 3.2", {"pressure": 0.9, "age": 0.01})
    report = DetectionReport(
        title="Pump",
        lead="1 of 3 records flagged.",
        normal_scores=np.arange(5.0),
        scores=np.array([1.0, 2.0, 9.0]),
        threshold=4.0,
        figures=[("false alarms promised", "at most 1%")],
        strangest=[strange],
        gallery=[("7.png: flagged", np.zeros((8, 8), np.uint8), np.ones((8, 8)))],
        hottest=2.0,
    )
    page = "".join(section.html() for section in detection_page(report).sections)
    for text in ("row 7", "pressure 8.1, expected 3.2 (pressure 90%)", "at most 1%", "7.png: flagged", "flagged"):
        assert text in page
    assert "age 1%" not in page


def test_a_long_curve_keeps_its_single_peaks():
    scores = np.zeros(100_000)
    scores[54_321] = 7.0
    axes = score_curve(scores, 1.0, [(54_300, 54_340)]).axes[0]
    values = axes.lines[0].get_ydata()
    assert len(values) <= 2_000 and max(values) == 7.0
