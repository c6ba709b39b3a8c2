"""What a detector does with series: reads them along their timeline, learns, scores, streams and finds events."""

import warnings
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from refold._errors import DataError, ParameterError, RefoldWarning
from refold.data import Source, Stream, fit_adapter
from refold.estimators._explaining import Explanation, explanations
from refold.estimators._row_detection import Told
from refold.estimators._series_detection import fit_series, series_spec, window_of
from refold.estimators._series_judging import JudgedSamples, SeriesJudge, SeriesRuns
from refold.estimators._timeline import EntityScale, Stretch, Timeline, TimelineReader, usual_step
from refold.nets import Moments
from refold.scores import Calibration, Threshold

if TYPE_CHECKING:
    from refold.estimators._detector import Detector

Array = NDArray[Any]
Scores = NDArray[np.float64]

_MOST_LEARNED = 200_000  # samples, the newest ones
_LONGEST_GAP = 20  # missing samples that are filled in while the window is not known yet
_CHANNELS = 3
_LEAST_SHARE = 0.05


@dataclass(frozen=True)
class PointScore:
    """The score of one sample of a series.

    Parameters
    ----------
    place : int
        Of the sample among all that came.
    score, p_value : float
    flagged : bool
    entity : str
        Its group; "" where there is none.
    """

    place: int
    score: float
    p_value: float
    flagged: bool
    entity: str = ""


@dataclass(frozen=True)
class Event:
    """Samples of a series that follow each other and are not normal.

    Parameters
    ----------
    start, end : int
        Places of the first and the last sample among all.
    peak : int
        Place of the strangest one.
    score, p_value : float
        Of the strangest one.
    channels : dict of str to float
        Columns with the largest share in the score over the event, largest first.
    sentence : str
        Why the strangest one is strange, with the values expected instead.
    places : tuple of int
        Of the flagged samples.
    entity : str
        Its group; "" where there is none.
    start_time, end_time : object
        As the table has them; None without a column of times.
    """

    start: int
    end: int
    peak: int
    score: float
    p_value: float
    channels: dict[str, float]
    sentence: str
    places: tuple[int, ...]
    entity: str = ""
    start_time: Any = None
    end_time: Any = None


# --- learning ------------------------------------------------------------------------------------------------------


def timeline_of(model: "Detector", opened: Source | Stream) -> Timeline:
    """Return how the samples of a fit lie in time.

    Raises
    ------
    ParameterError, DataError
        See `Timeline.measurements`.
    """
    timeline = Timeline(model.time, model.group)
    timeline.measurements(opened)
    if timeline.time is None:
        return timeline
    times, entities = [], []
    for chunk in opened.chunks(_MOST_LEARNED):
        times.append(timeline.times(chunk))
        entities += timeline.entities(chunk) or []
        if sum(map(len, times)) >= _MOST_LEARNED:  # type: ignore[arg-type] # never None here
            break
    return replace(timeline, step=usual_step(np.concatenate(times), entities or None))  # type: ignore[arg-type]


def read_series(model: "Detector", opened: Source | Stream, longest_gap: int) -> Iterator[Stretch]:
    """Yield opened samples as stretches in time; after more missing samples than that a series begins anew."""
    reader = TimelineReader(model.timeline_, longest_gap)
    start = 0
    for chunk, numbers in model._encoded(opened):
        times, entities = model.timeline_.times(chunk), model.timeline_.entities(chunk)
        for stretch in reader.stretches(numbers, times, entities, start):
            yield _standardised(model, stretch)
        start += chunk.size


def _standardised(model: "Detector", stretch: Stretch) -> Stretch:
    """Return a stretch in parts of what is usual for its entity, where there are several."""
    scales = model.entities_
    if not scales:
        return stretch
    if stretch.entity not in scales:
        known = ", ".join(repr(name) for name in list(scales)[:8])
        raise DataError(f"nothing was learned of {stretch.entity!r} in {model.group!r}; known are {known}")
    return replace(stretch, numbers=scales[stretch.entity].standardised(stretch.numbers))


def whole_series(stretches: Iterable[Stretch]) -> list[Array]:
    """Return the newest samples of all entities, one array for each series without a long gap.

    While stretches come, older samples are let go, so that memory does not grow with their number.
    """
    series: list[list[Array]] = []
    open_: dict[str, int] = {}
    held = 0
    for stretch in stretches:
        if stretch.begins or stretch.entity not in open_:
            open_[stretch.entity] = len(series)
            series.append([])
        series[open_[stretch.entity]].append(stretch.numbers)
        held += len(stretch.numbers)
        if held > 2 * max(_MOST_LEARNED, len(series)):  # twice: so that the copies cost little beside the reading
            series = [[newest] for newest in _newest(series)]
            held = sum(len(newest) for (newest,) in series)
    return _newest(series)


