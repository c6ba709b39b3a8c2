"""What every kind of network promises for every kind of data, and scikit-learn's own contract."""

import datetime
import pickle
import warnings
from dataclasses import dataclass
from functools import cache
from itertools import product
from pathlib import Path
from tempfile import mkdtemp

import numpy as np
import pandas
import polars
import pyarrow as pa
import pytest
from PIL import Image
from pyarrow import csv, parquet
from sklearn.base import clone
from sklearn.utils.estimator_checks import parametrize_with_checks
from torch import nn

import refold
from refold import Autoencoder, ParameterError
from refold.data import open_source

N = 20
LATENT = 2

# --- every kind of data ------------------------------------------------------------------------------------------


def numbers(*shape, dtype="float64"):
    rng = np.random.default_rng(3)
    hidden = rng.normal(size=(N, 2)) @ rng.normal(size=(2, int(np.prod(shape))))
    values = hidden.reshape(N, *shape)
    if np.dtype(dtype).kind == "f":
        return values.astype(dtype)
    if dtype == "bool":
        return values > 0
    low, high = values.min(), values.max()
    return ((values - low) / (high - low) * 100).astype(dtype)


def mixed_columns():
    """Numbers, whole numbers, texts, truth values and dates; a missing cell in each but the whole numbers."""
    rng = np.random.default_rng(4)
    day = datetime.date(2024, 2, 28)
    columns = {
        "height": rng.normal(170, 10, N).tolist(),
        "children": rng.integers(0, 5, N).tolist(),
        "city": [("Graz", "Linz", "Wien")[place % 3] for place in range(N)],
        "member": [bool(place % 2) for place in range(N)],
        "since": [day + datetime.timedelta(days=int(days)) for days in rng.integers(0, 900, N)],
    }
    for place, name in enumerate(("height", "city", "member", "since")):
        columns[name][3 + 2 * place] = None
    return columns


def arrow_table():
    return pa.table(mixed_columns())


