"""The way through the code on which decoded records change least, among the codes of others if these are given."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from refold._errors import DataError
from refold.nets import AutoencoderNet

Array = NDArray[Any]

_ROUNDS, _RATE = 300, 0.02  # of shortening a way, and its rate in parts of the distance between its ends
_AT_ONCE = 64  # ways
_MOST_AMONG, _NEAREST = 2_000, 5  # codes to stay among, and how many of them say how near they are
_FAR = 2.0  # by how much more a step counts that is as far from other codes as these usually are from each other
_FINER = 8  # parts of a step, by whose lengths steps are made equal


@dataclass(frozen=True, eq=False)
class Ground:
    """Codes of records, among which a way is easy.

    Parameters
    ----------
    codes : Tensor of shape (m, k)
    usual : float
        How far codes are from those around them.
    """

    codes: Tensor
    usual: float

    @classmethod
    def of(cls, codes: Array, device: torch.device) -> "Ground":
        """Return the ground that codes are; of many, 2,000 evenly.

        Raises
        ------
        DataError
            If there are fewer than two.
        """
        if len(codes) < 2:
            raise DataError(f"a way cannot stay among {len(codes)} records; give two at least, and better hundreds")
        some = codes[np.unique(np.linspace(0, len(codes) - 1, min(len(codes), _MOST_AMONG)).astype(int))]
        places = torch.from_numpy(some).to(device)
        apart = torch.cdist(places, places).topk(min(len(some), _NEAREST + 1), largest=False).values[:, 1:]
        return cls(places, max(float(apart.mean(1).median()), 1e-6))

    def hardship(self, places: Tensor) -> Tensor:
        """Return how much steps count at places (n, k): 1 on the ground, and more the farther from it."""
        count = min(len(self.codes), _NEAREST)
        away = torch.cdist(places, self.codes).topk(count, largest=False).values.mean(1)
        return 1 + _FAR * (away / self.usual).square()


def geodesics(net: AutoencoderNet, lines: Array, among: Array | None) -> Array:
    """Return ways along which features change least in all, in about equal steps.

    Parameters
    ----------
    net : AutoencoderNet
    lines : ndarray of shape (n, steps, k), float32
        From where to where, and the first ways.
    among : ndarray of shape (m, k), float32, optional
        Codes that ways stay among.

    Returns
    -------
    ways : ndarray of shape (n, steps, k), float32
        With the ends of the lines.

    Raises
    ------
    DataError
        If there are fewer than two codes to stay among.
    """
    device = net.scaling.center.device
    ground = None if among is None else Ground.of(among, device)
    parts = (torch.from_numpy(lines[at : at + _AT_ONCE]).to(device) for at in range(0, len(lines), _AT_ONCE))
    return np.concatenate([_shortest(net.features_of, part, ground).cpu().numpy() for part in parts])


def changes(features: Callable[[Tensor], Tensor], ways: Tensor) -> Tensor:
    """Return by how much features change from step to step (n, steps - 1)."""
    seen = features(ways.flatten(0, 1)).reshape(*ways.shape[:2], -1)
    lengths: Tensor = torch.linalg.vector_norm(seen[:, 1:] - seen[:, :-1], dim=2)
    return lengths


def _shortest(features: Callable[[Tensor], Tensor], lines: Tensor, ground: Ground | None) -> Tensor:
    ends = (lines[:, -1:] - lines[:, :1]).norm(dim=2, keepdim=True).clamp(min=1e-6)
    moved = torch.zeros_like(lines[:, 1:-1], requires_grad=True)
    optimizer = torch.optim.Adam([moved], lr=_RATE)

    def way() -> Tensor:
        return torch.cat([lines[:, :1], lines[:, 1:-1] + ends * moved, lines[:, -1:]], 1)

    for turn in range(_ROUNDS):
        optimizer.param_groups[0]["lr"] = _RATE * (1 - turn / _ROUNDS)
        (moved.grad,) = torch.autograd.grad(_energy(features, way(), ground), moved)
        optimizer.step()
    found = way().detach()
    return found if ground is None else _in_equal_steps(features, found)


def _energy(features: Callable[[Tensor], Tensor], ways: Tensor, ground: Ground | None) -> Tensor:
    squares = changes(features, ways).square()
    if ground is not None:
        middles = (ways[:, 1:] + ways[:, :-1]) / 2
        squares = squares * ground.hardship(middles.flatten(0, 1)).view(squares.shape)
    return squares.sum()


@torch.no_grad()
def _in_equal_steps(features: Callable[[Tensor], Tensor], ways: Tensor) -> Tensor:
    """Return the same ways with steps in which features change alike: on hard ground they were small."""
    shares = torch.arange(_FINER, device=ways.device)[:, None] / _FINER
    parts = torch.lerp(ways[:, :-1, None], ways[:, 1:, None], shares.to(ways.dtype))
    fine = torch.cat([parts.flatten(1, 2), ways[:, -1:]], 1)
    gone = torch.nn.functional.pad(changes(features, fine).cumsum(1), (1, 0))
    wanted = torch.linspace(0, 1, ways.shape[1], device=ways.device) * gone[:, -1:]
    after = torch.searchsorted(gone, wanted).clamp(1, gone.shape[1] - 1)
    start, end = gone.gather(1, after - 1), gone.gather(1, after)
    share = ((wanted - start) / (end - start).clamp(min=1e-12)).clamp(0, 1)[..., None]
    return torch.lerp(_taken(fine, after - 1), _taken(fine, after), share)


def _taken(ways: Tensor, places: Tensor) -> Tensor:
    return ways.gather(1, places[..., None].expand(-1, -1, ways.shape[2]))
