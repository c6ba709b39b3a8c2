"""From what autoencoders leave over to scores, p-values and thresholds, as modules that take raw records."""

from refold.scores._camera import FEWEST_FRAMES, CameraScorer, CameraSpec, camera_threshold, reference_of
from refold.scores._camera_places import hidden_cells, horizon_of, near_horizon, scene_of, spread_of
from refold.scores._camera_run import CameraRun, FrameScore
from refold.scores._camera_views import blurred, camera_views, change_of, grid_of, grid_shape, log_grey
from refold.scores._conformal import Calibration, Threshold, binomial_limits
from refold.scores._neighbours import Neighbours
from refold.scores._picture_maps import in_channels, value_range
from refold.scores._picture_places import bin_sums
from refold.scores._pictures import SMALLEST_SIDE, PictureMember, PictureScorer, PictureSpec
from refold.scores._rebuilding import Rebuilding, RebuildingSpec, Remainder
from refold.scores._rows import PARTS, Reasons, RowScorer
from refold.scores._series import SeriesScorer, SeriesSpec, Summary
from refold.scores._series_run import Points, SeriesRun
from refold.scores._small_pictures import LARGEST_SIDE, SmallPictureScorer, SmallPictureSpec, mean_heat

__all__ = [
    "FEWEST_FRAMES",
    "LARGEST_SIDE",
    "PARTS",
    "SMALLEST_SIDE",
    "Calibration",
    "CameraRun",
    "CameraScorer",
    "CameraSpec",
    "FrameScore",
    "Neighbours",
    "PictureMember",
    "PictureScorer",
    "PictureSpec",
    "Points",
    "Reasons",
    "Rebuilding",
    "RebuildingSpec",
    "Remainder",
    "RowScorer",
    "SeriesRun",
    "SeriesScorer",
    "SeriesSpec",
    "SmallPictureScorer",
    "SmallPictureSpec",
    "Summary",
    "Threshold",
    "bin_sums",
    "binomial_limits",
    "blurred",
    "camera_threshold",
    "camera_views",
    "change_of",
    "grid_of",
    "grid_shape",
    "hidden_cells",
    "horizon_of",
    "in_channels",
    "log_grey",
    "mean_heat",
    "near_horizon",
    "reference_of",
    "scene_of",
    "spread_of",
    "value_range",
]
