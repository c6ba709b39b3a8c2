"""The loop: plan in, best weights and history out."""

import math
import time
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field

import torch
from torch import Tensor, nn

from refold._errors import DivergedError
from refold.nets import AutoencoderNet
from refold.objectives import Objective
from refold.train._batches import InMemory, batch_bounds
from refold.train._history import EpochRecord, History
from refold.train._listeners import Listener
from refold.train._optimizers import Optimizer, make_optimizer
from refold.train._placement import fitting_threads, quick_arithmetic
from refold.train._plan import Plan

_VALIDATION_BATCH = 1024


def train(
    net: AutoencoderNet,
    objective: Objective,
    records: InMemory,
    held_out: InMemory | None,
    plan: Plan,
    listeners: Sequence[Listener] = (),
    optimizer: Optimizer | None = None,
) -> History:
    """Train `net` in place and leave the best weights in it.

    Best is the lowest loss on `held_out`; without held-out records the last epoch is kept. Ctrl-C ends training
    politely: the best weights so far are kept and the history says "interrupted".

    Parameters
    ----------
    net : AutoencoderNet
    objective : Objective
    records : InMemory
        Training records.
    held_out : InMemory, optional
        Records for validation and early stopping.
    plan : Plan
    listeners : sequence of Listener
    optimizer : Optimizer, optional
        Of an earlier call, to go on with its moments (see `make_optimizer`).

    Raises
    ------
    DivergedError
        If the loss is no longer finite.
    """
    run = _Run(net, objective, records, held_out, plan, optimizer or make_optimizer(net, plan))
    for listener in listeners:
        listener.started(plan, len(records))
    with _own_randomness(plan.seed), fitting_threads(net.operations * plan.batch_size):
        history = _epochs(run, listeners)
    for listener in listeners:
        listener.ended(history)
    return history


class _own_randomness:  # noqa: N801 - reads as a statement
    """Seed torch's own generator, which dropout and the like draw from, and put it back afterwards."""

    def __init__(self, seed: int) -> None:
        self._fork = torch.random.fork_rng(devices=range(torch.cuda.device_count()))
        self._seed = seed

    def __enter__(self) -> None:
        self._fork.__enter__()
        torch.manual_seed(self._seed)

    def __exit__(self, *error: object) -> None:
        self._fork.__exit__(None, None, None)


@dataclass
class _Run:
    """The state of one training."""

    net: AutoencoderNet
    objective: Objective
    records: InMemory
    held_out: InMemory | None
    plan: Plan
    optimizer: Optimizer
    epochs: list[EpochRecord] = field(default_factory=list)
    best_loss: float = math.inf
    best_epoch: int = 0
    best_weights: dict[str, Tensor] = field(default_factory=dict)
    step: int = 0
    rate: float = 0.0

    def __post_init__(self) -> None:
        self.weights = [weight for weight in self.net.parameters() if weight.requires_grad]
        self.device = self.net.scaling.center.device
        self.order = torch.Generator().manual_seed(self.plan.seed)
        self.noise = torch.Generator(self.device).manual_seed(self.plan.seed)
        self.average = [weight.detach().clone() for weight in self.weights] if self.plan.averaging else []
        self.steps = self.plan.max_epochs * len(batch_bounds(len(self.records), self.plan.batch_size))


def _epochs(run: _Run, listeners: Sequence[Listener]) -> History:
    stopped = "max_epochs"
    try:
        for epoch in range(1, run.plan.max_epochs + 1):
            _epoch(run, epoch)
            for listener in listeners:
                listener.finished_epoch(run.epochs[-1])
            if _is_over(run, epoch):
                stopped = "early"
                break
    except KeyboardInterrupt:
        if not run.epochs:
            raise
        stopped = "interrupted"
    _restore_best(run)
    return History(tuple(run.epochs), run.best_epoch, stopped)


