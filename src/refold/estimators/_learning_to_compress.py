"""What a compressor learns from: which kind of network suits the data, and its training."""

from collections.abc import Callable
from math import prod
from typing import Any

import numpy as np
from numpy.typing import NDArray

from refold.codec import FIELD, PICTURES, TABLE, Bound, LearnedWay, find_specials, unbroken, ways_of, whole_of
from refold.train import RasterPlan, learn_columns, learn_lattice, learn_raster

Array = NDArray[Any]
Told = Callable[[int, int], None]

_MOST_LEVELS, _LARGEST_PICTURE = 256, 1 << 14  # pixels
_WIDEST = 512  # columns of a table
_LOOKED_AT = 1 << 16  # values by which tables and fields are told apart


def learned_ways(
    values: Array, bound: Bound, fill: tuple[float, ...], seed: int, epochs: int | None, told: Told | None
) -> dict[int, LearnedWay]:
    """Return the ways that were learned from values (n, ...), by the numbers that stand for them in files."""
    specials = find_specials(values, fill)
    if specials is None:
        return {}
    gapless = unbroken(values, specials.known)
    whole = whole_of(gapless, specials.known, bound)
    if whole is None:
        return {}
    true = whole.true(gapless)
    kind = kind_of(true, specials.known, whole.shift)
    return {kind: _LEARNING[kind](true, specials.known, whole.shift, seed, epochs, told)}


def kind_of(true: Array, known: Array, shift: int) -> int:
    """Return what kind of data numbers are: pictures, a table, or a field, whose neighbours are alike.

    A picture has whole numbers of 0 to 255; whether an array of two axes is a table is seen from which of the plain
    ways is shorter.
    """
    small = shift == 0 and known.all() and true.min() >= 0 and true.max() < _MOST_LEVELS
    if true.ndim >= 3 and small and len(true) > 1 and prod(true.shape[1:]) <= _LARGEST_PICTURE and true.max() > 0:
        return PICTURES
    if true.ndim == 2 and true.shape[1] <= _WIDEST and _is_table(true, known, shift):
        return TABLE
    return FIELD


def _is_table(true: Array, known: Array, shift: int) -> bool:
    from refold.codec import BitWriter

    rows = max(1, _LOOKED_AT // true.shape[1])
    sizes = {}
    for name, way in ways_of(b"").items():
        if not way.applies(true.shape, shift):
            continue
        writer = BitWriter()
        way.code(writer, known[:rows], shift, true[:rows])
        sizes[name] = len(writer.to_bytes())
    return min(sizes, key=lambda name: sizes[name]) == 18


def _field(true: Array, known: Array, shift: int, seed: int, epochs: int | None, told: Told | None) -> LearnedWay:
    return learn_lattice(true.astype(np.float64), known, shift, seed, told)


def _pictures(true: Array, known: Array, shift: int, seed: int, epochs: int | None, told: Told | None) -> LearnedWay:
    plan = RasterPlan.default(true.size)
    if epochs is not None:
        plan = RasterPlan(epochs, plan.hidden)
    tell = None if told is None else lambda share, bits: told(int(1000 * share), 1000)
    return learn_raster(true.astype(np.int64), seed=seed, plan=plan, tell=tell)


def _table(true: Array, known: Array, shift: int, seed: int, epochs: int | None, told: Told | None) -> LearnedWay:
    return learn_columns(true, seed, shift)


_LEARNING = {FIELD: _field, PICTURES: _pictures, TABLE: _table}
