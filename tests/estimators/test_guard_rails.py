"""What cannot work is refused in one sentence that says what to do."""

import warnings

import numpy as np
import pandas
import pyarrow as pa
import pytest
from sklearn.exceptions import NotFittedError

from refold import Autoencoder, DataError, ParameterError, RefoldWarning


def small(**parameters):
    return Autoencoder(**{"latent_dim": 2, "hidden": (8,), "max_epochs": 2, "random_state": 0, **parameters})


@pytest.fixture(scope="module")
def model(rows):
    return small().fit(rows)


@pytest.fixture(scope="module")
def picture_model(pictures):
    return small().fit(pictures)


def spoiled(rows, value):
    rows = rows.copy()
    rows[4, 2] = value
    return rows


def test_nan_in_an_array_is_refused_with_its_place(rows, model):
    for use in (small().fit, small().partial_fit, model.transform, model.reconstruct, model.reconstruction_error):
        with pytest.raises(DataError, match=r"X holds NaN: nan at \(4, 2\), one of 1; .*missing='mask'"):
            use(spoiled(rows, np.nan))


@pytest.mark.parametrize("value", [np.inf, -np.inf])
def test_infinite_values_are_refused_always(rows, value):
    for model in (small(), small(missing="mask")):
        with pytest.raises(DataError, match=r"infinite value.* at \(4, 2\)"):
            model.fit(spoiled(rows, value))
    with pytest.raises(DataError, match=r"'c' holds an infinite value \(row 4\)|infinite value"):
        small().fit(pandas.DataFrame(spoiled(rows, value), columns=list("abcdef")))


def test_missing_cells_of_a_table_can_be_refused(rows):
    with pytest.raises(DataError, match="X holds NaN"):
        small(missing="error").fit(pandas.DataFrame(spoiled(rows, np.nan), columns=list("abcdef")))


def test_constant_columns_are_named_and_come_back_as_they_were(rows):
    rows = rows.copy()
    rows[:, 1] = 7.5
    with pytest.warns(RefoldWarning, match=r"column 1 \(counted from 0\) is constant"):
        model = small().fit(rows)
    assert np.isfinite(model.reconstruct(rows)).all()
    assert np.isfinite(model.reconstruct(rows + 1)).all()


def test_constant_pictures_can_be_learned():
    model = small().fit(np.full((10, 8, 8), 9.0))
    assert np.isfinite(model.reconstruct(np.full((1, 8, 8), 9.0))).all()


@pytest.mark.parametrize("size", [0, 1])
def test_one_row_is_too_few(rows, size):
    with pytest.raises(ValueError, match=r"at least|minimum"):
        small().fit(rows[:size])
    with pytest.raises(DataError, match="at least"):
        small().fit(pa.table({"a": [1.0] * size}))


def test_two_rows_are_enough(rows):
    assert small().fit(rows[:2]).transform(rows[:2]).shape == (2, 2)


def test_values_outside_the_declared_range_are_refused(rows):
    with pytest.raises(DataError, match=r"outside value_range=\(-1, 1\).* at \(\d+, \d+\), one of \d+"):
        small(value_range=(-1, 1)).fit(rows)
    model = small(value_range=(-100, 100)).fit(rows)
    with pytest.raises(DataError, match="value_range"):
        model.transform(rows + 200)


def test_rows_of_another_width_are_refused(rows, model):
    for use in (model.transform, model.reconstruct, model.reconstruction_error, model.score):
        with pytest.raises(ValueError, match=r"X has 4 features.*expecting 6 features"):
            use(rows[:, :4])


def test_pictures_of_another_size_are_refused(pictures, picture_model):
    with pytest.raises(DataError, match=r"records of shape \(8, 12\).*fitted on records of shape \(9, 12\)"):
        picture_model.transform(pictures[:, :8])
    with pytest.raises(DataError, match=r"\(9, 12, 3\)"):
        picture_model.transform(np.repeat(pictures[..., None], 3, axis=-1))


