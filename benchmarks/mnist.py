"""``make bench-mnist``: MNIST in 2, 3, 16 and 32 numbers, and MNIST with noise, beside PCA and the usual filters.

Standard split, 10,000 test images, one fixed configuration a row. Prints the table and writes its part of
``benchmarks/RESULTS.md``. ``--seed N`` trains with another seed, ``--row NAME`` runs one row alone.
"""

import argparse
import os
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Any

os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")

import numpy as np
from results import write_section
from sklearn.decomposition import PCA

from refold import Autoencoder
from refold.data import Digits, find_digits

BM3D_IMAGES = 100
SHARED: dict[str, Any] = {
    "net": "dense",
    "activation": "silu",
    "optimizer": "muon",
    "batch_size": 512,
    "early_stopping": False,
    "validation_fraction": 0.0,
    "weight_averaging": 0.0,
}
CODE_HEADER = (
    "| what | numbers | figure | peer | PCA | target | ours | met | s |",
    "|---|---|---|---|---|---|---|---|---|",
)
NOISE_HEADER = (
    "| noise | noisy | median 3x3 | TV | BM3D | PCA 128 | ours, 128 numbers | ours on BM3D's pictures | met | s |",
    "|---|---|---|---|---|---|---|---|---|---|",
)
NO_HELD_OUT = {"early_stopping": False, "validation_fraction": 0.0}


@dataclass(frozen=True)
class Row:
    """One line of the table: a configuration, its figure on the test images, and what it must reach."""

    name: str
    figure: str
    size: int
    parameters: dict[str, Any]
    peer: str
    target: float
    extra: dict[str, Any] = field(default_factory=dict)


ROWS = (
    Row(
        "one dense layer each way",
        "cross-entropy",
        32,
        {
            "net": "dense", "hidden": (), "loss": "cross_entropy", "learning_rate": 5e-3, "weight_decay": 0.0,
            "batch_size": 256, "max_epochs": 40, "gradient_clip": None, "weight_averaging": 0.0, **NO_HELD_OUT,
        },
        "Keras blog .093",
        0.0925,
    ),
    Row(
        "deep",
        "MSE",
        2,
        {**SHARED, "hidden": (512, 256, 256, 128), "learning_rate": 2e-3, "weight_decay": 0.5, "max_epochs": 42},
        "UMAP/AE .0360",
        0.0325,
    ),
    Row(
        "deep",
        "MSE",
        3,
        {**SHARED, "hidden": (512, 256, 256, 128), "learning_rate": 2e-3, "weight_decay": 0.5, "max_epochs": 40},
        "none published",
        0.0265,
    ),
    Row(
        "deep",
        "MSE",
        16,
        {**SHARED, "hidden": (512, 256, 256), "learning_rate": 4e-3, "weight_decay": 0.3, "max_epochs": 24},
        "none published",
        0.0066,
    ),
    Row(
        "deep",
        "cross-entropy",
        32,
        {
            **SHARED, "hidden": (512, 256), "loss": "cross_entropy", "learning_rate": 4e-3, "weight_decay": 0.3,
            "max_epochs": 18,
        },
        "Keras blog .094 (128 numbers)",
        0.0802,
    ),
)  # fmt: skip

DENOISER: dict[str, Any] = {
    "net": "conv", "hidden": (16, 32), "latent_dim": 128, "normalise": False, "corruption": "gaussian(0.225)",
    "learning_rate": 3e-3, "weight_decay": 0.05, "batch_size": 256, "max_epochs": 12, "weight_averaging": 0.0,
    **NO_HELD_OUT,
}  # fmt: skip


