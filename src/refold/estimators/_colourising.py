"""Grey pictures get colours: chroma is guessed on a reduced picture and laid under the luminance of every pixel."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from itertools import product
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from refold._errors import DataError, ParameterError
from refold.estimators._picture_planes import checked_picture, range_of
from refold.estimators._picture_restoring import Restoration, Wishes
from refold.nets import RestorationNet
from refold.train import (
    NO_HINTS,
    PLANES_OF_RGB,
    RGB_OF_PLANES,
    Hints,
    area_means,
    obeying,
    reduced_size,
    share_told,
    spread_hints,
)

Array = NDArray[Any]
Floats = NDArray[np.floating[Any]]
_Part = tuple[slice, slice]

MOST_STRENGTH = 2.0
_TILE = 512  # pixels of a side that are worked on at once
_TONE = 0.1  # deviation of the luminance within which a pixel takes the chroma of a place of the reduced picture
_OWN_COLOURS = 0.025  # deviation of the chroma beside what the luminance tells: more than any toned print has
_ANY_TONE = 1e-3  # weight of places of quite another tone, for pixels that have no other
_SMALLEST = 1e-9
_HINTS = "hints must be an array (H, W, 4) of uint8, RGBA, or a list of (row, column, (red, green, blue))"


@dataclass(frozen=True, eq=False)
class _Grey:
    """The luminance of a picture, of which a part is looked at at a time.

    Parameters
    ----------
    pixels : ndarray of shape (H, W, 1 or 3)
    low, high : float
        What 0 and 1 stand for.
    """

    pixels: Array
    low: float
    high: float

    @classmethod
    def of(cls, picture: Any) -> "_Grey":
        pixels = checked_picture(picture)
        channels = pixels.reshape(*pixels.shape[:2], -1)
        if channels.shape[2] not in (1, 3):
            raise DataError(
                f"a picture that shall get colours must have shape (H, W) or (H, W, 3), got {pixels.shape}; convert "
                "it to grey or RGB before"
            )
        return cls(channels, *range_of(pixels))

    @property
    def size(self) -> tuple[int, int]:
        return self.pixels.shape[0], self.pixels.shape[1]

    @property
    def exact(self) -> type[np.floating[Any]]:
        return np.float32 if self.pixels.dtype.itemsize <= 2 else np.float64

    def luminance(self, part: _Part) -> Floats:
        """Return it in the picture's own units."""
        return self._of(self.pixels[part])

    def _of(self, channels: Array) -> Floats:
        values = channels.astype(self.exact)
        return values[..., 0] if values.shape[-1] == 1 else values @ PLANES_OF_RGB[0].astype(self.exact)

    def tones(self, part: _Part) -> NDArray[np.float32]:
        """Return it from 0 to 1."""
        return self._unit(self.luminance(part))

    def chroma(self, part: _Part, place: int) -> NDArray[np.float32]:
        """Return one plane of it, 1 or 2, of a picture of three channels."""
        return np.asarray(self.pixels[part].astype(np.float32) @ PLANES_OF_RGB[place], np.float32) / np.float32(
            self.high - self.low
        )

    def tones_at(self, rows: NDArray[np.intp], columns: NDArray[np.intp]) -> NDArray[np.float32]:
        """Return it from 0 to 1 at some pixels."""
        return self._unit(self._of(self.pixels[rows, columns]))

    def _unit(self, luminance: Floats) -> NDArray[np.float32]:
        return np.asarray(np.clip((luminance - self.low) / (self.high - self.low), 0, 1), np.float32)


def colourised_picture(net: RestorationNet, picture: Any, wishes: Wishes) -> Restoration:
    """Give one picture of any size colours; its luminance stays, up to rounding.

    Without hints a picture that has colours already comes back as it is.

    Raises
    ------
    DataError
        If it is no picture.
    ParameterError
        If a wish is not possible.
    """
    wishes.check(MOST_STRENGTH)
    for name in ("mask", "noise"):
        if getattr(wishes, name) is not None:
            raise ParameterError(
                f"{name} means nothing to a restorer that gives colours; leave it out, or give hints"
            )
    grey = _Grey.of(picture)
    if wishes.hints is None and _has_colours(grey):
        return Restoration(np.array(picture), None, False)
    tones = torch.from_numpy(_reduced(grey, grey.tones))
    hints = _hints_of(wishes.hints, grey, tones.shape)
    chroma = obeying(_guessed(net, tones, hints, wishes.self_ensemble), tones, hints)
    scaled = (wishes.strength * (grey.high - grey.low) * chroma).numpy()
    result = np.empty((*grey.size, 3), grey.pixels.dtype)
    for part in _parts(grey.size):
        result[part] = _coloured(grey, part, scaled, tones.numpy())
        if wishes.told is not None:
            wishes.told()
    return Restoration(result, None, wishes.strength > 0)


