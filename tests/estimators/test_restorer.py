"""Restorers: noise comes off, clean pictures stay, types and files are kept, training goes on where it was."""

import signal

import numpy as np
import pytest
import torch
from PIL import Image
from skimage import data
from sklearn.base import clone

import refold
from refold import CheckpointError, DataError, ModelFileError, ParameterError, Restorer
from refold.estimators._noise_level import noise_deviation
from refold.files import ModelFile, read_model_file, write_model_file
from refold.nets import RestorationSpec, filled_smoothly
from refold.objectives import Gaussian
from refold.train import (
    PictureCrops,
    RestorationPlan,
    RestorationTraining,
    damaged_examples,
    noise_of_many_levels,
)

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
    assert denoiser.tiles_of(damaged, "50MB") > 1
    for ensemble in (False, True):
        little, much = (
            denoiser.restore(damaged, max_memory=memory, self_ensemble=ensemble) for memory in ("50MB", "4GB")
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


def test_ctrl_c_ends_after_the_step_and_the_same_call_goes_on(tmp_path, monkeypatch):
    from refold.train import _restoration

    pictures = data.camera()[None, :64, :64]
    whole = Restorer(steps=20, **SMALL).fit(pictures)
    train_on = _restoration.RestorationTraining._train_on

    def pressed(training, *batch):
        if training.step == 7:
            signal.raise_signal(signal.SIGINT)
        return train_on(training, *batch)

    path = str(tmp_path / "unfinished")
    monkeypatch.setattr(_restoration.RestorationTraining, "_train_on", pressed)
    cut = Restorer(steps=20, checkpoint=path, **SMALL).fit(pictures)
    assert cut.stopped_ == "interrupted" and cut.n_steps_ == 8
    assert cut.restore(data.coins()[:40, :40], noise=0.5).shape == (40, 40)
    monkeypatch.setattr(_restoration.RestorationTraining, "_train_on", train_on)
    resumed = Restorer(steps=20, checkpoint=path, **SMALL).fit(pictures)
    assert resumed.stopped_ == "steps" and resumed.n_steps_ == 20
    for name, value in whole.net_.state_dict().items():
        assert torch.equal(value, resumed.net_.state_dict()[name]), name


def test_turned_pictures_give_the_same_in_tiles():
    """Sides that are no whole strides, and tiles that do not reach from border to border."""
    restorer = Restorer(steps=40, **SMALL).fit(data.camera()[None, :64, :64])
    picture = (noisy(data.camera()[:301, :283], 25) / 255).astype(np.float32)
    assert restorer.tiles_of(picture, "14MB") > 4
    few, whole = (
        restorer.restore(picture, noise=1.0, self_ensemble=True, max_memory=memory) for memory in ("14MB", "4GB")
    )
    assert np.abs(whole - picture).max() > 1e-3
    np.testing.assert_allclose(few, whole, atol=1e-6)


def test_the_running_mean_of_the_weights_is_what_is_left():
    plan = RestorationPlan(steps=6, batch_size=2)
    torch.manual_seed(0)
    training = RestorationTraining(RestorationSpec(1, (4, 4), 1).build(), plan)
    training.run(damaged_examples(PictureCrops([data.camera()], 16, 1), noise_of_many_levels(0.2)))
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


def test_files_that_lie_are_refused(tmp_path, denoiser):
    denoiser.save(tmp_path / "d.safetensors", half=True)
    file = read_model_file(tmp_path / "d.safetensors")
    lie = {**file.header, "spec": {**file.header["spec"], "widths": [1024, 1024, 1024]}}
    write_model_file(ModelFile(file.kind, lie, file.tensors), tmp_path / "lie.safetensors")
    with pytest.raises(ModelFileError, match="does not hold the weights of the network"):
        refold.load(tmp_path / "lie.safetensors")


# --- what is lost ---------------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def filler():
    photos = [data.camera()[::2, ::2], data.brick()[256:], data.brick()[:, 256:]]
    quick = {**SMALL, "widths": (16, 16), "batch_size": 8, "learning_rate": 2e-3}
    return Restorer(corruption="missing_pixels(0.5)|missing_pixels(0.4)", steps=300, **quick).fit(photos)


def lost_at_random(shape, share=0.3, seed=1):
    return np.random.default_rng(seed).random(shape) < share


def test_what_is_lost_is_filled_better_than_smoothly_and_the_rest_stays_bit_for_bit(filler):
    true = data.brick()[:101, :90].copy()
    mask = lost_at_random(true.shape, 0.5)
    damaged = np.where(mask, 0, true).astype(np.uint8)
    restoration = filler.restoration(damaged, mask)
    known = torch.from_numpy(~mask)[None, None]
    smooth = filled_smoothly(torch.from_numpy(damaged / 255.0)[None, None], known)[0, 0].numpy() * 255
    assert restoration.changed and np.array_equal(restoration.mask, mask)
    assert np.array_equal(restoration.picture[~mask], true[~mask])
    assert psnr(restoration.picture, true) > psnr(smooth, true) + 0.5
    inpainted = filler.restore(np.where(mask, 255, true).astype(np.uint8), mask)
    assert np.array_equal(inpainted, restoration.picture)  # what stood where it is lost does not matter


@pytest.mark.parametrize("dtype", [np.uint8, np.uint16, np.uint32, np.float32, np.float64])
def test_known_pixels_of_every_type_stay(filler, dtype):
    high = 1.0 if np.dtype(dtype).kind == "f" else np.iinfo(dtype).max
    picture = (RNG.random((40, 33, 3)) * high).astype(dtype)
    mask = lost_at_random((40, 33))
    restored = filler.restore(picture, mask)
    assert restored.dtype == dtype and np.array_equal(restored[~mask], picture[~mask])
    assert not np.array_equal(restored[mask], picture[mask])


def test_nan_is_lost_too(filler):
    picture = (data.camera()[:50, :60] / 255).astype(np.float32)
    mask = lost_at_random(picture.shape)
    with_nan = np.where(mask, np.float32(np.nan), picture)
    assert np.array_equal(filler.restore(with_nan), filler.restore(picture, mask))
    whole = filler.restoration(picture, np.zeros(picture.shape, bool))
    assert not whole.changed and np.array_equal(whole.picture, picture)


def test_filling_in_tiles_is_filling_the_whole(filler):
    picture = (data.camera()[:301, :283] / 255).astype(np.float32)
    mask = lost_at_random(picture.shape)
    mask[100:180, 90:160] = True
    few, whole = (filler.restore(picture, mask, max_memory=memory) for memory in ("25MB", "4GB"))
    np.testing.assert_allclose(few, whole, atol=1e-6)


@pytest.mark.parametrize(
    ("mask", "told"),
    [
        (None, "which pixels are lost must be told"),
        (np.ones((9, 8), bool), r"the mask has shape \(9, 8\) and the picture \(20, 21\)"),
        (np.ones((20, 21), bool), "every pixel of the picture is lost"),
        (np.ones((20, 21)), "a mask must be truth values or integers"),
    ],
)
def test_masks_that_cannot_be_meant(filler, mask, told):
    with pytest.raises((ParameterError, DataError), match=told):
        filler.restore(np.zeros((20, 21), np.uint8), mask)


def test_a_mask_means_nothing_against_noise(denoiser):
    with pytest.raises(ParameterError, match="fills nothing"):
        denoiser.restore(data.camera()[:30, :30], np.ones((30, 30), bool))


def test_a_filler_comes_back_from_its_file(filler, tmp_path):
    filler.save(tmp_path / "f.safetensors")
    loaded = refold.load(tmp_path / "f.safetensors")
    picture, mask = data.coins()[:64, :50], lost_at_random((64, 50))
    assert loaded.kind_ == filler.kind_
    assert np.array_equal(loaded.restore(picture, mask), filler.restore(picture, mask))


def test_noise_and_scratches_together_change_known_pixels_too():
    restorer = Restorer(corruption="gaussian(0.1)+scratches(0.1)", steps=3, **SMALL).fit([data.camera()])
    assert restorer.kind_.loses and not restorer.kind_.keeps


# --- pairs and other damages ----------------------------------------------------------------------------------------


def test_pairs_teach_their_own_damage(tmp_path):
    whole = [data.camera()[:128, :128], data.coins()[:128, :128], data.moon()[:128, :128]]
    damaged = [(picture * 0.5).astype(np.uint8) for picture in whole]
    restorer = Restorer(steps=150, **SMALL).fit(damaged, whole)
    test = data.chelsea()[:64, :64, 1]
    assert psnr(restorer.restore((test * 0.5).astype(np.uint8)), test) > psnr(test * 0.5, test) + 6
    for folder, pictures in (("damaged", damaged), ("whole", whole)):
        (tmp_path / folder).mkdir()
        for name, picture in zip("abc", pictures, strict=True):
            Image.fromarray(picture).save(tmp_path / folder / f"{name}.png")
    Restorer(steps=2, **SMALL).fit(tmp_path / "damaged", tmp_path / "whole")
    (tmp_path / "whole" / "b.png").unlink()
    with pytest.raises(DataError, match=r"'b\.png' has no whole picture of its name"):
        Restorer(steps=2, **SMALL).fit(tmp_path / "damaged", tmp_path / "whole")
    with pytest.raises(DataError, match="there are 3 damaged and 2 whole pictures"):
        Restorer(steps=2, **SMALL).fit(damaged, whole[:2])
    with pytest.raises(DataError, match="differ in size"):
        Restorer(steps=2, **SMALL).fit(damaged, [*whole[:2], data.moon()[:90, :128]])


def test_a_corruption_that_does_nothing_or_no_damage_is_refused():
    with pytest.raises(ParameterError, match="damaged nothing"):
        Restorer(corruption=lambda raw, domain, generator: raw, steps=2, **SMALL).fit([data.camera()])
    with pytest.raises(ParameterError, match="must return pictures of the same shape"):
        Restorer(corruption=lambda raw, domain, generator: raw[:, :, ::2], steps=2, **SMALL).fit([data.camera()])
