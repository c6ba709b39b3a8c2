"""Fields by a small network: every value from its neighbours in its slice and in the two slices before.

The first axis is time: slices are coded one after the other, each from coarse to fine. The network says by how much
the expected value differs from a linear form of the differences around, and how far the value will be from there.
"""

from dataclasses import dataclass
from itertools import pairwise
from typing import Any, ClassVar

import numpy as np
from numpy.typing import NDArray

from refold.codec._bits import BitReader, BitWriter, Coder
from refold.codec._chunks import GrowingChunks
from refold.codec._grades import GradedCounts, logistic_chances
from refold.codec._integer_net import IntegerLayer, IntegerNet, code_weights
from refold.codec._lattice_places import (
    DIFFERENCES,
    INPUTS,
    MOST_INPUT,
    Layout,
    Sight,
    Slice,
    StagePlaces,
    logarithm,
    look,
)
from refold.codec._numbers import Counts, code_numbers

Array = NDArray[Any]

_MOST = 1 << 49  # sixteen of them are added up in floats, which hold whole numbers up to 2**53

SKIP_PARTS, MOST_SKIP = 4096, 8191  # parts of a weight of the linear form, and the largest weight
PARTS = 64  # of a local scale, and of an octave: in these the network answers
_GRADES, _GRADE_PARTS, _FIRST_GRADE = 60, 16, -4.75  # four to an octave; binary logarithm of the first
_FINE_SCALES = (1.0, 1.189207115002721, 1.4142135623730951, 1.681792830507429)  # of an octave; `pow` may differ
_ANSWERS = 2
_USUAL_SCALE, _LARGEST_SCALE = 0x3B80, 0x7F000000  # 1 / 256, its upper half; of all floats that are not infinite
_MOST_BIAS = 1 << 22
_GROUPS = 3  # of sizes near: none, small, others
_FEW = 4096  # places of a slice; smaller ones are laid side by side
_LARGEST_CHUNK = 1 << 14  # numbers
_PRIOR = logistic_chances(
    [2.0**-4 * 2.0 ** ((grade - 3) // 4) * _FINE_SCALES[(grade - 3) % 4] for grade in range(_GRADES)]
)


@dataclass(frozen=True)
class LearnedLattice:
    """A network that was learned from like fields.

    Attributes
    ----------
    net : IntegerNet
        From what is seen to two answers: a correction, in parts of the local scale, and the binary logarithm of the
        scale of what is left over, relative to the local scale.
    skip : ndarray, (2, DIFFERENCES), int16
        Weights of the linear form, for places in the middle and on edges.
    """

    net: IntegerNet
    skip: Array

    limits: ClassVar[tuple[int, int]] = (-_MOST, _MOST)
    gaps: ClassVar[bool] = True

    def applies(self, shape: tuple[int, ...], shift: int) -> bool:
        """Every array can be coded so."""
        return True

    def code(self, coder: Coder, known: Array, shift: int, true: Array | None = None) -> Array:
        """Write or read a field; see the other ways."""
        known = np.asarray(known, bool)
        if not known.any():
            return np.zeros(known.shape, np.int64)
        shape = as_slices(known.shape)
        true = None if true is None else np.where(known, true, 0).reshape(shape)
        return _Pass(self, coder, known.reshape(shape), shift, true).run().reshape(known.shape)

    def expect(self, stage: StagePlaces, sight: Sight, step: int) -> tuple[Array, Array]:
        """Return what values are expected, (n,) float64 of whole numbers, and grades of how far they may be."""
        answers = self.net(sight.inputs.T)
        linear = self.skip[int(stage.turned)].astype(np.float64) @ sight.differences
        correction = answers[:, 0] * sight.scale / PARTS
        centre = sight.base + np.rint(linear / SKIP_PARTS + correction)
        spread = answers[:, 1] + logarithm(sight.scale / step).astype(np.int64) - int(_FIRST_GRADE * PARTS)
        return centre, np.clip(spread // _GRADE_PARTS, 0, _GRADES - 1)

    def to_bytes(self) -> bytes:
        """Return the network and the linear form; a number takes as many bits as its kind deserves."""
        writer = BitWriter()
        sizes = [len(layer.bias) for layer in self.net.layers[:-1]]
        _code_parts(writer, sizes, self)
        data = writer.to_bytes()
        return bytes([len(sizes), *sizes]) + len(data).to_bytes(2, "little") + data

    @staticmethod
    def from_bytes(data: bytes) -> "LearnedLattice":
        """Return what `to_bytes` gave; ValueError if there is less than one."""
        head = 1 + data[0] if data else 1
        length = int.from_bytes(data[head : head + 2], "little")
        if not length or len(data) < head + 2 + length:
            raise ValueError(f"a network of {length} bytes is expected, {len(data)} bytes are here")
        return _code_parts(BitReader(data[head + 2 : head + 2 + length]), list(data[1:head]), None)


def _code_parts(coder: Coder, hidden: list[int], way: LearnedLattice | None) -> LearnedLattice:
    """Write or read all numbers of a way; scales are floats of which the upper half is kept."""
    counts = [Counts.empty(1) for _ in range(3)]
    layers = []
    for number, (inner, outer) in enumerate(pairwise((INPUTS, *hidden, _ANSWERS))):
        layer = None if way is None else way.net.layers[number]
        weight = code_weights(coder, (inner, outer), None if layer is None else layer.weight)
        bias = _code_row(coder, counts[0], outer, None if layer is None else layer.bias)
        halves = None if layer is None else np.diff(layer.scale.view(np.int32) >> 16, prepend=_USUAL_SCALE)
        halves = _USUAL_SCALE + np.cumsum(_code_row(coder, counts[1], outer, halves))
        scale = np.clip(halves << 16, 0, _LARGEST_SCALE).astype(np.int32).view(np.float32)
        layers.append(IntegerLayer(weight, np.clip(bias, -_MOST_BIAS, _MOST_BIAS).astype(np.int32), scale))
    skip = [_code_row(coder, counts[2], DIFFERENCES, None if way is None else way.skip[kind]) for kind in range(2)]
    form = np.clip(skip, -MOST_SKIP, MOST_SKIP).astype(np.int16)
    return LearnedLattice(IntegerNet(tuple(layers), MOST_INPUT), form)


def _code_row(coder: Coder, counts: Counts, size: int, row: Array | None) -> Array:
    numbers = None if row is None else row.astype(np.int64)
    return code_numbers(coder, np.zeros(size, np.int64), counts, numbers)


def shortened(net: IntegerNet) -> IntegerNet:
    """Return a network whose scales are floats of which only the upper half is used, as `to_bytes` keeps them."""
    layers = [
        IntegerLayer(
            layer.weight,
            layer.bias,
            ((layer.scale.view(np.int32) + (1 << 15)) >> 16 << 16).astype(np.int32).view(np.float32),
        )
        for layer in net.layers
    ]
    return IntegerNet(tuple(layers), net.most)


def as_slices(shape: tuple[int, ...]) -> tuple[int, int, int]:
    """Return a field's shape as slices of rows: the last two axes, or all after the first if these are few."""
    if len(shape) < 3:
        return (1, *(1,) * (2 - len(shape)), *shape)  # type: ignore[return-value]
    count, height, width = int(np.prod(shape[:-2])), shape[-2], shape[-1]
    return (count, height, width) if height * width >= _FEW else (1, count, height * width)


class _Pass:
    """One field on its way through the coder."""

    def __init__(self, way: LearnedLattice, coder: Coder, known: Array, shift: int, true: Array | None) -> None:
        self.way, self.coder, self.known, self.true = way, coder, known, true
        self.step = 1 << shift
        self.counts, self.first = GradedCounts(_GROUPS, _PRIOR), Counts.empty(1)
        self.layout = Layout(known[0])
        self.chunks = GrowingChunks(_LARGEST_CHUNK)

    def run(self) -> Array:
        """Return the field."""
        found = np.zeros(self.known.shape, np.int64)
        before: tuple[Slice | None, Slice | None] = (None, None)
        for number, known in enumerate(self.known):
            if not np.array_equal(known, self.layout.known):
                self.layout = Layout(known)
            now = Slice.empty(self.layout)
            self._slice(now, before, None if self.true is None else self.true[number].reshape(-1))
            found[number] = now.values
            before = (now, before[0])
        return found

    def _slice(self, now: Slice, before: tuple[Slice | None, Slice | None], true: Array | None) -> None:
        known = now.layout.known.reshape(-1)
        if not known.any():
            return
        values, sizes = now.values.reshape(-1), now.sizes.reshape(-1)
        start, past = int(known.argmax()), before[0]
        now.expected = float(past.values.reshape(-1)[start]) if past is not None else 0.0
        if start == 0 or past is None or not past.layout.known.reshape(-1)[start]:
            self._first(now, start, true)
        for stage in now.layout.stages:
            sights = look(stage, now, before, self.step)
            parts = [(sight.active, *self.way.expect(stage, sight, self.step)) for sight in sights]
            active, centre, grades = (np.concatenate(column) for column in zip(*parts, strict=True))
            numbers = None if true is None else np.rint((true[stage.flat] - centre) / self.step).astype(np.int64)
            found = self._numbers(grades, active, numbers)
            values[stage.flat] = centre + found * float(self.step)
            sizes[stage.flat] = np.minimum(np.abs(found), 1 << 10)

    def _first(self, now: Slice, start: int, true: Array | None) -> None:
        """Code the first known value of a slice; where nothing is known, all others are expected there."""
        difference = None if true is None else np.rint((true[start : start + 1] - now.expected) / self.step)
        number = None if difference is None else difference.astype(np.int64)
        now.expected += float(code_numbers(self.coder, np.zeros(1, np.int64), self.first, number)[0]) * self.step
        if start == 0:
            now.values[0, 0] = now.expected

    def _numbers(self, grades: Array, active: Array, numbers: Array | None) -> Array:
        groups = np.minimum(active, _GROUPS - 1).astype(np.int64)
        contexts = groups * _GRADES + grades
        found = [
            code_numbers(self.coder, contexts[chunk], self.counts, None if numbers is None else numbers[chunk])  # type: ignore[arg-type]
            for chunk in self.chunks.of(len(contexts))
        ]
        return np.concatenate(found)
