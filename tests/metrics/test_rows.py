"""Arrays, tensors and tables are the same records."""

import numpy as np
import pandas as pd
import polars as pl
import pyarrow as pa
import pytest
import torch

from refold import DataError
from refold.metrics import continuity, shepard_correlation, trustworthiness
from refold.metrics._rows import rows_of


@pytest.mark.parametrize(
    "kind",
    [
        np.asarray,
        np.ndarray.tolist,
        lambda rows: rows.reshape(40, 1, 3, 1, 2),
        torch.tensor,
        lambda rows: torch.tensor(rows, requires_grad=True).reshape(40, 1, 1, 3, 2),
        lambda rows: pd.DataFrame(rows, columns=list("abcdef")),
        lambda rows: pl.DataFrame(rows),
        lambda rows: pa.table(dict(zip("abcdef", rows.T, strict=True))),
        np.asfortranarray,
    ],
)
def test_the_container_does_not_matter(rows, kind):
    np.testing.assert_array_equal(rows_of(kind(rows), "data"), rows)
    assert trustworthiness(kind(rows), rows[:, :2]) == trustworthiness(rows, rows[:, :2])


@pytest.mark.parametrize("dtype", [bool, np.uint8, np.int16, np.uint16, np.int64, np.float16, np.float32, np.float64])
def test_values_of_every_type_are_exact(dtype):
    values = np.array([[0, 1], [1, 1], [1, 0]]).astype(dtype)
    rows = rows_of(values, "data")
    assert rows.dtype in (np.uint8, np.float32, np.float64)
    np.testing.assert_array_equal(rows, values.astype(np.float64))


def test_large_whole_numbers_are_exact():
    assert rows_of(np.array([[2**24 + 1], [-(2**31)]]), "data").tolist() == [[2**24 + 1], [-(2**31)]]


def test_what_is_already_rows_is_not_copied(rows, pictures):
    assert np.shares_memory(rows_of(rows, "data"), rows)
    assert np.shares_memory(rows_of(pictures, "data"), pictures)


def test_tensors_of_half_the_bits_are_read():
    assert rows_of(torch.tensor([[1.5], [2.0]], dtype=torch.bfloat16), "data").tolist() == [[1.5], [2.0]]


def test_truth_and_missing_kinds_of_a_table_are_numbers():
    table = pd.DataFrame({"n": pd.array([1, 2], dtype="Int64"), "yes": [False, True]})
    assert rows_of(table, "data").tolist() == [[1, 0], [2, 1]]


def test_a_flat_code_is_one_number_for_each_record(rows):
    assert trustworthiness(rows, rows[:, 0]) == trustworthiness(rows, rows[:, :1])


@pytest.mark.parametrize(
    ("data", "sentence"),
    [
        (np.full((40, 6), np.nan), "code holds values that are missing or infinite"),
        (np.full((40, 6), np.inf), "code holds values that are missing or infinite"),
        (np.zeros((0, 3)), r"code of shape \(0, 3\) holds no values"),
        (np.zeros((40, 0)), r"code of shape \(40, 0\) holds no values"),
        (np.array(3.0), r"code of shape \(\) holds no values"),
        (np.zeros((40, 2), complex), "code is of dtype complex128"),
        (np.full((40, 2), "a"), "code is of dtype <U1"),
        (pd.DataFrame({"city": ["Graz"] * 40}), "the column 'city' of code is of type"),
        (pd.DataFrame({"n": pd.array([1, None] * 20, dtype="Int64")}), "code holds values that are missing"),
    ],
)
def test_what_has_no_distances_is_refused(rows, data, sentence):
    with pytest.raises(DataError, match=sentence):
        continuity(rows, data)


def test_two_records_have_no_neighbourhoods():
    with pytest.raises(DataError, match="2 records have no neighbourhoods to compare; give three or more"):
        shepard_correlation([[0.0], [1.0]], [[0.0], [1.0]])
