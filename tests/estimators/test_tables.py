"""Tables through the estimator: missing cells, unseen categories, columns that move."""

import numpy as np
import pandas
import polars
import pyarrow as pa
import pytest

from refold import Autoencoder, DataError, RefoldWarning


def people(n=300):
    """Height decides weight and size; the town decides the dialect."""
    rng = np.random.default_rng(1)
    height = rng.normal(170, 10, n)
    town = rng.integers(0, 3, n)
    return pandas.DataFrame(
        {
            "height": height,
            "weight": height - 100 + rng.normal(0, 1, n),
            "size": np.array(["S", "M", "L"])[np.digitize(height, [165, 175])],
            "town": np.array(["Graz", "Linz", "Wien"])[town],
            "east": town == 2,
        }
    )


@pytest.fixture(scope="module")
def holed():
    """The people with a twelfth of all cells missing."""
    frame = people().astype({"east": object})
    holes = np.random.default_rng(2).random(frame.shape) < 0.08
    return frame.mask(holes, other=None)


@pytest.fixture(scope="module")
def model(holed):
    return Autoencoder(latent_dim=3, hidden=(32,), max_epochs=60, learning_rate=5e-3, random_state=0).fit(holed)


def test_a_missing_cell_is_rebuilt_with_a_plausible_value(model, holed):
    rebuilt = model.reconstruct(holed)
    assert not rebuilt.isna().any().any()
    lost = holed["weight"].isna() & holed["height"].notna()
    assert lost.sum() > 10
    error = (rebuilt["weight"] - people()["weight"])[lost].abs().mean()
    spread = (people()["weight"] - people()["weight"].mean())[lost].abs().mean()
    assert error < 0.5 * spread
    lost = holed["town"].isna() & holed["east"].notna()
    east = people()["east"]
    assert lost.sum() > 10
    assert ((rebuilt["town"] == "Wien") == east)[lost].mean() > 0.9


def test_no_error_is_counted_for_missing_cells(model, holed):
    nothing_left = holed.iloc[:5].astype(object).mask(np.full((5, 5), True), other=None).astype({"height": float})
    assert (model.reconstruction_error(nothing_left) == 0).all()
    assert (model.reconstruction_error(holed) > 0).all()


def test_the_error_is_the_mean_over_the_cells_that_are_there():
    rows = np.random.default_rng(0).normal(size=(60, 4))
    rows[::7, 1] = np.nan
    model = Autoencoder(latent_dim=2, hidden=(8,), max_epochs=2, missing="mask", random_state=0).fit(rows)
    difference = (model.reconstruct(rows) - rows) / model.net_.scaling.spread.numpy()
    assert np.allclose(np.nanmean(difference**2, axis=1), model.reconstruction_error(rows), rtol=1e-4)


def test_rows_full_of_holes_can_be_learned_from():
    rows = np.random.default_rng(0).normal(size=(60, 4))
    rows[:5] = np.nan
    model = Autoencoder(latent_dim=2, hidden=(8,), max_epochs=2, missing="mask", random_state=0).fit(rows)
    assert all(np.isfinite(value) for value in model.history_["train_loss"])
    assert np.isfinite(model.transform(rows)).all()


def test_an_empty_column_comes_back_empty(holed):
    frame = holed[["height", "town"]].assign(nothing=pandas.Series(np.nan, index=holed.index))
    with pytest.warns(RefoldWarning, match="constant"):
        model = Autoencoder(latent_dim=1, hidden=(4,), max_epochs=1, random_state=0).fit(frame)
    rebuilt = model.reconstruct(frame)
    assert rebuilt["nothing"].isna().all()
    assert rebuilt["height"].notna().all()


def test_pictures_with_missing_pixels_are_rebuilt(pictures):
    holed = pictures.astype(np.float32)
    holed[:, 3:5, 2:6] = np.nan
    model = Autoencoder(latent_dim=2, hidden=(16,), net="dense", max_epochs=2, missing="mask", random_state=0)
    assert np.isfinite(model.fit(holed).reconstruct(holed)).all()
    assert np.isfinite(model.reconstruction_error(holed)).all()


