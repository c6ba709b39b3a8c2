"""Many streams as one: tables whose columns agree, with columns for what the names of their folders say."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from math import ceil
from pathlib import Path
from typing import Any, cast
from urllib.parse import unquote

import pyarrow as pa

from refold._errors import DataError
from refold.data._stream_tables import chosen, conform, table_stream
from refold.data._streams import Stream, TablePiece

_NO_VALUE = "__HIVE_DEFAULT_PARTITION__"


@dataclass(frozen=True)
class Conformed:
    """A piece of a table brought to other types and another order, with columns that hold one value.

    Parameters
    ----------
    piece : TablePiece
    names : tuple of str
        The columns of `piece`.
    constants : mapping
        Columns to add, with the value of every record.
    schema : pyarrow.Schema
    """

    piece: TablePiece
    names: tuple[str, ...]
    constants: Mapping[str, Any]
    schema: pa.Schema

    @property
    def size(self) -> int:
        """Number of records."""
        return self.piece.size

    def blocks(self, rows: int) -> Iterator[pa.Table]:
        """Yield the records in order, at most `rows` at a time."""
        for block in self.piece.blocks(rows):
            yield conform(self._with_constants(block), self.schema)

    def _with_constants(self, block: pa.Table) -> pa.Table:
        columns = dict(zip(block.column_names, block.columns, strict=True))
        for name, value in self.constants.items():
            columns[name] = pa.repeat(value, len(block))
        return pa.table(columns)

    def select(self, columns: Sequence[str]) -> "Conformed":
        """Return the piece with these columns only."""
        inner = [name for name in columns if name in self.names] or list(self.names[:1])
        constants = {name: value for name, value in self.constants.items() if name in columns}
        return Conformed(self.piece.select(inner), tuple(inner), constants, chosen(self.schema, columns))


def join_tables(
    streams: Sequence[Stream],
    names: Sequence[str],
    constants: Sequence[Mapping[str, Any]] = (),
) -> Stream:
    """Return streams of tables as one, each column in the widest of its types.

    Parameters
    ----------
    streams : sequence of Stream
    names : sequence of str
        What to call each in messages.
    constants : sequence of mapping, optional
        Columns to add to each, with the value of all its records.

    Raises
    ------
    DataError
        If they differ in the names of their columns, or in types that have no common one.
    """
    added = constants or [{}] * len(streams)
    schema = _with_constants(_common_schema([stream.head.schema for stream in streams], names), added)
    pairs = zip(streams, added, strict=True)
    pieces = [piece for stream, constants in pairs for piece in _conformed(stream, constants, schema)]
    total = sum(stream.size * stream.record_bytes for stream in streams)
    return table_stream(pieces, schema, ceil(total / max(sum(stream.size for stream in streams), 1)))


def folder_columns(files: Sequence[Path], folder: Path) -> list[dict[str, Any]]:
    """Return what the folders between `folder` and each file say in names such as ``year=2024``.

    Values are whole numbers where all of a name are, else texts.

    Raises
    ------
    DataError
        If not all files lie in folders that say the same.
    """
    said = [_said(path.relative_to(folder).parts[:-1]) for path in files]
    for path, values in zip(files, said, strict=True):
        if values.keys() != said[0].keys():
            odd = sorted(values.keys() ^ said[0].keys())[0]
            raise DataError(
                f"{files[0].name!r} and {path.name!r} lie in folders of which only one names {odd!r}; put all files "
                "into folders of the same names, or take them away"
            )
    numeric = {name for name in said[0] if all(_is_whole(values[name]) for values in said)}
    return [{name: int(value) if value and name in numeric else value for name, value in row.items()} for row in said]


def _said(parts: Sequence[str]) -> dict[str, str | None]:
    pairs = [part.partition("=")[::2] for part in parts if "=" in part]
    return {unquote(name): None if value == _NO_VALUE else unquote(value) for name, value in pairs}


def _is_whole(value: str | None) -> bool:
    return value is None or (value.removeprefix("-").isdecimal() and value.isascii() and len(value) < 19)


def _conformed(stream: Stream, constants: Mapping[str, Any], schema: pa.Schema) -> Iterator[TablePiece]:
    for piece in cast("tuple[TablePiece, ...]", stream.pieces):
        same = not constants and stream.head.schema == schema
        yield piece if same else Conformed(piece, tuple(stream.head.schema.names), constants, schema)


def _with_constants(schema: pa.Schema, constants: Sequence[Mapping[str, Any]]) -> pa.Schema:
    for name in constants[0]:
        values = pa.array([row[name] for row in constants])
        if name in schema.names:  # the folder's name is what was meant
            schema = schema.remove(schema.get_field_index(name))
        schema = schema.append(pa.field(name, values.type))
    return schema


def _common_schema(schemas: Sequence[pa.Schema], names: Sequence[str]) -> pa.Schema:
    common = schemas[0]
    for schema, name in zip(schemas, names, strict=True):
        if schema != common:
            _check_same_columns(common, schema, names[0], name)
            common = pa.schema([(column.name, _wider(column, schema, names[0], name)) for column in common])
    return common


def _check_same_columns(first: pa.Schema, other: pa.Schema, first_name: str, other_name: str) -> None:
    odd = sorted(set(first.names) ^ set(other.names))
    if odd:
        with_, without = (first_name, other_name) if odd[0] in first.names else (other_name, first_name)
        raise DataError(
            f"{with_!r} has a column {odd[0]!r} and {without!r} has none; files that are read together must have the "
            "same columns"
        )


def _wider(column: pa.Field, schema: pa.Schema, first_name: str, other_name: str) -> pa.DataType:
    other = schema.field(column.name)
    plain = pa.types.is_dictionary(column.type) != pa.types.is_dictionary(other.type)
    fields = [_without_dictionary(each) if plain else each for each in (column, other)]
    try:
        return pa.unify_schemas([pa.schema([each]) for each in fields], promote_options="permissive").types[0]
    except (pa.ArrowTypeError, pa.ArrowInvalid) as error:
        raise DataError(
            f"column {column.name!r} holds {column.type} in {first_name!r} and {other.type} in {other_name!r}; give "
            "it one type in all files"
        ) from error


def _without_dictionary(column: pa.Field) -> pa.Field:
    return column.with_type(column.type.value_type) if pa.types.is_dictionary(column.type) else column
