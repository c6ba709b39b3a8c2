"""``refold denoise``: files of every kind keep what they are; nothing is lost or overwritten."""

import io
import json
import struct

import numpy as np
import png
import pytest
import tifffile
from PIL import Image
from skimage import data
from typer.testing import CliRunner

from refold import Restorer
from refold.cli import app


def run(*words, code=0):
    done = CliRunner().invoke(app, [str(word) for word in words])
    assert done.exit_code == code, done.output
    assert "Traceback" not in done.output
    return done


def noisy(picture, sigma=25):
    noise = sigma * np.random.default_rng(0).normal(size=picture.shape)
    return np.clip(picture + noise, 0, 255).round().astype(np.uint8)


GREY, COLOUR = data.camera()[:96, 100:180], data.astronaut()[:96, 100:180]
ALPHA = np.tile(np.arange(80, dtype=np.uint8), (96, 1))


def exif():
    made = Image.Exif()
    made[0x010F], made[0x0112] = "a camera", 6
    return made


PICTURES = {
    "grey.png": (Image.fromarray(noisy(GREY)), {"dpi": (300, 300)}),
    "colour.jpg": (Image.fromarray(noisy(COLOUR)), {"exif": exif(), "icc_profile": b"a profile", "quality": 98}),
    "alpha.png": (Image.fromarray(np.dstack([noisy(COLOUR), ALPHA])), {}),
    "grey_alpha.png": (Image.fromarray(np.dstack([noisy(GREY), ALPHA])), {}),
    "deep.png": (Image.fromarray(noisy(GREY).astype(np.uint16) * 257), {}),
    "float.tif": (Image.fromarray((noisy(GREY) / 255).astype(np.float32)), {}),
    "cmyk.jpg": (Image.fromarray(noisy(COLOUR)).convert("CMYK"), {}),
}


@pytest.fixture
def folder(tmp_path):
    (tmp_path / "in" / "below").mkdir(parents=True)
    for name, (image, options) in PICTURES.items():
        image.save(tmp_path / "in" / name, **options)
    Image.fromarray(noisy(GREY)).quantize(64).save(tmp_path / "in" / "below" / "palette.png")
    return tmp_path


def opened(path):
    with Image.open(path) as image:
        image.load()
        return image


def test_a_folder_of_every_kind_keeps_what_it_is(folder):
    done = run("denoise", folder / "in", "-o", folder / "out", "--json")
    assert "noise of sigma 2" in done.stderr
    assert len(json.loads(done.stdout)["done"]) == len(PICTURES) + 1
    for name in PICTURES:
        before, after = opened(folder / "in" / name), opened(folder / "out" / name)
        assert (after.mode, after.size, after.format) == (before.mode, before.size, before.format)
        assert not np.array_equal(np.asarray(before), np.asarray(after))
    after = opened(folder / "out" / "colour.jpg")
    assert after.getexif()[0x010F] == "a camera" and after.info["icc_profile"] == b"a profile"
    assert round(opened(folder / "out" / "grey.png").info["dpi"][0]) == 300
    assert np.array_equal(np.asarray(opened(folder / "out" / "alpha.png"))[..., 3], ALPHA)
    assert (folder / "out" / "below" / "palette.png").exists()


def test_a_clean_picture_is_copied_byte_for_byte(tmp_path):
    Image.fromarray(data.chelsea()).save(tmp_path / "clean.jpg", quality=90)
    done = run("denoise", tmp_path / "clean.jpg", "-o", tmp_path / "same.jpg")
    assert "left as it is" in done.stderr
    assert (tmp_path / "same.jpg").read_bytes() == (tmp_path / "clean.jpg").read_bytes()


