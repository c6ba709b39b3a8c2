"""What a camera's frames look like: their mode, and what makes one useless."""

from collections.abc import Iterable, Iterator
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from refold._errors import DataError
from refold.data import Camera, Frame, open_camera
from refold.scores import grid_of

Picture = NDArray[np.uint8]
Grid = NDArray[np.float32]

COLOUR, INFRA_RED = "colour", "infra-red"
MODES = (COLOUR, INFRA_RED)
_GREYEST = 3.0  # mean difference of a pixel's channels below which a frame is thought one of infra-red light
_DARKEST, _FLATTEST = 4.0, 1.0  # mean and deviation of grey levels below which a frame shows nothing
_MINUTE = timedelta(minutes=1)
_SHORTEST_STEP = 0.5  # seconds; less is the time that copying took


def frames_of(source: Any, every: float | None, follow: bool = False, after: str | None = None) -> Iterator[Frame]:
    """Yield the frames of a path, an address, a `Camera`, or of an iterable of frames or pictures.

    Raises
    ------
    DataError
        If there is no such source.
    """
    if isinstance(source, str | Path):
        source = open_camera(str(source), every=every)
    if isinstance(source, Camera):
        yield from source.frames(follow, after)
        return
    start = datetime(2000, 1, 1)
    for place, item in enumerate(source):
        if isinstance(item, Frame):
            yield item
        else:
            yield Frame(f"{place:09d}", start + place * _MINUTE, np.asarray(item))


def mode_of(picture: Picture) -> str:
    """Return whether a frame has colours, or is one of infra-red light."""
    if picture.ndim == 2:
        return INFRA_RED
    sample = picture[::4, ::4].astype(np.int16)
    return INFRA_RED if float(np.ptp(sample, axis=2).mean()) < _GREYEST else COLOUR


def grid_or_problem(picture: Picture) -> tuple[Grid | None, str]:
    """Return the grid of a frame, or why it has none."""
    try:
        grid = grid_of(picture)
    except DataError as error:
        return None, str(error)
    if grid.mean() < _DARKEST:
        return None, "is black"
    if grid.std() < _FLATTEST:
        return None, "shows nothing but one shade"
    return grid, ""


def read_mask(path: str, shape: tuple[int, int]) -> NDArray[np.bool_]:
    """Return where a mask is dark, as a grid of some shape.

    Raises
    ------
    DataError
        If it cannot be read as a picture.
    """
    try:
        with Image.open(path) as image:
            small = image.convert("L").resize(shape[::-1], Image.Resampling.BOX)
    except (OSError, ValueError, Image.DecompressionBombError) as error:
        raise DataError(f"the mask {path!r} cannot be read as a picture: {error}") from error
    return np.asarray(small) < 128


def usual_step(times: Iterable[datetime]) -> float:
    """Return the median of the seconds between frames; a minute where that is not known, as of copied files."""
    seconds = np.diff([moment.timestamp() for moment in times])
    seconds = seconds[seconds > 0]
    step = float(np.median(seconds)) if len(seconds) else 0.0
    return step if step >= _SHORTEST_STEP else _MINUTE.total_seconds()
