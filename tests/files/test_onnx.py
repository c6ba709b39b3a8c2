"""The ONNX file: one file, for anyone, that says what it takes and gives."""

import json
import os
import sys

import numpy as np
import onnx
import onnxruntime
import pytest
import torch
from torch import nn

from refold import MissingExtraError, ModelFileError, ParameterError
from refold.files import _onnx, check_onnx, open_onnx, to_onnx, write_onnx
from refold.nets import NetSpec, build_net, measure_scale

FLOAT64, UINT8 = np.dtype(np.float64), np.dtype(np.uint8)


def net_of(raw, n_categories=(), **changes):
    """A small network for such records, with random weights."""
    flags = tuple(np.flatnonzero(np.isnan(raw).any(0)).tolist()) if raw.ndim == 2 else ()
    spec = NetSpec(
        **{
            "kind": "dense" if raw.ndim == 2 else "conv",
            "raw_shape": raw.shape[1:],
            "n_categories": n_categories,
            "latent_dim": 2,
            "hidden": (6,),
            "activation": "silu",
            "latent_activation": "identity",
            "output_activation": "identity",
            "normalise": True,
            "variational": False,
            "unit": False,
            "exact": raw.dtype == np.float64,
            "flags": flags,
            **changes,
        }
    )
    torch.manual_seed(0)
    return build_net(spec, measure_scale(raw, "standard", None, n_categories)).eval()


@pytest.fixture(scope="module")
def table():
    """Rows of two numbers and a category of three, with missing cells in the first and the last."""
    rng = np.random.default_rng(0)
    raw = np.column_stack([rng.normal(50, 9, 80), rng.integers(0, 3, 80), rng.normal(0, 1, 80)])
    raw[rng.random(80) < 0.2, 0] = np.nan
    raw[rng.random(80) < 0.2, 1] = np.nan
    return raw


@pytest.fixture(scope="module")
def net(table):
    return net_of(table, (0, 3, 0), variational=True, shortcut=True)


@pytest.fixture(scope="module")
def content(net):
    return to_onnx(net, "whole", FLOAT64, {"latent_dim": 2, "columns": ["a", "ä"]})


def test_a_file_takes_records_and_gives_them_back_rebuilt(content, net, table):
    run = open_onnx(content)
    for size in (1, 7, 64):
        with torch.no_grad():
            expected = net(torch.from_numpy(table[:size])).numpy()
        found = run(table[:size])
        assert found.dtype == np.float64
        np.testing.assert_allclose(found, expected, rtol=1e-5, atol=1e-5)


def test_odd_values_are_taken_as_the_network_takes_them(content, net, table):
    odd = table[:6].copy()
    odd[0], odd[1, 2], odd[2, 0], odd[3, 1], odd[4, 1] = np.nan, np.nan, 1e6, 7, 1.9
    with torch.no_grad():
        expected = net(torch.from_numpy(odd)).numpy()
    np.testing.assert_allclose(open_onnx(content)(odd), expected, rtol=1e-5, atol=1e-5)


def test_inputs_and_outputs_have_names_and_a_free_number_of_records(content, net):
    shapes = {"records": ["batch", 3], "rebuilt": ["batch", 3], "code": ["batch", 2]}
    types = {"records": "tensor(double)", "rebuilt": "tensor(double)", "code": "tensor(float)"}
    for graph, names in (
        (content, ["records", "rebuilt"]),
        (to_onnx(net, "encoder", FLOAT64, {}), ["records", "code"]),
    ):
        session = onnxruntime.InferenceSession(graph, providers=["CPUExecutionProvider"])
        ends = [*session.get_inputs(), *session.get_outputs()]
        assert [end.name for end in ends] == names
        assert [end.shape for end in ends] == [shapes[name] for name in names]
        assert [end.type for end in ends] == [types[name] for name in names]


