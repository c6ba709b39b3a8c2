"""Nearest neighbours: exact, and nearly so where there are many records."""

import numpy as np
import pytest
from sklearn.datasets import load_digits
from sklearn.neighbors import NearestNeighbors

from refold import ParameterError
from refold.layouts import nearest_neighbours

DIGITS = load_digits().data / 16


def exact(rows, count):
    return NearestNeighbors(n_neighbors=count).fit(rows).kneighbors()


def test_they_are_those_of_scikit_learn():
    rows = DIGITS + np.random.default_rng(0).normal(0, 0.01, DIGITS.shape)  # no two distances are equal
    distances, places = exact(rows, 15)
    found = nearest_neighbours(rows, 15)
    np.testing.assert_allclose(found.distances, distances, atol=1e-6)
    assert (found.places == places).mean() > 0.9999


def test_a_record_is_not_its_own_neighbour_even_if_it_is_there_twice():
    twice = np.concatenate([DIGITS[:50], DIGITS[:50]])
    found = nearest_neighbours(twice, 1)
    assert found.places.ravel().tolist() == [*range(50, 100), *range(50)]
    assert not found.distances.any()


def test_far_from_zero_nothing_is_lost():
    found = nearest_neighbours(DIGITS + 1e4, 5)
    np.testing.assert_allclose(found.distances, exact(DIGITS, 5)[0], atol=0.02)


def test_of_many_records_nearly_all_are_found_and_the_others_are_about_as_near():
    rng = np.random.default_rng(0)
    rows = rng.normal(size=(20_500, 12)) @ rng.normal(size=(12, 90)) + 0.1 * rng.normal(size=(20_500, 90))
    found = nearest_neighbours(rows, 5)
    some = np.arange(0, 20_500, 100)
    distances, places = NearestNeighbors(n_neighbors=6).fit(rows).kneighbors(rows[some])
    kept = [len(np.intersect1d(mine, true[1:])) for mine, true in zip(found.places[some], places, strict=True)]
    assert np.mean(kept) / 5 > 0.93
    assert np.mean(found.distances[some, -1] / distances[:, -1]) < 1.01
    own = np.linalg.norm(rows[found.places[some, 0]] - rows[some], axis=1)
    np.testing.assert_allclose(found.distances[some, 0], own, rtol=1e-4)


def test_many_records_that_are_nearly_all_equal_have_neighbours_too():
    rows = np.ones((20_500, 3))
    rows[:40] = np.random.default_rng(0).normal(size=(40, 3))
    found = nearest_neighbours(rows, 15)
    assert not found.distances[40:].any()
    assert (found.places != np.arange(20_500)[:, None]).all()
    assert (found.places[40:] >= 40).all()


@pytest.mark.parametrize("count", [0, 10, 11])
def test_there_must_be_so_many_others(count):
    with pytest.raises(ParameterError, match="10 records have 1 to 9 neighbours each"):
        nearest_neighbours(DIGITS[:10], count)
