"""Restorers of tables: cells are filled better than by plain ways, what is known stays, and doubt is honest."""

import numpy as np
import pandas as pd
import polars as pl
import pyarrow as pa
import pytest
from sklearn.base import clone
from sklearn.datasets import load_diabetes, load_iris, load_wine
from sklearn.experimental import enable_iterative_imputer  # noqa: F401 - makes the next import possible
from sklearn.impute import IterativeImputer, KNNImputer, SimpleImputer

import refold
from refold import DataError, ModelFileError, ParameterError, RefoldWarning, Restorer
from refold.files import ModelFile, read_model_file, write_model_file
from refold.nets import ImputationSpec

LEFT_EMPTY = "stay empty"


def standardised(load):
    values = load().data.astype(float)
    return (values - values.mean(0)) / values.std(0)


def with_holes(table, rate=0.2, seed=0):
    return np.where(np.random.default_rng(seed).random(table.shape) < rate, np.nan, table)


def rmse(filled, table, lost):
    return np.sqrt(np.mean((filled - table)[lost] ** 2))


def people(rows=160):
    """A table of every kind of column, whole."""
    rng = np.random.default_rng(0)
    age = rng.integers(18, 80, rows)
    frame = pd.DataFrame(
        {
            "age": pd.array(age, dtype="Int64"),
            "pay": (age * 100 + rng.normal(0, 300, rows)).round(2),
            "town": pd.Categorical(np.where(age > 50, "Graz", "Linz"), categories=["Wien", "Linz", "Graz"]),
            "grown": pd.array(age > 40, dtype="boolean"),
            "born": pd.Timestamp("2020-01-01") - pd.to_timedelta(age * 365, unit="D"),
            "street": np.where(age > 30, "Mill Lane", "High Street"),
        },
        index=np.arange(rows) + 7,
    )
    return frame.astype({"street": "str"})


def people_with_holes():
    frame = people()
    lost = np.random.default_rng(1).random(frame.shape) < 0.2
    lost[3] = True  # a row without anything
    return frame.mask(lost), lost


@pytest.fixture(scope="module")
def known():
    """A restorer of people, and the table that it learned from."""
    frame, lost = people_with_holes()
    return Restorer(steps=60, random_state=0).fit(frame), frame, lost


@pytest.fixture(scope="module")
def wine():
    table = standardised(load_wine)
    holes = with_holes(table)
    return table, holes, Restorer(random_state=0).fit(holes)


# --- how well ------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("load", [load_wine, load_iris, load_diabetes])
def test_cells_are_filled_better_than_by_usual_imputers(load):
    table = standardised(load)
    holes = with_holes(table)
    lost = np.isnan(holes)
    ours = rmse(Restorer(random_state=0, steps=120).fit(holes).transform(holes), table, lost)
    for imputer in (SimpleImputer(), KNNImputer(), IterativeImputer(max_iter=30, tol=0.01, random_state=0)):
        assert ours < rmse(imputer.fit_transform(holes), table, lost), imputer


def test_nine_of_ten_lost_values_lie_within_the_promised_limits(wine):
    table, holes, restorer = wine
    restoration = restorer.restoration(holes)
    lost = np.isnan(holes)
    inside = np.abs(restoration.table - table) <= 1.645 * restoration.deviation
    assert 0.86 <= inside[lost].mean() <= 0.95
    assert np.isnan(restoration.deviation[~lost]).all() and (restoration.deviation[lost] > 0).all()


def test_limits_hold_in_columns_with_long_tails_too():
    table = np.sinh(4 * standardised(load_wine)[:, :8])  # far from normal: most is near the middle, little far out
    holes = with_holes(table, 0.3)
    lost = np.isnan(holes)
    restoration = Restorer(steps=100, random_state=0).fit(holes).restoration(holes)
    inside = np.abs(restoration.table - table) <= 1.645 * restoration.deviation
    assert 0.86 <= inside[lost].mean() <= 0.95


