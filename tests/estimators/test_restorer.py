"""Restorers: noise comes off, clean pictures stay, types and files are kept, training goes on where it was."""

import numpy as np
import pytest
import torch
from skimage import data
from sklearn.base import clone

import refold
from refold import CheckpointError, DataError, ModelFileError, ParameterError, Restorer
from refold.estimators._noise_level import noise_deviation
from refold.files import ModelFile, read_model_file, write_model_file
from refold.nets import RestorationSpec
from refold.objectives import Gaussian
from refold.train import PictureCrops, RestorationPlan, RestorationTraining, noise_of_many_levels

RNG = np.random.default_rng(0)
SMALL = {"widths": (8, 8), "blocks": 1, "crop": 32, "batch_size": 4, "threads": 1, "random_state": 0}


def noisy(picture, sigma, seed=0):
    noise = sigma * np.random.default_rng(seed).normal(size=picture.shape)
    return np.clip(picture + noise, 0, 255).round().astype(np.uint8)


def psnr(picture, true):
    return 10 * np.log10(255**2 / np.mean((picture.astype(float) - true) ** 2))


@pytest.fixture(scope="module")
def denoiser():
    return refold.pretrained("denoise")


@pytest.mark.parametrize("sigma", [15, 51, 80])
@pytest.mark.parametrize("name", ["camera", "chelsea"])
def test_noise_of_every_strength_comes_off(denoiser, name, sigma):
    true = getattr(data, name)()[:200, :200]
    damaged = noisy(true, sigma)
    restored = denoiser.restore(damaged)
    assert restored.shape == true.shape and restored.dtype == np.uint8
    assert psnr(restored, true) > psnr(damaged, true) + {15: 4, 51: 8.5, 80: 9}[sigma]


@pytest.mark.parametrize("name", ["camera", "chelsea", "text", "page", "brick", "gravel", "coffee", "moon"])
def test_a_clean_picture_comes_back_pixel_for_pixel(denoiser, name):
    picture = getattr(data, name)()
    restoration = denoiser.restoration(picture)
    assert not restoration.changed and np.array_equal(restoration.picture, picture)


@pytest.mark.parametrize("sigma", [5, 25, 51])
def test_the_strength_of_noise_is_found(sigma):
    for name in ("camera", "moon", "coins"):
        plane = noisy(getattr(data, name)(), sigma).astype(np.float32) / 255
        assert noise_deviation([plane[None]]) * 255 == pytest.approx(sigma, rel=0.15)


def test_deeper_pixels_give_the_same_picture(denoiser):
    eight = noisy(data.camera()[:100, :100], 25)
    restored = denoiser.restore(eight).astype(float)
    assert np.abs(denoiser.restore(eight.astype(np.uint16) * 257) / 257 - restored).max() < 0.51
    assert np.abs(denoiser.restore(eight / np.float32(255)) * 255 - restored).max() < 0.51


def test_less_strength_is_between(denoiser):
    damaged = (noisy(data.camera()[:96, :96], 25) / 255).astype(np.float32)
    whole, half = denoiser.restore(damaged), denoiser.restore(damaged, strength=0.5)
    np.testing.assert_allclose(half, (whole + damaged) / 2, atol=1e-6)
    assert np.array_equal(denoiser.restore(damaged, strength=0.0), damaged)
    gentle = denoiser.restore(damaged, noise=5 / 255)
    assert np.abs(gentle - damaged).mean() < 0.3 * np.abs(whole - damaged).mean()


def test_the_mean_over_eight_ways_is_better(denoiser):
    true = data.camera()[:128, 128:256]
    damaged = noisy(true, 40)
    assert psnr(denoiser.restore(damaged, self_ensemble=True), true) > psnr(denoiser.restore(damaged), true)


def test_little_memory_gives_the_same_picture(denoiser):
    damaged = (noisy(data.camera()[:213, :211], 25) / 255).astype(np.float32)
    assert denoiser.tiles_of(damaged, "45MB") > 1
    for ensemble in (False, True):
        little, much = (
            denoiser.restore(damaged, max_memory=memory, self_ensemble=ensemble) for memory in ("45MB", "4GB")
        )
        np.testing.assert_allclose(little, much, atol=1e-5)


@pytest.mark.parametrize("shape", [(1, 1), (1, 30, 3), (17, 5), (9, 9, 1)])
def test_small_pictures_keep_their_shape(denoiser, shape):
    picture = RNG.integers(0, 255, shape).astype(np.uint8)
    assert denoiser.restore(picture, noise=0.2).shape == shape


@pytest.mark.parametrize(
    ("picture", "sentence"),
    [
        (np.zeros(5, np.uint8), r"must have shape \(H, W\)"),
        (np.zeros((4, 4, 7), np.uint8), r"must have shape \(H, W\)"),
        (np.zeros((0, 4), np.uint8), r"must have shape \(H, W\)"),
        (np.full((4, 4), np.nan), "NaN or infinite"),
        (np.zeros((4, 4), np.int32), "unsigned integers or floats"),
    ],
)
def test_what_is_no_picture_is_refused(denoiser, picture, sentence):
    with pytest.raises(DataError, match=sentence):
        denoiser.restore(picture)


