"""A logo that is known, found on a picture and taken off exactly: no network is needed."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from refold._errors import DataError
from refold.estimators._logo import Logo, Place, logos_of
from refold.estimators._logo_fitting import (
    SHIFT,
    SIZE,
    TURN,
    Fit,
    agreement,
    also_turned,
    fitted,
    refined,
    settled,
)
from refold.estimators._logo_search import (
    Pyramid,
    candidates,
    correlator_of,
    level_of,
    places_of,
    widths_of,
)
from refold.estimators._picture_planes import checked_picture
from refold.estimators._shared_mark import Mark

Array = NDArray[Any]
Planes = NDArray[np.float32]

SURE, SURE_OF_LARGE, FEW_EDGES = 0.45, 0.28, 300  # of a fit; with many edges chance agrees less
SURE_IN_GREY = 0.5  # colours cannot disagree there
_FEWEST_EDGES, _LOWEST = 60, 5.0  # pixels of edges, and of the shorter side
_FINISHED = 3  # the best by search, and the best by fit
_FAINTEST = 0.05  # opacity
_STRETCHED, _ROUNDED, _MOST_STRETCHED = 0.02, 1.2, 0.12  # share by which height and width may differ, and pixels
_SEEN = 1.5 / 255  # of a logo's opacity, below which a pixel stays as it is: programs round, and cut faint ends off
_SMALLEST_PICTURE = 16  # pixels of the shorter side
_MOST_TILES = 400
_TILE_SCORE, _TILE_INSIDE = 0.4, 0.15  # share of the best one's agreement; of a tile, within the picture
_TRIED = 6  # places one after the other where none lies, after which none is expected
_AS_OPAQUE = 0.25  # relative difference of the opacities of one picture's marks
_OVERLAP = 0.9  # of height and width: nearer ones are the same
_OFF_LATTICE = 2.0  # pixels
_TAKES_OFF = 0.05  # share of the edges' steps that a mark must take off where the lattice says that it is


@dataclass(frozen=True, eq=False)
class FoundLogo:
    """A logo on a picture.

    Parameters
    ----------
    logo : Logo
    places : tuple of Place
        One, or many where it is laid again and again.
    kernel : str
        By which it was resampled.
    opacity, surety : float
    """

    logo: Logo
    places: tuple[Place, ...]
    kernel: str
    opacity: float
    surety: float

    def mark(self, size: tuple[int, int]) -> Mark:
        """Return it as a mark of a picture of a size (H, W)."""
        alpha, colour = np.zeros(size, np.float32), np.zeros((*size, 3), np.float32)
        for place in self.places:
            window = place.window(size)
            laid = self.logo.laid(place, window, self.kernel)
            there = (laid[-1] >= _SEEN) & (laid[-1] > alpha[window] / self.opacity)
            alpha[window][there] = (self.opacity * laid[-1])[there]
            colour[window][there] = (laid[:-1, there] / laid[-1, there]).clip(0, 1).T
        return Mark(alpha, colour)


def logo_mark(picture: Any, logo: Any, told: Callable[[], None] = lambda: None) -> Mark:
    """Find a logo that is known on a picture: at any place and size, upright or turned a few degrees, or tiled.

    The logo's steps are compared with those of the picture at all sizes from 5 to 100 percent of its width; the best
    places are fitted to parts of a pixel, and the opacity is the one at which no step of the logo is left.

    Parameters
    ----------
    picture : ndarray of shape (H, W), (H, W, 1) or (H, W, 3)
        uint8, uint16, or floats of 0 to 1.
    logo : ndarray of shape (h, w), (h, w, 1), (h, w, 3), or (h, w, 4) with opacity
        uint8, uint16, or floats of 0 to 1; without opacity its background must be plain, or have been laid too.
    told : callable, optional
        Called after every size that was searched.

    Returns
    -------
    mark : Mark
        Its `alpha` is 0 everywhere if the logo was not found.

    Raises
    ------
    DataError
        If the picture is none, or nothing can be seen of the logo.

    Examples
    --------
    >>> import numpy as np, refold
    >>> rows, columns = np.mgrid[:120, :160] / 30
    >>> photo = (0.5 + 0.2 * np.dstack([np.sin(rows + columns), np.cos(rows), np.sin(columns)])).astype(np.float32)
    >>> logo = np.zeros((40, 40, 4), np.float32)
    >>> logo[:, :12] = logo[14:26, :] = logo[28:, 20:] = 1  # white, on nothing
    >>> stamped = photo.copy()
    >>> stamped[30:70, 80:120] += 0.5 * logo[..., 3:] * (1 - photo[30:70, 80:120])
    >>> mark = refold.logo_mark(stamped, logo)
    >>> round(float(mark.alpha.max()), 2)
    0.5
    >>> bool(np.abs(mark.removed_from(stamped) - photo).max() < 0.01)
    True
    """
    found = surest([found_logo(picture, each, told) for each in logos_of(logo)])
    return mark_of([] if found is None else [found], np.shape(picture)[:2])


def surest(found: Sequence[FoundLogo | None]) -> FoundLogo | None:
    """Return the surest of what was found."""
    return max((each for each in found if each is not None), key=lambda each: each.surety, default=None)


def mark_of(found: Sequence[FoundLogo], size: tuple[int, ...]) -> Mark:
    """Return all logos of a picture of a size (H, W) as one mark, perhaps nowhere; of two on one place the surer."""
    alpha, colour = np.zeros(size, np.float32), np.zeros((*size, 3), np.float32)
    for each in sorted(found, key=lambda logo: -logo.surety):
        one = each.mark((size[0], size[1]))
        there = one.alpha > 0
        if not (alpha[there] > 0).any():
            alpha[there], colour[there] = one.alpha[there], one.colour[there]
    return Mark(alpha, colour)


def sizes_searched(size: tuple[int, ...], logos: Sequence[Logo]) -> int:
    """Return how often `told` is called for a picture of a size (H, W)."""
    return sum(len(widths_of((size[0], size[1]), logo)) for logo in logos)


def found_logo(picture: Any, logo: Logo, told: Callable[[], None] = lambda: None) -> FoundLogo | None:
    """Return a logo on a picture, or None where it is not.

    Raises
    ------
    DataError
        If the picture is none.
    """
    values, logo = _comparable(picture, logo)
    if min(values.shape[1:]) < _SMALLEST_PICTURE:
        return None
    pyramid = Pyramid.of(values)
    fit = _best(pyramid, logo, told)
    if fit is None:
        return None
    place, kernel, opacity = settled(values, logo, fit)
    fit = replace(fit, place=place, opacity=opacity)
    places = [place, *_others(pyramid, logo, fit)]
    return FoundLogo(logo, tuple(places), kernel, opacity, fit.surety)


def _comparable(picture: Any, logo: Logo) -> tuple[Planes, Logo]:
    """Return a picture (channels, H, W) of 0 to 1, and the logo in as many channels."""
    pixels = checked_picture(picture)
    if pixels.ndim == 3 and pixels.shape[2] not in (1, 3):
        raise DataError(f"a picture must have shape (H, W) or (H, W, 1 or 3), got {pixels.shape}")
    if pixels.dtype.kind == "f" and (pixels.min() < 0 or pixels.max() > 1):
        raise DataError(f"floats with a mark must lie in 0 to 1, got {pixels.min():.4g} to {pixels.max():.4g}")
    channels = pixels.reshape(*pixels.shape[:2], -1)
    if channels.shape[2] == 3 and (channels == channels[..., :1]).all():
        channels = channels[..., :1]  # grey pictures have grey marks
    values = np.ascontiguousarray(channels.transpose(2, 0, 1), np.float32)
    if pixels.dtype.kind == "u":
        values /= np.float32(np.iinfo(pixels.dtype).max)
    return values, logo if len(values) == 3 else logo.in_grey()


def _best(pyramid: Pyramid, logo: Logo, told: Callable[[], None]) -> Fit | None:
    """Return the surest place, exactly, if it is sure enough."""
    starts = candidates(pyramid, logo, told)
    fits = [fitted(pyramid, logo, start.place, start.level) for start in starts]
    surest = sorted(fits, key=lambda fit: -fit.surety)[:_FINISHED]
    finished = []
    for fit in {*fits[:_FINISHED], *surest}:  # fine patterns are lost where it was searched, but not their outline
        fit = also_turned(pyramid, logo, fit)
        finished.append(refined(pyramid, logo, fit, TURN if fit.place.turn else SIZE))
    channels = len(pyramid.levels[0])
    sure = [fit for fit in finished if _is_sure(fit, channels) and _in_shape(fit.place, logo)]
    return max(sure, key=lambda fit: fit.surety, default=None)


def _is_sure(fit: Fit, channels: int) -> bool:
    if fit.opacity < _FAINTEST or fit.edges < _FEWEST_EDGES or min(fit.place.height, fit.place.width) < _LOWEST:
        return False
    if channels == 1:
        return fit.surety >= SURE_IN_GREY
    return fit.surety >= SURE_OF_LARGE + (SURE - SURE_OF_LARGE) * min(1, FEW_EDGES / fit.edges)


def _in_shape(place: Place, logo: Logo) -> bool:
    stretched = abs(np.log(place.height / place.width * logo.shape[1] / logo.shape[0]))
    return bool(stretched <= min(_MOST_STRETCHED, _STRETCHED + _ROUNDED / min(place.height, place.width)))


# --- laid again and again -------------------------------------------------------------------------------------------


def _others(pyramid: Pyramid, logo: Logo, fit: Fit) -> list[Place]:
    """Return where else the logo lies, in the same size and as opaque."""
    level = level_of(pyramid, logo, fit.place.width)
    correlator = correlator_of(pyramid, logo, fit.place.width, level)
    rows, columns = pyramid.scale(level)
    own = fit.place.scaled(1 / rows, 1 / columns)
    found = list(places_of(correlator, logo, own, _MOST_TILES, 0.0, _TILE_INSIDE))
    least = _TILE_SCORE * max((score for score, _ in found), default=1.0)
    kept, in_vain = [fit.place], 0
    for score, place in found:
        there = place.scaled(rows, columns)
        if score < least or in_vain == _TRIED:
            break
        if not _is_new(there, kept):
            continue
        tile = _tile(pyramid, logo, there, fit)
        in_vain = 0 if tile is not None else in_vain + 1
        if tile is not None and _is_new(tile, kept):
            kept.append(tile)
    return [*kept[1:], *_on_lattice(pyramid, logo, fit, kept)]


def _tile(pyramid: Pyramid, logo: Logo, place: Place, fit: Fit) -> Place | None:
    level = level_of(pyramid, logo, fit.place.width)
    found = refined(pyramid, logo, fitted(pyramid, logo, place, level, SHIFT), SHIFT)
    alike = abs(found.opacity / fit.opacity - 1) <= _AS_OPAQUE
    if not alike or not _is_sure(found, len(pyramid.levels[0])):
        return None
    return _as_whole(found.place, fit.place)


def _as_whole(place: Place, like: Place) -> Place:
    """Return a place at whole pixels if the first one is."""
    if like.top != round(like.top) or like.left != round(like.left):
        return place
    return replace(place, top=float(round(place.top)), left=float(round(place.left)))


def _is_new(place: Place, kept: list[Place]) -> bool:
    return not any(
        abs(place.top - other.top) < _OVERLAP * place.height and abs(place.left - other.left) < _OVERLAP * place.width
        for other in kept
    )


def _on_lattice(pyramid: Pyramid, logo: Logo, fit: Fit, kept: list[Place]) -> list[Place]:
    """Return the places that a lattice through those found says, and where taking the logo off helps."""
    corners = np.array([(place.top, place.left) for place in kept])
    basis = _lattice(corners)
    if basis is None:
        return []
    size = pyramid.levels[0].shape[1:]
    level = min(fit.level, len(pyramid.levels) - 1)
    found: list[Place] = []
    for corner in _points(corners, basis, (fit.place.height, fit.place.width), (size[0], size[1])):
        place = _as_whole(replace(fit.place, top=float(corner[0]), left=float(corner[1])), fit.place)
        if _is_new(place, [*kept, *found]) and agreement(pyramid, logo, place, fit.opacity, level) > _TAKES_OFF:
            found.append(place)
    return found


def _lattice(corners: Array) -> Array | None:
    """Return the two shortest steps (2, 2) between corners that span them all, or None where there are none."""
    if len(corners) < 3:
        return None
    away = (corners[:, None] - corners).reshape(-1, 2)
    away = away[np.argsort((away**2).sum(1), kind="stable")]
    away = away[(away**2).sum(1) > 1]
    first = away[0]
    across = np.abs(away[:, 0] * first[1] - away[:, 1] * first[0]) / np.hypot(*first) / np.hypot(*away.T)
    if not (across > 0.3).any():
        return None
    basis = np.stack([first, away[np.argmax(across > 0.3)]])
    steps = np.rint((corners - corners[0]) @ np.linalg.inv(basis))
    if np.linalg.matrix_rank(steps) < 2:
        return None
    basis = np.linalg.lstsq(steps, corners - corners[0], rcond=None)[0]
    fits = np.abs(steps @ basis - (corners - corners[0])).max(1) < _OFF_LATTICE
    return np.asarray(basis) if fits.all() else None


def _points(
    corners: Array, basis: Array, own: tuple[float, float], size: tuple[int, int]
) -> Iterator[NDArray[np.float64]]:
    """Yield the corners of all places of a lattice that reach into a picture."""
    most = int(np.ceil(sum(size) * 2 / np.sqrt((basis**2).sum(1)).min())) + 1
    most = min(most, 200)
    counts = np.stack(np.meshgrid(np.arange(-most, most + 1), np.arange(-most, most + 1)), -1).reshape(-1, 2)
    points = corners[0] + counts @ basis
    inside = ((points > -np.array(own)) & (points < np.array(size))).all(1)
    yield from points[inside]
