"""Checks of what callers hand in: codes, colours, pictures. Plain arrays come out, or a DataError."""

from collections import Counter
from collections.abc import Sequence, Sized
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from refold._errors import DataError
from refold.plots._look import GREY, MOST_CATEGORIES, hue

Array = npt.NDArray[Any]


@dataclass(frozen=True)
class Categories:
    """Few distinct values: `index` (n,) points into `names`; grey stands for what has no class of its own."""

    names: tuple[str, ...]
    hues: tuple[str, ...]
    index: npt.NDArray[np.intp]


@dataclass(frozen=True)
class Gradient:
    """Numbers on a continuous scale: `share` (n,) is 0 at `low`, 1 at `high`, NaN where missing."""

    share: npt.NDArray[np.float64]
    low: float
    high: float


Colouring = Categories | Gradient | None


def read_codes(codes: npt.ArrayLike) -> npt.NDArray[np.float64]:
    """Return codes as float64 of shape (n, k) with n and k at least 1 and every number finite."""
    try:
        array = np.asarray(codes, dtype=np.float64)
    except (TypeError, ValueError) as error:
        raise DataError(
            f"got codes that are not numbers ({error}); give an array of floats of shape (n, k)"
        ) from error
    if array.ndim != 2 or 0 in array.shape:
        raise DataError(
            f"got codes of shape {array.shape}; a picture needs (n, k) with at least one row and one column"
        )
    _refuse_rows_not_finite(array)
    return array


def _refuse_rows_not_finite(array: Array) -> None:
    strange = int((~np.isfinite(array).all(axis=1)).sum())
    if strange:
        raise DataError(
            f"got {strange:,} of {len(array):,} codes with NaN or infinity; "
            "only finite numbers can be drawn: drop these rows first"
        )


def check_count(what: str, values: Sized, count: int) -> None:
    """Raise DataError unless there is one of `values` per code."""
    if len(values) != count:
        raise DataError(f"got {len(values):,} {what} for {count:,} codes; give exactly one per code")


def read_colours(colours: Sequence[Any] | Array | None, count: int) -> Colouring:
    """Tell whether `colours` name a few classes or are numbers on a scale.

    Strings, booleans and numbers without a fraction and with at most 20 distinct values are classes, every
    other number is a scale. None and NaN are missing and drawn grey.
    """
    if colours is None:
        return None
    check_count("colours", colours, count)
    array = np.asarray(colours)
    if array.ndim != 1:
        raise DataError(f"got colours of shape {array.shape}; give one number or one name per code")
    if array.dtype.kind in "iuf" and not _few_whole_numbers(array):
        return as_gradient(array.astype(np.float64))
    return _categories([_name(value) for value in array.tolist()])


def _few_whole_numbers(array: Array) -> bool:
    known = np.unique(array[np.isfinite(array)])
    return len(known) <= MOST_CATEGORIES and bool(np.all(known == np.floor(known)))


def as_gradient(values: npt.NDArray[np.float64]) -> Gradient:
    """Return numbers as shares of their range; at least one of them is finite."""
    known = values[np.isfinite(values)]
    low, high = float(known.min()), float(known.max())
    share = (values / 2 - low / 2) / (high / 2 - low / 2) if high > low else np.where(np.isnan(values), np.nan, 0.5)
    return Gradient(np.where(np.isfinite(values), share, np.nan), low, high)


def _name(value: object) -> str | None:
    if value is None or value != value:
        return None
    return str(int(value)) if isinstance(value, float) and value.is_integer() else str(value)


def _categories(names: list[str | None]) -> Categories:
    counts = Counter(name for name in names if name is not None)
    kept = sorted((name for name, _ in counts.most_common(MOST_CATEGORIES)), key=_natural_order)
    rest = {"others": len(counts) - len(kept), "missing": len(names) - counts.total()}
    greys = [f"{rest['others']} others"] * bool(rest["others"]) + ["missing"] * bool(rest["missing"])
    places: dict[str | None, int] = {name: place for place, name in enumerate(kept)}
    places[None] = len(kept) + len(greys) - 1
    index = np.array([places.get(name, len(kept)) for name in names], dtype=np.intp)
    hues = [hue(place) for place in range(len(kept))] + [GREY] * len(greys)
    return Categories((*kept, *greys), tuple(hues), index)


def _natural_order(name: str) -> tuple[int, float, str]:
    try:
        return 0, float(name), name
    except ValueError:
        return 1, 0.0, name


def read_pictures(pictures: Any, what: str = "images") -> npt.NDArray[np.uint8]:
    """Return pictures as uint8 of shape (n, H, W), (n, H, W, 3) or (n, H, W, 4).

    uint8 stays as it is, booleans become black and white, floats in 0..1 are stretched to 0..255, any other
    numbers are scaled together from their lowest (black) to their highest (white).
    """
    array = as_array(pictures, what)
    if array.ndim == 4 and array.shape[3] == 1:
        array = array[..., 0]
    _check_picture_shape(array, what)
    if array.dtype == np.uint8:
        return array
    numbers = array if array.dtype.kind == "f" else array.astype(np.float32)
    return np.asarray(np.rint(_between_0_and_1(numbers, what) * 255), dtype=np.uint8)


def as_array(pictures: Any, what: str) -> Array:
    """Return pictures as an array, or tell that their shapes differ."""
    try:
        return np.asarray(pictures)
    except ValueError as error:
        raise DataError(f"got {what} of different shapes ({error}); give pictures of one shape") from error


def _check_picture_shape(array: Array, what: str) -> None:
    channels_fit = array.ndim == 3 or (array.ndim == 4 and array.shape[3] in (3, 4))
    if not channels_fit or 0 in array.shape or array.dtype.kind not in "biuf":
        raise DataError(
            f"got {what} of shape {array.shape} and type {array.dtype}; "
            "give numbers of shape (n, H, W) or (n, H, W, C) with 1, 3 or 4 channels, none of them empty"
        )


def _between_0_and_1(array: Array, what: str) -> Array:
    low, high = float(array.min()), float(array.max())
    if not np.isfinite([low, high]).all():
        raise DataError(f"got {what} with NaN or infinity; only finite numbers can be drawn: fill them first")
    if low >= 0.0 and high <= 1.0:
        return array
    return (array - low) / (high - low) if high > low else np.zeros_like(array)
