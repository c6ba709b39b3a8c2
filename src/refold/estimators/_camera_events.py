"""Alarms of a camera joined to events."""

from collections.abc import Iterator
from dataclasses import asdict, dataclass, replace
from datetime import datetime
from typing import Any

from refold.estimators._camera_watch import Box, JudgedFrame

_ENDED_AFTER = 10  # frames without an alarm, whether they could be judged or not
_MOST_NAMES = 500  # of frames, the newest, that an event keeps


@dataclass(frozen=True)
class CameraEvent:
    """Alarms that follow each other.

    Parameters
    ----------
    number : int
        From 1 on.
    state : {"begun", "ended"}
    start, end : datetime
        Of the first and the last frame with an alarm.
    score, p_value : float
        Of the strangest frame.
    peak : (x, y)
    box : (left, top, right, bottom)
        Of the strangest frame, in its own pixels.
    frames : tuple of str
        Names of the frames with an alarm.
    """

    number: int
    state: str
    start: datetime
    end: datetime
    score: float
    p_value: float
    peak: tuple[int, int]
    box: Box
    frames: tuple[str, ...]

    @property
    def seconds(self) -> float:
        """How long it has lasted."""
        return (self.end - self.start).total_seconds()

    def to_json(self) -> dict[str, Any]:
        """Return what JSON can hold."""
        plain = {"start": self.start.isoformat(), "end": self.end.isoformat(), "seconds": self.seconds}
        return asdict(self) | plain | {name: list(getattr(self, name)) for name in ("peak", "box", "frames")}

    @classmethod
    def from_json(cls, description: dict[str, Any]) -> "CameraEvent":
        """Rebuild an event from `to_json`."""
        values = {name: value for name, value in description.items() if name != "seconds"}
        values |= {name: datetime.fromisoformat(values[name]) for name in ("start", "end")}
        values |= {name: tuple(values[name]) for name in ("peak", "box", "frames")}
        return cls(**values)


class CameraEvents:
    """Joins the alarms of frames to events, as they come.

    Attributes
    ----------
    open : CameraEvent or None
        The event that goes on.
    number : int
        Of the last event.
    calm : int
        Frames since its last alarm.
    """

    def __init__(self) -> None:
        self.open: CameraEvent | None = None
        self.number = 0
        self.calm = 0

    def push(self, judged: JudgedFrame) -> Iterator[CameraEvent]:
        """Take a judged frame and yield an event that begins or ends with it."""
        if judged.alarm and judged.box is not None and judged.peak is not None:
            self.calm = 0
            if self.open is None:
                self.number += 1
                self.open = _begun(self.number, judged)
                yield self.open
            else:
                self.open = _grown(self.open, judged)
        elif self.open is not None:
            self.calm += 1
            if self.calm >= _ENDED_AFTER:
                yield from self.finish()

    def finish(self) -> Iterator[CameraEvent]:
        """Yield the event that goes on as ended."""
        if self.open is not None:
            yield replace(self.open, state="ended")
        self.open, self.calm = None, 0


def _begun(number: int, judged: JudgedFrame) -> CameraEvent:
    assert judged.score is not None and judged.p_value is not None
    assert judged.peak is not None and judged.box is not None
    return CameraEvent(
        number,
        "begun",
        judged.time,
        judged.time,
        judged.score,
        judged.p_value,
        judged.peak,
        judged.box,
        (judged.name,),
    )


def _grown(event: CameraEvent, judged: JudgedFrame) -> CameraEvent:
    assert judged.score is not None and judged.p_value is not None
    assert judged.peak is not None and judged.box is not None
    grown = replace(event, end=judged.time, frames=(*event.frames, judged.name)[-_MOST_NAMES:])
    if judged.score <= event.score:
        return grown
    return replace(grown, score=judged.score, p_value=judged.p_value, peak=judged.peak, box=judged.box)
