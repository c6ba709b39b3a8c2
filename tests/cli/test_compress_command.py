"""`refold compress`, `decompress`, `list` and `verify` as their users meet them."""

import json
import os

import netCDF4
import numpy as np
import pyarrow as pa
import pytest
from pyarrow import parquet
from sklearn.datasets import load_digits
from typer.testing import CliRunner

import refold
from refold.cli import app
from refold.codec import Bound, RefzWriter, ways_of
from refold.codec._learned import LEARNED, PLAIN
from refold.estimators import Wish, _compressed_files, packing_by
from refold.estimators._compressing import write_array
from refold.train import CodeTrainingPlan, learn_code


def run(*words, code=0):
    result = CliRunner().invoke(app, [str(word) for word in words])
    assert result.exit_code == code, result.output
    assert "Traceback" not in result.output
    return result


@pytest.fixture
def field(tmp_path):
    """Twelve smooth fields with a place that has no value."""
    values = np.cumsum(np.random.default_rng(0).normal(size=(12, 20, 16)), axis=0).astype(np.float32)
    values[3, 4, 5] = np.nan
    np.save(tmp_path / "field.npy", values)
    return tmp_path / "field.npy"


def test_without_a_bound_every_bit_comes_back(field, tmp_path):
    said = run("compress", field, "-o", tmp_path / "f.refz").stderr
    assert "every bit comes back" in said and "times smaller" in said and "lzma" in said
    run("verify", tmp_path / "f.refz", "--against", field, "-q")
    run("decompress", tmp_path / "f.refz", "-o", tmp_path / "back.npy", "-q")
    assert np.load(tmp_path / "back.npy").tobytes() == np.load(field).tobytes()
    assert refold.decompress(tmp_path / "f.refz").tobytes() == np.load(field).tobytes()


def test_a_bound_is_kept_and_told(field, tmp_path):
    done = run("compress", field, "-o", tmp_path / "f.refz", "--max-error", "0.01", "--json", "-q")
    told, values = json.loads(done.stdout), np.load(field)
    run("decompress", tmp_path / "f.refz", "-o", tmp_path / "back.npy", "-q")
    error = np.nanmax(np.abs(np.load(tmp_path / "back.npy").astype(float) - values.astype(float)))
    assert error <= 0.01 and told["arrays"][0]["largest_error"] == pytest.approx(error)
    assert told["raw_bytes"] == values.nbytes and told["compressed_bytes"] == (tmp_path / "f.refz").stat().st_size
    assert told["others_bytes"]["lzma"] > 0 and told["arrays"][0]["promise"] == "0.01"
    assert sum(told["ways"].values()) == pytest.approx(1)


# --- a way that learns, so that models can be tested whatever ways there are ---------------------------------------


class Pattern:
    """Remembers six records and takes them off those that follow each other in the same order."""

    limits, gaps = (-(1 << 40), 1 << 40), True

    def __init__(self, record):
        self.record = record

    def applies(self, shape, shift):
        return shift == 0 and shape[1:] == self.record.shape[1:]

    def code(self, coder, known, shift, true=None):
        again = self.record[np.arange(len(known)) % len(self.record)]
        return PLAIN[16].code(coder, known, shift, None if true is None else true - again) + again

    def to_bytes(self):
        return bytes([self.record.ndim, *self.record.shape]) + self.record.astype("<i2").tobytes()

    @classmethod
    def from_bytes(cls, content):
        shape = tuple(content[1 : 1 + content[0]])
        return cls(np.frombuffer(content[1 + content[0] :], "<i2").reshape(shape).astype(np.int64))


@pytest.fixture
def learning(monkeypatch):
    monkeypatch.setitem(LEARNED, 200, Pattern.from_bytes)
    monkeypatch.setattr(
        "refold.estimators._compressor.learned_ways",
        lambda values, *rest: {200: Pattern(np.asarray(values[:6], np.int64))},
    )


