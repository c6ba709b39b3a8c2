"""``make bench-camera``: smoke on fixed mountain cameras, found by refold and by usual backgrounds.

Every run is one camera and one day, a frame a minute, and goes in time order: of the frames before smoke is visible
the first 60 % train, the next 20 % calibrate, and the rest are judged for false alarms; from there on counts how soon
an alarm comes and where the highest score lies. One configuration for all runs; boxes serve the figures alone. The
network never saw the camera that it judges, nor another one of the same mountain: three networks are trained by
``training/camera.py`` for each seed, every one without a third of the mountains, and kept in ``$REFOLD_CACHE`` or
``benchmarks/.cache``. The upper pixel rows, with the burnt-in time, are left out for all methods.

Some runs have frames before the visible smoke that alarm inside the later box; false alarms are told with and
without those. Prints the table and writes its part of ``benchmarks/RESULTS.md``; ``--seeds``, ``--runs`` and
``--hide-nothing`` run a part or another way and write nothing.
"""

import argparse
import csv
import json
import os
import subprocess
import sys
import time
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from statistics import mean, median
from typing import Any

os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")

import numpy as np
import torch
from numpy.typing import NDArray
from PIL import Image
from results import write_section
from safetensors.torch import load_file
from scipy import ndimage

from refold.data import open_camera
from refold.scores import (
    CameraRun,
    CameraSpec,
    camera_threshold,
    change_of,
    grid_of,
    horizon_of,
    log_grey,
    near_horizon,
    reference_of,
    scene_of,
    spread_of,
)

Array = NDArray[np.float32]
Mask = NDArray[np.bool_]

SEEDS = (0, 1, 2)
TRAINED, CALIBRATED = 0.6, 0.8
# of the names of runs: cameras of these mountains are judged by one network; the other mountains by a third one
MOUNTAINS = (("SantaYnez", "20190529"), ("HighPoint",))
STAMP_ROWS = 4  # of the grid
CELL = 4  # pixels
AROUND = 3  # cells around boxes in which an alarm is in its place
TRAINING = Path(__file__).parents[1] / "training" / "camera.py"
OURS = "**refold**"


