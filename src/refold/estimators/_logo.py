"""A logo that is known, and how it looks at a place: resampled to any size there, whole pixels or not."""

from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage, sparse

from refold._errors import DataError
from refold.data import LUMINANCE
from refold.estimators._picture_planes import checked_picture

Array = NDArray[Any]
Planes = NDArray[np.floating[Any]]
Window = tuple[slice, slice]

_SMALLEST, _LARGEST = 8, 2048  # pixels of a logo's shorter side, and of its longer one
_SEEN = 0.5 / 255  # opacity below which nothing is seen
_PLAIN = 0.9  # share of the rim that must have the background's colour
_SAME = 6 / 255  # difference of channels that JPEG makes of one colour
_FULL, _NEAR = 0.9, 5  # share of the contrast nearby from which on a pixel has the logo's own colour; pixels
_RIM = 4  # pixels around a place that its edges may reach


@dataclass(frozen=True)
class Place:
    """Where a logo lies on a picture, in pixels from its corner; whole numbers are borders between pixels.

    Parameters
    ----------
    top, left, height, width : float
        Of the logo before it is turned.
    turn : float
        Radians about its middle, clockwise.
    """

    top: float
    left: float
    height: float
    width: float
    turn: float = 0.0

    @property
    def middle(self) -> tuple[float, float]:
        """Row and column of the middle."""
        return self.top + self.height / 2, self.left + self.width / 2

    def scaled(self, rows: float, columns: float) -> "Place":
        """Return the place on a picture that is so many times as high and wide."""
        return replace(
            self, top=self.top * rows, left=self.left * columns, height=self.height * rows, width=self.width * columns
        )

    def window(self, size: tuple[int, ...]) -> Window:
        """Return the part of a picture of a size (H, W) that the logo can reach."""
        more = _RIM + abs(np.sin(self.turn)) * max(self.height, self.width) / 2
        rows, columns = (
            slice(int(np.floor(max(0, start - more))), int(np.ceil(min(limit, start + length + more))))
            for start, length, limit in ((self.top, self.height, size[0]), (self.left, self.width, size[1]))
        )
        return rows, columns


@dataclass(frozen=True, eq=False)
class Logo:
    """A logo.

    Parameters
    ----------
    planes : ndarray of shape (channels + 1, h, w), float32
        Colours of 0 to 1 times opacity, and opacity.
    """

    planes: Planes

    @property
    def shape(self) -> tuple[float, float]:
        """Height and width."""
        return self.planes.shape[1], self.planes.shape[2]

    @cached_property
    def thickness(self) -> float:
        """Pixels of its lines and areas, about."""
        rim = np.sqrt((steps(self.planes) ** 2).sum(0)).max(0)  # of the plane in which it is clearest
        return float(2 * self.planes[-1].sum() / max(float(rim.sum()), 1e-6))

    def in_grey(self) -> "Logo":
        """Return how it looks in grey."""
        tones = np.tensordot(np.array(LUMINANCE, np.float32), self.planes[:-1], 1)
        return Logo(np.stack([tones, self.planes[-1]]))

    def laid(self, place: Place, window: Window, kind: str = "bicubic") -> Planes:
        """Return its planes in a window of a picture (channels + 1, rows, columns), resampled by a usual kernel."""
        rows, columns = window
        down = resampling(rows, place.top, place.height, self.planes.shape[1], kind)
        across = resampling(columns, place.left, place.width, self.planes.shape[2], kind)
        # first across, and cut to what 8 bits hold, as programs do it
        found = np.stack([down @ (across @ plane.T).T.clip(0, 1) for plane in self.planes])
        if place.turn:
            found = _turned(found, place, window)
        return np.asarray(found.clip(0, 1), np.float32)


def steps(planes: Planes) -> Planes:
    """Return the steps down and right (2, planes, H - 1, W - 1) of planes (planes, H, W)."""
    here = planes[:, :-1, :-1]
    return np.stack([planes[:, 1:, :-1] - here, planes[:, :-1, 1:] - here])


