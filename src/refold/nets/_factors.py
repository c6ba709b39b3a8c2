"""Factor analysis: an autoencoder with linear ends that knows what it does not see, learned from incomplete rows."""

from collections.abc import Iterator

import torch
from torch import Tensor, nn

from refold._errors import DivergedError

_ROWS_AT_ONCE = 2048
_RIDGE = 10.0  # rows without any factor that every column is thought to have seen beside its own
_NOISE_ROWS, _NOISE = 2.0, 0.2  # rows that say that the noise of a column is this share of its variance


class Factors(nn.Module):
    """A row is the mean, plus `loadings` times a few hidden numbers, plus noise of its own in every feature.

    The expectation of what is missing, given what is seen, is exact for rows of this kind. With equal noise it would
    be probabilistic PCA.

    Parameters
    ----------
    features : int
    size : int
        Numbers of the code.
    """

    loadings: Tensor
    noise: Tensor
    mean: Tensor

    def __init__(self, features: int, size: int) -> None:
        super().__init__()
        # double precision: columns that nearly follow from others have next to no noise
        self.register_buffer("loadings", torch.zeros(features, size, dtype=torch.float64))
        self.register_buffer("noise", torch.ones(features, dtype=torch.float64))
        self.register_buffer("mean", torch.zeros(features, dtype=torch.float64))

    def forward(self, features: Tensor, seen: Tensor) -> tuple[Tensor, Tensor]:
        """Return expectation and variance of all features, double (B, features), from those that are seen.

        Parameters
        ----------
        features : Tensor of shape (B, features)
            Any number where it is not seen.
        seen : Tensor of shape (B, features)
            1 where a feature is seen, else 0.
        """
        _, code, triangle = self._posterior(features.double(), seen.double())
        product = (self.loadings[:, :, None] * self.loadings[:, None, :]).flatten(1)
        variance = torch.cholesky_inverse(triangle).flatten(1) @ product.T + self.noise
        return code @ self.loadings.T + self.mean, variance

    def _posterior(self, features: Tensor, seen: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """Return what is seen less the mean, the expected code, and the Cholesky factor of the code's precision."""
        size = self.loadings.shape[1]
        product = (self.loadings[:, :, None] * self.loadings[:, None, :]).flatten(1)
        precision = ((seen / self.noise) @ product).reshape(-1, size, size) + torch.eye(size, dtype=torch.float64)
        triangle = torch.linalg.cholesky(precision)
        centred = (features - self.mean) * seen
        code = torch.cholesky_solve(((centred / self.noise) @ self.loadings).unsqueeze(2), triangle).squeeze(2)
        return centred, code, triangle

    @torch.no_grad()
    def begin(self, features: Tensor, seen: Tensor) -> None:
        """Start from the principal components of the rows with the mean in place of what is missing."""
        count = seen.sum(0).clamp(min=1)
        self.mean = (features * seen).sum(0) / count
        centred = (features - self.mean) * seen
        size = self.loadings.shape[1]
        _, spread, right = torch.linalg.svd(centred / seen.mean(0).clamp(min=0.05).sqrt(), full_matrices=False)
        found = min(size, len(spread))
        self.loadings[:, :found] = right[:found].T * spread[:found] / len(features) ** 0.5
        variance = _variance(centred, seen)
        self.noise = torch.maximum(variance - (self.loadings**2).sum(1), 0.1 * variance)

    @torch.no_grad()
    def improve(self, features: Tensor, seen: Tensor, rounds: int) -> None:
        """Raise the likelihood of incomplete rows by so many rounds of expectation and maximisation.

        Raises
        ------
        DivergedError
            If it leaves the finite numbers.
        """
        variance = _variance((features - self.mean) * seen, seen)
        for _ in range(rounds):
            self._maximise(features, seen, variance)
        if not all(bool(torch.isfinite(value).all()) for value in self.buffers()):
            raise DivergedError("the linear start left the finite numbers; look for values far out in one column")

    def _maximise(self, features: Tensor, seen: Tensor, variance: Tensor) -> None:
        size = self.loadings.shape[1]
        count = seen.sum(0)
        moments = _RIDGE * self.noise[:, None, None] * torch.eye(size, dtype=torch.float64)
        crossed, squares = torch.zeros_like(self.loadings), torch.zeros_like(self.noise)
        for rows, known in _parts(features, seen):
            centred, code, triangle = self._posterior(rows, known)
            second = torch.cholesky_inverse(triangle) + code[:, :, None] * code[:, None, :]
            moments = moments + (known.T @ second.flatten(1)).reshape(-1, size, size)
            crossed += centred.T @ code
            squares += (centred**2).sum(0)
        self.loadings = torch.linalg.solve(moments, crossed.unsqueeze(2)).squeeze(2)
        left = (squares - (self.loadings * crossed).sum(1)).clamp(min=0)
        self.noise = (left + _NOISE_ROWS * _NOISE * variance) / (count + _NOISE_ROWS)
        shift = torch.zeros_like(self.mean)
        for rows, known in _parts(features, seen):
            centred, code, _ = self._posterior(rows, known)
            shift += ((centred - code @ self.loadings.T) * known).sum(0)
        self.mean = self.mean + shift / count.clamp(min=1)


def fit_factors(features: Tensor, seen: Tensor, size: int, rounds: int = 20, start: Factors | None = None) -> Factors:
    """Return factors learned from incomplete rows.

    Parameters
    ----------
    features : Tensor of shape (n, features)
        Any number where it is not seen.
    seen : Tensor of shape (n, features)
        1 where a feature is seen, else 0.
    size : int
        Numbers of the code.
    rounds : int, default=20
    start : Factors, optional
        Of rows much like these; few rounds are enough then.

    Examples
    --------
    >>> rows = torch.randn(500, 1, generator=torch.Generator().manual_seed(0)) * torch.tensor([1.0, 2.0, 3.0])
    >>> seen = torch.ones(500, 3)
    >>> factors = fit_factors(rows, seen, 1)
    >>> expected, _ = factors(torch.tensor([[1.0, 2.0, 0.0]]), torch.tensor([[1.0, 1.0, 0.0]]))
    >>> round(expected[0, 2].item(), 1)
    3.0
    """
    rows, known = features.double(), seen.double()
    factors = Factors(rows.shape[1], size)
    if start is None:
        factors.begin(rows, known)
    else:
        factors.load_state_dict(start.state_dict())
    factors.improve(rows, known, rounds)
    return factors


def _variance(centred: Tensor, seen: Tensor) -> Tensor:
    return (centred**2).sum(0) / seen.sum(0).clamp(min=1) + 1e-6


def _parts(features: Tensor, seen: Tensor) -> Iterator[tuple[Tensor, Tensor]]:
    return zip(torch.split(features, _ROWS_AT_ONCE), torch.split(seen, _ROWS_AT_ONCE), strict=True)
