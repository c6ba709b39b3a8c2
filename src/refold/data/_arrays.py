"""Arrays of equal records: rows, grey pictures, colour pictures."""

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from refold._errors import DataError

Array = NDArray[Any]


@dataclass(frozen=True)
class ArrayAdapter:
    """What records of an array look like, and the way to numbers and back.

    Parameters
    ----------
    shape : tuple of int
        Shape of one record: ``(features,)``, ``(H, W)`` or ``(H, W, C)``.
    dtype : str
        The user's dtype, such as ``"uint8"``; `decode` returns it.

    Examples
    --------
    >>> import numpy as np
    >>> pictures = np.zeros((5, 28, 28), dtype=np.uint8)
    >>> adapter = ArrayAdapter.fit(pictures)
    >>> adapter.shape, adapter.decode(np.full((1, 28, 28), 254.7)).max()
    ((28, 28), np.uint8(255))
    """

    shape: tuple[int, ...]
    dtype: str

    kind = "array"

    @classmethod
    def fit(cls, values: Array) -> "ArrayAdapter":
        """Learn shape and dtype from `values` of shape (n, *record)."""
        if not 2 <= values.ndim <= 4:
            raise DataError(
                f"X has {values.ndim} dimensions {values.shape}; allowed are (n, features), (n, H, W) and "
                "(n, H, W, C); reshape it"
            )
        return cls(tuple(int(size) for size in values.shape[1:]), values.dtype.name)

    @property
    def n_categories(self) -> tuple[int, ...]:
        """Categories per column: none, every value of an array is a number."""
        return (0,) * self.shape[0] if len(self.shape) == 1 else ()

    @property
    def value_range(self) -> tuple[float, float] | None:
        """Smallest and largest value where the dtype says so: bytes and truth values."""
        return {"uint8": (0.0, 255.0), "bool": (0.0, 1.0)}.get(self.dtype)

    def encode(self, values: Array) -> Array:
        """Return `values` as numbers of shape (n, *shape), in their own compact dtype where that is exact."""
        if values.shape[1:] != self.shape:
            raise DataError(
                f"X has records of shape {values.shape[1:]}, but this model was fitted on records of shape "
                f"{self.shape}; give records of that shape or fit again"
            )
        return _numbers(values)

    def decode(self, numbers: Array) -> Array:
        """Return numbers of shape (n, *shape) in the user's dtype; whole-number types are rounded and clipped."""
        dtype = np.dtype(self.dtype)
        if dtype == np.bool_:
            return np.asarray(numbers > 0.5)
        if np.issubdtype(dtype, np.integer):
            return _rounded(numbers, dtype)
        return np.asarray(numbers).astype(dtype)

    def to_json(self) -> dict[str, Any]:
        """Return a description that JSON can hold."""
        return {"kind": self.kind, "shape": list(self.shape), "dtype": self.dtype}

    @classmethod
    def from_json(cls, description: dict[str, Any]) -> "ArrayAdapter":
        """Rebuild an adapter from `to_json`."""
        dtype = np.dtype(str(description["dtype"])[:20])
        if dtype.kind not in "biuf":
            raise DataError(f"an array of dtype {dtype} does not hold numbers")
        shape = tuple(description["shape"])
        if not 1 <= len(shape) <= 3 or any(type(size) is not int or not 1 <= size <= 2**24 for size in shape):
            raise DataError(f"records cannot have the shape {str(shape)[:80]}")
        return cls(shape, dtype.name)


def _numbers(values: Array) -> Array:
    if values.dtype in (np.uint8, np.float32, np.float64):
        return values
    if values.dtype == np.bool_:
        return values.astype(np.uint8)
    # float32 holds whole numbers exactly up to 2^24: every value of the 16-bit types
    return values.astype(np.float32 if values.dtype.itemsize <= 2 else np.float64)


def _rounded(numbers: Array, dtype: np.dtype[Any]) -> Array:
    limits = np.iinfo(dtype)
    whole = np.rint(np.asarray(numbers, dtype=np.float64))
    inside = np.clip(whole, float(limits.min), float(limits.max))
    # float(2^63 - 1) rounds up to 2^63: compare, do not cast, at the upper end
    result = np.where(inside >= float(limits.max), 0, inside).astype(dtype)
    return np.where(inside >= float(limits.max), dtype.type(limits.max), result)
