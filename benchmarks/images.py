"""``make bench-images``: strange pictures, found without pretrained weights by refold and by usual methods.

Magnetic tiles: of each seed 300 normal tiles train, the other normal ones and all tiles with blowholes and cracks
test; besides them, of every normal test tile one with a synthetic wide unevenness of the light and one with a torn
edge. MNIST: one class is normal, at most 6,000 of its training pictures train, all test pictures test. Every method
has one fixed configuration, labels and masks serve the figures alone. Prints the tables and writes their part of
``benchmarks/RESULTS.md``; ``--seeds``, ``--classes`` and ``--without-peers`` run a part and write nothing.

A score of a patch method is the mean of the strangest 0.1 % of its map, as in refold. False alarms are the share of
normal test tiles with a p-value of at most what was promised; the rate that 300 scores can promise has noise itself,
and so it is compared with the middle 99 % of a beta-binomial distribution.
"""

import argparse
import io
import os
import time
import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager, redirect_stderr, redirect_stdout
from dataclasses import dataclass, field
from pathlib import Path
from statistics import mean
from typing import Any

os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")

import numpy as np
import torch
from PIL import Image
from results import write_section
from scipy import ndimage
from sklearn.metrics import roc_auc_score
from torch import nn

from refold import Detector
from refold.data import find_digits
from refold.scores import binomial_limits

SEEDS = (0, 1, 2)
TRAINING = 300
MOST_DIGITS = 6_000
DEFECTS, SYNTHETIC = ("blowhole", "crack"), ("uneven light", "torn edge")
PROMISES = (0.01, 0.05, 0.10)
IMAGE_TARGET, PIXEL_TARGET, MNIST_TARGET = 92.0, 96.0, 97.0
OURS = "**refold**"
EVERY = 9  # of the pixels are counted in the pixel AUROC
STRANGEST = 0.001
THREADS = torch.get_num_threads()

Array = np.ndarray[Any, Any]


@dataclass(frozen=True)
class Tiles:
    """Grey tiles split by one seed, and where their defects are."""

    seed: int
    train: list[Array]
    test: dict[str, list[Array]]
    masks: dict[str, list[Array]]


@dataclass
class Figures:
    """What one method reached with one seed: areas in percent by kind, times."""

    image: dict[str, float]
    pixel: dict[str, float]
    seconds: float
    milliseconds: float
    alarms: dict[float, float] = field(default_factory=dict)


