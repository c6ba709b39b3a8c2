"""Normalisation that leaves bfloat16 as it is, where autocast would widen every value and narrow it again."""

import torch
from torch import Tensor, nn
from torch.nn import functional


class LayerNorm(nn.LayerNorm):
    """Layer normalisation; on a processor bfloat16 goes in and out, with statistics in float32 inside."""

    def forward(self, input: Tensor) -> Tensor:
        """Return the normalised input in its own dtype."""
        if not _is_short(input):
            return super().forward(input)
        with torch.autocast("cpu", enabled=False):
            return functional.layer_norm(input, self.normalized_shape, self.weight, self.bias, self.eps)


class GroupNorm(nn.GroupNorm):
    """Group normalisation; on a processor bfloat16 goes in and out, with statistics in float32 inside."""

    def forward(self, input: Tensor) -> Tensor:
        """Return the normalised input in its own dtype."""
        if not _is_short(input):
            return super().forward(input)
        with torch.autocast("cpu", enabled=False):
            return functional.group_norm(input, self.num_groups, self.weight, self.bias, self.eps)


def _is_short(input: Tensor) -> bool:
    return input.dtype == torch.bfloat16 and input.device.type == "cpu"
