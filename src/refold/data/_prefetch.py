"""Work ahead: a thread makes the next items while the last one is used."""

from collections.abc import Generator, Iterator
from queue import SimpleQueue
from threading import Event, Semaphore, Thread
from typing import Generic, TypeVar

T = TypeVar("T")


class _End:
    """What comes after the last item: the error that stopped the work, if any."""

    def __init__(self, error: BaseException | None) -> None:
        self.error = error


class _Ahead(Generic[T]):
    """A thread that takes items from an iterator, at most `depth` more than were asked for."""

    def __init__(self, items: Iterator[T], depth: int) -> None:
        self._items, self._made = items, SimpleQueue[T | _End]()
        self._space, self._stopped = Semaphore(depth), Event()
        self._thread = Thread(target=self._work, name="refold-prefetch", daemon=True)
        self._thread.start()

    def take(self) -> T | _End:
        made = self._made.get()
        self._space.release()
        return made

    def stop(self) -> None:
        self._stopped.set()
        self._space.release()
        self._thread.join()

    def _work(self) -> None:
        try:
            self._make()
        except BaseException as error:
            self._made.put(_End(error))
        else:
            self._made.put(_End(None))

    def _make(self) -> None:
        try:
            while self._space.acquire() and not self._stopped.is_set():
                self._made.put(next(self._items))
        except StopIteration:
            pass
        finally:
            if isinstance(self._items, Generator):
                self._items.close()


def prefetched(items: Iterator[T], depth: int = 2) -> Generator[T]:
    """Yield the items of an iterator, made by a thread that is at most `depth` items ahead.

    The thread starts with the first item asked for. It ends with the last item, with an error, which is raised here
    in its turn, or when this generator is closed; the iterator is closed with it.

    Parameters
    ----------
    items : iterator
        Used by the thread alone from now on.
    depth : int, default 2
        At least 1.

    Yields
    ------
    item : object

    Examples
    --------
    >>> list(prefetched(iter("abc")))
    ['a', 'b', 'c']
    """
    ahead = _Ahead(items, depth)
    try:
        while not isinstance(made := ahead.take(), _End):
            yield made
            del made  # else the consumer's item lives on while the next one is awaited
        if made.error is not None:
            raise made.error
    finally:
        ahead.stop()
