"""Train one network with one library and tell how long each epoch took.

Run as a script, in a process of its own, it prints one line of JSON: seconds of every epoch, the mean squared error
of the test pictures (pixels of 0 to 1), threads, and the type that matrices were multiplied in.
"""

import argparse
import json
import os
import tempfile
import time
from collections.abc import Callable
from dataclasses import dataclass, replace
from importlib.metadata import version
from itertools import pairwise
from typing import Any

import numpy as np
from speed_jobs import BATCH, RATE, TASKS, Array, Job, Task, Trained, make_job


def main() -> None:
    """Train and print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("task", choices=list(TASKS))
    parser.add_argument("peer", choices=list(PEERS))
    parser.add_argument("--records", type=int, required=True)
    parser.add_argument("--epochs", type=int, required=True)
    parser.add_argument("--seed", type=int, default=0)
    options = parser.parse_args()
    job = make_job(TASKS[options.task], options.records, options.epochs, options.seed)
    peer = PEERS[options.peer]
    trained = peer.train(job)
    import torch

    figures = {"rate": _rate(trained, len(job.train)), "threads": trained.threads or torch.get_num_threads()}
    print("\n" + json.dumps({**vars(trained), **figures, "version": version(peer.package)}))


def _rate(trained: Trained, records: int) -> float:
    """Return samples a second of all epochs but the first, which warms up."""
    steady = trained.seconds[1:]
    held_out = int(0.1 * records) if trained.validation_seconds else 0
    return (records - held_out) * len(steady) / sum(steady)


# --- refold --------------------------------------------------------------------------------------------------------


def _architecture(task: Task) -> dict[str, Any]:
    shape: dict[str, Any] = {"latent_dim": task.latent_dim, "output_activation": task.output, "shortcut": False}
    if task.convolutional:
        return {**shape, "net": "conv"}
    return {**shape, "net": "dense", "hidden": task.hidden, "activation": "relu", "normalise": False}


def train_refold(job: Job) -> Trained:
    """Train as the peers do: Adam at a constant rate, nothing clipped, averaged or held out."""
    plain = {"learning_rate": RATE, "schedule": "constant", "weight_decay": 0.0, "gradient_clip": None}
    return _refold(job, {**plain, "weight_averaging": 0.0, "validation_fraction": 0.0})


def train_refold_as_it_comes(job: Job) -> Trained:
    """Train the same network with refold's own defaults, a tenth held out and validated in every epoch."""
    spent = _note_validations()
    trained = _refold(job, {})
    return replace(trained, validation_seconds=spent)


def _refold(job: Job, training: dict[str, Any]) -> Trained:
    from refold import Autoencoder

    shape = _architecture(job.task)
    model = Autoencoder(
        batch_size=BATCH, max_epochs=job.epochs, early_stopping=False, random_state=job.seed, **shape, **training
    ).fit(job.train)
    error = float(model.reconstruction_error(job.test).mean())
    placement = model.placement_
    numbers = "bfloat16" if placement.bfloat16 else "float32"
    return Trained(model.history_["seconds"], error, numbers, placement.threads, model.net_.operations)


def _note_validations() -> list[float]:
    """Let the loop's validations be timed; returns the list that their seconds go to."""
    from refold.train import _loop

    plain, spent = _loop._validate, []

    def timed(*arguments: Any) -> Any:
        start = time.perf_counter()
        result = plain(*arguments)
        spent.append(time.perf_counter() - start)
        return result

    _loop._validate = timed
    return spent


# --- the plain loop ------------------------------------------------------------------------------------------------


def train_with_loop(job: Job) -> Trained:
    """Train as every tutorial does: DataLoader, Adam, zero_grad, backward, step, loss.item()."""
    import torch
    from torch import nn
    from torch.utils.data import DataLoader, TensorDataset

    torch.manual_seed(job.seed)
    net = _refolds_own_layers(job) if job.task.convolutional else _dense_layers(job.task)
    loader = DataLoader(TensorDataset(torch.from_numpy(job.shares(job.train))), batch_size=BATCH, shuffle=True)
    optimizer, loss_of, seconds = torch.optim.Adam(net.parameters(), lr=RATE), nn.MSELoss(), []
    for _ in range(job.epochs):
        start, total = time.perf_counter(), 0.0
        for (batch,) in loader:
            optimizer.zero_grad()
            loss = loss_of(net(batch), batch)
            loss.backward()
            optimizer.step()
            total += loss.item() * len(batch)
        seconds.append(time.perf_counter() - start)
    return Trained(seconds, _error_of(job, net))


