"""The compressor: its promises, its models, and the same values on every machine."""

import io
import json
import os
import subprocess
import sys
from hashlib import sha256

import numpy as np
import pytest
from sklearn.base import clone
from sklearn.datasets import load_digits

import refold
from refold import CompressedFileError, Compressor, DataError, ParameterError, RefoldWarning
from refold.codec import CODE, FIELD, PICTURES, TABLE, RefzWriter, model_of, read_contents
from refold.estimators import Spread, _code_alone
from refold.estimators._compressing import Wish, marked, read_one_block, write_array
from refold.train import (
    CodeTrainingPlan,
    LatticePlan,
    RasterPlan,
    learn_code,
    learn_columns,
    learn_lattice,
    learn_raster,
)

OTHER_MACHINES = [
    {"OPENBLAS_NUM_THREADS": "2", "OMP_NUM_THREADS": "2", "OPENBLAS_CORETYPE": "Haswell"},
    {"OPENBLAS_NUM_THREADS": "1", "OPENBLAS_CORETYPE": "Nehalem", "ATEN_CPU_CAPABILITY": "default"},
    {
        "NPY_DISABLE_CPU_FEATURES": "AVX2 FMA3 AVX512F AVX512CD AVX512_SKX AVX512_CLX AVX512_CNL AVX512_ICL",
        "MKL_CBWR": "COMPATIBLE",
        "ONEDNN_MAX_CPU_ISA": "SSE41",
    },
]


def moving(count=5, seed=0):
    """Waves that move from slice to slice, with land."""
    rng = np.random.default_rng(seed)
    rows, columns = np.mgrid[:64, :72]
    field = np.zeros((count, 64, 72))
    for _ in range(12):
        along, across, speed, phase = rng.normal(size=4) * (0.2, 0.2, 0.6, 3.0)
        field += np.sin(along * rows + across * columns + phase + speed * np.arange(count)[:, None, None])
    field[:, :10, :8] = 1e20
    return field.astype(np.float32)


def with_model(model, **parameters):
    compressor = Compressor(**parameters)
    compressor.model_ = model
    return compressor


@pytest.fixture(scope="module")
def digits():
    return load_digits().images.astype(np.uint8)


@pytest.fixture(scope="module")
def learned(digits):
    """A compressor of each kind, learned in little time, with data that it did not learn from."""
    field = moving(10)[:5]
    known = field < 1e19
    small = LatticePlan(hidden=16, steps=(500, 300), bits=(8,), batch=512)
    lattice = learn_lattice(np.where(known, field, 0) / 2e-3, known, 4, 0, plan=small)
    raster = learn_raster(digits[:800], plan=RasterPlan(8, (16, 16)))
    table = digits.reshape(-1, 64)[:, 16:28].astype(np.int16)
    columns = learn_columns(table[:1500].astype(np.int64))
    brief = CodeTrainingPlan(6, (32,), (32,), 8, steps=600, batch_size=64)
    code = learn_code(digits[:800], 0, quality=0.4, plan=brief)
    return {
        "field": (with_model(model_of({FIELD: lattice}), max_error=0.016), moving(10)[5:]),
        "pictures": (with_model(model_of({PICTURES: raster})), digits[800:1100]),
        "table": (with_model(model_of({TABLE: columns})), table[1500:]),
        "code": (with_model(model_of({CODE: code}), quality=0.4), digits[800:1100]),
    }


KINDS = ("field", "pictures", "table", "code")


# --- promises ------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("bound", [0.02, "1e-3rel", "1e-2pw"])
def test_no_value_is_off_by_more_than_was_promised(bound):
    field = moving()
    compressor = Compressor(max_error=bound)
    found = compressor.decompress(compressor.compress(field))
    sea = field < 1e19
    assert (found[~sea] == field[~sea]).all()
    errors, size = np.abs(found.astype(np.float64) - field)[sea], np.abs(field.astype(np.float64))[sea]
    allowed = {0.02: 0.02, "1e-3rel": 1e-3 * np.ptp(field[sea].astype(np.float64)), "1e-2pw": 1e-2 * size}[bound]
    assert (errors <= allowed).all()
    assert compressor.report_.largest_error == pytest.approx(errors.max())


