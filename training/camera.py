"""Train the network for fixed cameras that ships with refold: ``python training/camera.py --runs FOLDER -o FILE``.

The network never sees real smoke. It learns from normal frames of cameras, into which plumes of smoke are rendered,
and from the same frames with what else happens in front of a camera and is no smoke: shadows of clouds, clouds,
vehicles and birds, glare, haze, exposure. It is asked where smoke was added since the reference, and by how much that
changed the logarithm of brightness.

FOLDER holds ``runs.csv`` with the columns ``run`` and ``visible_smoke_from_frame``, and one folder of frames for each
run; only frames before that one are used. The weights that ship with the package have seen all runs; ``--leave-out``
names runs, by the beginnings of their names, that are to stay unseen, so that one can be judged by the other.
"""

import argparse
import csv
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from rich.progress import track
from safetensors.torch import save_file
from scipy import ndimage
from torch import Tensor, nn
from torch.nn import functional

from refold.data import open_camera
from refold.nets import CameraNet
from refold.scores import (
    CameraSpec,
    blurred,
    camera_views,
    grid_of,
    log_grey,
)

Array = NDArray[np.float32]

EXAMPLES = 280  # of each run
STEPS, BATCH, RATE, DECAY = 900, 12, 5e-3, 1e-3
CROP = 96, 112
AVERAGED = 0.995  # of the running mean of weights that is kept at a step
STAMP_ROWS = 4  # of the grid, at the top, in which the runs have their time burnt in
LEARNED_SHARE = 0.6  # of a run's normal frames, by which its spread is known
DOUBTFUL = 3  # frames before the smoke is visible that are left out
SEEN = 3  # frames that the network sees, the newest first


# --- scenes ---------------------------------------------------------------------------------------------------------


@dataclass(frozen=True, eq=False)
class Scene:
    """Normal frames of one camera.

    Parameters
    ----------
    grids : ndarray of shape (n, h, w), float32
    spread : ndarray of shape (h, w), float32
        Usual change at each place.
    horizon : float
        Row.
    """

    grids: Array
    spread: Array
    horizon: float


def read_scenes(folder: Path, left_out: Sequence[str]) -> list[Scene]:
    """Return the scenes of the runs in a folder whose names do not begin with one of those left out."""
    with open(folder / "runs.csv", newline="") as file:
        rows = [row for row in csv.DictReader(file) if not row["run"].startswith(tuple(left_out))]
    if not rows:
        raise SystemExit(f"no run in {folder} is left to learn from")
    return [_scene(folder / row["run"], int(row["visible_smoke_from_frame"])) for row in rows]


def _scene(folder: Path, visible: int) -> Scene:
    pictures = [frame.picture for frame in open_camera(str(folder)).frames(follow=False)]
    grids = np.stack([grid_of(picture) for picture in pictures[:visible] if picture is not None])
    scorer = CameraSpec(*grids.shape[1:]).build()
    scorer.learn(grids[: round(LEARNED_SHARE * visible)], _stamp(grids.shape[1:]))
    filled = np.stack([scorer.filled(grid) for grid in grids])
    return Scene(filled[: visible - DOUBTFUL], scorer.spread.numpy(), float(scorer.horizon))


def _stamp(shape: tuple[int, ...]) -> NDArray[np.bool_]:
    hidden = np.zeros(shape, np.bool_)
    hidden[:STAMP_ROWS] = True
    return hidden


# --- examples -------------------------------------------------------------------------------------------------------


@dataclass(frozen=True, eq=False)
class Moment:
    """What a camera shows at one time.

    Parameters
    ----------
    frames : ndarray of shape (3, h, w), float32
        Grey grids, the newest first.
    reference, spread : ndarray of shape (h, w), float32
    horizon : float
    """

    frames: Array
    reference: Array
    spread: Array
    horizon: float


def draw_moment(scene: Scene, rng: np.random.Generator) -> Moment:
    """Return three successive frames of a scene and a reference of some frames before them, moved and mirrored."""
    place = int(rng.integers(8, len(scene.grids)))
    end = place - int(rng.integers(2, 6)) + 1
    start = max(0, end - int(rng.integers(4, 11)))
    if end - start < 3:
        start, end = 0, max(3, place - 2)
    frames = scene.grids[place - 2 : place + 1][::-1].copy()
    moment = Moment(frames, np.median(scene.grids[start:end], axis=0), scene.spread, scene.horizon)
    if rng.random() < 0.5:
        moment = _mirrored(moment)
    return _shifted(moment, int(rng.integers(-15, 16)))


