"""Teaching a network to rebuild whole pictures from damaged ones."""

from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.nn import functional

from refold.train._placement import with_threads

Damage = Callable[[Tensor, torch.Generator], Tensor]

_LEAST_NOISE, _NOISE_RANGE = 0.05, 40.0


@dataclass(frozen=True)
class DenoisingPlan:
    """How long and how fast.

    Parameters
    ----------
    steps : int
    batch_size : int
    rate : float
        Highest learning rate; it rises and falls in one cycle.
    weight_decay : float
    threads : int
    """

    steps: int
    batch_size: int
    rate: float
    weight_decay: float = 1e-2
    threads: int = 1


def train_denoiser(
    net: nn.Module,
    pictures: Tensor,
    damage: Damage,
    plan: DenoisingPlan,
    seed: int,
    stepped: Callable[[], None] | None = None,
) -> None:
    """Train a network in place to make pictures of damaged pictures, by their squared error.

    Parameters
    ----------
    net : torch.nn.Module
        From (B, C, H, W) to the same.
    pictures : Tensor of shape (n, C, H, W)
        Where the network is.
    damage : callable
        From a batch and a generator to the damaged batch.
    plan : DenoisingPlan
    seed : int
        Of the generator.
    stepped : callable, optional
        Called after every step.
    """
    generator = torch.Generator().manual_seed(seed)
    optimizer = torch.optim.AdamW(net.parameters(), plan.rate, weight_decay=plan.weight_decay)
    # one-cycle needs a step to rise and one to fall
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimizer, plan.rate, total_steps=max(plan.steps, 4))
    with with_threads(plan.threads):
        for _ in range(plan.steps):
            places = torch.randint(len(pictures), (plan.batch_size,), generator=generator)
            whole = pictures[places.to(pictures.device)].float()
            loss = functional.mse_loss(net(damage(whole, generator)), whole)
            optimizer.zero_grad()
            loss.backward()  # type: ignore[no-untyped-call]
            optimizer.step()
            schedule.step()
            if stepped is not None:
                stepped()
    net.eval()


def wide_noise(pictures: Tensor, generator: torch.Generator) -> Tensor:
    """Return pictures with Gaussian noise whose deviation is drawn for each, from 0.05 to 2, log-uniformly."""
    strength = _LEAST_NOISE * _NOISE_RANGE ** torch.rand(len(pictures), 1, 1, 1, generator=generator)
    noise = strength * torch.randn(pictures.shape, generator=generator)
    return pictures + noise.to(pictures.device)


def hidden_blocks(side: int, most: float) -> Damage:
    """Return a damage that hides up to a share `most` of every picture, in blocks of `side` x `side` pixels."""

    def hide(pictures: Tensor, generator: torch.Generator) -> Tensor:
        size, (height, width) = len(pictures), pictures.shape[-2:]
        share = most * torch.rand(size, 1, 1, 1, generator=generator)
        drawn = torch.rand(size, 1, -(-height // side) + 1, -(-width // side) + 1, generator=generator) < share
        blocks = functional.interpolate(drawn.float(), scale_factor=side)
        top, left = (int(start) for start in torch.randint(side, (2,), generator=generator))
        return pictures * (1 - blocks[..., top : top + height, left : left + width].to(pictures.device))

    return hide
