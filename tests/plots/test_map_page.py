"""What users of the map's page rely on. The file itself is read; its script runs under node, where there is node."""

import base64
import datetime as dt
import hashlib
import io
import json
import re
import shutil
import subprocess
from html.parser import HTMLParser

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from matplotlib.path import Path as Way
from PIL import Image

from refold._errors import DataError, ParameterError
from refold.plots import MapPage, _map_page, write_map

HOSTILE = '</script><img src=x onerror=alert(1)>"&<!-- $'
NODE = shutil.which("node")
needs_node = pytest.mark.skipif(NODE is None, reason="there is no node to run the page's script")
# What a browser gives the script, as far as it is needed without a window.
WINDOW = """
const matchMedia = () => ({ matches: false });
const kept = (name) => BLOCKS[name];
"""


class Reader(HTMLParser):
    """Collects tags with their attributes, and the text of every element that has an id."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.kept: dict[str, str] = {}
        self.words: list[str] = []
        self.feed(text)

    def handle_starttag(self, tag, attrs):
        self.tags.append((tag, dict(attrs)))

    def handle_data(self, data):
        self.words.append(data)
        if self.lasttag == "script" and "id" in self.tags[-1][1] and data.strip():
            self.kept[self.tags[-1][1]["id"]] = data


def written(tmp_path, *args, **kwargs) -> str:
    write_map(MapPage(*args, **kwargs), tmp_path / "map.html")
    return (tmp_path / "map.html").read_text(encoding="utf-8")


def opened(text: str) -> tuple[dict, dict]:
    kept = Reader(text).kept
    return json.loads(kept["data"]), kept


def values_of(column, kept) -> np.ndarray:
    raw = base64.b64decode(kept[f"block-{column['values']}"])
    return np.frombuffer(raw, np.dtype(column["type"]).newbyteorder("<"))


def kinds_of(column, kept) -> list[int]:
    return list(base64.b64decode(kept[f"block-{column['kinds']}"]))


def every_kind(count: int) -> dict:
    """Return columns of every kind, with and without missing cells."""
    day, moment = dt.date(1969, 12, 30), dt.datetime(2024, 2, 28, 23, 59, 59, 123456)

    def gaps(values):
        return [None if i % 5 == 3 else value for i, value in enumerate(values)]

    return {
        "whole": pa.array(range(-3, count - 3)),
        "whole with gaps": pa.array(gaps(range(count))),
        "beyond 2**31": pa.array([2**40 + i for i in range(count)]),
        "single": pa.array(np.linspace(0, 1, count, dtype=np.float32)),
        "double with gaps": pa.array(gaps([i / 7 for i in range(count)])),
        "infinite": pa.array([float("inf"), *(i / 3 for i in range(count - 1))]),
        "truth with gaps": pa.array(gaps([i % 2 == 0 for i in range(count)])),
        "date with gaps": pa.array(gaps([day + dt.timedelta(days=i) for i in range(count)])),
        "time": pa.array([moment + dt.timedelta(seconds=i) for i in range(count)]),
        "text with gaps": pa.array(gaps([f"{HOSTILE} ä😀 {i % 4}" for i in range(count)])),
        "only missing": pa.nulls(count, pa.float64()),
    }


# ---------------------------------------------------------------- the file


def test_the_map_is_one_file_that_asks_for_nothing(tmp_path, rng):
    text = written(tmp_path, "a", "b", rng.normal(size=(9, 3)), every_kind(9), None, rng.random((9, 4, 6)))
    assert [path.name for path in tmp_path.iterdir()] == ["map.html"]
    assert not re.search(r"https?://|//[a-z]+\.|@import|url\(", text)
    for _, attributes in Reader(text).tags:
        assert not {"src", "srcset", "href"} & set(attributes)


def test_only_the_maps_own_script_may_run(tmp_path, rng):
    text = written(tmp_path, "a", "b", rng.normal(size=(9, 3)))
    policy = next(
        attributes["content"] for tag, attributes in Reader(text).tags if tag == "meta" and "content" in attributes
    )
    script = re.search(r"<script>(.*)</script>", text, re.DOTALL)[1]
    digest = base64.b64encode(hashlib.sha256(script.encode()).digest()).decode()
    assert "default-src 'none'" in policy and policy.endswith(f"script-src 'sha256-{digest}'")


def test_hostile_texts_are_harmless_and_complete(tmp_path, rng):
    text = written(
        tmp_path, HOSTILE, HOSTILE, rng.normal(size=(3, 3)), {HOSTILE: [HOSTILE, "b", None]}, [HOSTILE] * 3
    )
    reader = Reader(text)
    data, kept = opened(text)
    assert not [tag for tag, _ in reader.tags if tag in ("img", "b")]
    assert text.count("</script>") == sum(tag == "script" for tag, _ in reader.tags)
    assert not re.search("[<>]", "".join(kept.values()))
    assert sum(HOSTILE in words for words in reader.words) == 3  # title, heading, lead
    assert data["columns"][0]["name"] == data["columns"][0]["classes"][0]["name"] == HOSTILE
    assert json.loads(kept[f"block-{data['labels']['texts']}"]) == [HOSTILE]


def test_a_map_that_fails_halfway_leaves_the_old_one(tmp_path, rng):
    (tmp_path / "map.html").write_text("old")
    with pytest.raises(UnicodeEncodeError):
        written(tmp_path, "\ud800", "b", rng.normal(size=(9, 3)))
    assert (tmp_path / "map.html").read_text() == "old" and len(list(tmp_path.iterdir())) == 1


# ---------------------------------------------------------------- what it holds


@pytest.mark.parametrize("width", [1, 2, 3, 5])
@pytest.mark.parametrize("count", [1, 30])
def test_the_numbers_of_the_codes_are_held_as_they_are(tmp_path, width, count, rng):
    codes = rng.normal(size=(count, width)).astype(np.float32)
    data, kept = opened(written(tmp_path, "a", "b", codes))
    assert [axis["name"] for axis in data["axes"]] == [f"number {place}" for place in range(1, width + 1)]
    assert all(np.array_equal(values_of(axis, kept), codes[:, place]) for place, axis in enumerate(data["axes"]))
    exact, kept = opened(written(tmp_path, "a", "b", codes * np.float64(1 / 3)))
    assert np.array_equal(values_of(exact["axes"][0], kept), codes[:, 0] * np.float64(1 / 3))


def test_far_points_do_not_shrink_the_others_out_of_sight(tmp_path, rng):
    codes = np.vstack([rng.normal(size=(2000, 2)), [[1000, 0]]])
    data, _ = opened(written(tmp_path, "a", "b", codes))
    assert data["axes"][0]["reach"][1] < 5


def test_classes_come_with_their_counts_and_missing_is_grey(tmp_path, rng):
    columns = {"city": ["b", "a", "b", None], "few": [3, 1, 3, 3], "member": [True, None, False, True]}
    data, kept = opened(written(tmp_path, "a", "b", rng.normal(size=(4, 2)), columns))
    legends = [[(one["name"], one["count"]) for one in column["classes"]] for column in data["columns"]]
    assert legends == [
        [("a", "1"), ("b", "2"), ("missing", "1")],
        [("1", "1"), ("3", "3")],
        [("False", "1"), ("True", "2"), ("missing", "1")],
    ]
    assert kinds_of(data["columns"][0], kept) == [1, 0, 1, 2]
    assert data["columns"][0]["palette"][2] == data["columns"][2]["palette"][2] == "#b9c0c8"


def test_fifty_thousand_different_texts_are_twenty_classes_and_others(tmp_path, rng):
    names = [f"name {i}" for i in range(50_000)]
    data, kept = opened(written(tmp_path, "a", "b", rng.normal(size=(50_000, 2)), {"name": names}))
    column = data["columns"][0]
    assert [one["count"] for one in column["classes"]] == ["1"] * 20 + ["49,980"]
    assert json.loads(kept[f"block-{column['texts']}"]) == names


def test_points_are_coloured_first_by_a_column_that_groups_them(tmp_path, rng):
    columns = {"id": np.arange(50), "name": [f"n{i}" for i in range(50)], "city": ["a", "b"] * 25}
    codes = rng.normal(size=(50, 2))
    assert opened(written(tmp_path, "a", "b", codes, columns))[0]["colour"] == "city"
    assert opened(written(tmp_path, "a", "b", codes, columns, colour="id"))[0]["colour"] == "id"
    assert opened(written(tmp_path, "a", "b", codes, {"id": np.arange(50)}))[0]["colour"] == "id"
    assert opened(written(tmp_path, "a", "b", codes))[0]["colour"] is None


def test_a_few_strange_numbers_leave_colours_for_the_others(tmp_path, rng):
    error = np.append(np.linspace(1, 2, 999), 1e6)
    data, kept = opened(written(tmp_path, "a", "b", rng.normal(size=(1000, 2)), {"error": error}))
    column = data["columns"][0]
    assert len(set(kinds_of(column, kept))) == column["scale"]["steps"]
    assert column["scale"]["high"].startswith("≥ 1.99")


def test_dates_are_a_scale_with_dates_at_its_ends(tmp_path, rng):
    days = pa.array([dt.date(2020, 1, 1), None, dt.date(2021, 6, 30)])
    column = opened(written(tmp_path, "a", "b", rng.normal(size=(3, 2)), {"day": days}))[0]["columns"][0]
    assert column["scale"]["low"][-10:-3] == "2020-01" and column["scale"]["high"][-10:-3] == "2021-06"


@pytest.mark.parametrize("channels", [(), (3,)])
def test_every_thumbnail_is_found_on_its_sheet(tmp_path, monkeypatch, channels, rng):
    monkeypatch.setattr(_map_page, "_SHEET_SIDE", 16)
    pictures = np.ones((1, 4, 6, *(1 for _ in channels)), np.uint8) * rng.integers(0, 256, (13, 1, 1, *channels))
    pictures = pictures.astype(np.uint8)
    data, kept = opened(written(tmp_path, "a", "b", rng.normal(size=(13, 3)), thumbnails=pictures))
    tile = data["tile"]
    assert tile["sheet"] == 8 and "sheet-1" in kept and "sheet-2" not in kept
    for number, picture in enumerate(pictures):
        sheet = Image.open(io.BytesIO(base64.b64decode(kept[f"sheet-{number // 8}"].split(",")[1])))
        y, x = 4 * (number % 8 // tile["across"]), 6 * (number % 8 % tile["across"])
        assert np.array_equal(np.asarray(sheet)[y : y + 4, x : x + 6], picture)


def test_thumbnails_of_photographs_are_likenesses_that_take_less(tmp_path, rng):
    wave = np.sin(np.arange(40) / 5)
    photographs = (wave[:, None] * wave + 1 + rng.normal(0, 0.05, (9, 40, 40))) / 2
    colours = (np.clip(photographs, 0, 1)[..., None] * [255, 180, 90]).astype(np.uint8)
    _, kept = opened(written(tmp_path, "a", "b", rng.normal(size=(9, 2)), thumbnails=colours))
    assert kept["sheet-0"].startswith("data:image/webp")
    sheet = np.asarray(Image.open(io.BytesIO(base64.b64decode(kept["sheet-0"].split(",")[1]))), float)
    assert np.abs(sheet[:40, 40:80] - colours[1]).mean() < 8


def test_of_too_many_records_some_are_shown_under_their_own_numbers(tmp_path, monkeypatch, rng):
    monkeypatch.setattr(_map_page, "MOST_RECORDS", 10)
    codes, pictures = (
        rng.normal(size=(25, 2)),
        np.arange(25, dtype=np.uint8)[:, None, None] * np.ones((1, 2, 2), np.uint8),
    )
    data, kept = opened(
        written(tmp_path, "a", "b", codes, {"x": np.arange(25)}, [f"r{i}" for i in range(25)], pictures)
    )
    rows = values_of(data["rows"], kept)
    assert (data["count"], data["total"]) == (10, 25) and len(set(rows)) == 10
    assert np.array_equal(values_of(data["axes"][1], kept), codes[rows, 1])
    assert np.array_equal(values_of(data["columns"][0], kept), rows)
    names = json.loads(kept[f"block-{data['labels']['texts']}"])
    assert [names[place] for place in values_of(data["labels"], kept)] == [f"r{row}" for row in rows]
    sheet = Image.open(io.BytesIO(base64.b64decode(kept["sheet-0"].split(",")[1])))
    assert np.asarray(sheet)[0, ::2][:10].tolist() == rows.tolist()


def test_columns_beyond_what_a_file_should_hold_are_named(tmp_path, monkeypatch, rng):
    monkeypatch.setattr(_map_page, "_MOST_LETTERS", 0)
    data, _ = opened(written(tmp_path, "a", "b", rng.normal(size=(9, 5)), {"x": range(9)}))
    assert [axis["name"] for axis in data["axes"]] == ["number 1", "number 2", "number 3"]
    assert data["leftOut"] == ["x", "number 4", "number 5"]


@pytest.mark.parametrize(
    ("more", "error", "words"),
    [
        ({"codes": [[np.nan, 1]] * 3}, DataError, "3 of 3 codes"),
        ({"columns": {"x": [1, 2]}}, DataError, "2 values of 'x' for 3 codes"),
        ({"columns": {"x": np.zeros((3, 2))}}, DataError, r"'x' of shape \(3, 2\)"),
        ({"labels": ["a"]}, DataError, "1 labels"),
        ({"thumbnails": np.zeros((2, 4, 4))}, DataError, "2 thumbnails"),
        ({"columns": {"city": "abc"}, "colour": "cyty"}, ParameterError, "did you mean 'city'"),
    ],
)
def test_a_map_that_cannot_be_drawn_is_refused_at_once(more, error, words):
    with pytest.raises(error, match=words):
        MapPage(**{"title": "a", "lead": "b", "codes": np.zeros((3, 2)), **more})


# ---------------------------------------------------------------- its script, under node


def run_script(tmp_path, program: str, kept: dict[str, str] | None = None) -> str:
    """Run a program after the page's own functions and return what it says."""
    own = _map_page.map_script().replace("\nopenMap();\n", "\n" + program + "\n")
    own = re.sub(r"^const kept = .*$", "", own, flags=re.MULTILINE)
    file = tmp_path / "run.js"
    file.write_text(f"const BLOCKS = {json.dumps(kept or {})};\n{WINDOW}\n{own}", encoding="utf-8")
    done = subprocess.run([str(NODE), str(file)], capture_output=True, text=True, encoding="utf-8", cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    return done.stdout


@needs_node
@pytest.mark.parametrize("chosen", [[0], [1, 4, 8, 9], list(range(40))])
def test_chosen_records_are_saved_as_parquet_value_for_value(tmp_path, chosen, rng):
    columns, codes = every_kind(40), rng.normal(size=(40, 4))
    labels = [f"{HOSTILE} {i}" for i in range(40)]
    _, kept = opened(written(tmp_path, "a", "b", codes, columns, labels))
    run_script(
        tmp_path,
        f"require('fs').writeFileSync('chosen.parquet', parquetFile(savedColumns(readData(), {chosen})));",
        kept,
    )
    table = pq.read_table(tmp_path / "chosen.parquet")
    assert table["row"].to_pylist() == chosen
    assert table["name"].to_pylist() == [labels[i] for i in chosen]
    for place in range(4):
        assert np.array_equal(table[f"number {place + 1}"].to_numpy(), codes[chosen, place])
    for name, column in columns.items():
        assert table[name].to_pylist() == column.take(chosen).to_pylist(), name
    kinds = {name: str(table.schema.field(name).type) for name in columns}
    assert kinds["whole"] == "int64" and kinds["date with gaps"] == "date32[day]"
    assert kinds["time"] == "timestamp[us]" and kinds["truth with gaps"] == "bool"


@needs_node
def test_columns_of_the_same_name_are_kept_apart_in_the_file(tmp_path, rng):
    columns = {"row": ["r", "s"], "name": ["n", "m"], "number 1": [1, 2]}
    _, kept = opened(written(tmp_path, "a", "b", rng.normal(size=(2, 2)), columns, ["x", "y"]))
    said = run_script(
        tmp_path, "console.log(JSON.stringify(savedColumns(readData(), [0]).map(({ name }) => name)))", kept
    )
    assert json.loads(said) == ["row", "name", "number 1", "number 2", "row (2)", "name (2)", "number 1 (2)"]


SEEN = """
const data = readData();
const cloud = placePoints(data.axes, data.count);
const points = { count: data.count, cloud, kinds: new Uint8Array(data.count), hidden: new Set() };
const fitted = { width: 800, height: 500 };
const view = { turn: 0.4, tilt: -0.3, zoom: 1.7, panX: 20, panY: -30, size: 1, strength: 1, fitted };
const eye = openEye(view, { ...fitted, density: 1 }, points.cloud, data.count);
const seen = sight(eye, points);
"""


@needs_node
@pytest.mark.parametrize("width", [1, 2, 3])
def test_the_nearest_point_is_found_and_a_lasso_takes_what_is_inside(tmp_path, width, rng):
    _, kept = opened(written(tmp_path, "a", "b", rng.normal(size=(3000, width))))
    asked = rng.uniform([0, 0], [800, 500], (200, 2)).round(2).tolist()
    way = [[100, 60], [700, 90], [400, 250], [690, 470], [90, 420]]
    said = run_script(
        tmp_path,
        f"""{SEEN}
        const bonus = (i) => (points.cloud.flat ? 0 : 12 * seen.near[i]);
        console.log(JSON.stringify({{
          places: [...seen.x].map((x, i) => [x, seen.y[i], bonus(i)]),
          found: {asked}.map(([x, y]) => nearest(seen, points, x, y, 14)),
          inside: inside(seen, points, {way}),
        }}));""",
        kept,
    )
    result = json.loads(said)
    places = np.array(result["places"])
    on_stage = (places[:, :2] >= 0).all(axis=1) & (places[:, 0] < 800) & (places[:, 1] < 500)
    for (x, y), found in zip(asked, result["found"], strict=True):
        far = (places[:, 0] - x) ** 2 + (places[:, 1] - y) ** 2
        in_reach = on_stage & (np.abs(places[:, :2] - [x, y]).max(axis=1) <= 14) & (far - places[:, 2] < 14**2)
        best = np.where(in_reach, far - places[:, 2], np.inf)
        assert found == (int(best.argmin()) if in_reach.any() else -1)
    within = np.flatnonzero(Way([*way, way[0]]).contains_points(places[:, :2]))
    assert len(within) > 50 and set(result["inside"]) ^ set(within.tolist()) == set()


@needs_node
@pytest.mark.parametrize("width", [2, 3])
def test_places_are_the_codes_up_to_one_scale(tmp_path, width, rng):
    codes = rng.normal(size=(50, width)) * [1, 3, 2][:width]
    _, kept = opened(written(tmp_path, "a", "b", codes))
    said = run_script(tmp_path, SEEN + "console.log(JSON.stringify([...cloud.places]))", kept)
    x, y, z = np.array(json.loads(said)).reshape(50, 3).T
    back = np.column_stack([x, y] if width == 2 else [x, -z, y])  # number 3 upward, number 2 away
    steps, expected = back[1:] - back[0], codes[1:] - codes[0]
    assert np.allclose(steps * (expected[0, 0] / steps[0, 0]), expected, atol=1e-4)


@needs_node
def test_every_code_is_placed(tmp_path):
    for codes in ([[2.0, 1.0, 3.0]], [[4.0, 4.0]] * 9, [[1e200, -1e200], [-1e200, 1e200]], [[0.0], [1e-9]]):
        _, kept = opened(written(tmp_path, "a", "b", codes))
        said = run_script(tmp_path, SEEN + "console.log(JSON.stringify([...seen.x, ...seen.y]))", kept)
        assert all(isinstance(value, float | int) and abs(value) < 1e5 for value in json.loads(said))


@needs_node
def test_a_text_is_found_in_names_and_in_columns_of_text(tmp_path, rng):
    columns = {"city": ["Graz", None, "Linz", "Wien"], "age": [1, 2, 3, 4]}
    _, kept = opened(written(tmp_path, "a", "b", rng.normal(size=(4, 2)), columns, ["Ann", "Bob", "Lin", "Dan"]))
    said = run_script(
        tmp_path, "console.log(JSON.stringify(['LIN', 'an', ' ', 'x'].map((text) => found(readData(), text))))", kept
    )
    assert json.loads(said) == [[2], [0, 3], [], []]
