"""Trackers: what happened in a training can be read by others, while it runs and after it broke."""

import gc
import json
import math
import sys
from types import ModuleType, SimpleNamespace

import pytest

from refold import MissingExtraError, ParameterError
from refold.train import EpochRecord, History, JsonLines, MLflow, Plan, TensorBoard, parse_trackers

PLAN = Plan(
    max_epochs=3,
    batch_size=32,
    learning_rate=2e-3,
    schedule="cosine",
    weight_decay=0.3,
    gradient_clip=None,
    averaging=0.99,
    early_stopping=True,
    patience=20,
    seed=7,
)
EPOCHS = (
    EpochRecord(1, 0.9, 0.8, 0.7, 0.6, 2e-3, 1.5),
    EpochRecord(2, 0.5, 0.4, math.nan, math.nan, 1e-3, 1.25),
)
HISTORY = History(EPOCHS, 2, "early")


def told(tracker, history=HISTORY):
    """Tell a tracker of a whole training; without a history, of one that breaks after the second epoch."""
    tracker.started(PLAN, 100)
    for record in EPOCHS:
        tracker.finished_epoch(record)
    if history is not None:
        tracker.ended(history)
    return tracker


def lines_of(path):
    return [json.loads(line, parse_constant=pytest.fail) for line in path.read_text().splitlines()]


# --- lines of JSON -----------------------------------------------------------------------------------------------


def test_every_line_is_one_event(tmp_path):
    path = tmp_path / "new" / "run.jsonl"
    told(JsonLines(path))
    started, first, second, ended = lines_of(path)
    assert started["event"] == "started" and started["size"] == 100
    assert started["learning_rate"] == 2e-3 and started["gradient_clip"] is None and started["seed"] == 7
    assert first == {
        "event": "epoch",
        "epoch": 1,
        "train_loss": 0.9,
        "train_error": 0.8,
        "validation_loss": 0.7,
        "validation_error": 0.6,
        "learning_rate": 2e-3,
        "seconds": 1.5,
    }
    assert second["epoch"] == 2 and second["validation_loss"] is None
    assert ended == {"event": "ended", "epochs": 2, "best_epoch": 2, "stopped": "early"}


def test_a_line_can_be_read_as_soon_as_it_is_known(tmp_path):
    tracker = JsonLines(tmp_path / "run.jsonl")
    tracker.started(PLAN, 100)
    for count, record in enumerate(EPOCHS, 2):
        tracker.finished_epoch(record)
        assert len(lines_of(tracker.path)) == count


def test_a_training_taken_up_again_goes_on_in_the_same_file(tmp_path):
    path = tmp_path / "run.jsonl"
    told(JsonLines(path), None)
    told(JsonLines(path))
    events = [line["event"] for line in lines_of(path)]
    assert events == ["started", "epoch", "epoch", "started", "epoch", "epoch", "ended"]


def test_a_line_cut_short_by_a_kill_spoils_no_other(tmp_path):
    path = tmp_path / "run.jsonl"
    path.write_text('{"event": "started"}\n{"event": "epo')
    told(JsonLines(path))
    lines = path.read_text().splitlines()
    assert lines[1] == '{"event": "epo'
    assert [json.loads(line)["event"] for line in lines[2:]] == ["started", "epoch", "epoch", "ended"]


def test_an_infinite_loss_is_null(tmp_path):
    tracker = JsonLines(tmp_path / "run.jsonl")
    tracker.finished_epoch(EpochRecord(1, math.inf, -math.inf, 1.0, 1.0, 1.0, 1.0))
    assert lines_of(tracker.path)[0]["train_loss"] is None


# --- TensorBoard -------------------------------------------------------------------------------------------------


def curves_of(folder):
    """Every curve in a folder as a dict of epoch to value, and the texts."""
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator
    from tensorboard.util.tensor_util import make_ndarray

    board = EventAccumulator(str(folder))
    board.Reload()
    curves = {tag: {point.step: point.value for point in board.Scalars(tag)} for tag in board.Tags()["scalars"]}
    texts = {tag: make_ndarray(board.Tensors(tag)[0].tensor_proto).item().decode() for tag in board.Tags()["tensors"]}
    return curves, texts


@pytest.mark.parametrize("history", [HISTORY, None], ids=["ended", "broken"])
def test_tensorboard_shows_every_epoch_of_a_training_ended_or_broken(tmp_path, history):
    pytest.importorskip("tensorboard")
    tracker = told(TensorBoard(tmp_path / "runs" / "first"), history)
    curves, texts = curves_of(tmp_path / "runs" / "first")
    assert curves["loss/train"] == pytest.approx({1: 0.9, 2: 0.5})
    assert curves["error/train"] == pytest.approx({1: 0.8, 2: 0.4})
    assert curves["loss/validation"] == pytest.approx({1: 0.7}), "NaN is no point"
    assert curves["learning_rate"] == pytest.approx({1: 2e-3, 2: 1e-3})
    assert "batch_size: 32" in texts["plan/text_summary"] and "size: 100" in texts["plan/text_summary"]
    assert ("outcome/text_summary" in texts) == (history is not None)
    tracker._writer.close()


# --- MLflow ------------------------------------------------------------------------------------------------------


