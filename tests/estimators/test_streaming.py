"""Data larger than `max_memory` are read from disk; nothing else is different."""

import warnings

import numpy as np
import pyarrow as pa
import pytest
from PIL import Image
from pyarrow import csv, feather, parquet
from sklearn.datasets import load_digits

import refold
from refold import Autoencoder
from refold.train import Listener

TINY = 20_000  # bytes
USUAL = {"latent_dim": 2, "hidden": (16,), "max_epochs": 3, "random_state": 0, "batch_size": 32}


@pytest.fixture(scope="module")
def table():
    rng = np.random.default_rng(0)
    hidden = rng.normal(size=(3000, 2))
    numbers = np.tanh(hidden @ rng.normal(size=(2, 5))) + rng.normal(0, 0.05, (3000, 5))
    columns = {f"sensor{place}": column.astype(np.float32) for place, column in enumerate(numbers.T)}
    columns["state"] = np.where(hidden[:, 0] > 1, "hot", np.where(hidden[:, 1] > 1, "wet", "calm"))
    columns["gaps"] = np.where(rng.uniform(size=3000) < 0.1, None, hidden[:, 1])
    return pa.table({name: pa.array(list(column)) for name, column in columns.items()})


WRITERS = {
    "parquet": lambda table, path: parquet.write_table(table, path, row_group_size=500),
    "csv": lambda table, path: csv.write_csv(table, path),
    "feather": lambda table, path: feather.write_feather(table, path, chunksize=300),
}


def written(table, folder, kind):
    path = folder / f"table.{kind}"
    WRITERS[kind](table, path)
    return path


def model(**parameters):
    return Autoencoder(**{**USUAL, **parameters})


def weights(fitted):
    return {name: value.numpy().tobytes() for name, value in fitted.net_.state_dict().items()}


@pytest.mark.parametrize("kind", WRITERS)
def test_results_are_those_of_data_in_memory(table, tmp_path, kind):
    path = written(table, tmp_path, kind)
    fitted = model().fit(path)
    codes, errors, kept = fitted.transform(path), fitted.reconstruction_error(path), fitted.score(path)
    rebuilt, features = fitted.reconstruct(path), fitted.features(path)
    fitted.set_params(max_memory=TINY)
    assert len(list(fitted.transform_chunks(path))) > 1
    assert np.array_equal(fitted.transform(path), codes)
    assert np.array_equal(fitted.reconstruction_error(path), errors)
    assert fitted.score(path) == pytest.approx(kept)
    assert fitted.reconstruct(path).equals(rebuilt)
    assert np.array_equal(fitted.features(path), features, equal_nan=True)


@pytest.mark.parametrize("kind", WRITERS)
def test_learning_from_disk_is_as_good_as_from_memory(table, tmp_path, kind):
    path = written(table, tmp_path, kind)
    kept = [model(max_epochs=8, max_memory=memory).fit(path).score(table) for memory in ("auto", TINY)]
    assert kept[0] > 0.6 and kept[1] == pytest.approx(kept[0], abs=0.03)


def test_scale_and_categories_are_those_of_data_in_memory(table, tmp_path):
    path = written(table, tmp_path, "parquet")
    first, other = (
        model(max_epochs=1, validation_fraction=0, max_memory=memory).fit(path) for memory in (10**9, TINY)
    )
    assert first.adapter_ == other.adapter_ and first.spec_ == other.spec_
    for name in ("center", "spread", "low", "high"):
        ours, theirs = (getattr(fitted.net_.scaling, name) for fitted in (first, other))
        assert np.allclose(ours, theirs, rtol=1e-12)


def test_the_same_records_are_held_out(table, tmp_path):
    path = written(table, tmp_path, "parquet")
    places = [model(max_memory=memory).fit(path).held_out_ for memory in (10**9, 2 * 10**5)]
    assert np.array_equal(*places) and len(places[0]) == 300
    few = model(max_memory=TINY).fit(path).held_out_
    assert 0 < len(few) < 300  # no more than the memory allows


def test_the_same_seed_gives_the_same_weights(table, tmp_path):
    path = written(table, tmp_path, "parquet")
    assert weights(model(max_memory=TINY).fit(path)) == weights(model(max_memory=TINY).fit(path))


class KilledError(BaseException):
    pass


class Kill(Listener):
    def moved(self, epochs):
        if epochs > 1.4:
            raise KilledError


