"""The part ``digits`` of `compress.py`: the 10,000 test images of MNIST, every pixel kept."""

import bz2
import functools
import gzip
from collections.abc import Callable
from typing import Any

import numpy as np
import zstandard
from compress_pictures import NO_JPEG_XL, digits_of, jpeg_xl_there, picture_back, picture_there, sheet_of
from compress_running import (
    ALONE,
    SHARED,
    Array,
    Coded,
    Settings,
    Trial,
    lzma_back,
    lzma_filters,
    lzma_there,
    run_ours,
    said,
    same,
    shared,
    smallest,
    talk,
)
from speed_running import header, table_line

PUBLISHED = {"bits-back (BB-ANS, published)": "1.41", "Bit-Swap (published)": "1.29"}
AT_MOST = {SHARED: (1.09, 1.05), ALONE: (1.15, 1.10)}
SECONDS_AT_MOST = 60
EVERY = 10
COLUMNS = 100
FEW_COLUMNS = 5  # what suits JPEG XL's effort 10 best: 1.107 bits a pixel with 100, 1.113 with 1
LZMA_SETTINGS = ((3, 0, 2), (4, 0, 0), (0, 0, 0), (0, 2, 2))

PNG = {"optimize": True}
WEBP = {"lossless": True, "quality": 100, "method": 6}


def digits(settings: Settings) -> list[str]:
    """Return the table."""
    lines = [*header("MNIST test images, lossless", "bits a pixel", "bytes", "s there", "s back", "setting")]
    lines += [table_line(name, figure, "-", "-", "-", "-") for name, figure in PUBLISHED.items()]
    for name, (coded, pixels) in peers().items():
        figures = _figures(coded.size, pixels, coded.there, coded.back)
        lines.append(table_line(name, *figures, coded.setting))
    if not settings.peers_only:
        lines += _ours()
    return [*lines, "", *([] if jpeg_xl_there() else [NO_JPEG_XL, ""]), _about()]


def _figures(size: int, pixels: int, there: float, back: float) -> list[str]:
    return [f"{size * 8 / pixels:.4f}", f"{size:,}", f"{there:.2f}", f"{back:.2f}"]


@functools.cache
def images(part: str = "x_test") -> Array:
    """Return images of MNIST's standard split."""
    with np.load(shared("mnist.npz"), allow_pickle=False) as arrays:
        return arrays[part]


@functools.cache
def peers() -> dict[str, tuple[Coded, int]]:
    """Return what each peer came to, and of how many pixels."""
    whole, some = images(), images()[::EVERY]
    found = {}
    for name, (true, trials) in {
        **{name: (whole, trials) for name, trials in _byte_tools(whole).items()},
        **{name: (some, trials) for name, trials in _one_by_one(some).items()},
        **{name: (whole, trials) for name, trials in _sheets(whole).items()},
    }.items():
        talk(name)
        found[name] = smallest(trials, same(true)), true.size
    return found


def _byte_tools(true: Array) -> dict[str, list[Trial]]:
    """Return the tools that know bytes, on the pixels of all images one after the other."""
    data = true.tobytes()

    def tool(setting: str, there: Callable[[bytes], bytes], back: Callable[[bytes], bytes]) -> Trial:
        return Trial(setting, lambda: there(data), lambda blob: _pixels(back(blob)))

    return {
        "gzip": [tool("9", functools.partial(gzip.compress, compresslevel=9), gzip.decompress)],
        "bz2": [tool("9", bz2.compress, bz2.decompress)],
        "zstd-19": [tool("19", zstandard.ZstdCompressor(level=19).compress, zstandard.decompress)],
        "zstd-22": [tool("22", zstandard.ZstdCompressor(level=22).compress, zstandard.decompress)],
        "lzma": [
            tool(
                "9e, lc {} lp {} pb {}".format(*bits),
                functools.partial(lzma_there, filters=lzma_filters(*bits)),
                functools.partial(lzma_back, filters=lzma_filters(*bits)),
            )
            for bits in LZMA_SETTINGS
        ],
    }


