"""``make bench-fill``: missing cells of scikit-learn's own tables filled, beside its imputers.

Of every table 10, 20 and 40 % of the cells are lost at random, with five seeds; every method learns from the
incomplete table and fills it. Figures are root mean squared errors of lost cells in standardised columns, means over
the seeds. No method is tuned for a table. Seconds are those of the processor, with one thread. Beside it: how often
the true value lies within the promised limits, cells lost by rules that depend on values, a table with texts, and
100,000 rows. Prints the tables and writes its part of ``benchmarks/RESULTS.md``; ``--only`` runs a part and writes
nothing.
"""

import argparse
import os
import time
import warnings
from collections.abc import Callable
from statistics import mean
from typing import Any

os.environ.setdefault("OMP_NUM_THREADS", "1")
os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")

import numpy as np
import pandas as pd
import torch
from results import write_section
from sklearn import datasets
from sklearn.ensemble import ExtraTreesRegressor
from sklearn.experimental import enable_iterative_imputer  # noqa: F401 - makes the next import possible
from sklearn.impute import IterativeImputer, KNNImputer, SimpleImputer

from refold import Restorer

Array = np.ndarray[Any, Any]
Filler = Callable[[Array, int], Array]

TABLES = ("breast_cancer", "wine", "diabetes", "digits", "iris")
RATES, SEEDS = (0.1, 0.2, 0.4), range(5)
WITHIN = 1.645
LARGE = (100_000, 50)


