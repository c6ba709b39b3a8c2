"""Tables in text files: their dialect, and how they are parsed."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pyarrow as pa

from refold._errors import DataError

TEXT_ENDINGS = (".csv", ".tsv", ".txt")
BEGINNING = 1 << 20  # bytes from which the dialect is told
_BLOCK_BYTES = 1 << 22  # a record in quotes may be as long
_MARK = b"\xef\xbb\xbf"


@dataclass(frozen=True)
class Dialect:
    """How a text file writes its table.

    Parameters
    ----------
    delimiter : str
    encoding : str
    headless : bool
        Whether the first line is a record and not the names of the columns.
    """

    delimiter: str
    encoding: str
    headless: bool


def is_packed(path: Path) -> bool:
    """Say whether the file is packed as ``.gz``."""
    return path.suffix.lower() == ".gz"


def beginning_of(path: Path) -> bytes:
    """Return the beginning of a text file, unpacked if need be.

    Raises
    ------
    DataError
        If it is empty or no text.
    """
    with pa.input_stream(str(path)) as stream:
        beginning: bytes = stream.read(BEGINNING)
    if not beginning.strip():
        raise DataError(f"{path.name!r} is empty; it must hold a line of column names and at least one row")
    if b"\0" in beginning:
        raise DataError(f"{path.name!r} is not a text file; save it as a text of comma-separated values")
    return beginning


def blank_start(beginning: bytes) -> int:
    """Return how many bytes stand before the first line: a byte order mark and empty lines."""
    return len(beginning) - len(beginning.removeprefix(_MARK).lstrip(b"\r\n"))


def dialect_of(beginning: bytes) -> Dialect:
    """Tell the dialect of a text file from its beginning."""
    encoding = "utf8" if _is_utf8(beginning) else "latin1"
    first_line = beginning[blank_start(beginning) :].decode(encoding, errors="ignore").splitlines()[0]
    delimiter = max(",;\t|", key=first_line.count)
    return Dialect(delimiter, encoding, _is_row_of_numbers(first_line, delimiter))


def parse_text(source: Any, dialect: Dialect) -> pa.Table:
    """Return the table in a text file; the types of its columns are told from all their values.

    Parameters
    ----------
    source : path or file of pyarrow
    dialect : Dialect
    """
    return _parse(source, dialect, {"autogenerate_column_names": dialect.headless}, {})


def parse_records(
    text: bytes, dialect: Dialect, names: Sequence[str], types: Mapping[str, pa.DataType] | None = None
) -> pa.Table:
    """Return the table of whole records without a line of names.

    Parameters
    ----------
    text : bytes
    dialect : Dialect
    names : sequence of str
        Of all columns.
    types : mapping, optional
        The columns to return, in this order, and their types; without it all, of types told from their values.

    Raises
    ------
    pyarrow.ArrowInvalid
        If the records are broken or a value is not of its column's type.
    """
    reading = {"column_names": list(names), "block_size": _BLOCK_BYTES}
    converting = {} if types is None else {"column_types": dict(types), "include_columns": list(types)}
    return _parse(pa.BufferReader(text), dialect, reading, converting)


def _parse(source: Any, dialect: Dialect, reading: dict[str, Any], converting: dict[str, Any]) -> pa.Table:
    from pyarrow import csv as arrow_csv

    return arrow_csv.read_csv(
        source,
        read_options=arrow_csv.ReadOptions(encoding=dialect.encoding, **reading),
        parse_options=arrow_csv.ParseOptions(delimiter=dialect.delimiter, newlines_in_values=True),
        convert_options=arrow_csv.ConvertOptions(strings_can_be_null=True, **converting),
    )


def _is_utf8(beginning: bytes) -> bool:
    try:
        beginning.decode("utf8")
    except UnicodeDecodeError as error:
        return error.start > len(beginning) - 4  # a character cut in two by the end of the sample
    return True


def _is_row_of_numbers(line: str, delimiter: str) -> bool:
    """Say whether a first line is data and not names: numbers, neither in quotes nor counting 0, 1, 2."""
    try:
        numbers = [float(field) for field in line.split(delimiter)]
    except ValueError:
        return False
    return len(numbers) == 1 or numbers != list(range(len(numbers)))
