"""How small can the code be?"""

import warnings
from dataclasses import dataclass
from math import prod, sqrt
from typing import Any

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray
from torch import Tensor

from refold._errors import DataError, ParameterError, RefoldWarning
from refold.data import Source, fit_adapter, open_source
from refold.estimators._autoencoder import Autoencoder
from refold.estimators._baseline import filled
from refold.layouts import likeliest_dimension, nearest_neighbours, two_nearest_dimension
from refold.train import apply_in_blocks, default_batch_size, with_threads

Array = NDArray[Any]

MEASURED_WITH = (
    *("net", "hidden", "activation", "latent_activation", "output_activation", "normalise", "shortcut", "loss"),
    *("scaling", "value_range", "missing", "image_size", "device", "precision", "threads", "verbose"),
)  # of an autoencoder whose size is to be found
_LADDER = (1, 2, 3, 4, 5, 6, 8, 10, 12, 16, 20, 24, 32, 40, 48, 64)
_MOST_RECORDS, _MOST_COMPARED = 20_000, 5_000  # learned from; compared with each other
_HELD_OUT = 0.2
_NEIGHBOURS = 20
_FEWEST = 20
_STEPS, _FEWEST_EPOCHS, _MOST_EPOCHS = 4_000, 10, 200
_LIKE_NOISE = 1.5  # times its share of everything that a number may bring of noise
_SHARP = 4.0  # times as much as any later number brings the last one before a knee


@dataclass(frozen=True)
class CodeSizes:
    """What codes of different sizes represent, and the size that is recommended.

    Parameters
    ----------
    sizes : tuple of int
        Numbers of a code.
    represented : tuple of float
        Share of the variance of held-out records that an autoencoder rebuilds from so many numbers.
    components : tuple of float
        The same of as many principal components.
    two_nearest, likeliest : float
        Two estimates of the intrinsic dimension from distances to neighbours (TwoNN; Levina and Bickel).
    columns : int
        Numbers of a record.
    represent, tolerance : float
        What was asked for.
    """

    sizes: tuple[int, ...]
    represented: tuple[float, ...]
    components: tuple[float, ...]
    two_nearest: float
    likeliest: float
    columns: int
    represent: float
    tolerance: float

    @property
    def recommended(self) -> int:
        """The smallest size that represents enough, or beyond which nothing or only noise is represented."""
        gains = self._gains()
        if max(gains) <= _LIKE_NOISE / self.columns:
            return self.sizes[-1]
        smaller = [1 - share for size, share in self._steps() if size < self.columns]
        for place, (size, share) in enumerate(self._steps()):
            enough = share >= self.represent or (smaller and 1 - share <= min(smaller) * (1 + self.tolerance))
            if enough or self._is_knee(size, 1 - share, gains[place], gains[place + 1 :]):
                return size
        return self.sizes[-1]

    def _steps(self) -> list[tuple[int, float]]:
        return list(zip(self.sizes, self.represented, strict=True))

    def _gains(self) -> list[float]:
        """Return what every number between one size and the next represents."""
        before = zip((0, *self.sizes), (0.0, *self.represented), strict=False)
        return [
            (share - less) / (size - few) for (size, share), (few, less) in zip(self._steps(), before, strict=False)
        ]

    def _is_knee(self, size: int, error: float, gain: float, later: list[float]) -> bool:
        """Say whether the next numbers bring far less than the last one, and are nearer to what they would of noise.

        Noise is not spread evenly once columns are standardised: those that hold little else bring several shares.
        """
        if not later:
            return False
        usual = error / max(1, self.columns - size)
        return max(later) <= min(gain / _SHARP, sqrt(max(gain, 0.0) * usual))

    @property
    def sentence(self) -> str:
        """The recommendation and its reason."""
        size = self.recommended
        share = self.represented[self.sizes.index(size)]
        numbers = "1 number" if size == 1 else f"{size} numbers"
        if size == self.columns:
            reason = (
                f"no smaller code represents {self.represent:.0%} of the variance; the columns hardly hang together"
            )
        elif share >= self.represent:
            reason = f"the smallest code that represents {self.represent:.0%} of the variance ({share:.1%})"
        elif size < self.sizes[-1]:
            reason = f"more bring nothing or only noise; {share:.1%} of the variance is represented"
        else:
            reason = (
                f"the largest code tried, which represents {share:.1%} of the variance; larger ones may bring more"
            )
        return f"take {numbers}: {reason}; {size} principal components represent {self._components_at(size):.1%}"

    def _components_at(self, size: int) -> float:
        return self.components[self.sizes.index(size)]


