"""The part ``speed`` of `compress.py`: megabytes a second on the fields, and seconds for 10,000 digits."""

from collections.abc import Callable
from statistics import median

import compress_digits_part
from compress_fields_part import TEMPERATURE, WAVES, all_fields, best
from compress_fields_peers import PEERS, Field
from compress_running import Settings, Trial, run_ours, said, talk, timed
from speed_running import header, table_line

ROUNDS = 5
BOUND = 1e-3
LEAST_RATE = 3.0
Rates = tuple[float, float]


def speed(settings: Settings) -> list[str]:
    """Return the tables."""
    return [*_fields(settings), "", *_digits(), "", _about()]


def _fields(settings: Settings) -> list[str]:
    lines = [*header(f"fields at {BOUND:.0e}", "who", "ratio", "MB/s there", "MB/s back", "setting")]
    verdicts = []
    for field in all_fields():
        if field.name not in (TEMPERATURE, WAVES):
            continue
        kept = [best(peer, field, BOUND) for peer in PEERS]
        rates = _rates(field, {each.peer: each.trial for each in kept})
        for each in kept:
            ratio = f"{field.coded.nbytes / each.size:.2f}"
            lines.append(table_line(field.name, each.peer, ratio, *_shown(rates[each.peer]), each.setting))
        if not settings.peers_only:
            more, judged = _ours(field)
            lines, verdicts = [*lines, *more], [*verdicts, *judged]
    return [*lines, *([""] if verdicts else []), *verdicts]


def _shown(rates: Rates) -> list[str]:
    return [f"{rate:.1f}" for rate in rates]


def _rates(field: Field, trials: dict[str, Trial]) -> dict[str, Rates]:
    """Return megabytes a second each way: medians of rounds in which everybody has a turn."""
    seconds: dict[str, list[Rates]] = {name: [] for name in trials}
    for number in range(ROUNDS):
        talk(f"round {number + 1} of {ROUNDS} on {field.name}")
        for name, trial in trials.items():
            blob, there = timed(trial.there)
            seconds[name].append((there, timed(_decoding(trial, blob))[1]))
    megabytes = field.coded.nbytes / 1e6
    return {
        name: (megabytes / median(there for there, _ in found), megabytes / median(back for _, back in found))
        for name, found in seconds.items()
    }


def _decoding(trial: Trial, blob: object) -> Callable[[], object]:
    return lambda: trial.back(blob)


def _ours(field: Field) -> tuple[list[str], list[str]]:
    """Return our line on a field, and the verdicts; the first round warms up and does not count."""
    found = [run_ours(field.learned, field.coded, max_error=BOUND * field.span) for _ in range(2)][-1]
    megabytes = field.coded.nbytes / 1e6
    rates = megabytes / found.there, megabytes / found.back
    learned = f"learned in {found.learning:.0f} s"
    lines = [
        table_line(field.name, name, f"{field.coded.nbytes / size:.2f}", *_shown(rates), learned)
        for name, size, _ in found.sizes()
    ]
    verdicts = [
        f"- {field.name}, {way}: {rate:.1f} MB/s, target at least {LEAST_RATE} "
        + said(rate >= LEAST_RATE, f"{LEAST_RATE - rate:.1f}")
        for way, rate in zip(("there", "back"), rates, strict=True)
    ]
    return lines, verdicts


def _digits() -> list[str]:
    """Return the peers' seconds for all test images; ours stand in the part ``digits``."""
    lines = [*header("10,000 digits without loss", "s there", "s back", "bits a pixel")]
    for name, (coded, pixels) in compress_digits_part.peers().items():
        times = compress_digits_part.images().size / pixels
        bits = f"{coded.size * 8 / pixels:.3f}"
        lines.append(table_line(name, f"{times * coded.there:.2f}", f"{times * coded.back:.2f}", bits))
    return lines


def _about() -> str:
    return (
        f"One thread; medians of {ROUNDS} rounds in turn on the fields, one run on the digits (files of single "
        "images scaled from every tenth). MB are 1e6 raw bytes. Ours on digits: the part `digits`."
    )
