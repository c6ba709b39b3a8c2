"""The part ``worst`` of `compress.py`: data that nothing can be learned of must not grow."""

import bz2
from collections.abc import Callable
from pathlib import Path

import numpy as np
import zstandard
from compress_running import (
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
    smallest,
    talk,
)
from speed_running import header, table_line

ROWS, COLUMNS = 16_384, 16
MORE_AT_MOST = 0.01
PROJECT = Path(__file__).resolve().parents[1]


def worst(settings: Settings) -> list[str]:
    """Return the table."""
    lines = [*header("data", "what", "bytes", "setting")]
    verdicts = []
    for name, values in data().items():
        talk(name)
        learned, coded = values[: len(values) // 2], values[len(values) // 2 :]
        found = {tool: smallest(trials, same(coded)) for tool, trials in _tools(coded).items()}
        lines.append(table_line(name, "raw", f"{coded.nbytes:,}", f"{coded.shape} {coded.dtype}"))
        lines += [table_line("", tool, f"{each.size:,}", each.setting) for tool, each in found.items()]
        if not settings.peers_only:
            plain = min(coded.nbytes, *(each.size for each in found.values()))
            more, judged = _ours(name, learned, coded, plain)
            lines, verdicts = [*lines, *more], [*verdicts, *judged]
    return [*lines, "", *verdicts, *([""] if verdicts else []), _about()]


def data() -> dict[str, Array]:
    """Return the data: rows of 16 values, from one seed or from the documentation."""
    rng, shape = np.random.default_rng(0), (ROWS, COLUMNS)
    words = b"".join(path.read_bytes() for path in sorted(PROJECT.glob("docs/*.md")))
    text = np.frombuffer(words, np.uint8)
    return {
        "Gaussian noise": rng.standard_normal(shape, np.float32),
        "random bytes": rng.integers(0, 256, shape, np.uint8),
        "random int16": rng.integers(-(2**15), 2**15, shape, np.int16),
        "text": text[: len(text) // COLUMNS * COLUMNS].reshape(-1, COLUMNS),
        "constant float32": np.full(shape, 3.25, np.float32),
        "constant int16": np.full(shape, 7, np.int16),
    }


def _tools(true: Array) -> dict[str, list[Trial]]:
    """Return plain tools; lzma with bits of its context for numbers and for text."""
    return {
        "bz2": [_tool("9", true, bz2.compress, bz2.decompress)],
        "lzma": [
            _tool(
                "9e, lc {} lp {} pb {}".format(*bits),
                true,
                lambda values, bits=bits: lzma_there(values, lzma_filters(*bits)),
                lambda blob, bits=bits: lzma_back(blob, lzma_filters(*bits)),
            )
            for bits in ((3, 0, 2), (4, 0, 0), (0, 1, 1), (0, 2, 2))
        ],
        "zstd-22": [_tool("22", true, zstandard.ZstdCompressor(level=22).compress, zstandard.decompress)],
    }


def _tool(setting: str, true: Array, there: Callable[[bytes], bytes], back: Callable[[bytes], bytes]) -> Trial:
    values = true.tobytes()
    return Trial(
        setting,
        lambda: there(values),
        lambda blob: np.frombuffer(back(blob), true.dtype).reshape(true.shape),
    )


def _ours(name: str, learned: Array, coded: Array, plain: int) -> tuple[list[str], list[str]]:
    """Return our lines, learned on the first half, and the verdicts."""
    found = run_ours(learned, coded, max_error=0)
    lines, verdicts = [], []
    for title, size, decoded in found.sizes():
        right = same(coded)(Coded("", 0, 0, 0, decoded))
        lines.append(table_line("", title, f"{size:,}", "every value equal" if right else "**DECODED WRONGLY**"))
        more = size / plain - 1
        target = f"at most {MORE_AT_MOST:.0%} {said(more <= MORE_AT_MOST and right, f'{more - MORE_AT_MOST:.2%}')}"
        verdicts.append(f"- {name}, {title}: {more:+.2%} to the plain way ({size - plain:+,} bytes), target {target}")
    return lines, verdicts


def _about() -> str:
    return (
        "The second half of the rows is coded. The plain way is the smallest of the raw bytes and the tools, each "
        "with the best of its settings, lzma without container. Text: the pages of the documentation, 16 bytes a row."
    )
