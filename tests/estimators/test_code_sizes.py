"""How small a code can be: answers that an expert would give."""

import numpy as np
import pytest
import torch
from sklearn.datasets import load_digits, make_swiss_roll

from refold import Autoencoder, DataError, ParameterError, code_sizes, load
from refold.estimators import CodeSizes
from refold.layouts import likeliest_dimension, nearest_neighbours, two_nearest_dimension

RNG = np.random.default_rng(0)
NOISE = RNG.normal(size=(600, 12))
PLANE = RNG.normal(size=(600, 3)) @ RNG.normal(size=(3, 30))


def sized(rows, **parameters):
    return code_sizes(rows, **{"threads": 1, "max_epochs": 20, **parameters})


@pytest.mark.parametrize("share_of_noise", [0.0, 0.1, 0.4, 0.8])
def test_a_plane_needs_as_many_numbers_as_it_has_dimensions(share_of_noise):
    rows = PLANE + share_of_noise * PLANE.std() * RNG.normal(size=PLANE.shape)
    assert sized(rows).recommended == 3


def test_noise_that_is_stronger_in_some_columns_hides_no_knee():
    """As where columns are standardised that hold little of what hangs together."""
    rng = np.random.default_rng(0)
    rows = rng.normal(size=(1500, 5)) @ rng.normal(size=(5, 50)) + 0.5 * rng.normal(size=(1500, 50))
    assert sized(rows, max_epochs=60).recommended == 5


def test_noise_needs_them_all():
    sizes = sized(NOISE)
    assert sizes.recommended == 12
    assert "no smaller code" in sizes.sentence


def test_an_autoencoder_of_few_numbers_represents_more_than_components_on_what_is_curved():
    sizes = sized(load_digits().images[:800], max_epochs=60, net="dense")
    assert sizes.represented[1] > sizes.components[1] + 0.05
    assert sizes.sizes[-1] == 64


def test_more_numbers_represent_more():
    sizes = sized(PLANE + 0.3 * RNG.normal(size=PLANE.shape))
    assert np.all(np.diff(sizes.represented) > -0.01)


def test_the_same_seed_gives_the_same_answer():
    assert sized(PLANE) == sized(PLANE)


def answer(represented, represent=0.95, tolerance=0.05, columns=100):
    sizes = tuple(range(1, len(represented) + 1))
    return CodeSizes(sizes, represented, represented, 2.0, 2.0, columns, represent, tolerance)


@pytest.mark.parametrize(
    ("sizes", "recommended", "because"),
    [
        (answer((0.5, 0.96, 0.99)), 2, "represents 95%"),
        (answer((0.5, 0.96, 0.99), represent=0.99), 3, "represents 99%"),
        (answer((0.5, 0.799, 0.8)), 2, "more bring nothing"),
        (answer((0.5, 0.7, 0.8)), 3, "the largest code tried"),
        (answer((0.3, 0.65, 0.99), columns=3), 3, "no smaller code"),
        (answer((0.6, 0.8, 0.82, 0.84), columns=12), 2, "more bring nothing or only noise"),
        (answer((0.01, 0.02, 0.03)), 3, "the largest code tried"),
    ],
)
def test_the_rule_is_fixed_and_says_its_reason(sizes, recommended, because):
    assert sizes.recommended == recommended
    assert because in sizes.sentence


@pytest.mark.parametrize("estimate", [two_nearest_dimension, likeliest_dimension])
@pytest.mark.parametrize(("rows", "true"), [(PLANE, 3), (make_swiss_roll(600, random_state=0)[0], 2)])
def test_intrinsic_dimensions_are_near_the_true_ones(estimate, rows, true):
    assert estimate(nearest_neighbours(rows, 20)) == pytest.approx(true, rel=0.2)


@pytest.mark.parametrize("estimate", [two_nearest_dimension, likeliest_dimension])
def test_records_that_are_all_the_same_have_no_dimension(estimate):
    assert np.isnan(estimate(nearest_neighbours(np.ones((30, 4)), 20)))


def test_tables_with_texts_and_gaps_are_measured():
    import pandas as pd

    table = pd.DataFrame(PLANE[:200], columns=[f"x{place}" for place in range(30)])
    table["kind"] = np.where(PLANE[:200, 0] > 0, "up", "down")
    table.loc[::9, "x3"] = np.nan
    assert 2 <= sized(table).recommended <= 12


def test_what_is_not_possible_is_said():
    with pytest.raises(DataError, match="19 records are too few"):
        code_sizes(NOISE[:19])
    with pytest.raises(ParameterError, match=r"represent=1\.5"):
        code_sizes(NOISE, represent=1.5)
    with pytest.raises(ParameterError, match="tolerance=-1"):
        code_sizes(NOISE, tolerance=-1)


def test_an_autoencoder_can_take_the_size_that_is_enough(tmp_path):
    model = Autoencoder(latent_dim="auto", random_state=0, threads=1, max_epochs=3).fit(PLANE)
    assert model.transform(PLANE).shape == (600, 3)
    assert model.code_sizes_.recommended == 3
    model.save(tmp_path / "plane.safetensors")
    loaded = load(tmp_path / "plane.safetensors")
    assert loaded.latent_dim == "auto"
    assert np.array_equal(loaded.transform(PLANE), model.transform(PLANE))


def test_less_is_enough_where_less_must_be_represented():
    model = Autoencoder(latent_dim="auto", represent=0.3, random_state=0, threads=1, max_epochs=1).fit(PLANE)
    assert model.net_.latent_dim == 1


def test_a_size_cannot_be_found_for_a_network_of_ones_own():
    with pytest.raises(ParameterError, match="name a number"):
        Autoencoder(latent_dim="auto", encoder=torch.nn.Linear(30, 2), decoder=torch.nn.Linear(2, 30)).fit(PLANE)
