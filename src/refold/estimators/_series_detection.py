"""Learning what is normal in series: an ensemble of windows whose members each miss some time, and its remainder."""

from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from refold.estimators._parameters import DetectorParameters
from refold.estimators._row_detection import Told, scale_of_normal
from refold.nets import EnsembleSpec
from refold.scores import SeriesScorer, SeriesSpec, Summary
from refold.train import EnsemblePlan, choose_device, train_ensemble, window_noise

Array = NDArray[Any]

_STEPS, _BATCH = 200, 64
_LEVEL, _CHANNELS = 10, 24
_SHORTEST, _LONGEST = 10, 64
_PERIODIC = 0.3  # correlation of a series with itself one period later from which on it is thought periodic
_WINDOWS_AT_ONCE = 512
_MOST_LOOKED_AT = 20_000


def series_spec(
    parameters: DetectorParameters, series: list[Array], n_categories: tuple[int, ...], window: int
) -> SeriesSpec:
    """Return the specification of a scorer of normal series, each of shape (n, columns)."""
    holes = np.any([np.isnan(numbers).any(axis=0) for numbers in series], axis=0)
    return SeriesSpec(
        raw_shape=tuple(series[0].shape[1:]),
        n_categories=n_categories,
        exact=series[0].dtype == np.float64,
        flags=tuple(int(place) for place in np.flatnonzero(holes)),
        window=window,
        level=min(window, _LEVEL),
        ensemble=_ensemble_spec(parameters),
    )


def _ensemble_spec(parameters: DetectorParameters) -> EnsembleSpec:
    channels = _CHANNELS if parameters.width == "auto" else int(parameters.width)
    return EnsembleSpec(int(parameters.members), channels, channels)


def window_of(series: list[Array]) -> int:
    """Return how many samples a window shall have: a period of the longest series, if it has a short one.

    The period is where the correlation of the series with itself has its first high peak, mean over columns.
    """
    longest = max(series, key=len)[:_MOST_LOOKED_AT].astype(np.float64)
    values = np.nan_to_num(longest - np.nanmean(longest, axis=0))
    spectrum = np.abs(np.fft.rfft(values, 2 * len(values), axis=0)) ** 2
    similar = np.fft.irfft(spectrum, axis=0)[: min(len(values) // 3, _LONGEST + 1)]
    similar = np.mean(similar / np.maximum(similar[:1], 1e-12), axis=1)
    inner = similar[1:-1]
    peaks = 1 + np.flatnonzero((inner > similar[:-2]) & (inner >= similar[2:]) & (inner > _PERIODIC))
    fitting = peaks[peaks >= _SHORTEST]
    return int(fitting[np.argmax(similar[fitting])]) if len(fitting) else _LEVEL


def fit_series(
    parameters: DetectorParameters, series: list[Array], spec: SeriesSpec, seed: int, told: Told | None = None
) -> tuple[SeriesScorer, list[NDArray[np.float64]]]:
    """Return a scorer for series that are all normal, and the scores of their points as if each was new.

    Parameters
    ----------
    parameters : DetectorParameters
    series : list of ndarray of shape (n, columns)
        Encoded samples in the order of time, each series longer than a window.
    spec : SeriesSpec
    seed : int
    told : callable, optional
        Called now and then with steps done and steps in all.

    Returns
    -------
    scorer : SeriesScorer
    scores : list of ndarray
        Of each series but its first `level` samples.
    """
    together = np.concatenate(series)
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        scorer = spec.build(scale_of_normal(together, spec.n_categories))
    scorer = scorer.to(choose_device(parameters.device))
    with torch.no_grad():
        device = scorer.reference.device
        rows = [scorer.rows(torch.from_numpy(np.ascontiguousarray(numbers)).to(device)) for numbers in series]
    windows = torch.cat([each.unfold(0, spec.window, 1).transpose(1, 2) for each in rows])
    owners, bags = blocks_in_time([len(numbers) for numbers in series], spec.window, spec.ensemble.members, seed)
    _train(scorer, windows, bags, _plan(parameters, seed), told)
    left = _left_by_others(scorer, windows, owners)
    counts = [len(numbers) - spec.window + 1 for numbers in series]
    found = scorer.learn([_summary(scorer, each) for each in torch.split(left, counts)])
    return scorer.eval(), [scores for scores in found if len(scores)]


def _plan(parameters: DetectorParameters, seed: int) -> EnsemblePlan:
    threads = 1 if parameters.threads == "auto" else int(parameters.threads)
    steps = _STEPS if parameters.steps == "auto" else int(parameters.steps)
    return EnsemblePlan(steps=steps, batch_size=_BATCH, threads=threads, seed=seed)


def blocks_in_time(lengths: list[int], window: int, members: int, seed: int) -> tuple[NDArray[np.intp], Tensor]:
    """Cut the time of all series in as many blocks as there are members.

    Parameters
    ----------
    lengths : list of int
        Samples of each series.
    window, members, seed : int

    Returns
    -------
    owners : ndarray of shape (windows,), int
        The member that judges each window: the block in which its middle lies.
    bags : Tensor of shape (members, windows), bool
        Which windows each member learns from, equally many: none that is within a window of its own block.
    """
    starts = np.cumsum([0, *lengths[:-1]])
    middles = np.concatenate([start + np.arange(n - window + 1) for start, n in zip(starts, lengths, strict=True)])
    middles = middles + (window - 1) / 2
    edges = np.linspace(0, sum(lengths), members + 1)
    owners = np.clip(np.searchsorted(edges, middles, side="right") - 1, 0, members - 1)
    apart = [(middles < edges[block] - window) | (middles >= edges[block + 1] + window) for block in range(members)]
    bags = np.stack([each if each.any() else owners != block for block, each in enumerate(apart)])
    bags[~bags.any(axis=1)] = True  # so few windows that all lie in one block
    rng = np.random.default_rng(seed)
    fewest = int(bags.sum(axis=1).min())
    for bag in bags:
        places = np.flatnonzero(bag)
        bag[rng.permutation(places)[fewest:]] = False
    return owners, torch.from_numpy(bags)


def _train(scorer: SeriesScorer, windows: Tensor, bags: Tensor, plan: EnsemblePlan, told: Told | None) -> None:
    inputs, features, seen = scorer.split(windows)
    targets, known = features.flatten(1), seen.flatten(1)

    def loss(outputs: Tensor, places: Tensor) -> Tensor:
        errors = (outputs - targets[places]).square() * known[places]
        return errors.mean() * scorer.rebuilding.ensemble.members

    corrupt = window_noise(scorer.window, scorer.rebuilding.features)
    train_ensemble(scorer.rebuilding.ensemble, inputs, loss, corrupt, bags, plan, told)


@torch.no_grad()
def _left_by_others(scorer: SeriesScorer, windows: Tensor, owners: NDArray[np.intp]) -> Tensor:
    """Return what is left over of windows by the members that have not learned from their time."""
    members = scorer.rebuilding.ensemble.members
    weights = torch.nn.functional.one_hot(torch.from_numpy(owners), members).T.to(windows.device, windows.dtype)
    parts = range(0, len(windows), _WINDOWS_AT_ONCE)
    pieces = [slice(start, start + _WINDOWS_AT_ONCE) for start in parts]
    return torch.cat([scorer.left_over(windows[piece], weights=weights[:, piece]) for piece in pieces])


def _summary(scorer: SeriesScorer, left: Tensor) -> Summary:
    """Return what is left over of the windows of one series, for each of its samples."""
    return Summary.of(torch.cat([scorer.first_summaries(left[0]), scorer.summarised(left)]))
