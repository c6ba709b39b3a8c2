"""Normalisation in bfloat16 is that of float32, rounded."""

import pytest
import torch

from refold.nets._norms import GroupNorm, LayerNorm


@pytest.mark.parametrize(("norm", "shape"), [(LayerNorm(24), (8, 24)), (GroupNorm(1, 6), (8, 6, 5, 4))])
def test_short_numbers_stay_short_and_are_normalised_exactly(norm, shape):
    torch.manual_seed(0)
    exact = torch.randn(shape) * 3 + 1
    short = exact.bfloat16().requires_grad_()
    with torch.autocast("cpu", torch.bfloat16):
        result = norm(short)
    assert result.dtype == torch.bfloat16
    expected = norm(short.detach().float())
    assert torch.allclose(result.float(), expected, rtol=1e-2, atol=1e-2)
    result.float().square().sum().backward()
    assert short.grad.isfinite().all() and norm.weight.grad.dtype == torch.float32
