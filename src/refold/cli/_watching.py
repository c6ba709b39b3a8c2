"""What `refold fit --for camera`, `refold watch` and `refold accept` do."""

import contextlib
import json
import signal
import threading
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, TextIO

import numpy as np
import typer
from numpy.typing import NDArray
from PIL import Image

from refold._atomic import write_whole
from refold._errors import CheckpointError, DataError, ModelFileError, ParameterError
from refold._parameters import check_parameters
from refold.cli._commands import check_folder, check_options, check_output
from refold.cli._locking import alone_in
from refold.cli._talk import say
from refold.cli._webhook import Webhook
from refold.data import Camera, in_order, open_camera, save_picture
from refold.estimators import (
    CameraDetector,
    CameraEvent,
    CameraEvents,
    CameraParameters,
    CameraWatch,
    JudgedFrame,
    load,
)
from refold.files import ModelFile, read_model_file, write_tensor_file

_STATE, _SPOOL, _EVENTS = "state.safetensors", "spool", "events.jsonl"
_IN_REPORT = 24
_COUNTED = ("frames", "scored", "alarms", "problems", "events")
_CROP_AROUND = 0.5  # of the box, on each side
_LEAST_CROP = 64
_STATE_EVERY = 2.0  # seconds


def fit_camera(
    data: str, output: Path, drop: Sequence[str], parameters: dict[str, Any], quiet: bool
) -> dict[str, Any]:
    """Learn what a camera's frames look like, save it, and say what is promised."""
    check_output(output, (".safetensors",))
    check_options(parameters, CameraParameters, "camera")
    if drop:
        raise ParameterError("--drop names a column of a table, and a camera has frames")
    model = CameraDetector(**parameters)
    check_parameters(model)
    start = time.perf_counter()
    if "://" in data and not quiet:
        say("learning from the camera until Ctrl-C")
    model.fit(data)
    model.save(output)
    if not quiet:
        modes = " and ".join(model.modes_)
        say(f"learned from {model.n_frames_} frames in {modes}, one every {model.seconds_:g} s")
        say(f"promised: {model.promised}")
        say(f"wrote {output}")
    seconds = round(time.perf_counter() - start, 1)
    return {"model": str(output), "frames": model.n_frames_, "modes": list(model.modes_), "seconds": seconds}


@dataclass(frozen=True)
class WatchWishes:
    """What the user wants of `refold watch`.

    Parameters
    ----------
    once : bool
        Stop when the frames that are there have ended.
    frames, out, report : Path or None
    webhook : str or None
    every : float or None
    quiet : bool
    """

    once: bool
    frames: Path | None
    out: Path | None
    report: Path | None
    webhook: str | None
    every: float | None
    quiet: bool


@dataclass
class _Told:
    """What has been told so far."""

    scores: list[float] = field(default_factory=list)
    threshold: float = 0.0
    spans: list[tuple[int, int]] = field(default_factory=list)
    shown: list[tuple[str, NDArray[np.uint8], NDArray[np.float32]]] = field(default_factory=list)
    counts: dict[str, int] = field(default_factory=lambda: dict.fromkeys(_COUNTED, 0))
    problem: str = ""


def watch_camera(source: str, model_path: Path, wishes: WatchWishes) -> dict[str, Any]:
    """Judge frames as they come, and write down what is found."""
    _check_wishes(wishes)
    model = _load(model_path)
    if wishes.every is not None:
        model.set_params(every=wishes.every)
        check_parameters(model)
    camera = open_camera(source, every=model.every)
    _refuse_inside(source, wishes.out)
    with alone_in(wishes.out):
        return _watch_camera(camera, model, wishes)


def _watch_camera(camera: Camera, model: CameraDetector, wishes: WatchWishes) -> dict[str, Any]:
    watch, events = CameraWatch(model), CameraEvents()
    events.number = _last_event(wishes.out)
    resumed = _restored(wishes, watch, events)
    webhook = None if wishes.webhook is None or wishes.out is None else Webhook(wishes.webhook, wishes.out / _SPOOL)
    told = _Told()
    if not wishes.quiet:
        say(f"watching {camera.address}; promised: {model.promised}")
    last_name = watch.last_name if resumed else None
    frames = camera.frames(not wishes.once, last_name)
    with _lines(wishes, last_name) as lines, _stopping() as stop:
        ended = _watch(frames, watch, events, told, wishes, lines, webhook, stop)
    if ended:
        for event in events.finish():
            _tell(event, None, told, wishes, webhook)
    _keep_state(wishes, watch, events)
    if webhook is not None:
        webhook.deliver(now=True)
    if wishes.report is not None:
        _write_report(wishes.report, camera.address, model, told)
    _sum_up(told, wishes, webhook)
    if wishes.once and not told.counts["scored"]:
        raise DataError(f"none of {told.counts['frames']} frames could be judged, which needs 13 good ones before")
    return told.counts


