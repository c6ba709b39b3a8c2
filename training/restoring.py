"""What the scripts that train restorers share: options, photographs, weights to begin with, the run."""

import argparse
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from PIL import Image
from sources import Place

import refold
from refold import Restorer
from refold.estimators import DamageKind
from refold.nets import RestorationNet, RestorationSpec
from refold.train import DrawExamples, RestorationPlan, RestorationTraining, choose_device

SAY_EVERY = 100
SMALL = 0.2  # share of the drawn weights by which new planes come in where others went before


@dataclass(frozen=True)
class Recipe:
    """What one script trains.

    Parameters
    ----------
    spec : RestorationSpec
    kind : DamageKind
    corruption : str
        What the restorer undoes, in words that `refold.Restorer` reads.
    steps, batch_size : int
    rate, decay_from : float
        As of `RestorationPlan`.
    """

    spec: RestorationSpec
    kind: DamageKind
    corruption: str
    steps: int
    batch_size: int
    rate: float
    decay_from: float


def train_from_command_line(
    description: str | None,
    recipe: Recipe,
    examples: Callable[[list[np.ndarray], Place], DrawExamples],
    own: argparse.ArgumentParser | None = None,
    options: argparse.Namespace | None = None,
) -> None:
    """Read the options, train, and write the restorer in half precision.

    Parameters
    ----------
    description : str
        Of the script.
    recipe : Recipe
    examples : callable
        From photographs and a place to a source of examples.
    own : ArgumentParser, optional
        Options of the script's own, without ``--help``.
    options : Namespace, optional
        Where all options go, before `examples` is called.
    """
    parser = argparse.ArgumentParser(
        description=description,
        formatter_class=argparse.RawDescriptionHelpFormatter,
        parents=[] if own is None else [own],
    )
    parser.add_argument("--photos", type=Path, required=True, metavar="FOLDER")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--steps", type=int, default=recipe.steps)
    parser.add_argument("--batch-size", type=int, default=recipe.batch_size)
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--workers", type=int, default=0, help="processes that draw masks and marks")
    parser.add_argument("--device", default="auto")
    parser.add_argument("--compile", action="store_true", help="with torch.compile, which takes minutes at first")
    parser.add_argument("--begin-with", type=Path, metavar="FILE.safetensors")
    parser.add_argument("--checkpoint", type=Path, metavar="FILE")
    parser.add_argument("-o", "--output", type=Path, required=True, metavar="FILE.safetensors")
    options = parser.parse_args(namespace=options)
    photos = read_photos(options.photos)
    plan = RestorationPlan(
        options.steps, options.batch_size, recipe.rate, recipe.decay_from, options.threads, options.seed
    )
    torch.backends.cudnn.benchmark = True
    torch.set_float32_matmul_precision("high")
    torch.manual_seed(plan.seed)
    net = recipe.spec.build()
    if options.begin_with is not None:
        begin_with(net, refold.load(options.begin_with).net_)
    identity = {
        "photos": len(photos),
        "corruption": recipe.corruption,
        "plan": [plan.steps, plan.batch_size, plan.rate, plan.decay_from, plan.seed],
    }
    training = RestorationTraining(net.to(choose_device(options.device)), plan, identity)
    if options.checkpoint is not None and options.checkpoint.exists():
        training.resume(options.checkpoint)
    place = Place(training.device, plan.seed, training.step, plan.batch_size, options.workers)
    if options.compile:
        training.net.compile()
    training.run(examples(photos, place), _said(time.perf_counter(), training.step), options.checkpoint)
    if training.interrupted:
        raise SystemExit("interrupted; nothing was written, and with --checkpoint the same command goes on")
    restorer = Restorer(corruption=recipe.corruption, widths=recipe.spec.widths, steps=plan.steps)
    restorer.take(training, recipe.kind).save(options.output, half=True)


def read_photos(folder: Path) -> list[np.ndarray]:
    """Return all pictures of a folder in colour."""
    paths = sorted(path for path in folder.iterdir() if path.suffix.lower() in (".jpg", ".jpeg", ".png"))
    return [np.asarray(Image.open(path).convert("RGB")) for path in paths]


@torch.no_grad()
def begin_with(net: RestorationNet, first: RestorationNet) -> None:
    """Take the weights of a network of the same widths, which may be for grey pictures or have fewer planes beside.

    One for grey pictures does to the luminance of colours what it did. New planes come in with small drawn weights.
    """
    weights, spec = first.state_dict(), net.spec
    own = net.state_dict()
    if first.spec.channels < spec.channels:
        length = spec.channels**0.5  # of the luminance in the space of colours
        head = weights["head.weight"].repeat(1, spec.channels, 1, 1) / length
        drawn = own["head.weight"][:, : head.shape[1]].unflatten(1, (spec.channels, -1))
        weights["head.weight"] = head + SMALL * (drawn - drawn.mean(1, keepdim=True)).flatten(1, 2)
        weights["tail.weight"] = weights["tail.weight"].repeat(spec.channels, 1, 1, 1) / length
    for name, axis in (("head.weight", 1), ("tail.weight", 0)):
        known = weights[name].shape[axis]
        new = own[name].narrow(axis, known, own[name].shape[axis] - known)
        weights[name] = torch.cat([weights[name], SMALL * new], axis)
    net.load_state_dict(weights)


def _said(start: float, first: int) -> Callable[[int, int], None]:
    def say(step: int, steps: int) -> None:
        if step % SAY_EVERY == 0:
            left = (time.perf_counter() - start) / (step - first) * (steps - step)
            print(f"step {step} of {steps}, {left / 60:.0f} minutes left", flush=True)  # noqa: T201

    return say