def _newest(series: list[list[Array]]) -> list[Array]:
    most = max(1, _MOST_LEARNED // max(1, len(series)))
    return [np.concatenate(parts)[-most:].copy() for parts in series]


def learned_series(
    model: "Detector", opened: Source | Stream, seed: int, told: Told | None
) -> tuple[SeriesJudge, Scores]:
    """Return a judge that has learned from normal series, and the scores of their points as if each was new."""
    model.adapter_ = fit_adapter(_values(model.timeline_.measurements(opened)))
    model.entities_ = {}
    if model.group is not None:
        model.entities_ = _entity_scales(model, opened)
    dtype = np.float64 if model.entities_ or getattr(model.adapter_, "dtype", None) == np.float64 else None
    series = whole_series(read_series(model, opened, _LONGEST_GAP))
    series = [each if dtype is None else each.astype(dtype) for each in series]
    series = [each if each.dtype.kind == "f" else each.astype(np.float32) for each in series]
    window = window_of(series) if model.window in (None, "auto") else int(model.window)
    long_enough = [each for each in series if len(each) >= 2 * window + 2]
    if not long_enough:
        raise DataError(
            f"the longest series has {max(map(len, series))} samples, and a window of {window} needs at least "
            f"{2 * window + 2}; give longer series or a smaller window="
        )
    if all(np.isnan(each).all() for each in long_enough):
        raise DataError("X holds no value at all, every cell is missing; give at least one column with values")
    spec = series_spec(model, long_enough, model.adapter_.n_categories, window)
    scorer, scores = fit_series(model, long_enough, spec, seed, told)
    return SeriesJudge(spec, scorer), np.concatenate(scores)


def _entity_scales(model: "Detector", opened: Source | Stream) -> dict[str, EntityScale]:
    moments: dict[str, Moments] = {}
    for stretch in read_series(model, opened, _LONGEST_GAP):
        found, known = Moments.of(stretch.numbers), moments.get(stretch.entity)
        moments[stretch.entity] = found if known is None else known.merged(found)
    categories = np.array(model.adapter_.n_categories) > 0
    return {name: EntityScale.of(found, categories) for name, found in moments.items()}


def _values(opened: Source | Stream) -> Any:
    return opened if isinstance(opened, Stream) else opened.values


def series_threshold(calibration: Calibration, rate: float, level: int) -> Threshold:
    """Return the threshold for a share of samples that may be flagged.

    Neighbouring samples tell the same, so only every `level`-th counts. Where these are too few for the rate, the
    threshold is what normal samples never reached, with a margin: a score of 1.
    """
    independent = max(1, len(calibration.scores) // level)
    if rate * (independent + 1) >= 1:
        return calibration.threshold(rate)
    return Threshold(max(1.0, float(calibration.scores[-1])), 1 / (independent + 1), False)


# --- judging -------------------------------------------------------------------------------------------------------


def judged_series(model: "Detector", opened: Source | Stream) -> Iterator[JudgedSamples]:
    """Yield points of opened samples as they become known."""
    runs = SeriesRuns(_judge(model))
    yield from runs.judged(read_series(model, opened, _judge(model).spec.window))
    _warn_of_unjudged(runs)


def _warn_of_unjudged(runs: SeriesRuns) -> None:
    if runs.unjudged:
        warnings.warn(
            f"{runs.unjudged} samples could not be judged and have a score of 0: their series, or what lies between "
            "two long gaps, is shorter than a window",
            RefoldWarning,
            stacklevel=3,
        )


def _judge(model: "Detector") -> SeriesJudge:
    judge = model.judge_
    if not isinstance(judge, SeriesJudge):
        raise ParameterError("this detector was not fitted on series; fit it with window='auto'")
    return judge


def streamed(model: "Detector", samples: Iterable[Any]) -> Iterator[PointScore]:
    """Yield the score of every sample once it is known; see `Detector.stream`."""
    judge = _judge(model)
    runs, reader = SeriesRuns(judge), TimelineReader(model.timeline_, judge.spec.window)
    start = 0
    for sample in samples:
        opened = model._open(_as_records(sample))
        for chunk, numbers in model._encoded(opened):
            times, entities = model.timeline_.times(chunk), model.timeline_.entities(chunk)
            for stretch in reader.stretches(numbers, times, entities, start):
                for part in runs.push(_standardised(model, stretch)):
                    yield from _point_scores(model, part)
            start += chunk.size
    for part in runs.finish():
        yield from _point_scores(model, part)


def _as_records(sample: Any) -> Any:
    if isinstance(sample, Mapping):
        return pa.Table.from_pylist([dict(sample)])
    return np.asarray(sample)[None] if np.ndim(sample) == 1 else sample


def _point_scores(model: "Detector", part: JudgedSamples) -> Iterator[PointScore]:
    p_values = model.p_value_of(part.points.scores)
    for place, score, p_value in zip(part.places, part.points.scores, p_values, strict=True):
        yield PointScore(int(place), float(score), float(p_value), bool(score > model.threshold_), part.entity)


def reasons_of(model: "Detector", part: JudgedSamples) -> list[Explanation]:
    """Return why some samples are as strange as they are."""
    judge, points = _judge(model), part.points
    shares, expected = judge.shares(points.contributions), judge.expected(part.numbers, points.left)
    names, numbers = model._measurement_names(), part.numbers
    if model.entities_:
        scale = model.entities_[part.entity]
        numbers, expected = scale.restored(numbers), scale.restored(expected)
    return explanations(model.adapter_, names, numbers, points.scores, shares, expected, model.threshold_)


def explained_series(model: "Detector", opened: Source | Stream) -> list[Explanation]:
    """Return why each sample is as strange as it is."""
    found: dict[int, Explanation] = {}
    for part in judged_series(model, opened):
        found |= zip(part.places.tolist(), reasons_of(model, part), strict=True)
    return [found[place] for place in range(opened.size)]


# --- events --------------------------------------------------------------------------------------------------------


@dataclass
class _Open:
    """An event that may go on."""

    entity: str
    places: list[int]
    reasons: list[Explanation]


class EventFinder:
    """Joins flagged samples to events as their scores become known.

    Parameters
    ----------
    model : Detector
    """

    def __init__(self, model: "Detector") -> None:
        self._model = model
        self._joined = _judge(model).spec.level
        self._open: dict[str, _Open] = {}
        self._seen: dict[str, int] = {}  # samples of each entity so far
        self._last: dict[str, int] = {}  # which of them was flagged last

    def add(self, part: JudgedSamples) -> Iterator[Event]:
        """Take samples whose scores are known, and yield the events that have ended."""
        if part.begins and part.entity in self._open:  # a long gap lies between
            yield self._ended(part.entity)
        entity, start = part.entity, self._seen.get(part.entity, 0)
        self._seen[entity] = start + len(part.places)
        flagged = np.flatnonzero(part.points.scores > self._model.threshold_)
        strange = np.zeros(len(part.places), dtype=np.bool_)
        strange[flagged] = True
        for place, reason in zip(flagged, reasons_of(self._model, part.at(strange)), strict=True):
            if entity in self._open and start + place - self._last[entity] > self._joined:
                yield self._ended(entity)
            event = self._open.setdefault(entity, _Open(entity, [], []))
            event.places.append(int(part.places[place]))
            event.reasons.append(reason)
            self._last[entity] = int(start + place)
        if entity in self._open and self._seen[entity] - self._last[entity] > self._joined:
            yield self._ended(entity)

    def finish(self) -> Iterator[Event]:
        """Yield the events that were still open."""
        for entity in list(self._open):
            yield self._ended(entity)

    def _ended(self, entity: str) -> Event:
        found = self._open.pop(entity)
        scores = np.array([reason.score for reason in found.reasons])
        strangest = int(np.argmax(scores))
        means: dict[str, float] = {}
        for reason in found.reasons:
            for name, share in reason.shares.items():
                means[name] = means.get(name, 0.0) + share / len(scores)
        largest = sorted(means.items(), key=lambda item: -item[1])[:_CHANNELS]
        return Event(
            start=found.places[0],
            end=found.places[-1],
            peak=found.places[strangest],
            score=float(scores[strangest]),
            p_value=float(self._model.p_value_of([scores[strangest]])[0]),
            channels={name: share for name, share in largest if share >= _LEAST_SHARE},
            sentence=found.reasons[strangest].sentence,
            places=tuple(found.places),
            entity=found.entity,
        )


def found_events(model: "Detector", opened: Source | Stream) -> list[Event]:
    """Return the events among opened samples in the order of their starts."""
    finder = EventFinder(model)
    events = [event for part in judged_series(model, opened) for event in finder.add(part)]
    events += finder.finish()
    return with_times(model, opened, sorted(events, key=lambda event: event.start))


def with_times(model: "Detector", opened: Source | Stream, events: list[Event]) -> list[Event]:
    """Return events with the times at which they start and end."""
    column = model.timeline_.time
    if column is None or not events:
        return events
    wanted = np.unique([place for event in events for place in (event.start, event.end)])
    times: dict[int, Any] = {}
    start = 0
    for chunk in opened.chunks(_MOST_LEARNED):
        inside = wanted[(wanted >= start) & (wanted < start + chunk.size)]
        values = chunk.values[column].take(pa.array(inside - start)).to_pylist()
        times |= zip(inside.tolist(), values, strict=True)
        start += chunk.size
    return [replace(event, start_time=times[event.start], end_time=times[event.end]) for event in events]
