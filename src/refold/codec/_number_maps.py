"""Numbers of every dtype as whole numbers and back, bit for bit; few digits make small whole numbers.

What was typed, measured or scaled has few digits although its bits look random: 0.469770005467 is
469770005467 / 10**12 in float64. The way back from such a whole number is one division, which IEEE rounds the same
everywhere.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from refold.codec._bits import BitReader, BitWriter, Coder
from refold.codec._numbers import MOST, Counts, code_numbers

Array = NDArray[Any]

_WHOLE, _SCALED, _DIGITS, _ORDERED, _LISTED = range(5)
_DTYPES = ("?", "b", "B", "<i2", "<u2", "<i4", "<u4", "<i8", "<u8", "<f2", "<f4", "<f8")
_POWERS = 22  # 10**22 is the largest power of ten that float64 holds
_TENS = np.array([float(10**power) for power in range(_POWERS + 1)])  # exact, as not every `pow` is
_DECIMALS = 18  # what 64 bits hold
_LOOKED_AT = 4096  # numbers that all guesses are tried on
_RARE = 0.01  # share of numbers that a guess may miss
_LIST = 4096  # numbers missed, or of a list
_WIDEST = 1024  # columns with maps of their own
_SIGN = np.int64(-(1 << 63))
_HALF = 1 << 32


@dataclass(frozen=True)
class _Part:
    """Numbers of a kind: `first` and `second` say which; `others` (k,) are orders of values that do not fit."""

    kind: int
    first: int
    second: int
    top: int
    others: tuple[int, ...] = ()

    def to_numbers(self, values: Array) -> tuple[Array, Array]:
        """Return numbers (n,) of values (n,), and which are right."""
        with np.errstate(all="ignore"):
            numbers = _WAYS[self.kind][0](self, values)
            fits = (np.abs(numbers) <= self.top) & (_order(self._back(numbers, values.dtype)) == _order(values))
        if self.others and not fits.all():
            others, missed = np.array(self.others, np.int64), np.flatnonzero(~fits)
            orders = _order(values[missed])
            places = np.minimum(np.searchsorted(others, orders), len(others) - 1)
            numbers[missed] = self.top + 1 + places
            fits[missed] = others[places] == orders
        return numbers, fits

    def to_values(self, numbers: Array, dtype: np.dtype[Any]) -> Array:
        """Return the values of numbers (n,)."""
        values = self._back(numbers, dtype)
        listed = np.flatnonzero(numbers > self.top)
        if len(listed) and self.others:
            places = np.minimum(numbers[listed] - self.top - 1, len(self.others) - 1)
            values[listed] = _value(np.array(self.others, np.int64)[places], dtype)
        return values

    def _back(self, numbers: Array, dtype: np.dtype[Any]) -> Array:
        with np.errstate(all="ignore"):
            return np.asarray(_WAYS[self.kind][1](self, numbers, dtype))


@dataclass(frozen=True)
class NumberMap:
    """Values of one dtype as whole numbers within +-`MOST`, and back bit for bit.

    `parts`: one for all values, or one for each column of tables.
    """

    dtype: np.dtype[Any]
    parts: tuple[_Part, ...]

    def to_numbers(self, values: Array) -> Array:
        """Return int64 numbers of values (any shape; the map's columns, if it has some).

        Raises
        ------
        ValueError
            If there are values that the map does not know.
        """
        values = np.ascontiguousarray(values, self.dtype)
        numbers = np.empty(values.shape, np.int64)
        for part, at in self._parts(values.shape):
            found, fits = part.to_numbers(values[at].reshape(-1))
            if not fits.all():
                missed = values[at].reshape(-1)[~fits]
                raise ValueError(
                    f"{len(missed)} values are none of this map, such as {missed[0]!r}; make another map"
                )
            numbers[at] = found.reshape(values[at].shape)
        return numbers

    def to_values(self, numbers: Array) -> Array:
        """Return the values of numbers."""
        values = np.empty(numbers.shape, self.dtype)
        for part, at in self._parts(numbers.shape):
            taken = np.ascontiguousarray(numbers[at], np.int64)
            values[at] = part.to_values(taken.reshape(-1), self.dtype).reshape(taken.shape)
        return values

    def _parts(self, shape: tuple[int, ...]) -> list[tuple[_Part, Any]]:
        if len(self.parts) == 1:
            return [(self.parts[0], ...)]
        if len(shape) != 2 or shape[1] != len(self.parts):
            raise ValueError(f"this map is for tables of {len(self.parts)} columns; the shape was {shape}")
        return [(part, (slice(None), column)) for column, part in enumerate(self.parts)]

    def to_bytes(self) -> bytes:
        """Return the map."""
        writer = BitWriter()
        _code_parts(writer, self.parts)
        head = bytes([_DTYPES.index(_name(self.dtype))]) + len(self.parts).to_bytes(2, "little")
        return head + writer.to_bytes()

    @staticmethod
    def from_bytes(data: bytes) -> "NumberMap":
        """Return the map that `to_bytes` gave."""
        count = int.from_bytes(data[1:3], "little")
        return NumberMap(np.dtype(_DTYPES[data[0]]), _code_parts(BitReader(data[3:]), (None,) * count))


def number_map(values: Array) -> NumberMap | None:
    """Return the map to small whole numbers that suits values; None if there is none within +-`MOST`.

    Parameters
    ----------
    values : ndarray
        Booleans, whole numbers or floats of any dtype up to 64 bits, NaN and infinities among them. A table (2-D) may
        get a map for each of its columns.

    Examples
    --------
    >>> import numpy as np
    >>> from refold.codec import number_map
    >>> number_map(np.array([0.25, 12.5])).to_numbers(np.array([0.5, -1.25])).tolist()
    [2, -5]
    """
    values = np.asarray(values)
    values = values.astype(values.dtype.newbyteorder("<"), copy=False)
    if _name(values.dtype) not in _DTYPES:
        raise ValueError(
            f"numbers were of dtype {values.dtype}; allowed are booleans, whole numbers and floats of up to 64 bits"
        )
    whole = _best_part(values.reshape(-1))
    if values.ndim == 2 and 1 < values.shape[1] <= _WIDEST and values.dtype.kind == "f":
        parts = [_best_part(np.ascontiguousarray(column)) for column in values.T]
        fit = [part for part in parts if part is not None]
        if len(fit) == len(parts) and (whole is None or _pays(whole, fit, values)):
            return NumberMap(values.dtype, tuple(fit))
    return None if whole is None else NumberMap(values.dtype, (whole,))


def _pays(whole: _Part, parts: list[_Part], values: Array) -> bool:
    """Return whether maps of columns save more than they cost."""
    if all(part == whole for part in parts):
        return False
    cost = sum(_cost(whole, column) * len(column) for column in values.T)
    own = sum(
        _cost(part, column) * len(column) + 16 + 48 * len(part.others)
        for part, column in zip(parts, values.T, strict=True)
    )
    return own < 0.98 * cost


def _cost(part: _Part, values: Array) -> float:
    """Return about how many bits a number takes."""
    numbers = part.to_numbers(np.ascontiguousarray(values))[0]
    numbers = numbers[:: -(-len(numbers) // _LOOKED_AT) or 1].astype(float)
    return float(np.log2(1 + np.abs(numbers - np.median(numbers))).mean()) if len(numbers) else 0.0


def _best_part(values: Array) -> _Part | None:
    """Return the part that gives the smallest numbers."""
    if values.dtype.kind != "f":
        return _whole_part(values)
    sample = values[:: -(-len(values) // _LOOKED_AT) or 1]
    best, least = None, np.inf
    for guess in _guesses(sample, values):
        fits = guess.to_numbers(sample)[1]
        if fits.mean() < 1 - 2 * _RARE if len(fits) else False:
            continue
        part = _with_others(guess, values)
        if part is not None:
            cost = _cost(part, values) + 64 * len(part.others) / max(len(values), 1)
            if cost < least - 0.25:
                best, least = part, cost
    return best


def _guesses(sample: Array, values: Array) -> list[_Part]:
    """Return parts that may do, the simplest first; `top` is not yet what it will be."""
    top, guesses = MOST - 2 * _LIST, []
    finite = np.unique(np.abs(sample[np.isfinite(sample)].astype(np.float64)))
    finite = finite[finite > 0]
    if len(finite):
        guesses = [_Part(_SCALED, 10**power, 0, top) for power in _worth(range(_DECIMALS + 1), sample, _SCALED)]
        guesses += [_Part(_SCALED, divisor, 0, top) for divisor in _divisors(finite)]
        digits = _worth(range(2, 17), sample, _DIGITS)
        guesses += [_Part(_DIGITS, count, int(np.floor(np.log10(finite[0]))) - 1, top) for count in digits]
    orders = np.unique(_order(values))
    sizes = np.where(orders < 0, -1 - orders, orders)
    sizes = sizes[(sizes > 0)]
    low = int(sizes.min(initial=int(MOST) * 2 + 1)) if len(sizes) else 0
    drop = _trailing(sizes - low) if len(sizes) else 0
    guesses.append(_Part(_ORDERED, low, drop, top))
    if 1 < len(orders) <= min(_LIST, len(values) // 8):
        guesses.append(_Part(_LISTED, 0, 0, -1, tuple(orders.tolist())))
    return guesses


def _worth(counts: range, sample: Array, kind: int) -> list[int]:
    """Return the smallest count of digits that suits nearly all of a sample, and the smallest that suits all."""
    shares = []
    for count in counts:
        first = 10**count if kind == _SCALED else count
        low = -400 if kind == _SCALED else _lowest(sample)
        shares.append(float(_Part(kind, first, low, MOST - 2 * _LIST).to_numbers(sample)[1].mean()))
    good = [count for count, share in zip(counts, shares, strict=True) if share > 1 - 2 * _RARE]
    full = [
        count for count, share in zip(counts, shares, strict=True) if share == max(shares) and share > 1 - 2 * _RARE
    ]
    return sorted({*good[:1], *full[:1]})


def _lowest(sample: Array) -> int:
    finite = np.abs(sample[np.isfinite(sample) & (sample != 0)].astype(np.float64))
    return int(np.floor(np.log10(finite.min()))) - 1 if len(finite) else 0


def _divisors(finite: Array) -> list[int]:
    """Return what values may have been divided by: powers of two, what pictures have, one over their smallest gap."""
    gaps = np.diff(np.concatenate([[0.0], finite]))
    near = np.rint(1 / max(float(gaps[gaps > finite[-1] * 1e-9].min(initial=np.inf)), 1e-12))
    found = [1 << bits for bits in (1, 2, 3, 4, 6, 8, 10, 12, 16, 20, 24, 30)] + [255, 65535]
    return found + ([int(near)] if 2 < near < 1 << 40 and int(near) not in found else [])


def _with_others(guess: _Part, values: Array) -> _Part | None:
    """Return a guess with the numbers that it misses; None if these are too many."""
    if guess.kind == _LISTED:
        return guess
    numbers, fits = guess.to_numbers(values)
    others = np.unique(_order(values[~fits]))
    if len(others) > min(_LIST, _RARE * len(values) + 4) or (~fits).sum() > 2 * _RARE * len(values) + 4:
        return None
    top = int(np.abs(numbers[fits]).max(initial=0))
    return _Part(guess.kind, guess.first, guess.second, min(2 * top + 1, guess.top), tuple(others.tolist()))


def _whole_part(values: Array) -> _Part | None:
    orders = _order(values)
    if not len(orders):
        return _Part(_WHOLE, 0, 1, MOST)
    low, high = int(orders.min()), int(orders.max())
    home = int(_SIGN) if values.dtype.str.endswith("u8") else 0
    offset = home if low - home >= -MOST and high - home <= MOST else (low + high) // 2
    if high - low >= 2 * MOST:
        return None
    step = int(np.gcd.reduce(np.abs(orders - offset))) if offset == home else 1
    return _Part(_WHOLE, offset, max(step, 1), MOST)


def _trailing(sizes: Array) -> int:
    """Return how many low bits are 0 in all of sizes (n,)."""
    together = int(np.bitwise_or.reduce(sizes)) if len(sizes) else 0
    return (together & -together).bit_length() - 1 if together else 0


def _order(values: Array) -> Array:
    """Return int64 that are in the order of the values and tell them apart, bit by bit."""
    if values.dtype.kind == "b":
        return values.astype(np.int64)
    if values.dtype.kind in "iu":
        return (
            (values ^ np.uint64(1 << 63)).view(np.int64)
            if values.dtype.itemsize == 8 and values.dtype.kind == "u"
            else values.astype(np.int64)
        )
    size = values.dtype.itemsize
    bits = np.ascontiguousarray(values).view(f"<i{size}").astype(np.int64)
    return np.where(bits < 0, -1 - (bits & ((1 << (8 * size - 1)) - 1)), bits)


def _value(orders: Array, dtype: np.dtype[Any]) -> Array:
    """Return the values whose `_order` is given."""
    if dtype.kind == "b":
        return orders.astype(bool)
    if dtype.kind in "iu":
        return (
            orders.view(np.uint64) ^ np.uint64(1 << 63)
            if dtype.itemsize == 8 and dtype.kind == "u"
            else orders.astype(dtype)
        )
    size = 8 * dtype.itemsize
    bits = np.where(orders < 0, (-1 - orders) | (-1 << (size - 1)), orders)
    return np.ascontiguousarray(bits.astype(f"<i{dtype.itemsize}")).view(dtype)


def _from_whole(part: _Part, values: Array) -> Array:
    return np.asarray((_order(values) - part.first) // part.second)


def _to_whole(part: _Part, numbers: Array, dtype: np.dtype[Any]) -> Array:
    return _value(numbers * part.second + part.first, dtype)


def _from_scaled(part: _Part, values: Array) -> Array:
    scaled = np.rint(values.astype(np.float64) * float(part.first))
    return np.where(np.abs(scaled) < 2.0**53, scaled, 0).astype(np.int64)


def _to_scaled(part: _Part, numbers: Array, dtype: np.dtype[Any]) -> Array:
    return np.asarray((numbers.astype(np.float64) / float(part.first)).astype(dtype))


def _from_digits(part: _Part, values: Array) -> Array:
    """Return numbers that rise with the values: of each power of ten there are 9 * 10**(digits - 1)."""
    digits, low = part.first, part.second
    size = np.abs(values.astype(np.float64))
    size = np.where(np.isfinite(size), size, 0)
    power = np.floor(np.log10(np.where(size > 0, size, 1))).astype(np.int64)
    mantissa = _times_power(size, digits - 1 - power)
    power = np.where(mantissa >= 10.0**digits, power + 1, np.where(mantissa < 10.0 ** (digits - 1), power - 1, power))
    mantissa = np.clip(_times_power(size, digits - 1 - power), 10.0 ** (digits - 1), 10.0**digits - 1).astype(
        np.int64
    )
    numbers = (power - low) * (9 * 10 ** (digits - 1)) + mantissa - 10 ** (digits - 1) + 1
    numbers = np.where(size > 0, np.clip(numbers, 0, MOST), 0)
    return np.where(np.signbit(values), -1 - numbers, numbers)


def _times_power(size: Array, power: Array) -> Array:
    up, down = _TENS[np.clip(power, 0, _POWERS)], _TENS[np.clip(-power, 0, _POWERS)]
    return np.asarray(np.rint(np.where(power >= 0, size * up, size / down)))


def _to_digits(part: _Part, numbers: Array, dtype: np.dtype[Any]) -> Array:
    digits, low = part.first, part.second
    size = np.where(numbers < 0, -1 - numbers, numbers)
    each = 9 * 10 ** (digits - 1)
    power = (np.maximum(size, 1) - 1) // each
    mantissa = (size - 1 - power * each + 10 ** (digits - 1)).astype(np.float64)
    away = digits - 1 - (power + low)
    values = np.where(
        away >= 0, mantissa / _TENS[np.clip(away, 0, _POWERS)], mantissa * _TENS[np.clip(-away, 0, _POWERS)]
    )
    values = np.where(size == 0, 0.0, values)
    return np.asarray(np.where(numbers < 0, -values, values).astype(dtype))


def _from_ordered(part: _Part, values: Array) -> Array:
    orders = _order(values)
    size = np.where(orders < 0, -1 - orders, orders)
    small = np.where(size == 0, 0, np.clip(((size - part.first) >> part.second) + 1, 0, MOST))
    return np.where(orders < 0, -1 - small, small)


def _to_ordered(part: _Part, numbers: Array, dtype: np.dtype[Any]) -> Array:
    small = np.where(numbers < 0, -1 - numbers, numbers)
    size = np.where(small == 0, 0, ((small - 1) << part.second) + part.first)
    return _value(np.where(numbers < 0, -1 - size, size), dtype)


def _from_list(part: _Part, values: Array) -> Array:
    return np.searchsorted(np.array(part.others, np.int64), _order(values))


def _to_list(part: _Part, numbers: Array, dtype: np.dtype[Any]) -> Array:
    others = np.array(part.others, np.int64)
    return _value(others[np.clip(numbers, 0, len(others) - 1)], dtype)


_WAYS: dict[int, tuple[Callable[[_Part, Array], Array], Callable[[_Part, Array, np.dtype[Any]], Array]]] = {
    _WHOLE: (_from_whole, _to_whole),
    _SCALED: (_from_scaled, _to_scaled),
    _DIGITS: (_from_digits, _to_digits),
    _ORDERED: (_from_ordered, _to_ordered),
    _LISTED: (_from_list, _to_list),
}


def _name(dtype: np.dtype[Any]) -> str:
    return dtype.char if dtype.itemsize == 1 else dtype.newbyteorder("<").str


def _code_parts(coder: Coder, parts: tuple[_Part | None, ...]) -> tuple[_Part, ...]:
    """Write or read parts."""
    counts = Counts.empty(8)
    return tuple(_code_part(coder, counts, part) for part in parts)


def _code_part(coder: Coder, counts: Counts, part: _Part | None) -> _Part:
    numbers = None
    if part is not None:
        numbers = np.array([part.kind, part.second, part.top, len(part.others)], np.int64)
    kind, second, top, count = code_numbers(coder, np.arange(4), counts, numbers).tolist()
    wide = None if part is None else np.array([part.first, *part.others], object)
    high = None if wide is None else np.diff((wide // _HALF).astype(np.int64), prepend=0)
    low = None if wide is None else (wide % _HALF).astype(np.int64)
    high = np.cumsum(code_numbers(coder, np.minimum(np.arange(count + 1), 1) + 4, counts, high))
    low = coder.draw(count + 1, 32, low)
    first, *others = (high * _HALF + low).tolist()
    return _Part(kind, first, second, top, tuple(others))