def test_codes_of_another_width_are_refused(model):
    with pytest.raises(DataError, match=r"codes of 3 numbers.*codes have 2"):
        model.inverse_transform(np.zeros((4, 3)))


def test_an_array_of_five_dimensions_is_refused():
    with pytest.raises(DataError, match=r"5 dimensions.*\(n, H, W, C\)"):
        small().fit(np.zeros((4, 2, 2, 2, 2)))


@pytest.mark.parametrize(
    "use", ["transform", "inverse_transform", "reconstruct", "reconstruction_error", "score", "sample", "save"]
)
def test_use_before_fit_is_refused(rows, use, tmp_path):
    argument = {"sample": 1, "save": tmp_path / "model.safetensors"}.get(use, rows)
    with pytest.raises(NotFittedError, match="not fitted yet"):
        getattr(small(), use)(argument)


def test_a_code_as_wide_as_the_data_warns_once_in_one_sentence(rows):
    with pytest.warns(RefoldWarning) as caught:
        small(latent_dim=6).fit(rows)
    assert len(caught) == 1
    assert str(caught[0].message).startswith("latent_dim=6 is not smaller than the 6 values of a record")
    assert "\n" not in str(caught[0].message)


def test_a_narrow_code_does_not_warn(rows):
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        small(latent_dim=5).fit(rows)


def test_cross_entropy_says_which_scaling_it_needs(rows):
    with pytest.raises(ParameterError, match=r"cross_entropy.*scaling='range'"):
        small(loss="cross_entropy", scaling="standard").fit(rows)
    with pytest.raises(ParameterError, match=r"cross_entropy.*scaling='range'"):
        small(loss="cross_entropy", scaling="none").fit(rows)
    assert np.isfinite(small(loss="cross_entropy").fit(rows).reconstruction_error(rows)).all()


def test_rows_may_come_as_an_array_where_a_table_was_fitted(rows):
    model = small().fit(pa.table({name: rows[:, place] for place, name in enumerate("abcdef")}))
    with pytest.warns(UserWarning, match="feature names"):  # scikit-learn's own
        codes = model.transform(rows)
    assert np.array_equal(codes, model.transform(pa.table(dict(zip("abcdef", rows.T, strict=True)))))


def test_rows_may_come_as_a_table_where_an_array_was_fitted(rows, model):
    table = pa.table(dict(zip("abcdef", rows.T, strict=True)))
    assert np.array_equal(model.transform(table), model.transform(rows))


def test_texts_where_an_array_was_fitted_are_refused(model):
    with pytest.raises(DataError, match="fitted on an array"):
        model.transform(pa.table({name: ["x"] for name in "abcdef"}))


def test_pictures_where_a_table_was_fitted_are_refused(pictures, rows):
    model = small().fit(pa.table({"a": rows[:, 0], "b": rows[:, 1], "c": rows[:, 2]}))
    with pytest.raises(DataError, match="fitted on a table"):
        model.transform(pictures)


def test_an_empty_table_gives_no_codes(rows):
    table = pa.table(dict(zip("abcdef", rows.T, strict=True)))
    model = small().fit(table)
    with pytest.raises(DataError, match=r"no records.*at least one"):
        model.transform(table.slice(0, 0))


@pytest.mark.parametrize("dtype", ["int64", "uint64", "float64"])
def test_large_numbers_survive(dtype):
    rng = np.random.default_rng(0)
    rows = (rng.integers(0, 1000, (40, 5)) + 2**40).astype(dtype)
    rebuilt = small(max_epochs=5).fit(rows).reconstruct(rows)
    assert rebuilt.dtype == dtype
    assert abs(rebuilt.astype(float) - 2**40).max() < 10_000


def test_huge_finite_numbers_do_not_turn_into_nan():
    rows = np.random.default_rng(0).normal(size=(40, 5)) * 1e150
    model = small().fit(rows)
    assert np.isfinite(model.transform(rows)).all()
    assert np.isfinite(model.reconstruct(rows)).all()
