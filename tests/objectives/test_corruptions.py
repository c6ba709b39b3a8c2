"""What corruptions do to records."""

import pytest
import torch

from refold import ParameterError
from refold.objectives import (
    Blur,
    Both,
    Domain,
    Either,
    FeatureSwap,
    Gaussian,
    Grey,
    Holes,
    Jpeg,
    Masking,
    MissingPixels,
    Poisson,
    SaltAndPepper,
    Scratches,
    Text,
)

COLUMNS = Domain(torch.tensor([0.0, -10.0, 0.0]), torch.tensor([1.0, 10.0, 2.0]), torch.tensor([True, True, False]))
PIXELS = Domain(torch.tensor(0.0), torch.tensor(255.0), torch.tensor(True))
EVERY = [Gaussian(0.2), Masking(0.3), SaltAndPepper(0.2), FeatureSwap(0.4), Both(Masking(0.2), Gaussian(0.1))]


def seeded(seed=0):
    return torch.Generator().manual_seed(seed)


def rows(n=4000):
    generator = seeded(7)
    numbers = torch.rand(n, 2, generator=generator) * torch.tensor([1.0, 20.0]) - torch.tensor([0.0, 10.0])
    return torch.cat([numbers, torch.randint(3, (n, 1), generator=generator).float()], dim=1)


@pytest.mark.parametrize("corruption", EVERY, ids=str)
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64, torch.uint8])
def test_the_input_stays_as_it_is_and_the_shape_too(corruption, dtype):
    pictures = (torch.rand(6, 5, 4, 3, generator=seeded()) * 255).to(dtype)
    before = pictures.clone()
    damaged = corruption(pictures, PIXELS, seeded())
    assert pictures.equal(before)
    assert damaged.shape == pictures.shape and damaged.is_floating_point()
    assert damaged.dtype == (torch.float32 if dtype == torch.uint8 else dtype)
    assert not damaged.equal(before.to(damaged.dtype))


@pytest.mark.parametrize("corruption", EVERY, ids=str)
def test_the_same_generator_gives_the_same_damage(corruption):
    first, second = (corruption(rows(), COLUMNS, seeded(3)) for _ in range(2))
    assert torch.equal(first.nan_to_num(-99), second.nan_to_num(-99))
    assert not torch.equal(first.nan_to_num(-99), corruption(rows(), COLUMNS, seeded(4)).nan_to_num(-99))


@pytest.mark.parametrize("share", [0.2, 0.25])
def test_gaussian_noise_is_a_share_of_every_columns_range(share):
    noise = Gaussian(share)(rows(), COLUMNS, seeded()) - rows()
    assert noise.std(dim=0)[:2].tolist() == pytest.approx([share, 20 * share], rel=0.05)
    assert noise.mean(dim=0)[:2].tolist() == pytest.approx([0, 0], abs=0.05 * 20)
    assert (noise[:, 2] == 0).all()  # categories stay


def test_masked_values_are_missing_cells():
    damaged = Masking(0.3)(rows(), COLUMNS, seeded())
    lost = damaged.isnan()
    assert lost.float().mean(dim=0).tolist() == pytest.approx([0.3] * 3, abs=0.03)
    assert torch.equal(damaged[~lost], rows()[~lost])


def test_salt_and_pepper_are_the_ends_of_the_range():
    damaged = SaltAndPepper(0.2)(rows(), COLUMNS, seeded())
    changed = damaged != rows()
    assert changed[:, :2].float().mean(dim=0).tolist() == pytest.approx([0.2] * 2, abs=0.03)
    assert not changed[:, 2].any()
    assert set(damaged[:, 1][changed[:, 1]].tolist()) == {-10.0, 10.0}
    assert (damaged[:, 1] == 10).float().mean() == pytest.approx(0.1, abs=0.02)


def test_swapped_values_come_from_the_same_column():
    damaged = FeatureSwap(0.4)(rows(500), COLUMNS, seeded())
    for place in range(3):
        assert set(damaged[:, place].tolist()) <= set(rows(500)[:, place].tolist())
    assert (damaged != rows(500))[:, 0].float().mean() == pytest.approx(0.4, abs=0.06)


def test_one_after_the_other():
    damaged = Both(Masking(0.3), Gaussian(0.1))(rows(), COLUMNS, seeded())
    seen = ~damaged[:, 0].isnan()
    assert seen.float().mean() == pytest.approx(0.7, abs=0.03)
    assert (damaged[seen, 0] - rows()[seen, 0]).std() == pytest.approx(0.1, rel=0.1)


# --- pictures -------------------------------------------------------------------------------------------------------

OF_PICTURES = [
    MissingPixels(0.3),
    Holes(3, 6),
    Scratches(0.2),
    Text(8, 0.1),
    Poisson(20),
    Blur(1.0),
    Jpeg(10),
    Grey(),
    Either(MissingPixels(0.2), Jpeg(5)),
]
LOSING = OF_PICTURES[:4]


def pictures_of(shape, dtype=torch.float32):
    return (torch.rand(shape, generator=seeded(5)) * 255).to(dtype)


