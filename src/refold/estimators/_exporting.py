"""Estimators to ONNX files that give the same numbers."""

import copy
import os
from collections.abc import Callable
from dataclasses import dataclass
from math import prod
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

import refold
from refold._errors import ModelFileError
from refold.estimators._autoencoder import Autoencoder
from refold.files import check_onnx, open_onnx, to_onnx, write_onnx
from refold.train import apply_in_blocks

Array = NDArray[Any]
Run = Callable[[Array], Array]

_MOST_DIFFERENCE = 1e-4
_BATCHES = (1, 7, 64)
_MOST_VALUES = 1 << 24  # in a batch: of large pictures, fewer are compared
_MISSING_SHARE = 0.2
_CLEAR_LEAD = 1e-4  # of the chosen candidate for a code over the next, in logarithms of chances
_SMALLEST_CODE = 1e-3  # codes that are all smaller are noise around zero


@dataclass(frozen=True)
class ExportReport:
    """What was exported, and how well it was found to agree.

    Parameters
    ----------
    path : pathlib.Path
    part : {"whole", "encoder", "decoder"}
    largest_difference : float
        Between ONNX Runtime and the model, over all values that were compared, relative to their scale.
    bytes : int
        Size of the file.
    """

    path: Path
    part: str
    largest_difference: float
    bytes: int


def export(model: Autoencoder, path: str | os.PathLike[str], part: str = "whole") -> ExportReport:
    """Write a fitted estimator, or a half of it, to one ONNX file, once ONNX Runtime has given the same numbers.

    The graph takes and gives the user's own numbers: arrays in their own dtype, tables as a float64 matrix with NaN
    for missing cells, codes for categories and days since 1970 for dates. Its metadata say under ``refold``, as JSON,
    what the columns are called and what the codes stand for.

    The comparison runs on records drawn from the range that the model was fitted on, with missing cells where the
    model takes them, in batches of 1, 7 and 64 (fewer of very large pictures). A difference is relative to the spread
    of its column (of all pixels together, for pictures) that scaling has learned, or to the largest distance of the
    column's values from its centre where that is larger; what rounding to the dtype of the records accounts for is
    taken off first. A category counts as the share by which its score falls short of the highest one. A difference
    of codes is relative to the largest of them, or to 0.001 where that is larger. Records for which rounding decides
    between two candidates for their code are not compared: there another program may choose otherwise.

    Parameters
    ----------
    model : Autoencoder
    path : path-like
        Must end in ``.onnx``.
    part : {"whole", "encoder", "decoder"}, default="whole"
        From records to rebuilt records, from records to codes, or from codes to rebuilt records.

    Returns
    -------
    report : ExportReport

    Raises
    ------
    ParameterError
        If `part` is none of the three.
    ModelFileError
        If the path does not end in ``.onnx``, the network cannot be written as ONNX, or ONNX Runtime gives numbers
        that differ by more than 1e-4. Nothing is written.
    MissingExtraError
        If the packages of the extra ``onnx`` are not installed.

    Examples
    --------
    >>> import numpy as np, refold, tempfile, os
    >>> from refold.estimators import export
    >>> X = np.random.default_rng(0).normal(size=(50, 4))
    >>> model = refold.Autoencoder(latent_dim=1, max_epochs=1, random_state=0).fit(X)
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     report = export(model, os.path.join(folder, "encoder.onnx"), part="encoder")
    >>> report.largest_difference < 1e-4
    True
    """
    check_onnx(path, part)
    model = _on_cpu(model)
    dtype = _dtype(model)
    content = to_onnx(model.net_, part, dtype, _header(model, part, dtype))
    difference = _largest_difference(model, part, dtype, open_onnx(content))
    if not difference <= _MOST_DIFFERENCE:
        raise ModelFileError(
            f"ONNX Runtime gives numbers that differ by {difference:.1e} from the model's, and the most allowed is "
            f"{_MOST_DIFFERENCE:g}; nothing was written: use refold itself, or other modules or activations"
        )
    write_onnx(content, path)
    return ExportReport(Path(path), part, difference, len(content))


def _on_cpu(model: Autoencoder) -> Autoencoder:
    """Return the model with a network of its own where float32 is float32: accelerators round it shorter."""
    moved = copy.copy(model)
    moved.net_ = copy.deepcopy(model.net_).cpu().eval()
    return moved


def _dtype(model: Autoencoder) -> np.dtype[Any]:
    """Return the dtype of the user's records, float64 for tables and where ONNX has no such dtype."""
    dtype = np.dtype(getattr(model.adapter_, "dtype", "float64"))
    return dtype if dtype.itemsize <= 8 else np.dtype(np.float64)


def _header(model: Autoencoder, part: str, dtype: np.dtype[Any]) -> dict[str, Any]:
    names = [str(name) for name in getattr(model, "feature_names_in_", ())]
    return {
        "refold": refold.__version__,
        "kind": type(model).__name__,
        "part": part,
        "latent_dim": model.net_.latent_dim,
        "dtype": dtype.name,
        "shape": list(model.adapter_.shape),
        "columns": model.adapter_.to_json().get("columns", [{"name": name, "kind": "number"} for name in names]),
    }


# --- records to compare by ---------------------------------------------------------------------------------------