def test_broken_files_are_named_and_the_rest_is_done(folder):
    (folder / "in" / "torn.png").write_bytes((folder / "in" / "grey.png").read_bytes()[:500])
    (folder / "in" / "words.jpg").write_text("no picture")
    frames = [Image.fromarray(GREY), Image.fromarray(GREY[::-1])]
    frames[0].save(folder / "in" / "moving.gif", save_all=True, append_images=frames[1:])
    done = run("denoise", folder / "in", "-o", folder / "out", "-q", "--json", code=1)
    result = json.loads(done.stdout)
    assert set(result["skipped"]) == {"torn.png", "words.jpg", "moving.gif"}
    assert len(result["done"]) == len(PICTURES) + 1 and not (folder / "out" / "torn.png").exists()
    assert "'moving.gif' holds 2 pictures" in done.stderr


def test_nothing_is_overwritten_unless_told_so(folder):
    source, target = folder / "in" / "grey.png", folder / "kept.png"
    target.write_bytes(b"dear")
    done = run("denoise", source, "-o", target, code=2)
    assert "is there already" in done.stderr and target.read_bytes() == b"dear"
    run("denoise", source, "-o", target, "--overwrite", "-q")
    assert opened(target).size == (80, 96)
    (folder / "other").mkdir()
    Image.fromarray(GREY).save(folder / "other" / "grey.png")
    done = run("denoise", source, folder / "other" / "grey.png", "-o", folder / "both", code=2)
    assert "would both become" in done.stderr


def test_before_and_after_stand_side_by_side(folder):
    run("denoise", folder / "in" / "*.png", "-o", folder / "out", "--compare")
    assert opened(folder / "out" / "grey.png.compare.png").size == (160, 96)
    page = (folder / "out" / "compare.html").read_text(encoding="utf-8")
    assert "deep.png" in page and "taken off" in page


def test_a_second_run_neither_eats_nor_grows_what_the_first_one_wrote(folder):
    inside = folder / "in" / "clean"
    run("denoise", folder / "in", "-o", inside, "--compare", "-q")
    before = sorted(path.name for path in inside.rglob("*"))
    (inside / "compare.html").write_text("mine")
    (folder / "other.png").write_bytes((folder / "in" / "grey.png").read_bytes())
    done = run("denoise", folder / "other.png", "-o", inside, "--compare", code=2)
    assert "is there already" in done.stderr and (inside / "compare.html").read_text() == "mine"
    assert not (inside / "other.png").exists()
    run("denoise", folder / "in", "-o", inside, "--compare", "--overwrite", "-q")
    assert sorted(path.name for path in inside.rglob("*")) == before


def test_comparisons_are_no_pictures_of_the_next_run(folder):
    for _ in range(2):
        run("denoise", folder / "in" / "*.png", "-o", folder / "in", "--compare", "--overwrite", "-q")
    assert not list((folder / "in").glob("*.compare.png.compare.png"))


def test_a_folder_may_have_a_point_in_its_name(folder):
    run("denoise", folder / "in", "-o", folder / "clean.v2", "-q")
    assert (folder / "clean.v2" / "grey.png").exists()


def test_a_telephones_second_picture_is_left_out(folder):
    first, second = Image.fromarray(noisy(COLOUR)), Image.fromarray(GREY)
    first.save(folder / "phone.jpg", format="MPO", save_all=True, append_images=[second])
    assert opened(folder / "phone.jpg").format == "MPO"
    run("denoise", folder / "phone.jpg", "-o", folder / "out.jpg")
    assert opened(folder / "out.jpg").size == (80, 96) and opened(folder / "out.jpg").mode == "RGB"


def test_what_would_lose_depth_is_refused_by_name(folder):
    ppm = b"P6 4 4 65535\n" + bytes(96)
    (folder / "deep.ppm").write_bytes(ppm)
    Image.fromarray(np.full((20, 20), 100_000, np.int32)).save(folder / "whole.tif")
    tifffile.imwrite(folder / "deep.tif", np.zeros((20, 20, 4), np.uint16), photometric="separated")
    for name, sentence in (
        ("deep.ppm", "16 bits a colour"),
        ("deep.tif", "16 bits"),
        ("whole.tif", "0 to 65535 can be kept"),
    ):
        done = run("denoise", folder / name, "-o", folder / "out" / name, code=1)
        assert sentence in done.stderr and not (folder / "out" / name).exists()


