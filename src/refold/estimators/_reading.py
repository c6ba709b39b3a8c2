"""How estimators read records: opened, checked against what was fitted, and turned to numbers part by part."""

from collections.abc import Iterator
from contextlib import closing, contextmanager
from typing import Any

import numpy as np
from numpy.typing import NDArray
from sklearn.utils.validation import validate_data

from refold._errors import DataError
from refold.data import Adapter, Source, Stream, open_source, prefetched
from refold.estimators._preparing import as_fitted, check_values, memory_for_buffers, memory_for_records
from refold.estimators._records import chunk_rows

Array = NDArray[Any]


class ReadsRecords:
    """What estimators that take any kind of record have in common.

    They declare `image_size`, `value_range`, `missing` and `max_memory`, and hold an `adapter_` once they are fitted.
    """

    image_size: tuple[int, int] | None
    max_memory: int | str
    missing: Any
    value_range: tuple[float, float] | None
    adapter_: Adapter

    @contextmanager
    def _as_before_on_failure(self) -> Iterator[None]:
        """Let a `fit` that fails leave the estimator as it was."""
        before = dict(vars(self))
        try:
            yield
        except BaseException:
            self.__dict__ = before
            raise

    def _open(self, X: Any) -> Source | Stream:
        return open_source(X, image_size=self.image_size, max_memory=memory_for_records(self))

    def _encode(self, source: Source, start: int = 0) -> Array:
        """Return records as numbers; `start` is the place of the first one among all."""
        numbers = self.adapter_.encode(as_fitted(source.values, self.adapter_))
        check_values(numbers, self.missing, self.value_range, is_table=source.frame is not None, start=start)
        return numbers

    def _chunks(self, X: Any) -> Iterator[tuple[Source, Array]]:
        """Yield records and the same as numbers: all at once from memory, part by part from disk."""
        opened = self._open(X)
        self._check_columns(opened, reset=False)
        yield from self._encoded(opened)

    def _encoded(self, opened: Source | Stream) -> Iterator[tuple[Source, Array]]:
        """Yield opened records and the same as numbers."""

        def encoded() -> Iterator[tuple[Source, Array]]:
            start = 0
            for chunk in opened.chunks(chunk_rows(opened, memory_for_buffers(self))):
                yield chunk, self._encode(chunk, start)
                start += chunk.size

        if isinstance(opened, Source):
            yield from encoded()
            return
        with closing(prefetched(encoded())) as ahead:
            yield from ahead

    def _check_columns(self, opened: Source | Stream, reset: bool) -> None:
        """Set or check `n_features_in_` and `feature_names_in_`, as scikit-learn does."""
        values = opened.values if isinstance(opened, Source) else opened.head
        if isinstance(opened, Source) and opened.frame in ("pandas", "polars"):
            self._check_by_sklearn(opened.original, reset)
        elif isinstance(values, np.ndarray) and values.ndim == 2:
            self._check_by_sklearn(values, reset)
        elif reset and opened.frame is None:
            self.n_features_in_ = int(np.prod(values.shape[1:]))
        elif reset:
            names: list[str] = values.column_names
            self.n_features_in_, self.feature_names_in_ = len(names), np.array(names, dtype=np.object_)

    def _check_by_sklearn(self, values: Any, reset: bool) -> None:
        try:
            validate_data(self, values, reset=reset, skip_check_array=True)
        except ValueError as error:
            raise DataError(str(error)) from error
