"""Strange pictures: blemishes on textures, digits of another kind, and promises about them."""

import json

import numpy as np
import pytest
import torch
from PIL import Image
from scipy.ndimage import gaussian_filter
from sklearn.datasets import load_digits
from sklearn.metrics import roc_auc_score

from refold import DataError, Detector, RefoldWarning
from refold._errors import ParameterError
from refold.data import open_pictures
from refold.estimators._parameters import DetectorParameters
from refold.estimators._picture_detection import fit_pictures
from refold.estimators._small_picture_detection import fit_small_pictures
from refold.scores import PictureSpec, SmallPictureSpec


def texture(seed, height=72, width=80, colour=False):
    """A surface with a grain of its own, uint8."""
    draw = np.random.default_rng(seed)
    grain = gaussian_filter(draw.normal(size=(height, width)), (1, 3))
    grey = 120 + 25 * grain / grain.std() + draw.normal(size=grain.shape)
    planes = np.stack([grey, 0.8 * grey, 0.6 * grey + 20], axis=-1) if colour else grey
    return np.clip(planes, 0, 255).astype(np.uint8)


def with_blemish(picture, row, column, radius=5):
    """The picture with a dark spot."""
    rows, columns = np.ogrid[: picture.shape[0], : picture.shape[1]]
    spot = np.hypot(rows - row, columns - column) < radius
    return np.where(spot if picture.ndim == 2 else spot[..., None], picture * 0.4, picture).astype(np.uint8)


def learned(pictures, steps=60, seed=0, **parameters):
    opened = open_pictures(pictures)
    return fit_pictures(DetectorParameters(steps=steps, **parameters), opened, np.arange(opened.size), seed)


@pytest.fixture(scope="module")
def surfaces():
    """Scorer and scores of 80 grey textures of two sizes."""
    return learned([texture(seed, *((72, 80) if seed % 2 else (64, 101))) for seed in range(80)])


def test_blemish_is_found_and_the_heat_is_highest_on_it(surfaces):
    scorer, _ = surfaces
    normal = [scorer.score(texture(seed)) for seed in range(100, 130)]
    places = np.random.default_rng(0).integers(8, 60, (20, 2))
    heats = [scorer.heat(with_blemish(texture(200 + n), *place)) for n, place in enumerate(places)]
    strange = [scorer.score_of(heat) for heat in heats]
    assert roc_auc_score([0] * 30 + [1] * 20, normal + strange) > 0.97
    peaks = [np.unravel_index(heat.argmax(), heat.shape) for heat in heats]
    on_it = [np.hypot(*(np.array(peak) - place)) < 9 for peak, place in zip(peaks, places, strict=True)]
    assert np.mean(on_it) >= 0.8


def test_scores_of_training_are_like_scores_of_new_pictures(surfaces):
    scorer, scores = surfaces
    new = np.array([scorer.score(texture(seed)) for seed in range(300, 400)])
    assert len(scores) == 80
    assert 0.02 < np.mean(new > np.quantile(scores, 0.9)) < 0.22
    assert 0.15 < np.mean(new > np.median(scores)) < 0.65  # the mean of both halves is a little calmer than one


def test_heat_has_the_size_of_the_picture_and_is_the_same_each_time(surfaces):
    scorer, _ = surfaces
    for shape in ((8, 8), (9, 33), (71, 40), (150, 64)):
        picture = texture(1, *shape)
        heat = scorer.heat(picture)
        assert heat.shape == shape
        assert heat.dtype == np.float32
        assert np.isfinite(heat).all()
        assert np.array_equal(heat, scorer.heat(picture))
        assert scorer.score(picture) == scorer.score_of(heat)


def test_state_is_all_that_was_learned(surfaces):
    scorer, _ = surfaces
    spec = PictureSpec.from_json(json.loads(json.dumps(scorer.spec.to_json())))
    with torch.device("meta"):
        again = spec.build()
    again.load_state_dict({name: value.clone() for name, value in scorer.state_dict().items()}, assign=True)
    picture = with_blemish(texture(7), 20, 30)
    assert again.eval().score(picture) == scorer.score(picture)


