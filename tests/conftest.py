"""What every test shares: one thread, the same examples in every run, and small data."""

import os

os.environ.setdefault("OMP_NUM_THREADS", "1")

import numpy as np
import pytest
import torch
from hypothesis import HealthCheck, settings

torch.set_num_threads(1)

settings.register_profile(
    "refold",
    deadline=None,
    derandomize=True,
    database=None,
    print_blob=False,
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.function_scoped_fixture],
)
settings.load_profile("refold")


@pytest.fixture
def rng() -> np.random.Generator:
    """Random numbers, the same in every run."""
    return np.random.default_rng(0)


@pytest.fixture(scope="session")
def rows() -> np.ndarray:
    """Forty rows of six numbers that two numbers explain."""
    rng = np.random.default_rng(0)
    return rng.normal(size=(40, 2)) @ rng.normal(size=(2, 6)) + 0.1 * rng.normal(size=(40, 6))


@pytest.fixture(scope="session")
def pictures() -> np.ndarray:
    """Twenty grey pictures of 9 x 12 pixels, a bright bar on black."""
    pictures = np.zeros((20, 9, 12), dtype=np.uint8)
    for place, picture in enumerate(pictures):
        picture[:, place % 12] = 255
    return pictures