class _Stop:
    """Ctrl-C and SIGTERM: at once while waiting for a frame, else when the frame is done with."""

    def __init__(self) -> None:
        self.asked = False
        self.busy = False

    def __call__(self, *signal: object) -> None:
        self.asked = True
        if not self.busy:
            raise KeyboardInterrupt


@contextlib.contextmanager
def _stopping() -> Iterator[_Stop]:
    """Let signals end the watch between frames, so that no event is half told."""
    stop = _Stop()
    if threading.current_thread() is not threading.main_thread():
        yield stop
        return
    before = {number: signal.signal(number, stop) for number in (signal.SIGINT, signal.SIGTERM)}
    try:
        yield stop
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


def _refuse_inside(source: str, out: Path | None) -> None:
    if out is not None and Path(source).is_dir() and out.resolve().is_relative_to(Path(source).resolve()):
        raise ParameterError(f"--out {str(out)!r} lies in the folder that is watched; choose another one")


def _last_event(out: Path | None) -> int:
    """Return the highest number of an event that a folder holds, so that none is written over."""
    names = [] if out is None else [path.name.removeprefix("event-") for path in out.glob("event-*")]
    return max((int(name) for name in names if name.isdecimal()), default=0)


def _watch(
    frames: Iterator[Any],
    watch: CameraWatch,
    events: CameraEvents,
    told: _Told,
    wishes: WatchWishes,
    lines: TextIO | None,
    webhook: Webhook | None,
    stop: _Stop,
) -> bool:
    """Judge frame by frame; return whether the source ended by itself."""
    kept = float("-inf")
    while not stop.asked:
        stop.busy = False
        try:
            frame = next(frames)
        except StopIteration:
            return True
        except KeyboardInterrupt:
            return False
        stop.busy = True
        judged = watch.push(frame)
        found = list(events.push(judged))
        _note(judged, told, wishes)
        if lines is not None:
            lines.write(json.dumps(_line(judged)) + "\n")
            lines.flush()
        for event in found:
            _tell(event, judged, told, wishes, webhook)
        if webhook is not None:
            webhook.deliver()
        if found or time.monotonic() - kept > _STATE_EVERY:
            _keep_state(wishes, watch, events)
            kept = time.monotonic()
    return False


def _load(path: Path) -> CameraDetector:
    model = load(path)
    if not isinstance(model, CameraDetector):
        raise ModelFileError(
            f"{path.name!r} is not one of a camera; make one with: refold fit FRAMES --for camera -o m.safetensors"
        )
    return model


def _check_wishes(wishes: WatchWishes) -> None:
    if wishes.webhook is not None and wishes.out is None:
        raise ParameterError("--webhook needs --out DIR, where events wait while the receiver is down")
    if wishes.frames is not None:
        check_output(wishes.frames, (".jsonl",), "--frames")
    if wishes.report is not None:
        check_output(wishes.report, (".html",), "--report")
    if wishes.out is not None:
        check_folder(wishes.out, "--out")


@contextlib.contextmanager
def _lines(wishes: WatchWishes, last_name: str | None) -> Iterator[TextIO | None]:
    """Yield a file for a line each frame: whole or not at all for --once, appended to otherwise."""
    if wishes.frames is None:
        yield None
    elif wishes.once:
        with write_whole(wishes.frames) as temporary, temporary.open("w") as file:
            yield file
    else:
        _forget_lines_after(wishes.frames, last_name)
        with wishes.frames.open("a") as file:
            yield file


def _forget_lines_after(path: Path, last_name: str | None) -> None:
    """Cut off the lines of frames that come again because a run was killed before it could keep its state."""
    if last_name is None or not path.exists():
        return
    kept = path.read_text().splitlines(keepends=True)
    while kept and _comes_again(kept[-1], last_name):
        kept.pop()
    with write_whole(path) as temporary:
        temporary.write_text("".join(kept))


