"""What a restoring network learns from: crops of pictures, damaged on purpose or in pairs."""

from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from refold.data import LUMINANCE
from refold.nets import filled_smoothly
from refold.objectives import Corruption, Domain, numpy_generator

Crops = Callable[[int, torch.Generator], Tensor]
Damage = Callable[[Tensor, torch.Generator], tuple[Tensor, Tensor]]
_Cut = Callable[[NDArray[Any]], NDArray[np.float32]]

UNIT = Domain(torch.tensor(0.0), torch.tensor(1.0), torch.tensor(True))
_USUAL_GREY = 0.6
_KNOWN_COUNTS = 0.0  # they are kept anyway; counted, they hold the network at doing nothing (absolute errors)


class Examples(NamedTuple):
    """Pictures and what the network is given of them.

    Parameters
    ----------
    whole : Tensor of shape (B, channels, h, w)
        0 to 1.
    given : Tensor of shape (B, channels + guides, h, w)
    weights : Tensor of shape (B, 1, 1, 1), (B, 1, h, w) or (1, channels, 1, 1)
        How much each counts.
    """

    whole: Tensor
    given: Tensor
    weights: Tensor


DrawExamples = Callable[[int, torch.Generator], Examples]


def damaged_examples(crops: Crops, damage: Damage) -> DrawExamples:
    """Return a source of examples from whole crops and a damage."""

    def draw(count: int, generator: torch.Generator) -> Examples:
        whole = crops(count, generator)
        return Examples(whole, *damage(whole, generator))

    return draw


# --- crops ---------------------------------------------------------------------------------------------------------


class PictureCrops:
    """Crops of pictures at random places, turned and mirrored at random.

    Parameters
    ----------
    pictures : sequence of ndarray of shape (H, W) or (H, W, 3)
        uint8, uint16, or floats of 0 to 1.
    side : int
        Of a crop; pictures that are smaller are mirrored at their borders.
    channels : int
        1 mixes colours at random, so that one colour picture is many grey ones; 3 repeats grey ones.
    """

    def __init__(self, pictures: Sequence[NDArray[Any]], side: int, channels: int) -> None:
        self._pictures = [_at_least(picture, side) for picture in pictures]
        self._side, self._channels = side, channels

    def __call__(self, count: int, generator: torch.Generator) -> Tensor:
        """Return crops (count, channels, side, side), float32, 0 to 1."""
        rng = numpy_generator(generator)
        return torch.from_numpy(np.stack([self._crop(rng) for _ in range(count)]))

    def _crop(self, rng: np.random.Generator) -> NDArray[np.float32]:
        picture = self._pictures[rng.integers(len(self._pictures))]
        cut = _drawn_cut(picture.shape, self._side, rng)
        return np.ascontiguousarray(_in_channels(cut(picture), self._channels, rng))


class PairCrops:
    """Crops of damaged pictures and of the whole ones at the same places: examples as they are.

    Parameters
    ----------
    damaged, whole : sequence of ndarray of shape (H, W) or (H, W, 3)
        Pair by pair of one size.
    side : int
    channels : int
        As of `PictureCrops`.
    """

    def __init__(
        self, damaged: Sequence[NDArray[Any]], whole: Sequence[NDArray[Any]], side: int, channels: int
    ) -> None:
        self._pairs = [tuple(_at_least(each, side) for each in pair) for pair in zip(damaged, whole, strict=True)]
        self._side, self._channels = side, channels

    def __call__(self, count: int, generator: torch.Generator) -> Examples:
        """Return so many examples."""
        rng = numpy_generator(generator)
        pairs = [self._crops(rng) for _ in range(count)]
        damaged, whole = (torch.from_numpy(np.stack(each)) for each in zip(*pairs, strict=True))
        return Examples(whole, damaged, torch.ones(count, 1, 1, 1))

    def _crops(self, rng: np.random.Generator) -> list[NDArray[np.float32]]:
        pair = self._pairs[rng.integers(len(self._pairs))]
        cut, state = _drawn_cut(pair[0].shape, self._side, rng), rng.bit_generator.state
        crops = []
        for each in pair:
            rng.bit_generator.state = state  # the same mixture of colours for both
            crops.append(np.ascontiguousarray(_in_channels(cut(each), self._channels, rng)))
        return crops


