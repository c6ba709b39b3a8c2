"""A bar for work that is no training of epochs."""

import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from rich.console import Console
from rich.progress import BarColumn, Progress, TextColumn, TimeRemainingColumn

Told = Callable[[int, int], None]


@contextmanager
def working_bar(
    rounds: int, shown: bool, text: str = "learning what is normal"
) -> Iterator[Callable[[int], Told | None]]:
    """Draw a bar on standard error over several rounds of work.

    Parameters
    ----------
    rounds : int
    shown : bool
        Without it nothing is drawn.
    text : str
        What is going on.

    Yields
    ------
    bar : callable
        From the number of a round, counted from 0, to a callable that is told of parts done and parts in all; or to
        None where nothing is drawn.
    """
    if not shown:
        yield lambda turn: None
        return
    columns = TextColumn(text), BarColumn(), TimeRemainingColumn()
    with Progress(*columns, console=Console(file=sys.stderr), transient=True) as progress:
        task = progress.add_task("", total=float(rounds))

        def bar(turn: int) -> Told:
            return lambda done, total: progress.update(task, completed=turn + done / max(total, 1))

        yield bar
