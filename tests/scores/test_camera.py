"""A fixed camera on a made mountain: smoke is found where it is, and light, shadows and time stamps are not smoke."""

from functools import cache

import numpy as np
import pytest
import torch
from scipy import ndimage

from refold import CheckpointError, DataError, ParameterError
from refold.scores import (
    CameraRun,
    CameraSpec,
    camera_threshold,
    grid_of,
    grid_shape,
    hidden_cells,
    horizon_of,
    log_grey,
)
from refold.weights import camera_weights

HEIGHT, WIDTH = 96, 128  # small enough that a pixel is a cell of the grid
RIDGE = 40  # mean row
LEARNED, CALIBRATED = 25, 15
SOURCE = 80, 46  # column and row where smoke rises


# --- the made mountain ---------------------------------------------------------------------------------------------


def mountain(rng):
    """Hills with trees under a smooth sky, (H, W)."""
    rows, columns = np.mgrid[:HEIGHT, :WIDTH].astype(np.float32)
    ridge = RIDGE + 4 * np.sin(columns[0] / 20) + 2 * np.sin(columns[0] / 6 + 1)
    trees = ndimage.gaussian_filter(rng.normal(size=(HEIGHT, WIDTH)), 0.7) * 25
    return np.where(rows < ridge, 170 - rows / 2, 80 + trees + (rows - RIDGE) / 3)


MOUNTAIN = mountain(np.random.default_rng(1))


def light(moment):
    """How bright the day is: it drifts, and the sky brightens more than the land."""
    rows = np.linspace(1, 0, HEIGHT)[:, None]
    return 1 + 0.12 * np.sin(moment / 11) + 0.1 * rows * np.sin(moment / 17 + 1)


@cache
def plume(age, source=SOURCE):
    """How opaque smoke is that began so many frames ago, (H, W)."""
    rows, columns = np.mgrid[:HEIGHT, :WIDTH].astype(np.float32)
    opacity = np.zeros((HEIGHT, WIDTH))
    for up in np.linspace(0, 1, 8):
        size = min(age, 8) / 8
        middle = source[0] + 9 * size * up, source[1] - 17 * size * up
        radius = 1 + 4.5 * up * size
        opacity += np.exp(-((columns - middle[0]) ** 2 + (rows - middle[1]) ** 2) / (2 * radius**2))
    return np.clip(0.75 * (1 - np.exp(-opacity)), 0, 1) * min(1, age / 3)


def frames(moments, smoke_from=None, extra=None, source=SOURCE):
    """Grids of the mountain at some moments, the same for the same moments."""
    grids = []
    for moment in moments:
        rng = np.random.default_rng([7, moment])
        picture = MOUNTAIN * light(moment)
        if extra is not None:
            picture = extra(picture, moment, rng)
        if smoke_from is not None and moment >= smoke_from:
            opacity = plume(moment - smoke_from + 1, source)
            picture = picture * (1 - opacity) + 165 * light(moment) * opacity
        picture = picture + rng.normal(0, 0.8, picture.shape)
        grids.append(grid_of(picture.clip(0, 255).astype(np.uint8)))
    return grids


def learned(grids, hidden=None):
    scorer = CameraSpec(*grids[0].shape).build(camera_weights())
    scorer.learn(grids, hidden)
    return scorer


@pytest.fixture(scope="module")
def known():
    """A scorer, the state of a run after calibration, and the threshold."""
    scorer = learned(frames(range(LEARNED)))
    run = CameraRun(scorer)
    scores = [run.push(grid) for grid in frames(range(LEARNED + CALIBRATED))][LEARNED:]
    return scorer, run.state(), camera_threshold([found.score for found in scores])


@pytest.fixture
def run(known):
    """A run that has been calibrated."""
    scorer, state, threshold = known
    run = CameraRun(scorer, threshold)
    run.restore(state)
    return run


START = LEARNED + CALIBRATED
NEXT = range(START, START + 12)


