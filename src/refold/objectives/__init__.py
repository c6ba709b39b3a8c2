"""What is asked of the rebuilt data and of the code: corruptions, errors, penalties, and their sum."""

from refold.objectives._corruptions import (
    Both,
    Corruption,
    Domain,
    Either,
    FeatureSwap,
    Gaussian,
    Masking,
    SaltAndPepper,
)
from refold.objectives._errors import ERRORS, column_errors, feature_errors, mean_error
from refold.objectives._keeping import Keep, KeepDistances, KeepNeighbours, KeepSmooth, Kept
from refold.objectives._objective import Objective
from refold.objectives._parsing import describe, parse_corruption, parse_keep, parse_penalties
from refold.objectives._penalties import Contractive, Penalty, Sparse, Towards, Variational
from refold.objectives._picture_corruptions import (
    Blur,
    Grey,
    Holes,
    Jpeg,
    MissingPixels,
    Poisson,
    Scratches,
    Text,
    as_pictures,
    luminance,
    numpy_generator,
)
from refold.objectives._smoothness import Smooth
from refold.objectives._watermark import Watermark

__all__ = [
    "ERRORS",
    "Blur",
    "Both",
    "Contractive",
    "Corruption",
    "Domain",
    "Either",
    "FeatureSwap",
    "Gaussian",
    "Grey",
    "Holes",
    "Jpeg",
    "Keep",
    "KeepDistances",
    "KeepNeighbours",
    "KeepSmooth",
    "Kept",
    "Masking",
    "MissingPixels",
    "Objective",
    "Penalty",
    "Poisson",
    "SaltAndPepper",
    "Scratches",
    "Smooth",
    "Sparse",
    "Text",
    "Towards",
    "Variational",
    "Watermark",
    "as_pictures",
    "column_errors",
    "describe",
    "feature_errors",
    "luminance",
    "mean_error",
    "numpy_generator",
    "parse_corruption",
    "parse_keep",
    "parse_penalties",
]
