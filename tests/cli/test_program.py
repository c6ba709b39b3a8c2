"""The program as its users meet it: files in, files out, sentences when something is wrong."""

import json
import re
import subprocess
import sys
from pathlib import Path

import numpy as np
import pyarrow.csv
import pyarrow.parquet
import pytest
from PIL import Image
from typer.testing import CliRunner

import refold
from refold.cli import app, program_page
from refold.data import open_source

QUICK = ["--max-epochs", "2", "--latent-dim", "2", "--random-state", "0", "--quiet"]


def run(*words, code=0):
    result = CliRunner().invoke(app, [str(word) for word in words])
    assert result.exit_code == code, result.output
    assert "Traceback" not in result.output
    return result


def size_of(path):
    with Image.open(path) as picture:
        return picture.size


@pytest.fixture
def people(tmp_path):
    rng = np.random.default_rng(0)
    lines = ["id,age,city,member,since"]
    for place in range(60):
        age = "" if place % 7 == 0 else str(rng.integers(18, 80))
        city = "" if place % 11 == 0 else ["Graz", "Linz", "Wien"][place % 3]
        lines.append(f"P{place},{age},{city},{place % 2 == 0},2020-01-{place % 28 + 1:02d}")
    path = tmp_path / "people.csv"
    path.write_text("\n".join(lines) + "\n")
    return path


@pytest.fixture
def model(people, tmp_path):
    path = tmp_path / "people.safetensors"
    run("fit", people, "-o", path, "--drop", "id", *QUICK)
    return path


@pytest.fixture
def pictures(tmp_path):
    folder = tmp_path / "pictures"
    for place, shade in enumerate(np.linspace(0, 250, 12)):
        (folder / str(place % 2)).mkdir(parents=True, exist_ok=True)
        Image.fromarray(np.full((9, 12, 3), shade, np.uint8)).save(folder / str(place % 2) / f"{place}.png")
    return folder


def test_fit_says_in_json_what_it_kept_beside_pca(people, tmp_path):
    result = run("fit", people, "-o", tmp_path / "m.safetensors", "--drop", "id", "--json", *QUICK)
    answer = json.loads(result.stdout)
    assert answer["records"] == 60
    assert answer["latent_dim"] == 2
    assert 0 < answer["variance_kept_by_pca"] <= 1


def test_the_model_of_the_program_is_the_model_of_the_library(model, people):
    loaded = refold.load(model)
    table = open_source(str(people)).values.drop_columns(["id"])
    again = refold.Autoencoder(max_epochs=2, latent_dim=2, random_state=0).fit(table)
    np.testing.assert_array_equal(loaded.transform(table), again.transform(table))


def test_embed_keeps_columns_and_rows(model, people, tmp_path):
    run("embed", model, people, "-o", tmp_path / "codes.parquet", "--keep", "id", "--errors", "--quiet")
    table = pyarrow.parquet.read_table(tmp_path / "codes.parquet")
    assert table.column_names == ["id", "autoencoder0", "autoencoder1", "reconstruction_error"]
    assert table["id"].to_pylist() == [f"P{place}" for place in range(60)]
    data = open_source(str(people))
    np.testing.assert_array_equal(table["autoencoder1"].to_numpy(), refold.load(model).transform(data)[:, 1])


def test_embed_without_output_is_csv_on_standard_output(model, people):
    lines = run("embed", model, people).stdout.splitlines()
    assert lines[0] == '"autoencoder0","autoencoder1"'
    assert len(lines) == 61


def test_reconstruct_fills_missing_cells(model, people, tmp_path):
    run("reconstruct", model, people, "-o", tmp_path / "filled.csv", "--quiet")
    filled = pyarrow.csv.read_csv(tmp_path / "filled.csv")
    assert filled.column_names == ["age", "city", "member", "since"]
    assert all(filled[name].null_count == 0 for name in filled.column_names)
    assert set(filled["city"].to_pylist()) <= {"Graz", "Linz", "Wien"}


def test_pictures_come_back_as_pictures_under_their_names(pictures, tmp_path):
    model = tmp_path / "p.safetensors"
    run("fit", pictures, "-o", model, *QUICK)
    run("reconstruct", model, pictures, "-o", tmp_path / "out", "--quiet")
    names = sorted(path.relative_to(tmp_path / "out").as_posix() for path in (tmp_path / "out").rglob("*.png"))
    assert names == sorted(path.relative_to(pictures).as_posix() for path in pictures.rglob("*.png"))
    assert size_of(tmp_path / "out" / "0" / "0.png") == (12, 9)
    table = run("embed", model, pictures).stdout.splitlines()
    assert table[0].startswith('"file",')
    assert table[1].startswith('"0/0.png",')


