"""Lost pixels filled smoothly from those around them, at every scale."""

import torch
from torch import Tensor
from torch.nn import functional

_OF_NOTHING = 0.5  # where no pixel is known
_ROUNDS, _STEP = 8, 0.03  # of relaxation at each scale; steps above 1/32 would grow
_SMALLEST = 4  # pixels of a side on which it is worth while


def filled_smoothly(pictures: Tensor, known: Tensor) -> Tensor:
    """Return pictures in which lost pixels continue the known ones around them as smoothly as can be.

    The known pixels are averaged over larger and larger squares (pull and push, Gortler et al. 1996, The Lumigraph,
    section 3.4); from coarse to fine, the fill is relaxed towards the biharmonic equation, in which slopes go on.
    Known pixels stay as they are.

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
        filled = _relaxed(torch.lerp(smooth, values, weight), 1 - weight)
    return filled


def _coarser(values: Tensor, weight: Tensor) -> tuple[Tensor, Tensor]:
    """Return weighted means of squares of two, and how well each is known."""
    total = functional.avg_pool2d(values * weight, 2, ceil_mode=True)
    weights = functional.avg_pool2d(weight, 2, ceil_mode=True)
    return total / weights.clamp(min=1e-6), (4 * weights).clamp(max=1)


def _relaxed(values: Tensor, free: Tensor) -> Tensor:
    if min(values.shape[-2:]) < _SMALLEST:
        return values
    for _ in range(_ROUNDS):
        values = torch.addcmul(values, free, _laplacian(_laplacian(values)), value=-_STEP)
    return values


def _laplacian(values: Tensor) -> Tensor:
    padded = functional.pad(values, (1, 1, 1, 1), mode="replicate")
    around = padded[..., :-2, 1:-1] + padded[..., 2:, 1:-1]
    around += padded[..., 1:-1, :-2]
    around += padded[..., 1:-1, 2:]
    return around.sub_(values, alpha=4)
