"""Parts in which numbers are coded: small at first, since every part teaches the counts that the next one uses."""

from collections.abc import Iterator
from dataclasses import dataclass

_FIRST = 128  # numbers
_SHARE = 4  # of what was coded before, a part has one in so many


@dataclass
class GrowingChunks:
    """Cuts what is coded into parts that grow with all that was coded so far, up to `largest` numbers."""

    largest: int
    coded: int = 0

    def of(self, count: int) -> Iterator[slice]:
        """Yield the parts of the next `count` numbers."""
        start = 0
        while start < count:
            size = min(max(_FIRST, self.coded // _SHARE), self.largest, count - start)
            yield slice(start, start + size)
            start += size
            self.coded += size
