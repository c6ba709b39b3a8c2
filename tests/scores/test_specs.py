"""What a file says of a scorer's shape is rebuilt, and refused where no honest file says it."""

import json

import pytest

from refold import ParameterError
from refold.estimators._row_detection import RowSpec
from refold.nets import EnsembleSpec
from refold.scores import SeriesSpec

SHARED = {
    "raw_shape": (3,),
    "n_categories": (0, 4, 0),
    "exact": True,
    "flags": (2,),
    "ensemble": EnsembleSpec(2, 8, 4),
}
ROWS = RowSpec(**SHARED, takes_missing=True, references=10)
SERIES = SeriesSpec(**SHARED, window=12, level=4)


@pytest.mark.parametrize("spec", [ROWS, SERIES])
def test_a_spec_is_the_same_after_json(spec):
    again = type(spec).from_json(json.loads(json.dumps(spec.to_json())))
    assert again == spec and again.ensemble == EnsembleSpec(2, 8, 4)
    again.build()


@pytest.mark.parametrize(
    ("spec", "said", "sentence"),
    [
        (ROWS, {"raw_shape": [1 << 17]}, "sizes of a scorer"),
        (ROWS, {"raw_shape": []}, "sizes of a scorer"),
        (ROWS, {"n_categories": [0, -1, 0]}, "sizes of a scorer"),
        (ROWS, {"flags": ["x"]}, "sizes of a scorer"),
        (ROWS, {"references": 1e3}, "sizes of a scorer"),
        (SERIES, {"window": 1 << 20}, "sizes of a scorer"),
        (SERIES, {"level": True}, "sizes of a scorer"),
        (SERIES, {"level": 13}, "at most its window"),
        (SERIES, {"level": 0}, "at least 1"),
        (SERIES, {"ensemble": {"members": 1 << 20, "width": 8, "code": 4}}, "members of an ensemble"),
    ],
)
def test_sizes_of_no_honest_file_are_refused(spec, said, sentence):
    with pytest.raises(ParameterError, match=sentence):
        type(spec).from_json(spec.to_json() | said)
