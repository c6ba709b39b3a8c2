"""Data larger than memory: read piece by piece, they are the data that reading at once gives."""

import datetime
import gzip
import warnings
from itertools import pairwise

import numpy as np
import pandas
import polars
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image
from pyarrow import csv as arrow_csv
from pyarrow import dataset as arrow_dataset
from pyarrow import feather, parquet

from refold import DataError, RefoldWarning
from refold.data import Source, Stream, TableAdapter, fit_adapter, in_memory_bytes, open_source
from refold.data._text_cutting import cut_records

SIZE = 100
ROOM = "refold.data"


def make_table(size=SIZE):
    rng = np.random.default_rng(0)
    days = [datetime.date(2020, 1, 1) + datetime.timedelta(days=int(day)) for day in rng.integers(0, 900, size)]
    holes = rng.random(size) < 0.2
    return pa.table(
        {
            "number": pa.array(rng.normal(size=size), mask=holes),
            "single": pa.array(rng.normal(size=size).astype(np.float32)),
            "whole": pa.array(rng.integers(-9, 9, size), mask=holes[::-1]),
            "text": pa.array([f"town, {place % 7}\n" for place in rng.integers(0, 40, size)], mask=holes),
            "truth": pa.array(rng.random(size) < 0.3),
            "day": pa.array(days, mask=holes),
            "nothing": pa.nulls(size),
        }
    )


TABLE = make_table()
ROWS = np.random.default_rng(0).normal(size=(SIZE, 3))
PICTURES = np.random.default_rng(0).integers(0, 256, (SIZE, 4, 6)).astype(np.uint8)


@pytest.fixture
def small_pieces(monkeypatch):
    """Files of a test fall into many pieces."""
    for module in ("_stream_tables", "_stream_text", "_stream_arrays"):
        monkeypatch.setattr(f"{ROOM}.{module}.PIECE_BYTES", 300)
    monkeypatch.setattr(f"{ROOM}._stream_pictures.PICTURES_TOGETHER", 8)


def streamed(data, **wishes):
    stream = open_source(data, max_memory=0, **wishes)
    assert isinstance(stream, Stream)
    return stream


def joined(blocks):
    blocks = list(blocks)
    return pa.concat_tables(blocks) if isinstance(blocks[0], pa.Table) else np.concatenate(blocks)


def assert_same(first, second):
    if isinstance(first, pa.Table):
        assert first.schema.names == second.schema.names
        assert [str(type_) for type_ in first.schema.types] == [str(type_) for type_ in second.schema.types]
        assert first.to_pydict() == second.to_pydict()
    else:
        assert first.dtype == second.dtype and np.array_equal(first, second, equal_nan=first.dtype.kind == "f")


# --- every kind of data ------------------------------------------------------------------------------------------


def a_parquet(folder):
    parquet.write_table(TABLE, folder / "table.parquet", row_group_size=13)
    return folder / "table.parquet"


def a_parquet_with_empty_row_groups(folder):
    with parquet.ParquetWriter(folder / "table.parquet", TABLE.schema) as writer:
        for start, stop in [(0, 0), (0, 10), (10, 10), (10, 60), (60, SIZE), (SIZE, SIZE)]:
            writer.write_table(TABLE[start:stop])
    return folder / "table.parquet"


def a_parquet_of_one_row_group(folder):
    parquet.write_table(TABLE, folder / "table.parquet")
    return folder / "table.parquet"


def a_parquet_of_dictionaries(folder):
    table = TABLE.set_column(3, "text", TABLE["text"].dictionary_encode())
    parquet.write_table(table, folder / "table.parquet", row_group_size=13)
    return folder / "table.parquet"


def a_parquet_of_polars(folder):
    polars.from_arrow(TABLE.drop_columns(["nothing"])).write_parquet(folder / "table.parquet", row_group_size=13)
    return folder / "table.parquet"


def a_feather(folder):
    feather.write_feather(TABLE, str(folder / "table.feather"), chunksize=13)
    return folder / "table.feather"


def a_feather_not_packed(folder):
    feather.write_feather(TABLE, str(folder / "table.feather"), chunksize=13, compression="uncompressed")
    return folder / "table.feather"


def a_feather_of_polars(folder):
    table = TABLE.set_column(3, "text", TABLE["text"].dictionary_encode()).drop_columns(["nothing"])
    polars.from_arrow(table).write_ipc(folder / "table.feather", record_batch_size=13)
    return folder / "table.feather"


def an_arrow_file(folder):
    with pa.ipc.new_file(str(folder / "table.arrow"), TABLE.schema) as writer:
        writer.write_batch(pa.RecordBatch.from_pylist([], TABLE.schema))
        writer.write_table(TABLE, max_chunksize=13)
    return folder / "table.arrow"


def an_old_arrow_file(folder):
    old = pa.ipc.IpcWriteOptions(use_legacy_format=True)
    with pa.ipc.new_file(str(folder / "table.arrow"), TABLE.schema, options=old) as writer:
        writer.write_table(TABLE, max_chunksize=13)
    return folder / "table.arrow"


def a_csv(folder):
    arrow_csv.write_csv(TABLE, folder / "table.csv")
    return folder / "table.csv"


