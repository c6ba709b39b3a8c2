"""Numbers to bytes and back: probabilities in whole numbers, entropy coding, the container."""

from refold.codec._bits import CERTAIN, BitReader, BitWriter, Coder
from refold.codec._integer_net import IntegerLayer, IntegerNet, code_weights, integer_net
from refold.codec._learned_code import Encoder, LearnedCode
from refold.codec._logistic import (
    LEAST_WIDTH,
    MEAN_PARTS,
    MOST_SYMBOLS,
    MOST_WIDTH,
    SHARE_PARTS,
    WIDTH_PARTS,
    logistic_bits,
    logistic_weights,
)
from refold.codec._numbers import MOST, Counts, code_numbers

__all__ = [
    "CERTAIN",
    "LEAST_WIDTH",
    "MEAN_PARTS",
    "MOST",
    "MOST_SYMBOLS",
    "MOST_WIDTH",
    "SHARE_PARTS",
    "WIDTH_PARTS",
    "BitReader",
    "BitWriter",
    "Coder",
    "Counts",
    "Encoder",
    "IntegerLayer",
    "IntegerNet",
    "LearnedCode",
    "code_numbers",
    "code_weights",
    "integer_net",
    "logistic_bits",
    "logistic_weights",
]
