"""Whatever a user names is opened: arrays, CSV, Parquet, npy, npz, pictures and folders of them."""

import datetime
import gzip
import warnings

import numpy as np
import pandas
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image
from pyarrow import feather, parquet

from refold import DataError, RefoldWarning
from refold.data import Source, open_source

TABLE = pa.table({"a": [1, 2, 3], "b": ["x", None, "z"], "c": [0.5, 1.5, None]})


def written(tmp_path, content, name="table.csv"):
    path = tmp_path / name
    path.write_bytes(content if isinstance(content, bytes) else content.encode("utf8"))
    return path


def columns(path):
    return open_source(path).values.to_pydict()


# --- what lies in memory -----------------------------------------------------------------------------------------


@pytest.mark.parametrize("shape", [(4, 3), (4, 5, 6), (4, 5, 6, 3)])
def test_arrays_stay_as_they_are(shape):
    values = np.zeros(shape, dtype=np.uint8)
    source = open_source(values)
    assert source.values is values and source.size == 4 and source.frame is None


def test_lists_are_arrays():
    assert open_source([[1, 2], [3, 4]]).values.tolist() == [[1, 2], [3, 4]]


def test_an_open_source_is_left_alone():
    source = Source(np.zeros((2, 2)))
    assert open_source(source) is source


@pytest.mark.parametrize(
    "data", [5, [1, 2, 3], np.zeros(3), [["a", "b"]], np.zeros((0, 3)), np.zeros((2, 1, 1, 1, 1)), [], object()]
)
def test_what_holds_no_records_is_refused(data):
    with pytest.raises((ValueError, TypeError)):
        open_source(data)


def test_an_empty_table_is_refused():
    for table in (TABLE.slice(0, 0), pandas.DataFrame({"a": []})):
        with pytest.raises(DataError, match="no records"):
            open_source(table)


# --- text files --------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("delimiter", [",", ";", "\t", "|"])
def test_every_usual_delimiter_is_understood(tmp_path, delimiter):
    text = "\n".join(delimiter.join(row) for row in (["name", "size"], ["Ann", "1"], ["Bob", ""]))
    assert columns(written(tmp_path, text)) == {"name": ["Ann", "Bob"], "size": [1, None]}


@pytest.mark.parametrize("name", ["table.csv", "table.tsv", "table.txt", "TABLE.CSV"])
def test_every_usual_ending_is_understood(tmp_path, name):
    assert columns(written(tmp_path, "a\tb\n1\t2\n", name)) == {"a": [1], "b": [2]}


def test_packed_text_is_unpacked(tmp_path):
    assert columns(written(tmp_path, gzip.compress(b"a;b\n1;2\n"), "table.csv.gz")) == {"a": [1], "b": [2]}


def test_a_file_without_names_keeps_its_first_row(tmp_path):
    table = open_source(written(tmp_path, "1,2.5\n3,4.5\n")).values
    assert table.num_rows == 2 and table.column(0).to_pylist() == [1, 3]


def test_names_that_count_are_names(tmp_path):
    pandas.DataFrame([[5, 6], [7, 8]]).to_csv(tmp_path / "table.csv", index=False)
    assert columns(tmp_path / "table.csv") == {"0": [5, 7], "1": [6, 8]}


def test_a_byte_order_mark_is_not_part_of_a_name(tmp_path):
    assert columns(written(tmp_path, b"\xef\xbb\xbfa;b\n1;2\n")) == {"a": [1], "b": [2]}


def test_latin_1_is_understood(tmp_path):
    assert columns(written(tmp_path, "größe;ort\n1;Köln\n".encode("latin1"))) == {"größe": [1], "ort": ["Köln"]}


def test_a_character_cut_by_the_end_of_the_sample_is_still_utf8(tmp_path):
    text = "a\n" + "ä" * (1 << 19) + "\nü\n"
    assert columns(written(tmp_path, text))["a"][1] == "ü"
    assert columns(written(tmp_path, "b" + text))["ba"][1] == "ü"


