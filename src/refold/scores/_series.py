"""What autoencoders leave over of windows in time: its level against a drifting reference, its shape, its peaks."""

from dataclasses import dataclass, replace
from math import exp, prod
from typing import Any, Self

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from refold._errors import ParameterError
from refold.nets import Scale, SequenceEnsemble
from refold.scores._rebuilding import Rebuilding, RebuildingSpec

Floats = NDArray[np.float64]

_FOLLOWED_IN, _FORGOTTEN_IN = 5.0, 50.0  # levels: how fast the reference follows, and an excursion is forgotten
_REFUSED = 2.0  # deviations beyond which the reference does not follow
_RINGING = 0.2  # of the largest deviation lately counts as the usual one: the swing back is no second event
_EXTREME = 3.0  # deviations from which on an excursion counts as one that may ring
_SHRINKAGE = 0.1
_GUESSES = 3
PARTS = ("level", "shape", "peak", "silence")
_MARGINS = (1.1, 1.5, 1.5)  # of the highest score in training: what is seen there once may come a little stronger
_SILENT = 2.0  # score of a feature that falls silent and never did in training
_SMALLEST, _SMALLEST_SPREAD = 1e-9, 1e-6
_QUIETEST, _MOST_WANDERING = 1e-2, 1e4


@dataclass(frozen=True, kw_only=True)
class SeriesSpec(RebuildingSpec):
    """What decides the shape of a scorer of series, beside what decides that of its rebuilding.

    Parameters
    ----------
    window : int
        Samples that the network sees at once.
    level : int
        Samples over which what is left over is averaged, at most `window`.
    """

    window: int
    level: int

    @property
    def sizes(self) -> tuple[int, ...]:
        """All that a file must not make huge."""
        return *super().sizes, self.window, self.level

    @classmethod
    def from_json(cls, description: dict[str, Any]) -> Self:
        """Rebuild a specification; see `RebuildingSpec.from_json`."""
        spec = super().from_json(description)
        if not 1 <= spec.level <= spec.window:
            raise ParameterError("the level of a scorer of series is at least 1 and at most its window")
        return spec

    def build(self, scale: Scale | None = None) -> "SeriesScorer":
        """Return a scorer that has learned nothing yet."""
        scaling = self.scaling(scale)
        network = SequenceEnsemble(self.ensemble, self.window, prod(scaling.input_shape), prod(scaling.feature_shape))
        rebuilding = Rebuilding(scaling, network, True, torch.zeros(len(scaling.categories)))
        return SeriesScorer(rebuilding, self.window, self.level)


@dataclass(frozen=True)
class Summary:
    """What is left over of windows, in short.

    Parameters
    ----------
    level : ndarray of shape (n, features)
        Mean of seen minus rebuilt over the last `level` samples; 0 where nothing was seen.
    level_seen : ndarray of shape (n, features), bool
        Whether anything was.
    variance : ndarray of shape (n, features)
        Of what is left over, about its mean in the window.
    last : ndarray of shape (n, features)
        What is left over of the last sample.
    peak : ndarray of shape (n, features)
        The same minus the level.
    """

    level: Floats
    level_seen: NDArray[np.bool_]
    variance: Floats
    last: Floats
    peak: Floats

    @classmethod
    def of(cls, summaries: Tensor) -> "Summary":
        """Return what `SeriesScorer.summary` returns (n, 4 * features), as arrays."""
        level, seen, variance, last = np.split(summaries.detach().cpu().double().numpy(), 4, axis=1)
        return cls(level, seen > 0.5, variance, last, last - level)


@dataclass(frozen=True)
class Judged:
    """Scores of stretches in time.

    Parameters
    ----------
    scores : ndarray of shape (n,)
    contributions : ndarray of shape (n, features)
        Of the features, not negative.
    left : ndarray of shape (n, features)
        Features minus what is expected of them.
    """

    scores: Floats
    contributions: Floats
    left: Floats

    def __getitem__(self, part: slice) -> "Judged":
        return Judged(self.scores[part], self.contributions[part], self.left[part])

    @classmethod
    def joined(cls, first: "Judged", second: "Judged") -> "Judged":
        """Return the one and then the other."""
        return cls(
            np.concatenate([first.scores, second.scores]),
            np.concatenate([first.contributions, second.contributions]),
            np.concatenate([first.left, second.left]),
        )


