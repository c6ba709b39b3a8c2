"""The model file: what is written comes back, and nothing dishonest gets through."""

import io
import json
import os
import pickle
import struct

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

import refold
from refold import Autoencoder, ModelFileError
from refold.files import ModelFile, read_header, read_model_file, write_model_file

PLAIN = st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(max_size=8)
HEADERS = st.dictionaries(
    st.text(max_size=8).filter(lambda key: key not in ("format", "kind", "sha256")),
    st.recursive(
        PLAIN, lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=4), inner, max_size=3)
    ),
    max_size=4,
)
ARRAYS = st.sampled_from(["float32", "float64", "int64", "uint8", "bool", "float16"]).flatmap(
    lambda dtype: hnp.arrays(dtype, hnp.array_shapes(min_dims=0, max_dims=3, min_side=0, max_side=4))
)
TENSORS = st.dictionaries(st.text(st.characters(categories=["L", "N"]), min_size=1, max_size=6), ARRAYS, max_size=4)


@settings(max_examples=50)
@given(header=HEADERS, arrays=TENSORS)
def test_what_is_written_comes_back(tmp_path, header, arrays):
    tensors = {name: torch.from_numpy(array) for name, array in arrays.items()}
    path = tmp_path / "model.safetensors"
    write_model_file(ModelFile("Thing", header, tensors), path)
    back = read_model_file(path)
    assert back.kind == "Thing"
    assert {name: back.header[name] for name in header} == header
    assert back.tensors.keys() == tensors.keys()
    for name, tensor in tensors.items():
        assert back.tensors[name].dtype == tensor.dtype and back.tensors[name].shape == tensor.shape
        assert back.tensors[name].numpy().tobytes() == tensor.numpy().tobytes()
    assert read_header(path) == back.header


def test_a_file_appears_whole_or_not_at_all(tmp_path):
    path = tmp_path / "model.safetensors"
    write_model_file(ModelFile("Thing", {}, {"a": torch.zeros(2)}), path)
    before = path.read_bytes()
    with pytest.raises(TypeError):
        write_model_file(ModelFile("Thing", {"x": object()}, {}), path)
    assert path.read_bytes() == before
    assert os.listdir(tmp_path) == ["model.safetensors"]


def test_folders_on_the_way_are_made(tmp_path):
    write_model_file(ModelFile("Thing", {}, {"a": torch.zeros(2)}), tmp_path / "new" / "model.safetensors")
    assert read_header(tmp_path / "new" / "model.safetensors")["kind"] == "Thing"


def test_another_ending_is_refused(tmp_path):
    with pytest.raises(ModelFileError, match=r"must end in .safetensors"):
        write_model_file(ModelFile("Thing", {}, {}), tmp_path / "model.pkl")


# --- an honest model, and what can be done to its file -----------------------------------------------------------


@pytest.fixture(scope="module")
def rows():
    return np.random.default_rng(0).normal(size=(30, 4)).astype(np.float32)


@pytest.fixture(scope="module")
def honest(rows, tmp_path_factory):
    """The path of a small honest model and its codes of `rows`."""
    path = tmp_path_factory.mktemp("honest") / "model.safetensors"
    model = Autoencoder(latent_dim=2, hidden=(3,), max_epochs=1, random_state=0).fit(rows)
    model.save(path)
    return path, model.transform(rows)


@pytest.fixture(scope="module")
def honest_table(tmp_path_factory):
    """The path of a small honest model of a table with numbers and texts."""
    import pyarrow as pa

    path = tmp_path_factory.mktemp("honest") / "table.safetensors"
    table = pa.table({"a": [1.0, 2.0, None, 4.0] * 5, "b": ["x", "y", "x", "z"] * 5})
    Autoencoder(latent_dim=1, hidden=(3,), max_epochs=1, random_state=0).fit(table).save(path)
    return path


def refused(path, *words):
    """Check that loading gives one sentence; return it."""
    with pytest.raises(ModelFileError) as caught:
        refold.load(path)
    message = str(caught.value)
    assert "\n" not in message and len(message) < 500
    for word in words:
        assert word in message
    return message


