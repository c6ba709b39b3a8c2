"""How samples lie in time: which are of one entity, which follow each other, and where some are missing."""

from collections.abc import Iterator
from contextlib import suppress
from dataclasses import asdict, dataclass, field
from typing import Any

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from refold._errors import DataError, ParameterError
from refold.data import Source, Stream, TableAdapter
from refold.nets import Moments

Array = NDArray[Any]
Times = NDArray[np.float64]

_TIME_KINDS = ("date", "integer", "number")
_EVERYTHING = ""  # the entity of all samples where there is no column of entities


@dataclass(frozen=True)
class Timeline:
    """Which columns of a table tell time and entity, and what is a regular step.

    Parameters
    ----------
    time : str or None
        Column of times; None where samples follow each other regularly.
    group : str or None
        Column of entities (machines, sensors), each with a series of its own.
    step : float or None
        Usual time between samples: in days for dates, else in the column's own unit.
    """

    time: str | None = None
    group: str | None = None
    step: float | None = None

    def to_json(self) -> dict[str, Any]:
        """Return a description that JSON can hold."""
        return asdict(self)

    @property
    def columns(self) -> tuple[str, ...]:
        """The columns that are no measurements."""
        return tuple(name for name in (self.time, self.group) if name is not None)

    def measurements(self, opened: Source | Stream) -> Source | Stream:
        """Return the data without the columns of time and entity.

        Raises
        ------
        ParameterError
            If such a column is named and the data are no table.
        DataError
            If there is no such column, or no other one.
        """
        if not self.columns:
            return opened
        table = _table_of(opened)
        if not isinstance(table, pa.Table):
            raise ParameterError("time and group name columns of a table, and the data are an array; give a table")
        for name in self.columns:
            _check_has(table, name)
        rest = [name for name in table.column_names if name not in self.columns]
        if not rest:
            raise DataError("the table holds nothing but time and group; give at least one column of measurements")
        return opened.select(rest)

    def times(self, source: Source) -> Times | None:
        """Return the times of samples; None where there is no column of them."""
        return None if self.time is None else times_of(source.values, self.time)

    def entities(self, source: Source) -> list[str] | None:
        """Return the entity of each sample; None where there is no column of them."""
        if self.group is None:
            return None
        _check_has(source.values, self.group)
        return [str(value) for value in source.values[self.group].to_pylist()]


def _table_of(opened: Source | Stream) -> Any:
    return opened.values if isinstance(opened, Source) else opened.head


def _check_has(table: pa.Table, name: str) -> None:
    if name not in table.column_names:
        raise DataError(f"the table has no column {name!r}; its columns are {', '.join(table.column_names[:12])}")


def times_of(table: pa.Table, name: str) -> Times:
    """Return a column of times as numbers (n,).

    Raises
    ------
    DataError
        If the column is absent, holds something else, or a time is missing.
    """
    _check_has(table, name)
    column = pa.table({name: _read(table[name], name)})
    adapter = TableAdapter.fit(column)
    if adapter.columns[0].kind not in _TIME_KINDS:
        raise DataError(
            f"the column of times {name!r} holds {adapter.columns[0].type}; give dates with times, or numbers"
        )
    times: Times = adapter.encode(column)[:, 0].astype(np.float64)
    if np.isnan(times).any():
        raise DataError(f"{name!r} lacks the time of sample {int(np.flatnonzero(np.isnan(times))[0])}; fill it in")
    return times


def _read(values: pa.ChunkedArray, name: str) -> pa.ChunkedArray:
    """Return times that are written out as a CSV file would have given them; all else is left as it is.

    Raises
    ------
    DataError
        If a text is no time.
    """
    if not (pa.types.is_string(values.type) or pa.types.is_large_string(values.type)):
        return values
    times = _times_in(values)
    if times is not None:
        return times
    for text in values.to_pylist():
        if _times_in(pa.chunked_array([[text]])) is None:
            raise DataError(
                f"the column of times {name!r} holds {text[:40]!r}; write times as 2026-01-31T12:00:00, or give "
                "dates with times, or numbers"
            )
    raise DataError(f"only some of the times in {name!r} tell their zone; let all do so, or none")


def _times_in(texts: pa.ChunkedArray) -> pa.ChunkedArray | None:
    for zone in (None, "UTC"):  # Arrow reads texts with a zone only for a type with one
        with suppress(pa.ArrowInvalid):
            return texts.cast(pa.timestamp("ns", tz=zone))
    return None


@dataclass(frozen=True)
class EntityScale:
    """What is usual for one entity: a machine that runs hotter than the others is no event.

    Parameters
    ----------
    center, spread : tuple of float
        Of every column; 0 and 1 for categories.
    """

    center: tuple[float, ...]
    spread: tuple[float, ...]

    @classmethod
    def of(cls, moments: Moments, categories: NDArray[np.bool_]) -> "EntityScale":
        """Return the scale of samples with these moments; some columns are categories."""
        spread = np.sqrt(moments.squares / np.maximum(moments.count, 1))
        center = np.where(categories, 0.0, moments.mean)
        return cls(tuple(center.tolist()), tuple(np.where(~categories & (spread > 0), spread, 1.0).tolist()))

    def standardised(self, numbers: Array) -> Array:
        """Return samples (n, columns) in parts of what is usual."""
        return np.asarray((numbers.astype(np.float64) - self.center) / self.spread)

    def restored(self, numbers: Array) -> Array:
        """Return samples in their own units."""
        return np.asarray(numbers.astype(np.float64) * self.spread + self.center)


