"""Teaching a network to take damage off pictures: crops, damage, two optimizers, a running mean of the weights."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from math import cos, pi
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from refold._errors import CheckpointError, DivergedError
from refold.files import ModelFile, read_model_file, write_tensor_file
from refold.nets import RestorationNet
from refold.train._optimizers import AdamW, KernelMuon, Together
from refold.train._placement import with_threads
from refold.train._run import prefixed, under

Crops = Callable[[int, torch.Generator], Tensor]
Damage = Callable[[Tensor, torch.Generator], tuple[Tensor, Tensor]]
Told = Callable[[int, int], None]

_KIND = "RestorationCheckpoint"
_CLIP, _AVERAGED = 1.0, 0.998
_WARM_UP, _LOWEST_RATE = 100, 1e-3
_SQUARED_FROM, _SQUARED = 0.7, 10.0  # share of the steps from which on squares are made small, and their weight
_TOLD_EVERY, _SECURED_EVERY = 10, 200


@dataclass(frozen=True)
class RestorationPlan:
    """How long and how fast.

    Parameters
    ----------
    steps : int
    batch_size : int
    rate : float
        Of the first and the last layer, by AdamW; four times as much for the others, by Muon.
    decay_from : float
        Share of the steps after which the rate falls, along half a cosine.
    threads : int
    seed : int
    """

    steps: int
    batch_size: int = 16
    rate: float = 1e-3
    decay_from: float = 0.5
    threads: int = 1
    seed: int = 0

    def rate_at(self, step: int) -> float:
        """Return the rate of a step, relative to the highest one."""
        done = step / self.steps
        warm = min(1.0, (step + 1) / _WARM_UP)
        if done < self.decay_from:
            return warm
        falling = 0.5 * (1 + cos(pi * (done - self.decay_from) / (1 - self.decay_from)))
        return warm * max(_LOWEST_RATE, falling)


class RestorationTraining:
    """A training that can be left and gone on with, to the same weights.

    Parameters
    ----------
    net : RestorationNet
        Trained in place, on its device; `finish` leaves the running mean of its weights in it.
    plan : RestorationPlan
    identity : mapping of str to JSON value, optional
        What the training is of; a checkpoint in which one of them differs is refused.
    """

    def __init__(self, net: RestorationNet, plan: RestorationPlan, identity: Mapping[str, Any] | None = None) -> None:
        self._identity = dict(identity or {})
        self.net, self.plan, self.step = net.to(memory_format=torch.channels_last), plan, 0  # type: ignore[call-overload]
        self.device = next(net.parameters()).device
        self.generator = torch.Generator().manual_seed(plan.seed)
        self.mean = {name: value.clone() for name, value in net.state_dict().items()}
        ends = [*net.head.parameters(), *net.tail.parameters()]
        inner = [weight for weight in net.parameters() if all(weight is not end for end in ends)]
        turned = {id(weight) for layer in net.up for weight in layer.parameters()}
        kernels = KernelMuon(inner, [id(weight) in turned for weight in inner])
        self._optimizer = Together([AdamW(ends, weight_decay=0.0), kernels])

    def run(
        self,
        crops: Crops,
        damage: Damage,
        told: Told | None = None,
        checkpoint: Path | None = None,
    ) -> None:
        """Train to the end of the plan.

        Parameters
        ----------
        crops : callable
            From a number and a generator to so many whole crops (B, C, h, w), 0 to 1.
        damage : callable
            From crops and a generator to damaged ones and how much each counts (B, 1, 1, 1).
        told : callable, optional
            Called now and then with steps done and steps in all.
        checkpoint : path, optional
            Written now and then.

        Raises
        ------
        DivergedError
            If the loss is no longer finite.
        """
        with with_threads(self.plan.threads):
            while self.step < self.plan.steps:
                loss = self._train_on(*self._batch(crops, damage))
                self.step += 1
                self._follow()
                if self.step % _TOLD_EVERY == 0 or self.step == self.plan.steps:
                    self._tell(float(loss), told)
                if checkpoint is not None and (self.step % _SECURED_EVERY == 0 or self.step == self.plan.steps):
                    self.save(checkpoint)

    def _tell(self, loss: float, told: Told | None) -> None:
        if not np.isfinite(loss):
            raise DivergedError(f"training diverged after {self.step} steps; try a smaller learning_rate")
        if told is not None:
            told(self.step, self.plan.steps)

    def _batch(self, crops: Crops, damage: Damage) -> tuple[Tensor, Tensor, Tensor]:
        whole = crops(self.plan.batch_size, self.generator)
        damaged, weights = damage(whole, self.generator)
        layout = torch.channels_last
        return whole.to(self.device, memory_format=layout), damaged.to(self.device, memory_format=layout), weights

    def _train_on(self, whole: Tensor, damaged: Tensor, weights: Tensor) -> Tensor:
        weights = weights.to(self.device)
        with torch.autocast(self.device.type, torch.bfloat16, enabled=self.device.type == "cuda"):
            restored = self.net(damaged)
        error = restored.float() - whole
        if self.step < _SQUARED_FROM * self.plan.steps:
            loss = (error.abs() * weights.sqrt()).mean()
        else:
            loss = _SQUARED * (error.square() * weights).mean()
        loss.backward()
        nn.utils.clip_grad_norm_(self.net.parameters(), _CLIP)
        self._optimizer.step(self.plan.rate * self.plan.rate_at(self.step))
        found: Tensor = loss.detach()
        return found

    @torch.no_grad()
    def _follow(self) -> None:
        share = 1 - min(_AVERAGED, self.step / (self.step + 9))
        for name, value in self.net.state_dict().items():
            self.mean[name].lerp_(value, share)

    def finish(self) -> RestorationNet:
        """Put the running mean into the network and return it, for use."""
        self.net.load_state_dict(self.mean)
        return self.net.to(memory_format=torch.contiguous_format).eval()  # type: ignore[no-any-return]

    # --- checkpoints -----------------------------------------------------------------------------------------------

    def save(self, path: Path) -> None:
        """Write everything that going on needs, whole or not at all."""
        tensors = {
            **prefixed("net", self.net.state_dict()),
            **prefixed("mean", self.mean),
            **prefixed("optimizer", self._optimizer.tensors()),
            "generator": self.generator.get_state(),
        }
        tensors = {name: value.detach().contiguous().clone() for name, value in tensors.items()}
        header = {"step": self.step, "spec": self.net.spec.to_json(), "identity": self._identity}
        write_tensor_file(ModelFile(_KIND, header, tensors), path)

    @torch.no_grad()
    def resume(self, path: Path) -> None:
        """Go on from a file that `save` wrote for a network of the same shape.

        Raises
        ------
        CheckpointError
            If it is of another network, or damaged.
        """
        file = read_model_file(path)
        if file.kind != _KIND or file.header.get("spec") != _as_json(self.net.spec.to_json()):
            raise CheckpointError(f"{path.name!r} is no checkpoint of such a network; give another path")
        for name, value in self._identity.items():
            found = file.header.get("identity", {}).get(name)
            if found != value:
                raise CheckpointError(
                    f"the checkpoint {path.name!r} is of a training with other {name} ({found} and not {value}); go "
                    "on with the same, or give another path to begin anew"
                )
        try:
            self.net.load_state_dict(under("net", file.tensors))
            for name, value in under("mean", file.tensors).items():
                self.mean[name].copy_(value)
            self._optimizer.load_tensors(under("optimizer", file.tensors))
            self.generator.set_state(file.tensors["generator"])
            self.step = int(file.header["step"])
        except (KeyError, RuntimeError, ValueError, TypeError) as error:
            raise CheckpointError(f"{path.name!r} is damaged; remove it, or give another path") from error


class PictureCrops:
    """Crops of pictures at random places, turned and mirrored at random.

    Parameters
    ----------
    pictures : sequence of ndarray of shape (H, W) or (H, W, 3)
        uint8, uint16, or floats of 0 to 1.
    side : int
        Of a crop; pictures that are smaller are mirrored at their borders.
    channels : int
        1 mixes colours at random, so that one colour picture is many grey ones; 3 repeats grey ones.
    """

    def __init__(self, pictures: Sequence[NDArray[Any]], side: int, channels: int) -> None:
        self._pictures = [_at_least(picture, side) for picture in pictures]
        self._side, self._channels = side, channels

    def __call__(self, count: int, generator: torch.Generator) -> Tensor:
        """Return crops (count, channels, side, side), float32, 0 to 1."""
        rng = np.random.default_rng(int(torch.randint(1 << 62, (), generator=generator)))
        return torch.from_numpy(np.stack([self._crop(rng) for _ in range(count)]))

    def _crop(self, rng: np.random.Generator) -> NDArray[np.float32]:
        picture = self._pictures[rng.integers(len(self._pictures))]
        top, left = (int(rng.integers(length - self._side + 1)) for length in picture.shape[:2])
        crop = picture[top : top + self._side, left : left + self._side]
        crop = np.rot90(crop, int(rng.integers(4)))
        crop = crop[:, ::-1] if rng.random() < 0.5 else crop
        return np.ascontiguousarray(self._in_channels(_unit(crop), rng))

    def _in_channels(self, crop: NDArray[np.float32], rng: np.random.Generator) -> NDArray[np.float32]:
        if crop.ndim == 2:
            return np.repeat(crop[None], self._channels, axis=0)
        if self._channels == 3:
            return crop.transpose(2, 0, 1)
        usual = rng.random() < _USUAL_GREY
        mixture = _GREY if usual else rng.dirichlet([2.0, 2.0, 2.0])
        grey: NDArray[np.float32] = (crop @ mixture.astype(np.float32))[None]
        return grey


_GREY = np.array([0.299, 0.587, 0.114], np.float32)
_USUAL_GREY = 0.6


def _at_least(picture: NDArray[Any], side: int) -> NDArray[Any]:
    lacking = [max(0, side - length) for length in picture.shape[:2]]
    if not any(lacking):
        return picture
    return np.pad(picture, [(0, lacking[0]), (0, lacking[1]), *[(0, 0)] * (picture.ndim - 2)], mode="symmetric")


def _unit(values: NDArray[Any]) -> NDArray[np.float32]:
    if values.dtype.kind == "f":
        return values.astype(np.float32)
    return (values / np.iinfo(values.dtype).max).astype(np.float32)


def noise_of_many_levels(highest: float) -> Damage:
    """Return Gaussian noise whose deviation each crop draws evenly from 0 to `highest` (share of the range).

    Crops of little noise count more, as their errors are smaller: weights are near the inverse of the usual squared
    error.
    """

    def add(crops: Tensor, generator: torch.Generator) -> tuple[Tensor, Tensor]:
        deviation = highest * torch.rand(len(crops), 1, 1, 1, generator=generator)
        noise = torch.randn(crops.shape, generator=generator)
        return crops + deviation * noise, 0.1 / (deviation + 0.02)

    return add


def _as_json(description: dict[str, Any]) -> dict[str, Any]:
    return {name: list(value) if isinstance(value, tuple) else value for name, value in description.items()}
