"""The state of one training: everything that a continuation needs, and nothing else."""

import math
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass, field
from typing import Any, Protocol

import torch
from torch import Tensor

from refold.nets import AutoencoderNet
from refold.objectives import Objective
from refold.train._batches import Batches, batch_bounds, batch_count
from refold.train._history import EpochRecord
from refold.train._optimizers import Optimizer
from refold.train._placement import Placement
from refold.train._plan import Plan

_MOST_LOSSES = 4096

Settle = Callable[[Tensor, Tensor], tuple[Tensor, Tensor]]
"""From codes of training records (n, latent_dim) and of held-out ones (k, latent_dim) to places for both: float32, on
the processor, in the records' order; NaN for records that shall have no place."""


@dataclass(frozen=True)
class Snapshot:
    """A training between two steps, as tensors and as values that JSON can hold.

    Parameters
    ----------
    tensors : dict of str to Tensor
    values : dict
    """

    tensors: dict[str, Tensor]
    values: dict[str, Any]


@dataclass
class Run:
    """One training.

    Parameters
    ----------
    net, objective, records, held_out, plan, placement, optimizer, settle
        As in `train`.
    """

    net: AutoencoderNet
    objective: Objective
    records: Batches
    held_out: Batches | None
    plan: Plan
    placement: Placement
    optimizer: Optimizer
    settle: Settle | None = None
    epochs: list[EpochRecord] = field(default_factory=list)
    best_loss: float = math.inf
    best_epoch: int = 0
    best_weights: dict[str, Tensor] = field(default_factory=dict)
    step: int = 0
    rate: float = 0.0
    seconds: float = 0.0  # spent in the epoch that is under way
    place_in_epoch: int = 0  # steps done in it
    losses: list[Tensor] = field(default_factory=list)  # loss and error of its last batches, not waited for
    sums: Tensor = field(default_factory=lambda: torch.zeros(2, dtype=torch.float64))  # of the batches before those
    interrupted: bool = False
    settled: bool = False  # whether codes have got other places

    def __post_init__(self) -> None:
        self.weights = [weight for weight in self.net.parameters() if weight.requires_grad]
        self.order = torch.Generator().manual_seed(self.plan.seed)
        self.order_of_epoch = self.order.get_state()
        self.noise = torch.Generator(self.placement.device).manual_seed(self.plan.seed)
        self.average = [weight.detach().clone() for weight in self.weights] if self.plan.averaging else []
        self.steps_an_epoch = batch_count(len(self.records), self.plan.batch_size)
        self.steps = self.plan.max_epochs * self.steps_an_epoch

    def note(self, loss: Tensor, error: Tensor) -> None:
        """Take down a batch's loss and error; a list of them all would grow with the data."""
        self.losses.append(torch.stack([loss.detach(), error.detach()]))
        self.place_in_epoch += 1
        if len(self.losses) == _MOST_LOSSES:
            self.sums = self.sums + self._sums_of_last()
            self.losses = []

    def mean_losses(self) -> tuple[float, float]:
        """Return loss and error of the epoch so far, means over records; waits for the device."""
        sums = self.sums + self._sums_of_last() if self.losses else self.sums
        _, stop = batch_bounds(self.place_in_epoch - 1, len(self.records), self.plan.batch_size)
        return float(sums[0]) / stop, float(sums[1]) / stop

    def begin_epoch(self) -> None:
        """Forget the epoch that was under way."""
        self.place_in_epoch, self.seconds, self.losses, self.sums = 0, 0.0, [], torch.zeros_like(self.sums)
        self.order_of_epoch = self.order.get_state()

    def _sums_of_last(self) -> Tensor:
        places = range(self.place_in_epoch - len(self.losses), self.place_in_epoch)
        bounds = (batch_bounds(place, len(self.records), self.plan.batch_size) for place in places)
        return total_of(self.losses, [stop - start for start, stop in bounds])

    def snapshot(self) -> Snapshot:
        """Return the training as it is between two steps."""
        tensors = {
            **prefixed("net", self.net.state_dict()),
            **prefixed("best", self.best_weights),
            **prefixed("average", dict(enumerate(self.average))),
            **prefixed("optimizer", self.optimizer.tensors()),
            **prefixed("random", self._random()),
        }
        tensors["sums"] = self.sums
        if self.losses:
            tensors["losses"] = torch.stack(self.losses)
        if self.settled:
            tensors.update(prefixed("places", self._places()))
        values = {
            "epochs": [asdict(epoch) for epoch in self.epochs],
            **{name: getattr(self, name) for name in _PLAIN},
        }
        return Snapshot({name: tensor.detach() for name, tensor in tensors.items()}, values)

    @torch.no_grad()
    def restore(self, snapshot: Snapshot) -> None:
        """Become the training that `snapshot` was taken of; raises KeyError or RuntimeError if it does not fit."""
        tensors, values = snapshot.tensors, snapshot.values
        self.net.load_state_dict(under("net", tensors))
        self.best_weights = {
            name: tensor.to(self.placement.device) for name, tensor in under("best", tensors).items()
        }
        for place, average in enumerate(self.average):
            average.copy_(tensors[f"average.{place}"])
        self.optimizer.load_tensors(under("optimizer", tensors))
        self._set_random(under("random", tensors))
        self.losses = list(tensors["losses"].to(self.placement.device)) if "losses" in tensors else []
        self.sums = tensors["sums"].clone()
        self.epochs = [EpochRecord(**epoch) for epoch in values["epochs"]]
        for name in _PLAIN:
            setattr(self, name, values[name])
        if self.settled:
            places = under("places", tensors)
            self.records.places = self._fitting(places["records"], self.records)
            if self.held_out is not None:
                self.held_out.places = self._fitting(places["held_out"], self.held_out)

    def _fitting(self, places: Tensor, batches: Batches) -> Tensor:
        """Return places if they can be those of the records; raises ValueError if not."""
        wanted = (len(batches), self.net.latent_dim)
        if self.settle is None or tuple(places.shape) != wanted or places.dtype != torch.float32:
            raise ValueError(places.shape)
        return places

    def _places(self) -> dict[str, Tensor]:
        dealt = {"records": self.records, "held_out": self.held_out}
        return {name: each.places for name, each in dealt.items() if each is not None and each.places is not None}

    def _random(self) -> dict[str, Tensor]:
        states = {"order": self.order_of_epoch, "noise": self.noise.get_state(), "own": torch.get_rng_state()}
        if self.placement.device.type == "cuda":
            states["device"] = torch.cuda.get_rng_state(self.placement.device)
        return states

    def _set_random(self, states: dict[str, Tensor]) -> None:
        self.order.set_state(states["order"])
        self.order_of_epoch = states["order"]
        self.noise.set_state(states["noise"])
        torch.set_rng_state(states["own"])
        if "device" in states:
            torch.cuda.set_rng_state(states["device"], self.placement.device)


def total_of(pairs: Sequence[Tensor], counts: Sequence[int]) -> Tensor:
    """Return sums over records, float64 (2,), from means over batches; waits for the device once."""
    weights = torch.tensor(counts, dtype=torch.float64)
    return (torch.stack(list(pairs)).cpu().double() * weights[:, None]).sum(0)


_PLAIN = ("best_loss", "best_epoch", "step", "rate", "seconds", "place_in_epoch", "settled")


class _Named(Protocol):
    def items(self) -> Any: ...


def prefixed(prefix: str, tensors: _Named) -> dict[str, Tensor]:
    """Return tensors under names that begin with a prefix and a point."""
    return {f"{prefix}.{name}": tensor for name, tensor in tensors.items()}


def under(prefix: str, tensors: dict[str, Tensor]) -> dict[str, Tensor]:
    """Return the tensors that `prefixed` put under a prefix."""
    start = f"{prefix}."
    return {name[len(start) :]: tensor for name, tensor in tensors.items() if name.startswith(start)}