@pytest.fixture
def noisy(tmp_path):
    """Six records of noise, ten times, hardly changed."""
    rng = np.random.default_rng(0)
    values = np.tile(rng.integers(-9999, 9999, (6, 8, 8)), (10, 1, 1)) + rng.integers(0, 2, (60, 8, 8))
    np.save(tmp_path / "noisy.npy", values.astype(np.int16))
    return tmp_path / "noisy.npy"


def test_a_model_is_learned_on_nine_tenths_and_needed_to_come_back(noisy, tmp_path, learning):
    model, out = tmp_path / "m.safetensors", tmp_path / "n.refz"
    told = json.loads(run("fit", noisy, "--for", "compress", "-o", model, "--json", "-q").stdout)
    assert told["records"] == 54 and told["held_back"] == 6
    assert told["bytes_with_model"] < told["bytes_without_model"]
    assert "Compressor" in run("info", model).output
    done = run("compress", noisy, "-o", out, "-m", model, "--json")
    said = json.loads(done.stdout)
    assert said["ways"] == {"learned (200)": 1.0} and not said["model_inside"]
    assert said["without_model_bytes"] > said["compressed_bytes"] and said["model_pays_after_files"] >= 1
    assert "needed to decompress" in done.stderr and "paid for itself" in done.stderr
    assert "needs the model" in run("list", out).output
    for words in (("decompress", out, "-o", tmp_path / "b.npy"), ("verify", out)):
        assert "give that model" in run(*words, code=1).stderr
        run(*words, "-m", model)
    assert np.array_equal(np.load(tmp_path / "b.npy"), np.load(noisy))
    run("compress", noisy, "-o", out, "-m", model, "--model-inside", "--overwrite", "-q")
    run("verify", out, "--against", noisy)


def test_learning_first_takes_the_model_in_only_where_it_pays(noisy, field, tmp_path, learning):
    run("compress", noisy, "-o", tmp_path / "plain.refz", "-q")
    told = json.loads(run("compress", noisy, "-o", tmp_path / "n.refz", "--learn", "--json", "-q").stdout)
    assert told["model_inside"] and told["compressed_bytes"] < (tmp_path / "plain.refz").stat().st_size
    run("decompress", tmp_path / "n.refz", "-o", tmp_path / "b.npy")
    assert np.array_equal(np.load(tmp_path / "b.npy"), np.load(noisy))
    np.save(tmp_path / "other.npy", np.arange(60 * 64, dtype=np.int16).reshape(60, 8, 8))
    told = json.loads(run("compress", tmp_path / "other.npy", "-o", tmp_path / "o.refz", "--learn", "--json").stdout)
    assert told["model_bytes"] == 0


def test_fewer_than_twenty_records_are_all_learned_from_and_it_is_said(field, tmp_path, learning):
    told = json.loads(run("fit", field, "--for", "compress", "-o", tmp_path / "m.safetensors", "--json").stdout)
    assert told["held_back"] == 0 and "learned from" in told["judged_by"]


def test_columns_that_are_compressed_apart_are_not_learned_together(tmp_path):
    parquet.write_table(pa.table({"x": [1.0, 2.0, 3.0], "y": [10.0, 20.0, 35.0]}), tmp_path / "t.parquet")
    output = ("-o", tmp_path / "m.safetensors")
    fitted = run("fit", tmp_path / "t.parquet", "--for", "compress", "--max-error", "1e-2rel", *output, code=2)
    assert "each column has its own range" in fitted.stderr
    assert not (tmp_path / "m.safetensors").exists()


# --- kinds of files ------------------------------------------------------------------------------------------------


