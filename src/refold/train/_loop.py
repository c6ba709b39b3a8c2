"""The loop: plan in, best weights and history out."""

import copy
import math
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from functools import partial
from math import prod

import torch
from torch import Tensor, nn

from refold._errors import DivergedError
from refold.nets import AutoencoderNet
from refold.objectives import Objective
from refold.train._batches import Batch, Batches
from refold.train._checkpoint import Checkpoint
from refold.train._history import EpochRecord, History
from refold.train._interrupts import first_interrupt
from refold.train._listeners import Listener, Patient
from refold.train._optimizers import Optimizer, make_optimizer
from refold.train._placement import Placement, measured, with_threads, work_of
from refold.train._plan import Plan
from refold.train._run import Run, Settle, total_of

_VALIDATION_BATCH, _VALIDATION_VALUES = 1024, 1 << 22
_SECONDS_BETWEEN_WORDS = 0.25


def train(
    net: AutoencoderNet,
    objective: Objective,
    records: Batches,
    held_out: Batches | None,
    plan: Plan,
    placement: Placement,
    listeners: Sequence[Listener] = (),
    optimizer: Optimizer | None = None,
    checkpoint: Checkpoint | None = None,
    settle: Settle | None = None,
) -> History:
    """Train `net` in place and leave the best weights in it.

    Best is the lowest loss on `held_out`, of the epochs since places settled if they do; without held-out records the
    last epoch is kept. Ctrl-C ends training politely after the step that is under way: the best weights so far are
    kept and the history says "interrupted".

    Parameters
    ----------
    net : AutoencoderNet
    objective : Objective
    records : Batches
        Training records.
    held_out : Batches, optional
        Records for validation and early stopping.
    plan : Plan
    placement : Placement
        Where the records lie too.
    listeners : sequence of Listener
    optimizer : Optimizer, optional
        Of an earlier call, to go on with its moments (see `make_optimizer`).
    checkpoint : Checkpoint, optional
        Written while training; what an earlier call left there is continued, to the same weights bit for bit.
    settle : Settle, optional
        Called with the codes by then when half of the epochs are over, or training would stop early; the places that
        it gives take the place of the others, and training goes on. Only with records in memory.

    Raises
    ------
    DivergedError
        If the loss is no longer finite.
    CheckpointError
        If the checkpoint is of another training, or damaged.
    """
    placement.lay_out(net)
    with _own_randomness(plan.seed):
        run = Run(net, objective, records, held_out, plan, placement, optimizer or make_optimizer(net, plan), settle)
        ended = checkpoint.resume(run) if checkpoint else None
        if not (checkpoint and checkpoint.resumed):
            run.placement = _with_measured_threads(run)
        listeners = [Patient(listener) for listener in listeners]
        for listener in listeners:
            listener.started(plan, len(records))
        repeatable = torch.backends.cudnn.flags(enabled=True, benchmark=False, deterministic=True)
        with with_threads(run.placement.threads), repeatable:
            history = ended or _epochs(run, listeners, checkpoint)
    _restore_best(run)
    for listener in listeners:
        listener.ended(history)
    return history


@contextmanager
def _own_randomness(seed: int) -> Iterator[None]:
    """Seed torch's own generator, which dropout and the like draw from, and put it back afterwards."""
    with torch.random.fork_rng(devices=range(torch.cuda.device_count())):
        torch.manual_seed(seed)
        yield


def _with_measured_threads(run: Run) -> Placement:
    """Return the run's placement after a trial of threads on a copy of the network."""
    work = work_of(run.net, run.plan.batch_size)
    batch: list[Batch] = []

    def step() -> None:
        if not batch:
            trial.net = copy.deepcopy(run.net)
            batch.append(next(iter(run.records.in_order(run.plan.batch_size))))
        _loss(trial, batch[0])[0].backward()  # type: ignore[no-untyped-call]

    trial = copy.copy(run)
    trial.noise = torch.Generator(run.placement.device).manual_seed(run.plan.seed)
    with torch.random.fork_rng(devices=[]):
        return measured(run.placement, work, run.steps, step)


