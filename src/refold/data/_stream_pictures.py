"""Folders of pictures read a handful at a time."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from refold._errors import DataError
from refold.data._pictures import PictureSet
from refold.data._streams import Stream

PICTURES_TOGETHER = 32


@dataclass(frozen=True)
class PictureRange:
    """Neighbouring pictures of a set."""

    pictures: PictureSet
    start: int
    size: int

    def blocks(self, rows: int) -> Iterator[NDArray[Any]]:
        """Yield the pictures in order, at most `rows` at a time.

        Raises
        ------
        DataError
            If one cannot be decoded; its head was read when the set was opened, and so it counts.
        """
        files = self.pictures.files[self.start : self.start + self.size]
        for start in range(0, self.size, rows):
            yield _decoded(self.pictures, files[start : start + rows])


def picture_stream(pictures: PictureSet, names: Sequence[str]) -> Stream:
    """Return a set of pictures as a stream; only the first one is decoded."""
    size = len(pictures.files)
    pieces = tuple(
        PictureRange(pictures, start, min(PICTURES_TOGETHER, size - start))
        for start in range(0, size, PICTURES_TOGETHER)
    )
    return Stream(pieces, size, pictures.record_bytes, None, tuple(names), _decoded(pictures, pictures.files[:1]))


def _decoded(pictures: PictureSet, files: Sequence[Path]) -> NDArray[Any]:
    values = np.empty((len(files), *pictures.shape[1:]), pictures.dtype)
    for place, picture in enumerate(pictures.decoded(files)):
        if picture is None:
            raise DataError(
                f"the picture {files[place].name!r} cannot be decoded; replace it or take it away, and open the "
                "pictures again"
            )
        values[place] = picture
    return values
