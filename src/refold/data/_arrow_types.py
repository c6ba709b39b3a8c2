"""Arrow types: what a column of each is to refold, and their names as text."""

import re
from typing import Literal

import pyarrow as pa

from refold._errors import DataError

ColumnKind = Literal["number", "integer", "category", "date", "empty"]

_WITH_ZONE = re.compile(r"timestamp\[(s|ms|us|ns), tz=([\w+\-/:]{1,64})\]")
_DECIMAL = re.compile(r"decimal(32|64|128|256)\((\d{1,2}), (-?\d{1,2})\)")
_DICTIONARY = re.compile(r"dictionary<values=([^<>]+), indices=(u?int(?:8|16|32|64)), ordered=([01])>")
_ALIASES = {"date32[day]": "date32", "date64[ms]": "date64"}
_SINGLE = {"halffloat", "float", "int8", "int16", "uint8", "uint16"}


def kind_of_type(type_: pa.DataType) -> ColumnKind | None:
    """Return what a column of this type is, if it has a value; None if it cannot be learned."""
    is_ = pa.types
    if is_.is_dictionary(type_):
        inner = kind_of_type(type_.value_type)
        return None if inner is None else "category"
    if is_.is_boolean(type_) or is_.is_string(type_) or is_.is_large_string(type_):
        return "category"
    if is_.is_integer(type_) or is_.is_time(type_) or is_.is_duration(type_):
        return "integer"
    if is_.is_floating(type_) or is_.is_decimal(type_):
        return "number"
    if is_.is_date(type_) or is_.is_timestamp(type_):
        return "date"
    return "empty" if is_.is_null(type_) else None


def storage_type(type_: pa.DataType) -> pa.DataType:
    """Return the type in which categories of `type_` are plain values."""
    if pa.types.is_decimal(type_):
        return pa.string()
    if pa.types.is_date32(type_) or pa.types.is_time32(type_):
        return pa.int32()
    return pa.int64() if pa.types.is_temporal(type_) else type_


def plain_values(values: pa.ChunkedArray) -> pa.ChunkedArray:
    """Return the values without a dictionary."""
    return values.cast(values.type.value_type) if pa.types.is_dictionary(values.type) else values


def fits_float32(text: str) -> bool:
    """Say whether float32 holds every value of the type that prints as `text` exactly."""
    return text in _SINGLE


def arrow_type(text: str, *, plain: bool = False) -> pa.DataType:
    """Return the Arrow type that prints as `text`; with `plain`, the values' type of a dictionary.

    Raises
    ------
    DataError
        If it is none that a table column can have.
    """
    if found := _DICTIONARY.fullmatch(text):
        values = arrow_type(found[1])
        return values if plain else pa.dictionary(pa.type_for_alias(found[2]), values, found[3] == "1")
    try:
        if found := _WITH_ZONE.fullmatch(text):
            return pa.timestamp(found[1], tz=found[2])
        if found := _DECIMAL.fullmatch(text):
            return getattr(pa, f"decimal{found[1]}")(int(found[2]), int(found[3]))
        return pa.type_for_alias(_ALIASES.get(text, text))
    except ValueError as error:
        raise DataError(f"{text[:80]!r} is not an Arrow type that a table column can have") from error
