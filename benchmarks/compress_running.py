"""What the parts of `compress.py` share: settings, data, peers that are measured, and our own codec's way in."""

import lzma
import os
import sys
import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

Array = np.ndarray[Any, Any]


SHARED, ALONE = "**refold**, model shared", "**refold**, the file alone"


@dataclass(frozen=True)
class Settings:
    """What is measured: peers alone, or our own codec beside them."""

    peers_only: bool


@dataclass(frozen=True)
class Trial:
    """One setting of a peer: how it codes, and how it decodes what it made."""

    setting: str
    there: Callable[[], Any]
    back: Callable[[Any], Array]
    size: Callable[[Any], int] = len


@dataclass(frozen=True)
class Coded:
    """What a trial came to: bytes, seconds each way, and what was decoded."""

    setting: str
    size: int
    there: float
    back: float
    found: Array


@dataclass(frozen=True)
class Ours:
    """What our own codec came to: bytes, the model beside or inside where it pays, seconds, and what came back."""

    beside: int
    inside: int
    learning: float
    there: float
    back: float
    found: Array
    found_inside: Array

    def sizes(self) -> tuple[tuple[str, int, Array], ...]:
        """Return the two lines of a table: a title, bytes, and what was decoded."""
        return (
            (SHARED, self.beside, self.found),
            (ALONE, self.inside, self.found_inside),
        )


def run_ours(learned: Array, coded: Array, **parameters: Any) -> Ours:
    """Learn on `learned`, code `coded` both ways, and decode; `parameters` are those of `refold.Compressor`."""
    from refold import Compressor

    talk(f"refold learns on {learned.shape} for {coded.shape}, {parameters}")
    fitted, learning = timed(lambda: Compressor(**parameters, random_state=0).fit(learned))
    blob, there = timed(lambda: fitted.compress(coded, model="beside"))
    found, back = timed(lambda: np.asarray(fitted.decompress(blob)))
    whole = fitted.compress(coded, model="auto")
    return Ours(len(blob), len(whole), learning, there, back, found, np.asarray(fitted.decompress(whole)))


def timed(function: Callable[[], Any]) -> tuple[Any, float]:
    """Return what a function returns, and seconds."""
    start = time.perf_counter()
    found = function()
    return found, time.perf_counter() - start


def measured(trial: Trial) -> Coded:
    """Code and decode once."""
    blob, there = timed(trial.there)
    found, back = timed(lambda: trial.back(blob))
    return Coded(trial.setting, trial.size(blob), there, back, found)


def smallest(trials: Iterable[Trial], allowed: Callable[[Coded], bool]) -> Coded:
    """Return what the best setting of a peer came to, of those that keep the promise."""
    found = [coded for coded in map(measured, trials) if allowed(coded)]
    if not found:
        raise SystemExit("no setting of a peer decodes to what was coded: the benchmark is at fault")
    return min(found, key=lambda coded: coded.size)


def same(true: Array) -> Callable[[Coded], bool]:
    """Return the check of a lossless codec: every byte is the one that was coded."""
    return lambda coded: coded.found.dtype == true.dtype and coded.found.tobytes() == true.tobytes()


def shared(*names: str) -> Path:
    """Return a path of ``$REFOLD_DATA``, else of ``../shared/data``."""
    path = Path(os.environ.get("REFOLD_DATA", Path("..") / "shared" / "data")).joinpath(*names)
    if not path.exists():
        raise SystemExit(f"{'/'.join(names)} was not found: put it into $REFOLD_DATA or ../shared/data")
    return path


def talk(line: str) -> None:
    """Say what is under way."""
    print(f"  {line}", file=sys.stderr, flush=True)


def lzma_filters(lc: int = 3, lp: int = 0, pb: int = 2, delta: int = 0) -> list[dict[str, int]]:
    """Return liblzma's filters at its strongest; literal and position bits, and bytes to the one subtracted."""
    strongest = {"id": lzma.FILTER_LZMA2, "preset": 9 | lzma.PRESET_EXTREME, "lc": lc, "lp": lp, "pb": pb}
    return [*([{"id": lzma.FILTER_DELTA, "dist": delta}] if delta else []), strongest]


def lzma_there(data: bytes, filters: list[dict[str, int]] | None = None) -> bytes:
    """Return the bytes of lzma without a container: its settings are known to both sides."""
    return lzma.compress(data, lzma.FORMAT_RAW, filters=filters or lzma_filters())


def lzma_back(blob: bytes, filters: list[dict[str, int]] | None = None) -> bytes:
    """Return what `lzma_there` coded."""
    return lzma.decompress(blob, lzma.FORMAT_RAW, filters=filters or lzma_filters())


def said(reached: bool, shortfall: str) -> str:
    """Say whether a target is met, and what a miss lacks."""
    return "met" if reached else f"missed by {shortfall}"
