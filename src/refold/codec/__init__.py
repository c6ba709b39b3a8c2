"""Numbers to bytes and back: probabilities in whole numbers, entropy coding, the container."""

from refold.codec._bits import CERTAIN, BitReader, BitWriter, Coder
from refold.codec._integer_net import IntegerLayer, IntegerNet, code_weights, integer_net
from refold.codec._numbers import MOST, Counts, code_numbers
from refold.codec._raster import RASTER_PARTS, LearnedRaster, walked
from refold.codec._raster_context import TALLIES, RasterContext, RasterWalk

__all__ = [
    "CERTAIN",
    "MOST",
    "RASTER_PARTS",
    "TALLIES",
    "BitReader",
    "BitWriter",
    "Coder",
    "Counts",
    "IntegerLayer",
    "IntegerNet",
    "LearnedRaster",
    "RasterContext",
    "RasterWalk",
    "code_numbers",
    "code_weights",
    "integer_net",
    "walked",
]
