"""The records of a fit: surveyed in one pass, split into those to train on and those held out."""

import hashlib
from collections.abc import Callable, Iterable, Iterator
from contextlib import closing
from dataclasses import dataclass
from math import prod
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from refold.data import Source, Stream, prefetched
from refold.nets import Moments
from refold.train import Batches, InMemory, Streamed, without

Array = NDArray[Any]
Places = NDArray[np.intp]
Check = Callable[[Array, int], None]

_MOST_SAMPLED = 5_000
_MOST_SAMPLED_VALUES = 1 << 27
_MOST_HELD_OUT = 100_000  # of a stream: more would not make the error surer
_FEWEST_SAMPLED = 64
_SAMPLING = 1  # the stream of random numbers that the sample is drawn from
_SHARE_HELD_OUT, _SHARE_BUFFER, _SHARE_CHUNK, _SHARE_SAMPLE = 8, 4, 32, 64  # a stream's parts of the memory
_LARGEST_BUFFER, _LARGEST_CHUNK = 1 << 27, 1 << 24  # bytes


@dataclass(frozen=True)
class Survey:
    """What one pass learned of the records.

    Parameters
    ----------
    moments : Moments
        Of the values of the records to train on.
    missing : ndarray of bool
        Columns of rows in which a cell is missing in any record, held out or not, so that the width of the network
        does not hang on the draw; shape () for pictures.
    sample : ndarray of shape (k, *record)
        Some of the records to train on, all of them where they are few.
    """

    moments: Moments
    missing: NDArray[np.bool_]
    sample: Array


@dataclass(frozen=True)
class Records:
    """The records of a fit.

    Parameters
    ----------
    survey : Survey
    size : int
        Number of records to train on.
    held_out : ndarray of shape (k, *record)
        Records that are not trained on, encoded; perhaps none.
    held_out_places : ndarray of int
        Where they stand among all, sorted.
    deal : callable
        From a device, and where the codes of all records should be, if they have such places, to the batches to train
        on.
    digest : str
        Of all records, in their order.
    way_of_reading : dict of str to int
        What the order of the batches hangs on besides the seed, where records are on disk.
    """

    survey: Survey
    size: int
    held_out: Array
    held_out_places: Places
    deal: Callable[[torch.device, Array | None], Batches]
    digest: str
    way_of_reading: dict[str, int]


