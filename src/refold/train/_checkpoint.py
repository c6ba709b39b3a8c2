"""A training on disk, so that a process may be killed at any instant and `fit` goes on bit for bit."""

import os
import time
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

from refold._errors import CheckpointError, ModelFileError
from refold.files import ModelFile, read_model_file, write_tensor_file
from refold.train._history import History
from refold.train._run import Run, Snapshot

_KIND = "Checkpoint"
_MOST_THREADS = 1024
_DEAREST = 60  # a checkpoint is written at most every 60 times as long as the last one took: under 2 % of the time


class Checkpoint:
    """A file that holds an unfinished training.

    Parameters
    ----------
    path : path-like
    seconds : float
        Time between two writes; longer where writing takes long, so that it costs under 2 % of the time.
    identity : mapping of str to JSON value
        What the training is of, by names that a sentence can use ("data", "parameters", ...). A checkpoint in which
        one of them differs is refused.

    Attributes
    ----------
    resumed : bool
        Whether `resume` found something.
    """

    def __init__(self, path: str | os.PathLike[str], seconds: float, identity: Mapping[str, Any]) -> None:
        self.path = Path(path)
        self.resumed = False
        self._seconds = self._wait = seconds
        self._identity = dict(identity)
        self._written = time.perf_counter()

    def is_due(self, now: float) -> bool:
        """Say whether the next write is due."""
        return now - self._written >= self._wait

    def write(self, run: Run, history: History | None = None) -> None:
        """Write the training as it is between two steps; with a history, as one that has ended."""
        start = time.perf_counter()
        snapshot = run.snapshot()
        header = {
            "identity": self._identity,
            "threads": run.placement.threads,
            "values": snapshot.values,
            "stopped": history.stopped if history else None,
        }
        write_tensor_file(ModelFile(_KIND, header, snapshot.tensors), self.path)
        self._written = time.perf_counter()
        self._wait = max(self._seconds, _DEAREST * (self._written - start))

    def resume(self, run: Run) -> History | None:
        """Let `run` go on from the file, if there is one; return the history of a training that has ended.

        Raises
        ------
        CheckpointError
            If the file is of another training, or damaged.
        """
        if not self.path.exists():
            return None
        file = _read(self.path)
        self._check_identity(file.header)
        try:
            run.restore(Snapshot(file.tensors, file.header["values"]))
            run.placement = replace(run.placement, threads=_sound_threads(file.header["threads"]))
            stopped = file.header["stopped"]
            _check_sound(run, stopped)
        except (KeyError, RuntimeError, TypeError, ValueError, IndexError, AttributeError, OverflowError) as error:
            raise _damaged(self.path) from error
        self.resumed = True
        return History(tuple(run.epochs), run.best_epoch, str(stopped), run.placement) if stopped else None

    def _check_identity(self, header: Mapping[str, Any]) -> None:
        found = header.get("identity")
        if not isinstance(found, dict):
            raise _damaged(self.path)
        for name, value in self._identity.items():
            if found.get(name) != value:
                raise CheckpointError(
                    f"the checkpoint {self.path.name!r} is of a training with other {name}"
                    f"{_difference(found, name, value)}; go on with the same, or give another checkpoint path to "
                    "begin anew"
                )


def _sound_threads(threads: Any) -> int:
    if type(threads) is not int or not 1 <= threads <= _MOST_THREADS:
        raise ValueError(threads)
    return threads


def _check_sound(run: Run, stopped: Any) -> None:
    """Raise ValueError where figures contradict each other, as in no file that was written here."""
    whole = all(type(figure) is int for figure in (run.best_epoch, run.step, run.place_in_epoch))
    sound = (
        whole
        and 0 <= run.best_epoch <= len(run.epochs) <= run.plan.max_epochs
        and 0 <= run.place_in_epoch <= run.steps_an_epoch
        and type(run.settled) is bool
        and (stopped is None or (stopped in ("max_epochs", "early") and run.best_epoch >= 1))
        and (not run.best_weights or run.best_weights.keys() == run.net.state_dict().keys())
    )
    if not sound:
        raise ValueError(stopped)


def _difference(found: Mapping[str, Any], name: str, value: Any) -> str:
    """Name the first entry that differs, where entries can be named."""
    other = found.get(name)
    if not isinstance(value, dict) or not isinstance(other, dict):
        return ""
    for key in value:
        if other.get(key) != value[key]:
            return f": {key} was {other.get(key)!r} and is {value[key]!r}"
    return ""


def seed_of(path: str | os.PathLike[str]) -> int | None:
    """Return the seed of the training in a checkpoint, or None where there is no file.

    Raises
    ------
    CheckpointError
        If the file is no checkpoint, or damaged.
    """
    if not Path(path).exists():
        return None
    identity = _read(Path(path)).header.get("identity")
    if not isinstance(identity, dict) or type(identity.get("seed")) is not int or identity["seed"] < 0:
        raise _damaged(Path(path))
    return int(identity["seed"])


def _read(path: Path) -> ModelFile:
    try:
        file = read_model_file(path)
    except ModelFileError as error:
        raise _damaged(path) from error
    if file.kind != _KIND:
        raise CheckpointError(
            f"{path.name!r} holds a model and not an unfinished training; give another checkpoint path"
        )
    return file


def _damaged(path: Path) -> CheckpointError:
    return CheckpointError(
        f"{path.name!r} is not a checkpoint of refold or is damaged; remove it, or give another checkpoint path"
    )
