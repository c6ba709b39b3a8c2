"""``refold demo``: an autoencoder seen at work on data that is really there."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from refold._extras import require
from refold.cli._talk import say
from refold.data import Digits, find_digits
from refold.estimators import Autoencoder, PCABaseline
from refold.plots import (
    Animation,
    FigureSection,
    NumbersTable,
    Page,
    Pictures,
    Section,
    Text,
    TurningScatter,
    latent_scatter,
    loss_curves,
    reconstruction_grid,
    write_page,
)

Array = NDArray[Any]

_TRAINING_DIGITS = 20_000
_TEST_DIGITS = 3_000
_NOISE = 0.2
_PATCH = 8
_HEADER = ("what was learned", "figure", "autoencoder", "PCA of the same size", "untouched")


@dataclass(frozen=True)
class Chapter:
    """What one part of the demo found.

    Parameters
    ----------
    sections : tuple of Section
        For the page.
    row : tuple
        One line of the table of numbers, as in ``_HEADER``.
    """

    sections: tuple[Section, ...]
    row: tuple[Any, ...]


def run_demo(folder: Path, *, quiet: bool = False) -> Path:
    """Learn from digits, a table and photographs, write ``index.html`` and return its path.

    Parameters
    ----------
    folder : pathlib.Path
        Where the page goes.
    quiet : bool
        No progress on standard error.
    """
    digits = find_digits()
    talk: Callable[[str], None] = (lambda text: None) if quiet else say
    chapters = list(_chapters(digits, talk, 0 if quiet else 1))
    sections: list[Section] = [section for chapter in chapters for section in chapter.sections]
    sections.insert(1, _table(chapters, digits))
    lead = (
        "An autoencoder folds each record into a few numbers and folds it back, and learns how from the records "
        "alone. Everything here was learned just now, on this machine; beside it stands PCA, the best that a linear "
        "method can do with as many numbers."
    )
    page = folder / "index.html"
    write_page(Page("What refold does", lead, sections), page)
    for chapter in chapters:
        talk(f"{chapter.row[0]}: {chapter.row[1]} {chapter.row[2]:.4g} (PCA {chapter.row[3]:.4g})")
    return page


def _chapters(digits: Digits, talk: Callable[[str], None], verbose: int) -> Iterator[Chapter]:
    talk(f"1/4  {digits.name} in 3 numbers")
    yield _three_numbers(digits, verbose)
    talk(f"2/4  {_NOISE:.0%} noise taken out of {digits.name}")
    yield _denoising(digits, verbose)
    talk("3/4  a table of measurements in 2 numbers")
    yield _table_of_measurements(verbose)
    talk(f"4/4  {_NOISE:.0%} noise taken out of a photograph")
    yield _photographs(verbose)


def _table(chapters: list[Chapter], digits: Digits) -> NumbersTable:
    return NumbersTable(
        "Beside the plain way",
        _HEADER,
        [chapter.row for chapter in chapters],
        f"Measured on records that no training saw ({digits.name}, scikit-learn's breast cancer table, photographs "
        "of scikit-image). Variance kept: 1 is all of it. PSNR in decibels: more is better.",
    )


# --- digits ------------------------------------------------------------------------------------------------------


def _training(digits: Digits) -> Array:
    return digits.train[:_TRAINING_DIGITS]


def _three_numbers(digits: Digits, verbose: int) -> Chapter:
    training, test = _training(digits), digits.test[:_TEST_DIGITS]
    model = Autoencoder(
        latent_dim=3, net="dense", hidden=(512, 256, 128), optimizer="muon", max_epochs=_epochs(training, 20),
        random_state=0, verbose=verbose,
    )  # fmt: skip
    model.fit(training)
    pca = PCABaseline(model, training)
    labels = digits.test_labels[: len(test)]
    cloud = TurningScatter(
        f"{len(test):,} {digits.name} pictures in 3 numbers",
        model.transform(test),
        [str(label) for label in labels],
        thumbnails=test,
        caption="No label was used in training: the colours were added afterwards. Drag to turn, scroll to come "
        "nearer, point at a dot to see its picture, click a class to hide it.",
    )
    shown = _one_of_each(test, labels)
    rebuilt = {
        "original": shown,
        "through 3 numbers": model.reconstruct(shown),
        "PCA, 3 numbers": pca.reconstruct(shown),
    }
    sections = (
        cloud,
        FigureSection("Through three numbers and back", reconstruction_grid(rebuilt)),
        _walk(model, test, labels),
        FigureSection(
            "The course of training",
            loss_curves(model.history_, best_epoch=model.best_epoch_),
            "Errors on the pictures trained on and on pictures held out, side by side: if the second rose while the "
            "first fell, the network would be learning by heart.",
        ),
    )
    row = (f"{digits.name} in 3 numbers", "variance kept", model.score(test), pca.score(test), None)
    return Chapter(sections, row)


def _epochs(training: Array, wanted: int) -> int:
    """Return more epochs for small data, so that it sees as many steps."""
    return min(150, max(wanted, wanted * 8_000 // len(training)))


def _one_of_each(pictures: Array, labels: Array) -> Array:
    return pictures[[int(np.flatnonzero(labels == label)[0]) for label in np.unique(labels)]]


def _walk(model: Autoencoder, pictures: Array, labels: Array) -> Animation:
    stops = [int(np.flatnonzero(labels == digit)[1]) for digit in (3, 8, 6, 0, 3)]
    codes = model.transform(pictures[stops])
    steps = np.linspace(0, 1, 24, endpoint=False)[:, None]
    path = np.concatenate([start + (end - start) * steps for start, end in pairwise(codes)])
    return Animation(
        "A walk between digits",
        model.inverse_transform(path),
        "From a 3 to an 8, a 6, a 0 and back, in a straight line through the three numbers: every picture on the way "
        "is decoded from a point where no picture was.",
    )


def _denoising(digits: Digits, verbose: int) -> Chapter:
    training, test = _training(digits), digits.test[:_TEST_DIGITS]
    size = min(64, training[0].size // 2)
    model = Autoencoder(
        latent_dim=size, net="dense", hidden=(512, 256), corruption=f"gaussian({_NOISE})",
        max_epochs=_epochs(training, 20), random_state=0, verbose=verbose,
    )  # fmt: skip
    model.fit(training / np.float32(255))
    clean = test / np.float32(255)
    noisy = clean + np.random.default_rng(0).normal(0, _NOISE, clean.shape).astype(np.float32)
    cleaned = model.reconstruct(noisy)
    by_pca = np.clip(PCABaseline(model, clean).reconstruct(noisy), 0, 1)
    shown = _one_of_each(np.arange(len(test)), digits.test_labels[: len(test)])
    grid = {
        f"with {_NOISE:.0%} noise": np.clip(noisy[shown], 0, 1),
        "cleaned": cleaned[shown],
        f"PCA, {size} numbers": by_pca[shown],
        "the original": clean[shown],
    }
    section = FigureSection(
        f"{_NOISE:.0%} noise, taken out",
        reconstruction_grid(grid),
        "The network saw only noisy pictures on its way in, and was asked for the clean ones.",
    )
    quality = [psnr(clean, other) for other in (cleaned, by_pca, np.clip(noisy, 0, 1))]
    return Chapter((section,), (f"{digits.name} without {_NOISE:.0%} noise", "PSNR, dB", *quality))


def psnr(clean: Array, other: Array) -> float:
    """Return the peak signal-to-noise ratio in decibels, the mean over pictures of values 0 to 1."""
    errors = np.square(clean.astype(np.float64) - other).reshape(len(clean), -1).mean(axis=1)
    return float(np.mean(-10 * np.log10(np.maximum(errors, 1e-12))))


# --- a table -----------------------------------------------------------------------------------------------------


def _table_of_measurements(verbose: int) -> Chapter:
    from sklearn.datasets import load_breast_cancer

    bunch = load_breast_cancer()
    test = np.arange(len(bunch.data)) % 4 == 0
    model = Autoencoder(latent_dim=2, random_state=0, verbose=verbose).fit(bunch.data[~test])
    pca = PCABaseline(model, bunch.data[~test])
    kinds = bunch.target_names[bunch.target[test]]
    section = FigureSection(
        "Thirty measurements in two numbers",
        latent_scatter(model.transform(bunch.data[test]), colours=kinds),
        "Breast tumours that training did not see; what kind they are was told to nobody but the colours.",
    )
    score, plain = model.score(bunch.data[test]), pca.score(bunch.data[test])
    return Chapter((section,), ("30 measurements in 2 numbers", "variance kept", score, plain, None))


# --- photographs -------------------------------------------------------------------------------------------------


def _photographs(verbose: int) -> Chapter:
    photos = require("skimage.data", extra="demo", purpose="show photographs")
    others = (photos.chelsea(), photos.coffee(), photos.rocket(), *_photos_of_scikit_learn())
    training = np.concatenate([_patches(_shares(photo), step=6) for photo in others])
    model = Autoencoder(
        latent_dim=32, net="dense", hidden=(512, 256), corruption=f"gaussian({_NOISE})", max_epochs=10,
        random_state=0, verbose=verbose,
    ).fit(training)  # fmt: skip
    photo = _shares(photos.astronaut())[:256, 96:352]
    noisy = photo + np.random.default_rng(0).normal(0, _NOISE, photo.shape).astype(np.float32)
    patches = _patches(noisy, step=4)
    ways = (model.reconstruct(patches), PCABaseline(model, training).reconstruct(patches))
    cleaned, by_pca = (np.clip(_overlaid(way, photo.shape, step=4), 0, 1) for way in ways)
    section = Pictures(
        f"A photograph with {_NOISE:.0%} noise",
        [np.clip(noisy, 0, 1), cleaned, by_pca, photo],
        ("with noise", "through 32 numbers a patch", "PCA, 32 numbers a patch", "the original"),
        "Overlapping patches of 8x8 colour pixels, 192 values, each through a code of 32 numbers that was learned "
        "from five other photographs, and averaged where they overlap.",
    )
    quality = [psnr(photo[None], other[None]) for other in (cleaned, by_pca, np.clip(noisy, 0, 1))]
    return Chapter((section, _last_words()), (f"photograph without {_NOISE:.0%} noise", "PSNR, dB", *quality))


def _photos_of_scikit_learn() -> list[Array]:
    from sklearn.datasets import load_sample_images

    return list(load_sample_images().images)


def _shares(photo: Array) -> Array:
    return photo[..., :3].astype(np.float32) / np.float32(255)


def _patches(photo: Array, step: int) -> Array:
    """Return patches (n, 8, 8, 3), one every `step` pixels."""
    windows = np.lib.stride_tricks.sliding_window_view(photo, (_PATCH, _PATCH), axis=(0, 1))[::step, ::step]
    return np.ascontiguousarray(np.moveaxis(windows, 2, -1).reshape(-1, _PATCH, _PATCH, 3))


def _overlaid(patches: Array, shape: tuple[int, ...], step: int) -> Array:
    """Return the photograph of `shape` whose patches these are, averaged where they overlap."""
    total, count = np.zeros(shape), np.zeros((*shape[:2], 1))
    corners = [(y, x) for y in range(0, shape[0] - _PATCH + 1, step) for x in range(0, shape[1] - _PATCH + 1, step)]
    for (y, x), patch in zip(corners, patches, strict=True):
        total[y : y + _PATCH, x : x + _PATCH] += patch
        count[y : y + _PATCH, x : x + _PATCH] += 1
    result: Array = (total / np.maximum(count, 1)).astype(np.float32)
    return result


def _last_words() -> Text:
    return Text(
        "Now yours",
        (
            "refold fit DATA -o model.safetensors learns from a CSV or Parquet file, a NumPy array or a folder of "
            "pictures; refold plot model.safetensors DATA -o page.html draws a page like this one.",
        ),
    )
