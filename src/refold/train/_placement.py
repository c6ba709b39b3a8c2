"""Where a network is trained and how: device, numbers, memory layout, threads; decided once, with reasons."""

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from math import prod
from statistics import median
from typing import Literal

import torch
from torch import nn

from refold._errors import ParameterError
from refold.nets import AutoencoderNet
from refold.train._machine import Machine, this_machine

Precision = Literal["auto", "float32", "bfloat16"]

# Below this many operations a second thread costs more in waiting than it saves in arithmetic, and on a busy
# machine many times more.
_OPERATIONS_WORTH_THREADS = 200_000_000
_OPERATIONS_A_VALUE = 500  # in the time that a value is scaled, compared and led back
_TRIALS = 3
_WORTH_IT = 0.9  # of one thread's time: a smaller gain is noise
_ONE_THREAD = "one thread: the batches are little work"


@dataclass(frozen=True)
class Placement:
    """Where and how a network is trained.

    Parameters
    ----------
    device : torch.device
    bfloat16 : bool
        Multiply in bfloat16; weights, code and error stay in float32.
    channels_last : bool
        Lay pictures out with the channels of a pixel side by side.
    threads : int
        Of the processor.
    reasons : tuple of str
        Why, a sentence each.
    on_trial : bool
        Whether `measured` may choose one thread instead; never where the user gave their number.
    """

    device: torch.device
    bfloat16: bool = False
    channels_last: bool = False
    threads: int = 1
    reasons: tuple[str, ...] = ()
    on_trial: bool = False

    @contextmanager
    def arithmetic(self) -> Iterator[None]:
        """Multiply in the numbers that were chosen."""
        with torch.autocast(self.device.type, torch.bfloat16, enabled=self.bfloat16):
            yield

    def lay_out(self, net: AutoencoderNet) -> None:
        """Move the network to its device and its weights into their layout."""
        layout = torch.channels_last if self.channels_last else torch.contiguous_format
        net.to(device=self.device, memory_format=layout)  # type: ignore[call-overload]


def place(
    net: AutoencoderNet,
    batch_size: int,
    device: torch.device,
    precision: Precision = "auto",
    threads: int | Literal["auto"] = "auto",
    machine: Machine | None = None,
) -> Placement:
    """Decide how `net` is trained, from the machine and the size of the work.

    With ``threads="auto"`` large work gets every thread of torch until `measured` finds that one is faster.

    Parameters
    ----------
    net : AutoencoderNet
    batch_size : int
    device : torch.device
    precision : {"auto", "float32", "bfloat16"}
    threads : int or "auto"
    machine : Machine, optional
        What is known of the machine; this one by default.
    """
    machine = machine or this_machine()
    convolutional = any(isinstance(layer, nn.Conv2d | nn.ConvTranspose2d) for layer in net.modules())
    bfloat16, why_numbers = _numbers(machine, device, precision, net.operations * batch_size)
    count, why_threads = _threads(machine, threads, work_of(net, batch_size))
    why_layout = "channels last: convolutions are faster" if convolutional else "no convolutions, no layout to choose"
    on_trial = device.type == "cpu" and threads == "auto" and count > 1
    return Placement(device, bfloat16, convolutional, count, (why_numbers, why_layout, why_threads), on_trial)


def work_of(net: AutoencoderNet, batch_size: int) -> int:
    """Return the work of a batch in operations; values that are moved about count too."""
    values = prod(net.scaling.input_shape) + prod(net.scaling.feature_shape)
    return batch_size * (net.operations + _OPERATIONS_A_VALUE * values)


def _numbers(machine: Machine, device: torch.device, precision: Precision, operations: int) -> tuple[bool, str]:
    if precision != "auto":
        return precision == "bfloat16", f"{precision}: precision={precision!r} was asked for"
    if device.type not in machine.bfloat16_on:
        return False, f"float32: this {device.type} does not multiply faster in bfloat16"
    if operations < _OPERATIONS_WORTH_THREADS:
        return False, "float32: the batches are too little work for bfloat16 to gain on them"
    return True, f"bfloat16: {machine.bfloat16_on[device.type]}"


def _threads(machine: Machine, threads: int | Literal["auto"], work: int) -> tuple[int, str]:
    if threads != "auto":
        return threads, f"threads={threads} was asked for"
    if work < _OPERATIONS_WORTH_THREADS or machine.threads == 1:
        return 1, _ONE_THREAD if machine.threads > 1 else "one thread: torch has no more"
    return machine.threads, f"all {machine.threads} threads: the batches are much work"


_measured: dict[tuple[int, int, bool], int] = {}


def measured(placement: Placement, work: int, steps: int, step: Callable[[], None]) -> Placement:
    """Return the placement with one thread instead of all where a trial of steps is faster so.

    On a machine that is busy with other things one thread is often many times faster than several, which wait for
    the slowest of them. A trial is made once for a size of work and kept until the program ends, so that the same
    `fit` has the same threads, and the same weights, each time.

    Parameters
    ----------
    placement : Placement
    work : int
        Operations of a step.
    steps : int
        How many are to come; few are not worth a trial.
    step : callable
        Does the work of a step and leaves everything as it was.
    """
    if not placement.on_trial or steps < 20 * _TRIALS:
        return placement
    key = work, placement.threads, placement.bfloat16
    if key not in _measured:
        one, all_of_them = _trial(step, (1, placement.threads))
        _measured[key] = placement.threads if all_of_them < _WORTH_IT * one else 1
    threads = _measured[key]
    why = f"{threads} of {placement.threads} threads: a trial of {_TRIALS} steps each was faster so"
    return replace(placement, threads=threads, reasons=(*placement.reasons[:-1], why), on_trial=False)


def _trial(step: Callable[[], None], counts: tuple[int, ...]) -> list[float]:
    seconds: dict[int, list[float]] = {count: [] for count in counts}
    for trial in range(_TRIALS + 1):
        for count in counts:
            with with_threads(count):
                start = time.perf_counter()
                step()
                if trial > 0:  # the first one warms up
                    seconds[count].append(time.perf_counter() - start)
    return [median(seconds[count]) for count in counts]


@contextmanager
def with_threads(count: int) -> Iterator[None]:
    """Compute with `count` threads, and with as many as before afterwards."""
    before = torch.get_num_threads()
    if count != before:
        torch.set_num_threads(count)
    try:
        yield
    finally:
        if torch.get_num_threads() != before:
            torch.set_num_threads(before)


def choose_device(name: str) -> torch.device:
    """Return the device that `name` means; "auto" takes an accelerator where there is one.

    Raises
    ------
    ParameterError
        If there is no such device on this machine.
    """
    if name == "auto":
        return torch.device(this_machine().device)
    try:
        device = torch.device(name)
        torch.empty(1, device=device)
    except (RuntimeError, AssertionError, NotImplementedError) as error:
        raise ParameterError(
            f"device={name!r} is not to be had here ({str(error).splitlines()[0]}); use 'cpu' or 'auto'"
        ) from error
    return device
