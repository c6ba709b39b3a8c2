"""Opinions on the next symbol, weighed into one; the weights learn from what came. Exact on every machine.

An opinion is a logarithm of probability for every symbol, up to a constant, in 1/256 bit. Weighed sums of opinions
(products of powers of probabilities) are logistic mixing, as in M. Mahoney's PAQ, for many symbols at once; weights
take Newton steps. Sums are of whole numbers, the rest single operations of IEEE arithmetic.
"""

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from refold.codec._bits import Coder

Array = NDArray[Any]

BIT = 256  # of an opinion
_WHOLE = 4096  # of a weight
_FINE = 13  # bits of a mantissa that its logarithm looks at
_LOGS = np.rint(np.log2(1 + np.arange(1 << (_FINE - 1)) / (1 << (_FINE - 1))) * BIT).astype(np.int32)
_POWERS = np.rint(65535 * 0.5 ** (np.arange(16 * BIT) / BIT)).astype(np.int32)
_ASKED = 512  # rows of a step
_COARSE = 4  # bits that opinions lose for a step
_STEP = (BIT >> _COARSE) / 0.6931471805599453
_DOUBT = 8000.0  # how firmly weights stick to their start
_DIRECT = 32  # symbols that the coder takes at once


def log2_of(counts: Array) -> Array:
    """Return log2 of whole numbers from 1 to 2**50 in 1/256 bit, int32."""
    mantissa, exponent = np.frexp(counts.astype(np.float64))
    place = (mantissa * (1 << _FINE)).astype(np.int32) - (1 << (_FINE - 1))
    return np.asarray(_LOGS[place] + (exponent - 1) * BIT, np.int32)


def weights_of(opinion: Array) -> Array:
    """Return weights (n, k) of 1 to 65535 of opinions (n, k)."""
    below = opinion.max(1, keepdims=True) - opinion
    return np.asarray(_POWERS[np.minimum(below, len(_POWERS) - 1)])


def choose(coder: Coder, weights: Array, symbols: Array | None = None) -> Array:
    """Return symbols as the coder's own `choose` does; many symbols in two decisions, which is faster."""
    count = weights.shape[1]
    if count <= _DIRECT:
        return np.asarray(coder.choose(weights, symbols), np.int64)
    width = int(np.ceil(np.sqrt(count)))
    parts = -(-count // width)
    padded = np.zeros((len(weights), parts * width), np.int64)
    padded[:, :count] = weights
    grouped = padded.reshape(len(weights), parts, width)
    sums = grouped.sum(2)
    part = coder.choose(np.maximum(sums * 4095 // sums.max(1, keepdims=True), 1), _part(symbols, width)).astype(int)
    inner = np.maximum(grouped[np.arange(len(weights)), part], 1)
    place = coder.choose(inner, None if symbols is None else symbols - part * width)
    return np.asarray(np.minimum(part * width + place, count - 1), np.int64)


def _part(symbols: Array | None, width: int) -> Array | None:
    return None if symbols is None else symbols // width


@dataclass
class Mixer:
    """Weights (m,) of m opinions and how sure they are: `firm` (m, m)."""

    weights: Array
    firm: Array

    @staticmethod
    def fresh(weights: Array) -> "Mixer":
        """Return a mixer that starts with weights (m,)."""
        return Mixer(weights.astype(np.float64), np.eye(len(weights)) * _DOUBT)

    def mixed(self, opinions: Array) -> Array:
        """Return one opinion (n, k) of opinions (m, n, k)."""
        whole = np.rint(self.weights * _WHOLE).astype(np.int32)
        mixed = opinions[0] * whole[0]
        for weight, opinion in zip(whole[1:], opinions[1:], strict=True):
            mixed += opinion * weight
        mixed //= _WHOLE
        return np.asarray(mixed)

    def learn(self, opinions: Array, weights: Array, symbols: Array) -> None:
        """Take a step: opinions (m, n, k), of which came weights (n, k); then came symbols (n,)."""
        every = -(-len(symbols) // _ASKED)
        opinions, weights, symbols = opinions[:, ::every] >> _COARSE, weights[::every], symbols[::every]
        likely = weights.astype(np.float64)
        likely = np.floor(likely * 256 / likely.sum(1, keepdims=True) + 0.5)
        total = np.maximum(likely.sum(1), 1)
        mean = np.floor(np.einsum("mnk,nk->mn", opinions, likely) / total)
        around = (opinions - mean[:, :, None]).reshape(len(opinions), -1)
        spread = (around * likely.reshape(-1)) @ around.T / 256
        gone = (opinions[:, np.arange(len(symbols)), symbols] - mean).sum(1)
        self.firm = self.firm + spread
        self.weights = np.clip(self.weights + _STEP * solved(self.firm, gone), -1.0, 3.0)


def solved(matrix: Array, right: Array) -> Array:
    """Return x of ``matrix @ x = right`` by Gauss's elimination for a positive matrix, the same on every machine."""
    rows = np.concatenate([matrix, right[:, None]], 1)
    for row in range(len(rows)):
        rows[row] = rows[row] / rows[row, row]
        rows = np.where(np.arange(len(rows))[:, None] == row, rows, rows - rows[:, row : row + 1] * rows[row])
    return np.asarray(rows[:, -1])