def test_several_files_come_back_into_a_folder(field, noisy, tmp_path):
    table = pa.table({"x": [1.0, None, 3.0], "y": [100.0, 200.5, 300.0], "n": [1, 2, 3]})
    parquet.write_table(table, tmp_path / "t.parquet")
    files = (field, noisy, tmp_path / "t.parquet")
    out = tmp_path / "all.refz"
    run("compress", *files, "-o", out, "--max-error", "1e-2rel")
    assert {"field.npy", "noisy.npy", "t.parquet/x", "t.parquet/y", "t.parquet/missing"} <= refold.decompress(
        out
    ).keys()
    run("verify", out, *(word for file in files for word in ("--against", file)))
    run("decompress", out, "-o", tmp_path / "back")
    assert sorted(path.name for path in (tmp_path / "back").iterdir()) == ["field.npy", "noisy.npy", "t.parquet"]
    found = parquet.read_table(tmp_path / "back" / "t.parquet")
    assert found["n"].to_pylist() == [1, 2, 3], "a bound is for floats of a table, not for whole numbers"
    for name, span in (("x", 2.0), ("y", 200.5)):  # each column has its own range
        errors = [abs(a - b) for a, b in zip(found[name].to_pylist(), table[name].to_pylist(), strict=True) if b]
        assert max(errors) <= 0.01 * span and found[name].null_count == table[name].null_count


def test_some_rows_are_those_of_the_whole_and_other_blocks_are_not_decoded(tmp_path, monkeypatch):
    monkeypatch.setattr("refold.estimators._compressing.BLOCK", 64)
    monkeypatch.setattr("refold.estimators._compressing.rows_of_block", lambda shape, block=64: min(4, shape[0]))
    monkeypatch.setattr("refold.estimators._compressed_files.rows_of_block", lambda shape, block=64: min(4, shape[0]))
    values = np.arange(30 * 16, dtype=np.int32).reshape(30, 16)
    np.save(tmp_path / "a.npy", values)
    run("compress", tmp_path / "a.npy", "-o", tmp_path / "a.refz")
    decoded = []
    whole = _compressed_files.read_one_block
    monkeypatch.setattr(_compressed_files, "read_one_block", lambda *given: decoded.append(given[2]) or whole(*given))
    for text, rows in (("5:11", slice(5, 11)), (":3", slice(3)), ("28:", slice(28, None)), ("4:4", slice(4, 4))):
        decoded.clear()
        run("decompress", tmp_path / "a.refz", "-o", tmp_path / "b.npy", "--rows", text, "--overwrite", "-q")
        assert np.array_equal(np.load(tmp_path / "b.npy"), values[rows])
        assert len(decoded) <= 2
    for text, said, code in (("x", "FROM:TO", 2), ("9:3", "ends before", 2), ("30:40", "there are 30", 1)):
        words = ("decompress", tmp_path / "a.refz", "-o", tmp_path / "c.npy", "--rows", text)
        assert said in run(*words, code=code).stderr


def test_one_array_of_several_can_be_had_alone(tmp_path):
    np.savez(tmp_path / "two.npz", a=np.arange(5), b=np.ones((2, 3)))
    run("compress", tmp_path / "two.npz", "-o", tmp_path / "two.refz")
    run("decompress", tmp_path / "two.refz", "-o", tmp_path / "b.npy", "--array", "b")
    assert np.load(tmp_path / "b.npy").shape == (2, 3)
    said = run("decompress", tmp_path / "two.refz", "-o", tmp_path / "c.npy", "--array", "aa", code=1).stderr
    assert "did you mean 'a'" in said
    run("compress", f"{tmp_path / 'two.npz'}::a", "-o", tmp_path / "a.refz")
    assert list(refold.decompress(tmp_path / "a.refz")) == ["a"]