def _mirrored(moment: Moment) -> Moment:
    flipped = {name: getattr(moment, name)[..., ::-1].copy() for name in ("frames", "reference", "spread")}
    return replace(moment, **flipped)


def _shifted(moment: Moment, rows: int) -> Moment:
    """Move a moment up by some rows: land is mirrored at the lower border, sky repeated at the upper one."""

    def moved(grid: Array) -> Array:
        if rows > 0:
            return np.concatenate([grid[rows:], grid[::-1][:rows]])
        return np.concatenate([np.repeat(grid[:1], -rows, axis=0), grid[: len(grid) + rows]])

    frames = np.stack([moved(frame) for frame in moment.frames])
    return Moment(frames, moved(moment.reference), moved(moment.spread), moment.horizon - rows)


def disturbed(moment: Moment, rng: np.random.Generator) -> Moment:
    """Return a moment in which something happens that is no smoke."""
    frames, horizon = moment.frames.copy(), moment.horizon
    chances = ((0.35, _shadows), (0.35, _clouds), (0.35, _objects), (0.2, _glare), (0.15, _haze), (0.3, _exposure))
    for chance, happen in (*chances, (0.5, _shaking)):
        if rng.random() < chance:
            happen(rng, frames, horizon)
    spread = moment.spread * np.float32(np.exp(rng.normal(0, 0.2)))
    return replace(moment, frames=frames.clip(0, 255), spread=spread)


def with_smoke(moment: Moment, rng: np.random.Generator) -> Moment:
    """Return a moment with one or two plumes that grow, sometimes begun already in the reference."""
    frames, reference = moment.frames.copy(), moment.reference.copy()
    first = rng.uniform(0.5, 1.1) * (rng.random() > 0.2)
    second = first * rng.uniform(0.4, 1.1) * (rng.random() > 0.2)
    for _ in range(1 if rng.random() < 0.8 else 2):
        plume = draw_plume(rng, reference.shape, moment.horizon)
        grey = rng.uniform(30, 245) + 12 * _clots(rng, 4, reference.shape)
        for frame, growth in zip(frames, (1.0, first, second), strict=True):
            _veil(frame, plume.opacity(rng, reference.shape, growth), grey)
        if rng.random() < 0.35:
            _veil(reference, plume.opacity(rng, reference.shape, rng.uniform(0.3, 0.95)), grey)
    return replace(moment, frames=frames, reference=reference)


def _veil(frame: Array, opacity: Array, grey: Array | float) -> None:
    frame += opacity * (grey - frame)


# --- smoke ----------------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Plume:
    """Smoke that rises from a place.

    Parameters
    ----------
    column, row : float
        Where it rises from.
    height, width : float
        Cells, when it is grown.
    opening, leaning, fading : float
        How much wider, how far aside and how much thinner it gets upwards, in parts of its width, height and density.
    density : float
        Highest opacity.
    """

    column: float
    row: float
    height: float
    width: float
    opening: float
    leaning: float
    fading: float
    density: float

    def opacity(self, rng: np.random.Generator, shape: tuple[int, ...], growth: float) -> Array:
        """Return how opaque each place is, (h, w) in 0 to 0.97: puffs of smoke along a bent line, clotted."""
        if growth <= 0:
            return np.zeros(shape, np.float32)
        puffs, thickness = 10, np.zeros(shape, np.float32)
        for number in range(puffs):
            self._add_puff(thickness, rng, (number + rng.uniform(-0.3, 0.3) + 0.5) / puffs, growth)
        clots = 1 + 0.35 * _clots(rng, 3, shape) + 0.35 * _clots(rng, 6, shape)
        veil = self.density * min(1, growth**0.5) * (1 - np.exp(-1.2 * thickness)) * np.clip(clots, 0.1, 1.8)
        return veil.clip(0, 0.97).astype(np.float32)

    def _add_puff(self, thickness: Array, rng: np.random.Generator, up: float, growth: float) -> None:
        """Add a round cloud at a share `up` of the plume's height."""
        radius = max(0.8, self.width * growth * (0.25 + up * self.opening))
        column = self.column + self.leaning * self.height * growth * up**1.3 + rng.normal(0, 0.25 * radius)
        row = self.row - self.height * growth * up + rng.normal(0, 0.2 * radius)
        rows = _around(row, radius, thickness.shape[0])
        columns = _around(column, radius, thickness.shape[1])
        apart = (np.arange(*rows) - row)[:, None] ** 2 + (np.arange(*columns) - column)[None] ** 2
        puff = (1 - self.fading * up) * np.exp(-apart / (2 * radius**2))
        thickness[slice(*rows), slice(*columns)] += puff


