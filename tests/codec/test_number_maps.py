"""Values of every dtype are whole numbers and come back bit for bit."""

import numpy as np
import pytest

from refold.codec import MOST, NumberMap, number_map

RANDOM = np.random.default_rng(0)
FLOATS = (np.float64, np.float32, np.float16)


def _numbers(values):
    """Map values, see that they come back, also from bytes; return the numbers."""
    found = number_map(values)
    numbers = found.to_numbers(values)
    again = NumberMap.from_bytes(found.to_bytes())
    assert again == found and numbers.dtype == np.int64 and np.abs(numbers).max(initial=0) <= MOST
    back = again.to_values(numbers)
    assert back.dtype == values.dtype and back.shape == values.shape and back.tobytes() == values.tobytes()
    return numbers


@pytest.mark.parametrize("dtype", "?bBhHiIlLqQ")
def test_whole_numbers_come_back(dtype):
    for values in (RANDOM.integers(0, 2, 50), RANDOM.integers(0, 127, (10, 4)), np.zeros((0, 3))):
        np.testing.assert_array_equal(_numbers(values.astype(dtype)), values.astype(dtype))


def test_large_whole_numbers_are_moved():
    _numbers(np.uint64((1 << 63) + 5) + RANDOM.integers(0, 1 << 62, 50).astype(np.uint64))
    _numbers(np.array([-(1 << 63), -(1 << 62)]))


def test_what_does_not_fit_has_no_map():
    assert number_map(np.array([0, (1 << 64) - 1], np.uint64)) is None
    assert number_map(RANDOM.integers(0, 256, 8000, dtype=np.uint8).view(np.float64)) is None


@pytest.mark.parametrize("dtype", FLOATS[1:])
def test_all_bits_come_back(dtype):
    _numbers(RANDOM.integers(0, 256, 8000, dtype=np.uint8).view(dtype))


@pytest.mark.parametrize("dtype", FLOATS)
@pytest.mark.parametrize("values", [[], [0.0], [-0.0, 0.0, np.nan, np.inf, -np.inf], [np.nan] * 9, [5.0, -0.0, 6e-8]])
def test_odd_floats_come_back(dtype, values):
    _numbers(np.array(values, dtype))
    _numbers(np.concatenate([RANDOM.integers(0, 1000, 1000) / 8, values]).astype(dtype))


@pytest.mark.parametrize("dtype", FLOATS[:2])
@pytest.mark.parametrize("divisor", [1, 10, 100, 4, 255, 1000])
def test_few_digits_are_small_numbers(dtype, divisor):
    whole = RANDOM.integers(0, 999, 3000)
    np.testing.assert_array_equal(np.unique(_numbers((whole / divisor).astype(dtype))), np.unique(whole))


def test_digits_that_count_are_found():
    values = np.array([float(f"{value:.9g}") for value in RANDOM.random(2000) ** 3])
    numbers = _numbers(values)
    assert np.abs(numbers).max() < 10**11 and (np.argsort(numbers) == np.argsort(values)).all()


def test_other_floats_keep_their_order():
    values = RANDOM.normal(size=1000)
    assert (np.argsort(_numbers(values)) == np.argsort(values)).all()


def test_columns_have_maps_of_their_own():
    prices = RANDOM.integers(0, 1000, 500) / 100
    levels = RANDOM.choice(RANDOM.normal(size=5), 500)
    numbers = _numbers(np.stack([prices, levels, RANDOM.normal(size=500)], 1))
    assert numbers[:, 0].max() < 1000 and numbers[:, 1].max() < 5


def test_other_values_than_the_map_knows_are_refused():
    found = number_map(np.array([0.5, 0.25, 1.0]))
    assert found.to_values(found.to_numbers(np.array([2.25]))) == 2.25
    with pytest.raises(ValueError, match="make another map"):
        found.to_numbers(np.array([np.pi]))
    with pytest.raises(ValueError, match="dtype"):
        number_map(np.array(["a"]))
