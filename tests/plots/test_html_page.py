"""What users of the HTML page rely on. No browser is needed: the file itself is read."""

import base64
import io
import json
import re
from html.parser import HTMLParser

import numpy as np
import pytest
from matplotlib.figure import Figure
from PIL import Image

from refold._errors import DataError, ParameterError
from refold.plots import (
    Animation,
    FigureSection,
    NumbersTable,
    Page,
    Pictures,
    Text,
    TurningScatter,
    loss_curves,
    write_page,
)

HOSTILE = "</script><b onload='x'>\"&<!-- $"


class Reader(HTMLParser):
    """Collects tags with their attributes, and the text inside them."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.words: list[str] = []
        self.feed(text)

    def handle_starttag(self, tag, attrs):
        self.tags.append((tag, dict(attrs)))

    def handle_data(self, data):
        self.words.append(data)

    def named(self, tag):
        return [attributes for name, attributes in self.tags if name == tag]


def written(tmp_path, *sections, title="Title", lead="Lead") -> str:
    path = tmp_path / "page.html"
    write_page(Page(title, lead, sections), path)
    return path.read_text(encoding="utf-8")


def cloud_data(section: TurningScatter) -> dict:
    return json.loads(re.search(r'json">(.*?)</script>', section.html(), re.DOTALL)[1])


def decoded(text: str, kind: str) -> np.ndarray:
    return np.frombuffer(base64.b64decode(text), dtype=kind)


def image_in(uri: str) -> Image.Image:
    return Image.open(io.BytesIO(base64.b64decode(uri.split(",", 1)[1])))


def all_sections(rng):
    images = rng.random((5, 4, 6))
    return [
        TurningScatter(HOSTILE, rng.normal(size=(5, 3)), [HOSTILE] * 5, [HOSTILE] * 5, images, HOSTILE),
        Text(HOSTILE, [HOSTILE]),
        FigureSection(HOSTILE, loss_curves({"train_loss": [2.0, 1.0]}, title=HOSTILE), HOSTILE),
        NumbersTable(HOSTILE, [HOSTILE, "b"], [[HOSTILE, 1.0]], HOSTILE, highlight={HOSTILE: "lowest"}),
        Pictures(HOSTILE, images, [HOSTILE] * 5, HOSTILE),
        Animation(HOSTILE, images, HOSTILE),
    ]


# ---------------------------------------------------------------- the whole file


def test_the_page_is_one_file_that_asks_for_nothing(tmp_path, rng):
    text = written(tmp_path, *all_sections(rng))
    assert [path.name for path in tmp_path.iterdir()] == ["page.html"]
    assert not re.search(r"https?://|//[a-z]+\.|@import|url\(", text)
    for _, attributes in Reader(text).tags:
        for name in ("src", "srcset", "href"):
            assert (attributes.get(name) or "data:").startswith(("data:", "#"))


def test_drawings_inside_ask_for_nothing_either(tmp_path, rng):
    text = written(tmp_path, *all_sections(rng))
    drawings = re.findall(r"data:image/svg\+xml;base64,([^\"]+)", text)
    assert len(drawings) == 2
    for drawing in drawings:
        svg = base64.b64decode(drawing).decode()
        links = set(re.findall(r"https?://[^\"' >]+", svg))
        assert links <= {
            "http://www.w3.org/2000/svg",
            "http://www.w3.org/1999/xlink",
            "http://www.w3.org/Graphics/SVG/1.1/DTD/svg11.dtd",
        }


def test_hostile_texts_are_harmless_and_complete(tmp_path, rng):
    text = written(tmp_path, *all_sections(rng), title=HOSTILE, lead=HOSTILE)
    reader = Reader(text)
    assert not reader.named("b")
    assert text.count("</script>") == 2 == len(reader.named("script"))
    assert sum(HOSTILE in words for words in reader.words) >= 14


def test_only_the_pages_own_script_may_run(tmp_path, rng):
    import hashlib

    text = written(tmp_path, *all_sections(rng))
    policy = Reader(text).named("meta")[1]["content"]
    script = re.search(r"<script>(.*)</script>", text, re.DOTALL)[1]
    digest = base64.b64encode(hashlib.sha256(script.encode()).digest()).decode()
    assert "default-src 'none'" in policy and f"script-src 'sha256-{digest}'" in policy
    assert "script-src 'none'" in written(tmp_path, Text("a", ["b"]))


def test_the_page_fits_telephones_and_both_colour_schemes(tmp_path):
    text = written(tmp_path, Text("a", ["b"]))
    assert "width=device-width" in text and "prefers-color-scheme: dark" in text


def test_long_pages_have_contents_that_lead_to_their_sections(tmp_path):
    reader = Reader(written(tmp_path, *(Text(f"Part {k}", []) for k in range(4)), Text("", ["no heading"])))
    targets = [attributes["href"] for attributes in reader.named("a")]
    assert len(targets) == 4
    assert set(targets) <= {f"#{attributes['id']}" for attributes in reader.named("section")}
    assert not Reader(written(tmp_path, Text("Only", []))).named("nav")


def test_a_page_that_fails_halfway_leaves_the_old_one(tmp_path):
    class Unwritable:
        heading = "a half of a character"

        def html(self):
            return "x" * 100_000 + "\ud800"

    path = tmp_path / "page.html"
    path.write_text("old")
    with pytest.raises(UnicodeEncodeError):
        write_page(Page("a", "b", [Unwritable()]), path)
    assert path.read_text() == "old" and list(tmp_path.iterdir()) == [path]


def test_any_object_that_writes_itself_is_a_section(tmp_path):
    class Own:
        heading = "My own"

        def html(self):
            return "<hr>"

    assert "<h2>My own</h2>\n<hr>" in written(tmp_path, Own())


# ---------------------------------------------------------------- the turning cloud


@pytest.mark.parametrize(("width", "axes"), [(1, 1), (2, 2), (3, 3), (5, 3)])
@pytest.mark.parametrize("count", [1, 30])
def test_places_are_the_codes_up_to_one_scale(width, axes, count, rng):
    codes = rng.normal(size=(count, width))
    data = cloud_data(TurningScatter("a", codes))
    places = decoded(data["places"], "<i2").reshape(count, 3) / 32767
    assert np.abs(places).max() <= 1 and data["flat"] == (width < 3) and len(data["axes"]) == axes
    back = (places * [1, 1, -1])[:, [0, 2, 1]] if width >= 3 else places
    shown = min(axes, 3)
    steps, expected = back[1:, :shown] - back[0, :shown], codes[1:, :shown] - codes[0, :shown]
    scale = np.abs(expected).sum() / max(np.abs(steps).sum(), 1e-9)
    assert np.allclose(steps * scale, expected, atol=1e-4 * scale)


def test_equal_codes_are_placed():
    data = cloud_data(TurningScatter("a", np.full((9, 3), 4.0)))
    assert not decoded(data["places"], "<i2").any() and data["reach"] > 0


def test_far_points_do_not_shrink_the_others_out_of_sight(rng):
    codes = np.vstack([rng.normal(size=(2000, 3)), [[1000, 0, 0]]])
    assert cloud_data(TurningScatter("a", codes))["reach"] < 0.6


def test_classes_come_with_their_counts_and_points(rng):
    data = cloud_data(TurningScatter("a", rng.normal(size=(4, 3)), ["b", "a", "b", None]))
    assert [(one["name"], one["count"]) for one in data["classes"]] == [("a", "1"), ("b", "2"), ("missing", "1")]
    assert decoded(data["kinds"], "u1").tolist() == [1, 0, 1, 2]
    assert len(data["palette"]) == 3
    assert [data["labels"][k] for k in decoded(data["labelOf"], "<u4")] == ["b", "a", "b", "missing"]


def test_numbers_become_steps_of_a_scale(rng):
    data = cloud_data(TurningScatter("a", rng.normal(size=(4, 3)), [0.5, 1.5, np.nan, 2.5]))
    kinds = decoded(data["kinds"], "u1")
    assert kinds.tolist() == [0, 32, 64, 63] and len(data["palette"]) == 65
    assert (data["scale"]["low"], data["scale"]["high"]) == ("0.5", "2.5")


def test_labels_are_kept_in_order_even_where_some_are_equal(rng):
    labels = ["x", "y", "x"]
    data = cloud_data(TurningScatter("a", rng.normal(size=(3, 3)), None, labels))
    assert [data["labels"][k] for k in decoded(data["labelOf"], "<u4")] == labels


@pytest.mark.parametrize("channels", [(), (3,)])
def test_every_thumbnail_is_found_on_the_sheet(channels, rng):
    pictures = rng.integers(0, 256, (7, 4, 6, *channels)).astype(np.uint8)
    section = TurningScatter("a", rng.normal(size=(7, 3)), thumbnails=pictures)
    tile = cloud_data(section)["tile"]
    sheet = np.asarray(image_in(Reader(section.html()).named("img")[0]["src"]))
    for number, picture in enumerate(pictures):
        y, x = 4 * (number // tile["across"]), 6 * (number % tile["across"])
        assert np.array_equal(sheet[y : y + 4, x : x + 6], picture)


def test_large_thumbnails_are_shrunk(rng):
    section = TurningScatter("a", rng.normal(size=(2, 3)), thumbnails=rng.random((2, 200, 400)))
    assert cloud_data(section)["tile"]["width"] == 96


@pytest.mark.parametrize(
    "more",
    [
        {"codes": [[np.inf, 1, 2]] * 3},
        {"colours": ["a"]},
        {"labels": ["a", "b"]},
        {"thumbnails": np.zeros((2, 4, 4))},
        {"thumbnails": np.zeros((3, 4))},
        {"thumbnails": [[[1]], [[1, 2]], [[1]]]},
    ],
)
def test_a_cloud_that_cannot_be_drawn_is_refused_at_once(more):
    with pytest.raises(DataError, match="got"):
        TurningScatter(**{"heading": "a", "codes": np.zeros((3, 3)), **more})


# ---------------------------------------------------------------- figures, tables, pictures


def test_a_figure_is_drawn_for_light_and_for_dark(tmp_path):
    reader = Reader(FigureSection("Losses", loss_curves({"train_loss": [2.0, 1.0]}), alt="falling").html())
    dark, light = reader.named("source")[0]["srcset"], reader.named("img")[0]["src"]
    inks = [base64.b64decode(uri.split(",")[1]).decode().count("#1d232b") for uri in (light, dark)]
    assert inks[0] > 0 and inks[1] == 0
    assert reader.named("img")[0]["alt"] == "falling"


def test_a_figure_too_rich_for_svg_becomes_a_png(rng):
    figure = Figure()
    figure.add_subplot().scatter(*rng.random((2, 23_000)))
    reader = Reader(FigureSection("Many", figure).html())
    assert reader.named("img")[0]["src"].startswith("data:image/png") and not reader.named("source")


def test_numbers_are_readable_and_stand_at_the_right():
    table = NumbersTable("a", ["name", "n", "x"], [["p", 12345, 0.123456], ["q", None, float("nan")], ["r", 0, 1e-9]])
    cells = re.findall(r'<td class="number">(.*?)</td>', table.html())
    assert cells == ["12,345", "0.1235", "–", "–", "0", "1e-09"]


def marked(table: NumbersTable) -> list[str]:
    return re.findall("<mark>(.*?)</mark>", table.html())


def test_the_better_value_is_marked_by_column_or_by_row():
    rows = [["p", 1, 2.5], ["q", 3, float("nan")], ["r", 1, -4.0]]
    header = ["", "x", "y"]
    assert marked(NumbersTable("a", header, rows, highlight={"x": "lowest"})) == ["1", "1"]
    assert marked(NumbersTable("a", header, rows, highlight={"y": "highest"})) == ["2.500"]
    assert marked(NumbersTable("a", header, rows, highlight={"p": "highest", "r": "lowest"})) == [
        "2.500",
        "-4.000",
    ]
    assert marked(NumbersTable("a", ["", "x"], [["p", "text"]], highlight={"x": "lowest"})) == []


def test_tables_that_do_not_fit_are_refused():
    with pytest.raises(DataError, match="1 cells"):
        NumbersTable("a", ["x", "y"], [[1]])
    with pytest.raises(ParameterError, match="'z'"):
        NumbersTable("a", ["x"], [[1]], highlight={"z": "lowest"})
    with pytest.raises(ParameterError, match="'best'"):
        NumbersTable("a", ["x"], [[1]], highlight={"x": "best"})  # type: ignore[dict-item]


def test_pictures_keep_their_pixels_and_captions(rng):
    images = rng.integers(0, 256, (2, 5, 4, 3)).astype(np.uint8)
    reader = Reader(Pictures("a", images, ["before", "after"]).html())
    for attributes, image, caption in zip(reader.named("img"), images, ["before", "after"], strict=True):
        assert np.array_equal(np.asarray(image_in(attributes["src"])), image)
        assert attributes["alt"] == caption and int(attributes["width"]) % 4 == 0


def test_pictures_may_have_different_sizes(rng):
    reader = Reader(Pictures("a", [rng.random((5, 4)), np.zeros((2000, 1500, 3), np.uint8)]).html())
    assert [image_in(attributes["src"]).size for attributes in reader.named("img")] == [(4, 5), (1050, 1400)]


@pytest.mark.parametrize("images", [np.zeros((2, 3)), [np.zeros(3)], [["a"]], [[[1], [1, 2]]]])
def test_what_is_no_picture_is_refused(images):
    with pytest.raises(DataError, match="got images"):
        Pictures("a", images)


def test_captions_must_be_as_many_as_pictures():
    with pytest.raises(DataError, match="1 captions for 2 images"):
        Pictures("a", np.zeros((2, 3, 3)), ["one"])


@pytest.mark.parametrize("channels", [(), (3,), (4,)])
def test_an_animation_shows_its_frames_enlarged_and_crisp(channels, rng):
    frames = rng.integers(0, 256, (4, 6, 5, *channels)).astype(np.uint8)
    frames[..., 3:] = 255
    reader = Reader(Animation("a", frames).html())
    moving = image_in(reader.named("img")[0]["src"])
    assert moving.n_frames == 4
    for number, frame in enumerate(frames):
        moving.seek(number)
        factor = moving.width // 5
        assert factor * 6 == moving.height > 200
        shown = np.asarray(moving.convert("RGB"))[::factor, ::factor]
        assert np.array_equal(shown, frame[..., :3] if channels else frame[..., None].repeat(3, axis=2))
    assert reader.named("source")[0]["media"] == "(prefers-reduced-motion: reduce)"


def test_animations_that_cannot_move_are_refused():
    with pytest.raises(DataError, match="got frames"):
        Animation("a", np.zeros((3, 3)))
    with pytest.raises(ParameterError, match="seconds_per_frame=0"):
        Animation("a", np.zeros((2, 3, 3)), seconds_per_frame=0)