def logos_of(picture: Any) -> list[Logo]:
    """Return a logo without what is transparent around it.

    One without transparency may have been laid without its background or with it: both are returned then.

    Parameters
    ----------
    picture : ndarray of shape (h, w), (h, w, 1), (h, w, 3), or (h, w, 4) with opacity
        uint8, uint16, or floats of 0 to 1.

    Raises
    ------
    DataError
        If nothing of it can be seen, or nothing can be told from it.
    """
    values = _of_unit(picture)
    if values.shape[2] == 4 and values[..., 3].min() < 1 - _SEEN:
        return [_cut(_times_opacity(values[..., :3], values[..., 3]))]
    colours = values[..., :3]
    if np.ptp(colours, axis=(0, 1)).max() <= _SAME:
        raise DataError("the logo has one colour and no transparency; give one on a transparent or plain background")
    whole = Logo(_small_enough(_times_opacity(colours, np.ones(colours.shape[:2], np.float32))))
    lifted = _off_background(colours)
    return [whole] if lifted is None else [_cut(_times_opacity(*lifted)), whole]


def _of_unit(picture: Any) -> Planes:
    """Return a logo (h, w, 3 or 4) of 0 to 1."""
    pixels = checked_picture(picture)
    if pixels.ndim == 3 and pixels.shape[2] not in (1, 3, 4):
        raise DataError(f"a logo must have shape (h, w) or (h, w, 1, 3 or 4), got {pixels.shape}")
    if min(pixels.shape[:2]) < _SMALLEST:
        raise DataError(
            f"the logo has {pixels.shape[1]}x{pixels.shape[0]} pixels; give one of {_SMALLEST}x{_SMALLEST} at least"
        )
    if pixels.dtype.kind == "f" and (pixels.min() < 0 or pixels.max() > 1):
        raise DataError(f"floats of a logo must lie in 0 to 1, got {pixels.min():.4g} to {pixels.max():.4g}")
    values = pixels.reshape(*pixels.shape[:2], -1).astype(np.float32)
    if pixels.dtype.kind == "u":
        values /= np.float32(np.iinfo(pixels.dtype).max)
    return np.repeat(values, 3, axis=2) if values.shape[2] == 1 else values


def _times_opacity(colours: Planes, opacity: Planes) -> Planes:
    return np.stack([*(colours * opacity[..., None]).transpose(2, 0, 1), opacity])


def _cut(planes: Planes) -> Logo:
    seen = planes[-1] > _SEEN
    if not seen.any():
        raise DataError("the logo is transparent everywhere; give one that can be seen")
    rows, columns = (np.flatnonzero(seen.any(axis)) for axis in (1, 0))
    return Logo(_small_enough(planes[:, rows[0] : rows[-1] + 1, columns[0] : columns[-1] + 1]))


def _small_enough(planes: Planes) -> Planes:
    most = max(planes.shape[1:])
    if most <= _LARGEST:
        return planes
    height, width = (max(1, round(length * _LARGEST / most)) for length in planes.shape[1:])
    return shrunk(planes, (height, width))


def _off_background(colours: Planes) -> tuple[Planes, Planes] | None:
    """Return colours and opacity of what lies on a plain background, or None where that is not plain.

    Smooth borders are mixtures of the background and the colour of the nearest pixel that is wholly the logo's.
    """
    rim = np.concatenate([colours[0], colours[-1], colours[:, 0], colours[:, -1]])
    background = np.median(rim, axis=0)
    if (np.abs(rim - background).max(1) <= _SAME).mean() < _PLAIN:
        return None
    away = np.abs(colours - background).max(2)
    full = (away > _SAME) & (away >= _FULL * ndimage.maximum_filter(away, _NEAR))
    nearest = ndimage.distance_transform_edt(~full, return_distances=False, return_indices=True)
    own = colours[tuple(nearest)]
    contrast = own - background
    share = ((colours - background) * contrast).sum(2) / (contrast**2).sum(2).clip(1e-6)
    return own, np.where(away > _SAME, share.clip(0, 1), 0).astype(np.float32)


