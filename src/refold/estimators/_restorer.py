"""The restorer: learns to take damage off pictures, and takes it off."""

import os
import platform
import warnings
import zlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from importlib.resources import files
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from sklearn.base import BaseEstimator
from sklearn.utils.validation import check_is_fitted
from torch import Tensor

import refold
from refold._errors import DataError, ModelFileError, ParameterError, RefoldWarning, nearest
from refold._memory import free_memory
from refold._parameters import bytes_of, check_parameters, documented
from refold.data import Pictures, open_pictures
from refold.estimators._noise_level import noise_deviation
from refold.estimators._parameters import RestorerParameters
from refold.estimators._picture_planes import PicturePlanes, bands, checked_picture
from refold.files import ModelFile, read_model_file, write_model_file
from refold.nets import RestorationNet, RestorationSpec
from refold.objectives import Domain, Gaussian, describe, parse_corruption
from refold.train import (
    PictureCrops,
    RestorationPlan,
    RestorationTraining,
    Tiling,
    apply_in_tiles,
    choose_device,
    noise_of_many_levels,
    working_bar,
)

Array = NDArray[Any]

PRETRAINED = ("denoise",)
_OF_A_RUN = ("checkpoint", "random_state")  # never in a file
_CLEAN = 2.0 / 255  # deviation below which there is no noise worth taking off
_TAKEN_FROM_CLEAN = 2.5 / 255  # what is taken off flat blocks of clean texture is less than this
_STRONGER = 1.25  # times the given noise is the strongest that is trained on
_STEPS = 2_000
_TILES = (1024, 512, 256, 128)
_BYTES_A_PIXEL = 400  # of a tile with its surroundings, at 32 channels of half the scale
_TURNS = 8


@dataclass(frozen=True, eq=False)
class Restoration:
    """A restored picture and what was done.

    Parameters
    ----------
    picture : ndarray
        Shape and dtype of the one that was given; the very same pixels where nothing was wrong.
    noise : float or None
        Standard deviation of the noise that was found, as a share of the range; None where the picture is too small
        to tell.
    changed : bool
        Whether anything was taken off.
    """

    picture: Array
    noise: float | None
    changed: bool


