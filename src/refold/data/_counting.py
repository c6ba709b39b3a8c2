"""What has to be counted to learn the columns of a table, chunk by chunk and in bounded memory."""

import warnings
from collections.abc import Iterable, Sequence
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc

from refold._errors import DataError, RefoldWarning
from refold.data._arrow_types import ColumnKind, kind_of_type, plain_values, storage_type

MAX_CATEGORIES = 100
MAX_COUNTED = 100_000  # different texts of a column that are counted at a time
_COUNTED_BYTES = 1 << 26


class ColumnCounter:
    """Counts the values of a column as its chunks go by.

    Up to `MAX_COUNTED` different values the counts are exact. Beyond, the rarest are forgotten as in [1]_: a count is
    then too small by at most the number of rows divided by `MAX_COUNTED`.

    Parameters
    ----------
    name : str
    type_ : pyarrow.DataType

    Raises
    ------
    DataError
        If a column of this type cannot be learned.

    References
    ----------
    .. [1] Agarwal, Cormode, Huang, Phillips, Wei, Yi (2012), "Mergeable summaries".

    Examples
    --------
    >>> counter = ColumnCounter("town", pa.string())
    >>> for chunk in (["Graz", "Linz"], ["Linz", None]):
    ...     counter.add(pa.chunked_array([chunk]))
    >>> counter.kind, counter.categories()
    ('category', ('Linz', 'Graz'))
    """

    def __init__(self, name: str, type_: pa.DataType) -> None:
        kind = kind_of_type(type_)
        if kind is None:
            raise DataError(
                f"column {name!r} holds {type_}; allowed are numbers, texts, truth values and dates: "
                "convert the column or leave it out"
            )
        self.name, self.type, self._kind = name, type_, kind
        self._rows = self._seen = 0
        self._counts: list[pa.Table] = []
        self._forgotten = False

    @property
    def kind(self) -> ColumnKind:
        """What the column is, by its type and by whether it held a value."""
        return self._kind if self._seen else "empty"

    @property
    def counts_values(self) -> bool:
        """Whether the column is one of categories, which needs every chunk."""
        return self._kind == "category"

    @property
    def is_done(self) -> bool:
        """Whether more chunks would change nothing."""
        return not self.counts_values and (self._seen > 0 or self._kind == "empty")

    def add(self, values: pa.ChunkedArray) -> None:
        """Count the values of one chunk."""
        self._rows += len(values)
        self._seen += len(values) - values.null_count
        if self.counts_values:
            self._counts.append(_counted(values))
            self._bound_memory()

    def categories(self) -> tuple[Any, ...]:
        """Return the most frequent values, the most frequent first; () for a column that has none."""
        if self.kind != "category":
            return ()
        counts = sorted(_merged(self._counts).to_pylist(), key=lambda row: (-row["counts"], str(row["values"])))
        kept = counts[:MAX_CATEGORIES]
        if sum(row["counts"] for row in kept) < 0.5 * self._seen:
            self._warn_of_identifiers(len(counts))
        return tuple(row["values"] for row in kept)

    def _bound_memory(self) -> None:
        if (
            sum(map(len, self._counts)) > 2 * MAX_COUNTED
            or sum(part.nbytes for part in self._counts) > _COUNTED_BYTES
        ):
            merged = _merged(self._counts)
            most = min(MAX_COUNTED, len(merged) * _COUNTED_BYTES // (2 * max(merged.nbytes, 1)))
            self._forgotten |= len(merged) > most
            self._counts = [_frequent(merged, most)]

    def _warn_of_identifiers(self, different: int) -> None:
        more = "more than " if self._forgotten else ""
        warnings.warn(
            f"column {self.name!r} has {more}{different} different texts in {self._rows} rows, too many to learn; "
            f"the {MAX_CATEGORIES} most frequent are kept and the others count as missing: leave the column out "
            "if it is an identifier",
            RefoldWarning,
            stacklevel=2,
        )


def count_columns(counters: Sequence[ColumnCounter], chunks: Iterable[pa.Table]) -> None:
    """Count the columns of a table chunk by chunk, and stop where more chunks would change nothing."""
    for chunk in chunks:
        for counter in counters:
            if not counter.is_done:
                counter.add(chunk[counter.name])
        if all(counter.is_done for counter in counters):
            return


def _counted(values: pa.ChunkedArray) -> pa.Table:
    plain = plain_values(values).drop_null()
    pairs = pc.value_counts(plain.cast(storage_type(plain.type)))
    return pa.table({"values": pairs.field("values"), "counts": pairs.field("counts")})


def _merged(counts: Sequence[pa.Table]) -> pa.Table:
    if len(counts) == 1:
        return counts[0]
    groups = pa.concat_tables(counts).group_by("values", use_threads=False).aggregate([("counts", "sum")])
    return pa.table({"values": groups["values"], "counts": groups["counts_sum"]})


def _frequent(counts: pa.Table, most: int) -> pa.Table:
    """Return the `most` frequent values; what the first one left out counted is taken from all."""
    if len(counts) <= most:
        return counts
    ordered = counts.take(pc.sort_indices(counts, [("counts", "descending")]))
    taken, kept = ordered["counts"][most], ordered[:most]
    return kept.set_column(1, "counts", pc.subtract(kept["counts"], taken))
