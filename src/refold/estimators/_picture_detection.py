"""Learning what is normal in pictures of any size: two halves, each with a network and statistics of its own.

A picture of training is scored by the half that has not seen it, so that its score is one of a new picture.
"""

from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from refold._errors import DataError, ParameterError
from refold.data import Pictures
from refold.estimators._parameters import DetectorParameters
from refold.scores import PictureMember, PictureScorer, PictureSpec, bin_sums, value_range
from refold.train import DenoisingPlan, choose_device, train_denoiser, wide_noise

Told = Callable[[int, int], None]
Places = NDArray[np.int64]

_STEPS, _BATCH, _RATE = 500, 16, 3e-3
_CROPS, _CROP, _LEAST_A_PICTURE, _MOST_A_PICTURE = 2000, 64, 4, 100
_PATCHES, _VECTORS = 400, 400
_LOOKED_AT, _FOR_BINS, _FOR_PEAKS = 4000, 100, 400  # most pictures of a half that are learned from
_MOST_CHANNELS = 16


class _Work:
    """Tells how much of the work is done."""

    def __init__(self, told: Told | None, total: int) -> None:
        self._told, self._done, self._total = told, 0, total

    def step(self) -> None:
        """Count a step of training or a picture."""
        self._done += 1
        if self._told is not None:
            self._told(min(self._done, self._total), self._total)


def fit_pictures(
    parameters: DetectorParameters, pictures: Pictures, places: NDArray[Any], seed: int, told: Told | None = None
) -> tuple[PictureScorer, NDArray[np.float64]]:
    """Return a scorer learned from pictures that are all normal, and their scores as if each was new.

    Parameters
    ----------
    parameters : DetectorParameters
    pictures : Pictures
    places : ndarray of int
        Which of the pictures to learn from; at least two.
    seed : int
    told : callable, optional
        Called with steps done and steps in all.

    Returns
    -------
    scorer : PictureScorer
    scores : ndarray of shape (len(places),), float64

    Raises
    ------
    DataError
        If there are fewer than two pictures, or one is smaller than 8 x 8 pixels.
    """
    if len(places) < 2:
        raise DataError(f"{len(places)} normal pictures are too few to learn from; give at least two")
    device = choose_device(parameters.device)
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        scorer = _spec(parameters, pictures, int(places[0]), device).build(parameters.features)
    scorer.set_range(*_range_of(pictures, places))
    scorer = scorer.to(device)
    plan = _plan(parameters)
    halves = _halves(len(places), seed)
    passes = sum(_passes(len(half)) for half in halves) + len(places)
    work = _Work(told, len(halves) * plan.steps + passes)
    for which, half in enumerate(halves):
        _learn(_Lesson(scorer, which, pictures, places[half], seed + which, work), plan)
    return scorer.eval(), _scores_as_if_new(scorer, pictures, places, halves, work)


def _spec(parameters: DetectorParameters, pictures: Pictures, place: int, device: torch.device) -> PictureSpec:
    picture = pictures.read(place)
    channels = 1 if picture.ndim == 2 else picture.shape[2]
    if channels > _MOST_CHANNELS:
        raise DataError(f"the pictures have {channels} channels; at most {_MOST_CHANNELS} are allowed")
    if parameters.features is None:
        return PictureSpec(channels)
    with torch.no_grad():
        maps = parameters.features(torch.zeros(1, channels, *picture.shape[:2], device=device))
    if not isinstance(maps, Tensor) or maps.dim() != 4:
        raise ParameterError("features must return one tensor of feature maps (B, features, h, w)")
    return PictureSpec(channels, maps.shape[1])


def _plan(parameters: DetectorParameters) -> DenoisingPlan:
    steps = _STEPS if parameters.steps == "auto" else int(parameters.steps)
    threads = 1 if parameters.threads == "auto" else int(parameters.threads)
    return DenoisingPlan(steps, _BATCH, _RATE, threads=threads)


def _range_of(pictures: Pictures, places: NDArray[Any]) -> tuple[float, float]:
    """Return which values mean black and white: those of bytes, or for other types what the pictures have.

    16-bit pictures are often of cameras with 10 or 12 bits, and so their type says little.
    """
    if pictures.dtype == np.uint8:
        return 0.0, 255.0
    extremes = [_extremes(pictures.read(int(place))) for place in places]
    return value_range(min(low for low, _ in extremes), max(high for _, high in extremes))


def _extremes(picture: NDArray[Any]) -> tuple[float, float]:
    return float(picture.min()), float(picture.max())


