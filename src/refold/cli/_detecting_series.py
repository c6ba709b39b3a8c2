"""What `refold detect` does with series: all scores first, since later samples judge earlier ones, then the table."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from refold.cli._commands import column_of
from refold.cli._talk import working_progress
from refold.data import Source, Stream
from refold.estimators import Detector, Event, EventFinder, judged_series, reasons_of, with_times

_ROWS_AT_ONCE = 1 << 15
_IN_TABLE = 100


@dataclass
class SeriesFound:
    """What was found in series.

    Parameters
    ----------
    scores : ndarray of shape (n,)
    reasons : dict of int to str
        Of flagged samples, by their places.
    events : list of Event
    """

    scores: NDArray[np.float64]
    reasons: dict[int, str] = field(default_factory=dict)
    events: list[Event] = field(default_factory=list)

    @property
    def numbers(self) -> NDArray[np.float64]:
        """The number of the event that each sample belongs to, from 1 on; NaN for the others."""
        numbers = np.full(len(self.scores), np.nan)
        for number, event in enumerate(self.events, start=1):
            numbers[list(event.places)] = number
        return numbers


def judge_series(model: Detector, opened: Source | Stream, quiet: bool) -> SeriesFound:
    """Score all samples, with reasons for flagged ones, and join these to events."""
    found, finder = SeriesFound(np.zeros(opened.size)), EventFinder(model)
    with working_progress(opened.size, quiet) as progress:
        for part in judged_series(model, opened):
            found.scores[part.places] = part.points.scores
            strange = part.at(part.points.scores > model.threshold_)
            sentences = [reason.sentence for reason in reasons_of(model, strange)]
            found.reasons |= zip(strange.places.tolist(), sentences, strict=True)
            found.events += finder.add(part)
            progress(len(part.places))
    found.events += finder.finish()
    found.events = with_times(model, opened, sorted(found.events, key=lambda event: event.start))
    return found


def series_tables(
    model: Detector, opened: Source | Stream, found: SeriesFound, keep: Sequence[str]
) -> Iterator[pa.Table]:
    """Yield the table of what was found, part by part."""
    numbers, start = found.numbers, 0
    columns_kept = list(dict.fromkeys([*model.timeline_.columns, *keep]))
    for chunk in opened.chunks(_ROWS_AT_ONCE):
        part = slice(start, start + chunk.size)
        scores = found.scores[part]
        columns: dict[str, Any] = {name: column_of(chunk, name) for name in columns_kept}
        reasons = [found.reasons.get(place, "") for place in range(start, start + chunk.size)]
        columns |= {"score": scores, "p_value": model.p_value_of(scores), "flagged": scores > model.threshold_}
        columns |= {"event": pa.array(numbers[part], pa.int64(), from_pandas=True), "reason": reasons}
        yield pa.table(columns)
        start += chunk.size


def events_as_json(events: Sequence[Event]) -> list[dict[str, Any]]:
    """Return events as JSON has them."""
    return [
        {
            "start": event.start,
            "end": event.end,
            "peak": event.peak,
            "start_time": None if event.start_time is None else str(event.start_time),
            "end_time": None if event.end_time is None else str(event.end_time),
            "entity": event.entity,
            "score": event.score,
            "p_value": event.p_value,
            "channels": event.channels,
            "reason": event.sentence,
        }
        for event in events
    ]


def event_rows(events: Sequence[Event]) -> list[list[object]]:
    """Return the rows of the table of events, the strongest first."""
    ordered = sorted(events, key=lambda event: -event.score)[:_IN_TABLE]
    return [
        [
            _when(event.start, event.start_time),
            _when(event.end, event.end_time),
            *([event.entity] if event.entity else []),
            event.score,
            event.p_value,
            ", ".join(f"{name} {share:.0%}" for name, share in event.channels.items()),
            event.sentence,
        ]
        for event in ordered
    ]


def _when(place: int, moment: object) -> str:
    return f"sample {place}" if moment is None else str(moment)
