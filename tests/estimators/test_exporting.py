"""Exported models: another program gets the numbers that refold gives, or no file."""

import json
import os
import shutil

import numpy as np
import onnx
import onnxruntime
import pytest
from sklearn.datasets import load_digits, load_iris, load_wine
from torch import nn

import refold
from refold import Autoencoder, ModelFileError, ParameterError
from refold.data import TableAdapter
from refold.estimators import ExportReport, _exporting, export

pandas = pytest.importorskip("pandas")


def wine():
    """The wines of scikit-learn as a table with texts, truth values, dates, whole numbers and missing cells."""
    rng = np.random.default_rng(0)
    table = load_wine(as_frame=True).data.iloc[:, :5].round(2)
    table["cellar"] = np.array(["Graz", "Linz", "Wien"], dtype=object)[load_wine().target]
    table["sweet"] = table["alcohol"] < 13
    table["bottled"] = pandas.Timestamp("2020-01-01") + pandas.to_timedelta(rng.integers(0, 900, len(table)), "D")
    for column in ("ash", "cellar", "bottled"):
        table.loc[rng.random(len(table)) < 0.15, column] = None
    return table


RECORDS = {
    "a table": (wine(), {"hidden": (16,)}),
    "grey pictures of bytes": (load_digits().images.astype(np.uint8)[:300], {"penalty": "variational"}),
    "grey pictures whose codes are chosen": (load_digits().images[:300], {"keep": "neighbours", "hidden": (32, 32)}),
    "rows with a sigmoid": (
        load_iris().data.astype(np.float32),
        {"hidden": (), "scaling": "range", "latent_activation": "relu", "output_activation": "sigmoid"},
    ),
}
KINDS_AND_PARTS = [(kind, part) for kind in list(RECORDS)[:2] for part in ("whole", "encoder", "decoder")]
KINDS_AND_PARTS += [("rows with a sigmoid", "whole"), ("grey pictures whose codes are chosen", "encoder")]


@pytest.fixture(scope="module")
def fitted():
    """Records of every kind, with a model of them."""
    return {
        kind: (records, Autoencoder(latent_dim=3, max_epochs=3, random_state=0, **parameters).fit(records))
        for kind, (records, parameters) in RECORDS.items()
    }


@pytest.fixture(scope="module")
def of_table():
    return Autoencoder(latent_dim=2, hidden=(8,), max_epochs=2, random_state=0).fit(wine())


@pytest.fixture(scope="module")
def exported(of_table, tmp_path_factory):
    """The file of a model of a table, with nothing beside it; exporting it must not have changed the model."""
    path = tmp_path_factory.mktemp("exported") / "new" / "model.onnx"
    before, codes = dict(vars(of_table)), of_table.transform(wine())
    modes = [module.training for module in of_table.net_.modules()]
    of_table.export(path)
    assert vars(of_table) == before
    assert [module.training for module in of_table.net_.modules()] == modes
    np.testing.assert_array_equal(of_table.transform(wine()), codes)
    return path


def numbers_of(model, records):
    """Records as the graph takes them."""
    return model.adapter_.encode(refold.data.open_source(records).values)


def run(path, values):
    session = onnxruntime.InferenceSession(os.fspath(path), providers=["CPUExecutionProvider"])
    (given,), (result,) = session.get_inputs(), session.get_outputs()
    return session.run([result.name], {given.name: values})[0]


def assert_same(found, expected):
    """Compare column by column: numbers to a ten-thousandth of their spread, bytes to one level."""
    assert found.shape == expected.shape and found.dtype == expected.dtype
    allowed = 1 if expected.dtype == np.uint8 else 1e-4 * np.maximum(expected.std(axis=0), 1e-3)
    assert (np.abs(found.astype(float) - expected.astype(float)) <= allowed).all()


@pytest.mark.parametrize(("kind", "part"), KINDS_AND_PARTS)
def test_a_file_gives_what_the_model_gives(tmp_path, fitted, kind, part):
    records, model = fitted[kind]
    report = model.export(tmp_path / "model.onnx", part)
    assert isinstance(report, ExportReport)
    assert report.part == part and report.path == tmp_path / "model.onnx"
    assert report.bytes == report.path.stat().st_size
    assert 0 <= report.largest_difference < 1e-5
    numbers, codes = numbers_of(model, records), model.transform(records)
    rebuilt = model.inverse_transform(codes) if part == "decoder" else model.reconstruct(records)
    expected = {"encoder": codes}.get(part, rebuilt)
    if isinstance(expected, pandas.DataFrame):
        expected = numbers_of(model, expected)
    found = run(report.path, codes if part == "decoder" else numbers)
    if model.adapter_.kind == "table" and part != "encoder":
        assert not np.isnan(found).any()
        whole = [column.kind in ("integer", "date") for column in model.adapter_.columns]
        found = found.copy()
        found[:, whole], expected[:, whole] = np.rint(found[:, whole]), np.rint(expected[:, whole])
    assert_same(found, expected)


