"""How long and how fast to train."""

from collections.abc import Callable
from dataclasses import dataclass
from math import cos, pi

Schedule = Callable[[float], float]


def constant(progress: float) -> float:
    """Return 1: the learning rate stays."""
    return 1.0


def cosine(progress: float) -> float:
    """Return half a cosine from 1 to 0 (Loshchilov and Hutter 2017, arXiv 1608.03983)."""
    return 0.5 * (1 + cos(pi * progress))


def linear(progress: float) -> float:
    """Return a straight line from 1 to 0."""
    return 1 - progress


SCHEDULES: dict[str, Schedule] = {"constant": constant, "cosine": cosine, "linear": linear}

_STEPS = 10_000
_OPERATIONS = 3e12  # a minute or two on two cores
_FORWARD_AND_BACK = 3  # a backward pass costs two forward ones
_FEWEST_EPOCHS, _MOST_EPOCHS = 20, 400
_SMALLEST_BATCH, _LARGEST_BATCH = 32, 256
_STEPS_AN_EPOCH = 16
_SMALLEST_BATCH_OF_LARGE, _MOST_VALUES = 4, 1 << 22


@dataclass(frozen=True)
class Plan:
    """How long and how fast to train.

    Parameters
    ----------
    max_epochs, batch_size : int
    learning_rate : float
        Its highest value, reached after a warm-up.
    schedule : str
        Key of `SCHEDULES`.
    weight_decay : float
        Of the optimizer.
    gradient_clip : float or None
        Largest norm of the gradient of all weights together.
    averaging : float
        Decay of the moving average of the weights, 0 for none.
    early_stopping : bool
    patience : int
        Epochs without improvement after which training stops.
    seed : int
    optimizer : {"adamw", "muon"}
    """

    max_epochs: int
    batch_size: int
    learning_rate: float
    schedule: str
    weight_decay: float
    gradient_clip: float | None
    averaging: float
    early_stopping: bool
    patience: int
    seed: int
    optimizer: str = "adamw"

    def learning_rate_at(self, step: int, steps: int) -> float:
        """Return the learning rate of a step (counted from 0) out of `steps`."""
        if self.schedule == "constant":
            return self.learning_rate
        warm_up = min(300, max(1, steps // 20))
        return self.learning_rate * min(1.0, (step + 1) / warm_up) * SCHEDULES[self.schedule](step / steps)


def default_batch_size(size: int, values: int = 1) -> int:
    """Return a power of two from 32 to 256 that gives small data at least some 16 steps; less for large records.

    Parameters
    ----------
    size : int
        Records.
    values : int
        Values of one record: batches of large pictures would spend their time on getting memory.

    Examples
    --------
    >>> [default_batch_size(size) for size in (10, 1_500, 60_000)]
    [32, 64, 256]
    >>> default_batch_size(1_500, values=640 * 480 * 3)
    4
    """
    batch = _SMALLEST_BATCH
    while batch < _LARGEST_BATCH and batch * 2 * _STEPS_AN_EPOCH <= size:
        batch *= 2
    while batch > _SMALLEST_BATCH_OF_LARGE and batch * values > _MOST_VALUES:
        batch //= 2
    return batch


def default_epochs(size: int, batch_size: int, operations: int = 0) -> int:
    """Return enough epochs for some 10,000 steps, from 20 to 400; fewer where that is minutes of arithmetic.

    Parameters
    ----------
    size : int
        Records.
    batch_size : int
    operations : int
        Floating-point operations of one record's way through the network.

    Examples
    --------
    >>> [default_epochs(size, default_batch_size(size)) for size in (10, 1_500, 60_000)]
    [400, 400, 43]
    >>> default_epochs(1_500, 64, operations=50_000_000)
    20
    """
    epochs = _STEPS * batch_size / max(size, 1)
    affordable = _OPERATIONS / (_FORWARD_AND_BACK * max(operations, 1) * max(size, 1))
    return max(_FEWEST_EPOCHS, min(_MOST_EPOCHS, round(min(epochs, affordable))))
