"""Numbers to bytes and back: probabilities in whole numbers, entropy coding, the container."""

from refold.codec._bits import CERTAIN, BitReader, BitWriter, Coder
from refold.codec._integer_net import IntegerLayer, IntegerNet, code_weights, integer_net
from refold.codec._lattice import LatticeWay
from refold.codec._numbers import MOST, Counts, code_numbers

__all__ = [
    "CERTAIN",
    "MOST",
    "BitReader",
    "BitWriter",
    "Coder",
    "Counts",
    "IntegerLayer",
    "IntegerNet",
    "LatticeWay",
    "code_numbers",
    "code_weights",
    "integer_net",
]
