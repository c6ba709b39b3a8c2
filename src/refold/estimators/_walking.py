"""Ways through the code: from record to record, along one number, and how much the decoder stretches."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
import torch
from numpy.typing import NDArray
from sklearn.utils.validation import check_is_fitted
from torch import Tensor

from refold._errors import DataError, ParameterError, nearest
from refold.estimators._autoencoder import Autoencoder
from refold.estimators._geodesic import changes, geodesics

Array = NDArray[Any]
Via = Literal["line", "geodesic"]

_WAYS = ("line", "geodesic")
_RECORDS_AT_ONCE = 512


@dataclass(frozen=True, eq=False)
class Walk:
    """Ways through the code and what lies along them.

    Parameters
    ----------
    codes : ndarray of shape (n, steps, latent_dim), float32
    records : ndarray of shape (n, steps, *record) or table
        What the codes stand for; the rows of tables lie one way after the other.
    lengths : ndarray of shape (n,)
        Of the ways as the decoder sees them: the sum of distances between features from step to step.
    """

    codes: Array
    records: Any
    lengths: Array


def interpolate(
    model: Autoencoder, first: Any, last: Any, *, steps: int = 11, via: Via = "line", among: Any = None
) -> Walk:
    """Go from records to others in equal steps.

    Parameters
    ----------
    model : Autoencoder
        Fitted.
    first, last : array-like, table, path or list of paths
        As many records each, of the kind that was fitted.
    steps : int, default=11
        Codes of a way, both ends included; at least 2.
    via : {"line", "geodesic"}, default="line"
        Straight through the code, or the way on which the decoded records change least in all: the shortest under
        the metric that the decoder brings (Arvanitidis, Hansen and Hauberg 2018, arXiv 1710.11379).
    among : array-like, table, path or list of paths, optional
        Records among whose codes a geodesic stays where it can: steps count more, the farther from them. Without
        them it also goes where no record is, if that is shorter.

    Returns
    -------
    walk : Walk

    Raises
    ------
    ParameterError
        If `via` is not known, there are too few steps, or a line should stay among records.
    DataError
        If there are not as many first as last records, or fewer than two to stay among.

    Examples
    --------
    >>> from sklearn.datasets import load_digits
    >>> import refold
    >>> digits = load_digits().images
    >>> model = refold.Autoencoder(max_epochs=1, random_state=0).fit(digits)
    >>> refold.interpolate(model, digits[:2], digits[2:4], steps=5).records.shape
    (2, 5, 8, 8)
    """
    check_is_fitted(model)
    if via not in _WAYS:
        raise ParameterError(f"via={via!r} is not known{nearest(via, _WAYS)}; allowed are {', '.join(_WAYS)}")
    if steps < 2:
        raise ParameterError(f"steps={steps} is not possible; a way has two ends at least")
    if among is not None and via == "line":
        raise ParameterError("a line goes straight, whatever it is among; leave among out or say via='geodesic'")
    start, end = model.transform(first), model.transform(last)
    if len(start) != len(end):
        raise DataError(f"{len(start)} first and {len(end)} last records make no ways; give as many of each")
    shares = np.linspace(0, 1, steps, dtype=np.float32)[None, :, None]
    codes = start[:, None] + shares * (end - start)[:, None]
    if via == "geodesic" and steps > 2:
        codes = geodesics(model.net_, codes, None if among is None else model.transform(among))
    return _walk(model, codes)


def traverse(model: Autoencoder, records: Any, number: int, values: Any) -> Walk:
    """Let one number of the codes of records take values, the others staying as they are.

    Parameters
    ----------
    model : Autoencoder
        Fitted.
    records : array-like, table, path or list of paths
        Of the kind that was fitted.
    number : int
        Which number of the code, counted from 0.
    values : array-like of shape (steps,)

    Returns
    -------
    walk : Walk

    Raises
    ------
    ParameterError
        If the code has no such number.

    Examples
    --------
    >>> from sklearn.datasets import load_digits
    >>> import refold
    >>> digits = load_digits().images
    >>> model = refold.Autoencoder(max_epochs=1, random_state=0).fit(digits)
    >>> refold.traverse(model, digits[:1], 2, [-1.0, 0.0, 1.0]).codes[0, :, 2].tolist()
    [-1.0, 0.0, 1.0]
    """
    check_is_fitted(model)
    size = model.net_.latent_dim
    if not 0 <= number < size:
        raise ParameterError(f"number={number} is not possible; the code has the numbers 0 to {size - 1}")
    steps = np.asarray(values, np.float32).ravel()
    codes = np.repeat(model.transform(records)[:, None], len(steps), axis=1)
    codes[:, :, number] = steps
    return _walk(model, codes)


@dataclass(frozen=True, eq=False)
class Stretching:
    """How the decoder stretches the code around records.

    Parameters
    ----------
    factors : ndarray of shape (n, latent_dim), float32
        Singular values of the decoder's Jacobian, the largest first: by how much features move when the code moves
        by 1 in the direction that moves them most, and so on.
    """

    factors: Array

    @property
    def area(self) -> Array:
        """By how much areas, or volumes, grow: the product of the factors."""
        return np.asarray(self.factors.prod(1))

    @property
    def unevenness(self) -> Array:
        """The largest factor over the smallest: 1 where a circle stays a circle."""
        return np.asarray(self.factors[:, 0] / np.maximum(self.factors[:, -1], np.finfo(np.float32).tiny))


def stretching(model: Autoencoder, records: Any) -> Stretching:
    """Return how the decoder stretches the code around records: what a map distorts there.

    Parameters
    ----------
    model : Autoencoder
        Fitted.
    records : array-like, table, path or list of paths
        Of the kind that was fitted.

    Returns
    -------
    stretching : Stretching

    Examples
    --------
    >>> from sklearn.datasets import load_digits
    >>> import refold
    >>> digits = load_digits().images
    >>> model = refold.Autoencoder(max_epochs=1, random_state=0).fit(digits)
    >>> refold.stretching(model, digits[:5]).factors.shape
    (5, 3)
    """
    check_is_fitted(model)
    codes = torch.from_numpy(model.transform(records)).to(model.net_.scaling.center.device)
    features = model.net_.features_of
    parts = [_factors(features, part) for part in codes.split(_RECORDS_AT_ONCE)]  # type: ignore[no-untyped-call]
    return Stretching(torch.cat(parts).cpu().numpy())


def _factors(features: Callable[[Tensor], Tensor], codes: Tensor) -> Tensor:
    """Return singular values of the Jacobian; its columns come from two backward passes, one through the other."""
    codes = codes.detach().requires_grad_()
    with torch.enable_grad():
        seen = features(codes)
        pulled_by = torch.zeros_like(seen, requires_grad=True)
        (pulled,) = torch.autograd.grad(seen, codes, pulled_by, create_graph=True)
        columns = [
            torch.autograd.grad(pulled[:, place].sum(), pulled_by, retain_graph=True)[0]
            for place in range(codes.shape[1])
        ]
    jacobian = torch.stack(columns, 2)
    squares: Tensor = torch.linalg.eigvalsh(jacobian.transpose(1, 2) @ jacobian)
    return squares.clamp(min=0).sqrt().flip(1).detach()


def _walk(model: Autoencoder, codes: Array) -> Walk:
    records = model.inverse_transform(codes.reshape(-1, codes.shape[2]))
    if isinstance(records, np.ndarray):
        records = records.reshape(*codes.shape[:2], *records.shape[1:])
    with torch.no_grad():
        ways = torch.from_numpy(codes).to(model.net_.scaling.center.device)
        lengths = changes(model.net_.features_of, ways).sum(1).cpu().numpy()
    return Walk(codes, records, lengths)
