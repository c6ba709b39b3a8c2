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
_POWERS = np.minimum(np.rint(65536 * 0.5 ** (np.arange(16 * BIT) / BIT)), 65535).astype(np.int32)
_ASKED = 256  # rows of a step
_COARSE = 4  # bits that opinions lose for a step
_STEP = (BIT >> _COARSE) / 0.6931471805599453
_DOUBT = 8000.0  # how firmly weights stick to their start
_DIRECT = 32  # symbols that the coder takes at once
_CHANCES = 24  # that are told apart
_ODDS = 160  # 1/256 bit between them
_TRUST = 8  # what an expectation weighs, in times that it was tried
_GATES = (2 * BIT, 6 * BIT)  # gains from which on rows have weights of their own


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
    n, count = weights.shape
    if count <= _DIRECT:
        return np.asarray(coder.choose(weights, symbols), np.int64)
    width = int(np.ceil(np.sqrt(count)))
    parts = -(-count // width)
    padded = np.zeros((n, parts * width), np.int32)
    padded[:, :count] = weights
    grouped = padded.reshape(n, parts, width)
    sums = grouped.sum(2, dtype=np.int64)
    even = np.maximum(sums * 65535 // sums.max(1, keepdims=True), 1)
    part = coder.choose(even, None if symbols is None else symbols // width).astype(np.int64)
    inner = np.maximum(grouped[np.arange(n), part], 1)
    place = coder.choose(inner, None if symbols is None else symbols - part * width)
    return np.asarray(np.minimum(part * width + place, count - 1), np.int64)


@dataclass
class Mixer:
    """Weights (gates, m) of m opinions and how sure they are: `firm` (gates, m, m)."""

    weights: Array
    firm: Array

    @staticmethod
    def fresh(weights: Array) -> "Mixer":
        """Return a mixer that starts with weights (gates, m)."""
        gates, count = weights.shape
        return Mixer(weights.copy(), np.tile(np.eye(count) * _DOUBT, (gates, 1, 1)))

    @staticmethod
    def start(count: int) -> Array:
        """Return weights of `count` opinions to start with."""
        weights = np.full((len(_GATES) + 1, count), 0.35)
        weights[:, 0] = 1.0
        return weights

    def copy(self) -> "Mixer":
        """Return a mixer that goes its own way from here."""
        return Mixer(self.weights.copy(), self.firm.copy())

    def mixed(self, opinions: Array, gates: Array) -> Array:
        """Return one opinion (n, k) of opinions (m, n, k), of rows with gates (n,)."""
        whole = np.rint(self.weights * _WHOLE).astype(np.int32)[gates].T[:, :, None]
        mixed = opinions[0] * whole[0]
        for weight, opinion in zip(whole[1:], opinions[1:], strict=True):
            mixed += opinion * weight
        mixed //= _WHOLE
        return np.asarray(mixed)

    def learn(self, opinions: Array, gates: Array, weights: Array, symbols: Array) -> None:
        """Take a step: opinions (m, n, k), of which came weights (n, k); then came symbols (n,)."""
        for gate in np.unique(gates):
            rows = np.flatnonzero(gates == gate)
            rows = rows[:: -(-len(rows) // _ASKED)]
            self._step(int(gate), opinions[:, rows] >> _COARSE, weights[rows], symbols[rows])

    def _step(self, gate: int, opinions: Array, weights: Array, symbols: Array) -> None:
        likely = weights.astype(np.float64)
        likely = np.floor(likely * 256 / likely.sum(1, keepdims=True) + 0.5)
        mean = np.floor((opinions * likely).sum(2) / np.maximum(likely.sum(1), 1))
        around = (opinions - mean[:, :, None]).reshape(len(opinions), -1)
        spread = (around * likely.reshape(-1)) @ around.T / 256
        gone = (opinions[:, np.arange(len(symbols)), symbols] - mean).sum(1)
        self.firm[gate] += spread
        step = _STEP * solved(self.firm[gate], gone)
        self.weights[gate] = np.clip(self.weights[gate] + np.clip(step, -0.5, 0.5), -1.0, 3.0)


def gates_of(gains: Array) -> Array:
    """Return which weights rows have that gain (n,) by copies."""
    return np.searchsorted(_GATES, gains, "right")


def solved(matrix: Array, right: Array) -> Array:
    """Return x of ``matrix @ x = right`` by Gauss's elimination for a positive matrix, the same on every machine."""
    rows = np.concatenate([matrix, right[:, None]], 1)
    for row in range(len(rows)):
        rows[row] = rows[row] / rows[row, row]
        factors = rows[:, row : row + 1].copy()
        factors[row] = 0
        rows -= factors * rows[row]
    return np.asarray(rows[:, -1])


@dataclass
class Record:
    """How often a symbol came that was expected with about a chance: (contexts, chances) of hits, of all."""

    hits: Array
    seen: Array

    @staticmethod
    def fresh(contexts: int) -> "Record":
        """Return an empty record."""
        return Record(np.zeros(contexts * _CHANCES, np.int64), np.zeros(contexts * _CHANCES, np.int64))

    def copy(self) -> "Record":
        """Return a record that goes its own way from here."""
        return Record(self.hits.copy(), self.seen.copy())

    def corrected(self, contexts: Array, weights: Array, symbols: Array) -> tuple[Array, Array]:
        """Return cells (n,) for `learn`, and weights (n, k) that give symbols (n,) the chance of the past."""
        rows = np.arange(len(weights))
        own = weights[rows, symbols].astype(np.int64)
        rest = weights.sum(1) - own
        chance = np.maximum(own * 65535 // np.maximum(own + rest, 1), 1)
        odds = log2_of(np.maximum(own, 1) << 16) - log2_of(np.maximum(rest, 1) << 16)
        cells = contexts * _CHANCES + np.clip(odds // _ODDS + _CHANCES // 2, 0, _CHANCES - 1)
        chance = (self.hits[cells] * 65536 + _TRUST * chance) // (self.seen[cells] + _TRUST)
        scaled = weights * (65536 - chance)[:, None] // np.maximum(rest, 1)[:, None]
        scaled[rows, symbols] = chance
        return cells, np.asarray(np.clip(scaled, 1, 65535), np.int32)

    def learn(self, cells: Array, hits: Array) -> None:
        """Note which symbols came."""
        self.hits += np.bincount(cells, hits, len(self.hits)).astype(np.int64)
        self.seen += np.bincount(cells, minlength=len(self.seen))


@dataclass
class Gains:
    """How much likelier a symbol is that stands elsewhere already: (contexts,) in 1/256 bit, and how sure that is."""

    gains: Array
    firm: Array

    @staticmethod
    def fresh(contexts: int) -> "Gains":
        """Return gains of 0."""
        return Gains(np.zeros(contexts), np.full(contexts, 2.0))

    def copy(self) -> "Gains":
        """Return gains that go their own way from here."""
        return Gains(self.gains.copy(), self.firm.copy())

    def learn(self, contexts: Array, hits: Array, chances: Array, together: Array) -> None:
        """Take a Newton step from whether symbols came that were expected with chances (n,) in 65536.

        `together` (n,): how many gains did that, which now step at the same time.
        """
        size = len(self.gains)
        gone = np.bincount(contexts, hits * 65536.0 - chances, size) / 65536
        self.firm += np.bincount(contexts, (chances * (65536 - chances) >> 16) * together, size) / 65536
        self.gains += np.clip(BIT / 0.6931471805599453 * (gone / self.firm), -2.0 * BIT, 2.0 * BIT)
        np.clip(self.gains, -8.0 * BIT, 24.0 * BIT, out=self.gains)
