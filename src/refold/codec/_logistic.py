"""How likely whole numbers are by mixtures of logistic distributions, told in whole numbers.

A network of whole numbers answers, for every number to be coded, the means, the logarithms of the widths and the
logarithms of the shares of a few logistic distributions. Their cumulative distributions are read from a table that
Python's decimals make, whose ``exp`` is rounded correctly on every machine.
"""

from decimal import Context, Decimal, localcontext
from functools import cache
from typing import Any

import numpy as np
from numpy.typing import NDArray

Array = NDArray[Any]

MEAN_PARTS, WIDTH_PARTS, SHARE_PARTS = 16, 8, 16  # of a step; of a natural logarithm; of a natural logarithm
LEAST_WIDTH, MOST_WIDTH = -3, 6  # natural logarithms of a width in steps
MOST_SYMBOLS = 256

_FINE = 256  # parts of a width
_REACH = 12 * _FINE  # beyond it nothing is left
_WHOLE = 1 << 20
_SHIFT = 14
_LEAST_SHARE = 12 * SHARE_PARTS
_SPREAD = 60_000  # of weights that the mixture shares out, above 1 for every symbol
_DIGITS = Context(prec=20)
_AT_ONCE = 4_096  # rows: what fits into the processor's cache


def logistic_weights(answers: Array, least: int, most: int) -> Array:
    """Return how likely the whole numbers `least` to `most` are.

    Parameters
    ----------
    answers : ndarray, (n, 3 m)
        Whole numbers: means in sixteenths of a step, logarithms of widths in eighths, of shares in sixteenths.
    least, most : int

    Returns
    -------
    weights : ndarray, (n, most - least + 1), int64
        1 to 60001 each, 60000 and one for every symbol together, or a little less.
    """
    edges = MEAN_PARTS * np.arange(least + 1, most + 1, dtype=np.int64) - MEAN_PARTS // 2
    starts = range(0, len(answers), _AT_ONCE)
    parts = [_weights(answers[start : start + _AT_ONCE], edges) for start in starts]
    return np.concatenate(parts) if parts else np.zeros((0, most - least + 1), np.int64)


def logistic_bits(answers: Array, numbers: Array, least: int, most: int) -> Array:
    """Return what whole numbers (n,) cost, (n,) in bits, at the weights of `logistic_weights`, nearly."""
    edges = MEAN_PARTS * (numbers[:, None] + np.arange(2)) - MEAN_PARTS // 2
    below, whole = _below(answers, edges)
    below[numbers == least, 0], below[numbers == most, 1] = 0, whole[numbers == most] * _WHOLE
    weights = 1 + (below[:, 1] - below[:, 0]) // _WHOLE * _SPREAD // whole
    return np.asarray(np.log2((_SPREAD + most - least + 1) / weights))


def _weights(answers: Array, edges: Array) -> Array:
    below, whole = _below(answers, edges)
    ends = np.zeros((len(below), 1), np.int64), whole[:, None] * _WHOLE
    steps = np.diff(np.concatenate([ends[0], below, ends[1]], axis=1))
    return np.asarray(1 + steps // _WHOLE * _SPREAD // whole[:, None])


def _below(answers: Array, edges: Array) -> tuple[Array, Array]:
    """Return what lies below edges, (m,) or (n, m), in parts of the second array (n,) times 2**20."""
    tables = _tables()
    means, widths, shares = np.split(answers.astype(np.int64), 3, axis=1)
    shares = tables.shares[np.minimum(shares.max(1, keepdims=True) - shares, _LEAST_SHARE)]
    narrowest, widest = WIDTH_PARTS * LEAST_WIDTH, WIDTH_PARTS * MOST_WIDTH
    narrow = tables.narrow[np.clip(widths, narrowest, widest) - narrowest]
    below = 0
    for number in range(means.shape[1]):
        place = ((edges - means[:, number, None]) * narrow[:, number, None]) >> _SHIFT
        below = below + tables.below[np.clip(place, -_REACH, _REACH) + _REACH] * shares[:, number, None]
    return np.asarray(below), shares.sum(1)


class _Tables:
    def __init__(self) -> None:
        widths = range(WIDTH_PARTS * LEAST_WIDTH, WIDTH_PARTS * MOST_WIDTH + 1)
        parts = Decimal(_FINE << _SHIFT) / MEAN_PARTS
        self.narrow = _whole(parts * _exp(Decimal(-width) / WIDTH_PARTS) for width in widths)
        self.shares = _whole(_WHOLE * _exp(Decimal(-share) / SHARE_PARTS) for share in range(_LEAST_SHARE + 1))
        places = (Decimal(2 * place + 1) / (2 * _FINE) for place in range(-_REACH, _REACH + 1))
        self.below = _whole(_DIGITS.divide(Decimal(_WHOLE), 1 + _exp(-place)) for place in places)


@cache
def _tables() -> _Tables:
    with localcontext(Context(prec=28)):  # whatever the program has set
        return _Tables()


def _exp(power: Decimal) -> Decimal:
    return _DIGITS.exp(power)


def _whole(numbers: Any) -> Array:
    return np.array([int(number.to_integral_value()) for number in numbers], np.int64)