def draw_plume(rng: np.random.Generator, shape: tuple[int, ...], horizon: float) -> Plume:
    """Return a plume of any size from 2.5 to 40 cells; most rise near the horizon, some anywhere below it."""
    size = float(np.exp(rng.uniform(np.log(2.5), np.log(40))))
    row = horizon + (rng.uniform(-5, 30) if rng.random() < 0.85 else rng.uniform(0, 55))
    return Plume(
        column=rng.uniform(3, shape[1] - 3),
        row=min(row, shape[0] - 4),
        height=size,
        width=size * rng.uniform(0.12, 0.5),
        opening=rng.uniform(0.2, 1),
        leaning=rng.normal(0, 0.8),
        fading=rng.uniform(0.1, 0.8),
        density=float(np.exp(rng.uniform(np.log(0.08), np.log(0.9)))),
    )


def _around(middle: float, radius: float, size: int) -> tuple[int, int]:
    """Return first and end of the cells within three radii, inside the grid and never reversed."""
    first = int(np.clip(middle - 3 * radius, 0, size))
    return first, max(first, int(np.clip(middle + 3 * radius + 2, 0, size)))


def _clots(rng: np.random.Generator, size: float, shape: tuple[int, ...]) -> Array:
    """Return smooth noise (h, w) of deviation about one half to one, whose clots have a size."""
    coarse = rng.standard_normal([int(side / size) + 3 for side in shape]).astype(np.float32)
    noise = ndimage.zoom(coarse, size, order=1)
    top, left = (int(rng.integers(0, max(1, have - need))) for have, need in zip(noise.shape, shape, strict=True))
    return noise[top : top + shape[0], left : left + shape[1]]


# --- what is no smoke -----------------------------------------------------------------------------------------------


def _shadows(rng: np.random.Generator, frames: Array, horizon: float) -> None:
    """Shadows of clouds, and gaps between them, move over the land."""
    shape, size = frames.shape[1:], rng.choice([4, 8, 14, 24])
    clots = _clots(rng, size, shape) + 0.5 * _clots(rng, max(2, size / 2), shape)
    patches = _logistic((clots - rng.uniform(0.2, 1.5)) / rng.uniform(0.1, 0.6))
    strength, speed = rng.uniform(-0.5, 0.35), _wind(rng, 0.6)
    land = np.ones(shape) if rng.random() < 0.25 else _logistic((_rows(shape) - horizon) / 2)
    for age, frame in enumerate(frames):
        frame *= np.exp(strength * _moved(patches, speed, age, "nearest") * land)


def _clouds(rng: np.random.Generator, frames: Array, horizon: float) -> None:
    """A bank of clouds moves through the sky."""
    shape, size = frames.shape[1:], rng.choice([3, 6, 12])
    clots = _clots(rng, size, shape) + 0.6 * _clots(rng, max(2, size / 2), shape)
    flat = ndimage.zoom(clots, (1 / 3, 1), order=1)  # clouds are wide
    flat = flat[: int(rng.integers(3, max(4, len(flat))))]
    top = int(np.clip(rng.uniform(0, max(1, horizon - 4)), 0, shape[0] - 1))
    rows = min(len(flat), shape[0] - top)
    bank = np.zeros(shape, np.float32)
    bank[top : top + rows] = _logistic((flat - rng.uniform(0.2, 1.5)) / 0.3)[:rows]
    bank[top : top + rows] *= np.hanning(len(flat) + 2)[1:-1][:rows, None]
    bank *= _logistic(horizon - 2 - _rows(shape))
    grey, opacity, speed = rng.uniform(180, 255), rng.uniform(0.1, 0.8), _wind(rng, 0.3)
    for age, frame in enumerate(frames):
        _veil(frame, opacity * _moved(bank, speed, age, "constant"), grey)


