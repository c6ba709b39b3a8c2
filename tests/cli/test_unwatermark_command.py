"""``refold unwatermark``: a mark that many pictures share comes off; wrong wishes get one sentence."""

import numpy as np
import pytest
from PIL import Image
from skimage import data
from typer.testing import CliRunner

from refold.cli import app


def run(*words, code=0):
    done = CliRunner().invoke(app, [str(word) for word in words])
    assert done.exit_code == code, done.output
    assert "Traceback" not in done.output
    return done


def pixels(path):
    with Image.open(path) as image:
        return np.asarray(image).astype(float)


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """Return a folder of twelve different pictures with one half white square ring, and the pictures without it."""
    folder = tmp_path_factory.mktemp("marks")
    (folder / "in").mkdir()
    (folder / "true").mkdir()
    ring = np.zeros((120, 140), bool)
    ring[40:80, 50:100] = True
    ring[48:72, 58:92] = False
    photos = [data.astronaut(), data.chelsea(), data.coffee()]
    for place in range(12):
        photo = photos[place % 3][place * 12 : place * 12 + 120, place * 20 : place * 20 + 140]
        marked = np.where(ring[..., None], 0.5 * photo + 127.5, photo).round().astype(np.uint8)
        Image.fromarray(photo).save(folder / "true" / f"{place:02d}.png")
        Image.fromarray(marked).save(folder / "in" / f"{place:02d}.png")
    return folder


def test_a_mark_that_all_share_comes_off(folder, tmp_path):
    done = run(
        "unwatermark", folder / "in", "--same-mark", "-o", tmp_path / "out", "--save-masks", tmp_path / "masks"
    )
    assert "12 pictures of 140x120: a mark on" in done.stderr
    errors = []
    for place in range(12):
        name = f"{place:02d}.png"
        true, marked, cleaned = (pixels(base / name) for base in (folder / "true", folder / "in", tmp_path / "out"))
        mask = pixels(tmp_path / "masks" / name) > 0
        assert np.array_equal(cleaned[~mask], marked[~mask])
        errors.append(np.mean((cleaned - true) ** 2) / np.mean((marked - true) ** 2))
    assert np.mean(errors) < 0.1


def test_too_few_of_a_size_are_told_of(folder, tmp_path):
    (tmp_path / "in").mkdir()
    for place in range(3):
        (tmp_path / "in" / f"{place}.png").write_bytes((folder / "in" / "00.png").read_bytes())
    done = run("unwatermark", tmp_path / "in", "--same-mark", "-o", tmp_path / "out", code=1)
    assert "too few pictures have its size 140x120" in done.stderr


def test_odd_pictures_do_not_stop_the_others(folder, tmp_path):
    (tmp_path / "in").mkdir()
    for path in sorted((folder / "in").iterdir()):
        (tmp_path / "in" / path.name).write_bytes(path.read_bytes())
    Image.fromarray(data.astronaut()[:120, :140]).convert("CMYK").save(tmp_path / "in" / "odd.jpg")
    for place, name in enumerate(
        ("astronaut", "chelsea", "coffee", "cat", "rocket", "camera", "coins", "moon", "brick")
    ):
        photo = getattr(data, name)()[150:240, 100:200]
        Image.fromarray(photo).save(tmp_path / "in" / f"clean{place}.png")
    done = run("unwatermark", tmp_path / "in", "--same-mark", "-o", tmp_path / "out", code=1)
    assert "skipped odd.jpg" in done.stderr and "clean0.png: no mark was found" in done.stderr
    assert len(list((tmp_path / "out").iterdir())) == 21


def test_without_more_the_network_that_ships_looks_for_a_mark(folder, tmp_path):
    done = run("unwatermark", folder / "true" / "00.png", "-o", tmp_path / "clean.png")
    assert "no mark was found" in done.stderr
    assert np.array_equal(pixels(tmp_path / "clean.png"), pixels(folder / "true" / "00.png"))


def test_wishes_that_exclude_each_other(folder, tmp_path):
    done = run("unwatermark", folder / "in", "--same-mark", "--mask", "white", "-o", tmp_path / "out", code=2)
    assert "--same-mark finds the mark by itself" in done.stderr
