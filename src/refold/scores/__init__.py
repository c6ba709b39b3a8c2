"""From what autoencoders leave over to scores, p-values and thresholds, as modules that take raw records."""

from refold.scores._conformal import Calibration, Threshold, binomial_limits
from refold.scores._neighbours import Neighbours
from refold.scores._picture_maps import in_channels, value_range
from refold.scores._picture_places import bin_sums
from refold.scores._pictures import SMALLEST_SIDE, PictureMember, PictureScorer, PictureSpec
from refold.scores._rebuilding import Rebuilding, Remainder
from refold.scores._rows import PARTS, Reasons, RowScorer
from refold.scores._series import SeriesScorer, SeriesSpec, Summary
from refold.scores._series_run import Points, SeriesRun
from refold.scores._small_pictures import LARGEST_SIDE, SmallPictureScorer, SmallPictureSpec, mean_heat

__all__ = [
    "LARGEST_SIDE",
    "PARTS",
    "SMALLEST_SIDE",
    "Calibration",
    "Neighbours",
    "PictureMember",
    "PictureScorer",
    "PictureSpec",
    "Points",
    "Reasons",
    "Rebuilding",
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
    "in_channels",
    "mean_heat",
    "value_range",
]
