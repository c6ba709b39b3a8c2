"""Factors and near rows: expectations that can be checked by hand."""

import numpy as np
import pytest
import torch

from refold.nets import Factors, Neighbours, fit_factors


def known(loadings, noise, mean):
    factors = Factors(*loadings.shape)
    factors.loadings, factors.noise, factors.mean = loadings, noise, mean
    return factors


@pytest.fixture
def factors():
    generator = torch.Generator().manual_seed(0)
    loadings = torch.randn(5, 2, generator=generator, dtype=torch.float64)
    noise = torch.rand(5, generator=generator, dtype=torch.float64) + 0.1
    return known(loadings, noise, torch.arange(5, dtype=torch.float64))


def test_expectation_and_variance_are_those_of_the_normal_distribution(factors):
    covariance = (factors.loadings @ factors.loadings.T + torch.diag(factors.noise)).numpy()
    row = torch.tensor([[1.0, -1.0, 0.0, 2.0, 0.0]])
    seen = np.array([0, 1, 3])
    flags = torch.zeros(1, 5)
    flags[0, seen] = 1
    mean, variance = factors(row, flags)
    for lost in (2, 4):
        weights = np.linalg.solve(covariance[np.ix_(seen, seen)], covariance[seen, lost])
        expected = lost + weights @ (row[0, seen].numpy() - seen)
        assert mean[0, lost].item() == pytest.approx(expected, abs=1e-9)
        left = covariance[lost, lost] - weights @ covariance[seen, lost]
        assert variance[0, lost].item() == pytest.approx(left, abs=1e-9)


def test_what_made_incomplete_rows_is_found(factors):
    rng = np.random.default_rng(0)
    rows = rng.normal(size=(4000, 2)) @ factors.loadings.numpy().T + factors.mean.numpy()
    rows = torch.from_numpy(rows + rng.normal(size=rows.shape) * factors.noise.numpy() ** 0.5)
    seen = torch.from_numpy((rng.random(rows.shape) > 0.3).astype(float))
    found = fit_factors(rows * seen, seen, 2, rounds=60)
    true = factors.loadings @ factors.loadings.T + torch.diag(factors.noise)
    ours = found.loadings @ found.loadings.T + torch.diag(found.noise)
    assert (ours - true).abs().max() < 0.15 * true.abs().max()
    assert (found.mean - factors.mean).abs().max() < 0.12


def test_numbers_where_nothing_is_seen_do_not_matter(factors):
    row, flags = torch.ones(1, 5), torch.tensor([[1.0, 1.0, 0.0, 0.0, 1.0]])
    other = torch.where(flags > 0, row, 77.0)
    assert torch.equal(factors(row, flags)[0], factors(other, flags)[0])


def test_the_nearest_rows_speak_and_a_row_does_not_hear_itself():
    neighbours = Neighbours(4, 2)
    neighbours.rows = torch.tensor([[0.0, 1.0], [0.1, 3.0], [9.0, 50.0], [9.1, 52.0]])
    neighbours.seen = torch.tensor([[1.0, 1.0], [1.0, 0.0], [1.0, 1.0], [1.0, 1.0]])
    filled, seen, linear = torch.tensor([[0.0, 1.0]]), torch.tensor([[1.0, 0.0]]), torch.tensor([[0.0, 2.0]])
    said = neighbours(filled, seen, linear)
    assert said[0, 1] < 10, "what a row does not have itself says nothing, and far rows say little"
    others = Neighbours(3, 2)
    others.rows, others.seen = neighbours.rows[1:], neighbours.seen[1:]
    alone = neighbours(filled, seen, linear, torch.tensor([0]))
    assert torch.allclose(alone, others(filled, seen, linear)) and not torch.allclose(alone, said)
    far = neighbours(torch.tensor([[9.0, 51.0]]), torch.ones(1, 2), torch.zeros(1, 2))
    assert far[0, 1] > 40
