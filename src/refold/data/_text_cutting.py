"""Where the records of a text file end: at a new line that does not stand in quotes."""

from collections.abc import Callable, Iterator

import numpy as np
from numpy.typing import NDArray

from refold._errors import DataError

MOST_BYTES = 1 << 26  # of one record
_QUOTE = ord('"')
Places = NDArray[np.intp]


def cut_records(read: Callable[[int], bytes], delimiter: str, size: int) -> Iterator[bytes]:
    """Yield whole records, about `size` bytes of them at a time.

    Parameters
    ----------
    read : callable
        Given a number of bytes, returns the next ones, none at the end; the first ones begin a record.
    delimiter : str
    size : int

    Raises
    ------
    DataError
        If a record does not end within 64 MB.
    """
    kept = b""
    while block := read(size):
        text = kept + block
        end = end_of_records(text, delimiter)
        if end == 0 and len(text) > MOST_BYTES:
            raise DataError(f"a record is longer than {MOST_BYTES >> 20} MB; look for a quote that is not closed")
        if end:
            yield text[:end]
        kept = text[end:]
    if kept:
        yield kept


def end_of_records(text: bytes, delimiter: str) -> int:
    """Return how many bytes the whole records of a text take that begins with a record."""
    line_end = _line_end(text)
    opening, closing = _quoted(text, delimiter)
    end = text.rfind(line_end)
    while end >= 0:
        quotes = int(np.searchsorted(opening, end)) - 1
        if quotes < 0 or closing[quotes] < end:
            break
        end = text.rfind(line_end, 0, int(opening[quotes]))
    return end + 1


def end_of_first_record(text: bytes, delimiter: str) -> int:
    """Return how many bytes the first record of a text takes, all if it does not end."""
    line_end = _line_end(text)
    opening, closing = _quoted(text, delimiter)
    end = text.find(line_end)
    while end >= 0:
        quotes = int(np.searchsorted(opening, end)) - 1
        if quotes < 0 or closing[quotes] < end:
            return end + 1
        end = text.find(line_end, int(closing[quotes]))
    return len(text)


def _line_end(text: bytes) -> bytes:
    return b"\n" if b"\n" in text else b"\r"


def _quoted(text: bytes, delimiter: str) -> tuple[Places, Places]:
    """Return where quotes open and close; a quote opens a field only where the field begins, as Arrow reads it."""
    signs = np.frombuffer(text, np.uint8)
    quotes = np.flatnonzero(signs == _QUOTE) if b'"' in text else np.empty(0, np.intp)
    before = np.where(quotes > 0, signs[quotes - 1], ord("\n"))
    begins = np.isin(before, np.frombuffer(b"\r\n" + delimiter.encode(), np.uint8))
    if (begins | (before == _QUOTE))[::2].all():  # then every second quote closes, or is doubled and opens again
        return _pairs(quotes[::2], quotes[1::2], len(text))
    return _quoted_one_by_one(quotes, begins, len(text))


def _quoted_one_by_one(quotes: Places, begins: NDArray[np.bool_], size: int) -> tuple[Places, Places]:
    opening: list[int] = []
    closing: list[int] = []
    doubled = -1
    for place, begins_field in zip(quotes.tolist(), begins.tolist(), strict=True):
        is_open = len(opening) > len(closing)
        if is_open:
            closing.append(place)
            doubled = place + 1
        elif place == doubled:
            closing.pop()
        elif begins_field:
            opening.append(place)
    return _pairs(np.array(opening, np.intp), np.array(closing, np.intp), size)


def _pairs(opening: Places, closing: Places, size: int) -> tuple[Places, Places]:
    """Return the two with an end for what is still open."""
    return opening, np.append(closing, [size] * (len(opening) - len(closing))).astype(np.intp)
