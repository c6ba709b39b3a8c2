"""One loop, its plan, where it runs, and who listens."""

from refold.train._batches import InMemory
from refold.train._history import EpochRecord, History
from refold.train._inference import apply_in_blocks
from refold.train._listeners import Listener, ProgressBar
from refold.train._loop import train
from refold.train._optimizers import Optimizer, make_optimizer
from refold.train._placement import choose_device, prefers_bfloat16
from refold.train._plan import SCHEDULES, Plan, default_batch_size, default_epochs

__all__ = [
    "SCHEDULES",
    "EpochRecord",
    "History",
    "InMemory",
    "Listener",
    "Optimizer",
    "Plan",
    "ProgressBar",
    "apply_in_blocks",
    "choose_device",
    "default_batch_size",
    "default_epochs",
    "make_optimizer",
    "prefers_bfloat16",
    "train",
]