def test_the_matrix_of_a_table_becomes_a_table_again_by_the_metadata_alone(exported, of_table):
    (entry,) = onnx.load(exported).metadata_props
    assert entry.key == "refold"
    header = json.loads(entry.value)
    assert header == {
        "refold": refold.__version__,
        "kind": "Autoencoder",
        "part": "whole",
        "latent_dim": 2,
        "dtype": "float64",
        "shape": [8],
        "columns": of_table.adapter_.to_json()["columns"],
    }
    adapter = TableAdapter.from_json({"columns": header["columns"]})
    found = run(exported, adapter.encode(refold.data.open_source(wine()).values))
    rebuilt, expected = adapter.decode(found).to_pandas(), of_table.reconstruct(wine())
    assert (rebuilt["cellar"] == expected["cellar"]).all() and (rebuilt["sweet"] == expected["sweet"]).all()
    assert (rebuilt["bottled"] - expected["bottled"]).abs().max() < pandas.Timedelta("1h")


@pytest.mark.parametrize("dtype", ["bool", "uint16", "float16"])
def test_arrays_keep_their_dtype(tmp_path, dtype):
    rows = np.random.default_rng(0).normal(50, 30, (60, 4))
    rows = rows > 50 if dtype == "bool" else np.clip(rows, 0, 100).astype(dtype)
    model = Autoencoder(latent_dim=3, hidden=(), max_epochs=2, random_state=0).fit(rows)
    model.export(tmp_path / "model.onnx")
    found, expected = run(tmp_path / "model.onnx", rows), model.reconstruct(rows)
    assert found.dtype == expected.dtype == np.dtype(dtype)
    assert np.mean(found == expected) > 0.99
    assert np.abs(found.astype(float) - expected.astype(float)).max() <= 1


def test_numbers_of_64_bits_stay_inside_them(tmp_path):
    rows = np.random.default_rng(0).choice(np.array([-(2**63), 2**63 - 1]), (60, 4))
    model = Autoencoder(latent_dim=3, hidden=(), max_epochs=2, random_state=0).fit(rows)
    model.export(tmp_path / "model.onnx", "decoder")
    codes = np.float32([[1e6, 0, 0], [-1e6, 0, 0]])
    found, expected = run(tmp_path / "model.onnx", codes), model.inverse_transform(codes)
    assert found.dtype == np.int64
    assert (np.abs(found.astype(float)) > 9e18).any()
    assert ((found > 0) == (expected > 0)).all()


def test_a_file_stands_alone(exported, tmp_path):
    assert os.listdir(exported.parent) == ["model.onnx"]
    shutil.copy(exported, tmp_path / "other.onnx")
    assert run(tmp_path / "other.onnx", np.zeros((5, 8))).shape == (5, 8)


# --- no file without the same numbers ----------------------------------------------------------------------------


@pytest.fixture
def cheap(monkeypatch, of_table):
    """Return a function that exports while ONNX Runtime's results go through `spoil`; the graph is not written."""
    expected = {"encoder": lambda numbers: of_table._apply(of_table.net_.encode, numbers)}
    expected["whole"] = lambda numbers: of_table._apply(of_table.net_, numbers)

    def exported(path, part, spoil):
        monkeypatch.setattr(_exporting, "to_onnx", lambda *given: b"a graph")
        monkeypatch.setattr(_exporting, "open_onnx", lambda content: lambda values: spoil(expected[part](values)))
        return export(of_table, path, part)

    return exported


def changed(place, by):
    def spoil(values):
        values = values.copy()
        values[0, place] += by
        return values

    return spoil


SPOILT = {
    "a code": ("encoder", changed(0, 0.01)),
    "a number": ("whole", changed(0, 0.01)),
    "a category": ("whole", lambda values: np.where(np.arange(8) == 5, (values + 1) % 3, values)),
    "half a category": ("whole", changed(5, 0.5)),
    "no category at all": ("whole", changed(5, 3)),
    "a code not a number": ("encoder", changed(1, np.nan)),
    "a value not a number": ("whole", changed(1, np.nan)),
    "a record too few": ("whole", lambda values: values[1:]),
    "another dtype": ("whole", lambda values: values.astype(np.float32)),
}


