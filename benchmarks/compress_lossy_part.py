"""The part ``lossy`` of `compress.py`: the 10,000 test images of MNIST in few bytes, all codecs at the same error."""

import math
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
from compress_digits_part import COLUMNS, images
from compress_pictures import NO_JPEG_XL, digits_of, jpeg_xl_there, picture_back, picture_there, sheet_of
from compress_running import Array, Settings, run_ours, said, talk
from scipy.fft import dct
from speed_running import header, table_line

ERRORS = (0.0066, 0.02)
SIDES = (28, 24, 20, 16, 14, 12)
FEW_SIDES = (28, 20, 14)
SHARE_AT_MOST = 1 / 3
WITHIN = 0.01


@dataclass(frozen=True)
class Point:
    """A codec at one quality: bytes of all images, mean squared error of pixels of 0 to 1, seconds."""

    quality: float
    size: float
    error: float
    there: float
    back: float


@dataclass
class Codec:
    """A picture format on a sheet of images of a side, from its lowest to its highest quality."""

    setting: str
    kind: str
    side: int
    highest: int
    options: Callable[[int], dict[str, Any]]
    slower: "Slower | None" = None
    points: dict[int, Point] = field(default_factory=dict)

    def at(self, quality: int) -> Point:
        """Return the point of a quality; it is coded once."""
        if quality not in self.points:
            self.points[quality] = self._coded(quality)
        return self.points[quality]

    def _coded(self, quality: int) -> Point:
        start = time.perf_counter()
        sheet = sheet_of(smaller(images(), self.side), COLUMNS)
        blob = picture_there(sheet, self.kind, **self.options(quality))
        coded = time.perf_counter()
        found = larger(digits_of(picture_back(blob), self.side), images().shape[1])
        return Point(quality, len(blob), squared_error(found), coded - start, time.perf_counter() - coded)

    def at_error(self, error: float) -> Point | None:
        """Return where the codec has an error: between two qualities, or at its lowest if that is better still."""
        if self.least_error > error:
            return None
        if self.at(0).error <= error:
            return self.at(0)
        low, high = 0, self.highest
        while high - low > 1:
            middle = (low + high) // 2
            low, high = (middle, high) if self.at(middle).error > error else (low, middle)
        return _between(self.at(low), self.at(high), error) if self.at(high).error <= error else None

    @property
    def least_error(self) -> float:
        """What making images smaller loses by itself."""
        return squared_error(larger(smaller(images(), self.side), images().shape[1]))


@dataclass(frozen=True)
class Slower:
    """A setting that takes too long for every side: only the side that is best without it has it, too."""

    setting: str
    options: dict[str, Any]

    def instead_of(self, quick: Codec) -> Codec:
        """Return the codec with this setting."""
        return replace(
            quick,
            setting=self.setting,
            options=lambda quality: {**quick.options(quality), **self.options},
            slower=None,
            points={},
        )


def _between(worse: Point, better: Point, error: float) -> Point:
    """Return the point of an error on the line of the logarithms of bytes and errors."""
    share = math.log(worse.error / error) / math.log(worse.error / better.error)
    size = math.exp((1 - share) * math.log(worse.size) + share * math.log(better.size))
    return Point(worse.quality + share, size, error, better.there, better.back)


def lossy(settings: Settings) -> list[str]:
    """Return the table."""
    names = [f"{what} at {error}" for error in ERRORS for what in ("bytes an image", "setting")]
    lines = [*header("MNIST test images, lossy", *names, "s there", "s back")]
    best = dict.fromkeys(ERRORS, math.inf)
    for name, codecs in _codecs().items():
        talk(name)
        found = {error: _smallest(codecs, error) for error in ERRORS}
        for error, (point, _) in found.items():
            best[error] = min(best[error], point.size)
        cells = [cell for point, codec in found.values() for cell in _cells(point, codec)]
        first = found[ERRORS[0]][0]
        lines.append(table_line(name, *cells, f"{first.there:.1f}", f"{first.back:.1f}"))
    if not settings.peers_only:
        lines += _ours(best)
    return [*lines, "", *([] if jpeg_xl_there() else [NO_JPEG_XL, ""]), _about()]


def _codecs() -> dict[str, list[Codec]]:
    """Return the settings of each format."""
    jpeg_xl = {"JPEG XL": [_jpeg_xl(side) for side in FEW_SIDES]} if jpeg_xl_there() else {}
    return {
        "JPEG": [codec for side in SIDES for codec in _jpegs(side)],
        "WebP": [
            Codec("method 6", "WEBP", side, 100, lambda quality: {"method": 6, "quality": quality}) for side in SIDES
        ],
        "AVIF": [_avif(side, tune) for side in FEW_SIDES for tune in ("", "psnr")],
        **jpeg_xl,
    }