def code_sizes(
    X: Any,
    *,
    represent: float = 0.95,
    tolerance: float = 0.05,
    random_state: int = 0,
    verbose: int = 0,
    **parameters: Any,
) -> CodeSizes:
    """Say how many numbers a code needs to represent records.

    One autoencoder is trained whose first numbers carry most, so that it can be cut off at any size, and is measured
    on records held out, beside principal components. The answer follows a fixed rule: the smallest size that
    represents so much of the variance, or whose error is within a tolerance of the smallest of codes below the data's
    own size, or after which there is a knee, where every further number brings far less than the last and hardly
    more than it would of noise. Where already the first brings no more, the answer is all of them. At most 20,000
    records, drawn evenly, are learned from.

    Parameters
    ----------
    X : array-like, table, path or list of paths
        As in `Autoencoder.fit`; at least 20 records.
    represent : float, default=0.95
        Share of the variance that is enough; above 0 and at most 1.
    tolerance : float, default=0.05
        Share by which the error may be above the smallest one; at least 0.
    random_state : int, default=0
    verbose : int, default=0
        1 shows progress.
    **parameters
        Of `Autoencoder`, such as ``net``.

    Returns
    -------
    sizes : CodeSizes

    Raises
    ------
    ParameterError
        If a share is not possible.
    DataError
        If there are too few records.

    Examples
    --------
    >>> import numpy as np
    >>> from refold.estimators import code_sizes
    >>> rng = np.random.default_rng(0)
    >>> plane = rng.normal(size=(500, 2)) @ rng.normal(size=(2, 10))
    >>> code_sizes(plane, max_epochs=5).recommended
    2
    """
    _check(represent, tolerance)
    source = open_source(X)
    if source.size < _FEWEST:
        raise DataError(f"{source.size} records are too few to say; at least {_FEWEST} are needed")
    learned, held_out = _split(source, random_state)
    model = _ordered(learned, {"random_state": random_state, "verbose": verbose, **parameters})
    rows, new = (filled(model.features(part)) for part in (learned, held_out))
    two_nearest, likeliest = _intrinsic(rows)
    return CodeSizes(
        model.sizes_served,
        tuple(_represented(model, held_out, size) for size in model.sizes_served),
        _by_components(rows, new, model.sizes_served),
        two_nearest,
        likeliest,
        new.shape[1],
        represent,
        tolerance,
    )


def _check(represent: float, tolerance: float) -> None:
    if not 0 < represent <= 1:
        raise ParameterError(f"represent={represent} is not possible; it is a share above 0 and at most 1")
    if not 0 <= tolerance < float("inf"):
        raise ParameterError(f"tolerance={tolerance} is not possible; it is a share of at least 0")


def _split(source: Source, seed: int) -> tuple[Source, Source]:
    """Return records to learn from and records held out, some of them drawn where there are many."""
    order = np.random.default_rng(seed).permutation(source.size)[:_MOST_RECORDS]
    count = max(1, int(len(order) * _HELD_OUT))
    return tuple(_taken(source, np.sort(part)) for part in (order[count:], order[:count]))  # type: ignore[return-value]


def _taken(source: Source, places: NDArray[np.intp]) -> Source:
    values = source.values
    return Source(values.take(places) if isinstance(values, pa.Table) else values[places], frame=source.frame)


def _ordered(learned: Source, parameters: dict[str, Any]) -> Autoencoder:
    """Return an autoencoder whose codes may be cut off at any size of the ladder."""
    columns = prod(fit_adapter(learned.values).shape)
    largest = max(1, min(_LADDER[-1], columns, learned.size - 1))
    epochs = max(
        _FEWEST_EPOCHS, min(_MOST_EPOCHS, _STEPS * default_batch_size(learned.size, columns) // learned.size)
    )
    model = Autoencoder(latent_dim=largest, **{"max_epochs": epochs, **parameters})
    model.sizes_served = tuple(sorted({*(size for size in _LADDER if size < largest), largest}))
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", "latent_dim=", RefoldWarning)  # the largest code may be no smaller
        return model.fit(learned)


def _intrinsic(rows: Array) -> tuple[float, float]:
    """Return two estimates of the intrinsic dimension."""
    some = rows[:: -(-len(rows) // _MOST_COMPARED)]
    with with_threads(1):
        neighbours = nearest_neighbours(some, min(_NEIGHBOURS, len(some) - 1))
    return two_nearest_dimension(neighbours), likeliest_dimension(neighbours)


def _represented(model: Autoencoder, records: Source, size: int) -> float:
    """Return the share of the variance of records that is rebuilt from the first numbers of their codes."""
    net = model.net_

    def rebuilt(raw: Tensor) -> Tensor:
        code = net.encode(raw)
        code[:, size:] = 0
        return net.scaling.as_shares(net.activate(net.decoder(code))).flatten(1)

    features = model.features(records)
    numbers = model.adapter_.encode(records.values)
    return _share(features, apply_in_blocks(rebuilt, numbers, net.scaling.center.device, net.operations))


def _share(features: Array, rebuilt: Array) -> float:
    lost = np.nansum(np.square(rebuilt - features, dtype=np.float64))
    total = np.nansum(np.square(features - np.nanmean(features, axis=0, dtype=np.float64)))
    return float(1 - lost / total) if total > 0 else float(lost == 0)


def _by_components(rows: Array, new: Array, sizes: tuple[int, ...]) -> tuple[float, ...]:
    """Return the share of the variance of new rows that as many principal components of others represent."""
    mean = rows.mean(0)
    _, _, directions = np.linalg.svd(rows[:_MOST_COMPARED] - mean, full_matrices=False)
    codes = (new - mean) @ directions.T
    return tuple(_share(new, codes[:, :size] @ directions[:size] + mean) for size in sizes)
