"""``make bench-tables``: strange rows of the ADBench tables, found by refold and by PyOD in the same run.

Split R: of each table a random half of the normal rows trains, the other normal rows and all anomalies test; at most
10,000 rows of either, drawn at random; seeds 0, 1 and 2. Labels serve the figures alone. The columns are raw for
refold and for the peers that standardise by themselves, standardised on the training rows for neighbours. Every
method has one fixed configuration, its defaults. Prints the tables and writes their part of
``benchmarks/RESULTS.md``; ``--seeds`` and ``--tables`` run a part and write nothing, ``--folder`` reads other tables.

False alarms are the share of the normal test rows with a p-value of at most 1 % or 5 %. Noise allows a run the middle
99 % of a beta-binomial distribution: the rate that a threshold set on so many training rows truly has is beta
distributed around the promise, and the alarms among the normal test rows are binomial at that rate.
"""

import argparse
import io
import os
import time
import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager, redirect_stderr, redirect_stdout
from dataclasses import dataclass
from pathlib import Path
from statistics import mean
from typing import Any

os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")

import numpy as np
import torch
from results import write_section
from scipy.stats import betabinom
from sklearn.metrics import average_precision_score, roc_auc_score
from sklearn.neighbors import NearestNeighbors
from sklearn.preprocessing import StandardScaler

from refold import Detector

SEEDS = (0, 1, 2)
MOST_ROWS = 10_000
KNN, NEAREST, PYOD = "kNN5", "1-NN", "PyOD AutoEncoder"
ERROR, OURS = "**refold**, reconstruction error", "**refold**, default score"
WITHIN = {0.01: 0.007, 0.05: 0.015}
NOISE = 0.99
MOST_BEYOND = 1 / 20
TABLE_HEADER = (
    "table", "training rows", "columns", "kNN5", "1-NN", "PyOD AE", "ours, error", "ours, default",
    "alarms at 1%", "at 5%", "s of fit", "PyOD AE",
)  # fmt: skip
THREADS = torch.get_num_threads()

Array = np.ndarray[Any, Any]


@dataclass(frozen=True)
class Case:
    """One table split by one seed."""

    table: str
    seed: int
    train: Array
    test: Array
    strange: Array


@dataclass(frozen=True)
class Figures:
    """What one method reached on one case: areas in percent, seconds of `fit`."""

    auroc: float
    precision: float
    seconds: float


@dataclass(frozen=True)
class Alarms:
    """False alarms on one case at one promised rate, and whether noise alone explains how far off they are."""

    observed: float
    explained: bool


@dataclass(frozen=True)
class Run:
    """All methods on one case."""

    case: Case
    figures: dict[str, Figures]
    alarms: dict[float, Alarms]


