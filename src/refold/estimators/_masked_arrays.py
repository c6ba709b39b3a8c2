"""Masked arrays of numpy: the values and the mask, as two arrays of a compressed file."""

from typing import Any

import numpy as np
from numpy.typing import NDArray

Array = NDArray[Any]

MASK = "mask"  # name of the array that holds it
_MASKED = "masked"  # in what is said of the values


def split_mask(X: Any) -> tuple[Any, Array | None]:
    """Return values and the mask of a masked array; of any other data the data, and None.

    Under the mask stand the values before, which cost next to nothing, so that a range is that of what is seen.
    """
    if not isinstance(X, np.ma.MaskedArray):
        return X, None
    mask = np.ma.getmaskarray(X)
    seen = np.flatnonzero(~mask.reshape(-1))
    if not len(seen):
        return np.zeros(X.shape, X.dtype), mask
    before = np.maximum(np.searchsorted(seen, np.arange(mask.size), "right") - 1, 0)
    return X.data.reshape(-1)[seen[before]].reshape(X.shape), mask


def about_mask(mask: Array | None) -> dict[str, Any]:
    """Return what is said of the values in a file."""
    return {} if mask is None else {_MASKED: True}


def with_mask(arrays: dict[str, Array], more: dict[str, Any]) -> dict[str, Array]:
    """Return the arrays of a file, values and their mask as one masked array."""
    values, mask = arrays.get(""), arrays.get(MASK)
    if values is None or mask is None or not more.get(_MASKED) or mask.shape != values.shape or mask.dtype != bool:
        return arrays
    masked: Array = np.ma.MaskedArray(values, mask)
    return {"": masked} | {name: array for name, array in arrays.items() if name not in ("", MASK)}
