"""``refold dims``: an answer, a picture, a page."""

import json

import numpy as np
import pytest
from typer.testing import CliRunner

from refold.cli import app


@pytest.fixture
def plane(tmp_path):
    rng = np.random.default_rng(0)
    np.save(tmp_path / "plane.npy", rng.normal(size=(300, 2)) @ rng.normal(size=(2, 8)))
    return tmp_path / "plane.npy"


def test_it_says_how_many_numbers_and_why(plane, tmp_path):
    result = CliRunner().invoke(app, ["dims", str(plane), "-o", str(tmp_path / "dims.html"), "--json", "-q"])
    assert result.exit_code == 0, result.output
    found = json.loads(result.stdout)
    assert found["recommended"] == 2
    assert "take 2 numbers" in found["reason"]
    page = (tmp_path / "dims.html").read_text(encoding="utf-8")
    assert "How small can plane.npy be?" in page
    assert "data:image/svg" in page


def test_a_picture_alone_can_be_had(plane, tmp_path):
    result = CliRunner().invoke(app, ["dims", str(plane), "-o", str(tmp_path / "dims.png"), "-q"])
    assert result.exit_code == 0, result.output
    assert (tmp_path / "dims.png").read_bytes().startswith(b"\x89PNG")


def test_wrong_usage_is_said_before_anything_is_learned(plane, tmp_path):
    result = CliRunner().invoke(app, ["dims", str(plane), "--represent", "2"])
    assert result.exit_code == 2
    assert "--represent 2.0 is not possible" in result.output
    result = CliRunner().invoke(app, ["dims", str(plane), "-o", str(tmp_path / "dims.txt")])
    assert result.exit_code == 2