def _halves(count: int, seed: int) -> tuple[Places, ...]:
    order = np.random.default_rng(seed).permutation(count)
    return np.sort(order[: count // 2]), np.sort(order[count // 2 :])


def _passes(size: int) -> int:
    return min(size, _LOOKED_AT) + min(size, _FOR_BINS) + min(size, _FOR_PEAKS)


def _scores_as_if_new(
    scorer: PictureScorer, pictures: Pictures, places: NDArray[Any], halves: tuple[Places, ...], work: _Work
) -> NDArray[np.float64]:
    scores = np.empty(len(places))
    for which, half in enumerate(halves):
        for number in half:
            scores[number] = scorer.score_of(scorer.mean_heat(pictures.read(int(places[number])), [1 - which]))
            work.step()
    return scores


# --- one half ------------------------------------------------------------------------------------------------------


class _Lesson:
    """The pictures that a member learns from, as the scorer looks at them."""

    def __init__(
        self, scorer: PictureScorer, which: int, pictures: Pictures, places: Places, seed: int, work: _Work
    ) -> None:
        self.scorer, self.pictures, self.places, self.work = scorer, pictures, places, work
        self.member: PictureMember = scorer.members[which]  # type: ignore[assignment]
        self.seed, self.rng = seed, np.random.default_rng(seed)

    def views(self, most: int) -> Iterator[tuple[NDArray[np.float32], Tensor | None]]:
        """Yield views and the user's own feature maps of at most so many pictures, drawn at random."""
        for place in np.sort(self.rng.permutation(self.places)[:most]):
            try:
                yield self.scorer.looked_at(self.pictures.read(int(place)))
            except DataError as error:
                raise DataError(f"{self.pictures.names[place]!r} cannot be learned from: {error}") from None
            self.work.step()

    def maps(self, most: int) -> Iterator[NDArray[np.float32]]:
        """Yield the log maps of at most so many pictures."""
        for views, features in self.views(most):
            yield self.member.maps(views, features)


def _learn(lesson: _Lesson, plan: DenoisingPlan) -> None:
    crops = _learn_gaussians(lesson)
    device = lesson.member.usual.mean.device
    with torch.enable_grad():
        train_denoiser(
            lesson.member.net, torch.from_numpy(crops).to(device), wide_noise, plan, lesson.seed, lesson.work.step
        )
    with torch.no_grad():
        lesson.member.usual.learn_bins(np.sum([bin_sums(maps) for maps in lesson.maps(_FOR_BINS)], axis=0))
        usual = lesson.member.usual
        lesson.member.usual.learn_peaks(
            np.stack([usual.peaks(usual.standardised(maps)) for maps in lesson.maps(_FOR_PEAKS)])
        )


def _learn_gaussians(lesson: _Lesson) -> NDArray[np.float16]:
    """Learn the Gaussians of patches and of the user's own features; return crops for the network."""
    patches, own = lesson.member.patch_gaussians(), lesson.member.features
    moments = [patch.moments() for patch in patches]
    own_moments = own.moments() if own is not None else None
    reservoir = _Reservoir(len(lesson.places), lesson.rng)
    for views, features in lesson.views(_LOOKED_AT):
        reservoir.offer(views)
        for patch, sums in zip(patches, moments, strict=True):
            sums.add(patch.sample(views[1:], _PATCHES, lesson.rng))
        if own_moments is not None and features is not None:
            own_moments.add(_some_vectors(features, lesson.rng))
    for patch, sums in zip(patches, moments, strict=True):
        patch.whitening.learn(sums)
    if own is not None and own_moments is not None:
        own.whitening.learn(own_moments)
    return np.stack(reservoir.crops)


def _some_vectors(features: Tensor, rng: np.random.Generator) -> Tensor:
    vectors = features.flatten(1).T
    return vectors[torch.from_numpy(rng.permutation(len(vectors))[:_VECTORS]).to(vectors.device)]


class _Reservoir:
    """A bounded sample of crops of all the views offered."""

    def __init__(self, pictures: int, rng: np.random.Generator) -> None:
        self.crops: list[NDArray[np.float16]] = []
        self._rng, self._seen = rng, 0
        self._each = min(max(-(-_CROPS // pictures), _LEAST_A_PICTURE), _MOST_A_PICTURE)

    def offer(self, views: NDArray[np.float32]) -> None:
        """Take crops of views (1 + C, H, W), smaller ones mirrored at their borders."""
        short = [(0, max(0, _CROP - side)) for side in views.shape[1:]]
        padded = np.pad(views, ((0, 0), *short), mode="symmetric")
        height, width = padded.shape[1:]
        for _ in range(self._each):
            top, left = self._rng.integers(height - _CROP + 1), self._rng.integers(width - _CROP + 1)
            self._take(padded[:, top : top + _CROP, left : left + _CROP].astype(np.float16))

    def _take(self, crop: NDArray[np.float16]) -> None:
        self._seen += 1
        if len(self.crops) < _CROPS:
            self.crops.append(crop)
        elif (place := int(self._rng.integers(self._seen))) < _CROPS:
            self.crops[place] = crop
