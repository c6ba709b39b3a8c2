"""Training of an ensemble of denoising autoencoders: a fixed number of steps over a wide range of noise."""

from collections.abc import Callable
from dataclasses import dataclass
from math import cos, log, pi

import torch
from torch import Tensor

from refold._errors import DivergedError
from refold.nets import Ensemble, SequenceEnsemble
from refold.train._placement import with_threads

BatchLoss = Callable[[Tensor, Tensor], Tensor]
Corrupt = Callable[[Tensor, torch.Generator], Tensor]
Told = Callable[[int, int], None]

_WARM_UP = 10
_TOLD_EVERY = 20


@dataclass(frozen=True)
class EnsemblePlan:
    """How an ensemble is trained.

    Parameters
    ----------
    steps : int
    batch_size : int
        Records of each member in a step.
    learning_rate : float
        Falls along a half cosine.
    weight_decay : float
    threads : int
    seed : int
    """

    steps: int = 400
    batch_size: int = 128
    learning_rate: float = 3e-3
    weight_decay: float = 1e-2
    threads: int = 1
    seed: int = 0


def draw_bags(size: int, members: int, share: float, seed: int) -> Tensor:
    """Return which records each member learns from, bool (members, size).

    The parts left out follow each other around the records, so that with ``members * (1 - share) >= 1`` every record
    is left out by some member.

    Examples
    --------
    >>> bags = draw_bags(10, 5, 0.8, seed=0)
    >>> bags.sum(dim=1).tolist(), bool((~bags).any(dim=0).all())
    ([8, 8, 8, 8, 8], True)
    """
    order = torch.randperm(size, generator=torch.Generator().manual_seed(seed))
    kept = min(size, max(1, round(share * size)))
    bags = torch.zeros(members, size, dtype=torch.bool)
    for member in range(members):
        bags[member, torch.roll(order, (member * size) // members)[:kept]] = True
    return bags


def train_ensemble(
    net: Ensemble | SequenceEnsemble,
    inputs: Tensor,
    loss: BatchLoss,
    corrupt: Corrupt,
    bags: Tensor,
    plan: EnsemblePlan,
    told: Told | None = None,
) -> None:
    """Train every member of an ensemble on its own records, in place.

    Parameters
    ----------
    net : Ensemble or SequenceEnsemble
    inputs : Tensor of shape (n, inputs)
        What the encoder sees of all records, without noise.
    loss : callable
        From outputs (members, B, outputs) and the records' places (members, B) to the sum of the members' errors.
    corrupt : callable
        From inputs (members, B, inputs) and a generator to what the encoder sees of them.
    bags : Tensor of shape (members, n), bool
    plan : EnsemblePlan
    told : callable, optional
        Called now and then with steps done and steps in all.

    Raises
    ------
    DivergedError
        If the weights leave the finite numbers.
    """
    generator = torch.Generator().manual_seed(plan.seed)
    places = _places(bags)
    optimizer = torch.optim.AdamW(
        net.parameters(),
        plan.learning_rate,
        weight_decay=plan.weight_decay,
        fused=inputs.device.type in ("cpu", "cuda"),
    )
    net.train()
    with with_threads(plan.threads):
        for step in range(plan.steps):
            _set_rate(optimizer, plan, step)
            chosen = _draw(places, plan.batch_size, generator).to(inputs.device)
            outputs = net(corrupt(inputs[chosen], generator))
            value = loss(outputs, chosen)
            optimizer.zero_grad(set_to_none=True)
            value.backward()  # type: ignore[no-untyped-call]
            optimizer.step()
            if told is not None and (step + 1) % _TOLD_EVERY == 0:
                told(step + 1, plan.steps)
    net.eval()
    if not all(bool(torch.isfinite(weight).all()) for weight in net.parameters()):
        raise DivergedError("training left the finite numbers; look for values of very different size in one column")


def _places(bags: Tensor) -> Tensor:
    """Return the places of each member's records, (members, kept); all keep equally many."""
    return torch.stack([torch.nonzero(bag).flatten() for bag in bags])


def _set_rate(optimizer: torch.optim.Optimizer, plan: EnsemblePlan, step: int) -> None:
    rate = plan.learning_rate * (1 + cos(pi * step / plan.steps)) / 2 * min(1.0, (step + 1) / _WARM_UP)
    for group in optimizer.param_groups:
        group["lr"] = rate


def _draw(places: Tensor, batch_size: int, generator: torch.Generator) -> Tensor:
    drawn = torch.randint(places.shape[1], (len(places), batch_size), generator=generator)
    return places.gather(1, drawn)


def row_noise(noisy: int, limits: tuple[float, float] = (0.05, 2.0)) -> Corrupt:
    """Return Gaussian noise of which every record draws its own standard deviation, log-uniformly.

    Parameters
    ----------
    noisy : int
        How many of the inputs get noise, from the first one on; flags of missing cells do not.
    limits : (low, high)
        Of the standard deviations. The network is not told which a record has.
    """

    def corrupt(inputs: Tensor, generator: torch.Generator) -> Tensor:
        deviations = _deviations(inputs.shape[:2], limits, generator)
        noise = deviations * torch.randn((*inputs.shape[:2], noisy), generator=generator)
        return _added(inputs, noise)

    return corrupt


def window_noise(steps: int, features: int, limits: tuple[float, float] = (0.05, 2.0)) -> Corrupt:
    """Return such noise for windows of `steps` times `features` inputs, and beside it one shift of every feature."""

    def corrupt(inputs: Tensor, generator: torch.Generator) -> Tensor:
        batch = inputs.shape[:2]
        deviations = _deviations(batch, limits, generator)
        noise = torch.randn((*batch, steps, features), generator=generator)
        noise = noise + torch.randn((*batch, 1, features), generator=generator)
        return _added(inputs, deviations * noise.flatten(2))

    return corrupt


def _deviations(batch: torch.Size, limits: tuple[float, float], generator: torch.Generator) -> Tensor:
    low, high = log(limits[0]), log(limits[1])
    return torch.exp(torch.rand((*batch, 1), generator=generator) * (high - low) + low)


def _added(inputs: Tensor, noise: Tensor) -> Tensor:
    noisy = noise.shape[-1]
    changed = inputs[..., :noisy] + noise.to(inputs.device)
    return changed if noisy == inputs.shape[-1] else torch.cat([changed, inputs[..., noisy:]], dim=-1)
