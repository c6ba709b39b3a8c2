"""Codes that keep neighbours or distances."""

import numpy as np
import pytest
import torch
from scipy.stats import spearmanr
from sklearn.datasets import load_digits, load_wine, make_swiss_roll
from sklearn.neighbors import KNeighborsClassifier

import refold
from refold import Autoencoder, ParameterError
from refold.estimators._keeping import Placing, find_placing
from refold.objectives import KeepNeighbours
from refold.train import InMemory

IMAGES, LABELS = (each[:700] for each in (load_digits().images, load_digits().target))


def fitted(records, **parameters):
    usual = {"latent_dim": 2, "random_state": 0, "threads": 1, "max_epochs": 30}
    return Autoencoder(**{**usual, **parameters}).fit(records)


@pytest.fixture(scope="module")
def neighbourly():
    return fitted(IMAGES[:500], keep="neighbours")


def accuracy(model):
    code, new = model.transform(IMAGES[:500]), model.transform(IMAGES[500:])
    return KNeighborsClassifier(5).fit(code, LABELS[:500]).score(new, LABELS[500:])


def test_neighbours_are_kept_for_new_records_too(neighbourly):
    assert accuracy(neighbourly) > accuracy(fitted(IMAGES[:500])) + 0.05


def test_small_pictures_whose_codes_have_places_go_through_convolutions_first(neighbourly):
    assert neighbourly.spec_.kind == "dense" and len(neighbourly.spec_.front) == 2
    quick = {"keep": "neighbours", "max_epochs": 1}
    rows = IMAGES[:100, 2:6, 2:6].reshape(100, -1)  # no column is constant
    others = fitted(rows, **quick), fitted(IMAGES[:100], net="dense", **quick), fitted(IMAGES[:100], max_epochs=1)
    assert not any(model.spec_.front for model in others)


@pytest.mark.parametrize(("keep", "optimizer"), [("neighbours", "muon"), (None, "adamw"), ("smooth", "adamw")])
def test_muon_moves_the_layers_where_codes_have_places(keep, optimizer):
    quick = {"keep": keep, "max_epochs": 2, "hidden": (24, 24)}
    rows = IMAGES[:100, 2:6, 2:6].reshape(100, -1)  # no column is constant
    codes = {name: fitted(rows, optimizer=name, **quick).transform(rows) for name in ("auto", "adamw", "muon")}
    assert np.array_equal(codes["auto"], codes[optimizer])
    assert not np.array_equal(codes["adamw"], codes["muon"])


def test_a_record_gets_the_same_code_alone_and_among_others(neighbourly):
    together = neighbourly.transform(IMAGES[500:520])
    alone = np.concatenate([neighbourly.transform(image[None]) for image in IMAGES[500:520]])
    assert np.array_equal(together, alone)


def test_the_same_seed_gives_the_same_codes(neighbourly):
    again = fitted(IMAGES[:500], keep="neighbours")
    assert np.array_equal(again.transform(IMAGES[:50]), neighbourly.transform(IMAGES[:50]))


def test_a_saved_model_gives_the_same_codes_and_says_what_it_keeps(neighbourly, tmp_path):
    neighbourly.save(tmp_path / "map.safetensors")
    loaded = refold.load(tmp_path / "map.safetensors")
    assert loaded.keep == "neighbours"
    assert np.array_equal(loaded.transform(IMAGES[:50]), neighbourly.transform(IMAGES[:50]))


def test_distances_along_a_sheet_are_kept_for_new_records():
    rows, _ = make_swiss_roll(1500, random_state=0)
    new, along = make_swiss_roll(500, random_state=1)
    plain, kept = (fitted(rows, keep=keep, max_epochs=50) for keep in (None, "distances"))
    code = kept.transform(new)
    best = [max(abs(spearmanr(code[:, place], true).statistic) for place in (0, 1)) for true in (along, new[:, 1])]
    assert min(best) > 0.98
    assert kept.reconstruction_error(new).mean() < plain.reconstruction_error(new).mean()


@pytest.mark.parametrize("keep", ["neighbours", "distances"])
def test_missing_cells_are_no_trouble(keep):
    rows = load_wine().data.copy()
    rows[::7, 3] = np.nan
    model = fitted(rows, keep=keep, missing="mask", max_epochs=5)
    assert np.isfinite(model.transform(rows)).all()


def test_few_records_have_fewer_neighbours():
    assert fitted(load_wine().data[:12], keep="neighbours", max_epochs=2).transform(load_wine().data).shape == (
        178,
        2,
    )


