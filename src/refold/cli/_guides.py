"""What users tell beside a picture: which of its pixels are lost, which colours it has."""

from collections.abc import Callable
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import ImageColor

from refold._errors import DataError, ParameterError
from refold.data import LUMINANCE, PictureFile, is_picture, picture_files, read_picture_file

Mask = NDArray[np.bool_]
Guide = Callable[[str, PictureFile], dict[str, Any]]

_ALPHA = "alpha"
_HALF, _OPAQUE = 0.5, 255
_COLOURED = 24  # levels between the channels of a pixel, which JPEG makes of no grey one


def no_guide(name: str, file: PictureFile) -> dict[str, Any]:
    """Tell nothing."""
    return {}


@dataclass(frozen=True)
class HintGuide:
    """Which colours a grey picture has.

    Parameters
    ----------
    path : Path
        A picture with hints, or a folder of them of the same names; pictures without one go without hints.
    """

    path: Path

    def __call__(self, name: str, file: PictureFile) -> dict[str, Any]:
        """Return the hints as `Restorer.restoration` wants them."""
        path = _of_same_name(self.path, name) if self.path.is_dir() else self.path
        return {} if path is None else {"hints": _read_hints(path)}


def hint_guide(told: Path) -> HintGuide:
    """Return what tells colours.

    Raises
    ------
    ParameterError
        If there is no such file or folder.
    """
    if not told.exists():
        raise ParameterError(f"--hints {str(told)!r} is not there; give a picture with hints, or a folder of them")
    return HintGuide(told)


def _read_hints(path: Path) -> NDArray[np.uint8]:
    """Return RGBA: a layer as it is; of a picture without transparency what is coloured."""
    file = read_picture_file(path)
    pixels = np.rint(_unit(file.pixels) * 255).astype(np.uint8)
    if pixels.ndim == 2 or pixels.shape[2] != 3:
        raise DataError(f"{path.name!r} has no colours that could be hints")
    if file.alpha is not None and _unit(file.alpha).min() < 1:
        return np.dstack([pixels, (file.alpha > 0).astype(np.uint8) * np.uint8(_OPAQUE)])
    coloured = np.ptp(pixels.astype(np.int16), axis=2) > _COLOURED
    return np.dstack([pixels, coloured.astype(np.uint8) * np.uint8(255)])


def _of_same_name(folder: Path, name: str) -> Path | None:
    return _by_name(folder).get(Path(name).with_suffix(""))


@cache
def _by_name(folder: Path) -> dict[Path, Path]:
    """Return the pictures of a folder by their names without suffix; the first where two have one."""
    return {path.relative_to(folder).with_suffix(""): path for path in reversed(picture_files(folder))}


@dataclass(frozen=True)
class MaskGuide:
    """Where pixels are lost.

    Parameters
    ----------
    find : callable
        From a picture's name and file to a mask (H, W).
    grow : int
        Pixels by which the lost places are widened.
    transparent : bool
        Whether lost pixels are transparent, and shall no longer be once they are filled.
    """

    find: Callable[[str, PictureFile], Mask]
    grow: int = 0
    transparent: bool = False

    def __call__(self, name: str, file: PictureFile) -> dict[str, Any]:
        """Return the mask as `Restorer.restoration` wants it."""
        mask = self.find(name, file)
        if mask.shape != file.pixels.shape[:2]:
            raise DataError(
                f"the mask of {name!r} has {mask.shape[1]}x{mask.shape[0]} pixels and the picture "
                f"{file.pixels.shape[1]}x{file.pixels.shape[0]}; they must be of one size"
            )
        return {"mask": _grown(mask, self.grow)}


def mask_guide(told: str, grow: int | None, tolerance: int) -> MaskGuide:
    """Return what finds the lost pixels.

    Parameters
    ----------
    told : str
        A picture that is bright where pixels are lost, a folder of such pictures of the same names, ``"alpha"`` for
        transparent pixels, or the colour that lost pixels have, such as ``"white"`` or ``"#ff00ff"``.
    grow : int or None
        None widens by one pixel where a colour is told, whose edges are mixed with what is beside them.
    tolerance : int
        By how much, of 255, each channel may differ from the colour.

    Raises
    ------
    ParameterError
        If it is none of these.
    """
    path = Path(told)
    if path.is_dir():
        return MaskGuide(_MasksOfFolder(path), grow or 0)
    if path.is_file():
        one = _read_mask(path)
        return MaskGuide(lambda name, file: one, grow or 0)
    if told.lower() == _ALPHA:
        return MaskGuide(_transparent, grow or 0, transparent=True)
    if is_picture(path):
        raise ParameterError(f"--mask {told!r} is not there; give a picture, a folder, alpha or a colour")
    try:
        colour = np.array(ImageColor.getrgb(told)[:3])
    except ValueError:
        raise ParameterError(
            f"--mask must be a picture, a folder of them, alpha, or a colour such as white or '#ff00ff', got {told!r}"
        ) from None
    return MaskGuide(lambda name, file: _of_colour(file, colour, tolerance), 1 if grow is None else grow)


@dataclass(frozen=True)
class _MasksOfFolder:
    """Masks of the same names as the pictures, whatever their kind."""

    folder: Path

    def __call__(self, name: str, file: PictureFile) -> Mask:
        path = _of_same_name(self.folder, name)
        if path is not None:
            return _read_mask(path)
        raise DataError(f"{str(self.folder)!r} has no mask for {name!r}; a mask has the name of its picture")


def _read_mask(path: Path) -> Mask:
    """Return where a picture is bright; or, on a layer that is transparent elsewhere, where something was drawn."""
    file = read_picture_file(path)
    if file.alpha is not None and _unit(file.alpha).min() < 1:
        return np.asarray(_unit(file.alpha) > _HALF)
    return np.asarray(_unit(file.pixels).reshape(*file.pixels.shape[:2], -1).mean(axis=2) > _HALF)


def _transparent(name: str, file: PictureFile) -> Mask:
    if file.alpha is None:
        raise DataError(f"{name!r} has no transparency that could say what is lost")
    return np.asarray(file.alpha == 0)


def _of_colour(file: PictureFile, colour: NDArray[Any], tolerance: int) -> Mask:
    levels = _unit(file.pixels) * 255
    if levels.ndim == 3 and levels.shape[2] != 3:
        raise DataError("a colour says nothing about a CMYK picture; give a mask, or the picture as RGB")
    if levels.ndim == 2:
        levels, colour = levels[..., None], np.array([colour @ LUMINANCE])
    return np.asarray((np.abs(levels - colour) <= tolerance).all(axis=2))


def _unit(pixels: NDArray[Any]) -> NDArray[np.float64]:
    if pixels.dtype.kind == "f":
        return pixels.astype(np.float64)
    return np.asarray(pixels / np.iinfo(pixels.dtype).max)


def _grown(mask: Mask, pixels: int) -> Mask:
    if pixels == 0 or not mask.any():
        return mask
    from scipy.ndimage import binary_dilation

    return np.asarray(binary_dilation(mask, np.ones((3, 3), bool), iterations=pixels))
