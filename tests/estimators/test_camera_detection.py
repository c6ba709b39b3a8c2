"""What the operator of a camera relies on: smoke is found, light is not, and what is wrong with a frame is told."""

from datetime import datetime, timedelta
from functools import cache

import numpy as np
import pytest
from scipy.ndimage import gaussian_filter

import refold
from refold import CameraDetector, CheckpointError, DataError, ModelFileError, RefoldWarning
from refold.data import Frame
from refold.estimators import CameraEvents, CameraWatch

HEIGHT, WIDTH = 96, 128
START = datetime(2026, 7, 1, 12)


@cache
def scene():
    """Sky over hills with some texture, in colour."""
    rng = np.random.default_rng(0)
    rows = np.linspace(0, 1, HEIGHT)[:, None]
    hills = gaussian_filter(rng.normal(0, 40, (HEIGHT, WIDTH)), 1.5) + 90
    grey = np.where(rows < 0.4, 190 + 20 * rows, hills)
    return np.stack([grey * 0.9, grey, grey * 1.1], axis=2)


def picture(place, light=0.0, smoke=0.0):
    rng = np.random.default_rng(1000 + place)
    values = scene() * (1 + light)
    if smoke:
        plume = np.zeros((HEIGHT, WIDTH))
        plume[46 - int(10 * smoke) : 50, 60 : 66 + int(8 * smoke)] = 1
        share = 0.55 * gaussian_filter(plume, 1.5)[..., None]
        values = values * (1 - share) + 175 * share
    return (values + rng.normal(0, 1.5, values.shape)).clip(0, 255).astype(np.uint8)


def frame(place, **how):
    return Frame(f"{place:04d}.jpg", START + timedelta(minutes=place), picture(place, **how))


def day(count=60, burning_from=None):
    return [
        frame(
            place,
            light=0.15 * np.sin(place / 25),
            smoke=0 if burning_from is None or place < burning_from else min(1, 0.4 + 0.1 * (place - burning_from)),
        )
        for place in range(count)
    ]


@cache
def camera():
    return CameraDetector().fit(day(40))


def test_smoke_is_found_at_its_place_and_light_alone_is_no_alarm():
    found = list(camera().watch(day(70, burning_from=50)))
    assert [one.score is None for one in found] == [True] * 13 + [False] * 57
    assert not any(one.alarm for one in found[:50])
    alarms = [one for one in found[50:] if one.alarm]
    assert len(alarms) >= 15
    left, top, right, bottom = alarms[3].box
    assert left < 66 and right > 62 and top < 48 and bottom > 40
    assert 55 <= alarms[3].peak[0] <= 80 and 30 <= alarms[3].peak[1] <= 55
    assert alarms[3].p_value <= min(one.p_value for one in found[13:50])


def test_alarms_become_one_event_that_begins_and_ends():
    events, told = CameraEvents(), []
    frames = [*day(60, burning_from=50), *[frame(place) for place in range(60, 62)]]
    for judged in camera().watch(frames):
        told += events.push(judged)
    told += events.finish()
    assert [(event.number, event.state) for event in told] == [(1, "begun"), (1, "ended")]
    assert told[0].start == told[1].start and told[1].seconds > 0
    again = type(told[1]).from_json(told[1].to_json())
    assert again == told[1]


@pytest.mark.parametrize("after", ["black", "broken", "the same"])
def test_an_event_ends_where_no_frame_can_be_judged_any_more(after):
    last = frame(59, smoke=1)
    then = {
        "black": lambda place: Frame(f"{place:04d}.jpg", last.time, np.zeros_like(last.picture)),
        "broken": lambda place: Frame(f"{place:04d}.jpg", last.time, None, "cannot be read as a picture"),
        "the same": lambda place: Frame(f"{place:04d}.jpg", last.time, last.picture),
    }[after]
    watch, events, told = CameraWatch(camera()), CameraEvents(), []
    for one in [*day(59, burning_from=50), last, *[then(place) for place in range(60, 74)]]:
        judged = watch.push(one)
        told += [(event.state, judged.name) for event in events.push(judged)]
    assert [state for state, _ in told] == ["begun", "ended"]
    assert told[1][1] == "0069.jpg"  # ten frames after the last alarm


