"""Tables to numbers and back: every type of column, with missing cells."""

import datetime
import decimal
import json
from itertools import pairwise

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import find, given, settings
from hypothesis import strategies as st

from refold import DataError, RefoldWarning
from refold.data import Column, TableAdapter, adapter_from_json, fit_adapter

EXACT = 2**53  # float64 holds every whole number up to this one


def whole(bits, unsigned=False):
    low, high = (0, 2**bits - 1) if unsigned else (-(2 ** (bits - 1)), 2 ** (bits - 1) - 1)
    return st.integers(max(low, -EXACT), min(high, EXACT))


days = st.dates()
instants = st.datetimes(datetime.datetime(1950, 1, 1), datetime.datetime(2050, 1, 1))
seconds = st.datetimes(datetime.datetime(1, 1, 2), datetime.datetime(9999, 12, 30)).map(
    lambda at: at.replace(microsecond=0)
)
spans = st.integers(-(10**12), 10**12)
words = st.text(max_size=5)

COLUMNS = {
    **{f"int{bits}": (pa.type_for_alias(f"int{bits}"), whole(bits)) for bits in (8, 16, 32, 64)},
    **{f"uint{bits}": (pa.type_for_alias(f"uint{bits}"), whole(bits, unsigned=True)) for bits in (8, 16, 32, 64)},
    "float16": (pa.float16(), st.floats(width=16, allow_nan=False, allow_infinity=False)),
    "float32": (pa.float32(), st.floats(width=32, allow_nan=False, allow_infinity=False)),
    "float64": (pa.float64(), st.floats(allow_nan=False, allow_infinity=False)),
    "decimal": (pa.decimal128(10, 2), st.decimals(-99999999, 99999999, places=2)),
    "whole decimal": (pa.decimal256(12, 0), st.decimals(-(10**11), 10**11, places=0)),
    "bool": (pa.bool_(), st.booleans()),
    "string": (pa.string(), words),
    "large_string": (pa.large_string(), words),
    "string_view": (pa.string_view(), words),
    "date32": (pa.date32(), days),
    "date64": (pa.date64(), days),
    "timestamp s": (pa.timestamp("s"), seconds),
    "timestamp ms": (pa.timestamp("ms"), seconds),
    "timestamp us": (pa.timestamp("us"), instants),
    "timestamp ns": (pa.timestamp("ns"), instants),
    "timestamp in UTC": (pa.timestamp("us", tz="UTC"), instants),
    "timestamp in Vienna": (pa.timestamp("ns", tz="Europe/Vienna"), instants),
    "timestamp at +02:00": (pa.timestamp("ms", tz="+02:00"), seconds),
    "time32 s": (pa.time32("s"), st.times().map(lambda time: time.replace(microsecond=0))),
    "time32 ms": (pa.time32("ms"), st.times().map(lambda time: time.replace(microsecond=0))),
    "time64 us": (pa.time64("us"), st.times()),
    "time64 ns": (pa.time64("ns"), st.times()),
    **{f"duration {unit}": (pa.duration(unit), spans) for unit in ("s", "ms", "us", "ns")},
    "dictionary": (pa.dictionary(pa.int8(), pa.string()), words),
    "ordered dictionary": (pa.dictionary(pa.int32(), pa.large_string(), ordered=True), words),
    "dictionary of numbers": (pa.dictionary(pa.int32(), pa.int64()), st.integers(-5, 5)),
    "dictionary of floats": (pa.dictionary(pa.int32(), pa.float64()), st.sampled_from([0.5, -1.25, 1e300])),
    "dictionary of truth values": (pa.dictionary(pa.int32(), pa.bool_()), st.booleans()),
    "dictionary of dates": (pa.dictionary(pa.int32(), pa.date32()), st.sampled_from([datetime.date(2020, 1, 5)])),
    "dictionary of instants": (
        pa.dictionary(pa.int8(), pa.timestamp("us")),
        st.sampled_from([datetime.datetime(2020, 1, 5, 3), datetime.datetime(1969, 1, 5, 0, 0, 0, 17)]),
    ),
    "dictionary of spans": (pa.dictionary(pa.int8(), pa.duration("s")), st.integers(-9, 9)),
    "dictionary of decimals": (
        pa.dictionary(pa.int8(), pa.decimal128(5, 2)),
        st.sampled_from([decimal.Decimal("1.25"), decimal.Decimal("-3.00")]),
    ),
    "null": (pa.null(), st.none()),
}  # fmt: skip


