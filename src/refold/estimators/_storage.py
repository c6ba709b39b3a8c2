"""Estimators to files and back."""

import copy
import os
import platform
from dataclasses import fields
from math import prod
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

import refold
from refold._errors import ModelFileError, RefoldError
from refold._parameters import check_parameters
from refold.data import adapter_from_json
from refold.estimators._autoencoder import Autoencoder
from refold.estimators._camera_detection import CameraDetector, rebuild_camera
from refold.estimators._compressor import Compressor, rebuild_compressor
from refold.estimators._detector import Detector
from refold.estimators._detector_storage import rebuild_detector
from refold.estimators._parameters import AutoencoderParameters
from refold.estimators._restorer import Restorer, rebuild_restorer
from refold.files import ModelFile, read_header, read_model_file, write_model_file
from refold.nets import NetSpec, build_net
from refold.objectives import describe, parse_corruption, parse_keep, parse_penalties
from refold.train import EpochRecord, choose_device

KINDS = ("Autoencoder", "CameraDetector", "Compressor", "Detector", "Restorer")
_OF_A_RUN = ("encoder", "decoder", "checkpoint", "checkpoint_seconds", "track", "max_memory")  # never in a file
_FITTED = ("history_", "best_epoch_", "n_iter_", "stopped_", "n_features_in_", "frame_")


def save(model: Autoencoder, path: str | os.PathLike[str]) -> None:
    """Write a fitted estimator to one model file."""
    header = {
        "versions": {
            "refold": refold.__version__,
            "torch": torch.__version__,
            "python": platform.python_version(),
        },
        "parameters": _parameters(model),
        "spec": model.spec_.to_json(),
        "adapter": model.adapter_.to_json(),
        "fitted": {name: getattr(model, name) for name in _FITTED},
        "feature_names": [str(name) for name in getattr(model, "feature_names_in_", ())],
    }
    write_model_file(ModelFile(type(model).__name__, header, model.net_.state_dict()), path)


def load(
    path: str | os.PathLike[str],
    *,
    encoder: nn.Module | None = None,
    decoder: nn.Module | None = None,
    features: nn.Module | None = None,
    device: str = "auto",
) -> Autoencoder | CameraDetector | Compressor | Detector | Restorer:
    """Read a model that `save` wrote. Nothing in the file is run.

    Parameters
    ----------
    path : path-like
    encoder, decoder : torch.nn.Module, optional
        Modules of the same architecture, for a model that was fitted with your own; the file holds their weights.
    features : torch.nn.Module, optional
        The frozen network of a detector that was fitted with one.
    device : str, default="auto"

    Returns
    -------
    model : Autoencoder, Detector, CameraDetector, Compressor or Restorer
        Fitted; gives the same numbers as the model that was saved.

    Raises
    ------
    ModelFileError
        If the file is absent, truncated, altered, of a newer format, or no model file.

    Examples
    --------
    >>> import numpy as np, refold, tempfile, os
    >>> X = np.random.default_rng(0).normal(size=(50, 4))
    >>> model = refold.Autoencoder(latent_dim=1, max_epochs=1, random_state=0).fit(X)
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     model.save(os.path.join(folder, "model.safetensors"))
    ...     same = refold.load(os.path.join(folder, "model.safetensors"))
    >>> bool((same.transform(X) == model.transform(X)).all())
    True
    """
    file = read_model_file(path)
    if file.kind not in KINDS:
        raise ModelFileError(f"{Path(path).name!r} holds a {file.kind}, which this version of refold does not know")
    try:
        if file.kind == "CameraDetector":
            return rebuild_camera(file, Path(path).name)
        if file.kind == "Compressor":
            return rebuild_compressor(file, Path(path).name)
        if file.kind == "Restorer":
            return rebuild_restorer(file, Path(path).name, device)
        if file.kind == "Detector":
            return rebuild_detector(file, Path(path).name, device, features)
        return _rebuild(file, Path(path).name, encoder, decoder, device)
    except ModelFileError:
        raise
    except (RefoldError, KeyError, TypeError, ValueError, AttributeError, IndexError, OverflowError) as error:
        reason = str(error).splitlines()[0] if str(error) else type(error).__name__
        raise ModelFileError(f"{Path(path).name!r} does not describe a model: {reason}") from error


def inspect_file(path: str | os.PathLike[str]) -> dict[str, Any]:
    """Return what a model file says of itself, without its weights.

    Raises
    ------
    ModelFileError
        If it is no model file.
    """
    return read_header(path)


