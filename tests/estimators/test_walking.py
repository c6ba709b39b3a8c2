"""Ways through the code, and how the decoder stretches it."""

import numpy as np
import pytest
import torch
from sklearn.datasets import load_digits, load_wine

from refold import Autoencoder, DataError, ParameterError, interpolate, stretching, traverse

IMAGES = load_digits().images


@pytest.fixture(scope="module")
def model():
    return Autoencoder(latent_dim=3, net="dense", max_epochs=20, random_state=0, threads=1).fit(IMAGES[:600])


@pytest.fixture(scope="module")
def linear():
    """A decoder that is a matrix: everything about it is known."""
    rows = np.random.default_rng(0).normal(size=(200, 2)) @ np.array([[3.0, 0, 0, 0], [0, 1.0, 0, 0]])
    rows = rows + 0.01 * np.random.default_rng(1).normal(size=rows.shape)
    return Autoencoder(latent_dim=2, net="dense", hidden=(), scaling="none", max_epochs=1, random_state=0).fit(rows)


@pytest.mark.parametrize("via", ["line", "geodesic"])
def test_a_way_has_the_codes_of_its_records_at_its_ends(model, via):
    walk = interpolate(model, IMAGES[:3], IMAGES[3:6], steps=6, via=via)
    np.testing.assert_allclose(walk.codes[:, 0], model.transform(IMAGES[:3]), atol=1e-5)
    np.testing.assert_allclose(walk.codes[:, -1], model.transform(IMAGES[3:6]), atol=1e-5)
    assert walk.records.shape == (3, 6, 8, 8)
    np.testing.assert_allclose(walk.records[:, 2], model.inverse_transform(walk.codes[:, 2]), atol=1e-4)


def test_a_line_has_equal_steps(model):
    codes = interpolate(model, IMAGES[:2], IMAGES[2:4], steps=5).codes
    np.testing.assert_allclose(np.diff(codes, axis=1, n=2), 0, atol=1e-5)


def test_a_geodesic_is_no_longer_than_the_line_as_the_decoder_sees_it(model):
    line, geodesic = (
        interpolate(model, IMAGES[:8], IMAGES[20:28], steps=12, via=via) for via in ("line", "geodesic")
    )
    assert np.all(geodesic.lengths <= line.lengths * 1.001)


def test_a_geodesic_goes_round_a_hill_and_stays_on_the_ground():
    """The code is the plan of a landscape with a hill of 1.5 in its middle; the way over it is twice as long."""
    plan = np.random.default_rng(0).uniform(-1, 1, (700, 2))
    land = np.column_stack([plan, 1.5 * np.exp(-np.square(plan).sum(1) / 0.15)])
    usual = {"latent_dim": 2, "hidden": (64, 64), "batch_size": 32, "threads": 1, "random_state": 0}
    model = Autoencoder(**usual, scaling="none", max_epochs=40).fit(land)
    ends = np.array([[-0.6, 0, 0]]), np.array([[0.6, 0.02, 0]])
    line, geodesic = (interpolate(model, *ends, steps=24, via=via) for via in ("line", "geodesic"))
    assert line.records[..., 2].max() > 1.2
    assert geodesic.records[..., 2].max() < 0.7
    assert geodesic.lengths[0] < 0.65 * line.lengths[0]


def test_a_geodesic_among_records_goes_round_where_none_is_in_equal_steps():
    """Records lie on a flat ring; under a plain decoder the line through its middle is the shortest way."""
    angles, radii = np.random.default_rng(0).uniform([[0], [0.9]], [[2 * np.pi], [1.1]], (2, 800))
    ring = np.column_stack([radii * np.cos(angles), radii * np.sin(angles), 0.01 * radii])
    model = Autoencoder(latent_dim=2, hidden=(8,), scaling="none", max_epochs=1, random_state=0).fit(ring)
    ends = np.array([[1, 0, 0.01]]), np.array([[-0.8, 0.6, 0.01]])
    alone, among = (interpolate(model, *ends, steps=15, via="geodesic", among=given) for given in (None, ring))
    middle = [np.hypot(*walk.records[0, 7, :2]) for walk in (alone, among)]
    assert middle[0] < 0.4 < 0.8 < middle[1]
    steps = np.linalg.norm(np.diff(among.records[0], axis=0), axis=1)
    assert steps.max() < 1.15 * steps.min()  # chords are shorter round a bend
    np.testing.assert_allclose(among.records[0, [0, -1]], np.concatenate(ends), atol=0.02)


