"""Judging series: runs of every entity, points in the order of the samples, and what is known of them."""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from refold._errors import ParameterError
from refold.estimators._timeline import Stretch
from refold.nets import ColumnScaling
from refold.scores import Points, SeriesRun, SeriesScorer, SeriesSpec
from refold.train import apply_in_blocks

Array = NDArray[Any]
Scores = NDArray[np.float64]

_SAMPLES_AT_ONCE = 1 << 14
_BLOCK = 32  # windows: a sample that arrives alone waits for as many


class SeriesJudge:
    """Judges samples in time.

    Parameters
    ----------
    spec : SeriesSpec
    module : SeriesScorer
    """

    kind = "series"

    def __init__(self, spec: SeriesSpec, module: SeriesScorer) -> None:
        self.spec = spec
        self.module = module

    @property
    def delay(self) -> int:
        """Samples after a point until its score is known."""
        return max(self.module.sizes) - 1

    def scores(self, chunk: Any) -> Scores:
        """Return the scores of one whole series (n, columns)."""
        stretch = Stretch("", chunk, np.arange(len(chunk)), True)
        return assembled(SeriesRuns(self).judged([stretch]), len(chunk))

    def scorer(self) -> Any:
        """Refuse: a sample alone says nothing.

        Raises
        ------
        ParameterError
        """
        raise ParameterError("scorer is for single records, and this detector was fitted on series; use stream")

    def run(self) -> SeriesRun:
        """Return a run of one series, at its beginning."""
        return SeriesRun(self.module, self._apply)

    def _apply(self, function: Any, chunk: Array) -> Array:
        work = self.module.rebuilding.ensemble.operations if chunk.ndim == 3 else 0
        return apply_in_blocks(function, chunk, self.module.reference.device, work, _BLOCK)

    def shares(self, contributions: Array) -> Array:
        """Return the shares of columns (n, columns) from contributions of features (n, features)."""
        scaling = self.module.rebuilding.scaling
        values = torch.from_numpy(contributions)
        by_column = scaling.by_column(values) if isinstance(scaling, ColumnScaling) else values
        shares: Array = (by_column / by_column.sum(1, keepdim=True).clamp(min=1e-12)).numpy()
        return shares

    def expected(self, numbers: Array, left: Array) -> Array:
        """Return the raw values expected instead of samples (n, columns), from what is left over of them."""
        scaling = self.module.rebuilding.scaling
        with torch.no_grad():
            raw = torch.from_numpy(np.ascontiguousarray(numbers)).to(self.module.reference.device)
            features = scaling.features(raw).double() - torch.from_numpy(left).to(raw.device)
            expected: Array = scaling.restore(features.float()).cpu().numpy()
        return expected


@dataclass(frozen=True)
class JudgedSamples:
    """Points of one entity that are known, with the samples' places among all.

    Parameters
    ----------
    entity : str
    places : ndarray of shape (n,), int
    numbers : ndarray of shape (n, columns)
        The samples, encoded.
    points : Points
    begins : bool, default=False
        Whether they are the first of their entity, or the first after a long gap.
    """

    entity: str
    places: NDArray[np.intp]
    numbers: Array
    points: Points
    begins: bool = False

    def at(self, chosen: NDArray[np.bool_]) -> "JudgedSamples":
        """Return some of them."""
        points = Points(self.points.scores[chosen], self.points.contributions[chosen], self.points.left[chosen])
        return JudgedSamples(self.entity, self.places[chosen], self.numbers[chosen], points, self.begins)


class SeriesRuns:
    """Runs of several entities side by side.

    Parameters
    ----------
    judge : SeriesJudge
    """

    def __init__(self, judge: SeriesJudge) -> None:
        self._judge = judge
        self._runs: dict[str, SeriesRun] = {}
        self._waiting: dict[str, tuple[NDArray[np.intp], Array]] = {}  # samples whose points are not known yet
        self._begun: set[str] = set()  # entities of which no point is known since they began
        self.unjudged = 0  # samples of series shorter than a window

    def push(self, stretch: Stretch) -> Iterator[JudgedSamples]:
        """Take samples and yield the points that are known by now."""
        run = self._runs.get(stretch.entity)
        if run is None:
            run = self._runs[stretch.entity] = self._judge.run()
            self._waiting[stretch.entity] = stretch.places[:0], stretch.numbers[:0]
        elif stretch.begins:
            yield from self._finished(stretch.entity, run)
        if stretch.begins:
            self._begun.add(stretch.entity)
        for start in range(0, len(stretch.numbers), _SAMPLES_AT_ONCE):
            part = slice(start, start + _SAMPLES_AT_ONCE)
            places, numbers = self._waiting[stretch.entity]
            self._waiting[stretch.entity] = (
                np.concatenate([places, stretch.places[part]]),
                np.concatenate([numbers, stretch.numbers[part]]),
            )
            yield from self._known(stretch.entity, run.push(stretch.numbers[part]))

    def finish(self) -> Iterator[JudgedSamples]:
        """Yield the points that are left of all entities."""
        for entity, run in self._runs.items():
            yield from self._finished(entity, run)

    def _finished(self, entity: str, run: SeriesRun) -> Iterator[JudgedSamples]:
        if run.too_short:
            self.unjudged += int((self._waiting[entity][0] >= 0).sum())
        yield from self._known(entity, run.finish())

    def judged(self, stretches: Iterable[Stretch]) -> Iterator[JudgedSamples]:
        """Yield all points of some stretches to their end."""
        for stretch in stretches:
            yield from self.push(stretch)
        yield from self.finish()

    def _known(self, entity: str, points: Points) -> Iterator[JudgedSamples]:
        if not points.size:
            return
        places, numbers = self._waiting[entity]
        self._waiting[entity] = places[points.size :].copy(), numbers[points.size :].copy()
        begins = entity in self._begun
        self._begun.discard(entity)
        known = JudgedSamples(entity, places[: points.size], numbers[: points.size], points, begins)
        known = known.at(known.places >= 0)
        if len(known.places):
            yield known


def assembled(judged: Iterable[JudgedSamples], count: int) -> Scores:
    """Return the scores of all samples in their order."""
    scores = np.zeros(count)
    for part in judged:
        scores[part.places] = part.points.scores
    return scores
