"""Between a parameter's name and the object it means: the one place where strings become settings."""

import hashlib
from dataclasses import replace
from math import prod
from typing import Any, Literal, Protocol

import numpy as np
import pyarrow as pa
import torch
from numpy.typing import NDArray
from torch import nn

from refold._errors import DataError, ParameterError
from refold._memory import free_memory
from refold._parameters import bytes_of, parameters_of
from refold.data import Adapter, TableAdapter
from refold.estimators._parameters import AutoencoderParameters
from refold.estimators._records import Survey
from refold.nets import AutoencoderNet, NetSpec, Scale, default_hidden, feature_shape_of, scale_of
from refold.objectives import KeepNeighbours, Variational, describe, parse_keep, parse_penalties
from refold.train import (
    Listener,
    Placement,
    Plan,
    choose_device,
    default_batch_size,
    default_epochs,
    parse_trackers,
    place,
)

ScalingKind = Literal["standard", "range", "none"]
Array = NDArray[Any]

_SMALLEST_SIDE_FOR_CONV = 8
_MOST_VALUES_FOR_DENSE = 4096  # of pictures whose codes have places
_BEFORE_DENSE = (32, 64)  # channels of convolutions in their networks
_CANDIDATES = 32  # for a code whose neighbours are kept
_WIDE, _WIDE_FROM = (1024, 512, 256), 256  # layers, and values of a record
_RECORDS_LOOKED_AT = 1_000
_MOST_SHORTCUT_WEIGHTS = 1 << 23
_NOT_LEARNED_FROM = ("verbose", "track", "checkpoint", "checkpoint_seconds", "max_memory", "warm_start")
_BUFFERS = 1 << 30
_AT_AN_END, _SATURATED_SHARE, _USED_RANGE = 0.02, 0.25, 0.5


def as_fitted(values: Any, adapter: Adapter) -> Any:
    """Return records in the container that was fitted: rows of numbers may come as a table or as an array.

    Raises
    ------
    DataError
        If the table holds more than numbers, or the array is not one of rows.
    """
    is_table = isinstance(values, pa.Table)
    if is_table == (adapter.kind == "table"):
        return values
    if isinstance(adapter, TableAdapter) and values.ndim == 2 and values.shape[1] == len(adapter.columns):
        names = [column.name for column in adapter.columns]
        return pa.table([pa.array(column) for column in values.T], names=names)
    if is_table and len(adapter.shape) == 1 and not any(TableAdapter.fit(values).n_categories):
        return TableAdapter.fit(values).encode(values)
    fitted, given = ("an array", "a table") if is_table else ("a table", "an array")
    raise DataError(f"this model was fitted on {fitted} and now gets {given}; give {fitted} like the fitted one")


def check_values(
    numbers: Array, missing: str, value_range: tuple[float, float] | None, *, is_table: bool, start: int = 0
) -> None:
    """Refuse what cannot be learned from: infinite values, missing ones where not allowed, values out of range.

    Parameters
    ----------
    numbers : ndarray of shape (n, *record)
    missing : {"auto", "mask", "error"}
    value_range : (low, high) or None
    is_table : bool
    start : int
        Place of the first record among all, for the message.

    Raises
    ------
    DataError
    """
    if numbers.dtype.kind == "f" and not np.isfinite(_sum(numbers)):  # one quick look, and a close one if need be
        _refuse(np.isinf(numbers), numbers, start, "X holds an infinite value (inf, or too large)", "replace it")
        if missing == "error" or (missing == "auto" and not is_table):
            advice = "replace it, or give missing='mask' to learn around it"
            _refuse(np.isnan(numbers), numbers, start, "X holds NaN", advice)
    if value_range is not None:
        low, high = value_range
        outside = (numbers < low) | (numbers > high)
        what = f"X holds a value outside value_range=({low:g}, {high:g})"
        _refuse(outside, numbers, start, what, "correct one of the two")


def _sum(numbers: Array) -> float:
    with np.errstate(over="ignore", invalid="ignore"):
        return float(np.sum(numbers))


def _refuse(bad: NDArray[np.bool_], numbers: Array, start: int, what: str, advice: str) -> None:
    if bad.any():
        row, *others = (int(index) for index in np.argwhere(bad)[0])
        value = numbers[(row, *others)]
        raise DataError(f"{what}: {value:g} at {(start + row, *others)}, one of {int(bad.sum())}; {advice}")


def check_enough(size: int) -> None:
    """Refuse to learn from fewer than two records.

    Raises
    ------
    DataError
    """
    if size < 2:
        raise DataError(f"X has n_samples = {size}, and fit needs at least 2 records; give more")


def check_any_value(survey: Survey) -> None:
    """Refuse to learn from records in which every value is missing.

    Raises
    ------
    DataError
    """
    if not survey.moments.count.any():
        raise DataError("X holds no value at all, every cell is missing; give at least one column with values")


