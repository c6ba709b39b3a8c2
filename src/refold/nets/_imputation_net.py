"""The network that fills tables: a linear expectation, rows that are much alike, and an ensemble of autoencoders."""

from dataclasses import asdict, dataclass
from typing import Any

import torch
from torch import Tensor, nn

from refold._errors import ParameterError
from refold.nets._build import placeholder_scale
from refold.nets._ensemble import Ensemble, EnsembleSpec
from refold.nets._factors import Factors
from refold.nets._scale import Scale
from refold.nets._scaling import ColumnScaling

_LARGEST = 1 << 16  # of the sizes in a file
_NEAR, _NARROW = 10, 0.2  # the weight of a row falls by e with this share of the distance to the tenth nearest row
_GUESSED = 0.3  # weight in a distance of a feature that is not seen but expected
_PRIOR = 0.05  # weight of the linear expectation among rows of total weight 1
_LEAST = 1e-3  # share of a category that was thought impossible


@dataclass(frozen=True, kw_only=True)
class ImputationSpec:
    """What decides the shape of a network that fills tables.

    Parameters
    ----------
    n_categories : tuple of int
        Categories per column, 0 for numbers.
    exact : bool
        Whether raw numbers are float64.
    factors : int
        Numbers of the linear code.
    references : int
        Rows that others are compared with.
    ensemble : EnsembleSpec
    """

    n_categories: tuple[int, ...]
    exact: bool
    factors: int
    references: int
    ensemble: EnsembleSpec

    def build(self, scale: Scale | None = None) -> "ImputationNet":
        """Return a network that has learned nothing yet."""
        known = scale or placeholder_scale((len(self.n_categories),), (), False)
        return ImputationNet(ColumnScaling(known, self.n_categories, self.exact), self)

    def to_json(self) -> dict[str, Any]:
        """Return a description that JSON can hold."""
        return asdict(self)

    @classmethod
    def from_json(cls, description: dict[str, Any]) -> "ImputationSpec":
        """Rebuild a specification; refuses sizes that no honest file has.

        Raises
        ------
        ParameterError
        """
        values = {**description, "n_categories": tuple(description["n_categories"])}
        spec = cls(**{**values, "ensemble": EnsembleSpec.from_json(description["ensemble"])})
        sizes = (*spec.n_categories, spec.factors, spec.references)
        sound = all(type(size) is int and 0 <= size <= _LARGEST for size in sizes) and spec.n_categories
        if not sound or type(spec.exact) is not bool:
            raise ParameterError(f"the sizes of a restorer must be whole numbers from 0 to {_LARGEST}")
        return spec


class Neighbours(nn.Module):
    """The mean of rows that are much like a row, each feature over those that have it.

    Parameters
    ----------
    references : int
    features : int
    """

    rows: Tensor
    seen: Tensor

    def __init__(self, references: int, features: int) -> None:
        super().__init__()
        self.register_buffer("rows", torch.zeros(references, features))
        self.register_buffer("seen", torch.zeros(references, features))

    def forward(self, filled: Tensor, seen: Tensor, linear: Tensor, own: Tensor | None = None) -> Tensor:
        """Return what the nearest rows say of every feature, (B, features).

        Parameters
        ----------
        filled : Tensor of shape (B, features)
            What is seen, and the linear expectation elsewhere.
        seen : Tensor of shape (B, features)
            1 where a feature is seen, else 0.
        linear : Tensor of shape (B, features)
            The linear expectation, for features that no near row has.
        own : Tensor of shape (B,), optional
            Places of the rows themselves among the references, -1 where they are none of them; they do not count.
        """
        distances = self._distances(filled, _weight(seen))
        if own is not None:
            some = torch.nonzero(own >= 0).flatten()
            distances[some, own[some]] = torch.inf
        near = min(_NEAR, len(self.rows) - 1 if own is not None else len(self.rows))
        width = distances.topk(max(near, 1), largest=False).values[:, -1:]
        weights = torch.softmax(-distances / (_NARROW * width + 1e-9), dim=1)
        return (weights @ (self.rows * self.seen) + _PRIOR * linear) / (weights @ self.seen + _PRIOR)

    def _distances(self, filled: Tensor, weights: Tensor) -> Tensor:
        """Return mean squared distances to the references, each feature by the weights that it has in both rows."""
        others = _weight(self.seen)
        squares = (weights * filled**2) @ others.T + weights @ (others * self.rows**2).T
        products = (weights * filled) @ (others * self.rows).T
        return ((squares - 2 * products) / (weights @ others.T)).clamp(min=0)


