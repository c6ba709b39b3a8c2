"""How strange each place of a fixed camera's frame is: a network that knows smoke, and what the place is used to."""

from collections import deque
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from scipy import ndimage
from torch import Tensor, nn

from refold._errors import DataError, ParameterError
from refold.nets import CameraNet
from refold.scores._camera_places import Mask, hidden_cells, horizon_of, near_horizon, scene_of, spread_of
from refold.scores._camera_views import (
    CHANGE_BLUR,
    LARGEST_GRID,
    SMALLEST_FRAME,
    STEP,
    VIEWS,
    Grid,
    camera_views,
    change_of,
    log_grey,
)

FEWEST_FRAMES = 13  # normal frames to learn from
PAST, LATEST = 12, 2  # frames before one that count: from the oldest to the latest but these is the reference
SEEN = 3  # frames that the network sees at once
_FOR_STAMPS = 25  # frames
NOTHING = -20.0  # score of a place that is hidden
_FIRST_CHANGE, _FIRST_LOGIT = 5, 8  # frames before the first one that is learned from: its reference needs some
_LOGIT_BLUR, _LOGIT_REACH, _LOGIT_BORDER = 0.7, 4, 2.0
_LEAST_LOGIT = -4.0
_LOGIT_WEIGHT, _LOGIT_RANGE = 0.35, (-3.0, 4.0)
_LEAST_SPREAD, _LEAST_RATIO = 0.004, 1e-3
_MARGIN, _TRUST = 2.12, 0.7  # found by trials on cameras: the highest calibration score overstates and understates
_OFFSET = 0.3


@dataclass(frozen=True)
class CameraSpec:
    """What decides the shape of a scorer of a camera's frames.

    Parameters
    ----------
    height, width : int
        Of the grids, see `grid_shape`; multiples of four.
    """

    height: int
    width: int

    def to_json(self) -> dict[str, Any]:
        """Return a description that JSON can hold."""
        return asdict(self)

    @classmethod
    def from_json(cls, description: dict[str, Any]) -> "CameraSpec":
        """Rebuild a specification; refuses sizes that no honest file has.

        Raises
        ------
        ParameterError
        """
        spec = cls(**description)
        for name in ("height", "width"):
            side = getattr(spec, name)
            if type(side) is not int or not SMALLEST_FRAME <= side <= LARGEST_GRID or side % STEP:
                raise ParameterError(
                    f"{name} of a camera's grid must be a multiple of {STEP} from {SMALLEST_FRAME} to {LARGEST_GRID}"
                )
        return spec

    def build(self, weights: Mapping[str, Tensor] | None = None) -> "CameraScorer":
        """Return a scorer that has learned nothing of its camera yet.

        Parameters
        ----------
        weights : mapping of str to Tensor, optional
            State of the network, such as `camera_weights`; without it the network has learned nothing either.
        """
        scorer = CameraScorer(self)
        if weights is not None:
            scorer.net.load_state_dict(weights)
        return scorer.eval()


