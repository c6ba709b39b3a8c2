"""The curve of neighbours kept counts what two lists of neighbours have in common."""

import numpy as np
import pytest
from sklearn.neighbors import NearestNeighbors

from refold import ParameterError
from refold.metrics import NeighboursKept, neighbours_kept


def counted(data, code, size):
    lists = [NearestNeighbors(n_neighbors=size).fit(rows).kneighbors(return_distance=False) for rows in (data, code)]
    return np.mean([len(set(one) & set(other)) / size for one, other in zip(*lists, strict=True)])


def test_it_is_what_neighbours_of_scikit_learn_have_in_common(jittered, code):
    sizes = (1, 3, 10, 100, 598)
    kept = neighbours_kept(jittered, code, sizes)
    assert kept.shares == pytest.approx([counted(jittered, code, size) for size in sizes], abs=1e-12)


def test_all_sizes_at_once_are_each_alone(jittered, code):
    together = neighbours_kept(jittered, code, sizes=(20, 1, 7))
    assert together.sizes == (20, 1, 7)
    assert together.shares == tuple(neighbours_kept(jittered, code, (size,)).shares[0] for size in (20, 1, 7))


def test_a_copy_keeps_all_and_all_others_are_always_kept(digits, code, rng):
    assert set(neighbours_kept(digits[0], digits[0]).shares) == {1.0}
    assert neighbours_kept(digits[0], code, sizes=(599,)) == NeighboursKept((599,), (1.0,), (1.0,))


def test_a_random_code_keeps_what_chance_keeps(digits, rng):
    kept = neighbours_kept(digits[0], rng.normal(size=(600, 2)), sizes=(10, 50, 300))
    assert kept.chance == (10 / 599, 50 / 599, 300 / 599)
    assert kept.shares == pytest.approx(kept.chance, abs=0.01)


def test_the_order_of_records_does_not_matter(jittered, code, rng):
    order = rng.permutation(len(code))
    assert neighbours_kept(jittered[order], code[order]) == neighbours_kept(jittered, code)


def test_sizes_are_those_that_so_few_records_have(rows):
    assert neighbours_kept(rows, rows).sizes == (1, 2, 5, 10, 20)
    assert neighbours_kept(rows[:20], rows[:20]).sizes == (1, 2, 5, 10)


def test_sizes_out_of_range_are_refused(rows):
    for sizes in ((40,), (5, 0), (2.5,)):
        with pytest.raises(ParameterError, match="each of sizes must be a whole number from 1 to 39"):
            neighbours_kept(rows, rows, sizes)
    with pytest.raises(ParameterError, match="sizes is empty"):
        neighbours_kept(rows, rows, ())
