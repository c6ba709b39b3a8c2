"""An interrupted `fit` goes on where it was, bit for bit; what does not belong to it is refused."""

import os
import random
import signal
import subprocess
import sys
import textwrap

import numpy as np
import pytest
import torch
from torch import nn

import refold
from refold import Autoencoder
from refold.files import read_model_file, write_tensor_file
from refold.train import Listener

USUAL = {"latent_dim": 2, "hidden": (8,), "max_epochs": 6, "batch_size": 8, "random_state": 0, "shortcut": False}


class KilledError(BaseException):
    """Stands for a process that is no more."""


class Kill(Listener):
    """Ends training when so many epochs, or parts of them, are done."""

    def __init__(self, epochs):
        self.epochs = epochs

    def moved(self, epochs):
        if epochs > self.epochs:
            raise KilledError


@pytest.fixture(autouse=True)
def _word_and_checkpoint_after_every_step(monkeypatch):
    monkeypatch.setattr("refold.train._loop._SECONDS_BETWEEN_WORDS", 0)
    monkeypatch.setattr("refold.train._checkpoint._DEAREST", 0)


def weights(model):
    return {name: value.numpy().tobytes() for name, value in model.net_.state_dict().items()}


def history(model):
    return {name: column for name, column in model.history_.items() if name != "seconds"}


def killed(path, data, epochs, **parameters):
    model = Autoencoder(**{**USUAL, **parameters}, checkpoint=path, checkpoint_seconds=0, track=[Kill(epochs)])
    with pytest.raises(KilledError):
        model.fit(data)
    assert not hasattr(model, "net_")


VARIANTS = {
    "plain": {},
    "muon": {"optimizer": "muon", "hidden": (16, 16)},
    "noise": {"corruption": "gaussian(0.2)+masking(0.1)", "penalty": "variational+sparse"},
    "places that settle": {"keep": "neighbours", "max_epochs": 4},
    "no validation": {"validation_fraction": 0.0},
    "no averaging": {"weight_averaging": 0.0, "gradient_clip": None, "schedule": "constant"},
    "own modules with dropout and batch normalisation": {
        "encoder": nn.Sequential(nn.Linear(6, 8), nn.BatchNorm1d(8), nn.Dropout(0.5), nn.ReLU(), nn.Linear(8, 2)),
    },
}


@pytest.mark.parametrize("variant", VARIANTS)
@pytest.mark.parametrize("epochs", [0.3, 1, 3.7])
def test_a_killed_fit_ends_with_the_weights_of_one_that_was_not(rows, tmp_path, variant, epochs):
    path = tmp_path / "run.checkpoint"
    killed(path, rows, epochs, **VARIANTS[variant])
    resumed = Autoencoder(**{**USUAL, **VARIANTS[variant]}, checkpoint=path).fit(rows)
    whole = Autoencoder(**{**USUAL, **VARIANTS[variant]}).fit(rows)
    assert weights(resumed) == weights(whole)
    assert str(history(resumed)) == str(history(whole))  # as text, in which NaN equals NaN
    assert resumed.best_epoch_ == whole.best_epoch_


def test_losses_of_a_long_pass_are_summed_on_the_way(rows, tmp_path, monkeypatch):
    usual = Autoencoder(**USUAL).fit(rows)
    monkeypatch.setattr("refold.train._run._MOST_LOSSES", 2)
    path = tmp_path / "run.checkpoint"
    killed(path, rows, 1.7)
    resumed, whole = Autoencoder(**USUAL, checkpoint=path).fit(rows), Autoencoder(**USUAL).fit(rows)
    assert str(history(resumed)) == str(history(whole))
    assert whole.history_["train_loss"] == pytest.approx(usual.history_["train_loss"], rel=1e-12)


def test_pictures_go_on_too(pictures, tmp_path):
    path = tmp_path / "run.checkpoint"
    conv = {"net": "conv", "hidden": (4, 8)}
    killed(path, pictures, 2, **conv)
    resumed = Autoencoder(**{**USUAL, **conv}, checkpoint=path).fit(pictures)
    assert weights(resumed) == weights(Autoencoder(**{**USUAL, **conv}).fit(pictures))


def test_early_stopping_counts_on(rows, tmp_path):
    path = tmp_path / "run.checkpoint"
    wild = {
        "learning_rate": 0.3,
        "patience": 3,
        "max_epochs": 100,
        "validation_fraction": 0.3,
        "schedule": "constant",
    }
    killed(path, rows, 2, **wild)
    resumed = Autoencoder(**{**USUAL, **wild}, checkpoint=path).fit(rows)
    whole = Autoencoder(**{**USUAL, **wild}).fit(rows)
    assert resumed.stopped_ == "early" and resumed.n_iter_ == whole.n_iter_
    assert weights(resumed) == weights(whole)


