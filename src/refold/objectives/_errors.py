"""How far the rebuilt record is from the record: one number per column or pixel."""

from collections.abc import Callable

import torch
from torch import Tensor, nn
from torch.nn import functional

from refold.nets import AutoencoderNet

NumberError = Callable[[Tensor, Tensor, nn.Module], Tensor]


def squared(outputs: Tensor, targets: Tensor, activation: nn.Module) -> Tensor:
    """Return the squared difference."""
    return functional.mse_loss(activation(outputs), targets, reduction="none")  # one kernel each way


def absolute(outputs: Tensor, targets: Tensor, activation: nn.Module) -> Tensor:
    """Return the absolute difference."""
    return functional.l1_loss(activation(outputs), targets, reduction="none")


def cross_entropy(outputs: Tensor, targets: Tensor, activation: nn.Module) -> Tensor:
    """Return the binary cross-entropy (in nats) of targets in 0 to 1; its minimum is 0 only at 0 and 1."""
    if isinstance(activation, nn.Sigmoid):
        return functional.binary_cross_entropy_with_logits(outputs, targets, reduction="none")
    probabilities: Tensor = activation(outputs).clamp(1e-6, 1 - 1e-6)
    return -(targets * probabilities.log() + (1 - targets) * (1 - probabilities).log())


ERRORS: dict[str, NumberError] = {"squared": squared, "absolute": absolute, "cross_entropy": cross_entropy}


def column_errors(error: NumberError, net: AutoencoderNet, outputs: Tensor, targets: Tensor) -> Tensor:
    """Return the error of every column or pixel, float32 (B, columns): numbers first, then categories.

    A category column's error is the log-loss of its scores, in nats.

    Parameters
    ----------
    error : callable
        A value of `ERRORS`, for the numbers.
    net : AutoencoderNet
    outputs : Tensor of shape (B, *feature_shape)
        The decoder's outputs before its activation.
    targets : Tensor of shape (B, *feature_shape)
    """
    categories = net.scaling.categories
    outputs, targets = outputs.flatten(1).float(), targets.flatten(1)
    if not categories:
        return error(outputs, targets, net.output_activation)
    count = outputs.shape[1] - sum(categories)
    parts = [error(outputs[:, :count], targets[:, :count], net.output_activation)]
    sizes = list(categories)
    blocks = zip(torch.split(outputs[:, count:], sizes, 1), torch.split(targets[:, count:], sizes, 1), strict=True)
    parts += [-(target * functional.log_softmax(scores, 1)).sum(1, keepdim=True) for scores, target in blocks]
    return torch.cat(parts, dim=1)


def mean_error(errors: Tensor, seen: Tensor | None) -> Tensor:
    """Return the mean error of each record over the columns that were seen, shape (B,); 0 where none was."""
    if seen is None:
        return errors.mean(1)
    return (errors * seen).sum(1) / seen.sum(1).clamp(min=1)