@dataclass(frozen=True)
class Standing:
    """Where a series stands: what a run carries from one sample to the next.

    Parameters
    ----------
    reference, excursion : ndarray of shape (features,)
    """

    reference: Floats
    excursion: Floats


class SeriesScorer(nn.Module):
    """From raw samples in time to what is left over of them, and from that to scores.

    The network rebuilds windows. Four things are judged. Of what it leaves over: its level over some samples, against
    a reference that follows slow drift and refuses to follow what is strange; its shape, the variance about the mean
    of the window; its peaks, single samples beside the level. And silence: a feature without any value over a level,
    where training had none. Features that wander by themselves (temperatures) count less than those that return at
    once.

    Parameters
    ----------
    rebuilding : Rebuilding
        Of one sample; its ensemble is one of windows.
    window, level : int
    """

    reference: Tensor
    lowest: Tensor
    highest: Tensor
    excursion: Tensor
    refusal: Tensor
    precision: Tensor
    extreme: Tensor
    variance: Tensor
    peak: Tensor
    speaking: Tensor
    steadiness: Tensor
    limits: Tensor

    def __init__(self, rebuilding: Rebuilding, window: int, level: int) -> None:
        super().__init__()
        self.rebuilding = rebuilding
        self.window, self.level = window, level
        size = rebuilding.features
        for name in ("reference", "lowest", "highest", "excursion"):
            self.register_buffer(name, torch.zeros(size, dtype=torch.float64))
        for name in ("refusal", "extreme", "variance", "peak", "speaking", "steadiness"):
            self.register_buffer(name, torch.ones(size, dtype=torch.float64))
        self.register_buffer("precision", torch.eye(size, dtype=torch.float64))
        self.register_buffer("limits", torch.ones(len(PARTS), dtype=torch.float64))

    # --- what is left over -----------------------------------------------------------------------------------------

    def rows(self, raw: Tensor) -> Tensor:
        """Return what is needed of raw samples (n, columns): features, flags and what was seen, side by side."""
        features, seen = self.rebuilding.features_of(raw), self.rebuilding.scaling.seen(raw)
        known = torch.ones_like(features)
        if seen is not None:
            known = self.rebuilding.scaling.spread_over_features(seen).to(features.dtype)
        return torch.cat([self.rebuilding.scaling.inputs_of(features, raw), known], dim=1)

    def split(self, windows: Tensor, drift: Tensor | None = None) -> tuple[Tensor, Tensor, Tensor]:
        """Return inputs (B, all), features and seen (B, window, features) of windows of `rows`."""
        size = self.rebuilding.features
        features, flags, seen = torch.split(windows, [size, windows.shape[2] - 2 * size, size], dim=2)
        values = features if drift is None else (features - drift) * seen
        inputs = torch.cat([self.rebuilding.bounded(values).flatten(1), flags.flatten(1)], dim=1)
        return inputs, features, seen

    def left_over(self, windows: Tensor, drift: Tensor | None = None, weights: Tensor | None = None) -> Tensor:
        """Return features minus what the members rebuild, and what was seen, (B, window, 2 * features).

        Parameters
        ----------
        windows : Tensor of shape (B, window, values of `rows`)
        drift : Tensor of shape (features,), optional
            Taken off before the network looks; it is a part of what is left over.
        weights : Tensor of shape (members, B), optional
            Of the members; None stands for their mean.
        """
        inputs, features, seen = self.split(windows, drift)
        rebuilt = self._rebuilt(inputs, weights)
        if not bool(seen.all()):
            known = seen.flatten(1) > 0
            values, flags = inputs[:, : known.shape[1]], inputs[:, known.shape[1] :]
            for _ in range(_GUESSES):  # the network's own guess stands in for what is missing, made better
                filled = torch.where(known, values, rebuilt)
                rebuilt = self._rebuilt(torch.cat([filled, flags], dim=1), weights)
        return torch.cat([(features - rebuilt.view_as(features)) * seen, seen], dim=2)

    def _rebuilt(self, inputs: Tensor, weights: Tensor | None) -> Tensor:
        outputs: Tensor = self.rebuilding.ensemble(inputs)
        return outputs.mean(0) if weights is None else (outputs * weights.unsqueeze(2)).sum(0)

    def summary(self, windows: Tensor, drift: Tensor | None = None) -> Tensor:
        """Return `Summary` of windows (B, window, values of `rows`) as one tensor (B, 4 * features)."""
        return self.summarised(self.left_over(windows, drift))

    def summarised(self, left: Tensor) -> Tensor:
        """Return `Summary` of what is left over (B, window, 2 * features) as one tensor (B, 4 * features)."""
        size = self.rebuilding.features
        values, seen = left[..., :size], left[..., size:]
        level, level_seen = _mean(values[:, -self.level :], seen[:, -self.level :])
        middle, any_seen = _mean(values, seen)
        variance, _ = _mean((values - middle.unsqueeze(1)).square(), seen)
        return torch.cat([level, level_seen, variance * any_seen, values[:, -1]], dim=1)

    def first_summaries(self, left: Tensor) -> Tensor:
        """Return summaries of the stretches in the first window that end before it does, (window - 1, ...).

        Parameters
        ----------
        left : Tensor of shape (window, 2 * features)
            What is left over of the first window. A stretch of fewer samples than a level is averaged over those.
        """
        parts = [left[max(0, end - self.level) : end].unsqueeze(0) for end in range(1, self.window)]
        return torch.cat([self.summarised(part) for part in parts]) if parts else left[:0].repeat(1, 2)

    # --- from what is left over to scores --------------------------------------------------------------------------

    @property
    def sizes(self) -> tuple[int, ...]:
        """Samples of the stretches that the parts judge."""
        return self.level, self.window, 1, self.level

    @property
    def following(self) -> float:
        """Share of a deviation that the reference takes over in one sample."""
        return 1 / (_FOLLOWED_IN * self.level)

    @property
    def standing(self) -> Standing:
        """Where the normal series stood at their ends."""
        return Standing(array_of(self.reference).copy(), array_of(self.excursion).copy())

    def drift_of(self, reference: Floats) -> Floats:
        """Return how far a reference (features,) lies outside of where it was in training; 0 for categories."""
        drift = reference - np.clip(reference, array_of(self.lowest), array_of(self.highest))
        drift[self.rebuilding.numbers :] = 0
        return drift

    def judged(self, summary: Summary, first: bool, standing: Standing) -> tuple[list[Judged], Standing]:
        """Return what each part says of the stretches that end in some samples, and where the series stands then.

        Parameters
        ----------
        summary : Summary
            Of one stretch for each sample.
        first : bool
            Whether the first sample is the first of the series; stretches that would begin before it are left out.
        standing : Standing
            Before them.
        """
        skipped = (self.level - 1, self.window - 1) if first else (0, 0)
        level, seen = summary.level[skipped[0] :], summary.level_seen[skipped[0] :]
        strayed, way = follow(level, seen, standing.reference, self.following, array_of(self.refusal))
        relative, excursion = self._damped(strayed, standing.excursion)
        parts = [
            Judged(*self._level_score(relative), strayed),
            Judged(*self._shape_score(summary.variance[skipped[1] :]), summary.last[skipped[1] :]),
            Judged(*self._peak_score(summary.peak), summary.peak),
            Judged(*self._silence_score(seen), np.zeros_like(strayed)),
        ]
        limits = array_of(self.limits)
        found = [replace(part, scores=part.scores / limit) for part, limit in zip(parts, limits, strict=True)]
        return found, Standing(way[-1], excursion)

    def _damped(self, strayed: Floats, excursion: Floats) -> tuple[Floats, Floats]:
        """Return deviations made smaller after a large one, which rings, and the excursion left at the end."""
        extreme, keep = array_of(self.extreme), exp(-1 / (_FORGOTTEN_IN * self.level))
        relative = np.empty_like(strayed)
        for place, deviation in enumerate(strayed):
            relative[place] = deviation / np.maximum(1, _RINGING * excursion / extreme)
            excursion = np.maximum(excursion * keep, np.abs(deviation))
        return relative, excursion

    def _level_score(self, relative: Floats) -> tuple[Floats, Floats]:
        # einsum, and no library's product: a row gets the same numbers alone or among others
        parts = np.einsum("ij,jk->ik", relative, array_of(self.precision)) * relative
        return np.sqrt(np.maximum(parts.sum(1), 0) / relative.shape[1]), np.maximum(parts, 0)

    def _shape_score(self, variance: Floats) -> tuple[Floats, Floats]:
        parts = variance / array_of(self.variance) * array_of(self.steadiness)
        return np.sqrt(parts.sum(1)), parts

    def _peak_score(self, peak: Floats) -> tuple[Floats, Floats]:
        parts = peak**2 / array_of(self.peak)
        return np.sqrt(parts.max(1)), parts

    def _silence_score(self, seen: NDArray[np.bool_]) -> tuple[Floats, Floats]:
        parts = ~seen * array_of(self.speaking)
        return _SILENT * parts.max(1), parts

    # --- learning --------------------------------------------------------------------------------------------------

    def learn(self, summaries: list[Summary]) -> list[Floats]:
        """Learn what is usual from normal series, each seen by members that have not learned from it.

        Parameters
        ----------
        summaries : list of Summary
            Of one stretch for every sample of each series.

        Returns
        -------
        scores : list of ndarray of shape (n - level,)
            Of the points of each series but the first `level`, by which the reference starts.
        """
        wandering = np.mean([wandering_of(each.last) for each in summaries], axis=0)
        wandering = (1 + wandering) / (1 + wandering.min()) - 1
        self._learn_shape(summaries, wandering)
        starts = [each.level[self.level - 1 : 2 * self.level - 1].mean(0) for each in summaries]
        self._learn_level(summaries, starts, wandering)
        found, ends = [], []
        for each, start in zip(summaries, starts, strict=True):
            parts, end = self.judged(each, True, Standing(start, np.zeros_like(start)))
            found.append(self._points(parts))
            ends.append(end)
        self.reference.copy_(torch.from_numpy(np.mean([end.reference for end in ends], axis=0)))
        self.excursion.copy_(torch.from_numpy(np.mean([end.excursion for end in ends], axis=0)))
        highest = np.max([np.max(points, axis=1) for points in found if points.size], axis=0)
        limits = np.maximum(highest, _SMALLEST) * np.array([*_MARGINS, 1.0])
        limits[PARTS.index("silence")] = 1.0
        self.limits.copy_(torch.from_numpy(limits))
        return [np.max(points / limits[:, None], axis=0) for points in found]

    def _points(self, parts: list[Judged]) -> Floats:
        """Return the scores (parts, n - level) of the points of a series but the first ones."""
        each = [point_scores(part.scores, size) for part, size in zip(parts, self.sizes, strict=True)]
        return np.stack([points[self.level :] for points in each])

    def _learn_shape(self, summaries: list[Summary], wandering: Floats) -> None:
        variance = np.concatenate([each.variance[self.window - 1 :] for each in summaries]).mean(0)
        peak = np.concatenate([each.peak for each in summaries])
        heard = np.concatenate([each.level_seen[self.level - 1 :] for each in summaries]).all(0)
        self.speaking.copy_(torch.from_numpy(heard.astype(np.float64)))
        steadiness = 1 / np.sqrt(1 + wandering)
        self.variance.copy_(torch.from_numpy(variance + _SMALLEST_SPREAD**2))
        self.peak.copy_(torch.from_numpy(np.mean(peak**2, axis=0) + _SMALLEST_SPREAD**2))
        self.steadiness.copy_(torch.from_numpy(steadiness / steadiness.sum()))

    def _learn_level(self, summaries: list[Summary], starts: list[Floats], wandering: Floats) -> None:
        unlimited = np.full_like(wandering, 1e9)
        loose = self._settled(summaries, starts, unlimited)
        refusal = _REFUSED * (np.sqrt(np.mean(loose**2, axis=0)) + _SMALLEST_SPREAD) * np.sqrt(1 + wandering)
        strayed = self._settled(summaries, starts, refusal)
        ways = np.concatenate([self._followed(*pair, refusal)[1] for pair in zip(summaries, starts, strict=True)])
        self.lowest.copy_(torch.from_numpy(ways.min(0) - refusal))
        self.highest.copy_(torch.from_numpy(ways.max(0) + refusal))
        covariance = strayed.T @ strayed / len(strayed)
        variances = np.diag(covariance)
        wide = (1 - _SHRINKAGE) * covariance + np.diag(_SHRINKAGE * variances + variances * wandering)
        wide += _SMALLEST * np.eye(len(wide))
        self.refusal.copy_(torch.from_numpy(refusal))
        self.precision.copy_(torch.from_numpy(np.linalg.inv(wide)))
        self.extreme.copy_(torch.from_numpy(_EXTREME * np.sqrt(np.diag(wide))))

    def _settled(self, summaries: list[Summary], starts: list[Floats], refusal: Floats) -> Floats:
        """Return how far the levels of all series stray, without the first ones of each if others are left."""
        found = []
        for each, start in zip(summaries, starts, strict=True):
            strayed, _ = self._followed(each, start, refusal)
            found.append(strayed[self.level :] if len(strayed) > self.level else strayed)
        return np.concatenate(found)

    def _followed(self, summary: Summary, start: Floats, refusal: Floats) -> tuple[Floats, Floats]:
        level, seen = summary.level[self.level - 1 :], summary.level_seen[self.level - 1 :]
        return follow(level, seen, start, self.following, refusal)