def records_in_memory(numbers: Array, fraction: float, seed: int) -> Records:
    """Return the records of encoded numbers, which are not copied."""
    size = len(numbers)
    held_out = draw_held_out(size, fraction, seed)
    training = np.delete(np.arange(size), held_out)
    rows = _rows_of_a_chunk(numbers.nbytes // size)
    parts = (numbers[start : start + rows] for start in range(0, size, rows))
    survey, _, digest = _survey(parts, size, held_out, seed, _MOST_SAMPLED_VALUES)
    return Records(
        survey,
        len(training),
        numbers[held_out],
        held_out,
        lambda device, places: InMemory(numbers, device, training, places),
        digest,
        {},
    )


def records_on_disk(
    stream: Stream, encode: Callable[[Any], Array], check: Check, fraction: float, seed: int, memory: int
) -> Records:
    """Return the records of a stream; it is read once now and once for every epoch.

    Parameters
    ----------
    stream : Stream
    encode : callable
        From records as the stream gives them to numbers.
    check : callable
        Refuses numbers that cannot be learned from; gets them with the place of the first one.
    fraction : float
        Share to hold out, at most 100,000 records.
    seed : int
    memory : int
        Bytes for all records that are held at once.
    """
    record_bytes = encode(stream.head).nbytes // len(stream.head)
    most = min(_MOST_HELD_OUT, max(1, memory // _SHARE_HELD_OUT // record_bytes))
    held_out = draw_held_out(stream.size, fraction, seed, most)
    chunks = stream.chunks(_rows_of_a_chunk(stream.record_bytes, memory))
    encoded = (encode(chunk.values) for chunk in chunks)
    with closing(prefetched(encoded)) as parts:
        most_sampled = min(_MOST_SAMPLED_VALUES, memory // _SHARE_SAMPLE)
        survey, kept, digest = _survey(_checked(parts, check), stream.size, held_out, seed, most_sampled)
    buffer = min(_LARGEST_BUFFER, memory // _SHARE_BUFFER) // record_bytes
    return Records(
        survey,
        stream.size - len(held_out),
        kept,
        held_out,
        lambda device, _: Streamed(stream.pieces, encode, record_bytes, held_out, device, buffer),
        digest,
        {"records in the buffer": buffer},
    )


def draw_held_out(size: int, fraction: float, seed: int, most: int | None = None) -> Places:
    """Return the places of held-out records, sorted; none where the share is under one, never all.

    Examples
    --------
    >>> len(draw_held_out(100, 0.1, seed=0)), len(draw_held_out(100, 0.1, seed=0, most=4))
    (10, 4)
    """
    count = min(int(size * fraction), size - 1, size if most is None else most)
    return np.sort(np.random.default_rng(seed).choice(size, count, replace=False))


def chunk_rows(opened: Source | Stream, memory: int) -> int:
    """Return how many records to encode at once: all of those in memory, few of those on disk."""
    return opened.size if isinstance(opened, Source) else _rows_of_a_chunk(opened.record_bytes, memory)


def _rows_of_a_chunk(record_bytes: int, memory: int = _LARGEST_CHUNK * _SHARE_CHUNK) -> int:
    return max(1, min(_LARGEST_CHUNK, memory // _SHARE_CHUNK) // max(record_bytes, 1))


def _checked(chunks: Iterable[Array], check: Check) -> Iterator[Array]:
    start = 0
    for numbers in chunks:
        check(numbers, start)
        yield numbers
        start += len(numbers)


def _survey(
    parts: Iterable[Array], size: int, held_out: Places, seed: int, most_sampled: int
) -> tuple[Survey, Array, str]:
    """Return what one pass over all records learns, the held-out ones, and a digest of all."""
    digest = hashlib.sha256()
    looked_at: Places | None = None
    moments: list[Moments] = []
    missing: list[Moments] = []
    samples: list[Array] = []
    kept: list[Array] = []
    start = 0
    for part in parts:
        if looked_at is None:
            looked_at = _sampled_places(size, most_sampled // prod(part.shape[1:]), held_out, seed)
            digest.update(f"{part.dtype} {part.shape[1:]} {size}".encode())
        digest.update(np.ascontiguousarray(part).data)
        training = without(part, held_out, start)
        held = part[_inside(held_out, start, len(part))]
        moments = [_together(moments, training)] if len(training) else moments
        missing = [_together(missing, held)] if len(held) else missing
        samples.append(part[_inside(looked_at, start, len(part))])
        kept.append(held)
        start += len(part)
    total = moments[0]
    anywhere = (total.missing + (missing[0].missing if missing else 0)) > 0
    return (
        Survey(total, anywhere & (total.mean.ndim > 0), np.concatenate(samples)),
        np.concatenate(kept),
        digest.hexdigest(),
    )


def _together(moments: list[Moments], part: Array) -> Moments:
    return moments[0].merged(Moments.of(part)) if moments else Moments.of(part)


def _sampled_places(size: int, most: int, held_out: Places, seed: int) -> Places:
    count = min(size, _MOST_SAMPLED, max(_FEWEST_SAMPLED, most))
    # another stream than the one that drew the held-out records: it would draw the same ones
    drawn = np.random.default_rng((seed, _SAMPLING)).choice(size, count, replace=False)
    return np.setdiff1d(drawn, held_out)


def _inside(places: Places, start: int, count: int) -> Places:
    """Return those of sorted `places` that lie in `count` records from `start` on, counted from there."""
    first, last = np.searchsorted(places, (start, start + count))
    return places[first:last] - start