DEEP = np.random.default_rng(3).normal(32_000, 6_000, (40, 50, 4)).clip(0, 65_535).astype(np.uint16)


def deep_png(path, channels):
    """Write a PNG of 16 bits a channel with a text."""
    file = io.BytesIO()
    writer = png.Writer(50, 40, greyscale=channels < 3, alpha=channels in (2, 4), bitdepth=16)
    writer.write(file, DEEP[..., -channels:].reshape(40, -1))
    head, *rest = png.Reader(bytes=file.getvalue()).chunks()
    with path.open("wb") as out:
        png.write_chunks(
            out, [head, (b"pHYs", struct.pack(">IIB", 5906, 5906, 1)), (b"tEXt", b"Author\0A. B."), *rest]
        )


@pytest.mark.parametrize("channels", [2, 3, 4])
def test_deep_colours_keep_their_bits_and_what_the_file_says(tmp_path, channels):
    deep_png(tmp_path / "in.png", channels)
    run("denoise", tmp_path / "in.png", "-o", tmp_path / "out.png", "--sigma", 20)
    width, height, rows, info = png.Reader(bytes=(tmp_path / "out.png").read_bytes()).read()
    after = np.array([list(row) for row in rows], np.uint16).reshape(height, width, -1)
    before = DEEP[..., -channels:]
    assert info["bitdepth"] == 16 and after.shape == before.shape
    assert (after % 257 != 0).mean() > 0.9  # not 8 bits that were stretched
    if channels in (2, 4):
        assert np.array_equal(after[..., -1], before[..., -1])
    colours = slice(0, channels - (channels in (2, 4)))
    assert after[..., colours].std() < 0.6 * before[..., colours].std()
    assert dict(png.Reader(bytes=(tmp_path / "out.png").read_bytes()).chunks())[b"tEXt"] == b"Author\0A. B."


@pytest.mark.parametrize("planar", ["contig", "separate"])
@pytest.mark.parametrize("channels", [3, 4])
def test_deep_tiffs_keep_their_tags(tmp_path, planar, channels):
    pixels = DEEP[..., :channels]
    tifffile.imwrite(
        tmp_path / "in.tif",
        pixels if planar == "contig" else np.moveaxis(pixels, -1, 0),
        photometric="rgb",
        planarconfig=planar,
        extrasamples=["unassalpha"] * (channels == 4),
        compression="zlib",
        resolution=(300, 300),
        resolutionunit="inch",
        metadata=None,
        extratags=[(33432, 2, 0, "a right", True), (34735, 3, 4, (1, 1, 0, 0), True)],
    )
    run("denoise", tmp_path / "in.tif", "-o", tmp_path / "out.tif", "--sigma", 20)
    with tifffile.TiffFile(tmp_path / "out.tif") as file:
        page = file.pages.first
        after = page.asarray()
        assert page.tags[33432].value == "a right" and page.tags[34735].value == (1, 1, 0, 0)
        assert page.tags["XResolution"].value == (300, 1) and page.compression != 1
    assert after.shape == pixels.shape and after.dtype == np.uint16
    assert after[..., :3].std() < 0.6 * pixels[..., :3].std()
    assert channels == 3 or np.array_equal(after[..., 3], pixels[..., 3])


@pytest.mark.parametrize("channels", [1, 3])
def test_one_transparent_colour_stays_transparent_in_deep_pictures(tmp_path, channels):
    pixels = DEEP[..., :channels]
    key = tuple(map(int, pixels[7, 9]))
    with (tmp_path / "in.png").open("wb") as file:
        transparent = key if channels == 3 else key[0]
        writer = png.Writer(50, 40, greyscale=channels == 1, bitdepth=16, transparent=transparent)
        writer.write(file, pixels.reshape(40, -1))
    run("denoise", tmp_path / "in.png", "-o", tmp_path / "out.png", "--sigma", 20)
    _, _, rows, info = png.Reader(bytes=(tmp_path / "out.png").read_bytes()).read()
    alpha = np.array([list(row) for row in rows]).reshape(40, 50, -1)[..., -1]
    assert info["alpha"] and alpha[7, 9] == 0
    assert np.array_equal(alpha == 0, (pixels == pixels[7, 9]).all(axis=2))


