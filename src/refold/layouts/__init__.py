"""Where records should lie in a code: neighbours among them, and places that keep these neighbours or distances."""

from refold.layouts._arranging import arranged
from refold.layouts._graph import neighbour_graph
from refold.layouts._neighbours import Neighbours, nearest_neighbours
from refold.layouts._unrolling import unrolled

__all__ = ["Neighbours", "arranged", "nearest_neighbours", "neighbour_graph", "unrolled"]
