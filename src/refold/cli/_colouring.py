"""What colours the points of a map: a column, an array of labels, the folder, or the error."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from refold._errors import DataError
from refold.cli._commands import as_labels, column_of
from refold.data import Source
from refold.estimators import Autoencoder

Array = NDArray[Any]


def colours_of(model: Autoencoder, source: Source, colour: str | None) -> Array | None:
    """Return what `--colour` names as an array that colours points, or None."""
    if colour is None:
        return None
    values = _named(model, source, colour)
    labels = as_labels(values)
    is_array = not isinstance(values, pa.ChunkedArray)
    return labels.astype(str) if is_array and labels.dtype.kind in "ui" else labels  # names, if many


def known_columns(model: Autoencoder, source: Source, colours: Sequence[str]) -> dict[str, Any]:
    """Return everything that is known of the records by name; what `--colour` names comes first.

    Raises
    ------
    DataError
        If there is nothing of a name that `--colour` gives.
    """
    own = source.values.column_names if isinstance(source.values, pa.Table) else []
    columns = {_short(colour, own): _named(model, source, colour) for colour in colours}
    for name in own:
        columns.setdefault("error (of the table)" if name == "error" else name, source.values[name])
    if len(set(_folders(source))) > 1:
        columns.setdefault("folder", _folders(source))
    if "error" not in columns:
        columns["error"] = model.reconstruction_error(source)
    return columns


def _short(colour: str, own: Sequence[str]) -> str:
    member = colour.partition("::")[2]
    return member if member and member not in (*own, "error", "folder") else colour


def _named(model: Autoencoder, source: Source, colour: str) -> Any:
    if colour == "error":
        return model.reconstruction_error(source)
    if colour == "folder" and source.names:
        return _folders(source)
    values = _array_of_labels(colour) if "::" in colour else column_of(source, colour)
    if len(values) != source.size:
        raise DataError(
            f"--colour {colour!r} has {len(values)} values for {source.size} records; they must be as many"
        )
    return values


def _folders(source: Source) -> Array:
    return np.array([str(Path(name).parent) for name in source.names])


def _array_of_labels(text: str) -> Array:
    path, _, member = text.partition("::")
    try:
        with np.load(path, allow_pickle=False) as arrays:
            labels: Array = arrays[member]
    except (OSError, KeyError, ValueError) as error:
        raise DataError(f"--colour {text!r} cannot be read: {error}") from error
    if labels.ndim != 1:
        raise DataError(f"--colour {text!r} has the shape {labels.shape}; give one value per record")
    return labels
