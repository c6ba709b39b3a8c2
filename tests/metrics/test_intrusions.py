"""Trustworthiness and continuity are those of scikit-learn."""

import numpy as np
import pytest
from sklearn.manifold import trustworthiness as of_sklearn

from refold import DataError, ParameterError
from refold.metrics import continuity, trustworthiness


@pytest.mark.parametrize("n_neighbors", [1, 5, 12, 299])
def test_they_are_those_of_scikit_learn(jittered, code, n_neighbors):
    assert trustworthiness(jittered, code, n_neighbors) == pytest.approx(
        of_sklearn(jittered, code, n_neighbors=n_neighbors), abs=1e-12
    )
    assert continuity(jittered, code, n_neighbors) == pytest.approx(
        of_sklearn(code, jittered, n_neighbors=n_neighbors), abs=1e-12
    )


def test_what_stands_first_is_nearer_among_equals(digits, code):
    squares = np.square(digits[0][:, None] - digits[0]).sum(axis=2)
    assert len(np.unique(squares)) < squares.size / 50
    # whole numbers, which a part of 1 for each place leaves in their order and makes unequal
    ordered = squares + np.arange(len(squares)) / len(squares)
    exact = of_sklearn(ordered, code, metric="precomputed")
    assert trustworthiness(digits[0], code) == pytest.approx(exact, abs=1e-12)
    assert trustworthiness(digits[0] / 16, code) == pytest.approx(exact, abs=1e-12)


def test_they_are_close_to_those_of_scikit_learn_among_equals(digits, code):
    twice = np.concatenate([digits[0], digits[0][:100]])
    codes = np.concatenate([code, code[:100]])
    assert trustworthiness(twice, codes) == pytest.approx(of_sklearn(twice, codes), abs=1e-3)
    assert continuity(twice, codes) == pytest.approx(of_sklearn(codes, twice), abs=1e-3)


@pytest.mark.parametrize("measure", [trustworthiness, continuity])
class TestBoth:
    def test_a_copy_keeps_everything(self, measure, digits, rng):
        assert measure(digits[0], digits[0]) == 1
        assert measure(digits[0], 3 * digits[0].reshape(-1, 8, 8)) == 1
        turned = digits[0] @ np.linalg.qr(rng.normal(size=(64, 64)))[0]
        assert measure(digits[0] + 1e-3 * turned, turned + 1e-3 * turned) == pytest.approx(1, abs=1e-3)

    def test_a_random_code_is_near_chance(self, measure, digits, rng):
        assert measure(digits[0], rng.normal(size=(600, 2))) == pytest.approx(0.5, abs=0.02)

    def test_the_order_of_records_does_not_matter(self, measure, jittered, code, rng):
        order = rng.permutation(len(code))
        assert measure(jittered[order], code[order]) == measure(jittered, code)

    def test_scale_and_place_do_not_matter(self, measure, jittered, code):
        assert measure(jittered, 1e-3 * code + 5) == pytest.approx(measure(jittered, code), abs=1e-9)

    @pytest.mark.parametrize("n_neighbors", [0, -1, 20, 2.0, True, "5"])
    def test_neighbours_are_fewer_than_half_of_the_records(self, measure, rows, n_neighbors):
        with pytest.raises(ParameterError, match="n_neighbors must be a whole number from 1 to 19, less than half"):
            measure(rows, rows, n_neighbors)

    def test_data_and_code_are_of_the_same_records(self, measure, rows):
        with pytest.raises(DataError, match="data has 40 records and code has 39"):
            measure(rows, rows[1:])


def test_one_is_the_other_the_other_way_round(jittered, code):
    assert trustworthiness(jittered, code) == continuity(code, jittered)
    assert trustworthiness(jittered, code) != continuity(jittered, code)
