"""Score many rows with one library and tell how long it took. Run as a script it prints one line of JSON."""

import argparse
import json
import time
from collections.abc import Callable

import numpy as np
from speed_streaming import make_rows

Array = np.ndarray
Scorer = Callable[[Array], Array]

HIDDEN, CODE = (64, 32), 3
_TRAINING_ROWS, _EPOCHS = 10_000, 1


def main() -> None:
    """Fit on a few rows, score all."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("peer", choices=["refold", "pyod"])
    parser.add_argument("--rows", type=int, required=True)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--batch", type=int, help="PyOD's batch size; its own by default")
    options = parser.parse_args()
    training, rows = make_rows(0, _TRAINING_ROWS), make_rows(1, options.rows)
    fit = _refold if options.peer == "refold" else _pyod
    score = fit(training, options)
    score(rows[:1_000])
    start = time.perf_counter()
    scores = score(rows)
    seconds = time.perf_counter() - start
    print("\n" + json.dumps({"rate": len(rows) / seconds, "seconds": seconds, "mean": float(np.mean(scores))}))


def _refold(training: Array, options: argparse.Namespace) -> Scorer:
    from refold import Autoencoder

    model = Autoencoder(
        net="dense", hidden=HIDDEN, latent_dim=CODE, activation="relu", normalise=False, shortcut=False,
        max_epochs=_EPOCHS, random_state=options.seed,
    )  # fmt: skip
    return model.fit(training).reconstruction_error


def _pyod(training: Array, options: argparse.Namespace) -> Scorer:
    from pyod.models.auto_encoder import AutoEncoder

    detector = AutoEncoder(
        hidden_neuron_list=[*HIDDEN, CODE], batch_norm=False, dropout_rate=0.0, epoch_num=_EPOCHS,
        random_state=options.seed, verbose=0,
    )  # fmt: skip
    detector.fit(training)
    return lambda rows: detector.decision_function(rows, batch_size=options.batch)


if __name__ == "__main__":
    main()
