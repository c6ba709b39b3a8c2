"""`refold export` as its users meet it."""

import json
import logging

import numpy as np
import onnxruntime
import pytest
from typer.testing import CliRunner

import refold
from refold.cli import app
from refold.estimators import _exporting

ROWS = np.random.default_rng(0).normal(size=(40, 5)).astype(np.float32)


def run(*words, code=0):
    result = CliRunner().invoke(app, [str(word) for word in words])
    assert result.exit_code == code, result.output
    assert "Traceback" not in result.output
    return result


@pytest.fixture(scope="module")
def model(tmp_path_factory):
    path = tmp_path_factory.mktemp("models") / "rows.safetensors"
    refold.Autoencoder(latent_dim=2, hidden=(4,), max_epochs=1, random_state=0).fit(ROWS).save(path)
    return path


def test_an_exported_half_gives_the_codes_of_embed(model, tmp_path, caplog):
    result = run("export", model, "-o", tmp_path / "codes.onnx", "--part", "encoder", "--json")
    compared, wrote = result.stderr.splitlines()
    assert "differ by at most" in compared and wrote.startswith("wrote") and "codes.onnx" in wrote
    assert not [record for record in caplog.records if record.levelno >= logging.WARNING], "torch talks to itself"
    answer = json.loads(result.stdout)
    assert answer["part"] == "encoder" and answer["output"] == str(tmp_path / "codes.onnx")
    assert answer["bytes"] == (tmp_path / "codes.onnx").stat().st_size
    assert 0 <= answer["largest_difference"] < 1e-5
    session = onnxruntime.InferenceSession(tmp_path / "codes.onnx", providers=["CPUExecutionProvider"])
    (codes,) = session.run(None, {"records": ROWS})
    np.testing.assert_allclose(codes, refold.load(model).transform(ROWS), atol=1e-5)


def test_the_whole_is_exported_unless_a_part_is_named_and_quiet_is_quiet(model, tmp_path):
    assert run("export", model, "-o", tmp_path / "model.onnx", "--quiet").output == ""
    session = onnxruntime.InferenceSession(tmp_path / "model.onnx", providers=["CPUExecutionProvider"])
    assert [end.name for end in (*session.get_inputs(), *session.get_outputs())] == ["records", "rebuilt"]


@pytest.mark.parametrize(
    ("words", "code", "expected"),
    [
        (["rows.safetensors", "-o", "m.pt"], 2, "allowed are .onnx"),
        (["rows.safetensors", "-o", "m.onnx", "--part", "encode"], 2, "did you mean 'encoder'"),
        (["absent.safetensors", "-o", "m.onnx"], 1, "check the path"),
    ],
)
def test_what_is_wrong_is_one_sentence_and_an_exit_code(model, monkeypatch, words, code, expected):
    monkeypatch.chdir(model.parent)
    result = run("export", *words, code=code)
    assert expected in result.stderr
    assert [line for line in result.stderr.splitlines() if line.startswith("error: ")] == result.stderr.splitlines()
    assert [path.name for path in model.parent.iterdir()] == ["rows.safetensors"]


def test_other_numbers_are_refused(model, tmp_path, monkeypatch):
    monkeypatch.setattr(_exporting, "to_onnx", lambda *given: b"a graph")
    monkeypatch.setattr(_exporting, "open_onnx", lambda content: np.zeros_like)
    result = run("export", model, "-o", tmp_path / "model.onnx", code=1)
    assert "nothing was written" in result.stderr
    assert list(tmp_path.iterdir()) == []
