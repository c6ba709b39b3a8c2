"""One way from what the user has to numbers and back, whatever it is."""

from collections.abc import Callable
from contextlib import closing
from typing import Any, Protocol

import pyarrow as pa
from numpy.typing import NDArray

from refold._errors import DataError
from refold.data._arrays import ArrayAdapter
from refold.data._counting import count_columns
from refold.data._prefetch import prefetched
from refold.data._streams import Stream
from refold.data._tables import TableAdapter, column_counters

_COUNTED_ROWS = 1 << 16


class Adapter(Protocol):
    """Learned from the training data; encodes records to numbers and decodes numbers to records."""

    @property
    def kind(self) -> str:
        """``"array"`` or ``"table"``."""

    @property
    def shape(self) -> tuple[int, ...]:
        """Shape of one encoded record."""

    @property
    def n_categories(self) -> tuple[int, ...]:
        """For records that are rows, the number of categories of each column (0 = numbers); else ()."""

    @property
    def value_range(self) -> tuple[float, float] | None:
        """Smallest and largest value where the dtype says so: bytes and truth values."""

    def encode(self, values: Any) -> NDArray[Any]:
        """Return records as numbers of shape (n, *shape)."""

    def decode(self, numbers: NDArray[Any]) -> Any:
        """Return numbers of shape (n, *shape) as records of the user's own kind."""

    def to_json(self) -> dict[str, Any]:
        """Return a description that JSON can hold."""


def fit_adapter(values: Any) -> Adapter:
    """Return the adapter for an array of records, an Arrow table or a stream of either.

    Of a stream only what has to be counted is read: columns of texts and truth values, and columns whose first
    records hold no value, up to the first one that does.

    Parameters
    ----------
    values : ndarray of shape (n, *record), pyarrow.Table or Stream

    Raises
    ------
    DataError
        If the records cannot be learned or, where they are a stream, not be read.
    """
    if isinstance(values, Stream):
        return _fit_table_stream(values) if values.frame else ArrayAdapter.fit(values.head)
    return TableAdapter.fit(values) if isinstance(values, pa.Table) else ArrayAdapter.fit(values)


def _fit_table_stream(stream: Stream) -> TableAdapter:
    counters = column_counters(stream.head.schema)
    count_columns([counter for counter in counters if not counter.counts_values], [stream.head])
    open_ = [counter for counter in counters if not counter.is_done]
    if open_:
        chunks = stream.select([counter.name for counter in open_]).chunks(_COUNTED_ROWS)
        with closing(prefetched(chunk.values for chunk in chunks)) as tables:
            count_columns(open_, tables)
    return TableAdapter.counted(counters)


def adapter_from_json(description: dict[str, Any]) -> Adapter:
    """Rebuild an adapter from its `to_json`.

    Raises
    ------
    DataError
        If the description is not one of an adapter.
    """
    kinds: dict[str, Callable[[dict[str, Any]], Adapter]] = {
        "array": ArrayAdapter.from_json,
        "table": TableAdapter.from_json,
    }
    try:
        return kinds[description["kind"]](description)
    except (KeyError, TypeError, AttributeError) as error:
        raise DataError("the description of the data is not complete") from error
