"""The rows about data on disk: rate and memory while a large Parquet file streams through training."""

import json
import shutil
import subprocess
import tempfile
import time
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import IO

import psutil
from speed_running import (
    Measurement,
    Outcome,
    Size,
    alternate,
    command_of,
    header,
    middle,
    range_of,
    run_child,
    table_line,
    verdict,
)

MOST_MEMORY, SAME_MEMORY, STREAMING_SHARE = 900e6, 1.1, 0.8
BYTES_A_ROW = 30 * 4


def streaming_lines(size: Size) -> Iterator[str]:
    """Yield the table of streaming beside data in memory."""
    part = size.streaming // 10
    with tempfile.TemporaryDirectory() as folder:
        small, large = Path(folder) / "part.parquet", Path(folder) / "whole.parquet"
        run_child("speed_streaming.py", "make", small, "--rows", part)
        run_child("speed_streaming.py", "make", large, "--rows", size.streaming)
        limit = ("--max-memory", min(size.max_memory, part * BYTES_A_ROW // 2))
        contestants: dict[str, Measurement] = {
            "array in memory": lambda _: run_child("speed_streaming.py", "hold", small),
            "Parquet, streamed": lambda _: run_child("speed_streaming.py", "stream", small, *limit),
        }
        outcomes = alternate(contestants, size.repetitions)
        whole = run_child("speed_streaming.py", "stream", large, "--max-memory", size.max_memory)
    yield f"### Streaming {size.streaming:,} rows of 30 float32 from Parquet"
    yield ""
    yield (
        f"`Autoencoder(latent_dim=3, hidden=(64, 32), max_epochs=1)`, max_memory={size.max_memory / 1e6:g} MB; one "
        f"pass, validation of a tenth in everybody's rate. Rates are compared in turn on {part:,} rows; the whole "
        "file is streamed once, freshly written and so in the page cache where that is large enough. Rows a second "
        "of the epoch, and of the whole of `fit`, which first learns the scale."
    )
    yield ""
    yield from header("what", "rows/s", "slowest to fastest", "rows/s of fit", "MSE", "peak memory")
    for name, measured in outcomes.items():
        yield _streaming_line(f"{part:,} rows, {name}", measured)
    yield _streaming_line(f"{size.streaming:,} rows, Parquet, streamed", [whole])
    yield from ("", *(f"- {line}" for line in _streaming_verdicts(outcomes, whole)), "")


def _streaming_line(name: str, measured: list[Outcome]) -> str:
    rates = [outcome["rate"] for outcome in measured]
    peak = max(outcome["peak"] for outcome in measured)
    cells = [name, *range_of(rates), f"{middle(measured, 'rate_of_fit'):,.0f}", f"{measured[0]['error']:.4f}"]
    return table_line(*cells, _megabytes(peak))


def _streaming_verdicts(outcomes: dict[str, list[Outcome]], whole: Outcome) -> Iterator[str]:
    held, streamed = (middle(measured, "rate") for measured in outcomes.values())
    share = streamed / held
    yield f"at least 0.8 of the rate in memory: {verdict(share, STREAMING_SHARE)} ({share:.2f})"
    whole_share = whole["rate"] / held
    yield f"the whole file, once, at {whole_share:.2f} of the rate in memory: {verdict(whole_share, STREAMING_SHARE)}"
    peak = whole["peak"]
    yield (
        f"at most 900 MB resident, imports included: {verdict(peak, MOST_MEMORY, least=False)} ({_megabytes(peak)})"
    )


def _megabytes(count: float) -> str:
    return f"{count / 1e6:.0f} MB"


@dataclass(frozen=True)
class Streamed:
    """Peak of memory of one stream, in bytes, its rate where it came to its end, and how that was measured."""

    peak: float
    rate: float | None
    how: str


def tenfold_lines(size: Size) -> Iterator[str]:
    """Yield how much memory streaming takes, and streaming ten times as much."""
    yield f"### Memory at {size.streaming:,} rows and at ten times as many"
    yield from ("", f"max_memory={size.max_memory / 1e6:g} MB; the network and the data of the row above.", "")
    yield from header("rows", "rows/s", "peak memory", "how")
    both = []
    for rows in (size.streaming, 10 * size.streaming):
        both.append(_memory_of_stream(rows, size))
        yield _tenfold_line(rows, both[-1])
    yield from ("", *(f"- {line}" for line in _tenfold_verdicts(*both)), "")


def _tenfold_line(rows: int, streamed: Streamed) -> str:
    rate = "-" if streamed.rate is None else f"{streamed.rate:,.0f}"
    return table_line(f"{rows:,}", rate, _megabytes(streamed.peak), streamed.how)


def _tenfold_verdicts(once: Streamed, tenfold: Streamed) -> Iterator[str]:
    ratio, most = tenfold.peak / once.peak, max(once.peak, tenfold.peak)
    met = "yes" if 1 / SAME_MEMORY <= ratio <= SAME_MEMORY else "no"
    caution = "; as far as it was run" if tenfold.rate is None else ""
    yield f"the same within 10 %: {met} ({ratio - 1:+.1%}{caution})"
    yield f"at most 900 MB resident: {verdict(most, MOST_MEMORY, least=False)} ({_megabytes(most)}{caution})"


def _memory_of_stream(rows: int, size: Size) -> Streamed:
    with tempfile.TemporaryDirectory() as folder:
        needed = 1.1 * rows * BYTES_A_ROW
        if shutil.disk_usage(folder).free < needed:
            raise SystemExit(f"{folder} needs {needed / 1e9:.0f} GB for {rows:,} rows; give fewer with --rows")
        path = Path(folder) / "rows.parquet"
        run_child("speed_streaming.py", "make", path, "--rows", rows)
        streaming = ("speed_streaming.py", "stream", path, "--max-memory", size.max_memory)
        if size.minutes is not None:
            return _sampled(command_of(*streaming), size.minutes)
        outcome = run_child(*streaming)
        return Streamed(outcome["peak"], outcome["rate"], "one whole pass")


def _sampled(command: list[str], minutes: float) -> Streamed:
    """Let a stream run for some minutes and look at its memory all the while."""
    peak, end = 0, time.monotonic() + 60 * minutes
    with tempfile.TemporaryFile("w+") as output, subprocess.Popen(command, stdout=output) as running:
        process = psutil.Process(running.pid)
        while running.poll() is None and time.monotonic() < end:
            with suppress(psutil.NoSuchProcess):
                peak = max(peak, process.memory_info().rss)
            time.sleep(0.1)
        finished = running.poll() is not None
        running.kill()
        if finished:
            return _at_its_end(command, running.returncode, output)
    how = f"the first {minutes:g} minutes only, scale and part of the pass; looked at ten times a second"
    return Streamed(peak, None, how)


def _at_its_end(command: list[str], status: int, output: IO[str]) -> Streamed:
    if status:
        raise SystemExit(f"streaming failed: {' '.join(command)}")
    output.seek(0)
    outcome = json.loads(output.read().splitlines()[-1])
    return Streamed(outcome["peak"], outcome["rate"], "one whole pass")
