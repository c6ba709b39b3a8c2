"""Columns of a table as a page holds them: packed numbers, texts each written once, and a colour per record."""

import datetime
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
import pyarrow as pa

from refold.plots._inputs import Array, Gradient, as_gradient, read_colours
from refold.plots._markup import base64_text, json_in_script
from refold.plots._turning import pack_colours

_EXACT = 2**53
_USUAL = (0.5, 99.5)
_EPOCH = datetime.datetime(1970, 1, 1)
_DAY = 86_400_000_000


@dataclass(frozen=True)
class Blocks:
    """Texts that a page keeps apart from each other, so that it reads each only when it is needed."""

    texts: list[str] = field(default_factory=list)

    def add(self, text: str) -> int:
        """Keep a text and return its number."""
        self.texts.append(text)
        return len(self.texts) - 1

    @property
    def letters(self) -> int:
        """Letters in all."""
        return sum(map(len, self.texts))


@dataclass(frozen=True, eq=False)
class MapColumn:
    """What is known of every record under one name.

    `kind` is "number", "whole" (numbers without a fraction), "truth", "date" (days since 1970), "time"
    (microseconds since 1970) or "text". `values` (n,) are float64, NaN where missing; of texts, places in
    `texts`, of which None stands for missing.
    """

    name: str
    kind: str
    values: Array
    texts: tuple[str | None, ...] = ()

    def taken(self, rows: Array) -> "MapColumn":
        """Return the column of some records."""
        return self if len(rows) == len(self.values) else replace(self, values=self.values[rows])

    def packed(self, blocks: Blocks) -> dict[str, Any]:
        """Return what the page's script is told about the column; its values go to `blocks`."""
        values = _smallest(self.values)
        return {
            "name": self.name,
            "kind": self.kind,
            "type": values.dtype.name,
            "values": blocks.add(base64_text(values.astype(values.dtype.newbyteorder("<")).tobytes())),
            "texts": blocks.add(json_in_script(self.texts)) if self.kind == "text" else None,
        }

    def packed_with_colours(self, blocks: Blocks) -> dict[str, Any]:
        """Return `packed` with a colour for every record."""
        colours = self._colours()
        return {**self.packed(blocks), **colours, "kinds": blocks.add(colours["kinds"])}

    def _colours(self) -> dict[str, Any]:
        count = len(self.values)
        if self.kind == "text":
            names = np.array([None, *self.texts], dtype=object)[1:][self.values]
            return pack_colours(read_colours(names, count), count)
        if self.kind == "truth":
            names = np.array([None if np.isnan(value) else str(bool(value)) for value in self.values], dtype=object)
            return pack_colours(read_colours(names, count), count)
        colouring = read_colours(self.values, count)
        known = np.isfinite(self.values).any()
        if known and (self.kind in ("date", "time") or isinstance(colouring, Gradient)):
            return self._scale_colours(count)
        return pack_colours(colouring, count)

    def _scale_colours(self, count: int) -> dict[str, Any]:
        """Spread the colours over what is usual: a few strange values would leave one tone for all others."""
        known = self.values[np.isfinite(self.values)]
        low, high = np.percentile(known, _USUAL)
        if not high > low:
            low, high = known.min(), known.max()
        packed = pack_colours(as_gradient(np.clip(self.values, low, high)), count)
        packed["scale"]["low"] = "≤ " * bool(known.min() < low) + self._said(float(low))
        packed["scale"]["high"] = "≥ " * bool(known.max() > high) + self._said(float(high))
        return packed

    def _said(self, value: float) -> str:
        if self.kind in ("date", "time"):
            return _moment(value * (_DAY if self.kind == "date" else 1))
        rounded = round(value) if self.kind == "whole" or abs(value) >= 1e3 else value
        return f"{rounded:.0f}" if float(rounded).is_integer() and abs(value) < 1e7 else f"{value:.4g}"


def _moment(microseconds: float) -> str:
    try:
        return f"{_EPOCH + datetime.timedelta(microseconds=microseconds):%Y-%m-%d}"
    except OverflowError:  # before the year 1 or after 9999
        return f"{microseconds / _DAY / 365.2425 + 1970:.0f}"


def _smallest(values: Array) -> Array:
    """Return the same numbers in the fewest bytes."""
    for dtype in (np.int8, np.int16, np.int32, np.float32):
        with np.errstate(invalid="ignore", over="ignore"):
            smaller = values.astype(dtype)
        if np.array_equal(smaller, values, equal_nan=True):
            return smaller
    return values


def read_column(name: str, values: Any) -> MapColumn:
    """Return what a page can hold of an array, a sequence or an Arrow column of any type.

    Whole numbers beyond 2**53, which a browser's numbers cannot tell apart, become texts.
    """
    column = _as_arrow(values)
    kind = column.type
    if pa.types.is_boolean(kind):
        return MapColumn(name, "truth", _numbers(column.cast(pa.int8())))
    if pa.types.is_integer(kind) and _fits(column):
        return MapColumn(name, "whole", _numbers(column))
    if pa.types.is_floating(kind) or pa.types.is_decimal(kind):
        return MapColumn(name, "number", _numbers(column.cast(pa.float64(), safe=False)))
    if pa.types.is_date(kind):
        return MapColumn(name, "date", _numbers(column.cast(pa.date32()).cast(pa.int32())))
    if pa.types.is_timestamp(kind):
        return MapColumn(name, "time", _numbers(column.cast(pa.timestamp("us"), safe=False).cast(pa.int64())))
    return _texts(name, column.to_pylist())


def _as_arrow(values: Any) -> Any:
    if isinstance(values, pa.ChunkedArray | pa.Array):
        return values.cast(values.type.value_type) if pa.types.is_dictionary(values.type) else values
    try:
        return pa.array(np.asarray(values), from_pandas=True)
    except (pa.ArrowException, TypeError, ValueError):  # of several kinds: all become texts
        return pa.array([None if value is None else _clean(value) for value in list(values)], pa.string())


def _clean(value: object) -> str:
    return str(value).encode("utf-8", "replace").decode("utf-8")


def _fits(column: Any) -> bool:
    import pyarrow.compute as pc

    ends = pc.min_max(column).as_py()
    return ends["min"] is None or (abs(ends["min"]) <= _EXACT and abs(ends["max"]) <= _EXACT)


def _numbers(column: Any) -> Array:
    return np.asarray(
        column.to_numpy(zero_copy_only=False) if isinstance(column, pa.Array) else column.to_numpy()
    ).astype(np.float64)


def _texts(name: str, values: Sequence[Any]) -> MapColumn:
    texts = [value if value is None or isinstance(value, str) else _clean(value) for value in values]
    places = {text: place for place, text in enumerate(dict.fromkeys(texts))}
    return MapColumn(name, "text", np.array([places[text] for text in texts], dtype=np.int32), tuple(places))