def pandas_table():
    frame = pandas.DataFrame(mixed_columns())
    frame["since"] = pandas.to_datetime(frame["since"])
    frame["city"] = frame["city"].astype("category")
    frame["pets"] = pandas.array([1, None, 2, 0] * (N // 4), dtype="Int64")
    return frame.set_axis([f"row {place}" for place in range(N)], axis=0)


def polars_table():
    return polars.DataFrame(mixed_columns()).with_columns(polars.col("city").cast(polars.Categorical))


def csv_file(folder):
    csv.write_csv(arrow_table(), folder / "people.csv")
    return folder / "people.csv"


def parquet_file(folder):
    parquet.write_table(arrow_table(), folder / "people.parquet")
    return folder / "people.parquet"


def npy_file(folder):
    np.save(folder / "rows.npy", numbers(5))
    return folder / "rows.npy"


def npz_file(folder):
    np.savez(folder / "pictures.npz", X=numbers(6, 5, dtype="uint8"))
    return str(folder / "pictures.npz")


def picture_folder(folder):
    for place, picture in enumerate(numbers(8, 9, 3, dtype="uint8")):
        Image.fromarray(picture).save(folder / f"{place:02d}.png")
    return folder


ARRAYS = {
    "float64 rows": lambda: numbers(5),
    "float32 rows": lambda: numbers(5, dtype="float32"),
    "float16 rows": lambda: numbers(5, dtype="float16"),
    "int64 rows": lambda: numbers(5, dtype="int64"),
    "int8 rows": lambda: numbers(5, dtype="int8"),
    "bool rows": lambda: numbers(5, dtype="bool"),
    "uint8 grey": lambda: numbers(9, 8, dtype="uint8"),
    "uint8 colour": lambda: numbers(8, 9, 3, dtype="uint8"),
    "uint16 grey": lambda: numbers(8, 8, dtype="uint16"),
    "one pixel": lambda: numbers(1, 1, dtype="uint8"),
    "a strip": lambda: numbers(3, 200, dtype="uint8"),
    "two channels": lambda: numbers(5, 7, 2, dtype="uint8"),
    "float pictures": lambda: numbers(8, 8, dtype="float32"),
    "exact pictures": lambda: numbers(6, 7, 3),
    "bool pictures": lambda: numbers(5, 5, dtype="bool"),
}
TABLES = {"pandas": pandas_table, "polars": polars_table, "pyarrow": arrow_table}
FILES = {
    "csv": csv_file,
    "parquet": parquet_file,
    "npy": npy_file,
    "npz": npz_file,
    "folder": picture_folder,
}
HAS_PICTURES = {name for name in ARRAYS if not name.endswith("rows")} | {"npz", "folder"}


@cache
def data(kind):
    if kind in FILES:
        return FILES[kind](Path(mkdtemp(prefix="refold-test-")))
    return (ARRAYS | TABLES)[kind]()


# --- every kind of network ---------------------------------------------------------------------------------------


def own_modules(X):
    """A user's own halves, with dropout and batch normalisation, of the sizes that the data need."""
    probe = Autoencoder(latent_dim=LATENT, hidden=(), net="dense", max_epochs=1, random_state=0)
    scaling = fit(probe, X).net_.scaling
    size_in, size_out = int(np.prod(scaling.input_shape)), int(np.prod(scaling.feature_shape))
    encoder = nn.Sequential(
        nn.Flatten(), nn.Linear(size_in, 6), nn.BatchNorm1d(6), nn.Dropout(0.1), nn.Tanh(), nn.Linear(6, LATENT)
    )
    return {"encoder": encoder, "decoder": nn.Sequential(nn.Linear(LATENT, size_out), Reshape(scaling.feature_shape))}


class Reshape(nn.Module):
    def __init__(self, shape):
        super().__init__()
        self.shape = tuple(shape)

    def forward(self, features):
        return features.reshape(len(features), *self.shape)


NETWORKS = {
    "dense": lambda X: {"net": "dense", "hidden": (12, 8), "shortcut": False},
    "shortcut": lambda X: {"net": "dense", "hidden": (12,), "shortcut": True, "output_activation": "identity"},
    "direct": lambda X: {"net": "dense", "hidden": ()},
    "conv": lambda X: {"net": "conv", "hidden": (4, 4)},
    "variational": lambda X: {"hidden": (8,), "penalty": "variational(0.1)"},
    "own": own_modules,
}


def fit(model, X):
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", r"latent_dim=\d+ is not smaller", refold.RefoldWarning)
        return model.fit(X)


@dataclass(frozen=True)
class Case:
    """A fitted model and what it was fitted on."""

    model: Autoencoder
    X: object
    modules: dict

    @property
    def source(self):
        return open_source(self.X)

    def some(self, places):
        """Some of the records, in the container that the whole data have."""
        X = self.source.values if isinstance(self.X, str | Path) else self.X
        if isinstance(X, pandas.DataFrame):
            return X.iloc[places]
        return X.take(places) if isinstance(X, pa.Table) else X[places]


@cache
def fitted(network, kind):
    X = data(kind)
    settings = NETWORKS[network](X)
    model = Autoencoder(latent_dim=LATENT, max_epochs=2, batch_size=7, random_state=0, **settings)
    modules = {name: settings[name] for name in ("encoder", "decoder") if name in settings}
    return Case(fit(model, X), X, modules)


def combinations(kinds):
    for network, kind in product(NETWORKS, kinds):
        if network != "conv" or kind in HAS_PICTURES:
            yield pytest.param((network, kind), id=f"{network}-{kind.replace(' ', '_')}")


@pytest.fixture
def case(request):
    return fitted(*request.param)


every_case = pytest.mark.parametrize("case", list(combinations(ARRAYS | TABLES | FILES)), indirect=True)
every_case_of_pictures = pytest.mark.parametrize("case", list(combinations(sorted(HAS_PICTURES))), indirect=True)


# --- the contract ------------------------------------------------------------------------------------------------


@every_case
def test_codes_are_a_matrix_of_float32(case):
    codes = case.model.transform(case.X)
    assert codes.shape == (N, LATENT)
    assert codes.dtype == np.float32
    assert np.isfinite(codes).all()


@every_case
def test_a_record_gets_the_same_code_alone_and_among_others(case):
    codes = case.model.transform(case.X)
    assert np.array_equal(case.model.transform(case.some([3])), codes[[3]])
    assert np.array_equal(case.model.transform(case.some([19, 0, 7])), codes[[19, 0, 7]])


@every_case
def test_reconstructed_records_are_like_the_given_ones(case):
    rebuilt, given = case.model.reconstruct(case.X), case.X
    if isinstance(given, str | Path):
        given = case.source.values
    assert_alike(rebuilt, given)
    if isinstance(given, pandas.DataFrame):
        assert rebuilt.index.equals(given.index)
        assert rebuilt.dtypes.equals(given.dtypes)


@every_case
def test_reconstructed_records_have_no_missing_cells(case):
    table = open_source(case.model.reconstruct(case.X)).values
    if isinstance(table, pa.Table):
        assert all(column.null_count == 0 for column in table.columns)
    else:
        assert np.isfinite(table).all()


@every_case_of_pictures
def test_pixels_stay_in_the_range_that_was_fitted(case):
    values = case.source.values.astype(float)
    whole_range = case.model.adapter_.value_range or (values.min(), values.max())
    far_off = case.model.inverse_transform(np.full((1, LATENT), 1e3, dtype="float32")).astype(float)
    slack = 1e-5 * np.ptp(values)
    assert whole_range[0] - slack <= far_off.min() and far_off.max() <= whole_range[1] + slack


@every_case
def test_decoded_codes_are_like_the_fitted_records(case):
    given = case.source.values if isinstance(case.X, str | Path) else case.X
    codes = case.model.transform(case.X)
    assert_alike(case.model.inverse_transform(codes), given)
    one = case.model.inverse_transform([[0.0] * LATENT])
    assert len(one) == 1


@every_case
def test_decoding_the_codes_is_reconstructing(case):
    decoded = case.model.inverse_transform(case.model.transform(case.X))
    rebuilt = case.model.reconstruct(case.X)
    if isinstance(rebuilt, pandas.DataFrame):
        decoded = decoded.set_index(rebuilt.index)
        for name in rebuilt.columns:
            assert decoded[name].astype(rebuilt[name].dtype).equals(rebuilt[name])
    elif isinstance(rebuilt, polars.DataFrame | pa.Table):
        assert decoded.equals(rebuilt)
    else:
        assert np.array_equal(decoded, rebuilt)


@every_case
def test_every_record_has_a_finite_error(case):
    errors = case.model.reconstruction_error(case.X)
    assert errors.shape == (N,)
    assert np.isfinite(errors).all() and (errors >= 0).all()
    assert np.array_equal(case.model.reconstruction_error(case.some([4])), errors[[4]])
    assert np.isfinite(case.model.score(case.X)) and case.model.score(case.X) <= 1


@every_case
def test_a_saved_model_gives_the_same_numbers(case, tmp_path):
    case.model.save(tmp_path / "model.safetensors")
    same = refold.load(tmp_path / "model.safetensors", **case.modules)
    assert np.array_equal(same.transform(case.X), case.model.transform(case.X))
    assert np.array_equal(same.reconstruction_error(case.X), case.model.reconstruction_error(case.X))
    rebuilt, again = case.model.reconstruct(case.X), same.reconstruct(case.X)
    assert np.array_equal(again, rebuilt) if isinstance(rebuilt, np.ndarray) else again.equals(rebuilt)
    assert same.history_ == case.model.history_ or np.isnan(same.history_["validation_loss"]).all()
    modules = ("encoder", "decoder")
    assert {name: value for name, value in same.get_params().items() if name not in modules} == {
        name: value for name, value in case.model.get_params().items() if name not in modules
    }


@every_case
def test_the_same_seed_gives_the_same_weights(case):
    twin = fit(clone(case.model), case.X)
    weights, same = case.model.net_.state_dict(), twin.net_.state_dict()
    assert weights.keys() == same.keys()
    assert all(weights[name].equal(same[name]) for name in weights)


@every_case
def test_a_clone_is_not_fitted_and_a_pickle_is_the_same_model(case):
    unfitted = clone(case.model)
    assert not hasattr(unfitted, "net_")
    twin = pickle.loads(pickle.dumps(case.model))
    assert np.array_equal(twin.transform(case.X), case.model.transform(case.X))


@pytest.mark.parametrize("kind", sorted((ARRAYS | TABLES | FILES).keys() - HAS_PICTURES))
def test_convolutions_refuse_rows(kind):
    with pytest.raises(ParameterError, match=r"net='conv' needs pictures.*net='dense'"):
        Autoencoder(net="conv", latent_dim=LATENT).fit(data(kind))


def assert_alike(result, given):
    """Same container, names, types and, apart from the number of records, shape."""
    assert type(result) is type(given)
    if isinstance(given, np.ndarray):
        assert (result.shape, result.dtype) == (given.shape, given.dtype)
    elif isinstance(given, pandas.DataFrame):
        assert result.columns.equals(given.columns)
    elif isinstance(given, polars.DataFrame):
        assert result.schema == given.schema
    else:
        assert result.schema.equals(given.schema)
    assert len(result) == len(given)


# --- scikit-learn's contract -------------------------------------------------------------------------------------

CONFIGURATIONS = [
    Autoencoder(max_epochs=3),
    Autoencoder(
        max_epochs=3,
        latent_dim=2,
        hidden=(8,),
        loss="cross_entropy",
        penalty="variational(0.5)",
        corruption="gaussian(0.2)+feature_swap(0.1)",
        weight_averaging=0.9,
        missing="mask",
    ),
]


# its data sets have columns as few as the code's numbers, and constant columns, of which refold warns
@pytest.mark.filterwarnings("ignore::refold.RefoldWarning")
@parametrize_with_checks(CONFIGURATIONS)
def test_scikit_learn(estimator, check):
    check(estimator)
