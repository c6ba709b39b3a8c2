"""Is a record represented by a model at all?"""

from dataclasses import dataclass
from math import ceil
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from sklearn.utils.validation import check_is_fitted

from refold._errors import DataError, ParameterError
from refold.estimators._autoencoder import Autoencoder
from refold.estimators._code_neighbours import nearest_codes
from refold.scores import Calibration

Array = NDArray[Any]

_PARTS = 2  # p-values of which the smaller one counts
_ROUNDING = 1e-9


@dataclass(frozen=True, eq=False)
class OnManifold:
    """Which records a model represents, and how sure that is.

    Parameters
    ----------
    rebuilding : ndarray of shape (n,), float64
        p-values of the reconstruction error: the share of the reference that is rebuilt as badly or worse.
    nearness : ndarray of shape (n,), float64
        p-values of the code's place: the share of the reference whose codes lie as far from others or farther.
    alpha : float
        Share of records of the reference's kind that may be called off the manifold.
    """

    rebuilding: Array
    nearness: Array
    alpha: float

    @property
    def p_values(self) -> Array:
        """Of both together, (n,): twice the smaller one, at most 1 (Bonferroni)."""
        return np.asarray(np.minimum(1.0, _PARTS * np.minimum(self.rebuilding, self.nearness)))

    @property
    def on(self) -> NDArray[np.bool_]:
        """Whether the model represents each record, (n,)."""
        on: NDArray[np.bool_] = self.p_values > self.alpha + _ROUNDING
        return on


def on_manifold(
    model: Autoencoder, records: Any, reference: Any, *, alpha: float = 0.05, count: int = 10
) -> OnManifold:
    """Say of records whether a model represents them at all: rebuilds them, from codes where codes lie.

    A record is off the manifold if it is rebuilt worse than nearly all of the reference, or if its code lies farther
    from codes of the reference than nearly all of these lie from each other. Of records that are drawn like those of
    the reference at most a share `alpha` is called off, whatever model and data are (split-conformal, as in
    `Detector`).

    Parameters
    ----------
    model : Autoencoder
        Fitted.
    records : array-like, table, path or list of paths
        Of the kind that was fitted.
    reference : array-like, table, path or list of paths
        Records that are represented, and that the model was not trained on: those that `fit` held out,
        ``X[model.held_out_]``, or others. At least ``2 / alpha - 1``.
    alpha : float, default=0.05
        Above 0 and below 1.
    count : int, default=10
        A code's place is measured by the distance to so many nearest codes, the farthest of them.

    Returns
    -------
    found : OnManifold

    Raises
    ------
    ParameterError
        If `alpha` or `count` is out of range.
    DataError
        If there are too few records of reference for that.

    Notes
    -----
    A code of the reference is compared with the other ones, a new one with all of them. If a new code were put among
    the others these would lie nearer to each other, never farther, so the p-value is never too small.

    Examples
    --------
    >>> import numpy as np
    >>> from sklearn.datasets import load_digits
    >>> import refold
    >>> digits = load_digits().images
    >>> model = refold.Autoencoder(latent_dim=8, max_epochs=5, random_state=0).fit(digits[:1000])
    >>> noise = np.random.default_rng(0).uniform(0, 16, (3, 8, 8))
    >>> refold.on_manifold(model, noise, digits[1000:1400]).on.tolist()
    [False, False, False]
    >>> bool(refold.on_manifold(model, digits[1400:], digits[1000:1400]).on.mean() > 0.9)
    True
    """
    check_is_fitted(model)
    if not 0 < alpha < 1:
        raise ParameterError(f"alpha={alpha} is not possible; it is a share above 0 and below 1")
    known = model.transform(reference)
    _check_enough(len(known), alpha, count)
    codes = model.transform(records)
    rebuilding = _p_values(model.reconstruction_error(reference), model.reconstruction_error(records))
    among = nearest_codes(known, known, count + 1).distances[:, -1]  # the nearest one is the code itself
    nearness = _p_values(among, nearest_codes(codes, known, count).distances[:, -1])
    return OnManifold(rebuilding, nearness, alpha)


def _check_enough(size: int, alpha: float, count: int) -> None:
    needed = ceil(_PARTS / alpha - 1 - _ROUNDING)
    if size < needed:
        raise DataError(
            f"{size} records of reference cannot keep alpha={alpha:g}, which needs {needed}; give more, or a larger "
            "alpha"
        )
    if not 1 <= count < size:
        raise ParameterError(
            f"count={count} is not possible; {size} records of reference have 1 to {size - 1} others"
        )


def _p_values(calibrating: Array, scores: Array) -> Array:
    found: Array = Calibration(calibrating)(torch.from_numpy(np.ascontiguousarray(scores))).numpy()
    return found.astype(np.float64)
