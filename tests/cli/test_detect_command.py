"""Finding what is not normal from the command line: files in, files out, a page, sentences for what is wrong."""

import json

import numpy as np
import pandas
import pytest
from PIL import Image
from typer.testing import CliRunner

import refold
from refold.cli import app

QUICK = ["--members", "3", "--width", "24", "--steps", "150", "--random-state", "0", "--quiet"]


def run(*words, code=0):
    result = CliRunner().invoke(app, [str(word) for word in words])
    assert result.exit_code == code, result.output
    assert "Traceback" not in result.output
    return result


def readings(count, seed):
    """A pump's readings, in which pressure follows from temperature; with gaps."""
    rng = np.random.default_rng(seed)
    temperature = rng.normal(60, 8, count)
    table = pandas.DataFrame(
        {
            "id": [f"P{place}" for place in range(count)],
            "site": rng.choice(["Graz", "Linz"], count),
            "temperature": temperature,
            "pressure": temperature * 0.05 + rng.normal(0, 0.05, count),
        }
    )
    table.loc[rng.random(count) < 0.05, "site"] = None
    return table


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """A folder with normal readings, today's with one strange row, and a detector."""
    folder = tmp_path_factory.mktemp("pump")
    readings(300, 0).to_csv(folder / "normal.csv", index=False)
    today = readings(80, 1)
    today.loc[7, "pressure"] = 8.1
    today.assign(bad=[int(place == 7) for place in range(80)]).to_csv(folder / "today.csv", index=False)
    run("fit", folder / "normal.csv", "--for", "detect", "--drop", "id", "-o", folder / "m.safetensors", *QUICK)
    np.save(folder / "six.npy", np.random.default_rng(0).normal(size=(20, 6)))
    run("fit", folder / "six.npy", "-o", folder / "a.safetensors", "--max-epochs", "1", "--quiet")
    return folder


def test_fit_says_what_is_promised(folder, tmp_path):
    result = run(
        "fit", folder / "normal.csv", "--for", "detect", "-o", tmp_path / "m.safetensors", *QUICK[:-1], "--json"
    )
    assert "at most 1.00% of normal records are flagged" in result.stderr
    answer = json.loads(result.stdout)
    assert answer["promised_false_alarm_rate"] == 0.01 and answer["records"] == 300


def test_the_strange_row_is_flagged_with_its_reason(folder, tmp_path):
    result = run(
        "detect", folder / "m.safetensors", folder / "today.csv", "-o", tmp_path / "s.parquet", "--keep", "id"
    )
    found = pandas.read_parquet(tmp_path / "s.parquet")
    assert list(found.columns) == ["id", "score", "p_value", "flagged", "reason"]
    strangest = found.sort_values("score").iloc[-1]
    assert (strangest.id, strangest.flagged) == ("P7", True)
    assert strangest.reason.startswith("pressure 8.1, expected")
    assert f"flagged {found.flagged.sum()} of 80 records" in result.stderr
    assert (found.reason[~found.flagged] == "").all()


def test_scores_are_those_of_python(folder, tmp_path):
    run("detect", folder / "m.safetensors", folder / "today.csv", "-o", tmp_path / "s.npy", "--quiet")
    model = refold.load(folder / "m.safetensors")
    assert np.array_equal(np.load(tmp_path / "s.npy"), model.anomaly_score(folder / "today.csv"))


def test_without_an_output_a_table_goes_to_standard_output(folder):
    lines = run("detect", folder / "m.safetensors", folder / "today.csv", "--quiet").stdout.splitlines()
    assert lines[0] == '"score","p_value","flagged","reason"' and len(lines) == 81


def test_the_report_names_the_strange_row_and_its_reason_and_labels_are_measured_by(folder, tmp_path):
    words = ["-o", tmp_path / "s.csv", "--report", tmp_path / "r.html", "--labels", "bad", "--keep", "id", "--json"]
    result = run("detect", folder / "m.safetensors", folder / "today.csv", *words)
    page = (tmp_path / "r.html").read_text()
    for text in ("id P7", "pressure 8.1, expected", "Promised and observed", "threshold", "Content-Security-Policy"):
        assert text in page
    answer = json.loads(result.stdout)
    assert answer["auroc"] == 1 and answer["caught"] == 1
    assert answer["false_alarms_observed"] <= answer["false_alarms_expected"][1]


