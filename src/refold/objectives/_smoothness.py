"""A decoder that stretches the code alike everywhere."""

from dataclasses import dataclass

import torch
from torch import Tensor

from refold.nets import AutoencoderNet

_BEYOND = 0.2  # parts of the way between two codes by which the way goes on behind them
_STEP = 0.1  # in deviations of the codes; a difference costs a fifth of what an exact derivative does
_FLOOR = 1e-3  # of the mean square: a direction that moves nothing does not pull without end


@dataclass(frozen=True)
class Smooth:
    """How differently features move when the code moves: the variance of the logarithm of their speed.

    At codes, and between them, the code takes a small step in a random direction. Where the decoder is an isometry
    up to one scale, every step moves features equally far. The scale itself is free, so that nothing is asked of
    the size of the code. Lee, Yoon, Son and Park (2022, ICLR) compare moments of the decoder's Jacobian, between
    codes too, and Nazari, Damrich and Hamprecht (2023, ICML) take the variance of the logarithm of areas; random
    directions see areas and shapes at once, and cost one more pass through the decoder, whatever the network.

    Parameters
    ----------
    weight : float
        Above 0.
    """

    weight: float
    name = "smoothness"

    def __call__(self, net: AutoencoderNet, code: Tensor, generator: torch.Generator) -> Tensor:
        """Return the weighted value of each record, shape (B,).

        Parameters
        ----------
        net : AutoencoderNet
            Its decoder learns from this, its encoder does not.
        code : Tensor of shape (B, latent_dim), float32
        generator : torch.Generator
        """
        places = _between(code.detach(), generator)
        step = _directions(places, generator) * (_STEP * code.detach().std(0, correction=0).mean().clamp(min=1e-6))
        squares = _moved(net, places, step).square().sum(1)
        logarithms = 0.5 * torch.log(squares / (squares.mean() + torch.finfo(squares.dtype).tiny) + _FLOOR)
        return self.weight * (logarithms - logarithms.mean()).square()


def _between(code: Tensor, generator: torch.Generator) -> Tensor:
    """Return places on the lines through codes and others of the batch."""
    others = code[torch.randperm(len(code), generator=generator, device=code.device)]
    share = torch.rand(len(code), 1, generator=generator, device=code.device)
    return torch.lerp(code, others, share * (1 + 2 * _BEYOND) - _BEYOND)


def _directions(code: Tensor, generator: torch.Generator) -> Tensor:
    drawn = torch.randn(code.shape, generator=generator, device=code.device)
    directions: Tensor = drawn / drawn.norm(dim=1, keepdim=True).clamp(min=1e-6)
    return directions


def _moved(net: AutoencoderNet, places: Tensor, step: Tensor) -> Tensor:
    """Return by how much features (B, columns) differ between both ends of steps, decoded as after training."""
    training = net.decoder.training
    net.decoder.eval()  # else chance in a user's layers would move features too
    with torch.autocast(places.device.type, enabled=False):  # small differences need all digits
        features = net.features_of(torch.cat([places + step, places - step]))
    net.decoder.train(training)
    ahead, behind = features.chunk(2)
    return ahead - behind
