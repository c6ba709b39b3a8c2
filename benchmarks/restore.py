"""``make bench-restore``: photographs restored by the networks that ship, and by usual methods.

Published protocol: Gaussian noise is added to whole 8-bit pictures, neither clipped nor rounded; PSNR of the whole
picture. The noise of a picture comes from a seed that is its number. Our network is told nothing of the strength;
the other methods are told the true one. BM3D takes seconds a picture, so all methods are compared on every twelfth
picture of BSD68; ours is measured on all 68 besides, beside the published figures. Colour: 32 photographs; every
other of them for what is lost and filled. Prints the tables and writes ``benchmarks/RESULTS.md``, a section for every
part; ``--only`` runs some, ``--model`` judges another restorer by them.
"""

import argparse
import os
import resource
import subprocess
import sys
import time
import warnings
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from statistics import mean
from typing import Any

os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")

import colourise_part
import cv2
import inpaint_part
import logo_part
import numpy as np
import torch
import unwatermark_part
from results import write_section
from skimage.restoration import denoise_nl_means, denoise_tv_chambolle, denoise_wavelet

import refold
from refold.data import read_picture_file

Array = np.ndarray[Any, Any]
Method = Callable[[Array, float], Array]

LEVELS, ENSEMBLE_LEVELS = (15, 25, 50, 51, 64), (25,)
COLOUR_LEVELS = (25, 51)
EVERY, FILLED_EVERY = 12, 2
PUBLISHED = {
    "BM3D (published)": ("31.07", "28.57", "25.62", "", "", "29.97"),
    "DnCNN-S, one network a level (published)": ("31.73", "29.23", "26.23", "", "", "30.44"),
    "233k-parameter U-Net, 100 gigapixels of training": ("31.49", "29.06", "26.12", "26.04", "25.14", "30.22"),
}
TARGETS = {15: 31.40, 25: 28.95, 50: 26.05, 51: 25.95, 64: 25.10}
AHEAD_IN_COLOUR = 0.4
LARGE = (3000, 4000)


@dataclass(frozen=True)
class Noisy:
    """A picture of 0 to 1 and itself with noise."""

    true: Array
    damaged: Array


def main() -> None:
    """Run the tables."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--only", choices=tuple(PARTS), nargs="+")
    parser.add_argument("--model", type=Path, help="a restorer instead of the one that ships")
    parser.add_argument("--large", action="store_true", help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.large:
        restore_large(refold.load(options.model) if options.model else refold.pretrained("denoise"))
        return
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        for name in options.only or PARTS:
            run(name, PARTS[name], options.model)


def run(name: str, part: "Part", model: Path | None) -> None:
    """Print the tables of a part, and write them if they are of the restorer that ships."""
    start = time.perf_counter()
    restorer = refold.load(model) if model else refold.pretrained(part.restorer)
    lines = [*part.measure(restorer), "", f"Measured in {(time.perf_counter() - start) / 60:.1f} minutes."]
    print("", *lines, sep="\n", flush=True)
    if model is None:
        command = f"python benchmarks/restore.py --only {name}, or make bench-restore"
        write_section(f"restore-{name}", f"Restoration: {part.title}", command, lines)


# --- data ----------------------------------------------------------------------------------------------------------


def photos(*names: str) -> list[Array]:
    """Return the pictures of a folder of ``$REFOLD_DATA/photos`` or ``../shared/data/photos``, 0 to 1."""
    named = os.environ.get("REFOLD_DATA")
    folder = (Path(named) if named else Path("..") / "shared" / "data").joinpath("photos", *names)
    paths = sorted(path for path in folder.glob("*") if path.suffix in (".png", ".jpg"))
    if not paths:
        raise SystemExit(
            f"no pictures in photos/{'/'.join(names)} of $REFOLD_DATA: put BSD68, Set12 and photos there"
        )
    return [read_picture_file(path).pixels.astype(np.float32) / 255 for path in paths]


def damaged(pictures: Sequence[Array], level: float) -> list[Noisy]:
    """Return pictures with noise, each from a seed of its own."""
    noise = (np.random.default_rng(place).standard_normal(each.shape) for place, each in enumerate(pictures))
    return [
        Noisy(true, (true + level / 255 * each).astype(np.float32))
        for true, each in zip(pictures, noise, strict=True)
    ]


def psnr(found: Array, true: Array) -> float:
    """Return decibels of pictures of 0 to 1; what a method gives beyond the range is cut off."""
    return float(-10 * np.log10(np.mean((np.clip(found, 0, 1) - true) ** 2)))


def measured(method: Method, pictures: Sequence[Array], level: float) -> tuple[float, float]:
    """Return mean PSNR, and seconds a picture."""
    start = time.perf_counter()
    found = [psnr(method(pair.damaged, level / 255), pair.true) for pair in damaged(pictures, level)]
    return mean(found), (time.perf_counter() - start) / len(pictures)


# --- methods: from a damaged picture and the noise's deviation to a restored one -----------------------------------


def ours(restorer: refold.Restorer, self_ensemble: bool = False) -> Method:
    """Return the restorer as a method; it is not told the deviation."""

    def restore(picture: Array, deviation: float) -> Array:
        return restorer.restore(picture, self_ensemble=self_ensemble)

    return restore


def noise_left(picture: Array, deviation: float) -> Array:
    """Return the picture as it is."""
    return picture


def bm3d(picture: Array, deviation: float) -> Array:
    """Return BM3D's answer."""
    import bm3d as package

    return package.bm3d_rgb(picture, deviation) if picture.ndim == 3 else package.bm3d(picture, deviation)