def a_packed_csv(folder):
    (folder / "table.csv.gz").write_bytes(gzip.compress(a_csv(folder).read_bytes()))
    (folder / "table.csv").unlink()
    return folder / "table.csv.gz"


def a_csv_without_names(folder):
    np.savetxt(folder / "table.txt", ROWS, delimiter=";")
    return folder / "table.txt"


def an_npy(folder):
    np.save(folder / "rows.npy", ROWS)
    return folder / "rows.npy"


def an_npy_of_pictures(folder):
    np.save(folder / "pictures.npy", PICTURES)
    return folder / "pictures.npy"


def an_npy_of_the_other_end(folder):
    np.save(folder / "rows.npy", ROWS.astype(">f4"))
    return folder / "rows.npy"


def an_npy_in_fortran_order(folder):
    np.save(folder / "pictures.npy", np.asfortranarray(PICTURES))
    return folder / "pictures.npy"


def a_memmap(folder):
    return np.load(an_npy(folder), mmap_mode="r")


def a_part_of_a_memmap(folder):
    np.save(folder / "rows.npy", np.random.default_rng(0).normal(size=(5000, 3)))
    return np.load(folder / "rows.npy", mmap_mode="r")[4321:4400]


def a_memmap_in_pieces(folder):
    return a_memmap(folder)[::-2]


def a_memmap_changed_in_memory(folder):
    mapped = np.load(an_npy(folder), mmap_mode="c")
    mapped[50] = 1
    return mapped


def a_memmap_changed_in_the_file(folder):
    mapped = np.load(an_npy(folder), mmap_mode="r+")
    mapped[50] = 1
    return mapped


def parts_of_the_table(folder, ending, write):
    for place, start in enumerate((0, 40, 41)):
        stop = (40, 41, SIZE)[place]
        write(TABLE.slice(start, stop - start), str(folder / f"part{place}.{ending}"))


def a_folder_of_parquet(folder):
    parts_of_the_table(folder, "parquet", parquet.write_table)
    (folder / "_SUCCESS").write_text("")
    (folder / ".hidden.csv").write_text("a\n1\n")
    (folder / "README.txt").write_text("about these files")
    return folder


def a_folder_of_feather(folder):
    parts_of_the_table(folder, "feather", feather.write_feather)
    return folder


def a_folder_of_csv(folder):
    parts_of_the_table(folder, "csv", arrow_csv.write_csv)
    return folder


def a_list_of_csv(folder):
    parts_of_the_table(folder, "csv", arrow_csv.write_csv)
    return [str(folder / "part2.csv"), folder / "part0.csv"]


def a_pattern(folder):
    parts_of_the_table(folder, "parquet", parquet.write_table)
    return str(folder / "part[12].parquet")


def a_pattern_of_packed_csv(folder):
    parts_of_the_table(folder, "csv", arrow_csv.write_csv)
    for place in range(3):
        path = folder / f"part{place}.csv"
        (folder / f"part{place}.csv.gz").write_bytes(gzip.compress(path.read_bytes()))
    return str(folder / "*.csv.gz")


def arrays_in_several_files(folder):
    for place, part in enumerate(np.split(ROWS, [10, 55])):
        np.save(folder / f"part{place}.npy", part)
    return folder


def a_folder_of_folders(folder):
    for place, (year, kind) in enumerate([(2023, "a"), (2024, "a"), (2024, "%2F")]):
        below = folder / f"year={year}" / f"kind={kind}"
        below.mkdir(parents=True)
        parquet.write_table(TABLE.slice(place * 30, 30), below / "part.parquet")
    return folder


def a_dataset(folder):
    return arrow_dataset.dataset(a_folder_of_folders(folder), partitioning="hive")


def a_dataset_of_csv(folder):
    return arrow_dataset.dataset(a_folder_of_csv(folder), format="csv")


def save_pictures(folder):
    (folder / "below").mkdir()
    paths = [folder / ("below" if place % 2 else "") / f"{place:03d}.png" for place in range(30)]
    for picture, path in zip(PICTURES, paths, strict=False):
        Image.fromarray(picture).save(path)
    return paths


def a_folder_of_pictures(folder):
    save_pictures(folder)
    return folder


def a_list_of_pictures(folder):
    return save_pictures(folder)[::-1]


def a_pattern_of_pictures(folder):
    save_pictures(folder)
    return f"{folder}/**/*[0-57].png"


KINDS = [
    *(
        a_parquet,
        a_parquet_with_empty_row_groups,
        a_parquet_of_one_row_group,
        a_parquet_of_dictionaries,
        a_parquet_of_polars,
    ),
    *(a_feather, a_feather_not_packed, a_feather_of_polars, an_arrow_file, an_old_arrow_file),
    *(a_csv, a_packed_csv, a_csv_without_names),
    *(an_npy, an_npy_of_pictures, an_npy_of_the_other_end, an_npy_in_fortran_order),
    *(a_memmap, a_part_of_a_memmap, a_memmap_in_pieces, a_memmap_changed_in_memory, a_memmap_changed_in_the_file),
    *(a_folder_of_parquet, a_folder_of_feather, a_folder_of_csv, a_list_of_csv, a_pattern, a_pattern_of_packed_csv),
    *(arrays_in_several_files, a_folder_of_folders, a_dataset, a_dataset_of_csv),
    *(a_folder_of_pictures, a_list_of_pictures, a_pattern_of_pictures),
]
every_kind = pytest.mark.parametrize("make", KINDS, ids=lambda make: make.__name__)