def _weight(seen: Tensor) -> Tensor:
    return _GUESSED + (1 - _GUESSED) * seen


class ImputationNet(nn.Module):
    """Rows with missing cells to what is expected in every cell, and how far off that may be.

    The linear expectation comes first; `near_share` says how much of the way from there to the neighbours is gone,
    and `net_share` how much of what the ensemble adds is taken, feature by feature. Both were found on cells that
    were hidden, so that what does not help is not listened to.

    Parameters
    ----------
    scaling : ColumnScaling
    spec : ImputationSpec
    """

    near_share: Tensor
    net_share: Tensor
    left_over: Tensor
    width: Tensor
    sharpness: Tensor

    def __init__(self, scaling: ColumnScaling, spec: ImputationSpec) -> None:
        super().__init__()
        features = scaling.feature_shape[0]
        self.scaling, self.spec = scaling, spec
        self.factors = Factors(features, spec.factors)
        self.neighbours = Neighbours(spec.references, features)
        self.ensemble = Ensemble(spec.ensemble, 3 * features, features)
        for name in ("near_share", "net_share"):
            self.register_buffer(name, torch.zeros(features))
        for name in ("left_over", "width"):
            self.register_buffer(name, torch.ones(features))
        self.register_buffer("sharpness", torch.ones(()))

    def known(self, raw: Tensor) -> tuple[Tensor, Tensor]:
        """Return features of raw rows, 0 where missing, and which were seen, 1 or 0; both (B, features)."""
        features, seen = self.scaling.targets(raw)
        if seen is None:
            return features, torch.ones_like(features)
        return features, self.scaling.spread_over_features(seen).to(features.dtype)

    def bounded(self, linear: Tensor) -> Tensor:
        """Return linear expectations as single numbers inside what was seen in training.

        A column that is nearly constant is told by others only through rare rows, and a straight line through those
        leads far out.
        """
        low, high = (self.scaling.features(limit.unsqueeze(0)) for limit in (self.scaling.low, self.scaling.high))
        numbers = low.shape[1] - sum(self.scaling.categories)
        low[:, numbers:], high[:, numbers:] = 0.0, 1.0
        return torch.minimum(torch.maximum(linear.to(low.dtype), low), high)

    def plain(
        self, features: Tensor, seen: Tensor, linear: Tensor, own: Tensor | None = None
    ) -> tuple[Tensor, Tensor]:
        """Return what the nearest rows say, and what the ensemble sees, from features and linear expectation."""
        filled = torch.where(seen > 0, features, linear)
        near = self.neighbours(filled, seen, linear, own)
        return near, torch.cat([filled, (near - linear) * (1 - seen), seen], dim=1)

    def expected(self, linear: Tensor, near: Tensor, added: Tensor) -> Tensor:
        """Return the expectation of features from its three parts."""
        return linear + self.near_share * (near - linear) + self.net_share * self.left_over * added

    def forward(self, raw: Tensor) -> tuple[Tensor, Tensor]:
        """Return expectation and deviation of all features, (B, features), from raw rows (B, columns)."""
        features, seen = self.known(raw)
        linear, variance = self.factors(features, seen)
        linear = self.bounded(linear)
        near, inputs = self.plain(features, seen, linear)
        expected = self.expected(linear, near, self.ensemble(inputs).mean(0))
        return expected, self.width * variance.sqrt().to(features.dtype)

    def shares(self, expected: Tensor) -> Tensor:
        """Return expected features with those of every category column as shares that sum to 1."""
        if not self.scaling.categories:
            return expected
        return self.sharpened(expected, self.sharpness)

    def sharpened(self, expected: Tensor, sharpness: Tensor) -> Tensor:
        """Return them with shares to the power of `sharpness`."""
        numbers = expected.shape[1] - sum(self.scaling.categories)
        logits = sharpness * expected[:, numbers:].clamp(min=_LEAST).log()
        return self.scaling.as_shares(torch.cat([expected[:, :numbers], logits], dim=1))
