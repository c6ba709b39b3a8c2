"""How far rebuilt records are from the records."""

from typing import Any, Literal, overload

import numpy as np
from numpy.typing import NDArray

from refold._errors import DataError
from refold.metrics._rows import Array, check_as_many, rows_of

_VALUES_AT_ONCE = 1 << 20


@overload
def reconstruction_error(data: Any, rebuilt: Any, by_record: Literal[False] = False) -> float: ...
@overload
def reconstruction_error(data: Any, rebuilt: Any, by_record: Literal[True]) -> NDArray[np.float64]: ...
def reconstruction_error(data: Any, rebuilt: Any, by_record: bool = False) -> float | NDArray[np.float64]:
    """Return the mean squared error of rebuilt records.

    Parameters
    ----------
    data : array-like or tensor of shape (n, ...), or table of numbers
    rebuilt : array-like or tensor of shape (n, ...), or table of numbers
        As many values for each record as in `data`.
    by_record : bool, default=False
        Return the error of each record.

    Returns
    -------
    float or ndarray of shape (n,)
        In squares of the unit of the data.

    Raises
    ------
    DataError
        If the numbers of records or values differ, or values are not finite.

    Examples
    --------
    >>> reconstruction_error([[0.0, 0.0], [1.0, 1.0]], [[0.0, 0.0], [1.0, 3.0]])
    1.0
    >>> reconstruction_error([[0.0, 0.0], [1.0, 1.0]], [[0.0, 0.0], [1.0, 3.0]], by_record=True)
    array([0., 2.])
    """
    errors = errors_by_record(rows_of(data, "data"), rows_of(rebuilt, "rebuilt"))
    return errors if by_record else float(errors.mean())


def errors_by_record(rows: Array, rebuilt: Array) -> NDArray[np.float64]:
    """Return the mean squared error of each row.

    Raises
    ------
    DataError
        If the shapes differ.
    """
    check_as_many(len(rows), len(rebuilt), ("data", "rebuilt"))
    if rows.shape[1] != rebuilt.shape[1]:
        raise DataError(
            f"a record has {rows.shape[1]} values in data and {rebuilt.shape[1]} in rebuilt; give as many in both"
        )
    errors = np.empty(len(rows))
    at_once = max(1, _VALUES_AT_ONCE // rows.shape[1])
    for start in range(0, len(rows), at_once):
        part = slice(start, start + at_once)
        errors[part] = np.square(rows[part].astype(np.float64) - rebuilt[part]).mean(axis=1)
    return errors
