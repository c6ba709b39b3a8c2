"""Small pictures, pixel by pixel: what comes back, what it costs, what nothing was learned about."""

import numpy as np
import pytest
import torch
from sklearn.datasets import load_digits

from refold.codec import BitReader, BitWriter, LearnedRaster, RasterContext, RasterWalk
from refold.train import RasterPlan, learn_raster

QUICK = RasterPlan(epochs=3, hidden=(24, 16), bits=6)


@pytest.fixture(scope="module")
def digits():
    images = load_digits().images.astype(np.int64)
    order = np.random.default_rng(0).permutation(len(images))
    return images[order[:900]], images[order[900:1300]]


@pytest.fixture(scope="module")
def way(digits):
    return learn_raster(digits[0], plan=QUICK)


@pytest.fixture(scope="module")
def colours():
    drawn = np.random.default_rng(1)
    level = drawn.integers(0, 200, (120, 1, 1, 1)) + np.arange(6)[:, None, None] * 5 + np.array([0, 10, 20])
    return np.clip(level + drawn.integers(-2, 3, (120, 6, 5, 3)), 0, 255)


def written(way, images):
    writer = BitWriter()
    given = way.code(writer, np.ones(images.shape, bool), 0, images.astype(float))
    np.testing.assert_array_equal(given, images)
    return writer.to_bytes()


def bits(way, images):
    """What a pixel costs; what was written comes back from the bytes of the way alone."""
    data = written(way, images)
    back = LearnedRaster.from_bytes(way.to_bytes()).code(BitReader(data), np.ones(images.shape, bool), 0)
    np.testing.assert_array_equal(back, images)
    assert back.dtype == np.int64
    return 8 * len(data) / images.size


def test_digits_it_never_saw_take_half_of_what_plain_ones_take(way, digits):
    assert bits(way, digits[1]) < 2.3  # plainly log2(17) = 4.09


def test_a_way_is_its_bytes(way):
    data = way.to_bytes()
    assert LearnedRaster.from_bytes(data).to_bytes() == data


def test_pictures_unlike_what_was_learned_cost_little_more_than_plainly(way):
    noise = np.random.default_rng(2).integers(0, 17, (300, 8, 8))
    assert bits(way, noise) < np.log2(17) + 1


def test_levels_that_were_never_seen_come_back(way, digits):
    images = digits[1].copy()
    images[3, 2, 2], images[5, 0, 0] = 40, -7
    assert bits(way, images) < bits(way, digits[1]) + 0.2
    assert bits(way, np.random.default_rng(3).integers(-(1 << 40), 1 << 40, (5, 8, 8))) < 60


@pytest.mark.parametrize("count", [1, 2])
def test_few_pictures_come_back(way, digits, count):
    bits(way, digits[1][:count])


def test_dark_on_light_costs_what_light_on_dark_costs(way, digits):
    turned = learn_raster(16 - digits[0], plan=QUICK)
    assert turned.context.reflected
    assert bits(turned, 16 - digits[1]) == pytest.approx(bits(way, digits[1]), rel=0.02)


def test_colours_without_a_background_are_told_from_their_neighbours(colours):
    way = learn_raster(colours[:100], plan=RasterPlan(epochs=12, hidden=(16,)))
    assert len(way.context.guess) == 3
    assert bits(way, colours[100:]) < 4.5  # noise of five levels alone takes log2(5) = 2.3
    assert bits(way, np.random.default_rng(8).integers(0, way.context.levels, (40, 6, 5, 3))) < 9


@pytest.mark.parametrize("shape", [(1, 9), (9, 1), (2, 2), (3, 2, 2)])
def test_narrow_pictures_come_back(shape):
    images = np.random.default_rng(4).integers(0, 3, (40, *shape))
    assert bits(learn_raster(images, plan=RasterPlan(epochs=1, hidden=(4,))), images) < 2.5


