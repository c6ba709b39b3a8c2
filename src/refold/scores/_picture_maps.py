"""What a picture looks like to the scorer, and maps of what is odd in it before it is known what is usual where."""

from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from scipy import ndimage
from torch import Tensor, nn
from torch.nn import functional

from refold.data import LUMINANCE
from refold.scores._gaussian import VectorMoments, Whitening

Array = NDArray[np.float32]

PATCH = 8
_LUMINANCE = np.array(LUMINANCE, np.float32)
_DARKEST = 4.0  # of 255: what is added before the logarithm, so that noise in black is not blown up
_CONTRAST_WIDTH, _LEAST_CONTRAST = 6.0, 0.03
_USUAL_CONTRAST = 0.25
_SMALLEST = 1e-4
_RESIDUAL_WIDTH = 2.0
_FILTERS_AT_ONCE = 16


def in_channels(picture: NDArray[Any], channels: int) -> NDArray[Any] | None:
    """Return a picture (H, W) or (H, W, C) as (channels, H, W), None if it cannot be.

    Grey is repeated, colour becomes luminance, other channels their mean.
    """
    planes = picture[None] if picture.ndim == 2 else np.moveaxis(picture, -1, 0)
    if len(planes) == channels:
        return planes
    if len(planes) == 1:
        return np.repeat(planes, channels, axis=0)
    if channels == 1:
        weights = _LUMINANCE if len(planes) == 3 else np.full(len(planes), 1 / len(planes), np.float32)
        return np.tensordot(weights, planes.astype(np.float32), 1)[None]
    return None


def value_range(smallest: float, largest: float) -> tuple[float, float]:
    """Return which values mean black and white, from the extremes of pictures; 0 is black unless all are far off."""
    low = smallest if smallest < 0 or smallest > largest / 2 else 0.0
    return low, largest if largest > low else low + 1.0


def area_mean(planes: NDArray[Any], side: int) -> Array:
    """Return means over cells of `side` x `side` pixels of planes (C, H, W), the edge repeated where it is short."""
    height, width = planes.shape[-2:]
    padded = np.pad(planes, ((0, 0), (0, -height % side), (0, -width % side)), mode="edge")
    cells = padded.reshape(len(planes), padded.shape[1] // side, side, padded.shape[2] // side, side)
    means: Array = cells.mean((2, 4), dtype=np.float32)
    return means


def views_of(planes: NDArray[Any]) -> Array:
    """Return what the network sees of planes (C, H, W) of 0 to 255: (1 + C, H / 2, W / 2), float32.

    First the luminance with its contrast made the same everywhere, then the channels relative to their medians, all
    of the logarithm, in which light and shade only add.
    """
    logs = np.log(area_mean(planes, 2) + _DARKEST)
    grey = logs.mean(0)
    rest = grey - ndimage.gaussian_filter(grey, _CONTRAST_WIDTH)
    contrast = np.sqrt(ndimage.gaussian_filter(rest * rest, _CONTRAST_WIDTH) + _LEAST_CONTRAST**2)
    relative = (logs - np.median(logs, axis=(1, 2), keepdims=True)) / _USUAL_CONTRAST
    return np.concatenate([(rest / contrast)[None], relative]).astype(np.float32)


def residual_maps(residual: Array) -> Array:
    """Return log maps (2, H, W) of where channels (C, H, W) are darker and where they are brighter than rebuilt."""
    sides = (np.minimum(residual, 0), np.maximum(residual, 0))
    return np.stack([_log_energy(ndimage.gaussian_filter((side**2).mean(0), _RESIDUAL_WIDTH)) for side in sides])


def _log_energy(energy: Array) -> Array:
    halved: Array = 0.5 * np.log(energy + _SMALLEST)
    return halved


class PatchGaussian(nn.Module):
    """How unusual the patches of 8 x 8 cells are, by a Gaussian of all their values.

    Parameters
    ----------
    channels : int
    side : int
        Pixels of the views that one cell is the mean of.
    """

    def __init__(self, channels: int, side: int) -> None:
        super().__init__()
        self.channels, self.side = channels, side
        self.whitening = Whitening(channels * PATCH * PATCH)

    def sample(self, channels: Array, count: int, rng: np.random.Generator) -> Tensor:
        """Return at most `count` patches (n, values) of channels (C, H, W), drawn at random."""
        patches = functional.unfold(self._cells(channels), PATCH)[0].T
        return patches[torch.from_numpy(rng.permutation(len(patches))[:count])]

    def moments(self) -> VectorMoments:
        """Return empty moments of patches."""
        return VectorMoments(self.channels * PATCH * PATCH)

    def map(self, channels: Array) -> Array:
        """Return the log map (H, W) of channels (C, H, W)."""
        weight, bias = self.whitening.weight, self.whitening.bias
        cells = self._cells(channels).to(weight.device)
        filters = weight.view(-1, self.channels, PATCH, PATCH)
        energy = torch.zeros(cells.shape[-2] - PATCH + 1, cells.shape[-1] - PATCH + 1, device=weight.device)
        for start in range(0, len(filters), _FILTERS_AT_ONCE):  # not all at once: large pictures need much memory
            some = slice(start, start + _FILTERS_AT_ONCE)
            energy += functional.conv2d(cells, filters[some], bias[some])[0].square().sum(0)
        return _log_energy(enlarged((energy / len(filters)).cpu().numpy(), self.side, channels.shape[1:]))

    def _cells(self, channels: Array) -> Tensor:
        cells = torch.from_numpy(area_mean(channels, self.side))[None]
        before, after = PATCH // 2, PATCH - 1 - PATCH // 2
        mode = "reflect" if min(cells.shape[-2:]) > PATCH else "replicate"
        return functional.pad(cells, (before, after, before, after), mode=mode)


class FeatureGaussian(nn.Module):
    """How unusual the feature vectors of the user's own network are.

    Parameters
    ----------
    features : int
        Numbers of a vector.
    """

    def __init__(self, features: int) -> None:
        super().__init__()
        self.whitening = Whitening(features)

    def moments(self) -> VectorMoments:
        """Return empty moments of feature vectors."""
        return VectorMoments(len(self.whitening.bias))

    def map(self, features: Tensor, shape: tuple[int, int]) -> Array:
        """Return the log map of `shape` from feature maps (F, h, w)."""
        vectors = features.flatten(1).T.to(self.whitening.weight.device)
        white = vectors @ self.whitening.weight.T + self.whitening.bias
        energy = white.square().mean(1).view(1, 1, *features.shape[1:])
        resized = functional.interpolate(energy, size=shape, mode="bilinear")
        return _log_energy(resized[0, 0].cpu().numpy())


def enlarged(small: NDArray[Any], times: int, shape: tuple[int, ...]) -> Array:
    """Return a map (h, w) enlarged and cut to `shape`, float32."""
    map_ = torch.from_numpy(np.ascontiguousarray(small, np.float32))[None, None]
    large = functional.interpolate(map_, scale_factor=times, mode="bilinear")[0, 0, : shape[0], : shape[1]]
    return np.ascontiguousarray(large.numpy())
