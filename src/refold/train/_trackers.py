"""Listeners that write a training down: as lines of JSON, for TensorBoard, for MLflow."""

import json
import math
import os
import time
import weakref
from dataclasses import asdict
from pathlib import Path
from typing import Any

from refold._errors import ParameterError
from refold._extras import require
from refold.train._history import EpochRecord, History
from refold.train._listeners import Listener
from refold.train._plan import Plan

_ENDING = ".jsonl"


class JsonLines(Listener):
    """One JSON object a line, each on disk as soon as it is known, so that ``tail -f`` follows a training.

    The entry ``event`` says what a line is: ``"started"`` with ``size`` (records) and the fields of `Plan`,
    ``"epoch"`` with the fields of `EpochRecord`, ``"ended"`` with ``epochs``, ``best_epoch`` and ``stopped``. What is
    not a number is null. Lines are added to a file that exists: a training that is taken up again goes on in it.

    Parameters
    ----------
    path : path-like
        Missing folders on the way are made.

    Examples
    --------
    >>> import tempfile
    >>> from pathlib import Path
    >>> from refold.train import History, JsonLines
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     path = Path(folder) / "run.jsonl"
    ...     JsonLines(path).ended(History((), 0, "interrupted"))
    ...     path.read_text()
    '{"event": "ended", "epochs": 0, "best_epoch": 0, "stopped": "interrupted"}\\n'
    """

    def __init__(self, path: str | os.PathLike[str]) -> None:
        self.path = Path(path)

    def started(self, plan: Plan, size: int) -> None:
        """Write the first line."""
        self.path.parent.mkdir(parents=True, exist_ok=True)
        self._end_broken_line()
        self._write("started", {"size": size, **asdict(plan)})

    def finished_epoch(self, record: EpochRecord) -> None:
        """Write the line of an epoch."""
        self._write("epoch", asdict(record))

    def ended(self, history: History) -> None:
        """Write the last line."""
        self._write("ended", _outcome(history))

    def _write(self, event: str, values: dict[str, Any]) -> None:
        line = json.dumps({"event": event, **{name: _strict(value) for name, value in values.items()}})
        with open(self.path, "a", encoding="utf-8") as file:
            file.write(line + "\n")

    def _end_broken_line(self) -> None:
        """Close the line in which an earlier process was killed."""
        with open(self.path, "ab+") as file:
            if file.tell():
                file.seek(-1, os.SEEK_END)
                if file.read(1) != b"\n":
                    file.write(b"\n")


class TensorBoard(Listener):
    """Curves in a folder that ``tensorboard --logdir`` shows: loss, error, learning rate and seconds by epoch.

    Parameters
    ----------
    folder : path-like
        A folder for each training makes the curves comparable.

    Raises
    ------
    MissingExtraError
        When training starts, if TensorBoard is not installed.
    """

    def __init__(self, folder: str | os.PathLike[str]) -> None:
        self.folder = Path(folder)
        self._writer: Any = None

    def started(self, plan: Plan, size: int) -> None:
        """Open the folder and write the plan down."""
        require("tensorboard", extra="tensorboard", purpose="write curves for TensorBoard")
        board = require("torch.utils.tensorboard", extra="tensorboard", purpose="write curves for TensorBoard")
        self._writer = board.SummaryWriter(str(self.folder))
        lines = [f"    {name}: {value}" for name, value in {"size": size, **asdict(plan)}.items()]
        self._writer.add_text("plan", "\n".join(lines))
        self._writer.flush()

    def finished_epoch(self, record: EpochRecord) -> None:
        """Add a point to every curve."""
        for name, value in _figures(record).items():
            half, _, rest = name.partition("_")
            tag = f"{rest}/{half}" if half in ("train", "validation") else name
            self._writer.add_scalar(tag, value, record.epoch)
        self._writer.flush()

    def ended(self, history: History) -> None:
        """Write down what became of it and close the folder."""
        self._writer.add_text("outcome", json.dumps(_outcome(history)))
        self._writer.close()