@pytest.mark.parametrize("keep", ["neighbours", "distances"])
def test_there_may_be_fewer_records_than_numbers_of_the_code(keep):
    few = np.random.default_rng(0).normal(size=(3, 6))
    assert fitted(few, keep=keep, latent_dim=5, max_epochs=2).transform(few).shape == (3, 5)


def test_wide_records_are_compared_by_their_components():
    wide = np.random.default_rng(0).normal(size=(60, 1500)).astype(np.float32)
    assert np.isfinite(fitted(wide, keep="neighbours", max_epochs=1).transform(wide)).all()


@pytest.mark.parametrize(
    ("keep", "sentence"),
    [
        ("neighbors+distances", "neighbours or distances, not both"),
        ("neighbours + neighbours(1)", "neighbours occurs more than once"),
        ("smooth + smooth", "smooth occurs more than once"),
        ("neighbours | smooth", "joined with +"),
        ("smooth(0)", "weight must be above 0"),
        ("neighbours(0)", "weight must be above 0"),
        ("distances(1, 1.5)", "count is a whole number of 2 to 1000"),
        ("nearest", "keep 'nearest' is not known"),
        (3, "keep"),
    ],
)
def test_what_cannot_be_kept_is_said(keep, sentence):
    with pytest.raises(ParameterError, match=sentence.replace("(", "\\(")):
        Autoencoder(keep=keep).fit(IMAGES[:50])


def test_partial_fit_and_records_on_disk_are_refused(tmp_path):
    with pytest.raises(ParameterError, match="all records must be seen at once"):
        Autoencoder(keep="neighbours").partial_fit(IMAGES[:50])
    np.save(tmp_path / "rows.npy", np.random.default_rng(0).random((4000, 500), np.float32))
    with pytest.raises(ParameterError, match="give more memory"):
        Autoencoder(keep="neighbours", max_memory="1MB", max_epochs=1).fit(tmp_path / "rows.npy")


def sheet():
    """Rows on a sheet of two dimensions that is stretched unevenly, 200 of them new."""
    rng = np.random.default_rng(0)
    rows = np.tanh(3 * rng.uniform(-1, 1, (900, 2)) @ rng.normal(size=(2, 12))).astype(np.float32)
    return rows[:700], rows[700:]


def distortion(model, records):
    """Unevenness in the middle, and how many times as large as small areas large ones are."""
    found = refold.stretching(model, records)
    small, large = np.percentile(found.area, [10, 90])
    return np.median(found.unevenness), large / small


def test_a_smooth_decoder_stretches_new_records_alike_at_nearly_the_same_error():
    rows, new = sheet()
    usual = {"hidden": (64, 64), "max_epochs": 40, "batch_size": 32}
    plain, smooth = (fitted(rows, keep=keep, **usual) for keep in (None, "smooth"))
    (uneven_plain, spread_plain), (uneven, spread) = (distortion(each, new) for each in (plain, smooth))
    assert uneven - 1 < 0.6 * (uneven_plain - 1)
    assert spread - 1 < 0.5 * (spread_plain - 1)
    assert smooth.reconstruction_error(new).mean() < 1.25 * plain.reconstruction_error(new).mean()


def test_neighbours_are_kept_by_a_smooth_decoder_too(neighbourly):
    both = fitted(IMAGES[:500], keep="neighbours + smooth")
    assert distortion(both, IMAGES[500:])[0] < 0.75 * distortion(neighbourly, IMAGES[500:])[0]
    assert accuracy(both) > accuracy(neighbourly) - 0.05
    assert np.isfinite(both.history_["train_loss"]).all()


def test_what_is_smooth_needs_no_places_and_so_no_memory(tmp_path):
    np.save(tmp_path / "rows.npy", np.random.default_rng(0).random((4000, 50), np.float32))
    usual = {"latent_dim": 2, "hidden": (16,), "keep": "smooth", "random_state": 0}
    model = Autoencoder(**usual, max_memory="200kB", max_epochs=1).fit(tmp_path / "rows.npy")
    assert np.isfinite(model.transform(tmp_path / "rows.npy")).all()
    parts = Autoencoder(**usual).partial_fit(IMAGES[:300]).partial_fit(IMAGES[300:600])
    assert np.isfinite(parts.transform(IMAGES)).all()


def test_a_table_with_categories_and_gaps_is_made_smooth():
    import pandas as pd

    table = pd.DataFrame(load_wine().data[:, :5])
    table.columns = [f"column{place}" for place in range(5)]
    table["kind"] = load_wine().target.astype(str)
    table.iloc[::7, 2] = np.nan
    model = fitted(table, keep="distances(1) + smooth(0.1)", max_epochs=5)
    assert np.isfinite(model.transform(table)).all()