def _objects(rng: np.random.Generator, frames: Array, horizon: float) -> None:
    """Birds and vehicles come, pass or stay: sharp, small, of one grey."""
    height, width = frames.shape[1:]
    for _ in range(rng.integers(1, 4)):
        across, down, grey = rng.integers(1, 7), rng.integers(1, 5), rng.uniform(10, 250)
        kind = rng.choice(["appears", "passes", "stays"])
        if kind != "stays" and rng.random() < 0.3:
            row = rng.uniform(STAMP_ROWS, height - 6)
        else:
            row = rng.uniform(horizon + (20 if kind == "stays" else 10), height - 6)
        top, left = int(min(height - 7, row)), int(rng.uniform(0, width - 8))
        for age, frame in enumerate(frames[:1] if kind == "appears" else frames):
            start = int(np.clip(left + age * rng.integers(-12, 12), 0, width - 8)) if kind == "passes" else left
            frame[top : top + down, start : start + across] *= 0.3
            frame[top : top + down, start : start + across] += 0.7 * grey


def _glare(rng: np.random.Generator, frames: Array, horizon: float) -> None:
    """Light around the sun comes or goes."""
    height, width = frames.shape[1:]
    column, row, radius = rng.uniform(0, width), rng.uniform(-10, max(horizon, 0)), rng.uniform(8, 50)
    strength = rng.normal(0, 25)
    for age, frame in enumerate(frames):
        apart = (np.arange(width)[None] - column - 0.3 * age) ** 2 + (np.arange(height)[:, None] - row) ** 2
        frame += strength * (1 - 0.25 * age) * np.exp(-apart / (2 * radius**2))


def _haze(rng: np.random.Generator, frames: Array, horizon: float) -> None:
    """The air along the horizon gets whiter."""
    shape = frames.shape[1:]
    layer = np.exp(-(((_rows(shape) - horizon - rng.uniform(-5, 15)) / rng.uniform(4, 40)) ** 2))
    opacity = rng.uniform(0.02, 0.3) * layer * np.clip(1 + 0.2 * _clots(rng, 30, shape), 0.5, 1.5)
    grey = rng.uniform(150, 240)
    for age, frame in enumerate(frames):
        _veil(frame, opacity * (1 - 0.1 * age), grey)


def _exposure(rng: np.random.Generator, frames: Array, horizon: float) -> None:
    """The camera exposes all three frames differently from the reference."""
    gain, gamma = np.exp(rng.normal(0, 0.1)), np.exp(rng.normal(0, 0.06))
    frames[:] = 255 * (np.clip(frames, 0, 400) / 255) ** gamma * gain


def _shaking(rng: np.random.Generator, frames: Array, horizon: float) -> None:
    """The camera moves by parts of a cell."""
    for frame in frames:
        frame[:] = ndimage.shift(frame, rng.normal(0, 0.12, 2), order=1, mode="nearest")


def _moved(map_: Array, speed: Array, age: int, mode: str) -> Array:
    return ndimage.shift(map_, speed * age, order=1, mode=mode)


def _wind(rng: np.random.Generator, upwards: float) -> Array:
    """Return rows and columns a frame."""
    return np.array([rng.normal(0, upwards), rng.normal(0, 2.5)])


def _rows(shape: tuple[int, ...]) -> Array:
    return np.arange(shape[0], dtype=np.float32)[:, None]


def _logistic(values: Array) -> Array:
    return 1 / (1 + np.exp(-np.clip(values, -30, 30)))


# --- lessons --------------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Lessons:
    """What the network is shown and asked.

    Parameters
    ----------
    views : Tensor of shape (n, 10, h, w), float16
    change : Tensor of shape (n, 1, h / 2, w / 2), float16
        Of the logarithm of brightness, by smoke alone.
    """

    views: Tensor
    change: Tensor


def make_lessons(scenes: Sequence[Scene], seed: int, examples: int) -> Lessons:
    """Return so many lessons of every scene; in three of four there is smoke."""
    with torch.no_grad():
        pairs = list(track(_lessons(scenes, seed, examples), "rendering", total=examples * len(scenes)))
    views, change = zip(*pairs, strict=True)
    return Lessons(torch.cat(views), torch.cat(change))


def _lessons(scenes: Sequence[Scene], seed: int, examples: int) -> Iterator[tuple[Tensor, Tensor]]:
    for number, scene in enumerate(scenes):
        rng = np.random.default_rng([seed, number])
        for _ in range(examples):
            before = disturbed(draw_moment(scene, rng), rng)
            after = with_smoke(before, rng) if rng.random() < 0.75 else before
            noise = rng.uniform(0, 1.5) * rng.standard_normal(before.frames.shape)
            noisy = replace(after, frames=(after.frames + noise).clip(0, 255))
            yield _lesson(noisy, before.frames[:1])