def _parameters(model: Autoencoder) -> dict[str, Any]:
    names = [field.name for field in fields(AutoencoderParameters) if field.name not in _OF_A_RUN]
    values = {name: getattr(model, name) for name in names}
    for name in ("penalty", "corruption", "keep"):
        values[name] = values[name] if isinstance(values[name], str) else describe(values[name])
    return {name: _plain(value) for name, value in values.items()}


def _plain(value: Any) -> Any:
    """Return a value that JSON can hold; what it cannot is left out (a RandomState)."""
    if isinstance(value, np.generic):
        return value.item()
    if isinstance(value, tuple | list):
        return [_plain(item) for item in value]
    return value if value is None or isinstance(value, str | int | float | bool) else None


def _rebuild(
    file: ModelFile, name: str, encoder: nn.Module | None, decoder: nn.Module | None, device: str
) -> Autoencoder:
    known = {field.name for field in fields(AutoencoderParameters)} - set(_OF_A_RUN)
    values: dict[str, Any] = {
        key: tuple(v) if isinstance(v, list) else v for key, v in file.header["parameters"].items()
    }
    model = Autoencoder()
    model.set_params(**{key: value for key, value in values.items() if key in known})
    check_parameters(model)
    parse_penalties(model.penalty)
    parse_corruption(model.corruption)
    parse_keep(model.keep)
    model.set_params(encoder=encoder, decoder=decoder)
    model.spec_ = NetSpec.from_json(file.header["spec"])
    model.adapter_ = adapter_from_json(file.header["adapter"])
    if model.adapter_.shape != model.spec_.raw_shape or model.adapter_.n_categories != model.spec_.n_categories:
        raise ModelFileError(f"{name!r} is damaged: its network does not fit its data")
    model.net_ = _network(model.spec_, file.tensors, name, encoder, decoder).to(choose_device(device))
    model.net_.eval()
    _restore_fitted(model, file.header, name)
    return model


def _network(
    spec: NetSpec, tensors: dict[str, Tensor], name: str, encoder: nn.Module | None, decoder: nn.Module | None
) -> Any:
    if spec.kind == "custom" and encoder is None and decoder is None:
        raise ModelFileError(
            f"{name!r} was fitted with modules of your own, and a file holds only their weights; pass them again: "
            "refold.load(path, encoder=..., decoder=...)"
        )
    # built without memory, so that a file which claims a huge network costs nothing
    with torch.device("meta"):
        net = build_net(spec, None, _on_meta(encoder), _on_meta(decoder))
    expected = net.state_dict()
    wrong = sorted(set(expected) ^ set(tensors)) or [
        key
        for key in expected
        if expected[key].shape != tensors[key].shape or expected[key].dtype != tensors[key].dtype
    ]
    if wrong:
        raise ModelFileError(
            f"{name!r} does not hold the weights of its network: {wrong[0]!r} is absent or does not fit"
        )
    net.load_state_dict(tensors, assign=True)
    return net


def _on_meta(module: nn.Module | None) -> nn.Module | None:
    return None if module is None else copy.deepcopy(module).to("meta")


def _restore_fitted(model: Autoencoder, header: dict[str, Any], name: str) -> None:
    for key in _FITTED:
        setattr(model, key, header["fitted"][key])
    names = header["feature_names"]
    if not (_has_sound_history(model) and _has_sound_columns(model, names)):
        raise ModelFileError(f"{name!r} is damaged: what it says of its training does not fit its network")
    if names:
        model.feature_names_in_ = np.asarray(names, dtype=object)


def _has_sound_history(model: Autoencoder) -> bool:
    epochs, history = model.n_iter_, model.history_
    return (
        all(type(count) is int for count in (epochs, model.best_epoch_))
        and 1 <= model.best_epoch_ <= epochs
        and model.stopped_ in ("max_epochs", "early", "interrupted")
        and isinstance(history, dict)
        and history.keys() == {field.name for field in fields(EpochRecord)}
        and all(isinstance(column, list) and len(column) == epochs for column in history.values())
        and all(type(figure) in (int, float) for column in history.values() for figure in column)
    )


def _has_sound_columns(model: Autoencoder, names: Any) -> bool:
    size = prod(model.spec_.raw_shape)
    return (
        model.frame_ in ((None,) if model.adapter_.kind == "array" else ("pandas", "polars", "pyarrow"))
        and type(model.n_features_in_) is int
        and model.n_features_in_ == size
        and isinstance(names, list)
        and len(names) in (0, size)
        and all(isinstance(column, str) for column in names)
    )


__all__ = ["KINDS", "inspect_file", "load", "save"]