class CameraScorer(nn.Module):
    """From frames of a fixed camera to maps of how strange each place is, in logarithms: higher is stranger.

    Two things are joined: by how much a place has changed, in parts of the change that is usual there; and the
    network's logit of something that rises, above the highest that the camera's normal frames had there. Places far
    from the horizon count less.

    Parameters
    ----------
    spec : CameraSpec
    """

    spread: Tensor
    background: Tensor
    horizon: Tensor
    hidden: Tensor
    accepted: Tensor

    def __init__(self, spec: CameraSpec) -> None:
        super().__init__()
        self.spec = spec
        self.net = CameraNet(VIEWS)
        shape = spec.height, spec.width
        self.register_buffer("spread", torch.ones(shape))
        self.register_buffer("background", torch.zeros(shape))
        self.register_buffer("horizon", torch.zeros(()))
        self.register_buffer("hidden", torch.zeros(shape, dtype=torch.bool))
        self.register_buffer("accepted", torch.zeros(shape))

    # --- learning ---------------------------------------------------------------------------------------------------

    @torch.no_grad()
    def learn(self, grids: Sequence[Grid], hidden: Mask | None = None) -> None:
        """Learn what is usual for this camera.

        Parameters
        ----------
        grids : sequence of ndarray of shape (h, w), float32
            Normal frames in the order of time, at least 13; read twice, a few at a time. With fewer than about 25
            the changes that the light brings are not known well, and thresholds have to be wider.
        hidden : ndarray of shape (h, w), bool, optional
            Places to leave out, besides those that `hidden_cells` finds.

        Raises
        ------
        DataError
            If there are fewer than 13 frames, one has another size or values that are not finite, or nothing is left
            to look at.
        """
        if len(grids) < FEWEST_FRAMES:
            raise DataError(f"{len(grids)} normal frames are too few to learn from; give at least {FEWEST_FRAMES}")
        self._hide(grids, hidden)
        scene = self.filled(scene_of(grids))
        self.horizon.fill_(horizon_of(_log_grey(scene)))
        self.spread.copy_(torch.from_numpy(spread_of(self._mean_square(grids))))
        self.background.copy_(torch.from_numpy(self._usual_logits(grids)))

    def _hide(self, grids: Sequence[Grid], hidden: Mask | None) -> None:
        found = hidden_cells([self._checked(grid) for grid in grids[:_FOR_STAMPS]])
        if hidden is not None:
            if hidden.shape != found.shape:
                raise DataError(f"the mask has shape {hidden.shape}; give one of the grid's shape {found.shape}")
            found = found | hidden
        if found.all():
            raise DataError("the mask hides the whole frame; leave something to look at")
        self.hidden.copy_(torch.from_numpy(found))

    def _mean_square(self, grids: Sequence[Grid]) -> Grid:
        total, count = np.zeros((self.spec.height, self.spec.width)), 0
        for frames, reference in self._moments(grids, _FIRST_CHANGE):
            change = change_of(self._batch(frames[:1]), self._batch(reference[None]))
            total += change[0, 0].cpu().numpy().astype(np.float64) ** 2
            count += 1
        mean: Grid = (total / count).astype(np.float32)
        return mean

    def _usual_logits(self, grids: Sequence[Grid]) -> Grid:
        """Return the highest logits of normal frames, around each place."""
        highest = np.full((self.spec.height, self.spec.width), -np.inf, np.float32)
        for frames, reference in self._moments(grids, _FIRST_LOGIT):
            highest = np.maximum(highest, self._logit_and_change(frames, reference)[0])
        around = ndimage.maximum_filter(highest, 2 * _LOGIT_REACH + 1)
        usual: Grid = np.maximum(ndimage.gaussian_filter(around, _LOGIT_BORDER), np.float32(_LEAST_LOGIT))
        return usual

    def _moments(self, grids: Sequence[Grid], first: int) -> Iterator[tuple[Grid, Grid]]:
        """Yield what is known at each frame from `first` on: the newest frames (3, h, w), and the reference."""
        past: deque[Grid] = deque(maxlen=PAST)
        for place in range(len(grids)):
            grid = self.filled(grids[place])
            if place >= first:
                yield np.stack([grid, past[-1], past[-2]]), reference_of(list(past))
            past.append(grid)

    @torch.no_grad()
    def accept(self, heat: Grid) -> None:
        """Learn that what a frame showed was normal: the same again is hardly strange, and more of it still is.

        Parameters
        ----------
        heat : ndarray of shape (h, w), float32
            `heat` of that frame.

        Raises
        ------
        DataError
            If it has another size, or values that are not finite.
        """
        # 0 is a change as large as usual, and no more of a logit
        surplus = np.maximum(ndimage.maximum_filter(self._checked(heat), 2 * _LOGIT_REACH + 1), 0)
        self.accepted += torch.from_numpy(ndimage.gaussian_filter(surplus, _LOGIT_BORDER)).to(self.accepted.device)

    # --- scores -----------------------------------------------------------------------------------------------------

    def filled(self, grid: Grid) -> Grid:
        """Return a grid whose hidden places repeat the nearest one that is not.

        Raises
        ------
        DataError
            If it has another size, or values that are not finite.
        """
        grid, hidden = self._checked(grid), self.hidden.cpu().numpy()
        if not hidden.any():
            return grid
        rows, columns = ndimage.distance_transform_edt(hidden, return_distances=False, return_indices=True)
        repeated: Grid = grid[rows, columns]
        return repeated

    @torch.no_grad()
    def heat(self, frames: Grid, reference: Grid) -> Grid:
        """Return how strange each place is, float32 of shape (h, w); hidden places have -20.

        Parameters
        ----------
        frames : ndarray of shape (3, h, w), float32
            `filled` grids, the newest first.
        reference : ndarray of shape (h, w), float32
            What the scene looked like; see `reference_of`.
        """
        logit, ratio = self._logit_and_change(frames, reference)
        above = np.clip(logit - self.background.cpu().numpy(), *_LOGIT_RANGE)
        place = near_horizon(float(self.horizon), self.spec.height)
        heat: Grid = np.log(ratio + _LEAST_RATIO) + place + _LOGIT_WEIGHT * above - self.accepted.cpu().numpy()
        heat[self.hidden.cpu().numpy()] = NOTHING
        return heat

    def _logit_and_change(self, frames: Grid, reference: Grid) -> tuple[Grid, Grid]:
        """Return the network's logit, and the change in parts of the usual one."""
        spread, horizon = self.spread[None, None], self.horizon.view(1)
        views, change = camera_views(self._batch(frames), self._batch(reference[None]), spread, horizon)
        logit = ndimage.gaussian_filter(self.net(views)[0, 0].cpu().numpy(), _LOGIT_BLUR)
        size = ndimage.gaussian_filter(change[0].abs().cpu().numpy(), CHANGE_BLUR)
        return ndimage.zoom(logit, 2, order=1), size / (self.spread.cpu().numpy() + np.float32(_LEAST_SPREAD))

    def _batch(self, grids: Grid) -> Tensor:
        return torch.from_numpy(grids)[None].to(self.spread.device)

    def _checked(self, grid: NDArray[Any]) -> Grid:
        if grid.shape != (self.spec.height, self.spec.width):
            raise DataError(
                f"a grid has {'x'.join(map(str, grid.shape))} cells, those of training "
                f"{self.spec.height}x{self.spec.width}; give frames of that size"
            )
        if not np.isfinite(grid).all():
            raise DataError("a frame holds NaN or infinite values; leave it out")
        return np.asarray(grid, np.float32)


def reference_of(past: Sequence[Grid] | Grid) -> Grid:
    """Return what the scene looked like: the median of past grids without the latest, which may show an event."""
    middle: Grid = np.median(np.asarray(past[:-LATEST]), axis=0)
    return middle


def camera_threshold(scores: Sequence[float] | NDArray[np.float64]) -> float:
    """Return the score from which on an alarm is due.

    Parameters
    ----------
    scores : sequence of float
        Of normal frames that were not learned from.

    Raises
    ------
    DataError
        If there is none, or one is not finite.
    """
    known = np.asarray(scores, np.float64)
    if not known.size or not np.isfinite(known).all():
        raise DataError("a threshold needs finite scores of normal frames; push more of them first")
    return float(np.log(_MARGIN) + _OFFSET + _TRUST * known.max())


def _log_grey(grid: Grid) -> Grid:
    logs: Grid = log_grey(torch.from_numpy(grid)).numpy()
    return logs
