"""Train the network against noise that ships with refold: ``python training/denoise.py --photos FOLDER -o FILE``.

FOLDER holds whole photographs, without noise. Crops are taken, turned, mirrored and mixed to grey at random; Gaussian
noise is added whose deviation each crop draws evenly from 0 to 70 of 255. The network is asked for the crop (absolute
errors, squared ones in the last three tenths). Colour pictures are denoised by the same network, in three
planes of opponent colours.

``--checkpoint`` keeps the unfinished training; the same command goes on from it.
"""

import argparse
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import torch
from PIL import Image

from refold import Restorer
from refold.nets import RestorationSpec
from refold.train import PictureCrops, RestorationPlan, RestorationTraining, choose_device, noise_of_many_levels

SPEC = RestorationSpec(channels=1, widths=(32, 64, 128), blocks=2)
STEPS, BATCH, CROP, RATE, DECAY_FROM = 13_000, 16, 64, 1e-3, 0.42
STRONGEST = 70 / 255
SAY_EVERY = 500


def main() -> None:
    """Train from the command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--photos", type=Path, required=True, metavar="FOLDER")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--steps", type=int, default=STEPS)
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--device", default="auto")
    parser.add_argument("--checkpoint", type=Path, metavar="FILE")
    parser.add_argument("-o", "--output", type=Path, required=True, metavar="FILE.safetensors")
    options = parser.parse_args()
    plan = RestorationPlan(options.steps, BATCH, RATE, DECAY_FROM, options.threads, options.seed)
    training = train(read_photos(options.photos), plan, options.device, options.checkpoint)
    as_restorer(training).save(options.output, half=True)


def read_photos(folder: Path) -> list[np.ndarray]:
    """Return all pictures of a folder in colour."""
    paths = sorted(path for path in folder.iterdir() if path.suffix.lower() in (".jpg", ".jpeg", ".png"))
    return [np.asarray(Image.open(path).convert("RGB")) for path in paths]


def train(
    photos: list[np.ndarray], plan: RestorationPlan, device: str, checkpoint: Path | None
) -> RestorationTraining:
    """Train to the end of the plan, from the checkpoint where there is one."""
    torch.manual_seed(plan.seed)
    identity = {"photos": len(photos), "plan": [plan.steps, plan.batch_size, plan.rate, plan.decay_from, plan.seed]}
    training = RestorationTraining(SPEC.build().to(choose_device(device)), plan, identity)
    if checkpoint is not None and checkpoint.exists():
        training.resume(checkpoint)
    crops, damage = PictureCrops(photos, CROP, SPEC.channels), noise_of_many_levels(STRONGEST)
    training.run(crops, damage, _said(time.perf_counter(), training.step), checkpoint)
    return training


def _said(start: float, first: int) -> Callable[[int, int], None]:
    def say(step: int, steps: int) -> None:
        if step % SAY_EVERY == 0:
            left = (time.perf_counter() - start) / (step - first) * (steps - step)
            print(f"step {step} of {steps}, {left / 60:.0f} minutes left", flush=True)  # noqa: T201

    return say


def as_restorer(training: RestorationTraining) -> Restorer:
    """Return the trained network as what the package loads."""
    restorer = Restorer(corruption=f"gaussian({STRONGEST / 1.25:.3f})", steps=training.plan.steps)
    restorer.net_, restorer.noise_, restorer.n_steps_ = training.finish(), True, training.step
    return restorer


if __name__ == "__main__":
    main()
