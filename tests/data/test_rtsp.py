"""A camera that speaks RTSP: by TCP or UDP, with a password, cut and back."""

import base64
import contextlib
import re
import socket
import struct
import threading
from fractions import Fraction

import numpy as np
import pytest

from refold.data import open_camera

av = pytest.importorskip("av")

FRAMES = 40
SECRET = "s3cret"
ALLOWED = "Basic " + base64.b64encode(f"user:{SECRET}".encode()).decode()
STREAM = (
    "v=0\r\no=- 0 0 IN IP4 127.0.0.1\r\ns=ridge\r\nc=IN IP4 0.0.0.0\r\nt=0 0\r\nm=video 0 RTP/AVP 96\r\n"
    "a=rtpmap:96 MP4V-ES/90000\r\na=control:0\r\n"
)


def encoded(shade):
    """Frames of one shade as MPEG-4, each whole in itself and small enough for one packet."""
    encoder = av.CodecContext.create("mpeg4", "w")
    encoder.width, encoder.height, encoder.pix_fmt, encoder.gop_size = 64, 48, "yuv420p", 1
    encoder.time_base = Fraction(1, 5)
    frame = av.VideoFrame.from_ndarray(np.full((48, 64, 3), shade, np.uint8), format="rgb24")
    return bytes(next(iter(encoder.encode(frame))))


class Ridge:
    """Serves its frames to one player after the other, and then hangs up or falls silent."""

    def __init__(self, shade, port=0, transport="TCP", hangs_up=True):
        self.transport, self.hangs_up = transport, hangs_up
        self.picture, self.methods = encoded(shade), []
        self.udp = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self.listening = socket.create_server(("127.0.0.1", port))
        self.port = self.listening.getsockname()[1]
        self.thread = threading.Thread(target=self.serve, daemon=True)
        self.thread.start()

    def close(self):
        self.listening.shutdown(socket.SHUT_RDWR)
        self.listening.close()
        self.thread.join()
        self.udp.close()

    def serve(self):
        while True:
            try:
                player, _ = self.listening.accept()
            except OSError:  # closed
                return
            with contextlib.suppress(OSError), player, player.makefile("rwb") as lines:  # OSError: the player left
                while self.answer(lines):
                    pass

    def answer(self, lines):
        """Answer one request; return whether another one may follow."""
        request = []
        while line := lines.readline().decode().strip():
            request.append(line)
        if not request:  # the player has left
            return False
        method, said = request[0].split()[0], dict(line.split(": ", 1) for line in request[1:])
        self.methods.append(method)
        code, headers, body = self.reply(method, said)
        headers |= {"CSeq": said["CSeq"], "Content-Length": str(len(body))}
        text = "".join(f"{name}: {value}\r\n" for name, value in headers.items())
        lines.write(f"RTSP/1.0 {code}\r\n{text}\r\n{body}".encode())
        if method == "PLAY":
            for place in range(FRAMES):
                self.send(lines, place)
        lines.flush()
        return method != "TEARDOWN" and not (method == "PLAY" and self.hangs_up)

    def reply(self, method, said):
        if method == "OPTIONS":
            return "200 OK", {"Public": "DESCRIBE, SETUP, PLAY, TEARDOWN"}, ""
        if said.get("Authorization") != ALLOWED:
            return "401 Unauthorized", {"WWW-Authenticate": 'Basic realm="ridge"'}, ""
        if method == "DESCRIBE":
            return "200 OK", {"Content-Type": "application/sdp"}, STREAM
        if method == "SETUP":
            return self.set_up(said["Transport"])
        return "200 OK", {"Session": "1"}, ""

    def set_up(self, asked):
        if ("TCP" in asked) != (self.transport == "TCP"):
            return "461 Unsupported Transport", {}, ""
        if self.transport == "UDP":
            port = int(re.search(r"client_port=(\d+)", asked)[1])
            self.udp.connect(("127.0.0.1", port))
            own = self.udp.getsockname()[1]
            asked = f"RTP/AVP;unicast;client_port={port}-{port + 1};server_port={own}-{own + 1}"
        return "200 OK", {"Session": "1", "Transport": asked}, ""

    def send(self, lines, place):
        packet = struct.pack("!BBHII", 0x80, 0x80 | 96, place, place * 18000, 1) + self.picture
        if self.transport == "UDP":
            self.udp.send(packet)
        else:
            lines.write(b"$\0" + struct.pack("!H", len(packet)) + packet)


def shade(frame):
    return round(float(frame.picture.mean()), -1)


def test_a_stream_that_is_cut_comes_back():
    servers = [Ridge(50)]
    port = servers[0].port
    camera = open_camera(f"rtsp://user:{SECRET}@127.0.0.1:{port}/live", every=0)
    frames = camera.frames(True, wait=lambda seconds: next(steps)())
    steps = iter([lambda: servers.pop().close(), lambda: None, lambda: servers.append(Ridge(200, port))])
    first = [next(frames) for _ in range(FRAMES)]
    assert {shade(frame) for frame in first} == {50} and first[0].picture.shape == (48, 64, 3)
    lost, back = next(frames), next(frames)
    assert lost.problem == f"no connection to rtsp://127.0.0.1:{port}/live: Connection refused; trying again"
    assert shade(back) == 200
    frames.close()
    servers.pop().close()


def test_a_camera_that_knows_only_udp_is_asked_for_that_next():
    server = Ridge(120, transport="UDP")
    camera = open_camera(f"rtsp://user:{SECRET}@127.0.0.1:{server.port}/live", every=0)
    frames = camera.frames(False)
    assert shade(next(frames)) == 120
    frames.close()
    server.close()
    assert server.methods.count("SETUP") == 2


def test_a_camera_that_falls_silent_is_told_of(monkeypatch):
    monkeypatch.setattr("refold.data._frames_of_camera._PATIENCE", (15.0, 0.1))
    server = Ridge(120, hangs_up=False)
    frames = open_camera(f"rtsp://user:{SECRET}@127.0.0.1:{server.port}/live", every=0).frames(True)
    problem = next(frame.problem for frame in frames if frame.problem)
    assert problem == f"no connection to rtsp://127.0.0.1:{server.port}/live: nothing came for too long; trying again"
    frames.close()
    server.close()
