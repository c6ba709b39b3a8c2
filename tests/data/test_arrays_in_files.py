"""Files as named arrays and back: nothing of their values is lost, whatever their kind."""

import netCDF4
import numpy as np
import pyarrow as pa
import pytest
import zarr
from PIL import Image
from pyarrow import csv, feather, parquet

from refold import CompressedFileError, DataError
from refold.data import Records, array_unfolded, folded, inner_path, open_arrays, unfolded, write_arrays

RNG = np.random.default_rng(0)


def rewritten(path, target):
    with open_arrays(path) as file:
        write_arrays(target, file)
    return target


@pytest.mark.parametrize(
    "values",
    [
        RNG.normal(size=(2, 3, 2, 2, 3)).astype(">f4"),
        np.asfortranarray(RNG.normal(size=(5, 3))),
        RNG.normal(size=4) + 1j,
        np.array(3.5),
        np.zeros((0, 3), np.uint8),
        np.zeros((3, 0)),
        np.array(["2020-01-01", "NaT", "1969-12-31"], "M8[D]"),
        np.array([True, False]),
    ],
    ids=lambda values: f"{values.dtype}{values.shape}",
)
def test_arrays_of_any_shape_and_type_come_back(values, tmp_path):
    np.save(tmp_path / "a.npy", values)
    np.savez(tmp_path / "a.npz", one=values, two=np.arange(3))
    for name in ("a.npy", "a.npz"):
        back = np.load(rewritten(tmp_path / name, tmp_path / f"back-{name}"))
        back = back["one"] if name.endswith("z") else back
        assert back.dtype == values.dtype and back.shape == values.shape
        assert back.tobytes() == np.ascontiguousarray(values).tobytes()
    with open_arrays(tmp_path / "a.npy") as file:
        flat, more = folded(file.arrays[0].records, values.shape)
        assert 1 <= flat.ndim <= 4 and flat.dtype.kind in "biuf"
        again, shape = unfolded(Records(flat[:], flat.shape, flat.dtype), more)
        assert shape == values.shape and again[:].tobytes() == np.ascontiguousarray(values).tobytes()
        assert array_unfolded(flat[:], more).shape == values.shape


def test_parts_of_folded_records_are_those_of_the_whole():
    values = RNG.normal(size=(3, 4, 2, 2, 2))
    flat, _ = folded(Records(values, values.shape, values.dtype), values.shape)
    whole = values.reshape(12, 2, 2, 2)
    for start, stop in ((0, 12), (3, 9), (5, 6), (7, 7)):
        np.testing.assert_array_equal(flat[start:stop], whole[start:stop])


@pytest.mark.parametrize("more", [{"shape": [5]}, {"shape": "x"}, {"dtype": "O"}, {"shape": [-4, -3]}, {"dtype": 7}])
def test_what_is_told_of_an_array_and_does_not_suit_is_refused(more):
    values = np.zeros((4, 3))
    with pytest.raises((ValueError, TypeError)):
        unfolded(Records(values, values.shape, values.dtype), more)
    assert array_unfolded(values, more) is values


TABLE = pa.table(
    {
        "x": pa.array([1.5, None, float("nan"), -0.0]),
        "y": pa.array([1.0, 2.0, 3.0, 4.0], pa.float32()),
        "n": pa.array([1, None, 3, 2**62]),
        "ok": pa.array([True, None, False, True]),
        "day": pa.array([1, 2, None, 4], pa.date32()),
        "at": pa.array([1, 2, 3, None], pa.timestamp("us", "UTC")),
        "z": pa.array([2.5, 2.5, None, 2.5]),
    }
)


@pytest.mark.parametrize("ending", [".parquet", ".feather"])
def test_a_table_comes_back_with_its_types_and_missing_cells(ending, tmp_path):
    path = tmp_path / f"table{ending}"
    if ending == ".parquet":
        parquet.write_table(TABLE, path, row_group_size=3)
    else:
        feather.write_feather(TABLE, path)
    back = rewritten(path, tmp_path / f"back{ending}")
    read = parquet.read_table if ending == ".parquet" else feather.read_table
    found = read(back)
    assert found.schema.equals(TABLE.schema)
    assert [str(column.to_pylist()) for column in found.columns] == [str(c.to_pylist()) for c in TABLE.columns]
    with open_arrays(path) as file:
        assert {array.name: array.shape for array in file.arrays}["missing"] == (4, 6)
        assert all(array.exact for array in file.arrays if array.records.dtype.kind != "f")


