"""What an ensemble leaves over of a record: the error of every column, and the residual of every feature."""

from dataclasses import asdict, dataclass
from math import prod
from typing import Any, Self

import torch
from torch import Tensor, nn

from refold._errors import ParameterError
from refold.nets import Ensemble, EnsembleSpec, Scale, Scaling, SequenceEnsemble, make_scaling, placeholder_scale
from refold.objectives import ERRORS, feature_errors

_GUESSES = 3
_LARGEST = 1 << 16  # of the sizes in a file
_FARTHEST = 1e6  # spreads; the square of more has no meaning in float32


@dataclass(frozen=True)
class Remainder:
    """What is left over of some records.

    Parameters
    ----------
    errors : Tensor of shape (members, B, columns) or (B, columns)
        Squared residuals of scaled numbers, log-losses of categories in nats; 0 where a cell is missing. Numbers
        stand first.
    residuals : Tensor of shape (members, B, features) or (B, features)
        Rebuilt minus seen; shares minus one-hot for categories; 0 where a cell is missing.
    features : Tensor of shape (B, features)
        As seen; where a cell is missing, as rebuilt.
    seen : Tensor of shape (B, columns) or None
        Which columns were seen; None stands for all.
    """

    errors: Tensor
    residuals: Tensor
    features: Tensor
    seen: Tensor | None

    def averaged(self, weights: Tensor | None = None) -> "Remainder":
        """Return the mean over members, or with `weights` (members, B) a weighted one."""
        if weights is None:
            return Remainder(self.errors.mean(0), self.residuals.mean(0), self.features, self.seen)
        each = weights.unsqueeze(2)
        return Remainder((self.errors * each).sum(0), (self.residuals * each).sum(0), self.features, self.seen)


@dataclass(frozen=True, kw_only=True)
class RebuildingSpec:
    """What decides the shape of a rebuilding, and so of a scorer that stands on one.

    Parameters
    ----------
    raw_shape : tuple of int
    n_categories : tuple of int
    exact : bool
        Whether raw numbers are float64.
    flags : tuple of int
        Columns in which cells were missing in training.
    ensemble : EnsembleSpec
    """

    raw_shape: tuple[int, ...]
    n_categories: tuple[int, ...]
    exact: bool
    flags: tuple[int, ...]
    ensemble: EnsembleSpec

    @property
    def sizes(self) -> tuple[int, ...]:
        """All that a file must not make huge."""
        return *self.raw_shape, *self.n_categories, *self.flags

    def to_json(self) -> dict[str, Any]:
        """Return a description that JSON can hold."""
        return asdict(self)

    @classmethod
    def from_json(cls, description: dict[str, Any]) -> Self:
        """Rebuild a specification; refuses sizes that no honest file has.

        Raises
        ------
        ParameterError
        """
        values: dict[str, Any] = {
            name: tuple(value) if isinstance(value, list) else value for name, value in description.items()
        }
        values["ensemble"] = EnsembleSpec.from_json(description["ensemble"])
        spec = cls(**values)
        if not all(type(size) is int and 0 <= size <= _LARGEST for size in spec.sizes) or not spec.raw_shape:
            raise ParameterError(f"the sizes of a scorer must be whole numbers from 0 to {_LARGEST}")
        return spec

    def scaling(self, scale: Scale | None) -> Scaling:
        """Return the scaling; without a scale one that has learned nothing yet."""
        known = scale or placeholder_scale(self.raw_shape, self.flags, False)
        return make_scaling(self.raw_shape, self.n_categories, known, self.exact)


