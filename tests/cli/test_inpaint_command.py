"""``refold inpaint`` and ``refold corrupt``: what is told is filled, the rest stays, and both fit together."""

import json

import numpy as np
import png
import pytest
import tifffile
from PIL import Image
from skimage import data
from typer.testing import CliRunner

import refold
from refold.cli import app

PHOTO = data.astronaut()[:96, 100:180]


def run(*words, code=0):
    done = CliRunner().invoke(app, [str(word) for word in words])
    assert done.exit_code == code, done.output
    assert "Traceback" not in done.output
    return done


def pixels(path):
    with Image.open(path) as image:
        return np.asarray(image)


@pytest.fixture
def folder(tmp_path):
    (tmp_path / "in" / "below").mkdir(parents=True)
    Image.fromarray(PHOTO).save(tmp_path / "in" / "a.png")
    Image.fromarray(data.camera()[:80, :90]).save(tmp_path / "in" / "below" / "b.png")
    return tmp_path


def test_what_was_lost_on_purpose_is_filled_again(folder):
    done = run(
        "corrupt", folder / "in", "-o", folder / "bad", "-c", "scratches(0.15)", "--masks", folder / "masks", "--json"
    )
    assert all(0.15 <= each["lost_share"] <= 0.25 for each in json.loads(done.stdout)["done"])
    done = run("inpaint", folder / "bad", "--mask", folder / "masks", "-o", folder / "good", "--json", "--compare")
    assert "of the pixels, filled" in done.stderr
    for name in ("a.png", "below/b.png"):
        true, bad, good = (pixels(folder / place / name).astype(float) for place in ("in", "bad", "good"))
        mask = pixels(folder / "masks" / name) > 0
        assert np.array_equal(good[~mask], true[~mask]) and np.array_equal(bad[~mask], true[~mask])
        assert np.abs(good - true)[mask].mean() < 0.3 * np.abs(bad - true)[mask].mean()
    assert (folder / "good" / "compare.html").exists()


def test_the_same_seed_damages_in_the_same_way(folder):
    for name, seed in (("1", 4), ("2", 4), ("3", 5)):
        run("corrupt", folder / "in" / "a.png", "-o", folder / f"{name}.png", "-c", "noise(0.2)", "--seed", seed)
    first, second, other = (pixels(folder / f"{name}.png") for name in "123")
    assert np.array_equal(first, second) and not np.array_equal(first, other)
    assert (first - PHOTO.astype(float)).std() == pytest.approx(51, rel=0.2)


def test_a_colour_says_what_is_lost(folder):
    stamped = PHOTO.copy()
    stamped[40:44, 10:60] = (255, 0, 255)
    Image.fromarray(stamped).save(folder / "stamped.png")
    run("inpaint", folder / "stamped.png", "--mask", "magenta", "-o", folder / "o.png", "--save-masks", folder / "m")
    mask = pixels(folder / "m" / "stamped.png") > 0
    assert mask[39:45, 9:61].all() and mask.sum() == 6 * 52  # a pixel wider on every side
    assert np.array_equal(pixels(folder / "o.png")[~mask], stamped[~mask])
    assert np.abs(pixels(folder / "o.png")[mask].astype(float) - PHOTO[mask]).mean() < 20


def test_transparent_pixels_are_lost_and_then_there(folder):
    alpha = np.full(PHOTO.shape[:2], 255, np.uint8)
    alpha[20:26, 30:50] = 0
    Image.fromarray(np.dstack([PHOTO, alpha])).save(folder / "hole.png")
    run("inpaint", folder / "hole.png", "--mask", "alpha", "-o", folder / "o.png")
    filled = pixels(folder / "o.png")
    assert (filled[..., 3] == 255).all() and np.array_equal(filled[..., :3][alpha > 0], PHOTO[alpha > 0])


def test_a_layer_that_was_drawn_on_is_a_mask(folder):
    layer = np.zeros((*PHOTO.shape[:2], 4), np.uint8)
    layer[50:55, 20:40] = (10, 10, 10, 255)  # dark strokes
    Image.fromarray(layer).save(folder / "layer.png")
    run("inpaint", folder / "in" / "a.png", "--mask", folder / "layer.png", "-o", folder / "o.png")
    changed = (pixels(folder / "o.png") != PHOTO).any(2)
    assert changed[50:55, 20:40].any() and not changed[layer[..., 3] == 0].any()


@pytest.mark.parametrize(
    ("mask", "code", "sentence"),
    [
        ("none.png", 2, "--mask 'none.png' is not there"),
        ("colourless", 2, "--mask must be a picture, a folder of them, alpha, or a colour"),
        ("alpha", 1, "has no transparency"),
        ("small.png", 1, "has 5x6 pixels and the picture 80x96"),
        ("empty", 1, "has no mask for 'a.png'"),
    ],
)
def test_masks_that_cannot_be_meant(folder, monkeypatch, mask, code, sentence):
    monkeypatch.chdir(folder)
    Image.new("L", (5, 6)).save("small.png")
    (folder / "empty").mkdir()
    done = run("inpaint", "in/a.png", "--mask", mask, "-o", "o.png", code=code)
    assert sentence in done.stderr and not (folder / "o.png").exists()