@documented
class Restorer(RestorerParameters, BaseEstimator):  # type: ignore[misc] # scikit-learn's classes are untyped
    """Learn to take a damage off pictures: whole pictures are damaged on purpose, and a network learns the way back.

    `refold.pretrained` gives one that was trained on photographs already.

    Parameters
    ----------
    {parameters}

    Attributes
    ----------
    net_ : RestorationNet
    noise_ : bool
        Whether the damage is noise: then pictures without noise come back as they are.
    n_steps_ : int

    Examples
    --------
    >>> import numpy as np
    >>> from refold import Restorer
    >>> rng = np.random.default_rng(0)
    >>> stripes = np.sin(np.arange(48) / rng.uniform(2, 6, (20, 1, 1))) * 0.4 + 0.5
    >>> pictures = np.repeat(stripes, 48, axis=1).astype(np.float32)
    >>> restorer = Restorer(corruption="gaussian(0.2)", widths=(8, 8), steps=60, crop=32, random_state=0)
    >>> restorer = restorer.fit(pictures)
    >>> noisy = pictures[0] + 0.2 * rng.normal(size=(48, 48)).astype(np.float32)
    >>> restored = restorer.restore(noisy)
    >>> bool(np.mean((restored - pictures[0]) ** 2) < np.mean((noisy - pictures[0]) ** 2))
    True
    """

    net_: RestorationNet

    def fit(self, X: Any, y: Any = None) -> "Restorer":
        """Learn from whole pictures.

        Parameters
        ----------
        X : str, path, ndarray or list of ndarray
            A folder of pictures, or pictures of shape (H, W) or (H, W, 3), of any sizes; uint8, uint16, or floats of
            0 to 1.
        y : ignored

        Returns
        -------
        self

        Raises
        ------
        DataError
            If there is no picture.
        ParameterError
            If the corruption loses values, which a restorer does not fill yet.
        """
        check_parameters(self)
        damage = self._damage()
        pictures = _pictures_of(X, self.random_state)
        channels = 3 if any(picture.ndim == 3 for picture in pictures) else 1
        spec = RestorationSpec(channels, tuple(map(int, self.widths)), int(self.blocks)).checked()
        plan = self._plan()
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(plan.seed)
            net = spec.build()
        training = RestorationTraining(net.to(choose_device(self.device)), plan, self._identity(pictures))
        checkpoint = None if self.checkpoint is None else Path(self.checkpoint)
        if checkpoint is not None and checkpoint.exists():
            training.resume(checkpoint)
        with working_bar(1, bool(self.verbose), "learning to restore") as bar:
            training.run(PictureCrops(pictures, self.crop, channels), damage, bar(0), checkpoint)
        self.net_, self.n_steps_ = training.finish(), training.step
        self.noise_ = isinstance(parse_corruption(self.corruption), Gaussian)
        return self

    def _plan(self) -> RestorationPlan:
        threads = torch.get_num_threads() if self.threads == "auto" else int(self.threads)
        steps = _STEPS if self.steps == "auto" else int(self.steps)
        seed = int(np.random.default_rng(self.random_state).integers(1 << 31))
        return RestorationPlan(steps, self.batch_size, self.learning_rate, threads=threads, seed=seed)

    def _identity(self, pictures: Sequence[Array]) -> dict[str, Any]:
        """Return what a checkpoint must be of, in words."""
        digest = 0
        for picture in pictures:
            digest = zlib.crc32(picture.tobytes(), digest)
        corruption = parse_corruption(self.corruption)
        return {
            "pictures": f"{len(pictures)} with checksum {digest:08x}",
            "corruption": describe(corruption) or repr(corruption),
            "steps, batch_size, crop, learning_rate": [
                self._plan().steps,
                int(self.batch_size),
                int(self.crop),
                float(self.learning_rate),
            ],
            "random_state": self.random_state,
        }

    def _damage(self) -> Callable[[Tensor, torch.Generator], tuple[Tensor, Tensor]]:
        corruption = parse_corruption(self.corruption)
        if corruption is None:
            raise ParameterError("a restorer needs a corruption to undo, such as corruption='gaussian(0.2)'")
        if isinstance(corruption, Gaussian):
            return noise_of_many_levels(_STRONGER * corruption.share)
        domain = Domain(torch.tensor(0.0), torch.tensor(1.0), torch.tensor(True))

        def damage(crops: Tensor, generator: torch.Generator) -> tuple[Tensor, Tensor]:
            damaged = corruption(crops, domain, generator)
            if bool(torch.isnan(damaged).any()):
                raise ParameterError(
                    f"corruption={self.corruption!r} loses values, which a restorer does not fill yet"
                )
            return damaged, torch.ones(len(crops), 1, 1, 1)

        return damage

    def restore(
        self,
        picture: Any,
        *,
        strength: float = 1.0,
        noise: float | None = None,
        self_ensemble: bool = False,
        max_memory: int | str | None = None,
    ) -> Array:
        """Return a picture without its damage; see `restoration`."""
        wishes = {"strength": strength, "noise": noise, "self_ensemble": self_ensemble, "max_memory": max_memory}
        return self.restoration(picture, **wishes).picture  # type: ignore[arg-type]

    def restoration(
        self,
        picture: Any,
        *,
        strength: float = 1.0,
        noise: float | None = None,
        self_ensemble: bool = False,
        max_memory: int | str | None = None,
        told: Callable[[], None] | None = None,
    ) -> Restoration:
        """Take the damage off one picture of any size.

        Parameters
        ----------
        picture : ndarray of shape (H, W) or (H, W, channels)
            Grey, RGB or CMYK; uint8, uint16 or floats. Floats are thought to lie in 0 to 1, or in 0 to their maximum
            where that is larger.
        strength : float, default=1.0
            Share of the damage that is taken off, 0 to 1.
        noise : float, optional
            Standard deviation of the noise where it is known, as a share of the range: at most that much is taken
            off, and the picture is never thought clean.
        self_ensemble : bool, default=False
            Mean over the eight ways to turn and mirror the picture: a little better, eight times slower.
        max_memory : int or str, optional
            Bytes for the network's work, such as ``"500MB"``; half of what is free by default.
        told : callable, optional
            Called after every tile.

        Returns
        -------
        restoration : Restoration

        Raises
        ------
        DataError
            If it is no picture, or has pixels that are not finite.
        ParameterError
            If a wish is not possible.
        """
        check_is_fitted(self)
        _check_wishes(strength, noise)
        planes = PicturePlanes.of(picture, opponent=self.noise_ and self.net_.spec.channels == 1)
        found = noise_deviation(planes.channels(rows) for rows in bands(planes.values))
        if self.noise_ and noise is None and (found is None or found < _CLEAN):
            return Restoration(np.array(picture), found, False)
        taken = self._restored(planes.values, self._tiling(max_memory), self_ensemble, told)
        np.subtract(planes.values, taken, out=taken)
        if self.noise_ and noise is None and _is_texture(taken):
            return Restoration(np.array(picture), found, False)
        share = strength * (1.0 if noise is None or not found else min(1.0, noise / found))
        return Restoration(planes.less(taken, share), found, share > 0)

    def _restored(
        self, values: NDArray[np.float32], tiling: Tiling, self_ensemble: bool, told: Callable[[], None] | None
    ) -> NDArray[np.float32]:
        """Return planes (planes, H, W) restored, one after the other where the network takes one."""
        if not self_ensemble:
            return self._through(self.net_, values, tiling, told)
        # turned pictures meet the network's grid in the same places if their sides are whole strides
        height, width = values.shape[1:]
        lacking = [(0, 0), (0, -height % tiling.stride), (0, -width % tiling.stride)]
        padded = np.pad(values, lacking, mode="reflect" if min(values.shape[1:]) > tiling.stride else "edge")
        return self._through(_ensembled(self.net_), padded, tiling, told)[:, :height, :width]

    def _through(
        self, apply: Callable[[Tensor], Tensor], values: NDArray[np.float32], tiling: Tiling, told: Any
    ) -> NDArray[np.float32]:
        channels, device = self.net_.spec.channels, next(self.net_.parameters()).device
        if channels == len(values):
            whole: NDArray[np.float32] = apply_in_tiles(apply, values[None], tiling, device, told)[0]
            return whole
        found = np.empty_like(values)
        for plane, result in zip(values, found, strict=True):
            several = np.repeat(plane[None, None], channels, axis=1)
            result[:] = apply_in_tiles(apply, several, tiling, device, told)[0].mean(0)
        return found

    def _tiling(self, max_memory: int | str | None) -> Tiling:
        spec = self.net_.spec
        most = free_memory() // 2 if max_memory is None else _bytes(max_memory)
        a_pixel = _BYTES_A_PIXEL * max(1, spec.widths[0] / 32)
        needed = {side: int((side + 2 * spec.reach) ** 2 * a_pixel) for side in _TILES}
        fitting = [side for side in _TILES if needed[side] <= most]
        if not fitting and max_memory is not None:
            raise ParameterError(
                f"max_memory={max_memory} is too little for this network; it needs at least "
                f"{-(-needed[_TILES[-1]] // 1_000_000)}MB"
            )
        return Tiling(fitting[0] if fitting else _TILES[-1], spec.reach, spec.stride)

    def tiles_of(self, picture: Array, max_memory: int | str | None = None) -> int:
        """Return after how many tiles a picture is done."""
        planes = 1 if picture.ndim == 2 else picture.shape[2]
        rounds = 1 if planes == self.net_.spec.channels else planes
        return rounds * self._tiling(max_memory).count(*picture.shape[:2])

    def transform(self, X: Any) -> Any:
        """Return pictures without their damage: an array (n, H, W[, 3]) or a list of pictures, as they were given."""
        restored = [self.restore(picture) for picture in X]
        return np.stack(restored) if isinstance(X, np.ndarray) else restored

    # --- files -----------------------------------------------------------------------------------------------------

    def save(self, path: str | os.PathLike[str], *, half: bool = False) -> None:
        """Write the restorer to one ``.safetensors`` file, whole or not at all; `refold.load` reads it.

        Parameters
        ----------
        path : path-like
        half : bool, default=False
            Weights of two bytes each: half the size, and a difference of about 0.001 dB.
        """
        check_is_fitted(self)
        versions = {"refold": refold.__version__, "torch": torch.__version__, "python": platform.python_version()}
        parameters = {name: value for name, value in self.get_params().items() if name not in _OF_A_RUN}
        parameters["corruption"] = describe(parse_corruption(self.corruption)) or "gaussian(0.2)"
        parameters["widths"] = list(self.net_.spec.widths)
        for name in ("blocks", "batch_size", "crop"):
            parameters[name] = int(parameters[name])
        for name in ("steps", "threads"):
            parameters[name] = value if (value := parameters[name]) == "auto" else int(value)
        header = {
            "versions": versions,
            "parameters": parameters,
            "spec": self.net_.spec.to_json(),
            "fitted": {"noise_": self.noise_, "n_steps_": self.n_steps_},
        }
        tensors = {name: value.half() if half else value for name, value in self.net_.state_dict().items()}
        write_model_file(ModelFile(type(self).__name__, header, tensors), path)

    def __sklearn_is_fitted__(self) -> bool:
        return hasattr(self, "net_")