# --- resampling ----------------------------------------------------------------------------------------------------


def _bicubic(x: Array) -> Array:
    inner = (1.5 * x - 2.5) * x * x + 1
    return np.where(x < 1, inner, np.where(x < 2, ((2.5 - 0.5 * x) * x - 4) * x + 2, 0))


def _bilinear(x: Array) -> Array:
    return (1 - x).clip(0)


def _lanczos(x: Array) -> Array:
    return np.where(x < 3, np.sinc(x) * np.sinc(x / 3), 0)


KERNELS = {"bicubic": (_bicubic, 2), "lanczos": (_lanczos, 3), "bilinear": (_bilinear, 1)}


def resampling(pixels: slice, start: float, length: float, inputs: int, kind: str) -> Any:
    """Return weights (pixels, inputs), sparse, of an axis whose `inputs` values lie from `start` on over `length`.

    As programs for pictures do it: the kernel widens where values are more than pixels, and weights beyond the end
    go to the others. Pixels that are covered in part get that part.
    """
    kernel, reach = KERNELS[kind]
    ratio = inputs / length
    wide = max(1.0, ratio)
    places = np.arange(pixels.start, pixels.stop)
    centres = (places + 0.5 - start) * ratio
    taps = int(np.ceil(2 * reach * wide)) + 2
    near = np.floor(centres - reach * wide).astype(int)[:, None] + np.arange(taps)
    weights = kernel(np.abs(near + 0.5 - centres[:, None]) / wide)
    weights[(near < 0) | (near >= inputs)] = 0
    total = weights.sum(1, keepdims=True)
    covered = np.minimum(places + 1, start + length) - np.maximum(places, start)
    sure = np.abs(total) > 1e-6
    weights = np.where(sure, weights / np.where(sure, total, 1), 0) * covered.clip(0, 1)[:, None]
    return _sparse(weights, near, inputs)


def shrunk(planes: Planes, size: tuple[int, int]) -> Planes:
    """Return planes (planes, H, W) made smaller: means of the areas of the pixels."""
    if planes.shape[1:] == size:
        return planes
    down, across = (_areas(count, inputs) for count, inputs in zip(size, planes.shape[1:], strict=True))
    return np.stack([(across @ (down @ plane).T).T for plane in planes])


def _areas(count: int, inputs: int) -> Any:
    edges = np.linspace(0, inputs, count + 1)
    near = np.floor(edges[:-1]).astype(int)[:, None] + np.arange(int(np.ceil(inputs / count)) + 1)
    weights = (np.minimum(near + 1, edges[1:, None]) - np.maximum(near, edges[:-1, None])).clip(0)
    return _sparse(weights / weights.sum(1, keepdims=True), near, inputs)


def _sparse(weights: Array, near: Array, inputs: int) -> Any:
    rows = np.repeat(np.arange(len(weights)), weights.shape[1])
    values = weights.astype(np.float32).ravel()
    return sparse.csr_matrix((values, (rows, near.clip(0, inputs - 1).ravel())), (len(weights), inputs))


def _turned(planes: Planes, place: Place, window: Window) -> Planes:
    row, column = place.middle[0] - window[0].start - 0.5, place.middle[1] - window[1].start - 0.5
    down, right = np.ogrid[: planes.shape[1], : planes.shape[2]]
    down, right = down - row, right - column
    cosine, sine = np.cos(place.turn), np.sin(place.turn)
    where = np.stack([row + cosine * down - sine * right, column + sine * down + cosine * right])
    return np.stack([ndimage.map_coordinates(plane, where, order=1) for plane in planes])
