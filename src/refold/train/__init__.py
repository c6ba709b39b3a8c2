"""One loop, its plan, where it runs, what it leaves on disk, and who listens."""

from refold.train._batches import Batches, InMemory
from refold.train._checkpoint import Checkpoint, seed_of
from refold.train._history import EpochRecord, History
from refold.train._inference import apply_in_blocks
from refold.train._listeners import Listener, ProgressBar
from refold.train._loop import train
from refold.train._machine import Machine, this_machine
from refold.train._optimizers import Optimizer, make_optimizer
from refold.train._placement import Placement, choose_device, measured, place
from refold.train._plan import SCHEDULES, Plan, default_batch_size, default_epochs
from refold.train._streamed import Streamed, without
from refold.train._trackers import JsonLines, MLflow, TensorBoard, parse_trackers

__all__ = [
    "SCHEDULES",
    "Batches",
    "Checkpoint",
    "EpochRecord",
    "History",
    "InMemory",
    "JsonLines",
    "Listener",
    "MLflow",
    "Machine",
    "Optimizer",
    "Placement",
    "Plan",
    "ProgressBar",
    "Streamed",
    "TensorBoard",
    "apply_in_blocks",
    "choose_device",
    "default_batch_size",
    "default_epochs",
    "make_optimizer",
    "measured",
    "parse_trackers",
    "place",
    "seed_of",
    "this_machine",
    "train",
    "without",
]
