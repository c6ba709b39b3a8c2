"""Muon moves matrices as torch's own does, in numbers that suit the processor."""

import pytest
import torch

from refold.nets import NetSpec, build_net
from refold.train._optimizers import KernelMuon, Muon, _hidden_matrices, orthogonalised


def matrices(seed=0):
    generator = torch.Generator().manual_seed(seed)
    return [torch.randn(shape, generator=generator, requires_grad=True) for shape in ((24, 10), (10, 24), (16, 16))]


def stepped(optimizer, weights, step):
    generator = torch.Generator().manual_seed(1)
    for _ in range(5):
        for weight in weights:
            weight.grad = torch.randn(weight.shape, generator=generator)
        step(optimizer)
    return [weight.detach() for weight in weights]


@pytest.mark.parametrize(("dtype", "off"), [(torch.bfloat16, 0.0), (torch.float32, 0.01)])
def test_weights_move_as_with_torchs_own(dtype, off):
    ours, theirs = matrices(), matrices()
    muon = Muon(ours, 0.1)
    muon._dtype = dtype
    torchs = torch.optim.Muon(theirs, lr=7.5e-3, weight_decay=0.03, ns_steps=3, adjust_lr_fn="original")
    moved = stepped(muon, ours, lambda optimizer: optimizer.step(1e-3))
    expected = stepped(torchs, theirs, lambda optimizer: optimizer.step())
    assert all(torch.allclose(a, b, atol=off, rtol=0) for a, b in zip(moved, expected, strict=True))
    assert not torch.allclose(moved[0], matrices()[0].detach(), atol=0.02)


def test_singular_values_come_near_one_and_vectors_stay():
    matrix = torch.randn(20, 12, generator=torch.Generator().manual_seed(2))
    left, values, right = torch.linalg.svd(orthogonalised(matrix), full_matrices=False)
    assert values.min() > 0.3 and values.max() < 1.3
    before = torch.linalg.svd(matrix, full_matrices=False)
    assert torch.dist(left @ right, before[0] @ before[2]) < 1e-3


def test_momenta_go_on_where_they_stopped():
    first, second = Muon(matrices(), 0.1), Muon(matrices(), 0.1)
    stepped(first, first._weights, lambda optimizer: optimizer.step(1e-3))
    second.load_tensors(first.tensors())
    assert all(torch.equal(value, second.tensors()[name]) for name, value in first.tensors().items())
    assert any(value.abs().max() > 0 for value in second.tensors().values())


def test_momenta_that_have_faded_move_nothing():
    """Numbers that are nearly too small for their type halve the speed of a training."""
    weight = torch.nn.Parameter(torch.zeros(8, 4, 3, 3))
    optimizer = KernelMuon([weight], [False])
    weight.grad = torch.randn(8, 4, 3, 3, generator=torch.Generator().manual_seed(0))
    weight.grad[:3] *= 1e-20
    optimizer.step(1.0)
    assert not weight[:3].any()
    assert weight[3:].all()


@pytest.mark.parametrize("width", [60, 64, 96])
def test_which_layers_move_by_muon_hangs_on_what_they_do_and_not_on_the_width_of_the_data(width):
    """Candidates for a code of two numbers are proposed by a layer of 96 outputs."""
    spec = NetSpec(
        kind="dense",
        raw_shape=(width,),
        n_categories=(0,) * width,
        latent_dim=2,
        hidden=(128, 32),
        activation="relu",
        latent_activation="identity",
        output_activation="identity",
        normalise=True,
        variational=False,
        unit=False,
        exact=False,
        shortcut=True,
        candidates=32,
    )
    assert [tuple(weight.shape) for weight in _hidden_matrices(build_net(spec))] == [(32, 128), (96, 32), (128, 32)]
