"""Numbers to bytes and back: probabilities in whole numbers, entropy coding, the container."""

from refold.codec._bits import CERTAIN, BitReader, BitWriter, Coder
from refold.codec._bound import Bound, parse_bound
from refold.codec._container import (
    MOST_VALUES,
    ArrayEntry,
    ArrayHead,
    BlockHead,
    RefzContents,
    RefzWriter,
    model_mark,
    read_block,
    read_contents,
    values_checksum,
)
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
    "LatticeWay",
    "LearnedLattice",
    "AROUND",
    "CENTRE",
    "EDGE",
    "DIFFERENCES",
    "INPUTS",
    "MOST_INPUT",
    "Layout",
    "Sight",
    "Slice",
    "look",
    "MOST_SKIP",
    "PARTS",
    "SKIP_PARTS",
    "as_slices",
    "code_numbers",
    "code_weights",
    "find_fill",
    "find_specials",
    "integer_net",
    "model_mark",
    "model_of",
    "pack",
    "parse_bound",
    "read_block",
    "read_contents",
    "unpack",
    "values_checksum",
    "ways_of",
    "whole_of",
]
