"""Detectors to files and back."""

import os
import platform
from dataclasses import asdict, fields
from math import isfinite
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

import refold
from refold._errors import ModelFileError
from refold._parameters import check_parameters
from refold.data import adapter_from_json
from refold.estimators._detector import Detector
from refold.estimators._judging import Judge, RowJudge, blank_judge
from refold.estimators._parameters import DetectorParameters
from refold.estimators._series_judging import SeriesJudge
from refold.estimators._timeline import EntityScale, Timeline
from refold.files import ModelFile, write_model_file
from refold.scores import Calibration
from refold.train import choose_device

_OF_A_RUN = ("features", "max_memory", "verbose")  # never in a file
_FITTED = ("threshold_", "promised_false_alarm_rate_", "contamination_", "n_features_in_", "frame_")
_JUDGE, _CALIBRATION, _TRAINING = "judge.", "calibration.scores", "decision_scores"


def save_detector(model: Detector, path: str | os.PathLike[str]) -> None:
    """Write a fitted detector to one model file."""
    header = {
        "versions": {
            "refold": refold.__version__,
            "torch": torch.__version__,
            "python": platform.python_version(),
        },
        "parameters": {name: _plain(getattr(model, name)) for name in _stored_parameters()},
        "judge": {"kind": model.judge_.kind, "spec": model.judge_.spec.to_json()},
        "adapter": None if model.adapter_ is None else model.adapter_.to_json(),
        "fitted": {name: getattr(model, name) for name in _FITTED},
        "calibrated": len(model.calibration_.scores),
        "learned": len(model.decision_scores_),
        "timeline": model.timeline_.to_json() if isinstance(model.judge_, SeriesJudge) else None,
        "entities": _entities(model),
        "feature_names": [str(name) for name in getattr(model, "feature_names_in_", ())],
    }
    tensors = {_JUDGE + name: tensor for name, tensor in model.judge_.module.state_dict().items()}
    tensors[_CALIBRATION] = model.calibration_.scores
    tensors[_TRAINING] = torch.from_numpy(model.decision_scores_)
    write_model_file(ModelFile(type(model).__name__, header, tensors), path)


def _entities(model: Detector) -> dict[str, Any]:
    scales = model.entities_ if isinstance(model.judge_, SeriesJudge) else {}
    return {name: asdict(scale) for name, scale in scales.items()}


def rebuild_detector(file: ModelFile, name: str, device: str, features: nn.Module | None = None) -> Detector:
    """Return the detector of a model file that was read."""
    header = file.header
    model = Detector()
    values = {key: tuple(v) if isinstance(v, list) else v for key, v in header["parameters"].items()}
    model.set_params(**{key: value for key, value in values.items() if key in _stored_parameters()})
    check_parameters(model)
    model.set_params(features=features)
    model.adapter_ = None if header["adapter"] is None else adapter_from_json(header["adapter"])  # type: ignore[assignment]
    tensors = dict(file.tensors)
    calibration, training = tensors.pop(_CALIBRATION), tensors.pop(_TRAINING)
    target = choose_device(device)
    model.judge_ = _judge(header["judge"], tensors, name, features)
    model.judge_.module.to(target).eval()
    _check_fits(model, name)
    _restore(model, header, calibration, training, name)
    model.calibration_.to(target)
    return model


def _stored_parameters() -> list[str]:
    return [field.name for field in fields(DetectorParameters) if field.name not in _OF_A_RUN]


def _plain(value: Any) -> Any:
    if isinstance(value, np.generic):
        return value.item()
    if isinstance(value, tuple | list):
        return [_plain(item) for item in value]
    return value if value is None or isinstance(value, str | int | float | bool) else None


def _judge(description: dict[str, Any], tensors: dict[str, Tensor], name: str, features: nn.Module | None) -> Judge:
    with torch.device("meta"):  # built without memory, so that a file which claims a huge network costs nothing
        judge = blank_judge(description["kind"], description["spec"], features)
    expected = {_JUDGE + key: tensor for key, tensor in judge.module.state_dict().items()}
    wrong = sorted(set(expected) ^ set(tensors)) or [
        key
        for key in expected
        if expected[key].shape != tensors[key].shape or expected[key].dtype != tensors[key].dtype
    ]
    if wrong:
        raise ModelFileError(
            f"{name!r} does not hold the weights of its detector: {wrong[0]!r} is absent or does not fit"
        )
    judge.module.load_state_dict({key.removeprefix(_JUDGE): value for key, value in tensors.items()}, assign=True)
    return judge


def _check_fits(model: Detector, name: str) -> None:
    judge = model.judge_
    if not isinstance(judge, RowJudge | SeriesJudge):
        return
    adapter = model.adapter_
    if adapter is None or adapter.shape != judge.spec.raw_shape or adapter.n_categories != judge.spec.n_categories:
        raise ModelFileError(f"{name!r} is damaged: its network does not fit its data")


def _timeline(description: Any, name: str) -> Timeline:
    timeline = Timeline(**description)
    names = all(column is None or isinstance(column, str) for column in (timeline.time, timeline.group))
    if not names or not (timeline.step is None or (type(timeline.step) is float and timeline.step > 0)):
        raise ModelFileError(f"{name!r} is damaged: it does not say how its samples lie in time")
    return timeline


def _entity(description: Any, columns: int, name: str) -> EntityScale:
    scale = EntityScale(tuple(map(float, description["center"])), tuple(map(float, description["spread"])))
    sound = len(scale.center) == len(scale.spread) == columns and all(map(isfinite, (*scale.center, *scale.spread)))
    if not sound or not all(spread > 0 for spread in scale.spread):
        raise ModelFileError(f"{name!r} is damaged: it does not say what is usual for its entities")
    return scale


def _restore(model: Detector, header: dict[str, Any], calibration: Tensor, training: Tensor, name: str) -> None:
    for key in _FITTED:
        setattr(model, key, header["fitted"][key])
    names = header["feature_names"]
    if isinstance(model.judge_, SeriesJudge):
        model.timeline_ = _timeline(header["timeline"], name)
        columns = model.judge_.spec.raw_shape[0]
        model.entities_ = {str(entity): _entity(scale, columns, name) for entity, scale in header["entities"].items()}
    figures = (model.threshold_, model.promised_false_alarm_rate_, model.contamination_)
    sound = (
        calibration.dim() == training.dim() == 1
        and len(calibration) == header["calibrated"] >= 1
        and len(training) == header["learned"]
        and bool(torch.isfinite(calibration).all())
        and all(type(figure) is float and isfinite(figure) for figure in figures)
        and type(model.n_features_in_) is int
        and model.frame_ in (None, "pandas", "polars", "pyarrow")
        and isinstance(names, list)
        and len(names) in (0, model.n_features_in_)
        and all(isinstance(column, str) for column in names)
    )
    if not sound:
        raise ModelFileError(f"{name!r} is damaged: what it says of its training does not fit its network")
    model.offset_ = -model.threshold_
    model.calibration_ = Calibration(calibration.numpy())
    model.decision_scores_ = training.numpy()
    model.labels_ = (model.decision_scores_ > model.threshold_).astype(np.int64)
    if names:
        model.feature_names_in_ = np.asarray(names, dtype=object)
