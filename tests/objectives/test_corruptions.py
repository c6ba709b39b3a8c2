"""What corruptions do to records."""

import pytest
import torch

from refold.objectives import Both, Domain, FeatureSwap, Gaussian, Masking, SaltAndPepper

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