def main() -> None:
    """Run the tables."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--only", choices=("random", "rules", "texts", "large"), nargs="+")
    options = parser.parse_args()
    torch.set_num_threads(1)
    start = time.perf_counter()
    parts = {"random": at_random, "rules": by_rules, "texts": texts, "large": large}
    lines: list[str] = []
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        for name, part in parts.items():
            if options.only is None or name in options.only:
                lines += [*part(), ""]
    lines.append(f"Measured in {(time.perf_counter() - start) / 60:.1f} minutes.")
    print("", *lines, sep="\n")
    if options.only is None:
        write_section("fill", "Tables: missing cells filled", "make bench-fill", lines)


# --- methods: from an incomplete table and a seed to a whole one ---------------------------------------------------


def refolds(table: Array, seed: int) -> Array:
    """Return the table filled by a restorer."""
    return Restorer(random_state=seed).fit(table).transform(table)


def forests(table: Array, seed: int) -> Array:
    """Return what trees say of each column by all others, four times over, as missForest does."""
    trees = ExtraTreesRegressor(n_estimators=20, max_features="sqrt", random_state=seed)
    return IterativeImputer(trees, max_iter=4, random_state=seed).fit_transform(table)


METHODS: dict[str, Filler] = {
    "mean": lambda table, seed: SimpleImputer().fit_transform(table),
    "5 nearest rows (KNNImputer)": lambda table, seed: KNNImputer().fit_transform(table),
    "BayesianRidge (IterativeImputer)": lambda table, seed: IterativeImputer(random_state=seed).fit_transform(table),
    "ExtraTrees (IterativeImputer)": forests,
    "**refold**": refolds,
}


# --- data ----------------------------------------------------------------------------------------------------------


def standardised(name: str) -> Array:
    """Return a table of scikit-learn without its constant columns, each to mean 0 and deviation 1."""
    values = getattr(datasets, f"load_{name}")().data.astype(np.float64)
    values = values[:, values.std(0) > 0]
    return (values - values.mean(0)) / values.std(0)


def lost_at_random(table: Array, rate: float, seed: int) -> Array:
    """Return which cells are lost, each as likely as any other."""
    return np.random.default_rng([seed, int(100 * rate)]).random(table.shape) < rate


def lost_by_neighbour(table: Array, rate: float, seed: int) -> Array:
    """Return which cells are lost: in every second column, by the value of the column before (MAR)."""
    generator = np.random.default_rng([seed, 1])
    likely = 1 / (1 + np.exp(-2 * np.roll(table, 1, axis=1)))
    lost = generator.random(table.shape) < 2 * rate * likely
    lost[:, ::2] = False
    return lost


def lost_by_itself(table: Array, rate: float, seed: int) -> Array:
    """Return which cells are lost: the larger a value, the likelier (MNAR)."""
    return np.random.default_rng([seed, 2]).random(table.shape) < 2 * rate / (1 + np.exp(-2 * table))


def rmse(filled: Array, table: Array, lost: Array) -> float:
    """Return the root mean squared error of lost cells."""
    return float(np.sqrt(np.mean((filled - table)[lost] ** 2)))


# --- tables --------------------------------------------------------------------------------------------------------


def at_random() -> list[str]:
    """Return the table of errors at every rate, mean ranks and seconds, and how often the limits hold."""
    settings = [(name, rate) for name in TABLES for rate in RATES]
    found: dict[str, list[float]] = {method: [] for method in METHODS}
    seconds: dict[str, list[float]] = {method: [] for method in METHODS}
    for name, rate in settings:
        table = standardised(name)
        losses = [lost_at_random(table, rate, seed) for seed in SEEDS]
        for method, fill in METHODS.items():
            start = time.process_time()
            errors = [
                rmse(fill(np.where(lost, np.nan, table), seed), table, lost)
                for seed, lost in zip(SEEDS, losses, strict=True)
            ]
            seconds[method].append((time.process_time() - start) / len(SEEDS))
            found[method].append(mean(errors))
        print(name, rate, {method: round(values[-1], 4) for method, values in found.items()}, flush=True)
    ranks = np.argsort(np.argsort([found[method] for method in METHODS], axis=0), axis=0) + 1
    rows = ["| RMSE | " + " | ".join(f"{name} {rate:.0%}" for name, rate in settings) + " | mean rank | seconds |"]
    rows.append("|---" * (len(settings) + 3) + "|")
    for place, method in enumerate(METHODS):
        values = " | ".join(f"{value:.3f}" for value in found[method])
        times = f"{min(seconds[method]):.1f} to {max(seconds[method]):.1f}"
        rows.append(f"| {method} | {values} | {ranks[place].mean():.2f} | {times} |")
    return [*rows, "", *limits()]


def limits() -> list[str]:
    """Return the share of lost cells that lie within 1.645 deviations, by table."""
    said = []
    for name in TABLES:
        table = standardised(name)
        lost = lost_at_random(table, 0.2, 0)
        incomplete = np.where(lost, np.nan, table)
        restoration = Restorer(random_state=0).fit(incomplete).restoration(incomplete)
        inside = np.abs(restoration.table - table) <= WITHIN * restoration.deviation
        said.append(f"{name} {inside[lost].mean():.1%}")
    return [f"Within 1.645 deviations (promised 90 %), at 20 %, one seed: {', '.join(said)}."]


def by_rules() -> list[str]:
    """Return errors where values decide what is lost, one seed at 20 %."""
    rows = ["| RMSE, one seed, 20 % | " + " | ".join(f"{name} MAR | {name} MNAR" for name in TABLES) + " |"]
    rows.append("|---" * (2 * len(TABLES) + 1) + "|")
    for method, fill in METHODS.items():
        values = []
        for name in TABLES:
            table = standardised(name)
            for rule in (lost_by_neighbour, lost_by_itself):
                lost = rule(table, 0.2, 0)
                values.append(f"{rmse(fill(np.where(lost, np.nan, table), 0), table, lost):.3f}")
        rows.append(f"| {method} | {' | '.join(values)} |")
        print(rows[-1], flush=True)
    return rows


def texts() -> list[str]:
    """Return how often a lost class is found, beside the most frequent one: the label as a text among the numbers."""
    labelled = ("breast_cancer", "wine", "digits", "iris")
    rows = ["| right classes, 20 % lost, five seeds (digits one) | " + " | ".join(labelled) + " |"]
    rows.append("|---" * 5 + "|")
    ours, plain = [], []
    for name in labelled:
        loaded = getattr(datasets, f"load_{name}")()
        labels = np.array([f"class {label}" for label in loaded.target])
        right: list[tuple[float, float]] = []
        for seed in SEEDS if name != "digits" else range(1):
            lost = lost_at_random(np.empty((len(labels), loaded.data.shape[1] + 1)), 0.2, seed)
            frame = pd.DataFrame(np.where(lost[:, :-1], np.nan, loaded.data)).rename(columns=str)
            frame["class"] = pd.Series(labels).where(~lost[:, -1])
            filled = Restorer(random_state=seed).fit(frame).transform(frame)["class"].to_numpy()
            usual = frame["class"].mode()[0]
            gone = lost[:, -1]
            right.append((float(np.mean(filled[gone] == labels[gone])), float(np.mean(labels[gone] == usual))))
        ours.append(f"{mean(share for share, _ in right):.1%}")
        plain.append(f"{mean(share for _, share in right):.1%}")
    return [*rows, f"| most frequent | {' | '.join(plain)} |", f"| **refold** | {' | '.join(ours)} |"]


def large() -> list[str]:
    """Return seconds for a large table."""
    rows, columns = LARGE
    generator = np.random.default_rng(0)
    hidden = generator.normal(size=(rows, 6))
    table = np.tanh(hidden @ generator.normal(size=(6, columns))) + 0.2 * generator.normal(size=LARGE)
    lost = generator.random(LARGE) < 0.1
    incomplete = np.where(lost, np.nan, table)
    start = time.process_time()
    restorer = Restorer(random_state=0).fit(incomplete)
    learned = time.process_time()
    error = rmse(restorer.transform(incomplete), table, lost)
    done = time.process_time()
    plain = rmse(METHODS["BayesianRidge (IterativeImputer)"](incomplete, 0), table, lost)
    ridge = time.process_time() - done
    return [
        f"{rows:,} rows of {columns} columns, 10 % lost: learned in {learned - start:.0f} s, filled in "
        f"{done - learned:.0f} s, RMSE {error:.3f}; IterativeImputer(BayesianRidge) {ridge:.0f} s, {plain:.3f}."
    ]


if __name__ == "__main__":
    main()