@pytest.mark.parametrize("values", [
    np.float64(2.5), np.array([], np.int8), np.zeros((0, 4)), np.zeros((3, 0, 2)), np.arange(7, dtype=">i4"),
    np.asfortranarray(np.arange(12.0).reshape(3, 4)), np.arange(24.0).reshape(2, 3, 4)[:, ::-1, ::2],
    np.array([[True, False]]), np.array([np.nan, np.inf, -0.0, 5e-324]),
], ids=["one", "none", "no rows", "no values", "big-endian", "Fortran", "a view", "bool", "ugly"])  # fmt: skip
def test_arrays_of_every_form_come_back(values):
    found = refold.decompress(Compressor().compress(values))
    assert (found.dtype, found.shape) == (values.dtype, values.shape)
    assert found.tobytes() == values.tobytes()


def test_a_masked_array_comes_back_as_one():
    field = moving()
    masked = np.ma.masked_greater(field, 1e19)
    data = Compressor(max_error="1e-3rel").compress(masked)
    found = refold.decompress(data)
    assert isinstance(found, np.ma.MaskedArray)
    assert (found.mask == masked.mask).all()
    assert np.abs(found - masked).max() <= 1e-3 * np.ptp(masked.compressed())
    assert len(data) < 1.1 * len(Compressor(max_error="1e-3rel").compress(field))
    assert refold.decompress(Compressor().compress(np.ma.masked_all((3, 2)))).mask.all()


def test_a_quality_is_reached_on_the_data_at_hand(learned):
    compressor, digits = learned["code"]
    found = compressor.decompress(compressor.compress(digits)).astype(np.float64)
    kept = 1 - np.square(found - digits).mean() / digits.var(axis=0, dtype=np.float64).mean()
    assert 0.39 < kept < 0.45
    with_fewer = clone(compressor).set_params(quality=0.3)
    with_fewer.model_ = compressor.model_
    assert len(with_fewer.compress(digits)) < len(compressor.compress(digits))


@pytest.mark.parametrize("count", [3, 999, 1500, 4100])
def test_a_code_is_tuned_on_records_from_all_over(count, monkeypatch):
    monkeypatch.setattr(_code_alone, "_AT_ONCE", 700)
    found = np.concatenate(list(_code_alone._looked_over(np.arange(count)[:, None], ())))[:, 0]
    steps = np.diff(found)
    assert len(found) <= 1000 and (steps == steps[0]).all() and found[-1] + steps[0] >= count


def test_numbers_that_stand_for_nothing_are_refused_by_a_code(learned):
    compressor, digits = learned["code"]
    gaps = digits.astype(np.float32)
    gaps[:3, 0, 0] = 1e20
    with pytest.raises(DataError, match="1e\\+20 stands for nothing"):
        compressor.compress(gaps)


def test_the_spread_of_blocks_is_that_of_all_values():
    values = np.cumsum(np.random.default_rng(0).normal(size=(50, 3, 2)), axis=0) + 1e3
    spread = Spread()
    for start, stop in ((0, 7), (7, 7), (7, 30), (30, 50)):
        spread.add(values[start:stop])
    assert spread.squares == pytest.approx(np.square(values - values.mean(0)).sum())


def test_fewer_bytes_are_kept_to(learned):
    compressor, digits = learned["code"]
    poorer = with_model(compressor.model_, bytes_per_sample=2.0)
    assert len(poorer.compress(digits)) <= 2.0 * len(digits) + 80


# --- models --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("kind", KINDS)
def test_what_was_learned_makes_files_smaller_and_comes_back(learned, kind):
    compressor, values = learned[kind]
    data = compressor.compress(values)
    plain = Compressor(max_error=compressor.max_error).compress(values)
    assert len(data) < len(plain)
    assert compressor.report_.learned == 1
    found = compressor.decompress(data)
    assert found.dtype == values.dtype
    if kind in ("pictures", "table"):
        assert (found == values).all()


@pytest.mark.parametrize("kind", KINDS)
def test_a_model_beside_is_asked_for_and_one_inside_is_not(learned, kind):
    compressor, values = learned[kind]
    beside, inside = compressor.compress(values), compressor.compress(values, model="inside")
    with pytest.raises(CompressedFileError, match="give that model"):
        refold.decompress(beside)
    assert (refold.decompress(inside) == compressor.decompress(beside)).all()
    assert len(inside) > len(beside)


def test_a_model_goes_in_only_where_it_pays(learned):
    compressor, values = learned["field"]
    small = compressor.compress(values[:1], model="auto")
    assert len(small) <= len(Compressor(max_error=compressor.max_error).compress(values[:1]))
    refold.decompress(small)


