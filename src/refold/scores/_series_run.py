"""One series scored as it comes: in one piece or sample by sample, with the same scores."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from refold.scores._series import Floats, Judged, SeriesScorer, Summary, quartiles

Apply = Callable[[Callable[..., Any], NDArray[Any]], NDArray[Any]]

_STEADY = 32  # windows that are judged with the same drift taken off
_USUAL = 0.0  # the score of points in a series shorter than a window


@dataclass(frozen=True)
class Points:
    """What is known of some points in time, in order.

    Parameters
    ----------
    scores : ndarray of shape (n,)
        Of the part that finds a point strangest.
    contributions : ndarray of shape (n, features)
        Of the features, by that part, not negative.
    left : ndarray of shape (n, features)
        Features minus what is expected of them.
    """

    scores: Floats
    contributions: Floats
    left: Floats

    @property
    def size(self) -> int:
        """How many points there are."""
        return len(self.scores)

    @classmethod
    def none(cls, features: int, count: int = 0) -> "Points":
        """Return usual points of which nothing is known."""
        nothing = np.zeros((count, features))
        return cls(np.full(count, _USUAL), nothing, nothing)


class _Track:
    """The stretches of one part that still hold points which are not told.

    Parameters
    ----------
    size : int
        Samples of a stretch.
    features : int
    """

    def __init__(self, size: int, features: int) -> None:
        self._size = size
        self._begins = 0  # number of the first stretch that is held; number k begins with sample k
        self._held = Judged(np.zeros(0), np.zeros((0, features)), np.zeros((0, features)))

    def add(self, judged: Judged) -> None:
        """Add the stretches that follow."""
        self._held = Judged.joined(self._held, judged)

    def points(self, first: int, end: int) -> Points:
        """Return the points `first` to `end`, by the stretches that hold them."""
        places = np.arange(first, end) - self._begins
        starts = np.clip(places - self._size + 1, 0, None)
        ends = np.minimum(places + 1, len(self._held.scores))
        scores = quartiles(self._held.scores, starts, ends, self._size)
        return Points(scores, _means(self._held.contributions, starts, ends), _means(self._held.left, starts, ends))

    def forget(self, told: int) -> None:
        """Let go of stretches that hold no point from `told` on."""
        gone = max(0, told - self._size + 1 - self._begins)
        self._held = self._held[gone:]
        self._begins += gone


class SeriesRun:
    """Scores one series as it comes; holds no more than the last window.

    A point is judged by all stretches that hold it, so its score is known `delay` samples after it.

    Parameters
    ----------
    scorer : SeriesScorer
    apply : callable
        Applies a function of tensors to an array, block by block.
    """

    def __init__(self, scorer: SeriesScorer, apply: Apply) -> None:
        self._scorer, self._apply = scorer, apply
        self._features = scorer.rebuilding.features
        self._standing = scorer.standing
        self.restart()

    @property
    def delay(self) -> int:
        """Samples after a point until its score is known."""
        return max(self._scorer.sizes) - 1

    @property
    def too_short(self) -> bool:
        """Whether the samples so far are fewer than a window, and so cannot be judged."""
        return 0 < self._count < self._scorer.window

    def restart(self) -> None:
        """Forget the samples, as after a long gap, and keep the reference."""
        self._drift = self._scorer.drift_of(self._standing.reference)
        self._rows: NDArray[np.float32] | None = None
        self._tracks = [_Track(size, self._features) for size in self._scorer.sizes]
        self._count = 0  # samples so far
        self._told = 0  # points so far

    def push(self, raw: NDArray[Any]) -> Points:
        """Take the next samples (n, columns) and return the points that are known by now and were not before."""
        if not len(raw):
            return Points.none(self._features)
        rows = self._apply(self._scorer.rows, raw)
        first = self._count < self._scorer.window
        held = rows if self._rows is None else np.concatenate([self._rows, rows])
        self._count += len(rows)
        self._rows = held[max(0, len(held) - self._scorer.window + 1) :].copy()
        if self._count < self._scorer.window:
            return Points.none(self._features)
        self._judge(held, first)
        points = self._points(self._count - self.delay)
        for track in self._tracks:
            track.forget(self._told)
        return points

    def finish(self) -> Points:
        """Return the points that are left, judged by the stretches that there are, and restart."""
        if self._count < self._scorer.window:
            points = Points.none(self._features, self._count)
        else:
            points = self._points(self._count)
        self.restart()
        return points

    def _judge(self, held: NDArray[np.float32], first: bool) -> None:
        """Judge the stretches that end in new samples.

        The drift that the network does not see is looked at anew after every few windows, counted from the beginning
        of the series. As it rarely changes, more and more windows are computed at once while it does not.
        """
        windows = np.lib.stride_tricks.sliding_window_view(held, self._scorer.window, axis=0).swapaxes(1, 2)
        before = 0 if first else self._count - self._scorer.window + 1 - len(windows)
        place, ahead = 0, _STEADY
        while place < len(windows):
            end = place + ahead - (before + place) % _STEADY
            judged = self._judge_while_steady(windows[place:end], before + place)
            ahead = _STEADY if judged < len(windows[place:end]) else 2 * ahead
            place += judged

    def _judge_while_steady(self, windows: NDArray[np.float32], before: int) -> int:
        """Judge windows up to where the drift changes, and return how many.

        Parameters
        ----------
        windows : ndarray of shape (n, window, values)
        before : int
            Windows of the series that were judged already.
        """
        summaries = self._summaries(windows, before == 0)
        extra = len(summaries) - len(windows)  # of stretches that end before the first window does
        done = 0
        while done < len(windows):
            end = min(len(windows), done + _STEADY - (before + done) % _STEADY)
            part = summaries[(done + extra if done else 0) : end + extra]
            parts, self._standing = self._scorer.judged(Summary.of(part), before + done == 0, self._standing)
            for track, judged in zip(self._tracks, parts, strict=True):
                track.add(judged)
            done = end
            if (before + done) % _STEADY == 0 and self._has_drifted():
                break
        return done

    def _summaries(self, windows: NDArray[np.float32], first: bool) -> Tensor:
        scorer, drift = self._scorer, None
        if self._drift.any():
            drift = torch.from_numpy(self._drift.astype(np.float32)).to(scorer.reference.device)
        summaries = torch.from_numpy(self._apply(lambda part: scorer.summary(part, drift), windows))
        if not first:
            return summaries
        left = torch.from_numpy(self._apply(lambda part: scorer.left_over(part, drift), windows[:1])[0])
        return torch.cat([scorer.first_summaries(left), summaries])

    def _has_drifted(self) -> bool:
        """Take note of the drift, and return whether it is another one."""
        before, self._drift = self._drift, self._scorer.drift_of(self._standing.reference)
        return not np.array_equal(before, self._drift)

    def _points(self, end: int) -> Points:
        """Return the points up to `end` that were not told, each by the part that finds it strangest."""
        each = [track.points(self._told, end) for track in self._tracks]
        self._told = end
        strangest = np.argmax([points.scores for points in each], axis=0)
        places = np.arange(len(strangest))
        return Points(
            np.stack([points.scores for points in each])[strangest, places],
            np.stack([points.contributions for points in each])[strangest, places],
            np.stack([points.left for points in each])[strangest, places],
        )


def _means(values: Floats, starts: NDArray[np.intp], ends: NDArray[np.intp]) -> Floats:
    """Return the means of rows ``starts[i]:ends[i]`` of values (n, features)."""
    sums = np.concatenate([np.zeros((1, values.shape[1])), np.cumsum(values, axis=0)])
    means: Floats = (sums[ends] - sums[starts]) / (ends - starts)[:, None]
    return means
