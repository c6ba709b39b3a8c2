"""Train the network that takes marks off: ``python training/unwatermark.py --photos FOLDER -o FILE``.

FOLDER holds whole photographs without marks. Crops are taken, turned and mirrored at random, a tenth of them made
grey, and over most a part of a mark is laid, half transparent: random letters and simple emblems, and with
``--logos`` two times in three a logo of a folder, three in ten of those in other colours. Of the logos every fifth
(in order of their names) is left out, for judging. A mark has its size from a larger picture than the network sees,
which is asked where the mark is and for the picture below it; only what lies under the mark and close to it counts.

The recipe is for an accelerator; the weights that ship were trained on a processor with ``--batch-size 8``.
``--checkpoint`` keeps the unfinished training; the same command goes on from it.
"""

import argparse
import shutil
from pathlib import Path
from tempfile import mkdtemp

import numpy as np
from restoring import Recipe, train_from_command_line
from sources import PhotoStack, Place, with_marks

from refold.estimators import DamageKind
from refold.nets import RestorationSpec
from refold.objectives import Either, Watermark
from refold.train import DrawExamples

LARGE, CROP, GREY = 288, 160, 0.1
JUDGED_BY = 5  # every fifth logo is not learned
MARKS = {"low": 0.3, "high": 0.8, "smallest": 0.2, "largest": 0.9, "tiled": 0.1}
DRAWN = 0.35  # share of the marks that are no logos, where there are logos
RECIPE = Recipe(
    RestorationSpec(channels=3, widths=(40, 64, 96, 112, 128), finds=True, gains=True, bias=True),
    DamageKind(finds=True, blind=True),
    corruption="watermark(" + ", ".join(f"{name}={value}" for name, value in MARKS.items()) + ")",
    steps=12_000,
    batch_size=32,
    rate=5e-4,
    decay_from=0.3,
)


def learned_logos(folder: Path) -> Path:
    """Return a folder with those logos that are learned."""
    files = sorted(path for path in folder.iterdir() if path.suffix.lower() == ".png")
    learned = Path(mkdtemp())
    for place, path in enumerate(files):
        if place % JUDGED_BY != JUDGED_BY - 1:
            shutil.copy(path, learned)
    return learned


def examples_of(photos: list[np.ndarray], logos: Path | None, place: Place) -> DrawExamples:
    """Return crops with drawn marks, or every other one with a logo."""
    marks: Either | Watermark = Watermark(**MARKS)
    if logos is not None:
        marks = Either(marks, Watermark(logo=str(learned_logos(logos)), recoloured=0.3, **MARKS), DRAWN)
    return with_marks(PhotoStack(photos, CROP, GREY, place.device), marks, LARGE, CROP, place)


if __name__ == "__main__":
    own, options = argparse.ArgumentParser(add_help=False), argparse.Namespace()
    own.add_argument("--logos", type=Path, metavar="FOLDER", help="pictures with transparency")
    train_from_command_line(
        __doc__, RECIPE, lambda photos, place: examples_of(photos, options.logos, place), own, options
    )
