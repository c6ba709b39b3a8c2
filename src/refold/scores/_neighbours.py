"""The distance to the nearest normal record that is not the record itself."""

import torch
from torch import Tensor, nn


class Neighbours(nn.Module):
    """Normal records, and how far others are from the nearest of them.

    A record that occurs exactly once among them is not its own neighbour: whether a record was learned from or not,
    it is measured against others. One that occurs twice or more has a neighbour at distance 0.

    Parameters
    ----------
    features : Tensor of shape (m, features)
    residuals : Tensor of shape (m, features)
        Scaled so that they weigh as much as the features.
    """

    features: Tensor
    residuals: Tensor
    counts: Tensor
    squares: Tensor
    residual_squares: Tensor

    def __init__(self, features: Tensor, residuals: Tensor) -> None:
        super().__init__()
        self.register_buffer("features", features)
        self.register_buffer("residuals", residuals)
        self.register_buffer("counts", _multiplicities(features))
        self.register_buffer("squares", features.square())
        self.register_buffer("residual_squares", residuals.square().sum(1))

    def forward(
        self, features: Tensor, residuals: Tensor, seen: Tensor | None, own: Tensor | None = None
    ) -> tuple[Tensor, Tensor, Tensor]:
        """Return squared distances over features, over features and residuals, and the nearest by features.

        Parameters
        ----------
        features, residuals : Tensor of shape (B, features)
        seen : Tensor of shape (B, features), bool, or None
            Features that were seen; the distance over the others counts as that over these.
        own : Tensor of shape (B,), int, optional
            Where each record itself stands among the normal ones, -1 where it does not.

        Returns
        -------
        near, near_with_residual : Tensor of shape (B,)
        place : Tensor of shape (B,), int
        """
        known = features if seen is None else features * seen
        distances = self._distances(known, seen)
        others = torch.zeros_like(distances[:, 0])
        if own is not None:
            distances = self._without(distances, own.clamp(min=0), own >= 0)
            others = (own >= 0).to(others.dtype)
        place = distances.argmin(1)
        alone = (self._exact(known, seen, place) == 0) & (self.counts[place] - others < 1.5)
        distances = self._without(distances, place, alone)
        place = torch.where(alone, distances.argmin(1), place)
        near = self._exact(known, seen, place)
        both = distances - 2 * residuals @ self.residuals.T + self.residual_squares
        other = both.argmin(1)
        with_residual = self._exact(known, seen, other) + (residuals - self.residuals[other]).square().sum(1)
        return near, with_residual, place

    def _distances(self, known: Tensor, seen: Tensor | None) -> Tensor:
        """Return squared distances (B, m), up to what is the same for all m."""
        squares: Tensor = self.squares.sum(1) if seen is None else seen.to(known.dtype) @ self.squares.T
        return squares - 2 * known @ self.features.T

    def _exact(self, known: Tensor, seen: Tensor | None, place: Tensor) -> Tensor:
        difference = known - self.features[place]
        if seen is None:
            return difference.square().sum(1)
        counted = seen.sum(1).clamp(min=1)
        distance: Tensor = (difference * seen).square().sum(1) * seen.shape[1] / counted
        return distance

    def _without(self, distances: Tensor, place: Tensor, where: Tensor) -> Tensor:
        far = where.to(distances.dtype) * torch.finfo(distances.dtype).max / 4
        masked: Tensor = distances.scatter_add(1, place.unsqueeze(1), far.unsqueeze(1))
        return masked


def _multiplicities(features: Tensor) -> Tensor:
    """Return how often each row occurs, float (m,)."""
    if features.is_meta:
        return torch.ones(len(features), device="meta")
    _, back, counts = torch.unique(features, dim=0, return_inverse=True, return_counts=True)
    each: Tensor = counts[back].to(features.dtype)
    return each
