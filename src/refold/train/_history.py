"""What happened in training, as data."""

from dataclasses import asdict, dataclass, fields
from typing import Any

from refold.train._placement import Placement


@dataclass(frozen=True)
class EpochRecord:
    """One epoch.

    Parameters
    ----------
    epoch : int
        Counted from 1.
    train_loss, train_error : float
        Objective, and reconstruction error alone, averaged over the epoch's batches as they were trained.
    validation_loss, validation_error : float
        The same on records held out, with the weights after the epoch; NaN where none are held out.
    learning_rate : float
        At the end of the epoch.
    seconds : float
        Duration, validation included.
    """

    epoch: int
    train_loss: float
    train_error: float
    validation_loss: float
    validation_error: float
    learning_rate: float
    seconds: float


@dataclass(frozen=True)
class History:
    """All epochs of a training.

    Parameters
    ----------
    epochs : tuple of EpochRecord
    best_epoch : int
        The epoch whose weights were kept, counted from 1.
    stopped : {"max_epochs", "early", "interrupted"}
        Why training ended.
    placement : Placement, optional
        Where and how it was trained, trials included.
    """

    epochs: tuple[EpochRecord, ...]
    best_epoch: int
    stopped: str
    placement: Placement | None = None

    def as_columns(self) -> dict[str, list[Any]]:
        """Return one list per figure, ready for a table or a plot."""
        rows = [asdict(epoch) for epoch in self.epochs]
        return {field.name: [row[field.name] for row in rows] for field in fields(EpochRecord)}