def _mean(values: Tensor, seen: Tensor) -> tuple[Tensor, Tensor]:
    """Return the mean of values (B, samples, features) over the samples that were seen, and whether any was."""
    count = seen.sum(1)
    return (values * seen).sum(1) / count.clamp(min=1), (count > 0).to(values.dtype)


def array_of(values: Tensor) -> Floats:
    """Return numbers of the scorer as an array."""
    array: Floats = values.detach().cpu().numpy()
    return array


def follow(
    levels: Floats, seen: NDArray[np.bool_], reference: Floats, share: float, refusal: Floats
) -> tuple[Floats, Floats]:
    """Return how far levels (n, features) stray from a reference that follows them, and its way (n + 1, features).

    Parameters
    ----------
    levels : ndarray of shape (n, features)
    seen : ndarray of shape (n, features), bool
    reference : ndarray of shape (features,)
        At the start.
    share : float
        Of a deviation that the reference takes over each time.
    refusal : ndarray of shape (features,)
        It follows deviations up to this wholly, beyond twice of it not at all.
    """
    strayed = np.where(seen, levels, np.nan)
    way = np.concatenate([reference[None], np.empty_like(strayed)])
    for place in range(len(strayed)):
        deviation = np.nan_to_num(strayed[place] - way[place])
        strayed[place] = deviation
        way[place + 1] = way[place] + share * deviation * np.clip(2 - np.abs(deviation) / refusal, 0, 1)
    return strayed, way