def test_texts_in_tables_are_refused_by_name_and_can_be_left_out(tmp_path):
    csv.write_csv(TABLE.append_column("name", pa.array(["a", "b", "c", "d"])), tmp_path / "t.csv")
    with pytest.raises(DataError, match=r"'name'.*--drop"):
        open_arrays(tmp_path / "t.csv")
    with open_arrays(tmp_path / "t.csv", ["name"]) as file:
        write_arrays(tmp_path / "back.csv.gz", file)
    assert csv.read_csv(tmp_path / "back.csv.gz").column_names == TABLE.column_names
    with pytest.raises(DataError, match="no column 'nme'"):
        open_arrays(tmp_path / "t.csv", ["nme"])


def test_pictures_of_one_shape_are_a_stack_and_keep_their_names(tmp_path):
    folder = tmp_path / "scans"
    (folder / "deep").mkdir(parents=True)
    pixels = RNG.integers(0, 256, (5, 6, 7, 4)).astype(np.uint8)
    for place in range(3):
        Image.fromarray(pixels[place, ..., :3]).save(folder / f"{place}.png")
    Image.fromarray(pixels[3]).save(folder / "deep" / "a.png")
    Image.fromarray(pixels[4, ..., 0].astype(np.uint16) * 257).save(folder / "deep" / "b.tif")
    Image.fromarray(pixels[4, ..., :3]).save(folder / "0.jpg")
    with open_arrays(folder) as file:
        shapes = sorted(array.shape for array in file.arrays)
        assert shapes == [(1, 6, 7), (1, 6, 7, 4), (4, 6, 7, 3)]
        assert len(file.notes) == 1 and "1 of 6 pictures are JPEGs" in file.notes[0]
    back = rewritten(folder, tmp_path / "back")
    found = sorted(path.relative_to(back).as_posix() for path in back.rglob("*.*"))
    assert found == ["0.jpg.png", "0.png", "1.png", "2.png", "deep/a.png", "deep/b.tif"]
    for name in ("0.png", "2.png", "deep/a.png", "deep/b.tif"):
        with Image.open(folder / name) as before, Image.open(back / name) as after:
            np.testing.assert_array_equal(np.asarray(before), np.asarray(after))
            assert before.mode == after.mode


@pytest.mark.parametrize("name", ["../x.png", "/x.png", "a/../../x", "", None, "c:x", "a\\b", "a\0b"])
def test_names_that_leave_the_folder_are_refused(name):
    with pytest.raises(ValueError, match="none of a file inside"):
        inner_path(name)


@pytest.fixture
def weather(tmp_path):
    path = tmp_path / "weather.nc"
    with netCDF4.Dataset(path, "w") as file:
        file.setncatts({"title": "wärme", "version": np.float32(1.1), "range": np.array([1, 2], "i2")})
        for name, length in (("time", None), ("lat", 3), ("lon", 4), ("word", 2)):
            file.createDimension(name, length)
        file.createVariable("lat", "f8", ("lat",))[:] = [10, 20, 30]
        packed = file.createVariable("t", "i2", ("time", "lat", "lon"), fill_value=-999, zlib=True)
        packed.set_auto_maskandscale(False)
        packed.setncatts({"scale_factor": 0.1, "add_offset": 273.15, "units": "K", "missing_value": np.int16(-998)})
        packed[:] = RNG.integers(-999, 400, (5, 3, 4))
        file.createVariable("crs", "i4", ())[...] = 7
        file.createVariable("words", str, ("word",))[:] = np.array(["one", "zwei"], object)
        file.createVariable("letters", "S1", ("word",))[:] = np.array([b"a", b"b"])
        group = file.createGroup("inner")
        group.createVariable("e", "f4", ("lat", "lon"), fill_value=1e20)[:] = 1e20
    return path


