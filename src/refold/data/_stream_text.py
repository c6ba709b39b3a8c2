"""Text files read piece by piece, with the types of the columns told from all their values."""

from collections.abc import Iterator, Mapping, Sequence, Set
from dataclasses import dataclass, replace
from math import ceil
from pathlib import Path

import pyarrow as pa

from refold._errors import DataError
from refold.data._files import reading
from refold.data._frames import check_names
from refold.data._stream_tables import chosen, table_stream
from refold.data._streams import PIECE_BYTES, Stream, TablePiece
from refold.data._text import Dialect, beginning_of, blank_start, dialect_of, is_packed, parse_records, parse_text
from refold.data._text_cutting import cut_records, end_of_first_record

# a column gets the first of these types that all its values can be read as
_TYPES = [
    *(pa.null(), pa.int64(), pa.bool_(), pa.date32(), pa.time32("s"), pa.timestamp("s"), pa.timestamp("ns")),
    *(pa.timestamp("s", tz="UTC"), pa.timestamp("ns", tz="UTC"), pa.float64(), pa.string(), pa.binary()),
]
_TEXTS = (pa.string(), pa.binary())


@dataclass(frozen=True)
class TextFile:
    """A text file whose records begin `start` bytes after its beginning, unpacked."""

    path: Path
    dialect: Dialect
    names: tuple[str, ...]
    start: int

    def parts(self) -> Iterator[tuple[int, bytes]]:
        """Yield the records as texts of about PIECE_BYTES, each with the place where it begins."""
        start = self.start
        with pa.input_stream(str(self.path), compression="gzip" if is_packed(self.path) else None) as stream:
            stream.read(start)
            for text in cut_records(stream.read, self.dialect.delimiter, PIECE_BYTES):
                yield start, text
                start += len(text)

    def part(self, start: int, length: int) -> bytes:
        """Return a part of the file, not unpacked."""
        with open(self.path, "rb") as file:
            file.seek(start)
            return file.read(length)


@dataclass(frozen=True)
class TextPart:
    """Neighbouring records of a text file.

    Parameters
    ----------
    file : TextFile
    start, length : int
        Bytes.
    size : int
    schema : pyarrow.Schema
    """

    file: TextFile
    start: int
    length: int
    size: int
    schema: pa.Schema

    def blocks(self, rows: int) -> Iterator[pa.Table]:
        """Yield the records in order, at most `rows` at a time."""
        with reading(self.file.path):
            table = _table(self.file, self.file.part(self.start, self.length), self.schema)
        _check_size(self.file, len(table), self.size)
        yield from _slices(table, rows)

    def select(self, columns: Sequence[str]) -> "TextPart":
        """Return the piece with these columns only."""
        return replace(self, schema=chosen(self.schema, columns))


@dataclass(frozen=True)
class PackedText:
    """All records of a packed text file, which has to be read from its beginning."""

    file: TextFile
    size: int
    schema: pa.Schema

    def blocks(self, rows: int) -> Iterator[pa.Table]:
        """Yield the records in order, at most `rows` at a time."""
        with reading(self.file.path):
            count = 0
            for _, text in self.file.parts():
                table = _table(self.file, text, self.schema)
                count += len(table)
                yield from _slices(table, rows)
        _check_size(self.file, count, self.size)

    def select(self, columns: Sequence[str]) -> "PackedText":
        """Return the piece with these columns only."""
        return replace(self, schema=chosen(self.schema, columns))


def open_texts(paths: Sequence[Path]) -> list[Stream]:
    """Return text files as streams of the same columns; each is read once, to find its records and their types.

    Raises
    ------
    DataError
        If a file is broken, a column name occurs more than once, or the files differ in their columns.
    """
    surveys = [_survey(_text_file(path)) for path in paths]
    names = surveys[0].file.names
    for survey in surveys:
        _check_same_names(surveys[0].file, survey.file)
    schema = pa.schema([(name, _common_type(surveys, name)) for name in names])
    return [_stream(survey, schema) for survey in surveys]


@dataclass(frozen=True)
class _Part:
    """What is known of a part of a file once it was read."""

    start: int
    length: int
    size: int
    table_bytes: int
    types: Mapping[str, pa.DataType]
    has_hexadecimals: bool


