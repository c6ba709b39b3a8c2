"""Raw numbers to features and back."""

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from refold import RefoldWarning
from refold.nets import ColumnScaling, GridScaling, measure_scale

KINDS = ["standard", "range", "none"]


def rows(n_categories, n=40):
    rng = np.random.default_rng(0)
    columns = [rng.normal(5, 3, n) if count == 0 else rng.integers(0, count, n) for count in n_categories]
    return np.column_stack(columns).astype(float)


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("n_categories", [(0, 0, 0), (0, 3, 0, 2), (2, 2), (3, 0)])
def test_rows_come_back_through_features(kind, n_categories):
    numbers = rows(n_categories)
    scaling = ColumnScaling(measure_scale(numbers, kind, None, n_categories), n_categories, exact=True)
    features, seen = scaling.targets(torch.from_numpy(numbers))
    assert features.shape == (40, *scaling.feature_shape) and seen.all()
    assert torch.allclose(scaling.restore(features), torch.from_numpy(numbers), rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize("kind", KINDS)
@settings(max_examples=30)
@given(pictures=hnp.arrays("float32", st.tuples(st.just(4), st.integers(1, 4), st.integers(1, 4)),
                           elements=st.floats(-100, 100, width=16)))  # fmt: skip
def test_pictures_come_back_through_features(kind, pictures):
    scaling = GridScaling(measure_scale(pictures, kind), pictures.shape[1:], exact=False)
    features, _ = scaling.targets(torch.from_numpy(pictures))
    assert features.shape == (4, 1, *pictures.shape[1:])
    assert torch.allclose(scaling.restore(features), torch.from_numpy(pictures), rtol=1e-3, atol=1e-3)
    if kind == "range":
        assert features.min() >= -1e-5 and features.max() <= 1 + 1e-5


def test_missing_cells_enter_as_the_centre_with_a_flag_beside_them():
    numbers = np.array([[1.0, 10.0], [np.nan, 20.0], [3.0, 30.0]])
    scaling = ColumnScaling(measure_scale(numbers, "standard"), (0, 0), exact=False)
    inputs = scaling.inputs(torch.from_numpy(numbers))
    assert inputs.shape == (3, 3) == (3, *scaling.input_shape)
    assert inputs[:, 2].tolist() == [0, 1, 0] and inputs[1, 0] == 0
    _, seen = scaling.targets(torch.from_numpy(numbers))
    assert seen.tolist() == [[True, True], [False, True], [True, True]]


def test_missing_cells_in_columns_that_had_none_are_the_centre_too():
    scaling = ColumnScaling(measure_scale(np.array([[1.0, 5.0], [3.0, 9.0]]), "standard"), (0, 0), exact=False)
    assert scaling.inputs(torch.tensor([[np.nan, 5.0]])).tolist() == [[0.0, -1.0]]


def test_a_missing_or_unknown_category_is_none_of_them():
    scaling = ColumnScaling(measure_scale(np.array([[0.0], [1.0]]), "standard", None, (2,)), (2,), exact=False)
    assert scaling.inputs(torch.tensor([[0.0], [1.0], [np.nan]])).tolist() == [[1, 0], [0, 1], [0, 0]]


def test_wide_tables_are_built_quickly():
    columns = 20_000
    scale = measure_scale(np.random.default_rng(0).normal(size=(3, columns)), "standard")
    assert ColumnScaling(scale, (0,) * columns, exact=False).input_shape == (columns,)


def test_bytes_and_numbers_scale_alike():
    pictures = np.arange(60, dtype=np.uint8).reshape(3, 4, 5)
    scaling = GridScaling(measure_scale(pictures, "range", (0, 255)), (4, 5), exact=False)
    whole, floats = (scaling.inputs(torch.from_numpy(pictures.astype(kind))) for kind in ("uint8", "float64"))
    assert torch.equal(whole, floats)
    assert scaling.low == 0 and scaling.high == 255


def test_constant_columns_are_named():
    numbers = np.ones((5, 12))
    numbers[:, 3] = range(5)
    with pytest.warns(
        RefoldWarning, match=r"columns 0, 1, 2, 4, 5, 6, 7, 8 and 3 more \(counted from 0\) are constant"
    ):
        scale = measure_scale(numbers, "standard")
    assert (scale.spread > 0).all()


def test_constant_categories_are_no_trouble():
    scale = measure_scale(np.zeros((5, 1)), "standard", None, (1,))
    assert ColumnScaling(scale, (1,), exact=False).inputs(torch.zeros(2, 1)).tolist() == [[1], [1]]