def test_generate_makes_as_many_as_asked(tmp_path):
    np.save(tmp_path / "digits.npy", np.random.default_rng(0).integers(0, 255, (40, 8, 8), dtype=np.uint8))
    run("fit", tmp_path / "digits.npy", "-o", tmp_path / "v.safetensors", "--penalty", "variational", *QUICK)
    run("generate", tmp_path / "v.safetensors", "-n", 5, "--random-state", 1, "-o", tmp_path / "new.npy")
    first = np.load(tmp_path / "new.npy")
    assert first.shape == (5, 8, 8)
    assert first.dtype == np.uint8
    run("generate", tmp_path / "v.safetensors", "-n", 5, "--random-state", 1, "-o", tmp_path / "again.npy")
    np.testing.assert_array_equal(first, np.load(tmp_path / "again.npy"))


def test_generate_makes_records_like_given_ones(tmp_path):
    digits = np.random.default_rng(0).integers(0, 255, (40, 8, 8), dtype=np.uint8)
    np.savez(tmp_path / "digits.npz", x=digits, y=np.arange(40))
    data = f"{tmp_path / 'digits.npz'}::x"
    run("fit", data, "-o", tmp_path / "m.safetensors", *QUICK)
    run("generate", tmp_path / "m.safetensors", "--like", data, "-n", 5, "-o", tmp_path / "new.npy")
    assert np.load(tmp_path / "new.npy").shape == (5, 8, 8)
    refused = run("generate", tmp_path / "m.safetensors", "-o", tmp_path / "more.npy", code=2)
    assert "give --like DATA" in " ".join(refused.output.split()) and not (tmp_path / "more.npy").exists()


@pytest.mark.parametrize("kind", ["codes", "map", "rebuilt", "history"])
def test_plot_draws_every_kind(model, people, tmp_path, kind):
    run("plot", model, people, "-o", tmp_path / "p.png", "--kind", kind, "--quiet")
    assert size_of(tmp_path / "p.png")[0] > 300


@pytest.mark.parametrize("colour", ["city", "age", "error"])
def test_plot_writes_a_page(model, people, tmp_path, colour):
    run("plot", model, people, "-o", tmp_path / "p.html", "--colour", colour)
    assert "<html" in (tmp_path / "p.html").read_text()


def map_data(path) -> dict:
    return json.loads(re.search(r'id="data">(.*?)</script>', path.read_text(encoding="utf-8"))[1])


def test_the_map_of_a_table_is_coloured_by_every_column(model, people, tmp_path):
    np.savez(tmp_path / "more.npz", group=np.arange(60) % 3, error=np.arange(60))
    colours = [f"{tmp_path}/more.npz::group", "city", f"{tmp_path}/more.npz::error"]
    options = [word for colour in colours for word in ("--colour", colour)]
    run("plot", model, people, "-o", tmp_path / "m.html", "--kind", "map", *options, "--quiet")
    names = [column["name"] for column in map_data(tmp_path / "m.html")["columns"]]
    assert names == ["group", "city", colours[2], "id", "age", "member", "since", "error"]
    assert "trustworthiness" in (tmp_path / "m.html").read_text(encoding="utf-8")
    run("plot", model, people, "-o", tmp_path / "m.html", "--kind", "map", "--quiet")
    columns = map_data(tmp_path / "m.html")["columns"]
    assert [column["name"] for column in columns] == ["id", "age", "city", "member", "since", "error"]


def test_the_map_of_pictures_holds_them_and_their_folders(pictures, tmp_path):
    run("fit", pictures, "-o", tmp_path / "p.safetensors", *QUICK)
    run("plot", tmp_path / "p.safetensors", pictures, "-o", tmp_path / "m.html", "--kind", "map", "--quiet")
    data = map_data(tmp_path / "m.html")
    assert [column["name"] for column in data["columns"]] == ["folder", "error"]
    assert (data["tile"]["width"], data["tile"]["height"]) == (12, 9)
    assert data["labels"]["kind"] == "text"


def test_plot_of_pictures_coloured_by_folder(pictures, tmp_path):
    run("fit", pictures, "-o", tmp_path / "p.safetensors", *QUICK)
    run("plot", tmp_path / "p.safetensors", pictures, "-o", tmp_path / "p.html", "--colour", "folder", "--quiet")
    assert "Before and after" in (tmp_path / "p.html").read_text()


def test_info_describes_models_and_data(model, people, pictures):
    described = json.loads(run("info", model, "--json").stdout)
    assert described["latent_dim"] == 2
    assert [column["name"] for column in described["columns"]] == ["age", "city", "member", "since"]
    data = json.loads(run("info", people, "--json").stdout)
    assert data["count"] == 60
    assert {column["name"]: column["missing"] for column in data["columns"]}["age"] == 9
    assert "9x12x3" in run("info", pictures).stdout
    assert "rows of 4 columns" in run("info", model).stdout