@pytest.mark.parametrize("level", [1, 7, 255])
def test_pictures_of_one_level_take_next_to_nothing(level):
    images = np.full((50, 4, 4), level)
    way = learn_raster(images, plan=RasterPlan(epochs=1, hidden=(4,)))
    assert bits(way, images) < 0.1
    bits(way, images - np.eye(4, dtype=int))


def test_black_and_white(digits):
    images = (digits[1] > 7).astype(int)
    way = learn_raster((digits[0] > 7).astype(int), plan=QUICK)
    assert bits(way, images) < 0.7


def test_the_same_seed_learns_the_same(digits):
    plan = RasterPlan(epochs=1, hidden=(8,))
    first, second = (learn_raster(digits[0][:200], seed=3, plan=plan).to_bytes() for _ in range(2))
    assert first == second


def test_a_plan_grows_with_the_pixels():
    sizes = [sum(RasterPlan.default(pixels).hidden) for pixels in (1, 300_000, 2_000_000, 47_000_000)]
    assert sizes == sorted(set(sizes))


def test_it_applies_to_pictures_of_its_shape_without_loss(way):
    assert way.applies((5, 8, 8), 0)
    assert way.applies((5, 8, 8, 1), 0)
    assert not way.applies((5, 8, 8), 4)
    assert not way.applies((5, 8, 9), 0)
    assert not way.applies((5, 64), 0)
    with pytest.raises(ValueError, match="without gaps"):
        way.code(BitWriter(), np.zeros((1, 8, 8), bool), 0, np.zeros((1, 8, 8)))


@pytest.mark.parametrize("guessing", [False, True])
def test_inputs_are_small_whole_numbers_and_always_as_many(guessing):
    images = np.random.default_rng(5).integers(0, 4, (20, 5 * 6 * 2))
    guess = ((100, 60, 0, 90, 10, 0, 0, 0, 0), (100, 60, 0, 90, 10, 0, 0, 0, 50, 0)) if guessing else ()
    context = RasterContext((5, 6, 2), 4, common=(1, 2), guess=guess)
    walk, widths = RasterWalk(context, len(images)), set()
    for number, step in enumerate(context.steps):
        inputs = walk.inputs(step, np.arange(len(images)))
        assert inputs.dtype == (np.int16 if guessing else np.uint8)
        assert np.abs(inputs.astype(int)).max() <= 255
        widths.add(inputs.shape[1])
        walk.put(step, images[:, number])
    assert len(widths) == 1


def test_a_window_is_seen_when_it_is_not_all_zero():
    drawn = np.random.default_rng(6)
    images = (drawn.random((50, 9 * 8)) < 0.02).astype(np.int64)
    context = RasterContext((9, 8, 1), 2, common=(1,))
    walk = RasterWalk(context, len(images))
    rows, columns = context.reach
    length = (rows * (2 * columns + 1)) + columns
    for number, step in enumerate(context.steps):
        seen = walk.inputs(step, np.arange(len(images)))[:, :length].any(1)
        np.testing.assert_array_equal(walk.active(step), seen)
        walk.put(step, images[:, number])


def test_the_network_of_whole_numbers_costs_what_the_learned_one_cost(digits):
    told = []
    way = learn_raster(digits[0], plan=QUICK, tell=lambda share, bits: told.append((share, bits)))
    assert told[-1][0] == pytest.approx(1)
    assert [share for share, _ in told] == sorted(share for share, _ in told)
    assert bits(way, digits[0]) == pytest.approx(told[-1][1] / 64, rel=0.1)


def test_what_there_is_to_look_at():
    images = np.zeros((3, 4, 5), np.uint8)
    images[0, :2] = 250
    images[0, 2, 0] = 7
    assert RasterContext.of(images) == RasterContext((4, 5, 1), 251, common=(1, 2, 7, 250))


@pytest.fixture(autouse=True)
def one_thread():
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)
