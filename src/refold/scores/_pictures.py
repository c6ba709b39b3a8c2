"""The strangeness of pictures of any size: where they differ from what networks have learned to expect there."""

from collections.abc import Callable
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from refold._errors import DataError, ParameterError
from refold.nets import PictureNet
from refold.scores._picture_maps import (
    FeatureGaussian,
    PatchGaussian,
    enlarged,
    in_channels,
    residual_maps,
    views_of,
)
from refold.scores._picture_places import UsualByPlace, strongest

Features = Callable[[Tensor], Tensor]
Array = NDArray[np.float32]

SMALLEST_SIDE = 8
_SCALE = 2  # pixels of a picture to one of its maps
_PADDED_SIDE = 32
_RESIDUAL_MAPS = 2
_SCORED_SHARE = 0.001
_BRIGHTEST = 1e6  # times white; beyond there is nothing to tell apart, and float32 ends
_MOST_CHANNELS, _MOST_FEATURES, _MOST_MEMBERS, _COARSEST = 16, 4096, 16, 64


@dataclass(frozen=True)
class PictureSpec:
    """What decides the shape of a picture scorer.

    Parameters
    ----------
    channels : int
        1 for grey pictures.
    features : int
        Numbers that the user's own network gives for a place; 0 without one.
    patches : tuple of int
        For each Gaussian of patches, the side of its cells in pixels of the half-sized picture.
    members : int
        Networks, each with its own statistics.
    """

    channels: int
    features: int = 0
    patches: tuple[int, ...] = (2, 4)
    members: int = 2

    def to_json(self) -> dict[str, Any]:
        """Return a description that JSON can hold."""
        return asdict(self)

    @classmethod
    def from_json(cls, description: dict[str, Any]) -> "PictureSpec":
        """Rebuild a specification; refuses sizes that no honest file has.

        Raises
        ------
        ParameterError
        """
        spec = cls(**{**description, "patches": tuple(description["patches"])})
        limits = [("channels", 1, _MOST_CHANNELS), ("features", 0, _MOST_FEATURES), ("members", 1, _MOST_MEMBERS)]
        sizes = [(getattr(spec, name), name, low, high) for name, low, high in limits]
        sizes += [(side, "patches", 1, _COARSEST) for side in spec.patches]
        for value, name, low, high in sizes:
            if type(value) is not int or not low <= value <= high:
                raise ParameterError(f"{name} of a picture scorer must be a whole number from {low} to {high}")
        if len(spec.patches) > _MOST_MEMBERS:
            raise ParameterError(f"a picture scorer has at most {_MOST_MEMBERS} kinds of patches")
        return spec

    def build(self, features: Features | None = None) -> "PictureScorer":
        """Return a scorer that has learned nothing yet."""
        return PictureScorer(self, features)


class PictureMember(nn.Module):
    """A network with what is usual in its maps.

    Parameters
    ----------
    spec : PictureSpec
    """

    def __init__(self, spec: PictureSpec) -> None:
        super().__init__()
        self.net = PictureNet(1 + spec.channels)
        self.patches = nn.ModuleList([PatchGaussian(spec.channels, side) for side in spec.patches])
        self.features = FeatureGaussian(spec.features) if spec.features else None
        self.usual = UsualByPlace(_RESIDUAL_MAPS + len(spec.patches) + (spec.features > 0))

    def maps(self, views: Array, features: Tensor | None) -> Array:
        """Return log maps (maps, H, W) of views (1 + C, H, W) and the user's own feature maps (F, h, w)."""
        seen = torch.from_numpy(views)[None].to(self.usual.mean.device)
        residual = (seen - self.net(seen))[0].cpu().numpy()
        maps = [*residual_maps(residual[1:]), *(patch.map(views[1:]) for patch in self.patch_gaussians())]
        if self.features is not None and features is not None:
            maps.append(self.features.map(features, views.shape[1:]))
        return np.stack(maps)

    def patch_gaussians(self) -> list[PatchGaussian]:
        """Return the Gaussians of patches, as what they are."""
        return [patch for patch in self.patches if isinstance(patch, PatchGaussian)]


