"""Frames of a camera come in order, each once, and what is wrong with one is said instead of stopping."""

import os
import threading
import time
from datetime import datetime, timedelta
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from io import BytesIO

import numpy as np
import pytest
from PIL import Image

from refold import DataError
from refold.data import open_camera, time_of_name

LONG_AGO = 1_500_000_000


def picture(shade):
    return Image.fromarray(np.full((24, 32, 3), shade, np.uint8))


def put(folder, name, shade):
    folder.mkdir(parents=True, exist_ok=True)
    picture(shade).save(folder / name)
    os.utime(folder / name, (LONG_AGO, LONG_AGO))


class Script:
    """Does one thing at each wait, then ends the frames."""

    def __init__(self, *steps):
        self.steps = list(steps)

    def __call__(self, seconds):
        assert seconds > 0
        if not self.steps:
            raise StopIteration
        self.steps.pop(0)()


def followed(camera, script, after=None):
    found = []
    with pytest.raises(RuntimeError):  # a StopIteration inside of a generator
        found.extend(camera.frames(True, after, script))
    return found


def test_a_folder_gives_its_frames_in_order_and_then_those_that_come(tmp_path):
    put(tmp_path, "b_120100.png", 20)
    put(tmp_path, "a_120000.png", 10)
    camera = open_camera(str(tmp_path))
    assert [frame.name for frame in camera.frames(False)] == ["a_120000.png", "b_120100.png"]
    script = Script(lambda: put(tmp_path, "c_120200.png", 30), lambda: put(tmp_path / "sub", "d.png", 40))
    frames = followed(camera, script)
    assert [frame.name for frame in frames] == ["a_120000.png", "b_120100.png", "c_120200.png", "sub/d.png"]
    assert [int(frame.picture[0, 0, 0]) for frame in frames] == [10, 20, 30, 40]
    assert (frames[1].time.hour, frames[1].time.minute) == (12, 1)
    again = followed(camera, Script(), after="b_120100.png")
    assert [frame.name for frame in again] == ["c_120200.png", "sub/d.png"]


def test_late_broken_and_unfinished_files_are_told_and_order_is_kept(tmp_path):
    put(tmp_path, "b.png", 20)
    (tmp_path / "c.png").write_bytes(b"half a pict")  # just written: it may still be on its way
    put(tmp_path, "d.png", 40)
    script = Script(
        lambda: put(tmp_path, "a.png", 10),
        lambda: put(tmp_path, "c.png", 30),
        lambda: ((tmp_path / "e.png").write_bytes(b"x"), os.utime(tmp_path / "e.png", (LONG_AGO, LONG_AGO))),
    )
    frames = followed(open_camera(str(tmp_path)), script)
    told = [(frame.name, frame.problem.partition(" ")[0]) for frame in frames]
    assert told == [("b.png", ""), ("a.png", "came"), ("c.png", ""), ("d.png", ""), ("e.png", "cannot")]


def test_a_folder_may_vanish_and_come_back(tmp_path):
    folder = tmp_path / "frames"
    put(folder, "a.png", 10)
    away = tmp_path / "away"
    script = Script(
        lambda: folder.rename(away), lambda: None, lambda: (away.rename(folder), put(folder, "b.png", 20))
    )
    frames = followed(open_camera(str(folder)), script)
    assert [frame.problem != "" for frame in frames][:2] == [False, True]
    assert frames[-1].name == "b.png"


def test_frames_too_close_together_are_left_out(tmp_path):
    for second in range(0, 60, 10):
        put(tmp_path, f"20200101_1200{second:02d}.png", 10)
    names = [frame.name for frame in open_camera(str(tmp_path), every=30).frames(False)]
    assert names == ["20200101_120000.png", "20200101_120030.png"]


def test_counters_are_ordered_as_numbers_and_are_no_times(tmp_path):
    for number in (8, 9, 10, 30, 60):
        put(tmp_path, f"img{number}.png", 10)
        put(tmp_path / "deep", f"frame_{number:06d}.png", 10)
    frames = list(open_camera(str(tmp_path / "deep")).frames(False))
    assert [frame.name[-6:-4] for frame in frames] == ["08", "09", "10", "30", "60"]
    assert {frame.time for frame in frames} == {datetime.fromtimestamp(LONG_AGO)}
    names = [frame.name for frame in open_camera(str(tmp_path)).frames(False) if "deep" not in frame.name]
    assert names == ["img8.png", "img9.png", "img10.png", "img30.png", "img60.png"]
    script = Script(lambda: put(tmp_path, "img100.png", 10))
    late = followed(open_camera(str(tmp_path)), script, after="img60.png")
    assert [(frame.name, frame.problem) for frame in late] == [("img100.png", "")]


def test_names_that_look_like_no_time_leave_the_time_of_the_file():
    otherwise = datetime(2021, 5, 6, 7, 8, 9)
    for name in ("frame_17.jpg", "20211399_999999.jpg", "1234567.jpg"):
        assert time_of_name(name, otherwise) == otherwise


