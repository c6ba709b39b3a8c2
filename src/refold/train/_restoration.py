"""Teaching a network to take damage off pictures: examples, two optimizers, a running mean of the weights."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from math import cos, pi
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional

from refold._errors import CheckpointError, DivergedError
from refold.files import ModelFile, read_model_file, write_tensor_file
from refold.nets import RestorationNet
from refold.train._examples import DrawExamples, Examples
from refold.train._interrupts import first_interrupt
from refold.train._machine import this_machine
from refold.train._marked_examples import changed
from refold.train._optimizers import AdamW, KernelMuon, Together
from refold.train._placement import with_threads
from refold.train._run import prefixed, under

Told = Callable[[int, int], None]

_KIND = "RestorationCheckpoint"
_CLIP, _AVERAGED = 1.0, 0.998
_WARM_UP, _LOWEST_RATE = 100, 1e-3
_SQUARED_FROM, _SQUARED = 0.7, 10.0  # share of the steps from which on squares are made small, and their weight
_FINDING = 0.3  # weight of finding it
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
        self._bfloat16 = self.device.type in this_machine().bfloat16_on
        self.interrupted = False
        self.generator = torch.Generator().manual_seed(plan.seed)
        self.mean = {name: value.clone() for name, value in net.state_dict().items()}
        first_and_last = {id(weight) for layer in (net.head, net.tail) for weight in layer.parameters()}
        inner = [weight for weight in net.parameters() if weight.ndim > 1 and id(weight) not in first_and_last]
        kernel = {id(weight) for weight in inner}
        ends = [weight for weight in net.parameters() if id(weight) not in kernel]  # biases too
        turned = {id(weight) for layer in net.up for weight in layer.parameters()}
        kernels = KernelMuon(inner, [id(weight) in turned for weight in inner])
        self._optimizer = Together([AdamW(ends, weight_decay=0.0), kernels])

    def run(
        self,
        draw: DrawExamples,
        told: Told | None = None,
        checkpoint: Path | None = None,
    ) -> None:
        """Train to the end of the plan, or until the first Ctrl-C; `interrupted` then says so.

        Parameters
        ----------
        draw : callable
            From a number and a generator to so many examples.
        told : callable, optional
            Called now and then with steps done and steps in all.
        checkpoint : path, optional
            Written now and then.

        Raises
        ------
        DivergedError
            If the loss is no longer finite.
        """
        with with_threads(self.plan.threads), first_interrupt(self._interrupt):
            while self.step < self.plan.steps and not self.interrupted:
                loss = self._train_on(self._placed(draw(self.plan.batch_size, self.generator)))
                self.step += 1
                self._follow()
                if self.step % _TOLD_EVERY == 0 or self.step == self.plan.steps:
                    self._tell(float(loss), told)
                if checkpoint is not None and self._is_to_be_secured():
                    self.save(checkpoint)

    def _interrupt(self) -> None:
        self.interrupted = True

    def _is_to_be_secured(self) -> bool:
        return self.interrupted or self.step % _SECURED_EVERY == 0 or self.step == self.plan.steps

    def _tell(self, loss: float, told: Told | None) -> None:
        if not np.isfinite(loss):
            raise DivergedError(f"training diverged after {self.step} steps; try a smaller learning_rate")
        if told is not None:
            told(self.step, self.plan.steps)

    def _placed(self, examples: Examples) -> Examples:
        layout = torch.channels_last
        return Examples(*(each.to(self.device, memory_format=layout) for each in examples))

    def _train_on(self, examples: Examples) -> Tensor:
        with torch.autocast(self.device.type, torch.bfloat16, enabled=self._bfloat16):
            answer = self.net(examples.given)
        loss = self._loss(answer.float(), examples)
        loss.backward()  # type: ignore[no-untyped-call]
        nn.utils.clip_grad_norm_(self.net.parameters(), _CLIP)
        self._optimizer.step(self.plan.rate * self.plan.rate_at(self.step))
        found: Tensor = loss.detach()
        return found

    def _loss(self, answer: Tensor, examples: Examples) -> Tensor:
        channels = self.net.spec.channels
        error = answer[:, :channels] - examples.whole
        if self.step < _SQUARED_FROM * self.plan.steps:
            loss = (error.abs() * examples.weights.sqrt()).mean()
        else:
            loss = _SQUARED * (error.square() * examples.weights).mean()
        if not self.net.spec.finds:
            return loss
        damaged = changed(examples.whole, examples.given[:, :channels]).float()
        return loss + _FINDING * functional.binary_cross_entropy_with_logits(answer[:, channels:], damaged)

    @torch.no_grad()
    def _follow(self) -> None:
        share = 1 - min(_AVERAGED, self.step / (self.step + 9))
        state = self.net.state_dict()
        torch._foreach_lerp_([self.mean[name] for name in state], list(state.values()), share)

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


def _as_json(description: dict[str, Any]) -> dict[str, Any]:
    return {name: list(value) if isinstance(value, tuple) else value for name, value in description.items()}