@pytest.mark.parametrize("kind", KINDS)
def test_a_saved_compressor_makes_the_same_bytes(learned, kind, tmp_path):
    compressor, values = learned[kind]
    compressor.save(tmp_path / "codec.safetensors")
    same = refold.load(tmp_path / "codec.safetensors")
    assert same.compress(values) == compressor.compress(values)


@pytest.mark.parametrize(
    "environment",
    [OTHER_MACHINES[2], *(pytest.param(machine, marks=pytest.mark.slow) for machine in OTHER_MACHINES[:2])],
    ids=["no vectors", "two threads", "old processor"],
)
def test_every_machine_decodes_to_the_same_values(learned, environment, tmp_path):
    files = {}
    for kind, (compressor, values) in learned.items():
        path = tmp_path / f"{kind}.refz"
        path.write_bytes(compressor.compress(values[:60], model="inside"))
        files[str(path)] = sha256(refold.decompress(path).tobytes()).hexdigest()
    script = """
import json, sys
from hashlib import sha256
from refold.codec import read_block, read_contents, unpack, ways_of

def digest(path):
    with open(path, "rb") as file:
        contents = read_contents(file)
        (entry,), (model,) = contents.arrays, contents.models.values()
        (block,) = entry.blocks
        values = unpack(read_block(file, block), entry.shape, entry.head.dtype, ways_of(model))
        return sha256(values.tobytes()).hexdigest()

print(json.dumps({path: digest(path) for path in sys.argv[1:]}))
"""
    run = subprocess.run(
        [sys.executable, "-W", "ignore", "-c", script, *files],
        env=os.environ | environment, capture_output=True, text=True, check=True,
    )  # fmt: skip
    assert json.loads(run.stdout) == files


def test_blocks_are_the_same_alone_and_among_others(learned):
    """Each is decoded by itself, so that any part can be read without the rest."""

    compressor, values = learned["pictures"]
    wish = compressor.wish(values, compressor.model_)
    small = Wish(wish.bound, wish.ways, wish.fill, block=64 * 60)

    file = io.BytesIO()
    writer = RefzWriter(file)
    write_array(writer, values, small, mark=marked(compressor.model_))
    writer.end()
    (entry,) = read_contents(file).arrays
    assert len(entry.blocks) == 5
    assert (read_one_block(file, entry, entry.blocks[3], wish.ways) == values[180:240]).all()


# --- what does not fit ---------------------------------------------------------------------------------------------


def test_data_unlike_those_learned_go_a_plain_way_and_that_is_said(learned):
    compressor, digits = learned["pictures"]
    noise = np.random.default_rng(0).integers(0, 256, digits.shape, np.uint8)
    with pytest.warns(RefoldWarning, match="do not resemble"):
        data = compressor.compress(noise)
    assert (compressor.decompress(data) == noise).all()
    assert len(data) < 1.01 * noise.nbytes + 100


@pytest.mark.parametrize(("parameters", "message"), [
    ({"max_error": "1e-3xyz"}, "1e-3rel"), ({"max_error": -1}, "max_error"), ({"max_error": np.nan}, "max_error"),
    ({"quality": 1.5}, "quality"), ({"bytes_per_sample": 0}, "bytes_per_sample"),
    ({"quality": 0.9, "max_error": 0.1}, "exclude"), ({"quality": 0.9, "bytes_per_sample": 3}, "exclude"),
])  # fmt: skip
def test_parameters_that_are_not_allowed_are_named(parameters, message):
    with pytest.raises(ParameterError, match=message):
        Compressor(**parameters).fit(np.zeros((5, 3)))


def test_a_code_alone_wants_to_be_learned_first():
    with pytest.raises(ParameterError, match="call fit first"):
        Compressor(quality=0.9).compress(np.zeros((5, 3)))


@pytest.mark.parametrize("values", [np.array(["a"]), np.zeros(2, complex), np.zeros((1,) * 5), np.zeros(2, "M8[s]")])
def test_what_is_no_array_of_numbers_is_refused(values):
    with pytest.raises(DataError, match="cannot be compressed"):
        Compressor().compress(values)


def test_records_of_another_shape_or_with_gaps_are_refused_by_a_code(learned):
    compressor, digits = learned["code"]
    with pytest.raises(DataError, match="shape"):
        compressor.compress(digits[:, :7])
    gaps = digits.astype(np.float32)
    gaps[0, 0, 0] = np.nan
    with pytest.raises(DataError, match="NaN"):
        compressor.compress(gaps)


def test_nothing_can_be_learned_from_nothing():
    with pytest.raises(DataError, match="nothing to learn from"):
        Compressor().fit(np.zeros((0, 3)))
