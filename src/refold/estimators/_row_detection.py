"""Learning what is normal in rows: scale, ensemble, what is left over out of bag, and its usual size."""

import warnings
from collections.abc import Callable
from dataclasses import dataclass, replace
from math import prod
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.nn import functional

from refold._errors import RefoldWarning
from refold.estimators._parameters import DetectorParameters
from refold.nets import Ensemble, EnsembleSpec, Moments, Scale, scale_of
from refold.objectives import feature_errors
from refold.scores import Rebuilding, RebuildingSpec, Remainder, RowScorer
from refold.train import EnsemblePlan, choose_device, draw_bags, row_noise, train_ensemble

Array = NDArray[Any]
Told = Callable[[int, int], None]

_BAG = 0.8
_FARTHEST, _FAR_SHARE = 4.0, 0.999  # this share of a column's values lies within so many spreads
_CONSTANT_SHARE = 0.01  # of a constant column's value is its spread
_STEPS, _WORK = 500, 1 << 19  # steps by default, and the weights of a member above which they become fewer
_FEWEST_STEPS, _WIDTH = 200, 64
_REFERENCES, _REFERENCE_VALUES = 10_000, 1 << 21
_ROWS_AT_ONCE = 2048


@dataclass(frozen=True, kw_only=True)
class RowSpec(RebuildingSpec):
    """What decides the shape of a row scorer, beside what decides that of its rebuilding.

    Parameters
    ----------
    takes_missing : bool
    references : int
    """

    takes_missing: bool
    references: int

    @property
    def sizes(self) -> tuple[int, ...]:
        """All that a file must not make huge."""
        return *super().sizes, self.references

    def build(self, scale: Scale | None = None, unseen_losses: Tensor | None = None) -> RowScorer:
        """Return a scorer that has learned nothing yet."""
        scaling = self.scaling(scale)
        ensemble = Ensemble(self.ensemble, prod(scaling.input_shape), prod(scaling.feature_shape))
        if unseen_losses is None:
            unseen_losses = torch.zeros(len(scaling.categories))
        return RowScorer(Rebuilding(scaling, ensemble, self.takes_missing, unseen_losses), self.references)