def test_what_is_not_straight_is_learned_too():
    rng = np.random.default_rng(0)
    angle = rng.uniform(0, 2 * np.pi, 400)
    table = np.stack([np.cos(angle), np.sin(angle), np.cos(2 * angle)], axis=1) + 0.02 * rng.normal(size=(400, 3))
    holes = table.copy()
    holes[::3, 2] = np.nan  # the third follows from the first, by no straight line
    filled = Restorer(random_state=0).fit(holes).transform(holes)
    assert np.sqrt(np.mean((filled - table)[::3, 2] ** 2)) < 0.15 * table[:, 2].std()


def test_deviations_are_smaller_where_more_is_known(wine):
    table, _, restorer = wine
    little, much = np.full((1, 13), np.nan), table[:1].copy()
    much[0, 5] = np.nan
    assert restorer.restoration(much).deviation[0, 5] < 0.8 * restorer.restoration(little).deviation[0, 5]


def test_categories_are_found_and_their_probabilities_are_honest():
    loaded = load_iris(as_frame=True)
    frame = loaded.data.assign(kind=loaded.target_names[loaded.target])
    lost = np.random.default_rng(0).random(150) < 0.4
    holes = frame.assign(kind=frame["kind"].mask(lost))
    restoration = Restorer(random_state=0).fit(holes).restoration(holes)
    right = (restoration.table["kind"] == frame["kind"]).to_numpy()[lost]
    assert right.mean() > 0.85
    assert abs(restoration.probability[lost, 4].mean() - right.mean()) < 0.08
    assert np.isnan(restoration.deviation[:, 4]).all() and np.isnan(restoration.probability[:, :4]).all()


def test_a_table_without_a_missing_cell_teaches_to_fill():
    table = standardised(load_wine)
    restorer = Restorer(steps=100, random_state=0).fit(table[:140])
    assert np.array_equal(restorer.transform(table), table)
    new = with_holes(table[140:])
    assert rmse(restorer.transform(new), table[140:], np.isnan(new)) < 0.95


# --- what the user gave --------------------------------------------------------------------------------------------


def test_observed_cells_types_and_index_stay(known):
    restorer, frame, lost = known
    filled = restorer.transform(frame)
    assert filled.dtypes.equals(frame.dtypes) and filled.index.equals(frame.index)
    assert not filled.isna().any().any()
    for place, name in enumerate(frame):
        assert filled[name][~lost[:, place]].equals(frame[name][~lost[:, place]]), name
    assert filled["age"].between(18, 79).all() and set(filled["street"]) == {"Mill Lane", "High Street"}
    found = restorer.restoration(frame)
    assert found.columns == tuple(frame.columns) and np.array_equal(found.filled, lost)


@pytest.mark.parametrize("kind", ["polars", "pyarrow", "csv", "parquet"])
def test_every_container_comes_back_as_it_was(kind, known, tmp_path):
    restorer, frame, lost = known
    table = pa.Table.from_pandas(frame, preserve_index=False).replace_schema_metadata()
    given = {"polars": lambda: pl.from_pandas(frame), "pyarrow": lambda: table}.get(kind)
    if given is None:
        given = tmp_path / f"people.{kind}"
        frame.to_csv(given, index=False) if kind == "csv" else frame.to_parquet(given, index=False)
        restorer = Restorer(steps=20, random_state=0).fit(given) if kind == "csv" else restorer
    else:
        given = given()
    filled = restorer.transform(given)
    if kind == "polars":
        assert filled.schema == given.schema and sum(filled.null_count().row(0)) == 0
    else:
        assert isinstance(filled, pa.Table) and all(column.null_count == 0 for column in filled.columns)
    if kind == "pyarrow":
        assert filled.schema == table.schema
        assert filled["pay"].filter(pa.array(~lost[:, 1])).equals(table["pay"].filter(pa.array(~lost[:, 1])))


