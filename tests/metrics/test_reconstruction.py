"""The error of rebuilt records is the mean squared one."""

import numpy as np
import pytest

from refold import DataError
from refold.metrics import reconstruction_error


def test_it_is_the_mean_squared_error(rows, rng):
    rebuilt = rows + rng.normal(size=rows.shape)
    squares = np.square(rows - rebuilt)
    assert reconstruction_error(rows, rebuilt) == pytest.approx(squares.mean(), rel=1e-12)
    np.testing.assert_allclose(reconstruction_error(rows, rebuilt, by_record=True), squares.mean(axis=1), rtol=1e-12)


def test_parts_do_not_matter(rows, rng, monkeypatch):
    rebuilt = rows + rng.normal(size=rows.shape)
    whole = reconstruction_error(rows, rebuilt, by_record=True)
    monkeypatch.setattr("refold.metrics._reconstruction._VALUES_AT_ONCE", 20)
    np.testing.assert_array_equal(reconstruction_error(rows, rebuilt, by_record=True), whole)


def test_bytes_do_not_wrap_round(pictures):
    assert reconstruction_error(pictures, 255 - pictures.astype(int)) == 255.0**2
    assert reconstruction_error(pictures, 255 - pictures) == 255.0**2


def test_one_record_is_enough_and_a_copy_has_no_error(rows):
    assert reconstruction_error(rows[:1], rows[:1]) == 0


def test_other_shapes_are_refused(rows):
    with pytest.raises(DataError, match="data has 40 records and rebuilt has 39"):
        reconstruction_error(rows, rows[1:])
    with pytest.raises(DataError, match="a record has 6 values in data and 5 in rebuilt"):
        reconstruction_error(rows, rows[:, 1:])