def _lesson(moment: Moment, clean: Array) -> tuple[Tensor, Tensor]:
    grids = [moment.frames, moment.reference[None], moment.spread[None], clean]
    frames, reference, spread, without = (torch.from_numpy(grid.astype(np.float32))[None] for grid in grids)
    for grid in (frames, reference):  # as in frames whose stamp is hidden
        grid[:, :, :STAMP_ROWS] = grid[:, :, STAMP_ROWS : STAMP_ROWS + 1]
    views, _ = camera_views(frames, reference, spread, torch.tensor([moment.horizon]))
    change = blurred(log_grey(frames[:, :1]) - log_grey(without), 1.2)
    return views.half(), functional.avg_pool2d(change, 2).half()


# --- training -------------------------------------------------------------------------------------------------------


def train(lessons: Lessons, seed: int, steps: int) -> dict[str, Tensor]:
    """Return the running mean of a network's weights, in training on random crops."""
    torch.manual_seed(seed)
    rng = np.random.default_rng(seed)
    net = CameraNet().to(memory_format=torch.channels_last)
    mean = {name: tensor.clone() for name, tensor in net.state_dict().items()}
    optimizer = torch.optim.AdamW(net.parameters(), RATE, weight_decay=DECAY)
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimizer, RATE, total_steps=steps, pct_start=0.1)
    places = _places(len(lessons.views), rng)
    for step in track(range(steps), "training"):
        views, change = _batch(lessons, [next(places) for _ in range(BATCH)], rng)
        optimizer.zero_grad()
        loss_of(net(views), change).backward()
        nn.utils.clip_grad_norm_(net.parameters(), 1.0)
        optimizer.step()
        schedule.step()
        for name, tensor in net.state_dict().items():
            mean[name].lerp_(tensor, 1 - min(AVERAGED, (step + 1) / (step + 10)))
    return {name: tensor.contiguous() for name, tensor in mean.items()}


def loss_of(answer: Tensor, change: Tensor) -> Tensor:
    """Return how wrong answers (B, 2, h, w) are: cross entropy where smoke is, and error of the change it makes."""
    smoke = (change.abs() / 0.014 - 0.25).clamp(0, 1)
    entropy = functional.binary_cross_entropy_with_logits(answer[:, :1], smoke, reduction="none")
    error = functional.smooth_l1_loss(answer[:, 1:], change / 0.05, beta=0.5)
    return (entropy * (1 + 2 * smoke)).mean() + 0.3 * error


def _batch(lessons: Lessons, places: list[int], rng: np.random.Generator) -> tuple[Tensor, Tensor]:
    """Return one crop of every lesson, now and then all mirrored; the answers have half the scale."""
    parts = [_part(crop // 2, side // 2, rng) for crop, side in zip(CROP, lessons.views.shape[2:], strict=True)]
    rows, columns = (slice(2 * part.start, 2 * part.stop) for part in parts)
    views = lessons.views[places, :, rows, columns].float()
    change = lessons.change[places, :, parts[0], parts[1]].float()
    if rng.random() < 0.5:
        views, change = views.flip(3), change.flip(3)
    return views.contiguous(memory_format=torch.channels_last), change


def _part(length: int, side: int, rng: np.random.Generator) -> slice:
    """Return a stretch of a side at random; all of a shorter one."""
    start = int(rng.integers(0, max(0, side - length) + 1))
    return slice(start, start + min(length, side))


def _places(count: int, rng: np.random.Generator) -> Iterator[int]:
    while True:
        yield from rng.permutation(count).tolist()


def main() -> None:
    """Train from the command line."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--runs", type=Path, required=True, metavar="FOLDER")
    parser.add_argument("--leave-out", nargs="*", default=[], metavar="RUN")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--examples", type=int, default=EXAMPLES, help="rendered of every run")
    parser.add_argument("--steps", type=int, default=STEPS)
    parser.add_argument("-o", "--output", type=Path, required=True, metavar="FILE.safetensors")
    options = parser.parse_args()
    lessons = make_lessons(read_scenes(options.runs, options.leave_out), options.seed, options.examples)
    weights = train(lessons, options.seed, options.steps)
    options.output.parent.mkdir(parents=True, exist_ok=True)
    save_file(weights, options.output)


if __name__ == "__main__":
    main()