# --- scores --------------------------------------------------------------------------------------------------------


def test_smoke_is_found_soon_and_in_its_place(run):
    found = [run.push(grid) for grid in frames(NEXT, smoke_from=START + 4)]
    assert not any(each.alarm for each in found[:4])
    assert any(each.alarm for each in found[4:8]) and all(each.alarm for each in found[7:])
    smoke = plume(8) > 0.02
    around = ndimage.binary_dilation(smoke, iterations=6)
    for each in found[7:]:
        column, row = each.peak
        assert smoke[row, column] and each.heat[row, column] == each.heat.max()
        assert (each.region & smoke).any() and not (each.region & ~around).any()


def test_drifting_light_is_no_alarm(run):
    found = [run.push(grid) for grid in frames(range(START, START + 40))]
    assert not any(each.alarm for each in found)
    assert all(each.region is None for each in found)


def shadow(picture, moment, rng):
    """The shadow of a cloud goes over the land, again and again."""
    rows, columns = np.mgrid[:HEIGHT, :WIDTH]
    away = (columns - 8 * moment) % (WIDTH + 60) - 30
    dark = np.exp(-((away / 25) ** 2) - ((rows - 75) / 20) ** 2)
    return picture * (1 - 0.25 * dark * (rows > RIDGE))


def test_shadows_of_clouds_are_no_alarm_where_there_are_such_and_smoke_still_is():
    grids = frames(range(75), extra=shadow)
    scorer = learned(grids[:35])
    run = CameraRun(scorer)
    scores = [run.push(grid) for grid in grids[20:55]][15:]
    run.threshold = camera_threshold([found.score for found in scores])
    assert not any(run.push(grid).alarm for grid in grids[55:])
    found = [run.push(grid) for grid in frames(range(75, 80), 75, shadow)]
    assert found[-1].alarm and plume(8)[found[-1].peak[::-1]] > 0.02


def bird(picture, moment, rng):
    """A dark bird flies by in one frame."""
    picture = picture.copy()
    if moment == START + 4:
        picture[40:43, 60:65] = 30
    return picture


def test_what_is_there_in_one_frame_alone_is_no_alarm(run):
    found = [run.push(grid) for grid in frames(NEXT, extra=bird)]
    assert found[4].peak == pytest.approx((62, 41), abs=3)
    assert not any(each.alarm for each in found)


def test_an_event_does_not_become_the_background(known, run):
    scorer, state, _ = known
    watching, careless = run, CameraRun(scorer)
    careless.restore(state)
    grids = frames(range(START, START + 30), smoke_from=START)
    kept = [watching.push(grid) for grid in grids]
    lost = [careless.push(grid) for grid in grids]
    assert all(each.alarm for each in kept[3:])
    assert lost[-1].score < watching.threshold < kept[-1].score


def test_what_was_normal_is_accepted_there_and_not_elsewhere(known):
    _, state, threshold = known
    lenient = learned(frames(range(LEARNED)))
    grids = frames(range(START, START + 8), smoke_from=START)
    run = CameraRun(lenient, threshold)
    run.restore(state)
    lenient.accept([run.push(grid) for grid in grids][-1].heat)
    run.restore(state)
    assert not any(run.push(grid).alarm for grid in grids)
    run.restore(state)
    mirrored = frames(range(START, START + 8), smoke_from=START, source=(20, 46))
    assert run.push(mirrored[0]).alarm is False and all(run.push(grid).alarm for grid in mirrored[2:])


def test_nothing_is_said_before_thirteen_frames(known):
    run = CameraRun(known[0], 100.0)
    found = [run.push(grid) for grid in frames(range(15))]
    assert [each is None for each in found] == [True] * 13 + [False] * 2
    assert all(np.isfinite(each.score) for each in found[13:])


