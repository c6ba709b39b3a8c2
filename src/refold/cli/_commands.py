"""What the commands do, once their words are understood."""

import contextlib
import os
import sys
import time
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any, overload

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from refold._errors import DataError, ModelFileError, ParameterError
from refold._parameters import check_parameters, parameters_of
from refold.cli._talk import reading_progress, say, working_progress
from refold.data import RecordWriter, Source, Stream, open_source, prefetched, write_records
from refold.estimators import (
    Autoencoder,
    AutoencoderParameters,
    Detector,
    PCABaseline,
    chunk_rows,
    load,
    memory_for_buffers,
    memory_for_records,
    sample,
)

_FEWEST_TO_JUDGE_BY = 10
_RECORDS_AT_ONCE = 1 << 16
_RECORD_ENDINGS = (".parquet", ".csv", ".npy", ".npz", "")


def fit_model(
    data: str, output: Path, drop: Sequence[str], parameters: dict[str, Any], quiet: bool
) -> dict[str, Any]:
    """Fit, save, and report the share of variance that survives beside PCA's."""
    check_output(output, (".safetensors",))
    check_options(parameters, AutoencoderParameters, "encode")
    model = Autoencoder(**parameters, verbose=0 if quiet else 1)
    check_parameters(model)
    _check_checkpoint(model, output)
    opened = without(open_data(data, quiet, model.image_size, memory_for_records(model)), drop)
    if not quiet and isinstance(opened, Stream):
        say(f"{opened.size} records are more than --max-memory holds; they are read from disk as they are used")
    if not quiet and model.checkpoint is not None and Path(model.checkpoint).exists():
        say(f"going on from the checkpoint {model.checkpoint}")
    start = time.perf_counter()
    model.fit(opened)
    model.save(output)
    _remove_checkpoint(model)
    judged = _variance_kept(model, opened)
    result = {
        "model": str(output),
        "records": opened.size,
        "latent_dim": model.net_.latent_dim,
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


def _check_checkpoint(model: Autoencoder, output: Path) -> None:
    if model.checkpoint is not None and Path(model.checkpoint).resolve() == output.resolve():
        raise ParameterError(f"--checkpoint and --output are both {str(output)!r}; give the checkpoint another path")


def _remove_checkpoint(model: Autoencoder) -> None:
    """Remove the checkpoint of a training that is over and saved; that of an interrupted one stays."""
    if model.checkpoint is not None and model.stopped_ != "interrupted":
        Path(model.checkpoint).unlink(missing_ok=True)


def _variance_kept(model: Autoencoder, opened: Source | Stream) -> dict[str, Any]:
    """Judge model and PCA on the records held out of training, or on all where too few were."""
    held_out = model.held_out_
    some = np.linspace(0, opened.size - 1, min(opened.size, PCABaseline.MOST_RECORDS)).astype(np.intp)
    if len(held_out) < _FEWEST_TO_JUDGE_BY:
        few = isinstance(opened, Source)
        learned = judged = opened if few else _parts(model, opened, some)[0]
        judged_by = "all records" if few else f"{len(some)} of all records"
    else:
        learned, judged = _parts(model, opened, np.setdiff1d(some, held_out), held_out)
        judged_by = f"{len(held_out)} records held out of training"
    return {
        "judged_by": judged_by,
        "variance_kept": model.score(judged),
        "variance_kept_by_pca": PCABaseline(model, learned).score(judged),
    }


def _parts(model: Autoencoder, opened: Source | Stream, *choices: NDArray[np.intp]) -> list[Source]:
    """Return the records at several choices of places, each sorted, in one pass over all."""
    found: list[list[Any]] = [[] for _ in choices]
    start = 0
    for chunk in _chunks(model, opened):
        for parts, places in zip(found, choices, strict=True):
            first, last = np.searchsorted(places, (start, start + chunk.size))
            if last > first:
                parts.append(_taken(chunk.values, places[first:last] - start))
        start += chunk.size
    frame: Any = "pyarrow" if opened.frame else None
    return [Source(pa.concat_tables(parts) if frame else np.concatenate(parts), frame=frame) for parts in found]


def _taken(values: Any, places: NDArray[np.intp]) -> Any:
    return values.take(pa.array(places)) if isinstance(values, pa.Table) else values[places]


def _report_fit(result: dict[str, Any]) -> None:
    ours, plain = result["variance_kept"], result["variance_kept_by_pca"]
    say(
        f"{result['latent_dim']} numbers keep {ours:.1%} of the variance of {result['judged_by']} (PCA with as many: "
        f"{plain:.1%})"
    )
    if result["stopped"] == "interrupted":
        say("note: training was interrupted; with --checkpoint the same command goes on from where it was")
    if ours < plain:
        say("note: that is less than PCA keeps; more --max-epochs may help, or --net dense")
    say(f"wrote {result['model']}")


def check_options(parameters: dict[str, Any], owner: type, purpose: str) -> None:
    """Refuse options that do not belong to what is fitted.

    Raises
    ------
    ParameterError
    """
    known = {item.name for item in parameters_of(owner) if item.on_command_line}
    for name in parameters:
        if name not in known:
            allowed = ", ".join(f"--{item.replace('_', '-')}" for item in sorted(known - {"verbose"}))
            raise ParameterError(
                f"--{name.replace('_', '-')} is no option of --for {purpose}; its options are {allowed}"
            )


def load_autoencoder(path: Path, device: str = "auto") -> Autoencoder:
    """Return the autoencoder in a model file.

    Raises
    ------
    ModelFileError
        If it holds another kind of model.
    """
    model = load(path, device=device)
    if not isinstance(model, Autoencoder):
        kind, command = ("detector", "detect") if isinstance(model, Detector) else ("camera's detector", "watch")
        raise ModelFileError(f"{path.name!r} is a {kind}, which has no code to work with; use refold {command}")
    return model


def check_output(path: Path, endings: tuple[str, ...], option: str = "--output") -> None:
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
        raise ParameterError(f"{option} {str(path)!r} has an ending that does not suit; allowed are {allowed}")
    check_folder(path.parent, option)


def check_folder(folder: Path, option: str) -> None:
    """Make a folder for output, with all above it.

    Raises
    ------
    DataError
        If it cannot be made or written to.
    """
    try:
        folder.mkdir(parents=True, exist_ok=True)
        writable = os.access(folder, os.W_OK)
    except OSError:
        writable = False
    if not writable:
        raise DataError(f"nothing can be written into the folder {str(folder)!r}; choose another {option}")


def embed_data(
    model_path: Path,
    data: str,
    output: Path | None,
    keep: Sequence[str],
    errors: bool,
    max_memory: int | str | None,
    quiet: bool,
) -> dict[str, Any]:
    """Write the codes of the records, part by part."""
    if output is not None:
        check_output(output, (".parquet", ".csv", ".npy"))
    model, opened = _model_and_data(model_path, data, max_memory, quiet)
    if output is None:
        _write_to_stdout(_code_table(model, chunk, keep, errors) for chunk in _chunks(model, opened))
        return {}
    as_array = output.suffix.lower() == ".npy"
    with RecordWriter(output, opened.size) as writer, working_progress(opened.size, quiet) as progress:
        for chunk in _chunks(model, opened):
            writer.write(model.transform(chunk) if as_array else _code_table(model, chunk, keep, errors))
            progress(chunk.size)
    if not quiet:
        say(f"wrote {opened.size} codes of {model.net_.latent_dim} numbers to {output}")
    return {"output": str(output), "records": opened.size, "latent_dim": model.net_.latent_dim}


def _model_and_data(
    model_path: Path, data: str, max_memory: int | str | None, quiet: bool
) -> tuple[Autoencoder, Source | Stream]:
    model = load_autoencoder(model_path)
    if max_memory is not None:
        model.set_params(max_memory=max_memory)
    return model, open_data(data, quiet, model.image_size, memory_for_records(model))


def _chunks(model: Autoencoder, opened: Source | Stream) -> Iterator[Source]:
    """Yield the records in parts that memory holds, read ahead where they come from disk."""
    chunks = opened.chunks(min(_RECORDS_AT_ONCE, chunk_rows(opened, memory_for_buffers(model))))
    if isinstance(opened, Source):
        yield from chunks
        return
    with contextlib.closing(prefetched(chunks)) as ahead:
        yield from ahead


def _write_to_stdout(tables: Iterable[pa.Table]) -> None:
    from pyarrow import csv

    for place, table in enumerate(tables):
        csv.write_csv(table, sys.stdout.buffer, csv.WriteOptions(include_header=place == 0))


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


def reconstruct_data(
    model_path: Path, data: str, output: Path, max_memory: int | str | None, quiet: bool
) -> dict[str, Any]:
    """Write the rebuilt records, part by part."""
    check_output(output, _RECORD_ENDINGS)
    model, opened = _model_and_data(model_path, data, max_memory, quiet)
    if output.suffix.lower() == ".npz":  # packed as a whole
        write_records(model.reconstruct(opened), output, opened.names)
    else:
        writing = RecordWriter(output, opened.size, opened.names)
        with writing as writer, working_progress(opened.size, quiet) as progress:
            for chunk in _chunks(model, opened):
                writer.write(model.reconstruct(chunk))
                progress(chunk.size)
    if not quiet:
        say(f"wrote {opened.size} rebuilt records to {output}")
    return {"output": str(output), "records": opened.size}


def generate_records(
    model_path: Path, output: Path, count: int, like: str | None, random_state: int | None
) -> dict[str, Any]:
    """Write new records, like given ones or any of a variational model."""
    check_output(output, _RECORD_ENDINGS)
    model = load_autoencoder(model_path)
    if like is None and not model.net_.variational:
        raise ParameterError("this model is not variational; give --like DATA, records that new ones shall be like")
    reference = None if like is None else open_data(like, True, model.image_size)
    write_records(sample(model, count, reference=reference, random_state=random_state).records, output)
    say(f"wrote {count} new records to {output}")
    return {"output": str(output), "records": count}


@overload
def open_data(data: str, quiet: bool, image_size: tuple[int, int] | None) -> Source: ...
@overload
def open_data(
    data: str, quiet: bool, image_size: tuple[int, int] | None, max_memory: int | None
) -> Source | Stream: ...
def open_data(
    data: str, quiet: bool, image_size: tuple[int, int] | None, max_memory: int | None = None
) -> Source | Stream:
    """Open data with a bar on anything slow; what needs more than `max_memory` bytes stays on disk."""
    with reading_progress(quiet) as progress:
        return open_source(data, image_size=image_size, progress=progress, max_memory=max_memory)


def without(opened: Source | Stream, drop: Sequence[str]) -> Source | Stream:
    """Return the data without some columns."""
    if not drop:
        return opened
    for name in drop:
        column_of(opened, name)
    columns = _table_of(opened).column_names
    return opened.select([name for name in columns if name not in drop])


def _table_of(opened: Source | Stream) -> Any:
    return opened.values if isinstance(opened, Source) else opened.head


def column_of(opened: Source | Stream, name: str) -> Any:
    """Return a column of a table by name; of a stream, its beginning."""
    table = _table_of(opened)
    if not isinstance(table, pa.Table):
        raise DataError(f"the data have no column {name!r}: they are not a table")
    if name not in table.column_names:
        known = ", ".join(table.column_names[:12])
        raise DataError(f"the table has no column {name!r}; its columns are {known}")
    return table[name]


def as_labels(values: Any) -> np.ndarray[Any, Any]:
    """Return a column as an array that colours points: numbers stay numbers, everything else becomes text."""
    if isinstance(values, pa.ChunkedArray) and not (
        pa.types.is_integer(values.type) or pa.types.is_floating(values.type)
    ):
        return np.array([None if value is None else str(value) for value in values.to_pylist()], dtype=object)
    return np.asarray(values.to_numpy() if isinstance(values, pa.ChunkedArray) else values)
