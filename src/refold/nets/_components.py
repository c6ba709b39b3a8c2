"""Begin where principal components end: a network with shortcuts starts as PCA and learns what PCA cannot."""

from math import prod
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from sklearn.utils.extmath import randomized_svd
from torch import Tensor

from refold.nets._dense import WithShortcut
from refold.nets._net import AutoencoderNet

_MOST_RECORDS = 5_000
_MOST_VALUES = 1 << 27
_EXACT_UP_TO = 512  # above it, the components are found by random projection (Halko et al. 2011)


def start_from_components(net: AutoencoderNet, numbers: NDArray[Any], seed: int) -> None:
    """Set the shortcuts of `net` to the principal components of raw records; without shortcuts, do nothing.

    Codes start with the deviation that the components have, divided by the largest of them.

    Parameters
    ----------
    net : AutoencoderNet
    numbers : ndarray of shape (n, *raw_shape)
    seed : int
        Draws the records looked at where there are more than 5,000.
    """
    encoder, decoder = net.encoder, net.decoder
    if not isinstance(encoder, WithShortcut) or not isinstance(decoder, WithShortcut):
        return
    inputs, targets = _features(net, _some(numbers, seed))
    size = min(net.latent_dim, *targets.shape)
    mean = targets.mean(0)
    values, components = _components(targets - mean, size, seed)
    scale = (values[0] / len(targets) ** 0.5).clamp(min=1e-6)
    directions = torch.zeros(net.latent_dim, targets.shape[1], dtype=targets.dtype)
    directions[:size] = components[:size] / scale
    _start(encoder, decoder, directions, mean, scale, inputs.shape[1])


def _components(centred: Tensor, size: int, seed: int) -> tuple[Tensor, Tensor]:
    """Return the largest singular values (size,) and their directions (size, features)."""
    if min(centred.shape) <= _EXACT_UP_TO:
        _, values, components = torch.linalg.svd(centred, full_matrices=False)
        return values[:size], components[:size]
    _, some_values, directions = randomized_svd(centred.numpy(), size, random_state=seed)
    return torch.from_numpy(some_values), torch.from_numpy(directions)


def _start(
    encoder: WithShortcut, decoder: WithShortcut, directions: Tensor, mean: Tensor, scale: Tensor, width: int
) -> None:
    codes = encoder.straight.out_features  # twice the directions when variational: log-variances start at 0
    weight = torch.zeros(codes, width, dtype=directions.dtype)
    weight[: len(directions), : directions.shape[1]] = directions
    encoder.start_straight(weight, -weight[:, : len(mean)] @ mean)
    decoder.start_straight(directions.T * scale**2, mean)


def _some(numbers: NDArray[Any], seed: int) -> NDArray[Any]:
    most = min(_MOST_RECORDS, _MOST_VALUES // prod(numbers.shape[1:]))
    if len(numbers) <= most:
        return numbers
    return numbers[np.sort(np.random.RandomState(seed).permutation(len(numbers))[:most])]


@torch.no_grad()
def _features(net: AutoencoderNet, numbers: NDArray[Any]) -> tuple[Tensor, Tensor]:
    raw = torch.from_numpy(np.array(numbers))
    inputs = net.scaling.inputs(raw).flatten(1)
    targets, _ = net.scaling.targets(raw)
    return inputs, targets.flatten(1)
