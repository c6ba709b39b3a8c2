"""Learning to fill tables: cells are lost on purpose, and what was lost says how far each part can be trusted."""

import warnings
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.nn import functional

from refold._errors import RefoldWarning
from refold.nets import EnsembleSpec, Factors, ImputationNet, ImputationSpec, Moments, fit_factors, scale_of
from refold.train import EnsemblePlan, draw_bags, train_ensemble, with_threads

Array = NDArray[Any]
Told = Callable[[int, int], None]

_ROWS, _VALUES = 10_000, 2_000_000  # most rows and values that are learned from
_REFERENCES, _REFERENCE_VALUES = 4_096, 1 << 20
_FACTORS, _FACTORS_OF_WIDE, _WIDE = 32, 16, 256
_MEMBERS, _BAG, _WIDTH = 5, 0.8, 64
_STEPS, _ROUNDS, _MORE_ROUNDS = 500, 20, 4
_LOST = (0.05, 0.5)  # share of the cells of a row that is lost on purpose
_BINS, _ANY = 10, 0.1  # rows are told apart by how much is seen, and all count this much whatever is seen
_COPIES, _PRACTICE_ROWS = 16, 40_000
_AT_ONCE = 1024
_HUBER = 3.0  # deviations up to which an error counts squared
_COVERED, _OF_NORMAL = 0.9, 1.645  # this share of a normal distribution lies within so many deviations
_CAUTION = 0.2  # of the mean over columns: how much a column must show before its own share is believed
_SHARPNESS = tuple(1.25**power for power in range(-6, 9))


@dataclass(frozen=True)
class Practice:
    """Rows with cells lost on purpose, and what is known of them.

    Parameters
    ----------
    targets, hidden : Tensor of shape (rows, features)
        Whole features, and 1 where one was lost that is known.
    linear, variance : Tensor of shape (rows, features)
        By factors that were learned from other rows.
    near : Tensor of shape (rows, features)
        Mean of the nearest other rows.
    inputs : Tensor of shape (rows, 3 * features)
        What the ensemble sees.
    """

    targets: Tensor
    hidden: Tensor
    linear: Tensor
    variance: Tensor
    near: Tensor
    inputs: Tensor

    @property
    def seen(self) -> Tensor:
        """Return 1 where a feature was left, (rows, features)."""
        return self.inputs[:, -self.hidden.shape[1] :]


@dataclass(frozen=True, kw_only=True)
class TablePlan:
    """How a table is learned.

    Parameters
    ----------
    steps, threads, seed : int
    """

    steps: int = _STEPS
    threads: int = 1
    seed: int = 0


def learn_table(
    numbers: Array, n_categories: tuple[int, ...], plan: TablePlan, told: Told | None = None
) -> ImputationNet:
    """Return a network that fills rows like these.

    Parameters
    ----------
    numbers : ndarray of shape (n, columns), n at least 5
        Encoded rows, NaN where a cell is missing.
    n_categories : tuple of int
    plan : TablePlan
    told : callable, optional
        Called now and then with steps done and steps in all.
    """
    with with_threads(plan.threads):
        raw = _drawn(numbers, plan.seed)
        net = _blank(raw, n_categories, plan.seed)
        features, seen = net.known(raw)
        bags = draw_bags(len(raw), _MEMBERS, _BAG, plan.seed)
        _learn_linear(net, features, seen, plan.seed)
        practice = _practice(net, features, seen, bags, plan.seed)
        copies = len(practice.targets) // len(raw)
        _trust_neighbours(net, practice)
        _train(net, practice, bags.repeat(1, copies), plan, told)
        _trust_ensemble(net, practice, bags.repeat(1, copies), seen)
    return net.eval()


