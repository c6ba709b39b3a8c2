"""Tables of other libraries to Arrow and back; none of those libraries is imported unless the user did."""

import sys
from collections.abc import Sequence
from typing import Any, Literal

import pyarrow as pa

from refold._errors import DataError

FrameKind = Literal["pandas", "polars", "pyarrow"]


def frame_kind(data: Any) -> FrameKind | None:
    """Say which library's table `data` is, or None if it is no table."""
    if isinstance(data, pa.Table | pa.RecordBatch):
        return "pyarrow"
    pandas, polars = sys.modules.get("pandas"), sys.modules.get("polars")
    if pandas is not None and isinstance(data, pandas.DataFrame):
        return "pandas"
    if polars is not None and isinstance(data, polars.DataFrame):
        return "polars"
    return "pyarrow" if hasattr(data, "__arrow_c_stream__") and hasattr(data, "columns") else None


def to_arrow(data: Any) -> pa.Table:
    """Return any table as an Arrow table; column names become text, a pandas index is left aside.

    Raises
    ------
    DataError
        If a column mixes types, such as numbers and texts.
    """
    try:
        if frame_kind(data) == "pandas":
            check_names([str(name) for name in data.columns])
            named = data.set_axis([str(name) for name in data.columns], axis=1)
            return pa.Table.from_pandas(named, preserve_index=False).replace_schema_metadata()
        table = pa.table(data) if not isinstance(data, pa.RecordBatch) else pa.Table.from_batches([data])
        return _without_views(table.replace_schema_metadata())
    except (pa.ArrowInvalid, pa.ArrowTypeError, pa.ArrowNotImplementedError) as error:
        raise DataError(
            f"the table cannot be read: {str(error).splitlines()[0]}; give each column one type"
        ) from error


def check_names(names: Sequence[str]) -> None:
    """Raise DataError if a column name occurs more than once."""
    twice = sorted({name for name in names if list(names).count(name) > 1}) if len(set(names)) < len(names) else []
    if twice:
        raise DataError(f"the column name {twice[0]!r} occurs more than once; rename one of the columns")


def _without_views(table: pa.Table) -> pa.Table:
    """Return the table with plain texts where it has string views, for which Arrow lacks most functions."""
    for place, field in enumerate(table.schema):
        plain = _without_view(field.type)
        if plain != field.type:
            table = table.set_column(place, field.name, table[field.name].cast(plain))
    return table


def _without_view(type_: pa.DataType) -> pa.DataType:
    if pa.types.is_string_view(type_):
        return pa.large_string()
    if pa.types.is_dictionary(type_):
        return pa.dictionary(type_.index_type, _without_view(type_.value_type), type_.ordered)
    return type_


def from_arrow(table: pa.Table, kind: FrameKind, like: Any = None) -> Any:
    """Return an Arrow table as a table of library `kind`, with the index and dtypes of `like` where it has any."""
    if kind == "pandas":
        return _to_pandas(table, like)
    return _to_polars(table, like) if kind == "polars" else table


def _to_polars(table: pa.Table, like: Any) -> Any:
    import polars

    frame = polars.from_arrow(table)
    enums = {} if like is None else {name: like.schema[name] for name in table.column_names if name in like.schema}
    return frame.cast({name: dtype for name, dtype in enums.items() if isinstance(dtype, polars.Enum)})


def _to_pandas(table: pa.Table, like: Any) -> Any:
    frame = table.to_pandas()
    if like is None:
        return frame
    dtypes = {str(name): dtype for name, dtype in like.dtypes.items()}
    for name in frame.columns:
        frame[name] = _as_dtype(frame[name], dtypes[name])
    frame.index = like.index
    return frame.set_axis(like.columns, axis=1)


def _as_dtype(column: Any, dtype: Any) -> Any:
    try:
        if hasattr(column, "cat") and hasattr(dtype, "categories"):  # astype takes categories in any order
            return column.cat.set_categories(dtype.categories, ordered=dtype.ordered)
        return column.astype(dtype)
    except (TypeError, ValueError):  # missing cells in a dtype that cannot hold them
        return column