def test_a_mask_of_nothing_leaves_the_file_byte_for_byte(folder):
    Image.fromarray(PHOTO).save(folder / "p.jpg")
    Image.new("L", (80, 96)).save(folder / "dark.png")
    done = run("inpaint", folder / "p.jpg", "--mask", folder / "dark.png", "-o", folder / "o.jpg")
    assert "left as it is" in done.stderr and (folder / "o.jpg").read_bytes() == (folder / "p.jpg").read_bytes()


def test_what_is_there_is_left_out_or_refused(folder):
    source = folder / "in" / "a.png"
    run("corrupt", source, "-o", folder / "x", "-c", "blur(1)")
    first = (folder / "x" / "a.png").read_bytes()
    assert "is there already" in run("corrupt", source, "-o", folder / "x", "-c", "blur(2)", code=2).stderr
    done = run("corrupt", folder / "in", "-o", folder / "x", "-c", "blur(2)", "--skip-existing", "--json")
    assert len(json.loads(done.stdout)["done"]) == 1 and (folder / "x" / "a.png").read_bytes() == first


def test_wrong_words_get_one_sentence(folder):
    done = run("corrupt", folder / "in", "-o", folder / "x", "-c", "nois(0.2)", code=2)
    assert "'nois' is not known" in done.stderr
    done = run("corrupt", folder / "in", "-o", folder / "x", "-c", "blur", "--lost", "nowhere", code=2)
    assert "--lost must be a colour" in done.stderr


def test_pairs_are_learned_from(folder):
    run("corrupt", folder / "in", "-o", folder / "bad", "-c", "blur(1)")
    quick = ("--steps", 2, "--widths", "8,8", "--crop", 32, "--batch-size", 2)
    model = folder / "m.safetensors"
    run("fit", folder / "bad", "--for", "restore", "--whole", folder / "in", *quick, "-o", model)
    run("denoise", folder / "bad", "-m", model, "-o", folder / "good")
    done = run("fit", folder / "bad", "--whole", folder / "in", "-o", folder / "n.safetensors", code=2)
    assert "--whole belongs to --for restore" in done.stderr


# --- ugly input -----------------------------------------------------------------------------------------------------


def test_deep_transparency_is_filled_wholly(folder):
    alpha = np.full(PHOTO.shape[:2], 65_535, np.uint16)
    alpha[20:26, 30:50] = 0
    deep = np.dstack([PHOTO.astype(np.uint16) * 257, alpha])
    with (folder / "deep.png").open("wb") as file:
        png.Writer(80, 96, greyscale=False, alpha=True, bitdepth=16).write(file, deep.reshape(96, -1))
    run("inpaint", folder / "deep.png", "--mask", "alpha", "-o", folder / "o.png")
    _, _, rows, _ = png.Reader(bytes=(folder / "o.png").read_bytes()).read()
    after = np.array([list(row) for row in rows], np.uint16).reshape(96, 80, 4)
    assert (after[..., 3] == 65_535).all() and np.array_equal(after[alpha > 0], deep[alpha > 0])


def test_half_the_strength_is_half_the_way(folder):
    stamped = PHOTO.copy()
    stamped[40:44, 10:60] = (255, 0, 255)
    Image.fromarray(stamped).save(folder / "s.png")
    for strength in (0, 0.5, 1):
        run(
            "inpaint", folder / "s.png", "--mask", "magenta", "-o", folder / f"{strength}.png", "--strength", strength
        )
    none, half, whole = (pixels(folder / f"{strength}.png").astype(float) for strength in (0, 0.5, 1))
    assert np.array_equal(none, stamped) and np.abs(half - (none + whole) / 2).max() <= 1


def test_a_colour_and_a_cmyk_picture(folder):
    Image.fromarray(PHOTO).convert("CMYK").save(folder / "c.jpg")
    done = run("inpaint", folder / "c.jpg", "--mask", "white", "-o", folder / "o.jpg", code=1)
    assert "a colour says nothing about a CMYK picture" in done.stderr


def test_results_and_masks_never_are_one_file(folder):
    done = run("corrupt", folder / "in", "-o", folder / "x", "--masks", folder / "x", "-c", "scratches(0.1)", code=2)
    assert "would be one file" in done.stderr
    Image.fromarray(PHOTO).save(folder / "in" / "a.bmp")
    done = run("corrupt", folder / "in", "-o", folder / "x", "--masks", folder / "m", "-c", "scratches(0.1)", code=2)
    assert "would both become" in done.stderr


