"""New records where codes lie."""

import numpy as np
import pytest
from sklearn.datasets import load_digits, load_wine, make_circles

from refold import Autoencoder, DataError, ParameterError, neighbours, on_manifold, sample

IMAGES = load_digits().images


@pytest.fixture(scope="module")
def ring():
    """The code is a ring, in the middle of which lies nothing."""
    rows = make_circles(600, noise=0.02, factor=0.999, random_state=0)[0] @ np.array([[1.0, 0, 1], [0, 1.0, -1]])
    usual = {"latent_dim": 2, "hidden": (16,), "scaling": "none", "threads": 1, "random_state": 0}
    return Autoencoder(**usual, max_epochs=5).fit(rows), rows


def test_new_codes_lie_as_far_from_known_ones_as_these_from_each_other(ring):
    model, rows = ring
    codes = model.transform(rows)
    new = sample(model, 500, reference=rows, random_state=0)
    own = neighbours(model, rows, rows, count=2).distances[:, 1]
    apart = np.linalg.norm(new.codes[:, None] - codes[None], axis=2).min(1)
    assert 0.5 < apart.mean() / own.mean() < 1.5
    assert apart.max() < 0.2 * np.linalg.norm(codes, axis=1).min()  # none in the hole
    assert apart.min() > 0  # none is a copy


def test_all_parts_of_the_reference_are_drawn_from(ring):
    model, rows = ring
    in_order = rows[np.argsort(np.arctan2(rows[:, 1], rows[:, 0]))]
    new = sample(model, 600, reference=in_order, random_state=1)
    angles = np.arctan2(new.codes[:, 1], new.codes[:, 0])
    assert np.histogram(angles, 8, (-np.pi, np.pi))[0].min() > 20


def test_new_digits_are_on_the_manifold():
    mixed = np.random.default_rng(0).permutation(IMAGES)  # each writer's digits stand together
    model = Autoencoder(latent_dim=8, net="dense", max_epochs=20, random_state=0, threads=1).fit(mixed[:900])
    new = sample(model, 300, reference=mixed[900:1300], random_state=0)
    assert new.records.shape == (300, 8, 8)
    assert on_manifold(model, new.records, mixed[1300:]).on.mean() > 0.9


def test_the_same_seed_gives_the_same_records_and_decodes_their_codes(ring):
    model, rows = ring
    first, again, other = (sample(model, 5, reference=rows, random_state=seed) for seed in (0, 0, 1))
    assert np.array_equal(first.codes, again.codes) and not np.array_equal(first.codes, other.codes)
    assert np.array_equal(first.records, model.inverse_transform(first.codes))


def test_tables_come_out_as_tables():
    import pandas as pd

    table = pd.DataFrame(load_wine().data, columns=load_wine().feature_names)
    table["kind"] = load_wine().target.astype(str)
    wine = Autoencoder(latent_dim=2, max_epochs=2, random_state=0, threads=1).fit(table)
    new = sample(wine, 7, reference=table, random_state=0).records
    assert list(new.columns) == list(table.columns) and len(new) == 7
    assert set(new["kind"]) <= {"0", "1", "2"}


def test_a_variational_model_needs_no_reference():
    model = Autoencoder(latent_dim=2, penalty="variational", max_epochs=2, random_state=0).fit(IMAGES[:300])
    assert np.array_equal(sample(model, 4, random_state=0).records, model.sample(4, random_state=0))


def test_two_records_are_enough_and_one_is_not(ring):
    model, rows = ring
    assert np.isfinite(sample(model, 3, reference=rows[:2], random_state=0).codes).all()
    with pytest.raises(DataError, match="1 record of reference"):
        sample(model, 3, reference=rows[:1])
    with pytest.raises(ParameterError, match="reference is needed"):
        sample(model, 3)
    with pytest.raises(ParameterError, match="count=0"):
        sample(model, 0, reference=rows)
