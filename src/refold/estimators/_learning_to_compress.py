"""What a compressor learns from: which kind of network suits the data, and its training."""

from collections.abc import Callable
from math import prod
from typing import Any

import numpy as np
from numpy.typing import NDArray

from refold.codec import (
    FIELD,
    PICTURES,
    TABLE,
    BitWriter,
    Bound,
    LatticeWay,
    LearnedWay,
    PlainColumns,
    coarse,
    find_specials,
    unbroken,
    whole_of,
)
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
    rounded = coarse(whole)
    kind = kind_of(rounded.true(gapless), specials.known)
    form = whole if kind == FIELD else rounded
    return {kind: _LEARNING[kind](form.true(gapless), specials.known, form.shift, seed, epochs, told)}


def kind_of(true: Array, known: Array) -> int:
    """Return what kind of data numbers are: pictures, a table, or a field, whose neighbours are alike.

    A picture has whole numbers of 0 to 255; whether an array of two axes is a table is seen from which of the plain
    ways is shorter.
    """
    small = known.all() and true.min() >= 0 and true.max() < _MOST_LEVELS
    if true.ndim >= 3 and small and len(true) > 1 and prod(true.shape[1:]) <= _LARGEST_PICTURE and true.max() > 0:
        return PICTURES
    if true.ndim == 2 and true.shape[1] <= _WIDEST and _is_table(true, known):
        return TABLE
    return FIELD


def _is_table(true: Array, known: Array) -> bool:
    rows = max(1, _LOOKED_AT // max(true.shape[1], 1))
    sizes = []
    for way in (PlainColumns(), LatticeWay()):
        writer = BitWriter()
        way.code(writer, known[:rows], 0, true[:rows])
        sizes.append(len(writer.to_bytes()))
    return sizes[0] < sizes[1]


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