@settings(max_examples=150)
@given(data=st.data())
def test_a_changed_byte_is_refused_or_changes_nothing(tmp_path, honest, rows, data):
    path, codes = honest
    content = bytearray(path.read_bytes())
    header = 8 + struct.unpack("<Q", content[:8])[0]
    place = data.draw(st.integers(0, header - 1) | st.integers(0, len(content) - 1))
    content[place] ^= data.draw(st.integers(1, 255))
    changed = tmp_path / "changed.safetensors"
    changed.write_bytes(content)
    try:
        model = refold.load(changed)
    except ModelFileError as error:
        assert "\n" not in str(error)
    else:
        assert np.array_equal(model.transform(rows), codes)
        assert model.get_params() == refold.load(path).get_params()


@settings(max_examples=60)
@given(data=st.data())
def test_a_file_cut_short_or_too_long_is_refused(tmp_path, honest, data):
    content = honest[0].read_bytes()
    end = data.draw(st.integers(0, len(content) - 1))
    changed = tmp_path / "changed.safetensors"
    for spoiled in (content[:end], content + data.draw(st.binary(min_size=1, max_size=20))):
        changed.write_bytes(spoiled)
        refused(changed)


@given(content=st.binary(max_size=200))
def test_noise_is_refused(tmp_path, content):
    path = tmp_path / "noise.safetensors"
    path.write_bytes(content)
    refused(path)
    path.write_bytes(struct.pack("<Q", len(content)) + content)
    refused(path)


# --- files that are no model files -------------------------------------------------------------------------------


def raw(header, rest=b""):
    """The bytes of a safetensors file with this header, whether honest or not."""
    content = header if isinstance(header, bytes) else json.dumps(header).encode()
    return struct.pack("<Q", len(content)) + content + rest


def with_text(text):
    """A safetensors file without tensors whose metadata hold this text."""
    return raw({"__metadata__": {"refold": text}})


DEEP = 100_000
NO_MODEL = {
    "empty": b"",
    "seven bytes": b"\0" * 7,
    "header longer than the file": struct.pack("<Q", 2**20) + b"{}",
    "header of 2^63 bytes": struct.pack("<Q", 2**63) + b"{}",
    "not JSON": raw(b"this is not JSON"),
    "not UTF-8": raw(b'{"\xff\xfe": 1}'),
    "a list": raw(b"[1, 2, 3]"),
    "a number": raw(b"12345"),
    "metadata missing": raw({}),
    "metadata of others": raw({"__metadata__": {"format": "pt"}}),
    "metadata a list": raw({"__metadata__": []}),
    "metadata a number": raw({"__metadata__": {"refold": 5}}),
    "text not JSON": with_text("no JSON"),
    "text a list": with_text("[]"),
    "text a lone surrogate": raw(b'{"__metadata__": {"refold": "\\ud800"}}'),
    "no format": with_text("{}"),
    "no kind": with_text('{"format": 1}'),
    "format a truth value": with_text('{"format": true, "kind": "Autoencoder"}'),
    "format a text": with_text('{"format": "1", "kind": "Autoencoder"}'),
    "format zero": with_text('{"format": 0, "kind": "Autoencoder"}'),
    "kind a list": with_text('{"format": 1, "kind": []}'),
    "no sha256": with_text('{"format": 1, "kind": "Autoencoder"}'),
    "deep lists": raw(b"[" * DEEP + b"]" * DEEP),
    "deep lists never closed": raw(b"[" * DEEP),
    "deep objects": raw(b'{"a":' * DEEP + b"1" + b"}" * DEEP),
    "deep lists in the text": with_text("[" * DEEP + "]" * DEEP),
    "deep objects in the text": with_text('{"a":' * DEEP + "1" + "}" * DEEP),
    "deep behind quotes": with_text('{"a": "\\"' + '"' + ', "b": ' + "[" * DEEP + "]" * DEEP + "}"),
    "many quotes": raw(b'"' * DEEP * 10),
    "many backslashes": raw(b'{"' + b"\\" * DEEP * 10 + b'"}'),
    "a number of a million digits": with_text('{"format": ' + "1" * 10**6 + ', "kind": "Autoencoder"}'),
    "a pickle": pickle.dumps({"weights": [1, 2, 3]}),
    "a pickle that runs code": b"cos\nsystem\n(S'touch /tmp/refold-was-here'\ntR.",
    "a picture": b"\x89PNG\r\n\x1a\n" + b"\0" * 100,
}


