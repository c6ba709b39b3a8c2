"""Handwritten digits that are really there: MNIST where a copy lies at hand, scikit-learn's own otherwise."""

import os
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray


@dataclass(frozen=True)
class Digits:
    """Pictures of digits with their labels, split for training and testing.

    Parameters
    ----------
    name : str
        What the set is called.
    train, test : ndarray of shape (n, H, W), uint8
        Grey pictures, 0 to 255.
    train_labels, test_labels : ndarray of shape (n,), int
    """

    name: str
    train: NDArray[np.uint8]
    train_labels: NDArray[Any]
    test: NDArray[np.uint8]
    test_labels: NDArray[Any]


def find_digits() -> Digits:
    """Return MNIST from ``$REFOLD_DATA``, ``../shared/data`` or the cache, else scikit-learn's digits."""
    for folder in _data_folders():
        if (folder / "mnist.npz").is_file():
            return _read_mnist(folder / "mnist.npz")
    return digits_of_scikit_learn()


def digits_of_scikit_learn() -> Digits:
    """Return scikit-learn's 1,797 digits of 8x8 pixels, every fifth one for testing, grey levels 0 to 255."""
    from sklearn.datasets import load_digits

    bunch = load_digits()
    pictures = np.rint(bunch.images * (255 / 16)).astype(np.uint8)
    test = np.arange(len(pictures)) % 5 == 0
    return Digits("digits", pictures[~test], bunch.target[~test], pictures[test], bunch.target[test])


def _data_folders() -> list[Path]:
    named = os.environ.get("REFOLD_DATA")
    cache = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache")
    return [*([Path(named)] if named else []), Path("..") / "shared" / "data", cache / "refold"]


def _read_mnist(path: Path) -> Digits:
    with np.load(path, allow_pickle=False) as arrays:
        return Digits("MNIST", arrays["x_train"], arrays["y_train"], arrays["x_test"], arrays["y_test"])