def test_impossible_wishes_are_refused(denoiser):
    picture = np.zeros((8, 8), np.uint8)
    with pytest.raises(ParameterError, match="strength must be from 0 to 1"):
        denoiser.restore(picture, strength=2)
    with pytest.raises(ParameterError, match="noise must be a share"):
        denoiser.restore(picture, noise=25)
    with pytest.raises(ParameterError, match="there is no pretrained 'denoize', did you mean 'denoise'"):
        refold.pretrained("denoize")


def test_a_restorer_of_ones_own_learns_its_damage_and_survives_its_file(tmp_path):
    pictures = [data.camera()[::2, ::2], data.coins()[:200, :200]]
    restorer = Restorer(**{**SMALL, "widths": (16,), "blocks": 2}, corruption="salt_and_pepper(0.1)", steps=250)
    restorer.fit(pictures)
    damaged = data.camera()[100:200, 200:300].copy()
    hit = np.random.default_rng(1).random(damaged.shape)
    damaged[hit < 0.05], damaged[hit > 0.95] = 0, 255
    assert (
        psnr(restorer.restore(damaged), data.camera()[100:200, 200:300])
        > psnr(damaged, data.camera()[100:200, 200:300]) + 4
    )
    restorer.save(tmp_path / "r.safetensors")
    again = refold.load(tmp_path / "r.safetensors")
    assert np.array_equal(again.restore(damaged), restorer.restore(damaged))
    assert again.get_params()["corruption"] == "salt_and_pepper(0.1)"
    assert not hasattr(clone(again), "net_")


def test_colour_is_learned_as_colour():
    restorer = Restorer(corruption="gaussian(0.2)", steps=3, **SMALL).fit(data.chelsea()[None, :64, :64])
    assert restorer.net_.spec.channels == 3
    assert restorer.restore(noisy(data.chelsea()[:64, :64], 51)).shape == (64, 64, 3)
    assert restorer.restore(noisy(data.camera()[:64, :64], 51)).shape == (64, 64)


def test_colour_is_restored_as_it_was_learned():
    """A network of three channels sees red, green and blue, as in training."""
    restorer = Restorer(corruption="gaussian(0.2)", steps=3, **SMALL).fit(data.chelsea()[None, :64, :64])
    picture = (noisy(data.chelsea()[:64, :64], 51) / 255).astype(np.float32)
    with torch.inference_mode():
        through = restorer.net_(torch.from_numpy(picture.transpose(2, 0, 1))[None])[0].numpy().transpose(1, 2, 0)
    np.testing.assert_allclose(restorer.restore(picture, noise=1.0), through, atol=1e-5)
    four = noisy(np.dstack([data.chelsea()[:64, :64], data.camera()[:64, :64]]), 51)
    assert restorer.restore(four).shape == four.shape


def test_a_checkpoint_of_something_else_is_refused(tmp_path):
    path = str(tmp_path / "unfinished")
    Restorer(steps=3, checkpoint=path, **SMALL).fit(data.camera()[None, :64, :64])
    with pytest.raises(CheckpointError, match="training with other pictures"):
        Restorer(steps=3, checkpoint=path, **SMALL).fit(data.coins()[None, :64, :64])
    with pytest.raises(CheckpointError, match="training with other corruption"):
        Restorer(steps=3, corruption="gaussian(0.1)", checkpoint=path, **SMALL).fit(data.camera()[None, :64, :64])


@pytest.mark.parametrize(
    ("pictures", "sentence"),
    [
        ([np.zeros((40, 40), np.int64)], "unsigned integers or floats"),
        ([np.full((40, 40), 200.0)], "floats to learn from must lie in 0 to 1, got 200 to 200"),
        ([np.full((40, 40), np.nan)], "NaN or infinite"),
        ([np.zeros((40, 40), bool)], "unsigned integers or floats"),
        (np.zeros((40, 40, 3), np.uint8), "is one picture; give a list"),
        (np.zeros((0, 40, 40), np.uint8), "there is no picture"),
    ],
)
def test_what_cannot_be_learned_from_is_refused(pictures, sentence):
    with pytest.raises(DataError, match=sentence):
        Restorer(steps=2, **SMALL).fit(pictures)


def test_networks_that_no_file_could_hold_are_refused_before_training():
    for wrong in ({"widths": ()}, {"widths": (1,) * 7}, {"widths": (2048,)}):
        with pytest.raises(ParameterError, match="is not possible; a restoration network has"):
            Restorer(**{**SMALL, **wrong}).fit(data.camera()[None, :64, :64])


def test_an_object_as_corruption_and_numpy_numbers_survive_the_file(tmp_path):
    restorer = Restorer(**{**SMALL, "batch_size": np.int64(2)}, corruption=Gaussian(0.1), steps=np.int64(2))
    restorer.fit(data.camera()[None, :64, :64]).save(tmp_path / "r.safetensors")
    again = refold.load(tmp_path / "r.safetensors")
    assert again.corruption == "gaussian(0.1)" and again.steps == 2