def _epoch(run: _Run, epoch: int) -> None:
    start = time.perf_counter()
    run.net.train()
    batches = run.records.shuffled(run.plan.batch_size, run.order)
    loss, error = _weighted_mean((_step(run, batch), len(batch)) for batch in batches)
    _check_finite(loss, epoch, run.plan)
    with _averaged_weights(run):
        held_loss, held_error = _validate(run)
        _check_finite(0.0 if run.held_out is None else held_loss, epoch, run.plan)
        seconds = time.perf_counter() - start
        run.epochs.append(EpochRecord(epoch, loss, error, held_loss, held_error, run.rate, seconds))
        _keep_if_best(run, held_loss, epoch)


def _step(run: _Run, batch: Tensor) -> tuple[Tensor, Tensor]:
    """Return the batch's loss and reconstruction error, not yet waited for."""
    rate = run.plan.learning_rate_at(run.step, run.steps)
    with quick_arithmetic(run.device, run.plan.bfloat16):
        terms = run.objective.terms(run.net, batch, run.noise)
    loss = torch.stack(list(terms.values())).sum()
    loss.backward()  # type: ignore[no-untyped-call]
    if run.plan.gradient_clip is not None:
        nn.utils.clip_grad_norm_(run.weights, run.plan.gradient_clip)
    run.optimizer.step(rate)
    run.rate = rate
    run.step += 1
    _follow_average(run)
    return loss.detach(), terms["error"].detach()


def _follow_average(run: _Run) -> None:
    if run.average:
        # a young average follows faster, so that it does not remember the first random weights
        decay = min(run.plan.averaging, (1 + run.step) / (10 + run.step))
        torch._foreach_lerp_(run.average, [weight.detach() for weight in run.weights], 1 - decay)


def _weighted_mean(values: Iterable[tuple[tuple[Tensor, Tensor], int]]) -> tuple[float, float]:
    """Return means over records, from means over batches; waits for the device once, at the end."""
    losses, errors, counts = [], [], []
    for (loss, error), count in values:
        losses.append(loss)
        errors.append(error)
        counts.append(count)
    weights = torch.tensor(counts, dtype=torch.float64)
    both = torch.stack([torch.stack(losses), torch.stack(errors)]).cpu().double()
    mean = (both * weights).sum(1) / weights.sum()
    return float(mean[0]), float(mean[1])


@torch.no_grad()
def _validate(run: _Run) -> tuple[float, float]:
    """Return loss and error on the held-out records, damaged in the same way at every epoch."""
    if run.held_out is None:
        return math.nan, math.nan
    run.net.eval()
    noise = torch.Generator(run.device).manual_seed(run.plan.seed + 1)

    def measured(batch: Tensor) -> tuple[Tensor, Tensor]:
        terms = run.objective.terms(run.net, batch, noise)
        return torch.stack(list(terms.values())).sum(), terms["error"]

    return _weighted_mean((measured(batch), len(batch)) for batch in run.held_out.in_order(_VALIDATION_BATCH))


class _averaged_weights:  # noqa: N801 - reads as a statement
    """Put the moving average of the weights into the network, and the weights back afterwards."""

    def __init__(self, run: _Run) -> None:
        self._run = run

    def __enter__(self) -> None:
        self._swap()

    def __exit__(self, *error: object) -> None:
        self._swap()

    @torch.no_grad()
    def _swap(self) -> None:
        for weight, average in zip(self._run.weights if self._run.average else (), self._run.average, strict=True):
            kept = weight.clone()
            weight.copy_(average)
            average.copy_(kept)


def _check_finite(loss: float, epoch: int, plan: Plan) -> None:
    if not math.isfinite(loss):
        raise DivergedError(
            f"training diverged in epoch {epoch}: the loss became {loss}; try a smaller learning_rate (now "
            f"{plan.learning_rate:g}), gradient_clip=1.0 (now {plan.gradient_clip}), or scaling='standard'"
        )


def _keep_if_best(run: _Run, loss: float, epoch: int) -> None:
    if run.held_out is None or loss < run.best_loss:
        run.best_loss, run.best_epoch = loss, epoch
        run.best_weights = {name: value.clone() for name, value in run.net.state_dict().items()}


def _is_over(run: _Run, epoch: int) -> bool:
    return run.plan.early_stopping and run.held_out is not None and epoch - run.best_epoch >= run.plan.patience


def _restore_best(run: _Run) -> None:
    if run.best_weights:
        run.net.load_state_dict(run.best_weights)
    run.net.eval()
