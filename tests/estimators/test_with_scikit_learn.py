"""The estimator among scikit-learn's tools."""

import numpy as np
import pandas
import pytest
from sklearn.decomposition import PCA
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import GridSearchCV, cross_val_score
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from refold import Autoencoder, ParameterError


def small(**parameters):
    return Autoencoder(**{"latent_dim": 2, "hidden": (8,), "max_epochs": 2, "random_state": 0, **parameters})


def test_codes_feed_a_classifier_in_a_pipeline(rows):
    labels = rows[:, 0] > 0
    pipeline = make_pipeline(StandardScaler(), small(max_epochs=60, learning_rate=0.01), LogisticRegression()).fit(
        rows, labels
    )
    assert pipeline.predict(rows).shape == (40,)
    assert pipeline.score(rows, labels) > 0.8


def test_a_pipeline_ending_in_the_model_goes_back_to_the_data(rows):
    pipeline = make_pipeline(StandardScaler(), small()).fit(rows)
    assert pipeline.inverse_transform(pipeline.transform(rows)).shape == rows.shape


def test_grid_search_finds_that_more_numbers_keep_more(rows):
    model = small(hidden=(), max_epochs=80, learning_rate=0.02)
    search = GridSearchCV(model, {"latent_dim": [1, 2]}, cv=3, error_score="raise").fit(rows)
    assert search.best_params_ == {"latent_dim": 2}
    assert search.best_estimator_.transform(rows).shape == (40, 2)


def test_cross_validation_scores_with_the_share_of_variance(rows):
    scores = cross_val_score(small(), rows, cv=3)
    assert scores.shape == (3,) and (scores <= 1).all()


def test_the_score_of_a_linear_model_is_at_most_that_of_pca(rows):
    linear = small(hidden=(), max_epochs=400, learning_rate=0.02, validation_fraction=0, weight_decay=0.0).fit(rows)
    scaled = StandardScaler().fit_transform(rows)
    best = PCA(2).fit(scaled).explained_variance_ratio_.sum()
    assert best - 0.01 < linear.score(rows) <= best + 1e-6


def test_set_output_names_the_numbers_of_the_code_and_keeps_the_index(rows):
    frame = pandas.DataFrame(rows, columns=list("abcdef"), index=range(100, 140))
    codes = small().set_output(transform="pandas").fit_transform(frame)
    assert list(codes.columns) == ["autoencoder0", "autoencoder1"]
    assert codes.index.equals(frame.index)


def test_names_of_columns_are_remembered(rows):
    model = small().fit(pandas.DataFrame(rows, columns=list("abcdef")))
    assert model.n_features_in_ == 6
    assert model.feature_names_in_.tolist() == list("abcdef")
    assert model.get_feature_names_out().tolist() == ["autoencoder0", "autoencoder1"]


def test_wrong_parameters_are_named_at_fit_and_not_before(rows):
    model = Autoencoder(loss="squard")
    with pytest.raises(
        ParameterError, match=r"loss of Autoencoder must be .*, got 'squard', did you mean 'squared'\?"
    ):
        model.fit(rows)


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("latent_dim", 0),
        ("latent_dim", 2.5),
        ("latent_dim", True),
        ("hidden", (0,)),
        ("hidden", "wide"),
        ("learning_rate", 0),
        ("learning_rate", float("nan")),
        ("batch_size", 0),
        ("max_epochs", 0),
        ("patience", -1),
        ("validation_fraction", 1.0),
        ("weight_averaging", 1.0),
        ("value_range", (1, 0)),
        ("image_size", (8,)),
        ("activation", "rellu"),
        ("net", "transformer"),
        ("penalty", 3),
        ("penalty", "varational"),
        ("corruption", "gaussian(0)"),
        ("corruption", "gaussian(0.2"),
        ("device", "cpux"),
        ("random_state", -1),
    ],
)
def test_impossible_values_are_refused_in_one_sentence(rows, name, value):
    with pytest.raises(ParameterError) as caught:
        small(**{name: value}).fit(rows)
    assert name in str(caught.value) or str(value)[:8] in str(caught.value)
    assert "\n" not in str(caught.value)


def test_fit_does_not_disturb_the_callers_randomness(rows):
    import torch

    torch.manual_seed(5)
    np.random.seed(5)
    before = torch.get_rng_state().clone(), np.random.get_state()[1].copy()
    small().fit(rows)
    assert torch.get_rng_state().equal(before[0])
    assert np.array_equal(np.random.get_state()[1], before[1])


def test_fit_leaves_the_data_and_the_callers_modules_alone(rows):
    from torch import nn

    encoder, decoder = nn.Linear(6, 2), nn.Linear(2, 6)
    before, weights = rows.copy(), encoder.weight.detach().clone()
    small(encoder=encoder, decoder=decoder, corruption="masking(0.3)").fit(rows)
    assert np.array_equal(rows, before)
    assert encoder.weight.equal(weights)
