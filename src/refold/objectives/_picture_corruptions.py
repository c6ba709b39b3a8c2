"""What happens to pictures: pixels, rectangles and strokes are lost, blur, JPEG, counted light, lost colour.

Pictures are (B, C, H, W) or (B, H, W, C) with 1 or 3 channels, or (B, H, W). What is lost becomes NaN in every
channel.
"""

from collections.abc import Callable
from dataclasses import dataclass
from io import BytesIO

import numpy as np
import torch
from numpy.typing import NDArray
from PIL import Image, ImageDraw, ImageFont
from torch import Tensor
from torch.nn import functional

from refold._errors import ParameterError
from refold.data import LUMINANCE
from refold.objectives._corruptions import Domain, check_share, floating

Mask = NDArray[np.bool_]

_CHANNELS = (1, 3)
_THINNEST, _THICKEST = 1, 6  # of strokes, pixels
_LETTERS = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789&@%?!"
_MOST_TRIES = 500  # strokes or lines of text, where they keep falling on one another


@dataclass(frozen=True)
class MissingPixels:
    """Pixels lost at random, each with the same probability, in all channels at once.

    Parameters
    ----------
    share : float
        Probability, above 0 and below 1.
    """

    share: float = 0.25

    def __post_init__(self) -> None:
        check_share("missing_pixels", self.share)

    def __call__(self, raw: Tensor, domain: Domain, generator: torch.Generator) -> Tensor:
        """Return the pictures with NaN where pixels were lost."""
        pictures, back = as_pictures(floating(raw))
        chance = torch.rand(_places(pictures), generator=generator, device=pictures.device)
        return back(_without(pictures, chance < self.share))


