"""How far the rebuilt record is from the record: one number per column or pixel."""

from collections.abc import Sequence
from math import prod
from typing import Literal, Protocol

import torch
from torch import Tensor, nn
from torch.nn import functional

from refold.nets import AutoencoderNet

Reduction = Literal["none", "mean"]


class NumberError(Protocol):
    """How far numbers are from their targets."""

    def __call__(
        self, outputs: Tensor, targets: Tensor, activation: nn.Module, reduction: Reduction = "none"
    ) -> Tensor:
        """Return the error of every number, or with reduction="mean" their mean, which is quicker."""


def squared(outputs: Tensor, targets: Tensor, activation: nn.Module, reduction: Reduction = "none") -> Tensor:
    """Return the squared difference."""
    return functional.mse_loss(activation(outputs), targets, reduction=reduction)


def absolute(outputs: Tensor, targets: Tensor, activation: nn.Module, reduction: Reduction = "none") -> Tensor:
    """Return the absolute difference."""
    return functional.l1_loss(activation(outputs), targets, reduction=reduction)


def cross_entropy(outputs: Tensor, targets: Tensor, activation: nn.Module, reduction: Reduction = "none") -> Tensor:
    """Return the binary cross-entropy (in nats) of targets in 0 to 1; its minimum is 0 only at 0 and 1."""
    if isinstance(activation, nn.Sigmoid):
        return functional.binary_cross_entropy_with_logits(outputs, targets, reduction=reduction)
    probabilities: Tensor = activation(outputs).clamp(1e-6, 1 - 1e-6)
    errors = -(targets * probabilities.log() + (1 - targets) * (1 - probabilities).log())
    return errors if reduction == "none" else errors.mean()


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
    return feature_errors(error, net.scaling.categories, net.output_activation, outputs, targets)


def feature_errors(
    error: NumberError, categories: Sequence[int], activation: nn.Module, outputs: Tensor, targets: Tensor
) -> Tensor:
    """Return the error of every column as `column_errors` does, for features with these blocks of category scores."""
    outputs, targets = outputs.flatten(1).float(), targets.flatten(1)
    if not categories:
        return error(outputs, targets, activation)
    count = outputs.shape[1] - sum(categories)
    parts = [error(outputs[:, :count], targets[:, :count], activation)]
    sizes = list(categories)
    blocks = zip(torch.split(outputs[:, count:], sizes, 1), torch.split(targets[:, count:], sizes, 1), strict=True)
    parts += [-(target * functional.log_softmax(scores, 1)).sum(1, keepdim=True) for scores, target in blocks]
    return torch.cat(parts, dim=1)


def mean_error(errors: Tensor, seen: Tensor | None) -> Tensor:
    """Return the mean error of each record over the columns that were seen, shape (B,); 0 where none was."""
    if seen is None:
        return errors.mean(1)
    return (errors * seen).sum(1) / seen.sum(1).clamp(min=1)


def batch_error(
    error: NumberError, net: AutoencoderNet, outputs: Tensor, targets: Tensor, seen: Tensor | None
) -> Tensor:
    """Return the mean error of a batch: `mean_error` of its `column_errors`, averaged over records."""
    if seen is None and not net.scaling.categories:
        return error(outputs.float(), targets, net.output_activation, reduction="mean")
    return mean_error(column_errors(error, net, outputs, targets), seen).mean()


def column_count(net: AutoencoderNet) -> int:
    """Return how many columns or pixels a record's error is a mean over; a category column counts once."""
    categories = net.scaling.categories
    return prod(net.scaling.feature_shape) - sum(categories) + len(categories)
