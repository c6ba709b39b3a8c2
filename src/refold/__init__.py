"""refold folds data small and folds it back: an autoencoder toolkit for data without labels.

>>> import numpy as np, refold
>>> X = np.random.default_rng(0).normal(size=(200, 5))
>>> codes = refold.Autoencoder(latent_dim=2, max_epochs=2, random_state=0).fit_transform(X)
>>> codes.shape
(200, 2)
"""

from typing import TYPE_CHECKING

from refold._errors import (
    CheckpointError,
    CompressedFileError,
    DataError,
    DivergedError,
    MissingExtraError,
    ModelFileError,
    ParameterError,
    RefoldError,
    RefoldWarning,
)
from refold._lazy import lazy_names

if TYPE_CHECKING:
    from refold import metrics
    from refold.estimators import (
        Autoencoder,
        CameraDetector,
        Compressor,
        Detector,
        Mark,
        NumcodecsCodec,
        Restorer,
        ZarrCodec,
        code_sizes,
        decompress,
        interpolate,
        load,
        logo_mark,
        neighbours,
        on_manifold,
        pretrained,
        sample,
        shared_mark,
        stretching,
        traverse,
    )

__version__ = "0.1.0"

__all__ = [
    "Autoencoder",
    "CameraDetector",
    "CheckpointError",
    "CompressedFileError",
    "Compressor",
    "DataError",
    "Detector",
    "DivergedError",
    "Mark",
    "MissingExtraError",
    "ModelFileError",
    "NumcodecsCodec",
    "ParameterError",
    "RefoldError",
    "RefoldWarning",
    "Restorer",
    "ZarrCodec",
    "code_sizes",
    "decompress",
    "interpolate",
    "load",
    "logo_mark",
    "metrics",
    "neighbours",
    "on_manifold",
    "pretrained",
    "sample",
    "shared_mark",
    "stretching",
    "traverse",
]

_ESTIMATORS = (
    "Autoencoder",
    "CameraDetector",
    "Compressor",
    "Detector",
    "Mark",
    "NumcodecsCodec",
    "Restorer",
    "ZarrCodec",
    "code_sizes",
    "decompress",
    "interpolate",
    "load",
    "logo_mark",
    "neighbours",
    "on_manifold",
    "pretrained",
    "sample",
    "shared_mark",
    "stretching",
    "traverse",
)
__getattr__, __dir__ = lazy_names(__name__, dict.fromkeys(_ESTIMATORS, ".estimators") | {"metrics": ".metrics"})
