"""Watching a camera from the command line: lines, pictures, a page, a receiver that may be down, and a restart."""

import json
import signal
import subprocess
import sys
import threading
from datetime import datetime, timedelta
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import numpy as np
import pytest
from PIL import Image
from scipy.ndimage import gaussian_filter
from typer.testing import CliRunner

from refold.cli import app
from refold.cli._locking import alone_in
from refold.cli._webhook import Webhook
from refold.data import Frame

HEIGHT, WIDTH = 96, 128
START = datetime(2026, 7, 1, 12)


def run(*words, code=0):
    result = CliRunner().invoke(app, [str(word) for word in words])
    assert result.exit_code == code, result.output
    assert "Traceback" not in result.output
    return result


def picture(place, burning):
    rng = np.random.default_rng(place)
    hills = gaussian_filter(np.random.default_rng(0).normal(0, 40, (HEIGHT, WIDTH)), 1.5) + 90
    values = np.where(np.linspace(0, 1, HEIGHT)[:, None] < 0.4, 195, hills)
    if burning:
        plume = np.zeros((HEIGHT, WIDTH))
        plume[38:50, 60:74] = 1
        share = 0.55 * gaussian_filter(plume, 1.5)
        values = values * (1 - share) + 175 * share
    noisy = values[..., None] * [0.9, 1, 1.1] + rng.normal(0, 1.5, (HEIGHT, WIDTH, 3))
    return noisy.clip(0, 255).astype(np.uint8)


def frames(first, last, burning=()):
    return [
        Frame(f"{place:04d}.png", START + timedelta(minutes=place), picture(place, place in burning))
        for place in range(first, last)
    ]


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """Normal frames, others with smoke, and a model."""
    folder = tmp_path_factory.mktemp("ridge")
    for name, start, end, burning in (("normal", 0, 30, ()), ("today", 0, 24, range(18, 24))):
        (folder / name).mkdir()
        for frame in frames(start, end, burning):
            file = f"{frame.time:%Y%m%d_%H%M%S}.png"
            Image.fromarray(frame.picture).save(folder / name / file)
    (folder / "today" / "20260701_121000.png").write_bytes(b"half a picture")
    result = run("fit", folder / "normal", "--for", "camera", "-o", folder / "m.safetensors")
    assert "learned from 30 frames in colour, one every 60 s" in result.stderr
    return folder


def test_frames_that_are_there_are_judged_once(folder, tmp_path):
    words = ["--once", "--frames", tmp_path / "f.jsonl", "--out", tmp_path / "out", "--report", tmp_path / "r.html"]
    result = run("watch", folder / "today", "-m", folder / "m.safetensors", *words)
    lines = [json.loads(line) for line in (tmp_path / "f.jsonl").read_text().splitlines()]
    assert len(lines) == 24 and all(
        {"file", "time", "score", "p_value", "alarm", "peak", "box"} <= set(line) for line in lines
    )
    assert lines[0]["time"] == "2026-07-01T12:00:00" and "cannot be read" in lines[10]["problem"]
    alarms = [place for place, line in enumerate(lines) if line["alarm"]]
    assert alarms and alarms[0] in (18, 19, 20)
    left, top, right, bottom = lines[alarms[0]]["box"]
    assert left < 70 < right + 8 and top < 45 < bottom + 8
    events = [json.loads(line) for line in result.stdout.splitlines()]
    assert [event["state"] for event in events] == ["begun", "ended"]
    assert events == [json.loads(line) for line in (tmp_path / "out" / "events.jsonl").read_text().splitlines()]
    for name in ("frame.jpg", "crop.jpg", "heat.jpg"):
        with Image.open(tmp_path / "out" / "event-0001" / name) as image:
            assert image.size[0] > 60
    assert "note: frame 20260701_121000.png cannot be read" in result.stderr
    page = (tmp_path / "r.html").read_text()
    assert "Score in time" in page and "event 1, 2026-07-01 12:" in page