def test_without_a_seed_the_checkpoint_keeps_the_drawn_one(rows, tmp_path):
    path = tmp_path / "run.checkpoint"
    killed(path, rows, 2, random_state=None)
    first = Autoencoder(**{**USUAL, "random_state": None}, checkpoint=path).fit(rows)
    again = Autoencoder(**{**USUAL, "random_state": None}, checkpoint=path).fit(rows)
    assert weights(first) == weights(again)
    assert first.n_iter_ == 6 and first.history_["epoch"] == [1, 2, 3, 4, 5, 6]


def test_a_finished_fit_is_not_done_again(rows, tmp_path):
    path = tmp_path / "run.checkpoint"
    first = Autoencoder(**USUAL, checkpoint=path).fit(rows)
    again = Autoencoder(**USUAL, checkpoint=path, track=[Kill(1)]).fit(rows)  # no epoch is run
    assert weights(again) == weights(first) and again.history_ == first.history_
    assert again.stopped_ == first.stopped_ == "max_epochs"


@pytest.mark.parametrize(
    ("change", "sentence"),
    [
        ({"latent_dim": 3}, "other parameters: latent_dim was 2 and is 3"),
        ({"learning_rate": 0.1}, "other parameters: learning_rate was 0.002 and is 0.1"),
        ({"max_epochs": 7}, "other parameters: max_epochs was 6 and is 7"),
        ({"random_state": 1}, "other parameters: random_state was 0 and is 1"),
        ({"validation_fraction": 0.2}, "other parameters: validation_fraction"),
    ],
)
def test_other_settings_are_refused(rows, tmp_path, change, sentence):
    path = tmp_path / "run.checkpoint"
    killed(path, rows, 2)
    before = path.read_bytes()
    with pytest.raises(refold.CheckpointError, match=sentence):
        Autoencoder(**{**USUAL, **change}, checkpoint=path).fit(rows)
    assert path.read_bytes() == before


def test_other_data_are_refused(rows, tmp_path):
    path = tmp_path / "run.checkpoint"
    killed(path, rows, 2)
    other = rows.copy()
    other[3, 2] += 1e-9
    for data in (other, rows[:-1], rows[::-1].copy()):
        with pytest.raises(refold.CheckpointError, match="of a training with other data"):
            Autoencoder(**USUAL, checkpoint=path).fit(data)


def test_what_does_not_matter_for_the_weights_may_change(rows, tmp_path):
    path = tmp_path / "run.checkpoint"
    killed(path, rows, 2)
    log = tmp_path / "run.jsonl"
    resumed = Autoencoder(**USUAL, checkpoint=path, checkpoint_seconds=5, track=str(log), verbose=1).fit(rows)
    assert weights(resumed) == weights(Autoencoder(**USUAL).fit(rows))