@pytest.mark.parametrize("case", SPOILT)
def test_other_numbers_are_refused_and_nothing_is_written(tmp_path, cheap, case):
    path = tmp_path / "model.onnx"
    path.write_bytes(b"an older file")
    part, spoil = SPOILT[case]
    with pytest.raises(ModelFileError, match=r"differ by .* most allowed is 0.0001; nothing was written") as caught:
        cheap(path, part, spoil)
    assert "\n" not in str(caught.value)
    assert path.read_bytes() == b"an older file"
    assert os.listdir(tmp_path) == ["model.onnx"]


def test_the_same_numbers_differ_by_nothing_and_others_by_their_share(tmp_path, cheap):
    path = tmp_path / "model.onnx"
    for part in ("encoder", "whole"):
        assert cheap(path, part, lambda values: values).largest_difference == 0
    share = cheap(path, "encoder", lambda values: values * np.float32(1 + 1e-5)).largest_difference
    assert share == pytest.approx(1e-5, rel=0.05)


def test_the_records_compared_look_like_the_fitted_ones(of_table, rows, pictures):
    fitted = numbers_of(of_table, wine())
    drawn = _exporting._typical_records(of_table, np.dtype(np.float64))
    assert drawn.shape == (72, 8) and np.isnan(drawn).any(axis=0).all() and not np.isnan(drawn).all(axis=1).any()
    assert (np.nanmin(drawn, 0) >= np.nanmin(fitted, 0)).all() and (np.nanmax(drawn, 0) <= np.nanmax(fitted, 0)).all()
    assert set(drawn[~np.isnan(drawn[:, 5]), 5]) == {0, 1, 2}
    for records in (rows, pictures):
        model = Autoencoder(latent_dim=2, hidden=(4,), max_epochs=1, random_state=0).fit(records)
        drawn = _exporting._typical_records(model, records.dtype)
        assert drawn.dtype == records.dtype and drawn.shape[1:] == records.shape[1:]
        assert not np.isnan(drawn).any() and len(np.unique(drawn)) > 50


def test_either_of_two_tied_categories_is_right():
    scores = np.float32([[2.0, 2.0, 1.0], [0.0, 1.0, 1.00005]])
    assert _exporting._short_of_best(np.array([0.0, 2.0]), scores) == 0
    assert _exporting._short_of_best(np.array([1.0, 1.0]), scores) < 1e-4
    assert _exporting._short_of_best(np.array([2.0, 1.0]), scores) == 0.5


def test_a_network_that_treats_many_records_otherwise_is_refused(tmp_path, rows):
    class ByNumber(nn.Module):
        def __init__(self):
            super().__init__()
            self.linear = nn.Linear(6, 2)

        def forward(self, inputs):
            return self.linear(inputs) * (1 if inputs.shape[0] < 50 else 2)

    model = Autoencoder(latent_dim=2, encoder=ByNumber(), max_epochs=1, random_state=0).fit(rows)
    with pytest.raises(ModelFileError, match=r"nothing was written|cannot be written as ONNX"):
        model.export(tmp_path / "model.onnx", "encoder")
    assert os.listdir(tmp_path) == []


def test_what_cannot_be_exported_is_said_before_any_work(tmp_path, of_table, monkeypatch):
    monkeypatch.setattr(_exporting, "to_onnx", lambda *given: pytest.fail("worked"))
    with pytest.raises(ParameterError, match="did you mean 'decoder'"):
        of_table.export(tmp_path / "model.onnx", "decode")
    with pytest.raises(ModelFileError, match=r"must end in .onnx"):
        of_table.export(tmp_path / "model.safetensors")
    from sklearn.exceptions import NotFittedError

    with pytest.raises(NotFittedError):
        Autoencoder().export(tmp_path / "model.onnx")


def test_records_whose_code_rounding_decides_are_not_compared(monkeypatch):
    """ONNX Runtime may take the other of two candidates that suit a record equally, as another machine may."""
    model = Autoencoder(latent_dim=2, keep="neighbours", hidden=(16,), max_epochs=2, random_state=0)
    model.fit(load_digits().images[:100])
    kinds = []
    for lead in (0, 0.004):
        monkeypatch.setattr(_exporting, "_CLEAR_LEAD", lead)
        kinds.append(len(np.unique(_exporting._typical_records(model, np.dtype(np.float64)), axis=0)))
    assert 1 < kinds[1] < kinds[0]
