"""A visible mark half transparent over pictures: a logo, a line of text, or a drawn emblem."""

from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from PIL import Image
from torch import Tensor

from refold._errors import ParameterError
from refold.objectives._corruptions import Domain, check_share, floating
from refold.objectives._marks import drawn_emblem, drawn_letters, in_other_colours, read_logos, written
from refold.objectives._picture_corruptions import as_pictures, luminance, numpy_generator

Canvas = NDArray[np.uint8]

_SMALLEST = 4  # pixels of a mark's longer side
_MOST_TRIES = 8  # until something of a mark is seen
_TEXTS = 0.35  # share of drawn marks that are lines of text


@dataclass(frozen=True)
class Watermark:
    """A mark laid half transparent over each picture: ``(1 - a) picture + a colour``.

    Parameters
    ----------
    logo : str
        A picture file with transparency, or a folder of them; "" draws texts and simple emblems at random.
    text : str
        Written instead of a logo.
    low, high : float
        Opacity, drawn evenly from between; above 0 and at most 1.
    smallest, largest : float
        Length of the mark as a share of the picture's shorter side.
    turned : float
        Degrees by which it is turned at most, either way.
    tiled : float
        Share of the pictures that have the mark again and again, all over.
    recoloured : float
        Share of the logos whose colours are changed.
    """

    logo: str = ""
    text: str = ""
    low: float = 0.3
    high: float = 0.8
    smallest: float = 0.2
    largest: float = 0.8
    turned: float = 180.0
    tiled: float = 0.15
    recoloured: float = 0.0

    def __post_init__(self) -> None:
        if self.logo and self.text:
            raise ParameterError("watermark takes a logo or a text; leave one of them out")
        if '"' in self.logo + self.text:
            raise ParameterError("the logo and the text of a watermark must be without double quotes")
        if not 0 < self.low <= self.high <= 1:
            raise ParameterError(
                f"watermark(low={self.low}, high={self.high}) is not possible; opacity is above 0 and at most 1"
            )
        if not 0 < self.smallest <= self.largest <= 10:
            raise ParameterError(
                f"watermark(smallest={self.smallest}, largest={self.largest}) is not possible; the size of a mark "
                "is a share of the picture's shorter side, above 0 and at most 10"
            )
        for share in (self.tiled, self.recoloured, self.turned / 180):
            if share:
                check_share("watermark", share, most=1.0 + 1e-9)

    def __call__(self, raw: Tensor, domain: Domain, generator: torch.Generator) -> Tensor:
        """Return the pictures with a mark on each; lost pixels stay lost.

        Raises
        ------
        ParameterError
            If the logo cannot be read.
        """
        pictures, back = as_pictures(floating(raw))
        rng, marked = numpy_generator(generator), pictures.clone()
        low, high = domain.low.to(pictures), domain.high.to(pictures)
        for picture in marked:
            share, canvas = self.drawn((picture.shape[1], picture.shape[2]), rng)
            laid = torch.from_numpy((canvas / np.float32(255)).transpose(2, 0, 1)).to(picture)
            opacity, colour = share * laid[3:], laid[:3] if _is_coloured(picture) else luminance(laid[None, :3])[0]
            blended = (1 - opacity) * picture + opacity * (low + colour * (high - low))
            picture[:] = torch.where(opacity > 0, blended, picture)
        return back(marked)

    def drawn(self, size: tuple[int, int], rng: np.random.Generator) -> tuple[float, Canvas]:
        """Return an opacity, and a mark (H, W, 4) of 0 to 255: colours, and where it is."""
        opacity = rng.uniform(self.low, self.high)
        for _ in range(_MOST_TRIES):
            canvas = self._canvas(size, rng)
            if canvas.getchannel("A").getbbox() is not None:
                break
        return opacity, np.asarray(canvas)

    def _canvas(self, size: tuple[int, int], rng: np.random.Generator) -> Image.Image:
        length = max(_SMALLEST, round(min(size) * rng.uniform(self.smallest, self.largest)))
        mark = self._mark(length, rng)
        shrunk = length / max(mark.size)
        mark = mark.resize((max(1, round(mark.width * shrunk)), max(1, round(mark.height * shrunk))))
        mark = mark.rotate(rng.uniform(-self.turned, self.turned), Image.Resampling.BICUBIC, expand=True)
        canvas = Image.new("RGBA", size[::-1])
        for place in self._places(size, mark, rng):
            canvas.alpha_composite(*_cut(mark, place, size))
        return canvas

    def _mark(self, length: int, rng: np.random.Generator) -> Image.Image:
        if self.text:
            return written(self.text, length, rng)
        if not self.logo:
            texts = rng.random() < _TEXTS
            return written(drawn_letters(rng), length, rng) if texts else drawn_emblem(length, rng)
        logos = read_logos(self.logo)
        mark = logos[int(rng.integers(len(logos)))]
        return in_other_colours(mark, rng) if rng.random() < self.recoloured else mark

    def _places(self, size: tuple[int, int], mark: Image.Image, rng: np.random.Generator) -> list[tuple[int, int]]:
        """Return where the mark's corner comes: inside the picture if it fits, or again and again."""
        free = [whole - own for whole, own in zip(size, (mark.height, mark.width), strict=True)]
        top, left = (int(rng.integers(min(0, room), max(0, room), endpoint=True)) for room in free)
        if rng.random() >= self.tiled:
            return [(top, left)]
        down, right = (max(2, round(own * rng.uniform(1.0, 1.8))) for own in (mark.height, mark.width))
        slant = int(rng.integers(right))
        rows = range(top % down - down, size[0], down)
        return [
            (row, column)
            for count, row in enumerate(rows)
            for column in range((left + count * slant) % right - 2 * right, size[1], right)
            if row + mark.height > 0 and column + mark.width > 0
        ]


def _cut(mark: Image.Image, place: tuple[int, int], size: tuple[int, int]) -> tuple[Image.Image, tuple[int, int]]:
    """Return what of a mark lies on the picture, and where that comes (left, top)."""
    top, left = place
    box = (max(0, -left), max(0, -top), min(mark.width, size[1] - left), min(mark.height, size[0] - top))
    return mark.crop(box), (max(0, left), max(0, top))


def _is_coloured(picture: Tensor) -> bool:
    """Say whether the channels differ anywhere: grey pictures get grey marks."""
    return len(picture) == 3 and bool((picture.nan_to_num() != picture[:1].nan_to_num()).any())
