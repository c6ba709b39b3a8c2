"""What of the data's shape a code keeps."""

from dataclasses import dataclass

from refold._errors import ParameterError


@dataclass(frozen=True)
class KeepNeighbours:
    """Records that are neighbours get codes that are neighbours, and clusters come apart.

    Parameters
    ----------
    weight : float
        Of the places against the rebuilding, per variance of a feature; above 0. It counts less where principal
        components leave little of the variance, and where records are few.
    count : float
        Neighbours of a record.
    """

    weight: float = 0.3
    count: float = 15
    name = "neighbours"

    def __post_init__(self) -> None:
        _check(self.name, self.weight, self.count)


@dataclass(frozen=True)
class KeepDistances:
    """Distances between codes are those along the data: a rolled-up sheet is laid out flat.

    Parameters
    ----------
    weight : float
        Of the places against the rebuilding, per variance of a feature; above 0.
    count : float
        Neighbours of a record, from which to which distances add up.
    """

    weight: float = 1.0
    count: float = 12
    name = "distances"

    def __post_init__(self) -> None:
        _check(self.name, self.weight, self.count)


@dataclass(frozen=True)
class KeepSmooth:
    """The decoder stretches the code alike everywhere and in all directions.

    Parameters
    ----------
    weight : float
        Of the smoothness against the rebuilding, per variance of a feature; above 0.
    """

    weight: float = 0.1
    name = "smooth"

    def __post_init__(self) -> None:
        _check_weight(self.name, self.weight)


Keep = KeepNeighbours | KeepDistances


@dataclass(frozen=True)
class Kept:
    """All that a code keeps.

    Parameters
    ----------
    places : KeepNeighbours or KeepDistances, optional
        What places are found by beforehand, with all records at once.
    smooth : KeepSmooth, optional
    """

    places: Keep | None = None
    smooth: KeepSmooth | None = None


def _check(name: str, weight: float, count: float) -> None:
    _check_weight(name, weight)
    if not (count == int(count) and 2 <= count <= 1000):
        raise ParameterError(f"{name}(count={count}) is not possible; count is a whole number of 2 to 1000")


def _check_weight(name: str, weight: float) -> None:
    if not 0 < weight < float("inf"):
        raise ParameterError(f"{name}(weight={weight}) is not possible; weight must be above 0")