def test_same_seed_gives_the_same_scores():
    pictures = [texture(seed) for seed in range(6)]
    first, second, other = (learned(pictures, steps=5, seed=seed)[1] for seed in (1, 1, 2))
    assert np.array_equal(first, second)
    assert not np.array_equal(first, other)


def test_colour_finds_a_spot_of_another_colour_and_takes_grey_too():
    scorer, _ = learned([texture(seed, colour=True) for seed in range(20)], steps=30)
    normal = texture(50, colour=True)
    spot = normal.copy()
    spot[30:40, 30:40, 0] = normal[30:40, 30:40, 2]
    assert scorer.score(spot) > scorer.score(normal) + 1
    assert scorer.heat(texture(51)).shape == (72, 80)


def test_colour_becomes_luminance_for_a_grey_scorer(surfaces):
    scorer, _ = surfaces
    grey = texture(3)
    assert scorer.score(np.repeat(grey[..., None], 3, axis=2)) == pytest.approx(scorer.score(grey), abs=1e-3)


def test_values_of_other_types_mean_the_same():
    pictures = [texture(seed) for seed in range(6)]
    for scaled in ([picture / 255 for picture in pictures], [picture.astype(np.uint16) * 16 for picture in pictures]):
        for picture in scaled:
            picture[0, 0] = scaled[0].dtype.type(1) if scaled[0].dtype.kind == "f" else 4080
        scorer, scores = learned(scaled, steps=5)
        assert np.isfinite(scores).all()
        assert np.isfinite(scorer.score(scaled[0]))


def test_features_of_your_own_join_and_stay_out_of_the_state():
    class Edges(torch.nn.Module):
        def __init__(self):
            super().__init__()
            self.filters = torch.nn.Conv2d(1, 6, 3, 2, 1)

        def forward(self, pictures):
            assert float(pictures.min()) >= 0 and float(pictures.max()) <= 1
            return self.filters(pictures)

    scorer, _ = learned([texture(seed) for seed in range(12)], steps=20, features=Edges())
    assert not any("filters" in name for name in scorer.state_dict())
    assert scorer.spec.features == 6
    assert scorer.score(with_blemish(texture(30), 30, 40, 8)) > scorer.score(texture(30))


def test_pictures_that_cannot_be_used_are_refused_by_name(surfaces):
    scorer, _ = surfaces
    with pytest.raises(DataError, match=r"7x20 pixels; at least 8x8"):
        scorer.heat(np.zeros((7, 20), np.uint8))
    with pytest.raises(DataError, match="NaN"):
        scorer.heat(np.full((20, 20), np.nan))
    with pytest.raises(DataError, match=r"'1' cannot be learned from: .*5x80"):
        learned([texture(0), texture(1)[:5]], steps=1)
    with pytest.raises(DataError, match="at least two"):
        learned([texture(0)])
    for wrong in ({"channels": 10**9}, {"members": 0}, {"patches": [10**6]}, {"features": -1}):
        with pytest.raises(ParameterError, match="whole number"):
            PictureSpec.from_json({**scorer.spec.to_json(), **wrong})


def test_progress_is_told_up_to_the_end():
    told = []
    opened = open_pictures([texture(seed) for seed in range(5)])
    parameters = DetectorParameters(steps=3)
    fit_pictures(parameters, opened, np.arange(1, 5), 0, lambda done, total: told.append((done, total)))
    assert [done for done, _ in told] == list(range(1, told[-1][1] + 1))


# --- small pictures ------------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def digits():
    """Scorer of threes, its scores, and new threes and others."""
    data = load_digits()
    threes = data.images[data.target == 3].astype(np.float32)
    scorer, scores = fit_small_pictures(DetectorParameters(steps=250), threes[:120], 0)
    return scorer, scores, threes[120:], data.images[data.target != 3].astype(np.float32)


def test_other_digits_are_strange(digits):
    scorer, scores, threes, others = digits
    new, strange = scorer.scores(threes), scorer.scores(others)
    assert roc_auc_score([0] * len(new) + [1] * len(strange), np.concatenate([new, strange])) > 0.97
    assert abs(np.median(scores) - np.median(new)) < 0.6