@every_kind
@pytest.mark.parametrize("rows", [1, 7, 1000])
def test_chunks_together_are_what_reading_at_once_gives(tmp_path, small_pieces, make, rows):
    data = make(tmp_path)
    whole, stream = open_source(data), streamed(data)
    assert isinstance(whole, Source) and stream.size == whole.size and stream.frame == whole.frame
    chunks = list(stream.chunks(rows))
    assert [chunk.size for chunk in chunks] == [chunk.size for chunk in whole.chunks(rows)]
    assert all(chunk.frame == whole.frame for chunk in chunks)
    assert_same(joined(chunk.values for chunk in chunks), whole.values)
    assert sum((chunk.names for chunk in chunks), ()) == whole.names == stream.names


@every_kind
def test_pieces_can_be_read_apart_and_in_any_order(tmp_path, small_pieces, make):
    data = make(tmp_path)
    whole, stream = open_source(data).values, streamed(data)
    assert len(stream.pieces) > 1 or make in (a_packed_csv, a_parquet_of_one_row_group)
    starts = np.cumsum([0, *(piece.size for piece in stream.pieces)])
    for start, piece in reversed(list(zip(starts, stream.pieces, strict=False))):
        blocks = list(piece.blocks(5))
        assert max(len(block) for block in blocks) <= 5
        assert_same(joined(blocks), whole[start : start + piece.size])
    assert starts[-1] == stream.size


@every_kind
def test_the_head_shows_what_the_records_look_like(tmp_path, small_pieces, make):
    data = make(tmp_path)
    whole, stream = open_source(data), streamed(data)
    assert 1 <= len(stream.head) <= stream.size
    assert_same(stream.head, whole.values[: len(stream.head)])
    assert whole.record_bytes / 3 < stream.record_bytes < whole.record_bytes * 3


@every_kind
def test_memory_decides_between_reading_and_streaming(tmp_path, make):
    data = make(tmp_path)
    need = in_memory_bytes(streamed(data))
    text = "csv" in make.__name__ and make not in (a_dataset_of_csv, a_folder_of_csv, a_list_of_csv)
    if not text:  # the need of one text is told from its size, before it is read
        assert isinstance(open_source(data, max_memory=need - 1), Stream)
        assert isinstance(open_source(data, max_memory=need), Source)
    assert isinstance(open_source(data, max_memory=100 * need), Source)


@every_kind
def test_an_adapter_learned_from_a_stream_is_the_one_learned_at_once(tmp_path, small_pieces, make):
    data = make(tmp_path)
    whole, adapter = open_source(data), fit_adapter(streamed(data))
    assert adapter == fit_adapter(whole.values)
    chunks = [adapter.encode(chunk.values) for chunk in streamed(data).chunks(7)]
    assert_same(np.concatenate(chunks), adapter.encode(whole.values))


def test_data_in_memory_stay_there():
    for data in (ROWS, TABLE, TABLE.to_pandas(), polars.from_arrow(TABLE), ROWS.tolist()):
        assert isinstance(open_source(data, max_memory=0), Source)


def test_an_open_stream_is_left_alone(tmp_path):
    stream = streamed(an_npy(tmp_path))
    assert open_source(stream) is stream


def test_the_need_of_tables_counts_cells_and_numbers():
    rows = pa.table({"a": np.zeros(10), "b": np.zeros(10)})
    assert in_memory_bytes(Source(rows, frame="pyarrow")) == 10 * 2 * (8 + 8)
    assert in_memory_bytes(Source(np.zeros((10, 2)))) == 10 * 2 * 8


# --- only what is needed is read ---------------------------------------------------------------------------------


def test_a_huge_array_is_opened_and_begun_without_reading_it(tmp_path):
    header = {"descr": "<f4", "fortran_order": False, "shape": (10**9, 16)}
    with open(tmp_path / "huge.npy", "wb") as file:
        np.lib.format.write_array_header_1_0(file, header)
        file.truncate(file.tell() + 64 * 10**9)  # nothing of it is ever written
    stream = streamed(tmp_path / "huge.npy")
    assert stream.size == 10**9 and in_memory_bytes(stream) == 64 * 10**9
    assert next(stream.chunks(1000)).values.shape == (1000, 16)
    assert next(stream.pieces[-1].blocks(10)).shape == (10, 16)


@pytest.mark.parametrize("compression", ["snappy", "none"])
def test_a_huge_row_group_is_read_in_blocks(tmp_path, monkeypatch, compression):
    monkeypatch.setattr(f"{ROOM}._stream_parquet._BUFFERED_BYTES", 1 << 18)
    numbers = np.random.default_rng(0).normal(size=(4, 200_000))
    table = pa.table(list(map(pa.array, numbers)), names=list("abcd"))
    parquet.write_table(
        table, tmp_path / "one.parquet", compression=compression, use_dictionary=False, data_page_size=1 << 14
    )
    del table
    stream = streamed(tmp_path / "one.parquet")
    assert len(stream.pieces) == 1
    before, most = pa.total_allocated_bytes(), 0
    for block in stream.pieces[0].blocks(1000):
        most = max(most, pa.total_allocated_bytes() - before)
        assert len(block) <= 1000
    assert most < numbers.nbytes / 4