def _dense_layers(task: Task) -> Any:
    from torch import nn

    return nn.Sequential(*_dense_encoder(task), *_dense_decoder(task))


def _dense_encoder(task: Task) -> list[Any]:
    from torch import nn

    sizes = [784, *task.hidden]
    hidden = [layer for pair in pairwise(sizes) for layer in (nn.Linear(*pair), nn.ReLU())]
    return [*hidden, nn.Linear(sizes[-1], task.latent_dim)]


def _dense_decoder(task: Task) -> list[Any]:
    from torch import nn

    sizes = [task.latent_dim, *reversed(task.hidden)]
    hidden = [layer for pair in pairwise(sizes) for layer in (nn.Linear(*pair), nn.ReLU())]
    return [*hidden, nn.Linear(sizes[-1], 784)]


def _refolds_own_layers(job: Job) -> Any:
    """Return the layers of refold's network, drawn as refold draws them, as an ordinary stack."""
    import torch
    from sklearn.utils import check_random_state
    from torch import nn

    from refold import Autoencoder
    from refold.nets import build_net

    shape = _architecture(job.task)
    few = Autoencoder(max_epochs=1, validation_fraction=0.0, random_state=0, **shape).fit(job.train[:64])
    torch.manual_seed(check_random_state(job.seed).randint(2**31 - 1))
    net = build_net(few.spec_)
    return nn.Sequential(*net.encoder, *net.decoder, net.output_activation)


def _error_of(job: Job, net: Any) -> float:
    import torch

    net.eval()
    test = torch.from_numpy(job.shares(job.test))
    with torch.inference_mode():
        errors = [(net(part) - part).square().flatten(1).mean(1) for part in test.split(BATCH)]
    return float(torch.cat(errors).mean())


# --- libraries -----------------------------------------------------------------------------------------------------


def train_with_keras(job: Job) -> Trained:
    """Train a Sequential with compile and fit."""
    os.environ["KERAS_BACKEND"] = "torch"
    import keras

    keras.utils.set_random_seed(job.seed)
    train, test = job.shares(job.train), job.shares(job.test)
    around = [keras.layers.Dense(size, activation="relu") for size in job.task.hidden]
    back = [keras.layers.Dense(size, activation="relu") for size in reversed(job.task.hidden)]
    layers = [*around, keras.layers.Dense(job.task.latent_dim), *back, keras.layers.Dense(784)]
    model = keras.Sequential([keras.Input((784,)), *layers])
    model.compile(optimizer=keras.optimizers.Adam(RATE), loss="mse")
    seconds: list[float] = []

    class Clock(keras.callbacks.Callback):
        def on_epoch_begin(self, epoch: int, logs: Any = None) -> None:
            self.start = time.perf_counter()

        def on_epoch_end(self, epoch: int, logs: Any = None) -> None:
            seconds.append(time.perf_counter() - self.start)

    model.fit(train, train, batch_size=BATCH, epochs=job.epochs, verbose=0, callbacks=[Clock()])
    return Trained(seconds, _mean_square(model.predict(test, verbose=0), test))


def train_with_pyod(job: Job) -> Trained:
    """Train PyOD's AutoEncoder; its code has a ReLU, which it offers no way to leave out."""
    from pyod.models.auto_encoder import AutoEncoder

    class Timed(AutoEncoder):
        def train(self, loader: Any) -> None:
            self.marks = [time.perf_counter()]
            super().train(loader)

        def epoch_update(self) -> None:
            self.marks.append(time.perf_counter())

    detector = Timed(
        hidden_neuron_list=[*job.task.hidden, job.task.latent_dim], batch_norm=False, dropout_rate=0.0,
        preprocessing=False, batch_size=BATCH, lr=RATE, epoch_num=job.epochs, random_state=job.seed, verbose=0,
        optimizer_params={},
    )  # fmt: skip
    detector.fit(job.shares(job.train))
    return Trained(np.diff(detector.marks).tolist(), _error_of(job, detector.model))


