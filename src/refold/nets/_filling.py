"""Lost pixels filled smoothly from those around them, at every scale."""

import torch
from torch import Tensor
from torch.nn import functional

_OF_NOTHING = 0.5  # where no pixel is known


def filled_smoothly(pictures: Tensor, known: Tensor) -> Tensor:
    """Return pictures in which lost pixels are filled from coarser and coarser means of the known ones.

    Pull and push (Gortler et al. 1996, The Lumigraph, section 3.4): where a pixel is lost, the mean of the known ones
    around it stands, from the finest scale at which there are any. Known pixels stay as they are.

    Parameters
    ----------
    pictures : Tensor of shape (B, C, H, W)
        Finite where it is known.
    known : Tensor of shape (B, 1, H, W), bool

    Returns
    -------
    pictures : Tensor of shape (B, C, H, W)
    """
    weight = known.to(pictures.dtype)
    levels = [(torch.where(known, pictures, torch.zeros_like(pictures)), weight)]
    while max(levels[-1][0].shape[-2:]) > 1:
        levels.append(_coarser(*levels[-1]))
    values, weight = levels[-1]
    filled = weight * values + (1 - weight) * _OF_NOTHING
    for values, weight in reversed(levels[:-1]):
        smooth = functional.interpolate(filled, values.shape[-2:], mode="bilinear", align_corners=False)
        filled = torch.lerp(smooth, values, weight)
    return filled


def _coarser(values: Tensor, weight: Tensor) -> tuple[Tensor, Tensor]:
    """Return weighted means of squares of two, and how well each is known."""
    total = functional.avg_pool2d(values * weight, 2, ceil_mode=True)
    weights = functional.avg_pool2d(weight, 2, ceil_mode=True)
    return total / weights.clamp(min=1e-6), (4 * weights).clamp(max=1)
