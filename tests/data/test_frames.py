"""Tables of pandas and polars to Arrow and back: index, names, dtypes."""

import datetime
import subprocess
import sys

import numpy as np
import pandas
import polars
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import pandas as hpd
from polars.testing import assert_frame_equal

from refold import DataError
from refold.data import fit_adapter, open_source

N = 4
SERIES = {
    "int64": pandas.Series([3, 1, 2, 2]),
    "int8": pandas.Series([3, -1, 2, 2], dtype="int8"),
    "Int64": pandas.Series([3, None, 2, 2], dtype="Int64"),
    "float32": pandas.Series([0.5, np.nan, 2, 2], dtype="float32"),
    "float64": pandas.Series([0.5, np.nan, 2, 2]),
    "Float64": pandas.Series([0.5, None, 2, 2], dtype="Float64"),
    "bool": pandas.Series([True, False, True, True]),
    "boolean": pandas.Series([True, None, True, False], dtype="boolean"),
    "bool with holes": pandas.Series([True, None, True, False], dtype=object),
    "str": pandas.Series(["a", "b", None, "ä"]),
    "string": pandas.Series(["a", "b", None, "ä"], dtype="string"),
    "object": pandas.Series(["a", "b", None, "ä"], dtype=object),
    "category": pandas.Series(["a", "b", None, "ä"], dtype="category"),
    "ordered": pandas.Series(pandas.Categorical(list("LSMS"), categories=list("SMLX"), ordered=True)),
    "category of numbers": pandas.Series([3, 1, 3, 1], dtype="category"),
    "category of instants": pandas.Series(pandas.to_datetime(["2020-01-01"] * 3 + ["2021-02-03"])).astype("category"),
    "dates": pandas.Series(
        pandas.to_datetime(["2020-01-01", None, "2024-02-29 13:14:15", "1969-12-31"], format="ISO8601")
    ),
    "dates in seconds": pandas.Series(pandas.to_datetime(["2020-01-01"] * 4)).astype("datetime64[s]"),
    "dates with zone": pandas.Series(pandas.to_datetime(["2020-01-01"] * 4)).dt.tz_localize("Europe/Vienna"),
    "python dates": pandas.Series([datetime.date(2020, 1, 1), None, datetime.date(1999, 2, 3), None], dtype=object),
    "python times": pandas.Series([datetime.time(3, 4), None, datetime.time(5), None], dtype=object),
    "spans": pandas.Series(pandas.to_timedelta([1, 2, None, 4], unit="h")),
    "arrow": pandas.Series([1, 2, None, 4], dtype="int32[pyarrow]"),
    "arrow text": pandas.Series(["a", None, "b", "a"], dtype=pandas.ArrowDtype(pa.string())),
}


def round_trip(frame):
    source = open_source(frame)
    adapter = fit_adapter(source.values)
    return source.give_back(adapter.decode(adapter.encode(source.values)))


@pytest.mark.parametrize("kind", sorted(SERIES))
def test_a_column_of_pandas_comes_back_as_it_was(kind):
    frame = pandas.DataFrame({"column": SERIES[kind]})
    if kind == "object":  # pandas reads missing texts as NaN
        frame = frame.fillna(np.nan)
    pandas.testing.assert_frame_equal(round_trip(frame), frame)


@pytest.mark.parametrize(
    "index",
    [
        pandas.Index(["d", "b", "c", "a"], name="letter"),
        pandas.date_range("2020-01-01", periods=N),
        pandas.MultiIndex.from_product([["x", "y"], [1, 2]], names=["outer", "inner"]),
        pandas.Index([7, 7, 7, 7]),
    ],
    ids=["named", "dates", "levels", "repeated"],
)
def test_the_index_of_pandas_is_kept(index):
    frame = pandas.DataFrame({"a": range(N), "b": list("wxyz")}, index=index)
    pandas.testing.assert_frame_equal(round_trip(frame), frame)