def test_quotes_hold_delimiters_and_new_lines(tmp_path):
    assert columns(written(tmp_path, 'a,b\n"x,y","first\nsecond"\n')) == {"a": ["x,y"], "b": ["first\nsecond"]}


def test_empty_lines_before_the_names_are_skipped(tmp_path):
    assert columns(written(tmp_path, "\n\na;b\n1;2\n")) == {"a": [1], "b": [2]}


def test_dates_truth_values_and_missing_cells_are_understood(tmp_path):
    table = open_source(written(tmp_path, "day,member,x\n2020-02-29,true,\n,false,1.5\nNA,,nan\n")).values
    assert table["day"].to_pylist() == [datetime.date(2020, 2, 29), None, None]
    assert table["member"].to_pylist() == [True, False, None]
    assert table["x"].to_pylist()[:2] == [None, 1.5]


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (b"", "is empty"),
        (b"  \n \n", "is empty"),
        (b"a,b\n", "no records"),
        (b"a,b\n1,2\n1,2,3\n", "cannot be read"),
        (b"a\0b\n1\n", "not a text file"),
        ("a,b\n1,2\n".encode("utf16"), "not a text file"),
    ],
)
def test_broken_text_is_refused_by_name(tmp_path, content, words):
    with pytest.raises(DataError, match=words) as caught:
        open_source(written(tmp_path, content))
    assert "\n" not in str(caught.value)


# --- other files -------------------------------------------------------------------------------------------------


def test_parquet_and_feather(tmp_path):
    parquet.write_table(TABLE, tmp_path / "table.parquet")
    feather.write_feather(TABLE, str(tmp_path / "table.feather"))
    for name in ("table.parquet", "table.feather"):
        source = open_source(str(tmp_path / name))
        assert source.values.equals(TABLE) and source.frame == "pyarrow"


def test_parquet_of_pandas_leaves_the_index_as_a_column(tmp_path):
    pandas.DataFrame({"a": [1, 2]}, index=pandas.Index(["x", "y"], name="key")).to_parquet(tmp_path / "t.parquet")
    assert set(open_source(tmp_path / "t.parquet").values.column_names) == {"a", "key"}


def test_one_array(tmp_path):
    np.save(tmp_path / "one.npy", np.eye(3, dtype=np.int16))
    np.savez(tmp_path / "one.npz", anything=np.eye(3))
    assert open_source(tmp_path / "one.npy").values.dtype == np.int16
    assert open_source(tmp_path / "one.npz").values.shape == (3, 3)


def test_several_arrays_are_chosen_by_name(tmp_path):
    path = tmp_path / "several.npz"
    np.savez(path, first=np.zeros((2, 2)), second=np.ones((3, 4)))
    assert open_source(f"{path}::second").values.shape == (3, 4)
    with pytest.raises(DataError, match=r"several arrays \(first, second\); name one as several.npz::first"):
        open_source(path)
    with pytest.raises(DataError, match=r"no array 'third'; it holds first, second"):
        open_source(f"{path}::third")
    np.savez(path, y=np.zeros(2), X=np.ones((3, 4)))
    assert open_source(path).values.shape == (3, 4)


@pytest.mark.parametrize(
    "array", [np.array([[object()]]), np.array([["a"]]), np.zeros(3), np.zeros((0, 3)), np.zeros((2, 2), complex)]
)
def test_arrays_that_are_no_records_are_refused(tmp_path, array):
    np.save(tmp_path / "odd.npy", array, allow_pickle=True)
    np.savez(tmp_path / "odd.npz", X=array)
    for name in ("odd.npy", "odd.npz"):
        with pytest.raises(DataError, match="odd"):
            open_source(tmp_path / name)


