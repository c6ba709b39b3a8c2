"""The order in which the places of a grid are visited, coarse to fine, and which places stand beside them."""

from collections.abc import Iterator
from dataclasses import dataclass
from itertools import combinations
from typing import Any

from numpy.typing import NDArray

Array = NDArray[Any]


LEADS = (-20, -2, -1, 0, 1, 2, 3, 20)  # by how many halvings the first axis may be ahead of the others


@dataclass(frozen=True)
class Stage:
    """Places that are visited at once: between those visited before, along `axes`."""

    places: tuple[slice, ...]
    axes: tuple[int, ...]
    level: int  # 0 is the finest

    def beside(self, axis: int) -> tuple[slice, ...]:
        """Return the places visited before, of which each place of the stage stands between two along `axis`."""
        own = self.places[axis]
        return (*self.places[:axis], slice(0, None, own.step), *self.places[axis + 1 :])


def coarsest(shape: tuple[int, ...]) -> tuple[int, ...]:
    """Return the stride of every axis at which one place is left of it."""
    return tuple(1 << max(0, (size - 1).bit_length()) for size in shape)


def stages(shape: tuple[int, ...], lead: int) -> Iterator[Stage]:
    """Yield the stages after the place (0, 0, ...), until all places of a grid are visited.

    The first axis is refined `lead` halvings before the others; if that is negative, after them.
    """
    steps = list(_strides(shape, lead))
    for number, (old, new) in enumerate(steps):
        halved = [axis for axis in range(len(shape)) if new[axis] < old[axis] and new[axis] < shape[axis]]
        for count in range(1, len(halved) + 1):
            for axes in combinations(halved, count):
                places = tuple(
                    slice(new[axis] if axis in axes else 0, None, old[axis] if axis in halved else new[axis])
                    for axis in range(len(shape))
                )
                yield Stage(places, axes, len(steps) - 1 - number)


def _strides(shape: tuple[int, ...], lead: int) -> Iterator[tuple[tuple[int, ...], tuple[int, ...]]]:
    """Yield strides before and after each step."""
    now = coarsest(shape)
    ahead = (max(lead, 0), *(max(-lead, 0),) * (len(shape) - 1))
    while max(now) > 1:
        urgent = [stride << more if stride > 1 else 0 for stride, more in zip(now, ahead, strict=True)]
        new = tuple(stride // 2 if urge == max(urgent) else stride for stride, urge in zip(now, urgent, strict=True))
        yield now, new
        now = new
