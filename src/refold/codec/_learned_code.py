"""Records as a few whole numbers that an encoder finds, a network foretells and another turns into records again."""

import struct
from dataclasses import dataclass, replace
from itertools import pairwise
from math import prod
from typing import Any

import numpy as np
from numpy.typing import NDArray

from refold.codec._bits import Coder
from refold.codec._integer_net import IntegerNet
from refold.codec._logistic import logistic_bits, logistic_weights

Array = NDArray[Any]

_AT_ONCE = 8_192  # records: what the processor's memory likes
_SWEEPS = 3  # the last ones of few records
_FRESH = 8  # numbers of a code, until slopes are computed again
_SURE = 0.25  # of the bend of a typical code: bends differ
_TYPICAL = 128  # records
_WIDEST, _HALVINGS = 8.0, 9  # the trade is tuned by up to 2**8, in so many halvings
_HEAD = struct.Struct("<8sBBHIIdddII")


@dataclass(frozen=True)
class Encoder:
    """A network of floats from records to numbers near their codes.

    What it says may differ between machines: its codes are what is kept.
    """

    weights: tuple[Array, ...]
    biases: tuple[Array, ...]

    def __call__(self, records: Array) -> Array:
        """Return the numbers (n, k) of records (n, d)."""
        flowing = records.astype(np.float32)
        for number, (weight, bias) in enumerate(zip(self.weights, self.biases, strict=True)):
            flowing = flowing @ weight + bias
            if number < len(self.weights) - 1:
                np.maximum(flowing, 0, out=flowing)
        return flowing

    def to_bytes(self) -> bytes:
        """Return the network in float32."""
        sizes = (len(self.weights[0]), *(len(bias) for bias in self.biases))
        layers = zip(self.weights, self.biases, strict=True)
        data = b"".join(weight.astype("<f4").tobytes() + bias.astype("<f4").tobytes() for weight, bias in layers)
        return struct.pack(f"<H{len(sizes)}I", len(sizes), *sizes) + data

    @staticmethod
    def from_bytes(data: bytes) -> "Encoder":
        """Return the network that `to_bytes` gave."""
        (count,) = struct.unpack_from("<H", data)
        sizes = struct.unpack_from(f"<{count}I", data, 2)
        start, weights, biases = 2 + 4 * count, [], []
        for inner, outer in pairwise(sizes):
            weights.append(np.frombuffer(data, "<f4", inner * outer, start).reshape(inner, outer))
            start += 4 * inner * outer
            biases.append(np.frombuffer(data, "<f4", outer, start))
            start += 4 * outer
        return Encoder(tuple(weights), tuple(biases))