def count_parts(height: int, width: int) -> int:
    """Return after how many parts a picture is done."""
    return -(-height // _TILE) * -(-width // _TILE)


def _parts(size: tuple[int, int]) -> Iterator[_Part]:
    rows, columns = (
        [slice(start, min(start + _TILE, length)) for start in range(0, length, _TILE)] for length in size
    )
    yield from product(rows, columns)


# --- the reduced picture -------------------------------------------------------------------------------------------


def _reduced(grey: _Grey, plane: Callable[[_Part], NDArray[np.float32]]) -> NDArray[np.float32]:
    """Return means of a plane over the cells of the reduced picture."""
    height, width = reduced_size(*grey.size)
    total = np.zeros((height, width), np.float32)
    for rows, columns in _parts(grey.size):
        down, across = area_means(grey.size[0], height, rows), area_means(grey.size[1], width, columns)
        total += down @ plane((rows, columns)) @ across.T
    return total


def _has_colours(grey: _Grey) -> bool:
    """Say whether a picture has colours of its own, and not only a tint that goes with the luminance."""
    if grey.pixels.shape[2] == 1:
        return False
    tones = _reduced(grey, grey.tones).ravel().astype(np.float64)
    powers = np.stack([np.ones_like(tones), tones, tones**2, tones**3], axis=1)
    for place in (1, 2):
        chroma = _reduced(grey, lambda part, place=place: grey.chroma(part, place)).ravel()  # type: ignore[misc]
        tint = powers @ np.linalg.lstsq(powers, chroma, rcond=None)[0]
        if (chroma - tint).std() > _OWN_COLOURS:
            return True
    return False


def _guessed(net: RestorationNet, tones: Tensor, hints: Hints, both_ways: bool) -> Tensor:
    """Return chroma (2, h, w): from hints where they have something to say, and what is usual elsewhere."""
    from_hints = _through(net, spread_hints(tones, hints), both_ways)
    if not len(hints.rows):
        return from_hints
    usual = _through(net, spread_hints(tones, NO_HINTS), both_ways)
    return torch.lerp(usual, from_hints, share_told(tones, hints))


def _through(net: RestorationNet, given: Tensor, both_ways: bool) -> Tensor:
    """Return the chroma (2, h, w) that the network guesses; a mirrored picture must not have other colours."""
    with torch.inference_mode():
        several = torch.stack([given, given.flip(2)]) if both_ways else given[None]
        found: Tensor = net(several.to(next(net.parameters()).device)).cpu()[:, 1:3]
    return (found[0] + found[1].flip(2)) / 2 if both_ways else found[0]


# --- hints ---------------------------------------------------------------------------------------------------------


class _Cells:
    """Sums of what is told in every cell of the reduced picture.

    Parameters
    ----------
    grey : _Grey
    size : tuple of int
        Of the reduced picture.
    """

    def __init__(self, grey: _Grey, size: Sequence[int]) -> None:
        self._grey, self._size = grey, (size[0], size[1])
        self._sums = np.zeros((4, size[0] * size[1]))  # weight, tone, chroma

    def add(self, rows: NDArray[np.intp], columns: NDArray[np.intp], colours: Floats, weights: Floats) -> None:
        """Add hints; colours are RGB of 0 to 1."""
        (height, width), (all_rows, all_columns) = self._size, self._grey.size
        cells = ((2 * rows + 1) * height // (2 * all_rows)) * width + (2 * columns + 1) * width // (2 * all_columns)
        chroma = colours @ PLANES_OF_RGB[1:].T
        told = (np.ones(len(rows)), self._grey.tones_at(rows, columns), chroma[:, 0], chroma[:, 1])
        for total, values in zip(self._sums, told, strict=True):
            total += np.bincount(cells, weights * values, len(total))

    def hints(self) -> Hints:
        """Return the mean of what was told, cell by cell."""
        told = np.flatnonzero(self._sums[0])
        rows, columns = np.divmod(told, self._size[1])
        means = torch.from_numpy((self._sums[1:, told] / self._sums[0, told]).astype(np.float32))
        return Hints(torch.from_numpy(rows), torch.from_numpy(columns), means[0], means[1:].T)


def _hints_of(hints: Any, grey: _Grey, size: Sequence[int]) -> Hints:
    """Return hints in the cells of the reduced picture.

    Raises
    ------
    DataError
        If they are none, or lie outside the picture.
    """
    cells = _Cells(grey, size)
    if isinstance(hints, np.ndarray):
        _add_painted(cells, hints, grey.size)
    elif hints is not None:
        _add_listed(cells, hints, grey.size)
    return cells.hints()


def _add_painted(cells: _Cells, hints: Array, size: tuple[int, int]) -> None:
    if hints.shape != (*size, 4) or hints.dtype != np.uint8:
        raise DataError(f"{_HINTS}; got {hints.dtype} of shape {hints.shape} for a picture of {size}")
    for rows, columns in _parts(size):
        painted = hints[rows, columns]
        down, across = np.nonzero(painted[..., 3])
        if len(down):
            values = painted[down, across] / 255
            cells.add(down + rows.start, across + columns.start, values[:, :3], values[:, 3])


def _add_listed(cells: _Cells, hints: Any, size: tuple[int, int]) -> None:
    listed = [_one_hint(hint, size) for hint in _each(hints)]
    if listed:
        rows, columns, colours = (np.array(each) for each in zip(*listed, strict=True))
        cells.add(rows, columns, colours / 255, np.ones(len(rows)))


def _each(hints: Any) -> list[Any]:
    if isinstance(hints, str | bytes) or not isinstance(hints, Sequence):
        raise DataError(f"{_HINTS}; got {type(hints).__name__}")
    return list(hints)


def _one_hint(hint: Any, size: tuple[int, int]) -> tuple[int, int, list[float]]:
    try:
        row, column, colour = hint
        red, green, blue = (float(value) for value in colour)
        places = int(row), int(column)
        exact = places == (row, column)
    except (TypeError, ValueError):
        raise DataError(f"{_HINTS}; got {hint!r}") from None
    if not exact or not all(0 <= place < length for place, length in zip(places, size, strict=True)):
        raise DataError(f"the hint {hint!r} lies outside of the picture of {size[0]} rows and {size[1]} columns")
    if not all(0 <= value <= 255 for value in (red, green, blue)):
        raise DataError(f"the colour of the hint {hint!r} must be three numbers from 0 to 255")
    return (*places, [red, green, blue])


# --- every pixel ---------------------------------------------------------------------------------------------------


def _coloured(grey: _Grey, part: _Part, chroma: NDArray[np.float32], tones: NDArray[np.float32]) -> Array:
    """Return a part of the picture with colours: chroma is lessened where it would leave the range, not cut off.

    Cutting it off would change the luminance, and the hue with it.
    """
    luminance = grey.luminance(part)
    offsets = np.tensordot(RGB_OF_PLANES[:, 1:].astype(grey.exact), _chroma_at(grey, part, chroma, tones), 1)
    room_above = (grey.high - luminance) / np.maximum(offsets.max(0), _SMALLEST)
    room_below = (luminance - grey.low) / np.maximum(-offsets.min(0), _SMALLEST)
    coloured = luminance + offsets * np.clip(np.minimum(room_above, room_below), 0, 1)
    if grey.pixels.dtype.kind == "u":
        coloured = np.rint(np.clip(coloured, 0, grey.high))
    return np.asarray(np.moveaxis(coloured, 0, 2), grey.pixels.dtype)


def _chroma_at(grey: _Grey, part: _Part, chroma: NDArray[np.float32], tones: NDArray[np.float32]) -> Floats:
    """Return chroma (2, rows, columns) between the places of the reduced picture, of those that are as light more.

    Bilinear weights times a kernel of the luminance (joint bilateral upsampling, Kopf et al. 2007), so that colours
    end where the luminance says that things end.
    """
    own = grey.tones(part)
    rows, columns = (
        _between(where, length, cells) for where, length, cells in zip(part, grey.size, tones.shape, strict=True)
    )
    total = np.zeros((3, *own.shape), np.float32)  # chroma, weights
    for (down, share_down), (across, share_across) in product(rows, columns):
        weights = _alike(tones[:, across][down] - own)
        weights *= share_down[:, None] * share_across
        for plane, values in zip(total[:2], chroma, strict=True):
            plane += weights * values[:, across][down]
        total[2] += weights
    return np.asarray(total[:2] / total[2])


def _alike(difference: NDArray[np.float32]) -> NDArray[np.float32]:
    """Return the kernel of a difference of tones, in its place."""
    difference *= difference
    difference *= np.float32(-0.5 / _TONE**2)
    np.exp(difference, out=difference)
    difference += np.float32(_ANY_TONE)
    return difference


def _between(part: slice, length: int, cells: int) -> list[tuple[NDArray[np.intp], NDArray[np.float32]]]:
    """Return the places of the reduced picture before and behind every pixel of a side, and their shares."""
    place = np.clip((np.arange(part.start, part.stop) + 0.5) * (cells / length) - 0.5, 0, cells - 1)
    before = place.astype(np.intp)
    share = (place - before).astype(np.float32)
    return [(before, 1 - share), (np.minimum(before + 1, cells - 1), share)]
