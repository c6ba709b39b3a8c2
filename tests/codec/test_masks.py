from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from refold.codec import BitReader, BitWriter, code_mask

Array = NDArray[Any]


def there_and_back(mask: Array) -> int:
    writer = BitWriter()
    assert np.array_equal(code_mask(writer, mask.shape, mask), mask)
    data = writer.to_bytes()
    assert np.array_equal(code_mask(BitReader(data), mask.shape), mask)
    return len(data)


def discs(count: int) -> Array:
    rows, columns = np.mgrid[:100, :120]
    return np.stack([np.hypot(rows - 50, columns - 40 - n) < 30 for n in range(count)])


@pytest.mark.parametrize("shape", [(0,), (1,), (9,), (4, 0), (1, 1), (7, 9), (3, 4, 5), (2, 3, 4, 5), (50, 2, 2)])
@pytest.mark.parametrize("part", [0.0, 0.1, 0.5, 1.0])
def test_masks_come_back(shape: tuple[int, ...], part: float) -> None:
    there_and_back(np.random.default_rng(0).random(shape) < part)


def test_the_border_of_a_disc_takes_two_bits_a_place() -> None:
    assert there_and_back(discs(1)[0]) < 2.5 * 2 * np.pi * 30 / 8


def test_masks_that_repeat_take_next_to_nothing() -> None:
    assert there_and_back(np.repeat(discs(1), 500, 0)) <= there_and_back(discs(1)) + 8


def test_masks_that_move_cost_less_than_each_alone() -> None:
    assert there_and_back(discs(8)) < 0.6 * sum(there_and_back(one) for one in discs(8))
