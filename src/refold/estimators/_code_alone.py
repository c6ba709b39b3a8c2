"""Records compressed to a code alone: what is asked of the code, and how it is met on the records at hand."""

import warnings
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from math import ceil
from typing import Any

import numpy as np
from numpy.typing import NDArray

from refold._errors import DataError, RefoldWarning
from refold.codec import CODE, ArrayEntry, LearnedCode, code_of, model_of, ways_of
from refold.train import learn_code

Array = NDArray[Any]

_TUNED_ON = 1000  # records, spread over all
_AT_ONCE = 1 << 22  # values
_NEARLY, _FRAME = 0.02, 8  # by how much a wish may be missed without a word; bytes that a block takes


@dataclass
class Spread:
    """How values lie around their means over the records, counted block by block (Chan, Golub and LeVeque 1979)."""

    records: int = 0
    means: Array = field(default_factory=lambda: np.zeros(()))
    squares: float = 0.0  # of all values less their means, summed

    def add(self, block: Array) -> None:
        """Count a block (n, ...)."""
        count, both = len(block), self.records + len(block)
        if not count:
            return
        away = block.mean(axis=0, dtype=np.float64) - self.means
        between = float(np.square(away).sum()) * self.records * count / both
        self.squares += float(block.var(axis=0, dtype=np.float64).sum()) * count + between
        self.means, self.records = self.means + away * count / both, both

    def kept(self, squares: float) -> float:
        """Return the share of the variance that is kept where squared errors sum up to so much."""
        return 1 - squares / max(self.squares, 1e-300)


@dataclass(frozen=True)
class CodeWish:
    """A share of the variance that is kept, or bytes that a record may take; one of the two."""

    quality: float | None
    bytes_per_sample: float | None

    def learned(
        self, values: Array, fill: tuple[float, ...], seed: int, told: Callable[[int, int], None] | None
    ) -> bytes:
        """Return the model of a code that was learned from values (n, ...)."""
        _check_gapless(values, fill)
        if values.ndim < 2:
            raise DataError("a code is learned from records of several values; give an array of two axes or more")
        return model_of({CODE: learn_code(values, seed, self.bytes_per_sample, self.quality, told)})

    def met(self, code: LearnedCode, records: Any, fill: tuple[float, ...]) -> LearnedCode:
        """Return the code with the trade of errors for bits that meets the wish on these records.

        Parameters
        ----------
        code : LearnedCode
        records : ndarray or Records, (n, ...)
        fill : tuple of float
            Numbers that stand for nothing, of which there may be none.
        """
        if records.shape[1:] != tuple(code.shape):
            raise DataError(
                f"records are of shape {records.shape[1:]}, and the code was learned from records of shape "
                f"{tuple(code.shape)}; give records of that shape, or learn from these"
            )
        some = list(_looked_over(records, fill))
        if not some:
            return code
        few = np.concatenate(some)
        if self.quality is None:
            return code.tuned(few, bytes_per_sample=self.bytes_per_sample)
        return code.tuned(few, squared_error=(1 - self.quality) * _variance(few))

    def warn_if_missed(self, kept: float, packed: int, records: int) -> None:
        """Warn if records do not get what was asked for.

        Parameters
        ----------
        kept : float
            The share of the variance.
        packed : int
            The bytes of all records.
        records : int
        """
        if self.quality is not None and kept < self.quality - _NEARLY:
            text = f"the code keeps {kept:.3f} of the variance of these data, not {self.quality}; learn from data "
            warnings.warn(text + "that are more like them, or from more of them", RefoldWarning, stacklevel=4)
        most = self.bytes_per_sample
        if most is not None and records and packed / records > most * (1 + _NEARLY) + _FRAME / records:
            text = f"a record takes {packed / records:.2f} bytes, not {most}; learn a code for fewer bytes"
            warnings.warn(text, RefoldWarning, stacklevel=4)


def readers_model(model: bytes) -> bytes:
    """Return what of a model is needed to decompress: a code without its encoder."""
    code = code_of(ways_of(model)) if model else None
    return model if code is None else model_of({CODE: code.without_encoder()})


def is_code_alone(entry: ArrayEntry) -> bool:
    """Return whether blocks of an array were reduced to a code, so that nothing is promised of single values."""
    return any(block.way == CODE for block in entry.blocks)


def _looked_over(records: Any, fill: tuple[float, ...]) -> Iterator[Array]:
    """Yield some records spread over all, after a look at every value."""
    step = max(1, ceil(len(records) / _TUNED_ON))
    rows = max(1, _AT_ONCE // max(records.size // max(len(records), 1), 1))
    for start in range(0, len(records), rows):
        block = np.asarray(records[start : start + rows])
        _check_gapless(block, fill)
        yield block[-start % step :: step]


def _variance(values: Array) -> float:
    """Return the mean squared distance of values from their means over the records."""
    return max(float(values.var(axis=0, dtype=np.float64).mean()), 1e-300)


def _check_gapless(values: Array, fill: tuple[float, ...]) -> None:
    if values.dtype.kind == "f" and not np.isfinite(values).all():
        raise DataError(
            "a code alone cannot hold NaN or infinite values; fill them first (refold fill), or give max_error"
        )
    for number in fill:
        if (values == number).any():
            raise DataError(
                f"a code alone cannot hold gaps, and {number:g} stands for nothing in these data; give max_error, or "
                "say that it is a number like others: fill_value=None (--fill-value none)"
            )
