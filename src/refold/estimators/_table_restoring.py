"""Restorers of tables: missing cells are filled, and how sure that is."""

import os
import warnings
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import torch
from numpy.typing import NDArray
from torch import Tensor

from refold._errors import DataError, ModelFileError, RefoldWarning
from refold.data import (
    Adapter,
    Source,
    TableAdapter,
    adapter_from_json,
    fit_adapter,
    is_picture,
    missing_cells,
    open_source,
    with_cells,
)
from refold.estimators._preparing import as_fitted, check_values
from refold.estimators._table_learning import TablePlan, learn_table
from refold.nets import ImputationNet, ImputationSpec
from refold.train import apply_in_blocks

Array = NDArray[Any]
Told = Callable[[int, int], None]

_FEWEST = 5
_KNOWN = 0.5  # a column of texts is filled where this share of its cells is among its categories,
_DIFFERENT, _FEW = 0.5, 10  # and where its categories are not more than this share of its cells, or few


@dataclass(frozen=True, eq=False)
class TableRestoration:
    """A table without missing cells, and how sure that is.

    Parameters
    ----------
    table : object
        Container and types of the one that was given. Cells that held a value hold it still, bit for bit; whole
        numbers are filled with whole numbers, texts with texts.
    columns : tuple of str
        Of the arrays that follow; () where the table is an array.
    filled : ndarray of bool, shape (n, columns)
        Which cells were filled.
    deviation : ndarray of shape (n, columns)
        Of filled cells of numbers: nine of ten true values are at most 1.645 deviations away. Of dates in days. NaN
        elsewhere.
    probability : ndarray of shape (n, columns)
        Of filled cells of categories: how likely the chosen one is. NaN elsewhere.
    """

    table: Any
    columns: tuple[str, ...]
    filled: NDArray[np.bool_]
    deviation: NDArray[np.float64]
    probability: NDArray[np.float64]
    _draw: Callable[[np.random.Generator], Any] = field(repr=False)

    def draws(self, n: int = 5, random_state: int | None = None) -> list[Any]:
        """Return tables whose missing cells are drawn from what is likely, for multiple imputation.

        Cells are drawn independently of each other.

        Parameters
        ----------
        n : int, default=5
        random_state : int, optional
            The same seed gives the same tables.
        """
        generator = np.random.default_rng(random_state)
        return [self._draw(generator) for _ in range(n)]


@dataclass(frozen=True, eq=False)
class TableRestorer:
    """What was learned of a table.

    Parameters
    ----------
    adapter : Adapter
    net : ImputationNet
    left : tuple of int
        Columns that are never filled: those without any value, and texts that hardly repeat.
    """

    adapter: Adapter
    net: ImputationNet
    left: tuple[int, ...]

    @classmethod
    def learn(cls, source: Source, plan: TablePlan, told: Told | None = None) -> "TableRestorer":
        """Learn from a table, whole or with missing cells.

        Raises
        ------
        DataError
            If it has too few rows, no cell with a value, or infinite values.
        """
        if source.size < _FEWEST:
            raise DataError(f"the table has {source.size} rows; give at least {_FEWEST} to learn from")
        adapter = fit_adapter(source.values)
        numbers = _encoded(adapter, source)
        if bool(_nan(numbers).all()):
            raise DataError("no cell of the table holds a value; give some to learn from")
        left = _left_alone(adapter, source, numbers)
        return cls(adapter, learn_table(numbers, adapter.n_categories, plan, told), left)

    @property
    def columns(self) -> tuple[str, ...]:
        """Names of the columns; () where rows are an array."""
        return _names(self.adapter)

    def restoration(self, source: Source) -> TableRestoration:
        """Fill the missing cells of rows like those that were learned from.

        Raises
        ------
        DataError
            If the rows are not like them.
        """
        numbers = _encoded(self.adapter, source)
        fitted = Source(as_fitted(source.values, self.adapter))
        cells = missing_cells(fitted.values, self.columns)
        cells[:, list(self.left)] = False
        rows = np.flatnonzero(cells.any(axis=1))
        expected, deviations = self._apply(numbers[rows])
        sure = self._by_column(expected, deviations)
        of_category = np.array(self.adapter.n_categories) > 0
        whole = np.full(cells.shape, np.nan)
        whole[rows] = sure

        def filled(features: Tensor) -> Any:
            restored = numbers.astype(np.float64)
            restored[rows] = self._restored(features)
            return with_cells(source, _as_given(source, self.adapter.decode(restored)), cells)

        def draw(generator: np.random.Generator) -> Any:
            return filled(self._drawn(expected, deviations, generator))

        return TableRestoration(
            table=filled(expected),
            columns=self.columns,
            filled=cells,
            deviation=np.where(cells & ~of_category, whole, np.nan),
            probability=np.where(cells & of_category, whole, np.nan),
            _draw=draw,
        )

    def _apply(self, numbers: Array) -> tuple[Tensor, Tensor]:
        """Return what is expected of features, with shares of categories, and deviations; both (rows, features)."""
        width = self.net.scaling.feature_shape[0]
        if not len(numbers):
            return torch.zeros(0, width), torch.zeros(0, width)

        def apply(raw: Tensor) -> Tensor:
            expected, deviations = self.net(raw)
            return torch.cat([self.net.shares(expected), deviations], dim=1)

        floats = numbers if numbers.dtype.kind == "f" else numbers.astype(np.float32)
        both = torch.from_numpy(apply_in_blocks(apply, floats, torch.device("cpu"), self._operations))
        return both[:, :width], both[:, width:]

    @property
    def _operations(self) -> int:
        features, spec = self.net.scaling.feature_shape[0], self.net.spec
        return self.net.ensemble.operations + 12 * features * (spec.references + spec.factors**2)

    def _restored(self, features: Tensor) -> Array:
        """Return raw numbers, inside what was seen in training."""
        scaling = self.net.scaling
        numbers = scaling.restore(features).double()
        restored: Array = torch.minimum(torch.maximum(numbers, scaling.low), scaling.high).numpy()
        return restored

    def _by_column(self, expected: Tensor, deviations: Tensor) -> Array:
        """Return deviations of numbers and probabilities of chosen categories, (rows, columns)."""
        scaling = self.net.scaling
        count = expected.shape[1] - sum(scaling.categories)
        blocks = torch.split(expected[:, count:], list(scaling.categories), dim=1) if scaling.categories else ()
        chosen = [torch.where(block == block.max(1, keepdim=True).values, block, 0) for block in blocks]
        columns = scaling.by_column(torch.cat([deviations[:, :count], *chosen], dim=1))
        found: Array = (columns.double() * torch.where(scaling.numeric(), scaling.spread, 1.0)).numpy()
        return found

    def _drawn(self, expected: Tensor, deviations: Tensor, generator: np.random.Generator) -> Tensor:
        """Return features drawn from a normal distribution, and categories by their shares."""
        count = expected.shape[1] - sum(self.net.scaling.categories)
        normal = generator.standard_normal((len(expected), count)).astype(np.float32)
        gumbel = generator.gumbel(size=(len(expected), expected.shape[1] - count)).astype(np.float32)
        numbers = expected[:, :count] + deviations[:, :count] * torch.from_numpy(normal)
        return torch.cat([numbers, expected[:, count:].log() + torch.from_numpy(gumbel)], dim=1)

    # --- files -----------------------------------------------------------------------------------------------------

    def to_header(self) -> dict[str, Any]:
        """Return what a file says beside the tensors."""
        return {
            "spec": self.net.spec.to_json(),
            "adapter": self.adapter.to_json(),
            "left": list(self.left),
        }

    @classmethod
    def from_file(cls, header: dict[str, Any], tensors: dict[str, Tensor], name: str) -> "TableRestorer":
        """Rebuild what `to_header` and the network's tensors describe.

        Raises
        ------
        ModelFileError
            If they do not fit each other.
        """
        adapter, spec = adapter_from_json(header["adapter"]), ImputationSpec.from_json(header["spec"])
        with torch.device("meta"):  # a file that claims a huge network costs nothing
            net = spec.build()
        own = net.state_dict()
        fits = own.keys() == tensors.keys() and all(
            own[key].shape == tensors[key].shape
            and own[key].dtype == tensors[key].dtype
            and bool(torch.isfinite(tensors[key]).all())
            for key in own
        )
        left = tuple(header["left"])
        if not fits or adapter.n_categories != spec.n_categories:
            raise ModelFileError(f"{name!r} does not hold the weights of the network that it describes")
        if not all(type(place) is int and 0 <= place < len(spec.n_categories) for place in left):
            raise ModelFileError(f"{name!r} is damaged: it does not say which columns are filled")
        net.load_state_dict(tensors, assign=True)
        return cls(adapter, net.eval(), left)


