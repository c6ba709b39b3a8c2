"""Why a row is strange: which cells make its score, and what was expected instead."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from refold.data import Adapter, Column, TableAdapter
from refold.estimators._judging import RowJudge

_NAMED = 3
_NAMED_SHARE = 0.1


@dataclass(frozen=True)
class Explanation:
    """Why a row is as strange as it is.

    Parameters
    ----------
    score : float
        Its `anomaly_score`.
    flagged : bool
    shares : dict of str to float
        Share of every column in the score, the largest first; 1 in sum.
    values : dict of str to object
        What the row holds, in the columns' own units; None where a cell is missing.
    expected : dict of str to object
        What the network expects instead, given the columns with little share.
    sentence : str
        The same in words.
    """

    score: float
    flagged: bool
    shares: dict[str, float]
    values: dict[str, Any]
    expected: dict[str, Any]
    sentence: str


def explain_rows(
    judge: RowJudge, adapter: Adapter, names: Sequence[str], numbers: NDArray[Any], threshold: float
) -> list[Explanation]:
    """Return why encoded rows are as strange as they are."""
    return explanations(adapter, names, numbers, judge.scores(numbers), *judge.reasons(numbers), threshold)


def explanations(
    adapter: Adapter,
    names: Sequence[str],
    numbers: NDArray[Any],
    scores: NDArray[np.float64],
    shares: NDArray[Any],
    expected: NDArray[Any],
    threshold: float,
) -> list[Explanation]:
    """Return explanations of encoded rows (n, columns) whose shares and expected values are known."""
    values = _in_own_units(adapter, names, numbers)
    instead = _in_own_units(adapter, names, expected)
    found = []
    for row, score in enumerate(scores):
        order = np.argsort(-shares[row], kind="stable")
        found.append(
            Explanation(
                score=float(score),
                flagged=bool(score > threshold),
                shares={names[place]: float(shares[row, place]) for place in order},
                values={name: column[row] for name, column in values.items()},
                expected={name: column[row] for name, column in instead.items()},
                sentence=_sentence(names, order, shares[row], row, values, instead),
            )
        )
    return found


def _in_own_units(adapter: Adapter, names: Sequence[str], numbers: NDArray[Any]) -> dict[str, list[Any]]:
    """Return the columns as lists of the user's own values."""
    if isinstance(adapter, TableAdapter):
        return {column.name: _own_values(column, numbers[:, place]) for place, column in enumerate(adapter.columns)}
    decoded = np.asarray(adapter.decode(np.asarray(numbers)))
    return {name: decoded[:, place].tolist() for place, name in enumerate(names)}


def _own_values(column: Column, numbers: NDArray[Any]) -> list[Any]:
    unseen = (numbers == len(column.categories)) if column.kind == "category" else np.zeros(len(numbers), np.bool_)
    decoded: list[Any] = pa.array(column.decode(np.where(unseen, np.nan, numbers))).to_pylist()
    return [_UNSEEN if new else value for new, value in zip(unseen, decoded, strict=True)]


class _Unseen:
    """Stands for a value that none of the categories of training was."""

    def __repr__(self) -> str:
        return "a value never seen"


_UNSEEN = _Unseen()


def _sentence(
    names: Sequence[str],
    order: NDArray[np.intp],
    shares: NDArray[Any],
    row: int,
    values: dict[str, list[Any]],
    expected: dict[str, list[Any]],
) -> str:
    """Say in words which cells are strange, at most three of them."""
    if all(_as_text(values[name][row]) == "missing" for name in names):
        return "holds no value"
    named = [place for place in order[:_NAMED] if shares[place] >= _NAMED_SHARE] or list(order[:1])
    seen = {names[place]: _as_text(values[names[place]][row]) for place in named}
    instead = {name: _as_text(expected[name][row]) for name in seen}
    parts = [f"{name} {seen[name]}, expected {instead[name]}" for name in seen if seen[name] != instead[name]]
    if not parts:
        return f"an unusual combination of {', '.join(f'{name} {value}' for name, value in seen.items())}"
    return f"{'; '.join(parts)} given the other columns"


def _as_text(value: Any) -> str:
    if value is None or (isinstance(value, float) and np.isnan(value)):
        return "missing"
    return f"{value:.4g}" if isinstance(value, float) else str(value)
