"""``make bench-restore_ablation``: what skips and constants do to a network against noise.

Three small networks of the same widths see the same crops and the same noise (evenly from 0 to 55 of 255): the one of
`refold.Restorer`, the same with constants (biases) in its layers, and a strict autoencoder: no paths beside the code,
and the picture itself as answer instead of the damage. They are judged on every sixth picture of BSD68, at noise that
they have seen and at noise that they have not.
"""

import time
from statistics import mean
from typing import Any

import numpy as np
import torch
from restore import damaged, photos, psnr
from results import write_section
from torch import Tensor
from torch.nn import functional

from refold.nets import RestorationNet, RestorationSpec
from refold.train import PictureCrops, RestorationPlan, RestorationTraining, damaged_examples, noise_of_many_levels

WIDTHS, STEPS, STRONGEST = (16, 32, 64), 1_500, 55 / 255
LEVELS, EVERY = (15, 25, 50, 75, 100), 6


class StrictAutoencoder(RestorationNet):
    """Everything must go through the coarsest scale."""

    def forward(self, pictures: Tensor) -> Tensor:
        """Return pictures that are rebuilt from the code; sides are whole strides."""
        height, width = pictures.shape[-2:]
        padding = (0, -width % self.spec.stride, 0, -height % self.spec.stride)
        maps = self.head(functional.pixel_unshuffle(functional.pad(pictures, padding, mode="reflect"), 2))
        for level, blocks in enumerate(self.encoder):
            maps = blocks(maps)
            maps = self.down[level](maps) if level < len(self.down) else maps
        for level in reversed(range(len(self.up))):
            maps = self.decoder[level](self.up[level](maps))
        return functional.pixel_shuffle(self.tail(maps), 2)[..., :height, :width]


def main() -> None:
    """Train the three and print what they do."""
    torch.set_num_threads(1)
    start, pictures = time.perf_counter(), [np.rint(each * 255).astype(np.uint8) for each in photos("train")]
    spec = RestorationSpec(channels=1, widths=WIDTHS)
    networks: dict[str, Any] = {
        "residual, skips, no constants (`Restorer`)": lambda: spec.build(),
        "the same with constants": lambda: RestorationSpec(channels=1, widths=WIDTHS, bias=True).build(),
        "strict autoencoder": lambda: StrictAutoencoder(spec),
    }
    columns = " | ".join(f"{level}{'' if level <= 55 else ' (unseen)'}" for level in LEVELS)
    rows = [f"| BSD68, every {EVERY}th picture, dB, at sigma | {columns} |", "|---" * (len(LEVELS) + 1) + "|"]
    judged = photos("test_gray", "BSD68")[::EVERY]
    for name, build in networks.items():
        torch.manual_seed(0)
        training = RestorationTraining(build(), RestorationPlan(STEPS))
        training.run(damaged_examples(PictureCrops(pictures, 64, 1), noise_of_many_levels(STRONGEST)))
        net = training.finish()
        found = [mean(_measured(net, pair.damaged, pair.true) for pair in damaged(judged, level)) for level in LEVELS]
        rows.append(f"| {name} | {' | '.join(f'{value:.2f}' for value in found)} |")
        print(rows[-1], flush=True)
    rows.append("")
    rows.append(f"Measured in {(time.perf_counter() - start) / 60:.1f} minutes, one seed.")
    write_section("restore-ablation", "Restoration: skips and constants", "make bench-restore_ablation", rows)


@torch.no_grad()
def _measured(net: RestorationNet, picture: Any, true: Any) -> float:
    return psnr(net(torch.from_numpy(picture)[None, None])[0, 0].numpy(), true)


if __name__ == "__main__":
    main()
