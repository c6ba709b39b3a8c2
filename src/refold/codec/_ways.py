"""The ways in which a block of whole numbers is coded, by the number that stands for them in a file."""

from collections.abc import Mapping
from typing import Any, Protocol

from numpy.typing import NDArray

from refold.codec._bits import Coder

Array = NDArray[Any]

IN_ORDER, LATTICE, COLUMNS = 16, 17, 18
FIELD, PICTURES, TABLE, CODE = 32, 33, 34, 35  # learned ways; the last is a code alone, without any promise
FIRST_LEARNED = 32  # numbers from here on need a model


class Way(Protocol):
    """How whole numbers are coded; the same method in both directions."""

    @property
    def limits(self) -> tuple[int, int]:
        """The smallest and the largest number that it can code."""

    @property
    def gaps(self) -> bool:
        """Whether numbers may be missing."""

    def applies(self, shape: tuple[int, ...], shift: int) -> bool:
        """Return whether blocks of this shape can be coded so."""

    def code(self, coder: Coder, known: Array, shift: int, true: Array | None = None) -> Array:
        """Write or read numbers, and return those that the reader gets: int64 in the shape of the block.

        Parameters
        ----------
        coder : Coder
        known : ndarray of bool, (n, ...)
            What is coded; elsewhere any number is returned.
        shift : int
            Numbers may be off by half of 2**shift; 0 asks for the same numbers.
        true : ndarray of float64 or int64, (n, ...)
            What shall come back. Given to a writer only.
        """


class LearnedWay(Protocol):
    """What was learned from data, such as a `Way`; both sides need the same one."""

    def to_bytes(self) -> bytes:
        """Return all that was learned."""


Ways = Mapping[int, Any]  # of a `Way` each, or a `LearnedCode` by the number `CODE`
