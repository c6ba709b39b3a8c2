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
        left = self.rebuilding(raw).averaged()
        return self.blend(self.parts(left), left.seen)

    def error(self, raw: Tensor) -> Tensor:
        """Return reconstruction errors (B,): mean over the columns seen, each relative to its usual error."""
        return self._error(self.rebuilding(raw).averaged())

    def blend(self, parts: Tensor, seen: Tensor | None) -> Tensor:
        """Return scores (B,) of parts (B, parts); rows of which nothing was seen (B, columns) are usual ones."""
        apart = torch.log(parts + _SMALLEST) - self.part_center
        scores = (apart * self.weights).sum(1) / self.part_spread
        return scores if seen is None else scores * seen.any(1)

    def parts(self, left: Remainder, own: Tensor | None = None, learned: int = 0) -> Tensor:
        """Return the parts of the score (B, parts) of what is left over of rows.

        Parameters
        ----------
        left : Remainder
        own : Tensor, optional
            See `Neighbours`.
        learned : int, default=0
            From how many rows the usual residuals were learned if these rows were among them; each is then judged as
            if it had not been.
        """
        seen = None if left.seen is None else self.rebuilding.scaling.spread_over_features(left.seen)
        near, with_residual, _ = self.neighbours(left.features, left.residuals / self.residual_scale, seen, own)
        size = left.features.shape[1]
        counted = size if seen is None else seen.sum(1).clamp(min=1)
        mahalanobis = self._mahalanobis(left, seen, learned)
        return torch.stack([self._error(left), mahalanobis / counted, near / size, with_residual / size], dim=1)

    def _error(self, left: Remainder) -> Tensor:
        relative = left.errors / self.typical
        return relative.mean(1) if left.seen is None else relative.sum(1) / left.seen.sum(1).clamp(min=1)

    def _mahalanobis(self, left: Remainder, seen: Tensor | None, learned: int) -> Tensor:
        standard = left.residuals / self.spread - self.center
        if seen is not None:
            standard = standard * seen
        if learned > 2:
            return _distance_as_left_out(standard, self.precision, learned)
        return (standard @ self.precision * standard).sum(1)

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
        parts = torch.cat([self.parts(piece, part, len(own)) for piece, part in _pieces(left, own)])
        filled = parts if left.seen is None else parts[left.seen.any(1)]
        self._learn_blend(torch.log(filled + _SMALLEST))
        return self.blend(parts, left.seen)

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
        shrinkage = _shrinkage(len(rest), len(covariance))
        self.precision.copy_(torch.linalg.inv((1 - shrinkage) * covariance + shrinkage * unit))


def _shrinkage(rows: int, size: int) -> float:
    """Return the weight of the unit matrix in a covariance of `size` features learned from so many rows."""
    return max(_SHRINKAGE, size / (size + rows))


def _distance_as_left_out(standard: Tensor, precision: Tensor, rows: int) -> Tensor:
    """Return squared distances (B,) as if each row had been left out of the mean, spreads and covariance it meets.

    The inverse without a row is that with it and one product more (Sherman and Morrison 1950).
    """
    weight = (1 - _shrinkage(rows, standard.shape[1])) * rows / (rows - 1) / (rows - 2)
    spreads_without = ((rows - standard.square()) / (rows - 1)).clamp(min=_SMALLEST).sqrt()
    farther = standard * rows / (rows - 1) / spreads_without
    inside, across = (standard @ precision * standard).sum(1), (standard @ precision * farther).sum(1)
    return (farther @ precision * farther).sum(1) + weight * across.square() / (1 - weight * inside).clamp(
        min=_SMALLEST
    )


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
