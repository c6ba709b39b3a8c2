"""Who is near to whom in the code."""

import numpy as np
import pytest
from sklearn.datasets import load_digits

from refold import Autoencoder, ParameterError, neighbours

IMAGES = load_digits().images[:600]


@pytest.mark.parametrize("dimensions", [2, 20])
def test_they_are_the_nearest_of_all(dimensions):
    model = Autoencoder(latent_dim=dimensions, net="dense", max_epochs=2, random_state=0, threads=1).fit(IMAGES)
    codes = model.transform(IMAGES).astype(np.float64)
    apart = np.linalg.norm(codes[:40, None] - codes[None, 100:], axis=2)
    found = neighbours(model, IMAGES[:40], IMAGES[100:], count=7)
    assert np.array_equal(found.places, np.argsort(apart, axis=1)[:, :7])
    np.testing.assert_allclose(found.distances, np.sort(apart, axis=1)[:, :7], rtol=1e-5)
    assert found.places.dtype == np.int64 and found.distances.dtype == np.float32


def test_a_record_among_them_is_its_own_nearest():
    model = Autoencoder(latent_dim=3, max_epochs=1, random_state=0, threads=1).fit(IMAGES)
    found = neighbours(model, IMAGES[5:9], IMAGES, count=600)
    assert found.places[:, 0].tolist() == [5, 6, 7, 8]
    assert not found.distances[:, 0].any()
    with pytest.raises(ParameterError, match=r"count=601 .* 1 to 600 records"):
        neighbours(model, IMAGES[:2], IMAGES, count=601)
