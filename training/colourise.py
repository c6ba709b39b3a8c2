"""Train the network that gives grey pictures colours: ``python training/colourise.py --photos FOLDER -o FILE``.

FOLDER holds colour photographs. They are made small, so that a crop shows most of what is in the picture. Of each
crop the network is given the luminance and, but for three in ten crops, the true colours of 1 to 50 places, spread
over what is near and as light; it is asked for the chroma. In a fifth of the crops with hints all colours are turned,
so that a hint counts more than what is usual.

``--checkpoint`` keeps the unfinished training; the same command goes on from it.
"""

from restoring import Recipe, train_from_command_line

from refold.estimators import DamageKind
from refold.nets import RestorationSpec
from refold.train import COLOUR_GUIDES, ColourExamples

CROP = 96
RECIPE = Recipe(
    RestorationSpec(channels=3, widths=(24, 48, 96, 128, 128), blocks=1, guides=COLOUR_GUIDES, bias=True),
    DamageKind(colours=True),
    corruption="grey",
    steps=1_700,
    batch_size=12,
    rate=1e-3,
    decay_from=0.3,
)

if __name__ == "__main__":
    train_from_command_line(__doc__, RECIPE, lambda photos, place: ColourExamples(photos, CROP))
