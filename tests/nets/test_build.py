"""Networks from specifications: what goes in comes out in the same shape, whatever it is."""

import json
from math import prod

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import nn

from refold import ParameterError
from refold.nets import ACTIVATIONS, NetSpec, build_net, default_hidden, feature_shape_of, parameter_count

HONEST = {
    "kind": "dense",
    "raw_shape": (4,),
    "n_categories": (0, 0, 3, 0),
    "latent_dim": 2,
    "hidden": (5,),
    "activation": "silu",
    "latent_activation": "identity",
    "output_activation": "identity",
    "normalise": True,
    "variational": False,
    "unit": False,
    "exact": False,
}


def spec(**changes):
    return NetSpec(**{**HONEST, **changes})


@st.composite
def specs(draw):
    shape = tuple(draw(st.lists(st.integers(1, 9), min_size=1, max_size=3)))
    kind = draw(st.sampled_from(["dense", "conv"] if len(shape) > 1 else ["dense"]))
    latent_activation, variational = draw(st.sampled_from(sorted(ACTIVATIONS))), draw(st.booleans())
    plain = latent_activation == "identity" and not variational
    return spec(
        kind=kind,
        raw_shape=shape,
        n_categories=tuple(draw(st.integers(0, 3)) for _ in range(shape[0])) if len(shape) == 1 else (),
        latent_dim=draw(st.integers(1, 4)),
        hidden=tuple(draw(st.lists(st.integers(1, 6), max_size=4))),
        activation=draw(st.sampled_from(sorted(ACTIVATIONS))),
        latent_activation=latent_activation,
        normalise=draw(st.booleans()),
        variational=variational,
        exact=draw(st.booleans()),
        front=tuple(draw(st.lists(st.integers(1, 6), max_size=3))) if kind == "dense" and len(shape) > 1 else (),
        candidates=draw(st.integers(0, 4)) if plain else 0,
    )


@settings(max_examples=60)
@given(specs())
def test_every_specification_gives_a_mirrored_network(spec):
    net = build_net(spec).eval()
    raw = torch.rand(3, *spec.raw_shape).round()
    with torch.no_grad():
        code = net.encode(raw)
        rebuilt = net.decode(code)
    assert code.shape == (3, spec.latent_dim) and code.dtype == torch.float32
    assert rebuilt.shape == raw.shape
    assert rebuilt.dtype == (torch.float64 if spec.exact else torch.float32)
    assert torch.equal(net(raw), rebuilt)


@given(specs())
def test_a_specification_comes_back_through_json(spec):
    assert NetSpec.from_json(json.loads(json.dumps(spec.to_json()))) == spec


@pytest.mark.parametrize("shape", [(1, 1), (3, 200), (200, 3), (5, 7, 2), (28, 28), (1, 50, 4), (97, 61, 3)])
@pytest.mark.parametrize("hidden", [None, (), (3,), (2, 3, 4, 5, 6, 7)])
def test_convolutions_take_pictures_of_any_size(shape, hidden):
    hidden = default_hidden("conv", feature_shape_of(shape, ())) if hidden is None else hidden
    net = build_net(spec(kind="conv", raw_shape=shape, n_categories=(), hidden=hidden)).eval()
    assert net(torch.zeros(2, *shape)).shape == (2, *shape)


def test_convolutions_stand_for_the_first_dense_layer_of_an_encoder():
    net = build_net(spec(raw_shape=(28, 28), n_categories=(), hidden=(100, 30), front=(4, 8))).eval()
    linears = [tuple(layer.weight.shape) for layer in net.encoder if isinstance(layer, nn.Linear)]
    assert linears == [(30, 8 * 7 * 7), (2, 30)]
    assert sum(isinstance(layer, nn.Conv2d) for layer in net.encoder) == 2
    assert not any(isinstance(layer, nn.Conv2d | nn.ConvTranspose2d) for layer in net.decoder)


def test_the_halves_mirror_each_other():
    net = build_net(spec(n_categories=(0,) * 4, hidden=(7, 6, 5), normalise=False))
    sizes = [[(layer.in_features, layer.out_features) for layer in half if isinstance(layer, nn.Linear)]
             for half in (net.encoder, net.decoder)]  # fmt: skip
    assert sizes[0] == [(4, 7), (7, 6), (6, 5), (5, 2)]
    assert sizes[1] == [(outer, inner) for inner, outer in reversed(sizes[0])]
    assert parameter_count(net) == sum(inner * outer + outer for half in sizes for inner, outer in half)


def test_one_category_column_is_as_many_features_as_it_has_categories():
    assert feature_shape_of((4,), (0, 2, 0, 5)) == (9,)
    assert feature_shape_of((6, 5), ()) == (1, 6, 5)
    assert feature_shape_of((6, 5, 3), ()) == (3, 6, 5)


@pytest.mark.parametrize("kind", ["dense", "conv"])
def test_default_layers_grow_with_the_data(kind):
    small, large = (prod(default_hidden(kind, (1, size, size))) for size in (4, 64))
    assert small < large


@pytest.mark.parametrize(
    "changes",
    [
        {"kind": "transformer"},
        {"kind": ["dense"]},
        {"raw_shape": []},
        {"raw_shape": [1, 1, 1, 1]},
        {"raw_shape": [0]},
        {"raw_shape": [2**21]},
        {"raw_shape": [2**20, 2**20, 2**20], "n_categories": []},
        {"raw_shape": ["4"]},
        {"raw_shape": [True]},
        {"n_categories": [0]},
        {"n_categories": [-1, 0, 0, 0]},
        {"latent_dim": 0},
        {"latent_dim": 1.0},
        {"latent_dim": "2"},
        {"hidden": [0]},
        {"hidden": [1] * 65},
        {"hidden": [2**21]},
        {"activation": "eval"},
        {"activation": None},
        {"normalise": 1},
        {"flags": [4]},
        {"flags": [-1]},
        {"front": [2]},
        {"front": [0], "raw_shape": [4, 4], "n_categories": []},
        {"front": [2], "raw_shape": [4, 4], "n_categories": [], "kind": "conv"},
        {"candidates": -1},
        {"candidates": 2.0},
        {"candidates": 1 << 20},
        {"candidates": 2, "variational": True},
        {"candidates": 2, "kind": "custom"},
        {"candidates": 2, "latent_activation": "tanh"},
    ],
    ids=str,
)
def test_dishonest_specifications_are_refused(changes):
    with pytest.raises(ParameterError, match="out of bounds"):
        NetSpec.from_json({**spec().to_json(), **changes})


def test_scaling_stands_inside_the_network():
    from refold.nets import measure_scale

    rows = np.random.default_rng(0).normal(1000, 5, (50, 3))
    scale = measure_scale(rows, "standard")
    net = build_net(spec(raw_shape=(3,), n_categories=(0, 0, 0)), scale)
    inputs = net.scaling.inputs(torch.from_numpy(rows))
    assert inputs.mean(dim=0).abs().max() < 1e-3 and (inputs.std(dim=0) - 1).abs().max() < 0.05
    assert torch.allclose(net.scaling.restore(inputs).double(), torch.from_numpy(rows), rtol=1e-5)
    assert {"scaling.center", "scaling.spread"} <= set(net.state_dict())