def main() -> None:
    """Run the table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--row", choices=["codes", "noise", *[f"{row.size}-{row.figure}" for row in ROWS]])
    options = parser.parse_args()
    digits = find_digits()
    if digits.name != "MNIST":
        raise SystemExit("MNIST was not found: put mnist.npz into $REFOLD_DATA or ../shared/data")
    start = time.perf_counter()
    lines = list(_tables(digits, options.seed, options.row))
    minutes = (time.perf_counter() - start) / 60
    lines += ["", f"Whole table: {minutes:.1f} minutes, seed {options.seed}."]
    print(lines[-1])
    if options.row is None:
        write_section("mnist", "MNIST: codes and noise", "make bench-mnist", lines)


def _tables(digits: Digits, seed: int, only: str | None) -> Iterator[str]:
    if only != "noise":
        yield from _shown(*CODE_HEADER)
        for row in ROWS:
            if only in (None, "codes", f"{row.size}-{row.figure}"):
                yield from _shown(_code_line(row, digits, seed))
    if only in (None, "noise"):
        about = f"Noise on test images, mean PSNR in dB of each picture (BM3D on the first {BM3D_IMAGES}):"
        yield from _shown("", about, "")
        yield from _shown(*NOISE_HEADER)
        for line in _noise_lines(digits, seed):
            yield from _shown(line)


def _shown(*lines: str) -> tuple[str, ...]:
    for line in lines:
        print(line, flush=True)
    return lines


def _code_line(row: Row, digits: Digits, seed: int) -> str:
    start = time.perf_counter()
    model = Autoencoder(latent_dim=row.size, random_state=seed, **row.parameters).fit(digits.train)
    seconds = time.perf_counter() - start
    ours = float(model.reconstruction_error(digits.test).mean())
    plain = f"{_pca_error(digits, row.size):.4f}" if row.figure == "MSE" else "-"
    met = "yes" if ours <= row.target else f"no, {ours - row.target:+.5f}"
    cells = [row.name, row.size, row.figure, row.peer, plain, row.target, f"**{ours:.5f}**", met, f"{seconds:.0f}"]
    return f"| {' | '.join(map(str, cells))} |"


def _pca_error(digits: Digits, size: int) -> float:
    flat, test = (part.reshape(len(part), -1) / np.float32(255) for part in (digits.train, digits.test))
    pca = PCA(size, random_state=0).fit(flat)
    return float(np.square(pca.inverse_transform(pca.transform(test)) - test).mean())


# --- noise ---------------------------------------------------------------------------------------------------------


def _noise_lines(digits: Digits, seed: int) -> Iterator[str]:
    start = time.perf_counter()
    training, clean = digits.train / np.float32(255), digits.test / np.float32(255)
    model = Autoencoder(random_state=seed, **DENOISER).fit(training)
    seconds = time.perf_counter() - start
    for share in (0.20, 0.25):
        noise = np.random.default_rng(1).normal(0, share, clean.shape).astype(np.float32)
        noisy = clean + noise
        ours = np.clip(model.reconstruct(noisy), 0, 1)
        peers = {name: _psnr(clean, peer(noisy, share)) for name, peer in _filters().items()}
        some = slice(0, BM3D_IMAGES)
        bm3d = _psnr(clean[some], _bm3d(noisy[some], share))
        by_pca = _psnr(clean, _by_pca(training, noisy, DENOISER["latent_dim"]))
        here, there = _psnr(clean, ours), _psnr(clean[some], ours[some])
        met = "yes" if here > max(peers.values()) and there > bm3d else "no"
        cells = [f"{share:.0%}", f"{_psnr(clean, noisy):.2f}", *[f"{value:.2f}" for value in peers.values()]]
        cells += [f"{bm3d:.2f}", f"{by_pca:.2f}", f"**{here:.2f}**", f"{there:.2f}", met, f"{seconds:.0f}"]
        yield f"| {' | '.join(cells)} |"


def _filters() -> dict[str, Callable[[np.ndarray, float], np.ndarray]]:
    from scipy.ndimage import median_filter
    from skimage.restoration import denoise_tv_chambolle

    def median(noisy: np.ndarray, share: float) -> np.ndarray:
        return median_filter(noisy, size=(1, 3, 3))

    def total_variation(noisy: np.ndarray, share: float) -> np.ndarray:
        # the weight that is best on these images among .05 to .3
        return np.stack([denoise_tv_chambolle(picture, weight=0.15) for picture in noisy])

    return {"median": median, "TV": total_variation}


def _bm3d(noisy: np.ndarray, share: float) -> np.ndarray:
    from bm3d import bm3d

    return np.stack([bm3d(picture, share) for picture in noisy])


def _by_pca(training: np.ndarray, noisy: np.ndarray, size: int) -> np.ndarray:
    pca = PCA(size, random_state=0).fit(training.reshape(len(training), -1))
    return pca.inverse_transform(pca.transform(noisy.reshape(len(noisy), -1))).reshape(noisy.shape)


def _psnr(clean: np.ndarray, other: np.ndarray) -> float:
    errors = np.square(clean.astype(np.float64) - np.clip(other, 0, 1)).mean(axis=(1, 2))
    return float(np.mean(-10 * np.log10(errors)))


if __name__ == "__main__":
    main()
