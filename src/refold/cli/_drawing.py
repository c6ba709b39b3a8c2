"""Pictures of a model at work on data."""

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from refold._errors import ParameterError, nearest
from refold.cli._colouring import colours_of
from refold.cli._commands import load_autoencoder, open_data
from refold.cli._mapping import map_figure, map_page
from refold.data import Source
from refold.estimators import Autoencoder, PCABaseline
from refold.plots import (
    FigureSection,
    NumbersTable,
    Page,
    Section,
    TurningScatter,
    latent_scatter,
    loss_curves,
    reconstruction_grid,
    save_figure,
    table_reconstruction,
    write_map,
    write_page,
)

if TYPE_CHECKING:
    from matplotlib.figure import Figure

Array = NDArray[Any]

_PICTURES_IN_A_ROW = 10
_LARGEST_THUMBNAIL = 64
_MOST_ROWS = 2_000


def draw(model_path: Path, data: str, output: Path, kind: str, colours: Sequence[str]) -> None:
    """Write one picture, or the page that holds them all, or the page of the map."""
    drawers: dict[str, Callable[[Autoencoder, Source, str | None], Figure]] = {
        "codes": _draw_codes,
        "map": _draw_map,
        "rebuilt": _draw_rebuilt,
        "history": _draw_history,
    }
    if kind not in drawers:
        raise ParameterError(
            f"--kind {kind!r} is not known{nearest(kind, drawers)}; allowed are {', '.join(drawers)}"
        )
    is_page = output.suffix.lower() in (".html", ".htm")
    if len(colours) > 1 and not (is_page and kind == "map"):
        raise ParameterError("--colour is given more than once; only the page of --kind map takes several")
    model = load_autoencoder(model_path)
    source = open_data(data, True, model.image_size)
    colour = colours[0] if colours else None
    if is_page and kind == "map":
        write_map(map_page(model, source, colours, model_path.stem, thumbnails(source)), output)
    elif is_page:
        write_page(_page(model, source, colour, model_path.stem), output)
    else:
        save_figure(drawers[kind](model, source, colour), output)


def _page(model: Autoencoder, source: Source, colour: str | None, name: str) -> Page:
    size = model.net_.latent_dim
    sections: list[Section] = [
        TurningScatter(
            f"Every record in {min(size, 3)} numbers" if size <= 3 else f"The first 3 of {size} numbers",
            model.transform(source),
            colours_of(model, source, colour),
            list(source.names) or None,
            thumbnails(source),
            f"Drag to {'turn' if size > 2 else 'move'}, scroll to come nearer, point at a record to see it.",
        ),
        FigureSection("Before and after", _draw_rebuilt(model, source, None)),
        _numbers(model, source),
        FigureSection("The course of training", _draw_history(model, source, None)),
    ]
    return Page(name, f"{source.size:,} records through a code of {size} numbers.", sections)


def _numbers(model: Autoencoder, source: Source) -> NumbersTable:
    best, history = model.best_epoch_ - 1, model.history_
    rows = [
        ["variance kept on these records", model.score(source), PCABaseline(model, source).score(source)],
        ["error in training", history["train_error"][best], None],
        ["error on records held out", history["validation_error"][best], None],
    ]
    header = ["figure", "autoencoder", f"PCA, {model.net_.latent_dim} numbers"]
    return NumbersTable("In numbers", header, rows, "PCA is fitted on these very records, which favours it.")


def _draw_codes(model: Autoencoder, source: Source, colour: str | None) -> "Figure":
    return latent_scatter(
        model.transform(source), colours=colours_of(model, source, colour), thumbnails=thumbnails(source)
    )


def _draw_map(model: Autoencoder, source: Source, colour: str | None) -> "Figure":
    return map_figure(model, source, colour, thumbnails(source))


def _draw_history(model: Autoencoder, source: Source, colour: str | None) -> "Figure":
    return loss_curves(model.history_, best_epoch=model.best_epoch_)


def _draw_rebuilt(model: Autoencoder, source: Source, colour: str | None) -> "Figure":
    if _are_pictures(source.values):
        return _rebuilt_pictures(model, source)
    some = Source(source.values[:_MOST_ROWS], frame="pyarrow" if source.frame else None)
    before, after = as_columns(some.values), as_columns(model.reconstruct(some))
    return table_reconstruction({name: before[name] for name in after}, after)


def _rebuilt_pictures(model: Autoencoder, source: Source) -> "Figure":
    chosen = source.values[np.linspace(0, source.size - 1, min(source.size, _PICTURES_IN_A_ROW)).astype(int)]
    size = model.net_.latent_dim
    rows = {
        "original": chosen,
        f"through {size} numbers": model.reconstruct(chosen),
        f"PCA, {size} numbers": PCABaseline(model, source).reconstruct(chosen),
    }
    return reconstruction_grid(rows)


def _are_pictures(values: Any) -> bool:
    if isinstance(values, pa.Table):
        return False
    return values.ndim == 3 or (values.ndim == 4 and values.shape[-1] in (1, 3))


def as_columns(values: Any) -> dict[str, Sequence[Any]]:
    """Return a table or rows of an array as columns that can be drawn."""
    if not isinstance(values, pa.Table):
        return {str(place): list(column) for place, column in enumerate(values.T)}
    return {name: _drawable(values[name]) for name in values.column_names}


def _drawable(column: pa.ChunkedArray) -> list[Any]:
    if pa.types.is_date(column.type) or pa.types.is_timestamp(column.type):  # as days since 1970
        moments = column.cast(pa.timestamp("us"), safe=False)
        return [None if value is None else value / 86_400e6 for value in moments.cast(pa.int64()).to_pylist()]
    return list(column.to_pylist())


def thumbnails(source: Source) -> Array | None:
    """Return the records as small pictures, or None where they are none."""
    if not _are_pictures(source.values):
        return None
    step = max(1, -(-max(source.values.shape[1:3]) // _LARGEST_THUMBNAIL))
    small: Array = source.values[:, ::step, ::step]
    return small if small.dtype == np.uint8 else _to_bytes(small)


def _to_bytes(pictures: Array) -> Array:
    low, high = float(np.nanmin(pictures)), float(np.nanmax(pictures))
    return np.nan_to_num((pictures - low) / ((high - low) or 1.0) * 255).astype(np.uint8)
