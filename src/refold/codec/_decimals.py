"""Values of any type as whole numbers of their own."""

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

Array = NDArray[Any]


@dataclass(frozen=True)
class NumberMap:
    """Bit patterns of floats in their order; whole numbers as they are."""

    kind: str

    def to_numbers(self, values: Array) -> Array:
        """Return int64."""
        if self.kind[0] != "f":
            return values.astype(np.int64)
        size = int(self.kind[1])
        bits = np.ascontiguousarray(values).view(f"i{size}").astype(np.int64)
        return np.where(bits < 0, -(bits & ((1 << (8 * size - 1)) - 1)) - 1, bits)

    def to_values(self, numbers: Array) -> Array:
        """Return values of the type."""
        if self.kind[0] != "f":
            return numbers.astype(self.kind)
        size = int(self.kind[1])
        sign = np.int64(np.iinfo(f"i{size}").min)
        bits = np.where(numbers < 0, (-(numbers + 1)) | sign, numbers)
        return bits.astype(f"i{size}").view(self.kind)

    def to_bytes(self) -> bytes:
        """Return the type."""
        return self.kind.encode()

    @staticmethod
    def from_bytes(data: bytes) -> "NumberMap":
        """Return the map."""
        return NumberMap(data.decode())


def number_map(values: Array) -> NumberMap | None:
    """Return the map of values, or None."""
    if values.dtype.kind == "f" and values.dtype.itemsize == 8 and values.size:
        return NumberMap("f8") if np.abs(values).max() < 2.0 else None
    if values.dtype == np.uint64 and values.size and values.max() >= 1 << 62:
        return None
    return NumberMap(values.dtype.kind + str(values.dtype.itemsize))
