"""What a network for cameras looks at: a frame's change against its reference, freed of the light, and the scene."""

from fractions import Fraction

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.nn import functional

from refold._errors import DataError
from refold.data import LUMINANCE

Grid = NDArray[np.float32]

SMALLEST_FRAME = 64
LARGEST_GRID = 1024
STEP = 4  # sides of grids are multiples of it: the light is measured on a grid four times coarser
VIEWS = 10
CHANGE_BLUR = 1.0
_LEAST_WIDTH, _LEAST_HEIGHT = 160, 88  # of grids; they keep smoke of a few pixels, and the frame's proportions
_LUMINANCE = np.array(LUMINANCE, np.float32)
_DARK = 60.0  # grey levels added before the logarithm, so that noise of dark places stays small
_LIGHT_MEDIAN, _LIGHT_BLUR = 5, 3.0  # cells of the coarse grid
_TEXTURE_FINE, _TEXTURE_WIDE = 1.5, 2.0
_SURROUNDINGS = 12.0
_LEAST_TEXTURE = 0.01
_LEAST_SPREAD = 0.006
_HORIZON_REACH = 30.0
# what the views are divided by, so that the network gets numbers of about one
_USUAL_CHANGE, _USUAL_CONTRAST = 0.03, 0.1


# --- from pictures to grids -----------------------------------------------------------------------------------------


def grid_of(picture: NDArray[np.uint8]) -> Grid:
    """Return the grey grid of a frame: means of areas, in the frame's proportions.

    Parameters
    ----------
    picture : ndarray of shape (H, W, 3) or (H, W), uint8

    Returns
    -------
    grid : ndarray of shape (h, w), float32
        In 0 to 255; see `grid_shape`.

    Raises
    ------
    DataError
        If a side has fewer than 64 pixels, or the shape or type is another.
    """
    if picture.dtype != np.uint8 or not (picture.ndim == 2 or (picture.ndim == 3 and picture.shape[2] == 3)):
        raise DataError(
            f"a frame has shape {picture.shape} and type {picture.dtype}; give (H, W, 3) or (H, W) of uint8"
        )
    shape = grid_shape(*picture.shape[:2])
    grey = picture.astype(np.float32) if picture.ndim == 2 else picture @ _LUMINANCE
    grid: Grid = functional.adaptive_avg_pool2d(torch.from_numpy(grey)[None], shape)[0].numpy()
    return grid


def grid_shape(height: int, width: int) -> tuple[int, int]:
    """Return height and width of the grid of frames of a size.

    It is the smallest grid with at least 160 x 88 cells, rounded down to multiples of four; frames smaller than that
    keep their pixels.

    Raises
    ------
    DataError
        If a side has fewer than 64 pixels, or the grid would be longer than 1024 cells.

    Examples
    --------
    >>> grid_shape(480, 640), grid_shape(1080, 1920), grid_shape(640, 480)
    ((120, 160), (88, 160), (212, 160))
    """
    if min(height, width) < SMALLEST_FRAME:
        raise DataError(f"a frame has {height}x{width} pixels; at least {SMALLEST_FRAME}x{SMALLEST_FRAME} are needed")
    shrink = min(Fraction(1), max(Fraction(_LEAST_WIDTH, width), Fraction(_LEAST_HEIGHT, height)))
    rows, columns = (STEP * int(side * shrink / STEP) for side in (height, width))
    if max(rows, columns) > LARGEST_GRID:
        raise DataError(f"a frame of {height}x{width} pixels is too long and narrow; cut it into several")
    return rows, columns


# --- change ---------------------------------------------------------------------------------------------------------


def log_grey(grey: Tensor) -> Tensor:
    """Return logarithms of grey values: light that doubles adds the same everywhere."""
    return torch.log(grey + _DARK)


def grey_of_log(logs: Tensor) -> Tensor:
    """Return the grey values of `log_grey`."""
    return torch.exp(logs) - _DARK


