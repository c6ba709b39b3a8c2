"""How `fit`, `partial_fit` and `warm_start` train."""

import numpy as np
import pytest
import torch
from torch import nn

import refold
from refold import Autoencoder


def small(**parameters):
    # without a shortcut, so that there is something to learn: it starts as principal components
    usual = {"latent_dim": 2, "hidden": (8,), "shortcut": False, "max_epochs": 3, "random_state": 0}
    return Autoencoder(**{**usual, **parameters})


def weights(model):
    return {name: value.clone() for name, value in model.net_.state_dict().items()}


def same(first, second):
    return all(first[name].equal(second[name]) for name in first)


def test_history_has_one_entry_per_epoch_with_both_errors_side_by_side(rows):
    model = small().fit(rows)
    assert set(model.history_) == {
        "epoch",
        "train_loss",
        "train_error",
        "validation_loss",
        "validation_error",
        "learning_rate",
        "seconds",
    }
    assert model.history_["epoch"] == [1, 2, 3]
    assert all(len(column) == 3 for column in model.history_.values())
    assert model.n_iter_ == 3 and model.stopped_ == "max_epochs"


def test_another_seed_gives_other_weights(rows):
    assert not same(weights(small().fit(rows)), weights(small(random_state=1).fit(rows)))


def test_an_integer_like_seed_of_numpy_is_a_seed(rows):
    assert same(weights(small().fit(rows)), weights(small(random_state=np.int64(0)).fit(rows)))
    assert same(
        weights(small(random_state=np.random.RandomState(3)).fit(rows)),
        weights(small(random_state=np.random.RandomState(3)).fit(rows)),
    )


def held_out_loss(model, rows):
    """The loss on the records that the model held out, worked out from outside."""
    return model.reconstruction_error(rows[model.held_out_]).mean()


def test_early_stopping_keeps_the_best_weights(rows):
    # so high a rate that the loss jumps about
    model = small(learning_rate=0.3, patience=5, max_epochs=200, validation_fraction=0.3, schedule="constant").fit(
        rows
    )
    losses = model.history_["validation_loss"]
    assert model.stopped_ == "early"
    assert model.n_iter_ == model.best_epoch_ + 5
    assert losses[model.best_epoch_ - 1] == min(losses) < losses[-1]
    assert held_out_loss(model, rows) == pytest.approx(min(losses), rel=1e-4)


def test_the_best_weights_are_kept_without_early_stopping_too(rows):
    model = small(
        learning_rate=0.3, early_stopping=False, max_epochs=30, validation_fraction=0.3, schedule="constant"
    ).fit(rows)
    assert model.n_iter_ == 30 and model.stopped_ == "max_epochs"
    assert held_out_loss(model, rows) == pytest.approx(min(model.history_["validation_loss"]), rel=1e-4)


def test_averaged_weights_are_validated_and_kept(rows):
    model = small(weight_averaging=0.9, max_epochs=20, validation_fraction=0.3).fit(rows)
    assert held_out_loss(model, rows) == pytest.approx(min(model.history_["validation_loss"]), rel=1e-4)
    assert not same(
        weights(model), weights(small(weight_averaging=0, max_epochs=20, validation_fraction=0.3).fit(rows))
    )


def test_nothing_held_out_trains_on_everything(rows):
    model = small(validation_fraction=0, patience=1).fit(rows)
    assert model.n_iter_ == model.best_epoch_ == 3
    assert np.isnan(model.history_["validation_loss"]).all()
    assert np.isfinite(model.history_["train_loss"]).all()


def test_warm_start_goes_on_from_the_last_weights(rows):
    warm = small(warm_start=True, max_epochs=20).fit(rows)
    first = warm.history_["train_loss"]
    warm.fit(rows)
    assert warm.history_["train_loss"][0] < first[0]
    cold = small(max_epochs=20).fit(rows)
    before = weights(cold)
    assert same(before, weights(cold.fit(rows)))


def test_warm_start_keeps_the_scale_and_refuses_other_shapes(rows):
    warm = small(warm_start=True).fit(rows)
    center = warm.net_.scaling.center.clone()
    warm.fit(rows + 5)
    assert warm.net_.scaling.center.equal(center)
    with pytest.raises(ValueError, match="6 features"):
        warm.fit(rows[:, :4])


def test_partial_fit_learns_in_passes(rows):
    model = small()
    errors = [model.partial_fit(rows).history_["train_error"][0] for _ in range(60)]
    assert errors[-1] < 0.5 * errors[0]
    assert model.n_iter_ == 1


def test_partial_fit_takes_records_of_other_batches(rows):
    model = small().partial_fit(rows[:25]).partial_fit(rows[25:])
    assert model.transform(rows).shape == (40, 2)
    with pytest.raises(ValueError, match="6 features"):
        model.partial_fit(rows[:, :3])


def test_partial_fit_is_repeatable(rows):
    runs = [small().partial_fit(rows).partial_fit(rows) for _ in range(2)]
    assert same(weights(runs[0]), weights(runs[1]))


def test_partial_fit_goes_on_after_fit(rows):
    model = small(max_epochs=20).fit(rows)
    before = model.reconstruction_error(rows).mean()
    for _ in range(20):
        model.partial_fit(rows)
    assert model.reconstruction_error(rows).mean() < before