def test_small_row_groups_are_read_together(tmp_path):
    assert len(streamed(a_parquet(tmp_path)).pieces) == 1


class Unread:
    """A piece that knows which columns it was asked for, and cannot be read."""

    size = SIZE

    def __init__(self, asked, readable=()):
        self.asked, self.readable = asked, readable

    def select(self, columns):
        self.asked.append(list(columns))
        return Unread(self.asked, list(columns))

    def blocks(self, rows):
        assert self.readable, "a pass over all columns"
        for start in range(0, SIZE, rows):
            yield TABLE.select(self.readable).slice(start, rows)


def test_an_adapter_reads_only_the_columns_that_have_to_be_counted():
    asked = []
    stream = Stream((Unread(asked),), SIZE, 50, "pyarrow", (), TABLE.slice(0, 5))
    assert fit_adapter(stream) == TableAdapter.fit(TABLE)
    assert asked == [["text", "truth"]]


def test_no_pass_is_made_where_nothing_has_to_be_counted():
    numbers = TABLE.select(["number", "single", "day", "nothing"])
    fit_adapter(Stream((Unread([]),), SIZE, 50, "pyarrow", (), numbers.slice(0, 50)))


def test_columns_that_begin_empty_are_read_up_to_the_first_value():
    asked = []
    stream = Stream((Unread(asked),), SIZE, 50, "pyarrow", (), TABLE.slice(0, 0).select(["number", "nothing"]))
    assert [column.kind for column in fit_adapter(stream).columns] == ["number", "empty"]
    assert asked == [["number"]]


# --- chosen columns ----------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "make", [a_parquet, a_feather, a_csv, a_packed_csv, a_folder_of_parquet, a_dataset, a_folder_of_folders]
)
@pytest.mark.parametrize("columns", [["text", "number"], ["truth"]])
def test_chosen_columns_are_those_of_the_whole(tmp_path, small_pieces, make, columns):
    data = make(tmp_path)
    stream, whole = streamed(data).select(columns), open_source(data).select(columns)
    assert_same(joined(chunk.values for chunk in stream.chunks(9)), whole.values)
    assert_same(stream.head, whole.values[: len(stream.head)])
    assert whole.record_bytes / 3 < stream.record_bytes < whole.record_bytes * 3


def test_a_column_that_only_the_folders_name_can_be_chosen_alone(tmp_path):
    stream = streamed(a_folder_of_folders(tmp_path)).select(["year"])
    assert joined(chunk.values for chunk in stream.chunks(9))["year"].to_pylist() == [2023] * 30 + [2024] * 60


def test_columns_that_are_not_there_are_named(tmp_path):
    for data in (streamed(a_parquet(tmp_path)), Source(TABLE, frame="pyarrow")):
        with pytest.raises(DataError, match=r"no column 'towm'; its columns are number, single"):
            data.select(["number", "towm"])
        with pytest.raises(DataError, match="name at least one"):
            data.select([])
    for data in (streamed(an_npy(tmp_path)), Source(ROWS)):
        with pytest.raises(DataError, match="not a table"):
            data.select(["number"])


def test_names_with_dots_are_names(tmp_path):
    table = pa.table({"a": [1, 2], "a.b": [3, 4], "b.a": [5, 6]})
    parquet.write_table(table, tmp_path / "dots.parquet")
    stream = streamed(tmp_path / "dots.parquet")
    assert_same(joined(chunk.values for chunk in stream.chunks(1)), table)
    assert_same(joined(chunk.values for chunk in stream.select(["a"]).chunks(1)), table.select(["a"]))


# --- what lies in memory, in chunks ------------------------------------------------------------------------------


@pytest.mark.parametrize("make", [pandas.DataFrame, polars.DataFrame])
def test_chunks_and_columns_of_tables_in_memory_go_back_to_their_library(make):
    frame = make({"a": np.arange(5.0), "b": np.arange(5), "c": list("vwxyz")})
    source = open_source(frame).select(["c", "a"])
    given_back = [chunk.give_back(chunk.values) for chunk in source.chunks(2)]
    expected = frame[["c", "a"]]
    assert len(given_back) == 3 and all(isinstance(part, make) for part in given_back)
    assert all(part.equals(expected[place * 2 : place * 2 + 2]) for place, part in enumerate(given_back))


def test_chunks_of_pandas_keep_their_index():
    frame = pandas.DataFrame({1: [0.5, 1.5, 2.5]}, index=list("xyz"))
    chunks = list(open_source(frame).chunks(2))
    assert [list(chunk.give_back(chunk.values).index) for chunk in chunks] == [["x", "y"], ["z"]]
    assert list(open_source(frame).select(["1"]).give_back(pa.table({"1": [0.0] * 3})).columns) == [1]


def test_chunks_of_pictures_keep_their_names(tmp_path):
    source = open_source(a_folder_of_pictures(tmp_path))
    assert [chunk.names for chunk in source.chunks(16)] == [source.names[:16], source.names[16:]]