@dataclass(frozen=True)
class Holes:
    """Rectangles lost at random places.

    Parameters
    ----------
    count : float
        The most in a picture; at least one.
    side : float
        Pixels of the longest side; the shortest is a quarter of it.
    """

    count: float = 4.0
    side: float = 32.0

    def __post_init__(self) -> None:
        if not (1 <= self.count <= 10_000 and 1 <= self.side <= 100_000):
            raise ParameterError(f"holes({self.count}, {self.side}) is not possible; both must be at least 1")

    def __call__(self, raw: Tensor, domain: Domain, generator: torch.Generator) -> Tensor:
        """Return the pictures with NaN where holes are."""
        return _lose(raw, generator, self._draw)

    def _draw(self, shape: tuple[int, int], rng: np.random.Generator) -> Mask:
        lost = np.zeros(shape, bool)
        for _ in range(rng.integers(1, int(self.count), endpoint=True)):
            height, width = rng.integers(max(1, int(self.side) // 4), int(self.side), 2, endpoint=True)
            top, left = (
                int(rng.integers(max(0, all_ - own), endpoint=True))
                for all_, own in zip(shape, (height, width), strict=True)
            )
            lost[top : top + height, left : left + width] = True
        return lost


@dataclass(frozen=True)
class Scratches:
    """Bent strokes across the picture, one to six pixels thick.

    Parameters
    ----------
    share : float
        Of the pixels that are lost, above 0 and below 1; strokes are drawn until it is reached.
    """

    share: float = 0.15

    def __post_init__(self) -> None:
        check_share("scratches", self.share)

    def __call__(self, raw: Tensor, domain: Domain, generator: torch.Generator) -> Tensor:
        """Return the pictures with NaN where they are scratched."""
        return _lose(raw, generator, self._draw)

    def _draw(self, shape: tuple[int, int], rng: np.random.Generator) -> Mask:
        def stroke(pencil: ImageDraw.ImageDraw) -> None:
            steps = int(rng.integers(2, 8))
            turns = rng.uniform(0, 2 * np.pi) + np.cumsum(rng.normal(0, 0.5, steps))
            lengths = rng.uniform(0.03, 0.2, steps) * max(shape)
            places = np.cumsum(lengths[:, None] * np.stack([np.cos(turns), np.sin(turns)], 1), axis=0)
            points = places + rng.uniform(0, 1, 2) * shape[::-1] - places[-1] / 2
            thickness = int(rng.integers(_THINNEST, _THICKEST, endpoint=True))
            pencil.line([tuple(point) for point in points.tolist()], fill=255, width=thickness, joint="curve")

        return _draw_until(self.share, shape, stroke)


@dataclass(frozen=True)
class Text:
    """Lines of text over the picture.

    Parameters
    ----------
    size : float
        Pixels of the largest letters' height; the smallest are half of it.
    share : float
        Of the pixels that are lost, above 0 and below 1; lines are written until it is reached.
    """

    size: float = 24.0
    share: float = 0.08

    def __post_init__(self) -> None:
        check_share("text", self.share)
        if not 4 <= self.size <= 400:
            raise ParameterError(f"text({self.size}) is not possible; letters are 4 to 400 pixels high")

    def __call__(self, raw: Tensor, domain: Domain, generator: torch.Generator) -> Tensor:
        """Return the pictures with NaN where something is written."""
        return _lose(raw, generator, self._draw)

    def _draw(self, shape: tuple[int, int], rng: np.random.Generator) -> Mask:
        def line(pencil: ImageDraw.ImageDraw) -> None:
            font = ImageFont.load_default(float(rng.uniform(self.size / 2, self.size)))
            letters = rng.choice(list(_LETTERS), rng.integers(4, 24))
            for space in np.flatnonzero(rng.random(len(letters)) < 0.15):
                letters[space] = " "
            place = rng.uniform(-0.2, 0.9, 2) * shape[::-1]
            pencil.text((float(place[0]), float(place[1])), "".join(letters), fill=255, font=font)

        return _draw_until(self.share, shape, line)


@dataclass(frozen=True)
class Poisson:
    """Light that is counted: the noise of few photons, stronger where it is bright.

    Parameters
    ----------
    peak : float
        Photons at the largest value of the range, above 0; fewer are more noise.
    """

    peak: float = 30.0

    def __post_init__(self) -> None:
        if not 0 < self.peak <= 1e6:
            raise ParameterError(f"poisson({self.peak}) is not possible; photons are above 0 and at most 1e6")

    def __call__(self, raw: Tensor, domain: Domain, generator: torch.Generator) -> Tensor:
        """Return the records as they would be counted; categories and lost values stay."""
        values = floating(raw)
        low, high = domain.low.to(values.dtype), domain.high.to(values.dtype)
        photons = ((values - low) / (high - low) * self.peak).nan_to_num().clamp(min=0)
        counted = low + torch.poisson(photons, generator=generator) / self.peak * (high - low)
        return torch.where(domain.numeric & ~values.isnan(), counted, values)


@dataclass(frozen=True)
class Blur:
    """Out of focus: a Gaussian over the neighbourhood.

    Parameters
    ----------
    radius : float
        Standard deviation, pixels, above 0 and at most 20.
    """

    radius: float = 1.5

    def __post_init__(self) -> None:
        if not 0 < self.radius <= 20:
            raise ParameterError(f"blur({self.radius}) is not possible; the radius is above 0 and at most 20 pixels")

    def __call__(self, raw: Tensor, domain: Domain, generator: torch.Generator) -> Tensor:
        """Return blurred pictures; lost pixels are taken as dark and stay lost."""
        pictures, back = as_pictures(floating(raw))
        reach = int(np.ceil(3 * self.radius))
        places = torch.arange(-reach, reach + 1, dtype=pictures.dtype, device=pictures.device)
        bell = torch.exp(-0.5 * (places / self.radius) ** 2)
        bell = bell / bell.sum()
        blurred = pictures.nan_to_num().flatten(0, 1)[:, None]
        for kernel, padding in (
            (bell[None, None, :, None], (0, 0, reach, reach)),
            (bell[None, None, None], (reach, reach, 0, 0)),
        ):
            blurred = functional.conv2d(functional.pad(blurred, padding, mode="replicate"), kernel)
        return back(blurred.view_as(pictures).masked_fill(pictures.isnan(), float("nan")))


@dataclass(frozen=True)
class Jpeg:
    """Saved as a JPEG file and read again.

    Parameters
    ----------
    quality : float
        1 to 95; less is worse.
    """

    quality: float = 25.0

    def __post_init__(self) -> None:
        if not 1 <= self.quality <= 95:
            raise ParameterError(f"jpeg({self.quality}) is not possible; the quality is from 1 to 95")

    def __call__(self, raw: Tensor, domain: Domain, generator: torch.Generator) -> Tensor:
        """Return the pictures with what JPEG leaves of them; lost pixels are taken as dark and stay lost."""
        pictures, back = as_pictures(floating(raw))
        low, high = float(domain.low), float(domain.high)
        levels = ((pictures.nan_to_num() - low) / (high - low)).clamp(0, 1).mul(255).round().to(torch.uint8)
        saved = [self._through_a_file(each.permute(1, 2, 0).cpu().numpy()) for each in levels]
        again = torch.from_numpy(np.stack(saved)).permute(0, 3, 1, 2).to(pictures)
        return back((low + again / 255 * (high - low)).masked_fill(pictures.isnan(), float("nan")))

    def _through_a_file(self, picture: NDArray[np.uint8]) -> NDArray[np.uint8]:
        file = BytesIO()
        Image.fromarray(picture.squeeze(2) if picture.shape[2] == 1 else picture).save(
            file, "jpeg", quality=int(self.quality)
        )
        return np.asarray(Image.open(file)).reshape(picture.shape)


@dataclass(frozen=True)
class Grey:
    """Colour lost: every channel becomes the luminance."""

    def __call__(self, raw: Tensor, domain: Domain, generator: torch.Generator) -> Tensor:
        """Return grey pictures of as many channels."""
        pictures, back = as_pictures(floating(raw))
        return back(luminance(pictures).expand_as(pictures).clone())


def luminance(pictures: Tensor) -> Tensor:
    """Return what pictures (B, 1 or 3, H, W) look like in grey, (B, 1, H, W)."""
    if pictures.shape[1] == 1:
        return pictures
    weights = pictures.new_tensor(LUMINANCE)[:, None, None]
    return (pictures * weights).sum(1, keepdim=True)


def as_pictures(records: Tensor) -> tuple[Tensor, Callable[[Tensor], Tensor]]:
    """Return records as pictures (B, C, H, W), and the way back to their own shape.

    Raises
    ------
    ParameterError
        If they are none.
    """
    if records.ndim == 3:
        return records[:, None], lambda pictures: pictures[:, 0]
    if records.ndim == 4 and records.shape[1] in _CHANNELS:
        return records, lambda pictures: pictures
    if records.ndim == 4 and records.shape[3] in _CHANNELS:
        return records.permute(0, 3, 1, 2), lambda pictures: pictures.permute(0, 2, 3, 1)
    raise ParameterError(
        f"this corruption is for pictures (n, H, W), (n, H, W, 1 or 3) or (n, 1 or 3, H, W), got records of shape "
        f"{tuple(records.shape)}"
    )


def _places(pictures: Tensor) -> tuple[int, int, int, int]:
    return pictures.shape[0], 1, pictures.shape[2], pictures.shape[3]


def _without(pictures: Tensor, lost: Tensor) -> Tensor:
    return pictures.masked_fill(lost, float("nan"))


def _lose(
    raw: Tensor, generator: torch.Generator, draw: Callable[[tuple[int, int], np.random.Generator], Mask]
) -> Tensor:
    """Return pictures with NaN where `draw` says, drawn anew for every picture."""
    pictures, back = as_pictures(floating(raw))
    rng = numpy_generator(generator)
    masks = [draw((pictures.shape[2], pictures.shape[3]), rng) for _ in range(len(pictures))]
    lost = torch.from_numpy(np.stack(masks))[:, None] if masks else torch.zeros(_places(pictures), dtype=torch.bool)
    return back(_without(pictures, lost.to(pictures.device)))


def _draw_until(share: float, shape: tuple[int, int], draw: Callable[[ImageDraw.ImageDraw], None]) -> Mask:
    """Return which pixels are drawn upon once a share of them is."""
    canvas = Image.new("L", shape[::-1])
    pencil = ImageDraw.Draw(canvas)
    drawn = np.zeros(shape, bool)
    for _ in range(_MOST_TRIES):
        if drawn.mean() >= share:
            break
        draw(pencil)
        drawn = np.asarray(canvas) > 0
    return drawn


def numpy_generator(generator: torch.Generator) -> np.random.Generator:
    """Return a generator of numpy whose seed is drawn from one of torch."""
    return np.random.default_rng(int(torch.randint(1 << 62, (), generator=generator, device=generator.device)))
