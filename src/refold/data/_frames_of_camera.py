"""Frames of a fixed camera, one after the other: from a folder that fills, a video file, or a network camera."""

import re
import time
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import datetime, timedelta, timezone
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from refold._errors import DataError
from refold._extras import require
from refold.data._pictures import decode_picture, head_of, picture_files

Wait = Callable[[float], None]

_ADDRESS = re.compile(r"^(rtsps?|https?|rtmp|udp|tcp)://", re.IGNORECASE)
_VIDEOS = (".mp4", ".mov", ".mkv", ".avi", ".webm", ".m4v", ".mpg", ".mpeg", ".ts", ".mjpeg", ".mjpg")
_DATE_AND_TIME = re.compile(
    r"(?<!\d)((?:19|20)\d\d)[-_.]?(\d\d)[-_.]?(\d\d)[-_.T ]{0,3}(\d\d)[-_.:h]?(\d\d)[-_.:m]?(\d\d)"
)
_ZONE = re.compile(r"(?:[.,]\d+)?(Z(?![a-z])|([+-])(0\d|1[0-4])[:._-]?(00|15|30|45)(?!\d))", re.IGNORECASE)
_TIME = re.compile(r"(?<!\d)([01]\d|2[0-3])([0-5]\d)([0-5]\d)(?!\d)")
_DAY, _HALF_A_DAY = timedelta(days=1), timedelta(hours=12)
_POLL = 1.0  # seconds between two looks into a folder, more where a look takes long
_UNFINISHED = 5.0  # seconds for which a file that cannot be read may still be on its way
_TIME_LAPSE = 30 * 60.0  # a video shorter than this is thought one, of which every frame counts
_CAMERA_EVERY = 60.0
_HELD_OPEN = 10.0  # a connection is kept between frames that follow each other sooner than this
_FIRST_PAUSE, _LONGEST_PAUSE = 1.0, 60.0
_PATIENCE = (15.0, 15.0)  # seconds to open a camera, and to wait for its next frame
_RTSP = {
    "rtsp_flags": "prefer_tcp",  # loses no packets; cameras that know only UDP are asked for that next
    "fpsprobesize": "0",  # does not watch some seconds of the stream for its frame rate, which nobody asks for
}


@dataclass(frozen=True, eq=False)
class Frame:
    """One frame of a camera, or what kept it from being one.

    Parameters
    ----------
    name : str
        Its file below the folder, or its place in the video, or its time; "" where the source itself has a problem.
    time : datetime
        Local, without a zone.
    picture : ndarray of shape (H, W, 3), uint8, or None
    problem : str, default=""
        Why there is no picture.
    """

    name: str
    time: datetime
    picture: NDArray[np.uint8] | None
    problem: str = ""


class Camera(ABC):
    """A source of frames.

    Parameters
    ----------
    address : str
        As the user gave it, without a password.
    """

    def __init__(self, address: str) -> None:
        self.address = address

    @abstractmethod
    def frames(self, follow: bool, after: str | None = None, wait: Wait = time.sleep) -> Iterator[Frame]:
        """Yield frames in the order of their names or times.

        Parameters
        ----------
        follow : bool
            Go on when those that are there have ended: wait for new files, or connect again.
        after : str, optional
            Name of the last frame that is known already; those up to it are left out.
        wait : callable, default=time.sleep
            Called with seconds.
        """


def open_camera(source: str, *, every: float | None = None) -> Camera:
    """Return the camera behind a path or an address.

    Parameters
    ----------
    source : str
        A folder of pictures, a video file, or the address of a camera (``rtsp://``, ``http://``).
    every : float, optional
        Seconds between frames; None takes all of a folder and of a video of less than half an hour, and one a minute
        of longer ones and of network cameras.

    Raises
    ------
    DataError
        If there is no such source.
    """
    if _ADDRESS.match(source):
        return NetworkCamera(source, _CAMERA_EVERY if every is None else every)
    path = Path(source)
    if path.is_dir():
        return FrameFolder(path, every or 0.0)
    if path.is_file() and path.suffix.lower() in _VIDEOS:
        return VideoFile(path, every)
    if not path.exists():
        raise DataError(
            f"there is no {without_secrets(source)!r}; give a folder of pictures, a video file or a camera's address"
        )
    raise DataError(
        f"{source!r} is no camera; give a folder of pictures, a video ({', '.join(_VIDEOS[:4])}, ...) or an address "
        "such as rtsp://host/stream"
    )


# --- folders -------------------------------------------------------------------------------------------------------