def test_what_is_wrong_with_a_frame_is_told_and_the_watch_goes_on():
    small = np.zeros((72, 96, 3), np.uint8) + 100
    odd = {
        20: Frame("x", START, np.zeros((HEIGHT, WIDTH, 3), np.uint8)),
        21: Frame("x", START, small),
        22: Frame("x", START, None, "cannot be read as a picture"),
        24: frame(23),
        25: Frame("x", START, np.repeat(picture(25).mean(2, keepdims=True).astype(np.uint8), 3, axis=2)),
    }
    found = list(camera().watch([odd.get(place, frame(place)) for place in range(40)]))
    words = {20: "is black", 21: "72x96 pixels", 22: "cannot be read", 24: "the same picture", 25: "in infra-red"}
    for place, word in words.items():
        assert word in found[place].problem and found[place].score is None
    assert [place for place, one in enumerate(found) if one.problem] == sorted(odd)
    assert found[-1].score is not None


def test_each_mode_is_learned_for_itself():
    grey = [Frame(f.name, f.time, f.picture.mean(2).astype(np.uint8)) for f in day(70)[40:]]
    both = CameraDetector().fit([*day(40), *grey])
    assert list(both.modes_) == ["colour", "infra-red"]
    with pytest.warns(RefoldWarning, match="10 frames in infra-red are too few"):
        assert list(CameraDetector().fit([*day(40), *grey[:10]]).modes_) == ["colour"]


def test_a_watch_goes_on_exactly_where_it_stopped():
    frames = day(60, burning_from=45)
    whole = CameraWatch(camera())
    expected = [whole.push(one).score for one in frames]
    first = CameraWatch(camera())
    for one in frames[:47]:
        first.push(one)
    second = CameraWatch(camera())
    second.restore(*first.state())
    assert second.last_name == "0046.jpg"
    assert [second.push(one).score for one in frames[47:]] == expected[47:]
    with pytest.raises(CheckpointError, match="not the state"):
        second.restore({}, {})


def test_calm_frames_move_the_threshold_and_an_event_does_not():
    watch = CameraWatch(camera())
    known = len(watch.state()[1]["colour.calm"])
    for one in day(60):
        watch.push(one)
    calm = watch.state()[1]["colour.calm"]
    assert len(calm) > known
    burning = CameraWatch(camera())
    found = [burning.push(one) for one in day(80, burning_from=40)]
    assert sum(one.alarm for one in found[40:]) > 20
    assert max(burning.state()[1]["colour.calm"]) <= max(one.score for one in found[13:40])
    assert found[-1].threshold <= found[39].threshold + 0.5


def test_a_long_gap_begins_anew():
    late = [Frame(f.name, f.time + timedelta(hours=3), f.picture) for f in day(40)[20:]]
    found = list(camera().watch([*day(20), *late]))
    assert all(one.score is None for one in found[20:33]) and found[33].score is not None


def test_a_file_keeps_everything(tmp_path):
    camera().save(tmp_path / "m.safetensors")
    again = refold.load(tmp_path / "m.safetensors")
    frames = day(30)
    assert [one.score for one in again.watch(frames)] == [one.score for one in camera().watch(frames)]
    assert again.size_ == (HEIGHT, WIDTH) and again.seconds_ == 60
    data = (tmp_path / "m.safetensors").read_bytes()
    (tmp_path / "m.safetensors").write_bytes(data[:-9] + b"123456789")
    with pytest.raises(ModelFileError):
        refold.load(tmp_path / "m.safetensors")


def test_what_was_accepted_is_no_event_any_more(tmp_path):
    camera().save(tmp_path / "m.safetensors")
    model = refold.load(tmp_path / "m.safetensors")
    frames = day(55, burning_from=50)
    first = next(one for one in model.watch(frames) if one.alarm)
    model.accept(first.heat, first.mode)
    place = int(first.name[:4])
    assert not any(one.alarm for one in model.watch(frames[: place + 1]))
    with pytest.raises(DataError, match="not one of this camera"):
        model.accept(first.heat[:4], first.mode)


def test_rates_are_promised_only_by_enough_frames():
    assert "can be promised after 4320 normal frames" in camera().promised
    often = CameraDetector(false_alarms_per_day=600).fit(day(40))
    assert often.promised == "at most 600 false alarms a day"


def test_masks_hide_places(tmp_path):
    from PIL import Image

    mask = np.full((HEIGHT, WIDTH), 255, np.uint8)
    mask[:, 50:90] = 0
    Image.fromarray(mask).save(tmp_path / "mask.png")
    masked = CameraDetector(mask=str(tmp_path / "mask.png")).fit(day(40))
    assert not any(one.alarm for one in masked.watch(day(65, burning_from=50)))
    (tmp_path / "broken.png").write_text("no picture")
    with pytest.raises(DataError, match="cannot be read as a picture"):
        CameraDetector(mask=str(tmp_path / "broken.png")).fit(day(30))


def test_too_few_frames_are_refused():
    with pytest.raises(DataError, match="24 usable frames are too few to learn a camera from; give at least 25"):
        CameraDetector().fit(day(24))
