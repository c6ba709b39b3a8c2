"""The detector of a fixed camera: learns what its frames look like, and watches for what changes against that."""

import os
import platform
import warnings
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from sklearn.base import BaseEstimator
from sklearn.utils.validation import check_is_fitted

import refold
from refold._errors import DataError, ModelFileError, RefoldWarning
from refold._parameters import check_parameters, documented
from refold.estimators._camera_frames import (
    COLOUR,
    MODES,
    Grid,
    frames_of,
    grid_or_problem,
    mode_of,
    read_mask,
    usual_step,
)
from refold.estimators._parameters import CameraParameters
from refold.files import ModelFile, write_model_file
from refold.scores import Calibration, CameraRun, CameraScorer, CameraSpec, camera_threshold
from refold.weights import camera_weights

_DAY = 86_400.0
_FEWEST = 25  # frames of a mode
_MOST = 3_000  # frames of a mode that are learned from, the newest
_LEARNED = 0.75  # of them; the others tell the threshold
_PASSING = 3  # frames of one size at the beginning that others may still replace
_HISTORY = 13  # frames before the first one that has a score
_SURE_OF_RATE = 3  # false alarms among the calibration frames from which on a rate is kept by them alone


@dataclass(frozen=True)
class CameraMode:
    """What was learned of one mode of a camera.

    Parameters
    ----------
    scorer : CameraScorer
    calibration : ndarray of shape (n,), float64
        Scores of normal frames that were not learned from.
    """

    scorer: CameraScorer
    calibration: NDArray[np.float64]


@documented
class CameraDetector(CameraParameters, BaseEstimator):  # type: ignore[misc] # scikit-learn's classes are untyped
    """Learn a fixed camera's view from normal frames, and find what rises there that was not: smoke.

    A small network that knows smoke from other cameras ships with the package; a new camera is learned from as few as
    25 frames: which changes are usual where, where the horizon is, which places always change. A frame is compared
    with what the frames before it let expect, the light taken out, and an alarm needs two of three frames that agree
    on a place.

    Parameters
    ----------
    {parameters}

    Attributes
    ----------
    modes_ : dict of str to CameraMode
        What was learned, for frames in colour and for those of infra-red light.
    seconds_ : float
        Usual time between frames.
    size_ : tuple of int
        Height and width of the frames.
    n_frames_ : int
        Frames that were learned from, or that told the threshold.

    Notes
    -----
    The recipe is described in ``docs/decisions.md``. Frames that are black, broken, of another size, or the same as
    the one before are told of and left out.

    Examples
    --------
    >>> import numpy as np
    >>> from refold import CameraDetector
    >>> rng = np.random.default_rng(0)
    >>> hills = np.repeat(np.linspace(200, 60, 96)[:, None], 128, axis=1) + rng.normal(0, 8, (96, 128))
    >>> def frame():
    ...     return (hills + rng.normal(0, 2, hills.shape)).clip(0, 255).astype(np.uint8)
    >>> camera = CameraDetector().fit([frame() for _ in range(40)])
    >>> any(found.alarm for found in camera.watch([frame() for _ in range(20)]))
    False
    """

    modes_: dict[str, CameraMode]

    def fit(self, X: Any, y: Any = None) -> "CameraDetector":
        """Learn from normal frames in the order of time.

        Parameters
        ----------
        X : str, path or iterable
            A folder of pictures, a video file, or a camera's address, of which frames are taken until it ends or is
            interrupted (Ctrl-C); or pictures of shape (H, W, 3) or (H, W), uint8.
        y : ignored

        Returns
        -------
        self

        Raises
        ------
        DataError
            If there are fewer than 25 usable frames of one mode.
        """
        check_parameters(self)
        grids: dict[str, list[Grid]] = {}
        times: list[Any] = []
        lost, size = 0, None
        with suppress(KeyboardInterrupt):  # a camera has no end
            for frame in frames_of(X, self.every, follow=_is_address(X)):
                grid, _ = (None, "") if frame.picture is None else grid_or_problem(frame.picture)
                if grid is None or frame.picture is None:
                    lost += 1
                    continue
                if size is not None and frame.picture.shape[:2] != size:
                    if len(times) > _PASSING:
                        lost += 1
                        continue
                    lost, grids, times = lost + len(times), {}, []  # the first ones were of another size
                size = frame.picture.shape[:2]
                times.append(frame.time)
                known = grids.setdefault(mode_of(frame.picture), [])
                known.append(grid)
                del known[:-_MOST]
        if lost:
            warnings.warn(f"{lost} frames could not be used and were left out", RefoldWarning, stacklevel=2)
        self.modes_ = self._learned(grids, sum(map(len, grids.values())))
        self.seconds_, self.size_ = usual_step(times), size
        self.n_frames_ = sum(len(grids[mode]) for mode in self.modes_)
        return self

    def _learned(self, grids: dict[str, list[Grid]], count: int) -> dict[str, CameraMode]:
        enough = {mode: known for mode, known in grids.items() if len(known) >= _FEWEST}
        if not enough:
            raise DataError(f"{count} usable frames are too few to learn a camera from; give at least {_FEWEST}")
        for mode in grids.keys() - enough.keys():
            warnings.warn(
                f"{len(grids[mode])} frames in {mode} are too few and were left out; {_FEWEST} are needed",
                RefoldWarning,
                stacklevel=3,
            )
        return {mode: self._mode(known) for mode, known in enough.items()}

    def _mode(self, grids: list[Grid]) -> CameraMode:
        height, width = grids[0].shape
        scorer = CameraSpec(height, width).build(camera_weights())
        learned = max(_HISTORY, round(_LEARNED * len(grids)))
        hidden = None if self.mask is None else read_mask(self.mask, (height, width))
        scorer.learn(grids[:learned], hidden)
        run = CameraRun(scorer)
        found = [run.push(grid) for grid in grids[learned - _HISTORY :]]
        return CameraMode(scorer, np.array([each.score for each in found if each is not None]))

    def threshold_of(self, scores: NDArray[np.float64]) -> float:
        """Return the threshold that some scores of normal frames let promise."""
        rate = self.false_alarms_per_day * self.seconds_ / _DAY
        if rate < 1 and rate * (len(scores) + 1) >= _SURE_OF_RATE:
            return Calibration(scores).threshold(rate).value
        return camera_threshold(scores)

    @property
    def promised(self) -> str:
        """What is promised, in words."""
        check_is_fitted(self)
        count = min(len(mode.calibration) for mode in self.modes_.values())
        rate = self.false_alarms_per_day * self.seconds_ / _DAY
        if rate * (count + 1) >= _SURE_OF_RATE:
            return f"at most {self.false_alarms_per_day:g} false alarms a day"
        needed = int(np.ceil(_SURE_OF_RATE / rate))
        return (
            f"a margin found on other cameras; {self.false_alarms_per_day:g} false alarms a day can be promised "
            f"after {needed} normal frames, and {count} are known"
        )

    def watch(self, source: Any, follow: bool = False) -> "Iterator[Any]":
        """Yield what is said of every frame of a source, as they come.

        Parameters
        ----------
        source : str, path or iterable
            As for `fit`.
        follow : bool, default=False
            Wait for further frames when those that are there have ended.

        Yields
        ------
        judged : JudgedFrame
        """
        from refold.estimators._camera_watch import CameraWatch

        check_is_fitted(self)
        watch = CameraWatch(self)
        for frame in frames_of(source, self.every, follow):
            yield watch.push(frame)

    def accept(self, heat: Grid, mode: str = COLOUR) -> "CameraDetector":
        """Learn that what an event showed was normal: the same change there is no event any more.

        Parameters
        ----------
        heat : ndarray of shape (h, w), float32
            `JudgedFrame.heat` of the event.
        mode : str, default="colour"
            `JudgedFrame.mode`.

        Returns
        -------
        self

        Raises
        ------
        DataError
            If it is not one of this camera.
        """
        check_is_fitted(self)
        learned = self.modes_.get(mode)
        if learned is None or heat.shape != tuple(learned.scorer.spread.shape):
            raise DataError("this heat map is not one of this camera; give one of an event that it found")
        learned.scorer.accept(heat)
        return self

    # --- files -------------------------------------------------------------------------------------------------

    def save(self, path: str | os.PathLike[str]) -> None:
        """Write the detector to one ``.safetensors`` file, whole or not at all; `refold.load` reads it."""
        check_is_fitted(self)
        versions = {"refold": refold.__version__, "torch": torch.__version__, "python": platform.python_version()}
        header = {
            "versions": versions,
            "parameters": self.get_params(),
            "modes": {mode: learned.scorer.spec.to_json() for mode, learned in self.modes_.items()},
            "fitted": {"seconds_": self.seconds_, "size_": list(self.size_ or ()), "n_frames_": self.n_frames_},
        }
        tensors: dict[str, torch.Tensor] = {}
        for mode, learned in self.modes_.items():
            tensors |= {f"{mode}.scorer.{name}": value for name, value in learned.scorer.state_dict().items()}
            tensors[f"{mode}.calibration"] = torch.from_numpy(learned.calibration)
        write_model_file(ModelFile(type(self).__name__, header, tensors), path)

    def __sklearn_is_fitted__(self) -> bool:
        return hasattr(self, "modes_")