def _pixels(data: bytes) -> Array:
    return np.frombuffer(data, np.uint8)


def _one_by_one(true: Array) -> dict[str, list[Trial]]:
    """Return the picture formats, a file for each image."""
    ways: dict[str, tuple[str, dict[str, Any]]] = {
        "PNG, a file an image": ("PNG", PNG),
        "WebP, a file an image": ("WEBP", WEBP),
    }
    if jpeg_xl_there():
        ways["JPEG XL, a file an image"] = ("JXL", _jpeg_xl(9))
    return {name: [_files(true, kind, options)] for name, (kind, options) in ways.items()}


def _files(true: Array, kind: str, options: dict[str, Any]) -> Trial:
    return Trial(
        f"{_shown(options)}; every {EVERY}th image",
        lambda: [picture_there(image, kind, **options) for image in true],
        lambda blobs: np.stack([picture_back(blob) for blob in blobs]),
        lambda blobs: sum(map(len, blobs)),
    )


def _sheets(true: Array) -> dict[str, list[Trial]]:
    """Return the picture formats, all images on one sheet."""
    ways = {
        "PNG, one sheet": [_sheet(true, columns, "PNG", PNG) for columns in (1, COLUMNS)],
        "WebP, one sheet": [_sheet(true, COLUMNS, "WEBP", WEBP)],
    }
    if jpeg_xl_there():
        ways["JPEG XL, one sheet, effort 9"] = [_sheet(true, COLUMNS, "JXL", _jpeg_xl(9))]
        ways["JPEG XL, one sheet, effort 10"] = [_sheet(true, FEW_COLUMNS, "JXL", _jpeg_xl(10))]
    return ways


def _sheet(true: Array, columns: int, kind: str, options: dict[str, Any]) -> Trial:
    return Trial(
        f"{_shown(options)}; {columns} a row",
        lambda: picture_there(sheet_of(true, columns), kind, **options),
        lambda blob: digits_of(picture_back(blob), true.shape[1]),
    )


def _jpeg_xl(effort: int) -> dict[str, Any]:
    return {"lossless": True, "effort": effort, "num_threads": 0}


def _shown(options: dict[str, Any]) -> str:
    named = {name: value for name, value in options.items() if name not in ("lossless", "optimize", "num_threads")}
    return ", ".join(f"{name} {value}" for name, value in named.items()) or "optimised"


def _ours() -> list[str]:
    """Return our lines, learned on the 60,000 training images, and the verdicts."""
    true = images()
    found = run_ours(images("x_train"), true, max_error=0)
    lines, verdicts = [], []
    for name, size, decoded in found.sizes():
        bits = size * 8 / true.size
        right = "every pixel equal" if np.array_equal(decoded, true) else "**DECODED WRONGLY**"
        lines.append(table_line(name, *_figures(size, true.size, found.there, found.back), right))
        verdicts += [
            f"- {name}: {bits:.4f}, target at most {target} {said(bits <= target, f'{bits - target:.4f}')}"
            for target in AT_MOST[name]
        ]
    for name, seconds in (("there", found.there), ("back", found.back)):
        reached = said(seconds <= SECONDS_AT_MOST, f"{seconds - SECONDS_AT_MOST:.0f}")
        verdicts.append(f"- seconds {name}: {seconds:.1f}, target at most {SECONDS_AT_MOST} {reached}")
    return [*lines, "", *verdicts, f"- learning took {found.learning:.0f} s"]


def _about() -> str:
    return (
        "Bits a pixel of real bytes over the 7,840,000 pixels of the 10,000 test images (headers of files counted; "
        "lzma without its container). Each peer with the best of its settings; everything was decoded and compared. "
        "One thread. Published figures are those of the papers, of ideal code lengths or without the network's bytes."
    )