def test_a_users_own_decoder_with_chance_in_it_is_made_smooth():
    torch.manual_seed(0)
    decoder = torch.nn.Sequential(
        torch.nn.Linear(2, 32),
        torch.nn.BatchNorm1d(32),
        torch.nn.ReLU(),
        torch.nn.Dropout(0.1),
        torch.nn.Linear(32, 12),
    )
    rows, new = sheet()
    model, plain = (fitted(rows, decoder=decoder, keep=keep) for keep in ("smooth", None))
    assert distortion(model, new)[1] < distortion(plain, new)[1]


def test_pictures_keep_their_network_where_no_places_are_found():
    pictures = np.random.default_rng(0).random((40, 20, 20)).astype(np.float32)
    kinds = [fitted(pictures, keep=keep, max_epochs=1).spec_.kind for keep in (None, "smooth", "neighbours+smooth")]
    assert kinds == ["conv", "conv", "dense"]


def test_places_weigh_less_where_components_rebuild_nearly_all_and_where_records_are_few():
    rng = np.random.default_rng(0)
    plane = rng.normal(size=(2000, 2)) @ rng.normal(size=(2, 10)) + 0.05 * rng.normal(size=(2000, 10))
    round_cloud = rng.normal(size=(2000, 10))
    keep = KeepNeighbours()

    def weight(rows):
        return find_placing(keep, rows.astype(np.float32), 2, 0).towards.weight / rows.var(axis=0).mean()

    assert weight(plane) < 0.05 * weight(round_cloud) < 0.05 * keep.weight
    assert weight(round_cloud[:100]) < 0.3 * weight(round_cloud)


def settles(monkeypatch):
    """Return a list that grows by the codes whenever places settle."""
    seen = []

    def settled(graph, codes, seed):
        seen.append(codes)
        return codes + 1000

    monkeypatch.setattr("refold.estimators._keeping.settled", settled)
    return seen


def test_places_settle_half_way_from_the_codes_of_all_records(monkeypatch):
    seen = settles(monkeypatch)
    model = fitted(IMAGES[:100], keep="neighbours", max_epochs=4, learning_rate=1e-12)
    assert len(seen) == 1
    np.testing.assert_allclose(seen[0], model.transform(IMAGES[:100]), atol=1e-4)  # nothing has moved since
    losses = np.subtract(model.history_["train_loss"], model.history_["train_error"])
    assert losses[1] == pytest.approx(losses[0], rel=0.2) and losses[2] > 2 * losses[0]
    assert model.best_epoch_ >= 3


def test_places_settle_where_training_would_stop_early(monkeypatch):
    seen = settles(monkeypatch)
    model = fitted(IMAGES[:100], keep="neighbours", max_epochs=50, patience=2, learning_rate=1e-12)
    assert len(seen) == 1
    assert (model.best_epoch_, model.n_iter_, model.stopped_) == (4, 6, "early")


def test_settled_places_go_to_the_records_they_are_of():
    codes, held_out = np.arange(12, dtype=np.float32).reshape(6, 2), np.array([1, 4])
    rest = np.delete(np.arange(6), held_out)
    settle = Placing(np.zeros_like(codes), None, lambda every: 2 * every).settle_around(held_out)
    found = settle(torch.from_numpy(codes[rest]), torch.from_numpy(codes[held_out]))
    assert np.array_equal(found[0], 2 * codes[rest]) and np.array_equal(found[1], 2 * codes[held_out])
    batches = InMemory(codes, torch.device("cpu"), rest, np.zeros_like(codes))
    batches.places = found[0]
    assert torch.equal(batches.places, found[0])
    for batch in batches.shuffled(3, torch.Generator().manual_seed(0)):
        assert torch.equal(batch.places, 2 * batch.raw)


@pytest.mark.parametrize("changes", [{"penalty": "variational"}, {"encoder": torch.nn.Linear(64, 2)}])
def test_places_of_codes_that_are_not_chosen_stay(changes, monkeypatch):
    seen = settles(monkeypatch)
    rows = IMAGES[:100].reshape(100, -1)[:, load_digits().data[:100].std(0) > 0]
    if "encoder" in changes:
        changes = {"encoder": torch.nn.Linear(rows.shape[1], 2)}
    fitted(rows, keep="neighbours", max_epochs=4, **changes)
    assert not seen


@pytest.mark.parametrize("first", [None, "neighbours"])
def test_training_does_not_go_on_where_codes_would_be_chosen_otherwise(first):
    model = fitted(IMAGES[:60], keep=first, max_epochs=1, warm_start=True)
    model.set_params(keep="neighbours" if first is None else None)
    with pytest.raises(ParameterError, match=r"keep='neighbours'.*the network would be another one"):
        model.fit(IMAGES[:60])