def scale_for(parameters: AutoencoderParameters, survey: Survey, adapter: Adapter) -> Scale:
    """Return the scale of the records that were surveyed.

    Raises
    ------
    ParameterError
        If `scaling` contradicts `value_range` or `loss`.
    """
    kind = _scaling_kind(parameters, survey, adapter)
    value_range = parameters.value_range or (adapter.value_range if kind == "range" else None)
    names = tuple(column.name for column in getattr(adapter, "columns", ()))
    scale = scale_of(survey.moments, kind, value_range, adapter.n_categories, names)
    return replace(scale, flagged=survey.missing)


def _scaling_kind(parameters: AutoencoderParameters, survey: Survey, adapter: Adapter) -> ScalingKind:
    named = parameters.scaling
    if named == "auto":
        is_picture, has_range = len(adapter.shape) > 1, parameters.value_range is not None
        return "range" if is_picture or has_range or parameters.loss == "cross_entropy" else "standard"
    if named != "range" and parameters.loss == "cross_entropy" and not _lies_in_unit_range(survey):
        raise ParameterError(
            f"loss='cross_entropy' needs features in 0 to 1, and scaling={named!r} does not give them; take "
            "scaling='range' or loss='squared'"
        )
    return named


def _lies_in_unit_range(survey: Survey) -> bool:
    return bool(np.min(survey.moments.low) >= 0 and np.max(survey.moments.high) <= 1)


def net_spec(parameters: AutoencoderParameters, numbers: Array, adapter: Adapter, scale: Scale, size: int) -> NetSpec:
    """Return the specification of a network with codes of a size, for records of which `numbers` are some."""
    shape, n_categories = adapter.shape, adapter.n_categories
    kind = _net_kind(parameters, shape)
    to_places = _goes_to_places(parameters, shape)
    hidden = parameters.hidden
    if hidden == "auto":
        usual = default_hidden("dense" if kind == "custom" else kind, feature_shape_of(shape, n_categories))
        hidden = _WIDE if to_places and prod(shape) >= _WIDE_FROM else usual
    output = _output_activation(parameters, kind, numbers, scale)
    candidates = _CANDIDATES if _chooses(parameters, kind) else 0
    return NetSpec(
        kind=kind,
        raw_shape=shape,
        n_categories=n_categories,
        latent_dim=size,
        hidden=tuple(int(width) for width in hidden),
        activation=parameters.activation,
        latent_activation=parameters.latent_activation,
        output_activation=output,
        normalise=bool(parameters.normalise),
        variational=_is_variational(parameters),
        unit=scale.unit,
        exact=numbers.dtype == np.float64,
        shortcut=_has_shortcut(parameters, kind, hidden, output, size * prod(feature_shape_of(shape, n_categories))),
        flags=tuple(int(place) for place in np.flatnonzero(scale.flagged)),
        front=_BEFORE_DENSE if to_places and hidden else (),
        candidates=candidates,
    )


def _chooses(parameters: AutoencoderParameters, kind: str) -> bool:
    """Say whether the code is chosen among candidates: where groups come apart, and the network is ours."""
    kept = isinstance(parse_keep(parameters.keep).places, KeepNeighbours)
    plain = parameters.latent_activation == "identity" and not _is_variational(parameters)
    return kept and plain and kind != "custom"


def _output_activation(parameters: AutoencoderParameters, kind: str, numbers: Array, scale: Scale) -> str:
    if parameters.output_activation != "auto":
        return parameters.output_activation
    if kind == "custom" or not scale.unit:
        return "identity"
    return "sigmoid" if parameters.loss == "cross_entropy" or _is_saturated(numbers, scale) else "identity"