def _epochs(run: Run, listeners: Sequence[Listener], checkpoint: Checkpoint | None) -> History:
    with first_interrupt(partial(_interrupt, run)):
        while not (stopped := _why_over(run)):
            if _epoch(run, listeners, checkpoint):
                for listener in listeners:
                    listener.finished_epoch(run.epochs[-1])
    history = History(tuple(run.epochs), run.best_epoch, stopped, run.placement)
    if checkpoint and not run.interrupted:
        checkpoint.write(run, history)
    return history


def _why_over(run: Run) -> str:
    """Return why training is over, or nothing while it is not."""
    epoch = len(run.epochs)
    if run.interrupted:
        return "interrupted"
    if _has_stalled(run) and not _may_settle(run):
        return "early"
    return "max_epochs" if epoch >= run.plan.max_epochs else ""


def _has_stalled(run: Run) -> bool:
    waits = run.plan.early_stopping and run.held_out is not None
    return waits and len(run.epochs) - run.best_epoch >= run.plan.patience


def _may_settle(run: Run) -> bool:
    return run.settle is not None and not run.settled


def _interrupt(run: Run) -> None:
    run.interrupted = True


def _epoch(run: Run, listeners: Sequence[Listener], checkpoint: Checkpoint | None) -> bool:
    """Train for an epoch and say whether it is whole; the first one counts even where Ctrl-C cut it short."""
    start = time.perf_counter() - run.seconds
    if _may_settle(run) and (2 * len(run.epochs) >= run.plan.max_epochs or _has_stalled(run)):
        _settle(run)
    _train_through(run, _each_step(run, start, listeners, checkpoint))
    if run.place_in_epoch < run.steps_an_epoch:
        run.seconds = time.perf_counter() - start
        if checkpoint:
            checkpoint.write(run)
        if not run.place_in_epoch and not run.epochs:
            raise KeyboardInterrupt
        if run.epochs:
            return False
    whole = run.place_in_epoch == run.steps_an_epoch
    _close_epoch(run, start)
    if run.interrupted and whole and checkpoint:
        checkpoint.write(run)
    return True


def _train_through(run: Run, after_step: Callable[[], None]) -> None:
    run.net.train()
    if run.place_in_epoch == 0:
        run.order_of_epoch = run.order.get_state()
    for batch in run.records.shuffled(run.plan.batch_size, run.order, skip=run.place_in_epoch):
        if run.interrupted:
            return
        _step(run, batch)
        after_step()


def _each_step(
    run: Run, start: float, listeners: Sequence[Listener], checkpoint: Checkpoint | None
) -> Callable[[], None]:
    """Return what happens after every step: a word now and then, and a checkpoint when one is due."""
    next_word = start + _SECONDS_BETWEEN_WORDS

    def after_step() -> None:
        nonlocal next_word
        now = time.perf_counter()
        if now >= next_word:
            next_word = now + _SECONDS_BETWEEN_WORDS
            for listener in listeners:
                listener.moved(len(run.epochs) + run.place_in_epoch / run.steps_an_epoch)
        if checkpoint and checkpoint.is_due(now):
            run.seconds = now - start
            checkpoint.write(run)

    return after_step


def _close_epoch(run: Run, start: float) -> None:
    epoch = len(run.epochs) + 1
    loss, error = run.mean_losses()
    _check_finite(loss, epoch, run.plan)
    with _averaged_weights(run):
        held_loss, held_error = _validate(run)
        _check_finite(0.0 if run.held_out is None else held_loss, epoch, run.plan)
        seconds = time.perf_counter() - start
        run.epochs.append(EpochRecord(epoch, loss, error, held_loss, held_error, run.rate, seconds))
        _keep_if_best(run, held_loss, epoch)
    run.begin_epoch()