def test_labels_are_decided_over_the_whole_column(folder, tmp_path, monkeypatch):
    monkeypatch.setattr("refold.cli._detecting._ROWS_AT_ONCE", 50)  # the first part holds +1 alone
    table = pandas.read_csv(folder / "today.csv").assign(bad=1)
    strange = pandas.concat([table.drop(index=7), table[7:8].assign(bad=-1)])
    strange.to_csv(tmp_path / "t.csv", index=False)
    words = ["-o", tmp_path / "s.NPY", "--labels", "bad", "--json", "--quiet"]
    answer = json.loads(run("detect", folder / "m.safetensors", tmp_path / "t.csv", *words).stdout)
    assert answer["auroc"] == 1 and answer["caught"] == 1
    assert np.load(tmp_path / "s.NPY").shape == (80,)


def test_labels_of_one_kind_measure_what_they_can(folder, tmp_path):
    pandas.read_csv(folder / "today.csv").drop(index=7).to_csv(tmp_path / "t.csv", index=False)
    words = ["-o", tmp_path / "s.csv", "--labels", "bad", "--report", tmp_path / "r.html", "--json"]
    result = run("detect", folder / "m.safetensors", tmp_path / "t.csv", *words)
    answer = json.loads(result.stdout)
    assert "auroc" not in answer and "caught" not in answer and answer["false_alarms_observed"] < 0.1
    assert "labels: false alarms" in result.stderr


def test_pictures_get_a_heat_map_of_their_own_size(tmp_path):
    rng = np.random.default_rng(0)
    for kind, count in (("normal", 20), ("today", 4)):
        (tmp_path / kind).mkdir()
        for place in range(count):
            picture = rng.normal(120, 10, (40 + place % 3, 48))
            if (kind, place) == ("today", 2):
                picture[10:22, 20:32] = 20
            Image.fromarray(picture.clip(0, 255).astype(np.uint8)).save(tmp_path / kind / f"{place}.png")
    model = tmp_path / "m.safetensors"
    run("fit", tmp_path / "normal", "--for", "detect", "--false-alarm-rate", "0.1", "-o", model, *QUICK[4:])
    words = ["-o", tmp_path / "s.csv", "--maps", tmp_path / "maps", "--report", tmp_path / "r.html"]
    run("detect", model, tmp_path / "today", *words)
    found = pandas.read_csv(tmp_path / "s.csv")
    assert found.file[found.score.argmax()] == "2.png" and found.flagged[2]
    with Image.open(tmp_path / "maps" / "2.png.heat.png") as heat:
        assert heat.size == (48, 42)
    page = (tmp_path / "r.html").read_text()
    assert "Gallery of the strangest" in page and "2.png: flagged, score" in page
    before = (tmp_path / "today" / "2.png").read_bytes()
    for place in ("today", "today/maps"):
        result = run("detect", model, tmp_path / "today", "--maps", tmp_path / place, code=1)
        assert "lies in the folder of the pictures" in result.stderr
    assert (tmp_path / "today" / "2.png").read_bytes() == before
    run("detect", model, f"{tmp_path}/*/2.png", "--maps", tmp_path / "both", "-o", tmp_path / "b.csv")
    assert list(pandas.read_csv(tmp_path / "b.csv").file) == ["normal/2.png", "today/2.png"]
    assert (tmp_path / "both" / "today" / "2.png.heat.png").exists()


def test_info_describes_a_detector(folder):
    answer = json.loads(run("info", folder / "m.safetensors", "--json").stdout)
    assert answer["kind"] == "Detector" and answer["calibrated_by"] == 300


