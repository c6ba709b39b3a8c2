"""What the commands do, once their words are understood."""

import os
import sys
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa

from refold._errors import DataError, ParameterError
from refold.cli._talk import reading_progress, say
from refold.data import Source, open_source, write_records
from refold.estimators import Autoencoder, PCABaseline, load

_FEWEST_TO_JUDGE_BY = 10
_RECORD_ENDINGS = (".parquet", ".csv", ".npy", ".npz", "")


def fit_model(
    data: str, output: Path, drop: Sequence[str], parameters: dict[str, Any], quiet: bool
) -> dict[str, Any]:
    """Fit, save, and report the share of variance that survives beside PCA's."""
    check_output(output, (".safetensors",))
    model = Autoencoder(**parameters, verbose=0 if quiet else 1)
    source = without(open_data(data, quiet, parameters.get("image_size")), drop)
    start = time.perf_counter()
    model.fit(source)
    model.save(output)
    judged = _variance_kept(model, source)
    result = {
        "model": str(output),
        "records": source.size,
        "latent_dim": model.latent_dim,
        "epochs": model.n_iter_,
        "seconds": round(time.perf_counter() - start, 1),
        "validation_error": model.history_["validation_error"][model.best_epoch_ - 1],
        "train_error": model.history_["train_error"][model.best_epoch_ - 1],
        "stopped": model.stopped_,
        **judged,
    }
    if not quiet:
        _report_fit(result)
    return result


def _variance_kept(model: Autoencoder, source: Source) -> dict[str, Any]:
    """Judge model and PCA on the records held out of training, or on all where too few were."""
    held_out = model.held_out_
    training = np.setdiff1d(np.arange(source.size), held_out)
    few = len(held_out) < _FEWEST_TO_JUDGE_BY
    learned, judged = (source, source) if few else (_part(source, training), _part(source, held_out))
    return {
        "judged_by": "all records" if few else f"{len(held_out)} records held out of training",
        "variance_kept": model.score(judged),
        "variance_kept_by_pca": PCABaseline(model, learned).score(judged),
    }


def _part(source: Source, places: np.ndarray[Any, Any]) -> Source:
    values = source.values.take(pa.array(places)) if isinstance(source.values, pa.Table) else source.values[places]
    return Source(values, frame="pyarrow" if source.frame else None)


def _report_fit(result: dict[str, Any]) -> None:
    ours, plain = result["variance_kept"], result["variance_kept_by_pca"]
    say(
        f"{result['latent_dim']} numbers keep {ours:.1%} of the variance of {result['judged_by']} (PCA with as many: "
        f"{plain:.1%})"
    )
    if ours < plain:
        say("note: that is less than PCA keeps; more --max-epochs may help, or --net dense")
    say(f"wrote {result['model']}")


def check_output(path: Path, endings: tuple[str, ...]) -> None:
    """Refuse an output that could not be written, before any work is done.

    Raises
    ------
    ParameterError
        If its ending is not among `endings`; "" stands for a folder.
    DataError
        If its folder cannot be made or written to.
    """
    if path.suffix.lower() not in endings and not (path.is_dir() and "" in endings):
        allowed = ", ".join(ending or "a folder" for ending in endings)
        raise ParameterError(f"--output {str(path)!r} has an ending that does not suit; allowed are {allowed}")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        writable = os.access(path.parent, os.W_OK)
    except OSError:
        writable = False
    if not writable:
        raise DataError(f"nothing can be written into the folder {str(path.parent)!r}; choose another --output")


def embed_data(
    model_path: Path, data: str, output: Path | None, keep: Sequence[str], errors: bool, quiet: bool
) -> dict[str, Any]:
    """Write the codes of the records."""
    if output is not None:
        check_output(output, (".parquet", ".csv", ".npy"))
    model = load(model_path)
    source = open_data(data, quiet, model.image_size)
    table = _code_table(model, source, keep, errors)
    if output is None:
        from pyarrow import csv

        csv.write_csv(table, sys.stdout.buffer)
        return {}
    write_records(model.transform(source) if output.suffix == ".npy" else table, output)
    if not quiet:
        say(f"wrote {len(table)} codes of {model.net_.latent_dim} numbers to {output}")
    return {"output": str(output), "records": len(table), "latent_dim": model.net_.latent_dim}


def _code_table(model: Autoencoder, source: Source, keep: Sequence[str], errors: bool) -> pa.Table:
    columns: dict[str, Any] = {}
    if source.names:
        columns["file"] = pa.array(source.names)
    for name in keep:
        columns[name] = column_of(source, name)
    for name, values in zip(model.get_feature_names_out(), model.transform(source).T, strict=True):
        columns[str(name)] = pa.array(values)
    if errors:
        columns["reconstruction_error"] = pa.array(model.reconstruction_error(source))
    return pa.table(columns)


def reconstruct_data(model_path: Path, data: str, output: Path, quiet: bool) -> dict[str, Any]:
    """Write the rebuilt records."""
    check_output(output, _RECORD_ENDINGS)
    model = load(model_path)
    source = open_data(data, quiet, model.image_size)
    write_records(model.reconstruct(source), output, source.names)
    if not quiet:
        say(f"wrote {source.size} rebuilt records to {output}")
    return {"output": str(output), "records": source.size}


def generate_records(model_path: Path, output: Path, count: int, random_state: int | None) -> dict[str, Any]:
    """Write new records."""
    check_output(output, _RECORD_ENDINGS)
    model = load(model_path)
    write_records(model.sample(count, random_state), output)
    say(f"wrote {count} new records to {output}")
    return {"output": str(output), "records": count}


def open_data(data: str, quiet: bool, image_size: tuple[int, int] | None) -> Source:
    """Open data with a bar on anything slow."""
    with reading_progress(quiet) as progress:
        return open_source(data, image_size=image_size, progress=progress)


def without(source: Source, drop: Sequence[str]) -> Source:
    """Return the source without some columns."""
    if not drop:
        return source
    for name in drop:
        column_of(source, name)
    kept = source.values.drop_columns(list(drop))
    return Source(kept, source.names, source.frame)


def column_of(source: Source, name: str) -> Any:
    """Return a column of a table by name."""
    if not isinstance(source.values, pa.Table):
        raise DataError(f"the data have no column {name!r}: they are not a table")
    if name not in source.values.column_names:
        known = ", ".join(source.values.column_names[:12])
        raise DataError(f"the table has no column {name!r}; its columns are {known}")
    return source.values[name]


def as_labels(values: Any) -> np.ndarray[Any, Any]:
    """Return a column as an array that colours points: numbers stay numbers, everything else becomes text."""
    if isinstance(values, pa.ChunkedArray) and not (
        pa.types.is_integer(values.type) or pa.types.is_floating(values.type)
    ):
        return np.array([None if value is None else str(value) for value in values.to_pylist()], dtype=object)
    return np.asarray(values.to_numpy() if isinstance(values, pa.ChunkedArray) else values)