def test_times_of_day_go_on_over_midnight(tmp_path):
    """Files that were copied tell nothing of the day, and one of the last second of a day is written on the next."""
    times = ["235800", "235900", "000000", "000100", "120000", "235900", "000000"]
    for place, time_of_day in enumerate(times):
        put(tmp_path / "copied", f"{place:03d}_{time_of_day}.png", 10)
    moments = [frame.time for frame in open_camera(str(tmp_path / "copied")).frames(False)]
    assert [f"{moment:%H%M%S}" for moment in moments] == times
    assert [(moment.date() - moments[0].date()).days for moment in moments] == [0, 0, 1, 1, 1, 1, 2]
    put(tmp_path / "dated", "20260101_235900.png", 10)
    put(tmp_path / "dated", "20260102_235900.png", 10)
    (tmp_path / "dated" / "20260102_235900.png").rename(tmp_path / "dated" / "b20260101_000000.png")
    back = [frame.time for frame in open_camera(str(tmp_path / "dated")).frames(False)]
    assert back == [datetime(2026, 1, 1, 23, 59), datetime(2026, 1, 1)]  # dates are believed
    midnight = datetime(2026, 1, 2)
    for written, time_of_day, day in ((2, "235959", 1), (2, "000001", 2), (-2, "235957", 1)):
        told = time_of_name(f"007_{time_of_day}.jpg", midnight + timedelta(seconds=written))
        assert (told.day, f"{told:%H%M%S}") == (day, time_of_day)


@pytest.fixture
def in_india(monkeypatch):
    if not hasattr(time, "tzset"):
        pytest.skip("this system's zone cannot be set")
    monkeypatch.setenv("TZ", "IST-05:30")
    time.tzset()
    yield
    monkeypatch.undo()
    time.tzset()


@pytest.mark.parametrize(
    ("name", "hour", "minute"),
    [
        ("2026-07-01T12:00:00Z.jpg", 17, 30),
        ("cam_20260701T120000.250Z.jpg", 17, 30),
        ("2026-07-01T12-00-00+02-00.jpg", 15, 30),
        ("20260701T120000-0330.jpg", 21, 0),
        ("20260701T120000.jpg", 12, 0),
        ("20260701T120000-0007.jpg", 12, 0),  # a counter
        ("20260701_120000-0300.jpg", 12, 0),
        ("20260701T120000-03000.jpg", 12, 0),
        ("20260701T120000Zoo.jpg", 12, 0),
    ],
)
def test_zones_of_iso_names_are_understood(in_india, name, hour, minute):
    assert time_of_name(name, datetime(2020, 1, 1)) == datetime(2026, 7, 1, hour, minute)


@pytest.mark.parametrize(("source", "sentence"), [("nowhere", "there is no 'nowhere'"), (__file__, "is no camera")])
def test_what_is_no_camera_is_refused(source, sentence):
    with pytest.raises(DataError, match=sentence):
        open_camera(source)


def test_every_frame_of_a_short_video_is_taken_or_one_in_so_many_seconds(tmp_path):
    av = pytest.importorskip("av")
    path = tmp_path / "v.mp4"
    with av.open(str(path), "w") as container:
        stream = container.add_stream("mpeg4", rate=2)
        stream.width, stream.height, stream.pix_fmt = 32, 24, "yuv420p"
        for shade in range(0, 240, 24):
            for packet in stream.encode(av.VideoFrame.from_image(picture(shade))):
                container.mux(packet)
        for packet in stream.encode():
            container.mux(packet)
    frames = list(open_camera(str(path)).frames(True))
    assert len(frames) == 10 and frames[0].picture.shape == (24, 32, 3)
    assert abs(float(frames[-1].picture.mean()) - 216) < 5
    assert len(list(open_camera(str(path), every=1).frames(False))) == 5
    rest = list(open_camera(str(path)).frames(False, after=frames[6].name))
    assert [frame.name for frame in rest] == [frame.name for frame in frames[7:]]
    path.write_bytes(path.read_bytes()[:600])
    assert "cannot be read" in list(open_camera(str(path)).frames(False))[-1].problem


class PictureServer(BaseHTTPRequestHandler):
    """Gives one JPEG at a time."""

    shade = 0

    def do_GET(self):
        buffer = BytesIO()
        picture(PictureServer.shade).save(buffer, "JPEG")
        self.send_response(200)
        self.send_header("Content-Type", "image/jpeg")
        self.send_header("Content-Length", str(len(buffer.getvalue())))
        self.end_headers()
        self.wfile.write(buffer.getvalue())

    def log_message(self, *args):
        pass


def served(port=0):
    server = ThreadingHTTPServer(("127.0.0.1", port), PictureServer)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    return server


def stop(server):
    server.shutdown()
    server.server_close()


def test_a_network_camera_that_is_cut_comes_back():
    pytest.importorskip("av")
    PictureServer.shade = 50
    first = served()
    port, servers = first.server_address[1], [first]

    def cut():
        stop(servers.pop())

    def back():
        PictureServer.shade = 200
        servers.append(served(port))

    camera = open_camera(f"http://user:secret@127.0.0.1:{port}/now.jpg", every=60)
    assert "secret" not in camera.address
    frames = followed(camera, Script(cut, lambda: None, back))
    stop(servers.pop())
    assert [frame.problem[:13] for frame in frames] == ["", "no connection", ""]
    assert abs(float(frames[0].picture.mean()) - 50) < 5 and abs(float(frames[2].picture.mean()) - 200) < 5
    with pytest.raises(DataError, match="gives no picture"):
        list(open_camera("http://127.0.0.1:9/now.jpg").frames(False))