@pytest.mark.parametrize("corruption", OF_PICTURES, ids=str)
@pytest.mark.parametrize("shape", [(5, 24, 31, 3), (5, 3, 24, 31), (5, 24, 31)], ids=str)
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64, torch.uint8])
def test_pictures_of_every_layout_keep_shape_type_and_the_input(corruption, shape, dtype):
    pictures = pictures_of(shape, dtype)
    before = pictures.clone()
    first, second = (corruption(pictures, PIXELS, seeded(3)) for _ in range(2))
    assert pictures.equal(before) and first.shape == pictures.shape
    assert first.dtype == (torch.float32 if dtype == torch.uint8 else dtype)
    assert torch.equal(first.nan_to_num(-9), second.nan_to_num(-9))
    assert len(shape) == 3 or not first.nan_to_num(-9).equal(before.to(first.dtype))


@pytest.mark.parametrize("corruption", LOSING, ids=str)
def test_lost_pixels_are_lost_in_every_channel_and_the_others_stay(corruption):
    pictures = pictures_of((6, 3, 40, 50))
    damaged = corruption(pictures, PIXELS, seeded())
    lost = damaged.isnan()
    assert lost.any() and (lost == lost[:, :1]).all()
    assert torch.equal(damaged[~lost], pictures[~lost])
    assert not (lost[0] == lost[1]).all()  # drawn anew for every picture


@pytest.mark.parametrize(
    ("corruption", "share"), [(MissingPixels(0.3), 0.3), (Scratches(0.2), 0.2), (Text(12, 0.1), 0.1)]
)
def test_as_much_is_lost_as_was_asked_for(corruption, share):
    lost = corruption(pictures_of((8, 1, 128, 160)), PIXELS, seeded()).isnan().float().mean().item()
    assert share * 0.9 <= lost <= share + 0.05


def test_holes_are_rectangles_no_larger_than_asked_for():
    lost = Holes(1, 12)(pictures_of((30, 1, 40, 40)), PIXELS, seeded()).isnan()[:, 0]
    for each in lost:
        rows, columns = each.any(1).nonzero(), each.any(0).nonzero()
        height, width = int(rows.max() - rows.min()) + 1, int(columns.max() - columns.min()) + 1
        assert 3 <= height <= 12 and 3 <= width <= 12 and each.sum() == height * width


def test_counted_light_varies_as_its_mean():
    flat = torch.full((1, 1, 200, 200), 127.5)
    counted = Poisson(40)(flat, PIXELS, seeded()) / 255 * 40
    assert counted.mean().item() == pytest.approx(20, rel=0.02) and counted.var().item() == pytest.approx(
        20, rel=0.05
    )
    torch.testing.assert_close(counted, counted.round(), atol=1e-3, rtol=0)


def test_grey_is_the_luminance():
    damaged = Grey()(torch.tensor([255.0, 0, 0, 0, 255, 0]).view(2, 3, 1, 1), PIXELS, seeded())
    assert damaged[0].flatten().tolist() == pytest.approx([76.245] * 3)
    assert damaged[1].flatten().tolist() == pytest.approx([149.685] * 3)


def test_blur_keeps_the_mean_and_spreads_a_point():
    point = torch.zeros(1, 1, 31, 31)
    point[..., 15, 15] = 255
    blurred = Blur(2.0)(point, PIXELS, seeded())[0, 0]
    assert blurred.sum().item() == pytest.approx(255, rel=1e-5)
    assert blurred[15, 15].item() == pytest.approx(255 / (2 * torch.pi * 4), rel=0.03)


def test_lost_stays_lost_whatever_comes_after():
    damaged = Both(Both(MissingPixels(0.3), Blur(1)), Jpeg(20))(pictures_of((2, 3, 16, 16)), PIXELS, seeded())
    assert damaged.isnan().float().mean().item() == pytest.approx(0.3, abs=0.1)
    for later in (Gaussian(0.1), Poisson(10), SaltAndPepper(0.1)):
        lost = MissingPixels(0.3)(pictures_of((2, 16, 16)), PIXELS, seeded())
        assert torch.equal(later(lost, PIXELS, seeded()).isnan() | lost.isnan(), lost.isnan())


def test_one_or_the_other_happens_to_each_record():
    dark = torch.zeros(400, 4)
    either = Either(Masking(0.99), SaltAndPepper(0.99), 0.25)
    lost = either(dark, Domain(torch.tensor(0.0), torch.tensor(9.0), torch.tensor(True)), seeded()).isnan().any(1)
    assert lost.float().mean().item() == pytest.approx(0.25, abs=0.07)


def test_what_is_for_pictures_refuses_rows():
    with pytest.raises(ParameterError, match="this corruption is for pictures"):
        Blur()(rows(), COLUMNS, seeded())


@pytest.mark.parametrize(
    "make",
    [
        lambda: MissingPixels(1.0), lambda: Holes(0), lambda: Scratches(0), lambda: Text(2), lambda: Poisson(0),
        lambda: Blur(0), lambda: Jpeg(0),
    ],
)  # fmt: skip
def test_damages_that_are_not_possible(make):
    with pytest.raises(ParameterError, match="is not possible"):
        make()


def test_sigma_counts_levels_of_255():
    assert Gaussian(sigma=51).share == pytest.approx(0.2)