def main() -> None:
    """Run the tables."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seeds", type=int, nargs="*", default=SEEDS)
    parser.add_argument("--classes", type=int, nargs="*", default=tuple(range(10)))
    parser.add_argument("--without-peers", action="store_true")
    options = parser.parse_args()
    start = time.perf_counter()
    makers = {} if options.without_peers else peers()
    lines = []
    if options.seeds:
        lines += _tile_lines([_tile_run(seed, makers) for seed in options.seeds])
    if options.classes:
        lines += ["", *_digit_lines([_digit_run(digit, not options.without_peers) for digit in options.classes])]
    lines += ["", f"Measured in {(time.perf_counter() - start) / 60:.1f} minutes."]
    print("", *lines, sep="\n")
    if tuple(options.seeds) == SEEDS and len(options.classes) == 10 and makers:
        write_section("images", "Pictures: strange tiles and digits", "make bench-images", lines)


# --- tiles ---------------------------------------------------------------------------------------------------------


def load_tiles(kind: str) -> tuple[list[Array], list[Array]]:
    """Return the tiles of a kind and their masks, from ``$REFOLD_DATA`` or ``../shared/data``."""
    named = os.environ.get("REFOLD_DATA")
    for folder in [*([Path(named)] if named else []), Path("..") / "shared" / "data"]:
        files = sorted((folder / "tiles" / f"MT_{kind.capitalize()}" / "Imgs").glob("*.jpg"))
        if files:
            tiles = [np.asarray(Image.open(file).convert("L")) for file in files]
            return tiles, [_mask(file.with_suffix(".png"), tile) for file, tile in zip(files, tiles, strict=True)]
    raise SystemExit("tiles were not found: put tiles/MT_Free etc. into $REFOLD_DATA or ../shared/data")


def _mask(file: Path, tile: Array) -> Array:
    if not file.exists():
        return np.zeros(tile.shape, bool)
    return np.asarray(Image.open(file).convert("L").resize(tile.shape[::-1], Image.Resampling.NEAREST)) > 127


def split_tiles(seed: int) -> Tiles:
    """Return the tiles of one seed."""
    free, _ = load_tiles("free")
    order = np.random.RandomState(seed).permutation(len(free))
    good = [free[place] for place in order[TRAINING:]]
    random = np.random.RandomState(100 + seed)
    made = [(uneven_light(tile, random), torn_edge(tile, random)) for tile in good]
    test = {"good": good, "uneven light": [a for a, _ in made], "torn edge": [b for _, b in made]}
    masks = {"good": [np.zeros(tile.shape, bool) for tile in good]}
    for kind in DEFECTS:
        test[kind], masks[kind] = load_tiles(kind)
    return Tiles(seed, [free[place] for place in order[:TRAINING]], test, masks)


def uneven_light(tile: Array, random: np.random.RandomState) -> Array:
    """Return the tile with a wide region 26 to 45 % darker, or as much brighter."""
    height, width = tile.shape
    row, column = random.rand() * height, random.rand() * width
    tall, wide = height * random.uniform(0.12, 0.25), width * random.uniform(0.12, 0.25)
    rows, columns = np.ogrid[:height, :width]
    region = np.exp(-0.5 * (((rows - row) / tall) ** 2 + ((columns - column) / wide) ** 2))
    light = np.exp(random.choice([-1, 1]) * random.uniform(0.3, 0.6) * region)
    return np.clip(np.rint(tile * light), 0, 255).astype(np.uint8)


def torn_edge(tile: Array, random: np.random.RandomState) -> Array:
    """Return the tile with a dark, ragged bite into one of its sides."""
    turns = random.randint(4)
    turned = np.rot90(tile, turns).astype(np.float64)
    length = turned.shape[1]
    coarse, fine = (ndimage.gaussian_filter1d(random.randn(length), width) for width in (6, 2))
    ragged = 8 + 5 * coarse / coarse.std() + 2 * fine / fine.std()
    away = (np.arange(length) - random.rand() * length) / (length * random.uniform(0.1, 0.25))
    bite = np.arange(turned.shape[0])[:, None] < np.clip(ragged * np.exp(-(away**4)), 0, None)
    grain = ndimage.gaussian_filter(random.randn(*turned.shape), 1.5)
    dark = tile.mean() * (random.uniform(0.25, 0.6) + 0.1 * grain / grain.std())
    soft = ndimage.gaussian_filter(bite.astype(np.float64), 0.7)
    torn = np.clip(np.rint(turned * (1 - soft) + dark * soft), 0, 255).astype(np.uint8)
    return np.ascontiguousarray(np.rot90(torn, -turns))


def _tile_run(seed: int, makers: dict[str, Callable[[int], Any]]) -> dict[str, Figures]:
    tiles = split_tiles(seed)
    run = {OURS: _ours(tiles)}
    for name, make in makers.items():
        run[name] = _peer(make(seed), tiles)
    for name, figures in run.items():
        image = ", ".join(f"{kind} {area:.1f}" for kind, area in figures.image.items())
        pixel = ", ".join(f"{kind} {area:.1f}" for kind, area in figures.pixel.items())
        alarms = ", ".join(f"{share:.1%} at {promise:.0%}" for promise, share in figures.alarms.items())
        times = f"fit {figures.seconds:.0f} s, {figures.milliseconds:.0f} ms a picture"
        print(f"{seed} {name}: image {image}; pixel {pixel or '-'}; {times}; alarms {alarms or '-'}", flush=True)
    return run


def _ours(tiles: Tiles) -> Figures:
    torch.set_num_threads(THREADS)
    start = time.perf_counter()
    detector = Detector(random_state=tiles.seed).fit(tiles.train)
    seconds = time.perf_counter() - start
    start = time.perf_counter()
    scores = {kind: detector.anomaly_score(pictures) for kind, pictures in tiles.test.items()}
    milliseconds = 1000 * (time.perf_counter() - start) / sum(map(len, scores.values()))
    heats = {kind: list(detector.heat_maps(tiles.test[kind])) for kind in ("good", *DEFECTS)}
    unusual = detector.p_value_of(scores["good"])
    alarms = {promise: float(np.mean(unusual <= promise)) for promise in PROMISES}
    return Figures(_image_areas(scores), _pixel_areas(heats, tiles), seconds, milliseconds, alarms)


def _peer(peer: Any, tiles: Tiles) -> Figures:
    torch.manual_seed(tiles.seed)
    np.random.seed(tiles.seed)
    with _silence():
        start = time.perf_counter()
        peer.fit(tiles.train)
        seconds = time.perf_counter() - start
        start = time.perf_counter()
        if not hasattr(peer, "heat"):
            scores = {kind: peer.scores(pictures) for kind, pictures in tiles.test.items()}
            milliseconds = 1000 * (time.perf_counter() - start) / sum(map(len, scores.values()))
            return Figures(_image_areas(scores), {}, seconds, milliseconds)
        heats = {kind: [peer.heat(picture) for picture in pictures] for kind, pictures in tiles.test.items()}
        milliseconds = 1000 * (time.perf_counter() - start) / sum(map(len, heats.values()))
    scores = {kind: np.array([_strangest(heat) for heat in some]) for kind, some in heats.items()}
    return Figures(_image_areas(scores), _pixel_areas(heats, tiles), seconds, milliseconds)


def _image_areas(scores: dict[str, Array]) -> dict[str, float]:
    return {kind: _area(scores["good"], scores[kind]) for kind in (*DEFECTS, *SYNTHETIC)}


def _pixel_areas(heats: dict[str, list[Array]], tiles: Tiles) -> dict[str, float]:
    areas = {}
    for kind in DEFECTS:
        values = np.concatenate([heat.ravel()[::EVERY] for heat in [*heats["good"], *heats[kind]]])
        truth = np.concatenate([mask.ravel()[::EVERY] for mask in [*tiles.masks["good"], *tiles.masks[kind]]])
        areas[kind] = 100 * float(roc_auc_score(truth, values))
    return areas


def _area(normal: Array, strange: Array) -> float:
    truth = np.repeat([0, 1], [len(normal), len(strange)])
    return 100 * float(roc_auc_score(truth, np.concatenate([normal, strange])))


def _strangest(heat: Array) -> float:
    count = max(1, round(STRANGEST * heat.size))
    return float(np.partition(heat.ravel(), heat.size - count)[-count:].mean())


# --- peers ---------------------------------------------------------------------------------------------------------


class Patches:
    """How far patches of 8 x 8 quarter-sized pixels lie from a plane (PCA) or in a Gaussian."""

    def __init__(self, components: int | None) -> None:
        self.components = components

    def fit(self, pictures: list[Array]) -> None:
        """Learn mean and directions of all patches."""
        patches = np.concatenate([self._patches(picture)[0] for picture in pictures])
        self.mean = patches.mean(0)
        variances, directions = np.linalg.eigh(np.cov(patches.T))
        if self.components is None:
            self.to_error = directions / np.sqrt(variances + 1e-3 * variances.mean())
        else:
            self.to_error = directions[:, : -self.components]

    def heat(self, picture: Array) -> Array:
        """Return the squared distance of the patch around each pixel."""
        patches, shape = self._patches(picture)
        far = np.square((patches - self.mean) @ self.to_error).sum(1).reshape(shape)
        return _resized(far, picture.shape)

    def _patches(self, picture: Array) -> tuple[Array, tuple[int, int]]:
        small = _resized(picture, (picture.shape[0] // 4, picture.shape[1] // 4))
        padded = np.pad(small, ((4, 3), (4, 3)), mode="reflect")
        return np.lib.stride_tricks.sliding_window_view(padded, (8, 8)).reshape(-1, 64), small.shape


class PlainConvolutional:
    """A convolutional autoencoder taught by squared error on crops of 64 x 64 half-sized pixels."""

    def __init__(self, seed: int, steps: int = 500) -> None:
        torch.manual_seed(seed)
        self.random, self.steps = np.random.default_rng(seed), steps
        down = [
            nn.Conv2d(1, 16, 3, 2, 1),
            nn.ReLU(),
            nn.Conv2d(16, 32, 3, 2, 1),
            nn.ReLU(),
            nn.Conv2d(32, 8, 3, 2, 1),
        ]
        up = [nn.ConvTranspose2d(8, 32, 4, 2, 1), nn.ReLU(), nn.ConvTranspose2d(32, 16, 4, 2, 1), nn.ReLU()]
        self.net = nn.Sequential(*down, *up, nn.ConvTranspose2d(16, 1, 4, 2, 1))

    def fit(self, pictures: list[Array]) -> None:
        """Train by Adam."""
        halves = [self._half(picture) for picture in pictures]
        optimizer = torch.optim.Adam(self.net.parameters(), 2e-3)
        for _ in range(self.steps):
            crops = torch.from_numpy(np.stack([self._crop(halves) for _ in range(16)]))[:, None]
            optimizer.zero_grad()
            nn.functional.mse_loss(self.net(crops), crops).backward()
            optimizer.step()

    def heat(self, picture: Array) -> Array:
        """Return the blurred squared error of each pixel."""
        half = self._half(picture)
        height, width = half.shape
        padded = torch.from_numpy(np.pad(half, ((0, -height % 8), (0, -width % 8)), mode="edge"))[None, None]
        with torch.no_grad():
            error = (self.net(padded) - padded).square()[0, 0, :height, :width].numpy()
        return _resized(ndimage.gaussian_filter(error, 2.0), picture.shape)

    def _half(self, picture: Array) -> Array:
        return _resized(picture, (picture.shape[0] // 2, picture.shape[1] // 2)) / np.float32(255)

    def _crop(self, halves: list[Array]) -> Array:
        half = halves[self.random.integers(len(halves))]
        half = np.pad(half, [(0, max(0, 64 - side)) for side in half.shape], mode="symmetric")
        top, left = (int(self.random.integers(side - 63)) for side in half.shape)
        return half[top : top + 64, left : left + 64]


class Thumbnails:
    """A detector of rows on pictures of 32 x 32 pixels."""

    def __init__(self, detector: Any) -> None:
        self.detector = detector

    def fit(self, pictures: list[Array]) -> None:
        """Fit the detector."""
        self.detector.fit(self._rows(pictures))

    def scores(self, pictures: list[Array]) -> Array:
        """Return a score for each picture."""
        return np.asarray(self.detector.decision_function(self._rows(pictures)), np.float64).ravel()

    def _rows(self, pictures: list[Array]) -> Array:
        return np.stack([_resized(picture, (32, 32)).ravel() / 255 for picture in pictures])


def peers() -> dict[str, Callable[[int], Any]]:
    """Return what makes each peer from a seed."""
    from pyod.models.auto_encoder import AutoEncoder
    from pyod.models.knn import KNN

    return {
        "PCA of patches": lambda seed: Patches(16),
        "Gaussian of patches": lambda seed: Patches(None),
        "conv autoencoder, squared error": PlainConvolutional,
        "PyOD KNN, thumbnails": lambda seed: Thumbnails(KNN()),
        "PyOD AutoEncoder, thumbnails": lambda seed: Thumbnails(AutoEncoder(random_state=seed, verbose=0)),
    }


def _resized(picture: Array, shape: tuple[int, ...]) -> Array:
    image = Image.fromarray(np.asarray(picture, np.float32))
    smaller = shape[0] < picture.shape[0]
    return np.asarray(image.resize(shape[::-1], Image.Resampling.BOX if smaller else Image.Resampling.BILINEAR))


@contextmanager
def _silence() -> Iterator[None]:
    with redirect_stdout(io.StringIO()), redirect_stderr(io.StringIO()), warnings.catch_warnings():
        warnings.simplefilter("ignore")
        yield


# --- digits --------------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class DigitRun:
    """One class of MNIST against the others: areas in percent."""

    digit: int
    ours: float
    plain: float | None
    seconds: float
    alarms: dict[float, float]


def _digit_run(digit: int, with_peer: bool) -> DigitRun:
    digits = find_digits()
    if digits.name != "MNIST":
        raise SystemExit("MNIST was not found: put mnist.npz into $REFOLD_DATA or ../shared/data")
    normal = digits.train[digits.train_labels == digit][:MOST_DIGITS]
    strange = digits.test_labels != digit
    start = time.perf_counter()
    detector = Detector(random_state=0).fit(normal)
    seconds = time.perf_counter() - start
    scores = detector.anomaly_score(digits.test)
    unusual = detector.p_value_of(scores[~strange])
    alarms = {promise: float(np.mean(unusual <= promise)) for promise in PROMISES}
    plain = _area(*_parted(_plain_errors(normal, digits.test), strange)) if with_peer else None
    run = DigitRun(digit, _area(*_parted(scores, strange)), plain, seconds, alarms)
    print(run, flush=True)
    return run


def _parted(scores: Array, strange: Array) -> tuple[Array, Array]:
    return scores[~strange], scores[strange]


def _plain_errors(normal: Array, test: Array, steps: int = 1500) -> Array:
    """Return the squared errors of a plain dense autoencoder with 32 numbers in the middle."""
    torch.manual_seed(0)
    flat = torch.from_numpy(normal.reshape(len(normal), -1).astype(np.float32) / 255)
    net = nn.Sequential(
        nn.Linear(784, 256), nn.ReLU(), nn.Linear(256, 32), nn.Linear(32, 256), nn.ReLU(), nn.Linear(256, 784)
    )
    optimizer = torch.optim.Adam(net.parameters(), 1e-3)
    for _ in range(steps):
        batch = flat[torch.randint(len(flat), (128,))]
        optimizer.zero_grad()
        nn.functional.mse_loss(net(batch), batch).backward()
        optimizer.step()
    seen = torch.from_numpy(test.reshape(len(test), -1).astype(np.float32) / 255)
    with torch.no_grad():
        return (net(seen) - seen).square().mean(1).numpy()


# --- what is told --------------------------------------------------------------------------------------------------


def _tile_lines(runs: list[dict[str, Figures]]) -> list[str]:
    kinds = [*DEFECTS, *SYNTHETIC]
    head = ["method", "image, mean of the defects", *kinds, *(f"pixel, {kind}" for kind in DEFECTS), "s of fit", "ms"]
    lines = [
        f"Magnetic tiles, {TRAINING} normal ones train, means over {len(runs)} seeds, AUROC in percent:",
        "",
        f"| {' | '.join(head)} |",
        f"|{'---|' * len(head)}",
    ]
    for name in runs[0]:
        some = [run[name] for run in runs]
        cells = [f"{_image(some):.1f}", *(f"{mean(one.image[kind] for one in some):.1f}" for kind in kinds)]
        cells += [f"{mean(one.pixel[kind] for one in some):.1f}" if some[0].pixel else "-" for kind in DEFECTS]
        cells += [f"{mean(one.seconds for one in some):.0f}", f"{mean(one.milliseconds for one in some):.0f}"]
        lines.append(f"| {name} | {' | '.join(cells)} |")
    ours = [run[OURS] for run in runs]
    pixel = mean(one.pixel[kind] for one in ours for kind in DEFECTS)
    lines += ["", "| what | target | ours | met |", "|---|---|---|---|"]
    lines.append(_target("image AUROC, mean of the defects", IMAGE_TARGET, _image(ours)))
    lines.append(_target("pixel AUROC, mean of the defects", PIXEL_TARGET, pixel))
    return lines + [_alarm_line(ours, promise) for promise in PROMISES]


def _image(some: list[Figures]) -> float:
    return mean(one.image[kind] for one in some for kind in DEFECTS)


def _alarm_line(ours: list[Figures], promise: float) -> str:
    good = len(load_tiles("free")[0]) - TRAINING
    low, high = binomial_limits(good, promise, TRAINING)
    rates = [one.alarms[promise] for one in ours]
    met = "yes" if all(low <= rate <= high for rate in rates) else "no"
    each = ", ".join(f"{rate:.1%}" for rate in rates)
    what = f"false alarms at {promise:.0%} on {good} normal tiles"
    return f"| {what} | each seed in {low:.1%} to {high:.1%} | **{mean(rates):.1%}** ({each}) | {met} |"


def _target(what: str, target: float, reached: float) -> str:
    met = "yes" if reached >= target else f"no, {reached - target:+.2f}"
    return f"| {what} | {target:.1f} | **{reached:.2f}** | {met} |"


def _digit_lines(runs: list[DigitRun]) -> list[str]:
    lines = [
        "MNIST, one class against the others, seed 0, AUROC in percent:",
        "",
        f"| class | plain autoencoder | ours | s of fit | {' | '.join(f'at {rate:.0%}' for rate in PROMISES)} |",
        f"|{'---|' * (4 + len(PROMISES))}",
    ]
    for run in [*runs, None]:
        some = runs if run is None else [run]
        plain = "-" if some[0].plain is None else f"{mean(one.plain or 0 for one in some):.2f}"
        cells = ["mean" if run is None else str(run.digit), plain, f"**{mean(one.ours for one in some):.2f}**"]
        cells += [f"{mean(one.seconds for one in some):.0f}"]
        cells += [f"{mean(one.alarms[promise] for one in some):.1%}" for promise in PROMISES]
        lines.append(f"| {' | '.join(cells)} |")
    reached = mean(run.ours for run in runs)
    target = _target("mean AUROC over the classes", MNIST_TARGET, reached)
    return [*lines, "", "| what | target | ours | met |", "|---|---|---|---|", target]


if __name__ == "__main__":
    main()
