"""What ``refold unwatermark --same-mark`` does: the mark is told from all pictures together."""

from collections import defaultdict
from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from refold._errors import DataError
from refold._memory import free_memory
from refold.cli._picture_jobs import PictureJob
from refold.cli._restoring import RestoreWishes, jobs_of, work_off
from refold.cli._talk import say
from refold.data import PictureFile, read_picture_file
from refold.estimators import DamageKind, Mark, Restoration, shared_mark

_MOST = 60  # pictures that the mark is told from
_FEWEST = 8
_BYTES_A_PIXEL = 64  # of each picture while the mark is told: floats of three channels, several times


def unwatermark_together(inputs: Sequence[str], wishes: RestoreWishes) -> dict[str, Any]:
    """Tell the mark from all pictures of one size, take it off each, and return what was done."""
    jobs = jobs_of(inputs, wishes)
    marks = _marks_of(jobs, wishes.max_memory or free_memory() // 2, wishes.quiet)

    def restore(file: PictureFile, job: PictureJob) -> Restoration:
        size = file.pixels.shape[:2]
        if size not in marks:
            raise DataError(
                f"too few pictures have its size {size[1]}x{size[0]}; {_FEWEST} of one size are needed to tell a mark"
            )
        mark = marks[size]
        mask = np.asarray(mark.alpha > 0)
        if not mask.any() or wishes.strength == 0:
            return Restoration(file.pixels, None, False, mask)
        return Restoration(mark.removed_from(file.pixels, wishes.strength), None, True, mask)

    return work_off(jobs, "unwatermark", wishes, DamageKind(finds=True), restore)


def _marks_of(jobs: Sequence[PictureJob], memory: int, quiet: bool) -> dict[tuple[int, ...], Mark]:
    """Return the mark of every size that enough pictures have; broken ones are told of later."""
    pictures: dict[tuple[int, ...], list[NDArray[Any]]] = defaultdict(list)
    for job in jobs:
        try:
            pixels = read_picture_file(job.source).pixels
        except (DataError, OSError):
            continue
        size = pixels.shape[:2]
        fits = pixels.ndim == 2 or pixels.shape[2] == 3
        if fits and np.isfinite(pixels).all() and len(pictures[size]) < _most_of(size, memory):
            pictures[size].append(pixels)
    marks = {}
    for size, some in pictures.items():
        if len(some) >= _FEWEST:
            marks[size] = _mark_of(some)
            if not quiet:
                share = float((marks[size].alpha > 0).mean())
                say(f"{len(some)} pictures of {size[1]}x{size[0]}: a mark on {share:.2%} of their pixels")
    return marks


def _most_of(size: tuple[int, ...], memory: int) -> int:
    """Return from how many pictures of a size a mark is told: as memory holds, and no more than needed."""
    return max(_FEWEST, min(_MOST, memory // (_BYTES_A_PIXEL * size[0] * size[1])))


def _mark_of(pictures: Sequence[NDArray[Any]]) -> Mark:
    """Return the mark that pictures share, or one that is nowhere."""
    try:
        return shared_mark(pictures)
    except DataError:
        size = pictures[0].shape[:2]
        return Mark(np.zeros(size, np.float32), np.zeros((*size, 3), np.float32))
