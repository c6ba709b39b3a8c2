"""Records in memory, and how their owner wants results back."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Any

import pyarrow as pa

from refold._errors import DataError
from refold.data._frames import FrameKind, from_arrow


@dataclass(frozen=True)
class Source:
    """Records that have been opened, and how their owner wants results back.

    Parameters
    ----------
    values : ndarray of shape (n, *record) or pyarrow.Table
    names : tuple of str
        File names of the pictures of a folder, relative to it; empty for everything else.
    frame : {"pandas", "polars", "pyarrow"} or None
        Whose table it was; None for arrays.
    original : object
        The user's own table, whose index and dtypes results take over.

    Examples
    --------
    >>> import numpy as np
    >>> [chunk.size for chunk in Source(np.zeros((5, 2))).chunks(2)]
    [2, 2, 1]
    """

    values: Any
    names: tuple[str, ...] = ()
    frame: FrameKind | None = None
    original: Any = None

    @property
    def size(self) -> int:
        """Number of records."""
        return len(self.values)

    @property
    def record_bytes(self) -> int:
        """Bytes of one record in memory."""
        return -(-int(self.values.nbytes) // max(self.size, 1))

    def chunks(self, rows: int) -> Iterator["Source"]:
        """Yield the records in order, at most `rows` at a time; nothing is copied."""
        for start in range(0, self.size, rows):
            yield self._part(slice(start, start + rows))

    def select(self, columns: Sequence[str]) -> "Source":
        """Return the source with these columns of its table only.

        Raises
        ------
        DataError
            If it holds no table, or the table lacks one of them.
        """
        known = self.values.column_names if isinstance(self.values, pa.Table) else None
        check_columns(columns, known)
        original = self.original
        if self.frame in ("pandas", "polars") and original is not None:
            names = self.values.column_names
            places = [names.index(name) for name in columns]
            original = original.iloc[:, places] if self.frame == "pandas" else original[:, places]
        return replace(self, values=self.values.select(list(columns)), original=original)

    def give_back(self, records: Any) -> Any:
        """Return decoded records in the kind of container that was opened."""
        if self.frame is None or not isinstance(records, pa.Table):
            return records
        like = self.original if len(records) == self.size else None
        return from_arrow(records, self.frame, like)

    def _part(self, part: slice) -> "Source":
        original = self.original
        if self.frame in ("pandas", "polars") and original is not None:
            original = original.iloc[part] if self.frame == "pandas" else original[part]
        return Source(self.values[part], self.names[part], self.frame, original)


def check_columns(columns: Sequence[str], known: Sequence[str] | None) -> None:
    """Refuse columns that are not among the known ones; None stands for records that are no table.

    Raises
    ------
    DataError
    """
    if known is None:
        raise DataError("columns are chosen by name, and the data are not a table; give a table")
    if not columns:
        raise DataError("no column is chosen; name at least one")
    for name in columns:
        if name not in known:
            shown = ", ".join(known[:12]) + (f" and {len(known) - 12} more" if len(known) > 12 else "")
            raise DataError(f"the table has no column {name!r}; its columns are {shown}")