def test_packed_fields_keep_their_bound_in_their_units_and_places_stay(tmp_path):
    path = tmp_path / "t.nc"
    raw = np.cumsum(np.random.default_rng(0).integers(-20, 20, (6, 5, 4)), axis=0).astype(np.int16)
    raw[:, 0, 0] = -32767
    with netCDF4.Dataset(path, "w") as file:
        for name, length in (("time", 6), ("y", 5), ("x", 4)):
            file.createDimension(name, length)
        file.createVariable("time", "f8", ("time",))[:] = np.arange(6) / 7
        packed = file.createVariable("t", "i2", ("time", "y", "x"), fill_value=-32767)
        packed.set_auto_maskandscale(False)
        packed.scale_factor = 0.01
        packed[:] = raw
    told = json.loads(run("compress", path, "-o", tmp_path / "t.refz", "--max-error", "0.05", "--json").stdout)
    by_name = {each["name"]: each for each in told["arrays"]}
    assert by_name["t"]["promise"] == "0.05" and 0 < by_name["t"]["largest_error"] <= 0.05 + 1e-12
    assert by_name["time"]["promise"] == "all bits"
    run("verify", tmp_path / "t.refz", "--against", path)
    run("decompress", tmp_path / "t.refz", "-o", tmp_path / "b.nc")
    with netCDF4.Dataset(tmp_path / "b.nc") as file, netCDF4.Dataset(path) as before:
        assert np.abs(file["t"][:] - before["t"][:]).max() <= 0.05 + 1e-9
        assert (file["t"][:].mask == before["t"][:].mask).all()
        assert (file["time"][:] == before["time"][:]).all()
    with netCDF4.Dataset(path, "a") as file:
        file["t"].add_offset = 273.15
    said = run("compress", path, "-o", tmp_path / "u.refz", "--max-error", "1e-3pw", code=2).stderr
    assert "add_offset" in said and not (tmp_path / "u.refz").exists()


# --- what goes wrong -----------------------------------------------------------------------------------------------


def test_nothing_is_overwritten_unasked_and_outputs_must_suit(field, tmp_path):
    out = tmp_path / "f.refz"
    run("compress", field, "-o", out, "-q")
    before = out.read_bytes()
    assert "is there already" in run("compress", field, "-o", out, "--max-error", 1, code=2).stderr
    assert out.read_bytes() == before
    run("compress", field, "-o", out, "--max-error", 1, "--overwrite", "-q")
    assert out.read_bytes() != before
    assert "is there already" in run("decompress", out, "-o", field, code=2).stderr
    assert "allowed are .npy" in run("decompress", out, "-o", tmp_path / "f.csv", code=2).stderr
    assert "allowed are .refz" in run("compress", field, "-o", tmp_path / "f.zip", code=2).stderr
    assert sorted(path.name for path in tmp_path.iterdir()) == ["f.refz", "field.npy"]


@pytest.mark.parametrize(
    ("words", "code", "said"),
    [
        (("--max-error", "x"), 2, "must be"),
        (("--max-error", "2pw"), 2, "max_error"),
        (("--model-inside",), 2, "give one"),
        (("--quality", "0.9"), 2, "refold fit"),
        (("--quality", "0.9", "--bytes-per-sample", "3"), 2, "exclude one another"),
        (("--quality", "0.9", "--max-error", "3", "--learn"), 2, "exclude one another"),
        (("-m", "absent.safetensors"), 1, "absent.safetensors"),
    ],
)
def test_what_cannot_be_is_said_in_one_sentence(field, tmp_path, words, code, said):
    done = run("compress", field, "-o", tmp_path / "f.refz", *words, code=code)
    assert said in done.stderr and not (tmp_path / "f.refz").exists()


def test_every_damage_is_found(field, tmp_path):
    out, bad = tmp_path / "f.refz", tmp_path / "bad.refz"
    run("compress", field, "-o", out, "--max-error", "0.1", "-q")
    content = out.read_bytes()
    for damaged in (content[:-1], content[:-20], b"", b"refz", content[:40] + b"\0" + content[41:], content + b"x"):
        bad.write_bytes(damaged)
        for words in (("verify", bad), ("list", bad), ("decompress", bad, "-o", tmp_path / "b.npy")):
            done = run(*words, code=1)
            assert len(done.stderr.splitlines()) == 1 and done.stderr.startswith("error: ")
    assert not (tmp_path / "b.npy").exists()