def test_unseen_categories_count_as_missing_with_a_warning(model, holed):
    rows = people()[:4].astype({"east": object})
    stranger, lost = rows.copy(), rows.copy()
    stranger.loc[1, "town"] = "Oslo"
    lost.loc[1, "town"] = None
    with pytest.warns(RefoldWarning, match=r"'town' holds 1 values that are not among the 3 categories"):
        codes = model.transform(stranger)
    assert np.array_equal(codes, model.transform(lost))
    with pytest.warns(RefoldWarning, match="'town'"):
        assert model.reconstruct(stranger)["town"][1] in ("Graz", "Linz", "Wien")


def test_columns_of_an_arrow_table_are_taken_by_name(model, holed):
    table = pa.Table.from_pandas(holed, preserve_index=False)
    codes = model.transform(table)
    assert np.array_equal(model.transform(table.select(table.column_names[::-1])), codes)
    assert np.array_equal(model.transform(table.append_column("more", pa.nulls(len(table)))), codes)


def test_scikit_learns_tables_must_have_the_fitted_columns_in_order(model, holed):
    # scikit-learn's own rule for tables with names
    with pytest.raises(ValueError, match="same order"):
        model.transform(holed[holed.columns[::-1]])
    with pytest.raises(ValueError, match="unseen at fit time"):
        model.transform(holed.assign(more=1.0))
    with pytest.raises(ValueError, match="missing"):
        model.transform(holed.drop(columns="town"))


def test_a_missing_column_is_named(model, holed):
    table = pa.Table.from_pandas(holed, preserve_index=False)
    with pytest.raises(
        DataError, match=r"the table lacks 'town'; it must have every column that was fitted: 'height'"
    ):
        model.transform(table.drop_columns(["town"]))


def test_a_column_of_another_type_is_refused_by_name(model, holed):
    table = pa.Table.from_pandas(holed, preserve_index=False)
    place = table.column_names.index("height")
    wrong = table.set_column(place, "height", pa.array(["tall"] * len(table)))
    with pytest.raises(DataError, match=r"column 'height' was fitted as number .* now holds string"):
        model.transform(wrong)


def test_the_same_name_twice_is_refused():
    frame = pandas.DataFrame(np.zeros((4, 2)), columns=["a", "a"])
    with pytest.raises(DataError, match=r"'a' occurs more than once"):
        Autoencoder().fit(frame)


def test_a_model_of_one_library_takes_the_tables_of_another(model, holed):
    codes = model.transform(holed)
    arrow = pa.Table.from_pandas(holed, preserve_index=False)
    other = polars.from_arrow(arrow)
    assert np.array_equal(model.transform(arrow), codes)
    assert np.array_equal(model.transform(other), codes)
    assert isinstance(model.reconstruct(other), polars.DataFrame)
    assert model.reconstruct(other).schema == other.schema


def test_rebuilt_rows_keep_the_index(model, holed):
    some = holed.iloc[[5, 3, 200]]
    assert model.reconstruct(some).index.tolist() == [5, 3, 200]


def test_wild_codes_decode_to_values_that_the_columns_can_hold(holed):
    frame = holed.assign(
        born=pandas.Timestamp("2000-01-01") + pandas.to_timedelta(np.arange(len(holed)), unit="D"),
        count=np.arange(len(holed), dtype="int8"),
    )
    model = Autoencoder(latent_dim=2, hidden=(), max_epochs=1, random_state=0).fit(frame)
    for size in (1e3, 1e10, 1e30):
        decoded = model.inverse_transform(np.array([[size, -size], [-size, size]]))
        assert decoded["count"].between(-128, 127).all()
        assert set(decoded["town"]) <= {"Graz", "Linz", "Wien"}
        assert decoded["born"].notna().all()
