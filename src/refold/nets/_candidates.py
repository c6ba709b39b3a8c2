"""Codes that are the likeliest of several candidates, so that what is alike need not lie side by side."""

from typing import NamedTuple

import torch
from torch import Tensor, nn
from torch.nn import functional

_START = 0.25  # of the weights, so that at first candidates differ from each other more than from record to record
_LEAD = 3.0  # in logarithms of chances


class Candidates(NamedTuple):
    """Where the codes of records may be.

    Parameters
    ----------
    places : Tensor of shape (B, K, latent_dim)
    log_chances : Tensor of shape (B, K)
        Logarithms of shares that sum to 1.
    """

    places: Tensor
    log_chances: Tensor


class Likeliest(nn.Module):
    """Takes the candidate with the highest score.

    A network is continuous: between two groups whose records are hardly alike it must lead over everything that lies
    between them on the map, and records of which it is unsure get codes there. A network that proposes several places
    and says how likely each is (a mixture density network, Bishop 1994) can jump.

    Parameters
    ----------
    latent_dim, count : int
        Numbers of a code, and candidates.

    Notes
    -----
    What goes in are proposals (B, count * (latent_dim + 1)): the places of all candidates, then their scores. The
    code is put before them, so that an encoder's result begins with the code whether it is chosen or not.
    """

    def __init__(self, latent_dim: int, count: int) -> None:
        super().__init__()
        self.latent_dim, self.count = latent_dim, count

    def forward(self, proposed: Tensor) -> Tensor:
        """Return the code and behind it what was proposed, (B, latent_dim + count * (latent_dim + 1))."""
        places, scores = split_candidates(proposed, self.latent_dim, self.count)
        best = scores.argmax(1)[:, None, None].expand(-1, 1, self.latent_dim)
        return torch.cat([places.gather(1, best)[:, 0], proposed], 1)


def proposed_size(latent_dim: int, count: int) -> int:
    """Return how many numbers propose so many candidates."""
    return count * (latent_dim + 1)


def split_candidates(proposed: Tensor, latent_dim: int, count: int) -> tuple[Tensor, Tensor]:
    """Return places (B, count, latent_dim) and scores (B, count)."""
    places, scores = proposed[:, : count * latent_dim], proposed[:, count * latent_dim :]
    return places.reshape(-1, count, latent_dim), scores


def moved(chosen: Tensor, move: Tensor, count: int) -> Tensor:
    """Return what `Likeliest` gives, (B, ...), with the code and all places moved by (B, latent_dim)."""
    return chosen + functional.pad(move.repeat(1, 1 + count), (0, count))


@torch.no_grad()
def prefer_first(proposing: nn.Module, latent_dim: int, count: int) -> None:
    """Let the first candidate begin at 0 with the highest score, and the others around it."""
    assert isinstance(proposing, nn.Linear)
    proposing.bias[:latent_dim].zero_()
    proposing.bias[count * latent_dim] = _LEAD


def choosing(encoder: nn.Sequential, latent_dim: int, count: int) -> nn.Sequential:
    """Return an encoder that takes the likeliest of what its last layer, a linear one, proposes."""
    last = encoder[-1]
    assert isinstance(last, nn.Linear)
    with torch.no_grad():
        last.weight.mul_(_START)
        last.bias[: count * latent_dim].normal_()
        last.bias[count * latent_dim :].zero_()
    return encoder.append(Likeliest(latent_dim, count))
