"""Small denoising autoencoders for pictures: one for any size, one for small pictures of equal size."""

import torch
from torch import Tensor, nn
from torch.nn import functional

_SLOPE = 0.1


class PictureNet(nn.Module):
    """A convolutional autoencoder whose code has one place for 8 x 8 pixels; takes pictures of any size.

    Parameters
    ----------
    channels : int
    width : int
        Channels of the first layer; the others have twice as many.
    code : int
        Numbers of the code at each of its places.
    """

    def __init__(self, channels: int, width: int = 16, code: int = 8) -> None:
        super().__init__()
        wide = 2 * width
        self.encoder = nn.Sequential(
            *_halving(channels, width), *_halving(width, wide), *_halving(wide, wide), nn.Conv2d(wide, code, 1)
        )
        self.decoder = nn.Sequential(
            *(nn.Conv2d(code, wide, 1), nn.LeakyReLU(_SLOPE)),
            *_doubling(wide, wide),
            *_doubling(wide, width),
            *(nn.Conv2d(width, 4 * channels, 3, 1, 1), nn.PixelShuffle(2)),
        )

    def forward(self, pictures: Tensor) -> Tensor:
        """Return pictures (B, channels, H, W) rebuilt."""
        height, width = pictures.shape[-2:]
        padded = functional.pad(pictures, (0, -width % 8, 0, -height % 8), mode="replicate")
        rebuilt: Tensor = self.decoder(self.encoder(padded))
        return rebuilt[..., :height, :width]


def _halving(channels: int, width: int) -> tuple[nn.Module, ...]:
    return nn.Conv2d(channels, width, 3, 2, 1), nn.LeakyReLU(_SLOPE)


def _doubling(channels: int, width: int) -> tuple[nn.Module, ...]:
    return nn.Conv2d(channels, 4 * width, 3, 1, 1), nn.LeakyReLU(_SLOPE), nn.PixelShuffle(2)


class SmallPictureNet(nn.Module):
    """A dense autoencoder for pictures of one size.

    Parameters
    ----------
    shape : tuple of int
        Of a picture, (channels, H, W).
    width : int
        Units of the hidden layers.
    code : int
    """

    def __init__(self, shape: tuple[int, int, int], width: int = 384, code: int = 64) -> None:
        super().__init__()
        pixels = shape[0] * shape[1] * shape[2]
        self.encoder = nn.Sequential(nn.Linear(pixels, width), nn.LeakyReLU(_SLOPE), nn.Linear(width, code))
        self.decoder = nn.Sequential(
            *(nn.LeakyReLU(_SLOPE), nn.Linear(code, width)), *(nn.LeakyReLU(_SLOPE), nn.Linear(width, pixels))
        )

    def forward(self, pictures: Tensor) -> Tensor:
        """Return pictures (B, *shape) rebuilt."""
        rebuilt: Tensor = self.decoder(self.encoder(torch.flatten(pictures, 1)))
        return rebuilt.view_as(pictures)