@dataclass(frozen=True)
class _Survey:
    file: TextFile
    parts: tuple[_Part, ...]


def _text_file(path: Path) -> TextFile:
    with reading(path):
        beginning = beginning_of(path)
        dialect, start = dialect_of(beginning), blank_start(beginning)
        end = start + end_of_first_record(beginning[start:], dialect.delimiter)
        names = parse_text(pa.BufferReader(beginning[start:end]), dialect).column_names
    check_names(names)
    return TextFile(path, dialect, tuple(names), start if dialect.headless else end)


def _survey(file: TextFile) -> _Survey:
    with reading(file.path):
        parts = [_survey_part(file, start, text) for start, text in file.parts()]
    return _Survey(file, tuple(part for part in parts if part.size))


def _survey_part(file: TextFile, start: int, text: bytes) -> _Part:
    table = parse_records(text, file.dialect, file.names)
    types = dict(zip(table.column_names, table.schema.types, strict=True))
    return _Part(start, len(text), len(table), table.nbytes, types, b"0x" in text or b"0X" in text)


def _check_same_names(first: TextFile, other: TextFile) -> None:
    if set(first.names) != set(other.names):
        odd = sorted(set(first.names) ^ set(other.names))[0]
        with_, without = (first, other) if odd in first.names else (other, first)
        raise DataError(
            f"{with_.path.name!r} has a column {odd!r} and {without.path.name!r} has none; files that are read "
            "together must have the same columns"
        )


def _stream(survey: _Survey, schema: pa.Schema) -> Stream:
    file, parts = survey.file, survey.parts
    size = sum(part.size for part in parts)
    pieces: list[TablePiece] = (
        [PackedText(file, size, schema)]
        if is_packed(file.path)
        else [TextPart(file, part.start, part.length, part.size, schema) for part in parts]
    )
    return table_stream(pieces, schema, ceil(sum(part.table_bytes for part in parts) / max(size, 1)))


def _table(file: TextFile, text: bytes, schema: pa.Schema) -> pa.Table:
    return parse_records(text, file.dialect, file.names, dict(zip(schema.names, schema.types, strict=True)))


def _check_size(file: TextFile, found: int, size: int) -> None:
    if found != size:
        raise DataError(f"{file.path.name!r} changed after it was opened; open it again")


def _slices(table: pa.Table, rows: int) -> Iterator[pa.Table]:
    for start in range(0, len(table), rows):
        yield table.slice(start, rows)


# --- one type for all values of a column -------------------------------------------------------------------------


def _common_type(surveys: Sequence[_Survey], name: str) -> pa.DataType:
    """Return the type that the column would have if all were read at once."""
    found = {part.types[name] for survey in surveys for part in survey.parts} or {pa.null()}
    first = max(map(_TYPES.index, found))
    if found <= {_TYPES[first], pa.null()}:
        return _TYPES[first]
    return next(type_ for type_ in _TYPES[first:] if type_ in _TEXTS or _all_fit(surveys, name, type_))


def _all_fit(surveys: Sequence[_Survey], name: str, type_: pa.DataType) -> bool:
    return all(_fits(survey, name, type_) for survey in surveys)


def _fits(survey: _Survey, name: str, type_: pa.DataType) -> bool:
    """Say whether the values of a file can be read as `type_`; only parts where that is unclear are read again."""
    unclear = {part.start for part in survey.parts if not _surely_fits(part, name, type_)}
    try:
        for text in _texts(survey, unclear):
            _table(survey.file, text, pa.schema([(name, type_)]))
    except pa.ArrowInvalid:
        return False
    return True


def _surely_fits(part: _Part, name: str, type_: pa.DataType) -> bool:
    found = part.types[name]
    decimal = found == pa.int64() and type_ == pa.float64() and not part.has_hexadecimals
    return decimal or found in (type_, pa.null())


def _texts(survey: _Survey, starts: Set[int]) -> Iterator[bytes]:
    """Yield the parts that begin at `starts`; a packed file has to be read from its beginning for them."""
    if not is_packed(survey.file.path):
        yield from (survey.file.part(part.start, part.length) for part in survey.parts if part.start in starts)
    elif starts:
        for start, text in survey.file.parts():
            if start in starts:
                yield text
