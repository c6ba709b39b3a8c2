"""Let one method learn MNIST in a process of its own, for `manifold_mnist_part.py`: codes, model, and figures."""

import argparse
import json
import os
import time
import warnings
from collections.abc import Callable
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

os.environ.update(OMP_NUM_THREADS="1", NUMBA_NUM_THREADS="1", OPENBLAS_NUM_THREADS="1")

import numpy as np
import torch
from manifold_methods import METHODS, Array, Fitted, Method

from refold.data import find_digits
from refold.metrics import map_quality, neighbour_accuracy, trustworthiness

NEIGHBOURS = 5
LEARNED_ROWS, LAST = 10_000, 1 / 6  # by the published protocol: the first rows, and the last share for 1-NN
ALONE = 5


@dataclass(frozen=True)
class Images:
    """Pictures of 0 to 1 with their labels, to learn from and new ones."""

    train: Array
    train_labels: Array
    test: Array
    test_labels: Array


@dataclass(frozen=True)
class Costs:
    """Seconds of the processor, what the way back loses, and what company changes.

    `back` is for all new images, extrapolated where only some were taken back; `alone` is the largest difference of
    codes of images put in alone or among all, in deviations of codes.
    """

    fit: float
    there: float
    alone: float
    back: float | None = None
    error: float | None = None


@dataclass(frozen=True)
class Figures:
    """How well the codes of new images keep what is in the images; and two figures of images that were learned."""

    trustworthiness: float
    continuity: float
    nearest: float
    ten_nearest: float
    trustworthiness_learned: float
    nearest_learned: float


def main() -> None:
    """Fit, and write what came of it; with ``--measure`` only measure codes that are there."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("method", choices=tuple(METHODS))
    parser.add_argument("size", type=int)
    parser.add_argument("seed", type=int)
    parser.add_argument("stem", type=Path)
    parser.add_argument("--rows", type=int)
    parser.add_argument("--measure", action="store_true")
    options = parser.parse_args()
    torch.set_num_threads(1)
    images = find_images(options.rows)
    outcome = options.stem.with_suffix(".json")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        if options.measure:
            costs = json.loads(outcome.read_text())["costs"]
        else:
            outcome.unlink(missing_ok=True)
            costs = asdict(_fit(METHODS[options.method], images, options.size, options.seed, options.stem))
        with np.load(options.stem.with_suffix(".npz")) as codes:
            figures = asdict(_figures(images, codes["train"], codes["test"]))
    outcome.write_text(json.dumps({"costs": costs, "figures": figures}))
    print(json.dumps({"costs": costs, "figures": figures}))


def find_images(rows: int | None) -> Images:
    """Return MNIST, at most so many of each part."""
    digits = find_digits()
    if digits.name != "MNIST":
        raise SystemExit("MNIST was not found: put mnist.npz into $REFOLD_DATA or ../shared/data")
    train, test = (part[:rows] / np.float32(255) for part in (digits.train, digits.test))
    return Images(train, digits.train_labels[:rows], test, digits.test_labels[:rows])


def _fit(method: Method, images: Images, size: int, seed: int, stem: Path) -> Costs:
    """Let a method learn, put in the new images, take them back; leave codes and model in files."""
    warm = method.fit(images.train[: method.warm_up], size, seed)
    _back(method, warm, images, warm.transform(images.test[: method.warm_up]))
    fitted, fit_seconds = _timed(lambda: method.fit(images.train, size, seed))
    codes, there = _timed(lambda: fitted.transform(images.test))
    single = np.concatenate([fitted.transform(images.test[place : place + 1]) for place in range(ALONE)])
    alone = float(np.abs(single - codes[:ALONE]).max() / codes.std())
    np.savez(stem.with_suffix(".npz"), train=fitted.codes, test=codes)
    if fitted.autoencoder:
        fitted.autoencoder.save(stem.with_suffix(".safetensors"))
    return Costs(fit_seconds, there, alone, *_back(method, fitted, images, codes))


def _back(method: Method, fitted: Fitted, images: Images, codes: Array) -> tuple[float, float] | tuple[()]:
    """Return seconds for all codes to become images, and the mean squared error of those that did."""
    if fitted.inverse is None:
        return ()
    some = codes[: method.most_back]
    rebuilt, seconds = _timed(lambda: fitted.inverse(some))
    error = np.square(rebuilt.reshape(len(some), -1) - images.test[: len(some)].reshape(len(some), -1)).mean()
    return seconds * len(images.test) / len(some), float(error)


def _timed(work: Callable[[], Any]) -> tuple[Any, float]:
    start = time.process_time()
    result = work()
    return result, time.process_time() - start


def _figures(images: Images, train: Array, test: Array) -> Figures:
    quality = map_quality(images.test, test, n_neighbors=NEIGHBOURS, sizes=(NEIGHBOURS,), pairs=1)
    accuracy = neighbour_accuracy(train, images.train_labels, test, images.test_labels, n_neighbors=(1, 10))
    return Figures(
        quality.trustworthiness, quality.continuity, accuracy[1], accuracy[10], *_by_published_protocol(images, train)
    )


def _by_published_protocol(images: Images, codes: Array) -> tuple[float, float]:
    """Return trustworthiness and 1-NN of images that were learned."""
    kept = trustworthiness(images.train[:LEARNED_ROWS], codes[:LEARNED_ROWS], NEIGHBOURS)
    known, asked = np.split(np.arange(len(codes)), [round(len(codes) * (1 - LAST))])
    labels = images.train_labels
    return kept, neighbour_accuracy(codes[known], labels[known], codes[asked], labels[asked], n_neighbors=1)


if __name__ == "__main__":
    main()