@pytest.mark.parametrize(
    ("words", "code", "sentence"),
    [
        (["detect", "{model}", "{today}", "-o", "s.txt"], 2, "--output 's.txt' has an ending that does not suit"),
        (["detect", "{model}", "{today}", "--report", "r.txt"], 2, "--report 'r.txt' has an ending that"),
        (["detect", "{model}", "{today}", "--report", "{model}/r.html"], 1, "choose another --report"),
        (["detect", "{model}", "{narrow}"], 1, "4 features"),
        (["embed", "{other}", "{narrow}", "-o", "e.csv"], 1, "4 features"),
        (["detect", "{model}", "{empty}"], 1, "no record"),
        (["detect", "{model}", "{today}", "--maps", "maps"], 2, "--maps draws heat maps of pictures"),
        (["detect", "{model}", "{today}", "--keep", "nmae"], 1, "the table has no column 'nmae'"),
        (["detect", "{model}", "{today}", "--labels", "site"], 1, "--labels names a column that holds 'graz'"),
        (["detect", "{model}", "nowhere.csv"], 1, "nowhere.csv"),
        (["embed", "{model}", "{today}"], 1, "is a detector"),
        (
            ["fit", "{today}", "--for", "detect", "--latent-dim", "3", "-o", "m.safetensors"],
            2,
            "--latent-dim is no option",
        ),
        (["fit", "{today}", "--for", "detcet", "-o", "m.safetensors"], 2, "did you mean 'detect'?"),
        (["fit", "{today}", "--steps", "9", "-o", "m.safetensors"], 2, "--steps is no option of --for encode"),
    ],
)
def test_what_cannot_be_done_is_said_in_one_sentence(folder, words, code, sentence, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    np.save("narrow.npy", np.zeros((3, 4)))
    (tmp_path / "empty.csv").write_text((folder / "today.csv").read_text().splitlines()[0] + "\n")
    places = {
        "model": folder / "m.safetensors",
        "other": folder / "a.safetensors",
        "today": folder / "today.csv",
        "narrow": "narrow.npy",
        "empty": "empty.csv",
    }
    result = run(*[word.format(**places) for word in words], code=code)
    assert sentence in result.stderr
    assert len([line for line in result.stderr.splitlines() if line.startswith("error")]) == 1


def test_an_autoencoder_is_no_detector(folder):
    result = run("detect", folder / "a.safetensors", folder / "today.csv", code=1)
    assert "'a.safetensors' is no detector; make one with: refold fit DATA --for detect" in result.stderr


def test_an_array_of_pictures_is_learned_and_judged(tmp_path):
    rng = np.random.default_rng(0)
    np.save(tmp_path / "p.npy", rng.integers(0, 255, (30, 12, 12), dtype=np.uint8))
    model = tmp_path / "m.safetensors"
    run("fit", tmp_path / "p.npy", "--for", "detect", "--threshold=-20", "-o", model, *QUICK[4:])
    result = run("detect", model, tmp_path / "p.npy", "-o", tmp_path / "s.csv")
    assert "your own, which promises nothing" in result.stderr
    assert pandas.read_csv(tmp_path / "s.csv").flagged.any()


def turning(count, seed):
    """A machine's readings, one a minute."""
    rng = np.random.default_rng(seed)
    angle = 2 * np.pi * np.arange(count) / 20
    readings = np.stack([np.sin(angle), np.cos(angle)], axis=1) + rng.normal(0, 0.1, (count, 2))
    table = pandas.DataFrame(readings, columns=["speed", "current"])
    return table.assign(when=pandas.date_range("2026-01-01", periods=count, freq="min").astype(str))


def test_series_are_learned_and_judged_with_events_and_a_page(tmp_path):
    turning(800, 0).to_csv(tmp_path / "normal.csv", index=False)
    today = turning(300, 1).assign(bad=0)
    today.loc[150:170, ["speed", "bad"]] += [2, 1]
    today.to_csv(tmp_path / "today.csv", index=False)
    model = tmp_path / "m.safetensors"
    words = ["--for", "detect", "--time", "when", "--false-alarm-rate", "0.02", "--random-state", "0", "-o", model]
    assert "learned what is normal from 800" in run("fit", tmp_path / "normal.csv", *words).stderr
    words = ["-o", tmp_path / "s.csv", "--report", tmp_path / "r.html", "--labels", "bad", "--json"]
    result = run("detect", model, tmp_path / "today.csv", *words)
    found, answer = pandas.read_csv(tmp_path / "s.csv"), json.loads(result.stdout)
    assert list(found.columns) == ["when", "score", "p_value", "flagged", "event", "reason"] and len(found) == 300
    event = max(answer["events"], key=lambda event: event["score"])
    assert next(iter(event["channels"])) == "speed" and "2026-01-01" in event["start_time"]
    assert found.flagged[155:165].all() and (found.event.notna() == found.flagged).all()
    assert f"{len(answer['events'])} events" in result.stderr
    page = (tmp_path / "r.html").read_text()
    for text in ("Score in time", "Events", "speed", event["start_time"]):
        assert text in page
    assert run("detect", model, tmp_path / "today.csv", "--quiet").stdout.count("\n") == 301
    assert json.loads(run("info", model, "--json").stdout)["kind"] == "Detector"


def test_columns_that_the_result_would_overwrite_are_refused(tmp_path):
    turning(300, 0).rename(columns={"when": "event"}).to_csv(tmp_path / "t.csv", index=False)
    model = tmp_path / "m.safetensors"
    run("fit", tmp_path / "t.csv", "--for", "detect", "--time", "event", "--steps", "5", "-o", model, "--quiet")
    result = run("detect", model, tmp_path / "t.csv", "-o", tmp_path / "s.csv", code=2)
    assert "the column event would be overwritten" in result.stderr