def test_another_original_or_a_broken_promise_is_found(field, tmp_path):
    out = tmp_path / "f.refz"
    run("compress", field, "-o", out, "--max-error", "0.1", "-q")
    values = np.load(field)
    values[5, 6, 7] += 0.5
    np.save(tmp_path / "other.npy", values)
    said = run("verify", out, "--against", tmp_path / "other.npy", code=1).stderr
    assert "(5, 6, 7)" in said and "0.1 was promised" in said
    np.save(tmp_path / "gap.npy", np.where(np.isnan(values), np.float32(0), np.load(field)))
    assert "(3, 4, 5)" in run("verify", out, "--against", tmp_path / "gap.npy", code=1).stderr
    np.save(tmp_path / "short.npy", values[1:])
    assert "of shape" in run("verify", out, "--against", tmp_path / "short.npy", code=1).stderr


def with_more(path, **more):
    """Write a compressed file about whose array anything is told."""
    with open(path, "wb") as file:
        writer = RefzWriter(file)
        write_array(writer, np.arange(12).reshape(4, 3), Wish(Bound(0.0), ways_of(b"")), "a", more)
        writer.end()


@pytest.mark.parametrize(
    "more",
    [
        {"told": 5},
        {"packed": "!"},
        {"packed": 7},
        {"told": {"file": 0, "of": []}},
        {"shape": [9, 9]},
        {"dtype": "O"},
        {"told": {"file": 0, "about": {"kind": "table", "schema": "AAAA"}}},
        {"told": {"file": 0, "about": {"kind": "netcdf", "model": "x"}}},
        {"told": {"file": 0, "about": {"kind": "pictures"}, "of": {"names": ["../../evil.png"]}}},
        {"told": {"file": 0, "about": {"kind": "zarr", "groups": {"../x": {}}}}},
        {"told": {"file": 0, "about": {"kind": "spreadsheet"}}},
    ],
)
def test_hostile_words_about_arrays_do_no_harm(more, tmp_path):
    out = tmp_path / "h.refz"
    with_more(out, **more)
    for name in ("b.parquet", "b.nc", "folder", "b.zarr"):
        result = CliRunner().invoke(app, ["decompress", str(out), "-o", str(tmp_path / "in" / name)])
        assert result.exit_code in (1, 2) and "Traceback" not in result.output
        assert len(result.stderr.splitlines()) == 1
    assert sorted(path.name for path in tmp_path.iterdir()) in (["h.refz"], ["h.refz", "in"])
    assert not [path for path in tmp_path.rglob("*") if path.is_file() and path != out]


def test_names_of_files_cannot_leave_the_folder(tmp_path):
    out = tmp_path / "h.refz"
    with open(out, "wb") as file:
        writer = RefzWriter(file)
        for number, name in enumerate(("../evil.npy", "good.npy")):
            more = {"told": {"file": number, "name": "", "about": {"kind": "npy", "name": name}}}
            write_array(writer, np.arange(3), Wish(Bound(0.0), ways_of(b"")), name, more)
        writer.end()
    assert "inside of a folder" in run("decompress", out, "-o", tmp_path / "back", code=1).stderr
    assert not (tmp_path / "evil.npy").exists()
    run("decompress", out, "-o", tmp_path / "e.npy", "--array", "../evil.npy")


def test_more_processes_write_the_same_bytes(tmp_path):
    values = [np.arange(400, dtype=np.int32).reshape(4, 100) * step for step in (1, 3, 7)]
    found = []
    for processes in (1, 2):
        with packing_by(processes, b"") as packing:
            found.append([packed.data for _, packed in packing(iter(values), Bound(0.0), ())])
    assert found[0] == found[1]