def pretrained(name: str = "denoise", *, device: str = "auto") -> Restorer:
    """Return a restorer that ships with the package; nothing is downloaded.

    Parameters
    ----------
    name : str
        "denoise": noise of every strength off grey and colour pictures.
    device : str, default="auto"

    Raises
    ------
    ParameterError
        If there is none of that name.

    Examples
    --------
    >>> import numpy as np, refold
    >>> flat = np.full((64, 64), 0.5) + 0.1 * np.random.default_rng(0).normal(size=(64, 64))
    >>> bool(refold.pretrained("denoise").restore(flat).std() < 0.02)
    True
    """
    if name not in PRETRAINED:
        raise ParameterError(
            f"there is no pretrained {name!r}{nearest(name, PRETRAINED)}; there is {PRETRAINED[0]!r}"
        )
    path = Path(str(files("refold.weights").joinpath(f"{name}.safetensors")))
    return rebuild_restorer(read_model_file(path), path.name, device)


def rebuild_restorer(file: ModelFile, name: str, device: str) -> Restorer:
    """Return the restorer of a model file that was read."""
    known = Restorer().get_params().keys() - set(_OF_A_RUN)
    parameters = {key: value for key, value in file.header["parameters"].items() if key in known}
    parameters["widths"] = tuple(parameters["widths"])
    model = Restorer(**parameters)
    check_parameters(model)
    spec = RestorationSpec.from_json(file.header["spec"])
    with torch.device("meta"):
        net = spec.build()
    own, tensors = net.state_dict(), file.tensors
    fits = own.keys() == tensors.keys() and all(
        own[key].shape == tensors[key].shape
        and tensors[key].dtype in (torch.float32, torch.float16)
        and bool(torch.isfinite(tensors[key]).all())
        for key in own
    )
    if not fits:
        raise ModelFileError(f"{name!r} does not hold the weights of the network that it describes")
    net.load_state_dict({key: value.float() for key, value in tensors.items()}, assign=True)
    model.net_ = net.to(choose_device(device)).eval()
    fitted = file.header["fitted"]
    model.noise_, model.n_steps_ = bool(fitted["noise_"]), int(fitted["n_steps_"])
    return model


