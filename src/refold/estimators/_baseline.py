"""The plain result that a learned one must beat: principal components, as many as the code has numbers."""

from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from sklearn.decomposition import PCA

from refold.estimators._autoencoder import Autoencoder


class PCABaseline:
    """Principal components of the records as a fitted model sees them, as many as its code has numbers.

    Parameters
    ----------
    model : Autoencoder
        Fitted.
    X : array-like, table, path or list of paths
        Records to fit on, of the kind that the model was fitted on. At most 5,000 of them, evenly taken, are used.

    Examples
    --------
    >>> from sklearn.datasets import load_digits
    >>> from refold import Autoencoder
    >>> digits = load_digits().images
    >>> model = Autoencoder(latent_dim=3, max_epochs=1, random_state=0).fit(digits)
    >>> round(PCABaseline(model, digits).score(digits), 1)
    0.4
    """

    MOST_RECORDS = 5_000

    def __init__(self, model: Autoencoder, X: Any) -> None:
        self._model = model
        features = filled(model.features(X))
        chosen = np.linspace(0, len(features) - 1, min(len(features), self.MOST_RECORDS)).astype(int)
        size = min(model.net_.latent_dim, *features[chosen].shape)
        self._pca = PCA(size, random_state=0).fit(features[chosen])

    def score(self, X: Any) -> float:
        """Return the share of the records' variance that survives, as `Autoencoder.score` does."""
        features = self._model.features(X)
        residual = np.where(np.isnan(features), 0, self._rebuilt(features) - features)
        total = np.nansum((features - np.nanmean(features, axis=0)) ** 2, dtype=np.float64)
        lost = np.sum(residual**2, dtype=np.float64)
        return float(1 - lost / total) if total > 0 else float(lost == 0)

    def reconstruct(self, X: Any) -> Any:
        """Return records rebuilt from their components, of the kind, dtype and names that were fitted."""
        net, features = self._model.net_, self._rebuilt(self._model.features(X))
        shaped = torch.from_numpy(features.astype(np.float32)).reshape(-1, *net.scaling.feature_shape)
        with torch.inference_mode():
            numbers = net.scaling.restore(shaped.to(net.scaling.center.device)).cpu().numpy()
        return self._model.adapter_.decode(numbers)

    def _rebuilt(self, features: NDArray[Any]) -> NDArray[Any]:
        rebuilt: NDArray[Any] = self._pca.inverse_transform(self._pca.transform(filled(features)))
        return rebuilt


def filled(features: NDArray[Any]) -> NDArray[Any]:
    """Return features with every missing one replaced by its column's mean."""
    missing = np.isnan(features)
    if not missing.any():
        return features
    counts = np.maximum((~missing).sum(axis=0), 1)
    return np.where(missing, np.nansum(features, axis=0) / counts, features)
