"""All measures of how well a code keeps what is in the data, together."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from refold.metrics._intrusions import Intrusions, check_n_neighbors
from refold.metrics._neighbour_accuracy import neighbour_accuracy
from refold.metrics._neighbourhoods import neighbourhoods
from refold.metrics._neighbours_kept import NeighboursKept, Overlap, checked_sizes
from refold.metrics._reconstruction import reconstruction_error
from refold.metrics._rows import paired_rows
from refold.metrics._shepard import PAIRS, shepard_correlation


@dataclass(frozen=True)
class MapQuality:
    """How well a code keeps what is in the data; printed, it is a table.

    Parameters
    ----------
    n_records, n_values, n_numbers : int
        Records, values of a record in the data, and numbers of its code.
    n_neighbors : int
        Neighbours that trustworthiness and continuity are about.
    trustworthiness, continuity : float
        1 if neighbours in the code are neighbours in the data, and the other way round; about 0.5 by chance.
    shepard_correlation : float
        Rank correlation of the distances; 0 by chance.
    neighbours_kept : NeighboursKept
        Share of the nearest neighbours that are the same in both.
    neighbour_accuracy : dict of int to float, or None
        How often the nearest other records tell the label, by their number; None without labels.
    reconstruction_error : float or None
        Mean squared error; None without rebuilt records.
    """

    n_records: int
    n_values: int
    n_numbers: int
    n_neighbors: int
    trustworthiness: float
    continuity: float
    shepard_correlation: float
    neighbours_kept: NeighboursKept
    neighbour_accuracy: Mapping[int, float] | None = None
    reconstruction_error: float | None = None

    def table(self) -> list[tuple[str, str]]:
        """Return what is measured and its value as texts, a row for each measure."""
        kept = self.neighbours_kept
        return [
            (f"trustworthiness, {_nearest(self.n_neighbors)}", f"{self.trustworthiness:.4f}"),
            (f"continuity, {_nearest(self.n_neighbors)}", f"{self.continuity:.4f}"),
            ("rank correlation of distances", f"{self.shepard_correlation:.4f}"),
            *(
                (f"neighbours kept, {_nearest(size)}", f"{share:.2%} (by chance {chance:.2%})")
                for size, share, chance in zip(kept.sizes, kept.shares, kept.chance, strict=True)
            ),
            *(
                (f"label told by neighbours, {_nearest(count)}", f"{accuracy:.2%}")
                for count, accuracy in (self.neighbour_accuracy or {}).items()
            ),
            *(
                []
                if self.reconstruction_error is None
                else [("mean squared error", f"{self.reconstruction_error:.6g}")]
            ),
        ]

    def __str__(self) -> str:
        title = f"{self.n_values:,} values in {self.n_numbers:,}, {self.n_records:,} records"
        width = max(len(measure) for measure, _ in self.table())
        return "\n".join([title, *(f"  {measure:<{width}}  {value}" for measure, value in self.table())])


def map_quality(
    data: Any,
    code: Any,
    rebuilt: Any = None,
    labels: Any = None,
    *,
    n_neighbors: int = 5,
    sizes: Sequence[int] | None = None,
    label_neighbors: Sequence[int] = (1, 10),
    pairs: int = PAIRS,
    seed: int = 0,
) -> MapQuality:
    """Measure how well a code keeps what is in the data, with one pass over the distances.

    Parameters
    ----------
    data : array-like or tensor of shape (n, ...), or table of numbers
    code : array-like or tensor of shape (n, ...), or table of numbers
    rebuilt : array-like or tensor of shape (n, ...), or table of numbers, optional
        The records as the code gives them back.
    labels : array-like of shape (n,), optional
    n_neighbors : int, default=5
        For `trustworthiness` and `continuity`.
    sizes : sequence of int, optional
        For `neighbours_kept`.
    label_neighbors : sequence of int, default=(1, 10)
        For `neighbour_accuracy`, each record among the others.
    pairs, seed : int
        For `shepard_correlation`.

    Returns
    -------
    MapQuality

    Raises
    ------
    DataError
        If the numbers of records differ, or values are not finite.
    ParameterError
        If a parameter is out of range.

    Examples
    --------
    >>> from sklearn.datasets import load_iris
    >>> from sklearn.decomposition import PCA
    >>> X, y = load_iris(return_X_y=True)
    >>> pca = PCA(2)
    >>> code = pca.fit_transform(X)
    >>> print(map_quality(X, code, pca.inverse_transform(code), y, sizes=(10,)))
    4 values in 2, 150 records
      trustworthiness, 5 nearest             0.9787
      continuity, 5 nearest                  0.9902
      rank correlation of distances          0.9958
      neighbours kept, 10 nearest            73.53% (by chance 6.71%)
      label told by neighbours, the nearest  96.00%
      label told by neighbours, 10 nearest   95.33%
      mean squared error                     0.0253411
    """
    rows, codes = paired_rows(data, code)
    intrusions = Intrusions(len(rows), check_n_neighbors(n_neighbors, len(rows)))
    overlap = Overlap(checked_sizes(sizes, len(rows)), len(rows))
    # what is quick comes first, so that what cannot be used is told before the long pass
    error = None if rebuilt is None else reconstruction_error(rows, rebuilt)
    accuracy = None if labels is None else neighbour_accuracy(codes, labels, n_neighbors=label_neighbors)
    correlation = shepard_correlation(rows, codes, pairs, seed)
    for block in neighbourhoods(rows, codes, max(n_neighbors, *overlap.sizes), ranked=n_neighbors):
        intrusions.add(block)
        overlap.add(block)
    return MapQuality(
        n_records=len(rows),
        n_values=rows.shape[1],
        n_numbers=codes.shape[1],
        n_neighbors=n_neighbors,
        trustworthiness=intrusions.trustworthiness,
        continuity=intrusions.continuity,
        shepard_correlation=correlation,
        neighbours_kept=overlap.kept,
        neighbour_accuracy=accuracy,
        reconstruction_error=error,
    )


def _nearest(count: int) -> str:
    return "the nearest" if count == 1 else f"{count} nearest"