def _typical_records(model: Autoencoder, dtype: np.dtype[Any]) -> Array:
    """Draw records from the range that the model was fitted on, as the graph takes them."""
    rng = np.random.default_rng(0)
    low, high = _as_array(model.net_.scaling.low), _as_array(model.net_.scaling.high)
    shares = rng.random((sum(_batch_sizes(model)), *model.spec_.raw_shape))
    numbers = low * (1 - shares) + high * shares
    for place, count in _category_columns(model):
        numbers[:, place] = rng.integers(0, count, len(numbers))
    if dtype.kind != "f":
        return _clearly_chosen(model, np.rint(numbers).astype(dtype))
    if _takes_missing(model):
        numbers[rng.random(numbers.shape) < _MISSING_SHARE] = np.nan
    return _clearly_chosen(model, numbers.astype(dtype))


def _clearly_chosen(model: Autoencoder, records: Array) -> Array:
    """Return as many records, some twice, without those for which rounding decides between two candidates."""
    if model.net_.candidates < 2:
        return records
    net = model.net_

    def lead(raw: Tensor) -> Tensor:
        best = net.candidates_of(net.encoder(net.scaling.inputs(raw))).log_chances.topk(2, dim=1).values
        return best[:, 0] - best[:, 1]

    clear = np.flatnonzero(_apply(model, lead, _as_numbers(model, records)) > _CLEAR_LEAD)
    return records[np.resize(clear, len(records))] if len(clear) else records


def _batch_sizes(model: Autoencoder) -> list[int]:
    most = max(2, _MOST_VALUES // prod(model.spec_.raw_shape))
    return [min(size, most) for size in _BATCHES]


def _category_columns(model: Autoencoder) -> list[tuple[int, int]]:
    """Return place and number of categories of every category column."""
    return [(place, count) for place, count in enumerate(model.spec_.n_categories) if count]


def _takes_missing(model: Autoencoder) -> bool:
    return model.missing == "mask" or (model.missing == "auto" and model.adapter_.kind == "table")


def _as_array(tensor: Tensor) -> Array:
    return tensor.numpy().astype(np.float64)


# --- the comparison ----------------------------------------------------------------------------------------------


def _largest_difference(model: Autoencoder, part: str, dtype: np.dtype[Any], run: Run) -> float:
    records = _typical_records(model, dtype)
    codes = _apply(model, model.net_.encode, _as_numbers(model, records))
    features = _apply(model, lambda code: model.net_.activate(model.net_.decoder(code)), codes)
    given = codes if part == "decoder" else records
    differences = []
    for batch in _batches(model):
        found = run(given[batch])
        differences.append(
            _between_codes(found, codes[batch])
            if part == "encoder"
            else _between_records(model, found, features[batch], dtype)
        )
    return float(np.max(differences))  # NaN wins


def _batches(model: Autoencoder) -> list[slice]:
    sizes = _batch_sizes(model)
    return [slice(end - size, end) for end, size in zip(np.cumsum(sizes).tolist(), sizes, strict=True)]


def _as_numbers(model: Autoencoder, records: Array) -> Array:
    numbers: Array = records if model.adapter_.kind == "table" else model.adapter_.encode(records)
    return numbers


def _apply(model: Autoencoder, function: Callable[[Tensor], Tensor], values: Array) -> Array:
    return apply_in_blocks(function, values, torch.device("cpu"), model.net_.operations)


def _between_codes(found: Array, codes: Array) -> float:
    if found.shape != codes.shape or not np.isfinite(found).all():
        return np.inf
    return float(np.abs(found - codes).max() / max(np.abs(codes).max(), _SMALLEST_CODE))


def _between_records(model: Autoencoder, found: Array, features: Array, dtype: np.dtype[Any]) -> float:
    expected = _apply(model, model.net_.scaling.restore, features).astype(np.float64)
    if found.shape != expected.shape or found.dtype != dtype or not np.isfinite(found).all():
        return np.inf
    return max(_between_numbers(model, found, expected), _between_categories(model, found, features))


def _between_numbers(model: Autoencoder, found: Array, expected: Array) -> float:
    scaling = model.net_.scaling
    center, spread = _as_array(scaling.center), _as_array(scaling.spread)
    inside = np.clip(expected, *_limits(found.dtype))
    reach = np.maximum(spread, np.abs(inside - center).max(axis=0 if spread.ndim else None))
    beyond_rounding = np.maximum(np.abs(found.astype(np.float64) - inside) - _grain(inside, found.dtype), 0)
    return float((beyond_rounding / reach * _as_array(scaling.numeric())).max())


def _limits(dtype: np.dtype[Any]) -> tuple[float, float]:
    if dtype.kind in "iu":
        return float(np.iinfo(dtype).min), float(np.iinfo(dtype).max)
    return (0.0, 1.0) if dtype.kind == "b" else (-np.inf, np.inf)


def _grain(values: Array, dtype: np.dtype[Any]) -> Any:
    """Return how far a value can lie from its own rounding to `dtype`."""
    return np.spacing(np.abs(values).astype(dtype)) if dtype.kind == "f" else 0.5


def _between_categories(model: Autoencoder, found: Array, features: Array) -> float:
    sizes = model.net_.scaling.categories
    blocks = np.split(features, np.cumsum([features.shape[1] - sum(sizes), *sizes])[:-1], axis=1)[1:]
    columns = _category_columns(model)
    pairs = zip(columns, blocks, strict=True)
    return max((_short_of_best(found[:, place], scores) for (place, _), scores in pairs), default=0.0)


def _short_of_best(found: Array, scores: Array) -> float:
    """Return by which share the scores of the categories found fall short of the highest ones; ties are no miss."""
    codes = np.clip(found, 0, scores.shape[1] - 1).astype(np.intp)
    if (codes != found).any():
        return np.inf
    chosen = np.take_along_axis(scores, codes[:, None], axis=1)[:, 0]
    return float((scores.max(axis=1) - chosen).max() / max(np.abs(scores).max(), np.finfo(scores.dtype).tiny))