@pytest.mark.parametrize("content", NO_MODEL.values(), ids=NO_MODEL)
def test_what_is_no_model_file_is_refused(tmp_path, content):
    path = tmp_path / "model.safetensors"
    path.write_bytes(content)
    assert path.name in refused(path)


@pytest.mark.parametrize("levels", [40, 900, DEEP])
def test_deep_headers_are_refused_before_they_are_read(tmp_path, levels):
    path = tmp_path / "model.safetensors"
    deep = '{"format": 1, "kind": "Autoencoder", "x": ' + "[" * levels + "]" * levels + "}"
    for content in (with_text(deep), raw(deep.encode())):
        path.write_bytes(content)
        refused(path, "nested too deeply")


def test_a_checkpoint_of_torch_is_refused(tmp_path):
    torch.save({"weight": torch.zeros(3)}, tmp_path / "model.safetensors")
    refused(tmp_path / "model.safetensors", "not a model file")


def test_a_safetensors_file_of_others_is_named_as_such(tmp_path):
    from safetensors.torch import save_file

    save_file({"weight": torch.zeros(3)}, tmp_path / "model.safetensors", {"format": "pt"})
    refused(tmp_path / "model.safetensors", "not one that refold wrote")


def test_an_absent_file_and_a_folder_are_refused(tmp_path):
    refused(tmp_path / "absent.safetensors", "No such file", "check the path")
    (tmp_path / "folder.safetensors").mkdir()
    refused(tmp_path / "folder.safetensors", "cannot be read")


def test_a_newer_format_says_what_to_do(tmp_path):
    path = tmp_path / "model.safetensors"
    path.write_bytes(with_text('{"format": 2, "kind": "Autoencoder"}'))
    refused(path, "format 2", "install a newer refold")


# --- attacks from behind a valid digest --------------------------------------------------------------------------


def resigned(path, tmp_path, change):
    """Rewrite an honest file after `change(header, tensors)`, with a digest that fits."""
    honest = read_model_file(path)
    header = json.loads(json.dumps({key: value for key, value in honest.header.items() if key != "sha256"}))
    kind, tensors = header.pop("kind"), dict(honest.tensors)
    header.pop("format")
    kind = change(header, tensors) or kind
    attacked = tmp_path / "attacked.safetensors"
    write_model_file(ModelFile(kind, header, tensors), attacked)
    return attacked


def setting(*keys, to):
    """Return a change that sets one entry of the header."""

    def change(header, tensors):
        for key in keys[:-1]:
            header = header[key]
        header[keys[-1]] = to

    return change


def lacking(*keys):
    """Return a change that removes one entry of the header."""

    def change(header, tensors):
        for key in keys[:-1]:
            header = header[key]
        del header[keys[-1]]

    return change


def first_tensor(change):
    """Return a change that replaces a weight."""

    def apply(header, tensors):
        name = next(name for name in sorted(tensors) if name.startswith("encoder"))
        tensors[name] = change(tensors[name])

    return apply


def both_shapes(shape):
    """Return a change that claims records of another shape in specification and adapter alike."""

    def change(header, tensors):
        header["spec"]["raw_shape"] = list(shape)
        header["adapter"]["shape"] = list(shape)
        header["spec"]["n_categories"] = [0] * shape[0] if len(shape) == 1 else []

    return change