def test_a_file_is_sound_and_says_what_it_holds(content):
    model = onnx.load_from_string(content)
    onnx.checker.check_model(model, full_check=True)
    assert [(entry.domain, entry.version) for entry in model.opset_import] == [("", 18)]
    assert {entry.key: json.loads(entry.value) for entry in model.metadata_props} == {
        "refold": {"latent_dim": 2, "columns": ["a", "ä"]}
    }
    assert not any(tensor.HasField("data_location") and tensor.data_location for tensor in model.graph.initializer)


def test_a_file_tells_nothing_of_the_machine_it_was_made_on(content):
    for word in (os.getcwd(), torch.__file__, _onnx.__file__, "stack_trace", ".py"):
        assert word.encode() not in content


def test_whole_numbers_are_rounded_and_stay_in_their_range():
    pictures = np.random.default_rng(0).integers(0, 256, (30, 9, 12, 3), dtype=np.uint8)
    net = net_of(pictures, normalise=False)
    codes = np.random.default_rng(1).normal(0, 99, (50, 2)).astype(np.float32)
    found = open_onnx(to_onnx(net, "decoder", UINT8, {}))(codes)
    with torch.no_grad():
        plain = net.decode(torch.from_numpy(codes)).numpy()
    assert plain.min() < -1 and plain.max() > 256
    assert found.dtype == np.uint8
    assert np.abs(found - np.clip(plain, 0, 255)).max() <= 0.5001


def test_what_torch_cannot_follow_is_one_sentence(net):
    class Undecided(nn.Module):
        def forward(self, code):
            return torch.zeros(len(code), 5) if code.sum() > 0 else torch.ones(len(code), 5)

    undecided = build_net(
        NetSpec("custom", (5,), (0,) * 5, 2, (), "silu", "identity", "identity", True, False, False, False),
        None,
        None,
        Undecided(),
    )
    with pytest.raises(ModelFileError, match=r"cannot be written as ONNX: .*torch.export can follow") as caught:
        to_onnx(undecided.eval(), "decoder", np.dtype(np.float32), {})
    assert "\n" not in str(caught.value)


def test_a_network_too_large_for_the_format_is_refused(net, monkeypatch):
    monkeypatch.setattr(_onnx, "_MOST_BYTES", 100)
    with pytest.raises(ModelFileError, match="holds at most 2 GB; export encoder and decoder on their own"):
        to_onnx(net, "encoder", FLOAT64, {})


def test_what_onnx_runtime_cannot_run_is_one_sentence(content, table):
    with pytest.raises(ModelFileError, match="ONNX Runtime cannot run"):
        open_onnx(b"no graph")
    with pytest.raises(ModelFileError, match="ONNX Runtime cannot run") as caught:
        open_onnx(content)(table[:, :2])
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("package", ["onnx", "onnxscript", "onnxruntime"])
def test_without_a_package_the_extra_is_named(monkeypatch, package):
    monkeypatch.setitem(sys.modules, package, None)
    with pytest.raises(MissingExtraError, match=rf"{package} is needed .* pip install 'refold\[onnx\]'"):
        check_onnx("model.onnx", "whole")


def test_parts_and_endings_that_do_not_exist_are_refused():
    check_onnx("model.onnx", "encoder")
    with pytest.raises(ParameterError, match=r"part='encode' is not allowed; choose from whole, .* 'encoder'"):
        check_onnx("model.onnx", "encode")
    with pytest.raises(ModelFileError, match=r"'model.pt' must end in .onnx"):
        check_onnx("model.pt", "whole")


def test_a_file_appears_whole_or_not_at_all(tmp_path, content, monkeypatch):
    path = tmp_path / "new" / "model.onnx"
    write_onnx(content, path)
    assert path.read_bytes() == content
    monkeypatch.setattr(os, "fsync", lambda file: (_ for _ in ()).throw(OSError("disk full")))
    with pytest.raises(OSError, match="disk full"):
        write_onnx(b"other", path)
    assert path.read_bytes() == content
    assert os.listdir(path.parent) == ["model.onnx"]