class PictureScorer(nn.Module):
    """From pictures to heat maps and scores: higher is stranger, about 0 is the strangest place of a usual picture.

    Parameters
    ----------
    spec : PictureSpec
    features : callable, optional
        The user's own frozen network, from (1, C, H, W) in 0 to 1 to feature maps (1, features, h, w); it is no part
        of the state.
    """

    low: Tensor
    high: Tensor

    def __init__(self, spec: PictureSpec, features: Features | None = None) -> None:
        super().__init__()
        self.spec = spec
        self.members = nn.ModuleList([PictureMember(spec) for _ in range(spec.members)])
        self.register_buffer("low", torch.zeros((), dtype=torch.float64))
        self.register_buffer("high", torch.ones((), dtype=torch.float64))
        self._features = (features,)  # in a tuple, so that torch does not count it to the state

    def set_range(self, low: float, high: float) -> None:
        """Set which values mean black and white."""
        self.low.fill_(low)
        self.high.fill_(high)

    def heat(self, picture: NDArray[Any]) -> Array:
        """Return how strange each pixel is.

        Parameters
        ----------
        picture : ndarray of shape (H, W) or (H, W, C)
            In the range of values of training. Grey is repeated over the channels of a scorer for colour, colour
            becomes luminance for one for grey.

        Returns
        -------
        heat : ndarray of shape (H, W), float32

        Raises
        ------
        DataError
            If a side has fewer than 8 pixels, the channels do not fit, or values are not finite.
        """
        return self.mean_heat(picture, range(len(self.members)))

    @torch.no_grad()
    def mean_heat(self, picture: NDArray[Any], members: range | list[int]) -> Array:
        """Return the heat map by some of the members."""
        views, features = self.looked_at(picture)
        heats = [member.usual.heat(member.maps(views, features)) for member in self._some(members)]
        return enlarged(np.mean(heats, axis=0), _SCALE, picture.shape)

    def score(self, picture: NDArray[Any]) -> float:
        """Return how strange the strangest region of a picture is; see `heat`."""
        return self.score_of(self.heat(picture))

    def score_of(self, heat: Array) -> float:
        """Return the score that belongs to a heat map: the mean of its largest 0.1 %."""
        return strongest(heat, _SCORED_SHARE)

    def looked_at(self, picture: NDArray[Any]) -> tuple[Array, Tensor | None]:
        """Return the views (1 + C, H / 2, W / 2) of a picture, and its feature maps (F, h, w) where there are any."""
        planes = self._planes(picture)
        network = self._features[0]
        if network is None or not self.spec.features:
            return views_of(planes * np.float32(255)), None
        with torch.no_grad():
            features = network(torch.from_numpy(planes)[None].to(self.low.device))
        return views_of(planes * np.float32(255)), features[0].float()

    def _planes(self, picture: NDArray[Any]) -> Array:
        """Return (C, H, W) of 0 to 1, small pictures with their edges repeated."""
        height, width = picture.shape[:2]
        if min(height, width) < SMALLEST_SIDE:
            raise DataError(
                f"a picture has {height}x{width} pixels; at least {SMALLEST_SIDE}x{SMALLEST_SIDE} are needed"
            )
        planes = in_channels(picture, self.spec.channels)
        if planes is None:
            raise DataError(
                f"a picture has {picture.shape[2]} channels; give pictures with {self.spec.channels} or grey ones"
            )
        low, high = float(self.low), float(self.high)
        if not np.isfinite(planes).all():
            raise DataError("a picture holds NaN or infinite values; replace them, or leave the picture out")
        scaled = np.clip((planes.astype(np.float64) - low) / (high - low), 0, _BRIGHTEST).astype(np.float32)
        edges = ((0, 0), (0, max(0, _PADDED_SIDE - height)), (0, max(0, _PADDED_SIDE - width)))
        return np.pad(scaled, edges, mode="edge")

    def _some(self, members: range | list[int]) -> list[Any]:
        return [self.members[place] for place in members]
