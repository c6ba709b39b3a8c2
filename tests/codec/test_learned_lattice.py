from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from refold.codec import BitReader, BitWriter, LatticeWay, LearnedLattice
from refold.train import LatticePlan, learn_lattice

Array = NDArray[Any]

SHAPES = [
    (0,), (1,), (50,), (0, 4), (1, 1), (13, 22), (1, 90), (90, 1), (5, 66, 70), (3, 1, 5), (2, 2, 64, 65),
    (2, 0, 70, 70), (9, 3, 2),
]  # fmt: skip


def moving(count: int, seed: int) -> Array:
    """Waves that move."""
    rng = np.random.default_rng(seed)
    rows, columns = np.mgrid[:64, :72]
    total = np.zeros((count, 64, 72))
    for _ in range(12):
        down, right, phase, speed = rng.normal(size=4) * (0.15, 0.15, 9, 0.3)
        for time in range(count):
            total[time] += np.sin(down * rows + right * columns + phase + speed * time)
    return total * 100


@pytest.fixture(scope="module")
def way() -> LearnedLattice:
    true = moving(4, 0)
    return learn_lattice(
        true, np.ones(true.shape, bool), 4, 0, plan=LatticePlan(hidden=16, steps=(150, 150), batch=512, bits=(8,))
    )


@pytest.mark.parametrize("shape", SHAPES)
@pytest.mark.parametrize("part", [0.0, 0.4, 1.0])
@pytest.mark.parametrize("shift", [0, 4])
def test_values_come_back_within_half_a_step(
    way: LearnedLattice, shape: tuple[int, ...], part: float, shift: int
) -> None:
    rng = np.random.default_rng(1)
    true = np.cumsum(rng.normal(size=shape), -1) * (50 if shift else 1e5)
    true = true if shift else np.rint(true)
    known = rng.random(shape) < part
    writer = BitWriter()
    found = way.code(writer, known, shift, np.where(known, true, np.nan))
    again = way.code(BitReader(writer.to_bytes()), known, shift)
    assert np.array_equal(found, again)
    assert found.dtype == np.int64
    assert np.all(np.abs(found - true)[known] <= (8 if shift else 0))


def length(way: Any, true: Array) -> int:
    writer = BitWriter()
    way.code(writer, np.ones(true.shape, bool), 4, true)
    return len(writer.to_bytes())


def test_it_takes_less_than_the_plain_way_on_fields_like_those_learned(way: LearnedLattice) -> None:
    true = moving(8, 0)[4:]
    assert length(way, true) < 0.95 * length(LatticeWay(), true)


def test_it_comes_back_from_bytes(way: LearnedLattice) -> None:
    data = way.to_bytes()
    again = LearnedLattice.from_bytes(data)
    assert again.to_bytes() == data
    assert length(again, moving(3, 5)) == length(way, moving(3, 5))


@pytest.mark.parametrize("part", [0.0, 0.001, 0.5, 0.99])
def test_less_than_one_is_refused(way: LearnedLattice, part: float) -> None:
    data = way.to_bytes()
    with pytest.raises(ValueError):
        LearnedLattice.from_bytes(data[: int(len(data) * part)])


def test_the_same_seed_learns_the_same() -> None:
    true = moving(2, 1)
    known = np.random.default_rng(0).random(true.shape) < 0.8
    plan = LatticePlan(steps=(5, 5), batch=64)
    one, two = (learn_lattice(true, known, 4, 3, plan=plan).to_bytes() for _ in range(2))
    assert one == two
