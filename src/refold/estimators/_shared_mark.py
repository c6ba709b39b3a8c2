"""One mark that many pictures have at the same place: told from all of them at once, without a network.

Where there is no mark, the mean of many pictures is smooth, and so is how much they differ. Steps in either that
nearly all pictures share are the mark's border; what lies within them is integrated from these steps alone (after
Weiss 2001, Deriving intrinsic images from image sequences). The step of the mean tells the colour, the step of the
deviations the opacity, and together they take the mark off and leave the texture below it.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy import fft, ndimage

from refold._errors import DataError, ParameterError
from refold.estimators._picture_planes import checked_picture

Array = NDArray[Any]
Mask = NDArray[np.bool_]
Planes = NDArray[np.float32]

_FEWEST = 8  # pictures; of five clean ones half seem to share something, of six and more next to none
_MOST_OPAQUE = 0.95  # nothing of the picture is left below what covers more
_BORDER, _SURE_BORDER = 2.0, 3.5  # times chance, that pictures share a step; clean photographs stay below 2.9
_SHORTEST_BORDER = 60  # pixels that touch each other
_CLOSED, _RIM = 2, 3  # pixels of gaps in a border, and around it that are not asked what is usual
_TO_DEVIATION = 1.48  # from the median of distances to the standard deviation
_ROUNDING, _QUIET = 2 / 255, 1e-4  # deviation of steps and variance below which chance does not fall
_DARKEST, _BRIGHTEST = 0.02, 0.98  # means of pictures


@dataclass(frozen=True, eq=False)
class Mark:
    """A mark at its place: a marked picture is ``(1 - alpha) picture + alpha colour``.

    Parameters
    ----------
    alpha : ndarray of shape (H, W), float32
        Opacity, 0 where the mark is not.
    colour : ndarray of shape (H, W, 3), float32
        0 to 1; somewhat beyond where it was estimated so.

    Examples
    --------
    >>> import numpy as np, refold
    >>> alpha = np.zeros((4, 6), np.float32)
    >>> alpha[1:3, 1:5] = 0.5
    >>> mark = refold.Mark(alpha, np.ones((4, 6, 3), np.float32))  # half white
    >>> mark.removed_from(np.full((4, 6), 191, np.uint8))[1].tolist()
    [191, 127, 127, 127, 127, 191]
    """

    alpha: Planes
    colour: Planes

    def removed_from(self, picture: Any, strength: float = 1.0) -> Array:
        """Return a picture of the mark's size without it; pixels beside it stay as they are.

        Parameters
        ----------
        picture : ndarray of shape (H, W), (H, W, 1) or (H, W, 3)
            uint8, uint16, or floats of 0 to 1.
        strength : float, default=1.0
            Share of the mark that is taken off, 0 to 1.

        Raises
        ------
        DataError
            If it is no picture, or of another size.
        ParameterError
            If the strength is not possible.
        """
        if not 0 <= strength <= 1:
            raise ParameterError(f"strength must be from 0 to 1, got {strength}")
        pixels = _of_size(picture, self.alpha.shape)
        values, high = _unit(pixels)
        inside = self.alpha > 0
        alpha, colour = self.alpha[inside][:, None].clip(max=_MOST_OPAQUE), self.colour[inside]
        colour = colour if values.shape[2] == 3 else colour.mean(1, keepdims=True)
        marked = values[inside]
        freed = ((marked - alpha * colour) / (1 - alpha)).clip(0, 1)
        found = (marked + strength * (freed - marked)) * high
        result = pixels.copy().reshape(values.shape)
        result[inside] = np.rint(found) if pixels.dtype.kind == "u" else found
        return result.reshape(pixels.shape)


def shared_mark(pictures: Sequence[Any]) -> Mark:
    """Tell the mark that all pictures have at the same place.

    Parameters
    ----------
    pictures : sequence of ndarray of shape (H, W), (H, W, 1) or (H, W, 3)
        All of one size, of different things; eight at least, and the more the better.

    Returns
    -------
    mark : Mark

    Raises
    ------
    DataError
        If there are too few pictures, they differ in size, or no mark is found that they share.

    Examples
    --------
    >>> import numpy as np, refold
    >>> rng, places = np.random.default_rng(0), np.arange(64) / 15
    >>> waves = [np.sin(np.add.outer(rng.normal() * places, rng.normal() * places + rng.normal())) for _ in range(12)]
    >>> photos = [0.4 + 0.3 * np.dstack([wave, -wave, wave]) for wave in waves]
    >>> marked = [photo.copy() for photo in photos]
    >>> for photo in marked:
    ...     photo[20:44, 20:44] = 0.5 * photo[20:44, 20:44] + 0.5  # a white square
    >>> mark = refold.shared_mark(marked)
    >>> bool(np.abs(mark.removed_from(marked[0]) - photos[0]).mean() < 0.2 * np.abs(marked[0] - photos[0]).mean())
    True
    """
    if len(pictures) < _FEWEST:
        raise DataError(f"there are {len(pictures)} pictures; a mark that they share is told from {_FEWEST} on")
    size = np.shape(pictures[0])[:2]
    units = [_unit(_of_size(picture, size))[0] for picture in pictures]
    seen = np.stack([np.broadcast_to(each, (*size, 3)) for each in units])
    border, inside = _border_and_inside(_shared_steps(seen))
    if not inside.any():
        raise DataError("no mark was found that all pictures share; give more pictures with it at the same place")
    return _mark_within(seen, border, inside)


def _of_size(picture: Any, size: tuple[int, ...]) -> Array:
    pixels = checked_picture(picture)
    if pixels.shape[:2] != tuple(size):
        raise DataError(
            f"a picture has {pixels.shape[1]}x{pixels.shape[0]} pixels and the others, or the mark, "
            f"{size[1]}x{size[0]}; they must be of one size"
        )
    if pixels.ndim == 3 and pixels.shape[2] not in (1, 3):
        raise DataError(f"a picture must have shape (H, W) or (H, W, 1 or 3), got {pixels.shape}")
    if pixels.dtype.kind == "f" and (pixels.min() < 0 or pixels.max() > 1):
        raise DataError(f"floats with a mark must lie in 0 to 1, got {pixels.min():.4g} to {pixels.max():.4g}")
    return pixels


def _unit(pixels: Array) -> tuple[Planes, float]:
    """Return a picture (H, W, channels) of 0 to 1, and what 1 stands for."""
    high = float(np.iinfo(pixels.dtype).max) if pixels.dtype.kind == "u" else 1.0
    return (pixels.reshape(*pixels.shape[:2], -1) / high).astype(np.float32), high


# --- where the mark is ---------------------------------------------------------------------------------------------


def _shared_steps(seen: Planes) -> Array:
    """Return how much more than by chance pictures (n, H, W, 3) step from a pixel to the next alike, (H, W)."""
    total = np.zeros(seen.shape[1:3])
    for axis in (1, 2):
        steps = np.diff(seen, axis=axis, append=np.take(seen, [-1], axis=axis))
        usual = np.median(steps, axis=0)
        deviation = _TO_DEVIATION * np.median(np.abs(steps - usual), axis=0) + _ROUNDING
        total += len(seen) * ((usual / deviation) ** 2).mean(-1)
    return np.asarray(ndimage.gaussian_filter(np.sqrt(total), 1.0))


def _border_and_inside(steps: Array) -> tuple[Mask, Mask]:
    """Return the mark's border, and that with what it encloses."""
    parts, count = ndimage.label(steps > _BORDER, np.ones((3, 3)))
    surest = np.asarray(ndimage.maximum(steps, parts, np.arange(count + 1)))
    kept = (np.bincount(parts.ravel(), minlength=count + 1) >= _SHORTEST_BORDER) & (surest > _SURE_BORDER)
    kept[0] = False
    border = ndimage.binary_dilation(kept[parts], np.ones((3, 3)))
    room = 2 * _CLOSED
    closed = ndimage.binary_closing(np.pad(border, room), np.ones((3, 3)), _CLOSED)
    inside = ndimage.binary_fill_holes(closed)[room:-room, room:-room]
    return np.asarray(border), np.asarray(inside)


