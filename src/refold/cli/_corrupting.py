"""What ``refold corrupt`` does: pictures damaged on purpose, and where."""

import zlib
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from PIL import ImageColor

from refold._errors import DataError, ParameterError
from refold.cli._picture_jobs import PictureJob, Writing, mask_path, picture_jobs, write_mask
from refold.cli._talk import say
from refold.data import LUMINANCE, PictureFile, read_picture_file, write_picture_file
from refold.objectives import Corruption, Domain, parse_corruption

_SKIPPED = (DataError, OSError, MemoryError)


@dataclass(frozen=True)
class CorruptWishes:
    """What the user wants of ``refold corrupt``.

    Parameters
    ----------
    writing : Writing
    corruption : str
    seed : int
    lost : str
        The colour of lost pixels.
    masks : Path or None
        A folder for masks of what was lost.
    quiet : bool
    """

    writing: Writing
    corruption: str
    seed: int
    lost: str
    masks: Path | None
    quiet: bool


def corrupt_files(inputs: Sequence[str], wishes: CorruptWishes) -> dict[str, Any]:
    """Damage pictures one by one, and return what was done; broken ones are told of and left out."""
    corruption, colour = parse_corruption(wishes.corruption), _colour(wishes.lost)
    assert corruption is not None
    masks = wishes.masks
    jobs = picture_jobs(inputs, wishes.writing, lambda job: [] if masks is None else [mask_path(masks, job)])
    done: list[dict[str, Any]] = []
    skipped: dict[str, str] = {}
    for job in jobs:
        seed = zlib.crc32(f"{wishes.seed} {job.name}".encode())  # of the picture, whichever are damaged with it
        try:
            lost = _corrupt(job, corruption, colour, seed, masks)
        except _SKIPPED as error:
            skipped[job.name] = " ".join(str(error).split()) or type(error).__name__
            say(f"skipped {job.name}: {skipped[job.name]}")
            continue
        done.append({"file": str(job.target), "lost_share": round(lost, 6)})
        if not wishes.quiet:
            say(f"{job.name}: damaged" + (f", {lost:.1%} of the pixels lost" if lost else ""))
    return {"done": done, "skipped": skipped}


def _corrupt(
    job: PictureJob, corruption: Corruption, colour: tuple[int, ...], seed: int, masks: Path | None
) -> float:
    """Damage one picture and return the share of its pixels that are lost."""
    file = read_picture_file(job.source)
    damaged, lost = damaged_pixels(file, corruption, colour, seed)
    write_picture_file(file.with_pixels(damaged), job.target)
    if masks is not None:
        write_mask(lost, mask_path(masks, job))
    return float(lost.mean())


def damaged_pixels(
    file: PictureFile, corruption: Corruption, colour: tuple[int, ...], seed: int
) -> tuple[NDArray[Any], NDArray[np.bool_]]:
    """Return a picture's pixels damaged, in their own type, and which of them are lost.

    Raises
    ------
    DataError
        If they are neither grey nor RGB.
    """
    pixels = file.pixels
    if pixels.ndim == 3 and pixels.shape[2] != 3:
        raise DataError("a CMYK picture cannot be damaged; give it as RGB")
    high = float(np.iinfo(pixels.dtype).max) if pixels.dtype.kind == "u" else max(1.0, float(pixels.max()))
    channels = pixels[..., None] if pixels.ndim == 2 else pixels
    raw = torch.from_numpy(np.ascontiguousarray(channels.transpose(2, 0, 1))[None].astype(np.float32))
    domain = Domain(torch.tensor(0.0), torch.tensor(high), torch.tensor(True))
    damaged = corruption(raw, domain, torch.Generator().manual_seed(seed))[0].permute(1, 2, 0).numpy()
    lost = np.isnan(damaged).any(axis=2)
    damaged[lost] = np.array(colour if damaged.shape[2] == 3 else [np.dot(colour, LUMINANCE)]) / 255 * high
    if pixels.dtype.kind == "u":
        damaged = np.rint(np.clip(damaged, 0, high))
    return damaged.astype(pixels.dtype).reshape(pixels.shape), lost


def _colour(text: str) -> tuple[int, ...]:
    try:
        return ImageColor.getrgb(text)[:3]
    except ValueError:
        raise ParameterError(f"--lost must be a colour such as white or '#ff00ff', got {text!r}") from None