def _jpegs(side: int) -> tuple[Codec, Codec]:
    """Return JPEG with its usual tables, and with tables that are alike for all frequencies."""
    tight = {"optimize": True, "progressive": True}
    return (
        Codec("quality", "JPEG", side, 95, lambda quality: {**tight, "quality": quality}),
        Codec("flat tables", "JPEG", side, 254, lambda quality: {**tight, "qtables": [[255 - quality] * 64]}),
    )


def _avif(side: int, tune: str) -> Codec:
    more = {"subsampling": "4:0:0", "max_threads": 1, **({"advanced": {"tune": tune}} if tune else {})}
    named = f", tune {tune}" if tune else ""
    slower = Slower(f"speed 4{named}", {"speed": 4})
    quick = f"speed 6{named}"
    return Codec(quick, "AVIF", side, 64, lambda quality: {"speed": 6, "quality": quality, **more}, slower)


def _jpeg_xl(side: int) -> Codec:
    more = {"effort": 7, "num_threads": 0}
    slower = Slower("effort 9", {"effort": 9})
    return Codec("effort 7", "JXL", side, 95, lambda quality: {"quality": quality, **more}, slower)


def _smallest(codecs: list[Codec], error: float) -> tuple[Point, Codec]:
    found = _found(codecs, error)
    quick = min(found, key=_size)[1]
    more = [] if quick.slower is None else _found([quick.slower.instead_of(quick)], error)
    return min([*found, *more], key=_size)


def _found(codecs: list[Codec], error: float) -> list[tuple[Point, Codec]]:
    found = [(point, codec) for codec in codecs if (point := codec.at_error(error))]
    for point, codec in found:
        talk(f"{codec.kind} {codec.setting}, side {codec.side}: {point}")
    return found


def _size(found: tuple[Point, Codec]) -> float:
    return found[0].size


def _cells(point: Point, codec: Codec) -> Iterator[str]:
    yield f"{point.size / len(images()):.2f}"
    yield f"{codec.setting} {point.quality:.1f}, {codec.side}x{codec.side}"


# --- smaller pictures ----------------------------------------------------------------------------------------------


def smaller(digits: Array, side: int) -> Array:
    """Return pictures of a smaller side: the lowest frequencies of their cosine transform."""
    return _resized(digits, _lowest_frequencies(side, digits.shape[1]))


def larger(digits: Array, side: int) -> Array:
    """Return pictures of a larger side with the same frequencies."""
    return _resized(digits, _lowest_frequencies(digits.shape[1], side).T * side / digits.shape[1])


def _lowest_frequencies(few: int, many: int) -> Array:
    """Return the matrix from many values to few."""
    forward, back = dct(np.eye(many), axis=0, norm="ortho")[:few], dct(np.eye(few), axis=0, norm="ortho").T
    return math.sqrt(few / many) * back @ forward


def _resized(digits: Array, matrix: Array) -> Array:
    if matrix.shape[0] == matrix.shape[1]:
        return digits
    found = matrix.astype(np.float32) @ digits.astype(np.float32) @ matrix.T.astype(np.float32)
    return np.rint(np.clip(found, 0, 255)).astype(np.uint8)


def squared_error(found: Array) -> float:
    """Return the mean squared error of pixels of 0 to 1."""
    return float(np.mean(np.square((found.astype(np.float64) - images()) / 255)))


# --- ours ----------------------------------------------------------------------------------------------------------


def _ours(best: dict[float, float]) -> list[str]:
    """Return our lines, learned on the 60,000 training images, and the verdicts."""
    cells: dict[str, list[str]] = {}
    verdicts, seconds = [], []
    for error in ERRORS:
        found = run_ours(images("x_train"), images(), quality=1 - error * 255**2 / _variance())
        seconds = seconds or [f"{found.there:.1f}", f"{found.back:.1f}"]
        for name, size, decoded in found.sizes():
            reached = squared_error(decoded)
            cells.setdefault(name, []).extend([f"{size / len(images()):.2f}", f"MSE {reached:.4f}"])
            share = size / best[error]
            kept = reached <= error * (1 + WITHIN)
            lacks = f"{share - SHARE_AT_MOST:.2f}" if kept else f"its error of {reached:.4f}"
            met = said(share <= SHARE_AT_MOST and kept, lacks)
            verdicts.append(f"- {name} at {error}: {share:.2f} of the best peer's bytes, target a third {met}")
    return [*(table_line(name, *row, *seconds) for name, row in cells.items()), "", *verdicts]


def _variance() -> float:
    """Return the mean variance of a pixel over the test images, of which quality is a share."""
    return float(images().var(axis=0, dtype=np.float64).mean())


def _about() -> str:
    return (
        "Bytes of one file that holds all 10,000 test images as a sheet, divided by 10,000; mean squared error of "
        "pixels of 0 to 1. Qualities by bisection; between two of them bytes are interpolated (logarithms of bytes "
        "over that of the error). The lowest qualities of WebP and AVIF are still better than that, so each format "
        "also codes smaller images (the lowest frequencies of the cosine transform), which are made large again; "
        "the best side is shown, with the quality on the format's own scale. One thread."
    )
