"""A picture as planes of numbers in which noise is the same everywhere, and back."""

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from refold._errors import DataError

Array = NDArray[Any]
Planes = NDArray[np.float32]

# luminance and two differences of colour, of length 1 and at right angles: noise stays what it was
_OPPONENT = np.array(
    [
        [1 / np.sqrt(3), 1 / np.sqrt(3), 1 / np.sqrt(3)],
        [1 / np.sqrt(2), 0, -1 / np.sqrt(2)],
        [1 / np.sqrt(6), -2 / np.sqrt(6), 1 / np.sqrt(6)],
    ],
    dtype=np.float32,
)
_MOST_CHANNELS = 4


@dataclass(frozen=True, eq=False)
class PicturePlanes:
    """Planes of a picture.

    Parameters
    ----------
    values : ndarray of shape (planes, H, W), float32
        Grey values of 0 to 1, or opponent colours.
    dtype : dtype
    shape : tuple of int
        Of the picture.
    top : float
        Its largest possible value.
    """

    values: Planes
    dtype: np.dtype[Any]
    shape: tuple[int, ...]
    top: float

    @classmethod
    def of(cls, picture: Any) -> "PicturePlanes":
        """Take a picture apart.

        Raises
        ------
        DataError
            If it is none.
        """
        pixels = np.asarray(picture)
        if pixels.ndim not in (2, 3) or not pixels.size or (pixels.ndim == 3 and pixels.shape[2] > _MOST_CHANNELS):
            raise DataError(f"a picture must have shape (H, W) or (H, W, 1 to 4), got {pixels.shape}")
        if pixels.dtype.kind not in "uf" or pixels.dtype.itemsize > 8:
            raise DataError(f"a picture must be unsigned integers or floats, got {pixels.dtype}")
        if pixels.dtype.kind == "f" and not np.isfinite(pixels).all():
            raise DataError("the picture has pixels that are NaN or infinite; fill them before")
        top = _top_of(pixels)
        channels = pixels.reshape(*pixels.shape[:2], -1).astype(np.float32) / np.float32(top)
        planes = channels @ _OPPONENT.T if channels.shape[2] == 3 else channels
        return cls(np.ascontiguousarray(planes.transpose(2, 0, 1)), pixels.dtype, pixels.shape, top)

    def channels(self) -> Planes:
        """Return the picture's own channels (channels, H, W), 0 to 1."""
        return np.tensordot(_OPPONENT.T, self.values, 1) if len(self.values) == 3 else self.values

    def back(self, values: Planes) -> Array:
        """Return a picture of other planes: integers are rounded and kept in their range."""
        channels = values.transpose(1, 2, 0)
        channels = channels @ _OPPONENT if len(values) == 3 else channels
        pixels = channels.reshape(self.shape) * np.float32(self.top)
        if self.dtype.kind == "u":
            pixels = np.rint(np.clip(pixels, 0, self.top))
        return pixels.astype(self.dtype)


def _top_of(pixels: Array) -> float:
    if pixels.dtype.kind == "u":
        return float(np.iinfo(pixels.dtype).max)
    return max(1.0, float(np.abs(pixels).max()))
