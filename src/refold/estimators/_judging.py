"""Who judges records: one kind for rows, one for small pictures of one size, one for pictures of any size."""

from collections.abc import Callable, Iterator
from typing import Any, Protocol

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from refold._errors import DataError
from refold.data import Adapter, Pictures
from refold.estimators._parameters import DetectorParameters
from refold.estimators._picture_detection import fit_pictures
from refold.estimators._row_detection import RowSpec, Told, fit_rows, row_spec
from refold.estimators._series_judging import SeriesJudge
from refold.estimators._small_picture_detection import fit_small_pictures
from refold.scores import (
    LARGEST_SIDE,
    PictureScorer,
    PictureSpec,
    RowScorer,
    SeriesSpec,
    SmallPictureScorer,
    SmallPictureSpec,
    in_channels,
)
from refold.train import apply_in_blocks, with_threads

Array = NDArray[Any]
Scores = NDArray[np.float64]

_BLEMISHES = 16  # of the size of one that makes a picture strange by its brightest colour alone fill the picture


class Judge(Protocol):
    """Scores records of one kind; `module` holds all that was learned, and `spec` its shape."""

    kind: str
    spec: Any
    module: Any

    def scores(self, chunk: Any) -> Scores:
        """Return the scores of encoded rows, or of pictures."""

    def scorer(self) -> Callable[[Any], float]:
        """Return a quick function from one record to its score."""


class RowJudge:
    """Judges encoded rows.

    Parameters
    ----------
    spec : RowSpec
    module : RowScorer
    """

    kind = "rows"

    def __init__(self, spec: RowSpec, module: RowScorer) -> None:
        self.spec = spec
        self.module = module

    def scores(self, chunk: Array) -> Scores:
        """Return the scores of encoded rows (n, columns)."""
        return self._apply(self.module, chunk).astype(np.float64)

    def errors(self, chunk: Array) -> Scores:
        """Return the reconstruction errors of encoded rows (n, columns)."""
        return self._apply(self.module.error, chunk).astype(np.float64)

    def reasons(self, chunk: Array) -> tuple[Array, Array]:
        """Return the shares of columns (n, columns) in the scores, and the raw values expected instead."""

        def together(raw: Tensor) -> Tensor:
            reasons = self.module.reasons(raw)
            return torch.cat([reasons.shares.double(), reasons.expected.double()], dim=1)

        both = self._apply(together, chunk)
        columns = both.shape[1] // 2
        return both[:, :columns], both[:, columns:]

    def scorer(self) -> Callable[[Any], float]:
        """Return a quick function from an encoded row to its score."""
        module, device = self.module, self._device
        dtype = np.float64 if self.spec.exact else np.float32

        def score(row: Any) -> float:
            with torch.inference_mode(), with_threads(1):
                return float(module(torch.from_numpy(np.array(row, dtype=dtype)[None]).to(device)))

        return score

    def _apply(self, function: Callable[[Tensor], Tensor], chunk: Array) -> Array:
        work = self.module.rebuilding.ensemble.operations + 4 * self.module.neighbours.features.numel()
        return apply_in_blocks(function, chunk, self._device, work)

    @property
    def _device(self) -> torch.device:
        return self.module.typical.device


class PictureJudge:
    """Judges pictures of any size, one at a time.

    Parameters
    ----------
    spec : PictureSpec
    module : PictureScorer
    """

    kind = "pictures"

    def __init__(self, spec: PictureSpec, module: PictureScorer) -> None:
        self.spec = spec
        self.module = module

    @classmethod
    def fitted(
        cls,
        parameters: DetectorParameters,
        pictures: Pictures,
        places: NDArray[np.intp],
        seed: int,
        told: Told | None,
    ) -> tuple["PictureJudge", Scores]:
        """Learn from normal pictures; also return their scores as if each was new."""
        module, scores = fit_pictures(parameters, pictures, places, seed, told)
        return cls(module.spec, module), scores

    def scores(self, chunk: Pictures) -> Scores:
        """Return the scores of pictures."""
        return np.array([self.module.score_of(heat) for heat in self.heats(chunk)], dtype=np.float64)

    def hottest(self, threshold: float) -> float:
        """Return the heat that deserves the brightest colour where pictures are flagged above a threshold."""
        return max(2 * threshold, 1.0)

    def heats(self, chunk: Pictures) -> Iterator[NDArray[np.float32]]:
        """Yield the heat map (H, W) of every picture."""
        for picture in chunk:
            with with_threads(1):
                heat = self.module.heat(picture)
            yield heat

    def scorer(self) -> Callable[[Any], float]:
        """Return a quick function from a picture to its score."""
        return self.module.score


