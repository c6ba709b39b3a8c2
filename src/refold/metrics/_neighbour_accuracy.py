"""How often the labels of the nearest neighbours in the code tell the label of a record."""

from collections.abc import Sequence
from typing import Any, overload

import numpy as np
from numpy.typing import NDArray

from refold._errors import DataError, ParameterError
from refold.metrics._rows import Array, check_as_many, check_whole, rows_of

_VOTES_AT_ONCE = 1 << 22


@overload
def neighbour_accuracy(
    code: Any, labels: Any, new_code: Any = None, new_labels: Any = None, *, n_neighbors: int
) -> float: ...
@overload
def neighbour_accuracy(
    code: Any,
    labels: Any,
    new_code: Any = None,
    new_labels: Any = None,
    *,
    n_neighbors: Sequence[int] = (1, 10),
) -> dict[int, float]: ...
def neighbour_accuracy(
    code: Any,
    labels: Any,
    new_code: Any = None,
    new_labels: Any = None,
    *,
    n_neighbors: int | Sequence[int] = (1, 10),
) -> float | dict[int, float]:
    """Return the accuracy of classification by the nearest neighbours in the code.

    With `new_code` the neighbours of its records are looked for in `code`, without it those of each record among all
    others. Neighbours and votes are those of `sklearn.neighbors.KNeighborsClassifier`: of labels with as many votes
    the smallest wins.

    Parameters
    ----------
    code : array-like or tensor of shape (n, ...), or table of numbers
    labels : array-like of shape (n,)
        Numbers or texts.
    new_code : array-like or tensor of shape (m, ...), or table of numbers, optional
    new_labels : array-like of shape (m,), optional
        Needed with `new_code`.
    n_neighbors : int or sequence of int, default=(1, 10)

    Returns
    -------
    float or dict of int to float
        From 0 to 1: of one number of neighbours, or by number of neighbours.

    Raises
    ------
    DataError
        If numbers of records or values differ, or values are not finite.
    ParameterError
        If a number of neighbours is out of range, or of `new_code` and `new_labels` only one is given.

    Examples
    --------
    >>> from sklearn.datasets import load_iris
    >>> from sklearn.decomposition import PCA
    >>> X, y = load_iris(return_X_y=True)
    >>> code = PCA(2).fit_transform(X)
    >>> {k: round(accuracy, 2) for k, accuracy in neighbour_accuracy(code, y).items()}
    {1: 0.96, 10: 0.95}
    >>> round(neighbour_accuracy(code[::2], y[::2], code[1::2], y[1::2], n_neighbors=5), 2)
    0.97
    """
    rows, known = rows_of(code, "code"), labels_of(labels, "labels")
    check_as_many(len(rows), len(known), ("code", "labels"))
    queries, asked = _new(new_code, new_labels, rows)
    most = len(rows) if queries is not None else len(rows) - 1
    whole = isinstance(n_neighbors, int | np.integer)
    counts = checked_counts([n_neighbors] if whole else n_neighbors, most)
    truth = known if asked is None else asked
    guesses = _guesses(_nearest(rows, queries, max(counts)), known, counts)
    accuracies = {count: float((guess == truth).mean()) for count, guess in zip(counts, guesses, strict=True)}
    return accuracies[counts[0]] if whole else accuracies


def labels_of(labels: Any, name: str) -> Array:
    """Return labels as an array (n,).

    Raises
    ------
    DataError
        If they are not one for each record, some are missing, or they cannot be sorted.
    """
    values = np.asarray(labels)
    if values.ndim != 1:
        raise DataError(f"{name} is of shape {values.shape}; give one label for each record, of shape (n,)")
    if values.dtype.kind == "O":
        values = _of_one_type(values, name)
    if values.dtype.kind in "fc" and np.isnan(values).any():
        raise DataError(f"{name} has missing values; leave those records out")
    return values


def checked_counts(n_neighbors: Any, most: int) -> tuple[int, ...]:
    """Return numbers of neighbours, each from 1 to `most`.

    Raises
    ------
    ParameterError
    """
    if len(n_neighbors) == 0:
        raise ParameterError("n_neighbors is empty; name at least one number of neighbours")
    return tuple(check_whole(k, "n_neighbors", most, "the records to choose from") for k in n_neighbors)


def _of_one_type(values: Array, name: str) -> Array:
    kinds = sorted({type(value).__name__ for value in values})
    if len(kinds) > 1 or kinds == ["NoneType"]:
        raise DataError(f"{name} holds values of the types {', '.join(kinds)}; give all of one type, none missing")
    return np.array(values.tolist())


def _new(code: Any, labels: Any, rows: Array) -> tuple[Array | None, Array | None]:
    if (code is None) != (labels is None):
        given, lacking = ("new_labels", "new_code") if code is None else ("new_code", "new_labels")
        raise ParameterError(f"{given} is given and {lacking} is not; give both or neither")
    if code is None:
        return None, None
    queries, asked = rows_of(code, "new_code"), labels_of(labels, "new_labels")
    check_as_many(len(queries), len(asked), ("new_code", "new_labels"))
    if queries.shape[1] != rows.shape[1]:
        raise DataError(
            f"a record of new_code has {queries.shape[1]} numbers and one of code {rows.shape[1]}; give codes of one "
            "model"
        )
    return queries, asked


def _nearest(rows: Array, queries: Array | None, count: int) -> NDArray[np.intp]:
    from sklearn.neighbors import NearestNeighbors

    found: NDArray[np.intp] = NearestNeighbors(n_neighbors=count).fit(rows).kneighbors(queries, return_distance=False)
    return found


def _guesses(nearest: NDArray[np.intp], labels: Array, counts: tuple[int, ...]) -> list[Array]:
    """Return the label with the most votes of the first neighbours, for each number of neighbours."""
    classes, numbers = np.unique(labels, return_inverse=True)
    at_once = max(1, _VOTES_AT_ONCE // len(classes))
    guesses = []
    for count in counts:
        starts = range(0, len(nearest), at_once)
        winners = [_winners(numbers[nearest[start : start + at_once, :count]], len(classes)) for start in starts]
        guesses.append(classes[np.concatenate(winners)])
    return guesses


def _winners(votes: NDArray[np.intp], classes: int) -> NDArray[np.intp]:
    cells = votes + classes * np.arange(len(votes))[:, None]
    tally = np.bincount(cells.ravel(), minlength=len(votes) * classes).reshape(-1, classes)
    winners: NDArray[np.intp] = tally.argmax(axis=1)
    return winners
