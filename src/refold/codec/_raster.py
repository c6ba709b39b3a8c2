"""Small pictures of one shape, pixel after pixel, with chances from a network that looks at what came before.

A pixel is a decision, zero or not, and if not, a level. Where the window is all zero, tables say how likely that is;
elsewhere an `IntegerNet` does. To the logits of levels that this picture has had already (or one beside) it adds how
likely such repetitions are here. A picture that costs more than it would cost plainly is finished plainly.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from decimal import Context, Decimal, localcontext
from functools import cached_property
from typing import Any, ClassVar

import numpy as np
from numpy.typing import NDArray

from refold.codec._bits import CERTAIN, BitReader, BitWriter, Coder
from refold.codec._integer_net import MOST_ACTIVE, IntegerNet
from refold.codec._numbers import Counts, code_numbers
from refold.codec._raster_context import TALLIES, RasterContext, RasterWalk, Step

Array = NDArray[Any]

RASTER_PARTS = 16  # of a nat: what a step of a logit is
_MOST_WEIGHT = (1 << 16) - 1
_LOGIT = 11 * RASTER_PARTS  # larger ones say no more in chances of 1 to 65535
_COARSE = RASTER_PARTS // 4  # what a step of the tables is
_PATIENCE = 32  # bits that a picture may cost more than plainly before it is finished plainly


def _chances() -> Array:
    exact = (CERTAIN / (1 + (Decimal(-logit) / RASTER_PARTS).exp()) for logit in range(-_LOGIT, _LOGIT + 1))
    return np.array([min(max(int(chance.to_integral_value()), 1), CERTAIN - 1) for chance in exact], np.int64)


def _fading() -> Array:
    exact = (_MOST_WEIGHT * (Decimal(-less) / RASTER_PARTS).exp() for less in range(MOST_ACTIVE + 1))
    return np.asarray(np.maximum([int(weight.to_integral_value()) for weight in exact], 1), np.float32)


with localcontext(Context(prec=28)):  # whatever the program that imports this has set
    CHANCES = _chances()  # of logits -_LOGIT to _LOGIT
    FADING = _fading()  # weights of logits so much below the largest


def chance_of(logits: Array) -> Array:
    """Return the chance (n,) in 65536 of logits (n,) in sixteenths of a nat."""
    return np.asarray(CHANCES[np.clip(logits, -_LOGIT, _LOGIT) + _LOGIT])


def weights_of(logits: Array) -> Array:
    """Return weights (n, k) of 1 to 65535 of logits (n, k) in sixteenths of a nat."""
    below = logits.max(1, keepdims=True) - logits
    return np.asarray(FADING.take(np.minimum(below, MOST_ACTIVE, out=below)))


@dataclass(frozen=True)
class LearnedRaster:
    """A way of coding pictures (n, rows, columns[, channels]) of whole numbers without loss.

    Parameters
    ----------
    context : RasterContext
        What is looked at.
    body : IntegerNet
        From inputs to what the two heads look at; negative answers count as zero.
    some : IntegerNet
        From there to the logit of a pixel not being zero.
    level : IntegerNet
        From there to logits of levels 1 and more, and those of repetitions.
    blank : ndarray, (steps, 2), int64
        Logits, in quarters of a nat, of a pixel not being zero where the window is all zero, before and after the
        first ink.
    first : ndarray, (levels - 1,), int64
        Logits of such a pixel.
    """

    context: RasterContext
    body: IntegerNet
    some: IntegerNet
    level: IntegerNet
    blank: Array
    first: Array

    limits: ClassVar[tuple[int, int]] = (0, 255)
    gaps: ClassVar[bool] = False

    def applies(self, shape: tuple[int, ...], shift: int) -> bool:
        """Return whether it codes arrays of this shape (n, rows, columns[, channels]), in steps of 2**shift."""
        return shift == 0 and len(shape) in (3, 4) and (*shape[1:], 1)[:3] == self.context.shape

    def code(self, coder: Coder, known: Array, shift: int, true: Array | None = None) -> Array:
        """Write or read pictures, all of whose pixels are known.

        Parameters
        ----------
        coder : Coder
            What writes or reads.
        known : ndarray, (n, rows, columns[, channels]), bool
            All true.
        shift : int
            Zero.
        true : ndarray of the same shape, float64
            What is to be written; whole numbers.

        Returns
        -------
        ndarray of the same shape, int64
            The pictures.

        Raises
        ------
        ValueError
            For what it does not apply to.
        """
        if not (self.applies(known.shape, shift) and known.all()):
            raise ValueError(f"pictures of {self.context.shape} without gaps are coded here; got {known.shape}")
        count, steps = len(known), len(self.context.steps)
        given = None if true is None else true.reshape(count, steps).astype(np.int64)
        strange = _strange(coder, count, None if given is None else _is_strange(given, self.context.levels))
        found = np.zeros((count, steps), np.int64)
        for pictures, way in ((strange, self._plainly), (~strange, self._stepwise)):
            if pictures.any():
                found[pictures] = way(coder, int(pictures.sum()), None if given is None else given[pictures])
        return found.reshape(known.shape)

    def _plainly(self, coder: Coder, count: int, true: Array | None) -> Array:
        """Code pictures that have other levels than what was learned."""
        counts, before = Counts.empty(1), np.zeros(count, np.int64)
        found = []
        for number in range(len(self.context.steps)):
            difference = None if true is None else true[:, number] - before
            before = before + code_numbers(coder, np.zeros(count, np.int64), counts, difference)
            found.append(before)
        return np.stack(found, 1)

    def _stepwise(self, coder: Coder, count: int, true: Array | None) -> Array:
        levels = None if true is None else self.context.level_of(true)
        walk, spent = RasterWalk(self.context, count), np.zeros(count)
        found = np.zeros((count, len(self.context.steps)), np.int64)
        for number, step in enumerate(self.context.steps):
            lost = spent > _PATIENCE
            for pictures, way in ((lost, self._drawn), (~lost, self._learned)):
                at = np.flatnonzero(pictures)
                if len(at):
                    wanted = None if levels is None else levels[at, number]
                    found[at, number] = way(coder, walk, number, at, spent, wanted)
            walk.put(step, found[:, number])
        return self.context.level_of(found)

    def _drawn(
        self, coder: Coder, walk: RasterWalk, number: int, at: Array, spent: Array, levels: Array | None
    ) -> Array:
        even = np.ones((len(at), self.context.levels), np.float32)
        return coder.choose(even, levels)

    def _learned(
        self, coder: Coder, walk: RasterWalk, number: int, at: Array, spent: Array, levels: Array | None
    ) -> Array:
        step = self.context.steps[number]
        guessed = walk.guessed(step, at)
        symbols = None if levels is None else (levels - guessed) % self.context.levels
        active = walk.active(step)[at]
        hidden = self._hidden(walk.inputs(step, at[active]))
        chances = np.empty(len(at), np.int64)
        chances[active] = chance_of(self.some(hidden)[:, 0])
        chances[~active] = chance_of(_COARSE * self.blank[number, walk.inked()[at[~active]].astype(np.intp)])
        found = coder.decide(chances, None if symbols is None else symbols > 0).astype(np.int64)
        spent[at] += _cost(np.where(found, chances, CERTAIN - chances) / CERTAIN) - self._plain_cost
        inked = np.flatnonzero(found)
        if len(inked) and self.context.levels > 2:
            place = np.where(active, np.cumsum(active) - 1, -1)
            weights = self._weights(walk, at[inked], hidden, place[inked])
            chosen = coder.choose(weights, None if symbols is None else symbols[inked] - 1)
            spent[at[inked]] += _cost(weights[np.arange(len(inked)), chosen] / weights.sum(1))
            found[inked] += chosen
        return (found + guessed) % self.context.levels

    def _hidden(self, inputs: Array) -> Array:
        return np.clip(self.body(inputs), 0, MOST_ACTIVE)

    def _weights(self, walk: RasterWalk, pictures: Array, hidden: Array, place: Array) -> Array:
        """Return weights of levels (m, levels - 1); `place` is -1 where nothing is seen."""
        logits = np.empty((len(place), self.context.levels - 1), np.int32)
        seeing = np.flatnonzero(place >= 0)
        if len(seeing) < len(place):
            logits[place < 0] = _COARSE * self.first
        if len(seeing):
            logits[seeing] = self._logits(walk.tallies[pictures[seeing], 1:], hidden[place[seeing]])
        return weights_of(logits)

    def _logits(self, tallies: Array, hidden: Array) -> Array:
        answers, levels = self.level(hidden), self.context.levels - 1
        gates = np.zeros((len(hidden), TALLIES), np.int32)
        gates[:, 1:] = answers[:, levels:]
        cells = tallies + (np.arange(len(hidden), dtype=np.int32) * TALLIES)[:, None]
        return np.asarray(answers[:, :levels] + gates.reshape(-1).take(cells))

    @cached_property
    def _plain_cost(self) -> float:
        return float(_cost(np.array([1 / self.context.levels]))[0])

    def to_bytes(self) -> bytes:
        """Return the way, as few bytes as what was learned takes."""
        writer = BitWriter()
        _context(writer, self.context)
        _tables(writer, self.context, self.blank, self.first)
        parts = [self.body.to_bytes(), self.some.to_bytes(), self.level.to_bytes(), writer.to_bytes()]
        return b"".join(len(part).to_bytes(4, "little") + part for part in parts)

    @staticmethod
    def from_bytes(data: bytes) -> "LearnedRaster":
        """Return the way that `to_bytes` gave."""
        *nets, rest = _parts(data)
        reader = BitReader(rest)
        context = _context(reader)
        blank, first = _tables(reader, context)
        body, some, level = (IntegerNet.from_bytes(net) for net in nets)
        return LearnedRaster(context, body, some, level, blank, first)


def walked(context: RasterContext, levels: Array) -> Iterator[tuple[int, Step, RasterWalk]]:
    """Go through pictures (n, steps) of known levels: number and place of a step, and what is known before it."""
    walk = RasterWalk(context, len(levels))
    for number, step in enumerate(context.steps):
        yield number, step, walk
        walk.put(step, levels[:, number])


def _parts(data: bytes) -> list[bytes]:
    found = []
    while data:
        end = 4 + int.from_bytes(data[:4], "little")
        found.append(data[4:end])
        data = data[end:]
    return found


def _context(coder: Coder, context: RasterContext | None = None) -> RasterContext:
    """Write or read what is looked at."""

    def sent(count: int, *numbers: int) -> tuple[int, ...]:
        given = np.array(numbers, np.int64) if context else None
        return tuple(code_numbers(coder, np.zeros(count, np.int64), Counts.empty(1), given).tolist())

    known = context or RasterContext((1, 1, 1), 2)
    head = (*known.shape, known.levels, known.reflected, len(known.common), len(known.guess))
    height, width, channels, levels, reflected, commons, guesses = sent(7, *head)
    common = sent(commons, *known.common)
    before = known.guess or ((),) * guesses
    guess = tuple(sent(4 * channels + channel + 1, *before[channel]) for channel in range(guesses))
    return RasterContext((height, width, channels), levels, bool(reflected), common, guess)


def _tables(
    coder: Coder, context: RasterContext, blank: Array | None = None, first: Array | None = None
) -> list[Array]:
    """Write or read the tables: every number as the difference to the one before it."""
    found = []
    for length, table in ((2 * len(context.steps), blank), (context.levels - 1, first)):
        numbers = None if table is None else np.diff(table.T.reshape(-1), prepend=0)
        counts, parts = Counts.empty(1), []
        for begin in range(0, length, 64):
            part = np.zeros(min(64, length - begin), np.int64)
            parts.append(code_numbers(coder, part, counts, None if numbers is None else numbers[begin : begin + 64]))
        found.append(np.cumsum(np.concatenate(parts)))
    return [found[0].reshape(2, -1).T, found[1]]


def _strange(coder: Coder, count: int, true: Array | None) -> Array:
    """Write or read which pictures (n,) have levels that were never seen."""
    chance = np.full(count, CERTAIN // 1024)
    return np.asarray(coder.decide(chance, true), bool)


def _is_strange(pixels: Array, levels: int) -> Array:
    return np.asarray(((pixels < 0) | (pixels >= levels)).any(1))


def _cost(chances: Array) -> Array:
    """Return nearly -log2 of chances (n,), by operations that are the same everywhere."""
    mantissa, exponent = np.frexp(chances)
    return np.asarray(2 - 2 * mantissa - exponent)
