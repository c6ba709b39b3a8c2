"""What others make of the same data: lzma, zstd, and the ways that need no model."""

import bz2
import lzma
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from importlib import import_module
from importlib.util import find_spec
from math import ceil
from typing import Any

import numpy as np

from refold.codec import pack, ways_of
from refold.estimators import ArrayToPack

_MEASURED = 1 << 22  # bytes that others are measured on
_BLOCKS = 4  # that are packed twice, to see what a model saves


@dataclass(frozen=True)
class Peers:
    """How large the data would be by others, and the share that it was measured on."""

    sizes: dict[str, int]
    share: float


def peers_of(jobs: Sequence[ArrayToPack]) -> Peers:
    """Return what others make of arrays; of large ones measured on runs of records spread over all."""
    total = sum(job.records.nbytes for job in jobs)
    share = min(1.0, _MEASURED / max(total, 1))
    sizes = dict.fromkeys(_packers(), 0.0)
    measured = 0
    for job in jobs:
        if not job.records.nbytes:
            continue
        values = job.records.sample(max(1, int(job.records.size * share)) if share < 1 else job.records.size)
        content = np.ascontiguousarray(values).tobytes()
        measured += len(content)
        for name, packed in _packers().items():
            sizes[name] += len(packed(content)) * job.records.nbytes / len(content)
    return Peers({name: round(size) for name, size in sizes.items()}, min(1.0, measured / max(total, 1)))


def _packers() -> dict[str, Callable[[bytes], bytes]]:
    found: dict[str, Callable[[bytes], Any]] = {"lzma": lzma.compress, "bz2": bz2.compress}
    if find_spec("zstandard") is not None:
        found["zstd"] = import_module("zstandard").ZstdCompressor(level=19).compress
    return found


def some_blocks(job: ArrayToPack) -> list[int]:
    """Return the numbers of some blocks, spread over all."""
    count = ceil(len(job.records) / job.rows)
    return [int(place) for place in np.unique(np.linspace(0, count - 1, min(_BLOCKS, count)).astype(int))]


def share_of(job: ArrayToPack, places: Sequence[int]) -> float:
    """Return the share of all records that is in some blocks."""
    return sum(min(job.rows, len(job.records) - place * job.rows) for place in places) / max(len(job.records), 1)


def packed_bytes(job: ArrayToPack, places: Sequence[int], model: bytes) -> int:
    """Return the bytes of some blocks by a model, or without one."""
    bound, ways, size = job.within(), ways_of(model), 0
    for place in places:
        block = np.ascontiguousarray(job.records[place * job.rows : (place + 1) * job.rows])
        size += len(pack(block.astype(block.dtype.newbyteorder("<"), copy=False), bound, ways, job.fill).data)
    return size
