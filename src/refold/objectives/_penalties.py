"""What is asked of the code besides carrying the data."""

from dataclasses import dataclass
from typing import Protocol

import torch
from torch import Tensor

from refold._errors import ParameterError
from refold.nets import Candidates


class Penalty(Protocol):
    """A term added to the error."""

    @property
    def name(self) -> str:
        """The term's name in the history."""

    def __call__(self, code: Tensor, inputs: Tensor, generator: torch.Generator) -> Tensor:
        """Return the penalty of each record, shape (B,).

        Parameters
        ----------
        code : Tensor of shape (B, latent_dim)
            Only `Variational` gets (B, 2 * latent_dim): means, then logarithms of variances.
        inputs : Tensor of shape (B, *input_shape)
            What the encoder saw; the code depends on it.
        generator : torch.Generator
        """


@dataclass(frozen=True)
class Variational:
    """Kullback-Leibler divergence of the code's distribution from the standard normal one.

    The code becomes a distribution (mean and variance), drawn from in training; its mean is what `transform`
    gives. With ``loss="cross_entropy"`` and ``beta=1`` the objective is the evidence lower bound of Kingma and
    Welling (2014, arXiv 1312.6114), divided by the number of values; ``beta`` weighs the divergence as in Higgins
    et al. (2017, beta-VAE).

    Parameters
    ----------
    beta : float
        Weight, above 0.
    """

    beta: float = 1.0
    name = "divergence"

    def __post_init__(self) -> None:
        _check_weight("variational", "beta", self.beta)

    def __call__(self, code: Tensor, inputs: Tensor, generator: torch.Generator) -> Tensor:
        """Return beta times the divergence; `Objective` divides it by the number of columns or pixels."""
        mean, log_variance = code.chunk(2, dim=1)
        divergence = 0.5 * (mean.square() + log_variance.exp() - 1 - log_variance).sum(1)
        return self.beta * divergence


@dataclass(frozen=True)
class Towards:
    """How far codes are from places that were found for them beforehand.

    The mean of ``-log(sum of c / (1 + d^2 / reach^2))`` over the candidates for a code, c the share that a candidate
    is given and d how far it is from the place. That is a mixture of Student-t kernels (Bishop 1994, mixture density
    networks): a candidate is asked only to suit the records that it is chosen for, and a record whose place does not
    suit it does not pull without end.

    Parameters
    ----------
    weight : float
        Above 0.
    reach : float
        Distance at which it pulls most, in units of the places.
    name : str
        What the places keep.
    """

    weight: float
    reach: float
    name: str

    def __call__(self, candidates: Candidates, places: Tensor) -> Tensor:
        """Return the weighted value of each record, shape (B,); 0 for those that have no place (NaN)."""
        known = ~places.isnan().any(1)
        told = torch.where(known[:, None], places, 0)[:, None]
        apart = (candidates.places - told).square().sum(2) / self.reach**2
        values = -torch.logsumexp(candidates.log_chances - torch.log1p(apart), 1)
        return self.weight * torch.where(known, values, 0)


@dataclass(frozen=True)
class Sparse:
    """Mean absolute value of the code's numbers, so that few of them are in use for any one record.

    Parameters
    ----------
    weight : float
        Above 0.
    """

    weight: float = 1e-3
    name = "sparsity"

    def __post_init__(self) -> None:
        _check_weight("sparse", "weight", self.weight)

    def __call__(self, code: Tensor, inputs: Tensor, generator: torch.Generator) -> Tensor:
        """Return the weighted mean absolute value."""
        return self.weight * code.abs().mean(1)


@dataclass(frozen=True)
class Contractive:
    """Squared Frobenius norm of the encoder's Jacobian, so that the code moves little when the input does.

    Rifai et al. (2011, ICML). The norm is estimated without bias from one random direction of the code per
    record (Hutchinson), which costs one more backward pass instead of one per number of the code.

    Parameters
    ----------
    weight : float
        Above 0.
    """

    weight: float = 1e-3
    name = "contraction"

    def __post_init__(self) -> None:
        _check_weight("contractive", "weight", self.weight)

    def __call__(self, code: Tensor, inputs: Tensor, generator: torch.Generator) -> Tensor:
        """Return the weighted norm; needs inputs that record gradients, else it is 0 (validation)."""
        if not (inputs.requires_grad and code.requires_grad):
            return code.new_zeros(len(code))
        direction = torch.randn(code.shape, generator=generator, device=code.device)
        (pulled,) = torch.autograd.grad(code, inputs, direction, create_graph=True)
        return self.weight * pulled.flatten(1).square().sum(1)


def _check_weight(name: str, parameter: str, weight: float) -> None:
    if not 0 < weight < float("inf"):
        raise ParameterError(f"{name}({parameter}={weight}) is not possible; {parameter} must be above 0")
