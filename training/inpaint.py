"""Train the network that fills what is lost: ``python training/inpaint.py --photos FOLDER -o FILE``.

FOLDER holds whole photographs. Crops are taken, turned and mirrored at random, a quarter of them made grey. Of each,
a tenth to a half of the pixels is lost one by one, or strokes, text or rectangles are. What is lost is filled
smoothly, and the network, told where, is asked for the crop; only the lost pixels count.

The recipe is for an accelerator. On a processor ``--batch-size 8`` gets there more slowly. ``--begin-with`` takes the
weights of another restorer of the same widths, such as the one against noise. ``--checkpoint`` keeps the unfinished
training; the same command goes on from it.
"""

from restoring import Recipe, train_from_command_line
from sources import PhotoStack, with_lost_pixels

from refold.estimators import DamageKind
from refold.nets import RestorationSpec
from refold.objectives import parse_corruption

CROP, GREY = 96, 0.25
RECIPE = Recipe(
    RestorationSpec(channels=3, widths=(64, 96, 128), guides=1),
    DamageKind(loses=True, keeps=True),
    corruption="missing_pixels(0.1)|missing_pixels(0.25)|missing_pixels(0.5)|scratches(0.1)|scratches(0.2)"
    "|text(24)|text(48, 0.12)|holes(4, 32)",
    steps=10_000,
    batch_size=64,
    rate=8e-4,
    decay_from=0.3,
)

if __name__ == "__main__":
    train_from_command_line(
        __doc__,
        RECIPE,
        lambda photos, place: with_lost_pixels(
            PhotoStack(photos, CROP, GREY, place.device), parse_corruption(RECIPE.corruption), CROP, place
        ),
    )