def light_between(change: Tensor) -> Tensor:
    """Return the wide, smooth part (B, C, H, W) of a change of logarithms: daylight, haze and exposure."""
    height, width = change.shape[-2:]
    coarse = functional.avg_pool2d(change, STEP).flatten(0, 1)[:, None]
    edge = _LIGHT_MEDIAN // 2
    padded = functional.pad(coarse, (edge, edge, edge, edge), "replicate")
    middle = functional.unfold(padded, _LIGHT_MEDIAN).median(1)[0]
    light = blurred(middle.view(*change.shape[:2], *coarse.shape[-2:]), _LIGHT_BLUR)
    return functional.interpolate(light, size=(height, width), mode="bilinear", align_corners=False)


def change_of(frames: Tensor, reference: Tensor) -> Tensor:
    """Return by how much logarithms differ from those of a reference beyond the light, a little blurred.

    Parameters
    ----------
    frames : Tensor of shape (B, C, H, W)
        Grey grids.
    reference : Tensor of shape (B, 1, H, W)
    """
    change = log_grey(frames) - log_grey(reference)
    return blurred(change - light_between(change), CHANGE_BLUR)


# --- views ----------------------------------------------------------------------------------------------------------


def camera_views(frames: Tensor, reference: Tensor, spread: Tensor, horizon: Tensor) -> tuple[Tensor, Tensor]:
    """Return the network's views (B, 10, H, W), and `change_of` the newest frames (B, H, W).

    Parameters
    ----------
    frames : Tensor of shape (B, 3, H, W)
        Grey grids in 0 to 255, the newest first.
    reference : Tensor of shape (B, 1, H, W)
        Grey grids of what the scene looked like.
    spread : Tensor of shape (B, 1, H, W)
        Usual size of changes at each place of the camera.
    horizon : Tensor of shape (B,)
        Row of the horizon.
    """
    newest, scene = log_grey(frames[:, :1]), log_grey(reference)
    change, spread = change_of(frames, reference), spread + _LEAST_SPREAD
    texture = _texture(scene)
    views = [
        _squeezed(change / _USUAL_CHANGE),
        _squeezed(change[:, :1] / spread),
        3 * torch.log((_texture(newest) + _LEAST_TEXTURE) / (texture + _LEAST_TEXTURE)),
        _squeezed((scene - _widely_blurred(scene, _SURROUNDINGS)) / _USUAL_CONTRAST),
        2 * (scene - scene.mean((2, 3), keepdim=True)),
        torch.log(texture + _LEAST_TEXTURE) + 3,
        torch.log(spread) + 4,
        _below(horizon, scene.shape),
    ]
    return torch.cat(views, 1), change[:, 0]


def _texture(logs: Tensor) -> Tensor:
    """Return how much fine detail there is around each place; smoke takes it away."""
    return blurred((logs - blurred(logs, _TEXTURE_FINE)).abs(), _TEXTURE_WIDE)


def _squeezed(values: Tensor) -> Tensor:
    return values.sign() * values.abs().log1p()


def _below(horizon: Tensor, shape: torch.Size) -> Tensor:
    """Return how far below the horizon each place lies, cut off at twice the reach of the network's interest."""
    rows = torch.arange(shape[2], device=horizon.device).view(1, 1, -1, 1) - horizon.view(-1, 1, 1, 1)
    return (rows / _HORIZON_REACH).expand(shape).clamp(-2, 2)


# --- filters --------------------------------------------------------------------------------------------------------


def blurred(maps: Tensor, sigma: float) -> Tensor:
    """Return maps (B, C, H, W) after a Gaussian filter that repeats the border."""
    reach = int(3 * sigma + 0.5)
    weights = torch.exp(-0.5 * (torch.arange(-reach, reach + 1, device=maps.device) / sigma) ** 2)
    weights = weights / weights.sum()
    flat = maps.flatten(0, 1)[:, None]
    flat = functional.conv2d(functional.pad(flat, (0, 0, reach, reach), "replicate"), weights.view(1, 1, -1, 1))
    flat = functional.conv2d(functional.pad(flat, (reach, reach, 0, 0), "replicate"), weights.view(1, 1, 1, -1))
    return flat.view_as(maps)


def _widely_blurred(maps: Tensor, sigma: float) -> Tensor:
    """Return maps after a wide Gaussian filter, computed on a coarser grid."""
    coarse = blurred(functional.avg_pool2d(maps, STEP), sigma / STEP)
    return functional.interpolate(coarse, size=maps.shape[-2:], mode="bilinear", align_corners=False)
