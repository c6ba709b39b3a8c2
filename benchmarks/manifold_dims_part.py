"""The part ``dims`` of `manifold.py`: how small a code can be, where the answer is known or can be judged."""

import time
from collections.abc import Callable

import numpy as np
from manifold_fit import find_images
from manifold_methods import Array, Settings
from sklearn.datasets import load_digits
from speed_running import header, table_line

import refold

MNIST_ROWS, ROWS = 20_000, 2_000


def sizes(settings: Settings) -> list[str]:
    """Return the table, a line for each set of data."""
    lines = [*header("data", "numbers of a record", "TwoNN", "likelihood", "recommended", "said", "s")]
    for name, load in _data(settings).items():
        records = load()
        start = time.process_time()
        found = refold.code_sizes(records, random_state=settings.seeds[0])
        seconds = f"{time.process_time() - start:.0f}"
        intrinsic = (f"{found.two_nearest:.1f}", f"{found.likeliest:.1f}")
        lines.append(table_line(name, found.columns, *intrinsic, found.recommended, found.sentence, seconds))
        print(lines[-1], flush=True)
    return [
        *lines,
        "",
        "TwoNN and likelihood (Levina and Bickel) estimate the intrinsic dimension; s are the processor's.",
    ]


def _data(settings: Settings) -> dict[str, Callable[[], Array]]:
    rng = np.random.default_rng(0)
    plane = rng.normal(size=(ROWS, 5)) @ rng.normal(size=(5, 50))
    return {
        "a plane of 5 dimensions in 50": lambda: plane,
        "the same with noise of 0.1": lambda: plane + 0.1 * rng.normal(size=plane.shape),
        "the same with noise of 0.5": lambda: plane + 0.5 * rng.normal(size=plane.shape),
        "noise, 20 columns": lambda: rng.normal(size=(ROWS, 20)),
        "noise, 50 columns": lambda: rng.normal(size=(ROWS, 50)),
        "digits of 8x8": lambda: load_digits().images,
        f"MNIST, {MNIST_ROWS:,} images": lambda: find_images(settings.rows or MNIST_ROWS).train,
    }
