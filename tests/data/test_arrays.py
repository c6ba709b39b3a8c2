"""Arrays to numbers and back: every dtype, every shape of a record."""

import json

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from refold import DataError
from refold.data import ArrayAdapter, adapter_from_json, fit_adapter

WHOLE = ["bool", "int8", "uint8", "int16", "uint16", "int32", "uint32", "int64", "uint64"]
FLOATING = ["float16", "float32", "float64"]
shapes = hnp.array_shapes(min_dims=2, max_dims=4, max_side=5)


def cells(dtype):
    """Values that float64 holds exactly, missing ones included where the dtype has them."""
    dtype = np.dtype(dtype)
    if dtype.kind in "iu":
        limits = np.iinfo(dtype)
        return st.integers(max(int(limits.min), -(2**53)), min(int(limits.max), 2**53))
    return None if dtype.kind == "b" else st.floats(width=dtype.itemsize * 8, allow_infinity=False)


@pytest.mark.parametrize("dtype", WHOLE + FLOATING)
@given(data=st.data())
def test_an_array_comes_back_through_numbers(dtype, data):
    values = data.draw(hnp.arrays(dtype, shapes, elements=cells(dtype)))
    adapter = fit_adapter(values)
    numbers = adapter.encode(values)
    assert numbers.shape == values.shape
    decoded = adapter.decode(numbers)
    assert decoded.dtype == values.dtype
    assert np.array_equal(decoded, values, equal_nan=values.dtype.kind == "f")
    assert adapter_from_json(json.loads(json.dumps(adapter.to_json()))) == adapter


@pytest.mark.parametrize("dtype", WHOLE)
@given(numbers=hnp.arrays("float64", (3, 2), elements=st.floats(allow_nan=False)))
def test_any_number_decodes_into_the_range_of_the_dtype(dtype, numbers):
    decoded = ArrayAdapter((2,), dtype).decode(numbers)
    assert decoded.dtype == dtype
    if dtype == "bool":
        assert np.array_equal(decoded, numbers > 0.5)
        return
    limits = np.iinfo(dtype)
    for cell, number in zip(decoded.ravel().tolist(), numbers.ravel().tolist(), strict=True):
        nearest = min(max(number, float(limits.min)), float(limits.max))
        assert abs(cell - nearest) <= 0.5 or abs(nearest) >= 2**53


@given(numbers=hnp.arrays("float32", (3, 2), elements=st.floats(-1000, 1000, width=32)))
def test_bytes_are_rounded_to_the_nearest(numbers):
    decoded = ArrayAdapter((2,), "uint8").decode(numbers)
    assert np.array_equal(decoded, np.clip(np.rint(numbers), 0, 255).astype(np.uint8))


@pytest.mark.parametrize("dtype", ["uint8", "float32", "float64", "bool"])
def test_compact_numbers_stay_compact(dtype):
    assert ArrayAdapter((4,), dtype).encode(np.zeros((5, 4), dtype)).nbytes <= np.zeros((5, 4), dtype).nbytes


def test_other_byte_orders_are_read():
    values = np.arange(6, dtype=">f8").reshape(2, 3)
    adapter = fit_adapter(values)
    assert np.array_equal(adapter.decode(adapter.encode(values)), values)


def test_records_of_another_shape_are_refused():
    with pytest.raises(DataError, match=r"records of shape \(4,\), but this model was fitted on .* \(3,\)"):
        ArrayAdapter((3,), "float64").encode(np.zeros((2, 4)))


@pytest.mark.parametrize("shape", [(3,), (1, 2, 2, 2, 2)])
def test_arrays_that_hold_no_records_are_refused(shape):
    with pytest.raises(DataError, match="dimensions"):
        fit_adapter(np.zeros(shape))


def test_the_range_of_bytes_and_truth_values_is_known():
    assert ArrayAdapter((2,), "uint8").value_range == (0.0, 255.0)
    assert ArrayAdapter((2,), "bool").value_range == (0.0, 1.0)
    assert ArrayAdapter((2,), "float32").value_range is None


@pytest.mark.parametrize(
    "description",
    [
        {"shape": [2], "dtype": "object"},
        {"shape": [2], "dtype": "complex128"},
        {"shape": [2], "dtype": "S5"},
        {"shape": [2], "dtype": "f8,f8"},
        {"shape": [2], "dtype": "no dtype"},
        {"shape": [2], "dtype": 7},
        {"shape": [2], "dtype": None},
        {"shape": [], "dtype": "float32"},
        {"shape": [0], "dtype": "float32"},
        {"shape": [-1], "dtype": "float32"},
        {"shape": [2**40], "dtype": "float32"},
        {"shape": [1, 1, 1, 1], "dtype": "float32"},
        {"shape": ["a"], "dtype": "float32"},
        {"shape": [2.5], "dtype": "float32"},
        {"shape": 5, "dtype": "float32"},
        {"dtype": "float32"},
        {"shape": [2]},
    ],
    ids=str,
)
def test_dishonest_descriptions_are_refused(description):
    with pytest.raises(DataError) as caught:
        adapter_from_json({"kind": "array", **description})
    assert "\n" not in str(caught.value)