def main() -> None:
    """Run the tables."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--folder", type=Path, help="with .npz files that hold X and y (1 = anomaly)")
    parser.add_argument("--seeds", type=int, nargs="+", default=SEEDS)
    parser.add_argument("--tables", nargs="+", metavar="NAME")
    options = parser.parse_args()
    start = time.perf_counter()
    _warm_up()
    runs = []
    for case in _cases(find_tables(options.folder), options.seeds, options.tables):
        runs.append(_run(case))
        print(_run_line(runs[-1]), flush=True)
    if not runs:
        raise SystemExit("no table of that name")
    lines = [*_about(runs), *_mean_lines(runs), "", *_target_lines(runs), "", *_table_lines(runs)]
    lines += ["", f"Measured in {(time.perf_counter() - start) / 60:.1f} minutes."]
    print("", *lines, sep="\n")
    if options.tables is None and tuple(options.seeds) == SEEDS:
        write_section("tables", "Tables: strange rows", "make bench-tables", lines)


# --- data ----------------------------------------------------------------------------------------------------------


def find_tables(folder: Path | None = None) -> list[Path]:
    """Return the tables of `folder`, else those of ``$REFOLD_DATA`` or ``../shared/data``, smallest first."""
    named = os.environ.get("REFOLD_DATA")
    shared = [*([Path(named) / "tables", Path(named)] if named else []), Path("..") / "shared" / "data" / "tables"]
    for place in [folder] if folder else shared:
        found = [path for path in place.glob("*.npz") if _is_table(path)]
        if found:
            return sorted(found, key=lambda path: (path.stat().st_size, path.name))
    raise SystemExit("tables were not found: put .npz files with X and y into $REFOLD_DATA or ../shared/data/tables")


def _is_table(path: Path) -> bool:
    with np.load(path, allow_pickle=False) as arrays:
        return {"X", "y"} <= set(arrays.files)


def _cases(paths: list[Path], seeds: list[int], names: list[str] | None) -> Iterator[Case]:
    for path in paths:
        if names is None or path.stem in names:
            with np.load(path, allow_pickle=False) as arrays:
                rows, strange = arrays["X"].astype(np.float64), arrays["y"].astype(bool)
            for seed in seeds:
                yield Case(path.stem, seed, *split(rows, strange, seed))


def split(
    X: Array, y: Array, seed: int, most_train: int = MOST_ROWS, most_test: int = MOST_ROWS
) -> tuple[Array, Array, Array]:
    """Return the training rows, normal ones alone, the test rows and which of these are anomalies."""
    random = np.random.default_rng(seed)
    normal = random.permutation(np.flatnonzero(~y))
    half = len(normal) // 2
    train = normal[:half][:most_train]
    test = np.concatenate([normal[half:], np.flatnonzero(y)])
    test = np.sort(random.permutation(test)[:most_test])
    return X[train], X[test], y[test]


# --- methods -------------------------------------------------------------------------------------------------------


class Nearest:
    """Distance to the nearest training row."""

    def fit(self, X: Array) -> None:
        """Keep the training rows."""
        self.neighbours = NearestNeighbors(n_neighbors=1).fit(X)

    def decision_function(self, X: Array) -> Array:
        """Return the distance of each row."""
        return self.neighbours.kneighbors(X)[0][:, 0]


class Standardised:
    """A detector whose columns are standardised on the training rows."""

    def __init__(self, detector: Any) -> None:
        self.scale, self.detector = StandardScaler(), detector

    def fit(self, X: Array) -> None:
        """Learn the scale, then the detector."""
        self.detector.fit(self.scale.fit_transform(X))

    def decision_function(self, X: Array) -> Array:
        """Return the detector's score of each row."""
        return self.detector.decision_function(self.scale.transform(X))


def peers() -> dict[str, Callable[[int], Any]]:
    """Return what makes each peer from a seed."""
    from pyod.models.auto_encoder import AutoEncoder
    from pyod.models.iforest import IForest
    from pyod.models.knn import KNN as Neighbours  # noqa: N811
    from pyod.models.lof import LOF
    from pyod.models.pca import PCA
    from pyod.models.vae import VAE

    return {
        PYOD: lambda seed: AutoEncoder(random_state=seed, verbose=0),
        "PyOD VAE": lambda seed: VAE(random_state=seed, verbose=0),
        "PyOD PCA": lambda seed: PCA(random_state=seed),
        "PyOD IForest": lambda seed: IForest(random_state=seed),
        "PyOD LOF": lambda seed: Standardised(LOF()),
        KNN: lambda seed: Standardised(Neighbours(n_neighbors=5, method="largest")),
        NEAREST: lambda seed: Standardised(Nearest()),
    }


def _warm_up() -> None:
    """Let every method load and compile what it does once, so that no table pays for it."""
    rows = np.random.default_rng(0).normal(size=(256, 5))
    _run(Case("warm-up", 0, rows, rows, np.arange(256) < 32))


