"""Where the training scripts take their examples from: crops and noise drawn on the device, masks and marks ahead.

Everything follows from the seed and the number of the step, so that a training that was left goes on with the same
examples, with any number of workers.
"""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch import Tensor
from torch.utils.data import DataLoader, IterableDataset, get_worker_info

from refold.data import LUMINANCE
from refold.objectives import Corruption, Either, Watermark, numpy_generator
from refold.train import UNIT, DrawExamples, Examples, mark_weights, noise_of_many_levels, with_known

Draw = Callable[[torch.Generator], Any]

_USUAL_GREY = 0.6  # share of grey crops that are the usual mixture of colours
_LEVELS = 255  # marked pictures are rounded to them, or marks would be known by values between
_WHOLE, _ANYWHERE = 0.15, 0.15  # share of examples without a mark, and of others that are cut anywhere
_PREFETCHED = 4  # batches a worker
_MOST_SEED = 1 << 62


@dataclass(frozen=True)
class Place:
    """Where and from which step on examples are drawn.

    Parameters
    ----------
    device : torch.device
    seed, first_step, batch_size : int
    workers : int
        Processes that draw masks and marks; 0 draws them in this one.
    """

    device: torch.device
    seed: int
    first_step: int
    batch_size: int
    workers: int


class PhotoStack:
    """Crops of photographs at random places, turned and mirrored at random, cut on the device.

    Parameters
    ----------
    photos : sequence of ndarray of shape (H, W, 3), uint8
        No side shorter than a crop.
    side : int
    grey : float
        Share of the crops that are made grey, mixed of the colours in different ways.
    device : torch.device
    """

    def __init__(self, photos: Sequence[np.ndarray], side: int, grey: float, device: torch.device) -> None:
        shapes = np.array([photo.shape[:2] for photo in photos])
        if shapes.min() < side:
            raise SystemExit(f"a photograph has a side of {shapes.min()} pixels; all need {side}")
        starts = np.concatenate([[0], np.cumsum(shapes.prod(1))[:-1]])
        self._shapes, self._starts = (torch.from_numpy(each).to(device) for each in (shapes, starts))
        self._pixels = torch.from_numpy(np.concatenate([photo.reshape(-1, 3) for photo in photos])).to(device)
        self._side, self._grey, self._device = side, grey, device

    def __call__(self, count: int, generator: torch.Generator) -> Tensor:
        """Return crops (count, 3, side, side), float32, 0 to 1; `generator` is of the device."""

        def drawn(*shape: int) -> Tensor:
            return torch.rand(shape, generator=generator, device=self._device)

        chosen = (drawn(count) * len(self._starts)).long()
        corners = (drawn(count, 2) * (self._shapes[chosen] - self._side + 1)).long()
        steps = torch.arange(self._side, device=self._device)
        mirrored = torch.where(drawn(2, count, 1) < 0.5, steps, self._side - 1 - steps)
        down, across = mirrored[0, :, :, None], mirrored[1, :, None, :]
        turned = (drawn(count) < 0.5)[:, None, None]
        rows = torch.where(turned, across, down) + corners[:, 0, None, None]
        columns = torch.where(turned, down, across) + corners[:, 1, None, None]
        places = self._starts[chosen, None, None] + rows * self._shapes[chosen, 1, None, None] + columns
        crops = self._pixels[places].permute(0, 3, 1, 2).float() / _LEVELS
        return self._some_grey(crops, drawn)

    def _some_grey(self, crops: Tensor, drawn: Callable[..., Tensor]) -> Tensor:
        count = len(crops)
        mixed = -drawn(count, 3, 2).clamp(min=1e-9).log().sum(2)
        usual = torch.tensor(LUMINANCE, device=self._device)
        mixture = torch.where(drawn(count, 1) < _USUAL_GREY, usual, mixed / mixed.sum(1, keepdim=True))
        grey = torch.einsum("bchw,bc->bhw", crops, mixture)[:, None]
        return torch.where((drawn(count) < self._grey)[:, None, None, None], grey, crops)


def _on(device: torch.device, generator: torch.Generator) -> torch.Generator:
    """Return a generator of a device that follows from one of the processor."""
    seed = int(torch.randint(_MOST_SEED, (), generator=generator))
    return torch.Generator(device).manual_seed(seed)


class _Ahead(IterableDataset[Any]):
    def __init__(self, draw: Draw, seed: int, first: int) -> None:
        self._draw, self._seed, self._first = draw, seed, first

    def __iter__(self) -> Iterator[Any]:
        worker = get_worker_info()
        number, count = (0, 1) if worker is None else (worker.id, worker.num_workers)
        step = self._first + number
        while True:
            entropy = np.random.SeedSequence([self._seed, step]).generate_state(1, np.uint64)[0]
            yield self._draw(torch.Generator().manual_seed(int(entropy >> 1)))
            step += count


