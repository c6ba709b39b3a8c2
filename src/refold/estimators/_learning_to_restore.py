"""What a restorer learns from: pictures of its own or in pairs, and what its corruption does to them."""

import os
import warnings
import zlib
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from refold._errors import DataError, ParameterError, RefoldWarning
from refold._memory import free_memory
from refold.data import Pictures, open_pictures
from refold.estimators._picture_planes import checked_picture
from refold.objectives import Both, Corruption, Either, Gaussian, Grey, Watermark
from refold.train import (
    UNIT,
    ColourExamples,
    DrawExamples,
    PairCrops,
    PictureCrops,
    changed_pixels,
    damaged_examples,
    lost_pixels,
    marked_examples,
    noise_of_many_levels,
)

Array = NDArray[Any]

_STRONGER = 1.25  # times the given noise is the strongest that is trained on
_CROPS_ACROSS = 4  # is how far pictures reach on which marks are laid
_PROBED = 8  # crops that are damaged to see what a corruption does


@dataclass(frozen=True)
class DamageKind:
    """What a damage does to pictures, and so what undoing it needs.

    Parameters
    ----------
    noise : bool
        It is Gaussian noise and nothing else: pictures without noise come back as they are.
    loses : bool
        Pixels are lost, and it must be told which.
    keeps : bool
        All other pixels are as they were.
    finds : bool
        It covers some places, which the network must find: nothing else is changed.
    blind : bool
        What covers them was never seen in training: they must look surer.
    colours : bool
        Colour is lost and the luminance kept: chroma is guessed, from hints where there are any.
    """

    noise: bool = False
    loses: bool = False
    keeps: bool = False
    finds: bool = False
    blind: bool = False
    colours: bool = False


def kind_of(corruption: Corruption | None, crops: PictureCrops) -> DamageKind:
    """Return what a corruption does, None standing for the damage of pairs, by trying it on a few crops.

    Raises
    ------
    ParameterError
        If it does nothing, or gives something else than damaged pictures.
    """
    if corruption is None:
        return DamageKind()
    if isinstance(corruption, Gaussian):
        return DamageKind(noise=True)
    if isinstance(corruption, Grey):
        return DamageKind(colours=True)
    generator = torch.Generator().manual_seed(0)
    whole = crops(_PROBED, generator)
    damaged = corruption(whole, UNIT, generator)
    if damaged.shape != whole.shape or not damaged.is_floating_point():
        raise ParameterError(
            f"corruption={corruption!r} made {tuple(damaged.shape)} {damaged.dtype} of {tuple(whole.shape)}; it must "
            "return pictures of the same shape, of floats"
        )
    lost = damaged.isnan()
    if _lays_marks(corruption):
        return DamageKind(finds=True)
    changed = bool((damaged[~lost] != whole[~lost]).any())
    if not changed and not bool(lost.any()):
        raise ParameterError(f"corruption={corruption!r} damaged nothing in {_PROBED} crops; make it stronger")
    return DamageKind(loses=bool(lost.any()), keeps=not changed)


def _lays_marks(corruption: Corruption) -> bool:
    """Say whether a corruption lays marks over pictures and does nothing else."""
    if isinstance(corruption, Both | Either):
        return _lays_marks(corruption.first) and _lays_marks(corruption.second)
    return isinstance(corruption, Watermark)


def examples_of(crops: PictureCrops, corruption: Corruption, kind: DamageKind, side: int) -> DrawExamples:
    """Return examples of crops that are damaged on purpose, and then cut to `side` where damage is found."""
    if kind.finds:
        return marked_examples(crops, corruption, side)
    if isinstance(corruption, Gaussian):
        return damaged_examples(crops, noise_of_many_levels(_STRONGER * corruption.share))
    if kind.loses:
        return damaged_examples(crops, lost_pixels(corruption) if kind.keeps else lost_pixels(corruption, 1.0))
    return damaged_examples(crops, changed_pixels(corruption))


def large_side(pictures: Sequence[Array], crop: int) -> int:
    """Return the side of the crops on which marks are laid: of most pictures nearly all, for marks of their sizes."""
    shorter = int(np.median([min(picture.shape[:2]) for picture in pictures]))
    return max(crop, min(shorter, _CROPS_ACROSS * crop))


def colour_examples(pictures: Sequence[Array], side: int) -> DrawExamples:
    """Return examples of grey pictures and hints; pictures that are grey themselves teach nothing.

    Raises
    ------
    DataError
        If all are.
    """
    coloured = [each for each in pictures if each.ndim == 3 and bool((each != each[..., :1]).any())]
    if not coloured:
        raise DataError(f"none of {len(pictures)} pictures has colours; give colour pictures to learn colours from")
    return ColourExamples(coloured, side)


