"""A fixed camera as it goes on: each frame against the ones before it, and an event that stays one."""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from scipy import ndimage
from torch import Tensor

from refold._errors import CheckpointError
from refold.scores._camera import LATEST, PAST, SEEN, CameraScorer, reference_of
from refold.scores._camera_places import Mask
from refold.scores._camera_views import Grid, grey_of_log, light_between, log_grey

_REACH = 3  # cells within which two frames agree
_AGREEING, _OF = 2, 3  # frames
_SURE = 0.3  # above the threshold, from which on an event may no longer become background
_EDGE = 0.5  # below the threshold, to which an event reaches
_CORE = 2.5  # below its strangest place, to which what is told of it reaches: a twelfth of the change there
_HELD, _HELD_AROUND, _HELD_BORDER = 60, 10, 1.5  # frames, and cells, for which the background of an event is kept


@dataclass(frozen=True, eq=False)
class FrameScore:
    """What is said of one frame.

    Parameters
    ----------
    score : float
        Of its strangest place on which two of three frames agree.
    heat : ndarray of shape (h, w), float32
        How strange each place is in this frame alone.
    peak : tuple of int
        Column and row of the strangest place.
    region : ndarray of shape (h, w), bool, or None
        Where the alarm is; None if there is none.
    """

    score: float
    heat: Grid
    peak: tuple[int, int]
    region: Mask | None

    @property
    def alarm(self) -> bool:
        """Whether the score is above the run's threshold."""
        return self.region is not None


class CameraRun:
    """Scores frames of one camera as they come; holds the last twelve, whatever the length of the run.

    A frame is compared with the median of those three to twelve before it. Where an event is sure, what is remembered
    is what was expected and not what was seen, so that the event does not become the background.

    Parameters
    ----------
    scorer : CameraScorer
    threshold : float, optional
        Without one there are no alarms; it may be set later.
    """

    def __init__(self, scorer: CameraScorer, threshold: float | None = None) -> None:
        self.scorer, self.threshold = scorer, threshold
        self.restart()

    def restart(self) -> None:
        """Forget all frames, as after a long gap."""
        shape = self.scorer.spec.height, self.scorer.spec.width
        self._count = 0  # frames so far, at most as many as the first score needs
        self._past = np.zeros((PAST, *shape), np.float32)  # as references may use them, the newest last
        self._seen = np.zeros((SEEN - 1, *shape), np.float32)  # as they came
        self._near = np.full((_OF - 1, *shape), -np.inf, np.float32)  # heat maps, each place the hottest around it
        self._held = np.zeros(shape, np.int32)  # frames for which the background stays

    def push(self, grid: Grid) -> FrameScore | None:
        """Take the next grid and return what is said of it; None for the first thirteen.

        Raises
        ------
        DataError
            If it has another size than those of training, or values that are not finite; nothing changes then.
        """
        grid = self.scorer.filled(grid)
        found = self._judged(grid) if self._count >= PAST else None
        known = self._count > PAST
        self._count = min(self._count + 1, PAST + 1)
        if found is None:
            self._remember(grid)
        return found if known else None

    def state(self) -> dict[str, Tensor]:
        """Return all that the run remembers, as copies; not the scorer and not the threshold."""
        arrays = {name: getattr(self, f"_{name}") for name in ("past", "seen", "near", "held")}
        count = torch.tensor(self._count, dtype=torch.int64)
        return {"count": count} | {name: torch.from_numpy(array.copy()) for name, array in arrays.items()}

    def restore(self, state: Mapping[str, Tensor]) -> None:
        """Go on where a run of the same scorer stood when its `state` was taken.

        Raises
        ------
        CheckpointError
            If it is the state of another camera, or none.
        """
        own = self.state()
        if own.keys() != state.keys() or any(
            state[name].shape != tensor.shape or state[name].dtype != tensor.dtype for name, tensor in own.items()
        ):
            raise CheckpointError("this is not the state of a run of this camera; start a new run")
        if not 0 <= int(state["count"]) <= PAST + 1:
            raise CheckpointError("the state of a run counts frames that cannot be; start a new run")
        self._count = int(state["count"])
        for name in own.keys() - {"count"}:
            setattr(self, f"_{name}", state[name].detach().cpu().numpy().copy())

    # --- one frame --------------------------------------------------------------------------------------------------

    def _judged(self, grid: Grid) -> FrameScore:
        """Judge a frame and remember it."""
        reference = reference_of(self._past)
        heat = self.scorer.heat(np.stack([grid, *self._seen[::-1]]), reference)
        agreed = self._agreed(heat)
        score, hot = float(agreed.max()), self._hot(heat, agreed)
        self._remember(grid)
        self._held = np.maximum(self._held - 1, 0)
        if self.threshold is not None and score > self.threshold + _SURE:
            self._held[ndimage.binary_dilation(hot, iterations=_HELD_AROUND)] = _HELD
        self._keep_background(grid, reference)
        row, column = np.unravel_index(np.argmax(heat), heat.shape)
        return FrameScore(score, heat, (int(column), int(row)), _cores(heat, hot) if hot.any() else None)

    def _agreed(self, heat: Grid) -> Grid:
        """Return how strange each place is now and in the same region of one of the two frames before."""
        near = np.concatenate([self._near, ndimage.maximum_filter(heat, 2 * _REACH + 1)[None]])
        self._near = near[1:]
        second: Grid = np.sort(near, axis=0)[-_AGREEING]
        return np.minimum(second, heat)

    def _hot(self, heat: Grid, agreed: Grid) -> Mask:
        """Return the regions of events: hot, and with a place in them on which frames agree."""
        if self.threshold is None:
            return np.zeros(heat.shape, np.bool_)
        labels, _ = ndimage.label(heat > self.threshold - _EDGE)
        hot: Mask = np.isin(labels, np.unique(labels[agreed > self.threshold]))
        return hot

    # --- what is remembered -----------------------------------------------------------------------------------------

    def _remember(self, grid: Grid) -> None:
        self._past = np.concatenate([self._past[1:], grid[None]])
        self._seen = np.concatenate([self._seen[1:], grid[None]])

    def _keep_background(self, grid: Grid, reference: Grid) -> None:
        """Let the latest frames remember what was expected where an event is sure, or was a while ago."""
        if self._held.any():
            share = ndimage.gaussian_filter((self._held > 0).astype(np.float32), _HELD_BORDER)
            latest = self._past[-(LATEST + 1) :]  # those that were in no reference yet
            self._past[-(LATEST + 1) :] = latest * (1 - share) + _expected(grid, reference) * share


def _cores(heat: Grid, hot: Mask) -> Mask:
    """Return the regions of events without what only glows around a much stranger place."""
    labels, count = ndimage.label(hot)
    highest = ndimage.maximum(heat, labels, np.arange(count + 1))
    cores: Mask = hot & (heat > highest[labels] - _CORE)
    return cores


def _expected(grid: Grid, reference: Grid) -> Grid:
    """Return the reference in the light of a grid."""
    now, before = (log_grey(torch.from_numpy(values)[None, None]) for values in (grid, reference))
    expected: NDArray[np.float32] = grey_of_log(before + light_between(now - before))[0, 0].numpy()
    return expected
