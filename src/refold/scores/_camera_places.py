"""What is usual at the places of a fixed camera: its horizon, how much each place changes, what is burnt in."""

from collections.abc import Sequence

import numpy as np
import torch
from numpy.typing import NDArray
from scipy import ndimage

from refold.scores._camera_views import Grid, blurred, log_grey

Mask = NDArray[np.bool_]

_FOR_HORIZON = 20  # frames
_FINE, _LEAST_DETAIL = 1.2, 0.003
_SKY_DETAIL, _LAND_DETAIL = 0.15, 0.75  # quantiles of detail that stand for sky and for land
_ABOVE_HORIZON = 4.0  # rows between where detail begins and the row of reference: smoke rises above what it leaves
_NEAR, _WIDE = 3.0, 12.0
_SIDEWAYS, _SIDEWAYS_SHARE = 0.97, 0.5  # clouds and glare move along rows
_STAMP_BLUR, _STAMP_CHANGE = 1.5, 0.2  # cells; of logarithms, from one frame to the next, beyond what is around
_STAMP_MARGIN, _STAMP_GAP = 2, 9  # cells around burnt-in signs, and between two of one line
_MOST_STAMPS = 0.1  # of a frame; with more, it is the scene that moves
_RISES, _SINKS = 12.0, 25.0  # rows above and below the horizon in which smoke begins


# --- the horizon ----------------------------------------------------------------------------------------------------


def horizon_of(logs: Grid) -> float:
    """Return the row of the horizon: the best border, column by column, between smooth sky and land with detail.

    Parameters
    ----------
    logs : ndarray of shape (h, w)
        Logarithms of a scene's grey grid.
    """
    height, width = logs.shape
    top, side = round(height / 15), width // 10  # what lies at the edges of a frame misleads
    detail = ndimage.gaussian_filter(np.abs(logs - ndimage.gaussian_filter(logs, _FINE)), _FINE)
    inside = np.log(detail + _LEAST_DETAIL)[top : height - top, side : width - side]
    sky, land = np.quantile(inside, _SKY_DETAIL), np.quantile(inside, _LAND_DETAIL)
    border = _borders(inside > (sky + land) / 2, height)
    return float(np.median(border) + top + _ABOVE_HORIZON)


def _borders(rich: Mask, height: int) -> NDArray[np.int64]:
    """Return for each column the row with the least detail above it and the most in the quarter frame below."""
    rows = len(rich)
    counts = np.concatenate([np.zeros((1, rich.shape[1]), np.int64), np.cumsum(rich, axis=0)])
    first = np.arange(round(height / 12), round(height * 2 / 3))
    last = np.minimum(first + height // 4, rows)
    smooth_below = (last - first)[:, None] - (counts[last] - counts[first])
    borders: NDArray[np.int64] = first[0] + np.argmin(counts[first] + smooth_below, axis=0)
    return borders


def scene_of(grids: Sequence[Grid]) -> Grid:
    """Return the usual grid of the first frames."""
    scene: Grid = np.median(np.stack(list(grids[:_FOR_HORIZON])), axis=0)
    return scene


def near_horizon(horizon: float, rows: int) -> Grid:
    """Return what is added to scores of each row (rows, 1), 0 at the horizon: smoke begins near it."""
    below = np.arange(rows) - horizon
    reach = np.where(below < 0, _RISES, _SINKS)
    added: Grid = (-0.5 * (below / reach) ** 2)[:, None].astype(np.float32)
    return added


# --- usual change ---------------------------------------------------------------------------------------------------


def spread_of(mean_square: Grid) -> Grid:
    """Return the usual size of changes at each place, smooth and at least a share of that along its row.

    Parameters
    ----------
    mean_square : ndarray of shape (h, w)
        Of `change_of` normal frames.
    """
    near, wide = (ndimage.gaussian_filter(mean_square, sigma) for sigma in (_NEAR, _WIDE))
    here = np.sqrt(0.5 * near + 0.5 * wide)
    along = np.repeat(np.quantile(here, _SIDEWAYS, axis=1, keepdims=True), here.shape[1], axis=1)
    spread: Grid = (here + _SIDEWAYS_SHARE * ndimage.gaussian_filter(along, (2, 0))).astype(np.float32)
    return spread


# --- what is burnt in -----------------------------------------------------------------------------------------------


def hidden_cells(grids: Sequence[Grid]) -> Mask:
    """Return the places (h, w) whose fine detail changes much in most frames, as that of burnt-in times does.

    Gaps between such places in a row are closed, and a margin is added. Where the whole scene moves, nothing is
    hidden.

    Parameters
    ----------
    grids : sequence of ndarray of shape (h, w)
        Successive frames, at least two.
    """
    changes = np.abs(np.diff(_fine_detail(grids), axis=0))
    restless = np.median(changes, axis=0) > _STAMP_CHANGE
    line = ndimage.binary_closing(np.pad(restless, _STAMP_GAP), np.ones((1, _STAMP_GAP)))
    line = line[_STAMP_GAP:-_STAMP_GAP, _STAMP_GAP:-_STAMP_GAP]
    found: Mask = ndimage.maximum_filter(line, 2 * _STAMP_MARGIN + 1)
    return found if found.mean() <= _MOST_STAMPS else np.zeros_like(found)


def _fine_detail(grids: Sequence[Grid]) -> Grid:
    logs = log_grey(torch.from_numpy(np.stack(grids).astype(np.float32)))[:, None]
    detail: Grid = (logs - blurred(logs, _STAMP_BLUR))[:, 0].numpy()
    return detail
