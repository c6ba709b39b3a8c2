from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from refold.codec import BitReader, BitWriter, LatticeWay

Array = NDArray[Any]

SHAPES = [
    (1,), (2,), (3,), (40,), (0,), (0, 4), (5, 0), (1, 1), (1, 7), (7, 1), (13, 22), (6, 9, 11), (1, 16, 17),
    (3, 1, 5), (2, 3, 4, 5), (4, 1, 1, 9),
]  # fmt: skip


def smooth(shape: tuple[int, ...], height: float) -> Array:
    rng = np.random.default_rng(0)
    values = rng.normal(size=shape)
    for axis, size in enumerate(shape):
        if size:
            values = np.cumsum(values, axis)
    return values * height


def there_and_back(way: Any, known: Array, shift: int, true: Array) -> tuple[Array, int]:
    writer = BitWriter()
    found = way.code(writer, known, shift, true)
    data = writer.to_bytes()
    again = way.code(BitReader(data), known, shift)
    assert found.dtype == again.dtype == np.int64
    assert found.shape == known.shape
    assert np.array_equal(found, again)
    return found, len(data)


@pytest.mark.parametrize("shape", SHAPES)
@pytest.mark.parametrize("part", [0.0, 0.3, 1.0])
@pytest.mark.parametrize("shift", [0, 4])
def test_values_come_back_within_half_a_step(shape: tuple[int, ...], part: float, shift: int) -> None:
    true = smooth(shape, 50.0) if shift else np.rint(smooth(shape, 5.0))
    known = np.random.default_rng(1).random(shape) < part
    found, _ = there_and_back(LatticeWay(), known, shift, true)
    assert np.all(np.abs(found - true)[known] <= (8 if shift else 0))


def test_values_may_be_large_and_unknown_ones_anything() -> None:
    true = np.array([[2.0**50, -(2.0**50), 0.0, np.nan], [1.0, 2.0, np.nan, -3.0]])
    known = ~np.isnan(true)
    found, _ = there_and_back(LatticeWay(), known, 0, np.where(known, true, 7e30))
    assert np.array_equal(found[known], true[known].astype(np.int64))


def test_a_smooth_field_takes_few_bits() -> None:
    rows, columns = np.mgrid[:200, :300]
    true = 1000 * np.sin(rows / 30) * np.cos(columns / 20)
    _, length = there_and_back(LatticeWay(), np.ones(true.shape, bool), 4, true)
    assert length < true.size * 0.01


def test_a_constant_field_takes_next_to_nothing() -> None:
    _, length = there_and_back(LatticeWay(), np.ones((30, 60, 70), bool), 4, np.full((30, 60, 70), 12345.6))
    assert length <= 32


def test_sums_of_noise_take_the_bits_of_the_noise() -> None:
    noise = np.random.default_rng(0).integers(-1, 2, (120, 130))
    _, length = there_and_back(LatticeWay(), np.ones(noise.shape, bool), 0, noise.cumsum(0).cumsum(1).astype(float))
    assert length < 1.02 * noise.size * np.log2(3) / 8


def test_slices_that_have_nothing_in_common_cost_hardly_more_than_each_alone() -> None:
    rows, columns = np.mgrid[:64, :64]
    rng = np.random.default_rng(0)
    true = np.stack([1000 * np.sin(rows * down + columns * right) for down, right in rng.normal(size=(12, 2)) * 0.1])
    _, length = there_and_back(LatticeWay(), np.ones(true.shape, bool), 4, true)
    alone = sum(there_and_back(LatticeWay(), np.ones((64, 64), bool), 4, one)[1] for one in true)
    assert length < 1.15 * alone