def pair_examples(damaged: Sequence[Array], whole: Sequence[Array], side: int, channels: int) -> DrawExamples:
    """Return examples of pairs of pictures.

    Raises
    ------
    DataError
        If they are no pairs.
    """
    if len(damaged) != len(whole):
        raise DataError(f"there are {len(damaged)} damaged and {len(whole)} whole pictures; give pairs")
    for place, (one, other) in enumerate(zip(damaged, whole, strict=True)):
        if one.shape[:2] != other.shape[:2]:
            raise DataError(
                f"the damaged and the whole picture {place} differ in size, {one.shape[:2]} and {other.shape[:2]}; "
                "both must show the same place"
            )
    return PairCrops(damaged, whole, side, channels)


def channels_of(*pictures: Sequence[Array]) -> int:
    """Return 3 if any picture has colours, and 1 if none has."""
    return 3 if any(picture.ndim == 3 for some in pictures for picture in some) else 1


def checksum(pictures: Sequence[Array]) -> str:
    """Return in words which pictures these are."""
    digest = 0
    for picture in pictures:
        digest = zlib.crc32(np.ascontiguousarray(picture).tobytes(), digest)
    return f"{len(pictures)} with checksum {digest:08x}"


# --- reading -------------------------------------------------------------------------------------------------------


def pictures_of(X: Any, seed: int | None) -> list[Array]:
    """Return all pictures, or of a folder as many, drawn at random, as half of the free memory holds.

    Raises
    ------
    DataError
        If there is none, or one is none.
    """
    if isinstance(X, str | os.PathLike):
        opened = _opened(X)
        return _read_while_there_is_room(opened, np.random.default_rng(seed).permutation(opened.size))
    if isinstance(X, np.ndarray) and X.ndim == 3 and X.shape[2] in (3, 4) and X.shape[1] > X.shape[2]:
        raise DataError(f"{X.shape} is one picture; give a list of pictures, or an array (n, H, W) or (n, H, W, 3)")
    pictures = [_to_learn_from(picture) for picture in X]
    if not pictures:
        raise DataError("there is no picture to learn from; give at least one")
    return pictures


def pairs_of(X: Any, y: Any, seed: int | None) -> tuple[list[Array], list[Array]]:
    """Return damaged pictures and whole ones, pair by pair; of two folders those of the same name.

    Raises
    ------
    DataError
        If a picture of one folder has none of its name in the other.
    """
    folders = [isinstance(each, str | os.PathLike) for each in (X, y)]
    if not all(folders):
        if any(folders):
            raise DataError("give two folders, or two lists of pictures: damaged ones and whole ones")
        return pictures_of(X, seed), pictures_of(y, seed)
    damaged, whole = _opened(X), _opened(y)
    places = {_stem(name): place for place, name in enumerate(whole.names)}
    lonely = [name for name in damaged.names if _stem(name) not in places]
    if lonely:
        raise DataError(
            f"{lonely[0]!r} has no whole picture of its name in {str(y)!r}; pairs are known by their names"
        )
    order = np.random.default_rng(seed).permutation(damaged.size)
    read = _read_while_there_is_room(damaged, order, 0.5)  # of the room: the other half is for the whole ones
    kept = [_stem(damaged.names[place]) for place in order[: len(read)].tolist()]
    return read, [_to_learn_from(whole.read(places[name])) for name in kept]


def _stem(name: str) -> str:
    return str(Path(name).with_suffix(""))


def _opened(X: Any) -> Pictures:
    opened = open_pictures(str(X))
    if opened is None or not opened.size:
        raise DataError(f"there are no pictures in {str(X)!r}; give a folder of them")
    return opened


def _to_learn_from(picture: Any) -> Array:
    pixels = checked_picture(picture)
    pixels = pixels[..., 0] if pixels.ndim == 3 and pixels.shape[2] == 1 else pixels
    if pixels.ndim == 3 and pixels.shape[2] != 3:
        raise DataError(f"a picture to learn from must have shape (H, W) or (H, W, 3), got {pixels.shape}")
    if pixels.dtype.kind == "f" and (pixels.min() < 0 or pixels.max() > 1):
        raise DataError(f"floats to learn from must lie in 0 to 1, got {pixels.min():.4g} to {pixels.max():.4g}")
    return pixels


def _read_while_there_is_room(opened: Pictures, order: NDArray[np.intp], share: float = 1.0) -> list[Array]:
    room = share * free_memory() / 2
    pictures: list[Array] = []
    for place in order.tolist():
        picture = _to_learn_from(opened.read(place))
        room -= picture.nbytes
        if room < 0 and pictures:
            warnings.warn(
                f"{opened.size} pictures are more than memory holds; {len(pictures)} of them were learned from",
                RefoldWarning,
                stacklevel=5,
            )
            break
        pictures.append(picture)
    return pictures
