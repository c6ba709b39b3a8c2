"""Where records should lie in a code: neighbours among them, and places that keep these neighbours or distances."""

from refold.layouts._arranging import arranged, settled
from refold.layouts._diffusing import diffused
from refold.layouts._dimension import likeliest_dimension, two_nearest_dimension
from refold.layouts._graph import neighbour_graph
from refold.layouts._neighbours import Neighbours, nearest_neighbours
from refold.layouts._unrolling import unrolled

__all__ = [
    "Neighbours",
    "arranged",
    "diffused",
    "likeliest_dimension",
    "nearest_neighbours",
    "neighbour_graph",
    "settled",
    "two_nearest_dimension",
    "unrolled",
]
