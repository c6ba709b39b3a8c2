"""Which records a model represents."""

import numpy as np
import pytest
from sklearn.datasets import load_breast_cancer, load_digits, make_circles

from refold import Autoencoder, DataError, ParameterError, on_manifold

IMAGES, LABELS = load_digits().images, load_digits().target
OTHERS, ZEROS = IMAGES[LABELS != 0], IMAGES[LABELS == 0]
REFERENCE, NEW = OTHERS[900:1250], OTHERS[1250:]


@pytest.fixture(scope="module")
def model():
    """It has never seen a zero."""
    return Autoencoder(latent_dim=8, net="dense", max_epochs=30, random_state=0, threads=1).fit(OTHERS[:900])


def curved(size, seed):
    rng = np.random.default_rng(seed)
    way = rng.uniform(-1, 1, (size, 2))
    rows = np.column_stack([way, way[:, 0] ** 2, np.sin(3 * way[:, 1]), way.prod(1)])
    return rows + 0.05 * rng.standard_t(4, rows.shape)


@pytest.mark.parametrize("alpha", [0.05, 0.2])
def test_no_more_records_than_promised_are_called_off(alpha):
    rows = Autoencoder(latent_dim=2, hidden=(16,), max_epochs=20, random_state=0, threads=1).fit(curved(500, 0))
    off = [
        1 - on_manifold(rows, curved(500, 1000 + seed), curved(200, seed + 1), alpha=alpha).on.mean()
        for seed in range(30)
    ]
    # the threshold of each part stands on 200 records, and 500 are counted
    deviation = np.sqrt((2 * alpha / 2 / 200 + alpha / 500) / 30)
    assert alpha / 2 < np.mean(off) < alpha + 3 * deviation


def test_what_is_something_else_is_off(model):
    rng = np.random.default_rng(0)
    shuffled = NEW.reshape(len(NEW), -1)[:, rng.permutation(64)].reshape(NEW.shape)
    for other in (rng.uniform(0, 16, (200, 8, 8)), shuffled, 16 - NEW, np.zeros((1, 8, 8))):
        assert not on_manifold(model, other, REFERENCE).on.any()


def test_half_of_a_class_never_seen_are_off(model):
    assert on_manifold(model, ZEROS, REFERENCE).on.mean() < 0.6
    assert on_manifold(model, NEW, REFERENCE).on.mean() > 0.9


def test_codes_where_none_lie_are_off_however_well_they_are_rebuilt():
    """A ring in a plane: the code is the plane, and its middle is rebuilt as well as anything."""
    plane = np.array([[1.0, 0, 1], [0, 1.0, -1]])
    rows = make_circles(600, noise=0.02, factor=0.999, random_state=0)[0] @ plane
    usual = {"latent_dim": 2, "hidden": (), "scaling": "none", "threads": 1, "random_state": 0}
    model = Autoencoder(**usual, max_epochs=5).fit(rows[:300])
    middle = 0.3 * np.random.default_rng(0).normal(size=(50, 2)).clip(-1, 1) @ plane
    found = on_manifold(model, middle, rows[300:])
    assert np.all(found.rebuilding > 0.025)
    assert not found.on.any()


def test_both_p_values_count(model):
    found = on_manifold(model, NEW, REFERENCE)
    np.testing.assert_allclose(found.p_values, np.minimum(1, 2 * np.minimum(found.rebuilding, found.nearness)))
    assert found.p_values.min() >= 2 / (len(REFERENCE) + 1) - 1e-6
    assert np.array_equal(found.on, found.p_values > 0.05 + 1e-9)


def test_a_record_is_judged_alike_alone_and_among_others(model):
    together = on_manifold(model, NEW[:10], REFERENCE).p_values
    alone = [on_manifold(model, image[None], REFERENCE).p_values[0] for image in NEW[:10]]
    assert together.tolist() == alone


def test_rows_of_a_table_with_swapped_columns_are_off():
    import pandas as pd

    table = pd.DataFrame(load_breast_cancer().data, columns=load_breast_cancer().feature_names)
    cells = Autoencoder(latent_dim=5, max_epochs=10, random_state=0, threads=1).fit(table[:300])
    swapped = pd.DataFrame(table[450:].to_numpy()[:, ::-1], columns=table.columns)
    assert not on_manifold(cells, swapped, table[300:450]).on.any()
    assert on_manifold(cells, table[450:], table[300:450]).on.mean() > 0.85


def test_too_few_records_of_reference_are_said(model):
    assert on_manifold(model, NEW[:2], REFERENCE[:39]).on.shape == (2,)
    with pytest.raises(DataError, match=r"38 records of reference cannot keep alpha=0.05, which needs 39"):
        on_manifold(model, NEW, REFERENCE[:38])
    with pytest.raises(ParameterError, match=r"alpha=0 .*above 0 and below 1"):
        on_manifold(model, NEW, REFERENCE, alpha=0)
    with pytest.raises(ParameterError, match=r"count=350 is not possible.*1 to 349"):
        on_manifold(model, NEW, REFERENCE, count=350)