def test_under_a_linear_decoder_the_line_is_the_geodesic(linear):
    ends = np.eye(4)[:2] * 2, -np.eye(4)[:2]
    line, geodesic = (interpolate(linear, *ends, via=via).codes for via in ("line", "geodesic"))
    np.testing.assert_allclose(geodesic, line, atol=0.02 * np.abs(line).max())


def test_only_one_number_is_moved(model):
    walk = traverse(model, IMAGES[:2], 1, [-2, 0, 2])
    still = np.delete(walk.codes, 1, axis=2)
    assert np.array_equal(still, np.repeat(still[:, :1], 3, axis=1))
    assert walk.codes[0, :, 1].tolist() == [-2, 0, 2]


def test_a_linear_decoder_stretches_by_its_singular_values(linear):
    weight = linear.net_.decoder(torch.eye(2)) - linear.net_.decoder(torch.zeros(1, 2))
    expected = torch.linalg.svdvals(weight.detach()).numpy()
    found = stretching(linear, np.zeros((3, 4)))
    np.testing.assert_allclose(found.factors, np.repeat(expected[None], 3, axis=0), rtol=1e-4)
    np.testing.assert_allclose(found.area, expected.prod(), rtol=1e-4)
    np.testing.assert_allclose(found.unevenness, expected[0] / expected[1], rtol=1e-4)


def test_factors_say_how_far_features_move(model):
    code = model.transform(IMAGES[:1])
    step = 1e-3 * np.linalg.qr(np.random.default_rng(0).normal(size=(3, 3)))[0].astype(np.float32)
    moved = model.inverse_transform(code + step) - model.inverse_transform(code)
    lengths = np.linalg.norm(moved.reshape(3, -1), axis=1) / 1e-3 / 16  # features are pixels of 0 to 1
    factors = stretching(model, IMAGES[:1]).factors[0]
    assert factors[-1] * 0.98 <= lengths.min() and lengths.max() <= factors[0] * 1.02
    assert np.sum(lengths**2) == pytest.approx(np.sum(factors**2), rel=0.02)


def test_tables_are_walked_through_row_by_row():
    import pandas as pd

    table = pd.DataFrame(load_wine().data, columns=load_wine().feature_names)
    wine = Autoencoder(latent_dim=2, max_epochs=2, random_state=0).fit(table)
    walk = interpolate(wine, table[:2], table[-2:], steps=4)
    assert isinstance(walk.records, pd.DataFrame)
    assert walk.records.shape == (8, 13)


def test_what_is_not_possible_is_said(model):
    with pytest.raises(ParameterError, match=r"via='geodesik' is not known.*geodesic"):
        interpolate(model, IMAGES[:1], IMAGES[1:2], via="geodesik")
    with pytest.raises(ParameterError, match="steps=1"):
        interpolate(model, IMAGES[:1], IMAGES[1:2], steps=1)
    with pytest.raises(ParameterError, match="leave among out or say via='geodesic'"):
        interpolate(model, IMAGES[:1], IMAGES[1:2], among=IMAGES)
    with pytest.raises(DataError, match="among 1 records"):
        interpolate(model, IMAGES[:1], IMAGES[1:2], via="geodesic", among=IMAGES[:1])
    with pytest.raises(DataError, match="2 first and 1 last"):
        interpolate(model, IMAGES[:2], IMAGES[:1])
    with pytest.raises(ParameterError, match="the numbers 0 to 2"):
        traverse(model, IMAGES[:1], 3, [0])