def _bytes(max_memory: int | str) -> int:
    try:
        return bytes_of(max_memory)
    except ValueError:
        raise ParameterError(f"max_memory must be bytes or a text such as '500MB', got {max_memory!r}") from None


def _check_wishes(strength: float, noise: float | None) -> None:
    if not isinstance(strength, int | float) or not 0 <= strength <= 1:
        raise ParameterError(f"strength must be from 0 to 1, got {strength}")
    if noise is not None and not 0 <= noise <= 1:
        raise ParameterError(f"noise must be a share of the range from 0 to 1, got {noise}")


def _is_texture(taken: NDArray[np.float32]) -> bool:
    """Say whether what was taken off is so little, where it is least, that it was texture and no noise."""
    deviation = noise_deviation((taken[:, rows] for rows in bands(taken)), whole_range=True)
    return deviation is not None and deviation < _TAKEN_FROM_CLEAN


def _ensembled(net: RestorationNet) -> Callable[[Tensor], Tensor]:
    def apply(pictures: Tensor) -> Tensor:
        total = torch.zeros_like(pictures)
        for turns in range(_TURNS // 2):
            for mirrored in (False, True):
                turned = torch.rot90(pictures, turns, (2, 3))
                turned = turned.flip(3) if mirrored else turned
                restored = net(turned)
                total += torch.rot90(restored.flip(3) if mirrored else restored, -turns, (2, 3))
        return total / _TURNS

    return apply


def _pictures_of(X: Any, seed: int | None) -> Sequence[Array]:
    """Return all pictures, or of a folder as many, drawn at random, as half of the free memory holds."""
    if isinstance(X, str | os.PathLike):
        opened = open_pictures(str(X))
        if opened is None or not opened.size:
            raise DataError(f"there are no pictures in {str(X)!r}; give a folder of them")
        return _read_while_there_is_room(opened, np.random.default_rng(seed).permutation(opened.size))
    if isinstance(X, np.ndarray) and X.ndim == 3 and X.shape[2] in (3, 4) and X.shape[1] > X.shape[2]:
        raise DataError(f"{X.shape} is one picture; give a list of pictures, or an array (n, H, W) or (n, H, W, 3)")
    pictures = [_to_learn_from(picture) for picture in X]
    if not pictures:
        raise DataError("there is no picture to learn from; give at least one")
    return pictures


def _to_learn_from(picture: Any) -> Array:
    pixels = checked_picture(picture)
    pixels = pixels[..., 0] if pixels.ndim == 3 and pixels.shape[2] == 1 else pixels
    if pixels.ndim == 3 and pixels.shape[2] != 3:
        raise DataError(f"a picture to learn from must have shape (H, W) or (H, W, 3), got {pixels.shape}")
    if pixels.dtype.kind == "f" and (pixels.min() < 0 or pixels.max() > 1):
        raise DataError(f"floats to learn from must lie in 0 to 1, got {pixels.min():.4g} to {pixels.max():.4g}")
    return pixels


def _read_while_there_is_room(opened: Pictures, order: NDArray[np.intp]) -> list[Array]:
    room = free_memory() // 2
    pictures: list[Array] = []
    for place in order.tolist():
        picture = _to_learn_from(opened.read(place))
        room -= picture.nbytes
        if room < 0 and pictures:
            warnings.warn(
                f"{opened.size} pictures are more than memory holds; {len(pictures)} of them were learned from",
                RefoldWarning,
                stacklevel=4,
            )
            break
        pictures.append(picture)
    return pictures
