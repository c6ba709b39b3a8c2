"""Blocks of any values: they come back within what was promised, whatever they hold."""

import bz2
import lzma

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from refold._errors import CompressedFileError
from refold.codec import Bound, find_fill, find_specials, pack, parse_bound, unpack, ways_of

PLAIN = ways_of(b"")
UGLY = [np.nan, -np.nan, np.inf, -np.inf, 0.0, -0.0, 5e-324, -1e-310, 1e20, 1.7e308, 1.0, 1 + 2**-52]
TYPES = ["?", "i1", "u1", "i2", "u2", "i4", "u4", "i8", "u8", "f2", "f4", "f8"]


def round_trip(values, bound, fill=()):
    packed = pack(values, bound, PLAIN, fill)
    found = unpack(packed.data, values.shape, values.dtype, PLAIN)
    assert found.dtype == values.dtype
    assert found.shape == values.shape
    assert found.tobytes() == packed.values.tobytes()
    return found, packed.data


def assert_within(values, found, bound):
    """Reckoned in float64, as the promise says; what is not finite comes back bit for bit."""
    if bound.lossless or values.dtype.kind == "b":
        assert values.tobytes() == found.tobytes()
        return
    if values.dtype.kind in "iu":
        wide = [[int(value) for value in array.reshape(-1)] for array in (values, found)]
        assert all(abs(a - b) <= (abs(a) * bound.amount if bound.kind == "of_value" else bound.amount)
                   for a, b in zip(*wide, strict=True))  # fmt: skip
        return
    finite = np.isfinite(values)
    assert values[~finite].tobytes() == found[~finite].tobytes()
    with np.errstate(over="ignore"):
        errors = np.abs(values[finite].astype(np.float64) - found[finite].astype(np.float64))
    assert (errors <= bound.allowed(values[finite])).all()


BOUNDS = st.sampled_from([0, 1e-300, 1e-9, 1e-3, 0.5, 1, 7, 1e5, "1e-3pw", "0.2pw", "1e-9pw"]).map(parse_bound)
SHAPES = hnp.array_shapes(min_dims=1, max_dims=4, min_side=0, max_side=5)


@settings(max_examples=200, deadline=None)
@given(st.data(), st.sampled_from(TYPES), SHAPES, BOUNDS)
def test_values_of_every_type_and_shape_come_back_within_the_bound(data, dtype, shape, bound):
    values = data.draw(hnp.arrays(dtype, shape))
    assert_within(values, round_trip(values, bound)[0], bound)


@pytest.mark.slow
@settings(max_examples=10_000, deadline=None)
@given(st.data(), st.sampled_from(TYPES), SHAPES, BOUNDS)
def test_ten_thousand_arrays_come_back_within_the_bound(data, dtype, shape, bound):
    values = data.draw(hnp.arrays(dtype, shape))
    assert_within(values, round_trip(values, bound)[0], bound)


@settings(max_examples=150, deadline=None)
@given(st.lists(st.sampled_from(UGLY), min_size=1, max_size=30), st.sampled_from(["f4", "f8"]), BOUNDS)
def test_what_is_no_ordinary_number_comes_back_bit_for_bit(some, dtype, bound):
    with np.errstate(over="ignore"):
        values = np.array(some, np.float64).astype(dtype)
    assert_within(values, round_trip(values, bound)[0], bound)


@pytest.mark.parametrize("scale", [1e-30, 1e-3, 1, 1e6, 1e30])
@pytest.mark.parametrize("dtype", ["f2", "f4", "f8"])
@pytest.mark.parametrize("text", ["1e-2rel", "1e-4rel", "1e-7rel", "1e-3pw", "1e-6pw"])
def test_smooth_values_of_every_size_stay_within_the_bound(scale, dtype, text):
    rng = np.random.default_rng(0)
    with np.errstate(over="ignore"):
        values = (scale * np.cumsum(rng.normal(size=(20, 30)), axis=1)).astype(dtype)
    finite = values[np.isfinite(values)]
    if not finite.size:
        return
    bound = parse_bound(text).within(finite)
    assert_within(values, round_trip(values, bound)[0], bound)


def test_smooth_values_become_much_smaller():
    values = np.sin(np.arange(20_000) / 40).astype(np.float32)
    assert len(round_trip(values, Bound(1e-3))[1]) < values.nbytes / 6


@pytest.mark.parametrize("make", [
    lambda rng: rng.bytes(40_000),
    lambda rng: rng.normal(size=5_000).tobytes(),
    lambda rng: (b"the mountain camera that sees the forest fire; " * 900)[:40_000],
    lambda rng: bytes(40_000),
], ids=["noise", "normal", "text", "zeros"])  # fmt: skip
def test_nothing_is_longer_than_the_plain_way(rng, make):

    data = make(rng)
    values = np.frombuffer(data, np.uint8)
    plain = min(len(data), len(lzma.compress(data, lzma.FORMAT_ALONE)), len(bz2.compress(data)))
    assert len(round_trip(values, Bound(0))[1]) <= 1.01 * plain + 2


def test_land_is_found_and_costs_little(rng):
    sea = np.cumsum(rng.normal(size=(40, 50)), axis=1).astype(np.float32)
    values = np.where(np.arange(50) < 20, np.float32(1e20), sea)
    assert find_fill(values) == (float(np.float32(1e20)),)
    found, data = round_trip(values, Bound(0.01), find_fill(values))
    assert (found[:, :20] == np.float32(1e20)).all()
    assert len(data) < len(round_trip(np.ascontiguousarray(sea[:, 20:]), Bound(0.01))[1]) + 200


@pytest.mark.parametrize("values", [[1.0, 2.0, 3.0, 1e9], [5.0, 5.0, 5.0], [0.0, 0.0, 1.0, 1.0], [1.0, 2.0]])
def test_ordinary_numbers_are_not_taken_for_land(values):
    assert find_fill(np.array(values)) == ()


def test_many_kinds_of_gaps_come_back(rng):
    bits = 0x7FF8_0000_0000_0000 + rng.integers(1, 200, 500)
    values = bits.astype(np.uint64).view(np.float64)
    assert_within(values, round_trip(values, Bound(0.1))[0], Bound(0.1))
    assert find_specials((bits + np.arange(500) * 1000).astype(np.uint64).view(np.float64)) is None


@settings(max_examples=150, deadline=None)
@given(st.binary(max_size=60))
def test_any_bytes_are_decoded_or_refused_in_a_sentence(data):
    try:
        found = unpack(data, (7, 3), "<f4", PLAIN)
    except CompressedFileError:
        return
    assert found.shape == (7, 3)


@pytest.mark.parametrize("text", ["1e-3rel", "0.5", " 1E-3 PW", "3abs"])
def test_bounds_are_read(text):
    assert parse_bound(text) == parse_bound(str(parse_bound(text)))


@pytest.mark.parametrize("text", ["", "rel", "-1", "nan", "inf", "1e-3xyz", None, [1], True, "1pw"])
def test_what_is_no_bound_is_refused(text):
    with pytest.raises(ValueError, match="largest error"):
        parse_bound(text)
