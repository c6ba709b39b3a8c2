"""Pictures on a page, side by side or one after the other."""

import io
import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from PIL import Image

from refold._errors import DataError, ParameterError
from refold.plots._inputs import Array, read_pictures
from refold.plots._markup import caption_line, data_uri, escaped, png

_PICTURE_DOTS = 132
_ANIMATION_DOTS = 280
_LARGEST_PICTURE = 1_400


@dataclass(frozen=True, eq=False)
class Pictures:
    """Pictures side by side: before and after, or the steps of a walk.

    Parameters
    ----------
    heading : str
    images : array of shape (n, H, W) or (n, H, W, C), or sequence of n arrays (H, W) or (H, W, C)
        uint8, or floats in 0..1 (other floats are scaled: all together in an array, each for itself in a
        sequence). C is 1, 3 or 4. Small ones are enlarged with crisp pixels.
    captions : sequence of str of shape (n,), default=()
        One line under each picture; empty for none.
    caption : str, default=""

    Raises
    ------
    DataError
        If these are no pictures, or the captions are not as many.
    """

    heading: str
    images: Array | Sequence[npt.ArrayLike]
    captions: Sequence[str] = ()
    caption: str = ""

    def __post_init__(self) -> None:
        count = len(self._pictures())
        if len(self.captions) not in (0, count):
            raise DataError(
                f"got {len(self.captions)} captions for {count} images; give one per image, or none at all"
            )

    def html(self) -> str:
        """Return the pictures in a card, wrapping to the width of the screen."""
        captions = self.captions or [""] * len(self._pictures())
        shown = zip(self._pictures(), captions, strict=True)
        figures = "\n".join(_picture_figure(picture, text, self.heading) for picture, text in shown)
        return f'<div class="card pictures">{figures}</div>{caption_line(self.caption)}'

    def _pictures(self) -> list[Array]:
        if isinstance(self.images, np.ndarray):
            return list(read_pictures(self.images))
        return [read_pictures([image])[0] for image in self.images]


def _picture_figure(picture: Array, caption: str, heading: str) -> str:
    shown = _at_most(picture, _LARGEST_PICTURE)
    factor = max(1, round(_PICTURE_DOTS / max(shown.shape[:2])))
    text = f"<figcaption>{escaped(caption)}</figcaption>" if caption else ""
    crisp = ' class="crisp"' if factor > 1 else ""
    address = data_uri("image/png", png(shown))
    wide, alt = shown.shape[1] * factor, escaped(caption or heading)
    return f'<figure><img{crisp} src="{address}" width="{wide}" alt="{alt}">{text}</figure>'


def _at_most(picture: Array, dots: int) -> Array:
    image = Image.fromarray(picture)
    if max(image.size) > dots:
        image.thumbnail((dots, dots), Image.Resampling.LANCZOS)
    return np.asarray(image)


@dataclass(frozen=True, eq=False)
class Animation:
    """Frames that follow each other without end, for instance a walk between two digits.

    Parameters
    ----------
    heading : str
    frames : array of shape (n, H, W) or (n, H, W, C)
        uint8, or floats in 0..1 (other numbers are scaled together). C is 1, 3 or 4. Small frames are
        enlarged with crisp pixels. Readers who asked for less motion see the middle frame.
    caption : str, default=""
    seconds_per_frame : float, default=0.08

    Raises
    ------
    DataError
        If the frames are no pictures.
    ParameterError
        If `seconds_per_frame` is not above 0.
    """

    heading: str
    frames: npt.ArrayLike
    caption: str = ""
    seconds_per_frame: float = 0.08

    def __post_init__(self) -> None:
        read_pictures(self.frames, "frames")
        if not 0 < self.seconds_per_frame < math.inf:
            raise ParameterError(
                f"got seconds_per_frame={self.seconds_per_frame!r}; give a number above 0, for instance 0.08"
            )

    def html(self) -> str:
        """Return the moving picture in a card."""
        frames = _enlarged(read_pictures(self.frames, "frames"), _ANIMATION_DOTS)
        still = data_uri("image/png", png(frames[len(frames) // 2]))
        moving = data_uri("image/webp", _webp(frames, round(1000 * self.seconds_per_frame)))
        alt = escaped(self.caption or self.heading)
        return (
            '<div class="card drawing"><picture>'
            f'<source media="(prefers-reduced-motion: reduce)" srcset="{still}">'
            f'<img class="crisp" src="{moving}" width="{frames.shape[2]}" alt="{alt}">'
            f"</picture></div>{caption_line(self.caption)}"
        )


def _enlarged(pictures: Array, dots: int) -> Array:
    factor = max(1, round(dots / max(pictures.shape[1:3])))
    return pictures.repeat(factor, axis=1).repeat(factor, axis=2)


def _webp(frames: Array, milliseconds: int) -> bytes:
    file = io.BytesIO()
    mode = "RGBA" if frames.shape[3:] == (4,) else "RGB"
    images = [Image.fromarray(frame).convert(mode) for frame in frames]
    images[0].save(
        file,
        "WEBP",
        save_all=True,
        append_images=images[1:],
        duration=max(1, milliseconds),
        loop=0,
        lossless=True,
    )
    return file.getvalue()