@pytest.fixture
def database(tmp_path, monkeypatch):
    """The address of an MLflow database that no server stands before."""
    for module in ("mlflow", "sqlalchemy", "alembic"):
        pytest.importorskip(module)
    monkeypatch.setenv("MLFLOW_TRACKING_URI", f"sqlite:///{tmp_path}/runs.db")
    monkeypatch.setenv("MLFLOW_DISABLE_TELEMETRY", "true")


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize(("stopped", "status"), [("early", "FINISHED"), ("interrupted", "KILLED"), (None, "FAILED")])
def test_mlflow_keeps_plan_figures_and_outcome_without_a_server(database, stopped, status):
    import mlflow

    told(MLflow("wine & glass"), stopped and History(EPOCHS, 2, stopped))
    gc.collect()
    client = mlflow.MlflowClient()
    (run,) = client.search_runs([client.get_experiment_by_name("wine & glass").experiment_id])
    assert run.info.status == status
    assert run.data.params["learning_rate"] == "0.002" and run.data.params["size"] == "100"
    history = client.get_metric_history(run.info.run_id, "train_loss")
    assert {point.step: point.value for point in history} == {1: 0.9, 2: 0.5}
    assert len(client.get_metric_history(run.info.run_id, "validation_loss")) == 1
    assert run.data.tags.get("refold.stopped") == stopped


class FakeClient:
    """What MLflow's client is asked to do."""

    def __init__(self, calls, known):
        self.calls, self.known = calls, known

    def get_experiment_by_name(self, name):
        return SimpleNamespace(experiment_id="17") if name == self.known else None

    def create_experiment(self, name):
        self.calls.append(("create_experiment", name))
        return "18"

    def create_run(self, experiment):
        self.calls.append(("create_run", experiment))
        return SimpleNamespace(info=SimpleNamespace(run_id="r1"))

    def log_batch(self, run, metrics=(), params=()):
        self.calls.append(("log_batch", run, dict(params), [metric[:2] + metric[3:] for metric in metrics]))

    def set_tag(self, run, name, value):
        self.calls.append(("set_tag", run, name, value))

    def set_terminated(self, run, status):
        self.calls.append(("set_terminated", run, status))


@pytest.fixture
def calls(monkeypatch):
    """The calls of a fake MLflow that knows the experiment "old"."""
    calls = []
    fakes = {name: ModuleType(name) for name in ("mlflow", "mlflow.entities", "mlflow.exceptions")}
    fakes["mlflow"].MlflowClient = lambda: FakeClient(calls, "old")
    fakes["mlflow.entities"].Param = lambda name, value: (name, value)
    fakes["mlflow.entities"].Metric = lambda *given: given
    fakes["mlflow.exceptions"].MlflowException = type("MlflowException", (Exception,), {})
    for name, fake in fakes.items():
        monkeypatch.setitem(sys.modules, name, fake)
    return calls


def test_mlflow_is_told_of_a_training_in_order(calls):
    told(MLflow("new"))
    assert calls[:2] == [("create_experiment", "new"), ("create_run", "18")]
    _, run, params, _ = calls[2]
    assert run == "r1" and params["size"] == "100" and params["schedule"] == "cosine"
    assert ("validation_loss", 0.7, 1) in calls[3][3] and ("train_loss", 0.9, 1) in calls[3][3]
    assert sorted(name for name, *_ in calls[4][3]) == ["learning_rate", "seconds", "train_error", "train_loss"]
    assert ("set_tag", "r1", "refold.best_epoch", "2") in calls
    assert calls[-1] == ("set_terminated", "r1", "FINISHED")
    gc.collect()
    assert [call for call in calls if call[0] == "set_terminated"] == [("set_terminated", "r1", "FINISHED")]


def test_mlflow_marks_an_interrupted_training_as_killed(calls):
    told(MLflow("old"), History(EPOCHS, 2, "interrupted"))
    assert calls[-1] == ("set_terminated", "r1", "KILLED")


def test_mlflow_marks_a_broken_training_as_failed_when_its_listener_goes(calls):
    tracker = told(MLflow("old"), None)
    assert calls[0] == ("create_run", "17")
    assert calls[-1][0] == "log_batch"
    del tracker
    gc.collect()
    assert calls[-1] == ("set_terminated", "r1", "FAILED")


def test_an_mlflow_that_takes_no_run_is_one_sentence(calls):
    def refuse():
        raise sys.modules["mlflow.exceptions"].MlflowException("no such store\nat all")

    sys.modules["mlflow"].MlflowClient = refuse
    with pytest.raises(ParameterError, match=r"^MLflow takes no run: no such store; check MLFLOW_TRACKING_URI$"):
        MLflow("old").started(PLAN, 100)


# --- by name -----------------------------------------------------------------------------------------------------


def test_trackers_by_name():
    lines, board, mlflow = parse_trackers("runs/a b.jsonl, tensorboard:runs/x:y ,mlflow:my faces")
    assert isinstance(lines, JsonLines) and lines.path.as_posix() == "runs/a b.jsonl"
    assert isinstance(board, TensorBoard) and board.folder.as_posix() == "runs/x:y"
    assert isinstance(mlflow, MLflow) and mlflow.experiment == "my faces"


@pytest.mark.parametrize("text", ["", "run.json", "tensorboard", "tensorboard:", "mlflow:", "wandb:x", "a.jsonl,"])
def test_what_names_no_tracker_is_refused(text):
    with pytest.raises(ParameterError, match=r"allowed are FILE.jsonl, tensorboard:FOLDER and mlflow:EXPERIMENT"):
        parse_trackers(text)


@pytest.mark.parametrize("name", ["tensorboard", "mlflow"])
def test_without_the_package_the_extra_is_named(monkeypatch, tmp_path, name):
    monkeypatch.setitem(sys.modules, name, None)
    (tracker,) = parse_trackers(f"{name}:{tmp_path}")
    with pytest.raises(MissingExtraError, match=rf"{name} is needed .* pip install 'refold\[{name}\]'"):
        tracker.started(PLAN, 100)