def _run(case: Case) -> Run:
    figures = {name: _by_peer(make, case) for name, make in peers().items()}
    torch.set_num_threads(THREADS)
    start = time.perf_counter()
    detector = Detector(random_state=case.seed).fit(case.train)
    seconds = time.perf_counter() - start
    figures[ERROR] = _figures(case, detector.reconstruction_error(case.test), seconds)
    figures[OURS] = _figures(case, detector.anomaly_score(case.test), seconds)
    unusual = np.asarray(detector.p_value(case.test))[~case.strange]
    alarms = {promise: _alarms(unusual <= promise, promise, len(case.train)) for promise in WITHIN}
    return Run(case, figures, alarms)


def _by_peer(make: Callable[[int], Any], case: Case) -> Figures:
    torch.set_num_threads(1)  # batches of 32 rows: PyOD's networks train faster on one thread than on two
    torch.manual_seed(case.seed)
    np.random.seed(case.seed)
    with _silence():
        start = time.perf_counter()
        peer = make(case.seed)
        peer.fit(case.train)
        seconds = time.perf_counter() - start
        return _figures(case, peer.decision_function(case.test), seconds)


@contextmanager
def _silence() -> Iterator[None]:
    with redirect_stdout(io.StringIO()), redirect_stderr(io.StringIO()), warnings.catch_warnings():
        warnings.simplefilter("ignore")
        yield


def _figures(case: Case, scores: Array, seconds: float) -> Figures:
    # PyOD's PCA scores all rows infinite where a column depends on the others
    finite = np.nan_to_num(np.asarray(scores, np.float64).ravel(), nan=0.0)
    areas = (measure(case.strange, finite) for measure in (roc_auc_score, average_precision_score))
    return Figures(*(100 * float(area) for area in areas), seconds)


def _alarms(alarms: Array, promise: float, calibrated: int) -> Alarms:
    noise = betabinom(len(alarms), promise * (calibrated + 1), (1 - promise) * (calibrated + 1))
    low, high = noise.ppf((1 - NOISE) / 2), noise.ppf((1 + NOISE) / 2)
    return Alarms(float(alarms.mean()), bool(low <= alarms.sum() <= high))


# --- what is told --------------------------------------------------------------------------------------------------


def _run_line(run: Run) -> str:
    names = {PYOD: "PyOD AE", KNN: KNN, NEAREST: NEAREST, ERROR: "error", OURS: "default"}
    areas = ", ".join(f"{short} {run.figures[name].auroc:.1f}" for name, short in names.items())
    alarms = ", ".join(f"{alarms.observed:.2%} at {promise:.0%}" for promise, alarms in run.alarms.items())
    seconds = f"{run.figures[OURS].seconds:.1f} s, PyOD {run.figures[PYOD].seconds:.1f} s"
    return f"{run.case.table} {run.case.seed}: AUROC {areas}; false alarms {alarms}; {seconds}"


def _about(runs: list[Run]) -> list[str]:
    seeds = ", ".join(map(str, sorted({run.case.seed for run in runs})))
    return [
        f"{len(_tables(runs))} tables, seeds {seeds}; a random half of the normal rows trains, the other half and "
        f"all anomalies test, at most {MOST_ROWS:,} rows of either. AUROC and average precision (AP) in percent; "
        "means over tables and seeds. kNN5 is PyOD's KNN as it comes. PyOD's networks train on one thread, "
        "faster than on two.",
        "",
    ]


def _mean_lines(runs: list[Run]) -> list[str]:
    lines = ["| method | AUROC | AP | seconds of fit |", "|---|---|---|---|"]
    for name in runs[0].figures:
        cells = [f"{_mean(runs, name, what):.2f}" for what in ("auroc", "precision", "seconds")]
        lines.append(f"| {name} | {' | '.join(cells)} |")
    return lines