HUGE = 2**20
ATTACKS = {
    "unknown estimator": lambda header, tensors: "Transmogrifier",
    "an estimator of scikit-learn": lambda header, tensors: "sklearn.svm.SVC",
    "a huge layer": setting("spec", "hidden", to=[HUGE, HUGE]),
    "huge layers": setting("spec", "hidden", to=[HUGE] * 64),
    "too many layers": setting("spec", "hidden", to=[1] * 65),
    "a huge code": setting("spec", "latent_dim", to=HUGE),
    "a code beyond all bounds": setting("spec", "latent_dim", to=2**62),
    "huge rows": both_shapes([HUGE]),
    "huge pictures": both_shapes([HUGE, HUGE]),
    "huge colour pictures": both_shapes([HUGE, HUGE, HUGE]),
    "no rows": both_shapes([0]),
    "a negative size": setting("spec", "hidden", to=[-3]),
    "a size that is no number": setting("spec", "hidden", to=["3"]),
    "a size that is half": setting("spec", "hidden", to=[2.5]),
    "a size that is infinite": setting("spec", "hidden", to=[float("inf")]),
    "a size that is true": setting("spec", "latent_dim", to=True),
    "hidden is a text": setting("spec", "hidden", to="33"),
    "hidden is an object": setting("spec", "hidden", to={"3": 3}),
    "an unknown network": setting("spec", "kind", to="os.system"),
    "an unknown activation": setting("spec", "activation", to="__import__"),
    "an activation that is a list": setting("spec", "activation", to=["relu"]),
    "a flag that is a text": setting("spec", "variational", to="no"),
    "flags beyond the columns": setting("spec", "flags", to=[99]),
    "a negative flag": setting("spec", "flags", to=[-1]),
    "an unknown entry of the specification": setting("spec", "more", to=1),
    "the specification is a list": setting("spec", to=[]),
    "no specification": lacking("spec"),
    "half a specification": lacking("spec", "latent_dim"),
    "no adapter": lacking("adapter"),
    "an unknown adapter": setting("adapter", "kind", to="video"),
    "an adapter that is null": setting("adapter", to=None),
    "an adapter of another shape": setting("adapter", "shape", to=[5]),
    "an adapter of objects": setting("adapter", "dtype", to="object"),
    "no parameters": lacking("parameters"),
    "parameters that are a list": setting("parameters", to=[1]),
    "a parameter of the wrong type": setting("parameters", "latent_dim", to="3"),
    "a parameter out of bounds": setting("parameters", "learning_rate", to=-1),
    "a parameter that is not finite": setting("parameters", "learning_rate", to=float("nan")),
    "an unknown loss": setting("parameters", "loss", to="eval"),
    "an unreadable penalty": setting("parameters", "penalty", to="__import__('os')"),
    "an unreadable corruption": setting("parameters", "corruption", to="gaussian(1e99)"),
    "no fitted attributes": lacking("fitted"),
    "a fitted attribute missing": lacking("fitted", "history_"),
    "a history that is a number": setting("fitted", "history_", to=5),
    "a history of columns of unequal length": setting("fitted", "history_", to={"epoch": [1], "train_loss": []}),
    "a number of features that is a text": setting("fitted", "n_features_in_", to="four"),
    "another number of features": setting("fitted", "n_features_in_", to=9),
    "an unknown library of tables": setting("fitted", "frame_", to="os"),
    "a table where there is an array": setting("fitted", "frame_", to="pandas"),
    "names of columns that are a number": setting("feature_names", to=5),
    "more names than columns": setting("feature_names", to=list("abcdefgh")),
    "a tensor too many": lambda header, tensors: tensors.update(more=torch.zeros(3)),
    "a tensor too few": lambda header, tensors: tensors.clear(),
    "a tensor of another shape": first_tensor(lambda tensor: tensor[:-1].clone()),
    "a tensor of another dtype": first_tensor(lambda tensor: tensor.double()),
    "a tensor of whole numbers": first_tensor(lambda tensor: tensor.to(torch.int64)),
    "a tensor of truth values": first_tensor(lambda tensor: tensor > 0),
    "a complex tensor": first_tensor(lambda tensor: tensor.to(torch.complex64)),
    "a tensor of half precision": first_tensor(lambda tensor: tensor.to(torch.bfloat16)),
    "a tensor of eight bits": first_tensor(lambda tensor: tensor.to(torch.float8_e4m3fn)),
}