def column_of(kind, cells):
    type_, _ = COLUMNS[kind]
    if pa.types.is_dictionary(type_):
        plain = pa.array(cells, type=type_.value_type).dictionary_encode()
        return plain.cast(type_) if not type_.ordered else pa.DictionaryArray.from_arrays(
            plain.indices.cast(type_.index_type), plain.dictionary.cast(type_.value_type), ordered=True
        )  # fmt: skip
    return pa.array(cells, type=type_)


@st.composite
def columns(draw, kind, size=None):
    cells = st.none() | COLUMNS[kind][1]
    bounds = {"min_size": 1, "max_size": 12} if size is None else {"min_size": size, "max_size": size}
    return column_of(kind, draw(st.lists(cells, **bounds)))


@st.composite
def tables(draw):
    size = draw(st.integers(1, 8))
    kinds = draw(st.lists(st.sampled_from(sorted(COLUMNS)), min_size=1, max_size=5))
    names = draw(st.lists(st.text(min_size=1, max_size=6), min_size=len(kinds), max_size=len(kinds), unique=True))
    return pa.table([draw(columns(kind, size)) for kind in kinds], names=names)


def plain(table):
    """The table with plain texts, as it stands inside; views come back as texts."""
    from refold.data import open_source

    return open_source(table).values


def same_cells(first, second):
    """Equal cells and equal types; a dictionary may be numbered otherwise."""
    assert first.schema.names == second.schema.names
    for one, other in zip(first.columns, second.columns, strict=True):
        assert str(one.type) == str(other.type)
        if pa.types.is_dictionary(one.type):
            one, other = one.cast(one.type.value_type), other.cast(other.type.value_type)
        assert one.equals(other) or one.to_pylist() == other.to_pylist()


@pytest.mark.parametrize("kind", sorted(COLUMNS))
@settings(max_examples=30)
@given(data=st.data())
def test_a_column_comes_back_through_numbers(kind, data):
    table = plain(pa.table({"column": data.draw(columns(kind))}))
    adapter = TableAdapter.fit(table)
    numbers = adapter.encode(table)
    assert numbers.dtype == adapter.dtype and numbers.shape == (len(table), 1)
    assert np.array_equal(np.isnan(numbers[:, 0]), table["column"].is_null().to_numpy())
    same_cells(adapter.decode(numbers), table)


@given(tables())
def test_a_table_of_mixed_columns_comes_back_through_numbers(table):
    table = plain(table)
    adapter = fit_adapter(table)
    assert adapter.shape == (table.num_columns,)
    same_cells(adapter.decode(adapter.encode(table)), table)


@given(tables())
def test_an_adapter_comes_back_through_json(table):
    table = plain(table)
    adapter = TableAdapter.fit(table)
    again = adapter_from_json(json.loads(json.dumps(adapter.to_json())))
    assert again == adapter
    same_cells(again.decode(again.encode(table)), adapter.decode(adapter.encode(table)))


@pytest.mark.parametrize("kind", sorted(COLUMNS))
@settings(max_examples=30)
@given(
    data=st.data(),
    wild=st.lists(st.floats(allow_nan=True, allow_infinity=False, width=32), min_size=1, max_size=6),
)
def test_any_number_decodes_to_a_cell_that_can_be_read(kind, data, wild):
    adapter = TableAdapter.fit(plain(pa.table({"column": data.draw(columns(kind))})))
    decoded = adapter.decode(np.array(wild)[:, None])
    assert len(decoded) == len(wild)
    decoded.validate(full=True)
    decoded.to_pylist()
    empty = adapter.columns[0].kind == "empty"
    assert decoded["column"].null_count == (len(wild) if empty else np.isnan(wild).sum())