def opened_table(X: Any) -> Source | None:
    """Return opened rows, or None where the data are pictures.

    Rows are tables of any library, arrays of shape (n, columns), and files of either.
    """
    if isinstance(X, Source):
        return X if X.frame is not None or X.values.ndim == 2 else None
    if isinstance(X, list | tuple) or (isinstance(X, np.ndarray) and X.ndim != 2):
        return None
    if isinstance(X, str | os.PathLike) and (Path(X).is_dir() or is_picture(Path(X))):
        return None
    source = open_source(X)
    return source if source.frame is not None or source.values.ndim == 2 else None


def _names(adapter: Adapter) -> tuple[str, ...]:
    return tuple(column.name for column in adapter.columns) if isinstance(adapter, TableAdapter) else ()


def _encoded(adapter: Adapter, source: Source) -> Array:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", RefoldWarning)  # a value that was not seen in fit stays where it is
        numbers = adapter.encode(as_fitted(source.values, adapter))
    check_values(numbers, "mask", None, is_table=source.frame is not None)
    return numbers


def _nan(numbers: Array) -> NDArray[np.bool_]:
    return np.isnan(numbers) if numbers.dtype.kind == "f" else np.zeros(numbers.shape, dtype=np.bool_)


def _left_alone(adapter: Adapter, source: Source, numbers: Array) -> tuple[int, ...]:
    """Return columns that cannot be filled with sense."""
    names = _names(adapter)
    holds = (~missing_cells(source.values, names)).sum(axis=0)
    known = (~_nan(numbers)).sum(axis=0)
    rare = np.array(adapter.n_categories) > np.maximum(_FEW, _DIFFERENT * holds)
    left = tuple(int(place) for place in np.flatnonzero((known == 0) | (known < _KNOWN * holds) | rare))
    if left:
        shown = ", ".join(repr(names[place]) if names else str(place) for place in left[:8])
        warnings.warn(
            f"missing cells of {shown}{' and more' if len(left) > 8 else ''} stay empty: the column holds no value, "
            "or texts that hardly repeat",
            RefoldWarning,
            stacklevel=5,
        )
    return left


def _as_given(source: Source, records: Any) -> Any:
    """Return decoded records as a table or an array, as the source holds them."""
    if isinstance(source.values, pa.Table) and not isinstance(records, pa.Table):
        return pa.table([pa.array(column) for column in records.T], names=source.values.column_names)
    if isinstance(records, pa.Table) and not isinstance(source.values, pa.Table):
        return np.column_stack([column.to_numpy() for column in records.columns])
    return records