def raw_contents(path):
    """Everything of a NetCDF file, values as they are stored."""
    with netCDF4.Dataset(path) as file:
        file.set_auto_maskandscale(False)
        file.set_auto_chartostring(False)
        found = {"": (file.data_model, {key: str(file.getncattr(key)) for key in file.ncattrs()})}
        for group in (file, *file.groups.values()):
            found |= {f"{group.path}#{name}": (len(d), d.isunlimited()) for name, d in group.dimensions.items()}
            for name, each in group.variables.items():
                attributes = {key: str(each.getncattr(key)) for key in each.ncattrs()}
                values = np.asarray(each[...])
                content = values.tolist() if values.dtype == object else values.tobytes()
                found[f"{group.path}{name}"] = (str(each.dtype), each.dimensions, attributes, content)
        return found


def test_netcdf_comes_back_raw_with_all_that_is_told_of_it(weather, tmp_path):
    assert raw_contents(rewritten(weather, tmp_path / "back.nc")) == raw_contents(weather)
    with open_arrays(weather) as file:
        arrays = {array.name: array for array in file.arrays}
    assert arrays["t"].scale == 0.1 and set(arrays["t"].fill) == {-999, -998} and not arrays["t"].exact
    assert arrays["lat"].exact and arrays["letters"].exact and arrays["inner/e"].fill == (np.float32(1e20),)


@pytest.mark.parametrize("version", [2, 3])
def test_zarr_comes_back_with_chunks_and_attributes(version, tmp_path):
    root = zarr.create_group(tmp_path / "a.zarr", zarr_format=version)
    root.attrs["title"] = "one"
    names = {"dimension_names": ["time", "x"]} if version == 3 else {}
    values = RNG.normal(size=(7, 3)).astype(np.float32)
    made = root.create_array("in/t", shape=(7, 3), chunks=(2, 3), dtype="f4", fill_value=np.nan, **names)
    made[:] = values
    made.attrs["units"] = "K"
    root.create_array("n", shape=(4,), chunks=(4,), dtype=">i4" if version == 2 else "i4", fill_value=-5)[:2] = [1, 2]
    found = zarr.open(rewritten(tmp_path / "a.zarr", tmp_path / "b.zarr"))
    assert found.metadata.zarr_format == version and dict(found.attrs) == {"title": "one"}
    assert found["in/t"].chunks == (2, 3) and found["in/t"].attrs["units"] == "K"
    assert np.isnan(found["in/t"].fill_value) and found["n"].fill_value == -5
    np.testing.assert_array_equal(found["in/t"][:], values)
    np.testing.assert_array_equal(found["n"][:], [1, 2, -5, -5])
    if version == 3:
        assert found["in/t"].metadata.dimension_names == ("time", "x")


@pytest.mark.parametrize(
    ("name", "content", "said"),
    [
        ("absent.npy", None, "check the path"),
        ("a.npy", b"", "cannot be read"),
        ("a.npy", b"\x93NUMPY\x01\x00v\x00{'descr': '|O', 'fortran_order': False, 'shape': (2,), }", "a.npy"),
        ("a.npz", b"PK\x03\x04 broken", "cannot be read"),
        ("a.parquet", b"PAR1", "cannot be read"),
        ("a.nc", b"CDF broken", "cannot be read"),
        ("a.png", b"\x89PNG", "cannot be read"),
        ("a.doc", b"x", "not of a kind"),
    ],
)
def test_broken_files_are_told_of_in_one_sentence(name, content, said, tmp_path):
    if content is not None:
        (tmp_path / name).write_bytes(content)
    with pytest.raises(DataError, match=said):
        open_arrays(tmp_path / name)


def test_objects_and_texts_are_refused(tmp_path):
    np.save(tmp_path / "text.npy", np.array(["ab", "c"]))
    np.save(tmp_path / "long.npy", np.zeros(3, np.longdouble))
    for name in ("text.npy", "long.npy"):
        with pytest.raises(DataError, match="cannot be compressed"):
            open_arrays(tmp_path / name)


def test_what_is_told_of_a_file_and_does_not_suit_leaves_nothing_behind(weather, tmp_path):
    with open_arrays(weather) as file:
        file.about["order"] = ["absent", 3]
        with pytest.raises(CompressedFileError, match="cannot be written as it was"):
            write_arrays(tmp_path / "out" / "back.nc", file)
    assert list((tmp_path / "out").iterdir()) == []
