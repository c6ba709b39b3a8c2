"""The part ``mnist`` of `manifold.py`: maps of MNIST, judged on images that no method has learned from."""

import json
from dataclasses import dataclass, fields
from importlib.metadata import version
from pathlib import Path
from statistics import mean

from manifold_fit import ALONE, NEIGHBOURS, Costs, Figures
from manifold_methods import METHODS, MNIST_METHODS, Settings
from speed_running import header, run_child, table_line

AT_LEAST = {
    2: {"trustworthiness": 0.955, "continuity": 0.973, "nearest": 0.940, "ten_nearest": 0.960},
    3: {"trustworthiness": 0.974, "continuity": 0.980, "nearest": 0.945, "ten_nearest": 0.962},
}
OURS = ("keep", "quick")
ERROR_AT_MOST = {2: 0.0335, 3: 0.0280}
FASTER_THERE, FASTER_BACK = 100, 1000
PUBLISHED = {
    2: {"UMAP (published)": (".0393", ".9601", ".9317"), "UMAP/AE (published)": (".0360", ".9675", ".9403")},
}
HEADER = (
    "trustworthiness", "continuity", "1-NN", "10-NN", "MSE", "s of fit", "s there", "s back", "alone",
    "trustworthiness, learned", "1-NN, learned",
)  # fmt: skip


@dataclass(frozen=True)
class Outcome:
    """What came of a method with one seed."""

    costs: Costs
    figures: Figures


@dataclass(frozen=True)
class Case:
    """A method, the numbers of a code and a seed; all that is kept of it lies at the stem."""

    method: str
    size: int
    seed: int
    rows: int | None
    cache: Path

    @property
    def stem(self) -> Path:
        """The path of its files without the ending."""
        return self.cache / f"{self.method}-{self.size}-seed{self.seed}-{self.rows or 'all'}"

    def run(self, *, measure_only: bool = False) -> None:
        """Learn and measure in a process of its own."""
        more = [*(["--rows", self.rows] if self.rows else []), *(["--measure"] if measure_only else [])]
        self.cache.mkdir(parents=True, exist_ok=True)
        run_child("manifold_fit.py", self.method, self.size, self.seed, self.stem, *more)

    @property
    def done(self) -> bool:
        """Whether it was run."""
        return self.stem.with_suffix(".json").exists()

    def outcome(self) -> Outcome:
        """Return what came of it."""
        found = json.loads(self.stem.with_suffix(".json").read_text())
        return Outcome(Costs(**found["costs"]), Figures(**found["figures"]))


def maps_of_mnist(settings: Settings) -> list[str]:
    """Return the tables, one for each size of a code."""
    lines = []
    for size in settings.dims:
        found = {name: _outcomes(name, size, settings) for name in MNIST_METHODS if size <= METHODS[name].most_dims}
        lines += _table(size, {name: outcomes for name, outcomes in found.items() if outcomes})
    return [*lines, *_about(settings)]


def _outcomes(name: str, size: int, settings: Settings) -> list[Outcome]:
    """Return what came of a method by seeds; it learns if it is named, or if none is and it is not in the cache."""
    found = []
    for seed in settings.seeds:
        case = Case(name, size, seed, settings.rows, settings.cache)
        if name in settings.methods if settings.methods else not case.done:
            case.run()
        elif case.done and settings.measure_again:
            case.run(measure_only=True)
        if case.done:
            found.append(case.outcome())
            print(name, size, seed, found[-1], flush=True)
    return found


def _table(size: int, found: dict[str, list[Outcome]]) -> list[str]:
    lines = [*header(f"{size} numbers", *HEADER)]
    for name, (error, *learned) in PUBLISHED.get(size, {}).items():
        lines.append(table_line(name, *[""] * 4, error, *[""] * 4, *learned))
    lines += [table_line(METHODS[name].title, *_cells(outcomes)) for name, outcomes in found.items()]
    ours = [name for name in OURS if name in found and size in AT_LEAST]
    verdicts = [line for name in ours for line in _verdicts(size, name, found)]
    return [*lines, "", *verdicts, ""]


def _cells(outcomes: list[Outcome]) -> list[str]:
    """Return the figures of a method, means over the seeds."""
    figures, costs = ([getattr(outcome, part) for outcome in outcomes] for part in ("figures", "costs"))
    kept = [_shown([getattr(each, field) for each in figures]) for field in [each.name for each in fields(Figures)]]
    seconds = [_seconds([getattr(each, name) for each in costs]) for name in ("fit", "there", "back")]
    error, alone = _shown([each.error for each in costs]), f"{max(each.alone for each in costs):.1g}"
    return [*kept[:4], error, *seconds, alone, *kept[4:]]


def _shown(values: list[float | None]) -> str:
    if None in values:
        return "-"
    spread = f" ±{(max(values) - min(values)) / 2:.4f}" if len(values) > 1 else ""
    return f"{mean(values):.4f}{spread}"


def _seconds(values: list[float | None]) -> str:
    if None in values:
        return "-"
    value = mean(values)
    return f"{value:,.0f}" if value >= 100 else f"{value:.2g}"


def _verdicts(size: int, method: str, found: dict[str, list[Outcome]]) -> list[str]:
    """Return which targets an autoencoder that keeps neighbours meets."""
    ours = found[method]
    lines = [f"{METHODS[method].title}:", ""]
    for name, least in AT_LEAST[size].items():
        value = mean(getattr(outcome.figures, name) for outcome in ours)
        lines.append(f"- {name.replace('_', ' ')}: {value:.4f}, target at least {least:.3f} {_said(value - least)}")
    error = mean(outcome.costs.error for outcome in ours)
    lines.append(f"- MSE: {error:.4f}, target at most {ERROR_AT_MOST[size]:.4f} {_said(ERROR_AT_MOST[size] - error)}")
    return [*lines, *(_beside_umap(ours, found["umap"]) if "umap" in found else []), ""]


def _said(ahead: float) -> str:
    return "met" if ahead >= 0 else f"missed by {-ahead:.4f}"


def _beside_umap(ours: list[Outcome], theirs: list[Outcome]) -> list[str]:
    lines = []
    for name, target in (("fit", 1), ("there", FASTER_THERE), ("back", FASTER_BACK)):
        times = mean(getattr(each.costs, name) for each in theirs) / mean(getattr(each.costs, name) for each in ours)
        said = "met" if times >= target else "missed"
        lines.append(f"- {name}: {_seconds([times])} times as fast as umap-learn, target {target} {said}")
    return lines


def _about(settings: Settings) -> list[str]:
    names = ("umap-learn", "pacmap", "openTSNE", "scikit-learn")
    peers = ", ".join(f"{name} {version(name)}" for name in names)
    return [
        f"Trustworthiness and continuity of {NEIGHBOURS} neighbours among the 10,000 test images; 1-NN and 10-NN "
        "look for neighbours among the codes of the 60,000. Seconds are those of the processor on one thread, "
        "compiling not counted (everything runs on a few images first): until the codes of the 60,000 are there, "
        "for 10,000 new images, and for their way back. umap-learn took back "
        f"{METHODS['umap'].most_back} images: its MSE is theirs, its seconds are extrapolated. Alone: the largest "
        f"difference of codes of {ALONE} images put in alone or among the 10,000, in deviations of all codes. "
        "Learned: trustworthiness of the first 10,000 training images, and 1-NN of the last 10,000 among the others, "
        f"the protocol of the published figures. Seeds {', '.join(map(str, settings.seeds))}; {peers}.",
    ]
