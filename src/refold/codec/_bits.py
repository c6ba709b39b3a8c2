"""Decisions and symbols to bytes and back, each at the length that its probability deserves.

The coder is the range coder of `constriction`. Probabilities are whole numbers, so that every machine gives it the
same ones: a decision is true with chance `chance / 65536`, which a float holds exactly.

`BitWriter` and `BitReader` have the same methods. The writer takes what is true and gives it back, the reader
does not look at what it is given and gives back what was written: what describes a format is written once for both.
"""

from typing import Any, Protocol

import numpy as np
from constriction import stream
from numpy.typing import NDArray

Array = NDArray[Any]

CERTAIN = 1 << 16  # a chance of 1; chances are 1 to 65535
_DECISION, _SYMBOL = stream.model.Bernoulli(perfect=False), stream.model.Categorical(perfect=False)
_WORD = "<u4"  # of the coder
_MOST_EVEN = 16  # bits of an even number that are coded at once


class Coder(Protocol):
    """Either direction. Chances and weights are whole numbers and the same in both."""

    writes: bool

    def decide(self, chances: Array, bits: Array | None = None) -> Array:
        """Return decisions (n,) of bool, of which each is true with chance `chances` (n,) in 65536."""

    def choose(self, weights: Array, symbols: Array | None = None) -> Array:
        """Return symbols (n,) of 0 to k - 1, as likely as weights (n, k) of 1 to 65535; k is 256 at most."""

    def draw(self, count: int, width: int, numbers: Array | None = None) -> Array:
        """Return numbers (count,) of 0 to 2**width - 1, all equally likely; at most 63 bits."""


class BitWriter:
    """Writes what a `BitReader` reads."""

    writes = True

    def __init__(self) -> None:
        self._encoder = stream.queue.RangeEncoder()

    def decide(self, chances: Array, bits: Array | None = None) -> Array:
        """Write `bits` and return them."""
        assert bits is not None
        if len(bits):
            self._encoder.encode(_symbols(bits), _DECISION, _probabilities(chances))
        return bits

    def choose(self, weights: Array, symbols: Array | None = None) -> Array:
        """Write `symbols` and return them."""
        assert symbols is not None
        if len(symbols):
            self._encoder.encode(_symbols(symbols), _SYMBOL, _weights(weights))
        return symbols

    def draw(self, count: int, width: int, numbers: Array | None = None) -> Array:
        """Write `numbers` and return them."""
        assert numbers is not None
        for shift, part in _parts(width if count else 0):
            low = (numbers.astype(np.int64) >> shift) & ((1 << part) - 1)
            self._encoder.encode(_symbols(low), stream.model.Uniform(1 << part))
        return numbers

    def to_bytes(self) -> bytes:
        """Return all that was written; the length is a multiple of four."""
        return bytes(self._encoder.get_compressed().astype(_WORD).tobytes())


class BitReader:
    """Reads what a `BitWriter` wrote; of other data it makes other decisions, and no error."""

    writes = False

    def __init__(self, data: bytes) -> None:
        whole = data[: len(data) // 4 * 4]
        self._decoder = stream.queue.RangeDecoder(np.frombuffer(whole, _WORD).astype(np.uint32))

    def decide(self, chances: Array, bits: Array | None = None) -> Array:
        """Read decisions."""
        if not len(chances):
            return np.zeros(0, bool)
        return np.asarray(self._decoder.decode(_DECISION, _probabilities(chances)), bool)

    def choose(self, weights: Array, symbols: Array | None = None) -> Array:
        """Read symbols."""
        if not len(weights):
            return np.zeros(0, np.int32)
        return np.asarray(self._decoder.decode(_SYMBOL, _weights(weights)))

    def draw(self, count: int, width: int, numbers: Array | None = None) -> Array:
        """Read numbers."""
        drawn = np.zeros(count, np.int64)
        for shift, part in _parts(width if count else 0):
            drawn |= self._decoder.decode(stream.model.Uniform(1 << part), count).astype(np.int64) << shift
        return drawn


def _parts(width: int) -> list[tuple[int, int]]:
    return [(shift, min(_MOST_EVEN, width - shift)) for shift in range(0, width, _MOST_EVEN)]


def _symbols(values: Array) -> Array:
    return np.ascontiguousarray(values, np.int32)


def _probabilities(chances: Array) -> Array:
    return np.ascontiguousarray(chances, np.float32) * np.float32(1 / CERTAIN)


def _weights(weights: Array) -> Array:
    return np.ascontiguousarray(weights, np.float32)  # their sum stays below 2**24, so that every order gives it