def test_small_picture_has_the_same_score_alone_and_after_a_round_trip(digits):
    scorer, _, threes, others = digits
    together = scorer.scores(others[:150])
    assert [scorer.score(picture) for picture in others[140:150]] == list(together[140:])
    with torch.device("meta"):
        again = SmallPictureSpec.from_json(scorer.spec.to_json()).build()
    again.load_state_dict(scorer.state_dict(), assign=True)
    assert np.array_equal(again.scores(threes), scorer.scores(threes))
    assert scorer.heat(threes[0]).shape == (8, 8)
    with pytest.raises(DataError, match="9x8 pixels"):
        scorer.heat(np.zeros((9, 8)))


def test_small_colour_pictures():
    draw = np.random.default_rng(0)
    pictures = np.stack([texture(seed, 24, 24, colour=True) for seed in range(40)])
    scorer, scores = fit_small_pictures(DetectorParameters(steps=15), pictures, 0)
    noise = draw.integers(0, 255, (24, 24, 3)).astype(np.uint8)
    assert scorer.score(noise) > scores.max()
    assert scorer.heat(noise[..., 0]).shape == (24, 24)


# --- opening -------------------------------------------------------------------------------------------------------


def test_small_detectors_of_colour_take_grey_and_those_of_grey_take_colour():
    rng = np.random.default_rng(0)
    grey = rng.integers(0, 255, (30, 12, 12), dtype=np.uint8)
    colour = np.repeat(grey[..., None], 3, axis=3)
    for fitted, other in ((colour, grey), (grey, colour)):
        detector = Detector(steps=5, false_alarm_rate=0.1, random_state=0).fit(fitted)
        assert np.allclose(detector.anomaly_score(other), detector.anomaly_score(fitted), atol=1e-4)
        with pytest.raises(DataError, match=r"12 grey pictures of 12x3 pixels; give one colour picture as X\[None\]"):
            detector.anomaly_score(colour[0])


@pytest.mark.parametrize("sides", [(12, 12), (40, 44)])
def test_a_picture_far_out_of_range_has_a_finite_score_and_the_highest(sides):
    rng = np.random.default_rng(0)
    pictures = rng.random((20, *sides))
    detector = Detector(steps=5, false_alarm_rate=0.1, random_state=0).fit(pictures)
    far = pictures[:1].copy()
    far[0, 4:8, 4:8] = 1e30
    score = detector.anomaly_score(far)[0]
    assert np.isfinite(score) and score > detector.anomaly_score(pictures).max()


def test_folder_with_pictures_of_several_sizes_and_kinds(tmp_path):
    Image.fromarray(texture(0, 20, 30)).save(tmp_path / "a.png")
    (tmp_path / "more").mkdir()
    Image.fromarray(texture(1, 25, 30, colour=True)).save(tmp_path / "more" / "b.png")
    (tmp_path / "broken.png").write_bytes((tmp_path / "a.png").read_bytes()[:200])
    with pytest.warns(RefoldWarning, match=r"broken\.png"):
        pictures = open_pictures(tmp_path)
    assert pictures.names == ("a.png", "more/b.png")
    assert [picture.shape for picture in pictures] == [(20, 30, 3), (25, 30, 3)]
    assert pictures.same_shape is None
    listed = [tmp_path / "a.png", str(tmp_path / "more" / "b.png")]
    assert open_pictures(listed, image_size=(10, 12)).same_shape == (10, 12, 3)
    assert open_pictures(str(tmp_path / "a*.png")).read(0).shape == (20, 30)
    assert open_pictures(tmp_path / "a.png").same_shape == (20, 30)


def test_arrays_of_pictures():
    mixed = open_pictures([texture(0, 20, 30), texture(1, 20, 30, colour=True)])
    assert mixed.same_shape == (20, 30, 3)
    assert np.array_equal(mixed.read(0)[..., 1], texture(0, 20, 30))
    assert open_pictures(np.zeros((4, 9, 10, 1))).read(2).shape == (9, 10)
    with pytest.raises(DataError, match="channels"):
        open_pictures([np.zeros((9, 9, 2)), np.zeros((9, 9, 3))])


def test_what_are_no_pictures(tmp_path):
    (tmp_path / "table.csv").write_text("a,b\n1,2\n")
    for data in (np.zeros((5, 3)), [[1.0, 2.0]], tmp_path, tmp_path / "table.csv", tmp_path / "absent.png", [], "x*"):
        assert open_pictures(data) is None
