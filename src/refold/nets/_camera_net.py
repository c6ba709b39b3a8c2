"""A small network that says where in a frame of a fixed camera something rises that was not there before."""

import torch
from torch import Tensor, nn
from torch.nn import functional

_NOTHING = -3.0  # logit at the start of training: most of a frame is quiet


class CameraNet(nn.Module):
    """A U-shaped convolutional network of 26,962 parameters; takes views of any size of at least 16 x 16 cells.

    Parameters
    ----------
    channels : int, default=10
        Of the views.
    width : int, default=16
        Channels at half the scale.
    """

    def __init__(self, channels: int = 10, width: int = 16) -> None:
        super().__init__()
        deep, up = 24, 20
        self.at_half = _activated(nn.Conv2d(channels, width, 4, 2, 1), nn.Conv2d(width, width, 3, 1, 1))
        self.at_quarter = _activated(nn.Conv2d(width, deep, 3, 2, 1), nn.Conv2d(deep, deep, 3, 1, 1))
        self.at_eighth = _activated(
            nn.Conv2d(deep, deep, 3, 2, 1, groups=2),
            nn.Conv2d(deep, deep, 3, 1, 2, dilation=2, groups=2),
            nn.Conv2d(deep, deep, 1),
        )
        self.up_to_quarter = _activated(nn.Conv2d(2 * deep, up, 1), nn.Conv2d(up, up, 3, 1, 1))
        self.up_to_half = _activated(nn.Conv2d(up + width, 16, 1), nn.Conv2d(16, 16, 3, 1, 1))
        self.answer = nn.Conv2d(16, 2, 1)
        with torch.no_grad():
            self.answer.bias[0] = _NOTHING  # type: ignore[index] # a convolution with a bias

    def forward(self, views: Tensor) -> Tensor:
        """Return answers (B, 2, H // 2, W // 2) to views (B, channels, H, W).

        The first is the logit of something that has risen, the second what it adds to the logarithm of brightness;
        the second is only asked for in training.
        """
        half = self.at_half(views)
        quarter = self.at_quarter(half)
        seen = _beside(self.at_eighth(quarter), quarter)
        answer: Tensor = self.answer(self.up_to_half(_beside(self.up_to_quarter(seen), half)))
        return answer


def _activated(*layers: nn.Module) -> nn.Sequential:
    return nn.Sequential(*(part for layer in layers for part in (layer, nn.SiLU())))


def _beside(coarse: Tensor, fine: Tensor) -> Tensor:
    """Return maps enlarged to the size of finer ones, and these, as channels side by side."""
    size = fine.shape[-2:]
    return torch.cat([functional.interpolate(coarse, size=size, mode="bilinear", align_corners=False), fine], 1)
