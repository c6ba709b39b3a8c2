"""What others make of the same data: lzma, zstd, and the ways that need no model."""

import bz2
import lzma
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from importlib import import_module
from importlib.util import find_spec
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


def sampled_plainly(job: ArrayToPack, model: bytes) -> tuple[int, int, float]:
    """Return the bytes of some blocks without a model and with it, and the share of all records that these are."""
    starts = np.arange(0, len(job.records), job.rows)
    some = starts[np.unique(np.linspace(0, len(starts) - 1, min(_BLOCKS, len(starts))).astype(int))]
    bound, plain, learned, rows = job.within(), 0, 0, 0
    for start in map(int, some):
        block = np.ascontiguousarray(job.records[start : start + job.rows])
        block = block.astype(block.dtype.newbyteorder("<"), copy=False)
        plain += len(pack(block, bound, ways_of(b""), job.fill).data)
        learned += len(pack(block, bound, ways_of(model), job.fill).data)
        rows += len(block)
    return plain, learned, rows / max(len(job.records), 1)