@dataclass(frozen=True)
class Stretch:
    """Samples of one entity that follow each other.

    Parameters
    ----------
    entity : str
    numbers : ndarray of shape (n, columns)
        With NaN where samples are missing.
    places : ndarray of shape (n,), int
        Of each sample among all; -1 for those that are missing.
    begins : bool
        Whether it is no continuation of what came before of this entity.
    """

    entity: str
    numbers: Array
    places: NDArray[np.intp]
    begins: bool


@dataclass
class TimelineReader:
    """Cuts samples into stretches, part by part.

    Parameters
    ----------
    timeline : Timeline
    longest_gap : int
        Missing samples up to this many are filled in as missing; after more a series begins anew.
    """

    timeline: Timeline
    longest_gap: int
    _last: dict[str, float] = field(default_factory=dict)
    _known: set[str] = field(default_factory=set)

    def stretches(
        self, numbers: Array, times: Times | None, entities: list[str] | None, start: int
    ) -> Iterator[Stretch]:
        """Yield the stretches of some samples, of which the first has the place `start` among all.

        Raises
        ------
        DataError
            If time goes backwards.
        """
        places = np.arange(start, start + len(numbers))
        if entities is None:
            yield from self._of_entity(_EVERYTHING, numbers, times, places)
            return
        names, owners = np.unique(np.asarray(entities, dtype=np.str_), return_inverse=True)
        for place, name in enumerate(names):
            own = np.flatnonzero(owners == place)
            yield from self._of_entity(str(name), numbers[own], None if times is None else times[own], places[own])

    def _of_entity(
        self, entity: str, numbers: Array, times: Times | None, places: NDArray[np.intp]
    ) -> Iterator[Stretch]:
        if not len(numbers):
            return
        if times is None:
            yield Stretch(entity, numbers, places, self._begins(entity))
            return
        lacking = self._lacking(entity, times, places)
        for part in np.split(np.arange(len(numbers)), np.flatnonzero(lacking[1:] > self.longest_gap) + 1):
            yield self._filled(entity, numbers[part], places[part], lacking[part])
        self._last[entity] = float(times[-1])

    def _begins(self, entity: str) -> bool:
        new = entity not in self._known
        self._known.add(entity)
        return new

    def _lacking(self, entity: str, times: Times, places: NDArray[np.intp]) -> NDArray[np.intp]:
        """Return how many samples are missing before each."""
        before = self._last.get(entity, times[0] - float(self.timeline.step or 0))
        steps = np.diff(times, prepend=before)
        if (steps < 0).any():
            place = int(places[np.flatnonzero(steps < 0)[0]])
            name = f" of {entity!r}" if entity else ""
            raise DataError(
                f"the time in {self.timeline.time!r}{name} goes backwards at sample {place}; sort the samples"
                + ("" if entity else ", or name the column of entities (group=)")
            )
        if self.timeline.step is None:  # every time occurs once: there is no usual step
            return np.zeros(len(steps), dtype=np.intp)
        lacking: NDArray[np.intp] = np.maximum(np.rint(steps / self.timeline.step) - 1, 0).astype(np.intp)
        return lacking

    def _filled(self, entity: str, numbers: Array, places: NDArray[np.intp], lacking: NDArray[np.intp]) -> Stretch:
        """Return a stretch with its missing samples; those before the first one are left out after a long gap."""
        begins = self._begins(entity) or bool(lacking[0] > self.longest_gap)
        counts = lacking.copy()
        counts[0] = 0 if begins else counts[0]
        targets = np.arange(len(numbers)) + np.cumsum(counts)
        size = int(targets[-1]) + 1
        if size == len(numbers):
            return Stretch(entity, numbers, places, begins)
        whole = np.full((size, numbers.shape[1]), np.nan, np.result_type(numbers.dtype, np.float32))
        all_places = np.full(size, -1, np.intp)
        whole[targets], all_places[targets] = numbers, places
        return Stretch(entity, whole, all_places, begins)


def usual_step(times: Times, entities: list[str] | None) -> float | None:
    """Return the median of the steps between samples of one entity; None where there is none above 0."""
    if entities is None:
        steps = np.diff(times)
    else:
        order = np.argsort(np.asarray(entities, dtype=np.str_), kind="stable")
        owners = np.asarray(entities, dtype=np.str_)[order]
        steps = np.diff(times[order])[owners[1:] == owners[:-1]]
    steps = steps[steps > 0]
    return float(np.median(steps)) if len(steps) else None