def test_an_event_that_was_nothing_is_accepted(folder, tmp_path):
    words = ["--once", "--out", tmp_path / "out", "--quiet"]
    run("watch", folder / "today", "-m", folder / "m.safetensors", *words)
    run("accept", folder / "m.safetensors", tmp_path / "out" / "event-0001", "-o", tmp_path / "n.safetensors")
    again = run(
        "watch", folder / "today", "-m", tmp_path / "n.safetensors", "--once", "--frames", tmp_path / "f.jsonl"
    )
    first = json.loads((tmp_path / "out" / "events.jsonl").read_text().splitlines()[0])["frames"][0]
    judged = {line["file"]: line for line in map(json.loads, (tmp_path / "f.jsonl").read_text().splitlines())}
    assert not judged[first]["alarm"] and again.exit_code == 0
    assert "is no folder of an event" in run("accept", folder / "m.safetensors", tmp_path, code=1).stderr


class Endless:
    """A camera whose frames end for a test."""

    address = "test"

    def __init__(self, frames):
        self.all, self.after = frames, None

    def frames(self, follow, after=None):
        self.after = after
        yield from (frame for frame in self.all if after is None or frame.name > after)
        if follow:
            raise KeyboardInterrupt  # as Ctrl-C while it waits


def test_a_start_after_a_stop_goes_on_with_the_same_event(folder, tmp_path, monkeypatch):
    everything = frames(0, 40, range(20, 28))
    words = ["-m", folder / "m.safetensors", "--out", tmp_path / "out", "--frames", tmp_path / "f.jsonl"]
    cut, whole = Endless(everything[:24]), Endless(everything)
    monkeypatch.setattr("refold.cli._watching.open_camera", lambda source, every: cut)
    first = run("watch", "somewhere", *words)
    monkeypatch.setattr("refold.cli._watching.open_camera", lambda source, every: whole)
    second = run("watch", "somewhere", *words)
    assert whole.after == "0023.png" and "going on after 0023.png" in second.stderr
    events = [json.loads(line) for line in (first.stdout + second.stdout).splitlines()]
    assert [(event["number"], event["state"]) for event in events] == [(1, "begun"), (1, "ended")]
    lines = [json.loads(line) for line in (tmp_path / "f.jsonl").read_text().splitlines()]
    assert [line["file"] for line in lines] == [frame.name for frame in everything]
    once = [Frame(frame.name, frame.time, frame.picture) for frame in everything]
    monkeypatch.setattr("refold.cli._watching.open_camera", lambda source, every: Endless(once))
    run("watch", "somewhere", "-m", folder / "m.safetensors", "--frames", tmp_path / "whole.jsonl")
    assert (tmp_path / "whole.jsonl").read_text() == (tmp_path / "f.jsonl").read_text()


def test_a_kill_leaves_no_line_twice(folder, tmp_path, monkeypatch):
    """Killed after lines were written and before the state was: these frames come again, and their lines too."""
    words = ["-m", folder / "m.safetensors", "--out", tmp_path / "out", "--frames", tmp_path / "f.jsonl"]
    everything = frames(0, 18)
    monkeypatch.setattr("refold.cli._watching.open_camera", lambda source, every: Endless(everything[:15]))
    run("watch", "somewhere", *words)
    with (tmp_path / "f.jsonl").open("a") as file:
        file.write('{"file": "0015.png"}\n{"file": "00')
    monkeypatch.setattr("refold.cli._watching.open_camera", lambda source, every: Endless(everything))
    run("watch", "somewhere", *words)
    lines = [json.loads(line) for line in (tmp_path / "f.jsonl").read_text().splitlines()]
    assert [line["file"] for line in lines] == [frame.name for frame in everything]


