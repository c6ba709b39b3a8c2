"""New records, from new codes where codes lie."""

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from sklearn.utils import check_random_state
from sklearn.utils.validation import check_is_fitted

from refold._errors import DataError, ParameterError
from refold.estimators._autoencoder import Autoencoder
from refold.estimators._code_neighbours import nearest_codes

Array = NDArray[Any]

_NEIGHBOURS = 10  # that say how codes spread around one


@dataclass(frozen=True, eq=False)
class Sample:
    """New codes and what they stand for.

    Parameters
    ----------
    codes : ndarray of shape (n, latent_dim), float32
    records : ndarray of shape (n, *record) or table
    """

    codes: Array
    records: Any


def sample(model: Autoencoder, count: int = 1, *, reference: Any = None, random_state: Any = None) -> Sample:
    """Return new records that look like those of the reference.

    A code of the reference is drawn and moved at random as its ten nearest codes spread around it (Vincent and Bengio
    2003, NIPS: manifold Parzen windows): new codes lie as far from the known ones as these from each other, in the
    same directions. The decoder makes records of them.

    Parameters
    ----------
    model : Autoencoder
        Fitted.
    count : int, default=1
        New records.
    reference : array-like, table, path or list of paths, optional
        Records of the kind that was fitted, at least two; some hundreds tell enough. A variational model needs none:
        its codes are drawn from the normal distribution, as in `Autoencoder.sample`.
    random_state : int, RandomState or None

    Returns
    -------
    sample : Sample

    Raises
    ------
    ParameterError
        If `count` is below 1, or the model is not variational and there is no reference.
    DataError
        If there is but one record of reference.

    Examples
    --------
    >>> from sklearn.datasets import load_digits
    >>> import refold
    >>> digits = load_digits().images
    >>> model = refold.Autoencoder(latent_dim=3, max_epochs=1, random_state=0).fit(digits)
    >>> new = refold.sample(model, 5, reference=digits[:500], random_state=0)
    >>> new.codes.shape, new.records.shape
    ((5, 3), (5, 8, 8))
    """
    check_is_fitted(model)
    if not (count == int(count) and count >= 1):
        raise ParameterError(f"count={count} is not possible; it is a whole number of at least 1")
    random = check_random_state(random_state)
    if reference is not None:
        codes = _around(model.transform(reference), int(count), random)
    elif model.net_.variational:
        codes = random.standard_normal((int(count), model.net_.latent_dim)).astype(np.float32)
    else:
        raise ParameterError(
            "reference is needed: where the codes of this model lie is not known, as it is not variational; give "
            "records whose codes new ones shall be like"
        )
    return Sample(codes, model.inverse_transform(codes))


def _around(known: Array, count: int, random: np.random.RandomState) -> Array:
    """Return codes drawn around known ones."""
    if len(known) < 2:
        raise DataError(f"{len(known)} record of reference does not tell how codes spread; give at least 2")
    centres = known[random.randint(len(known), size=count)].astype(np.float64)
    around = nearest_codes(centres, known, min(_NEIGHBOURS + 1, len(known))).places[:, 1:]  # the first is the code
    moved = np.zeros_like(centres)
    for places in around.T:
        moved += random.standard_normal((count, 1)) * (known[places] - centres)
    codes: Array = (centres + moved / np.sqrt(around.shape[1])).astype(np.float32)
    return codes