def nl_means(picture: Array, deviation: float) -> Array:
    """Return scikit-image's non-local means, as its documentation advises."""
    axis = -1 if picture.ndim == 3 else None
    return denoise_nl_means(
        picture, h=0.8 * deviation, sigma=deviation, patch_size=5, patch_distance=6, channel_axis=axis
    )


def cv_nl_means(picture: Array, deviation: float) -> Array:
    """Return OpenCV's non-local means, of 8 bits."""
    eight = np.rint(np.clip(picture, 0, 1) * 255).astype(np.uint8)
    if picture.ndim == 3:
        return cv2.fastNlMeansDenoisingColored(eight, None, 255 * deviation, 255 * deviation) / 255
    return cv2.fastNlMeansDenoising(eight, None, 255 * deviation) / 255


def total_variation(picture: Array, deviation: float) -> Array:
    """Return the least total variation, with a weight that grows with the noise."""
    return denoise_tv_chambolle(picture, weight=1.2 * deviation, channel_axis=-1 if picture.ndim == 3 else None)


def wavelets(picture: Array, deviation: float) -> Array:
    """Return scikit-image's wavelet shrinkage (BayesShrink)."""
    axis = -1 if picture.ndim == 3 else None
    return denoise_wavelet(picture, sigma=deviation, mode="soft", rescale_sigma=True, channel_axis=axis)


PEERS: dict[str, Method] = {
    "noisy": noise_left,
    "wavelets (scikit-image)": wavelets,
    "total variation (scikit-image)": total_variation,
    "non-local means (OpenCV)": cv_nl_means,
    "non-local means (scikit-image)": nl_means,
    "BM3D": bm3d,
}


# --- tables --------------------------------------------------------------------------------------------------------


def grey(restorer: refold.Restorer) -> list[str]:
    """Return the table of BSD68 and Set12, all pictures."""
    rows = [f"| {name} | {' | '.join(values)} |" for name, values in PUBLISHED.items()]
    found: dict[str, list[float]] = {}
    for name, ensemble, levels in (
        ("**refold**, one network, blind", False, LEVELS),
        ("refold, mean over eight ways (--tta)", True, ENSEMBLE_LEVELS),
    ):
        method = ours(restorer, ensemble)
        found[name] = [measured(method, photos("test_gray", "BSD68"), level)[0] for level in levels]
        cells = dict(zip(levels, (f"{value:.2f}" for value in found[name]), strict=True))
        found[name].append(measured(method, photos("test_gray", "Set12"), 25)[0])
        row = [*(cells.get(level, "") for level in LEVELS), f"{found[name][-1]:.2f}"]
        rows.append(f"| {name} | {' | '.join(row)} |")
        print(rows[-1], flush=True)
    plain = found["**refold**, one network, blind"]
    targets = [
        f"- BSD68 at {level}: {value:.2f}, {_verdict(value, TARGETS[level])}"
        for level, value in zip(LEVELS, plain[:-1], strict=True)
    ]
    targets.append(f"- Set12 at 25: {plain[-1]:.2f}, {_verdict(plain[-1], 29.97)} (BM3D, published)")
    head = "| BSD68, 68 pictures, dB | 15 | 25 | 50 | 51 (20 %) | 64 (25 %) | Set12 at 25 |"
    return [head, "|---" * 7 + "|", *rows, "", *targets]