def test_events_are_numbered_on_and_a_stop_waits_for_the_frame(folder, tmp_path, monkeypatch):
    words = ["-m", folder / "m.safetensors", "--out", tmp_path / "out", "--once"]
    for number in (1, 2):
        events = run("watch", folder / "today", *words).stdout.splitlines()
        assert json.loads(events[0])["number"] == number
    assert (tmp_path / "out" / "event-0002" / "frame.jpg").exists()
    stopped = tmp_path / "stopped"
    original = Image.Image.save

    def interrupted(*arguments, **named):
        signal.raise_signal(signal.SIGTERM)
        return original(*arguments, **named)

    monkeypatch.setattr(Image.Image, "save", interrupted)
    everything = Endless(frames(0, 40, range(20, 28)))
    monkeypatch.setattr("refold.cli._watching.open_camera", lambda source, every: everything)
    run("watch", "somewhere", "-m", folder / "m.safetensors", "--out", stopped)
    assert [json.loads(line)["state"] for line in (stopped / "events.jsonl").read_text().splitlines()] == ["begun"]
    assert (stopped / "state.safetensors").exists()


HOLDS = """
import sys
from pathlib import Path
from refold.cli._locking import alone_in
with alone_in(Path(sys.argv[1])):
    print("held", flush=True)
    sys.stdin.read()
"""


def test_two_watches_do_not_share_a_folder_and_a_killed_one_leaves_it_free(folder, tmp_path):
    words = ["watch", folder / "today", "-m", folder / "m.safetensors", "--once", "--out", tmp_path]
    command = [sys.executable, "-c", HOLDS, str(tmp_path)]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as other:
        assert other.stdout.readline().strip() == b"held"
        refused = run(*words, code=1)
        other.kill()
    assert f"another refold watch writes into {str(tmp_path)!r}" in refused.stderr
    assert not (tmp_path / "events.jsonl").exists() and (tmp_path / "watch.lock").exists()
    run(*words)
    assert (tmp_path / "events.jsonl").exists()
    with alone_in(tmp_path), alone_in(None):
        run(*words, code=1)


def test_a_source_slower_than_training_is_watched(folder, tmp_path, monkeypatch):
    slow = [Frame(frame.name, START + 15 * (frame.time - START), frame.picture) for frame in frames(0, 20)]
    monkeypatch.setattr("refold.cli._watching.open_camera", lambda source, every: Endless(slow))
    run("watch", "somewhere", "-m", folder / "m.safetensors", "--once", "--frames", tmp_path / "f.jsonl")
    lines = [json.loads(line) for line in (tmp_path / "f.jsonl").read_text().splitlines()]
    assert [line["score"] is None for line in lines] == [True] * 13 + [False] * 7


def test_info_describes_a_camera(folder):
    answer = json.loads(run("info", folder / "m.safetensors", "--json").stdout)
    assert (answer["kind"], answer["frames"], answer["modes"]) == ("CameraDetector", 30, "colour")
    assert "frames of 96x128 pixels" in run("info", folder / "m.safetensors").stdout
    assert "use refold watch" in run("embed", folder / "m.safetensors", folder / "today", code=1).stderr


class Receiver(BaseHTTPRequestHandler):
    """Keeps what it gets, or answers with an error."""

    def do_POST(self):
        body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        code = self.server.codes.pop(0) if self.server.codes else 200
        if code == 200:
            self.server.got.append(body)
        self.send_response(code)
        self.send_header("Content-Length", "0")
        self.end_headers()

    def log_message(self, *args):
        pass


@pytest.fixture
def receiver():
    server = ThreadingHTTPServer(("127.0.0.1", 0), Receiver)
    server.codes, server.got = [], []
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield server
    server.shutdown()
    server.server_close()