def test_a_run_goes_on_exactly_where_it_stopped(known, run):
    grids = frames(NEXT, smoke_from=START + 1)
    for grid in grids[:7]:
        run.push(grid)
    other = CameraRun(known[0], run.threshold)
    other.restore(run.state())
    for grid in grids[7:]:
        one, two = run.push(grid), other.push(grid)
        assert one.score == two.score and np.array_equal(one.heat, two.heat)
        assert np.array_equal(one.region, two.region)


def test_a_state_is_a_copy(run):
    for tensor in run.state().values():
        tensor.zero_()
    assert all(run.state()[name].any() for name in ("past", "seen", "near"))


def test_a_run_remembers_no_more_after_many_frames(run):
    def remembered():
        return sum(value.nbytes for value in vars(run).values() if isinstance(value, np.ndarray)), len(vars(run))

    before = remembered()
    for grid in frames(range(START, START + 20), smoke_from=START + 2):
        run.push(grid)
    assert remembered() == before
    assert not any(isinstance(value, list | dict) for value in vars(run).values())


@pytest.mark.parametrize("change", ["none", "missing", "shape", "dtype", "count"])
def test_a_state_of_something_else_is_refused(run, change):
    state = run.state()
    if change == "none":
        state = {}
    elif change == "missing":
        del state["held"]
    elif change == "shape":
        state["past"] = state["past"][:, :-4]
    elif change == "dtype":
        state["seen"] = state["seen"].double()
    else:
        state["count"] = torch.tensor(99)
    with pytest.raises(CheckpointError):
        run.restore(state)


def test_a_bad_frame_changes_nothing(run):
    before = run.state()
    broken = frames(NEXT[:1])[0]
    broken[3, 3] = np.nan
    for grid in (broken, broken[:-4]):
        with pytest.raises(DataError):
            run.push(grid)
    assert all(torch.equal(before[name], tensor) for name, tensor in run.state().items())


# --- what is hidden ------------------------------------------------------------------------------------------------


def stamp(picture, moment, rng):
    """Burn nine signs of black and white in, other ones in each frame."""
    picture = picture.copy()
    picture[80:88, 20:92] = np.kron(rng.integers(0, 2, (4, 36)), np.ones((2, 2))) * 255
    return picture


def test_a_burnt_in_time_is_found_and_left_out():
    grids = frames(range(LEARNED + 2), extra=stamp)
    scorer = learned(grids[:LEARNED])
    hidden = scorer.hidden.numpy()
    assert hidden[80:88, 20:92].all()
    assert hidden.sum() < 2 * 8 * 72
    run = CameraRun(scorer)
    heat = [run.push(grid) for grid in grids][-1].heat
    assert (heat[hidden] == -20).all() and (heat[~hidden] > -20).all()
    plain = learned(frames(range(LEARNED)))
    assert not plain.hidden.any()


def test_where_everything_moves_nothing_is_hidden():
    rng = np.random.default_rng(0)
    assert not hidden_cells(list(rng.uniform(0, 255, (10, 64, 64)).astype(np.float32))).any()


def test_a_drawn_mask_hides_smoke_behind_it(known, run):
    mask = np.zeros((HEIGHT, WIDTH), bool)
    mask[:, 60:110] = True
    scorer = learned(frames(range(LEARNED)), mask)
    assert np.array_equal(scorer.hidden.numpy(), mask)
    blind = CameraRun(scorer, run.threshold)
    for grid in frames(range(START - 14, START)):
        blind.push(grid)
    assert not any(blind.push(grid).alarm for grid in frames(NEXT, smoke_from=START + 2))


def test_hidden_places_repeat_the_nearest_that_is_not():
    scorer = CameraSpec(64, 64).build()
    scorer.hidden[:4] = True
    grid = np.random.default_rng(0).uniform(0, 255, (64, 64)).astype(np.float32)
    filled = scorer.filled(grid)
    assert np.array_equal(filled[:4], np.repeat(grid[4:5], 4, axis=0)) and np.array_equal(filled[4:], grid[4:])