def _is_address(source: Any) -> bool:
    return isinstance(source, str) and "://" in source


def rebuild_camera(file: ModelFile, name: str) -> CameraDetector:
    """Return the detector of a model file that was read."""
    header = file.header
    known = CameraDetector().get_params()
    model = CameraDetector(**{key: value for key, value in header["parameters"].items() if key in known})
    check_parameters(model)
    model.modes_ = {}
    for mode, description in header["modes"].items():
        spec = CameraSpec.from_json(description)
        prefix = f"{mode}.scorer."
        state = {key.removeprefix(prefix): value for key, value in file.tensors.items() if key.startswith(prefix)}
        scorer = spec.build()
        own = scorer.state_dict()
        fits = own.keys() == state.keys() and all(
            own[key].shape == state[key].shape and own[key].dtype == state[key].dtype for key in own
        )
        calibration = file.tensors.get(f"{mode}.calibration")
        if mode not in MODES or not fits or calibration is None or not _sound(calibration):
            raise ModelFileError(f"{name!r} does not hold what was learned of frames in {str(mode)[:20]}")
        scorer.load_state_dict(state)
        model.modes_[mode] = CameraMode(scorer, calibration.numpy())
    fitted = header["fitted"]
    model.seconds_, model.n_frames_ = float(fitted["seconds_"]), int(fitted["n_frames_"])
    model.size_ = tuple(int(side) for side in fitted["size_"])
    if not model.modes_ or not 0 < model.seconds_ < np.inf or len(model.size_) != 2:
        raise ModelFileError(f"{name!r} is damaged: it does not say what camera it is of")
    return model


def _sound(calibration: torch.Tensor) -> bool:
    return (
        calibration.dim() == 1
        and calibration.dtype == torch.float64
        and len(calibration) > 0
        and bool(torch.isfinite(calibration).all())
    )
