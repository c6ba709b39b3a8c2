"""What is usual in maps of pictures, by how far from the borders a place lies."""

from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from scipy import ndimage
from torch import Tensor, nn

Array = NDArray[np.float32]

# in pixels of the maps, which are at half the pictures' scale
_DISTANCES = np.array([1, 2, 3, 4, 6, 8, 11, 15, 20, 27, 36, 50, 70, 100])  # to the nearest border
_ZONES = np.array([3, 8, 20])  # to the left or right border, and to the upper or lower one
BINS, ZONES = len(_DISTANCES) + 1, (len(_ZONES) + 1) ** 2
_BIN_PRIOR, _ZONE_PRIOR = 50.0, 2.0  # places and pictures that the average of all counts for
_ZONE_SHARE = 0.005
_BLUR = 5
_LEAST_DEVIATION, _LEAST_SPREAD = 1e-3, 0.1


def strongest(values: NDArray[Any], share: float) -> float:
    """Return the mean of the largest `share` of values."""
    count = max(1, round(share * values.size))
    if count >= values.size:
        return float(values.mean(dtype=np.float64))
    return float(np.partition(values, values.size - count, axis=None)[-count:].mean(dtype=np.float64))


def bins_of(shape: tuple[int, ...]) -> NDArray[np.int64]:
    """Return the bin (H, W) of each place by its distance from the nearest border."""
    down, across = _distances(shape)
    return np.digitize(np.minimum(down, across), _DISTANCES)


def zones_of(shape: tuple[int, ...]) -> NDArray[np.int64]:
    """Return the zone (H, W) of each place: corners, sides, inside."""
    down, across = _distances(shape)
    return np.digitize(across, _ZONES) * (len(_ZONES) + 1) + np.digitize(down, _ZONES)


def _distances(shape: tuple[int, ...]) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    rows, columns = np.arange(shape[0]), np.arange(shape[1])
    return np.minimum(rows, rows[::-1])[:, None], np.minimum(columns, columns[::-1])[None]


class UsualByPlace(nn.Module):
    """Maps -> maps whose values are the same everywhere in usual pictures, 0 being the strangest place of one.

    First the log map is standardised in every bin of distances from the border; then each zone by the strangest
    place that usual pictures have in it.

    Parameters
    ----------
    maps : int
        How many maps a picture has.
    """

    mean: Tensor
    deviation: Tensor
    peak: Tensor
    peak_spread: Tensor

    def __init__(self, maps: int) -> None:
        super().__init__()
        self.register_buffer("mean", torch.zeros(maps, BINS))
        self.register_buffer("deviation", torch.ones(maps, BINS))
        self.register_buffer("peak", torch.zeros(maps, ZONES))
        self.register_buffer("peak_spread", torch.ones(maps, ZONES))

    def standardised(self, maps: Array) -> Array:
        """Return log maps (maps, H, W) standardised by bins, each relative to its median."""
        bins = bins_of(maps.shape[1:])
        standard = (maps - _values(self.mean)[:, bins]) / _values(self.deviation)[:, bins]
        relative: Array = standard - np.median(standard, axis=(1, 2), keepdims=True)
        return relative

    def peaks(self, standard: Array) -> NDArray[np.float64]:
        """Return the strangest places (maps, zones) of standardised maps; NaN for a zone that the picture lacks."""
        zones = zones_of(standard.shape[1:])
        found = np.full((len(standard), ZONES), np.nan)
        for zone in np.unique(zones):
            inside = zones == zone
            found[:, zone] = [strongest(values[inside], _ZONE_SHARE) for values in standard]
        return found

    def heat(self, maps: Array) -> Array:
        """Return the strangest of log maps (maps, H, W) at each place, (H, W)."""
        zones = zones_of(maps.shape[1:])
        blur = (0, _BLUR, _BLUR)
        peak = ndimage.uniform_filter(_values(self.peak)[:, zones], blur)
        spread = ndimage.uniform_filter(_values(self.peak_spread)[:, zones], blur)
        strangest: Array = ((self.standardised(maps) - peak) / spread).max(0)
        return strangest

    def learn_bins(self, sums: NDArray[np.float64]) -> None:
        """Learn from counts, sums and sums of squares (3, maps, bins) of log maps."""
        count, total, squares = sums
        mean = total.sum(1, keepdims=True) / count.sum(1, keepdims=True)
        square = squares.sum(1, keepdims=True) / count.sum(1, keepdims=True)
        means = (total + _BIN_PRIOR * mean) / (count + _BIN_PRIOR)
        variances = (squares + _BIN_PRIOR * square) / (count + _BIN_PRIOR) - means**2
        self.mean.copy_(torch.from_numpy(means))
        self.deviation.copy_(torch.from_numpy(np.sqrt(np.maximum(variances, _LEAST_DEVIATION**2))))

    def learn_peaks(self, peaks: NDArray[np.float64]) -> None:
        """Learn from the peaks (pictures, maps, zones) of usual pictures: median, and spread above it."""
        seen = ~np.isnan(peaks)
        known = seen.any(0)
        filled = np.where(known, peaks, 0.0)
        middle = np.where(known, np.nanmedian(filled, axis=0), 0.0)
        above = np.where(seen, np.maximum(peaks - middle, 0), 0.0) ** 2
        everywhere = 2 * above.sum((0, 2)) / np.maximum(seen.sum((0, 2)), 1)
        count = seen.sum(0)
        spread = np.sqrt((2 * above.sum(0) + _ZONE_PRIOR * everywhere[:, None]) / (count + _ZONE_PRIOR))
        self.peak.copy_(torch.from_numpy(middle))
        self.peak_spread.copy_(torch.from_numpy(np.maximum(spread, _LEAST_SPREAD)))


def bin_sums(maps: Array) -> NDArray[np.float64]:
    """Return counts, sums and sums of squares (3, maps, bins) of log maps (maps, H, W)."""
    bins = bins_of(maps.shape[1:]).ravel()
    rows = [map_.ravel().astype(np.float64) for map_ in maps]
    powers = [[np.bincount(bins, weights, BINS) for weights in (values**0, values, values**2)] for values in rows]
    return np.array(powers).transpose(1, 0, 2)


def _values(buffer: Tensor) -> Array:
    return np.asarray(buffer.cpu().numpy(), np.float32)
