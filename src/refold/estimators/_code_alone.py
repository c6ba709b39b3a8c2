"""Records compressed to a code alone: what is asked of the code, and how it is met on the records at hand."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from refold._errors import DataError
from refold.codec import CODE, LearnedCode, code_of, model_of, ways_of
from refold.train import learn_code

Array = NDArray[Any]

_TUNED_ON = 1000  # records, spread over all


@dataclass(frozen=True)
class CodeWish:
    """A share of the variance that is kept, or bytes that a record may take; one of the two."""

    quality: float | None
    bytes_per_sample: float | None

    def learned(self, values: Array, seed: int, told: Callable[[int, int], None] | None) -> bytes:
        """Return the model of a code that was learned from values (n, ...)."""
        _check_finite(values)
        if values.ndim < 2:
            raise DataError("a code is learned from records of several values; give an array of two axes or more")
        return model_of({CODE: learn_code(values, seed, self.bytes_per_sample, self.quality, told)})

    def met(self, code: LearnedCode, values: Array) -> LearnedCode:
        """Return the code with the trade of errors for bits that meets the wish on these records."""
        if values.shape[1:] != tuple(code.shape):
            raise DataError(
                f"records are of shape {values.shape[1:]}, and the code was learned from records of shape "
                f"{tuple(code.shape)}; give records of that shape, or learn from these"
            )
        _check_finite(values)
        if not len(values):
            return code
        some = np.asarray(values[:: max(1, len(values) // _TUNED_ON)][:_TUNED_ON])
        if self.quality is None:
            return code.tuned(some, bytes_per_sample=self.bytes_per_sample)
        return code.tuned(some, squared_error=(1 - self.quality) * _variance(some))


def readers_model(model: bytes) -> bytes:
    """Return what of a model is needed to decompress: a code without its encoder."""
    code = code_of(ways_of(model)) if model else None
    return model if code is None else model_of({CODE: code.without_encoder()})


def _variance(values: Array) -> float:
    """Return the mean squared distance of values from their means over the records."""
    return max(float(values.var(axis=0, dtype=np.float64).mean()), 1e-300)


def _check_finite(values: Array) -> None:
    if values.dtype.kind == "f" and not np.isfinite(values).all():
        raise DataError(
            "a code alone cannot hold NaN or infinite values; fill them first (refold fill), or give max_error"
        )
