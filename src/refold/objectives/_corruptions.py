"""What happened to the data before the encoder saw it.

A corruption takes raw numbers to raw numbers, in the user's own units; what is lost becomes NaN, exactly like a
missing cell. The same object serves training, testing and previews. Each is a frozen dataclass; `Both` joins
two, and so does ``+`` in their names: ``"gaussian(0.2) + masking(0.1)"``. `Either` takes one or the other for each
record, and so does ``|``.
"""

from dataclasses import InitVar, dataclass, field
from typing import Protocol

import torch
from torch import Tensor

from refold._errors import ParameterError

_LEVELS = 255


@dataclass(frozen=True)
class Domain:
    """Where raw values live.

    Parameters
    ----------
    low, high : Tensor
        Smallest and largest value, shape (columns,) for rows and () for pictures.
    numeric : Tensor
        Which values are numbers and not codes of categories, bool, shape like `low`.
    """

    low: Tensor
    high: Tensor
    numeric: Tensor


class Corruption(Protocol):
    """Anything that damages records."""

    def __call__(self, raw: Tensor, domain: Domain, generator: torch.Generator) -> Tensor:
        """Return damaged records of the same shape (B, *record), floating point; the input stays as it is."""


@dataclass(frozen=True)
class Gaussian:
    """Normal noise whose standard deviation is a share of the value range; categories stay.

    The share that Vincent et al. (2010, JMLR 11) and most studies call usual is 0.20 to 0.25. The result is not
    clipped to the range.

    Parameters
    ----------
    share : float
        Standard deviation divided by (high - low), above 0.
    sigma : float, optional
        The same in levels of 255, as the literature on pictures counts, instead of a share.

    Examples
    --------
    >>> grey = Domain(torch.tensor(0.0), torch.tensor(255.0), torch.tensor(True))
    >>> pictures = torch.full((4, 28, 28), 128, dtype=torch.uint8)
    >>> noisy = Gaussian(0.2)(pictures, grey, torch.Generator().manual_seed(0))
    >>> round(noisy.std().item() / 255, 2)
    0.2
    """

    share: float = 0.2
    sigma: InitVar[float | None] = field(default=None, kw_only=True)

    def __post_init__(self, sigma: float | None) -> None:
        if sigma is not None:
            object.__setattr__(self, "share", sigma / _LEVELS)
        check_share("gaussian", self.share, most=10.0)

    def __call__(self, raw: Tensor, domain: Domain, generator: torch.Generator) -> Tensor:
        """Return the records with noise added."""
        values = floating(raw)
        deviation = self.share * (domain.high - domain.low) * domain.numeric
        noise = torch.randn(values.shape, generator=generator, device=values.device, dtype=torch.float32)
        return values + noise * deviation.to(values.dtype)


@dataclass(frozen=True)
class Masking:
    """Values lost at random, each with the same probability, as missing cells or pixels.

    Parameters
    ----------
    share : float
        Probability, above 0 and below 1.
    """

    share: float = 0.25

    def __post_init__(self) -> None:
        check_share("masking", self.share)

    def __call__(self, raw: Tensor, domain: Domain, generator: torch.Generator) -> Tensor:
        """Return the records with NaN where values were lost."""
        values = floating(raw)
        return values.masked_fill(_uniform(values, generator) < self.share, float("nan"))


@dataclass(frozen=True)
class SaltAndPepper:
    """Numbers replaced at random by the smallest or the largest value of the range; categories stay.

    Parameters
    ----------
    share : float
        Probability that a value is replaced, above 0 and below 1.
    """

    share: float = 0.1

    def __post_init__(self) -> None:
        check_share("salt_and_pepper", self.share)

    def __call__(self, raw: Tensor, domain: Domain, generator: torch.Generator) -> Tensor:
        """Return the records with extreme values sprinkled in."""
        values = floating(raw)
        chance = _uniform(values, generator)
        low, high = domain.low.to(values.dtype), domain.high.to(values.dtype)
        salted = torch.where((chance < self.share / 2) & domain.numeric, low, values)
        return torch.where((chance > 1 - self.share / 2) & domain.numeric, high, salted)


@dataclass(frozen=True)
class FeatureSwap:
    """Values replaced at random by the same column's (or pixel's) value in another record of the batch.

    It keeps every column's own distribution, so it suits tables of mixed columns, categories included.

    Parameters
    ----------
    share : float
        Probability that a value is replaced, above 0 and below 1.
    """

    share: float = 0.15

    def __post_init__(self) -> None:
        check_share("feature_swap", self.share)

    def __call__(self, raw: Tensor, domain: Domain, generator: torch.Generator) -> Tensor:
        """Return the records with some values taken from other records."""
        values = floating(raw)
        flat = values.flatten(1)
        others = torch.randint(len(flat), flat.shape, generator=generator, device=flat.device)
        swapped = torch.where(_uniform(flat, generator) < self.share, flat.gather(0, others), flat)
        return swapped.view_as(values)


@dataclass(frozen=True)
class Both:
    """One corruption after the other."""

    first: Corruption
    second: Corruption

    def __call__(self, raw: Tensor, domain: Domain, generator: torch.Generator) -> Tensor:
        """Return the records damaged twice."""
        return self.second(self.first(raw, domain, generator), domain, generator)


@dataclass(frozen=True)
class Either:
    """One corruption or the other, drawn for every record."""

    first: Corruption
    second: Corruption
    first_share: float = 0.5

    def __call__(self, raw: Tensor, domain: Domain, generator: torch.Generator) -> Tensor:
        """Return the records damaged in one way or the other."""
        chosen = torch.rand(len(raw), generator=generator, device=raw.device) < self.first_share
        damaged = floating(raw).clone()
        for part, own in ((self.first, chosen), (self.second, ~chosen)):
            if bool(own.any()):
                damaged[own] = part(raw[own], domain, generator)
        return damaged


def floating(raw: Tensor) -> Tensor:
    """Return records as floats; those that are stay as they are."""
    return raw if raw.is_floating_point() else raw.to(torch.float32)


def _uniform(values: Tensor, generator: torch.Generator) -> Tensor:
    return torch.rand(values.shape, generator=generator, device=values.device)


def check_share(name: str, share: float, most: float = 1.0) -> None:
    """Refuse a share that is not possible.

    Raises
    ------
    ParameterError
    """
    if not 0 < share < most:
        raise ParameterError(f"{name}({share}) is not possible; the share must be above 0 and below {most:g}")