# --- text files --------------------------------------------------------------------------------------------------

TEXTS = {
    "quoted new lines": 'a,b\n"x\ny",1\n"\n",2\n"z ""q"" \n, ",3\n' * 1,
    "windows": 'a,b\r\n"x\r\ny",1\r\n,2\r\nz,\r\n',
    "old mac": "a,b\rx,1\ry,2\rz,\r",
    "missing cells": "a,b\n,1\nNA,\nx,nan\n,\n",
    "a text in the last record": "a,b\n" + "1,2\n" * 30 + "one,2\n",
    "a fraction in the last record": "a,b\n" + "1,2\n" * 30 + "1.5,2\n",
    "hexadecimals and a fraction": "a,b\n" + "0x1F,2\n" * 30 + "1.5,2\n",
    "digits and truth values": "a,b\n" + "1,2\n0,1\n" * 30 + "true,true\n",
    "days and instants": "a,b\n2020-01-01,2020-01-01\n2020-01-01 10:00,2020-01-01\n,2020-01-01 01:02:03.5\n",
    "a day before nanoseconds": "a,b\n0001-01-01,1\n2020-01-01,1\n2020-01-01 01:02:03.5,1\n",
    "times in zones": "a,b\n2020-01-01 10:00:00Z,10:00\n2020-01-01 10:00:00.5Z,11:00:01\n",
    "times of one zone": "a,b\n2020-01-01 10:00:00Z,10:00\n2020-01-01 10:00:00,x\n",
    "nothing, then a number": "a,b\n" + ",\n" * 30 + "1,\n",
    "without names": "1.5;2;x\n3;4;\n;5;y\n",
    "without names, numbers only": "1.5\t2\n3\t4\n\t5\n",
    "without a last new line": "a,b\n1,2\n3,4",
    "empty lines": "\n\na,b\n\n1,2\n\n\n3,4\n\n",
    "quotes inside fields": 'a,b\n5" pipe,1\n"x"y"z,2\n6" pipe,"a""\n""b"\n"a\nb",4\n',
    "one column": "a\n1\n\n2\n",
    "names in quotes": '"a\nname","b ""q"""\n1,2\n3,4\n',
    "a mark without names": "\ufeff1.5;2\n3;4\n",
    "a mark and semicolons": "\ufeffa;b\n1;2\n3;4\n",
}


@pytest.mark.parametrize("piece_bytes", [1, 16, 1000])
@pytest.mark.parametrize("packed", [False, True])
@pytest.mark.parametrize("text", TEXTS.values(), ids=TEXTS.keys())
def test_texts_in_pieces_are_the_text_at_once(tmp_path, monkeypatch, text, packed, piece_bytes):
    monkeypatch.setattr(f"{ROOM}._stream_text.PIECE_BYTES", piece_bytes)
    path = tmp_path / ("table.csv.gz" if packed else "table.csv")
    path.write_bytes(gzip.compress(text.encode()) if packed else text.encode())
    stream, whole = streamed(path), open_source(path)
    assert_same(joined(chunk.values for chunk in stream.chunks(2)), whole.values)
    assert packed or piece_bytes > 1 or len(stream.pieces) > 1


def test_latin_1_is_understood_in_pieces(tmp_path, monkeypatch):
    monkeypatch.setattr(f"{ROOM}._stream_text.PIECE_BYTES", 16)
    (tmp_path / "table.csv").write_bytes("größe;ort\n1;Köln\n2;Györ\n3;x\n".encode("latin1"))
    stream = streamed(tmp_path / "table.csv")
    assert joined(stream.chunks(1).__next__().values for _ in range(1)).to_pydict() == {"größe": [1], "ort": ["Köln"]}
    assert_same(joined(chunk.values for chunk in stream.chunks(2)), open_source(tmp_path / "table.csv").values)


CELLS = ["", "NA", "0", "1", "7", "-3", "0x1F", "2.5", "1e400", "true", "False", "2020-02-29", "0001-01-01"]
CELLS += ["10:00", "23:59:59", "2020-01-01 10:00", "2020-01-01T10:00:00.25", "2020-01-01 10:00Z"]
CELLS += ["2020-01-01 10:00:00.5Z", "word", '"quo""ted"', '"two\nlines"', '"two""\n""lines"', '5" pipe', '"a"b', "ä"]


@given(
    rows=st.lists(st.tuples(st.sampled_from(CELLS), st.sampled_from(CELLS)), min_size=1, max_size=12),
    piece_bytes=st.integers(1, 40),
    line_end=st.sampled_from(["\n", "\r\n"]),
)
def test_columns_get_the_types_that_the_whole_text_gives_them(tmp_path, rows, piece_bytes, line_end):
    path = tmp_path / "table.csv"
    lines = ["a,b", *(",".join(row) for row in rows)]
    path.write_bytes((line_end.join(lines) + line_end).encode())
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(f"{ROOM}._stream_text.PIECE_BYTES", piece_bytes)
        stream = streamed(path)
        assert_same(joined(chunk.values for chunk in stream.chunks(3)), open_source(path).values)


