"""Places that keep neighbours, and places that keep distances along the data."""

import numpy as np
import pytest
import torch
from scipy.stats import spearmanr
from sklearn.datasets import load_digits, make_swiss_roll
from sklearn.decomposition import PCA
from sklearn.manifold import trustworthiness

from refold.layouts import Neighbours, arranged, diffused, nearest_neighbours, neighbour_graph, settled, unrolled

DIGITS = load_digits().data[:600] / 16
GRAPH = neighbour_graph(nearest_neighbours(DIGITS, 15))
START = PCA(2, random_state=0).fit_transform(DIGITS)


@pytest.fixture(autouse=True)
def one_thread():
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


def test_edges_count_from_either_end_and_only_between_neighbours():
    assert abs(GRAPH - GRAPH.T).max() < 1e-6
    assert GRAPH.data.min() > 0 and GRAPH.data.max() <= 1 + 1e-6
    assert GRAPH.diagonal().sum() == 0


def test_every_record_has_a_sure_neighbour_and_the_same_number_of_them():
    """Along a line whose spacing grows, far-apart records belong together as much as close ones."""
    places = np.cumsum(np.linspace(0.01, 1, 200))[:, None]
    graph = neighbour_graph(nearest_neighbours(places, 8))
    assert graph.max(axis=1).toarray().min() > 0.999
    degrees = np.asarray(graph.sum(axis=1)).ravel()
    assert degrees[20:-20].max() < 1.5 * degrees[20:-20].min()


def test_equal_records_are_no_trouble():
    same = Neighbours(np.array([[1, 2], [0, 2], [0, 1]]), np.zeros((3, 2), np.float32))
    assert np.isfinite(neighbour_graph(same).data).all()


def test_diffused_places_show_the_large_shape_of_a_graph_and_nothing_smaller():
    places = diffused(GRAPH, START)
    edges = GRAPH.tocoo()

    def along_edges(places):
        steps = np.square(places[edges.row] - places[edges.col]).sum(1)
        return (edges.data * steps).sum() / edges.data.sum() / places.var(0).sum()

    assert along_edges(places) < 0.3 * along_edges(START)
    mass = np.asarray(GRAPH.sum(1))
    centred = places - (mass * places).sum(0) / mass.sum()
    np.testing.assert_allclose((mass * centred).T @ centred / mass.sum(), np.eye(2), atol=0.03)


def test_parts_without_a_way_between_them_stay_apart_where_they_were():
    rng = np.random.default_rng(0)
    rows = np.concatenate([rng.normal(centre, 0.1, (40, 2)) for centre in ([0, 0], [3, 0], [0, 3])])
    places = diffused(neighbour_graph(nearest_neighbours(rows, 5)), rows)
    means = np.array([places[part : part + 40].mean(0) for part in (0, 40, 80)])
    assert means[1, 0] > means[0, 0] + 1 and means[2, 1] > means[0, 1] + 1
    assert all(places[part : part + 40].std(0).max() < 0.2 for part in (0, 40, 80))


def test_arranged_places_keep_neighbours_better_than_components():
    places = arranged(GRAPH, START, seed=0)
    assert trustworthiness(DIGITS, places) > trustworthiness(DIGITS, START) + 0.1
    assert places.std() == pytest.approx(1, abs=1e-4)
    assert np.abs(places.mean(0)).max() < 1e-4


def test_settled_places_keep_neighbours_better_and_stay_near():
    """Such as codes that a network has half learned: places of another map, not quite reached."""
    rng = np.random.default_rng(0)
    places = 3 * arranged(GRAPH, START, seed=0) + 7
    codes = places + rng.normal(0, 0.6, places.shape)
    found = settled(GRAPH, codes, seed=0)
    assert trustworthiness(DIGITS, found) > trustworthiness(DIGITS, codes) + 0.01
    assert np.square(found - codes).mean() < 0.2 * codes.var()
    np.testing.assert_allclose(found.mean(0), codes.mean(0), atol=1e-3)
    assert 0.8 < found.std() / codes.std() < 1.1


def test_the_same_seed_gives_the_same_places():
    first, again, other = (arranged(GRAPH, START, seed) for seed in (1, 1, 2))
    assert np.array_equal(first, again)
    assert not np.array_equal(first, other)


def test_a_rolled_up_sheet_is_laid_out_flat():
    rows, along = make_swiss_roll(1200, random_state=0)
    places = unrolled(rows, nearest_neighbours(rows, 12), 2, seed=0)
    for column, true in enumerate((along, rows[:, 1])):
        assert abs(spearmanr(places[:, column], true).statistic) > 0.99


def test_parts_that_hang_nowhere_together_are_joined_where_they_are_nearest():
    rng = np.random.default_rng(0)
    rows = np.concatenate([rng.normal(centre, 0.1, (40, 2)) for centre in (0, 3, 9)])
    places = unrolled(rows, nearest_neighbours(rows, 5), 1, seed=0)[:, 0]
    first, second, third = (places[part].mean() for part in (slice(40), slice(40, 80), slice(80, 120)))
    assert (third - second) / (second - first) == pytest.approx(2, rel=0.15)
