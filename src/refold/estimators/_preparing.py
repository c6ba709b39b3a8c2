"""Between a parameter's name and the object it means: the one place where strings become settings."""

from math import prod
from typing import Any, Literal

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray
from torch import nn

from refold._errors import DataError, ParameterError
from refold.data import Adapter, TableAdapter
from refold.estimators._parameters import AutoencoderParameters
from refold.nets import AutoencoderNet, NetSpec, Scale, default_hidden, feature_shape_of
from refold.objectives import Variational, parse_penalties
from refold.train import Plan, default_batch_size, default_epochs, prefers_bfloat16

ScalingKind = Literal["standard", "range", "none"]
Array = NDArray[Any]

_SMALLEST_SIDE_FOR_CONV = 8
_RECORDS_LOOKED_AT = 1_000
_MOST_SHORTCUT_WEIGHTS = 1 << 23
_AT_AN_END, _SATURATED_SHARE = 0.02, 0.25


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


def check_values(numbers: Array, missing: str, value_range: tuple[float, float] | None, *, is_table: bool) -> None:
    """Refuse what cannot be learned from: infinite values, missing ones where not allowed, values out of range.

    Raises
    ------
    DataError
    """
    if numbers.dtype.kind == "f":
        _refuse(np.isinf(numbers), numbers, "X holds an infinite value (inf, or too large)", "replace it")
        if missing == "error" or (missing == "auto" and not is_table):
            advice = "replace it, or give missing='mask' to learn around it"
            _refuse(np.isnan(numbers), numbers, "X holds NaN", advice)
    if value_range is not None:
        low, high = value_range
        outside = (numbers < low) | (numbers > high)
        _refuse(
            outside,
            numbers,
            f"X holds a value outside value_range=({low:g}, {high:g})",
            "correct one of the two",
        )


def _refuse(bad: NDArray[np.bool_], numbers: Array, what: str, advice: str) -> None:
    if bad.any():
        place = tuple(int(index) for index in np.argwhere(bad)[0])
        raise DataError(f"{what}: {numbers[place]:g} at {place}, one of {int(bad.sum())}; {advice}")


def check_enough(size: int) -> None:
    """Refuse to learn from fewer than two records.

    Raises
    ------
    DataError
    """
    if size < 2:
        raise DataError(f"X has n_samples = {size}, and fit needs at least 2 records; give more")


def check_any_value(numbers: Array) -> None:
    """Refuse to learn from records in which every value is missing.

    Raises
    ------
    DataError
    """
    if numbers.dtype.kind == "f" and np.isnan(numbers).all():
        raise DataError("X holds no value at all, every cell is missing; give at least one column with values")


def missing_columns(numbers: Array) -> NDArray[np.bool_]:
    """Return the columns of rows in which a cell is missing; they get a flag of their own.

    All fitted rows count, held-out ones too, so that the width of the network does not hang on the draw.
    """
    if numbers.ndim > 2:
        return np.zeros((), dtype=np.bool_)
    missing: NDArray[np.bool_] = np.zeros(numbers.shape[1], dtype=np.bool_)
    return np.any(np.isnan(numbers), axis=0, out=missing) if numbers.dtype.kind == "f" else missing


def draw_held_out(size: int, fraction: float, seed: int) -> tuple[NDArray[np.intp], NDArray[np.intp]]:
    """Return the places of training and of held-out records; none is held out where the share is under one."""
    order = np.random.RandomState(seed).permutation(size)
    held_out = min(int(size * fraction), size - 1)
    return np.sort(order[held_out:]), np.sort(order[:held_out])


def scaling_kind(parameters: AutoencoderParameters, numbers: Array, adapter: Adapter) -> ScalingKind:
    """Return what `scaling` means for these records.

    Raises
    ------
    ParameterError
        If it contradicts `value_range` or `loss`.
    """
    named = parameters.scaling
    if named == "auto":
        is_picture, has_range = len(adapter.shape) > 1, parameters.value_range is not None
        return "range" if is_picture or has_range or parameters.loss == "cross_entropy" else "standard"
    if named != "range" and parameters.loss == "cross_entropy" and not _lies_in_unit_range(numbers):
        raise ParameterError(
            f"loss='cross_entropy' needs features in 0 to 1, and scaling={named!r} does not give them; take "
            "scaling='range' or loss='squared'"
        )
    return named


def _lies_in_unit_range(numbers: Array) -> bool:
    return bool(np.nanmin(numbers) >= 0 and np.nanmax(numbers) <= 1)


def net_spec(parameters: AutoencoderParameters, numbers: Array, adapter: Adapter, scale: Scale) -> NetSpec:
    """Return the specification of a network for these records."""
    shape, n_categories = adapter.shape, adapter.n_categories
    kind = _net_kind(parameters, shape)
    hidden = parameters.hidden
    if hidden == "auto":
        hidden = default_hidden("dense" if kind == "custom" else kind, feature_shape_of(shape, n_categories))
    output = _output_activation(parameters, kind, numbers, scale)
    return NetSpec(
        kind=kind,
        raw_shape=shape,
        n_categories=n_categories,
        latent_dim=int(parameters.latent_dim),
        hidden=tuple(int(size) for size in hidden),
        activation=parameters.activation,
        latent_activation=parameters.latent_activation,
        output_activation=output,
        normalise=bool(parameters.normalise),
        variational=_is_variational(parameters),
        unit=scale.unit,
        exact=numbers.dtype == np.float64,
        shortcut=_has_shortcut(parameters, kind, hidden, output, prod(feature_shape_of(shape, n_categories))),
        flags=tuple(int(place) for place in np.flatnonzero(scale.flagged)),
    )


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
    return bool(np.mean((shares <= _AT_AN_END) | (shares >= 1 - _AT_AN_END)) > _SATURATED_SHARE)


def _has_shortcut(
    parameters: AutoencoderParameters, kind: str, hidden: tuple[int, ...], output: str, width: int
) -> bool:
    if kind == "custom" or not hidden:
        return False
    if parameters.shortcut == "auto":
        linear = output == "identity" and parameters.latent_activation == "identity"
        return linear and parameters.latent_dim * width <= _MOST_SHORTCUT_WEIGHTS
    return bool(parameters.shortcut)


def check_same_code(parameters: AutoencoderParameters, spec: NetSpec) -> None:
    """Refuse to go on training a network with parameters that ask for another one.

    Raises
    ------
    ParameterError
    """
    wanted = {
        "latent_dim": (int(parameters.latent_dim), spec.latent_dim),
        "penalty='variational'": (_is_variational(parameters), spec.variational),
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
    return "conv" if len(shape) > 1 and min(shape[:2]) >= _SMALLEST_SIDE_FOR_CONV else "dense"


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
        optimizer=parameters.optimizer,
        bfloat16=_multiplies_in_bfloat16(parameters, net, batch),
    )


def _multiplies_in_bfloat16(parameters: AutoencoderParameters, net: AutoencoderNet, batch: int) -> bool:
    if parameters.precision == "auto":
        convolutional = any(isinstance(layer, nn.Conv2d | nn.ConvTranspose2d) for layer in net.modules())
        operations = net.operations * batch
        return prefers_bfloat16(net.scaling.center.device, operations, convolutional=convolutional)
    return parameters.precision == "bfloat16"
