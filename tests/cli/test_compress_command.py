"""`refold compress`, `decompress`, `list` and `verify` as their users meet them."""

import json

import numpy as np
import pytest
from typer.testing import CliRunner

import refold
from refold.cli import app


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
