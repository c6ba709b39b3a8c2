"""What `manifold.py` compares, all with their defaults: from records, and from new records, to codes and back."""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from refold import Autoencoder

Array = np.ndarray[Any, Any]


@dataclass(frozen=True)
class Settings:
    """What a part of the benchmark is asked for."""

    methods: tuple[str, ...] | None
    dims: tuple[int, ...]
    seeds: tuple[int, ...]
    rows: int | None
    cache: Path
    measure_again: bool


@dataclass(frozen=True)
class Fitted:
    """A method that has learned: the codes of what it learned from, and its ways for other records."""

    codes: Array
    transform: Callable[[Array], Array]
    inverse: Callable[[Array], Array] | None = None
    autoencoder: Autoencoder | None = None


@dataclass(frozen=True)
class Method:
    """A method by its name in tables; `fit` takes records (n, ...), numbers of a code and a seed.

    `warm_up` is how many records it runs on first, so that no compiling is counted; `most_back` how many codes it
    takes back where all would take too long.
    """

    title: str
    fit: Callable[[Array, int, int], Fitted]
    most_dims: int = 3
    most_back: int | None = None
    warm_up: int = 500


def umap(records: Array, size: int, seed: int) -> Fitted:
    """Fit umap-learn."""
    from umap import UMAP

    model = UMAP(n_components=size, random_state=seed, n_jobs=1).fit(_rows(records))
    return Fitted(model.embedding_.copy(), lambda new: model.transform(_rows(new)), model.inverse_transform)


def pacmap(records: Array, size: int, seed: int) -> Fitted:
    """Fit PaCMAP."""
    from pacmap import PaCMAP

    model = PaCMAP(n_components=size, random_state=seed, save_tree=True)
    return Fitted(model.fit_transform(_rows(records)).copy(), lambda new: model.transform(_rows(new)))


def opentsne(records: Array, size: int, seed: int) -> Fitted:
    """Fit openTSNE."""
    from openTSNE import TSNE

    model = TSNE(n_components=size, random_state=seed, n_jobs=1).fit(_rows(records))
    # a view: the first transform moves the whole embedding, and only then it fits to the new points
    return Fitted(np.asarray(model), lambda new: np.array(model.transform(_rows(new))))


def pca(records: Array, size: int, seed: int) -> Fitted:
    """Fit principal components."""
    from sklearn.decomposition import PCA

    model = PCA(size, random_state=seed).fit(_rows(records))
    return Fitted(model.transform(_rows(records)), lambda new: model.transform(_rows(new)), model.inverse_transform)


def isomap(records: Array, size: int, seed: int) -> Fitted:
    """Fit scikit-learn's Isomap."""
    from sklearn.manifold import Isomap

    model = Isomap(n_components=size).fit(_rows(records))
    return Fitted(model.embedding_, lambda new: model.transform(_rows(new)))


def autoencoder(keep: str | None, **more: Any) -> Callable[[Array, int, int], Fitted]:
    """Return how refold's autoencoder is fitted."""

    def fit(records: Array, size: int, seed: int) -> Fitted:
        model = Autoencoder(latent_dim=size, keep=keep, random_state=seed, **more).fit(records)
        return Fitted(model.transform(records), model.transform, model.inverse_transform, model)

    return fit


# no convolutions, none held out, larger and fewer steps, pixels that are covered so that it sees what is alike
QUICK = {
    "net": "dense", "hidden": (1024, 512, 256), "activation": "relu", "corruption": "masking(0.3)",
    "validation_fraction": 0.0, "batch_size": 512, "learning_rate": 3e-3, "weight_decay": 0.05, "max_epochs": 6,
}  # fmt: skip

METHODS = {
    "umap": Method("umap-learn", umap, most_back=10, warm_up=5_000),
    "pacmap": Method("PaCMAP", pacmap),
    "opentsne": Method("openTSNE", opentsne, most_dims=2),
    "pca": Method("PCA", pca),
    "isomap": Method("Isomap (scikit-learn)", isomap),
    "plain": Method("refold, plain autoencoder", autoencoder(None)),
    "keep": Method('**refold**, keep="neighbours"', autoencoder("neighbours")),
    "quick": Method('**refold**, keep="neighbours", dense, 6 epochs', autoencoder("neighbours", **QUICK)),
    "unrolled": Method('**refold**, keep="distances"', autoencoder("distances")),
}
MNIST_METHODS = ("umap", "pacmap", "opentsne", "pca", "plain", "keep", "quick")


def _rows(records: Array) -> Array:
    return records.reshape(len(records), -1)
