"""Watching a camera: every frame judged, what is wrong with it told, the threshold kept up with calm frames."""

from collections import deque
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from refold._errors import CheckpointError
from refold.data import Frame, in_order
from refold.estimators._camera_detection import CameraDetector
from refold.estimators._camera_frames import Grid, Picture, grid_or_problem, mode_of
from refold.scores import Calibration, CameraRun, FrameScore

Box = tuple[int, int, int, int]

_CALM_AROUND = 15  # frames before and after an alarm from which nothing is learned
_REMEMBERED = 20_000  # scores of calm frames
_STEPS = 9
_LONGEST_GAP = 12  # steps, after which the frames before are no help any more


@dataclass(frozen=True, eq=False)
class JudgedFrame:
    """What is said of one frame.

    Parameters
    ----------
    name : str
    time : datetime
    problem : str
        Why it could not be judged; "" where it was.
    score, p_value : float or None
        None while the frames before it are too few, and where there is a problem.
    alarm : bool
    peak : (x, y) or None
        The strangest place in the frame's own pixels.
    box : (left, top, right, bottom) or None
        Around the alarm in the frame's own pixels.
    picture : ndarray of shape (H, W, 3) or None
    heat : ndarray of shape (h, w) or None
        On the grid: how strange each place is, in logarithms; 0 is a change as large as usual.
    threshold : float or None
    mode : str
    """

    name: str
    time: datetime
    problem: str = ""
    score: float | None = None
    p_value: float | None = None
    alarm: bool = False
    peak: tuple[int, int] | None = None
    box: Box | None = None
    picture: Picture | None = None
    heat: Grid | None = None
    threshold: float | None = None
    mode: str = ""


@dataclass
class _ModeRun:
    """A run in one mode, with the scores that its threshold stands on."""

    run: CameraRun
    calm: deque[float]
    waiting: deque[float] = field(default_factory=deque)  # scores that an alarm may still follow
    blocked: int = 0  # frames for which nothing is learned


