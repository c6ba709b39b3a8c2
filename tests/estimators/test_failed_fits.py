"""A fit that fails leaves the estimator as it was, and one that goes on refuses to become another network."""

import numpy as np
import pytest
from sklearn.exceptions import NotFittedError

import refold

X = np.random.default_rng(0).normal(size=(60, 6))
QUICK = {"max_epochs": 2, "random_state": 0, "latent_dim": 2}


def test_a_diverged_first_fit_leaves_an_unfitted_estimator():
    model = refold.Autoencoder(**{**QUICK, "learning_rate": 1e30}, gradient_clip=None)
    with pytest.raises(refold.DivergedError):
        model.fit(X)
    with pytest.raises(NotFittedError):
        model.transform(X)


@pytest.mark.parametrize("bad", [np.full((5, 3), np.inf), np.ones((1, 6))])
@pytest.mark.parametrize("warm_start", [False, True])
def test_a_failed_fit_leaves_a_fitted_estimator_as_it_was(bad, warm_start):
    model = refold.Autoencoder(**QUICK, warm_start=warm_start).fit(X)
    before = model.transform(X)
    with pytest.raises(ValueError):
        model.fit(bad)
    np.testing.assert_array_equal(model.transform(X), before)


def test_a_diverged_warm_start_keeps_the_weights_from_before():
    model = refold.Autoencoder(**QUICK, warm_start=True).fit(X)
    before = model.transform(X)
    model.set_params(learning_rate=1e30, gradient_clip=None)
    with pytest.raises(refold.DivergedError):
        model.fit(X)
    np.testing.assert_array_equal(model.transform(X), before)


@pytest.mark.parametrize("changed", [{"latent_dim": 4}, {"penalty": "variational"}])
def test_a_warm_start_refuses_another_network(changed):
    model = refold.Autoencoder(**QUICK, warm_start=True).fit(X)
    with pytest.raises(refold.ParameterError, match="warm_start=False"):
        model.set_params(**changed).fit(X)


def test_held_out_records_are_named():
    model = refold.Autoencoder(**QUICK, validation_fraction=0.25).fit(X)
    assert len(model.held_out_) == 15
    assert set(model.held_out_) <= set(range(60))


def test_records_without_any_value_are_refused():
    import pyarrow

    with pytest.raises(refold.DataError, match="every cell is missing"):
        refold.Autoencoder(**QUICK).fit(pyarrow.table({"a": pyarrow.nulls(20), "b": [None] * 20}))