@given(st.lists(st.sampled_from("abcdefg"), min_size=1, max_size=40))
def test_categories_are_numbered_by_frequency(cells):
    column = Column.fit("letter", pa.chunked_array([cells]))
    counts = [cells.count(category) for category in column.categories]
    assert counts == sorted(counts, reverse=True)
    assert sorted(column.categories) == sorted(set(cells))


def test_only_the_hundred_most_frequent_categories_are_kept():
    cells = [f"often {place}" for place in range(100)] * 3 + [f"once {place}" for place in range(50)]
    table = pa.table({"text": cells})
    adapter = TableAdapter.fit(table)
    assert adapter.n_categories == (100,)
    decoded = adapter.decode(adapter.encode(table))["text"]
    assert decoded[:300].to_pylist() == cells[:300]
    assert decoded[300:].null_count == 50


def test_identifiers_are_pointed_out():
    with pytest.warns(RefoldWarning, match=r"column 'id' has 300 different texts in 300 rows.*leave the column out"):
        TableAdapter.fit(pa.table({"id": [str(place) for place in range(300)]}))


def test_columns_are_found_by_name():
    adapter = TableAdapter.fit(pa.table({"a": [1, 2], "b": [3, 4]}))
    assert adapter.encode(pa.table({"b": [3], "x": ["?"], "a": [1]})).tolist() == [[1.0, 3.0]]


@pytest.mark.parametrize(
    "column",
    [
        pa.array([[1], [2]]),
        pa.array([{"a": 1}]),
        pa.array([b"bytes"]),
    ],
)
def test_columns_that_cannot_be_learned_are_named(column):
    with pytest.raises(DataError, match=r"column 'odd' holds .*; allowed are numbers, texts, truth values and dates"):
        TableAdapter.fit(pa.table({"odd": column}))


@pytest.mark.parametrize("table", [pa.table({}), pa.table([[1], [2]], names=["a", "a"])])
def test_tables_without_columns_or_with_names_twice_are_refused(table):
    with pytest.raises(DataError, match=r"no columns|more than once"):
        TableAdapter.fit(table)


def test_infinite_numbers_are_named_by_column_and_row():
    adapter = TableAdapter.fit(pa.table({"a": [1.0, 2.0]}))
    with pytest.raises(DataError, match=r"column 'a' holds an infinite value \(row 1\)"):
        adapter.encode(pa.table({"a": [1.0, float("inf")]}))


@pytest.mark.parametrize("kind", sorted(COLUMNS))
def test_numbers_are_single_where_that_is_exact(kind):
    single = {"float16", "float32", "int8", "int16", "uint8", "uint16"}
    codes = {"bool", "null", "string", "large_string", "string_view", *(name for name in COLUMNS if "dict" in name)}
    cell = find(COLUMNS[kind][1], lambda cell: True)
    adapter = TableAdapter.fit(plain(pa.table({"a": column_of(kind, [cell])})))
    assert (adapter.dtype == np.float32) == (kind in single | codes)


def test_one_column_that_needs_it_makes_all_numbers_double():
    singles = {"a": pa.array([0.1, None], pa.float32()), "b": ["x", "y"], "c": pa.array([1, 2], pa.int8())}
    assert TableAdapter.fit(pa.table(singles)).encode(pa.table(singles)).dtype == np.float32
    mixed = pa.table({**singles, "d": pa.array([2**53, 1])})
    numbers = TableAdapter.fit(mixed).encode(mixed)
    assert numbers.dtype == np.float64 and numbers.flags.c_contiguous
    assert numbers[:, 3].tolist() == [2**53, 1] and numbers[0, 0] == np.float32(0.1) and np.isnan(numbers[1, 0])


