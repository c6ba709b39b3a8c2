"""What ``refold fill`` does, and ``refold fit --for restore`` with a table."""

import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from refold._errors import ModelFileError, ParameterError
from refold.cli._commands import check_output, open_data, without
from refold.cli._talk import say
from refold.data import Source, write_records
from refold.estimators import Restorer, TableRestoration, load

_ENDINGS = (".parquet", ".csv", ".npy", ".npz")
_UNCERTAIN_ENDINGS = (".parquet", ".csv")


@dataclass(frozen=True)
class FillWishes:
    """What the user wants of ``refold fill``.

    Parameters
    ----------
    output : Path
    model : Path or None
        A restorer of such tables; without it one is learned from the table itself.
    drop : tuple of str
        Columns that are not learned from; they stay as they are.
    draws : int
        Tables with drawn values that are written beside the filled one.
    uncertainty : Path or None
    random_state : int
    overwrite, quiet : bool
    """

    output: Path
    model: Path | None = None
    drop: tuple[str, ...] = ()
    draws: int = 0
    uncertainty: Path | None = None
    random_state: int = 0
    overwrite: bool = False
    quiet: bool = False

    @property
    def drawn(self) -> list[Path]:
        """Where drawn tables go: ``NAME.1.csv`` and so on beside ``NAME.csv``."""
        return [
            self.output.with_name(f"{self.output.stem}.{number}{self.output.suffix}")
            for number in range(1, self.draws + 1)
        ]


def fit_table_restorer(
    opened: Source, output: Path, drop: Sequence[str], parameters: dict[str, Any], quiet: bool
) -> dict[str, Any]:
    """Learn to fill the missing cells of tables like this one, and save the restorer."""
    start = time.perf_counter()
    table = without(opened, drop)
    model = Restorer(**parameters, verbose=0 if quiet else 1).fit(table)
    model.save(output)
    seconds = round(time.perf_counter() - start, 1)
    if not quiet:
        say(f"learned to fill {model.n_features_in_} columns from {table.size} rows, {seconds} s")
        say(f"wrote {output}; use it with: refold fill TABLE -m {output} -o FILLED.csv")
    return {"model": str(output), "rows": table.size, "columns": model.n_features_in_, "seconds": seconds}


def fill_table(data: str, wishes: FillWishes) -> dict[str, Any]:
    """Fill a table, and return what was done."""
    _check(wishes)
    table = open_data(data, wishes.quiet, None)
    restorer = _restorer(table, wishes)
    restoration: TableRestoration = restorer.restoration(table)
    write_records(restoration.table, wishes.output)
    for path, drawn in zip(wishes.drawn, restoration.draws(wishes.draws, wishes.random_state), strict=True):
        write_records(drawn, path)
    if wishes.uncertainty is not None:
        write_records(_uncertainty(restoration), wishes.uncertainty)
    result = _told(restoration, wishes)
    if not wishes.quiet:
        _say(result)
    return result


def _check(wishes: FillWishes) -> None:
    """Refuse what could not be written or would be lost, before any work is done."""
    check_output(wishes.output, _ENDINGS)
    paths = [wishes.output, *wishes.drawn]
    if wishes.uncertainty is not None:
        check_output(wishes.uncertainty, _UNCERTAIN_ENDINGS, "--uncertainty")
        if wishes.uncertainty.resolve() in [path.resolve() for path in paths]:
            raise ParameterError(f"--uncertainty and --output are both {str(wishes.uncertainty)!r}; name two files")
        paths.append(wishes.uncertainty)
    for path in paths:
        if path.exists() and not wishes.overwrite:
            raise ParameterError(f"{str(path)!r} is there already; give another --output, or --overwrite")


def _restorer(table: Source, wishes: FillWishes) -> Restorer:
    if wishes.model is None:
        restorer = Restorer(random_state=wishes.random_state, verbose=0 if wishes.quiet else 1)
        return restorer.fit(without(table, wishes.drop))
    model = load(wishes.model)
    if not isinstance(model, Restorer) or not hasattr(model, "table_"):
        raise ModelFileError(
            f"{wishes.model.name!r} fills no tables; make one that does: refold fit TABLE --for restore -o "
            "m.safetensors"
        )
    return model


def _uncertainty(restoration: TableRestoration) -> Any:
    """Return a table of deviations and probabilities, empty where nothing was filled."""
    import pyarrow as pa

    sure = np.where(np.isnan(restoration.deviation), restoration.probability, restoration.deviation)
    names = restoration.columns or [str(place) for place in range(sure.shape[1])]
    return pa.table([pa.array(column, from_pandas=True) for column in sure.T], names=list(names))


def _told(restoration: TableRestoration, wishes: FillWishes) -> dict[str, Any]:
    names = restoration.columns or [str(place) for place in range(restoration.filled.shape[1])]
    counts = restoration.filled.sum(axis=0)
    return {
        "output": str(wishes.output),
        "rows": len(restoration.filled),
        "filled": int(counts.sum()),
        "columns": {name: int(count) for name, count in zip(names, counts, strict=True) if count},
        "draws": [str(path) for path in wishes.drawn],
        "uncertainty": None if wishes.uncertainty is None else str(wishes.uncertainty),
    }


def _say(result: dict[str, Any]) -> None:
    columns = len(result["columns"])
    say(f"filled {result['filled']} cells in {columns} column{'' if columns == 1 else 's'} of {result['rows']} rows")
    for path in (result["output"], *result["draws"], result["uncertainty"]):
        if path is not None:
            say(f"wrote {path}")
