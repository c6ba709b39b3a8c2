"""The part ``ways`` of `manifold.py`: does the geodesic between two digits stay among the digits?"""

from dataclasses import dataclass
from typing import Any

import numpy as np
from manifold_fit import Images, find_images
from manifold_methods import METHODS, Array, Settings
from manifold_mnist_part import Case
from sklearn.neural_network import MLPClassifier
from speed_running import header, table_line

import refold

PAIRS, STEPS = 100, 11  # of each kind, fewer in trials; codes of a way
COMPARED = ("plain", "keep")
AMONG = 3_000  # learned images that a geodesic stays among
KINDS = ("same digit", "different digits")


@dataclass(frozen=True)
class Way:
    """A classifier's confidence in what lies on ways, and their lengths as the decoder sees them."""

    confidence: Array
    lengths: Array

    @property
    def lowest(self) -> Array:
        """Of each way the least sure place."""
        return self.confidence.min(1)

    @property
    def usual(self) -> Array:
        """Of each way the mean."""
        return self.confidence.mean(1)


def ways(settings: Settings) -> list[str]:
    """Return the table, a line for each size, model and kind of pairs."""
    images = find_images(settings.rows)
    judge = MLPClassifier((256,), batch_size=256, max_iter=10, random_state=0)
    judge.fit(images.train.reshape(len(images.train), -1), images.train_labels)
    names = ("line", "geodesic", "among", "lowest, line", "geodesic", "among", "geodesic ahead", "its length")
    ground = images.train[:AMONG]
    lines = [*header("numbers", "model", "pairs", *names)]
    for size in settings.dims:
        for method in COMPARED:
            model = _model(Case(method, size, settings.seeds[0], settings.rows, settings.cache), images)
            for kind, pairs in zip(KINDS, _pairs(images.test_labels), strict=True):
                ways = [_way(model, judge, images.test[pairs], **how) for how in _ways_to_go(ground)]
                lines.append(table_line(size, METHODS[method].title, kind, *_cells(*ways)))
                print(lines[-1], flush=True)
    return [*lines, "", _about(judge, images)]


def _model(case: Case, images: Images) -> refold.Autoencoder:
    """Return the model of the cache, else one that is learned now."""
    path = case.stem.with_suffix(".safetensors")
    if path.exists():
        return refold.load(path)
    return METHODS[case.method].fit(images.train, case.size, case.seed).autoencoder


def _pairs(labels: Array) -> tuple[Array, Array]:
    """Return places (2, n) of test images of the same digit, and of different ones."""
    count = min(PAIRS, len(labels) // 100)
    first, last = np.random.default_rng(0).integers(0, len(labels), (2, 100 * PAIRS))
    same = (labels[first] == labels[last]) & (first != last)
    different = labels[first] != labels[last]
    return tuple(np.stack([first[kind], last[kind]])[:, :count] for kind in (same, different))


def _ways_to_go(ground: Array) -> list[dict[str, Any]]:
    return [{"via": "line"}, {"via": "geodesic"}, {"via": "geodesic", "among": ground}]


def _way(model: refold.Autoencoder, judge: MLPClassifier, ends: Array, **how: Any) -> Way:
    walk = refold.interpolate(model, ends[0], ends[1], steps=STEPS, **how)
    sure = judge.predict_proba(walk.records.reshape(ends.shape[1] * STEPS, -1)).max(1)
    return Way(sure.reshape(-1, STEPS), walk.lengths)


def _cells(line: Way, geodesic: Way, among: Way) -> list[str]:
    means = [line.usual, geodesic.usual, among.usual, line.lowest, geodesic.lowest, among.lowest]
    return [
        *(f"{values.mean():.3f}" for values in means),
        f"{(geodesic.usual > line.usual).mean():.0%}",
        f"{geodesic.lengths.sum() / line.lengths.sum():.2f}",
    ]


def _about(judge: MLPClassifier, images: Images) -> str:
    accuracy = judge.score(images.test.reshape(len(images.test), -1), images.test_labels)
    return (
        f"{PAIRS} pairs of test images of each kind, {STEPS} decoded pictures a way. Confidence is the highest "
        "probability that a network of one hidden layer gives, learned from the training images "
        f"({accuracy:.2%} right on the test images): means over all pictures, and over the least sure picture of "
        "every way. Among: a geodesic that stays among "
        f"{AMONG:,} learned images. Ahead: ways on which the plain geodesic has the higher mean. Length: its, in "
        "parts of the line's, as the decoder sees it."
    )
