"""Detectors of series: the same scores at once and as samples arrive, events where they are, gaps and entities."""

import warnings
import weakref
from functools import cache

import numpy as np
import pandas
import pytest

import refold
from refold import DataError, Detector, ModelFileError, ParameterError, RefoldWarning
from refold.estimators._series_of_detector import whole_series
from refold.estimators._timeline import Stretch


def machine(count, seed=0, period=40):
    """Three readings of a machine that turns once in so many samples, and a temperature that wanders."""
    rng = np.random.default_rng(seed)
    angle = 2 * np.pi * np.arange(count) / period
    turning = np.stack([np.sin(angle), np.cos(angle), np.sin(angle) * np.cos(angle)], axis=1)
    wandering = np.cumsum(rng.normal(0, 0.02, count))
    return np.column_stack([turning + rng.normal(0, 0.1, (count, 3)), 20 + wandering])


def drifting(count, seed=0):
    """The same while two readings creep away, by one of their deviations in a thousand samples."""
    return machine(count, seed) + np.arange(count)[:, None] * [0.0008, 0, -0.0004, 0]


def table(count, seed=0, name=None):
    times = pandas.date_range("2026-01-01", periods=count, freq="min")
    frame = pandas.DataFrame(machine(count, seed), columns=["a", "b", "c", "temperature"])
    frame.insert(0, "when", times)
    if name is not None:
        frame.insert(1, "machine", name)
    return frame


@cache
def of_array():
    return fitted(Detector(window="auto", false_alarm_rate=0.02, random_state=0), machine(1500))


@cache
def of_table():
    return fitted(Detector(time="when", window=40, false_alarm_rate=0.02, random_state=0), table(1500))


def fitted(detector, data):
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", RefoldWarning)  # what can be promised
        return detector.fit(data)


def test_the_window_is_a_period():
    assert of_array().judge_.spec.window in range(36, 45)
    plain = np.random.default_rng(0).normal(size=(600, 2))
    assert fitted(Detector(window="auto", steps=5, random_state=0), plain).judge_.spec.window == 10


@pytest.mark.parametrize("column", [0, 2])
def test_an_event_is_found_where_it_is_with_its_column_and_what_was_expected(column):
    series = machine(800, seed=1)
    series[400:460, column] += 1.0
    events = of_array().events(series)
    event = max(events, key=lambda event: event.score)
    assert 390 <= event.start <= 412 and 448 <= event.end <= 500
    assert event.start <= event.peak <= event.end and event.p_value < 0.01
    assert next(iter(event.channels)) == f"x{column}" and event.sentence.startswith(f"x{column} ")
    why = of_array().explain(series)[event.peak]
    normal = machine(800, seed=1)[event.peak, column]
    assert abs(why.expected[f"x{column}"] - normal) < abs(series[event.peak, column] - normal)


def test_a_change_of_rhythm_and_a_peak_are_found():
    slow, peak = machine(800, seed=2), machine(800, seed=2)
    slow[400:520, :3] = machine(120, seed=3, period=23)[:, :3]
    peak[400, 1] += 3
    for series, end in ((slow, 520), (peak, 400)):
        flagged = np.flatnonzero(of_array().predict(series) == -1)
        assert np.any((flagged >= 400) & (flagged <= end))
        assert np.mean((flagged < 390) | (flagged > end + 40)) < 0.35


def test_false_alarms_stay_near_the_promise_while_a_temperature_wanders():
    alarms = of_array().false_alarms(machine(4000, seed=4))
    assert alarms.promised == 0.02 and alarms.observed < 0.06


def test_a_slow_drift_far_out_of_training_is_followed_and_an_event_on_it_is_none_of_it():
    series = drifting(8000, seed=7)
    assert series[-1, 0] > 4 * machine(1500)[:, 0].max()
    series[7600:7700, 1] += 1
    flagged = of_array().predict(series) == -1
    assert flagged[:7590].mean() < 0.05
    assert flagged[7605:7695].mean() > 0.9 and flagged[7750:].mean() < 0.06


