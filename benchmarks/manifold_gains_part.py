"""The part ``gains`` of `manifold.py`: what keeping neighbours brings and costs in data that are not MNIST."""

import os
import time
from collections.abc import Callable
from dataclasses import astuple, dataclass
from pathlib import Path

import numpy as np
from images import load_tiles
from manifold_methods import METHODS, Array, Settings
from PIL import Image
from sklearn import datasets
from speed_running import header, table_line
from tables import find_tables

from refold.metrics import map_quality, neighbour_accuracy

MOST_ROWS, EVERY = 8_000, 4  # records at most, and every which one is new
SIZE, SIDE, PATCHES = 2, 28, 20
COMPARED = ("umap", "plain", "keep")
KEPT = ("trustworthiness", "continuity", "1-NN", "10-NN")
TABLES = ("satellite", "letter", "pendigits", "optdigits", "shuttle", "magic.gamma")


@dataclass(frozen=True)
class Records:
    """Pictures or standardised rows, with labels where there are any."""

    values: Array
    labels: Array | None = None


@dataclass(frozen=True)
class Gain:
    """What a method reached on new records; the error in units of the records, pixels of 0 to 1."""

    trustworthiness: float
    continuity: float
    nearest: float
    ten_nearest: float
    error: float
    seconds: float


def gains(settings: Settings) -> list[str]:
    """Return the table, a line for each set of data and method."""
    lines = [*header(f"{SIZE} numbers", "records", "method", *KEPT, "MSE", "s")]
    found: dict[str, list[Gain]] = {name: [] for name in COMPARED}
    for name, load in _data().items():
        records = _drawn(load(), settings.rows or MOST_ROWS)
        for method in COMPARED:
            gain = _mean([_gain(records, method, seed) for seed in settings.seeds])
            found[method].append(gain)
            lines.append(table_line(name, f"{len(records.values):,}", METHODS[method].title, *_cells(gain)))
            print(lines[-1], flush=True)
    return [*lines, "", *_ahead(found["keep"], found["plain"]), "", _about(settings)]


# --- data ----------------------------------------------------------------------------------------------------------


def _data() -> dict[str, Callable[[], Records]]:
    digits, cells = datasets.load_digits(), datasets.load_breast_cancer()
    return {
        "digits of 8x8": lambda: Records((digits.images / 16).astype(np.float32), digits.target),
        f"magnetic tiles of {SIDE}x{SIDE}": _tiles,
        f"patches of photographs, {SIDE}x{SIDE}": _patches,
        "breast_cancer": lambda: Records(cells.data, cells.target),
        **{path.stem: lambda path=path: _table(path) for path in find_tables() if path.stem in TABLES},
    }


def _tiles() -> Records:
    """Return tiles made small; the label is the kind of defect."""
    tiles = [(tile, kind) for kind in ("free", "blowhole", "crack") for tile in load_tiles(kind)[0]]
    small = [Image.fromarray(tile).resize((SIDE, SIDE), Image.Resampling.BOX) for tile, _ in tiles]
    return Records(np.stack(small) / np.float32(255), np.array([kind for _, kind in tiles]))


def _patches() -> Records:
    """Return grey patches at random places of photographs."""
    named = os.environ.get("REFOLD_DATA")
    folder = (Path(named) if named else Path("..") / "shared" / "data") / "photos" / "train"
    paths = sorted(folder.glob("*.jpg"))
    if not paths:
        raise SystemExit("no pictures in photos/train of $REFOLD_DATA: put the photographs of BSDS500 there")
    rng = np.random.default_rng(0)
    patches = []
    for path in paths:
        picture = np.asarray(Image.open(path).convert("L"), np.float32) / 255
        for row, column in rng.integers(0, np.subtract(picture.shape, SIDE), (PATCHES, 2)):
            patches.append(picture[row : row + SIDE, column : column + SIDE])
    return Records(np.stack(patches))


def _table(path: Path) -> Records:
    """Return a table of ADBench; the label says what is strange."""
    with np.load(path, allow_pickle=False) as arrays:
        return Records(arrays["X"].astype(np.float64), arrays["y"])


def _drawn(records: Records, most: int) -> Records:
    """Return records in a drawn order, at most so many, columns of tables standardised."""
    order = np.random.default_rng(0).permutation(len(records.values))[:most]
    values = records.values[order]
    if values.ndim == 2:
        values = values[:, values.std(0) > 0]
        values = ((values - values.mean(0)) / values.std(0)).astype(np.float32)
    return Records(values, None if records.labels is None else records.labels[order])


# --- figures -------------------------------------------------------------------------------------------------------


def _gain(records: Records, method: str, seed: int) -> Gain:
    new = np.arange(len(records.values)) % EVERY == 0
    start = time.process_time()
    fitted = METHODS[method].fit(records.values[~new], SIZE, seed)
    seconds = time.process_time() - start
    codes = fitted.transform(records.values[new])
    quality = map_quality(records.values[new], codes, sizes=(5,), pairs=1)
    accuracy = {1: np.nan, 10: np.nan}
    if records.labels is not None:
        accuracy = neighbour_accuracy(fitted.codes, records.labels[~new], codes, records.labels[new])
    error = np.nan
    if fitted.autoencoder:
        error = float(np.square(fitted.inverse(codes) - records.values[new]).mean())
    return Gain(quality.trustworthiness, quality.continuity, accuracy[1], accuracy[10], error, seconds)


def _mean(found: list[Gain]) -> Gain:
    return Gain(*np.mean([astuple(gain) for gain in found], axis=0).tolist())


def _cells(gain: Gain) -> list[str]:
    *figures, seconds = astuple(gain)
    return [*("-" if np.isnan(figure) else f"{figure:.4f}" for figure in figures), f"{seconds:.0f}"]


def _ahead(ours: list[Gain], plain: list[Gain]) -> list[str]:
    """Return by how much the neighbour-keeping autoencoder is ahead of the plain one, and how often."""
    differences = np.array([astuple(gain) for gain in ours]) - np.array([astuple(gain) for gain in plain])
    lines = []
    for name, values in zip(KEPT, differences.T, strict=False):
        known = values[~np.isnan(values)]
        ahead = f"ahead in {(known > 0).sum()} of {len(known)}"
        lines.append(f"- {name}: {known.mean():+.4f} to the plain autoencoder, {ahead}")
    return lines


def _about(settings: Settings) -> str:
    return (
        f"At most {MOST_ROWS:,} records of each, drawn once; every fourth one is new, and all figures are of the new "
        "ones. Columns of tables are standardised, constant ones left out. Labels: digits, kinds of defects, and for "
        f"tables what is strange. Means over seeds {', '.join(map(str, settings.seeds))}; s are the "
        "processor's seconds of a fit."
    )
