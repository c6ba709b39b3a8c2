"""``refold unwatermark``: a mark that many pictures share comes off; wrong wishes get one sentence."""

import numpy as np
import pytest
from PIL import Image, ImageDraw
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


@pytest.fixture(scope="module")
def logo_folder(tmp_path_factory):
    """Return a folder with a logo, a picture stamped with it, and a JPEG file without it."""
    folder = tmp_path_factory.mktemp("logo")
    (folder / "in").mkdir()
    logo = Image.new("RGBA", (90, 60))
    pencil = ImageDraw.Draw(logo)
    pencil.ellipse((0, 0, 59, 59), fill=(255, 255, 255, 255))
    pencil.ellipse((14, 14, 45, 45), fill=(0, 0, 0, 0))
    pencil.rectangle((66, 10, 89, 49), fill=(200, 30, 40, 255))
    logo.save(folder / "in" / "logo.png")
    photo = Image.fromarray(data.chelsea()[20:220, 60:320])
    photo.save(folder / "true.png")
    photo.save(folder / "in" / "clean.jpg")
    canvas = Image.new("RGBA", photo.size)
    canvas.paste(logo, (120, 90))
    alpha = np.asarray(canvas)[..., 3:] / 255 * 0.5
    marked = (1 - alpha) * np.asarray(photo) + alpha * np.asarray(canvas)[..., :3]
    Image.fromarray(marked.round().astype(np.uint8)).save(folder / "in" / "stamped.png")
    return folder


def test_a_known_logo_comes_off_and_pictures_without_it_stay_byte_for_byte(logo_folder, tmp_path):
    given, out = logo_folder / "in", tmp_path / "out"
    words = ("--logo", given / "logo.png", "-o", out, "--save-masks", tmp_path / "masks", "--compare")
    done = run("unwatermark", given, *words)
    assert "stamped.png: a mark on" in done.stderr and "clean.jpg: no mark was found" in done.stderr
    assert (out / "clean.jpg").read_bytes() == (given / "clean.jpg").read_bytes()
    assert (out / "compare.html").exists() and not (out / "logo.png").exists()
    true, marked, cleaned = (
        pixels(path) for path in (logo_folder / "true.png", given / "stamped.png", out / "stamped.png")
    )
    mask = pixels(tmp_path / "masks" / "stamped.png") > 0
    assert np.array_equal(cleaned[~mask], marked[~mask])
    assert np.mean((cleaned - true) ** 2) < 0.01 * np.mean((marked - true) ** 2)


def test_half_the_strength_takes_half_of_a_logo_off(logo_folder, tmp_path):
    given = logo_folder / "in"
    run(
        "unwatermark",
        given / "stamped.png",
        "--logo",
        given / "logo.png",
        "-o",
        tmp_path / "a.png",
        "--strength",
        0.5,
    )
    true, marked, cleaned = (
        pixels(path) for path in (logo_folder / "true.png", given / "stamped.png", tmp_path / "a.png")
    )
    assert np.abs(cleaned - (true + marked) / 2).max() <= 2


@pytest.mark.parametrize(
    ("words", "code", "sentence"),
    [
        (("--same-mark",), 2, "--logo finds the mark by itself"),
        (("--mask", "white"), 2, "--logo finds the mark by itself"),
        (("--model", "m.safetensors"), 2, "--logo finds the mark by itself"),
        (("--strength", "2"), 2, "strength must be from 0 to 1"),
    ],
)
def test_what_does_not_go_with_a_logo(logo_folder, tmp_path, words, code, sentence):
    given = logo_folder / "in"
    done = run("unwatermark", given, "--logo", given / "logo.png", "-o", tmp_path / "out", *words, code=code)
    assert sentence in done.stderr and not (tmp_path / "out").exists()


def test_bad_logos_get_one_sentence(logo_folder, tmp_path):
    Image.new("RGBA", (40, 40)).save(tmp_path / "nothing.png")
    Image.new("RGB", (40, 40), "red").save(tmp_path / "red.png")
    (tmp_path / "empty.png").touch()
    said = {
        "nothing.png": "transparent everywhere",
        "red.png": "one colour and no transparency",
        "empty.png": "cannot be read as a picture",
    }
    for name, sentence in said.items():
        done = run("unwatermark", logo_folder / "in", "--logo", tmp_path / name, "-o", tmp_path / "out", code=1)
        assert f"--logo {name}" in done.stderr and sentence in done.stderr
    done = run("unwatermark", logo_folder / "in", "--logo", tmp_path / "none.png", "-o", tmp_path / "out", code=2)
    assert "is no file" in done.stderr


def test_what_an_opaque_logo_covers_is_filled(logo_folder, tmp_path):
    given, true = logo_folder / "in", Image.open(logo_folder / "true.png")
    logo = Image.open(given / "logo.png")
    true.paste(logo, (120, 90), logo)
    true.save(tmp_path / "opaque.png")
    run("unwatermark", tmp_path / "opaque.png", "--logo", given / "logo.png", "-o", tmp_path / "out.png")
    whole, marked, cleaned = (
        pixels(path) for path in (logo_folder / "true.png", tmp_path / "opaque.png", tmp_path / "out.png")
    )
    assert np.mean((cleaned - whole) ** 2) < 0.1 * np.mean((marked - whole) ** 2)
