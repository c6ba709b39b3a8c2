"""Learning what is normal in small pictures of one size: each network leaves out a part and scores it."""

from collections.abc import Callable
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from refold._errors import DataError
from refold.estimators._parameters import DetectorParameters
from refold.scores import SmallPictureScorer, SmallPictureSpec, mean_heat, value_range
from refold.train import DenoisingPlan, choose_device, hidden_blocks, train_denoiser

Told = Callable[[int, int], None]

_STEPS, _BATCH, _RATE, _DECAY = 500, 128, 4e-3, 1e-4
_MEMBERS = 3
_HIDDEN, _BLOCKS_A_SIDE, _SMALLEST_BLOCK = 0.8, 7, 2


def fit_small_pictures(
    parameters: DetectorParameters, numbers: NDArray[Any], seed: int, told: Told | None = None
) -> tuple[SmallPictureScorer, NDArray[np.float64]]:
    """Return a scorer learned from pictures that are all normal, and their scores as if each was new.

    Parameters
    ----------
    parameters : DetectorParameters
    numbers : ndarray of shape (n, H, W) or (n, H, W, C)
        At least two pictures.
    seed : int
    told : callable, optional
        Called with steps done and steps in all.

    Returns
    -------
    scorer : SmallPictureScorer
    scores : ndarray of shape (n,), float64

    Raises
    ------
    DataError
        If there are fewer than two pictures.
    """
    if len(numbers) < 2:
        raise DataError(f"{len(numbers)} normal pictures are too few to learn from; give at least two")
    channels = 1 if numbers.ndim == 3 else numbers.shape[3]
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        height, width = numbers.shape[1:3]
        spec = SmallPictureSpec(channels, height, width, min(_MEMBERS, len(numbers)))
        scorer = spec.build()
    scorer.set_range(*_range_of(numbers))
    scorer = scorer.to(choose_device(parameters.device))
    planes = scorer.planes(numbers)
    parts = np.array_split(np.random.default_rng(seed).permutation(len(planes)), spec.members)
    _train(parameters, scorer, planes, parts, seed, told)
    heats = np.empty(len(planes))
    for which, part in enumerate(parts):
        heats[part] = [mean_heat(heat) for heat in scorer.heats(planes[part], [which])]
    scorer.set_usual(heats)
    return scorer.eval(), scorer.scores_of_means(heats)


def _train(
    parameters: DetectorParameters,
    scorer: SmallPictureScorer,
    planes: NDArray[np.float32],
    parts: list[NDArray[np.int64]],
    seed: int,
    told: Told | None,
) -> None:
    """Train every member on all pictures but those of its part."""
    steps = _STEPS if parameters.steps == "auto" else int(parameters.steps)
    threads = 1 if parameters.threads == "auto" else int(parameters.threads)
    plan = DenoisingPlan(steps, _BATCH, _RATE, _DECAY, threads)
    side = max(_SMALLEST_BLOCK, max(planes.shape[2:]) // _BLOCKS_A_SIDE)
    done = 0

    def stepped() -> None:
        nonlocal done
        done += 1
        if told is not None:
            told(done, len(parts) * steps)

    for which, part in enumerate(parts):
        rest = torch.from_numpy(np.delete(planes, part, axis=0)).to(scorer.low.device)
        train_denoiser(scorer.members[which], rest, hidden_blocks(side, _HIDDEN), plan, seed + which, stepped)


def _range_of(numbers: NDArray[Any]) -> tuple[float, float]:
    return (0.0, 255.0) if numbers.dtype == np.uint8 else value_range(float(numbers.min()), float(numbers.max()))
