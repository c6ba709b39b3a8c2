"""Neighbours and their ranks are those of a stable sort of the distances, however large, small or equal those are."""

import numpy as np
import pytest

from refold import DataError, ParameterError
from refold.metrics import neighbourhoods


def sorted_neighbours(rows):
    """All neighbours of each row, by the whole matrix of distances."""
    rows = np.asarray(rows, dtype=np.float64)
    squares = np.stack([np.square(rows - row).sum(axis=1) for row in rows])
    np.fill_diagonal(squares, np.inf)
    return np.argsort(squares, axis=1, kind="stable")[:, :-1]


def joined(data, code, size, ranked, rows_at_once=None):
    blocks = list(neighbourhoods(data, code, size, ranked, rows_at_once))
    names = ("in_data", "in_code", "ranks_in_data", "ranks_in_code")
    return [np.concatenate([getattr(block, name) for block in blocks]) for name in names]


def expected(data, code, size, ranked):
    of_data, of_code = sorted_neighbours(data), sorted_neighbours(code)
    ranks = [
        np.stack([np.argsort(np.append(row, own))[other] for own, (row, other) in enumerate(pairs)]) + 1
        for pairs in (
            list(zip(of_data, of_code[:, :ranked], strict=True)),
            list(zip(of_code, of_data[:, :ranked], strict=True)),
        )
    ]
    return [of_data[:, :size], of_code[:, :size], *ranks]


def rows_of_kind(kind, rng):
    wide = rng.normal(size=(150, 20)) @ rng.normal(size=(20, 20))
    clusters = rng.normal(size=(3, 20))[rng.integers(3, size=150)]
    return {
        "numbers": lambda: wide,
        "single precision": lambda: wide.astype(np.float32),
        "few columns": lambda: wide[:, :3],
        "one column": lambda: wide[:, :1],
        "bytes": lambda: rng.integers(256, size=(150, 784), dtype=np.uint8),
        "truth": lambda: rng.random((150, 30)) < 0.5,
        "whole numbers": lambda: rng.integers(-3, 4, size=(150, 12)).astype(float),
        "whole numbers of few columns": lambda: rng.integers(3, size=(150, 2)),
        "large whole numbers": lambda: rng.integers(-(10**6), 10**6, size=(150, 12)),
        "whole numbers far apart": lambda: (
            rng.integers(3, size=(150, 12)) + 6000 * rng.integers(2, size=(150, 1)) * np.eye(1, 12, dtype=int)
        ),
        "quarters": lambda: rng.integers(4, size=(150, 12)) / 4,
        "duplicates": lambda: wide[rng.integers(20, size=150)],
        "far from zero": lambda: wide + 1e7,
        "tight clusters": lambda: clusters + 1e-9 * wide,
        "an outlier": lambda: np.concatenate([wide[:-1], 1e9 * wide[-1:]]),
        "very wide": lambda: wide @ rng.normal(size=(20, 10_000)).astype(np.float32),
        "columns of unlike scale": lambda: wide * np.logspace(-6, 6, 20),
        "huge": lambda: wide * 1e200,
        "tiny": lambda: wide * 1e-200,
        "collapsed": lambda: np.full((150, 2), 0.3),
        "collapsed wide": lambda: np.full((150, 20), 0.3),
    }[kind]()


KINDS = [
    "numbers",
    "single precision",
    "few columns",
    "one column",
    "bytes",
    "truth",
    "whole numbers",
    "whole numbers of few columns",
    "large whole numbers",
    "whole numbers far apart",
    "quarters",
    "duplicates",
    "far from zero",
    "tight clusters",
    "an outlier",
    "very wide",
    "columns of unlike scale",
    "huge",
    "tiny",
    "collapsed",
    "collapsed wide",
]


@pytest.mark.parametrize("kind", KINDS)
def test_neighbours_are_those_of_a_stable_sort(kind, rng):
    from refold.metrics._rows import paired_rows, within_range

    data = rows_of_kind(kind, rng)
    rows, code = paired_rows(data, rng.normal(size=(150, 2)))
    found = joined(rows, code, 20, 7, rows_at_once=64)
    for one, other in zip(found, expected(within_range(rows), code, 20, 7), strict=True):
        np.testing.assert_array_equal(one, other)


@pytest.mark.parametrize("kind", ["numbers", "few columns", "quarters", "whole numbers", "duplicates"])
def test_blocks_do_not_matter(kind, rng):
    data, code = rows_of_kind(kind, rng).astype(float), rows_of_kind("quarters", rng)
    whole = joined(data, code, 149, 5)
    for rows_at_once in (1, 7, 149, 1000):
        for one, other in zip(joined(data, code, 149, 5, rows_at_once), whole, strict=True):
            np.testing.assert_array_equal(one, other)


def test_threads_do_not_matter(rng, monkeypatch):
    data, code = rows_of_kind("numbers", rng), rows_of_kind("quarters", rng)
    alone = joined(data, code, 20, 5, rows_at_once=10)
    monkeypatch.setattr("torch.get_num_threads", lambda: 3)
    for one, other in zip(joined(data, code, 20, 5, rows_at_once=10), alone, strict=True):
        np.testing.assert_array_equal(one, other)


def test_precision_grows_only_where_single_leaves_much_open(rng):
    from refold.metrics._distances import Brackets

    assert Brackets.of(rows_of_kind("numbers", rng)).centred.dtype == np.float32
    assert Brackets.of(rows_of_kind("tight clusters", rng)).centred.dtype == np.float64


def test_brackets_hold_the_distances(rng):
    from refold.metrics._distances import Brackets

    for kind in ("numbers", "very wide", "far from zero", "an outlier", "columns of unlike scale"):
        rows = rows_of_kind(kind, rng)
        brackets = Brackets._in(rows, np.float32)
        part = brackets.part(0, len(rows))
        scale = np.exp2(np.rint(np.log2(np.ptp(brackets.centred) / np.ptp(rows - np.median(rows, axis=0)))))
        squares = np.stack([np.square((rows - row) * scale).sum(axis=1) for row in rows])
        others = ~np.eye(len(rows), dtype=bool)
        assert (part.low <= squares)[others].all() and (squares <= part.high)[others].all()
        assert np.median((part.high[others] - part.low[others]) / squares[others]) < 1e-3


def test_sizes_out_of_range_are_refused(rows):
    with pytest.raises(ParameterError, match="size must be a whole number from 1 to 39, the others of 40 records"):
        neighbourhoods(rows, rows, 40)
    with pytest.raises(ParameterError, match="ranked must be a whole number from 1 to 3"):
        neighbourhoods(rows, rows, 3, ranked=4)
    with pytest.raises(DataError, match="data has 40 records and code has 39"):
        neighbourhoods(rows, rows[1:], 3)
