"""What a file holds, in words and numbers."""

from math import prod
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.table import Table

from refold._errors import DataError, ModelFileError, ParameterError
from refold._memory import free_memory
from refold.data import Source, Stream, fit_adapter, open_source
from refold.estimators import inspect_file


def describe(file: str | None, machine: bool) -> dict[str, Any]:
    """Return what a file says of itself, or what is known of the machine.

    Raises
    ------
    ParameterError
        If neither is asked for, or both.
    """
    if machine == (file is not None):
        raise ParameterError("give either a FILE or --machine")
    return _describe_machine() if file is None else describe_file(file)


def _describe_machine() -> dict[str, Any]:
    from refold.cli._machine import describe_machine

    return describe_machine()


def describe_file(file: str) -> dict[str, Any]:
    """Return what a model or a data file says of itself."""
    suffix = Path(file).suffix.lower()
    if suffix == ".refz":
        return _describe_compressed(file)
    return _describe_model(file) if suffix == ".safetensors" else _describe_data(file)


def _describe_compressed(file: str) -> dict[str, Any]:
    from refold.cli._decompressing import contents_of

    contents = contents_of(Path(file))
    return {
        "file": file,
        "kind": "compressed data",
        "bytes": contents["bytes"],
        "raw_bytes": contents["raw_bytes"],
        "ratio": contents["ratio"],
        "files": ", ".join(f"{each['name'] or '-'} ({each['kind']})" for each in contents["files"]),
        "arrays": len(contents["arrays"]),
        "note": "refold list tells of each array",
    }


def _describe_model(file: str) -> dict[str, Any]:
    header = inspect_file(file)
    if header["kind"] == "Compressor":
        return {
            **_head(file, "Compressor", header),
            "learned_bytes": header["learned_bytes"],
            "parameters": header["parameters"],
        }
    if "fitted" not in header:
        raise ModelFileError(
            f"{Path(file).name!r} holds a {header['kind']} and no model; there is nothing to describe"
        )
    if header["kind"] == "Detector":
        return _describe_detector(file, header)
    if header["kind"] == "CameraDetector":
        return _describe_camera(file, header)
    if header["kind"] == "Restorer":
        return _describe_restorer(file, header)
    fitted, spec = header["fitted"], header["spec"]
    best = fitted["best_epoch_"] - 1
    history = fitted["history_"]
    return {
        "file": file,
        "kind": header["kind"],
        "format": header["format"],
        "bytes": Path(file).stat().st_size,
        "versions": header["versions"],
        "records": _record_text(header["adapter"]),
        "values_per_record": prod(spec["raw_shape"]),
        "latent_dim": spec["latent_dim"],
        "net": spec["kind"],
        "hidden": spec["hidden"],
        "epochs": fitted["n_iter_"],
        "best_epoch": fitted["best_epoch_"],
        "train_error": history["train_error"][best],
        "validation_error": history["validation_error"][best],
        "parameters": header["parameters"],
        "columns": header["adapter"].get("columns", []),
    }


def _head(file: str, kind: str, header: dict[str, Any]) -> dict[str, Any]:
    """Return what is said of every model file."""
    return {
        "file": file,
        "kind": kind,
        "format": header["format"],
        "bytes": Path(file).stat().st_size,
        "versions": header["versions"],
    }


def _describe_detector(file: str, header: dict[str, Any]) -> dict[str, Any]:
    fitted, adapter = header["fitted"], header["adapter"]
    return {
        **_head(file, "Detector", header),
        "records": "pictures of any size" if adapter is None else _record_text(adapter),
        "threshold": fitted["threshold_"],
        "promised_false_alarm_rate": fitted["promised_false_alarm_rate_"],
        "calibrated_by": header["calibrated"],
        "contamination": fitted["contamination_"],
        "parameters": header["parameters"],
        "columns": [] if adapter is None else adapter.get("columns", []),
    }


def _describe_camera(file: str, header: dict[str, Any]) -> dict[str, Any]:
    fitted = header["fitted"]
    return {
        **_head(file, "CameraDetector", header),
        "records": "frames of {}x{} pixels".format(*fitted["size_"]),
        "modes": ", ".join(header["modes"]),
        "frames": fitted["n_frames_"],
        "seconds_between_frames": fitted["seconds_"],
        "parameters": header["parameters"],
    }


