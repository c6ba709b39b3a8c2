"""``make bench-series``: faults of a water circuit in SKAB 0.9, found by refold and by usual methods.

Published protocol: the first 400 rows of each file train, standardised by themselves, the others test; F1, rate of
false alarms (FAR) and rate of missed ones (MAR) over the rows of all files together, one configuration, thresholds
from the training rows alone. Besides, areas that need no threshold: AUC-PR over all files (scores relative to the
thresholds), and VUS-PR, mean over files, with the numbers of the package ``vus``. Nothing is point-adjusted. Prints
the table and writes its part of ``benchmarks/RESULTS.md``; ``--seeds`` and ``--files`` run a part and write nothing,
``--folder`` reads other files.

Peers: PCA (85 % of the variance, .999 quantile), Hotelling's T2 with Q (the same, medians of 5 rows), isolation
forest and PyOD's AutoEncoder (.99 quantile). Besides, refold's own scores with the network taken away: what is left
over is then the row itself.
"""

import argparse
import io
import os
import time
import warnings
from collections.abc import Callable
from contextlib import redirect_stderr, redirect_stdout
from dataclasses import dataclass
from pathlib import Path
from statistics import mean
from typing import Any

os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")

import numpy as np
import pandas as pd
import torch
from results import write_section
from sklearn.decomposition import PCA
from sklearn.ensemble import IsolationForest
from sklearn.metrics import average_precision_score

from refold import Detector

SEEDS = (0, 1, 2)
TRAINING_ROWS = 400
BUFFER, THRESHOLDS = 20, 250
PUBLISHED = (("Conv-AE", 0.78, 13.55, 28.02), ("MSET", 0.78, 39.73, 14.13), ("T2+Q", 0.76, 26.62, 24.92))
OURS, NO_NET = "**refold**", "refold without its network"
TARGETS = (("F1", 0.83, True), ("FAR %", 12.0, False))

Array = np.ndarray[Any, Any]
Method = Callable[[Array, Array, int], tuple[Array, float]]


@dataclass(frozen=True)
class File:
    """One run of the circuit: standardised rows, and which test rows are faults."""

    name: str
    train: Array
    test: Array
    strange: Array


@dataclass(frozen=True)
class Figures:
    """What one method reached with one seed."""

    f1: float
    false_alarms: float
    missed: float
    area: float
    volume: float
    seconds: float


