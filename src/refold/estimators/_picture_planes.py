"""A picture as planes of numbers, and back."""

from collections.abc import Iterator
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
_BAND = 512  # rows that are worked on at once
_OUTLIERS = 0.005  # share of the values at either end that do not decide the range of floats
_UNIT = (-0.5, 1.5)  # floats within these, noise included, are thought to be of 0 to 1
_DARK = 0.05  # but not if all of them are smaller
_FARTHEST = (-2.0, 3.0)  # what lies farther out is no picture and no noise, and would blind the network around it
_SAMPLED = 1 << 20


def checked_picture(picture: Any) -> Array:
    """Return a picture (H, W) or (H, W, channels) as an array.

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
    return pixels


@dataclass(frozen=True, eq=False)
class PicturePlanes:
    """Planes of a picture.

    Parameters
    ----------
    pixels : ndarray of shape (H, W) or (H, W, channels)
        The picture itself.
    values : ndarray of shape (planes, H, W), float32
        Channels of 0 to 1, or opponent colours.
    opponent : bool
        Whether they are those.
    low, high : float
        What 0 and 1 stand for.
    """

    pixels: Array
    values: Planes
    opponent: bool
    low: float
    high: float

    @classmethod
    def of(cls, picture: Any, opponent: bool) -> "PicturePlanes":
        """Take a picture apart; opponent colours are only made of three channels.

        Raises
        ------
        DataError
            If it is none.
        """
        pixels = checked_picture(picture)
        low, high = range_of(pixels)
        channels = pixels.reshape(*pixels.shape[:2], -1)
        opponent = opponent and channels.shape[2] == 3
        values = np.empty((channels.shape[2], *channels.shape[:2]), np.float32)
        for rows in bands(values):
            band = np.clip((channels[rows] - low) / (high - low), *_FARTHEST).astype(np.float32)
            values[:, rows] = (band @ _OPPONENT.T if opponent else band).transpose(2, 0, 1)
        return cls(pixels, values, opponent, low, high)

    def channels(self, rows: slice) -> Planes:
        """Return the picture's own channels (channels, rows, W), 0 to 1, of some rows."""
        part = self.values[:, rows]
        return np.tensordot(_OPPONENT.T, part, 1) if self.opponent else part

    def less(self, taken: Planes, share: float) -> Array:
        """Return the picture without a share of what is taken off its planes; integers are kept in their range."""
        channels = self.pixels.reshape(*self.pixels.shape[:2], -1)
        result = np.empty_like(channels)
        for rows in bands(taken):
            band = np.float32(share) * taken[:, rows].transpose(1, 2, 0)
            band = band @ _OPPONENT if self.opponent else band
            found = channels[rows] - band * (self.high - self.low)
            result[rows] = np.rint(np.clip(found, 0, self.high)) if result.dtype.kind == "u" else found
        return result.reshape(self.pixels.shape)


def bands(planes: Planes) -> Iterator[slice]:
    """Yield the rows of planes (planes, H, W) in parts: temporary arrays of a large picture would fill memory."""
    for start in range(0, planes.shape[1], _BAND):
        yield slice(start, min(start + _BAND, planes.shape[1]))


def range_of(pixels: Array) -> tuple[float, float]:
    """Return what 0 and 1 shall stand for; a few values far out do not decide it."""
    if pixels.dtype.kind == "u":
        return 0.0, float(np.iinfo(pixels.dtype).max)
    some = pixels.reshape(-1)[:: max(1, pixels.size // _SAMPLED)].astype(np.float64)
    low, high = (float(value) for value in np.quantile(some, [_OUTLIERS, 1 - _OUTLIERS]))
    if (low >= _UNIT[0] and _DARK <= high <= _UNIT[1]) or not high > low:
        return 0.0, 1.0
    return low, high
