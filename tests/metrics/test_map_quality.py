"""All measures together are each alone."""

from dataclasses import FrozenInstanceError

import numpy as np
import pytest
from sklearn.decomposition import PCA

import refold
from refold import DataError, ParameterError
from refold.metrics import (
    MapQuality,
    continuity,
    map_quality,
    neighbour_accuracy,
    neighbours_kept,
    reconstruction_error,
    shepard_correlation,
    trustworthiness,
)


@pytest.fixture(scope="module")
def rebuilt(digits, code) -> np.ndarray:
    return PCA(2).fit(digits[0]).inverse_transform(code)


@pytest.fixture(scope="module")
def quality(digits, code, rebuilt) -> MapQuality:
    pictures, labels = digits
    return map_quality(
        pictures.reshape(-1, 8, 8), code, rebuilt, labels, n_neighbors=7, sizes=(3, 30), pairs=5000, seed=3
    )


def test_each_measure_is_that_of_its_function(quality, digits, code, rebuilt):
    pictures, labels = digits
    assert quality == MapQuality(
        n_records=600,
        n_values=64,
        n_numbers=2,
        n_neighbors=7,
        trustworthiness=trustworthiness(pictures, code, 7),
        continuity=continuity(pictures, code, 7),
        shepard_correlation=shepard_correlation(pictures, code, 5000, 3),
        neighbours_kept=neighbours_kept(pictures, code, (3, 30)),
        neighbour_accuracy=neighbour_accuracy(code, labels),
        reconstruction_error=reconstruction_error(pictures, rebuilt),
    )


def test_more_neighbours_than_sizes_are_ranked(digits, code):
    quality = map_quality(digits[0], code, n_neighbors=40, sizes=(3,))
    assert quality.trustworthiness == trustworthiness(digits[0], code, 40)
    assert quality.neighbours_kept == neighbours_kept(digits[0], code, (3,))


def test_the_table_tells_every_measure(quality):
    shown = str(quality)
    assert shown.splitlines()[0] == "64 values in 2, 600 records"
    told = [line.split("  ")[1] for line in shown.splitlines()[1:]]
    assert told == [
        "trustworthiness, 7 nearest",
        "continuity, 7 nearest",
        "rank correlation of distances",
        "neighbours kept, 3 nearest",
        "neighbours kept, 30 nearest",
        "label told by neighbours, the nearest",
        "label told by neighbours, 10 nearest",
        "mean squared error",
    ]
    assert f"{quality.trustworthiness:.4f}" in shown and f"{quality.neighbour_accuracy[10]:.2%}" in shown
    assert "(by chance 0.50%)" in shown


def test_what_was_not_given_is_not_measured(rows):
    quality = map_quality(rows, rows[:, :2])
    assert quality.neighbour_accuracy is None and quality.reconstruction_error is None
    assert "label" not in str(quality) and "error" not in str(quality)


def test_a_quality_is_a_value(quality):
    with pytest.raises(FrozenInstanceError):
        quality.trustworthiness = 1.0


def test_nothing_global_is_touched(rows):
    before = np.random.get_state()[1].tolist()
    assert map_quality(rows, rows[:, :2], pairs=100) == map_quality(rows, rows[:, :2], pairs=100)
    assert np.random.get_state()[1].tolist() == before


def test_it_is_reached_from_the_package():
    assert refold.metrics.map_quality is map_quality


def test_what_cannot_be_measured_is_refused(rows):
    with pytest.raises(DataError, match="data has 40 records and code has 39"):
        map_quality(rows, rows[1:])
    with pytest.raises(DataError, match="data has 40 records and rebuilt has 39"):
        map_quality(rows, rows, rows[1:])
    with pytest.raises(DataError, match="code has 40 records and labels has 39"):
        map_quality(rows, rows, labels=[0] * 39)
    with pytest.raises(ParameterError, match="n_neighbors must be"):
        map_quality(rows, rows, n_neighbors=20)