def test_an_array_that_claims_to_be_huge_is_refused(tmp_path):
    header = {"descr": "<f8", "fortran_order": False, "shape": (10**9, 10**6)}
    with open(tmp_path / "huge.npy", "wb") as file:
        np.lib.format.write_array_header_1_0(file, header)
        file.write(b"\0" * 64)
    with pytest.raises(DataError, match=r"'huge.npy' cannot be read"):
        open_source(tmp_path / "huge.npy")


@pytest.mark.parametrize("name", ["absent.csv", "absent", "folder/absent.npy"])
def test_absent_files_are_named(tmp_path, name):
    with pytest.raises(DataError, match=r"there is no file or folder .*absent.*check the path"):
        open_source(tmp_path / name)


def test_files_of_other_kinds_are_refused_with_the_allowed_ones(tmp_path):
    with pytest.raises(DataError, match=r"'table.xlsx' is not of a kind that can be read; allowed are .csv"):
        open_source(written(tmp_path, b"PK", "table.xlsx"))


@settings(max_examples=120)
@given(data=st.data())
def test_damaged_files_are_refused_or_read(tmp_path, data):
    """Never an exception of the libraries beneath."""
    parquet.write_table(TABLE, tmp_path / "honest.parquet")
    feather.write_feather(TABLE, str(tmp_path / "honest.feather"))
    np.save(tmp_path / "honest.npy", np.eye(3))
    np.savez_compressed(tmp_path / "honest.npz", np.eye(3))
    (tmp_path / "honest.csv").write_text("a,b\n1,x\n2,y\n")
    (tmp_path / "honest.csv.gz").write_bytes(gzip.compress(b"a,b\n1,x\n2,y\n"))
    ending = data.draw(st.sampled_from(["parquet", "feather", "npy", "npz", "csv", "csv.gz"]))
    content = bytearray((tmp_path / f"honest.{ending}").read_bytes())
    if data.draw(st.booleans()):
        del content[data.draw(st.integers(0, len(content) - 1)) :]
    else:
        content[data.draw(st.integers(0, len(content) - 1))] ^= data.draw(st.integers(1, 255))
    path = written(tmp_path, bytes(content), f"damaged.{ending}")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        try:
            open_source(path)
        except DataError as error:
            assert "\n" not in str(error)


# --- pictures ----------------------------------------------------------------------------------------------------


def picture(mode="L", size=(6, 4), value=100):
    """A picture of one colour; `size` is width and height."""
    array = np.full((size[1], size[0]), value, dtype=np.uint8)
    return Image.fromarray(array).convert(mode)


def save_all(folder, **pictures):
    for name, image in pictures.items():
        image.save(folder / f"{name}.png")
    return folder


def test_a_folder_of_pictures_in_the_order_of_their_names(tmp_path):
    (tmp_path / "below").mkdir()
    save_all(tmp_path, b=picture(value=2), a=picture(value=1))
    save_all(tmp_path / "below", c=picture(value=3))
    (tmp_path / "notes.txt").write_text("no picture")
    (tmp_path / ".hidden.png").write_text("no picture")
    source = open_source(tmp_path)
    assert source.names == ("a.png", "b.png", "below/c.png")
    assert source.values[:, 0, 0].tolist() == [1, 2, 3]
    assert (source.values.shape, source.values.dtype) == ((3, 4, 6), np.uint8)


@pytest.mark.parametrize(
    ("modes", "shape", "dtype"),
    [
        (["L", "L"], (2, 4, 6), "uint8"),
        (["1", "L"], (2, 4, 6), "uint8"),
        (["RGB", "RGB"], (2, 4, 6, 3), "uint8"),
        (["L", "RGB"], (2, 4, 6, 3), "uint8"),
        (["P", "L"], (2, 4, 6, 3), "uint8"),
        (["RGBA", "RGB"], (2, 4, 6, 3), "uint8"),
        (["LA", "L"], (2, 4, 6), "uint8"),
    ],
)
def test_every_mode_becomes_grey_or_colour(tmp_path, modes, shape, dtype):
    save_all(tmp_path, **{f"picture{place}": picture(mode) for place, mode in enumerate(modes)})
    values = open_source(tmp_path).values
    assert (values.shape, values.dtype) == (shape, dtype)
    if "1" not in modes:
        assert (values == 100).all()


