"""Ctrl-C that lets a step be finished."""

import signal
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from types import FrameType


@contextmanager
def first_interrupt(asked: Callable[[], None]) -> Iterator[None]:
    """Call `asked` on the first Ctrl-C, which ends a training between two steps; the second is an ordinary one.

    Outside the main thread Ctrl-C is left as it is.
    """
    times = 0

    def note(number: int, frame: FrameType | None) -> None:
        nonlocal times
        times += 1
        if times > 1:
            raise KeyboardInterrupt
        asked()

    if threading.current_thread() is not threading.main_thread():
        yield
        return
    before = signal.signal(signal.SIGINT, note)
    try:
        yield
    finally:
        signal.signal(signal.SIGINT, before if before is not None else signal.default_int_handler)