@given(
    cells=st.lists(st.sampled_from(['"', '""', ",", "\n", "x", '"y"', "\r\n"]), max_size=40), size=st.integers(1, 9)
)
def test_cutting_loses_nothing_and_cuts_where_lines_end(cells, size):
    text = "".join(cells).encode()
    rest = [text]

    def read(count):
        taken, rest[0] = rest[0][:count], rest[0][count:]
        return taken

    parts = list(cut_records(read, ",", size))
    assert b"".join(parts) == text
    assert all(part.endswith((b"\n", b"\r")) for part in parts[:-1])


def test_a_quote_that_is_never_closed_is_pointed_out(tmp_path, monkeypatch):
    monkeypatch.setattr(f"{ROOM}._stream_text.PIECE_BYTES", 16)
    monkeypatch.setattr(f"{ROOM}._text_cutting.MOST_BYTES", 1 << 20)
    (tmp_path / "table.csv").write_text("a,b\n1,2\n" + '"' + "x,1\n" * 300_000)
    monkeypatch.setattr(f"{ROOM}._stream_text.PIECE_BYTES", 1 << 19)
    with pytest.raises(DataError, match="a record is longer than 1 MB; look for a quote that is not closed"):
        streamed(tmp_path / "table.csv")


@pytest.mark.parametrize("packed", [False, True])
def test_a_text_that_changed_after_it_was_opened_is_refused(tmp_path, packed):
    path = tmp_path / ("table.csv.gz" if packed else "table.csv")
    pack = gzip.compress if packed else bytes
    path.write_bytes(pack(b"a,b\n1,2\n3,4\n"))
    stream = streamed(path)
    path.write_bytes(pack(b"a,b\n1,x\n3,4\n"))
    with pytest.raises(DataError, match=r"'table.csv.* cannot be read"):
        list(stream.chunks(10))
    path.write_bytes(pack(b"a,b\n1,2\n\n\n\n"))
    with pytest.raises(DataError, match="changed after it was opened"):
        list(stream.chunks(10))


def test_a_feather_file_that_changed_after_it_was_opened_is_refused(tmp_path):
    stream = streamed(a_feather(tmp_path))
    feather.write_feather(TABLE, str(tmp_path / "table.feather"), chunksize=12)
    with pytest.raises(DataError, match=r"'table.feather' is broken or changed after it was opened; open it again"):
        list(stream.chunks(10))


def test_an_array_with_a_broken_head_is_refused(tmp_path):
    head = b"{'descr': ('<f8', "
    (tmp_path / "a.npy").write_bytes(b"\x93NUMPY\x01\x00" + len(head).to_bytes(2, "little") + head)
    for wishes in ({}, {"max_memory": 0}):
        with pytest.raises(DataError, match=r"'a.npy' cannot be read"):
            open_source(tmp_path / "a.npy", **wishes)


# --- broken files ------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("make", [a_parquet, a_feather, a_csv, a_packed_csv, an_npy, an_npy_in_fortran_order])
def test_a_file_that_was_cut_off_after_it_was_opened_is_named(tmp_path, small_pieces, make):
    path = make(tmp_path)
    stream = streamed(path)
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])
    with pytest.raises(DataError, match=path.name) as caught:
        list(stream.chunks(10))
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("name", ["a.parquet", "a.feather", "a.csv", "a.csv.gz", "a.npy"])
@pytest.mark.parametrize("content", [b"", b"no such thing \0"])
def test_what_cannot_be_opened_is_named(tmp_path, name, content):
    (tmp_path / name).write_bytes(content)
    with pytest.raises(DataError, match=name):
        streamed(tmp_path / name)


@settings(max_examples=150)
@given(data=st.data())
def test_damaged_files_are_refused_or_read(tmp_path, data):
    """Never an exception of the libraries beneath."""
    make = data.draw(st.sampled_from([a_parquet, a_feather, a_feather_not_packed, a_csv, a_packed_csv, an_npy]))
    folder = tmp_path / make.__name__
    folder.mkdir(exist_ok=True)
    path = make(folder)
    content = bytearray(path.read_bytes())
    if data.draw(st.booleans()):
        del content[data.draw(st.integers(0, len(content) - 1)) :]
    else:
        content[data.draw(st.integers(0, len(content) - 1))] ^= data.draw(st.integers(1, 255))
    path.write_bytes(bytes(content))
    try:
        for chunk in streamed(path).chunks(40):
            assert chunk.size <= 40
    except DataError as error:
        assert "\n" not in str(error)


def test_streams_without_records_are_refused(tmp_path):
    parquet.write_table(TABLE.slice(0, 0), tmp_path / "a.parquet")
    feather.write_feather(TABLE.slice(0, 0), str(tmp_path / "a.feather"))
    (tmp_path / "a.csv").write_text("a,b\n")
    for name in ("a.parquet", "a.feather", "a.csv"):
        for wishes in ({}, {"max_memory": 0}):
            with pytest.raises(DataError, match="no records"):
                open_source(tmp_path / name, **wishes)


def test_a_name_that_occurs_twice_is_refused(tmp_path):
    (tmp_path / "a.csv").write_text("a,a\n1,2\n")
    with pytest.raises(DataError, match="'a' occurs more than once"):
        streamed(tmp_path / "a.csv")


# --- many files --------------------------------------------------------------------------------------------------


def write_all(folder, **tables):
    for name, table in tables.items():
        parquet.write_table(pa.table(table), folder / f"{name}.parquet")
    return folder


