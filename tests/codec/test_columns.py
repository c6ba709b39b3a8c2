"""Tables come back, in few bytes where columns or rows tell about others."""

import tracemalloc

import numpy as np
import pytest
from sklearn.datasets import load_digits

from refold.codec import BitReader, BitWriter, LearnedColumns, PlainColumns
from refold.codec._column_choices import chosen_plans
from refold.codec._mixing import log2_of, solved
from refold.train import learn_columns

RANDOM = np.random.default_rng(0)


def _size(way, numbers, known=None, shift=0, reader=None):
    """Code numbers, see that they come back, return the bytes."""
    known = np.ones(numbers.shape, bool) if known is None else known
    writer = BitWriter()
    found = way.code(writer, known, shift, numbers)
    again = (reader or way).code(BitReader(writer.to_bytes()), known, shift)
    np.testing.assert_array_equal(found, again)
    most = 0 if shift == 0 else 2 ** (shift - 1) + 1e-6
    assert np.abs(found - numbers)[known].max(initial=0) <= most
    assert not found[~known].any()
    return len(writer.to_bytes())


@pytest.mark.parametrize("shape", [(0, 3), (1, 4), (2, 2), (5, 1), (200, 1), (40, 120)])
@pytest.mark.parametrize("most", [1, 5, 1 << 20, 1 << 61])
def test_tables_of_every_shape_come_back(shape, most):
    _size(PlainColumns(), RANDOM.integers(-most, most, shape))


@pytest.mark.parametrize("numbers", [np.full((300, 4), 7), np.full((100, 3), -(1 << 60))])
def test_constants_cost_little(numbers):
    assert _size(PlainColumns(), numbers) <= 80


def test_noise_is_no_larger_than_raw():
    numbers = RANDOM.integers(-(1 << 31), 1 << 31, (2000, 6))
    assert _size(PlainColumns(), numbers) < 1.01 * 4 * numbers.size


def test_columns_that_follow_from_others_are_nearly_free():
    numbers = RANDOM.integers(0, 64, (1500, 4))
    numbers[:, 3] = 2 * numbers[:, 0] - numbers[:, 2]
    assert _size(PlainColumns(), numbers) < 1.15 * 1500 * 3 * 6 / 8


def test_rows_that_follow_from_rows_before_cost_their_steps():
    numbers = np.cumsum(RANDOM.integers(-3, 4, (2000, 3)), 0)
    assert _size(PlainColumns(), numbers) < 1.2 * numbers.size * np.log2(7) / 8


def test_parts_of_rows_that_come_again_are_found():
    parts = RANDOM.integers(0, 12, (40, 16))
    numbers = np.concatenate([parts[RANDOM.integers(0, 40, 600)], parts[RANDOM.integers(0, 40, 600)]], 1)
    assert _size(PlainColumns(), numbers) < 0.35 * numbers.size * np.log2(12) / 8


@pytest.mark.parametrize("shift", [0, 4])
def test_what_is_unknown_may_be_anything(shift):
    known = RANDOM.random((300, 4)) < 0.7
    known[:, 2] = False
    numbers = np.cumsum(RANDOM.integers(-9, 9, (300, 4)), 0).astype(float)
    numbers[~known] = np.nan
    _size(PlainColumns(), numbers, known, shift)


def test_errors_stay_within_their_bound():
    smooth = np.cumsum(RANDOM.normal(0, 40, (1000, 4)), 0)
    assert _size(PlainColumns(), smooth, shift=4) < _size(PlainColumns(), np.rint(smooth)) / 2


def test_examples_help_and_are_the_same_from_bytes():
    digits = load_digits().data.astype(np.int64)
    learned = learn_columns(digits[:900], seed=0)
    block = digits[900:1200]
    again = LearnedColumns.from_bytes(learned.to_bytes())
    assert (again.examples == digits[:900]).all() and again.to_bytes() == learned.to_bytes()
    assert _size(learned, block, reader=again) < 0.9 * _size(PlainColumns(), block)


def test_numbers_that_no_example_had_come_back():
    learned = LearnedColumns.of(RANDOM.integers(0, 9, (200, 3)))
    _size(learned, RANDOM.integers(-500, 500, (100, 3)))
    _size(learned, RANDOM.integers(-(1 << 60), 1 << 60, (100, 3)))
    assert not learned.applies((5, 4), 0) and not learned.applies((5, 3), 4)


def test_learned_tables_know_their_shift():
    smooth = np.cumsum(RANDOM.normal(0, 40, (600, 3)), 0)
    learned = learn_columns(np.rint(smooth[:300]).astype(np.int64), seed=0, shift=4)
    _size(learned, smooth[300:], shift=4, reader=LearnedColumns.from_bytes(learned.to_bytes()))


def test_tables_of_logarithms_do_not_hang_on_the_last_bit():
    for exact in (np.log2(1 + np.arange(4096) / 4096) * 256, 65536 * 0.5 ** (np.arange(4096) / 256)):
        assert np.abs(exact - np.floor(exact) - 0.5).min() > 1e-9


def test_logarithms_and_equations_are_right():
    counts = RANDOM.integers(1, 1 << 40, 1000)
    assert np.abs(log2_of(counts) / 256 - np.log2(counts)).max() < 0.005
    half = RANDOM.normal(size=(6, 6))
    matrix, right = half @ half.T + np.eye(6), RANDOM.normal(size=6)
    np.testing.assert_allclose(matrix @ solved(matrix, right), right, atol=1e-9)


@pytest.mark.slow
def test_wide_tables_take_little_memory_and_near_columns_are_still_seen():
    numbers = RANDOM.integers(0, 1000, (200, 300))
    numbers[:, 1::2] = numbers[:, ::2] + 1
    tracemalloc.start()
    plans = chosen_plans(np.ones(numbers.shape, bool), 0, numbers)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 60e6
    assert all((0, column - 1) in plans[0][column].sources for column in range(1, 300, 2))
