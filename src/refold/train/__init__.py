"""The loop of autoencoders and three short ones: plans, where they run, what they leave on disk, who listens."""

from refold.train._batches import Batch, Batches, InMemory
from refold.train._checkpoint import Checkpoint, seed_of
from refold.train._code_training import CodeTrainingPlan, learn_code
from refold.train._colouring import (
    COLOUR_GUIDES,
    NO_HINTS,
    PLANES_OF_RGB,
    RGB_OF_PLANES,
    ColourExamples,
    Hints,
    area_means,
    obeying,
    reduced_size,
    share_told,
    spread_hints,
)
from refold.train._columns_training import learn_columns
from refold.train._denoising import DenoisingPlan, hidden_blocks, train_denoiser, wide_noise
from refold.train._ensemble import EnsemblePlan, draw_bags, row_noise, train_ensemble, window_noise
from refold.train._examples import (
    UNIT,
    DrawExamples,
    Examples,
    PairCrops,
    PictureCrops,
    changed_pixels,
    damaged_examples,
    lost_pixels,
    noise_of_many_levels,
    with_known,
)
from refold.train._history import EpochRecord, History
from refold.train._inference import apply_in_blocks
from refold.train._lattice_training import LatticePlan, learn_lattice
from refold.train._listeners import Listener, ProgressBar
from refold.train._loop import train
from refold.train._machine import Machine, this_machine
from refold.train._marked_examples import mark_weights, marked_examples
from refold.train._optimizers import Optimizer, make_optimizer
from refold.train._placement import Placement, choose_device, measured, place, with_threads
from refold.train._plan import SCHEDULES, Plan, default_batch_size, default_epochs
from refold.train._raster_training import RasterPlan, learn_raster
from refold.train._restoration import RestorationPlan, RestorationTraining
from refold.train._run import Settle
from refold.train._streamed import Streamed, without
from refold.train._tiles import Tiling, apply_in_tiles
from refold.train._trackers import JsonLines, MLflow, TensorBoard, parse_trackers
from refold.train._working_bar import working_bar

__all__ = [
    "COLOUR_GUIDES",
    "NO_HINTS",
    "PLANES_OF_RGB",
    "RGB_OF_PLANES",
    "SCHEDULES",
    "UNIT",
    "Batch",
    "Batches",
    "Checkpoint",
    "CodeTrainingPlan",
    "ColourExamples",
    "DenoisingPlan",
    "DrawExamples",
    "EnsemblePlan",
    "EpochRecord",
    "Examples",
    "Hints",
    "History",
    "InMemory",
    "JsonLines",
    "LatticePlan",
    "Listener",
    "MLflow",
    "Machine",
    "Optimizer",
    "PairCrops",
    "PictureCrops",
    "Placement",
    "Plan",
    "ProgressBar",
    "RasterPlan",
    "RestorationPlan",
    "RestorationTraining",
    "Settle",
    "Streamed",
    "TensorBoard",
    "Tiling",
    "apply_in_blocks",
    "apply_in_tiles",
    "area_means",
    "changed_pixels",
    "choose_device",
    "damaged_examples",
    "default_batch_size",
    "default_epochs",
    "draw_bags",
    "hidden_blocks",
    "learn_code",
    "learn_columns",
    "learn_lattice",
    "learn_raster",
    "lost_pixels",
    "make_optimizer",
    "mark_weights",
    "marked_examples",
    "measured",
    "noise_of_many_levels",
    "obeying",
    "parse_trackers",
    "place",
    "reduced_size",
    "row_noise",
    "seed_of",
    "share_told",
    "spread_hints",
    "this_machine",
    "train",
    "train_denoiser",
    "train_ensemble",
    "wide_noise",
    "window_noise",
    "with_known",
    "with_threads",
    "without",
    "working_bar",
]
