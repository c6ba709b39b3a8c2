"""How long and how fast to train."""

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from refold import ParameterError
from refold.train import SCHEDULES, choose_device, default_batch_size, default_epochs


@pytest.mark.parametrize("schedule", sorted(SCHEDULES))
@given(progress=st.floats(0, 1))
def test_schedules_are_shares_of_the_highest_rate(schedule, progress):
    assert -1e-9 <= SCHEDULES[schedule](progress) <= 1
    assert SCHEDULES[schedule](0.0) == 1


@given(size=st.integers(1, 10**7))
def test_defaults_suit_data_of_any_size(size):
    batch = default_batch_size(size)
    assert 16 <= batch <= 256 and batch & (batch - 1) == 0
    assert 20 <= default_epochs(size, batch) <= 400


def test_devices_by_name():
    assert choose_device("cpu") == torch.device("cpu")
    assert choose_device("auto").type in ("cpu", "cuda", "mps")
    for name in ("cpux", "quantum", "cuda:99"):
        with pytest.raises(ParameterError, match=r"is not to be had here .* use 'cpu' or 'auto'"):
            choose_device(name)