@dataclass(frozen=True)
class LearnedCode:
    """A code of whole numbers for records of one shape.

    Decoding is done in whole numbers: a code gives the same record on every machine.

    Parameters
    ----------
    shape : tuple of int
        Of a record.
    dtype : str
        Of the records that come back.
    least, most : ndarray, (k,) int64
        The numbers of a code lie between them; 256 different ones at most.
    decoder : IntegerNet
        From codes (n, k) to records (n, d) in whole levels.
    chances : tuple of IntegerNet
        One for every number of a code: from the numbers before it (the first gets a zero) to logistic distributions.
    offset, scale : float
        A value is ``offset + scale * level``.
    levels : int
        Values have the levels 0 to `levels`.
    trade : float
        Squared error, in levels, that saving a bit may cost.
    encoder : Encoder, optional
        Needed to encode; a file that is only decoded does without.
    """

    shape: tuple[int, ...]
    dtype: str
    least: Array
    most: Array
    decoder: IntegerNet
    chances: tuple[IntegerNet, ...]
    offset: float
    scale: float
    levels: int
    trade: float
    encoder: Encoder | None = None

    def encode(self, records: Array) -> Array:
        """Return the codes (n, k) int64 of records (n, *shape).

        They are better ones near those that the encoder finds: they cost less by their errors and bits.
        """
        if self.encoder is None:
            raise ValueError("this code has no encoder: it was kept to decode only")
        flat = records.reshape(len(records), prod(self.shape))
        parts = [flat[start : start + _AT_ONCE] for start in range(0, len(flat), _AT_ONCE)]
        codes = [self._searched(part, self.trade) for part in parts]
        return np.concatenate(codes) if codes else np.zeros((0, len(self.least)), np.int64)

    def tuned(
        self, records: Array, *, bytes_per_sample: float | None = None, squared_error: float | None = None
    ) -> "LearnedCode":
        """Return this code with the trade of errors for bits that just meets what is asked for on some records.

        Parameters
        ----------
        records : ndarray, (n, *shape)
        bytes_per_sample : float, optional
            What a record may cost on average.
        squared_error : float, optional
            Mean squared error of a value that is allowed. One of the two must be given.

        If it cannot be met, the code comes as near as it can.
        """

        def too_dear(code: LearnedCode) -> bool:
            codes = code.encode(records)
            if bytes_per_sample is not None:
                return float(code.bits(codes).mean()) / 8 > bytes_per_sample
            assert squared_error is not None
            wrong = code.decode(codes).astype(np.float64) - records
            return float(np.square(wrong).mean()) < squared_error

        low, high = -_WIDEST, _WIDEST
        for _ in range(_HALVINGS):
            middle = (low + high) / 2
            dear = too_dear(replace(self, trade=self.trade * 2.0**middle))
            low, high = (middle, high) if dear else (low, middle)
        return replace(self, trade=self.trade * 2.0 ** (high if bytes_per_sample is not None else low))

    def _searched(self, flat: Array, trade: float) -> Array:
        """Walk from the encoder's codes to better ones, one number by one step at a time."""
        assert self.encoder is not None
        codes = np.clip(np.rint(self.encoder(flat)), self.least, self.most).astype(np.int64)
        aim = ((flat.astype(np.float64) - self.offset) / self.scale).astype(np.float32)
        moving = np.arange(len(codes))
        for _ in range(_SWEEPS):
            found = self._swept(codes[moving], aim[moving], trade)
            moved = (found != codes[moving]).any(1)
            codes[moving] = found
            moving = moving[moved]
        return codes

    def _swept(self, codes: Array, aim: Array, trade: float) -> Array:
        """Return codes (n, k) in which steps of every number were tried, one number after the other.

        Only steps that promise to pay are tried: by what they save in bits, by the slope of the squared error, and by
        part of its bend.
        """
        wrong, spent, bends = self._wrong(codes, aim), self._spent(codes, 0), self._bends(codes, aim)
        slopes = np.zeros(codes.shape)
        for place, (least, most) in enumerate(zip(self.least, self.most, strict=True)):
            if place % _FRESH == 0:
                slopes = self._slopes(codes, aim)
            before = codes[:, place].copy()
            for step in (-1, 1):
                rows = np.flatnonzero((before + step >= least) & (before + step <= most))
                tried = codes[rows]
                tried[:, place] = before[rows] + step
                now_spent = self._spent(tried, place)
                saved = trade * (spent[rows, place:] - now_spent).sum(1)
                promising = np.flatnonzero(saved > step * slopes[rows, place] + _SURE * bends[place])
                rows, tried, now_spent, saved = (
                    rows[promising],
                    tried[promising],
                    now_spent[promising],
                    saved[promising],
                )
                now_wrong = self._wrong(tried, aim[rows])
                better = saved + wrong[rows] - now_wrong > 0
                rows = rows[better]
                codes[rows], wrong[rows], spent[rows, place:] = tried[better], now_wrong[better], now_spent[better]
        return codes

    def _bends(self, codes: Array, aim: Array) -> Array:
        """Return half the second difference (k,) of the squared error by every number, typically."""
        codes, aim = codes[:_TYPICAL], aim[:_TYPICAL]
        here = self._wrong(codes, aim)
        bends = np.zeros(codes.shape[1])
        if len(codes):
            for place, step in enumerate(np.eye(codes.shape[1], dtype=np.int64)):
                around = self._wrong(codes + step, aim) + self._wrong(codes - step, aim)
                bends[place] = max(float(np.median(around / 2 - here)), 0.0)
        return bends

    def _slopes(self, codes: Array, aim: Array) -> Array:
        """Return the slopes (n, k) of the squared error by the numbers of codes."""
        flowing, open_units = codes.astype(np.float32), []
        for layer in self.decoder.layers[:-1]:
            flowing = np.clip(np.rint((flowing @ layer.weight.astype(np.float32) + layer.bias) * layer.scale), 0, 255)
            flowing = flowing.astype(np.float32)
            open_units.append((flowing > 0) & (flowing < 255))
        pulled = 2 * (self._levels(codes).astype(np.float32) - aim)
        for layer in self.decoder.layers[::-1]:
            pulled = (pulled * layer.scale) @ layer.weight.T.astype(np.float32)
            if open_units:
                pulled = pulled * open_units.pop()
        return np.asarray(pulled)

    def _wrong(self, codes: Array, aim: Array) -> Array:
        """Return the squared errors (n,) in levels."""
        wrong = self._levels(codes).astype(np.float32) - aim
        return np.asarray(np.einsum("nd,nd->n", wrong, wrong).astype(np.float64))

    def bits(self, codes: Array) -> Array:
        """Return what codes (n, k) cost, (n,) in bits."""
        return np.asarray(self._spent(codes, 0).sum(1))

    def _spent(self, codes: Array, first: int) -> Array:
        """Return what every number of codes (n, k) costs in bits, from the one at place `first`."""
        columns = [self._bits(codes, place) for place in range(first, len(self.least))]
        return np.stack(columns, axis=1) if columns else np.zeros((len(codes), 0))

    def _bits(self, codes: Array, place: int) -> Array:
        least, most = int(self.least[place]), int(self.most[place])
        return logistic_bits(self._answers(codes, place), codes[:, place], least, most)

    def _answers(self, codes: Array, place: int) -> Array:
        return self.chances[place](codes[:, :place] if place else np.zeros((len(codes), 1), np.int64))

    def _weights(self, codes: Array, place: int) -> Array:
        return logistic_weights(self._answers(codes, place), int(self.least[place]), int(self.most[place]))

    def code(self, coder: Coder, count: int, codes: Array | None = None) -> Array:
        """Write or read `count` codes, (count, k) int64."""
        found = np.zeros((count, len(self.least)), np.int64)
        for start in range(0, count, _AT_ONCE):
            part = found[start : start + _AT_ONCE]
            for place, least in enumerate(self.least):
                true = None if codes is None else codes[start : start + _AT_ONCE, place] - least
                part[:, place] = least + coder.choose(self._weights(part, place), true)
        return found

    def decode(self, codes: Array) -> Array:
        """Return the records (n, *shape) of codes (n, k)."""
        values = self.offset + self.scale * self._levels(codes).astype(np.float64)
        return values.astype(self.dtype).reshape(len(codes), *self.shape)

    def _levels(self, codes: Array) -> Array:
        return np.clip(self.decoder(codes), 0, self.levels)

    def without_encoder(self) -> "LearnedCode":
        """Return what decoding takes."""
        return replace(self, encoder=None)

    def to_bytes(self) -> bytes:
        """Return the code; the encoder is most of it where there is one."""
        nets = [self.decoder.to_bytes(), *(net.to_bytes() for net in self.chances)]
        nets += [self.encoder.to_bytes()] if self.encoder else []
        head = _HEAD.pack(
            self.dtype.encode(),
            len(self.shape),
            self.encoder is not None,
            len(self.least),
            self.levels,
            0,
            self.offset,
            self.scale,
            self.trade,
            0,
            0,
        )
        ends = np.concatenate([self.least, self.most]).astype("<i4").tobytes()
        sized = b"".join(struct.pack("<I", len(net)) + net for net in nets)
        return head + struct.pack(f"<{len(self.shape)}I", *self.shape) + ends + sized

    @staticmethod
    def from_bytes(data: bytes) -> "LearnedCode":
        """Return the code that `to_bytes` gave."""
        dtype, axes, has_encoder, size, levels, _, offset, scale, trade, _, _ = _HEAD.unpack_from(data)
        at = _HEAD.size
        shape = struct.unpack_from(f"<{axes}I", data, at)
        at += 4 * axes
        ends = np.frombuffer(data, "<i4", 2 * size, at).astype(np.int64)
        at += 8 * size
        nets = []
        while at < len(data):
            (length,) = struct.unpack_from("<I", data, at)
            nets.append(data[at + 4 : at + 4 + length])
            at += 4 + length
        decoder, *chances = (IntegerNet.from_bytes(net) for net in nets[: 1 + size])
        encoder = Encoder.from_bytes(nets[1 + size]) if has_encoder else None
        return LearnedCode(
            shape,
            dtype.rstrip(b"\0").decode(),
            ends[:size],
            ends[size:],
            decoder,
            tuple(chances),
            offset,
            scale,
            levels,
            trade,
            encoder,
        )