def test_types_of_several_files_are_widened(tmp_path):
    write_all(
        tmp_path,
        one={"a": pa.array([1], pa.int8()), "b": pa.nulls(1), "c": pa.array([2**53 + 1], pa.int64())},
        two={"c": pa.array([0.5], pa.float32()), "b": ["x"], "a": pa.array([300], pa.int64())},
    )
    values = open_source(tmp_path).values
    assert values.to_pydict() == {"a": [1, 300], "b": [None, "x"], "c": [2.0**53, 0.5]}
    assert [str(type_) for type_ in values.schema.types] == ["int64", "string", "double"]
    assert_same(joined(chunk.values for chunk in streamed(tmp_path).chunks(1)), values)


def test_texts_and_dictionaries_of_texts_agree(tmp_path):
    write_all(tmp_path, one={"a": ["x"]}, two={"a": pa.array(["y"]).dictionary_encode()})
    assert open_source(tmp_path).values.to_pydict() == {"a": ["x", "y"]}


def test_columns_of_several_texts_have_one_type(tmp_path):
    (tmp_path / "one.csv").write_text("a,b\n1,2\n")
    (tmp_path / "two.csv").write_text("b;a\n2.5;x\n")
    assert open_source(tmp_path).values.to_pydict() == {"a": ["1", "x"], "b": [2.0, 2.5]}


def test_files_that_differ_are_refused_by_name(tmp_path):
    write_all(tmp_path, one={"a": [1]}, two={"a": ["x"]})
    with pytest.raises(DataError, match=r"column 'a' holds int64 in 'one.parquet' and string in 'two.parquet'; give"):
        open_source(tmp_path)
    write_all(tmp_path, two={"b": [1]})
    with pytest.raises(DataError, match=r"'one.parquet' has a column 'a' and 'two.parquet' has none"):
        open_source(tmp_path)
    (tmp_path / "one.csv").write_text("a\n1\n")
    (tmp_path / "two.csv").write_text("a,b\n1,2\n")
    with pytest.raises(DataError, match=r"'two.csv' has a column 'b' and 'one.csv' has none"):
        open_source([tmp_path / "one.csv", tmp_path / "two.csv"])
    for name, array in (("one", np.zeros((2, 3))), ("two", np.zeros((2, 4)))):
        np.save(tmp_path / f"{name}.npy", array)
    with pytest.raises(DataError, match=r"'one.npy' holds records of float64 of shape \(3,\) and 'two.npy'"):
        open_source([tmp_path / "one.npy", tmp_path / "two.npy"])


def test_files_of_several_kinds_are_refused(tmp_path):
    write_all(tmp_path, one={"a": [1]})
    (tmp_path / "two.csv").write_text("a\n1\n")
    with pytest.raises(DataError, match=r"files of several kinds \(Parquet, text\); name those to read"):
        open_source(tmp_path)
    with pytest.raises(DataError, match=r"'two.csv' cannot be read together with 'one.parquet'"):
        open_source([tmp_path / "one.parquet", tmp_path / "two.csv"])
    with pytest.raises(DataError, match=r"there is no file .*absent.parquet"):
        open_source([tmp_path / "one.parquet", tmp_path / "absent.parquet"])
    with pytest.raises(DataError, match=r"no file matches .*\*.feather"):
        open_source(str(tmp_path / "*.feather"))


def test_folders_name_columns(tmp_path):
    values = open_source(a_folder_of_folders(tmp_path)).values
    assert values["year"].to_pylist() == [2023] * 30 + [2024] * 60
    assert sorted(set(values["kind"].to_pylist())) == ["/", "a"]
    below = tmp_path / "year=__HIVE_DEFAULT_PARTITION__" / "kind=b"
    below.mkdir(parents=True)
    parquet.write_table(TABLE.append_column("kind", pa.nulls(SIZE)), below / "part.parquet")
    (below / "part.parquet").rename(below / "other.parquet")
    with pytest.raises(DataError, match="'kind'"):
        open_source(tmp_path)
    parquet.write_table(TABLE, below / "other.parquet")
    assert open_source(tmp_path).values["year"].null_count == SIZE


def test_what_a_folder_says_goes_before_what_its_files_hold(tmp_path):
    for year in (2023, 2024):
        (tmp_path / f"year={year}").mkdir()
        write_all(tmp_path / f"year={year}", part={"year": ["?"], "a": [1]})
    values = open_source(tmp_path).values
    assert values.column_names == ["a", "year"] and values["year"].to_pylist() == [2023, 2024]


def test_folders_that_do_not_say_the_same_are_refused(tmp_path):
    a_folder_of_folders(tmp_path)
    parquet.write_table(TABLE, tmp_path / "part.parquet")
    with pytest.raises(DataError, match=r"lie in folders of which only one names '(kind|year)'"):
        open_source(tmp_path)


def test_a_filtered_dataset_is_refused(tmp_path):
    dataset = a_dataset(tmp_path).filter(arrow_dataset.field("year") == 2024)
    with pytest.raises(DataError, match="filtered dataset"):
        open_source(dataset)


# --- pictures ----------------------------------------------------------------------------------------------------


