"""Train the network against noise that ships with refold: ``python training/denoise.py --photos FOLDER -o FILE``.

FOLDER holds whole photographs, without noise. Crops are taken, turned and mirrored at random, half of them made grey;
Gaussian noise is added whose deviation each crop draws evenly from 0 to 70 of 255. The network is asked for the crop
(absolute errors, squared ones in the last three tenths). It takes three channels; a grey picture is one whose
channels are the same.

The recipe is for an accelerator. On a processor ``--batch-size 8`` gets there more slowly. ``--checkpoint`` keeps the
unfinished training; the same command goes on from it.
"""

from restoring import Recipe, train_from_command_line
from sources import PhotoStack, noisy

from refold.estimators import DamageKind
from refold.nets import RestorationSpec

STRONGEST, CROP, GREY = 70 / 255, 96, 0.5
RECIPE = Recipe(
    RestorationSpec(channels=3, widths=(64, 96, 128)),
    DamageKind(noise=True),
    corruption=f"gaussian({STRONGEST / 1.25:.3f})",
    steps=14_000,
    batch_size=64,
    rate=8e-4,
    decay_from=0.3,
)

if __name__ == "__main__":
    train_from_command_line(
        __doc__,
        RECIPE,
        lambda photos, place: noisy(PhotoStack(photos, CROP, GREY, place.device), STRONGEST, place),
    )