def test_the_dtype_of_numbers_hangs_on_the_fitted_columns_only():
    single = TableAdapter.fit(pa.table({"a": pa.array([1.5], pa.float32())}))
    double = TableAdapter.fit(pa.table({"a": pa.array([1.5], pa.float64())}))
    for type_ in (pa.float32(), pa.float64(), pa.int64(), pa.int8(), pa.null()):
        table = pa.table({"a": pa.array([None], type_)})
        assert single.encode(table).dtype == np.float32 and double.encode(table).dtype == np.float64


def test_what_is_too_large_for_the_fitted_type_is_infinite_and_refused():
    adapter = TableAdapter.fit(pa.table({"a": pa.array([1.5], pa.float32())}))
    with pytest.raises(DataError, match=r"column 'a' holds an infinite value \(row 1\)"):
        adapter.encode(pa.table({"a": [1.0, 1e300]}))


@given(width=st.integers(1, 70), height=st.integers(1, 20), cuts=st.lists(st.integers(0, 20), max_size=3))
def test_every_number_stands_in_its_row_and_column(width, height, cuts):
    rng = np.random.default_rng(0)
    matrix = rng.normal(size=(height, width)).astype(np.float32)
    table = pa.table([pa.array(column) for column in matrix.T], names=[str(place) for place in range(width)])
    bounds = sorted({0, height, *(cut for cut in cuts if cut < height)})
    table = pa.concat_tables([table[start:stop] for start, stop in pairwise(bounds)])
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("refold.data._tables._ROWS_TOGETHER", 3)
        assert np.array_equal(TableAdapter.fit(table).encode(table), matrix)


HOSTILE = [
    {"kind": "number", "type": "list<int64>"},
    {"kind": "number", "type": "string"},
    {"kind": "number", "type": "double", "categories": ["a"]},
    {"kind": "integer", "type": "double"},
    {"kind": "date", "type": "int64"},
    {"kind": "category", "type": "int64", "categories": ["a"]},
    {"kind": "category", "type": "string", "categories": [1]},
    {"kind": "category", "type": "string", "categories": []},
    {"kind": "category", "type": "string", "categories": [None]},
    {"kind": "category", "type": "string", "categories": [["a"]]},
    {"kind": "category", "type": "string", "categories": ["a", "a"]},
    {"kind": "category", "type": "string", "categories": "ab"},
    {"kind": "category", "type": "string", "categories": {"a": 1}},
    {"kind": "category", "type": "bool", "categories": [0.5]},
    {"kind": "vector", "type": "double"},
    {"kind": "number", "type": "decimal128(99, 2)"},
    {"kind": "date", "type": "timestamp[us, tz=]"},
    {"kind": "category", "type": "dictionary<values=" * 5000 + "string" + ", indices=int8, ordered=0>" * 5000},
    {"kind": "category", "type": "dictionary<values=string, indices=int99, ordered=0>", "categories": ["a"]},
    {"kind": ["number"], "type": "double"},
    {"kind": "number", "type": 3},
    {"kind": "number"},
    "number",
    None,
]


@pytest.mark.parametrize("column", HOSTILE, ids=lambda column: str(column)[:60])
def test_dishonest_descriptions_of_columns_are_refused(column):
    if isinstance(column, dict):
        column = {"name": "x", "categories": [], **column}
    with pytest.raises(DataError) as caught:
        adapter_from_json({"kind": "table", "columns": [column]})
    assert "\n" not in str(caught.value) and len(str(caught.value)) < 300


@pytest.mark.parametrize(
    "description",
    [
        {},
        [],
        None,
        {"kind": "table"},
        {"kind": "table", "columns": []},
        {"kind": "table", "columns": 5},
        {"kind": []},
    ],
    ids=str,
)
def test_dishonest_descriptions_of_tables_are_refused(description):
    with pytest.raises(DataError):
        adapter_from_json(description)