def _comes_again(line: str, last_name: str) -> bool:
    try:
        return in_order(str(json.loads(line)["file"])) > in_order(last_name)
    except (ValueError, KeyError, TypeError):  # half a line
        return True


def _line(judged: JudgedFrame) -> dict[str, Any]:
    line: dict[str, Any] = {
        "file": judged.name,
        "time": judged.time.isoformat(),
        "score": judged.score,
        "p_value": judged.p_value,
        "alarm": judged.alarm,
        "peak": None if judged.peak is None else list(judged.peak),
        "box": None if judged.box is None else list(judged.box),
    }
    return line | ({"problem": judged.problem} if judged.problem else {})


def _note(judged: JudgedFrame, told: _Told, wishes: WatchWishes) -> None:
    """Count a frame, and say what is wrong with it if the one before was right."""
    told.counts["frames"] += 1
    told.counts["problems"] += bool(judged.problem)
    told.counts["alarms"] += judged.alarm
    told.counts["scored"] += judged.score is not None
    if judged.problem and judged.problem != told.problem and not wishes.quiet:
        say(f"note: frame {judged.name} {judged.problem}" if judged.name else f"note: {judged.problem}")
    told.problem = judged.problem
    if judged.score is not None and judged.threshold is not None and wishes.report is not None:
        told.scores.append(judged.score)
        told.threshold = judged.threshold


def _tell(
    event: CameraEvent, judged: JudgedFrame | None, told: _Told, wishes: WatchWishes, webhook: Webhook | None
) -> None:
    """Write an event that begins or ends: a line on standard output, pictures, a message to the webhook."""
    line = event.to_json()
    if event.state == "begun":
        told.counts["events"] += 1
        told.spans.append((len(told.scores) - 1, len(told.scores) - 1))
        if judged is not None and wishes.report is not None and len(told.shown) < _IN_REPORT:
            told.shown.append((_caption(event), _boxed(judged), _in_size(judged)))
    elif told.spans:
        told.spans[-1] = told.spans[-1][0], max(told.spans[-1][0], len(told.scores) - 1)
    if wishes.out is not None:
        if judged is not None and event.state == "begun":
            line["pictures"] = _save_pictures(wishes.out / f"event-{event.number:04d}", judged)
        with (wishes.out / _EVENTS).open("a") as file:
            file.write(json.dumps(line) + "\n")
    typer.echo(json.dumps(line))
    if webhook is not None:
        webhook.send(line)


def _caption(event: CameraEvent) -> str:
    begun = f"{event.start:%Y-%m-%d %H:%M:%S}"
    return f"event {event.number}, {begun}, score {event.score:.2f}, p-value {event.p_value:.2g}"


# --- pictures ------------------------------------------------------------------------------------------------------


def _save_pictures(folder: Path, judged: JudgedFrame) -> list[str]:
    """Write the frame with its box, the crop, the heat map and the heat itself; return their names."""
    from refold.plots import heat_over

    assert judged.picture is not None and judged.heat is not None
    pictures = {
        "frame.jpg": _boxed(judged),
        "crop.jpg": _crop(judged),
        "heat.jpg": heat_over(judged.picture, _in_size(judged), 1.0),
    }
    folder.mkdir(parents=True, exist_ok=True)
    for name, picture in pictures.items():
        with write_whole(folder / name) as temporary:
            save_picture(picture, temporary)
    with write_whole(folder / "heat.npy") as temporary:
        np.save(temporary, judged.heat)
    (folder / "mode.txt").write_text(judged.mode)
    return [str(folder / name) for name in pictures]