@pytest.mark.parametrize("suffix", [".png", ".tif"])
def test_a_deep_grey_picture_that_gets_colours_keeps_what_its_file_says(tmp_path, suffix):
    grey, source, target = DEEP[..., 0], tmp_path / f"in{suffix}", tmp_path / f"out{suffix}"
    if suffix == ".png":
        Image.fromarray(grey).save(source, dpi=(300, 300), exif=exif(), icc_profile=b"of grey")
    else:
        tifffile.imwrite(
            source, grey, metadata=None, resolution=(300, 300), resolutionunit="inch",
            extratags=[(33432, 2, 0, "a right", True), (34675, 7, 7, b"of grey", True)],
        )  # fmt: skip
    run("colourise", source, "-o", target)
    if suffix == ".png":
        chunks = dict(png.Reader(bytes=target.read_bytes()).chunks())
        assert b"iCCP" not in chunks and struct.unpack(">IIB", chunks[b"pHYs"]) == (11811, 11811, 1)
        with Image.open(target) as image:
            assert image.getexif()[0x010F] == "a camera"
        return
    with tifffile.TiffFile(target) as file:
        page = file.pages.first
        assert page.tags[33432].value == "a right" and 34675 not in page.tags
        assert page.tags["XResolution"].value == (300, 1) and page.shape == (40, 50, 3)


def test_an_unknown_kind_of_output_is_refused_before_the_work(folder):
    done = run("denoise", folder / "in" / "grey.png", "-o", folder / "out.v2", code=2)
    assert "'out.v2' is no kind of picture" in done.stderr