def test_pictures_without_a_readable_head_are_left_out_with_one_warning(tmp_path, small_pieces):
    paths = save_pictures(tmp_path)
    paths[4].write_bytes(b"no picture")
    with pytest.warns(RefoldWarning, match="1 of 30 pictures cannot be read and are left out: 004.png") as caught:
        stream = streamed(tmp_path)
    assert len(caught) == 1 and stream.size == len(stream.names) == 29
    assert joined(chunk.values for chunk in stream.chunks(7)).shape == (29, 4, 6)


def test_a_picture_that_cannot_be_decoded_is_named_when_it_is_reached(tmp_path, small_pieces):
    paths = save_pictures(tmp_path)
    paths[5].write_bytes(paths[5].read_bytes()[:45])
    stream = streamed(tmp_path)
    assert stream.size == 30
    with pytest.raises(DataError, match=r"the picture '005.png' cannot be decoded; replace it or take it away"):
        list(stream.chunks(7))


def test_pictures_are_resized_in_pieces(tmp_path, small_pieces):
    save_pictures(tmp_path)
    Image.new("RGB", (9, 9)).save(tmp_path / "999.png")
    stream, whole = streamed(tmp_path, image_size=(3, 7)), open_source(tmp_path, image_size=(3, 7))
    assert whole.values.shape == (31, 3, 7, 3)
    assert_same(joined(chunk.values for chunk in stream.chunks(7)), whole.values)


# --- counting ----------------------------------------------------------------------------------------------------


@given(
    cells=st.lists(st.sampled_from([None, "a", "b", "c", "dd"]), min_size=1, max_size=40),
    cuts=st.lists(st.integers(0, 40), max_size=4),
)
def test_columns_learned_from_chunks_are_those_learned_at_once(cells, cuts):
    table = pa.table(
        {"text": pa.array(cells, pa.string()), "number": [len(cell) if cell else None for cell in cells]}
    )
    table = table.append_column("code", table["text"].cast(pa.large_string()).dictionary_encode())
    bounds = sorted({0, len(cells), *(cut for cut in cuts if cut < len(cells))})
    chunks = [table[start:stop] for start, stop in pairwise(bounds)]
    assert TableAdapter.fit_chunks(iter(chunks), table.schema) == TableAdapter.fit(table)


def test_frequent_texts_are_kept_where_there_are_too_many_to_count(monkeypatch):
    monkeypatch.setattr(f"{ROOM}._counting.MAX_COUNTED", 200)
    rng = np.random.default_rng(0)
    frequent = [f"often {place}" for place in range(10)]
    chunks = []
    for place in range(50):
        rare = [f"once {place} {number}" for number in range(300)]
        cells = [*rare, *(text for count, text in enumerate(frequent, start=6) for _ in range(count))]
        chunks.append(pa.table({"text": rng.permutation(cells)}))
    with pytest.warns(RefoldWarning, match="more than 200 different texts in 20250 rows, too many to learn"):
        adapter = TableAdapter.fit_chunks(chunks, chunks[0].schema)
    assert list(adapter.columns[0].categories[:10]) == frequent[::-1]


def test_a_text_that_becomes_frequent_late_is_found(monkeypatch):
    monkeypatch.setattr(f"{ROOM}._counting.MAX_COUNTED", 50)
    early = [f"early {place % 60}" for place in range(300)]
    later = [["late"] * 4 + [f"once {place} {number}" for number in range(110)] for place in range(100)]
    chunks = [pa.table({"text": cells}) for cells in (early, *later)]
    with pytest.warns(RefoldWarning, match="too many to learn"):
        adapter = TableAdapter.fit_chunks(chunks, chunks[0].schema)
    assert adapter.columns[0].categories[0] == "late"


def test_what_is_counted_stays_small(monkeypatch):
    from refold.data._counting import ColumnCounter

    monkeypatch.setattr(f"{ROOM}._counting.MAX_COUNTED", 100)
    monkeypatch.setattr(f"{ROOM}._counting._COUNTED_BYTES", 10_000)
    counter = ColumnCounter("text", pa.string())
    for place in range(20):
        counter.add(pa.chunked_array([[f"{place} {number} {'x' * 500}" for number in range(90)]]))
        assert sum(len(part) for part in counter._counts) <= 100
        assert sum(part.nbytes for part in counter._counts) <= 10_000
    with pytest.warns(RefoldWarning, match="more than"):
        assert counter.categories()


def test_identifiers_are_pointed_out_in_streams_too(tmp_path):
    (tmp_path / "a.csv").write_text("id,x\n" + "".join(f"name{place},1\n" for place in range(300)))
    with pytest.warns(RefoldWarning, match=r"column 'id' has 300 different texts in 300 rows"):
        fit_adapter(streamed(tmp_path / "a.csv"))


def test_nothing_warns_without_a_reason(tmp_path, small_pieces):
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        for make in (a_csv, a_parquet):
            fit_adapter(streamed(make(tmp_path)))


def test_the_first_version_of_feather_is_read_whole(tmp_path):
    path = tmp_path / "old.feather"
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)  # pyarrow would rather not know it any more
        feather.write_feather(pa.table({"a": [1.0, 2.0]}), path, version=1)
        assert open_source(path, max_memory=10**6).size == 2
