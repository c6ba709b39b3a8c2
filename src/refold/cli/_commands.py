"""What the commands do, once their words are understood."""

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


def fit_model(
    data: str, output: Path, drop: Sequence[str], parameters: dict[str, Any], quiet: bool
) -> dict[str, Any]:
    """Fit, save, and report the share of variance that survives beside PCA's."""
    if output.suffix != ".safetensors":
        raise ParameterError(f"--output {str(output)!r} must end in .safetensors")
    model = Autoencoder(**parameters, verbose=0 if quiet else 1)
    source = without(open_data(data, quiet, parameters.get("image_size")), drop)
    start = time.perf_counter()
    model.fit(source)
    model.save(output)
    result = {
        "model": str(output),
        "records": source.size,
        "latent_dim": model.latent_dim,
        "epochs": model.n_iter_,
        "seconds": round(time.perf_counter() - start, 1),
        "validation_error": model.history_["validation_error"][model.best_epoch_ - 1],
        "train_error": model.history_["train_error"][model.best_epoch_ - 1],
        "variance_kept": model.score(source),
        "variance_kept_by_pca": PCABaseline(model, source).score(source),
    }
    if not quiet:
        _report_fit(result)
    return result


def _report_fit(result: dict[str, Any]) -> None:
    say(
        f"{result['latent_dim']} numbers keep {result['variance_kept']:.1%} of the variance of {result['records']} "
        f"records (PCA with as many: {result['variance_kept_by_pca']:.1%})"
    )
    say(f"wrote {result['model']}")


def embed_data(
    model_path: Path, data: str, output: Path | None, keep: Sequence[str], errors: bool, quiet: bool
) -> dict[str, Any]:
    """Write the codes of the records."""
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
    model = load(model_path)
    source = open_data(data, quiet, model.image_size)
    write_records(model.reconstruct(source), output, source.names)
    if not quiet:
        say(f"wrote {source.size} rebuilt records to {output}")
    return {"output": str(output), "records": source.size}


def generate_records(model_path: Path, output: Path, count: int, random_state: int | None) -> dict[str, Any]:
    """Write new records."""
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