def _describe_restorer(file: str, header: dict[str, Any]) -> dict[str, Any]:
    spec = header["spec"]
    if header.get("kind_of_data") == "table":
        return _describe_table_restorer(file, header)
    return {
        **_head(file, "Restorer", header),
        "records": "pictures of any size in " + ("colour" if spec["channels"] > 1 else "grey, colour plane by plane"),
        "undoes": str(header["parameters"]["corruption"]),
        "widths": ", ".join(map(str, spec["widths"])),
        "steps": header["fitted"]["n_steps_"],
        "parameters": header["parameters"],
    }


def _describe_table_restorer(file: str, header: dict[str, Any]) -> dict[str, Any]:
    return {
        **_head(file, "Restorer", header),
        "records": _record_text(header["adapter"]),
        "undoes": "missing cells",
        "rows_compared_with": header["spec"]["references"],
        "steps": header["fitted"]["n_steps_"],
        "parameters": header["parameters"],
        "columns": header["adapter"].get("columns", []),
    }


def _record_text(adapter: dict[str, Any]) -> str:
    if adapter["kind"] == "table":
        return f"rows of {len(adapter['columns'])} columns"
    shape = "x".join(str(size) for size in adapter["shape"])
    return f"{'rows' if len(adapter['shape']) == 1 else 'pictures'} of {shape} {adapter['dtype']}"


def _describe_data(file: str) -> dict[str, Any]:
    try:
        opened = open_source(file, max_memory=free_memory() // 2)
    except DataError as error:
        if "differ in size" not in str(error):
            raise
        return {"file": file, "kind": "pictures of different sizes", "note": str(error)}
    adapter = fit_adapter(opened if isinstance(opened, Stream) else opened.values)
    described = adapter.to_json()
    description = {"file": file, "kind": "data", "count": opened.size, "records": _record_text(described)}
    if isinstance(opened, Stream):
        description["note"] = "larger than memory: read from disk as it is used"
    if described["kind"] == "table":
        description["columns"] = [_column(column, opened) for column in described["columns"]]
    return description


def _column(column: dict[str, Any], opened: Source | Stream) -> dict[str, Any]:
    missing = opened.values[column["name"]].null_count if isinstance(opened, Source) else ""
    return {**column, "categories": len(column["categories"]), "missing": missing}


def print_description(description: dict[str, Any]) -> None:
    """Print a description as aligned lines, columns as a table."""
    console = Console(soft_wrap=True)
    for name, value in description.items():
        if name in ("columns", "parameters"):
            continue
        console.print(f"[bold]{name.replace('_', ' ')}[/bold]  {_as_text(value)}", highlight=False)
    if description.get("parameters"):
        _print_parameters(console, description["parameters"])
    if description.get("columns"):
        _print_columns(console, description["columns"])


def _as_text(value: Any) -> str:
    if isinstance(value, dict):
        return ", ".join(f"{key} {item}" for key, item in value.items())
    return f"{value:.6g}" if isinstance(value, float) else str(value)


def _print_parameters(console: Console, parameters: dict[str, Any]) -> None:
    from refold._parameters import parameters_of
    from refold.estimators import (
        AutoencoderParameters,
        CameraParameters,
        CompressorParameters,
        DetectorParameters,
    )

    owners = {
        "false_alarm_rate": DetectorParameters,
        "false_alarms_per_day": CameraParameters,
        "max_error": CompressorParameters,
    }
    owner = next((known for name, known in owners.items() if name in parameters), AutoencoderParameters)
    defaults = {item.name: item.default for item in parameters_of(owner)}
    changed = {name: value for name, value in parameters.items() if value != defaults.get(name)}
    shown = ", ".join(f"{name}={value!r}" for name, value in changed.items() if name != "verbose")
    console.print(f"[bold]parameters[/bold]  {shown or 'all at their defaults'}", highlight=False, markup=True)


def _print_columns(console: Console, columns: list[dict[str, Any]]) -> None:
    names = [name for name in columns[0] if name != "categories"] + ["categories"]
    table = Table(*names)
    for column in columns:
        count = column["categories"] if isinstance(column["categories"], int) else len(column["categories"])
        table.add_row(*[str(column[name]) for name in names[:-1]], str(count or ""))
    console.print(table)
