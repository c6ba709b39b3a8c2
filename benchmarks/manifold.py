"""``make bench-manifold``: codes of two and three numbers that keep neighbours, beside UMAP, PaCMAP, t-SNE and PCA.

MNIST: every method learns from the 60,000 training images, and everything is measured on the 10,000 test images put
in by ``transform``. The other parts are about data that are no digits, sheets that are rolled up, ways between
records, and how small a code can be. All methods run with their defaults and one thread; seconds are those of the
processor. Prints the tables and writes ``benchmarks/RESULTS.md``, a section for every part; ``--only`` runs some.

``--cache FOLDER`` keeps codes and models of MNIST: methods named by ``--methods`` are learned again, the table shows
all that is there. With ``--rows`` everything is a trial on fewer records, and nothing is written.
"""

import argparse
import os
import tempfile
import time
import warnings
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

os.environ.update(OMP_NUM_THREADS="1", NUMBA_NUM_THREADS="1", OPENBLAS_NUM_THREADS="1")

import manifold_dims_part
import manifold_gains_part
import manifold_mnist_part
import manifold_rolls_part
import manifold_ways_part
import torch
from manifold_methods import MNIST_METHODS, Settings
from results import write_section


@dataclass(frozen=True)
class Part:
    """What is measured, and with which seeds where none are named."""

    title: str
    measure: Callable[[Settings], list[str]]
    seeds: tuple[int, ...] = (0,)


PARTS = {
    "mnist": Part("MNIST beside other maps", manifold_mnist_part.maps_of_mnist),
    "gains": Part("neighbours kept in data that are not MNIST", manifold_gains_part.gains, (0, 1, 2)),
    "rolls": Part("sheets laid out flat", manifold_rolls_part.rolls, (0, 1, 2, 3, 4)),
    "ways": Part("ways between digits", manifold_ways_part.ways),
    "dims": Part("how small the code can be", manifold_dims_part.sizes),
}


def main() -> None:
    """Run the tables."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--only", choices=tuple(PARTS), nargs="+")
    parser.add_argument("--methods", type=_methods, help=f"learned again, some of {','.join(MNIST_METHODS)}")
    parser.add_argument("--dims", type=_numbers, default=(2, 3), help="numbers of a code, such as 2,3")
    parser.add_argument("--seeds", type=_numbers, help="such as 0,1,2")
    parser.add_argument("--rows", type=int, help="records at most, for trials")
    parser.add_argument("--cache", type=Path, help="where codes and models are kept; else they are thrown away")
    parser.add_argument("--measure", action="store_true", help="measure again what is in the cache")
    options = parser.parse_args()
    torch.set_num_threads(1)
    with tempfile.TemporaryDirectory() as passing, warnings.catch_warnings():
        warnings.simplefilter("ignore")
        for name in options.only or PARTS:
            seeds = options.seeds or PARTS[name].seeds
            cache = options.cache or Path(passing)
            run(name, Settings(options.methods, options.dims, seeds, options.rows, cache, options.measure))


def run(name: str, settings: Settings) -> None:
    """Print the tables of a part, and write them if they are of all records."""
    start = time.perf_counter()
    lines = [*PARTS[name].measure(settings), "", f"Measured in {(time.perf_counter() - start) / 60:.1f} minutes."]
    print("", *lines, sep="\n", flush=True)
    if settings.rows is None:
        command = f"python benchmarks/manifold.py --only {name}, or make bench-manifold"
        write_section(f"manifold-{name}", f"Manifolds: {PARTS[name].title}", command, lines)


def _methods(text: str) -> tuple[str, ...]:
    names = tuple(text.split(","))
    for name in names:
        if name not in MNIST_METHODS:
            raise argparse.ArgumentTypeError(f"{name!r} is not known; allowed are {', '.join(MNIST_METHODS)}")
    return names


def _numbers(text: str) -> tuple[int, ...]:
    return tuple(int(number) for number in text.split(","))


if __name__ == "__main__":
    main()
