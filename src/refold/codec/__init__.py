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
from refold.codec._packing import Packed, pack, unpack
from refold.codec._specials import Specials, find_fill, find_specials
from refold.codec._ways import LearnedWay, Way, Ways
from refold.codec._whole import Whole, whole_of

__all__ = [
    "CERTAIN",
    "FIRST_LEARNED",
    "MOST",
    "MOST_VALUES",
    "ArrayEntry",
    "ArrayHead",
    "BitReader",
    "BitWriter",
    "BlockHead",
    "Bound",
    "Coder",
    "Counts",
    "IntegerLayer",
    "IntegerNet",
    "LearnedColumns",
    "NumberMap",
    "PlainColumns",
    "code_numbers",
    "code_weights",
    "find_fill",
    "find_specials",
    "integer_net",
    "number_map",
]