def _verdict(value: float, target: float) -> str:
    return f"target {target:.2f} " + ("met" if value >= target else f"missed by {target - value:.2f}")


def peers(restorer: refold.Restorer) -> list[str]:
    """Return the table of peers told the true deviation, on every twelfth picture of BSD68."""
    return _table(restorer, photos("test_gray", "BSD68")[::EVERY], LEVELS, f"BSD68, every {EVERY}th picture, dB")[0]


def colour(restorer: refold.Restorer) -> list[str]:
    """Return the table of colour photographs."""
    pictures = photos("test_colour")
    rows, found = _table(restorer, pictures, COLOUR_LEVELS, f"{len(pictures)} colour photographs, dB")
    ahead = zip(COLOUR_LEVELS, found["**refold**"], found["BM3D"], strict=True)
    return [
        *rows,
        "",
        *(f"- colour at {level}: {_ahead(mine - bm3d, AHEAD_IN_COLOUR)}" for level, mine, bm3d in ahead),
    ]


def _ahead(more: float, target: float) -> str:
    said = "met" if more >= target else f"missed by {target - more:.2f}"
    return f"{more:+.2f} dB to BM3D for colours, target {target:+.1f} {said}"


def _table(
    restorer: refold.Restorer, pictures: Sequence[Array], levels: Sequence[int], title: str
) -> tuple[list[str], dict[str, list[float]]]:
    """Return the rows of a table, and the decibels of each method."""
    decibels = {}
    rows = [f"| {title} | {' | '.join(map(str, levels))} | s a picture |", "|---" * (len(levels) + 2) + "|"]
    for name, method in {**PEERS, "**refold**": ours(restorer)}.items():
        found = [measured(method, pictures, level) for level in levels]
        decibels[name] = [value for value, _ in found]
        rows.append(
            f"| {name} | {' | '.join(f'{value:.2f}' for value, _ in found)} | {mean(took for _, took in found):.2f} |"
        )
        print(rows[-1], flush=True)
    return rows, decibels


def speed(restorer: refold.Restorer) -> list[str]:
    """Return seconds and memory on one thread: a picture of 481x321, and one of 12 megapixels by itself."""
    torch.set_num_threads(1)
    picture = damaged(photos("test_gray", "BSD68")[:1], 25)[0].damaged
    seconds = []
    for _ in range(5):
        start = time.perf_counter()
        restorer.restore(picture)
        seconds.append(time.perf_counter() - start)
    done = subprocess.run([sys.executable, __file__, "--large"], check=True, capture_output=True, text=True)
    return [
        f"One thread, 481x321 grey: {sorted(seconds)[2]:.2f} s (target 0.3).",
        f"One thread, {LARGE[1]}x{LARGE[0]} grey, --max-memory 1GB: {done.stdout.strip()} (target 40 s and 1.5 GB).",
    ]


def restore_large(restorer: refold.Restorer) -> None:
    """Restore a large picture in a process of its own, and print seconds and the most memory."""
    torch.set_num_threads(1)
    picture = np.random.default_rng(0).integers(60, 190, LARGE, dtype=np.uint8)
    start = time.perf_counter()
    restorer.restore(picture, max_memory="1GB")
    most = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1e6
    print(f"{time.perf_counter() - start:.1f} s, at most {most:.2f} GB of memory, Python and torch included")


@dataclass(frozen=True)
class Part:
    """One more damage: what is measured with which restorer."""

    restorer: str
    title: str
    measure: Callable[[Any], list[str]]


def lost_pixels(restorer: refold.Restorer) -> list[str]:
    """Return the table of what is lost and filled."""
    return inpaint_part.inpaint(restorer, photos("test_colour")[::FILLED_EVERY])


PARTS = {
    "grey": Part("denoise", "noise taken off grey photographs", grey),
    "peers": Part("denoise", "noise taken off beside usual methods", peers),
    "colour": Part("denoise", "noise taken off colour photographs", colour),
    "speed": Part("denoise", "seconds and memory", speed),
    "inpaint": Part("inpaint", "what is lost is filled", lost_pixels),
    "colourise": Part("colourise", "grey pictures get colours", colourise_part.colourise),
    "marks": Part("unwatermark", "marks taken off", unwatermark_part.unwatermark),
    "logo": Part("unwatermark", "a known logo taken off", logo_part.logo),
}


if __name__ == "__main__":
    main()
