"""``refold fill``: tables in files to whole tables; nothing is lost or overwritten."""

import json

import numpy as np
import pandas as pd
import pytest
from sklearn.datasets import load_iris
from typer.testing import CliRunner

from refold.cli import app


def run(*words, code=0):
    done = CliRunner().invoke(app, [str(word) for word in words])
    assert done.exit_code == code, done.output
    assert "Traceback" not in done.output
    return done


@pytest.fixture
def flowers(tmp_path):
    loaded = load_iris(as_frame=True)
    frame = loaded.data.rename(columns=lambda name: name.replace(" (cm)", "").replace(" ", "_"))
    frame["kind"] = loaded.target_names[loaded.target]
    frame = frame.mask(np.random.default_rng(0).random(frame.shape) < 0.2)
    frame["id"] = [f"flower {row}" for row in range(150)]
    frame.to_csv(tmp_path / "iris.csv", index=False)
    return tmp_path / "iris.csv"


@pytest.fixture
def model(flowers, tmp_path):
    path = tmp_path / "iris.safetensors"
    run("fit", flowers, "--for", "restore", "-o", path, "--drop", "id", "--steps", 20, "--random-state", 0, "-q")
    return path


def test_a_table_is_filled_and_what_was_there_stays(flowers, model, tmp_path):
    sure, out = tmp_path / "sure.csv", tmp_path / "filled.csv"
    done = run("fill", flowers, "-m", model, "-o", out, "--uncertainty", sure, "--draws", 2, "--json", "-q")
    before, after = pd.read_csv(flowers), pd.read_csv(out)
    assert not after.isna().any().any() and list(after) == list(before)
    assert all(after[name][before[name].notna()].equals(before[name].dropna()) for name in before)
    said = json.loads(done.stdout)
    lost = before.drop(columns="id").isna()
    assert said["filled"] == lost.to_numpy().sum() and said["columns"] == {k: int(v) for k, v in lost.sum().items()}
    doubt = pd.read_csv(sure)
    assert (doubt.notna() == lost).all().all() and doubt["kind"].max() <= 1
    drawn = [pd.read_csv(tmp_path / f"filled.{number}.csv") for number in (1, 2)]
    assert not drawn[0].equals(drawn[1]) and not drawn[0].isna().any().any()


def test_without_a_model_it_learns_from_the_table(flowers, tmp_path):
    done = run("fill", flowers, "-o", tmp_path / "filled.parquet", "--drop", "id")
    filled = pd.read_parquet(tmp_path / "filled.parquet")
    assert not filled.isna().any().any() and "id" in filled
    assert "cells in 5 columns of 150 rows" in done.output


def test_nothing_is_overwritten_unasked(flowers, model, tmp_path):
    out = tmp_path / "filled.csv"
    (tmp_path / "filled.1.csv").write_text("mine")
    said = run("fill", flowers, "-m", model, "-o", out, "--draws", 1, code=2).output
    assert "is there already" in said and not out.exists()
    run("fill", flowers, "-m", model, "-o", out, "--draws", 1, "--overwrite", "-q")
    assert out.exists() and (tmp_path / "filled.1.csv").read_text() != "mine"
    assert "name two files" in run("fill", flowers, "-o", out, "--uncertainty", out, code=2).output
    assert "ending" in run("fill", flowers, "-o", tmp_path / "filled.xlsx", code=2).output


def test_models_are_used_for_what_they_can(flowers, model, tmp_path):
    encoder = tmp_path / "encoder.safetensors"
    run("fit", flowers, "-o", encoder, "--max-epochs", 1, "--drop", "id", "-q")
    said = run("fill", flowers, "-m", encoder, "-o", tmp_path / "out.csv", code=1).output
    assert "fills no tables" in said
    (tmp_path / "x.png").write_bytes(b"")
    said = run("denoise", tmp_path / "x.png", "-m", model, "-o", tmp_path / "y.png", code=1).output
    assert "no restorer of pictures" in said
    shown = run("info", model).output
    assert "missing cells" in shown and "sepal_length" in shown