# --- what it is ----------------------------------------------------------------------------------------------------


def _mark_within(seen: Planes, border: Mask, inside: Mask) -> Mark:
    mean = seen.mean(0)
    outside = ~ndimage.binary_dilation(inside, iterations=_RIM)
    outside = outside if outside.any() else ~inside
    lifted = np.stack([_from_steps(mean[..., channel], border, outside) for channel in range(3)], -1)
    spread = _from_steps(0.5 * np.log(seen.var(0).sum(-1) + _QUIET), border, outside)
    below = (mean - lifted).clip(_DARKEST, _BRIGHTEST)  # the mean of the pictures without the mark
    # a colour of 0 to 1 lifts or sinks the mean by so much only if it is opaque enough
    least = np.where(lifted < 0, -lifted / below, lifted / (1 - below)).max(-1)
    alpha = np.where(inside, np.maximum(1 - np.exp(spread), least).clip(0, _MOST_OPAQUE), 0)
    there = alpha > 0
    colour = np.zeros_like(mean)
    colour[there] = below[there] + (mean - below)[there] / alpha[there, None]
    return Mark(alpha.astype(np.float32), colour.astype(np.float32))


def _from_steps(field: Array, border: Mask, outside: Mask) -> Array:
    """Return the field (H, W) that has only the steps on the border, 0 where it is usual: Poisson's equation."""
    divergence = np.zeros(field.shape)
    for axis in (0, 1):
        step = np.where(border, np.diff(field, axis=axis, append=np.take(field, [-1], axis=axis)), 0)
        divergence += step - np.roll(step, 1, axis=axis)  # the last step is 0, so that nothing comes round
    waves = (2 * np.cos(np.pi * np.arange(length) / length) - 2 for length in field.shape)
    rows, columns = waves
    curvature = rows[:, None] + columns
    curvature[0, 0] = 1
    found = np.asarray(fft.idctn(fft.dctn(divergence, norm="ortho") / curvature, norm="ortho"))
    return found - float(np.median(found[outside]))
