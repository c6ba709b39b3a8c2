"""What ``refold unwatermark --logo`` does: the mark is known, and found in each picture."""

from collections.abc import Sequence
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from refold._errors import DataError, ParameterError
from refold.cli._picture_jobs import PictureJob
from refold.cli._restoring import RestoreWishes, jobs_of, work_off
from refold.cli._talk import working_progress
from refold.data import PictureFile, read_picture_file
from refold.estimators import (
    DamageKind,
    Logo,
    Mark,
    Restoration,
    Restorer,
    found_logo,
    logos_of,
    mark_of,
    pretrained,
    sizes_searched,
    surest,
)

_COVERED = 0.95  # opacity from which on nothing of the picture is left, so that it is filled


def unwatermark_logo(inputs: Sequence[str], files: Sequence[Path], wishes: RestoreWishes) -> dict[str, Any]:
    """Find logos in each picture, take them off, and return what was done."""
    if not 0 <= wishes.strength <= 1:
        raise ParameterError(f"strength must be from 0 to 1, got {wishes.strength}")
    logos = [_read_logo(file) for file in files]
    own = {file.resolve() for file in files}
    jobs = [job for job in jobs_of(inputs, wishes) if job.source.resolve() not in own]

    def restore(file: PictureFile, job: PictureJob) -> Restoration:
        mark = _found(file.pixels, logos, wishes.quiet)
        mask = np.asarray(mark.alpha > 0)
        if not mask.any() or wishes.strength == 0:
            return Restoration(file.pixels, None, False, mask)
        return Restoration(_without(mark, file.pixels, wishes), None, True, mask)

    return work_off(jobs, "unwatermark", wishes, DamageKind(finds=True), restore)


def _read_logo(file: Path) -> list[Logo]:
    """Return a logo in the ways in which it may have been laid.

    Raises
    ------
    ParameterError
        If there is no such file.
    DataError
        If it cannot be read, or nothing of it can be seen.
    """
    if not file.is_file():
        raise ParameterError(f"--logo {str(file)!r} is no file; give the mark as a picture, several each with --logo")
    try:
        read = read_picture_file(file)
        return logos_of(_with_opacity(read))
    except DataError as error:
        raise DataError(f"--logo {file.name}: {error}") from None


def _with_opacity(file: PictureFile) -> NDArray[Any]:
    """Return pixels with opacity as the last channel, where the file has one."""
    pixels = file.pixels
    if pixels.ndim == 3 and pixels.shape[2] == 4:
        raise DataError("it has four colours (CMYK); give it in RGB")
    if file.alpha is None:
        return pixels
    colours = np.repeat(pixels[..., None], 3, axis=2) if pixels.ndim == 2 else pixels
    return np.concatenate([colours, file.alpha.astype(colours.dtype)[..., None]], axis=2)


def _found(pixels: NDArray[Any], logos: Sequence[Sequence[Logo]], quiet: bool) -> Mark:
    """Return all logos that are on a picture as one mark."""
    total = sum(sizes_searched(pixels.shape, each) for each in logos)
    with working_progress(total, quiet) as advance:
        found = [surest([found_logo(pixels, way, lambda: advance(1)) for way in each]) for each in logos]
    return mark_of([each for each in found if each is not None], pixels.shape[:2])


def _without(mark: Mark, pixels: NDArray[Any], wishes: RestoreWishes) -> NDArray[Any]:
    """Return a picture without a mark; what that covers wholly is filled."""
    freed = mark.removed_from(pixels, wishes.strength)
    covered = mark.alpha > _COVERED
    if not covered.any() or covered.all():
        return freed
    filled: NDArray[Any] = _filling().restore(freed, covered, strength=wishes.strength, max_memory=wishes.max_memory)
    return filled


@cache
def _filling() -> Restorer:
    return pretrained("inpaint")