def test_floats_that_are_not_a_number_are_missing_in_arrow_tables_too(known):
    restorer, frame, _ = known
    table = pa.Table.from_pandas(frame, preserve_index=False).slice(0, 3)
    pays = pa.array([1.5, float("nan"), None], pa.float64())
    filled = restorer.transform(table.set_column(1, "pay", pays))["pay"].to_pylist()
    assert filled[0] == 1.5 and not any(value is None or np.isnan(value) for value in filled)


def test_arrays_keep_their_dtype(wine):
    _, holes, _ = wine
    single = holes.astype(np.float32)
    filled = Restorer(steps=5, random_state=0).fit(single).transform(single)
    assert filled.dtype == np.float32 and np.array_equal(filled[~np.isnan(holes)], single[~np.isnan(holes)])
    assert np.isnan(holes).any(), "the user's own array is not written to"


def test_columns_without_values_and_names_stay_empty_and_others_pass_through():
    frame, _ = people_with_holes()
    frame = frame.assign(nothing=np.nan, name=[f"person {row}" for row in range(len(frame))])
    frame.loc[frame.index[5], "name"] = None
    with pytest.warns(RefoldWarning) as warned:
        restorer = Restorer(steps=5, random_state=0).fit(frame)
    assert any("'nothing', 'name'" in str(each.message) and LEFT_EMPTY in str(each.message) for each in warned)
    filled = restorer.transform(frame.assign(note="kept"))
    assert filled["nothing"].isna().all() and filled["name"].isna().sum() == 1
    assert (filled["note"] == "kept").all() and not filled[["age", "pay", "town", "born"]].isna().any().any()


def test_a_value_that_was_never_seen_stays(known):
    restorer, frame, _ = known
    row = frame.iloc[[0]].assign(street="Elm Street", pay=np.nan)
    filled = restorer.transform(row)
    assert filled["street"].iloc[0] == "Elm Street" and filled["pay"].notna().all()


# --- promises ------------------------------------------------------------------------------------------------------


def test_a_row_is_filled_alone_as_among_others(known):
    restorer, frame, _ = known
    whole = restorer.restoration(frame)
    for row in (0, 3, 11):
        alone = restorer.restoration(frame.iloc[[row]])
        assert alone.table.equals(whole.table.iloc[[row]])
        assert np.array_equal(alone.deviation[0], whole.deviation[row], equal_nan=True)


def test_the_same_seed_gives_the_same_table_and_a_file_too(wine, tmp_path):
    _, holes, _ = wine
    restorer = Restorer(steps=30, random_state=0).fit(holes)
    again = clone(restorer).fit(holes)
    assert np.array_equal(again.transform(holes), restorer.transform(holes))
    other = Restorer(steps=30, random_state=1).fit(holes)
    assert not np.array_equal(other.transform(holes), restorer.transform(holes))
    restorer.save(tmp_path / "m.safetensors")
    loaded = refold.load(tmp_path / "m.safetensors")
    assert np.array_equal(loaded.transform(holes), restorer.transform(holes))
    assert loaded.n_steps_ == restorer.n_steps_ and loaded.n_features_in_ == 13


def test_drawn_tables_differ_where_cells_were_missing_and_as_much_as_promised(known):
    restorer, frame, lost = known
    restoration = restorer.restoration(frame)
    draws = restoration.draws(40, random_state=0)
    assert len(draws) == 40 and draws[0].dtypes.equals(frame.dtypes)
    assert draws[0].equals(restoration.draws(1, random_state=0)[0])
    assert not draws[0].equals(draws[1])
    pays = np.array([drawn["pay"].to_numpy() for drawn in draws])
    assert (np.ptp(pays, axis=0)[~lost[:, 1]] == 0).all()
    ratio = pays.std(axis=0)[lost[:, 1]] / restoration.deviation[lost[:, 1], 1]
    assert 0.8 < np.median(ratio) < 1.2
    towns = np.array([drawn["town"].to_numpy() == restoration.table["town"].to_numpy() for drawn in draws])
    gone = lost[:, 2]
    assert abs(towns[:, gone].mean() - restoration.probability[gone, 2].mean()) < 0.05


