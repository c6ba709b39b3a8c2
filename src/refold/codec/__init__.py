"""Numbers to bytes and back: probabilities in whole numbers, entropy coding, the container."""

from refold.codec._bits import CERTAIN, BitReader, BitWriter, Coder
from refold.codec._columns import LearnedColumns, PlainColumns
from refold.codec._decimals import NumberMap, number_map
from refold.codec._integer_net import IntegerLayer, IntegerNet, code_weights, integer_net
from refold.codec._lattice import LatticeWay
from refold.codec._lattice_places import (
    AROUND,
    CENTRE,
    DIFFERENCES,
    EDGE,
    INPUTS,
    MOST_INPUT,
    Layout,
    Sight,
    Slice,
    look,
)
from refold.codec._learned_lattice import MOST_SKIP, PARTS, SKIP_PARTS, LearnedLattice, as_slices
from refold.codec._numbers import MOST, Counts, code_numbers
from refold.codec._raster import PARTS, LearnedRaster, walked
from refold.codec._raster_context import TALLIES, RasterContext, RasterWalk

__all__ = [
    "CERTAIN",
    "FIRST_LEARNED",
    "MOST",
    "PARTS",
    "TALLIES",
    "BitReader",
    "BitWriter",
    "BlockHead",
    "Bound",
    "Coder",
    "Counts",
    "IntegerLayer",
    "IntegerNet",
    "LearnedRaster",
    "RasterContext",
    "RasterWalk",
    "code_numbers",
    "code_weights",
    "find_fill",
    "find_specials",
    "integer_net",
    "walked",
]
