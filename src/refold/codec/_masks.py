"""Masks: where there are values. Every place in the context of its neighbours and of the mask before it.

The places of a wave, which runs slanted through rows and slices, do not stand in one another's context: they are
coded at once. What was counted in a large context begins from what was counted in a smaller one. A slice that is as
the one before it takes one decision.
"""

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from refold.codec._bits import CERTAIN, Coder

Array = NDArray[Any]

_ROW, _SLICE = 3, 6  # by how many columns a wave is behind in the next row, in the next slice
_PLACES = (  # slices back, rows down, columns right: the nearest first
    (0, 0, -1), (0, -1, 0), (1, 0, 0), (0, -1, -1), (0, -1, 1),
    (0, 0, -2), (0, -2, 0), (1, 0, 1), (1, 1, 0), (0, -1, 2),
    (0, -1, -2), (0, -2, -1), (0, -2, 1), (1, 0, -1), (1, -1, 0), (0, 0, -3),
)  # fmt: skip
_CONTEXTS = (5, 10, len(_PLACES))  # how many of them
_TRUST = 2  # decisions that the smaller context is worth
_MOST_COUNTED = 1 << 12
_MARGIN = 3
_EVEN = np.array([CERTAIN // 2])


def code_mask(coder: Coder, shape: tuple[int, ...], mask: Array | None = None) -> Array:
    """Write or read an array of bool.

    Parameters
    ----------
    coder : BitWriter or BitReader
    shape : tuple of int
    mask : ndarray, bool, optional
        For the writer.

    Returns
    -------
    ndarray, bool
        The mask.
    """
    said = None if mask is None else np.asarray(mask, bool)
    if not np.prod(shape):
        return np.zeros(shape, bool)
    if _ask(coder, None if said is None else bool((said == said.flat[0]).all())):
        return np.full(shape, _ask(coder, None if said is None else bool(said.flat[0])))
    count, height, width = (1, *(1,) * (2 - len(shape)), *shape) if len(shape) < 3 else _flat(shape)
    slices = None if said is None else said.reshape(count, height, width)
    same = np.zeros(count - 1, bool) if slices is None else (slices[1:] == slices[:-1]).all((1, 2))
    same = _code_changes(coder, same)
    source = np.concatenate([[0], np.cumsum(~same)])
    different = None if slices is None else slices[np.concatenate([[True], ~same])]
    found = _Waves(coder, (int(source[-1]) + 1, height, width), different).run()
    return np.asarray(found[source].reshape(shape))


def _flat(shape: tuple[int, ...]) -> tuple[int, int, int]:
    return int(np.prod(shape[:-2])), shape[-2], shape[-1]


def _ask(coder: Coder, said: bool | None) -> bool:
    return bool(coder.decide(_EVEN, None if said is None else np.array([said]))[0])


def _code_changes(coder: Coder, same: Array) -> Array:
    """Write or read which slices are as the one before, in growing parts whose chance is that of those before."""
    found, start = np.zeros(len(same), bool), 0
    while start < len(same):
        end = 2 * start + 1
        yes = int(found[:start].sum())
        chance = min(max((2 * yes + 1) * CERTAIN // (2 * start + 2), 1), CERTAIN - 1)
        part = same[start:end]
        found[start:end] = coder.decide(np.full(len(part), chance), part)
        start = end
    return found


@dataclass
class _Waves:
    coder: Coder
    shape: tuple[int, int, int]
    true: Array | None

    def __post_init__(self) -> None:
        self.counts = [np.zeros((2, 1 << bits), np.int64) for bits in _CONTEXTS]

    def run(self) -> Array:
        """Return the mask."""
        count, height, width = self.shape
        wide = np.zeros((count + 1, height + 2 * _MARGIN, width + 2 * _MARGIN), np.int64)
        grid = wide.shape
        inner = (slice(1, None), slice(_MARGIN, -_MARGIN), slice(_MARGIN, -_MARGIN))
        if self.true is not None:
            true = np.zeros(grid, bool)
            true[inner] = self.true
        flat = wide.reshape(-1)
        steps = np.array([(-back * grid[1] + down) * grid[2] + right for back, down, right in _PLACES])
        powers = 1 << np.arange(len(_PLACES))
        for at in _waves(self.shape, grid):
            contexts = flat[at[:, None] + steps] @ powers
            bits = self._decide(contexts, None if self.true is None else true.reshape(-1)[at])
            flat[at] = bits
        return np.asarray(wide[inner] > 0)

    def _decide(self, contexts: Array, bits: Array | None) -> Array:
        chances = np.full(len(contexts), CERTAIN // 2)
        rows = [contexts & (counts.shape[1] - 1) for counts in self.counts]
        for row, counts in zip(rows, self.counts, strict=True):
            no, yes = counts[:, row]
            chances = (yes * CERTAIN + _TRUST * chances) // (no + yes + _TRUST)
        found = self.coder.decide(np.clip(chances, 32, CERTAIN - 32), bits)
        for row, counts in zip(rows, self.counts, strict=True):
            np.add.at(counts, (found.astype(np.int64), row), 1)
            if len(full := np.unique(row[counts[:, row].sum(0) > _MOST_COUNTED])):
                counts[:, full] >>= 1
        return found


def _waves(shape: tuple[int, int, int], grid: tuple[int, ...]) -> list[Array]:
    """Return the places of every wave, in the grid with margins, flattened."""
    slices, rows, columns = np.ogrid[: shape[0], : shape[1], : shape[2]]
    when = (columns + _ROW * rows + _SLICE * slices).reshape(-1)
    places = ((slices + 1) * grid[1] + rows + _MARGIN) * grid[2] + columns + _MARGIN
    order = np.argsort(when, kind="stable")
    return np.split(places.reshape(-1)[order], np.cumsum(np.bincount(when))[:-1])