def test_a_killed_fit_goes_on_in_the_middle_of_a_pass(table, tmp_path, monkeypatch):
    monkeypatch.setattr("refold.train._loop._SECONDS_BETWEEN_WORDS", 0)
    monkeypatch.setattr("refold.train._checkpoint._DEAREST", 0)
    data, path = written(table, tmp_path, "parquet"), tmp_path / "run.checkpoint"
    streams = {"max_memory": TINY, "checkpoint": path, "checkpoint_seconds": 0}
    with pytest.raises(KilledError):
        model(**streams, track=[Kill()]).fit(data)
    assert weights(model(**streams).fit(data)) == weights(model(max_memory=TINY).fit(data))
    parquet.write_table(table.slice(1), data, row_group_size=500)
    with pytest.raises(refold.CheckpointError, match="other data"):
        model(**streams).fit(data)


def test_arrays_and_memory_maps(tmp_path):
    digits = (load_digits().images * 15).astype(np.uint8)
    path = tmp_path / "digits.npy"
    np.save(path, digits)
    in_memory = model(net="dense", max_epochs=5).fit(digits)
    for data in (path, np.load(path, mmap_mode="r")):
        streamed = model(net="dense", max_epochs=5, max_memory=TINY).fit(data)
        assert streamed.score(digits) == pytest.approx(in_memory.score(digits), abs=0.03)
        assert np.array_equal(streamed.reconstruct(data), streamed.set_params(max_memory="auto").reconstruct(digits))


def test_folders_of_pictures(tmp_path):
    for place, digit in enumerate(load_digits().images[:200]):
        Image.fromarray((digit * 15).astype(np.uint8)).save(tmp_path / f"{place:03d}.png")
    fitted = model(max_memory=TINY, max_epochs=2).fit(tmp_path)
    codes = fitted.transform(tmp_path)
    assert codes.shape == (200, 2)
    assert np.array_equal(codes, fitted.set_params(max_memory="auto").transform(tmp_path))


def test_folders_of_tables(table, tmp_path):
    folder = tmp_path / "many"
    folder.mkdir()
    for start in range(0, 3000, 1000):
        parquet.write_table(table.slice(start, 1000), folder / f"{start:04d}.parquet", row_group_size=300)
    fitted = model(max_memory=TINY).fit(folder)
    assert np.array_equal(fitted.transform(folder), fitted.transform(table))


def test_values_that_cannot_be_learned_from_are_found_with_their_place(tmp_path):
    numbers = np.random.default_rng(0).normal(size=(3000, 6)).astype(np.float32)
    numbers[2345, 1] = np.nan
    path = tmp_path / "rows.npy"
    np.save(path, numbers)
    with pytest.raises(refold.DataError, match=r"NaN.*\(2345, 1\)"):
        model(max_memory=TINY).fit(path)
    fitted = model(max_memory=TINY, missing="mask").fit(path)
    assert fitted.transform(path).shape == (3000, 2)


def test_one_record_is_too_few(tmp_path):
    path = tmp_path / "one.npy"
    np.save(path, np.zeros((1, 10_000)))
    with pytest.raises(refold.DataError, match="at least 2 records"):
        model(max_memory=TINY).fit(path)


def test_partial_fit_streams_too(table, tmp_path):
    path = written(table, tmp_path, "parquet")
    fitted = model(max_memory=TINY)
    errors = [fitted.partial_fit(path).history_["train_error"][0] for _ in range(3)]
    assert errors[-1] < errors[0]


def test_no_warnings_on_the_way(table, tmp_path):
    path = written(table, tmp_path, "parquet")
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        model(max_memory=TINY).fit(path).transform(path)


def test_data_of_another_container_go_on_as_in_memory(table, tmp_path):
    numbers = np.column_stack([table[f"sensor{place}"] for place in range(5)])
    path = tmp_path / "rows.parquet"
    parquet.write_table(table.select([f"sensor{place}" for place in range(5)]), path, row_group_size=500)
    fitted = model(max_memory=TINY).fit(numbers)
    assert fitted.partial_fit(path).transform(path).shape == (3000, 2)


def test_what_is_free_does_not_decide_what_is_learned(table, tmp_path, monkeypatch):
    path = written(table, tmp_path, "parquet")
    learned = []
    for free in (2000, 3000):
        monkeypatch.setattr("refold.estimators._preparing.free_memory", lambda free=free: free)
        learned.append(weights(model().fit(path)))
    assert learned[0] == learned[1]


def test_a_file_that_lost_records_is_an_error_and_not_a_shorter_pass(table, tmp_path):
    path = written(table, tmp_path, "parquet")

    class Shorten(Listener):
        def finished_epoch(self, record):
            parquet.write_table(table.slice(0, 2900), path, row_group_size=500)

    with pytest.raises(refold.DataError):
        model(max_memory=TINY, track=[Shorten()]).fit(path)