def main() -> None:
    """Run the files."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--folder", type=Path, help="with folders of SKAB's CSV files")
    parser.add_argument("--seeds", type=int, nargs="+", default=SEEDS)
    parser.add_argument("--files", type=int, help="only the first so many")
    options = parser.parse_args()
    start = time.perf_counter()
    files = read_files(options.folder)[: options.files]
    found = {name: _of_seeds(name, method, files, options.seeds) for name, method in METHODS.items()}
    lines = [*_about(files), *_table(found), "", *_target_lines(found[OURS])]
    lines += ["", f"Measured in {(time.perf_counter() - start) / 60:.1f} minutes."]
    print("", *lines, sep="\n")
    if options.files is None and options.folder is None and tuple(options.seeds) == SEEDS:
        write_section("series", "Series: faults in a water circuit", "make bench-series", lines)


# --- data ----------------------------------------------------------------------------------------------------------


def read_files(folder: Path | None = None) -> list[File]:
    """Return the runs of `folder`, else those of ``$REFOLD_DATA`` or ``../shared/data``; not the free of faults."""
    named = os.environ.get("REFOLD_DATA")
    places = [Path(named) / "series" / "skab"] if named else []
    for place in [folder] if folder else [*places, Path("..") / "shared" / "data" / "series" / "skab"]:
        paths = sorted(place.glob("*/*.csv"), key=lambda path: (path.parent.name, int(_digits(path.stem))))
        files = [_read(path) for path in paths if path.parent.name != "anomaly-free"]
        if files:
            return files
    raise SystemExit("SKAB was not found: put its folders into $REFOLD_DATA/series/skab or name them with --folder")


def _digits(name: str) -> str:
    return "".join(sign for sign in name if sign.isdigit()) or "0"


def _read(path: Path) -> File:
    table = pd.read_csv(path, sep=";")
    rows = table.drop(columns=["datetime", "anomaly", "changepoint"]).to_numpy(dtype=np.float64)
    middle, spread = rows[:TRAINING_ROWS].mean(0), rows[:TRAINING_ROWS].std(0)
    rows = (rows - middle) / np.where(spread > 0, spread, 1)
    strange = table["anomaly"].to_numpy() > 0
    name = f"{path.parent.name}/{path.stem}"
    return File(name, rows[:TRAINING_ROWS], rows[TRAINING_ROWS:], strange[TRAINING_ROWS:])


# --- methods: from training and test rows and a seed to test scores and a threshold ---------------------------------


def ours(train: Array, test: Array, seed: int) -> tuple[Array, float]:
    """Return what the detector says with its defaults."""
    detector = Detector(window="auto", random_state=seed).fit(train)
    return detector.anomaly_score(test), detector.threshold_


def without_network(train: Array, test: Array, seed: int) -> tuple[Array, float]:
    """Return what the detector says if its network rebuilds nothing."""
    with BlindNetworks():
        return ours(train, test, seed)


class BlindNetworks:
    """Lets every ensemble give 0 for a while."""

    def __enter__(self) -> None:
        from refold.nets import SequenceEnsemble

        self._forward = SequenceEnsemble.forward
        SequenceEnsemble.forward = lambda net, input: 0 * self._forward(net, input)  # type: ignore[method-assign]

    def __exit__(self, *error: object) -> None:
        from refold.nets import SequenceEnsemble

        SequenceEnsemble.forward = self._forward  # type: ignore[method-assign]


def pca(train: Array, test: Array, seed: int) -> tuple[Array, float]:
    """Return squared errors of principal components."""
    model = PCA(0.85, random_state=seed).fit(train)
    errors = [((rows - model.inverse_transform(model.transform(rows))) ** 2).mean(1) for rows in (train, test)]
    return errors[1], float(np.quantile(errors[0], 0.999))


def t2_and_q(train: Array, test: Array, seed: int) -> tuple[Array, float]:
    """Return the larger of Hotelling's T2 and the squared prediction error, each relative to its threshold."""
    model = PCA(0.85, random_state=seed).fit(train)

    def statistics(rows: Array) -> list[Array]:
        codes = model.transform(rows)
        return [
            (codes**2 / model.explained_variance_).sum(1),
            ((rows - model.inverse_transform(codes)) ** 2).sum(1),
        ]

    limits = [np.quantile(values, 0.999) for values in statistics(train)]
    smooth = [pd.Series(values).rolling(5, min_periods=1).median().to_numpy() for values in statistics(test)]
    return np.maximum(*[values / limit for values, limit in zip(smooth, limits, strict=True)]), 1.0


def isolation_forest(train: Array, test: Array, seed: int) -> tuple[Array, float]:
    """Return scores of an isolation forest."""
    model = IsolationForest(random_state=seed).fit(train)
    return -model.score_samples(test), float(np.quantile(-model.score_samples(train), 0.99))


def pyod_autoencoder(train: Array, test: Array, seed: int) -> tuple[Array, float]:
    """Return scores of PyOD's autoencoder on rows, with its own threshold."""
    from pyod.models.auto_encoder import AutoEncoder

    with redirect_stdout(io.StringIO()), redirect_stderr(io.StringIO()):
        model = AutoEncoder(random_state=seed, verbose=0, contamination=0.01).fit(train)
        return model.decision_function(test), float(model.threshold_)


METHODS: dict[str, Method] = {
    "PCA": pca,
    "T2+Q": t2_and_q,
    "isolation forest": isolation_forest,
    "PyOD AutoEncoder": pyod_autoencoder,
    NO_NET: without_network,
    OURS: ours,
}


# --- figures -------------------------------------------------------------------------------------------------------


def _of_seeds(name: str, method: Method, files: list[File], seeds: list[int]) -> list[Figures]:
    found = []
    for seed in seeds:
        found.append(_measured(method, files, seed))
        print(f"{name}, seed {seed}: F1 {found[-1].f1:.3f}, FAR {found[-1].false_alarms:.1f} %", flush=True)
    return found


def _measured(method: Method, files: list[File], seed: int) -> Figures:
    relative, volumes, start = [], [], time.perf_counter()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        for file in files:
            scores, threshold = method(file.train, file.test, seed)
            relative.append(scores / max(threshold, 1e-12))
    seconds = (time.perf_counter() - start) / len(files)
    volumes = [volume_under_surface(file.strange, scores) for file, scores in zip(files, relative, strict=True)]
    strange, together = np.concatenate([file.strange for file in files]), np.concatenate(relative)
    flagged = together > 1
    hit, false, missed = (flagged & strange).sum(), (flagged & ~strange).sum(), (~flagged & strange).sum()
    return Figures(
        f1=float(2 * hit / (2 * hit + false + missed)),
        false_alarms=float(100 * false / (~strange).sum()),
        missed=float(100 * missed / strange.sum()),
        area=float(average_precision_score(strange, together)),
        volume=mean(volumes),
        seconds=seconds,
    )