def test_sixteen_bits_are_kept_where_all_have_them(tmp_path):
    deep = Image.fromarray(np.full((4, 6), 40_000, dtype=np.uint16))
    save_all(tmp_path, a=deep, b=deep)
    values = open_source(tmp_path).values
    assert values.dtype == np.uint16 and (values == 40_000).all()
    save_all(tmp_path, c=picture(value=155))
    values = open_source(tmp_path).values
    assert values.dtype == np.uint8 and abs(values.astype(int) - 155).max() <= 1


def test_transparency_is_laid_on_white(tmp_path):
    save_all(tmp_path, a=Image.new("RGBA", (6, 4), (10, 20, 30, 0)), b=Image.new("RGBA", (6, 4), (10, 20, 30, 255)))
    values = open_source(tmp_path).values
    assert values[0, 0, 0].tolist() == [255, 255, 255] and values[1, 0, 0].tolist() == [10, 20, 30]


def test_a_picture_on_its_side_is_turned(tmp_path):
    upright = np.arange(24, dtype=np.uint8).reshape(4, 6)
    exif = Image.Exif()
    exif[0x0112] = 6  # to be turned clockwise
    Image.fromarray(np.rot90(upright)).save(tmp_path / "turned.png", exif=exif)
    Image.fromarray(upright).save(tmp_path / "upright.png")
    values = open_source(tmp_path).values
    assert values.shape == (2, 4, 6) and np.array_equal(values[0], values[1])


def test_pictures_of_mixed_size_are_refused_with_both_sizes(tmp_path):
    save_all(tmp_path, a=picture(size=(6, 4)), b=picture(size=(8, 5)))
    with pytest.raises(DataError, match=r"'a.png' is 4x6 and 'b.png' is 5x8 \(height x width\); give image_size="):
        open_source(tmp_path)
    values = open_source(tmp_path, image_size=(3, 7)).values
    assert values.shape == (2, 3, 7) and (values == 100).all()


def test_broken_pictures_are_left_out_and_named(tmp_path):
    save_all(tmp_path, a=picture(), c=picture())
    (tmp_path / "b.png").write_bytes((tmp_path / "a.png").read_bytes()[:45])
    (tmp_path / "d.jpg").write_bytes(b"no picture")
    with pytest.warns(RefoldWarning) as caught:
        source = open_source(tmp_path)
    named = " ".join(str(warning.message) for warning in caught)
    assert "b.png" in named and "d.jpg" in named and "left out" in named
    assert source.names == ("a.png", "c.png") and len(source.values) == 2


def test_a_folder_of_nothing_but_broken_pictures_is_refused(tmp_path):
    save_all(tmp_path, a=picture())
    (tmp_path / "a.png").write_bytes((tmp_path / "a.png").read_bytes()[:45])
    with pytest.raises(DataError, match=r"none of the 1 pictures can be read \('a.png'"):
        open_source(tmp_path)


def test_a_folder_without_records_is_refused(tmp_path):
    with pytest.raises(DataError, match=r"holds no records; allowed are pictures \(.png, .*\) and files of one kind"):
        open_source(tmp_path)


def test_one_picture_and_a_list_of_pictures(tmp_path):
    save_all(tmp_path, a=picture(value=1), b=picture(value=2))
    assert open_source(tmp_path / "a.png").values.shape == (1, 4, 6)
    source = open_source([tmp_path / "b.png", str(tmp_path / "a.png")])
    assert source.names == ("b.png", "a.png") and source.values[:, 0, 0].tolist() == [2, 1]


def test_progress_is_told(tmp_path):
    save_all(tmp_path, a=picture(), b=picture())
    told = []
    open_source(tmp_path, progress=lambda done, total: told.append((done, total)))
    assert told == [(1, 2), (2, 2)]