class MLflow(Listener):
    """A run of an MLflow experiment: the plan as parameters, the figures of every epoch as metrics.

    Where runs go, MLflow decides: to the server or the database that ``MLFLOW_TRACKING_URI`` names, or to
    ``mlflow.db`` in the current folder, which needs no server. A run is "FINISHED", "KILLED" where the user
    interrupted it, or "FAILED" where an error did.

    Parameters
    ----------
    experiment : str
        Made if there is none of that name.

    Raises
    ------
    MissingExtraError
        When training starts, if MLflow is not installed.
    ParameterError
        When training starts, if MLflow cannot reach or open what ``MLFLOW_TRACKING_URI`` names.
    """

    def __init__(self, experiment: str) -> None:
        self.experiment = experiment
        self._client: Any = None
        self._run = ""
        self._failure: Any = None

    def started(self, plan: Plan, size: int) -> None:
        """Begin a run."""
        self._run = self._new_run()
        # nobody tells a listener of an error: a run that was not ended when the listener goes has failed
        self._failure = weakref.finalize(self, self._client.set_terminated, self._run, "FAILED")
        param = _mlflow("mlflow.entities").Param
        values = {"size": size, **asdict(plan)}
        self._client.log_batch(self._run, params=[param(name, str(value)) for name, value in values.items()])

    def finished_epoch(self, record: EpochRecord) -> None:
        """Log the figures of an epoch."""
        metric, now = _mlflow("mlflow.entities").Metric, int(time.time() * 1000)
        figures = _figures(record).items()
        self._client.log_batch(self._run, metrics=[metric(name, value, now, record.epoch) for name, value in figures])

    def ended(self, history: History) -> None:
        """End the run."""
        self._failure.detach()
        for name, value in _outcome(history).items():
            self._client.set_tag(self._run, f"refold.{name}", str(value))
        self._client.set_terminated(self._run, "KILLED" if history.stopped == "interrupted" else "FINISHED")

    def _new_run(self) -> str:
        mlflow, errors = _mlflow("mlflow"), _mlflow("mlflow.exceptions")
        try:
            self._client = mlflow.MlflowClient()
            known = self._client.get_experiment_by_name(self.experiment)
            experiment = known.experiment_id if known else self._client.create_experiment(self.experiment)
            return str(self._client.create_run(experiment).info.run_id)
        except errors.MlflowException as error:
            reason = str(error).splitlines()[0]
            raise ParameterError(f"MLflow takes no run: {reason}; check MLFLOW_TRACKING_URI") from error


def parse_trackers(text: str) -> list[Listener]:
    """Return the listeners that `text` names.

    Parameters
    ----------
    text : str
        A file that ends in ``.jsonl``, ``tensorboard:FOLDER``, ``mlflow:EXPERIMENT``, or several joined with commas;
        names cannot hold a comma.

    Returns
    -------
    listeners : list of Listener

    Raises
    ------
    ParameterError
        If a name is none of these.

    Examples
    --------
    >>> [type(tracker).__name__ for tracker in parse_trackers("run.jsonl, tensorboard:runs/first")]
    ['JsonLines', 'TensorBoard']
    """
    return [_parse(entry.strip()) for entry in text.split(",")]


def _parse(entry: str) -> Listener:
    kind, _, name = entry.partition(":")
    if kind == "tensorboard" and name:
        return TensorBoard(name)
    if kind == "mlflow" and name:
        return MLflow(name)
    if entry.endswith(_ENDING) and kind not in ("tensorboard", "mlflow"):
        return JsonLines(entry)
    raise ParameterError(
        f"{entry!r} names no tracker; allowed are FILE{_ENDING}, tensorboard:FOLDER and mlflow:EXPERIMENT, several "
        "joined with commas"
    )


def _mlflow(module: str) -> Any:
    return require(module, extra="mlflow", purpose="log to MLflow")


def _outcome(history: History) -> dict[str, Any]:
    return {"epochs": len(history.epochs), "best_epoch": history.best_epoch, "stopped": history.stopped}


def _figures(record: EpochRecord) -> dict[str, float]:
    """Return what was measured in an epoch; without held-out records, nothing is said of validation."""
    figures = {name: float(value) for name, value in asdict(record).items() if name != "epoch"}
    return {name: value for name, value in figures.items() if not math.isnan(value)}


def _strict(value: Any) -> Any:
    """Return a value that every JSON reader takes: null for what is not a finite number."""
    return None if isinstance(value, float) and not math.isfinite(value) else value
