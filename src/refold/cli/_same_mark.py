"""What ``refold unwatermark --same-mark`` does: the mark is told from all pictures together."""

from collections import defaultdict
from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from refold._errors import DataError
from refold.cli._picture_jobs import PictureJob
from refold.cli._restoring import RestoreWishes, jobs_of, work_off
from refold.cli._talk import say
from refold.data import PictureFile, read_picture_file
from refold.estimators import DamageKind, Mark, Restoration, shared_mark

_MOST = 60  # pictures that the mark is told from
_FEWEST = 5


def unwatermark_together(inputs: Sequence[str], wishes: RestoreWishes) -> dict[str, Any]:
    """Tell the mark from all pictures of one size, take it off each, and return what was done."""
    jobs = jobs_of(inputs, wishes)
    marks = _marks_of(jobs, wishes.quiet)

    def restore(file: PictureFile, job: PictureJob) -> Restoration:
        size = file.pixels.shape[:2]
        if size not in marks:
            raise DataError(
                f"too few pictures have its size {size[1]}x{size[0]}; {_FEWEST} of one size are needed, without "
                "--same-mark one is enough"
            )
        mark = marks[size]
        mask = np.asarray(mark.alpha > 0)
        if not mask.any() or wishes.strength == 0:
            return Restoration(file.pixels, None, False, mask)
        return Restoration(mark.removed_from(file.pixels, wishes.strength), None, True, mask)

    return work_off(jobs, "unwatermark", wishes, DamageKind(finds=True), restore)


def _marks_of(jobs: Sequence[PictureJob], quiet: bool) -> dict[tuple[int, ...], Mark]:
    """Return the mark of every size that enough pictures have; broken ones are told of later."""
    pictures: dict[tuple[int, ...], list[NDArray[Any]]] = defaultdict(list)
    for job in jobs:
        try:
            pixels = read_picture_file(job.source).pixels
        except (DataError, OSError):
            continue
        if len(pictures[pixels.shape[:2]]) < _MOST:
            pictures[pixels.shape[:2]].append(pixels)
    marks = {}
    for size, some in pictures.items():
        if len(some) >= _FEWEST:
            marks[size] = shared_mark(some)
            if not quiet:
                share = float((marks[size].alpha > 0).mean())
                say(f"{len(some)} pictures of {size[1]}x{size[0]}: a mark on {share:.2%} of their pixels")
    return marks
