"""Draw the README's picture from scikit-learn's digits: ``python docs/draw_pictures.py``."""

from pathlib import Path

import numpy as np
from PIL import Image

import refold
from refold.data import digits_of_scikit_learn
from refold.estimators import PCABaseline
from refold.plots import latent_scatter, reconstruction_grid, save_figure


def main() -> None:
    """Learn two codes, draw both figures, put them side by side."""
    digits = digits_of_scikit_learn()
    folder = Path(__file__).with_name("pictures")
    flat = refold.Autoencoder(latent_dim=2, net="dense", random_state=0).fit(digits.train)
    labels = [str(label) for label in digits.test_labels]
    save_figure(
        latent_scatter(flat.transform(digits.test), colours=labels, thumbnails=digits.test), folder / "map.png"
    )
    solid = refold.Autoencoder(latent_dim=3, net="dense", random_state=0).fit(digits.train)
    shown = digits.test[[int(np.flatnonzero(digits.test_labels == digit)[1]) for digit in range(10)]]
    rows = {
        "original": shown,
        "3 numbers": solid.reconstruct(shown),
        "PCA, 3": PCABaseline(solid, digits.train).reconstruct(shown),
    }
    save_figure(reconstruction_grid(rows), folder / "grid.png")
    _beside(folder / "map.png", folder / "grid.png", folder / "digits.png")


def _beside(left: Path, right: Path, output: Path) -> None:
    pictures = [Image.open(path).convert("RGB") for path in (left, right)]
    height = 520
    sized = [picture.resize((round(picture.width * height / picture.height), height)) for picture in pictures[:1]]
    width = 1500 - sized[0].width
    sized.append(pictures[1].resize((width, round(pictures[1].height * width / pictures[1].width))))
    sheet = Image.new("RGB", (1500, height), "white")
    sheet.paste(sized[0], (0, 0))
    sheet.paste(sized[1], (sized[0].width, (height - sized[1].height) // 2))
    sheet.quantize(128).save(output, optimize=True)
    for path in (left, right):
        path.unlink()


if __name__ == "__main__":
    main()