def _drawn_cut(shape: tuple[int, ...], side: int, rng: np.random.Generator) -> _Cut:
    """Return what cuts one drawn square, turned and mirrored, out of pictures of a shape."""
    top, left = (int(rng.integers(length - side + 1)) for length in shape[:2])
    turns, mirrored = int(rng.integers(4)), rng.random() < 0.5

    def cut(picture: NDArray[Any]) -> NDArray[np.float32]:
        crop = np.rot90(picture[top : top + side, left : left + side], turns)
        return _unit(crop[:, ::-1] if mirrored else crop)

    return cut


def _in_channels(crop: NDArray[np.float32], channels: int, rng: np.random.Generator) -> NDArray[np.float32]:
    if crop.ndim == 2:
        return np.repeat(crop[None], channels, axis=0)
    if channels == 3:
        return crop.transpose(2, 0, 1)
    usual = rng.random() < _USUAL_GREY
    mixture = np.array(LUMINANCE) if usual else rng.dirichlet([2.0, 2.0, 2.0])
    return np.repeat((crop @ mixture.astype(np.float32))[None], channels, axis=0)


def _at_least(picture: NDArray[Any], side: int) -> NDArray[Any]:
    lacking = [max(0, side - length) for length in picture.shape[:2]]
    if not any(lacking):
        return picture
    return np.pad(picture, [(0, lacking[0]), (0, lacking[1]), *[(0, 0)] * (picture.ndim - 2)], mode="symmetric")


def _unit(values: NDArray[Any]) -> NDArray[np.float32]:
    if values.dtype.kind == "f":
        return values.astype(np.float32)
    return (values / np.iinfo(values.dtype).max).astype(np.float32)


# --- damage --------------------------------------------------------------------------------------------------------


def noise_of_many_levels(highest: float) -> Damage:
    """Return Gaussian noise whose deviation each crop draws evenly from 0 to `highest` (share of the range).

    Crops of little noise count more, as their errors are smaller: weights are near the inverse of the usual squared
    error. A grey crop of three channels gets the same noise in all of them and stays grey.
    """

    def add(crops: Tensor, generator: torch.Generator) -> tuple[Tensor, Tensor]:
        deviation = highest * torch.rand(len(crops), 1, 1, 1, generator=generator, device=crops.device)
        noise = torch.randn(crops.shape, generator=generator, device=crops.device)
        grey = (crops == crops[:, :1]).flatten(1).all(1)
        noise = torch.where(grey[:, None, None, None], noise[:, :1], noise)
        return crops + deviation * noise, 0.1 / (deviation + 0.02)

    return add


def changed_pixels(corruption: Corruption) -> Damage:
    """Return the damage of a corruption that loses nothing."""

    def damage(crops: Tensor, generator: torch.Generator) -> tuple[Tensor, Tensor]:
        return corruption(crops, UNIT, generator), torch.ones(len(crops), 1, 1, 1)

    return damage


def lost_pixels(corruption: Corruption, known_counts: float = _KNOWN_COUNTS) -> Damage:
    """Return the damage of a corruption that loses pixels: they are filled, and one more plane says which are known.

    Parameters
    ----------
    corruption : Corruption
    known_counts : float
        Weight of a known pixel; a lost one counts 1.
    """

    def damage(crops: Tensor, generator: torch.Generator) -> tuple[Tensor, Tensor]:
        damaged = corruption(crops, UNIT, generator)
        known = ~damaged.isnan().any(1, keepdim=True)
        weights = torch.where(known, known_counts, 1.0)
        return with_known(damaged, known), weights

    return damage


def with_known(pictures: Tensor, known: Tensor) -> Tensor:
    """Return pictures (B, C + 1, H, W) whose lost pixels are filled smoothly, and the plane of known ones."""
    return torch.cat([filled_smoothly(pictures, known), known.to(pictures.dtype)], 1)