def _step(run: Run, batch: Batch) -> None:
    """Move the weights once; nothing is waited for."""
    rate = run.plan.learning_rate_at(run.step, run.steps)
    loss, error = _loss(run, batch)
    loss.backward()  # type: ignore[no-untyped-call]
    if run.plan.gradient_clip is not None:
        nn.utils.clip_grad_norm_(run.weights, run.plan.gradient_clip)
    run.optimizer.step(rate)
    run.rate = rate
    run.step += 1
    _follow_average(run)
    run.note(loss, error)


def _loss(run: Run, batch: Batch) -> tuple[Tensor, Tensor]:
    """Return the batch's loss and reconstruction error."""
    with run.placement.arithmetic():
        terms = run.objective.terms(run.net, batch.raw, run.noise, batch.places)
    loss = terms["error"] if len(terms) == 1 else torch.stack(list(terms.values())).sum()
    return loss, terms["error"]


def _follow_average(run: Run) -> None:
    if run.average:
        # a young average follows faster, so that it does not remember the first random weights
        decay = min(run.plan.averaging, (1 + run.step) / (10 + run.step))
        torch._foreach_lerp_(run.average, [weight.detach() for weight in run.weights], 1 - decay)


@torch.no_grad()
def _validate(run: Run) -> tuple[float, float]:
    """Return loss and error on the held-out records, damaged in the same way at every epoch."""
    if run.held_out is None:
        return math.nan, math.nan
    run.net.eval()
    noise = torch.Generator(run.placement.device).manual_seed(run.plan.seed + 1)
    pairs, counts = [], []
    for batch in run.held_out.in_order(_validation_batch(run)):
        with run.placement.arithmetic():
            terms = run.objective.terms(run.net, batch.raw, noise, batch.places)
        pairs.append(torch.stack([torch.stack(list(terms.values())).sum(), terms["error"]]))
        counts.append(len(batch.raw))
    loss, error = (total_of(pairs, counts) / len(run.held_out)).tolist()
    return loss, error


@contextmanager
def _averaged_weights(run: Run) -> Iterator[None]:
    """Put the moving average of the weights into the network, and the weights back afterwards."""
    _swap(run)
    try:
        yield
    finally:
        _swap(run)


@torch.no_grad()
def _swap(run: Run) -> None:
    for weight, average in zip(run.weights if run.average else (), run.average, strict=True):
        kept = weight.clone()
        weight.copy_(average)
        average.copy_(kept)


@torch.no_grad()
def _settle(run: Run) -> None:
    """Give codes the places that are better for them by now; losses before and after are not compared."""
    assert run.settle is not None
    run.net.eval()
    with _averaged_weights(run):
        codes = _codes(run, run.records)
        held_out = codes[:0] if run.held_out is None else _codes(run, run.held_out)
    run.records.places, held_out_places = run.settle(codes, held_out)
    if run.held_out is not None:
        run.held_out.places = held_out_places
    run.settled, run.best_loss = True, math.inf


def _codes(run: Run, records: Batches) -> Tensor:
    with run.placement.arithmetic():
        codes = [run.net.encode(batch.raw).float().cpu() for batch in records.in_order(_validation_batch(run))]
    return torch.cat(codes)


def _validation_batch(run: Run) -> int:
    return max(1, min(_VALIDATION_BATCH, _VALIDATION_VALUES // prod(run.net.scaling.input_shape)))


def _check_finite(loss: float, epoch: int, plan: Plan) -> None:
    if not math.isfinite(loss):
        raise DivergedError(
            f"training diverged in epoch {epoch}: the loss became {loss}; try a smaller learning_rate (now "
            f"{plan.learning_rate:g}), gradient_clip=1.0 (now {plan.gradient_clip}), or scaling='standard'"
        )


def _keep_if_best(run: Run, loss: float, epoch: int) -> None:
    if run.held_out is None or loss < run.best_loss:
        run.best_loss, run.best_epoch = loss, epoch
        run.best_weights = {name: value.clone() for name, value in run.net.state_dict().items()}


def _restore_best(run: Run) -> None:
    if run.best_weights:
        run.net.load_state_dict(run.best_weights)
    # results after training do not hang on the layout that training was fastest with
    replace(run.placement, channels_last=False).lay_out(run.net)
    run.net.eval()