def test_fit_on_pictures_forgets_the_table_and_the_other_way_round(wine):
    _, holes, _ = wine
    small = {"widths": (8,), "blocks": 0, "crop": 16, "batch_size": 2, "steps": 2, "random_state": 0}
    restorer = Restorer(**small).fit(np.full((3, 20, 20), 0.5, np.float32))
    restorer.fit(holes)
    assert not np.isnan(restorer.transform(holes)).any()
    restorer.fit(np.full((3, 20, 20), 0.5, np.float32))
    assert restorer.transform(np.full((1, 20, 20), 0.5, np.float32)).shape == (1, 20, 20)


# --- what is refused -----------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("table", "message"),
    [
        (np.ones((3, 2)), "3 rows; give at least 5"),
        (np.full((9, 2), np.nan), "no cell of the table holds a value"),
        (np.where(np.eye(9, 2) > 0, np.inf, 1.0), "infinite value"),
        (pd.DataFrame({"a": [[1], [2], [3], [4], [5]]}), "column 'a' holds list"),
    ],
)
def test_tables_that_cannot_be_learned_are_refused_in_one_sentence(table, message):
    with pytest.raises(DataError, match=message):
        Restorer(steps=5).fit(table)


def test_what_does_not_fit_the_table_is_refused(wine, known):
    _, holes, restorer = wine
    with pytest.raises(DataError, match="records of shape"):
        restorer.transform(holes[:, :4])
    with pytest.raises(DataError, match="fitted on a table; give a table"):
        restorer.transform(np.zeros((2, 8, 8)))
    with pytest.raises(ParameterError, match="for pictures only"):
        restorer.restoration(holes, strength=0.5)
    with pytest.raises(DataError, match="lacks 'pay'"):
        known[0].transform(known[1].drop(columns="pay"))


def test_tiny_and_odd_tables_are_filled():
    one = np.array([[1.0], [2.0], [np.nan], [4.0], [3.0], [2.0]])
    filled = Restorer(steps=5, random_state=0).fit(one).transform(one)
    assert 1 <= filled[2, 0] <= 4
    constant = np.column_stack([np.full(8, 3.0), np.arange(8.0)])
    constant[2, 0] = np.nan
    assert Restorer(steps=5, random_state=0).fit(constant).transform(constant)[2, 0] == pytest.approx(3.0)
    nobody = np.full((2, 2), np.nan)
    assert np.isfinite(Restorer(steps=5, random_state=0).fit(constant).transform(nobody)).all()


def test_files_that_do_not_fit_are_refused(wine, tmp_path):
    _, _, restorer = wine
    restorer.save(tmp_path / "m.safetensors")
    file = read_model_file(tmp_path / "m.safetensors")
    header = {key: value for key, value in file.header.items() if key not in ("format", "kind", "sha256")}
    wrong = [
        ({**header, "spec": {**header["spec"], "references": 1 << 20}}, file.tensors),
        ({**header, "spec": {**header["spec"], "factors": 3}}, file.tensors),
        ({**header, "left": [13]}, file.tensors),
        ({**header, "adapter": {"kind": "array", "shape": [4], "dtype": "float64"}}, file.tensors),
        (header, {**file.tensors, "width": file.tensors["width"] * np.nan}),
        (header, {key: value for key, value in file.tensors.items() if key != "width"}),
    ]
    for place, (described, tensors) in enumerate(wrong):
        write_model_file(ModelFile("Restorer", described, tensors), tmp_path / f"{place}.safetensors")
        with pytest.raises(ModelFileError):
            refold.load(tmp_path / f"{place}.safetensors")


def test_a_specification_comes_back_from_json():
    restorer = Restorer(steps=2, random_state=0).fit(np.arange(12.0).reshape(6, 2))
    spec = restorer.table_.net.spec
    assert ImputationSpec.from_json(spec.to_json()) == spec
