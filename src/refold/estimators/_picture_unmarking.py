"""A mark found in one picture and taken off; where none is found the picture stays as it is."""

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from refold.estimators._picture_planes import PicturePlanes
from refold.estimators._picture_restoring import Restoration, Wishes, checked_mask, restored_planes
from refold.nets import RestorationNet

Mask = NDArray[np.bool_]
Planes = NDArray[np.float32]

_FOUND = 0.5  # probability of a place
_SMALLEST_PART = 40  # pixels; what is smaller is rather something in the picture
_SMALLEST = 120  # pixels of all parts together
_RIM = 2  # pixels by which found places grow: a mark's border is faint


@dataclass(frozen=True)
class Surety:
    """How sure a network must be that a part of a picture is one of a mark.

    Parameters
    ----------
    surest, usual : float
        Probability of its surest place, and the mean one.
    largest : float
        Share of the picture that it may cover.
    """

    surest: float
    usual: float
    largest: float


OWN = Surety(0.8, 0.0, 1.0)  # a mark that was learned
UNKNOWN = Surety(0.95, 0.85, 0.3)  # textures and shines are taken for marks that may look like anything


def unmarked_picture(net: RestorationNet, picture: Any, wishes: Wishes, surety: Surety) -> Restoration:
    """Find a mark and take it off; with a mask, take off what is there.

    Raises
    ------
    DataError
        If it is no picture, or the mask none.
    """
    wishes.check()
    wishes.refuse_hints()
    planes = PicturePlanes.of(picture, opponent=False)
    whole, likely = whole_and_likely(net, planes.values, wishes)
    told = None if wishes.mask is None else checked_mask(wishes.mask, planes.pixels.shape[:2])
    places = found_places(likely, surety) if told is None else told
    if not places.any():
        return Restoration(planes.pixels.copy(), None, False, places)
    outermost = min(0.0, float(planes.values.min())), max(1.0, float(planes.values.max()))
    result = planes.less(planes.values - whole.clip(*outermost), wishes.strength)
    result[~places] = planes.pixels[~places]
    return Restoration(result, None, wishes.strength > 0, places)


def whole_and_likely(net: RestorationNet, values: Planes, wishes: Wishes) -> tuple[Planes, Planes]:
    """Return planes (planes, H, W) without marks, and how likely each place is marked (H, W).

    Planes that are not as many as the network takes go through it one after the other, each as a grey picture.
    """
    channels = net.spec.channels
    if len(values) == channels:
        answer = restored_planes(net, values, None, wishes)
        return answer[:channels], _probability(answer[channels])
    whole, likely = np.empty_like(values), np.zeros(values.shape[1:], np.float32)
    for plane, result in zip(values, whole, strict=True):
        answer = restored_planes(net, np.repeat(plane[None], channels, axis=0), None, wishes)
        result[:] = answer[:channels].mean(0)
        np.maximum(likely, _probability(answer[channels]), out=likely)
    return whole, likely


def _probability(logits: Planes) -> Planes:
    return np.asarray(1 / (1 + np.exp(-logits.clip(-30, 30))), np.float32)


def found_places(likely: Planes, surety: Surety) -> Mask:
    """Return where a mark is: parts that are large enough and somewhere sure, a little grown; perhaps nowhere."""
    parts, count = ndimage.label(likely > _FOUND, np.ones((3, 3)))
    if not count:
        return np.zeros(likely.shape, bool)
    names = np.arange(1, count + 1)
    sizes = np.bincount(parts.ravel(), minlength=count + 1)[1:]
    surest, usual = (np.asarray(of(likely, parts, names)) for of in (ndimage.maximum, ndimage.mean))
    kept = (sizes >= _SMALLEST_PART) & (sizes <= surety.largest * likely.size)
    kept &= (surest >= surety.surest) & (usual >= surety.usual)
    places = np.isin(parts, names[kept])
    if places.sum() < _SMALLEST:
        return np.zeros(likely.shape, bool)
    return np.asarray(ndimage.binary_dilation(places, np.ones((3, 3)), _RIM))