class CameraWatch:
    """Judges frames as they come; holds a dozen of them, whatever the time.

    Scores of calm frames join those that the threshold stands on, but none of the fifteen frames before or after an
    alarm, so that an event is never learned.

    Parameters
    ----------
    detector : CameraDetector
    """

    def __init__(self, detector: CameraDetector) -> None:
        self._detector = detector
        self._modes = {
            mode: _ModeRun(CameraRun(learned.scorer), deque(learned.calibration.tolist(), maxlen=_REMEMBERED))
            for mode, learned in detector.modes_.items()
        }
        for mode in self._modes.values():
            self._set_threshold(mode)
        self._last_grid: Grid | None = None
        self._last_time: datetime | None = None
        self._last_mode = ""
        self._steps: deque[float] = deque(maxlen=_STEPS)  # seconds between frames lately
        self.last_name = ""

    def push(self, frame: Frame) -> JudgedFrame:
        """Take the next frame and return what is said of it."""
        self.last_name = max(self.last_name, frame.name, key=in_order)  # names are in the order of time
        if frame.picture is None:
            return JudgedFrame(frame.name, frame.time, frame.problem)
        grid, problem = self._usable(frame.picture)
        mode = mode_of(frame.picture)
        if grid is None or problem:
            return JudgedFrame(frame.name, frame.time, problem, picture=frame.picture)
        if mode not in self._modes:
            known = " and ".join(self._modes)
            problem = f"is in {mode}, and only frames in {known} were learned from; fit with such frames too"
            return JudgedFrame(frame.name, frame.time, problem, picture=frame.picture)
        self._restart_after_gap(frame.time, mode)
        self._last_grid, self._last_time, self._last_mode = grid, frame.time, mode
        own = self._modes[mode]
        found = own.run.push(grid)
        if found is None:
            return JudgedFrame(frame.name, frame.time, picture=frame.picture)
        p_value = float(Calibration(list(own.calm))(torch.tensor([found.score]))[0])
        judged = _in_pixels(frame, found, p_value, own.run.threshold, mode)
        self._learn(own, found)
        return judged

    def _usable(self, picture: Picture) -> tuple[Grid | None, str]:
        height, width = picture.shape[:2]
        if (height, width) != self._detector.size_:
            fitted = "x".join(map(str, self._detector.size_ or ()))
            return None, f"has {height}x{width} pixels, and those that were learned from {fitted}"
        grid, problem = grid_or_problem(picture)
        if grid is not None and self._last_grid is not None and np.array_equal(grid, self._last_grid):
            return None, "is the same picture as the one before"
        return grid, problem

    def _restart_after_gap(self, moment: datetime, mode: str) -> None:
        if self._last_time is None:
            return
        gap = abs((moment - self._last_time).total_seconds())
        self._steps.append(gap)
        usual = max(self._detector.seconds_, float(np.median(self._steps)))  # the source may be slower than training
        if gap > _LONGEST_GAP * usual or mode != self._last_mode:
            self._modes[mode].run.restart()

    def _learn(self, mode: _ModeRun, found: FrameScore) -> None:
        """Let the scores of calm frames join those that the threshold stands on."""
        if found.alarm:
            mode.waiting.clear()
            mode.blocked = _CALM_AROUND
        elif mode.blocked:
            mode.blocked -= 1
        else:
            mode.waiting.append(found.score)
        if len(mode.waiting) > _CALM_AROUND:
            mode.calm.append(mode.waiting.popleft())
            self._set_threshold(mode)

    def _set_threshold(self, mode: _ModeRun) -> None:
        mode.run.threshold = self._detector.threshold_of(np.array(mode.calm))

    # --- going on ----------------------------------------------------------------------------------------------

    def state(self) -> tuple[dict[str, Any], dict[str, Tensor]]:
        """Return all that it remembers, as values that JSON can hold and as tensors."""
        header: dict[str, Any] = {
            "last_name": self.last_name,
            "last_time": None if self._last_time is None else self._last_time.isoformat(),
            "last_mode": self._last_mode,
            "steps": list(self._steps),
            "blocked": {name: mode.blocked for name, mode in self._modes.items()},
        }
        tensors: dict[str, Tensor] = {}
        for name, mode in self._modes.items():
            tensors |= {f"{name}.run.{key}": value for key, value in mode.run.state().items()}
            tensors[f"{name}.calm"] = torch.tensor(list(mode.calm), dtype=torch.float64)
            tensors[f"{name}.waiting"] = torch.tensor(list(mode.waiting), dtype=torch.float64)
        return header, tensors

    def restore(self, header: Mapping[str, Any], tensors: Mapping[str, Tensor]) -> None:
        """Go on where a watch of the same detector stood.

        Raises
        ------
        CheckpointError
            If the state is one of another detector.
        """
        try:
            for name, mode in self._modes.items():
                prefix = f"{name}.run."
                mode.run.restore({k.removeprefix(prefix): v for k, v in tensors.items() if k.startswith(prefix)})
                mode.calm = deque(_scores(tensors[f"{name}.calm"]), maxlen=_REMEMBERED)
                mode.waiting = deque(_scores(tensors[f"{name}.waiting"]))
                mode.blocked = int(header["blocked"][name])
                self._set_threshold(mode)
            self._steps = deque(map(float, header["steps"]), maxlen=_STEPS)
            moment = header["last_time"]
            self._last_time = None if moment is None else datetime.fromisoformat(moment)
            self._last_mode, self.last_name = str(header["last_mode"]), str(header["last_name"])
        except (KeyError, TypeError, ValueError) as error:
            raise CheckpointError(f"this is not the state of a watch of this camera ({error}); start anew") from error


def _scores(tensor: Tensor) -> list[float]:
    values: NDArray[np.float64] = tensor.numpy()
    return [float(value) for value in values]


def _in_pixels(frame: Frame, found: FrameScore, p_value: float, threshold: float | None, mode: str) -> JudgedFrame:
    """Return what was found on the grid in the frame's own pixels."""
    assert frame.picture is not None and threshold is not None
    rows, columns = found.heat.shape
    high, wide = frame.picture.shape[0] / rows, frame.picture.shape[1] / columns
    peak = int((found.peak[0] + 0.5) * wide), int((found.peak[1] + 0.5) * high)
    box = None
    if found.region is not None:
        down, across = np.nonzero(found.region)
        corners = across.min() * wide, down.min() * high, (across.max() + 1) * wide, (down.max() + 1) * high
        left, top, right, bottom = (round(corner) for corner in corners)
        box = left, top, right, bottom
    return JudgedFrame(
        name=frame.name,
        time=frame.time,
        score=found.score,
        p_value=p_value,
        alarm=found.alarm,
        peak=peak,
        box=box,
        picture=frame.picture,
        heat=found.heat,
        threshold=threshold,
        mode=mode,
    )
