"""How raw numbers become features: measured in one pass over the data, in any number of parts."""

import warnings
from collections.abc import Iterator
from dataclasses import dataclass
from math import prod
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from refold._errors import DataError, RefoldWarning

ScalingKind = Literal["standard", "range", "none"]
Floats = NDArray[np.float64]

_VALUES_AT_ONCE = 1 << 20


@dataclass(frozen=True)
class Scale:
    """How raw numbers become features: ``(raw - center) / spread``.

    Parameters
    ----------
    center, spread, low, high : ndarray of float64
        Shape (columns,) for rows, () for pictures. `low` and `high` bound the values seen in training, or are the
        declared range; corruptions measure their strength by them.
    unit : bool
        Whether features lie in 0 to 1.
    flagged : ndarray of bool, shape like `center`
        Columns in which cells were missing in training.
    """

    center: Floats
    spread: Floats
    low: Floats
    high: Floats
    unit: bool
    flagged: NDArray[np.bool_]


@dataclass(frozen=True)
class Moments:
    """Count, mean, spread and limits of raw numbers, which parts of the data can be summed to.

    Parameters
    ----------
    count : ndarray of float64
        Values that are not missing; shape (columns,) for rows, () for pictures, like all that follow.
    missing : ndarray of float64
        Values that are.
    mean, squares : ndarray of float64
        Mean, and sum of squared deviations from it.
    low, high : ndarray of float64
        Smallest and largest value; +inf and -inf where there is none.

    Examples
    --------
    >>> parts = np.array([[1.0], [3.0]]), np.array([[5.0], [np.nan]])
    >>> both = Moments.of(parts[0]).merged(Moments.of(parts[1]))
    >>> both.mean, both.missing, (both.squares / both.count) ** 0.5
    (array([3.]), array([1.]), array([1.63299316]))
    """

    count: Floats
    missing: Floats
    mean: Floats
    squares: Floats
    low: Floats
    high: Floats

    @classmethod
    def of(cls, numbers: NDArray[Any]) -> "Moments":
        """Return the moments of raw numbers (n, columns) or (n, H, W[, C]), n at least 1."""
        parts = (_moments_of_part(part) for part in _parts(numbers))
        total = next(parts)
        for part in parts:
            total = total.merged(part)
        return total

    def merged(self, other: "Moments") -> "Moments":
        """Return the moments of both parts together (Chan, Golub and LeVeque 1979)."""
        count = self.count + other.count
        share = other.count / np.maximum(count, 1)
        step = other.mean - self.mean
        with np.errstate(over="ignore", invalid="ignore"):
            squares = self.squares + other.squares + step**2 * self.count * share
        return Moments(
            count,
            self.missing + other.missing,
            self.mean + step * share,
            squares,
            np.minimum(self.low, other.low),
            np.maximum(self.high, other.high),
        )