# --- learning ------------------------------------------------------------------------------------------------------


def test_thirteen_frames_are_enough_to_learn_from_and_twelve_are_not():
    grids = frames(range(13))
    spread = learned(grids).spread
    assert spread.min() > 1e-3 and spread.max() < 0.05  # of logarithms, for noise of half a percent
    with pytest.raises(DataError, match="12 normal frames are too few"):
        learned(grids[:12])


def test_frames_and_masks_that_do_not_fit_are_refused():
    grids = frames(range(13))
    other = [*grids[:6], grids[6][:-4], *grids[7:]]
    with pytest.raises(DataError, match="give frames of that size"):
        learned(other)
    with pytest.raises(DataError, match="give one of the grid's shape"):
        learned(grids, np.zeros((3, 3), bool))
    with pytest.raises(DataError, match="hides the whole frame"):
        learned(grids, np.ones(grids[0].shape, bool))


def test_the_horizon_lies_near_the_ridge(known):
    assert abs(float(known[0].horizon) - RIDGE) < 8
    logs = log_grey(torch.from_numpy(frames([0])[0])).numpy()
    assert abs(horizon_of(logs) - RIDGE) < 8


def test_all_that_is_learned_is_in_the_state(known):
    scorer = known[0]
    other = CameraSpec(HEIGHT, WIDTH).build()
    other.load_state_dict(scorer.state_dict())
    grids = frames(range(15))
    one, two = ([run.push(grid) for grid in grids][-1] for run in (CameraRun(scorer), CameraRun(other)))
    assert one.score == two.score and np.array_equal(one.heat, two.heat)


def test_a_threshold_lies_above_calibration_and_grows_with_it():
    low, high = camera_threshold([0.2, -0.5]), camera_threshold(np.array([0.4]))
    assert 0.4 < low < high
    assert low == camera_threshold([0.2])
    for scores in ([], [np.nan], [1.0, np.inf]):
        with pytest.raises(DataError):
            camera_threshold(scores)


# --- grids ---------------------------------------------------------------------------------------------------------


def test_a_grid_holds_means_of_areas():
    picture = np.random.default_rng(0).integers(0, 256, (480, 640, 3), dtype=np.uint8)
    grid = grid_of(picture)
    grey = picture.astype(np.float64) @ [0.299, 0.587, 0.114]
    assert grid.dtype == np.float32
    assert np.allclose(grid, grey.reshape(120, 4, 160, 4).mean((1, 3)), atol=1e-3)


@pytest.mark.parametrize(
    ("size", "shape"),
    [
        ((480, 640), (120, 160)),
        ((1080, 1920), (88, 160)),
        ((640, 480), (212, 160)),
        ((64, 64), (64, 64)),
        ((65, 99), (64, 96)),
        ((300, 1800), (88, 528)),
    ],
)
def test_grids_keep_proportions_at_any_size(size, shape):
    assert grid_shape(*size) == shape
    assert np.allclose(grid_of(np.full(size, 80, np.uint8)), 80, atol=1e-4)
    assert grid_of(np.zeros(size, np.uint8)).shape == shape
    CameraSpec.from_json(CameraSpec(*shape).to_json()).build()


@pytest.mark.parametrize(
    "picture",
    [
        np.zeros((63, 200), np.uint8),
        np.zeros((64, 5000), np.uint8),
        np.zeros((100, 100, 4), np.uint8),
        np.zeros((100, 100)),
    ],
)
def test_what_is_no_frame_is_refused(picture):
    with pytest.raises(DataError):
        grid_of(picture)


@pytest.mark.parametrize("side", [0, 60, 66, 1028, 64.0, True, "64", None])
def test_dishonest_sizes_are_refused(side):
    with pytest.raises(ParameterError):
        CameraSpec.from_json({"height": side, "width": 160})
    with pytest.raises(ParameterError):
        CameraSpec.from_json({"height": 120, "width": side})
