"""Numbers to bytes and back: probabilities in whole numbers, entropy coding, the container."""

from refold.codec._bits import CERTAIN, BitReader, BitWriter, Coder
from refold.codec._columns import LearnedColumns, PlainColumns
from refold.codec._decimals import NumberMap, number_map
from refold.codec._integer_net import IntegerLayer, IntegerNet, code_weights, integer_net
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
    "LearnedColumns",
    "NumberMap",
    "PlainColumns",
    "code_numbers",
    "code_weights",
    "integer_net",
    "number_map",
]
