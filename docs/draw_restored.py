"""Draw the pictures of restored photographs: ``python docs/draw_restored.py``.

scikit-image's photographs, which no network that ships has seen, damaged with fixed seeds.
"""

from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from PIL import Image
from skimage import data

import refold
from refold.objectives import Domain, parse_corruption

Picture = NDArray[np.uint8]
UNIT = Domain(torch.tensor(0.0), torch.tensor(255.0), torch.tensor(True))
SIDE, GAP, HINTS = 240, 6, 20


def main() -> None:
    """Draw what works and what does not."""
    folder = Path(__file__).with_name("pictures")
    cat, woman, cup = (_square(picture) for picture in (data.chelsea(), data.astronaut(), data.coffee()))
    _sheet([_denoised(cat), _inpainted(woman, _strokes(woman)), _coloured(cup, HINTS)], folder / "restored.jpg")
    grass = _square(np.repeat(data.grass()[..., None], 3, axis=2))
    hole = np.zeros((SIDE, SIDE), bool)
    hole[70:150, 60:150] = True
    night = _square(data.rocket())
    _sheet([_inpainted(woman, hole), _coloured(night, 0), _denoised(grass)], folder / "restoring_failures.jpg")


def _square(picture: Picture) -> Picture:
    side = min(picture.shape[:2])
    top, left = ((length - side) // 2 for length in picture.shape[:2])
    image = Image.fromarray(picture[top : top + side, left : left + side]).resize(
        (SIDE, SIDE), Image.Resampling.LANCZOS
    )
    return np.asarray(image)


def _denoised(picture: Picture) -> tuple[Picture, Picture]:
    noise = 0.2 * 255 * np.random.default_rng(0).normal(size=picture.shape)
    noise = noise[..., :1] if (picture == picture[..., :1]).all() else noise
    noisy = np.clip(picture + noise, 0, 255).round().astype(np.uint8)
    return noisy, refold.pretrained("denoise").restore(noisy)


def _strokes(picture: Picture) -> NDArray[np.bool_]:
    corruption = parse_corruption("scratches(0.15)")
    assert corruption is not None
    raw = torch.zeros(1, *picture.shape[:2])
    return corruption(raw, UNIT, torch.Generator().manual_seed(2))[0].isnan().numpy()


def _inpainted(picture: Picture, lost: NDArray[np.bool_]) -> tuple[Picture, Picture]:
    damaged = np.where(lost[..., None], np.uint8(255), picture)
    return damaged, refold.pretrained("inpaint").restore(damaged, lost)


def _coloured(picture: Picture, hints: int) -> tuple[Picture, Picture]:
    grey = np.asarray(Image.fromarray(picture).convert("L"))
    places = np.random.default_rng(0).integers(0, SIDE, (hints, 2)).tolist()
    told = [(row, column, tuple(picture[row, column].tolist())) for row, column in places]
    coloured = refold.pretrained("colourise").restore(grey, hints=told or None)
    return np.repeat(grey[..., None], 3, axis=2), coloured


def _sheet(pairs: list[tuple[Picture, Picture]], path: Path) -> None:
    """Put damaged pictures above restored ones."""
    width = len(pairs) * (SIDE + GAP) - GAP
    sheet = Image.new("RGB", (width, 2 * SIDE + GAP), "white")
    for column, pair in enumerate(pairs):
        for row, picture in enumerate(pair):
            sheet.paste(Image.fromarray(picture), (column * (SIDE + GAP), row * (SIDE + GAP)))
    sheet.save(path, quality=88)


if __name__ == "__main__":
    main()
