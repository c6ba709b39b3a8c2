"""The map of a model's codes: a page to explore, or a figure for a paper."""

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from refold.cli._colouring import colours_of, known_columns
from refold.data import Source
from refold.estimators import Autoencoder
from refold.metrics import map_quality
from refold.plots import MapPage, latent_scatter

if TYPE_CHECKING:
    from matplotlib.figure import Figure

Array = NDArray[Any]

_MEASURED = 2_000
_FEWEST = 20


def map_page(
    model: Autoencoder, source: Source, colours: Sequence[str], name: str, thumbnails: Array | None
) -> MapPage:
    """Return the page of a map, whose points can be coloured by everything that is known of the records."""
    codes = model.transform(source)
    width = codes.shape[1]
    lead = f"{source.size:,} records in {width} number{'s' * (width > 1)}. {_quality(model, source, codes)}"
    columns = known_columns(model, source, colours)
    first = next(iter(columns)) if colours else None
    return MapPage(name, lead.strip(), codes, columns, list(source.names) or None, thumbnails, first)


def map_figure(model: Autoencoder, source: Source, colour: str | None, thumbnails: Array | None) -> "Figure":
    """Return the map as a figure, with what it keeps of the data written under it."""
    codes = model.transform(source)
    colours = colours_of(model, source, colour)
    return latent_scatter(codes, colours=colours, thumbnails=thumbnails, caption=_quality(model, source, codes))


def _quality(model: Autoencoder, source: Source, codes: Array) -> str:
    """Return what the code keeps of the data, as a sentence; nothing where records are too few to say."""
    if source.size < _FEWEST:
        return ""
    chosen = np.sort(np.random.default_rng(0).permutation(source.size)[:_MEASURED])
    measured = map_quality(_numbers(model, source, chosen), codes[chosen])
    of = f"of {len(chosen):,} drawn by chance, " if len(chosen) < source.size else ""
    return (
        f"Neighbours ({of}{measured.n_neighbors} nearest): trustworthiness {measured.trustworthiness:.3f}, "
        f"continuity {measured.continuity:.3f}; rank correlation of distances {measured.shepard_correlation:.3f}."
    )


def _numbers(model: Autoencoder, source: Source, chosen: Array) -> Array:
    """Return some records as the network is asked to rebuild them, with means where nothing is known."""
    some = source.values.take(chosen) if source.frame else source.values[chosen]
    features = np.asarray(model.features(Source(some, frame="pyarrow" if source.frame else None)), np.float64)
    rows = features.reshape(len(features), -1)
    rows = rows[:, ~np.isnan(rows).all(axis=0)]
    return np.where(np.isnan(rows), np.nanmean(rows, axis=0), rows)
