"""Examples of damage that covers places and must be found: marks laid over pictures."""

import torch
from torch import Tensor
from torch.nn import functional

from refold.objectives import Corruption
from refold.train._examples import UNIT, Crops, DrawExamples, Examples

CHANGED = 1.5 / 255  # what is changed by more is damage that a network which finds damage must find

_LEVELS = 255  # pictures are rounded to them after the damage, or it would be known by values between them
_WHOLE = 0.15  # share of the examples without any damage
_ANYWHERE = 0.15  # share of the others that are cut anywhere, and not where the damage is
_RIM, _RIM_COUNTS = 7, 0.2  # pixels across which the surroundings of damage count too, and how much


def marked_examples(crops: Crops, corruption: Corruption, side: int, whole: float = _WHOLE) -> DrawExamples:
    """Return a source of examples of damage at some places, cut out of larger crops mostly where it is.

    A mark has its size from the picture and not from what the network sees of it: that may be a part of a mark.

    Parameters
    ----------
    crops : callable
        Whole pictures, or crops as large as they can be.
    corruption : Corruption
    side : int
        Of the examples.
    whole : float
        Share of the examples without any damage.
    """

    def draw(count: int, generator: torch.Generator) -> Examples:
        clean = _rounded(crops(count, generator))
        damaged = _rounded(corruption(clean, UNIT, generator)).clamp(0, 1)
        stay = torch.rand(count, generator=generator) < whole
        damaged[stay] = clean[stay]
        cuts = [_cut(one, other, side, generator) for one, other in zip(clean, damaged, strict=True)]
        clean, damaged = (torch.stack(each) for each in zip(*cuts, strict=True))
        return Examples(clean, damaged, mark_weights(clean, damaged))

    return draw


def _rounded(pictures: Tensor) -> Tensor:
    return (pictures * _LEVELS).round() / _LEVELS


def _cut(clean: Tensor, damaged: Tensor, side: int, generator: torch.Generator) -> tuple[Tensor, Tensor]:
    """Return the same square of both, around some damaged place if there is one."""
    places = changed(clean[None], damaged[None])[0, 0].nonzero()
    if len(places) and float(torch.rand((), generator=generator)) >= _ANYWHERE:
        chosen = places[int(torch.randint(len(places), (), generator=generator))]
        corner = chosen - torch.randint(side, (2,), generator=generator)
    else:
        corner = torch.randint(max(clean.shape[1:]), (2,), generator=generator)
    top, left = (
        min(max(0, int(place)), length - side) for place, length in zip(corner, clean.shape[1:], strict=True)
    )
    rows, columns = slice(top, top + side), slice(left, left + side)
    return clean[:, rows, columns], damaged[:, rows, columns]


def changed(clean: Tensor, damaged: Tensor) -> Tensor:
    """Return which pixels (B, 1, H, W) differ by more than rounding."""
    return (damaged - clean).abs().amax(1, keepdim=True) > CHANGED


def mark_weights(clean: Tensor, damaged: Tensor) -> Tensor:
    """Return how much pixels (B, 1, H, W) count, 0 to 1: those of marks and of their rims.

    All others are kept anyway, and would hold the network at doing nothing.
    """
    inside = changed(clean, damaged).to(clean.dtype)
    around = functional.max_pool2d(inside, _RIM, stride=1, padding=_RIM // 2)
    return torch.maximum(inside, _RIM_COUNTS * around)
