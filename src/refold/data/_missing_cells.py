"""The missing cells of rows: which they are, and rows in which only they have changed."""

from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from refold._errors import DataError
from refold.data._sources import Source

Array = NDArray[Any]


def missing_cells(values: Any, columns: tuple[str, ...] = ()) -> NDArray[np.bool_]:
    """Return which cells hold no value, null or NaN, as bool (n, columns).

    Parameters
    ----------
    values : ndarray of shape (n, columns) or pyarrow.Table
    columns : tuple of str
        Of a table, those that are looked at.

    Examples
    --------
    >>> missing_cells(np.array([[1.0, np.nan]]))
    array([[False,  True]])
    """
    if isinstance(values, pa.Table):
        if not columns:
            raise DataError("the table has no columns; give at least one")
        return np.stack([pc.is_null(values[name], nan_is_null=True).to_numpy() for name in columns], axis=1)
    return np.isnan(values) if values.dtype.kind == "f" else np.zeros(values.shape, dtype=np.bool_)


def with_cells(source: Source, records: Any, cells: NDArray[np.bool_]) -> Any:
    """Return the user's records with some cells taken from others; all others stay bit for bit what they are.

    Parameters
    ----------
    source : Source
    records : ndarray or pyarrow.Table
        Rows of the fitted columns, as many as the source holds.
    cells : ndarray of bool, shape (n, fitted columns)
    """
    if not isinstance(source.values, pa.Table):
        return np.where(cells, records, source.values).astype(source.values.dtype)
    table = source.values
    for place, name in enumerate(records.column_names):
        if cells[:, place].any():
            at = table.column_names.index(name)
            column = _joined(table.column(at), records.column(place), cells[:, place])
            table = table.set_column(at, table.schema.field(at).with_type(column.type), column)
    return source.give_back(table)


def _joined(old: pa.ChunkedArray, new: pa.ChunkedArray, changed: NDArray[np.bool_]) -> pa.ChunkedArray:
    """Return a column whose changed cells are the new ones."""
    both = pa.chunked_array([*old.chunks, *new.cast(old.type).chunks], old.type)
    if pa.types.is_dictionary(old.type):
        both = both.unify_dictionaries()
    rows = np.arange(len(old))
    return both.take(pa.array(np.where(changed, rows + len(old), rows)))