def test_drift_is_followed_in_series_of_many_short_stretches_too():
    frame = pandas.DataFrame(drifting(68 * 88, seed=8), columns=["a", "b", "c", "temperature"])
    frame.insert(
        0, "when", np.arange(68 * 88) + 1000 * (np.arange(68 * 88) // 68)
    )  # a long gap after every 68 samples
    normal = pandas.DataFrame(machine(1500), columns=["a", "b", "c", "temperature"])
    normal.insert(0, "when", np.arange(1500))
    detector = fitted(Detector(time="when", window=40, false_alarm_rate=0.02, random_state=0), normal)
    assert np.mean(detector.predict(frame) == -1) < 0.1


@pytest.mark.parametrize("size", [1, 7, 300])
def test_samples_that_arrive_get_exactly_the_scores_of_all_at_once(size):
    series = drifting(330 if size == 1 else 900, seed=5)[-230 if size == 1 else 0 :]
    whole = of_array().anomaly_score(series)
    parts = (series[start : start + size] if size > 1 else series[start] for start in range(0, len(series), size))
    found = list(of_array().stream(parts))
    assert [point.place for point in found] == list(range(len(series)))
    assert np.array_equal([point.score for point in found], whole)
    assert [point.flagged for point in found] == list(whole > of_array().threshold_)


def test_a_score_is_known_a_window_later_and_memory_does_not_grow():
    detector, told = of_array(), []

    def samples():
        for sample in machine(200, seed=6):
            told.append(len(found))
            yield sample

    found = []
    found.extend(detector.stream(samples()))
    delay = max(detector.judge_.module.sizes) - 1
    assert all(known >= place - delay - 1 for place, known in enumerate(told))


def test_a_table_with_times_keeps_its_order_and_its_file(tmp_path):
    today = table(300, seed=7)
    scores = of_table().anomaly_score(today)
    assert scores.shape == (300,) and of_table().timeline_.step == pytest.approx(1 / 1440)
    of_table().save(tmp_path / "m.safetensors")
    again = refold.load(tmp_path / "m.safetensors")
    assert np.array_equal(again.anomaly_score(today), scores) and again.timeline_ == of_table().timeline_
    records = list(again.stream(today.to_dict("records")))
    assert np.array_equal([point.score for point in records], scores)
    with pytest.raises(ModelFileError, match="a detector of series cannot be written as ONNX"):
        again.export(tmp_path / "m.onnx")


@pytest.mark.parametrize("written", ["%Y-%m-%d %H:%M", "%Y-%m-%dT%H:%M:%S.000Z", "%Y-%m-%dT%H:%M:%S+00:00"])
def test_times_that_arrive_as_text_are_read(written):
    today = table(120, seed=7)
    records = today.assign(when=today["when"].dt.strftime(written)).drop(index=range(50, 55)).to_dict("records")
    expected = of_table().anomaly_score(today.drop(index=range(50, 55)))
    assert np.array_equal([point.score for point in of_table().stream(records)], expected)


@pytest.mark.parametrize(
    ("first", "second", "sentence"),
    [
        ("2026-01-01", "31.1.2026 12:00", "'when' holds '31.1.2026 12:00'; write times as 2026-01-31T12:00:00"),
        ("2026-01-01T00:00:00", "2026-01-01T00:01:00Z", "only some of the times in 'when' tell their zone"),
        (None, "noon", "holds 'noon'; write"),
        ("2026-01-01T00:00:00", None, "lacks the time of sample 1"),
    ],
)
def test_what_is_no_time_is_refused(first, second, sentence):
    part = table(2).astype({"when": object})
    part["when"] = [first, second]
    with pytest.raises(DataError, match=sentence):
        list(of_table().stream([part]))


def test_missing_samples_and_cells_are_no_event_and_long_gaps_begin_anew():
    today = table(600, seed=8)
    holes = today.drop(index=[100, 101, 200, *range(300, 420)]).reset_index(drop=True)
    holes.loc[50:60, "a"] = np.nan
    before, after = of_table().anomaly_score(today), of_table().anomaly_score(holes)
    assert np.array_equal(before[:5], after[:5])
    assert np.mean(after > of_table().threshold_) < 0.05
    strange = holes.copy()
    strange.loc[230:250, "b"] += 2
    assert [event.start for event in of_table().events(strange) if 220 <= event.start <= 240]


def test_each_machine_has_a_series_of_its_own():
    detector = Detector(time="when", group="machine", window=40, false_alarm_rate=0.02, random_state=0)
    fitted(detector, pandas.concat([table(800, 9, "north"), table(800, 10, "south")]))
    north, south = table(300, 11, "north"), table(300, 12, "south")
    south.loc[150:190, "c"] += 1.5
    apart = np.concatenate([detector.anomaly_score(north), detector.anomaly_score(south)])
    mixed = pandas.concat([north, south]).sort_values("when", kind="stable").reset_index(drop=True)
    together = detector.anomaly_score(mixed)
    assert np.array_equal(together[mixed.machine == "north"], apart[:300])
    assert np.array_equal(together[mixed.machine == "south"], apart[300:])
    event = max(detector.events(mixed), key=lambda event: event.score)
    assert event.entity == "south" and mixed.when[event.start] == pandas.Timestamp(event.start_time)
    assert set(mixed.machine[list(event.places)]) == {"south"}


def test_of_long_series_the_newest_samples_are_held(monkeypatch):
    monkeypatch.setattr("refold.estimators._series_of_detector._MOST_LEARNED", 1000)
    numbers = np.random.default_rng(0).normal(size=(3, 6000, 2))
    alive = weakref.WeakSet()
    most = 0

    def stretches():
        nonlocal most
        for start in range(0, 6000, 100):
            for entity, own in enumerate(numbers):
                part = own[start : start + 100].copy().view(Counted)
                alive.add(part)
                most = max(most, len(alive))
                places = np.arange(start, start + 100)
                yield Stretch(str(entity), part, places, start == 0)

    found = whole_series(stretches())
    assert all(np.array_equal(each, own[-333:]) for each, own in zip(found, numbers, strict=True))
    assert len(found) == 3 and most < 25


class Counted(np.ndarray):
    """An array that is itself and no other, so that a set can hold it."""

    __hash__ = object.__hash__


def test_a_machine_s_scale_is_that_of_all_its_samples():
    later = table(100, 1, "x")
    later["when"] += pandas.Timedelta(days=1)  # a long gap: it comes in two parts
    later["a"] += 10
    both = pandas.concat([table(60, 0, "x"), later])
    detector = fitted(Detector(time="when", group="machine", window=10, steps=2, random_state=0), both)
    readings = both[["a", "b", "c", "temperature"]]
    assert np.allclose(detector.entities_["x"].center, readings.mean())
    assert np.allclose(detector.entities_["x"].spread, readings.std(ddof=0))


def test_machines_may_differ_in_level_and_spread(tmp_path):
    def plant(count, seed):
        hot = table(count, seed + 1, "hot")
        hot[["a", "temperature"]] = hot[["a", "temperature"]] * [3, 1] + [100, 50]
        return pandas.concat([table(count, seed, "cold"), hot]).sort_values("when", kind="stable")

    detector = Detector(time="when", group="machine", window=40, false_alarm_rate=0.05, random_state=0)
    fitted(detector, plant(800, 20))
    today = plant(300, 30).reset_index(drop=True)
    assert np.mean(detector.predict(today) == -1) < 0.12
    today.loc[(today.machine == "cold") & (today.index > 300) & (today.index < 380), "a"] += 4
    event = max(detector.events(today), key=lambda event: event.score)
    assert event.entity == "cold" and next(iter(event.channels)) == "a"
    assert abs(detector.explain(today)[event.peak].expected["a"]) < 10  # in the machine's own units
    detector.save(tmp_path / "m.safetensors")
    assert np.array_equal(refold.load(tmp_path / "m.safetensors").anomaly_score(today), detector.anomaly_score(today))
    with pytest.raises(DataError, match=r"nothing was learned of 'new' in 'machine'; known are 'cold', 'hot'"):
        detector.anomaly_score(today.assign(machine="new"))


@pytest.mark.parametrize("columns", [["b"], ["a", "b", "c", "temperature"]])
def test_sensors_that_fall_silent_are_an_event_and_single_gaps_are_none(columns):
    today = table(300, seed=16)
    today.loc[60:63, columns] = np.nan
    assert np.mean(of_table().predict(today) == -1) < 0.1
    today.loc[150:209, columns] = np.nan
    flagged = of_table().predict(today) == -1
    assert flagged[158:202].all()
    event = max(of_table().events(today), key=lambda event: event.end - event.start)
    assert set(event.channels) <= set(columns)
    assert event.sentence.startswith("b missing, expected" if columns == ["b"] else "holds no value")


def test_a_second_fit_does_not_hang_on_the_first():
    holes = table(700, seed=15).drop(index=range(300, 330)).reset_index(drop=True)
    again = Detector(time="when", window=64, steps=5, false_alarm_rate=0.1, random_state=0)
    fitted(again, holes)
    again.set_params(window=10)
    fresh = Detector(time="when", window=10, steps=5, false_alarm_rate=0.1, random_state=0)
    assert np.array_equal(fitted(again, holes).decision_scores_, fitted(fresh, holes).decision_scores_)


def test_an_event_ends_at_a_long_gap():
    today = table(300, seed=14)
    today.loc[140:160, "b"] += 2
    today.loc[150:, "when"] += pandas.Timedelta(days=10)
    events = [event for event in of_table().events(today) if event.end >= 130 and event.start <= 170]
    assert len(events) >= 2 and all(event.end < 150 or event.start >= 150 for event in events)


def test_series_shorter_than_a_window_are_told_of():
    with pytest.warns(RefoldWarning, match="9 samples could not be judged and have a score of 0"):
        assert (of_array().anomaly_score(machine(9)) == 0).all()


@pytest.mark.parametrize(
    ("parameters", "data", "error", "sentence"),
    [
        ({"time": "whne"}, table(200), DataError, "has no column 'whne'"),
        ({"time": "when"}, machine(200), ParameterError, "name columns of a table"),
        ({"time": "when"}, table(200)[::-1], DataError, "goes backwards at sample 1; sort"),
        ({"time": "name"}, table(200).assign(name="x"), DataError, "holds 'x'; write times as"),
        ({"window": 150}, machine(200), DataError, "a window of 150 needs at least 302"),
        ({"window": "auto", "contamination": 0.1}, machine(200), ParameterError, "give normal series"),
        ({"window": "auto"}, np.zeros((20, 8, 8)), DataError, "a series is an array"),
        ({"group": "machine"}, table(200, 0, "x")[["machine"]], DataError, "nothing but time and group"),
    ],
)
def test_what_is_no_series_is_refused_in_one_sentence(parameters, data, error, sentence):
    with pytest.raises(error, match=sentence):
        Detector(steps=5, **parameters).fit(data)


def test_few_samples_promise_what_they_can():
    with pytest.warns(
        RefoldWarning, match="samples in time cannot promise a false-alarm rate of 0.01, which needs 990"
    ):
        detector = Detector(window=10, steps=20, random_state=0).fit(machine(400))
    assert detector.threshold_ == 1 and detector.promised_false_alarm_rate_ > 0.02
