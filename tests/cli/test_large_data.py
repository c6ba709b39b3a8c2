"""Data larger than memory, checkpoints and the machine, on the command line."""

import json
import signal
import subprocess
import sys

import numpy as np
import pyarrow as pa
import pytest
from pyarrow import csv, parquet
from typer.testing import CliRunner

import refold
from refold.cli import app

QUICK = ["--max-epochs", "2", "--latent-dim", "2", "--random-state", "0", "--quiet"]
LITTLE = ["--max-memory", "20kB"]


def run(*words, code=0):
    result = CliRunner().invoke(app, [str(word) for word in words])
    assert result.exit_code == code, result.output
    assert "Traceback" not in result.output
    return result


@pytest.fixture
def logs(tmp_path):
    """A folder of three Parquet files."""
    rng = np.random.default_rng(0)
    folder = tmp_path / "logs"
    folder.mkdir()
    for part in range(3):
        hidden = rng.normal(size=(700, 2))
        numbers = hidden @ rng.normal(size=(2, 5))
        columns = {f"sensor{place}": pa.array(column) for place, column in enumerate(numbers.T)}
        columns["id"] = pa.array([f"{part}-{row}" for row in range(700)])
        parquet.write_table(pa.table(columns), folder / f"{part}.parquet", row_group_size=200)
    return folder


@pytest.fixture
def model(logs, tmp_path):
    path = tmp_path / "logs.safetensors"
    run("fit", logs, "-o", path, "--drop", "id", *LITTLE, *QUICK)
    return path


def test_a_folder_larger_than_memory_is_fitted_and_judged(logs, tmp_path):
    words = ["fit", logs, "-o", tmp_path / "model.safetensors", "--drop", "id", *LITTLE, *QUICK, "--json"]
    result = json.loads(run(*words).stdout)
    assert result["records"] == 2100 and "records held out of training" in result["judged_by"]
    assert result["variance_kept"] > 0.5 and result["variance_kept_by_pca"] > 0.5


def test_it_says_that_data_stay_on_disk(logs, tmp_path):
    loud = [word for word in QUICK if word != "--quiet"]
    result = run("fit", logs, "-o", tmp_path / "model.safetensors", "--drop", "id", *LITTLE, *loud)
    assert "2100 records are more than --max-memory holds" in result.stderr


@pytest.mark.parametrize("ending", ["parquet", "csv", "npy"])
def test_codes_are_the_same_part_by_part(model, logs, tmp_path, ending):
    outputs = [tmp_path / f"{name}.{ending}" for name in ("parts", "whole")]
    keep = [] if ending == "npy" else ["--keep", "id", "--errors"]
    run("embed", model, logs, "-o", outputs[0], *keep, *LITTLE)
    run("embed", model, logs, "-o", outputs[1], *keep)
    if ending == "npy":
        assert np.array_equal(*map(np.load, outputs))
    else:
        read = parquet.read_table if ending == "parquet" else csv.read_csv
        parts, whole = map(read, outputs)
        assert parts.equals(whole) and parts.num_rows == 2100
        assert parts["id"].to_pylist()[:2] == ["0-0", "0-1"]


def test_standard_output_has_one_header(model, logs):
    lines = run("embed", model, logs, "--keep", "id", *LITTLE).stdout.splitlines()
    assert len(lines) == 2101 and sum("autoencoder0" in line for line in lines) == 1


def test_records_are_rebuilt_part_by_part(model, logs, tmp_path):
    outputs = [tmp_path / "parts.parquet", tmp_path / "whole.parquet"]
    run("reconstruct", model, logs, "-o", outputs[0], *LITTLE)
    run("reconstruct", model, logs, "-o", outputs[1])
    parts, whole = map(parquet.read_table, outputs)
    assert parts.equals(whole)
    assert parquet.ParquetFile(outputs[0]).num_row_groups > 1


def test_info_describes_a_folder_of_tables(logs):
    described = json.loads(run("info", logs, "--json").stdout)
    assert described["count"] == 2100 and len(described["columns"]) == 6


def test_the_checkpoint_is_gone_when_the_model_is_saved(logs, tmp_path):
    checkpoint, path = tmp_path / "run.checkpoint", tmp_path / "model.safetensors"
    run("fit", logs / "0.parquet", "-o", path, "--drop", "id", *QUICK, "--checkpoint", checkpoint)
    assert path.exists() and not checkpoint.exists()
    assert b"run.checkpoint" not in path.read_bytes()


def test_a_checkpoint_of_other_settings_is_refused_in_a_sentence(logs, tmp_path):
    checkpoint = tmp_path / "run.checkpoint"
    data = np.column_stack([parquet.read_table(logs / "0.parquet")[f"sensor{place}"] for place in range(5)])
    refold.Autoencoder(latent_dim=2, max_epochs=1, random_state=0, checkpoint=checkpoint).fit(data)
    words = ["fit", logs / "0.parquet", "-o", tmp_path / "m.safetensors", "--drop", "id", *QUICK]
    result = run(*words, "--checkpoint", checkpoint, code=1)
    assert "is of a training with other" in result.stderr and not (tmp_path / "m.safetensors").exists()


def test_ctrl_c_saves_a_model_and_the_same_command_goes_on(logs, tmp_path):
    checkpoint, path = tmp_path / "run.checkpoint", tmp_path / "model.safetensors"
    words = ["fit", logs, "-o", path, "--drop", "id", "--latent-dim", "2", "--random-state", "0"]
    words += [
        "--checkpoint",
        checkpoint,
        "--checkpoint-seconds",
        "0.1",
        "--max-epochs",
        "100000",
        "--no-early-stopping",
    ]
    log = tmp_path / "run.jsonl"
    command = [sys.executable, "-m", "refold", *map(str, words), "--track", str(log)]
    with subprocess.Popen(command, stderr=subprocess.PIPE, text=True) as process:
        while not (log.exists() and log.read_text().count('"epoch"') > 2):
            assert process.poll() is None, process.stderr.read()
        process.send_signal(signal.SIGINT)
        _, talk = process.communicate()
    assert process.returncode == 0, talk
    assert "interrupted" in talk and path.exists() and checkpoint.exists()
    assert refold.load(path).stopped_ == "interrupted"


def test_the_machine_is_described():
    described = json.loads(run("info", "--machine", "--json").stdout)
    assert described["device"] in ("cpu", "cuda", "mps")
    assert "thread" in described["a table of 30 columns"]
    run("info", code=2)
    run("info", "x.csv", "--machine", code=2)


def test_checkpoint_and_output_must_differ(logs, tmp_path):
    path = tmp_path / "model.safetensors"
    result = run("fit", logs, "-o", path, *QUICK, "--checkpoint", path, code=2)
    assert "are both" in result.stderr and not path.exists()


def test_a_checkpoint_is_not_described_as_a_model(logs, tmp_path):
    path = tmp_path / "run.safetensors"
    data = np.random.default_rng(0).normal(size=(50, 4))
    refold.Autoencoder(latent_dim=2, max_epochs=1, random_state=0, checkpoint=path).fit(data)
    assert "holds a Checkpoint and no model" in run("info", path, code=1).stderr
