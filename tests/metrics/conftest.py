"""Handwritten digits, and two numbers for each."""

import numpy as np
import pytest
from sklearn.datasets import load_digits
from sklearn.decomposition import PCA


@pytest.fixture(scope="session")
def digits() -> tuple[np.ndarray, np.ndarray]:
    """Six hundred pictures of 8 x 8 whole numbers, among whose distances many are equal, and what they show."""
    pictures, labels = load_digits(return_X_y=True)
    return pictures[:600], labels[:600]


@pytest.fixture(scope="session")
def jittered(digits) -> np.ndarray:
    """The digits with a little noise, so that no two distances are equal."""
    return digits[0] + np.random.default_rng(0).normal(scale=0.01, size=digits[0].shape)


@pytest.fixture(scope="session")
def code(digits) -> np.ndarray:
    """Two principal components of the digits."""
    return PCA(2).fit_transform(digits[0])
