"""``make bench-compress``: bytes after `Compressor`, beside the codecs that people use, in the same run.

Digits without loss and with the same loss, fields with a promised largest error, data that nothing can be learned of,
tables, and speed. Every peer has the best of its settings, and whatever it coded is decoded and compared. Ours is
counted twice: with the model shared, and with all that a reader needs in the file (the model inside where that
pays). Prints the tables and writes
``benchmarks/RESULTS.md``, a section for every part; ``--only`` runs some. ``--peers-only`` leaves our own codec out
and writes nothing.
"""

import argparse
import os
import time
from collections.abc import Callable
from dataclasses import dataclass

os.environ.update(OMP_NUM_THREADS="1", OPENBLAS_NUM_THREADS="1")

import compress_digits_part
import compress_fields_part
import compress_lossy_part
import compress_speed_part
import compress_tables_part
import compress_worst_part
import torch
from compress_running import Settings, talk
from results import write_section

import refold


@dataclass(frozen=True)
class Part:
    """What is measured."""

    title: str
    measure: Callable[[Settings], list[str]]


PARTS = {
    "digits": Part("digits without loss", compress_digits_part.digits),
    "lossy": Part("digits at the same error", compress_lossy_part.lossy),
    "fields": Part("fields with a largest error", compress_fields_part.fields),
    "worst": Part("data that nothing can be learned of", compress_worst_part.worst),
    "tables": Part("tables without loss", compress_tables_part.tables),
    "speed": Part("speed", compress_speed_part.speed),
}


def main() -> None:
    """Run the tables."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--only", choices=tuple(PARTS), nargs="+", metavar="PART", help=", ".join(PARTS))
    parser.add_argument("--peers-only", action="store_true", help="without our own codec; writes nothing")
    options = parser.parse_args()
    if not options.peers_only and not hasattr(refold, "Compressor"):
        raise SystemExit("this refold has no Compressor to measure: add --peers-only, or install one that has")
    torch.set_num_threads(1)
    for name in options.only or PARTS:
        run(name, Settings(options.peers_only))


def run(name: str, settings: Settings) -> None:
    """Print the tables of a part, and write them if ours stands beside the peers."""
    talk(f"part {name}")
    start = time.perf_counter()
    lines = [*PARTS[name].measure(settings), "", f"Measured in {(time.perf_counter() - start) / 60:.1f} minutes."]
    print("", *lines, sep="\n", flush=True)
    if not settings.peers_only:
        command = f"python benchmarks/compress.py --only {name}, or make bench-compress"
        write_section(f"compress-{name}", f"Compression: {PARTS[name].title}", command, lines)


if __name__ == "__main__":
    main()
