"""That something is learned: against principal components, against noise, against the textbook."""

import numpy as np
import pytest
from sklearn.datasets import load_digits
from sklearn.decomposition import PCA
from torch import nn

from refold import Autoencoder
from refold.nets import parameter_count


@pytest.fixture(scope="module")
def digits():
    """Pictures for training and for testing, uint8."""
    pictures = np.rint(load_digits().images * (255 / 16)).astype(np.uint8)
    test = np.arange(len(pictures)) % 5 == 0
    return pictures[~test], pictures[test]


def test_three_numbers_explain_clearly_more_than_three_principal_components(digits):
    train, test = digits
    model = Autoencoder(
        net="dense", hidden=(128, 64), latent_dim=3, max_epochs=60, learning_rate=3e-3, random_state=0
    ).fit(train)
    flat, unseen = (part.reshape(len(part), -1).astype(float) for part in digits)
    pca = PCA(3).fit(flat)
    lost = np.square(pca.inverse_transform(pca.transform(unseen)) - unseen).sum()
    explained_by_pca = 1 - lost / np.square(unseen - unseen.mean(axis=0)).sum()
    assert 0.35 < explained_by_pca < 0.45
    assert model.score(test) > explained_by_pca + 0.15


def test_a_table_is_never_explained_worse_than_by_principal_components():
    rng = np.random.default_rng(0)
    rows = rng.normal(size=(300, 4)) @ rng.normal(size=(4, 10)) + 0.3 * rng.normal(size=(300, 10))
    scaled = (rows - rows.mean(axis=0)) / rows.std(axis=0)
    linear = PCA(4).fit(scaled).explained_variance_ratio_.sum()
    assert Autoencoder(latent_dim=4, max_epochs=1, random_state=0).fit(rows).score(rows) > linear - 0.01


def test_noisy_digits_come_out_nearer_to_the_clean_ones(digits):
    train, test = digits
    model = Autoencoder(
        net="dense", hidden=(128,), latent_dim=24, corruption="gaussian(0.25)", max_epochs=40, learning_rate=3e-3,
        random_state=0,
    ).fit(train)  # fmt: skip
    noise = np.random.default_rng(0).normal(0, 0.25 * 255, test.shape)
    noisy = np.clip(test + noise, 0, 255).astype(np.uint8)
    cleaned = model.reconstruct(noisy)
    before = np.square(noisy.astype(float) - test).mean()
    after = np.square(cleaned.astype(float) - test).mean()
    assert after < 0.5 * before


def test_convolutions_learn_digits(digits):
    train, test = digits
    model = Autoencoder(
        net="conv", hidden=(8, 16), latent_dim=8, max_epochs=15, learning_rate=5e-3, random_state=0
    ).fit(train)
    assert model.score(test) > 0.6


def test_a_variational_code_is_spread_like_the_normal_distribution(digits):
    train, test = digits
    model = Autoencoder(
        net="dense", hidden=(64,), latent_dim=2, penalty="variational(0.2)", loss="cross_entropy", max_epochs=30,
        learning_rate=3e-3, random_state=0,
    ).fit(train)  # fmt: skip
    codes = model.transform(test)
    assert np.abs(codes.mean(axis=0)).max() < 0.8
    assert (codes.std(axis=0) > 0.4).all() and (codes.std(axis=0) < 1.6).all()
    drawn = model.sample(100, random_state=0)
    assert drawn.shape == (100, 8, 8) and drawn.dtype == np.uint8
    assert abs(drawn.mean() - test.mean()) < 15


def test_sparse_codes_are_smaller(digits):
    train, test = digits
    plain, sparse = (
        Autoencoder(net="dense", hidden=(32,), latent_dim=8, penalty=penalty, max_epochs=5, random_state=0).fit(train)
        for penalty in (None, "sparse(0.1)")
    )
    assert np.abs(sparse.transform(test)).mean() < 0.3 * np.abs(plain.transform(test)).mean()


def test_contractive_codes_move_less(digits):
    train, test = digits
    nudge = np.random.default_rng(0).normal(0, 0.01, test.shape)
    moved = []
    for penalty in (None, "contractive(0.1)"):
        model = Autoencoder(net="dense", hidden=(32,), latent_dim=4, penalty=penalty, max_epochs=8, random_state=0)
        model.fit(train / 255)
        moved.append(np.abs(model.transform(test / 255 + nudge) - model.transform(test / 255)).mean())
    assert moved[1] < 0.3 * moved[0]


def test_the_classic_example_in_one_line():
    """28x28 -> Flatten -> Dense(3, relu) -> Dense(784, sigmoid) -> 28x28."""
    pictures = (np.random.default_rng(0).random((40, 28, 28)) * 255).astype(np.uint8)
    model = Autoencoder(
        net="dense", hidden=(), latent_dim=3, latent_activation="relu", output_activation="sigmoid", max_epochs=1
    ).fit(pictures)
    assert parameter_count(model.net_) == 784 * 3 + 3 + 3 * 784 + 784
    encoder, decoder = model.net_.encoder, model.net_.decoder
    assert all(isinstance(layer, kind) for layer, kind in zip(encoder, (nn.Flatten, nn.Linear, nn.ReLU), strict=True))
    assert all(isinstance(layer, kind) for layer, kind in zip(decoder, (nn.Linear, nn.Unflatten), strict=True))
    assert type(model.net_.output_activation).__name__ == "Sigmoid"
    assert (model.transform(pictures) >= 0).all()
    assert model.reconstruct(pictures).shape == (40, 28, 28)
