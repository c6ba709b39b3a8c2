"""How far vectors lie from a Gaussian learned from a sample that is never held as a whole."""

import torch
from torch import Tensor, nn

_SHRINKAGE = 1e-3


class VectorMoments:
    """Sums from which mean and covariance of vectors follow.

    Parameters
    ----------
    size : int
        Numbers of a vector.
    """

    def __init__(self, size: int) -> None:
        self.count = 0
        self.total = torch.zeros(size, dtype=torch.float64)
        self.products = torch.zeros(size, size, dtype=torch.float64)

    def add(self, vectors: Tensor) -> None:
        """Count vectors (n, size)."""
        exact = vectors.double().cpu()
        self.count += len(exact)
        self.total += exact.sum(0)
        self.products += exact.T @ exact


class Whitening(nn.Module):
    """A Gaussian with full covariance, as the linear map after which distance from its mean is plain distance.

    Parameters
    ----------
    size : int
        Numbers of a vector.
    """

    weight: Tensor
    bias: Tensor

    def __init__(self, size: int) -> None:
        super().__init__()
        self.register_buffer("weight", torch.zeros(size, size))
        self.register_buffer("bias", torch.zeros(size))

    def learn(self, moments: VectorMoments) -> None:
        """Take mean and covariance; every variance is raised by a thousandth of the mean one."""
        mean = moments.total / moments.count
        covariance = moments.products / moments.count - mean[:, None] * mean
        covariance += torch.eye(len(mean)) * (_SHRINKAGE * covariance.diagonal().mean() + 1e-9)
        variances, directions = torch.linalg.eigh(covariance)
        white = (directions / variances.clamp(min=1e-12).sqrt()).T
        self.weight.copy_(white)
        self.bias.copy_(-(white @ mean))
