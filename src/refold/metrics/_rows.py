"""Records of any kind as rows of finite numbers."""

import sys
from typing import Any

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from refold._errors import DataError, ParameterError
from refold.data import Source, open_source

Array = NDArray[Any]

_LARGEST, _SMALLEST = 1e100, 1e-100  # of magnitudes whose squares double precision holds
_VALUES_AT_ONCE = 1 << 16  # which stay in the cache


def rows_of(data: Any, name: str) -> Array:
    """Return records as an array (n, values) of uint8, float32 or float64; an array that is one is not copied.

    Parameters
    ----------
    data : array-like or tensor of shape (n, ...), or table of numbers, or path of either
    name : str
        What the records are called in errors.

    Raises
    ------
    DataError
        If there are no records, or they are not finite numbers.
    """
    values = _values(data, name)
    if values.ndim == 0 or values.size == 0:
        raise DataError(f"{name} of shape {values.shape} holds no values; give an array of shape (n, ...)")
    if values.dtype.kind not in "biuf":
        raise DataError(f"{name} is of dtype {values.dtype}; allowed are real numbers and truth values")
    rows = _compact(values.reshape(len(values), -1))
    if not np.isfinite(rows).all():
        raise DataError(f"{name} holds values that are missing or infinite; fill them, or leave those records out")
    return rows


def paired_rows(data: Any, code: Any) -> tuple[Array, Array]:
    """Return the same records in data and code as rows.

    Raises
    ------
    DataError
        If either is not usable, their numbers of records differ, or there are fewer than three.
    """
    rows, codes = rows_of(data, "data"), rows_of(code, "code")
    check_as_many(len(rows), len(codes), ("data", "code"))
    if len(rows) < 3:
        raise DataError(f"{len(rows)} records have no neighbourhoods to compare; give three or more")
    return rows, codes


def check_as_many(size: int, other: int, names: tuple[str, str]) -> None:
    """Raise DataError if two numbers of records differ."""
    if size != other:
        raise DataError(f"{names[0]} has {size} records and {names[1]} has {other}; give both for the same records")


def check_whole(value: Any, name: str, most: int, reason: str) -> int:
    """Return a whole number from 1 to `most`.

    Raises
    ------
    ParameterError
        The message ends with `reason`, which says where the limit comes from.
    """
    whole = isinstance(value, int | np.integer) and not isinstance(value, bool)
    if not whole or not 1 <= value <= most:
        raise ParameterError(f"{name} must be a whole number from 1 to {most}, {reason}, got {value!r}")
    return int(value)


def within_range(rows: Array) -> Array:
    """Return rows whose squares neither overflow nor vanish, by a power of two, which keeps all distances' order."""
    peak = float(max(rows.max(), -float(rows.min())))
    if peak == 0 or _SMALLEST <= peak <= _LARGEST:
        return rows
    scaled: Array = np.ldexp(rows, -int(np.frexp(peak)[1]))
    return scaled


def squared_distances(rows: Array, places: Array, others: Array) -> NDArray[np.float64]:
    """Return the squared distances of pairs of rows, each summed in double precision and in the same order.

    Parameters
    ----------
    rows : ndarray of shape (n, values)
    places, others : ndarray of shape (m,), int
    """
    squares = np.empty(len(places))
    at_once = max(1, _VALUES_AT_ONCE // rows.shape[1])
    for start in range(0, len(places), at_once):
        part = slice(start, start + at_once)
        difference = rows[places[part]].astype(np.float64) - rows[others[part]]
        np.square(difference, out=difference).sum(axis=1, out=squares[part])
    return squares


def _values(data: Any, name: str) -> Array:
    torch = sys.modules.get("torch")
    if torch is not None and isinstance(data, torch.Tensor):
        plain = data.detach().cpu()
        return np.asarray(plain.float() if plain.dtype == torch.bfloat16 else plain)
    if isinstance(data, np.ndarray):
        return data
    opened = open_source(data)
    values = opened.values if isinstance(opened, Source) else next(opened.chunks(opened.size)).values
    return _columns(values, name) if isinstance(values, pa.Table) else values


def _columns(table: pa.Table, name: str) -> Array:
    for field in table.schema:
        kinds = pa.types.is_integer, pa.types.is_floating, pa.types.is_boolean, pa.types.is_decimal
        if not any(is_kind(field.type) for is_kind in kinds):
            raise DataError(
                f"the column {field.name!r} of {name} is of type {field.type}, and distances need numbers; leave it "
                "out, or give the numbers it stands for"
            )
    columns = [column.cast(pa.float64(), safe=False).to_numpy() for column in table.columns]
    return np.column_stack(columns) if columns else np.empty((len(table), 0))


def _compact(rows: Array) -> Array:
    if rows.dtype in (np.uint8, np.float32, np.float64):
        return rows
    if rows.dtype == np.bool_:
        return rows.view(np.uint8)
    # float32 holds whole numbers exactly up to 2^24: every value of the 16-bit types
    return rows.astype(np.float32 if rows.dtype.itemsize <= 2 else np.float64)
