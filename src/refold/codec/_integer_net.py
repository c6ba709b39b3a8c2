"""A network that gives the same numbers on every machine: whole numbers, held in floats that hold them exactly.

Weights are whole numbers of -127 to 127, what flows between layers whole numbers of 0 to 255. A matrix product in
float32 is exact while every partial sum stays below 2**24, whatever the order of its terms, and one product of two
floats and rounding are the same everywhere: the network gives the same bits with every library, thread count, batch
size and instruction set.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Any

import numpy as np
from numpy.typing import NDArray

from refold.codec._bits import BitReader, BitWriter, Coder
from refold.codec._numbers import Counts, code_numbers

Array = NDArray[Any]

_MOST_WEIGHT, MOST_ACTIVE = 127, 255
_EXACT = 1 << 24
_MOST_ANSWER = 1 << 30  # beyond what int32 holds, processors differ
_DIGITS = 12  # binary ones, of a scale
_AT_ONCE = 16_384  # rows: what fits into the processor's cache


@dataclass(frozen=True)
class IntegerLayer:
    """``round((inputs @ weight + bias) * scale)``; weight (k, m) int8, bias (m,) int32, scale (m,) float32."""

    weight: Array
    bias: Array
    scale: Array


@dataclass(frozen=True)
class IntegerNet:
    """Layers; after each but the last, numbers are clipped to 0..255. Inputs are whole numbers of -`most` to `most`.

    Raises
    ------
    ValueError
        If a partial sum could leave what float32 holds exactly.
    """

    layers: tuple[IntegerLayer, ...]
    most: int = MOST_ACTIVE

    def __post_init__(self) -> None:
        for most, layer in zip((self.most, *(MOST_ACTIVE,) * len(self.layers)), self.layers, strict=False):
            reach = np.abs(layer.weight.astype(np.int64)).sum(0) * most + np.abs(layer.bias.astype(np.int64))
            if reach.max(initial=0) >= _EXACT:
                raise ValueError(f"a sum may reach {reach.max()}; only those below {_EXACT} are exact")
        object.__setattr__(self, "_ready", tuple(_ready(layer) for layer in self.layers))

    def __call__(self, inputs: Array) -> Array:
        """Return what the last layer says, (n, m) int32, of inputs (n, k)."""
        if not len(inputs):
            return np.zeros((0, len(self.layers[-1].bias)), np.int32)
        starts = range(0, len(inputs), _AT_ONCE)
        return np.concatenate([self._answer(inputs[start : start + _AT_ONCE]) for start in starts])

    def _answer(self, inputs: Array) -> Array:
        flowing = inputs.astype(np.float32)
        *hidden, last = self._ready  # type: ignore[attr-defined]
        for weight, bias, scale in hidden:
            flowing = np.rint(_summed(flowing, weight, bias) * scale)
            np.clip(flowing, 0, MOST_ACTIVE, out=flowing)
        weight, bias, scale = last
        answers = np.clip(np.rint(_summed(flowing, weight, bias) * scale), -_MOST_ANSWER, _MOST_ANSWER)
        return np.asarray(answers, np.int32)

    def to_bytes(self) -> bytes:
        """Return the network; weights take as many bits as their spread deserves."""
        sizes = (len(self.layers[0].weight), *(len(layer.bias) for layer in self.layers))
        head = np.array([self.most, *sizes], "<i4")
        writer = BitWriter()
        for layer in self.layers:
            _code_layer(writer, layer.weight.shape, layer)
        return len(head).to_bytes(2, "little") + head.tobytes() + writer.to_bytes()

    @staticmethod
    def from_bytes(data: bytes) -> "IntegerNet":
        """Return the network that `to_bytes` gave; ValueError if there is less than one."""
        end = 2 + 4 * int.from_bytes(data[:2], "little")
        most, *sizes = np.frombuffer(data[2:end], "<i4").tolist()
        reader = BitReader(data[end:])
        return IntegerNet(tuple(_code_layer(reader, shape) for shape in pairwise(sizes)), most)


def _code_layer(coder: Coder, shape: tuple[int, ...], layer: IntegerLayer | None = None) -> IntegerLayer:
    """Write or read a layer; scales as mantissas of 24 bits and exponents."""
    mantissa, exponent = (None, None) if layer is None else np.frexp(layer.scale)
    whole = None if mantissa is None else np.ldexp(mantissa, 24).astype(np.int64)
    bias = _code_even(coder, shape[1], None if layer is None else layer.bias.astype(np.int64))
    digits, power = _code_even(coder, shape[1], whole), _code_even(coder, shape[1], exponent) - 24
    scale = np.ldexp(digits.astype(np.float32), power.astype(np.int32))  # not all platforms take int64 here
    weight = code_weights(coder, shape, None if layer is None else layer.weight)
    return IntegerLayer(weight, bias.astype(np.int32), scale.astype(np.float32))


def _code_even(coder: Coder, count: int, numbers: Array | None = None) -> Array:
    """Write or read whole numbers (n,) that are alike in size, all with as many bits as their range needs."""
    told = None
    if numbers is not None:
        above = numbers.astype(np.int64) - numbers.min(initial=0)
        joined = int(np.bitwise_or.reduce(above))
        zeros = (joined & -joined).bit_length() - 1 if joined else 0
        told = np.array([numbers.min(initial=0), zeros, joined.bit_length() - zeros])
    least, zeros, width = code_numbers(coder, np.zeros(3, np.int64), Counts.empty(1), told).tolist()
    drawn = coder.draw(count, width, None if numbers is None else above >> zeros)
    return np.asarray((drawn << zeros) + least)


def code_weights(coder: Coder, shape: tuple[int, ...], weight: Array | None = None) -> Array:
    """Write or read an array of int8, row by row, each row with what was counted in those before."""
    counts, rows = Counts.empty(1), shape[0]
    flat = None if weight is None else weight.reshape(rows, -1)
    context = np.zeros(int(np.prod(shape[1:])), np.int64)
    found = [code_numbers(coder, context, counts, None if flat is None else flat[row]) for row in range(rows)]
    return np.asarray(np.clip(np.reshape(found, shape), -_MOST_WEIGHT, _MOST_WEIGHT), np.int8)


def integer_net(
    weights: Sequence[Array],
    biases: Sequence[Array],
    inputs: Array,
    unit: float,
    *,
    bits: int = 8,
    most: int = MOST_ACTIVE,
) -> IntegerNet:
    """Return the network of whole numbers that does nearly what one of floats does.

    Parameters
    ----------
    weights, biases : sequence of ndarray, (k, m) and (m,), float
        Of a network with rectified linear units between its layers, for inputs of whole numbers.
    inputs : ndarray, (n, k)
        Whole numbers as they will come; what flows between layers is scaled so that these fit.
    unit : float
        What a step of the answers stands for; the network of floats answers ``unit`` times as much.
    bits : int
        Of a weight, 8 at most.
    most : int
        The largest input there may be, whatever its sign.
    """
    flowing, step, layers = inputs.astype(np.float64), 1.0, []
    limit, reach = (1 << (bits - 1)) - 1, most
    for number, (weight, bias) in enumerate(zip(weights, biases, strict=True)):
        last = number == len(weights) - 1
        exact = flowing @ weight * step + bias
        outgoing = unit if last else max(float(np.quantile(exact.max(1), 0.9999)), 1e-6) / MOST_ACTIVE
        layer = _rounded(weight, bias / step, limit, reach, step / outgoing)
        layers.append(layer)
        flowing = np.clip(np.rint((flowing @ layer.weight + layer.bias) * layer.scale), 0, MOST_ACTIVE)
        step, reach = outgoing, MOST_ACTIVE
    return IntegerNet(tuple(layers), most)


def _rounded(weight: Array, bias: Array, limit: int, most: int, ratio: float) -> IntegerLayer:
    """Return whole weights: every column as fine as `limit` and exact sums allow."""
    largest = np.maximum(np.abs(weight).max(0), 1e-12)
    reach = np.abs(weight).sum(0) * most + np.abs(bias) + 0.5 * len(weight) * most * largest / limit
    fine = np.minimum(limit / largest, 0.99 * _EXACT / np.maximum(reach, 1e-12))
    whole = np.rint(weight * fine)
    return IntegerLayer(
        whole.astype(np.int8), np.rint(bias * fine).astype(np.int32), _short(ratio / fine).astype(np.float32)
    )


def _short(numbers: Array) -> Array:
    """Return numbers with few digits, which take fewer bytes."""
    mantissa, exponent = np.frexp(numbers)
    return np.asarray(np.ldexp(np.rint(np.ldexp(mantissa, _DIGITS)), exponent - _DIGITS))


def _ready(layer: IntegerLayer) -> tuple[Array, Array, Array]:
    return layer.weight.astype(np.float32), layer.bias.astype(np.float32), layer.scale.astype(np.float32)


def _summed(inputs: Array, weight: Array, bias: Array) -> Array:
    summed: Array = inputs @ weight
    summed += bias
    return summed