class FrameFolder(Camera):
    """A folder of pictures, and of folders of pictures, in the order of their names.

    Parameters
    ----------
    folder : pathlib.Path
    every : float
        Least seconds between frames.
    """

    def __init__(self, folder: Path, every: float) -> None:
        super().__init__(str(folder))
        self._folder, self._every = folder, every
        self._named_by_time: bool | None = None  # whether six digits in every name are a time, and no counter
        self._last_time: datetime | None = None  # of names without a date

    def frames(self, follow: bool, after: str | None = None, wait: Wait = time.sleep) -> Iterator[Frame]:
        """Yield the pictures that are there, and with `follow` those that come; see `Camera.frames`."""
        thinning = _Thinning(self._every)
        seen: set[str] = set()
        last, vanished = after or "", False
        while True:
            started = time.monotonic()
            gone = not self._folder.is_dir()
            if gone and not vanished and follow:
                yield Frame("", datetime.now(), None, f"{self.address} has vanished; waiting for it")
            vanished = gone
            present = {} if gone else self._present()
            if present:
                seen &= set(present)  # what was taken away needs no memory
            for name, path in present.items():
                if name in seen or (after is not None and in_order(name) <= in_order(after)):
                    continue
                frame = self._frame(name, path, follow)
                if frame is None:
                    break  # those behind it wait, so that order is kept
                seen.add(name)
                if in_order(name) < in_order(last):
                    frame = Frame(name, frame.time, None, f"came late: {last!r} was judged before it")
                last = max(last, name, key=in_order)
                if frame.picture is None or thinning.takes(frame.time):
                    yield frame
            if not follow:
                return
            wait(max(_POLL, 5 * (time.monotonic() - started)))

    def _present(self) -> dict[str, Path]:
        found = {path.relative_to(self._folder).as_posix(): path for path in picture_files(self._folder)}
        if self._named_by_time is None and found:
            self._named_by_time = all(_TIME.search(path.name) for path in found.values())
        return {name: found[name] for name in sorted(found, key=in_order)}

    def _frame(self, name: str, path: Path, follow: bool) -> Frame | None:
        """Return the frame in a file; None if it may still be written to."""
        try:
            changed = path.stat().st_mtime
        except OSError:
            return Frame(name, datetime.now(), None, "was taken away before it was read")
        moment = self._time(path.name, datetime.fromtimestamp(changed))
        head = head_of(path)
        picture = None if head is None else decode_picture(path, "RGB", head[1])
        if picture is not None:
            return Frame(name, moment, picture)
        if follow and 0 <= time.time() - changed < _UNFINISHED:
            return None
        return Frame(name, moment, None, "cannot be read as a picture")

    def _time(self, name: str, changed: datetime) -> datetime:
        """Return the time of a file; times of day alone go on over midnight, whenever their files were copied."""
        moment = time_of_name(name, changed, bool(self._named_by_time))
        if not self._named_by_time or _DATE_AND_TIME.search(name):
            return moment
        while self._last_time is not None and self._last_time - moment > _HALF_A_DAY:
            moment += _DAY
        self._last_time = moment
        return moment


def in_order(name: str) -> tuple[tuple[int, int | str], ...]:
    """Return what names are sorted by: numbers in them count as numbers.

    Examples
    --------
    >>> sorted(["img10.jpg", "img9.jpg"], key=in_order)
    ['img9.jpg', 'img10.jpg']
    """
    return tuple((0, int(part)) if part.isdecimal() else (1, part) for part in re.split(r"(\d+)", name) if part)


def time_of_name(name: str, otherwise: datetime, time_of_day: bool = True) -> datetime:
    """Return the time that a file's name tells, in local time.

    A time of day alone is on the day of `otherwise`, or on the one before where it would be more than half a day
    later: a file of the last second of a day is written on the next. Without `time_of_day` six digits alone are
    thought a counter.

    Examples
    --------
    >>> time_of_name("cam1_20190813_134052.jpg", datetime(2020, 1, 1))
    datetime.datetime(2019, 8, 13, 13, 40, 52)
    >>> time_of_name("007_235958.jpg", datetime(2020, 1, 2, 0, 0, 3))
    datetime.datetime(2020, 1, 1, 23, 59, 58)
    """
    if found := _DATE_AND_TIME.search(name):
        try:
            return _local(datetime(*map(int, found.groups())), found, name)  # type: ignore[arg-type] # six numbers
        except ValueError:
            return otherwise
    if time_of_day and (found := _TIME.search(name)):
        hour, minute, second = map(int, found.groups())
        moment = otherwise.replace(hour=hour, minute=minute, second=second, microsecond=0)
        return moment - _DAY if moment - otherwise > _HALF_A_DAY else moment
    return otherwise


def _local(moment: datetime, found: re.Match[str], name: str) -> datetime:
    """Return the local time of one with the zone of an ISO name behind it, such as Z or +02:00."""
    zone = _ZONE.match(name, found.end()) if "T" in found[0].upper() else None  # else it may be a counter
    if zone is None:
        return moment
    east = timedelta()
    if zone[2]:
        east = timedelta(hours=int(zone[3]), minutes=int(zone[4])) * (-1 if zone[2] == "-" else 1)
    return moment.replace(tzinfo=timezone(east)).astimezone().replace(tzinfo=None)


