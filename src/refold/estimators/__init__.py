"""The estimators: they join the rooms below them, and only here is `fit`."""

from typing import TYPE_CHECKING

from refold._lazy import lazy_names
from refold.estimators._parameters import AutoencoderParameters

if TYPE_CHECKING:
    from refold.estimators._autoencoder import Autoencoder
    from refold.estimators._baseline import PCABaseline
    from refold.estimators._storage import inspect_file, load

__all__ = ["Autoencoder", "AutoencoderParameters", "PCABaseline", "inspect_file", "load"]

__getattr__, __dir__ = lazy_names(
    __name__,
    {
        "Autoencoder": "._autoencoder",
        "inspect_file": "._storage",
        "load": "._storage",
        "PCABaseline": "._baseline",
    },
)
