"""Measure in fresh processes, in turn, and take medians."""

import json
import subprocess
import sys
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from statistics import median
from typing import Any

Outcome = dict[str, Any]
Measurement = Callable[[int], Outcome]

_HERE = Path(__file__).parent


@dataclass(frozen=True)
class Size:
    """How much is measured."""

    repetitions: int
    training: int
    epochs: int
    scoring: int
    streaming: int
    max_memory: int
    minutes: float | None


def command_of(script: str, *arguments: object) -> list[str]:
    """Return the command that runs a script of this folder."""
    return [sys.executable, str(_HERE / script), *map(str, arguments)]


def run_child(script: str, *arguments: object) -> Outcome:
    """Run a script of this folder in a process of its own and return the JSON of its last line."""
    done = subprocess.run(command_of(script, *arguments), capture_output=True, text=True)
    if done.returncode:
        raise SystemExit(f"{script} {' '.join(map(str, arguments))} failed:\n{done.stderr[-3000:]}")
    return json.loads(done.stdout.splitlines()[-1])


def alternate(contestants: Mapping[str, Measurement], repetitions: int) -> dict[str, list[Outcome]]:
    """Measure every contestant once in each round, so that a slow minute of the machine hits all of them."""
    outcomes: dict[str, list[Outcome]] = {name: [] for name in contestants}
    for repetition in range(repetitions):
        for name, measure in contestants.items():
            print(f"  round {repetition + 1} of {repetitions}: {name}", file=sys.stderr, flush=True)
            outcomes[name].append(measure(repetition))
    return outcomes


def middle(outcomes: list[Outcome], key: str) -> float | None:
    """Return the median of a figure over the repetitions that have it."""
    figures = [outcome[key] for outcome in outcomes if outcome.get(key) is not None]
    return float(median(figures)) if figures else None


def verdict(figure: float, target: float, *, least: bool = True) -> str:
    """Say plainly whether a figure reaches its target; a miss says by which share."""
    reached = figure >= target if least else figure <= target
    return "yes" if reached else f"no, {figure / target - 1:+.0%}"


def range_of(figures: list[float]) -> list[str]:
    """Return two cells: the median, and the smallest and largest figure."""
    return [f"{median(figures):,.0f}", f"{min(figures):,.0f} to {max(figures):,.0f}"]


def table_line(*cells: object) -> str:
    """Return a line of a Markdown table."""
    return f"| {' | '.join(map(str, cells))} |"


def header(*names: str) -> tuple[str, str]:
    """Return the first two lines of a Markdown table."""
    return table_line(*names), f"|{'---|' * len(names)}"


def shown(lines: Iterator[str]) -> Iterator[str]:
    """Print lines as they come."""
    for line in lines:
        print(line, flush=True)
        yield line