def _is_saturated(numbers: Array, scale: Scale) -> bool:
    """Say whether much of the data lies at the ends of its range, as in drawings and unlike in photographs."""
    some = numbers[:: max(1, len(numbers) // _RECORDS_LOOKED_AT)]
    shares = (some - scale.low) / np.where(scale.high > scale.low, scale.high - scale.low, 1)
    # values that use only the lower end of a wide range, such as 0 to 16 in bytes, are not black and white
    uses_the_range = shares.max(initial=0) > _USED_RANGE
    return bool(uses_the_range and np.mean((shares <= _AT_AN_END) | (shares >= 1 - _AT_AN_END)) > _SATURATED_SHARE)


def _has_shortcut(
    parameters: AutoencoderParameters, kind: str, hidden: tuple[int, ...], output: str, weights: int
) -> bool:
    if kind == "custom" or not hidden:
        return False
    if parameters.shortcut == "auto":
        linear = output == "identity" and parameters.latent_activation == "identity"
        return linear and weights <= _MOST_SHORTCUT_WEIGHTS
    return bool(parameters.shortcut)


def check_same_code(parameters: AutoencoderParameters, spec: NetSpec) -> None:
    """Refuse to go on training a network with parameters that ask for another one.

    Raises
    ------
    ParameterError
    """
    wanted = {
        "latent_dim": (
            spec.latent_dim if parameters.latent_dim == "auto" else parameters.latent_dim,
            spec.latent_dim,
        ),
        "penalty='variational'": (_is_variational(parameters), spec.variational),
        "keep='neighbours'": (_chooses(parameters, spec.kind), spec.candidates > 0),
    }
    for name, (now, then) in wanted.items():
        if now != then:
            raise ParameterError(
                f"training cannot go on with {name} changed from {then} to {now}: the network would be another one; "
                "set it back, or fit anew with warm_start=False"
            )


def _is_variational(parameters: AutoencoderParameters) -> bool:
    return any(isinstance(penalty, Variational) for penalty in parse_penalties(parameters.penalty))


def _net_kind(parameters: AutoencoderParameters, shape: tuple[int, ...]) -> str:
    if parameters.encoder is not None or parameters.decoder is not None:
        return "custom"
    if parameters.net != "auto":
        return parameters.net
    if _goes_to_places(parameters, shape):
        return "dense"  # a convolutional one of usual size does not get codes to their places
    return "conv" if _has_sides(shape) else "dense"


def _goes_to_places(parameters: AutoencoderParameters, shape: tuple[int, ...]) -> bool:
    """Say whether the network is ours to choose and takes small pictures to places."""
    own = parameters.encoder is not None or parameters.decoder is not None or parameters.net != "auto"
    placed = parse_keep(parameters.keep).places is not None
    return placed and not own and _has_sides(shape) and prod(shape) <= _MOST_VALUES_FOR_DENSE


def _has_sides(shape: tuple[int, ...]) -> bool:
    return len(shape) > 1 and min(shape[:2]) >= _SMALLEST_SIDE_FOR_CONV


def _optimizer(parameters: AutoencoderParameters) -> str:
    if parameters.optimizer != "auto":
        return parameters.optimizer
    return "adamw" if parse_keep(parameters.keep).places is None else "muon"


def plan_of(
    parameters: AutoencoderParameters, net: AutoencoderNet, size: int, seed: int, *, one_pass: bool = False
) -> Plan:
    """Return how long and how fast to train on `size` records."""
    batch_size = parameters.batch_size
    batch = (
        default_batch_size(size, prod(net.scaling.raw_shape)) if batch_size == "auto" else min(int(batch_size), size)
    )
    epochs = parameters.max_epochs
    return Plan(
        max_epochs=1
        if one_pass
        else default_epochs(size, batch, net.operations)
        if epochs == "auto"
        else int(epochs),
        batch_size=batch,
        learning_rate=float(parameters.learning_rate),
        schedule="constant" if one_pass else parameters.schedule,
        weight_decay=float(parameters.weight_decay),
        gradient_clip=None if parameters.gradient_clip is None else float(parameters.gradient_clip),
        averaging=0.0 if one_pass else float(parameters.weight_averaging),
        early_stopping=bool(parameters.early_stopping),
        patience=int(parameters.patience),
        seed=seed,
        optimizer=_optimizer(parameters),
    )


def placement_of(parameters: AutoencoderParameters, net: AutoencoderNet, batch_size: int) -> Placement:
    """Return where and how to train."""
    device = choose_device(parameters.device)
    return place(net, batch_size, device, parameters.precision, parameters.threads)


class LimitsMemory(Protocol):
    """Parameters of any estimator that reads records."""

    max_memory: int | str


def memory_for_records(parameters: LimitsMemory) -> int:
    """Return the bytes above which records stay on disk."""
    if parameters.max_memory == "auto":
        return free_memory() // 2
    return bytes_of(parameters.max_memory)


def memory_for_buffers(parameters: LimitsMemory) -> int:
    """Return the bytes for records that are read from disk; not by what is free now, for results hang on it."""
    return _BUFFERS if parameters.max_memory == "auto" else bytes_of(parameters.max_memory)


def listeners_of(track: Any) -> list[Listener]:
    """Return the listeners that `track` means.

    Raises
    ------
    ParameterError
        If a text names none.
    """
    return parse_trackers(track) if isinstance(track, str) else list(track or ())


def settings_of(parameters: AutoencoderParameters) -> dict[str, Any]:
    """Return the parameters that decide what is learned, as values that JSON can hold."""
    values = {item.name: getattr(parameters, item.name) for item in parameters_of(AutoencoderParameters)}
    return {name: _as_json(value) for name, value in values.items() if name not in _NOT_LEARNED_FROM}


def _as_json(value: Any) -> Any:
    if isinstance(value, np.generic):
        return value.item()
    if isinstance(value, tuple | list):
        return [_as_json(item) for item in value]
    if value is None or isinstance(value, str | int | float | bool):
        return value
    if isinstance(value, nn.Module) or hasattr(value, "randint"):
        return type(value).__name__
    return describe(value) or f"{type(value).__module__}.{type(value).__qualname__}"


def digest_of(net: nn.Module) -> str:
    """Return a text that a network of other weights does not have."""
    digest = hashlib.sha256()
    for name, tensor in net.state_dict().items():
        digest.update(f"{name} {tensor.dtype} {tuple(tensor.shape)}".encode())
        digest.update(tensor.detach().cpu().contiguous().reshape(-1).view(torch.uint8).numpy().data)
    return digest.hexdigest()
