"""``make bench-speed``: how fast refold trains, scores, streams and starts, beside the libraries that do the same.

Every peer in the same run on the same machine, in fresh processes, in turn; medians. Prints the tables and writes
their part of ``benchmarks/RESULTS.md``. ``--row NAME`` runs one row alone, ``--quick`` only proves that it runs.
"""

import argparse
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from statistics import median

import psutil
from results import write_section
from speed_disk import streaming_lines, tenfold_lines
from speed_running import (
    Outcome,
    Size,
    alternate,
    header,
    middle,
    range_of,
    run_child,
    shown,
    table_line,
    verdict,
)
from speed_training import NETWORKS, about_training, training_lines

STARTS = 11


def main() -> None:
    """Run the rows."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--row", choices=list(ROWS))
    parser.add_argument("--repetitions", type=int, default=5)
    parser.add_argument("--rows", type=int, default=10_000_000, help="of the streamed file")
    parser.add_argument("--max-memory", type=int, default=50_000_000, help="bytes of records while streaming")
    parser.add_argument("--minutes", type=float, help="stop the tenfold stream after so many and tell its memory")
    parser.add_argument("--quick", action="store_true", help="tiny sizes: proves that it runs, measures nothing")
    options = parser.parse_args()
    chosen = [options.row] if options.row else [name for name in ROWS if name != "streaming-tenfold"]
    for name in chosen:
        start = time.perf_counter()
        title, *lines = shown(ROWS[name](_size(options)))
        lines += shown(iter([f"Measured in {(time.perf_counter() - start) / 60:.1f} minutes, {_load()}."]))
        if not options.quick:
            write_section(f"speed-{name}", title.lstrip("# "), f"make bench-speed (--row {name})", lines)


def _size(options: argparse.Namespace) -> Size:
    if options.quick:
        return Size(min(options.repetitions, 2), 2_000, 2, 20_000, 200_000, 2_000_000, options.minutes)
    return Size(options.repetitions, 60_000, 3, 1_000_000, options.rows, options.max_memory, options.minutes)


def _load() -> str:
    one, _, fifteen = psutil.getloadavg()
    return f"load average at the end {one:.1f} (1 minute), {fifteen:.1f} (15 minutes) on {psutil.cpu_count()} cores"


# --- scoring -------------------------------------------------------------------------------------------------------


def _scoring_lines(size: Size) -> Iterator[str]:
    contestants: dict[str, tuple[int, tuple[object, ...]]] = {
        "**refold** `reconstruction_error`": (size.scoring, ("refold",)),
        "PyOD `decision_function`, its own batches of 32": (size.scoring // 20, ("pyod",)),
        "PyOD `decision_function`, batches of 4,096": (size.scoring // 20, ("pyod", "--batch", 4096)),
    }
    targets = dict(zip(contestants, (None, 20.0, None), strict=True))
    outcomes = alternate(
        {
            name: lambda number, rows=rows, who=who: run_child(
                "speed_scoring.py", *who, "--rows", rows, "--seed", number
            )
            for name, (rows, who) in contestants.items()
        },
        size.repetitions,
    )
    yield f"### Scoring {size.scoring:,} rows of 30 columns"
    yield from ("", "Network 30-64-32-3 and back for both; PyOD scores a twentieth of the rows, for the rate.", "")
    yield from header("who", "rows/s", "slowest to fastest", "refold is faster by", "target", "met")
    ours = middle(next(iter(outcomes.values())), "rate")
    for name, measured in outcomes.items():
        yield _scoring_line(name, measured, ours, targets[name])
    yield ""


def _scoring_line(name: str, measured: list[Outcome], ours: float, target: float | None) -> str:
    rates = [outcome["rate"] for outcome in measured]
    times = ours / median(rates)
    compared = ["", "", ""] if times == 1 else [f"**{times:.1f}x**", "-", "-"]
    if target is not None:
        compared[1:] = [f"{target:g}x", verdict(times, target)]
    return table_line(name, *range_of(rates), *compared)


# --- start ---------------------------------------------------------------------------------------------------------


def _start_lines(size: Size) -> Iterator[str]:
    refold = str(Path(sys.executable).with_name("refold"))
    commands = {
        "bare Python": ([sys.executable, "-c", "pass"], None),
        "`import refold`": ([sys.executable, "-c", "import refold"], 0.2),
        "`refold --help`": ([refold, "--help"], 0.3),
        "`from refold import Autoencoder`, with torch": (
            [sys.executable, "-c", "from refold import Autoencoder"],
            None,
        ),
    }
    outcomes = alternate(
        {name: partial(_seconds_of, command) for name, (command, _) in commands.items()},
        max(STARTS, size.repetitions),
    )
    yield from ("### Start", "", "Seconds of the whole process, Python's own start included.", "")
    yield from header("what", "s", "fastest to slowest", "target", "met")
    for name, measured in outcomes.items():
        yield _start_line(name, [outcome["seconds"] for outcome in measured], commands[name][1])
    yield ""


def _seconds_of(command: list[str], number: int) -> Outcome:
    start = time.perf_counter()
    subprocess.run(command, check=True, stdout=subprocess.DEVNULL)
    return {"seconds": time.perf_counter() - start}


def _start_line(name: str, seconds: list[float], target: float | None) -> str:
    met = "-" if target is None else verdict(median(seconds), target, least=False)
    under = "-" if target is None else f"under {target:g}"
    return table_line(name, f"{median(seconds):.3f}", f"{min(seconds):.3f} to {max(seconds):.3f}", under, met)


ROWS: dict[str, Callable[[Size], Iterator[str]]] = {
    "about": about_training,
    **{network.task: partial(training_lines, network) for network in NETWORKS},
    "scoring": _scoring_lines,
    "streaming": streaming_lines,
    "streaming-tenfold": tenfold_lines,
    "start": _start_lines,
}


if __name__ == "__main__":
    main()
