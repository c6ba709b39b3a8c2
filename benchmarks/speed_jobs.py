"""What is trained for the speed table: networks, pictures, and what comes of a training."""

import os
from dataclasses import dataclass
from pathlib import Path

import numpy as np

Array = np.ndarray

BATCH, RATE = 256, 1e-3
PATCH, TEST_PATCHES = 64, 1_000
_SEED_OF_PATCHES = 0


@dataclass(frozen=True)
class Task:
    """A network and the pictures it learns from."""

    hidden: tuple[int, ...] | None
    latent_dim: int
    output: str
    photos: bool = False

    @property
    def convolutional(self) -> bool:
        """Whether the network is refold's own convolutional one."""
        return self.hidden is None


TASKS = {
    "dense": Task((512, 256, 64), 3, "identity"),
    "one-layer": Task((), 3, "identity"),
    "conv28": Task(None, 32, "sigmoid"),
    "conv64": Task(None, 64, "identity", photos=True),
}


@dataclass(frozen=True)
class Job:
    """One training: what, on which pictures (uint8), for how long, from which seed."""

    task: Task
    train: Array
    test: Array
    epochs: int
    seed: int

    def shares(self, pictures: Array) -> Array:
        """Return pictures as peers get them, float32 of 0 to 1: flat, or channels first for convolutions."""
        scaled = pictures.astype(np.float32) / np.float32(255)
        if not self.task.convolutional:
            return scaled.reshape(len(scaled), -1)
        return np.ascontiguousarray(scaled.transpose(0, 3, 1, 2)) if scaled.ndim == 4 else scaled[:, None]


@dataclass(frozen=True)
class Trained:
    """Seconds of every epoch, the error at the end, and how it was computed; threads are torch's where not given."""

    seconds: list[float]
    error: float
    type: str = "float32"
    threads: int | None = None
    operations: int | None = None
    validation_seconds: list[float] | None = None


def make_job(task: Task, records: int, epochs: int, seed: int) -> Job:
    """Return a training on the first `records` pictures."""
    if task.photos:
        patches = colour_patches(records + TEST_PATCHES)
        return Job(task, patches[TEST_PATCHES:], patches[:TEST_PATCHES], epochs, seed)
    from refold.data import find_digits

    digits = find_digits()
    if digits.name != "MNIST":
        raise SystemExit("MNIST was not found: put mnist.npz into $REFOLD_DATA or ../shared/data")
    return Job(task, digits.train[:records], digits.test, epochs, seed)


def colour_patches(count: int) -> Array:
    """Return patches (count, 64, 64, 3), uint8, drawn from the photos at seeded places."""
    from PIL import Image

    folder = Path(os.environ.get("REFOLD_DATA") or Path("..") / "shared" / "data") / "photos" / "train"
    paths = sorted(folder.glob("*.jpg"))
    if not paths:
        raise SystemExit("photos were not found: put photos/train/*.jpg into $REFOLD_DATA or ../shared/data")
    random = np.random.default_rng(_SEED_OF_PATCHES)
    owners = np.arange(count) % len(paths)
    patches = np.empty((count, PATCH, PATCH, 3), np.uint8)
    for number, path in enumerate(paths):
        photo = np.asarray(Image.open(path).convert("RGB"))
        for place in np.flatnonzero(owners == number):
            top, left = (random.integers(side - PATCH + 1) for side in photo.shape[:2])
            patches[place] = photo[top : top + PATCH, left : left + PATCH]
    return patches[random.permutation(count)]