def test_a_damaged_file_is_refused(rows, tmp_path):
    path = tmp_path / "run.checkpoint"
    killed(path, rows, 2)
    whole = path.read_bytes()
    for content in (b"", b"no checkpoint", whole[: len(whole) // 2], whole[:-1] + bytes([whole[-1] ^ 1])):
        path.write_bytes(content)
        with pytest.raises(refold.CheckpointError, match="is not a checkpoint of refold or is damaged; remove it"):
            Autoencoder(**USUAL, checkpoint=path).fit(rows)
        assert path.read_bytes() == content


def test_a_model_file_is_not_overwritten(rows, tmp_path):
    path = tmp_path / "model.safetensors"
    Autoencoder(**USUAL).fit(rows).save(path)
    with pytest.raises(refold.CheckpointError, match="holds a model"):
        Autoencoder(**USUAL, checkpoint=path).fit(rows)


def test_a_checkpoint_is_not_loaded_as_a_model(rows, tmp_path):
    path = tmp_path / "run.safetensors"
    Autoencoder(**USUAL, checkpoint=path).fit(rows)
    with pytest.raises(refold.ModelFileError, match="Checkpoint"):
        refold.load(path)


PROGRAM = """
    import sys
    import numpy as np
    from refold import Autoencoder

    data = np.random.default_rng(0).integers(0, 256, (300, 12, 12)).astype(np.uint8)
    model = Autoencoder(
        net="conv", hidden=(4, 8), latent_dim=3, max_epochs=12, batch_size=16, corruption="gaussian(0.2)",
        random_state=0, checkpoint=sys.argv[1] or None, checkpoint_seconds=0,
    )
    print("ready", flush=True)
    model.fit(data)
    model.save(sys.argv[2])
"""


def started(*arguments):
    code = textwrap.dedent(PROGRAM)
    return subprocess.Popen([sys.executable, "-c", code, *map(str, arguments)], stdout=subprocess.PIPE, text=True)


def test_a_process_killed_at_random_instants_ends_with_the_same_bytes(tmp_path):
    whole = tmp_path / "whole.safetensors"
    with started("", whole) as process:
        assert process.wait() == 0
    resumed, path = tmp_path / "resumed.safetensors", tmp_path / "run.checkpoint"
    draw, kills = random.Random(0), 0
    while not resumed.exists():
        with started(path, resumed) as process:
            process.stdout.readline()
            try:
                process.wait(timeout=draw.uniform(0.05, 0.6) if kills < 6 else None)
            except subprocess.TimeoutExpired:
                process.send_signal(signal.SIGKILL)
                kills += 1
    assert kills > 0
    models = [refold.load(file) for file in (whole, resumed)]
    assert weights(models[0]) == weights(models[1])
    assert [file for file in os.listdir(tmp_path) if "checkpoint" in file and not file.startswith(".")] == [path.name]


class PressCtrlC(Listener):
    """Presses Ctrl-C in the middle of an epoch."""

    def __init__(self, after):
        self.after, self.pressed = after, False

    def moved(self, epochs):
        if epochs >= self.after and not self.pressed:
            self.pressed = True
            signal.raise_signal(signal.SIGINT)


@pytest.mark.parametrize("after", [0.1, 2.5])
def test_ctrl_c_keeps_the_best_weights_and_leaves_a_checkpoint(rows, tmp_path, after):
    path = tmp_path / "run.checkpoint"
    stopped = Autoencoder(**USUAL, checkpoint=path, track=[PressCtrlC(after)]).fit(rows)
    assert stopped.stopped_ == "interrupted" and stopped.n_iter_ == max(1, int(after))
    assert np.isfinite(stopped.reconstruction_error(rows)).all()
    assert weights(Autoencoder(**USUAL, checkpoint=path).fit(rows)) == weights(Autoencoder(**USUAL).fit(rows))
    assert signal.getsignal(signal.SIGINT) is signal.default_int_handler


def test_ctrl_c_before_the_first_step_leaves_nothing(rows):
    class AtOnce(Listener):
        def started(self, plan, size):
            signal.raise_signal(signal.SIGINT)

    model = Autoencoder(**USUAL, track=[AtOnce()])
    with pytest.raises(KeyboardInterrupt):
        model.fit(rows)
    assert not hasattr(model, "net_")


class PressCtrlCAtTheEnd(Listener):
    """Presses Ctrl-C when the last step of the second epoch is done."""

    def moved(self, epochs):
        if epochs == 2:
            signal.raise_signal(signal.SIGINT)


def test_ctrl_c_after_the_last_step_of_an_epoch_leaves_a_checkpoint_too(rows, tmp_path):
    path = tmp_path / "run.checkpoint"
    stopped = Autoencoder(**USUAL, checkpoint=path, checkpoint_seconds=1e6, track=[PressCtrlCAtTheEnd()]).fit(rows)
    assert stopped.stopped_ == "interrupted" and stopped.n_iter_ == 2 and path.exists()
    assert weights(Autoencoder(**USUAL, checkpoint=path).fit(rows)) == weights(Autoencoder(**USUAL).fit(rows))


@pytest.mark.parametrize(
    "lie",
    [
        {"threads": 0},
        {"threads": 10**9},
        {"stopped": "never"},
        {"best_epoch": 99},
        {"place_in_epoch": -1},
        {"step": "x"},
    ],
    ids=str,
)
def test_figures_that_contradict_each_other_are_refused(rows, tmp_path, lie):
    path = tmp_path / "run.checkpoint"
    killed(path, rows, 2)
    file = read_model_file(path)
    for name, value in lie.items():
        (file.header["values"] if name in file.header["values"] else file.header)[name] = value
    write_tensor_file(file, path)
    with pytest.raises(refold.CheckpointError, match="damaged"):
        Autoencoder(**USUAL, checkpoint=path).fit(rows)


class Broken(Listener):
    """Fails when an epoch is over, as a server that went away."""

    def finished_epoch(self, record):
        raise ConnectionError("no server")


def test_a_listener_that_fails_costs_a_warning_and_not_the_training(rows):
    with pytest.warns(refold.RefoldWarning, match="Broken failed and hears no more of this training: no server"):
        model = Autoencoder(**USUAL, track=[Broken()]).fit(rows)
    assert model.n_iter_ == 6


def test_what_cannot_be_told_is_refused_before_anything_is_read(tmp_path):
    with pytest.raises(refold.ParameterError, match="track"):
        Autoencoder(**USUAL, track="run.xml").fit(tmp_path / "not there.parquet")


@pytest.mark.parametrize("shape", [(3, 2), (0, 1 << 22), (1, 2), (200,)])
@pytest.mark.parametrize("part", ["records", "held_out"])
def test_places_that_are_not_those_of_the_records_are_refused(rows, tmp_path, part, shape):
    path = tmp_path / "run.checkpoint"
    parameters = VARIANTS["places that settle"]
    killed(path, rows, 2.5, **parameters)
    file = read_model_file(path)
    file.tensors[f"places.{part}"] = torch.zeros(shape)
    write_tensor_file(file, path)
    with pytest.raises(refold.CheckpointError, match="damaged"):
        Autoencoder(**{**USUAL, **parameters}, checkpoint=path).fit(rows)