@pytest.mark.parametrize("suffix", [".png", ".tif"])
def test_torn_deep_colours_get_one_sentence(tmp_path, suffix):
    deep_png(tmp_path / "in.png", 3)
    run("denoise", tmp_path / "in.png", "-o", tmp_path / "whole.tif", "-q")
    whole = (tmp_path / {".png": "in.png", ".tif": "whole.tif"}[suffix]).read_bytes()
    for length in (60, 300, len(whole) // 2, len(whole) - 9):
        (tmp_path / f"torn{suffix}").write_bytes(whole[:length])
        done = run("denoise", tmp_path / f"torn{suffix}", "-o", tmp_path / f"out{suffix}", code=1)
        assert "cannot be read as a picture" in done.stderr and not (tmp_path / f"out{suffix}").exists()


def test_deep_colours_go_from_kind_to_kind_but_not_into_a_jpeg(tmp_path):
    deep_png(tmp_path / "in.png", 4)
    run("denoise", tmp_path / "in.png", "-o", tmp_path / "out.tif", "--sigma", 20)
    assert tifffile.imread(tmp_path / "out.tif").shape == (40, 50, 4)
    done = run("denoise", tmp_path / "in.png", "-o", tmp_path / "out.jpg", code=1)
    assert "cannot hold 16 bits a colour" in done.stderr and not (tmp_path / "out.jpg").exists()


def test_a_tiff_stays_packed_and_keeps_where_it_is_on_earth(tmp_path):
    tifffile.imwrite(
        tmp_path / "in.tif",
        (noisy(GREY) / 255).astype(np.float32),
        compression="zlib",
        metadata=None,
        extratags=[(33550, 12, 3, (10.0, 10.0, 0.0), True), (42113, 2, 0, "-9999", True)],
    )
    run("denoise", tmp_path / "in.tif", "-o", tmp_path / "out.tif")
    with tifffile.TiffFile(tmp_path / "out.tif") as file:
        page = file.pages.first
        assert page.tags[33550].value == (10.0, 10.0, 0.0) and page.tags[42113].value == "-9999"
        assert page.compression == 8 and page.asarray().dtype == np.float32


def test_transparency_by_one_colour_stays(folder):
    Image.fromarray(noisy(COLOUR)).save(folder / "key.png", transparency=tuple(map(int, noisy(COLOUR)[0, 0])))
    run("denoise", folder / "key.png", "-o", folder / "key_out.png")
    assert np.asarray(opened(folder / "key_out.png"))[0, 0, 3] == 0


def with_an_empty_second_page(tiff):
    """Return a file that Pillow opens, and says "TypeError: Missing dimensions" of later."""
    first = struct.unpack("<I", tiff[4:8])[0]
    link = first + 2 + 12 * struct.unpack("<H", tiff[first : first + 2])[0]
    return tiff[:link] + struct.pack("<I", len(tiff)) + tiff[link + 4 :] + bytes(6)


def test_one_odd_file_does_not_end_the_others(folder):
    odd = io.BytesIO()
    tifffile.imwrite(odd, np.zeros((9, 9, 3), np.uint8), photometric="rgb")
    (folder / "in" / "zz.tif").write_bytes(with_an_empty_second_page(odd.getvalue()))
    long = folder / "in" / f"{'n' * 245}.png"
    Image.fromarray(noisy(GREY)).save(long)
    result = json.loads(run("denoise", folder / "in", "-o", folder / "out", "--json", code=1).stdout)
    assert set(result["skipped"]) == {"zz.tif"} and len(result["done"]) == len(PICTURES) + 2


@pytest.mark.parametrize(
    ("arguments", "code", "sentence"),
    [
        (["nowhere.png"], 1, "there is no picture"),
        (["in/grey.png", "--sigma", "loud"], 2, "must be auto or a number from 0 to 255"),
        (["in/grey.png", "--strength", "2"], 2, "strength must be from 0 to 1"),
        (["in/grey.png", "--max-memory", "1MB"], 2, "is too little for this network; it needs at least"),
        (["in/grey.png", "in/deep.png", "-o", "one.png"], 2, "is one picture, and 2 are to be made"),
        (["in/grey.png", "-m", "in/grey.png"], 1, "is not a model file"),
    ],
)
def test_wrong_wishes_get_one_sentence(folder, monkeypatch, arguments, code, sentence):
    monkeypatch.chdir(folder)
    output = [] if "-o" in arguments else ["-o", "out"]
    done = run("denoise", *arguments, *output, code=code)
    assert sentence in done.stderr
    assert not (folder / "out").exists()


def test_a_restorer_is_fitted_described_and_used(folder):
    quick = [
        "--widths",
        "4",
        "--blocks",
        "0",
        "--crop",
        "16",
        "--steps",
        "2",
        "--threads",
        "1",
        "--random-state",
        "0",
    ]
    own = folder / "own.safetensors"
    run("fit", folder / "in", "--for", "restore", "--corruption", "gaussian(0.1)", *quick, "-o", own, "-q")
    described = json.loads(run("info", own, "--json").stdout)
    assert described["kind"] == "Restorer" and described["undoes"] == "gaussian(0.1)"
    run("denoise", folder / "in" / "grey.png", "-m", own, "-o", folder / "o.png")
    done = run("fit", folder / "in", "--for", "restore", "--latent-dim", "2", "-o", own, code=2)
    assert "latent-dim" in done.stderr


def test_a_restorer_made_in_python_is_taken(folder):
    small = {"widths": (4,), "blocks": 0, "crop": 16, "batch_size": 2, "steps": 2, "threads": 1, "random_state": 0}
    Restorer(corruption="salt_and_pepper(0.1)", **small).fit(GREY[None]).save(folder / "own.safetensors")
    run("denoise", folder / "in" / "grey.png", "-m", folder / "own.safetensors", "-o", folder / "o.png")
    assert opened(folder / "o.png").size == (80, 96)