@pytest.mark.parametrize(
    ("words", "code", "expected"),
    [
        (["fit", "absent.csv", "-o", "m.safetensors"], 1, "absent.csv"),
        (["fit", "people.csv", "-o", "m.pt"], 2, ".safetensors"),
        (["fit", "people.csv", "-o", "m.safetensors", "--latent-dim", "0"], 2, "at least 1"),
        (["fit", "people.csv", "-o", "m.safetensors", "--latent-dim", "three"], 2, "whole number"),
        (["fit", "people.csv", "-o", "m.safetensors", "--corruption", "gausian(0.2)", "--quiet"], 2, "gaussian"),
        (["fit", "people.csv", "-o", "m.safetensors", "--net", "conv", "--quiet"], 2, "pictures"),
        (["fit", "people.csv", "-o", "m.safetensors", "--drop", "idd", "--quiet"], 1, "'idd'"),
        (["fit", "people.csv"], 2, "--output"),
        (["fitt"], 2, "fit"),
        (["embed", "people.csv", "people.csv"], 1, "not a model file"),
        (["embed", "people.safetensors", "other.csv"], 1, "lacks 'age'"),
        (["embed", "people.safetensors", "people.csv", "--keep", "nobody"], 1, "'nobody'"),
        (["reconstruct", "people.safetensors", "people.csv", "-o", "x.xlsx"], 2, ".parquet"),
        (["generate", "people.safetensors", "-o", "x.csv"], 2, "variational"),
        (["plot", "people.safetensors", "people.csv", "-o", "x.bmp"], 2, ".png"),
        (["plot", "people.safetensors", "people.csv", "-o", "x.png", "--kind", "code"], 2, "did you mean 'codes'"),
        (
            ["plot", "people.safetensors", "people.csv", "-o", "x.html", "--kind", "map", "--colour", "cty"],
            1,
            "'cty'",
        ),
        (
            ["plot", "people.safetensors", "people.csv", "-o", "x.html", "--colour", "city", "--colour", "age"],
            2,
            "only the page of --kind map",
        ),
        (["info", "absent.safetensors"], 1, "absent.safetensors"),
    ],
)
def test_what_is_wrong_is_one_sentence_and_an_exit_code(model, people, monkeypatch, words, code, expected):
    monkeypatch.chdir(people.parent)
    (people.parent / "other.csv").write_text("a,b\n1,2\n3,4\n")
    before = set(people.parent.iterdir())
    result = run(*words, code=code)
    assert expected in " ".join(result.output.split())
    assert set(people.parent.iterdir()) == before
    if "Usage" not in result.output:
        errors = [line for line in result.output.splitlines() if line.startswith("error: ")]
        assert len(errors) == 1


def test_json_is_strict_and_outputs_can_be_read_by_others(tmp_path):
    (tmp_path / "few.csv").write_text("a,b,c\n1,2,3\n2,3,5\n4,1,2\n5,5,1\n")
    model = tmp_path / "few.safetensors"
    answer = json.loads(
        run("fit", tmp_path / "few.csv", "-o", model, "--json", *QUICK).stdout,
        parse_constant=lambda name: pytest.fail(name),
    )
    assert answer["validation_error"] is None
    assert answer["judged_by"] == "all records"
    assert model.stat().st_mode & 0o444 == (tmp_path / "few.csv").stat().st_mode & 0o444


@pytest.mark.parametrize("unit", ["s", "ms", "us", "ns"])
def test_moments_are_drawn_as_days_whatever_their_unit(unit):
    from refold.cli._drawing import as_columns

    moments = np.array(["1970-01-02", "1970-01-03T12:00"], dtype=f"datetime64[{unit}]")
    assert as_columns(pyarrow.table({"when": moments}))["when"] == [1.0, 2.5]


def test_help_and_import_stay_light():
    script = (
        "import sys, refold.cli; print([m for m in ('torch', 'sklearn', 'pandas', 'matplotlib') if m in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


def test_every_parameter_that_text_can_give_is_an_option():
    from refold._parameters import parameters_of
    from refold.estimators import AutoencoderParameters

    page = program_page()
    for parameter in parameters_of(AutoencoderParameters):
        if parameter.on_command_line and parameter.name != "verbose":
            assert f"--{parameter.name.replace('_', '-')}" in page


def test_the_page_of_the_program_is_up_to_date():
    written = Path(__file__).parents[2] / "docs" / "program.md"
    assert written.read_text() == program_page(), "run: python docs/write_program.py"


def test_the_demo_writes_its_page(tmp_path, monkeypatch):
    from refold.cli import _demo

    monkeypatch.setattr(_demo, "_TRAINING_DIGITS", 400)
    monkeypatch.setenv("REFOLD_DATA", str(tmp_path))
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(_demo, "Autoencoder", lambda **given: refold.Autoencoder(**{**given, "max_epochs": 1}))
    page = _demo.run_demo(tmp_path / "demo", quiet=True)
    text = page.read_text()
    for heading in (
        "in 3 numbers",
        "Beside the plain way",
        "A walk between digits",
        "noise, taken out",
        "photograph",
    ):
        assert heading in text