def drawn_ahead(draw: Draw, place: Place) -> Iterator[Any]:
    """Yield what `draw` returns for every step from the first on, drawn by the workers."""
    ahead = {"prefetch_factor": _PREFETCHED} if place.workers else {}
    pinned = place.device.type == "cuda"
    source = _Ahead(draw, place.seed, place.first_step)
    return iter(DataLoader(source, batch_size=None, num_workers=place.workers, pin_memory=pinned, **ahead))


# --- noise ---------------------------------------------------------------------------------------------------------


def noisy(crops: PhotoStack, highest: float, place: Place) -> DrawExamples:
    """Return crops with noise of many levels."""
    damage = noise_of_many_levels(highest)

    def draw(count: int, generator: torch.Generator) -> Examples:
        own = _on(place.device, generator)
        whole = crops(count, own)
        return Examples(whole, *damage(whole, own))

    return draw


# --- what is lost --------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class _KnownPixels:
    corruption: Corruption
    shape: tuple[int, int, int, int]

    def __call__(self, generator: torch.Generator) -> Tensor:
        return ~self.corruption(torch.full(self.shape, 0.5), UNIT, generator).isnan()


def with_lost_pixels(crops: PhotoStack, corruption: Corruption, side: int, place: Place) -> DrawExamples:
    """Return crops of which a corruption loses pixels, filled smoothly; only those count."""
    masks = drawn_ahead(_KnownPixels(corruption, (place.batch_size, 1, side, side)), place)

    def draw(count: int, generator: torch.Generator) -> Examples:
        whole = crops(count, _on(place.device, generator))
        known = next(masks).to(place.device, non_blocking=True)
        return Examples(whole, with_known(whole, known), (~known).float())

    return draw


# --- marks ---------------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class _Marks:
    """Draws (B, side, side, 4), uint8, colours and opacity: windows of large canvases with one mark each."""

    kinds: Either | Watermark
    count: int
    large: int
    side: int

    def __call__(self, generator: torch.Generator) -> Tensor:
        rng = numpy_generator(generator)
        return torch.from_numpy(np.stack([self._window(rng) for _ in range(self.count)]))

    def _window(self, rng: np.random.Generator) -> np.ndarray:
        if rng.random() < _WHOLE:
            return np.zeros((self.side, self.side, 4), np.uint8)
        mark = self.kinds
        if isinstance(mark, Either):
            mark = mark.first if rng.random() < mark.first_share else mark.second
        opacity, canvas = mark.drawn((self.large, self.large), rng)
        top, left = rng.integers(self.large - self.side + 1, size=2)
        places = np.flatnonzero(canvas[..., 3])
        if len(places) and rng.random() >= _ANYWHERE:
            chosen = np.array(divmod(int(places[rng.integers(len(places))]), self.large))
            top, left = (chosen - rng.integers(self.side, size=2)).clip(0, self.large - self.side)
        window = canvas[top : top + self.side, left : left + self.side].copy()
        window[..., 3] = np.rint(opacity * window[..., 3])
        return window


def with_marks(crops: PhotoStack, kinds: Either | Watermark, large: int, side: int, place: Place) -> DrawExamples:
    """Return crops with a part of a mark over most; what lies under it and close to it counts.

    A mark has its size from a picture of `large` pixels and not from what the network sees of it.
    """
    marks = drawn_ahead(_Marks(kinds, place.batch_size, large, side), place)

    def draw(count: int, generator: torch.Generator) -> Examples:
        whole = (crops(count, _on(place.device, generator)) * _LEVELS).round() / _LEVELS
        laid = next(marks).to(place.device, non_blocking=True).permute(0, 3, 1, 2).float() / _LEVELS
        damaged = _blended(whole, laid[:, 3:], laid[:, :3])
        return Examples(whole, damaged, mark_weights(whole, damaged))

    return draw


def _blended(whole: Tensor, opacity: Tensor, colours: Tensor) -> Tensor:
    """Return pictures with marks, rounded as files are; grey pictures get grey marks."""
    grey = (whole == whole[:, :1]).flatten(1).all(1)[:, None, None, None]
    luminance = torch.einsum("bchw,c->bhw", colours, colours.new_tensor(LUMINANCE))[:, None]
    blended = torch.lerp(whole, torch.where(grey, luminance, colours), opacity)
    return (blended * _LEVELS).round() / _LEVELS