class SmallPictureJudge:
    """Judges small pictures of one size.

    Parameters
    ----------
    spec : SmallPictureSpec
    module : SmallPictureScorer
    """

    kind = "small pictures"

    def __init__(self, spec: SmallPictureSpec, module: SmallPictureScorer) -> None:
        self.spec = spec
        self.module = module

    @staticmethod
    def suits(shape: tuple[int, ...] | None) -> bool:
        """Say whether pictures of this shape are small ones of one size; None stands for sizes that differ."""
        return shape is not None and max(shape[:2]) <= LARGEST_SIDE

    @classmethod
    def fitted(
        cls, parameters: DetectorParameters, numbers: Array, seed: int, told: Told | None
    ) -> tuple["SmallPictureJudge", Scores]:
        """Learn from normal pictures; also return their scores as if each was new."""
        module, scores = fit_small_pictures(parameters, numbers, seed, told)
        return cls(module.spec, module), scores

    def scores(self, chunk: Array) -> Scores:
        """Return the scores of pictures (n, H, W[, C])."""
        with with_threads(1):
            return self.module.scores(chunk)

    def hottest(self, threshold: float) -> float:
        """Return the heat that deserves the brightest colour where pictures are flagged above a threshold."""
        return _BLEMISHES * self.module.mean_of_score(threshold)

    def heats(self, chunk: Array) -> Iterator[NDArray[np.float32]]:
        """Yield the heat map (H, W) of every picture."""
        yield from self.module.heats(self.module.planes(chunk))

    def checked(self, pictures: Pictures, fitted: tuple[int, ...]) -> Array:
        """Return pictures of the fitted size as one array (n, *fitted): grey becomes colour, colour luminance."""
        shape = pictures.same_shape
        if shape is None or shape[:2] != (self.spec.height, self.spec.width):
            raise DataError(
                f"this detector was fitted on pictures of {self.spec.height}x{self.spec.width} pixels, and these are "
                f"{'of different sizes' if shape is None else f'of {shape[0]}x{shape[1]}'}; give such pictures"
            )
        if shape == fitted:
            return pictures.stacked()
        each = [in_channels(picture, self.spec.channels) for picture in pictures]
        fitting = [np.moveaxis(planes, 0, -1).reshape(fitted) for planes in each if planes is not None]
        return np.stack(fitting) if len(fitting) == len(each) else pictures.stacked()

    def scorer(self) -> Callable[[Any], float]:
        """Return a quick function from a picture to its score."""
        return self.module.score


def judge_of(
    parameters: DetectorParameters, adapter: Adapter, numbers: Array, seed: int, told: Told | None
) -> tuple[RowJudge, Scores]:
    """Learn from normal rows; also return their scores as if each was new."""
    takes_missing = parameters.missing == "mask" or (parameters.missing == "auto" and adapter.kind == "table")
    spec = row_spec(parameters, numbers, adapter.n_categories, takes_missing and numbers.dtype.kind == "f")
    module, scores = fit_rows(parameters, numbers, spec, seed, told)
    return RowJudge(spec, module), scores


SPECS: dict[str, tuple[Any, Any]] = {
    judge.kind: (spec, judge)
    for spec, judge in (
        (RowSpec, RowJudge),
        (PictureSpec, PictureJudge),
        (SmallPictureSpec, SmallPictureJudge),
        (SeriesSpec, SeriesJudge),
    )
}


def blank_judge(kind: str, description: dict[str, Any], features: nn.Module | None = None) -> Judge:
    """Return a judge that has learned nothing yet, to be filled from a file."""
    spec_type, judge_type = SPECS[kind]
    spec = spec_type.from_json(description)
    module = spec.build(features) if kind == PictureJudge.kind else spec.build()
    judge: Judge = judge_type(spec, module)
    return judge
