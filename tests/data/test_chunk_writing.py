"""Records written chunk by chunk are the records written at once, and a file appears whole or not at all."""

import os

import numpy as np
import pyarrow as pa
import pytest
from pyarrow import parquet

from refold import DataError
from refold.data import RecordWriter, open_source, write_records

TABLE = pa.table(
    {
        "number": [0.5, None, 2.0, 3.5, None],
        "text": ["a", "ä,b", None, "c\nd", "a"],
        "kind": pa.array(["x", "y", "x", None, "z"]).dictionary_encode(),
        "truth": [True, None, False, False, True],
    }
)
PICTURES = np.random.default_rng(0).integers(0, 256, (5, 4, 6)).astype(np.uint8)
ROWS = np.random.default_rng(0).normal(size=(5, 3))


def write_in_chunks(records, path, rows, names=()):
    with RecordWriter(path, len(records), names) as writer:
        for start in range(0, len(records), rows):
            writer.write(records[start : start + rows])


def as_plain(values):
    return values.to_pydict() if isinstance(values, pa.Table) else values.tolist()


@pytest.mark.parametrize("rows", [1, 2, 5])
@pytest.mark.parametrize(
    ("records", "name"),
    [
        (TABLE, "out.parquet"),
        (TABLE, "out.csv"),
        (TABLE.to_pandas(), "out.parquet"),
        (ROWS, "out.parquet"),
        (ROWS, "out.csv"),
        (ROWS, "out.npy"),
        (ROWS.astype(np.float16)[:, ::-1], "out.npy"),
        (np.asfortranarray(ROWS), "deep/er/out.npy"),
        (PICTURES, "out.npy"),
        (PICTURES, "out"),
        (PICTURES.astype(np.int64), "out"),
        (PICTURES[..., None], "out"),
        (PICTURES / 255, "out"),
    ],
    ids=lambda item: item if isinstance(item, str) else str(getattr(item, "dtype", type(item).__name__)),
)
def test_chunks_make_the_file_that_the_whole_makes(tmp_path, records, name, rows):
    write_records(records, tmp_path / "whole" / name)
    write_in_chunks(records, tmp_path / "chunks" / name, rows)
    whole, chunks = (open_source(tmp_path / folder / name) for folder in ("whole", "chunks"))
    assert as_plain(chunks.values) == as_plain(whole.values) and chunks.names == whole.names


def test_texts_and_arrays_are_the_same_to_the_byte(tmp_path):
    for records, name in ((TABLE, "out.csv"), (ROWS, "out.npy")):
        write_records(records, tmp_path / name)
        whole = (tmp_path / name).read_bytes()
        write_in_chunks(records, tmp_path / name, 2)
        assert (tmp_path / name).read_bytes() == whole
    np.save(tmp_path / "numpy.npy", ROWS)
    assert (tmp_path / "numpy.npy").read_bytes() == whole


def test_a_chunk_is_a_row_group(tmp_path):
    write_in_chunks(TABLE, tmp_path / "out.parquet", 2)
    metadata = parquet.read_metadata(tmp_path / "out.parquet")
    assert [metadata.row_group(place).num_rows for place in range(3)] == [2, 2, 1]


def test_pictures_get_the_names_they_would_get_at_once(tmp_path):
    for names in ((), ["b.jpg", "below/a.tif", "c.png", "d.png", "e.png"], ["a.jpg"] * 5):
        write_records(PICTURES, tmp_path / f"whole{len(names)}", names)
        write_in_chunks(PICTURES, tmp_path / f"chunks{len(names)}", 2, names)
        whole, chunks = (open_source(tmp_path / f"{kind}{len(names)}") for kind in ("whole", "chunks"))
        assert chunks.names == whole.names and np.array_equal(chunks.values, whole.values)


def test_packed_arrays_are_refused_with_advice(tmp_path):
    with pytest.raises(DataError, match=r"'out.npz' is packed as a whole and cannot be written in chunks; take .npy"):
        RecordWriter(tmp_path / "out.npz", 5)


@pytest.mark.parametrize(
    ("first", "second", "name", "words"),
    [
        (ROWS, ROWS[:, :2], "out.npy", r"of shape \(3,\) and cannot take records of float64 of shape \(2,\)"),
        (ROWS, ROWS.astype(np.float32), "out.npy", "float64 .* cannot take records of float32"),
        (ROWS, TABLE, "out.npy", "cannot hold a table"),
        (TABLE, TABLE.select(["text"]), "out.parquet", "unlike those before"),
        (TABLE.select(["number"]), pa.table({"number": ["x"]}), "out.parquet", "unlike those before"),
        (TABLE.select(["number"]), pa.table({"number": ["x"]}), "out.csv", "unlike those before"),
    ],
)
def test_chunks_unlike_those_before_are_refused_and_nothing_is_left(tmp_path, first, second, name, words):
    with (
        pytest.raises(DataError, match=words),
        RecordWriter(tmp_path / name, len(first) + len(second)) as writer,
    ):
        writer.write(first)
        writer.write(second)
    assert os.listdir(tmp_path) == []


@pytest.mark.parametrize("name", ["out.parquet", "out.csv", "out.npy"])
@pytest.mark.parametrize("size", [4, 6])
def test_another_number_of_records_than_announced_leaves_nothing(tmp_path, name, size):
    with (
        pytest.raises(DataError, match=f"5 records were written to .* and {size} were announced"),
        RecordWriter(tmp_path / name, size) as writer,
    ):
        writer.write(ROWS)
    assert os.listdir(tmp_path) == []


@pytest.mark.parametrize("name", ["out.parquet", "out.csv", "out.npy"])
@pytest.mark.parametrize("error", [ZeroDivisionError, KeyboardInterrupt])
def test_a_failure_between_chunks_leaves_the_old_file(tmp_path, name, error):
    write_records(ROWS, tmp_path / name)
    before = (tmp_path / name).read_bytes()
    with pytest.raises(error), RecordWriter(tmp_path / name, 10) as writer:
        writer.write(ROWS)
        raise error
    assert os.listdir(tmp_path) == [name] and (tmp_path / name).read_bytes() == before


def test_an_ending_that_cannot_be_written_is_refused_before_any_work(tmp_path):
    with pytest.raises(DataError, match=r"'out.xlsx' has an ending that cannot be written; allowed are .parquet"):
        RecordWriter(tmp_path / "out.xlsx", 5)