@dataclass(frozen=True, eq=False)
class Run:
    """One camera on one day.

    Parameters
    ----------
    name : str
    folder : pathlib.Path
    grids : ndarray of shape (n, h, w)
        Without the burnt-in time.
    boxes : list of list of tuple
        Of each frame, in pixels.
    minutes : ndarray of shape (n,)
        Since the first frame.
    visible : int
        First frame in which the eye finds smoke.
    """

    name: str
    folder: Path
    grids: Array
    boxes: list[list[tuple[int, ...]]]
    minutes: NDArray[np.float64]
    visible: int

    @property
    def trained(self) -> int:
        """Frames to learn from."""
        return round(TRAINED * self.visible)

    @property
    def calibrated(self) -> int:
        """Frames to learn and to calibrate from."""
        return round(CALIBRATED * self.visible)

    def place(self) -> Mask:
        """Return where smoke will be, with a margin, (h, w)."""
        place = np.zeros(self.grids.shape[1:], bool)
        for left, top, right, bottom in (box for boxes in self.boxes for box in boxes):
            rows, columns = (
                (max(0, a // CELL - AROUND), b // CELL + AROUND + 1) for a, b in ((top, bottom), (left, right))
            )
            place[slice(*rows), slice(*columns)] = True
        return place


@dataclass(frozen=True, eq=False)
class Found:
    """What a method says of one frame.

    Parameters
    ----------
    peak : tuple of int
        Column and row.
    region : ndarray of shape (h, w), bool, or None
        None without an alarm.
    """

    peak: tuple[int, int]
    region: Mask | None


@dataclass(frozen=True)
class Figures:
    """What a method reached on a run: shares of frames, and minutes from the visible smoke, None for never."""

    false_alarms: float
    false_elsewhere: float
    delay: float | None
    delay_in_place: float | None
    peak_in_box: float
    alarmed: float


Method = Callable[[Run], Iterator[Found]]


def main() -> None:
    """Run the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seeds", type=int, nargs="*", default=SEEDS)
    parser.add_argument("--runs", nargs="*", default=[""], help="beginnings of names")
    parser.add_argument("--hide-nothing", action="store_true", help="leave the burnt-in time in; refold may find it")
    options = parser.parse_args()
    torch.set_num_threads(1)
    start = time.perf_counter()
    hidden = 0 if options.hide_nothing else STAMP_ROWS
    folder = runs_folder()
    runs = [run for run in read_runs(folder, hidden) if run.name.startswith(tuple(options.runs))]
    methods: dict[str, Method] = {
        "per-pixel mean and deviation": pixel_background,
        "running background": running_background,
        "refold's recipe without a network": without_network,
    }
    methods |= {f"{OURS}, seed {seed}": refold_with(seed, folder, hidden) for seed in options.seeds}
    reached = {name: [judge(run, method) for run in runs] for name, method in methods.items()}
    ours = [reached[f"{OURS}, seed {seed}"] for seed in options.seeds]
    lines = [*table(reached), "", *table_of_runs(runs, ours), "", *targets(ours, frames_a_second(runs[0]))]
    lines += ["", f"Measured in {(time.perf_counter() - start) / 60:.1f} minutes."]
    print("", *lines, sep="\n")
    if tuple(options.seeds) == SEEDS and options.runs == [""] and not options.hide_nothing:
        write_section("camera", "Mountain cameras: smoke of wildfires", "make bench-camera", lines)


# --- runs -----------------------------------------------------------------------------------------------------------


def runs_folder() -> Path:
    """Return the folder of the runs, from ``$REFOLD_DATA`` or ``../shared/data``."""
    named = os.environ.get("REFOLD_DATA")
    for folder in [*([Path(named)] if named else []), Path("..") / "shared" / "data"]:
        if (folder / "camera" / "runs.csv").exists():
            return folder / "camera"
    raise SystemExit("the runs were not found: put camera/runs.csv etc. into $REFOLD_DATA or ../shared/data")


def read_runs(folder: Path, hidden: int) -> list[Run]:
    """Return all runs; so many upper rows of the grids repeat the next one."""
    return [
        _run(folder / row["run"], int(row["visible_smoke_from_frame"]), hidden) for row in _rows(folder / "runs.csv")
    ]


def _run(folder: Path, visible: int, hidden: int) -> Run:
    rows = _rows(folder / "labels.csv")
    pictures = {frame.name: frame.picture for frame in open_camera(str(folder)).frames(follow=False)}
    grids = np.stack([grid_of(pictures[row["file"]]) for row in rows])
    grids[:, :hidden] = grids[:, hidden : hidden + 1]
    times = [datetime.fromisoformat(row["timestamp_local"]) for row in rows]
    minutes = np.array([(moment - times[0]).total_seconds() / 60 for moment in times])
    boxes = [[tuple(box) for box in json.loads(row["boxes"])] for row in rows]
    return Run(folder.name, folder, grids, boxes, minutes, visible)


def _rows(file: Path) -> list[dict[str, str]]:
    with open(file, newline="") as text:
        return list(csv.DictReader(text))


def fold_of(name: str) -> int:
    """Return the number of the network that judges a run."""
    return next((fold for fold, parts in enumerate(MOUNTAINS, 1) if any(part in name for part in parts)), 0)


# --- refold ---------------------------------------------------------------------------------------------------------


def refold_with(seed: int, folder: Path, hidden: int) -> Method:
    """Return refold with the networks of a seed."""

    def found(run: Run) -> Iterator[Found]:
        watching = watching_run(run, network(seed, fold_of(run.name), folder), hidden)
        normal = [scored for scored in map(watching.push, run.grids[: run.calibrated]) if scored is not None]
        watching.threshold = camera_threshold([scored.score for scored in normal[run.trained - run.calibrated :]])
        for grid in run.grids[run.calibrated :]:
            scored = watching.push(grid)
            if scored is not None:
                yield Found(scored.peak, scored.region)

    return found


def watching_run(run: Run, weights: dict[str, Any], hidden: int = STAMP_ROWS) -> CameraRun:
    """Return a run that has learned from the first normal frames and seen none."""
    shape = run.grids.shape[1:]
    scorer = CameraSpec(*shape).build(weights)
    scorer.learn(run.grids[: run.trained], np.arange(shape[0])[:, None].repeat(shape[1], 1) < hidden)
    return CameraRun(scorer)


def network(seed: int, fold: int, folder: Path) -> dict[str, Any]:
    """Return the weights that never saw the runs of a fold, trained if they are not kept yet."""
    cache = Path(os.environ.get("REFOLD_CACHE") or Path(__file__).parent / ".cache") / "camera"
    file = cache / f"seed{seed}-fold{fold}.safetensors"
    if not file.exists():
        unseen = [row["run"] for row in _rows(folder / "runs.csv") if fold_of(row["run"]) == fold]
        command = [sys.executable, str(TRAINING), "--runs", str(folder), "--seed", str(seed), "-o", str(file)]
        subprocess.run([*command, "--leave-out", *unseen], check=True)
    return load_file(file)


# --- others ---------------------------------------------------------------------------------------------------------


def pixel_background(run: Run) -> Iterator[Found]:
    """Distance from each pixel's mean in parts of its deviation, as in training."""
    normal = run.grids[: run.trained]
    maps = np.abs(run.grids - normal.mean(0)) / (normal.std(0) + 2)
    return _above_the_highest(run, np.stack([ndimage.gaussian_filter(map_, 1) for map_ in maps]))


def running_background(run: Run) -> Iterator[Found]:
    """Distance from the mean of the ten frames before."""
    maps = np.zeros_like(run.grids)
    for place in range(10, len(maps)):
        maps[place] = np.abs(ndimage.gaussian_filter(run.grids[place] - run.grids[place - 10 : place].mean(0), 1))
    return _above_the_highest(run, maps)


def _above_the_highest(run: Run, maps: Array) -> Iterator[Found]:
    threshold = maps[run.trained : run.calibrated].max()
    return _told(run, maps, maps, float(threshold))


def without_network(run: Run) -> Iterator[Found]:
    """Change against the reference in parts of the usual one, near the horizon, in two of three frames."""
    changes = np.zeros_like(run.grids)
    for place in range(5, len(changes)):
        reference = reference_of(run.grids[max(0, place - 12) : place])
        pair = (torch.from_numpy(grid)[None, None] for grid in (run.grids[place], reference))
        changes[place] = change_of(*pair)[0, 0].numpy()
    spread = spread_of((changes[5 : run.trained].astype(np.float64) ** 2).mean(0).astype(np.float32))
    horizon = horizon_of(log_grey(torch.from_numpy(scene_of(run.grids))).numpy())
    sizes = np.stack([ndimage.gaussian_filter(np.abs(change), 1) for change in changes])
    maps = sizes / (spread + 0.004) * np.exp(near_horizon(horizon, len(spread)))
    near = np.stack([ndimage.maximum_filter(map_, 7) for map_ in maps])
    second = np.stack([np.sort(near[max(0, place - 2) : place + 1], 0)[-2:][0] for place in range(len(near))])
    agreed = np.minimum(maps, second)
    threshold = 2.12 * float(agreed[run.trained : run.calibrated].max()) ** 0.7
    return _told(run, maps, agreed, threshold)


def _told(run: Run, maps: Array, agreed: Array, threshold: float) -> Iterator[Found]:
    for map_, common in zip(maps[run.calibrated :], agreed[run.calibrated :], strict=True):
        row, column = np.unravel_index(np.argmax(map_), map_.shape)
        region = common > threshold
        yield Found((int(column), int(row)), region if region.any() else None)


# --- figures --------------------------------------------------------------------------------------------------------


def judge(run: Run, method: Method) -> Figures:
    """Return what a method reaches on a run, from the end of calibration on."""
    found, place = list(method(run)), run.place()
    alarm = np.array([each.region is not None for each in found])
    in_place = np.array([each.region is not None and bool((each.region & place).any()) for each in found])
    boxes, minutes = run.boxes[run.calibrated :], run.minutes[run.calibrated :] - run.minutes[run.visible]
    first = run.visible - run.calibrated
    boxed = np.array([bool(some) for some in boxes]) & (np.arange(len(found)) >= first)
    peaks = [_inside(each.peak, some) for each, some, is_boxed in zip(found, boxes, boxed, strict=True) if is_boxed]
    return Figures(
        float(alarm[:first].mean()),
        float((alarm & ~in_place)[:first].mean()),
        _first(alarm[first:], minutes[first:]),
        _first(in_place[first:], minutes[first:]),
        mean(peaks),
        float(alarm[boxed].mean()),
    )


def _first(alarms: Mask, minutes: NDArray[np.float64]) -> float | None:
    return float(minutes[np.argmax(alarms)]) if alarms.any() else None


def _inside(peak: tuple[int, int], boxes: Iterable[tuple[int, ...]]) -> bool:
    x, y = (CELL * cell + CELL // 2 for cell in peak)
    return any(left <= x <= right and top <= y <= bottom for left, top, right, bottom in boxes)


def frames_a_second(run: Run, frames: int = 40) -> float:
    """Return frames a second on one core, from files of JPEG to scores and regions."""
    weights = CameraSpec(*run.grids.shape[1:]).build().net.state_dict()
    watching = watching_run(run, weights)
    watching.threshold = 0.0
    for grid in run.grids[:14]:
        watching.push(grid)
    files = sorted(run.folder.glob("*.jpg"))[14 : 14 + frames]
    start = time.process_time()
    for file in files:
        watching.push(grid_of(np.asarray(Image.open(file).convert("RGB"))))
    return len(files) / (time.process_time() - start)


# --- what is told ---------------------------------------------------------------------------------------------------


def table(reached: dict[str, list[Figures]]) -> list[str]:
    """Return the table of methods, means over the runs."""
    head = (
        "| method | false alarms | elsewhere than the later smoke | runs without | never found | never in its place |"
    )
    head += " minutes to the alarm, median / mean | in its place | peak in box | boxed frames that alarm |"
    lines = ["Means over the runs; shares of frames:", "", head, f"|{'---|' * 10}"]
    return lines + [_line(name, figures) for name, figures in reached.items()]


def _line(name: str, figures: list[Figures]) -> str:
    delays, in_place = [each.delay for each in figures], [each.delay_in_place for each in figures]
    cells = [
        f"{mean(each.false_alarms for each in figures):.3f}",
        f"{mean(each.false_elsewhere for each in figures):.3f}",
        f"{sum(each.false_alarms == 0 for each in figures)} of {len(figures)}",
        str(delays.count(None)),
        str(in_place.count(None)),
        _minutes(delays),
        _minutes(in_place),
        f"{mean(each.peak_in_box for each in figures):.3f}",
        f"{mean(each.alarmed for each in figures):.2f}",
    ]
    return f"| {name} | {' | '.join(cells)} |"


def _minutes(delays: list[float | None]) -> str:
    known = [delay for delay in delays if delay is not None]
    return f"{median(known):.1f} / {mean(known):.1f}" if known else "-"


def table_of_runs(runs: list[Run], ours: list[list[Figures]]) -> list[str]:
    """Return the table of runs, every seed beside the others."""
    lines = ["refold, run by run, the seeds beside each other:", ""]
    lines += ["| run | false alarms | elsewhere | minutes | in its place | peak in box |", f"|{'---|' * 6}"]
    for place, run in enumerate(runs):
        some = [figures[place] for figures in ours]
        columns = ("false_alarms", "false_elsewhere", "delay", "delay_in_place", "peak_in_box")
        cells = [", ".join(_number(getattr(each, column), column) for each in some) for column in columns]
        lines.append(f"| {run.name} | {' | '.join(cells)} |")
    return lines


def _number(value: float | None, column: str) -> str:
    if value is None:
        return "never"
    return f"{value:.0f}" if column.startswith("delay") else f"{value:.2f}"


def targets(ours: list[list[Figures]], speed: float) -> list[str]:
    """Return the table of what was promised, with each seed's figure."""
    if not ours:
        return []
    lines = ["| what | target | each seed | met |", "|---|---|---|---|"]
    lines.append(_target("false alarms", ours, lambda some: mean(each.false_alarms for each in some), 0.03))
    lines.append(_target("the same, elsewhere", ours, lambda some: mean(each.false_elsewhere for each in some), 0.03))
    lines.append(_target("runs with false alarms", ours, lambda some: sum(each.false_alarms > 0 for each in some), 2))
    lines.append(_target("runs never found", ours, lambda some: sum(each.delay is None for each in some), 0))
    lines.append(_target("minutes to the alarm, median", ours, lambda some: median(_known(some)), 2))
    lines.append(_target("minutes to the alarm, mean", ours, lambda some: mean(_known(some)), 4))
    lines.append(
        _target("peak outside of the box", ours, lambda some: 1 - mean(each.peak_in_box for each in some), 0.12)
    )
    met = "yes" if speed >= 10 else "no"
    return [*lines, f"| frames a second on one core, 640x480 | at least 10 | **{speed:.0f}** | {met} |"]


def _known(figures: list[Figures]) -> list[float]:
    return [each.delay for each in figures if each.delay is not None]


def _target(what: str, ours: list[list[Figures]], of: Callable[[list[Figures]], float], most: float) -> str:
    values = [float(of(figures)) for figures in ours]
    met = ", ".join("yes" if value <= most + 5e-4 else "no" for value in values)
    return f"| {what} | at most {most:g} | {', '.join(f'{value:.3g}' for value in values)} | {met} |"


if __name__ == "__main__":
    main()