def wandering_of(left: Floats) -> Floats:
    """Return by how much the variance of features (n, features) in time is to be widened because they wander.

    0 for white noise; the more, the smaller the steps are beside the spread (after von Neumann 1941).
    """
    steps = np.mean(np.diff(left, axis=0) ** 2, axis=0) / 2
    quietness = np.clip(steps / (left.var(axis=0) + 1e-12), _QUIETEST, 1)
    widened: Floats = np.minimum(1 / quietness**2 - 1, _MOST_WANDERING)
    return widened


def point_scores(scores: Floats, size: int) -> Floats:
    """Return the scores of all points of a series (n + size - 1,) from those of its stretches (n,) of `size` samples.

    A point's score is the lower quartile of those of the stretches that hold it.
    """
    places = np.arange(len(scores) + size - 1)
    return quartiles(scores, np.clip(places - size + 1, 0, None), np.minimum(places + 1, len(scores)), size)


def quartiles(scores: Floats, starts: NDArray[np.intp], ends: NDArray[np.intp], size: int) -> Floats:
    """Return the lower quartile of ``scores[starts[i]:ends[i]]``, most of which have `size` values."""
    found = np.empty(len(starts))
    whole = ends - starts == size
    if whole.any():
        views = np.lib.stride_tricks.sliding_window_view(scores, size)
        found[whole] = np.quantile(views[starts[whole]], 0.25, axis=1)
    for place in np.flatnonzero(~whole):
        found[place] = np.quantile(scores[starts[place] : ends[place]], 0.25)
    return found