@pytest.mark.parametrize("names", [[0, 1], ["a", 1], [("x", "y"), ("x", "z")], [None, "a"]], ids=str)
def test_columns_of_pandas_keep_names_that_are_no_texts(names):
    frame = pandas.DataFrame([[1.0, 2.0], [3.0, 4.0]])
    frame.columns = names
    pandas.testing.assert_frame_equal(round_trip(frame), frame)


@settings(max_examples=50)
@given(
    hpd.data_frames(
        [
            hpd.column("a", dtype="float64", elements=st.floats(allow_infinity=False)),
            hpd.column("b", dtype="int32"),
            hpd.column("c", dtype=bool),
            hpd.column("d", elements=st.text(max_size=4)),
        ],
        index=hpd.indexes(elements=st.integers(-5, 5), min_size=1, max_size=8),
    )
)
def test_any_table_of_pandas_comes_back_as_it_was(frame):
    pandas.testing.assert_frame_equal(round_trip(frame), frame)


@settings(max_examples=50)
@given(st.data())
def test_any_table_of_polars_comes_back_as_it_was(data):
    size = data.draw(st.integers(1, 6))

    def cells(values):
        return data.draw(st.lists(st.none() | values, min_size=size, max_size=size))

    frame = polars.DataFrame(
        {
            "float": polars.Series(cells(st.floats(allow_nan=False, allow_infinity=False)), dtype=polars.Float64),
            "small": polars.Series(cells(st.integers(-128, 127)), dtype=polars.Int8),
            "whole": polars.Series(cells(st.integers(0, 2**53)), dtype=polars.UInt64),
            "truth": polars.Series(cells(st.booleans()), dtype=polars.Boolean),
            "text": polars.Series(cells(st.text(max_size=4)), dtype=polars.String),
            "category": polars.Series(cells(st.sampled_from("abc")), dtype=polars.Categorical),
            "enum": polars.Series(cells(st.sampled_from("abc")), dtype=polars.Enum(["c", "a", "b", "d"])),
            "day": polars.Series(cells(st.dates()), dtype=polars.Date),
            "moment": polars.Series(
                cells(st.datetimes(datetime.datetime(1950, 1, 1), datetime.datetime(2050, 1, 1))),
                dtype=polars.Datetime("us"),
            ),
            "time": polars.Series(cells(st.times()), dtype=polars.Time),
            "span": polars.Series(cells(st.integers(-(10**12), 10**12)), dtype=polars.Int64).cast(
                polars.Duration("ms")
            ),
            "nothing": polars.Series([None] * size, dtype=polars.Null),
        }
    )
    assert_frame_equal(round_trip(frame), frame)


def test_arrow_record_batches_and_readers_are_tables():
    table = pa.table({"a": [1, 2], "b": ["x", "y"]})
    assert open_source(table.to_batches()[0]).values.equals(table)
    assert round_trip(table).equals(table)


def test_columns_that_mix_types_are_refused():
    with pytest.raises(DataError, match=r"the table cannot be read.*give each column one type"):
        open_source(pandas.DataFrame({"a": [1, "x", 2.5]}))


def test_names_that_occur_twice_are_refused():
    with pytest.raises(DataError, match="'1' occurs more than once"):
        open_source(pandas.DataFrame([[1, 2]], columns=[1, "1"]))


def test_tables_of_periods_are_refused_by_name():
    frame = pandas.DataFrame({"month": pandas.period_range("2020-01", periods=3, freq="M")})
    with pytest.raises(DataError, match=r"'month' holds .*; allowed are"):
        fit_adapter(open_source(frame).values)


def test_no_library_of_tables_is_imported_for_the_user(tmp_path):
    (tmp_path / "table.csv").write_text("a,b\n1,x\n2,y\n")
    code = (
        f"import sys; from refold.data import open_source; open_source({str(tmp_path / 'table.csv')!r}); "
        "print([name for name in ('pandas', 'polars', 'torch', 'sklearn') if name in sys.modules])"
    )
    shown = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert shown.stdout.strip() == "[]"
