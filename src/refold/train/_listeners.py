"""Who hears of a training's progress; everything optional in the loop is a listener."""

import sys
import warnings
from typing import Any

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

from refold._errors import RefoldWarning
from refold.train._history import EpochRecord, History
from refold.train._plan import Plan


class Listener:
    """Told when training starts, now and then, after every epoch, and when it ends; here it does nothing."""

    def started(self, plan: Plan, size: int) -> None:
        """Training of `size` records begins."""

    def moved(self, epochs: float) -> None:
        """So many epochs are done; told a few times a second."""

    def finished_epoch(self, record: EpochRecord) -> None:
        """An epoch is over."""

    def ended(self, history: History) -> None:
        """Training is over; the best weights are in place."""


class Patient(Listener):
    """A listener whose failures cost a warning and not the training; what fails once is told no more.

    Only a failure at the start is passed on: then nothing is lost yet.

    Parameters
    ----------
    listener : Listener
    """

    def __init__(self, listener: Listener) -> None:
        self._listener: Listener | None = listener

    def started(self, plan: Plan, size: int) -> None:
        """Pass it on, failures too."""
        if self._listener is not None:
            self._listener.started(plan, size)

    def moved(self, epochs: float) -> None:
        """Pass it on."""
        self._tell("moved", epochs)

    def finished_epoch(self, record: EpochRecord) -> None:
        """Pass it on."""
        self._tell("finished_epoch", record)

    def ended(self, history: History) -> None:
        """Pass it on."""
        self._tell("ended", history)

    def _tell(self, event: str, news: Any) -> None:
        if self._listener is None:
            return
        try:
            getattr(self._listener, event)(news)
        except Exception as error:
            name, self._listener = type(self._listener).__name__, None
            reason = (str(error).splitlines() or [type(error).__name__])[0]
            warnings.warn(f"{name} failed and hears no more of this training: {reason}", RefoldWarning, stacklevel=4)


class ProgressBar(Listener):
    """A bar on standard error with the errors of training and validation side by side."""

    def __init__(self) -> None:
        self._bar: Progress | None = None

    def started(self, plan: Plan, size: int) -> None:
        """Draw the bar."""
        self._bar = Progress(
            TextColumn("training"),
            BarColumn(),
            MofNCompleteColumn(),
            TextColumn("epochs  {task.fields[errors]}"),
            TimeRemainingColumn(),
            console=Console(file=sys.stderr),
            transient=True,
        )
        self._bar.add_task("", total=plan.max_epochs, errors="")
        self._bar.start()

    def moved(self, epochs: float) -> None:
        """Move the bar inside an epoch."""
        if self._bar is not None:
            self._bar.update(self._bar.task_ids[0], completed=epochs)

    def finished_epoch(self, record: EpochRecord) -> None:
        """Move the bar."""
        if self._bar is not None:
            self._bar.update(self._bar.task_ids[0], completed=record.epoch, errors=_errors(record))

    def ended(self, history: History) -> None:
        """Take the bar away and leave one line."""
        if self._bar is None:
            return
        self._bar.stop()
        last, best = history.epochs[-1], history.epochs[history.best_epoch - 1]
        why = {"early": "stopped early", "interrupted": "interrupted"}.get(history.stopped, "finished")
        print(f"{why} after {last.epoch} epochs, best {best.epoch}: {_errors(best)}", file=sys.stderr)  # noqa: T201


def _errors(record: EpochRecord) -> str:
    validation = record.validation_error
    held_out = f"  validation {validation:.5f}" if validation == validation else ""
    return f"error: train {record.train_error:.5f}{held_out}"