class _Thinning:
    """Takes frames that are at least some seconds apart."""

    def __init__(self, every: float) -> None:
        self._every = timedelta(seconds=every)
        self._last: datetime | None = None

    def takes(self, moment: datetime) -> bool:
        """Say whether a frame of this time is taken."""
        if self._last is not None and timedelta() <= moment - self._last < self._every:
            return False
        self._last = moment
        return True


# --- videos and network cameras ------------------------------------------------------------------------------------


class VideoFile(Camera):
    """A video file; frames are named by their seconds.

    Parameters
    ----------
    path : pathlib.Path
    every : float or None
        Seconds between frames.
    """

    def __init__(self, path: Path, every: float | None) -> None:
        super().__init__(str(path))
        self._path, self._every = path, every

    def frames(self, follow: bool, after: str | None = None, wait: Wait = time.sleep) -> Iterator[Frame]:
        """Yield the frames; a video does not go on, so that `follow` changes nothing."""
        av = _av()
        start = datetime.fromtimestamp(self._path.stat().st_mtime)
        next_one = -np.inf
        try:
            with av.open(str(self._path)) as container:
                length = (container.duration or 0) / av.time_base
                every = self._every
                if every is None:
                    every = 0.0 if length < _TIME_LAPSE else _CAMERA_EVERY
                start -= timedelta(seconds=length)
                for place, picture in enumerate(container.decode(video=0)):
                    seconds = float(picture.time) if picture.time is not None else float(place)
                    name = f"{self._path.name}@{seconds:010.3f}"
                    if seconds < next_one or (after is not None and name <= after):
                        continue
                    next_one = seconds + every
                    yield Frame(name, start + timedelta(seconds=seconds), picture.to_ndarray(format="rgb24"))
        except (av.FFmpegError, IndexError) as error:  # IndexError: there is no video in it
            yield Frame(self._path.name, start, None, f"cannot be read on: {_said(error)}")


class NetworkCamera(Camera):
    """A camera in the network: a stream, or an address that gives one picture at a time.

    Parameters
    ----------
    address : str
    every : float
        Seconds between frames.
    """

    def __init__(self, address: str, every: float) -> None:
        super().__init__(without_secrets(address))
        self._url, self._every = address, every

    def frames(self, follow: bool, after: str | None = None, wait: Wait = time.sleep) -> Iterator[Frame]:
        """Yield frames as they come; without `follow` those of one connection, else for ever, connecting again."""
        pause, lost = _FIRST_PAUSE, False
        while True:
            got = False
            try:
                for picture in self._connection():
                    got, lost, pause = True, False, _FIRST_PAUSE
                    moment = datetime.now()
                    yield Frame(f"{moment:%Y%m%d-%H%M%S.%f}"[:-3], moment, picture)
                    if self._every >= _HELD_OPEN and follow:
                        break
            except (_av().FFmpegError, IndexError) as error:  # IndexError: there is no video in it
                if not follow:
                    raise DataError(f"{self.address} gives no picture: {_said(error)}; check the address") from None
                if not lost:
                    problem = f"no connection to {self.address}: {_said(error)}; trying again"
                    yield Frame("", datetime.now(), None, problem)
                lost = True
            if not follow:
                return
            if got:
                wait(self._every)
            else:
                wait(pause)
                pause = min(2 * pause, _LONGEST_PAUSE)

    def _connection(self) -> Iterator[NDArray[np.uint8]]:
        """Yield pictures at least `every` seconds apart until the connection ends."""
        options = _RTSP if self._url.lower().startswith("rtsp") else {}
        next_one = -np.inf
        with _av().open(self._url, timeout=_PATIENCE, options=options) as container:
            for picture in container.decode(video=0):
                if time.monotonic() >= next_one:
                    next_one = time.monotonic() + self._every
                    yield picture.to_ndarray(format="rgb24")


def without_secrets(address: str) -> str:
    """Return an address without user, password and the values of its query.

    Examples
    --------
    >>> without_secrets("http://user:se@cret@camera/snap?user=a&pwd=b")
    'http://camera/snap?user=...&pwd=...'
    """
    shown = re.sub(r"//.*@", "//", address.partition("?")[0])
    query = address.partition("?")[2]
    return shown + ("?" + re.sub(r"=[^&]*", "=...", query) if query else "")


def _av() -> Any:
    return require("av", extra="camera", purpose="read videos and network cameras")


def _said(error: Exception) -> str:
    if isinstance(error, IndexError):
        return "there is no video in it"
    if isinstance(error, _av().error.ExitError):  # what FFmpeg calls "immediate exit requested"
        return "nothing came for too long"
    return str(getattr(error, "strerror", "") or error)
