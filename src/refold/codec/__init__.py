"""Numbers to bytes and back: probabilities in whole numbers, entropy coding, the container."""

from refold.codec._bits import CERTAIN, BitReader, BitWriter, Coder
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
from refold.codec._learned_lattice import MOST_SKIP, PARTS, SKIP_PARTS, LearnedLattice, as_slices, shortened
from refold.codec._masks import code_mask
from refold.codec._numbers import MOST, Counts, code_numbers

__all__ = [
    "AROUND",
    "CENTRE",
    "CERTAIN",
    "DIFFERENCES",
    "EDGE",
    "INPUTS",
    "MOST",
    "MOST_INPUT",
    "MOST_SKIP",
    "PARTS",
    "SKIP_PARTS",
    "BitReader",
    "BitWriter",
    "Coder",
    "Counts",
    "IntegerLayer",
    "IntegerNet",
    "LatticeWay",
    "Layout",
    "LearnedLattice",
    "Sight",
    "Slice",
    "as_slices",
    "code_mask",
    "code_numbers",
    "code_weights",
    "integer_net",
    "look",
    "shortened",
]