def _parts(numbers: NDArray[Any]) -> Iterator[NDArray[Any]]:
    rows = max(1, _VALUES_AT_ONCE // max(1, prod(numbers.shape[1:])))
    for start in range(0, len(numbers), rows):
        yield numbers[start : start + rows]


def _moments_of_part(numbers: NDArray[Any]) -> Moments:
    if numbers.dtype == np.uint8 and numbers.ndim > 2:
        return _moments_of_counts(np.bincount(numbers.reshape(-1), minlength=256))
    values = numbers.astype(np.float64) if numbers.ndim == 2 else numbers.astype(np.float64).reshape(-1, 1)
    missing = np.isnan(values) if numbers.dtype.kind == "f" else np.zeros(values.shape[1], dtype=np.bool_)
    holes = bool(missing.any())
    low, high = np.fmin.reduce(values, axis=0), np.fmax.reduce(values, axis=0)
    lost = missing.sum(axis=0, dtype=np.float64) if holes else np.zeros(values.shape[1])
    count = len(values) - lost
    with np.errstate(over="ignore", invalid="ignore", under="ignore"):  # `scale_of` refuses what overflows
        mean = (np.where(missing, 0, values) if holes else values).sum(axis=0) / np.maximum(count, 1)
        values -= mean
        if holes:
            values[missing] = 0
        squares = np.einsum("ij,ij->j", values, values)
    figures = count, lost, mean, squares, np.nan_to_num(low, nan=np.inf), np.nan_to_num(high, nan=-np.inf)
    return Moments(*(figure if numbers.ndim == 2 else figure[0] for figure in map(np.asarray, figures)))


def _moments_of_counts(counts: NDArray[np.intp]) -> Moments:
    """Return the moments of bytes from how often each of the 256 occurs."""
    levels, total = np.arange(len(counts), dtype=np.float64), counts.sum()
    occurring = np.flatnonzero(counts)
    mean = levels @ counts / total
    figures = total, 0, mean, (levels - mean) ** 2 @ counts, occurring[0], occurring[-1]
    return Moments(*(np.asarray(figure, dtype=np.float64) for figure in figures))


def measure_scale(
    numbers: NDArray[Any],
    kind: ScalingKind,
    value_range: tuple[float, float] | None = None,
    n_categories: tuple[int, ...] = (),
    names: tuple[str, ...] = (),
) -> Scale:
    """Learn the scale of raw numbers of shape (n, columns) or (n, H, W[, C]); see `scale_of`.

    Examples
    --------
    >>> scale = measure_scale(np.array([[1.0, 5.0], [3.0, 9.0]]), "standard")
    >>> scale.center, scale.spread
    (array([2., 7.]), array([1., 2.]))
    """
    return scale_of(Moments.of(numbers), kind, value_range, n_categories, names)


def scale_of(
    moments: Moments,
    kind: ScalingKind,
    value_range: tuple[float, float] | None = None,
    n_categories: tuple[int, ...] = (),
    names: tuple[str, ...] = (),
) -> Scale:
    """Return the scale that measured moments ask for.

    Parameters
    ----------
    moments : Moments
        Rows are scaled column by column, pictures as a whole.
    kind : {"standard", "range", "none"}
        Zero mean and unit deviation; 0 to 1; or untouched.
    value_range : (low, high), optional
        The range of the values where it is known beforehand.
    n_categories : tuple of int
        Categories per column; columns that have some are left alone.
    names : tuple of str
        Names of the columns, where they have names, for the warning of constant ones.

    Raises
    ------
    DataError
        If values are so large or so close together that double precision cannot hold their spread.
    """
    low, high = _limits(moments, value_range)
    center, spread = _center_and_spread(moments, kind, low, high)
    _refuse_beyond_precision(center, spread, low, high, names)
    constant = ~(spread > 0)
    if moments.mean.ndim:
        _warn_of_constants(constant & ~(np.asarray(n_categories or [0] * len(low)) > 0), names)
    flagged = (moments.missing > 0) if moments.mean.ndim else np.zeros((), dtype=np.bool_)
    return Scale(center, np.where(constant, 1.0, spread), low, high, kind == "range", flagged)


def _limits(moments: Moments, value_range: tuple[float, float] | None) -> tuple[Floats, Floats]:
    if value_range is not None:
        low, high = (np.full(moments.mean.shape, limit, np.float64) for limit in value_range)
        return low, high
    some = moments.count > 0
    return np.where(some, moments.low, 0.0), np.where(some, moments.high, 0.0)


def _center_and_spread(moments: Moments, kind: ScalingKind, low: Floats, high: Floats) -> tuple[Floats, Floats]:
    if kind == "none":
        return np.zeros_like(low), np.ones_like(low)
    if kind == "range":
        return low, high - low
    deviation = np.sqrt(moments.squares / np.maximum(moments.count, 1))
    # a constant column's deviation is rounding noise, not spread
    return moments.mean, np.where(high > low, deviation, 0.0)


def _refuse_beyond_precision(
    center: Floats, spread: Floats, low: Floats, high: Floats, names: tuple[str, ...]
) -> None:
    usable = np.isfinite(center) & np.isfinite(spread) & ((spread > 0) | ~(high > low))
    if usable.all():
        return
    place = int(np.flatnonzero(~usable)[0])
    what = "X" if not center.ndim else f"column {names[place]!r}" if names else f"column {place} (counted from 0)"
    lowest, highest = np.reshape(low, -1)[place], np.reshape(high, -1)[place]
    raise DataError(
        f"{what} holds values from {lowest:g} to {highest:g}, whose spread lies beyond double precision; measure it "
        "in another unit, or take logarithms"
    )


def _warn_of_constants(constant: NDArray[np.bool_], names: tuple[str, ...]) -> None:
    if not constant.any():
        return
    places = [repr(names[place]) if names else str(place) for place in np.flatnonzero(constant)]
    shown = ", ".join(places[:8]) + (f" and {len(places) - 8} more" if len(places) > 8 else "")
    plural, counted = len(places) > 1, "" if names else " (counted from 0)"
    warnings.warn(
        f"{'columns' if plural else 'column'} {shown}{counted} {'are' if plural else 'is'} constant in the "
        f"training data and {'carry' if plural else 'carries'} nothing to learn",
        RefoldWarning,
        stacklevel=4,
    )