def test_a_batch_larger_than_the_data_is_all_of_it(rows):
    assert small(batch_size=1000).fit(rows).n_iter_ == 3


def test_a_last_batch_of_one_does_not_trouble_batch_normalisation(rows):
    encoder = nn.Sequential(nn.Linear(6, 4), nn.BatchNorm1d(4), nn.ReLU(), nn.Linear(4, 2))
    model = small(encoder=encoder, decoder=nn.Linear(2, 6), batch_size=12, validation_fraction=0)
    assert model.fit(rows[:37]).n_iter_ == 3  # 12 + 12 + 13
    assert model.fit(rows[:13]).n_iter_ == 3


def test_own_modules_that_do_not_fit_are_refused(rows):
    with pytest.raises(refold.ParameterError, match=r"the encoder cannot take an input of shape \(2, 6\)"):
        small(encoder=nn.Linear(5, 2)).fit(rows)
    with pytest.raises(refold.ParameterError, match=r"the encoder gives an output of shape \(2, 3\).*latent_dim=2"):
        small(encoder=nn.Linear(6, 3)).fit(rows)
    with pytest.raises(refold.ParameterError, match=r"the decoder gives an output of shape \(2, 5\).*\(2, 6\)"):
        small(decoder=nn.Linear(2, 5)).fit(rows)
    with pytest.raises(refold.ParameterError, match=r"must be \(2, 4\).*means and log-variances"):
        small(encoder=nn.Linear(6, 2), penalty="variational").fit(rows)


def test_a_diverging_loss_says_what_to_try(rows):
    class Explosion(nn.Module):
        def forward(self, code):
            return code.repeat(1, 3) * float("inf")

    with pytest.raises(refold.DivergedError, match=r"diverged in epoch 1.*smaller learning_rate.*gradient_clip"):
        small(decoder=nn.Sequential(nn.Linear(2, 2), Explosion())).fit(rows)


def test_a_wild_learning_rate_diverges_with_advice(rows):
    with pytest.raises(refold.DivergedError, match="learning_rate"):
        small(learning_rate=1e30, gradient_clip=None, schedule="constant", max_epochs=50, normalise=False).fit(
            rows * 1e3
        )


def test_a_progress_bar_is_shown_on_request_only(rows, capsys):
    small().fit(rows)
    assert capsys.readouterr() == ("", "")
    small(verbose=1).fit(rows)
    shown = capsys.readouterr()
    assert shown.out == "" and "best" in shown.err and "validation" in shown.err


def test_a_rebuilt_record_can_be_given_back_where_a_range_is_declared(rows):
    model = small(value_range=(-5, 5)).fit(rows)
    far_off = model.inverse_transform([[1e3, -1e3]])
    assert far_off.min() >= -5 and far_off.max() <= 5
    assert model.transform(far_off).shape == (1, 2)


@pytest.mark.parametrize("schedule", ["cosine", "linear", "constant"])
def test_the_learning_rate_follows_its_schedule(rows, schedule):
    rates = small(schedule=schedule, max_epochs=10, learning_rate=0.01).fit(rows).history_["learning_rate"]
    assert max(rates) <= 0.01
    assert rates[0] == rates[-1] == 0.01 if schedule == "constant" else rates[-1] < 0.2 * max(rates)


@pytest.mark.parametrize("penalty", ["variational(0.5)", "sparse(0.1)", "contractive(0.1)", "sparse+contractive"])
@pytest.mark.parametrize("corruption", [None, "gaussian(0.2)", "masking(0.3)+salt_and_pepper(0.2)", "feature_swap"])
def test_penalties_and_corruptions_combine(rows, penalty, corruption):
    model = small(penalty=penalty, corruption=corruption).fit(rows)
    assert (np.array(model.history_["train_loss"]) > np.array(model.history_["train_error"])).all()
    assert np.isfinite(model.reconstruction_error(rows)).all()


def test_sampling_gives_records_like_the_fitted_ones(pictures):
    model = small(penalty="variational").fit(pictures)
    drawn = model.sample(5, random_state=0)
    assert (drawn.shape, drawn.dtype) == ((5, 9, 12), np.uint8)
    assert np.array_equal(drawn, model.sample(5, random_state=0))
    with pytest.raises(refold.ParameterError, match="n_samples must be at least 1"):
        model.sample(0)


def test_sampling_needs_a_variational_code(pictures):
    with pytest.raises(refold.ParameterError, match="penalty='variational'"):
        small().fit(pictures).sample()


def test_the_code_does_not_depend_on_the_number_of_threads(rows):
    model = small().fit(rows)
    codes = model.transform(rows)
    threads = torch.get_num_threads()
    try:
        torch.set_num_threads(2)
        assert np.allclose(model.transform(rows), codes, atol=1e-6)
    finally:
        torch.set_num_threads(threads)


def test_of_many_records_those_that_were_held_out_are_not_the_ones_that_the_start_looks_at():
    rows = np.random.default_rng(0).normal(size=(51_000, 4)).astype(np.float32) * [3, 1, 1, 1]
    model = refold.Autoencoder(latent_dim=1, hidden=[4], max_epochs=1, random_state=0).fit(rows)
    assert len(model.held_out_) == 5_100
    assert model.score(rows) > 0.2  # the first component of standardised columns; a start from none failed
