"""The strangeness of a row, from what autoencoders leave over of it and from its nearest normal row."""

from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn

from refold.nets import ColumnScaling
from refold.scores._neighbours import Neighbours
from refold.scores._rebuilding import Rebuilding, Remainder

PARTS = ("error", "mahalanobis", "neighbour", "neighbour_with_residual")
_WITH_RESIDUAL = 0.3  # weights of the parts beside the nearest neighbour's, which is 1
_MAHALANOBIS, _POWER, _MOST_MAHALANOBIS = 0.25, 4, 3.0
_SMALLEST = 1e-9
_SMALLEST_DEVIATION = 1e-3
_SHRINKAGE = 0.05
_DOUBTED = 0.1  # the smallest share of the score for which a column is doubted


@dataclass(frozen=True)
class Reasons:
    """Why rows are strange.

    Parameters
    ----------
    shares : Tensor of shape (B, columns)
        Of the score, by column: not negative, 1 in sum.
    expected : Tensor of shape (B, *raw_shape)
        Raw values that the network expects, given the columns that have little share.
    """

    shares: Tensor
    expected: Tensor


class RowScorer(nn.Module):
    """From raw rows to scores: higher is stranger, 0 is a usual normal row, in normal deviations.

    Parameters
    ----------
    rebuilding : Rebuilding
    references : int
        Normal rows that are kept to compare with.
    """

    typical: Tensor
    spread: Tensor
    center: Tensor
    precision: Tensor
    residual_scale: Tensor
    part_center: Tensor
    part_spread: Tensor
    weights: Tensor

    def __init__(self, rebuilding: Rebuilding, references: int) -> None:
        super().__init__()
        features, columns = rebuilding.features, rebuilding.columns
        self.rebuilding = rebuilding
        for name, values in (
            ("typical", torch.ones(columns)),
            ("spread", torch.ones(features)),
            ("center", torch.zeros(features)),
            ("precision", torch.eye(features)),
            ("residual_scale", torch.ones(())),
            ("part_center", torch.zeros(len(PARTS))),
            ("part_spread", torch.ones(())),
            ("weights", torch.full((len(PARTS),), 1 / len(PARTS))),
        ):
            self.register_buffer(name, values)
        self.neighbours = Neighbours(torch.zeros(references, features), torch.zeros(references, features))

    def forward(self, raw: Tensor) -> Tensor:
        """Return scores (B,) of raw rows (B, *raw_shape)."""
        return self.blend(self.parts(self.rebuilding(raw).averaged()))

    def error(self, raw: Tensor) -> Tensor:
        """Return reconstruction errors (B,): mean over the columns seen, each relative to its usual error."""
        return self._error(self.rebuilding(raw).averaged())

    def blend(self, parts: Tensor) -> Tensor:
        """Return scores (B,) of parts (B, parts)."""
        apart = torch.log(parts + _SMALLEST) - self.part_center
        return (apart * self.weights).sum(1) / self.part_spread

    def parts(self, left: Remainder, own: Tensor | None = None) -> Tensor:
        """Return the parts of the score (B, parts) of what is left over of rows; see `Neighbours` for `own`."""
        seen = None if left.seen is None else self.rebuilding.scaling.spread_over_features(left.seen)
        near, with_residual, _ = self.neighbours(left.features, left.residuals / self.residual_scale, seen, own)
        size = left.features.shape[1]
        return torch.stack([self._error(left), self._mahalanobis(left), near / size, with_residual / size], dim=1)

    def _error(self, left: Remainder) -> Tensor:
        relative = left.errors / self.typical
        return relative.mean(1) if left.seen is None else relative.sum(1) / left.seen.sum(1).clamp(min=1)

    def _mahalanobis(self, left: Remainder) -> Tensor:
        standard = left.residuals / self.spread - self.center
        return (standard @ self.precision * standard).mean(1)

    def reasons(self, raw: Tensor) -> Reasons:
        """Return why raw rows have their scores."""
        left = self.rebuilding(raw).averaged()
        seen = None if left.seen is None else self.rebuilding.scaling.spread_over_features(left.seen)
        _, _, place = self.neighbours(left.features, left.residuals / self.residual_scale, seen)
        apart = (left.features - self.neighbours.features[place]).square()
        if seen is not None:
            apart = apart * seen
        over = (left.residuals / self.spread).square()
        shares = self._by_column(_shares(apart) + _shares(over))
        shares = shares / shares.sum(1, keepdim=True).clamp(min=_SMALLEST)
        doubted = shares >= (shares.amax(1, keepdim=True) / 2).clamp(min=_DOUBTED)
        return Reasons(shares, self.rebuilding.expected(raw, self._of_columns(doubted)))

    def _by_column(self, values: Tensor) -> Tensor:
        scaling = self.rebuilding.scaling
        return scaling.by_column(values) if isinstance(scaling, ColumnScaling) else values

    def _of_columns(self, columns: Tensor) -> Tensor:
        scaling = self.rebuilding.scaling
        return scaling.of_columns(columns) if isinstance(scaling, ColumnScaling) else columns

    # --- learning ------------------------------------------------------------------------------------------------

    @torch.no_grad()
    def learn(self, left: Remainder, kept: Tensor) -> Tensor:
        """Learn what is usual from normal rows of which the rebuilding has not learned, and return their scores.

        Parameters
        ----------
        left : Remainder
            Out-of-bag remainders of normal rows, averaged over members.
        kept : Tensor of int
            Places of the rows to compare others with.

        Returns
        -------
        scores : Tensor of shape (B,)
            Each row's, as if it was new.
        """
        self._learn_spreads(left)
        self.neighbours = Neighbours(left.features[kept], left.residuals[kept] / self.residual_scale)
        own = torch.full((len(left.features),), -1, dtype=torch.long, device=kept.device)
        own[kept] = torch.arange(len(kept), device=kept.device)
        parts = torch.cat([self.parts(piece, part) for piece, part in _pieces(left, own)])
        self._learn_blend(torch.log(parts + _SMALLEST))
        return self.blend(parts)

    def _learn_blend(self, logs: Tensor) -> None:
        """Weigh the parts without labels, by how widely their logarithms spread over normal rows.

        Where distances to the nearest neighbour are all alike (many columns, few rows), they tell little, and what
        autoencoders leave over tells more: its weight grows with the ratio of the two spreads.
        """
        middle, spread = _middle_and_spread(logs)
        ratio = spread[PARTS.index("mahalanobis")] / spread[PARTS.index("neighbour")]
        mahalanobis = (_MAHALANOBIS * ratio**_POWER).clamp(max=_MOST_MAHALANOBIS)
        self.weights.copy_(torch.stack([0 * ratio, mahalanobis, 1 + 0 * ratio, _WITH_RESIDUAL + 0 * ratio]))
        self.part_center.copy_(middle)
        scores = ((logs - middle) * self.weights).sum(1, keepdim=True)
        self.part_spread.copy_(_middle_and_spread(scores)[1][0])

    def _learn_spreads(self, left: Remainder) -> None:
        columns = len(left.errors) if left.seen is None else left.seen.sum(0).clamp(min=1)
        self.typical.copy_((torch.sqrt(left.errors.sum(0) / columns) + _SMALLEST_DEVIATION).square())
        self.spread.copy_(left.residuals.square().mean(0).sqrt() + _SMALLEST_DEVIATION)
        self.residual_scale.copy_(left.residuals.square().mean().sqrt() + _SMALLEST_DEVIATION)
        standard = left.residuals / self.spread
        self.center.copy_(standard.mean(0))
        rest = (standard - self.center).double()
        covariance = rest.T @ rest / max(len(rest) - 1, 1)
        unit = torch.eye(len(covariance), dtype=torch.float64, device=covariance.device)
        self.precision.copy_(torch.linalg.inv((1 - _SHRINKAGE) * covariance + _SHRINKAGE * unit))


def _middle_and_spread(values: Tensor) -> tuple[Tensor, Tensor]:
    """Return the median of every column, and half the width of its middle two thirds."""
    low, middle, high = torch.quantile(
        values.double(), torch.tensor([0.16, 0.5, 0.84], dtype=torch.float64, device=values.device), dim=0
    ).to(values.dtype)
    return middle, ((high - low) / 2).clamp(min=_SMALLEST_DEVIATION)


def _shares(parts: Tensor) -> Tensor:
    return parts / parts.sum(1, keepdim=True).clamp(min=_SMALLEST)


def _pieces(left: Remainder, own: Tensor, rows: int = 1024) -> Any:
    for start in range(0, len(own), rows):
        part = slice(start, start + rows)
        seen = None if left.seen is None else left.seen[part]
        yield Remainder(left.errors[part], left.residuals[part], left.features[part], seen), own[part]