def test_a_few_values_far_out_do_not_hide_the_noise(denoiser):
    true = data.camera()[:128, :128] / 255 * 40 - 10  # degrees
    damaged = (true + 4 * np.random.default_rng(0).normal(size=true.shape)).astype(np.float64)
    damaged[3, 5] = -9999
    restoration = denoiser.restoration(damaged)
    rest = np.ones(true.shape, bool)
    rest[:40, :40] = False
    assert restoration.changed and restoration.picture.dtype == np.float64
    assert np.mean((restoration.picture - true)[rest] ** 2) < 0.25 * np.mean((damaged - true)[rest] ** 2)


def test_loading_draws_no_random_numbers(denoiser, tmp_path):
    denoiser.save(tmp_path / "d.safetensors")
    torch.manual_seed(0)
    before = torch.get_rng_state()
    refold.load(tmp_path / "d.safetensors")
    assert torch.equal(before, torch.get_rng_state())


def test_a_training_that_was_killed_goes_on_to_the_same_weights(tmp_path, monkeypatch):
    from refold.train import _restoration

    monkeypatch.setattr(_restoration, "_SECURED_EVERY", 5)
    pictures = data.camera()[None, :96, :96]
    whole = Restorer(steps=20, **SMALL).fit(pictures)

    train_on = _restoration.RestorationTraining._train_on

    def dies(training, *batch):
        if training.step == 12:
            raise KeyboardInterrupt
        return train_on(training, *batch)

    path = str(tmp_path / "unfinished")
    monkeypatch.setattr(_restoration.RestorationTraining, "_train_on", dies)
    with pytest.raises(KeyboardInterrupt):
        Restorer(steps=20, checkpoint=path, **SMALL).fit(pictures)
    monkeypatch.setattr(_restoration.RestorationTraining, "_train_on", train_on)
    resumed = Restorer(steps=20, checkpoint=path, **SMALL).fit(pictures)
    for name, value in whole.net_.state_dict().items():
        assert torch.equal(value, resumed.net_.state_dict()[name]), name


def test_turned_pictures_give_the_same_in_tiles():
    """Sides that are no whole strides, and tiles that do not reach from border to border."""
    restorer = Restorer(steps=40, **SMALL).fit(data.camera()[None, :64, :64])
    picture = (noisy(data.camera()[:301, :283], 25) / 255).astype(np.float32)
    assert restorer.tiles_of(picture, "25MB") > 4
    few, whole = (
        restorer.restore(picture, noise=1.0, self_ensemble=True, max_memory=memory) for memory in ("25MB", "4GB")
    )
    assert np.abs(whole - picture).max() > 1e-3
    np.testing.assert_allclose(few, whole, atol=1e-6)


def test_the_running_mean_of_the_weights_is_what_is_left():
    plan = RestorationPlan(steps=6, batch_size=2)
    torch.manual_seed(0)
    training = RestorationTraining(RestorationSpec(1, (4, 4), 1).build(), plan)
    training.run(PictureCrops([data.camera()], 16, 1), noise_of_many_levels(0.2))
    last, mean = dict(training.net.state_dict()), dict(training.mean)
    last = {name: value.clone() for name, value in last.items()}
    left = training.finish().state_dict()
    assert all(torch.equal(left[name], mean[name]) for name in left)
    assert not torch.equal(left["head.weight"], last["head.weight"])


def test_a_file_names_no_checkpoint_and_holds_no_weights_that_are_no_numbers(tmp_path, denoiser):
    denoiser.save(tmp_path / "d.safetensors")
    file = read_model_file(tmp_path / "d.safetensors")
    planted = {**file.header["parameters"], "checkpoint": str(tmp_path / "planted"), "random_state": 3}
    write_model_file(
        ModelFile(file.kind, {**file.header, "parameters": planted}, file.tensors), tmp_path / "p.safetensors"
    )
    loaded = refold.load(tmp_path / "p.safetensors")
    assert loaded.checkpoint is None and loaded.random_state is None
    broken = {name: value.clone() for name, value in file.tensors.items()}
    broken["head.weight"][0, 0, 0, 0] = float("nan")
    write_model_file(ModelFile(file.kind, file.header, broken), tmp_path / "n.safetensors")
    with pytest.raises(ModelFileError, match="does not hold the weights"):
        refold.load(tmp_path / "n.safetensors")


def test_damages_that_lose_values_and_files_that_lie_are_refused(tmp_path, denoiser):
    with pytest.raises(ParameterError, match="loses values, which a restorer does not fill yet"):
        Restorer(corruption="masking(0.2)", steps=2, **SMALL).fit(data.camera()[None, :64, :64])
    denoiser.save(tmp_path / "d.safetensors", half=True)
    file = read_model_file(tmp_path / "d.safetensors")
    lie = {**file.header, "spec": {**file.header["spec"], "widths": [1024, 1024, 1024]}}
    write_model_file(ModelFile(file.kind, lie, file.tensors), tmp_path / "lie.safetensors")
    with pytest.raises(ModelFileError, match="does not hold the weights of the network"):
        refold.load(tmp_path / "lie.safetensors")
