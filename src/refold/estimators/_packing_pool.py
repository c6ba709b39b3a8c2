"""Blocks of an array packed one after the other, or several at once by other processes; the bytes are the same."""

import multiprocessing
import signal
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future, ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from contextlib import contextmanager
from typing import Any

from numpy.typing import NDArray

from refold.codec import Bound, Packed, pack, ways_of

Array = NDArray[Any]
Packing = Callable[[Iterable[Array], Bound, tuple[float, ...]], Iterator[tuple[Array, Packed]]]

_AHEAD = 2  # blocks a process that wait: more would only take memory


@contextmanager
def packing_by(processes: int, model: bytes) -> Iterator[Packing]:
    """Yield what packs blocks in their order, by the ways that need no model and by those of one.

    Parameters
    ----------
    processes : int
        1 packs in this one.
    model : bytes
        What was learned; may be nothing.
    """
    if processes < 2:
        ways = ways_of(model)
        yield lambda blocks, bound, fill: ((block, pack(block, bound, ways, fill)) for block in blocks)
        return
    context = multiprocessing.get_context("spawn")  # a fork of a process with threads may wait for ever
    others = set(multiprocessing.active_children())
    pool = ProcessPoolExecutor(processes, context, _begin, (model,))
    try:
        yield lambda blocks, bound, fill: _in_order(pool, processes * _AHEAD, blocks, bound, fill)
    except BrokenProcessPool as error:
        raise MemoryError(
            "a process that packed blocks was ended, perhaps for want of memory; pack in one process"
        ) from error
    except BaseException:  # nobody waits for what is no longer wanted
        for process in set(multiprocessing.active_children()) - others:
            process.terminate()
        raise
    finally:
        pool.shutdown(cancel_futures=True)


def _in_order(
    pool: ProcessPoolExecutor, ahead: int, blocks: Iterable[Array], bound: Bound, fill: tuple[float, ...]
) -> Iterator[tuple[Array, Packed]]:
    waiting: deque[tuple[Array, Future[Packed]]] = deque()
    for block in blocks:
        waiting.append((block, pool.submit(_pack, block, bound, fill)))
        if len(waiting) > ahead:
            first, packed = waiting.popleft()
            yield first, packed.result()
    for first, packed in waiting:
        yield first, packed.result()


# --- in the other processes ----------------------------------------------------------------------------------------

_known: dict[str, Any] = {}


def _begin(model: bytes) -> None:
    signal.signal(signal.SIGINT, signal.SIG_DFL)  # Ctrl-C ends it without a word
    _known["ways"] = ways_of(model)


def _pack(block: Array, bound: Bound, fill: tuple[float, ...]) -> Packed:
    return pack(block, bound, _known["ways"], fill)