def test_messages_wait_while_the_receiver_is_down_and_come_in_order(receiver, tmp_path):
    pytest.importorskip("httpx")
    now = [0.0]
    webhook = Webhook(f"http://127.0.0.1:{receiver.server_address[1]}/x", tmp_path, clock=lambda: now[0])
    receiver.codes = [500, 503]
    webhook.send({"n": 1})
    webhook.send({"n": 2})  # not tried: the receiver was down a moment ago
    assert receiver.got == [] and len(webhook.waiting()) == 2 and receiver.codes == [503]
    now[0] += 1.5
    webhook.deliver()
    assert len(webhook.waiting()) == 2 and receiver.codes == []
    now[0] += 1.5  # the pause has doubled
    webhook.deliver()
    assert receiver.got == []
    now[0] += 1.0
    webhook.deliver()
    assert receiver.got == [{"n": 1}, {"n": 2}] and webhook.waiting() == []
    receiver.codes = [422]
    webhook.send({"n": 3})
    webhook.send({"n": 4})
    receiver.codes = [400]
    webhook.send({"n": 5})
    assert receiver.got[-1] == {"n": 4} and len(list(tmp_path.glob("*.refused"))) == 2
    for code in (301, 401, 404):  # moved, or a token that is mended later: nothing is lost
        receiver.codes = [code]
        webhook.send({"code": code})
        assert webhook.waiting()
        now[0] += 1000
        webhook.deliver()
        assert receiver.got[-1] == {"code": code} and not webhook.waiting()
    (tmp_path / "note.json").write_text("mine")
    webhook.send({"n": 6})
    assert receiver.got[-1] == {"n": 6} and (tmp_path / "note.json").exists()


def test_events_reach_the_webhook_with_the_next_start_if_it_was_down(folder, tmp_path, receiver, monkeypatch):
    pytest.importorskip("httpx")
    port = receiver.server_address[1]
    words = ["-m", folder / "m.safetensors", "--once", "--out", tmp_path / "out", "--webhook"]
    down = run("watch", folder / "today", *words, "http://127.0.0.1:9/x")
    assert "2 messages wait for the webhook" in down.stderr and "cannot be reached" in down.stderr
    run("watch", folder / "normal", *words, f"http://127.0.0.1:{port}/x")
    assert [event["state"] for event in receiver.got] == ["begun", "ended"]


@pytest.mark.parametrize(
    ("words", "code", "sentence"),
    [
        (["nowhere", "-m", "{model}"], 1, "there is no 'nowhere'"),
        (["{today}", "-m", "{today}/x.safetensors"], 1, "cannot be read"),
        (["{today}", "-m", "{model}", "--webhook", "http://x/y"], 2, "--webhook needs --out DIR"),
        (["{today}", "-m", "{model}", "--once", "--webhook", "x/y", "--out", "out"], 2, "is no address"),
        (["{today}", "-m", "{model}", "--once", "--webhook", "http://[bad/x", "--out", "out"], 2, "is no address"),
        (
            ["{today}", "-m", "{model}", "--once", "--webhook", "htp://me:secret@h", "--out", "o"],
            2,
            "'htp://h' is no",
        ),
        (["{today}", "-m", "{model}", "--once", "--out", "{today}/out"], 2, "lies in the folder that is watched"),
        (["{today}", "-m", "{model}", "--once", "--every", "-3"], 2, "every"),
        (["{today}", "-m", "{model}", "--once", "--every", "nan"], 2, "every"),
        (["rtmps://me:secret@h/x", "-m", "{model}", "--once"], 1, "there is no 'rtmps://h/x'"),
        ([".", "-m", "{model}", "--once"], 1, "none of 0 frames could be judged"),
        (["{today}", "-m", "{model}", "--once", "--frames", "f.csv"], 2, "--frames 'f.csv' has an ending"),
    ],
)
def test_what_cannot_be_watched_is_said_in_one_sentence(folder, words, code, sentence, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    places = {"model": folder / "m.safetensors", "today": folder / "today"}
    result = run("watch", *[word.format(**places) for word in words], code=code)
    assert sentence in result.stderr
    assert len([line for line in result.stderr.splitlines() if line.startswith("error")]) == 1


def test_options_of_other_purposes_are_refused(folder, tmp_path):
    words = ["--for", "camera", "--latent-dim", "3", "-o", tmp_path / "m.safetensors"]
    assert "--latent-dim is no option of --for camera" in run("fit", folder / "normal", *words, code=2).stderr
