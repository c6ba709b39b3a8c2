"""One picture through a restoring network: what is lost is filled, what nothing is wrong with stays."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from refold._errors import DataError, ParameterError
from refold._memory import free_memory
from refold._parameters import bytes_of
from refold.estimators._learning_to_restore import DamageKind
from refold.estimators._noise_level import noise_deviation
from refold.estimators._picture_planes import PicturePlanes, bands, checked_picture
from refold.nets import RestorationNet, RestorationSpec
from refold.train import Tiling, apply_in_tiles, with_known

Array = NDArray[Any]
Mask = NDArray[np.bool_]
Planes = NDArray[np.float32]

_CLEAN = 2.0 / 255  # deviation below which there is no noise worth taking off
_TAKEN_FROM_CLEAN = 2.5 / 255  # what is taken off flat blocks of clean texture is less than this
_TILES = (1024, 512, 256, 128)
_BYTES_A_PIXEL = 220  # of a tile with its surroundings, at 32 channels of half the scale
_TURNS = 8
_SAMPLED = 1 << 18  # pixels that tell a usual value


@dataclass(frozen=True, eq=False)
class Restoration:
    """A restored picture and what was done.

    Parameters
    ----------
    picture : ndarray
        Shape and dtype of the one that was given; the very same pixels where nothing was wrong.
    noise : float or None
        Standard deviation of the noise that was found, as a share of the range; None where the picture is too small
        to tell, or noise is not what the restorer undoes.
    changed : bool
        Whether anything was changed.
    mask : ndarray of bool, shape (H, W), or None
        Where the picture was damaged, if the restorer was told or found it: other pixels are as they were.
    """

    picture: Array
    noise: float | None
    changed: bool
    mask: Mask | None = None


@dataclass(frozen=True)
class Wishes:
    """How a picture shall be restored; see `Restorer.restoration`."""

    mask: Any = None
    strength: float = 1.0
    noise: float | None = None
    self_ensemble: bool = False
    max_memory: int | str | None = None
    told: Callable[[], None] | None = None
    hints: Any = None

    def __post_init__(self) -> None:
        if self.noise is not None and not 0 <= self.noise <= 1:
            raise ParameterError(f"noise must be a share of the range from 0 to 1, got {self.noise}")

    def refuse_hints(self) -> None:
        """Refuse hints, for restorers that give no colours.

        Raises
        ------
        ParameterError
        """
        if self.hints is not None:
            raise ParameterError("this restorer gives no colours, so that hints mean nothing to it; leave them out")

    def check(self, strongest: float = 1.0) -> None:
        """Refuse a strength that is not possible.

        Raises
        ------
        ParameterError
        """
        if not isinstance(self.strength, int | float) or not 0 <= self.strength <= strongest:
            raise ParameterError(f"strength must be from 0 to {strongest:g}, got {self.strength}")


def restored_picture(net: RestorationNet, kind: DamageKind, picture: Any, wishes: Wishes) -> Restoration:
    """Take the damage off one picture of any size.

    Raises
    ------
    DataError
        If it is no picture.
    ParameterError
        If a wish is not possible, or it is not told what is lost.
    """
    wishes.check()
    wishes.refuse_hints()
    if not kind.loses and wishes.mask is not None:
        raise ParameterError("this restorer fills nothing, so that a mask means nothing to it; leave the mask out")
    if kind.noise:
        return _denoised(net, picture, wishes)
    pixels, lost = _known_and_lost(picture, wishes.mask) if kind.loses else (checked_picture(picture), None)
    if lost is not None and kind.keeps and not lost.any():
        return Restoration(pixels.copy(), None, False, lost)
    planes = PicturePlanes.of(pixels, opponent=False)
    restored = restored_planes(net, planes.values, lost, wishes)
    strength = wishes.strength if lost is None else 1.0
    result = planes.less(np.subtract(planes.values, restored, out=restored), strength)
    if lost is not None and wishes.strength < 1:
        result = _between(np.asarray(picture), result, wishes.strength)
    if lost is not None and kind.keeps:
        result[~lost] = np.asarray(picture)[~lost]
    return Restoration(result, None, wishes.strength > 0, lost)


def _between(damaged: Array, restored: Array, share: float) -> Array:
    """Return what lies so far on the way to the restored picture; from NaN there is no way but all of it."""
    way = damaged + share * (restored.astype(np.float64) - damaged)
    way = np.where(np.isnan(way), restored if share > 0 else damaged, way)
    return np.asarray(np.rint(way) if restored.dtype.kind == "u" else way).astype(restored.dtype)


def _denoised(net: RestorationNet, picture: Any, wishes: Wishes) -> Restoration:
    planes = PicturePlanes.of(picture, opponent=net.spec.channels == 1)
    found = noise_deviation(planes.channels(rows) for rows in bands(planes.values))
    if wishes.noise is None and (found is None or found < _CLEAN):
        return Restoration(np.array(picture), found, False)
    taken = restored_planes(net, planes.values, None, wishes)
    np.subtract(planes.values, taken, out=taken)
    if wishes.noise is None and _is_texture(taken):
        return Restoration(np.array(picture), found, False)
    share = wishes.strength * (1.0 if wishes.noise is None or not found else min(1.0, wishes.noise / found))
    return Restoration(planes.less(taken, share), found, share > 0)


def _is_texture(taken: Planes) -> bool:
    """Say whether what was taken off is so little, where it is least, that it was texture and no noise."""
    deviation = noise_deviation((taken[:, rows] for rows in bands(taken)), whole_range=True)
    return deviation is not None and deviation < _TAKEN_FROM_CLEAN


# --- what is lost --------------------------------------------------------------------------------------------------


def _known_and_lost(picture: Any, mask: Any) -> tuple[Array, Mask]:
    """Return a picture with a usual value where it is lost, and where that is: by the mask, or because it is NaN.

    Raises
    ------
    ParameterError
        If neither says so.
    """
    pixels = np.array(picture)
    missing = np.isnan(pixels) if pixels.dtype.kind == "f" else np.zeros(pixels.shape, bool)
    lost = np.asarray(missing.any(axis=2) if missing.ndim == 3 else missing)
    if mask is not None:
        lost = np.logical_or(lost, checked_mask(mask, pixels.shape[:2]))
    elif not lost.any():
        raise ParameterError(
            "which pixels are lost must be told: give mask=, true where they are, or NaN in a picture of floats"
        )
    if lost.all():
        raise DataError("every pixel of the picture is lost; nothing is left to fill it from")
    known = pixels[~lost]
    some = known[:: max(1, len(known) // _SAMPLED)].astype(np.float64)
    pixels[lost] = np.median(some, axis=0).astype(pixels.dtype)
    return checked_picture(pixels), lost


def checked_mask(mask: Any, size: tuple[int, ...]) -> Mask:
    """Return a mask (H, W) as truth values.

    Raises
    ------
    DataError
        If it is of another size than the picture, or no mask.
    """
    values = np.asarray(mask)
    if values.shape != tuple(size):
        raise DataError(f"the mask has shape {values.shape} and the picture {tuple(size)}; they must be of one size")
    if values.dtype != np.bool_ and values.dtype.kind not in "ui":
        raise DataError(f"a mask must be truth values or integers, 0 where nothing is lost, got {values.dtype}")
    return np.asarray(values != 0)


# --- through the network -------------------------------------------------------------------------------------------


def restored_planes(net: RestorationNet, values: Planes, lost: Mask | None, wishes: Wishes) -> Planes:
    """Return planes (planes, H, W) restored, one after the other where the network takes one."""
    tiling = tiling_of(net.spec, wishes.max_memory)
    given = values
    if lost is not None:
        known = torch.from_numpy(~lost)[None, None]
        given = with_known(torch.from_numpy(values)[None], known)[0].numpy()
    if not wishes.self_ensemble:
        return _through(net, net, given, len(values), tiling, wishes.told)
    # turned pictures meet the network's grid in the same places if their sides are whole strides
    height, width = values.shape[1:]
    lacking = [(0, 0), (0, -height % tiling.stride), (0, -width % tiling.stride)]
    padded = np.pad(given, lacking, mode="reflect" if min(values.shape[1:]) > tiling.stride else "edge")
    found = _through(net, _ensembled(net), padded, len(values), tiling, wishes.told)
    return found[:, :height, :width]


def _through(
    net: RestorationNet,
    apply: Callable[[Tensor], Tensor],
    given: Planes,
    planes: int,
    tiling: Tiling,
    told: Callable[[], None] | None,
) -> Planes:
    device, channels = next(net.parameters()).device, net.spec.channels
    if channels == planes:
        whole: Planes = apply_in_tiles(apply, given[None], tiling, device, told)[0]
        return whole

    def of_one(part: Tensor) -> Tensor:
        several = torch.cat([part[:, :1].expand(-1, channels, -1, -1), part[:, 1:]], 1)
        return apply(several.contiguous(memory_format=torch.channels_last)).mean(1, keepdim=True)

    found = np.empty((planes, *given.shape[1:]), np.float32)
    for plane, result in zip(given[:planes], found, strict=True):
        alone = np.concatenate([plane[None], given[planes:]])[None] if len(given) > planes else plane[None, None]
        result[:] = apply_in_tiles(of_one, alone, tiling, device, told)[0, 0]
    return found


def tiling_of(spec: RestorationSpec, max_memory: int | str | None) -> Tiling:
    """Return how a picture is cut so that the network's work fits into memory.

    Raises
    ------
    ParameterError
        If it cannot.
    """
    most = free_memory() // 2 if max_memory is None else _bytes(max_memory)
    a_pixel = _BYTES_A_PIXEL * max(1, spec.widths[0] / 32)
    needed = {side: int((side + 2 * spec.reach) ** 2 * a_pixel) for side in _TILES}
    fitting = [side for side in _TILES if needed[side] <= most]
    if not fitting and max_memory is not None:
        raise ParameterError(
            f"max_memory={max_memory} is too little for this network; it needs at least "
            f"{-(-needed[_TILES[-1]] // 1_000_000)}MB"
        )
    return Tiling(fitting[0] if fitting else _TILES[-1], spec.reach, spec.stride)


def _bytes(max_memory: int | str) -> int:
    try:
        return bytes_of(max_memory)
    except ValueError:
        raise ParameterError(f"max_memory must be bytes or a text such as '500MB', got {max_memory!r}") from None


def _ensembled(net: RestorationNet) -> Callable[[Tensor], Tensor]:
    """Return the mean over the eight ways to turn and mirror what is given."""

    def apply(given: Tensor) -> Tensor:
        total = given.new_zeros(())
        for turns in range(_TURNS // 2):
            for mirrored in (False, True):
                turned = torch.rot90(given, turns, (2, 3))
                restored = net(turned.flip(3) if mirrored else turned)
                total = total + torch.rot90(restored.flip(3) if mirrored else restored, -turns, (2, 3))
        return total / _TURNS

    return apply
