"""How the program talks: results on standard output, everything else on standard error, errors in one sentence."""

import contextlib
import json
import math
import os
import re
import sys
import warnings
from collections.abc import Callable, Iterator
from typing import Any

import typer

from refold._errors import ParameterError, RefoldError

DATA_AT_FAULT, WRONG_USAGE, INTERRUPTED = 1, 2, 130


def say(text: str) -> None:
    """Print a line on standard error."""
    typer.echo(text, err=True)


def answer(result: dict[str, Any]) -> None:
    """Print a result on standard output as JSON."""
    typer.echo(json.dumps(_strict(result), allow_nan=False))


def _strict(value: Any) -> Any:
    """Return a value without NaN and infinity, which JSON does not know."""
    if isinstance(value, dict):
        return {key: _strict(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [_strict(item) for item in value]
    return None if isinstance(value, float) and not math.isfinite(value) else value


@contextlib.contextmanager
def plain_errors() -> Iterator[None]:
    """Turn expected errors into one sentence and an exit code, and warnings into notes.

    The exit code is 1 where data or a model are at fault, 2 for wrong usage.
    """
    with warnings.catch_warnings():
        warnings.simplefilter("default")
        warnings.showwarning = _note  # type: ignore[assignment]
        try:
            yield
        except ParameterError as error:
            _stop(error, WRONG_USAGE)
        except BrokenPipeError:  # the reader of standard output has heard enough
            os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
            raise typer.Exit from None
        except (RefoldError, OSError, MemoryError) as error:
            _stop(error, DATA_AT_FAULT)
        except KeyboardInterrupt:
            say("interrupted; nothing was written")
            raise typer.Exit(INTERRUPTED) from None


def _stop(error: Exception, code: int) -> None:
    sentence = " ".join(str(error).split()) or type(error).__name__
    say(f"error: {_as_options(sentence)}")
    raise typer.Exit(code) from None


def _as_options(sentence: str) -> str:
    """Say in the program's words what the library says in Python's."""
    sentence = sentence.replace("image_size=(height, width)", "--image-size HEIGHTxWIDTH")
    sentence = re.sub(r"missing='(\w+)'", r"--missing \1", sentence)
    return re.sub(r"image_size=\((\d+), (\d+)\)", r"--image-size \1x\2", sentence)


def _note(message: Warning | str, category: type[Warning], *where: Any) -> None:
    if issubclass(category, UserWarning):
        say(f"note: {message}")


@contextlib.contextmanager
def reading_progress(quiet: bool) -> Iterator[Any]:
    """Yield a callable (done, total) that draws a bar on standard error while pictures are read."""
    from rich.console import Console
    from rich.progress import Progress

    if quiet or not sys.stderr.isatty():
        yield None
        return
    with Progress(console=Console(file=sys.stderr), transient=True) as bar:
        task = bar.add_task("reading", total=None)
        yield lambda done, total: bar.update(task, completed=done, total=total)


@contextlib.contextmanager
def working_progress(total: int, quiet: bool) -> Iterator[Callable[[int], None]]:
    """Yield a callable that is told of finished records and draws a bar on standard error."""
    from rich.console import Console
    from rich.progress import Progress

    if quiet or not sys.stderr.isatty():
        yield lambda done: None
        return
    with Progress(console=Console(file=sys.stderr), transient=True) as bar:
        task = bar.add_task("working", total=total)
        yield lambda done: bar.advance(task, done)


@contextlib.contextmanager
def bytes_progress(total: int, quiet: bool) -> Iterator[Callable[[int], None]]:
    """Yield a callable that is told of finished bytes and draws a bar with MB/s on standard error."""
    from rich.console import Console
    from rich.progress import BarColumn, DownloadColumn, Progress, TimeRemainingColumn, TransferSpeedColumn

    if quiet or not sys.stderr.isatty():
        yield lambda done: None
        return
    columns = BarColumn(), DownloadColumn(), TransferSpeedColumn(), TimeRemainingColumn()
    with Progress(*columns, console=Console(file=sys.stderr), transient=True) as bar:
        task = bar.add_task("", total=float(total))
        yield lambda done: bar.advance(task, done)