def _target_lines(runs: list[Run]) -> list[str]:
    auroc, precision = "auroc", "precision"
    return [
        "| what | target | ours | met |",
        "|---|---|---|---|",
        _more(runs, "AUROC of the reconstruction error", ERROR, auroc, KNN, 0.7),
        _more(runs, "AUROC of the default score", OURS, auroc, NEAREST, 0.8),
        _more(runs, "AP of the default score", OURS, precision, NEAREST, 1.5),
        _more(runs, "AUROC of the default score", OURS, auroc, PYOD, 8.0),
        *(_kept(runs, promise) for promise in WITHIN),
        *(_beyond(runs, promise) for promise in WITHIN),
        _time(runs),
    ]


def _more(runs: list[Run], what: str, ours: str, figure: str, peer: str, by: float) -> str:
    target, reached = _mean(runs, peer, figure) + by, _mean(runs, ours, figure)
    short = f"no, {reached - target:+.2f}"
    return _line(what, f"{peer} + {by}: {target:.2f}", f"**{reached:.2f}**", reached >= target, short)


def _kept(runs: list[Run], promise: float) -> str:
    rates = [run.alarms[promise].observed for run in runs]
    off, within = mean(rates) - promise, WITHIN[promise]
    what, target = f"false alarms at {promise:.0%}", f"within {within:.1%}"
    ours = f"**{mean(rates):.2%}** (one run is off by {mean(abs(rate - promise) for rate in rates):.2%} on average)"
    return _line(what, target, ours, abs(off) <= within, f"no, {off:+.2%}")


def _beyond(runs: list[Run], promise: float) -> str:
    beyond = [f"{run.case.table} {run.case.seed}" for run in runs if not run.alarms[promise].explained]
    most = int(MOST_BEYOND * len(runs))
    what = f"tables and seeds with false alarms at {promise:.0%} beyond noise"
    ours = f"**{len(beyond)}**{': ' if beyond else ''}{', '.join(beyond)}"
    return _line(what, f"at most {most} of {len(runs)}", ours, len(beyond) <= most, f"no, {len(beyond) - most:+d}")


def _time(runs: list[Run]) -> str:
    target, ours = _mean(runs, PYOD, "seconds"), _mean(runs, OURS, "seconds")
    short = f"no, {ours / target - 1:+.0%}"
    return _line("seconds of fit a table", f"{PYOD}: {target:.2f}", f"**{ours:.2f}**", ours <= target, short)


def _line(what: str, target: str, ours: str, met: bool, short: str) -> str:
    return f"| {what} | {target} | {ours} | {'yes' if met else short} |"


def _table_lines(runs: list[Run]) -> list[str]:
    lines = [
        "AUROC and false alarms of each table, means over the seeds (an asterisk: beyond noise with a seed):",
        "",
        f"| {' | '.join(TABLE_HEADER)} |",
        f"|{'---|' * len(TABLE_HEADER)}",
    ]
    return lines + [_table_line([run for run in runs if run.case.table == table]) for table in _tables(runs)]


def _table_line(runs: list[Run]) -> str:
    case = runs[0].case
    cells = [case.table, f"{len(case.train):,}", str(case.train.shape[1])]
    cells += [f"{_mean(runs, name, 'auroc'):.1f}" for name in (KNN, NEAREST, PYOD, ERROR, OURS)]
    for promise in WITHIN:
        alarms = [run.alarms[promise] for run in runs]
        mark = "" if all(one.explained for one in alarms) else "*"
        cells.append(f"{mean(one.observed for one in alarms):.2%}{mark}")
    cells += [f"{_mean(runs, name, 'seconds'):.1f}" for name in (OURS, PYOD)]
    return f"| {' | '.join(cells)} |"


def _tables(runs: list[Run]) -> list[str]:
    return list(dict.fromkeys(run.case.table for run in runs))


def _mean(runs: list[Run], method: str, figure: str) -> float:
    return mean(getattr(run.figures[method], figure) for run in runs)


if __name__ == "__main__":
    main()
