"""The strangeness of small pictures of one size, from what autoencoders leave over that learned to fill in blocks."""

from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from scipy import ndimage
from torch import Tensor, nn

from refold._errors import DataError, ParameterError
from refold.nets import SmallPictureNet
from refold.scores._picture_maps import in_channels

Array = NDArray[np.float32]

LARGEST_SIDE = 32
_BLUR = 1 / 28  # of the longest side
_BLOCK = 64  # pictures at once, always as many, so that a picture gets the same numbers alone or among others
_SMALLEST = 1e-9
_FARTHEST = 1e6  # times the range of training; the square of more has no meaning in float32
_MOST_CHANNELS, _MOST_MEMBERS, _LARGEST_SIDE_IN_FILE = 16, 16, 256


@dataclass(frozen=True)
class SmallPictureSpec:
    """What decides the shape of a scorer of small pictures.

    Parameters
    ----------
    channels, height, width : int
    members : int
        Networks.
    """

    channels: int
    height: int
    width: int
    members: int = 3

    def to_json(self) -> dict[str, Any]:
        """Return a description that JSON can hold."""
        return asdict(self)

    @classmethod
    def from_json(cls, description: dict[str, Any]) -> "SmallPictureSpec":
        """Rebuild a specification; refuses sizes that no honest file has.

        Raises
        ------
        ParameterError
        """
        spec = cls(**description)
        side = _LARGEST_SIDE_IN_FILE
        limits = {"channels": _MOST_CHANNELS, "height": side, "width": side, "members": _MOST_MEMBERS}
        for name, most in limits.items():
            value = getattr(spec, name)
            if type(value) is not int or not 1 <= value <= most:
                raise ParameterError(f"{name} of a scorer of small pictures must be a whole number from 1 to {most}")
        return spec

    def build(self) -> "SmallPictureScorer":
        """Return a scorer that has learned nothing yet."""
        return SmallPictureScorer(self)


class SmallPictureScorer(nn.Module):
    """From small pictures of one size to heat maps and scores: higher is stranger, 0 is a usual picture.

    Parameters
    ----------
    spec : SmallPictureSpec
    """

    low: Tensor
    high: Tensor
    center: Tensor
    spread: Tensor

    def __init__(self, spec: SmallPictureSpec) -> None:
        super().__init__()
        self.spec = spec
        shape = (spec.channels, spec.height, spec.width)
        self.members = nn.ModuleList([SmallPictureNet(shape) for _ in range(spec.members)])
        for name, value in (("low", 0.0), ("high", 1.0), ("center", 0.0), ("spread", 1.0)):
            self.register_buffer(name, torch.full((), value, dtype=torch.float64))

    def set_range(self, low: float, high: float) -> None:
        """Set which values mean black and white."""
        self.low.fill_(low)
        self.high.fill_(high)

    def set_usual(self, heats: NDArray[np.float64]) -> None:
        """Learn what is usual from the mean heat (n,) of normal pictures."""
        low, middle, high = np.quantile(np.log(heats + _SMALLEST), [0.16, 0.5, 0.84])
        self.center.fill_(float(middle))
        self.spread.fill_(max(float(high - low) / 2, 1e-3))

    def heat(self, picture: NDArray[Any]) -> Array:
        """Return how strange each pixel is: the squared, blurred difference to what is expected.

        Parameters
        ----------
        picture : ndarray of shape (height, width) or (height, width, C)
            In the range of values of training. Grey is repeated over the channels of a scorer for colour, colour
            becomes luminance for one for grey.

        Returns
        -------
        heat : ndarray of shape (height, width), float32

        Raises
        ------
        DataError
            If size or channels do not fit, or values are not finite.
        """
        heat: Array = self.heats(self.planes(picture[None]))[0]
        return heat

    def score(self, picture: NDArray[Any]) -> float:
        """Return how strange a picture is, in normal deviations; see `heat`."""
        return self.score_of(self.heat(picture))

    def scores(self, numbers: NDArray[Any]) -> NDArray[np.float64]:
        """Return the scores (n,) of pictures (n, height, width) or (n, height, width, C)."""
        parts = [numbers[start : start + _BLOCK] for start in range(0, len(numbers), _BLOCK)]
        return np.array([self.score_of(heat) for part in parts for heat in self.heats(self.planes(part))], np.float64)

    def score_of(self, heat: Array) -> float:
        """Return the score that belongs to a heat map: the logarithm of its mean, standardised."""
        return float(self.scores_of_means(np.array([mean_heat(heat)]))[0])

    def scores_of_means(self, heats: NDArray[np.float64]) -> NDArray[np.float64]:
        """Return the scores (n,) that belong to means (n,) of heat maps."""
        scores: NDArray[np.float64] = (np.log(heats + _SMALLEST) - float(self.center)) / float(self.spread)
        return scores

    def mean_of_score(self, score: float) -> float:
        """Return the mean heat that belongs to a score."""
        return float(np.exp(score * float(self.spread) + float(self.center)))

    @torch.no_grad()
    def heats(self, planes: Array, members: list[int] | None = None) -> Array:
        """Return heat maps (n, height, width) of planes (n, C, height, width) by all members or some."""
        starts = range(0, len(planes), _BLOCK)
        heats: Array = np.concatenate([self._block(planes[start : start + _BLOCK], members) for start in starts])
        return heats

    def _block(self, planes: Array, members: list[int] | None) -> Array:
        full = np.zeros((_BLOCK, *planes.shape[1:]), np.float32)
        full[: len(planes)] = planes
        seen = torch.from_numpy(full).to(self.low.device)
        sides = (self.spec.height, self.spec.width)
        blur = (0, 0, _BLUR * max(sides), _BLUR * max(sides))
        heat = np.zeros((len(planes), *sides), np.float32)
        places = list(range(len(self.members))) if members is None else members
        for place in places:
            left = (seen - self.members[place](seen)).cpu().numpy()[: len(planes)]
            heat += (ndimage.gaussian_filter(left, blur) ** 2).mean(1) / len(places)
        return heat

    def planes(self, numbers: NDArray[Any]) -> Array:
        """Return pictures (n, height, width) or (n, height, width, C) as planes (n, C, height, width) of 0 to 1."""
        if numbers.shape[1:3] != (self.spec.height, self.spec.width):
            raise DataError(
                f"a picture has {numbers.shape[1]}x{numbers.shape[2]} pixels, those of training "
                f"{self.spec.height}x{self.spec.width}; give pictures of that size"
            )
        each = [in_channels(picture, self.spec.channels) for picture in numbers]
        fitting = [planes for planes in each if planes is not None]
        if len(fitting) < len(each):
            raise DataError(
                f"a picture has {numbers.shape[3]} channels; give pictures with {self.spec.channels} or grey ones"
            )
        low, high = float(self.low), float(self.high)
        planes = np.stack(fitting)
        if not np.isfinite(planes).all():
            raise DataError("a picture holds NaN or infinite values; replace them, or leave the picture out")
        scaled: Array = ((planes - low) / (high - low)).clip(-_FARTHEST, _FARTHEST).astype(np.float32)
        return scaled


def mean_heat(heat: Array) -> float:
    """Return the mean of a heat map."""
    return float(np.ascontiguousarray(heat).mean(dtype=np.float64))