def test_what_is_stopped_leaves_nothing(field, tmp_path, monkeypatch):
    def stop(*given):
        raise KeyboardInterrupt

    monkeypatch.setattr("refold.cli._compressing.pack_array", stop)
    assert "interrupted" in run("compress", field, "-o", tmp_path / "f.refz", code=130).stderr
    assert [path.name for path in tmp_path.iterdir()] == ["field.npy"]


# --- a code alone --------------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def digits():
    return load_digits().images.astype(np.uint8)


@pytest.fixture(scope="module")
def code_model(digits, tmp_path_factory):
    """The model of a small code that was learned from digits for a quality of .4."""
    folder = tmp_path_factory.mktemp("code")
    np.save(folder / "digits.npy", digits)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("refold.estimators._code_alone.learn_code", briefly)
        words = ("--for", "compress", "--quality", 0.4, "-o", folder / "m.safetensors", "--json", "-q")
        told = json.loads(run("fit", folder / "digits.npy", *words).stdout)
    assert told["held_back"] == 179 and told["bytes_with_model"] < told["bytes_without_model"]
    assert 0.38 < told["variance_kept"] < 0.42 and told["readers_model_bytes"] < told["model_bytes"]
    return folder / "m.safetensors"


def briefly(values, seed, most, quality, told):
    brief = CodeTrainingPlan(8, (64,), (64,), 8, steps=800, batch_size=64)
    return learn_code(values, 0, most, quality, plan=brief)


def kept_of(values, found):
    values = values.astype(float)
    return 1 - np.square(values - found).sum() / np.square(values - values.mean(0)).sum()


def test_a_model_carries_its_quality_and_what_is_kept_is_told(code_model, digits, tmp_path):
    values, out, back = tmp_path / "d.npy", tmp_path / "d.refz", tmp_path / "b.npy"
    np.save(values, digits)
    told = json.loads(run("compress", values, "-o", out, "-m", code_model, "--json", "-q").stdout)
    array = told["arrays"][0]
    assert told["ways"] == {"code alone": 1.0} and told["model_needed"] and array["allowed_error"] is None
    assert "give that model" in run("decompress", out, "-o", back, code=1).stderr
    run("decompress", out, "-o", back, "-m", code_model)
    kept = kept_of(digits, np.load(back))
    assert abs(kept - 0.4) < 0.02 and array["variance_kept"] == pytest.approx(kept)
    listed = json.loads(run("list", out, "--json").stdout)["arrays"][0]
    assert listed["promise"] == array["promise"] == "none: a code alone"
    done = run("verify", out, "-m", code_model, "--against", values, "--json")
    found = json.loads(done.stdout)
    assert found["variance_kept"][""] == pytest.approx(kept) and "mean squared error" in done.stderr
    squared = np.square(digits.astype(float) - np.load(back)).mean()
    assert found["mean_squared_errors"][""] == pytest.approx(squared) == array["mean_squared_error"]


@pytest.mark.slow
def test_what_is_asked_of_a_code_goes_before_what_its_model_says(code_model, digits, tmp_path):
    np.save(tmp_path / "d.npy", digits[:200])
    words = ("compress", tmp_path / "d.npy", "-o", tmp_path / "d.refz", "-m", code_model, "--overwrite")
    sizes = [json.loads(run(*words, *more, "--json").stdout)["arrays"][0]["compressed_bytes"]
             for more in ((), ("--quality", 0.2), ("--bytes-per-sample", 0.3))]  # fmt: skip
    assert sizes[1] < sizes[0] and sizes[2] <= 0.31 * 200 + 8
    run(*words, "--model-inside", "--threads", 2)
    run("verify", tmp_path / "d.refz", "--against", tmp_path / "d.npy")
    assert "not max_error" in run(*words, "--max-error", 2, code=2).stderr