def _drawn(numbers: Array, seed: int) -> Tensor:
    """Return all rows, or as many as are learned from."""
    most = min(_ROWS, max(_MEMBERS, _VALUES // numbers.shape[1]))
    if len(numbers) > most:
        numbers = numbers[np.sort(np.random.default_rng(seed).permutation(len(numbers))[:most])]
    floats = numbers if numbers.dtype.kind == "f" else numbers.astype(np.float32)
    return torch.from_numpy(np.ascontiguousarray(floats))


def _blank(raw: Tensor, n_categories: tuple[int, ...], seed: int) -> ImputationNet:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", RefoldWarning)  # constant columns are filled with their value
        scale = scale_of(Moments.of(raw.numpy()), "standard", None, n_categories)
    features = sum(max(count, 1) for count in n_categories)
    most = _FACTORS if features <= _WIDE else _FACTORS_OF_WIDE
    spec = ImputationSpec(
        n_categories=n_categories,
        exact=raw.dtype == torch.float64,
        factors=max(1, min(most, features - 1, len(raw) - 1)),
        references=min(len(raw), _REFERENCES, max(_MEMBERS, _REFERENCE_VALUES // features)),
        ensemble=EnsembleSpec(_MEMBERS, _WIDTH, _WIDTH),
    )
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        return spec.build(scale)


@torch.no_grad()
def _learn_linear(net: ImputationNet, features: Tensor, seen: Tensor, seed: int) -> None:
    net.factors = fit_factors(features, seen, net.spec.factors, _ROUNDS)
    chosen = _references(net, len(features), seed)
    linear, _ = net.factors(features[chosen], seen[chosen])
    net.neighbours.seen = seen[chosen]
    net.neighbours.rows = torch.where(seen[chosen] > 0, features[chosen], net.bounded(linear))


def _references(net: ImputationNet, size: int, seed: int) -> Tensor:
    order = torch.randperm(size, generator=torch.Generator().manual_seed(seed))
    return order[: net.spec.references].sort().values


# --- practice ------------------------------------------------------------------------------------------------------


@torch.no_grad()
def _practice(net: ImputationNet, features: Tensor, seen: Tensor, bags: Tensor, seed: int) -> Practice:
    """Return rows with cells lost; a row's linear expectation comes from factors that did not learn from it."""
    generator = torch.Generator().manual_seed(seed)
    size = len(features)
    copies = max(2, min(_COPIES, _PRACTICE_ROWS // size))
    left = torch.stack([seen * _kept(net, size, generator) for _ in range(copies)])
    own = torch.full((size,), -1)
    chosen = _references(net, size, seed)
    own[chosen] = torch.arange(len(chosen))
    linear, variance = torch.empty_like(left), torch.empty_like(left)
    outside = (~bags).to(torch.int8).argmax(0)  # of the members that left a row out, the first
    for member, bag in enumerate(bags):
        factors = fit_factors(features[bag], seen[bag], net.spec.factors, _MORE_ROUNDS, net.factors)
        rows = outside == member
        for copy in range(copies):
            mean, variance[copy, rows] = _in_single(factors, features[rows], left[copy, rows])
            linear[copy, rows] = net.bounded(mean)
    everything = features.repeat(copies, 1), left.flatten(0, 1), linear.flatten(0, 1), own.repeat(copies)
    parts = [net.plain(*part) for part in zip(*(torch.split(each, _AT_ONCE) for each in everything), strict=True)]
    return Practice(
        targets=everything[0],
        hidden=seen.repeat(copies, 1) - everything[1],
        linear=everything[2],
        variance=variance.flatten(0, 1),
        near=torch.cat([near for near, _ in parts]),
        inputs=torch.cat([inputs for _, inputs in parts]),
    )


def _kept(net: ImputationNet, size: int, generator: torch.Generator) -> Tensor:
    """Return which features are not lost on purpose; those of a category go together."""
    low, high = _LOST
    shares = low + (high - low) * torch.rand(size, 1, generator=generator)
    columns = torch.rand(size, len(net.spec.n_categories), generator=generator) >= shares
    return net.scaling.spread_over_features(columns).float()


def _in_single(factors: Factors, features: Tensor, seen: Tensor) -> tuple[Tensor, Tensor]:
    parts = [
        factors(*part) for part in zip(torch.split(features, _AT_ONCE), torch.split(seen, _AT_ONCE), strict=True)
    ]
    return torch.cat([mean for mean, _ in parts]).float(), torch.cat([variance for _, variance in parts]).float()


# --- what helps ----------------------------------------------------------------------------------------------------


def _trust_neighbours(net: ImputationNet, practice: Practice) -> None:
    step = practice.near - practice.linear
    net.near_share = _share(step, practice.targets - practice.linear, practice.hidden)
    left = practice.targets - practice.linear - net.near_share * step
    count = practice.hidden.sum(0)
    net.left_over = ((left**2 * practice.hidden).sum(0) / count.clamp(min=1)).sqrt().clamp(min=1e-6)


def _share(step: Tensor, wanted: Tensor, hidden: Tensor) -> Tensor:
    """Return by feature the share of a step that comes closest to what is wanted, drawn towards that of all."""
    scale = ((wanted**2 * hidden).sum(0) / hidden.sum(0).clamp(min=1)).clamp(min=1e-12)
    gained = (step * wanted * hidden).sum(0) / scale
    length = (step**2 * hidden).sum(0) / scale
    common = gained.sum() / length.sum().clamp(min=1e-12)
    prior = _CAUTION * length.mean() + 1e-12
    return ((gained + prior * common) / (length + prior)).clamp(0, 1.2)


def _train(net: ImputationNet, practice: Practice, bags: Tensor, plan: TablePlan, told: Told | None) -> None:
    plain = practice.linear + net.near_share * (practice.near - practice.linear)
    targets = (practice.targets - plain) / net.left_over

    def loss(outputs: Tensor, places: Tensor) -> Tensor:
        hidden = practice.hidden[places]
        errors = functional.huber_loss(outputs, targets[places], reduction="none", delta=_HUBER) * hidden
        return errors.sum() / hidden.sum().clamp(min=1) * _MEMBERS

    def as_they_are(inputs: Tensor, generator: torch.Generator) -> Tensor:
        return inputs  # their cells are lost already

    training = EnsemblePlan(steps=plan.steps, weight_decay=0.1, threads=plan.threads, seed=plan.seed)
    train_ensemble(net.ensemble, practice.inputs, loss, as_they_are, bags, training, told)


@torch.no_grad()
def _trust_ensemble(net: ImputationNet, practice: Practice, bags: Tensor, seen: Tensor) -> None:
    """Learn what the ensemble gains, and how far off the whole is, where no member had learned from the row."""
    outside = (~bags).float()
    weights = (outside / outside.sum(0).clamp(min=1)).unsqueeze(2)
    pairs = zip(torch.split(practice.inputs, _AT_ONCE), torch.split(weights, _AT_ONCE, dim=1), strict=True)
    added = torch.cat([(net.ensemble(inputs) * weight).sum(0) for inputs, weight in pairs])
    plain = practice.linear + net.near_share * (practice.near - practice.linear)
    net.net_share = _share(net.left_over * added, practice.targets - plain, practice.hidden)
    expected = net.expected(practice.linear, practice.near, added)
    ratios = (practice.targets - expected).abs() / practice.variance.sqrt()
    net.width = _width(ratios, practice.hidden * _likeness(seen, practice).unsqueeze(1))
    net.sharpness = _sharpness(net, expected, practice)


def _width(ratios: Tensor, weights: Tensor) -> Tensor:
    """Return by feature what deviations must be multiplied with to cover the share that they promise."""
    order = ratios.argsort(dim=0)
    sums = weights.gather(0, order).cumsum(0)
    # a little more than the share, as in conformal prediction, where few cells were lost
    level = (_COVERED * (1 + 1 / (weights > 0).sum(0).clamp(min=1))).clamp(max=1.0)
    places = (sums < level * sums[-1]).sum(0).clamp(max=len(ratios) - 1)
    widths = ratios.gather(0, order.gather(0, places.unsqueeze(0))).squeeze(0) / _OF_NORMAL
    return torch.where(sums[-1] > 0, widths, 1.0).clamp(min=1e-6)


def _likeness(seen: Tensor, practice: Practice) -> Tensor:
    """Return weights of rows by which lost cells stand in rows that are as little seen as those of missing cells.

    Practice loses cells beside those that are missing anyway, and the less is seen the larger are errors.
    """

    def shares(known: Tensor, cells: Tensor) -> tuple[Tensor, Tensor]:
        places = (known.mean(1) * _BINS).long()
        counts = torch.bincount(places, weights=cells.sum(1), minlength=_BINS + 1)
        return places, counts / counts.sum().clamp(min=1)

    _, wanted = shares(seen, 1 - seen)
    places, found = shares(practice.seen, practice.hidden)
    if not bool(wanted.any()):
        return torch.ones(len(places))
    likely = (1 - _ANY) * wanted * (found > 0) + _ANY * found
    return (likely / found.clamp(min=1e-9))[places].float()


def _sharpness(net: ImputationNet, expected: Tensor, practice: Practice) -> Tensor:
    """Return the power of shares that makes hidden categories most likely."""
    numbers = expected.shape[1] - sum(net.scaling.categories)
    if numbers == expected.shape[1]:
        return torch.ones(())
    told = (practice.hidden * practice.targets)[:, numbers:]
    powers = torch.tensor(_SHARPNESS)
    losses = [-(net.sharpened(expected, power)[:, numbers:].clamp(min=1e-9).log() * told).sum() for power in powers]
    return powers[int(torch.stack(losses).argmin())]