@pytest.mark.parametrize("attack", ATTACKS.values(), ids=ATTACKS)
def test_attacks_from_behind_a_valid_digest_are_refused(tmp_path, honest, attack):
    assert "attacked.safetensors" in refused(resigned(honest[0], tmp_path, attack))


TABLE_ATTACKS = {
    "categories that are lists": setting("adapter", "columns", 1, "categories", to=[["x"], ["y"], ["z"]]),
    "categories that are objects": setting("adapter", "columns", 1, "categories", to=[{"x": 1}, "y", "z"]),
    "categories of another type": setting("adapter", "columns", 1, "categories", to=[1, 2, 3]),
    "too few categories": setting("adapter", "columns", 1, "categories", to=["x"]),
    "an unknown kind of column": setting("adapter", "columns", 0, "kind", to="code"),
    "a type that does not fit": setting("adapter", "columns", 0, "type", to="string"),
    "an unknown type": setting("adapter", "columns", 0, "type", to="object"),
    "a type of a million brackets": setting("adapter", "columns", 0, "type", to="list<" * 10**6),
    "a column without a name": lacking("adapter", "columns", 0, "name"),
    "a name twice": setting("adapter", "columns", 0, "name", to="b"),
    "no columns": setting("adapter", "columns", to=[]),
    "huge categories": setting("spec", "n_categories", to=[0, HUGE]),
    "negative categories": setting("spec", "n_categories", to=[0, -1]),
    "no library of tables": setting("fitted", "frame_", to=None),
}


@pytest.mark.parametrize("attack", TABLE_ATTACKS.values(), ids=TABLE_ATTACKS)
def test_attacks_on_tables_are_refused(tmp_path, honest_table, attack):
    assert "attacked.safetensors" in refused(resigned(honest_table, tmp_path, attack))


def test_rewriting_an_honest_file_changes_nothing(tmp_path, honest, rows):
    path, codes = honest
    assert np.array_equal(refold.load(resigned(path, tmp_path, lambda header, tensors: None)).transform(rows), codes)


def test_a_change_without_a_new_digest_is_named(tmp_path, honest):
    content = honest[0].read_bytes()
    (tmp_path / "changed.safetensors").write_bytes(content[:-1] + bytes([content[-1] ^ 1]))
    refused(tmp_path / "changed.safetensors", "altered", "sha256")


def test_a_claimed_giant_costs_no_memory(tmp_path, honest):
    import resource

    attacked = resigned(honest[0], tmp_path, setting("spec", "hidden", to=[HUGE] * 64))
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    refused(attacked)
    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before < 200_000  # kilobytes


def test_loading_takes_no_code_from_the_file(tmp_path, honest, monkeypatch):
    def forbidden(*arguments, **keywords):
        raise AssertionError("code was loaded")

    monkeypatch.setattr(pickle, "loads", forbidden)
    monkeypatch.setattr(pickle, "load", forbidden)
    monkeypatch.setattr(pickle, "Unpickler", forbidden)
    monkeypatch.setattr(torch, "load", forbidden)
    refold.load(honest[0])
    assert io.BytesIO(honest[0].read_bytes()).read(1)


def test_what_belongs_to_a_run_is_neither_written_nor_read(rows, tmp_path):
    path = tmp_path / "model.safetensors"
    run = {"checkpoint": str(tmp_path / "run"), "track": str(tmp_path / "log.jsonl"), "max_memory": 10**9}
    model = refold.Autoencoder(latent_dim=2, hidden=(8,), max_epochs=1, random_state=0, **run).fit(rows)
    model.save(path)
    assert str(tmp_path).encode() not in path.read_bytes()
    loaded = refold.load(path)
    assert loaded.checkpoint is None and loaded.track is None and loaded.max_memory == "auto"
    model_file = read_model_file(path)
    model_file.header["parameters"]["checkpoint"] = "/elsewhere"
    write_model_file(model_file, path)
    assert refold.load(path).checkpoint is None