def test_arrays_beside_the_records_of_a_code_come_back_whole(code_model, digits, tmp_path):
    np.savez(tmp_path / "two.npz", images=digits[:300], labels=np.arange(300))
    said = run("compress", tmp_path / "two.npz", "-o", tmp_path / "t.refz", "-m", code_model, "--model-inside").stderr
    assert "every bit of labels comes back" in said and "of the variance of images is kept" in said
    run("verify", tmp_path / "t.refz", "--against", tmp_path / "two.npz")
    assert (refold.decompress(tmp_path / "t.refz")["labels"] == np.arange(300)).all()


def test_records_that_a_code_cannot_hold_are_named(code_model, digits, tmp_path):
    gaps = digits.astype(np.float32)
    far = gaps.copy()
    gaps[0, 0, 0], far[:2, 0, 0] = np.nan, 1e20
    for values, said in ((digits[:, :7], "(8, 8)"), (gaps, "NaN"), (far, "1e+20 stands for nothing")):
        np.savez(tmp_path / "x.npz", x=values)
        words = ("compress", tmp_path / "x.npz", "-o", tmp_path / "x.refz", "-m", code_model)
        assert said in run(*words, code=1).stderr
    assert not (tmp_path / "x.refz").exists()


@pytest.mark.slow
def test_a_code_is_learned_first_where_it_pays(digits, tmp_path, monkeypatch):
    monkeypatch.setattr("refold.estimators._code_alone.learn_code", briefly)
    for values, pays in ((digits, True), (digits[:30], False)):
        np.save(tmp_path / "d.npy", values)
        words = (
            "compress",
            tmp_path / "d.npy",
            "-o",
            tmp_path / "d.refz",
            "--learn",
            "--quality",
            0.4,
            "--overwrite",
        )
        done = run(*words, "--json")
        told = json.loads(done.stdout)
        assert told["model_inside"] == pays and ("every bit of the array comes back" in done.stderr) != pays
        assert kept_of(values, refold.decompress(tmp_path / "d.refz")) == pytest.approx(0.4 if pays else 1, abs=0.02)


# --- names, units, and nothing -------------------------------------------------------------------------------------


def test_a_packed_field_is_learned_from_within_its_bound_in_units_of_what_is_stored(tmp_path, monkeypatch):
    with netCDF4.Dataset(tmp_path / "t.nc", "w") as file:
        file.createDimension("n", 30)
        packed = file.createVariable("t", "i2", ("n",), fill_value=-9)
        packed.set_auto_maskandscale(False)
        packed.scale_factor = 0.01
        packed[:] = np.arange(30)
    asked = []
    monkeypatch.setattr(
        "refold.estimators._compressor.learned_ways",
        lambda values, bound, fill, *rest: asked.append((bound, fill)) or {},
    )
    run("fit", tmp_path / "t.nc", "--for", "compress", "--max-error", 0.05, "-o", tmp_path / "m.safetensors")
    assert asked[0][0].amount == pytest.approx(5) and asked[0][1] == (-9,)


def test_a_name_that_is_not_utf_8_is_no_hindrance(field, tmp_path):
    odd = tmp_path / os.fsdecode(b"odd\xff.npy")
    try:
        odd.write_bytes(field.read_bytes())
    except OSError:
        pytest.skip("the file system has no such names")
    run("compress", odd, field, "-o", tmp_path / "two.refz")
    run("decompress", tmp_path / "two.refz", "-o", tmp_path / "back")
    assert len(list((tmp_path / "back").iterdir())) == 2


def test_what_grows_and_what_is_nothing_is_called_so(tmp_path):
    np.save(tmp_path / "one.npy", np.arange(3))
    assert "times larger" in run("compress", tmp_path / "one.npy", "-o", tmp_path / "one.refz").stderr
    words = ("decompress", tmp_path / "one.refz", "-o", tmp_path / "b.npy", "--array", "x")
    assert "has no name, and needs none" in run(*words, code=1).stderr
    np.save(tmp_path / "none.npy", np.zeros((0, 4)))
    assert "there are no values" in run("compress", tmp_path / "none.npy", "-o", tmp_path / "none.refz").stderr
