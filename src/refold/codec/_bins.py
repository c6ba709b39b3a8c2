"""Whole numbers as symbols: few numbers each their own, many in bins that grow with their distance from 0."""

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from refold.codec._bits import Coder

Array = NDArray[Any]

_EVEN, _LARGEST = 16, 62


@dataclass(frozen=True)
class Bins:
    """Symbol k stands for the ``2**widths[k]`` numbers from ``starts[k]`` (k,) on; starts rise."""

    starts: Array
    widths: Array

    @staticmethod
    def of(values: Array) -> "Bins":
        """Return a symbol for each of the values (k,), which rise."""
        return Bins(values.astype(np.int64), np.zeros(len(values), np.int64))

    @staticmethod
    def around_zero(width: int, first: int, last: int) -> "Bins":
        """Return bins `first` to `last` of those that are 2**width wide around 0 and grow away from it."""
        starts, widths = _growing(width)
        mirrored = -(starts + (1 << widths))
        return Bins(
            np.concatenate([mirrored[::-1], starts])[first : last + 1],
            np.concatenate([widths[::-1], widths])[first : last + 1],
        )

    def symbols(self, numbers: Array) -> Array:
        """Return the nearest symbols at or below numbers (n,)."""
        return np.maximum(np.searchsorted(self.starts, numbers, "right") - 1, 0)

    def exact(self, symbols: Array, numbers: Array) -> Array:
        """Return which symbols (n,) stand for a range that holds numbers (n,)."""
        beyond = numbers - self.starts[symbols]
        return np.asarray((beyond >= 0) & (beyond < (1 << self.widths[symbols])))

    def code_within(self, coder: Coder, symbols: Array, numbers: Array | None = None) -> Array:
        """Write or read where in the range of its symbol each number (n,) is; return the numbers."""
        found, widths = self.starts[symbols], self.widths[symbols]
        for width in np.unique(widths[widths > 0]):
            at = np.flatnonzero(widths == width)
            found[at] += coder.draw(len(at), int(width), None if numbers is None else numbers[at] - found[at])
        return found


def bin_width(numbers: Array) -> int:
    """Return the width of the bins around 0 that suits the spread of numbers (n,)."""
    middle = int(np.median(np.abs(numbers))) if len(numbers) else 0
    return min(max(middle.bit_length() - 4, 0), 50)


def _growing(width: int) -> tuple[Array, Array]:
    """Return starts and widths, as bits, of bins from 0 up to 2**62."""
    starts, widths = [k << width for k in range(_EVEN)], [width] * _EVEN
    for octave in range(width + 4, _LARGEST):
        fine = 2 if octave < width + 8 else 1 if octave < width + 16 else 0
        for part in range(1 << fine):
            starts.append((1 << octave) + (part << (octave - fine)))
            widths.append(octave - fine)
    return np.array(starts, np.int64), np.array(widths, np.int64)
