"""The part ``rolls`` of `manifold.py`: sheets that are rolled up in space, laid out flat."""

import time
from dataclasses import dataclass
from statistics import mean

import numpy as np
from manifold_methods import METHODS, Array, Settings
from scipy.stats import spearmanr
from sklearn.datasets import make_s_curve, make_swiss_roll
from speed_running import header, table_line

LEARNED, NEW = 3_000, 1_000
COMPARED = ("isomap", "plain", "unrolled")
SHAPES = {"Swiss roll": make_swiss_roll, "S-curve": make_s_curve}
TARGET = 0.98


@dataclass(frozen=True)
class Flat:
    """What a method reached on new points with one seed: rank correlations along and across, and what is lost."""

    along: float
    across: float
    lost: float | None
    seconds: float


def rolls(settings: Settings) -> list[str]:
    """Return the table, a line for each shape and method."""
    lines = [*header("points of", "method", "along, lowest", "across, lowest", "variance lost", "s")]
    verdicts = []
    for shape in SHAPES:
        for method in COMPARED:
            found = [_flat(shape, method, seed, settings.rows or LEARNED) for seed in settings.seeds]
            lines.append(table_line(shape, METHODS[method].title, *_cells(found)))
            print(lines[-1], flush=True)
        lowest = min(min(flat.along, flat.across) for flat in found)
        said = "met" if lowest >= TARGET else f"missed by {TARGET - lowest:.4f}"
        verdicts.append(f"- {shape}: {lowest:.4f} at least, target {TARGET} {said}")
    return [*lines, "", *verdicts, "", _about(settings)]


def _flat(shape: str, method: str, seed: int, learned: int) -> Flat:
    points, along = SHAPES[shape](learned + NEW, random_state=seed)
    points = points.astype(np.float32)
    start = time.process_time()
    fitted = METHODS[method].fit(points[:learned], 2, seed)
    seconds = time.process_time() - start
    new = points[learned:]
    codes = fitted.transform(new)
    lost = float(np.square(fitted.inverse(codes) - new).mean() / new.var(0).mean()) if fitted.inverse else None
    return Flat(*_rank_correlations(codes, along[learned:], new[:, 1]), lost, seconds)


def _rank_correlations(codes: Array, along: Array, across: Array) -> tuple[float, float]:
    """Return how the ranks of both true coordinates correlate with those of one number of the code each."""
    whole = np.abs(spearmanr(np.column_stack([codes, along, across])).statistic[:2, 2:])
    straight, crossed = (whole[0, 0], whole[1, 1]), (whole[1, 0], whole[0, 1])
    first, second = max(straight, crossed, key=sum)
    return float(first), float(second)


def _cells(found: list[Flat]) -> list[str]:
    along, across = [flat.along for flat in found], [flat.across for flat in found]
    lost = [flat.lost for flat in found if flat.lost is not None]
    return [
        *(f"{mean(values):.4f}, {min(values):.4f}" for values in (along, across)),
        f"{mean(lost):.3%}" if lost else "-",
        f"{mean(flat.seconds for flat in found):.0f}",
    ]


def _about(settings: Settings) -> str:
    return (
        f"scikit-learn's shapes without noise, {LEARNED:,} points learned, figures of {NEW:,} new ones; means over "
        f"seeds {', '.join(map(str, settings.seeds))}, and the lowest. Rank correlations (Spearman) of the two true "
        "coordinates of the sheet, each with one number of the code; variance lost on the way there and back; s are "
        "the processor's."
    )
