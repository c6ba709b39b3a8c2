"""Numbers to bytes and back: probabilities in whole numbers, entropy coding, the container."""

from refold.codec._bits import CERTAIN, BitReader, BitWriter, Coder
from refold.codec._bound import Bound, parse_bound
from refold.codec._columns import LearnedColumns, PlainColumns
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
from refold.codec._learned import model_of, ways_of
from refold.codec._learned_code import Encoder, LearnedCode
from refold.codec._learned_lattice import MOST_SKIP, PARTS, SKIP_PARTS, LearnedLattice, as_slices, shortened
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
from refold.codec._masks import code_mask
from refold.codec._number_maps import NumberMap, number_map
from refold.codec._numbers import MOST, Counts, code_numbers
from refold.codec._packing import Packed, code_of, pack, unbroken, unpack
from refold.codec._raster import RASTER_PARTS, LearnedRaster, walked
from refold.codec._raster_context import TALLIES, RasterContext, RasterWalk
from refold.codec._specials import Specials, find_fill, find_specials
from refold.codec._ways import CODE, FIELD, FIRST_LEARNED, PICTURES, TABLE, LearnedWay, Way, Ways
from refold.codec._whole import Whole, coarse, whole_of

__all__ = [
    "AROUND",
    "CENTRE",
    "CERTAIN",
    "CODE",
    "DIFFERENCES",
    "EDGE",
    "FIELD",
    "FIRST_LEARNED",
    "INPUTS",
    "LEAST_WIDTH",
    "MEAN_PARTS",
    "MOST",
    "MOST_INPUT",
    "MOST_SKIP",
    "MOST_SYMBOLS",
    "MOST_VALUES",
    "MOST_WIDTH",
    "PARTS",
    "PICTURES",
    "RASTER_PARTS",
    "SHARE_PARTS",
    "SKIP_PARTS",
    "TABLE",
    "TALLIES",
    "WIDTH_PARTS",
    "ArrayEntry",
    "ArrayHead",
    "BitReader",
    "BitWriter",
    "BlockHead",
    "Bound",
    "Coder",
    "Counts",
    "Encoder",
    "IntegerLayer",
    "IntegerNet",
    "LatticeWay",
    "Layout",
    "LearnedCode",
    "LearnedColumns",
    "LearnedLattice",
    "LearnedRaster",
    "LearnedWay",
    "NumberMap",
    "Packed",
    "PlainColumns",
    "RasterContext",
    "RasterWalk",
    "RefzContents",
    "RefzWriter",
    "Sight",
    "Slice",
    "Specials",
    "Way",
    "Ways",
    "Whole",
    "as_slices",
    "coarse",
    "code_mask",
    "code_numbers",
    "code_of",
    "code_weights",
    "find_fill",
    "find_specials",
    "integer_net",
    "logistic_bits",
    "logistic_weights",
    "look",
    "model_mark",
    "model_of",
    "number_map",
    "pack",
    "parse_bound",
    "read_block",
    "read_contents",
    "shortened",
    "unbroken",
    "unpack",
    "values_checksum",
    "walked",
    "ways_of",
    "whole_of",
]