def train_with_skorch(job: Job) -> Trained:
    """Train the plain loop's module in skorch."""
    import torch
    from skorch import NeuralNet
    from torch import nn

    torch.manual_seed(job.seed)
    train = job.shares(job.train)
    net = NeuralNet(
        _dense_layers(job.task), criterion=nn.MSELoss, optimizer=torch.optim.Adam, lr=RATE, batch_size=BATCH,
        max_epochs=job.epochs, iterator_train__shuffle=True, train_split=None, verbose=0,
    ).fit(train, train)  # fmt: skip
    return Trained([float(seconds) for seconds in net.history[:, "dur"]], _error_of(job, net.module_))


def train_with_pythae(job: Job) -> Trained:
    """Train pythae's AE with encoder and decoder of our own, as its documentation asks."""
    import torch
    from pythae.data.datasets import BaseDataset
    from pythae.models import AE, AEConfig
    from pythae.models.base.base_utils import ModelOutput
    from pythae.models.nn import BaseDecoder, BaseEncoder
    from pythae.trainers import BaseTrainer, BaseTrainerConfig
    from pythae.trainers.training_callbacks import TrainingCallback
    from torch import nn

    class Encoder(BaseEncoder):
        def __init__(self) -> None:
            super().__init__()
            self.layers, self.latent_dim = nn.Sequential(*_dense_encoder(job.task)), job.task.latent_dim

        def forward(self, inputs: Any) -> Any:
            return ModelOutput(embedding=self.layers(inputs))

    class Decoder(BaseDecoder):
        def __init__(self) -> None:
            super().__init__()
            self.layers = nn.Sequential(*_dense_decoder(job.task))

        def forward(self, codes: Any) -> Any:
            return ModelOutput(reconstruction=self.layers(codes))

    seconds: list[float] = []

    class Clock(TrainingCallback):
        def on_epoch_begin(self, *arguments: Any, **named: Any) -> None:
            self.start = time.perf_counter()

        def on_epoch_end(self, *arguments: Any, **named: Any) -> None:
            seconds.append(time.perf_counter() - self.start)

    torch.manual_seed(job.seed)
    size = AEConfig(input_dim=(784,), latent_dim=job.task.latent_dim)
    model = AE(size, Encoder(), Decoder())
    train = torch.from_numpy(job.shares(job.train))
    with tempfile.TemporaryDirectory() as folder:
        settings = BaseTrainerConfig(
            output_dir=folder, num_epochs=job.epochs, per_device_train_batch_size=BATCH, learning_rate=RATE,
            seed=job.seed,
        )  # fmt: skip
        data = BaseDataset(train, torch.zeros(len(train)))
        BaseTrainer(model, data, None, settings, [Clock()]).train()
    return Trained(seconds, _error_of(job, nn.Sequential(model.encoder.layers, model.decoder.layers)))


def train_with_sklearn(job: Job) -> Trained:
    """Train MLPRegressor on its own input; its code has the activation of all its layers."""
    from sklearn.neural_network import MLPRegressor

    train, test = job.shares(job.train), job.shares(job.test)
    sizes = [*job.task.hidden, job.task.latent_dim, *reversed(job.task.hidden)]
    model = MLPRegressor(
        hidden_layer_sizes=sizes, batch_size=BATCH, learning_rate_init=RATE, alpha=0.0, random_state=job.seed
    )
    seconds = []
    for _ in range(job.epochs):
        start = time.perf_counter()
        model.partial_fit(train, train)
        seconds.append(time.perf_counter() - start)
    return Trained(seconds, _mean_square(model.predict(test), test))


def _mean_square(outputs: Array, targets: Array) -> float:
    return float(np.square(np.asarray(outputs) - targets).mean())


@dataclass(frozen=True)
class Peer:
    """A way to train, and the package it comes from."""

    train: Callable[[Job], Trained]
    package: str


PEERS = {
    "refold": Peer(train_refold, "refold"),
    "refold-as-it-comes": Peer(train_refold_as_it_comes, "refold"),
    "loop": Peer(train_with_loop, "torch"),
    "keras": Peer(train_with_keras, "keras"),
    "pyod": Peer(train_with_pyod, "pyod"),
    "skorch": Peer(train_with_skorch, "skorch"),
    "pythae": Peer(train_with_pythae, "pythae"),
    "sklearn": Peer(train_with_sklearn, "scikit-learn"),
}


if __name__ == "__main__":
    main()
