"""What is asked of the rebuilt data and of the code: corruptions, errors, penalties, and their sum."""

from refold.objectives._corruptions import (
    Both,
    Corruption,
    Domain,
    FeatureSwap,
    Gaussian,
    Masking,
    SaltAndPepper,
)
from refold.objectives._errors import ERRORS, column_errors, feature_errors, mean_error
from refold.objectives._objective import Objective
from refold.objectives._parsing import describe, parse_corruption, parse_penalties
from refold.objectives._penalties import Contractive, Penalty, Sparse, Variational

__all__ = [
    "ERRORS",
    "Both",
    "Contractive",
    "Corruption",
    "Domain",
    "FeatureSwap",
    "Gaussian",
    "Masking",
    "Objective",
    "Penalty",
    "SaltAndPepper",
    "Sparse",
    "Variational",
    "column_errors",
    "describe",
    "feature_errors",
    "mean_error",
    "parse_corruption",
    "parse_penalties",
]