def volume_under_surface(strange: Array, scores: Array) -> float:
    """Return VUS-PR (Paparrizos et al., VLDB 2022): the area under precision and recall, mean over tolerances.

    A fault tolerates alarms up to half a buffer before and after it, the less the farther they are; recall counts
    only faults of which some row is flagged. Buffers of 0 to 20 rows.
    """
    thresholds = np.sort(scores)[::-1][np.linspace(0, len(scores) - 1, THRESHOLDS).astype(int)]
    flagged = scores >= thresholds[:, None]
    return mean(_range_area(strange, flagged, buffer) for buffer in range(BUFFER + 1))


def _range_area(strange: Array, flagged: Array, buffer: int) -> float:
    soft, stretches = _softened(strange, buffer)
    hits = flagged @ soft
    positives = strange.sum() + flagged @ np.where(strange, 0, soft) / 2
    caught = np.mean([flagged[:, first:end].any(1) for first, end in stretches], axis=0)
    recall = np.minimum(hits / positives, 1) * caught
    precision = hits / flagged.sum(1)
    return float(np.sum(np.diff(np.concatenate([[0], recall])) * precision))


def _softened(strange: Array, buffer: int) -> tuple[Array, list[tuple[int, int]]]:
    """Return labels (n,) of 0 to 1, and where the faults with their buffers begin and end, those that meet as one."""
    soft = strange.astype(np.float64)
    edges = np.flatnonzero(np.diff(np.concatenate([[False], strange, [False]])))
    stretches: list[tuple[int, int]] = []
    half = buffer // 2
    for first, end in edges.reshape(-1, 2).tolist():
        for away in range(1, half + 1):
            for place in (first - away, end - 1 + away):
                if 0 <= place < len(soft):
                    soft[place] += np.sqrt(1 - away / buffer)
        begins, ends = max(0, first - half), min(len(soft), end + half)
        if stretches and begins < stretches[-1][1]:
            begins = stretches.pop()[0]
        stretches.append((begins, ends))
    return np.minimum(soft, 1), stretches


# --- the report ----------------------------------------------------------------------------------------------------


def _about(files: list[File]) -> list[str]:
    rows, strange = sum(len(file.test) for file in files), sum(int(file.strange.sum()) for file in files)
    return [
        f"{len(files)} files, {rows:,} test rows, {strange / rows:.1%} of them faulty; mean of the seeds, for F1 and "
        "FAR the worst seed beside it. Published figures are from SKAB's own table.",
        "",
    ]


def _table(found: dict[str, list[Figures]]) -> list[str]:
    lines = ["| method | F1 | FAR % | MAR % | AUC-PR | VUS-PR | s a file |", "|---|---|---|---|---|---|---|"]
    lines += [f"| {name} (published) | {f1:.2f} | {far:.2f} | {mar:.2f} | | | |" for name, f1, far, mar in PUBLISHED]
    for name, figures in found.items():
        f1, far = [one.f1 for one in figures], [one.false_alarms for one in figures]
        lines.append(
            f"| {name} | {mean(f1):.3f} ({min(f1):.3f}) | {mean(far):.1f} ({max(far):.1f}) | "
            f"{mean(one.missed for one in figures):.1f} | {mean(one.area for one in figures):.3f} | "
            f"{mean(one.volume for one in figures):.3f} | {mean(one.seconds for one in figures):.2f} |"
        )
    return lines


def _target_lines(figures: list[Figures]) -> list[str]:
    reached = {"F1": mean(one.f1 for one in figures), "FAR %": mean(one.false_alarms for one in figures)}
    lines = []
    for name, target, higher in TARGETS:
        met = reached[name] >= target if higher else reached[name] <= target
        sign = "at least" if higher else "at most"
        lines.append(f"- {name} {sign} {target:g}: {reached[name]:.3g}, {'met' if met else 'missed'}")
    return lines


if __name__ == "__main__":
    torch.set_num_threads(min(2, torch.get_num_threads()))
    main()