def test_masks_are_not_overwritten_by_what_is_left_to_do(folder):
    (folder / "m").mkdir()
    (folder / "m" / "a.png").write_bytes(b"dear")
    words = ("-o", folder / "x", "--masks", folder / "m", "-c", "scratches(0.1)", "--skip-existing")
    done = run("corrupt", folder / "in" / "a.png", *words, code=2)
    assert "is there already" in done.stderr and (folder / "m" / "a.png").read_bytes() == b"dear"


def test_a_picture_is_damaged_the_same_whichever_are_done_with_it(folder):
    run("corrupt", folder / "in", "-o", folder / "all", "-c", "noise(0.2)")
    (folder / "rest" / "below").mkdir(parents=True)
    (folder / "rest" / "a.png").write_bytes(b"done")
    run("corrupt", folder / "in", "-o", folder / "rest", "-c", "noise(0.2)", "--skip-existing")
    assert (folder / "rest" / "below" / "b.png").read_bytes() == (folder / "all" / "below" / "b.png").read_bytes()


def test_an_output_around_the_input_hides_nothing(folder):
    done = run("corrupt", folder / "in", "-o", folder, "-c", "blur", "--json")
    assert len(json.loads(done.stdout)["done"]) == 2 and (folder / "a.png").exists()


def test_going_on_with_a_comparison(folder):
    run("denoise", folder / "in" / "a.png", "-o", folder / "x", "--compare")
    run("denoise", folder / "in", "-o", folder / "x", "--compare", "--skip-existing")
    assert (folder / "x" / "below" / "b.png").exists()


def test_floats_get_colours_in_a_tiff(folder):
    tifffile.imwrite(folder / "f.tif", data.camera()[:64, :64].astype(np.float32) / 255)
    run("colourise", folder / "f.tif", "-o", folder / "o.tif")
    assert tifffile.imread(folder / "o.tif").shape == (64, 64, 3)
    done = run("colourise", folder / "f.tif", "-o", folder / "o.png", code=1)
    assert "cannot hold colours as floats" in done.stderr


def test_a_model_for_something_else_is_not_used(folder):
    refold.pretrained("inpaint").save(folder / "i.safetensors")
    refold.pretrained("denoise").save(folder / "d.safetensors")
    done = run("denoise", folder / "in", "-m", folder / "i.safetensors", "-o", folder / "x", code=1)
    assert "is for refold inpaint, and not for refold denoise" in done.stderr
    done = run("unwatermark", folder / "in", "-m", folder / "d.safetensors", "-o", folder / "x", code=1)
    assert "is for refold denoise, and not for refold unwatermark" in done.stderr


def test_webp_keeps_known_pixels(folder):
    Image.fromarray(PHOTO).save(folder / "w.webp", lossless=True)
    mask = np.zeros(PHOTO.shape[:2], np.uint8)
    mask[10:14] = 255
    Image.fromarray(mask).save(folder / "mask.png")
    run("inpaint", folder / "w.webp", "--mask", folder / "mask.png", "-o", folder / "o.webp")
    assert np.array_equal(pixels(folder / "o.webp")[mask == 0], PHOTO[mask == 0])


def test_masks_inside_the_folder_are_no_pictures(folder):
    run("corrupt", folder / "in", "-o", folder / "bad", "-c", "scratches(0.1)", "--masks", folder / "bad" / "masks")
    masks = folder / "bad" / "masks"
    done = run("inpaint", folder / "bad", "--mask", masks, "-o", folder / "good", "--json")
    assert len(json.loads(done.stdout)["done"]) == 2


def test_a_colour_photograph_keeps_its_colours_and_a_toned_print_gets_some(folder):
    photo = data.astronaut()
    Image.fromarray(photo).save(folder / "photo.png")
    toned = (np.asarray(Image.fromarray(photo).convert("L"))[..., None] * [1.0, 0.9, 0.7]).astype(np.uint8)
    Image.fromarray(toned).save(folder / "print.png")
    done = run("colourise", folder / "photo.png", folder / "print.png", "-o", folder / "out")
    assert "photo.png: it has colours already, left as it is" in done.stderr
    assert (folder / "out" / "photo.png").read_bytes() == (folder / "photo.png").read_bytes()
    assert not np.array_equal(pixels(folder / "out" / "print.png"), toned)


def test_a_model_that_was_fitted_says_which_command_it_is_for(folder):
    quick = ("--steps", 1, "--crop", 32, "--widths", "8,8", "-o", folder / "c.safetensors")
    done = run("fit", folder / "in", "--for", "restore", "--corruption", "grey", *quick)
    assert "use it with: refold colourise PICTURES -m" in done.stderr
    done = run("denoise", folder / "in", "-m", folder / "c.safetensors", "-o", folder / "x", code=1)
    assert "is for refold colourise" in done.stderr
