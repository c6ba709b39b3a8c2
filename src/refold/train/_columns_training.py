"""Learning to code tables: examples, small enough to be kept."""

from typing import Any

import numpy as np
from numpy.typing import NDArray

from refold.codec import LearnedColumns

_MOST = 1 << 20  # numbers


def learn_columns(numbers: NDArray[Any], seed: int = 0, shift: int = 0) -> LearnedColumns:
    """Return the way of coding that suits tables like this one.

    Parameters
    ----------
    numbers : ndarray, (n, columns), int64
        Rows in their order, which may tell something; of many rows a stretch is taken.
    seed : int
        Of the choice of that stretch.
    shift : int
        Of the blocks that are to be coded, see `LearnedColumns.code`.

    Examples
    --------
    >>> import numpy as np
    >>> from refold.train import learn_columns
    >>> learn_columns(np.arange(300).reshape(100, 3) % 7, seed=0).applies((20, 3), 0)
    True
    """
    rows = max(_MOST // max(numbers.shape[1], 1), 1)
    start = int(np.random.default_rng(seed).integers(max(len(numbers) - rows, 0) + 1))
    return LearnedColumns.of(np.asarray(numbers[start : start + rows], np.int64), shift)