class Rebuilding(nn.Module):
    """An ensemble between the two ends of a scaling.

    The encoder never sees a value further outside the range of training than that range is wide, so that it is not
    asked about places where it knows nothing; the residual is that of the whole value, up to a million spreads.

    Parameters
    ----------
    scaling : Scaling
    ensemble : Ensemble or SequenceEnsemble
    takes_missing : bool
        Whether cells may be missing.
    unseen_losses : Tensor of shape (category columns,)
        Log-loss of a value that is none of the column's categories.
    """

    unseen_losses: Tensor

    def __init__(
        self, scaling: Scaling, ensemble: Ensemble | SequenceEnsemble, takes_missing: bool, unseen_losses: Tensor
    ) -> None:
        super().__init__()
        self.scaling = scaling
        self.ensemble = ensemble
        self.takes_missing = takes_missing
        self.register_buffer("unseen_losses", unseen_losses)

    def inputs(self, raw: Tensor) -> tuple[Tensor, Tensor, Tensor | None]:
        """Return what the encoder sees (B, inputs), features (B, features) and which columns were seen."""
        features = self.features_of(raw)
        inputs = self.scaling.inputs_of(self.bounded(features), raw).flatten(1)
        return inputs, features.flatten(1), self.scaling.seen(raw) if self.takes_missing else None

    def features_of(self, raw: Tensor) -> Tensor:
        """Return features (B, *feature_shape), none farther out than has a meaning."""
        return self.scaling.features(raw).clamp(-_FARTHEST, _FARTHEST)

    def bounded(self, features: Tensor) -> Tensor:
        """Return features (..., *feature_shape) no further outside the range of training than that is wide."""
        low, high = self._limits()
        return torch.maximum(torch.minimum(features, high), low)

    def _limits(self) -> tuple[Tensor, Tensor]:
        wide = (self.scaling.high - self.scaling.low).clamp(min=0)
        low = self.scaling.features((self.scaling.low - wide).expand(1, *self.scaling.raw_shape))
        high = self.scaling.features((self.scaling.high + wide).expand(1, *self.scaling.raw_shape))
        count = self.numbers
        if not self.scaling.categories:
            return low, high
        blocks = torch.ones(1, sum(self.scaling.categories), dtype=low.dtype, device=low.device)
        return torch.cat([low[:, :count], 0 * blocks], 1), torch.cat([high[:, :count], blocks], 1)

    @property
    def features(self) -> int:
        """How many features a record has."""
        return prod(self.scaling.feature_shape)

    @property
    def numbers(self) -> int:
        """How many features are numbers."""
        return self.features - sum(self.scaling.categories)

    @property
    def columns(self) -> int:
        """How many columns or pixels a record has."""
        return self.numbers + len(self.scaling.categories)

    def forward(self, raw: Tensor) -> Remainder:
        """Return what every member leaves over of raw records (B, *raw_shape)."""
        inputs, features, seen = self.inputs(raw)
        return self.remainder(self.ensemble(inputs), features, seen)

    def remainder(self, outputs: Tensor, features: Tensor, seen: Tensor | None) -> Remainder:
        """Return what outputs (members, B, features) leave over of features (B, features)."""
        errors = self.errors(outputs, features.expand_as(outputs))
        shares = self._shares(outputs)
        residuals = shares - features
        if seen is not None:
            known = self.scaling.spread_over_features(seen)
            errors, residuals = errors * seen, residuals * known
            features = torch.where(known, features, shares.mean(0))
        return Remainder(errors, residuals, features, seen)

    def errors(self, outputs: Tensor, targets: Tensor) -> Tensor:
        """Return errors (members, B, columns) of outputs and targets (members, B, features)."""
        columns = feature_errors(
            ERRORS["squared"], self.scaling.categories, nn.Identity(), outputs.flatten(0, 1), targets.flatten(0, 1)
        )
        if self.scaling.categories:
            columns = columns + self._unseen(targets.flatten(0, 1))
        return columns.view(*outputs.shape[:2], -1)

    def _unseen(self, targets: Tensor) -> Tensor:
        """Return the losses of values that are no category, (B, columns)."""
        blocks = torch.split(targets[:, self.numbers :], list(self.scaling.categories), dim=1)
        unseen = torch.stack([block.sum(1) < 0.5 for block in blocks], dim=1) * self.unseen_losses
        return torch.cat([torch.zeros_like(targets[:, : self.numbers]), unseen], dim=1)

    def _shares(self, outputs: Tensor) -> Tensor:
        if not self.scaling.categories:
            return outputs
        return self.scaling.as_shares(outputs.flatten(0, 1)).view_as(outputs)

    def expected(self, raw: Tensor, doubted: Tensor) -> Tensor:
        """Return the values that the members together expect, given what is not doubted.

        Parameters
        ----------
        raw : Tensor of shape (B, *raw_shape)
        doubted : Tensor of shape (B, features), bool
            Features that the encoder shall not see; the network's own guess stands in for them, made better twice.

        Returns
        -------
        expected : Tensor of shape (B, *raw_shape)
        """
        inputs, _, _ = self.inputs(raw)
        known, flags = inputs[:, : self.features], inputs[:, self.features :]
        guess = torch.zeros_like(known)
        for _ in range(_GUESSES):
            filled = torch.where(doubted, guess, known)
            guess = self._shares(self.ensemble(torch.cat([filled, flags], dim=1))).mean(0)
        return self.scaling.restore(guess.view(-1, *self.scaling.feature_shape))
