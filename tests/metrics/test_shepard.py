"""The rank correlation of distances is Spearman's."""

import numpy as np
import pytest
from scipy.spatial.distance import pdist
from scipy.stats import spearmanr

from refold import ParameterError
from refold.metrics import shepard_correlation
from refold.metrics._shepard import _pairs_of


def test_of_few_records_all_pairs_count(digits, code):
    exact = spearmanr(pdist(digits[0]), pdist(code)).statistic
    assert shepard_correlation(digits[0], code) == pytest.approx(exact, abs=1e-12)


def test_drawn_pairs_come_close(digits, code):
    exact = shepard_correlation(digits[0], code)
    drawn = shepard_correlation(digits[0], code, pairs=20_000)
    assert drawn != exact and drawn == pytest.approx(exact, abs=0.02)
    assert drawn == shepard_correlation(digits[0], code, pairs=20_000, seed=0)
    assert drawn != shepard_correlation(digits[0], code, pairs=20_000, seed=1)


@pytest.mark.parametrize(("size", "most"), [(3, 10), (50, 2000), (50, 300), (10**6, 5000), (2**31, 1000)])
def test_pairs_are_of_two_records_and_all_different(size, most):
    first, second = _pairs_of(size, most, seed=0)
    assert len(first) == min(most, size * (size - 1) // 2)
    assert (second >= 0).all() and (second < first).all() and (first < size).all()
    assert len(set(zip(first.tolist(), second.tolist(), strict=True))) == len(first)


def test_pairs_are_found_where_roots_are_rounded():
    from unittest.mock import Mock, patch

    starts = [k * (k - 1) // 2 for k in (3, 10**5, 2**27 + 5, 2**30, 2**31 - 7, *range(2**31 - 500, 2**31 - 400))]
    numbers = np.array([start + step for start in starts for step in (-1, 0, 1)])
    generator = Mock(choice=Mock(return_value=numbers))
    with patch("numpy.random.default_rng", return_value=generator):
        first, second = _pairs_of(2**31, len(numbers), 0)
    assert [int(one) * (int(one) - 1) // 2 + int(other) for one, other in zip(first, second, strict=True)] == [
        int(number) for number in numbers
    ]
    assert ((second >= 0) & (second < first)).all()


def test_it_lies_between_opposite_and_same(digits, rng):
    line = np.arange(3.0)[:, None]
    assert shepard_correlation(digits[0], 2 * digits[0] + 1) == 1
    assert shepard_correlation(np.array([0.0, 1.0, 3.0]), np.array([0.0, 3.0, 1.0])) == pytest.approx(-1)
    assert shepard_correlation(digits[0], rng.normal(size=(600, 2))) == pytest.approx(0, abs=0.05)
    assert shepard_correlation(line, np.zeros((3, 1))) == 0


def test_the_order_of_records_does_not_matter(jittered, code, rng):
    order = rng.permutation(len(code))
    exact = shepard_correlation(jittered, code)
    assert shepard_correlation(jittered[order], code[order]) == pytest.approx(exact, abs=1e-12)


def test_huge_and_tiny_values_have_distances(rows, rng):
    code = rng.normal(size=(40, 2))
    exact = shepard_correlation(rows, code)
    assert shepard_correlation(2.0**700 * rows, 2.0**-700 * code) == pytest.approx(exact, abs=1e-12)


@pytest.mark.parametrize("pairs", [0, 1.5, None, 1 << 40])
def test_pairs_out_of_range_are_refused(rows, pairs):
    with pytest.raises(ParameterError, match="pairs must be a whole number from 1 to"):
        shepard_correlation(rows, rows, pairs)
