"""What is written can be read again, and is written whole or not at all."""

import datetime
import os

import numpy as np
import pandas
import polars
import pyarrow as pa
import pytest
from PIL import Image

from refold import DataError
from refold.data import open_source, write_records

TABLE = pa.table(
    {
        "number": [0.5, None, 2.0],
        "text": ["a", "ä,b", None],
        "truth": [True, None, False],
        "day": [datetime.date(2020, 2, 29), None, datetime.date(1969, 1, 1)],
    }
)


@pytest.mark.parametrize("name", ["out.parquet", "out.csv", "deep/er/out.csv"])
def test_tables_come_back(tmp_path, name):
    write_records(TABLE, tmp_path / name)
    assert open_source(tmp_path / name).values.to_pydict() == TABLE.to_pydict()


@pytest.mark.parametrize("make", [pandas.DataFrame, polars.DataFrame, pa.table])
def test_tables_of_every_library_are_written(tmp_path, make):
    write_records(make({"a": [1, 2], "b": ["x", "y"]}), tmp_path / "out.csv")
    assert open_source(tmp_path / "out.csv").values.to_pydict() == {"a": [1, 2], "b": ["x", "y"]}


@pytest.mark.parametrize("ending", ["csv", "parquet"])
@pytest.mark.parametrize(
    "column",
    [
        pa.array(["x", "y", "x"]).dictionary_encode(),
        pa.array([datetime.timedelta(hours=1)] * 3),
        pa.array([datetime.time(3, 4)] * 3),
        pa.array([datetime.datetime(2020, 1, 1, 3)] * 3, type=pa.timestamp("us", tz="UTC")),
        pa.array([1, 2, 3], type=pa.decimal128(5, 2)),
        pa.array([0.5, 1.5, 2.5], type=pa.float16()),
        pa.nulls(3),
    ],
    ids=lambda column: str(column.type),
)
def test_every_column_that_can_be_learned_can_be_written(tmp_path, ending, column):
    write_records(pa.table({"a": column, "b": [1, 2, 3]}), tmp_path / f"out.{ending}")
    assert open_source(tmp_path / f"out.{ending}").size == 3


@pytest.mark.parametrize("shape", [(3, 2), (3, 4, 5), (3, 4, 5, 3)])
@pytest.mark.parametrize("ending", ["npy", "npz"])
def test_arrays_come_back(tmp_path, shape, ending):
    array = np.random.default_rng(0).normal(size=shape)
    write_records(array, tmp_path / f"out.{ending}")
    assert np.array_equal(open_source(tmp_path / f"out.{ending}").values, array)


def test_rows_of_numbers_are_a_table_too(tmp_path):
    write_records(np.array([[1.5, 2], [3, 4]]), tmp_path / "out.csv")
    assert open_source(tmp_path / "out.csv").values.to_pydict() == {"0": [1.5, 3.0], "1": [2, 4]}
    write_records(np.array([[1.5], [3]]), tmp_path / "out.csv")
    assert open_source(tmp_path / "out.csv").values.to_pydict() == {"0": [1.5, 3.0]}


@pytest.mark.parametrize("shape", [(3, 4, 5), (3, 4, 5, 3)])
def test_pictures_come_back_from_a_folder(tmp_path, shape):
    pictures = np.random.default_rng(0).integers(0, 256, shape).astype(np.uint8)
    write_records(pictures, tmp_path / "out")
    assert np.array_equal(open_source(tmp_path / "out").values, pictures)


def test_pictures_of_one_channel_and_sixteen_bits_and_floats(tmp_path):
    write_records(np.full((1, 4, 5, 1), 7, dtype=np.uint8), tmp_path / "one")
    write_records(np.full((1, 4, 5), 40_000, dtype=np.uint16), tmp_path / "deep")
    write_records(np.full((1, 4, 5), 0.5, dtype=np.float32), tmp_path / "float")
    write_records(np.ones((1, 4, 5), dtype=bool), tmp_path / "bool")
    assert (open_source(tmp_path / "one").values == 7).all()
    assert (open_source(tmp_path / "deep").values == 40_000).all()
    assert (open_source(tmp_path / "float").values == 128).all()
    write_records(np.full((1, 4, 5, 3), 9), tmp_path / "whole")
    assert (open_source(tmp_path / "bool").values == 255).all()
    assert (open_source(tmp_path / "whole").values == 9).all()


def test_pictures_keep_their_names_and_folders(tmp_path):
    write_records(np.zeros((2, 4, 5), np.uint8), tmp_path / "out", ["a.jpg", "below/b.tif"])
    assert open_source(tmp_path / "out").names == ("a.png", "below/b.png")


def test_pictures_that_differ_in_their_ending_only_are_both_kept(tmp_path):
    pictures = np.stack([np.full((4, 5), value, np.uint8) for value in (1, 2)])
    for names in (["a.jpg", "a.png"], ["a.png", "a.png"]):
        write_records(pictures, tmp_path / "out", names)
        assert open_source(tmp_path / "out").values[:, 0, 0].tolist() == [1, 2]


@pytest.mark.parametrize(
    ("records", "name", "words"),
    [
        (TABLE, "out.npy", "cannot hold a table"),
        (TABLE, "out", "cannot hold a table"),
        (np.zeros((2, 3, 4)), "out.csv", r"cannot hold an array of shape \(2, 3, 4\)"),
        (np.zeros((2, 3)), "out", "are not pictures"),
        (np.zeros((2, 3, 4, 2)), "out", "are not pictures"),
        (np.full((2, 3, 4), 256), "out", "are not pictures"),
        (np.full((2, 3, 4), -1), "out", "are not pictures"),
        (np.full((2, 3, 4, 3), 256, np.uint16), "out", "are not pictures"),
        (TABLE, "out.xlsx", "an ending that cannot be written; allowed are .parquet"),
    ],
)
def test_what_does_not_fit_is_refused(tmp_path, records, name, words):
    with pytest.raises(DataError, match=words):
        write_records(records, tmp_path / name)
    assert os.listdir(tmp_path) == []


def test_a_failure_leaves_the_old_file_and_nothing_else(tmp_path, monkeypatch):
    write_records(TABLE, tmp_path / "out.csv")
    before = (tmp_path / "out.csv").read_bytes()
    monkeypatch.setattr("refold._atomic.os.replace", lambda *paths: (_ for _ in ()).throw(OSError("full")))
    with pytest.raises(OSError, match="full"):
        write_records(TABLE, tmp_path / "out.csv")
    assert (tmp_path / "out.csv").read_bytes() == before
    assert os.listdir(tmp_path) == ["out.csv"]


def test_pictures_are_real_pictures(tmp_path):
    write_records(np.zeros((1, 4, 5, 3), np.uint8), tmp_path / "out")
    with Image.open(tmp_path / "out" / "0.png") as image:
        assert (image.mode, image.size) == ("RGB", (5, 4))