def row_spec(parameters: DetectorParameters, numbers: Array, n_categories: tuple[int, ...], missing: bool) -> RowSpec:
    """Return the specification of a scorer for normal rows."""
    holes = np.isnan(numbers).any(axis=0) if numbers.dtype.kind == "f" and numbers.ndim == 2 else np.zeros(0)
    features = prod(numbers.shape[1:]) + sum(max(count - 1, 0) for count in n_categories)
    if parameters.references == "auto":
        references = max(2, min(_REFERENCES, _REFERENCE_VALUES // (2 * features)))
    else:
        references = int(parameters.references)
    width = _WIDTH if parameters.width == "auto" else int(parameters.width)
    return RowSpec(
        raw_shape=tuple(numbers.shape[1:]),
        n_categories=n_categories,
        exact=numbers.dtype == np.float64,
        flags=tuple(int(place) for place in np.flatnonzero(holes)),
        takes_missing=missing,
        ensemble=EnsembleSpec(int(parameters.members), width, width),
        references=min(references, len(numbers)),
    )


def scale_of_normal(numbers: Array, n_categories: tuple[int, ...]) -> Scale:
    """Return a scale by which no column has values so far out that noise could not hide them.

    The spread of a column is its deviation, or a quarter of its largest usual distance from the mean where that is
    more: a rare "yes" among many "no" would otherwise stand out of any noise, and so would never be doubted.
    """
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", RefoldWarning)  # constant columns: here any other value is news
        scale = scale_of(Moments.of(numbers), "standard", None, n_categories)
    if numbers.ndim > 2:
        return scale
    constant = ~(scale.high > scale.low)
    with np.errstate(invalid="ignore"), warnings.catch_warnings():
        warnings.simplefilter("ignore", RuntimeWarning)  # a column without any value
        farthest = np.nanquantile(np.abs(numbers - scale.center), _FAR_SHARE, axis=0) / _FARTHEST
    spread = np.fmax(scale.spread, np.nan_to_num(farthest))
    alone = np.where(scale.center != 0, np.abs(scale.center) * _CONSTANT_SHARE, 1.0)
    flagged = np.isnan(numbers).any(axis=0) if numbers.dtype.kind == "f" else np.zeros(numbers.shape[1])
    return replace(scale, spread=np.where(constant, alone, spread), flagged=np.asarray(flagged, dtype=np.bool_))


def fit_rows(
    parameters: DetectorParameters, numbers: Array, spec: RowSpec, seed: int, told: Told | None = None
) -> tuple[RowScorer, NDArray[np.float64]]:
    """Return a scorer for rows that are all normal, and their scores as if each was new.

    Parameters
    ----------
    parameters : DetectorParameters
    numbers : ndarray of shape (n, *raw_shape)
        Encoded rows.
    spec : RowSpec
    seed : int
    told : callable, optional
        Called now and then with steps done and steps in all.
    """
    scale = scale_of_normal(numbers, spec.n_categories)
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        scorer = spec.build(scale, _unseen_losses(numbers, spec.n_categories))
    scorer = scorer.to(choose_device(parameters.device))
    bags = draw_bags(len(numbers), spec.ensemble.members, _BAG, seed)
    raw = torch.from_numpy(np.ascontiguousarray(numbers)).to(scorer.typical.device)
    _train(scorer.rebuilding, raw, bags, plan_of_rows(parameters, scorer.rebuilding, seed), told)
    kept = np.sort(np.random.default_rng(seed).permutation(len(numbers))[: spec.references])
    left = out_of_bag(scorer.rebuilding, raw, bags)
    scores = scorer.learn(left, torch.from_numpy(kept).to(raw.device))
    return scorer.eval(), scores.cpu().numpy().astype(np.float64)


def plan_of_rows(parameters: DetectorParameters, rebuilding: Rebuilding, seed: int) -> EnsemblePlan:
    """Return how long to train: less for wide rows, whose steps take longer."""
    threads = 1 if parameters.threads == "auto" else int(parameters.threads)
    if parameters.steps != "auto":
        return EnsemblePlan(steps=int(parameters.steps), threads=threads, seed=seed)
    operations = rebuilding.ensemble.operations
    steps = int(min(_STEPS, max(_FEWEST_STEPS, _STEPS * _WORK / operations)))
    return EnsemblePlan(steps=steps, threads=threads, seed=seed)


def _train(rebuilding: Rebuilding, raw: Tensor, bags: Tensor, plan: EnsemblePlan, told: Told | None) -> None:
    with torch.no_grad():
        inputs, features, seen = rebuilding.inputs(raw)

    def loss(outputs: Tensor, places: Tensor) -> Tensor:
        targets = features[places].flatten(0, 1)
        errors = feature_errors(huber, rebuilding.scaling.categories, nn.Identity(), outputs.flatten(0, 1), targets)
        if seen is not None:
            errors = errors * seen[places].flatten(0, 1)
        return errors.mean() * rebuilding.ensemble.members

    train_ensemble(rebuilding.ensemble, inputs, loss, row_noise(features.shape[1]), bags, plan, told)


def huber(outputs: Tensor, targets: Tensor, activation: nn.Module, reduction: str = "none") -> Tensor:
    """Return twice the Huber loss: squared up to a deviation of 1, so that no value rules the others."""
    return 2 * functional.smooth_l1_loss(activation(outputs), targets, reduction=reduction)


@torch.no_grad()
def out_of_bag(rebuilding: Rebuilding, raw: Tensor, bags: Tensor) -> Remainder:
    """Return what is left over of training rows, averaged over the members that did not learn from each."""
    outside = (~bags).to(torch.float32)
    outside[:, outside.sum(0) == 0] = 1  # a row in every bag is better measured by all than by none
    weights = (outside / outside.sum(0)).to(raw.device)
    pieces = []
    for start in range(0, len(raw), _ROWS_AT_ONCE):
        part = slice(start, start + _ROWS_AT_ONCE)
        pieces.append(rebuilding(raw[part]).averaged(weights[:, part]))
    seen = None if pieces[0].seen is None else torch.cat([piece.seen for piece in pieces if piece.seen is not None])
    return Remainder(
        torch.cat([piece.errors for piece in pieces]),
        torch.cat([piece.residuals for piece in pieces]),
        torch.cat([piece.features for piece in pieces]),
        seen,
    )


def _unseen_losses(numbers: Array, n_categories: tuple[int, ...]) -> Tensor:
    """Return the log-loss of a value that is none of the categories, by how often that was so in training."""
    losses = []
    for place, count in enumerate(n_categories):
        if count:
            codes = numbers[:, place]
            seen = int(np.sum(~np.isnan(codes)))
            losses.append(-np.log((int(np.sum(codes == count)) + 1) / (seen + 2)))
    return torch.tensor(losses, dtype=torch.float32)
