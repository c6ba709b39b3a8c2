"""Datasets of pyarrow read fragment by fragment."""

import sys
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pyarrow as pa

from refold._errors import DataError
from refold.data._files import reading
from refold.data._stream_tables import chosen, conform, plain_schema, table_stream
from refold.data._streams import Stream

_READ_AHEAD = 1  # batches and fragments: the rest is memory


def is_dataset(data: Any) -> bool:
    """Say whether `data` is a dataset of pyarrow, without importing that part of it."""
    module = sys.modules.get("pyarrow.dataset")
    return module is not None and isinstance(data, module.Dataset)


@dataclass(frozen=True)
class Fragment:
    """A fragment of a dataset, such as a file or one of its row groups."""

    fragment: Any = field(repr=False, compare=False)
    size: int
    schema: pa.Schema
    dataset_schema: pa.Schema

    def blocks(self, rows: int) -> Iterator[pa.Table]:
        """Yield the records in order, at most `rows` at a time."""
        with reading(Path(getattr(self.fragment, "path", "dataset"))):
            for batch in self._scanner(rows).to_batches():
                for start in range(0, len(batch), rows):
                    yield conform(pa.Table.from_batches([batch.slice(start, rows)]), self.schema)

    def select(self, columns: Sequence[str]) -> "Fragment":
        """Return the piece with these columns only."""
        return Fragment(self.fragment, self.size, chosen(self.schema, columns), self.dataset_schema)

    def _scanner(self, rows: int) -> Any:
        ahead = {"batch_readahead": _READ_AHEAD, "fragment_readahead": _READ_AHEAD}
        return self.fragment.scanner(
            schema=self.dataset_schema, columns=self.schema.names, batch_size=rows, **ahead, **self._options()
        )

    def _options(self) -> dict[str, Any]:
        from pyarrow import dataset as arrow_dataset

        if not isinstance(self.fragment, arrow_dataset.ParquetFileFragment):
            return {}
        paged = arrow_dataset.ParquetFragmentScanOptions(use_buffered_stream=True, pre_buffer=False)
        return {"fragment_scan_options": paged}


def open_dataset(dataset: Any) -> Stream:
    """Return the records of a dataset of pyarrow as a stream; of Parquet files every row group is a piece.

    Raises
    ------
    DataError
        If the dataset is filtered, or a file of it is broken.
    """
    schema = plain_schema(dataset.schema)
    with reading(Path("dataset")):
        parts = [part for fragment in _fragments(dataset) for part in _parts(fragment)]
        return table_stream([Fragment(part, part.count_rows(), schema, dataset.schema) for part in parts], schema)


def _fragments(dataset: Any) -> list[Any]:
    try:
        return list(dataset.get_fragments())
    except ValueError as error:
        raise DataError("a filtered dataset cannot be read piece by piece; give the one before filter()") from error


def _parts(fragment: Any) -> list[Any]:
    return fragment.split_by_row_group() if hasattr(fragment, "split_by_row_group") else [fragment]