def _boxed(judged: JudgedFrame) -> NDArray[np.uint8]:
    """Return the frame with a frame around the alarm."""
    from PIL import ImageDraw

    assert judged.picture is not None
    image = Image.fromarray(judged.picture).convert("RGB")
    if judged.box is not None:
        width = max(2, image.width // 320)
        ImageDraw.Draw(image).rectangle(judged.box, outline=(255, 90, 0), width=width)
    return np.asarray(image)


def _crop(judged: JudgedFrame) -> NDArray[np.uint8]:
    assert judged.picture is not None and judged.box is not None
    left, top, right, bottom = judged.box
    wide = max(_LEAST_CROP, round((right - left) * (0.5 + _CROP_AROUND)))
    high = max(_LEAST_CROP, round((bottom - top) * (0.5 + _CROP_AROUND)))
    middle = (left + right) // 2, (top + bottom) // 2
    rows = slice(max(0, middle[1] - high), middle[1] + high)
    return judged.picture[rows, max(0, middle[0] - wide) : middle[0] + wide]


def _in_size(judged: JudgedFrame) -> NDArray[np.float32]:
    """Return the heat in the frame's own size; what is below the threshold by more than 1 is dark."""
    assert judged.picture is not None and judged.heat is not None and judged.threshold is not None
    height, width = judged.picture.shape[:2]
    image = Image.fromarray(np.clip(judged.heat - np.float32(judged.threshold) + 1, 0, None)).resize(
        (width, height), Image.Resampling.BILINEAR
    )
    return np.asarray(image, dtype=np.float32) / np.float32(2)


def _write_report(path: Path, address: str, model: CameraDetector, told: _Told) -> None:
    from refold.plots import CameraReport, camera_page, write_page

    counts = told.counts
    report = CameraReport(
        title="What the camera saw",
        lead=f"{counts['events']} events in {counts['frames']} frames of {address}.",
        scores=np.array(told.scores),
        threshold=told.threshold,
        events=told.spans,
        figures=[
            ("frames", counts["frames"]),
            ("frames with an alarm", counts["alarms"]),
            ("frames that could not be judged", counts["problems"]),
            ("promised", model.promised),
        ],
        shown=told.shown,
    )
    write_page(camera_page(report), path)


def _sum_up(told: _Told, wishes: WatchWishes, webhook: Webhook | None) -> None:
    if wishes.quiet:
        return
    counts = told.counts
    say(f"{counts['frames']} frames, {counts['alarms']} with an alarm, {counts['events']} events")
    if webhook is not None and webhook.waiting():
        say(f"note: {len(webhook.waiting())} messages wait for the webhook and go out with the next start")
    for path in (wishes.frames, wishes.report, wishes.out):
        if path is not None:
            say(f"wrote {path}")


# --- going on ------------------------------------------------------------------------------------------------------


def _keep_state(wishes: WatchWishes, watch: CameraWatch, events: CameraEvents) -> None:
    """Write all that a later start goes on from."""
    if wishes.out is None or wishes.once:
        return
    header, tensors = watch.state()
    open_event = None if events.open is None else events.open.to_json()
    header = {"watch": header, "event": open_event, "number": events.number, "calm": events.calm}
    write_tensor_file(ModelFile("CameraWatch", header, tensors), wishes.out / _STATE)


def _restored(wishes: WatchWishes, watch: CameraWatch, events: CameraEvents) -> bool:
    """Go on from what an earlier run has kept, if there is anything."""
    if wishes.out is None or wishes.once or not (wishes.out / _STATE).exists():
        return False
    path = wishes.out / _STATE
    file = read_model_file(path)
    try:
        watch.restore(file.header["watch"], file.tensors)
        description = file.header["event"]
        events.open = None if description is None else CameraEvent.from_json(description)
        events.number, events.calm = int(file.header["number"]), int(file.header["calm"])
    except (KeyError, TypeError, ValueError, CheckpointError) as error:
        raise CheckpointError(f"{str(path)!r} belongs to another camera or model ({error}); move it away") from error
    if not wishes.quiet:
        say(f"going on after {watch.last_name}")
    return True


def accept_event(model_path: Path, folder: Path, output: Path | None) -> dict[str, Any]:
    """Learn that what an event showed was normal."""
    model = _load(model_path)
    try:
        heat = np.load(folder / "heat.npy", allow_pickle=False)
        mode = (folder / "mode.txt").read_text()
        usable = isinstance(heat, np.ndarray) and heat.dtype == np.float32 and bool(np.isfinite(heat).all())
    except (OSError, ValueError):
        usable = False
    if not usable:
        raise DataError(f"{str(folder)!r} is no folder of an event, such as OUT/event-0001")
    model.accept(heat, mode)
    target = model_path if output is None else output
    model.save(target)
    say(f"what {folder.name} showed counts as normal; wrote {target}")
    return {"model": str(target)}
