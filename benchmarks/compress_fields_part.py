"""The part ``fields`` of `compress.py`: fields in time with a promised largest error, relative to their range."""

import functools
from dataclasses import dataclass

import numpy as np
from compress_fields_peers import PEERS, Field, Laid, layouts
from compress_running import ALONE, Array, Coded, Settings, Trial, measured, run_ours, said, shared, talk
from speed_running import header, table_line

BOUNDS = (1e-2, 1e-3, 1e-4)
LAND = 1e20
TEMPERATURE = "sea surface temperature, last 12 months"
WAVES, WAVES_HALF = "Kuramoto-Sivashinsky, whole", "Kuramoto-Sivashinsky, second half"
AT_LEAST = {
    "**refold**, model shared": dict(zip(BOUNDS, (85, 24, 10.5), strict=True)),
    ALONE: dict(zip(BOUNDS, (68, 22, 10), strict=True)),
}
INSIDE = ALONE
SHARE_OF_SZ3, JUDGED_BOUND = 0.95, 1e-3


@dataclass(frozen=True)
class Kept:
    """The best setting of a peer for a field and a bound, and what it came to."""

    peer: str
    laid: Laid
    trial: Trial
    coded: Coded
    size: int
    violations: int
    most: float

    @property
    def setting(self) -> str:
        """The layout and the setting."""
        return ", ".join(filter(None, (self.laid.name, self.trial.setting)))


def fields(settings: Settings) -> list[str]:
    """Return the tables, one for each field."""
    return [line for field in all_fields() for line in [*_table(field, settings), ""]] + [_about()]


@functools.cache
def all_fields() -> tuple[Field, ...]:
    """Return the fields, time first."""
    months = np.load(shared("fields", "sea_surface_temperature.npy"))
    waves = np.ascontiguousarray(np.load(shared("fields", "kuramoto_sivashinsky.npy")).T)
    half = len(waves) // 2
    return (
        Field(TEMPERATURE, months[:12], months[12:], months[0] >= LAND),
        Field(WAVES, waves, waves),
        Field(WAVES_HALF, waves[:half], waves[half:]),
    )


def _table(field: Field, settings: Settings) -> list[str]:
    raw = field.coded.nbytes
    lines = [
        *header(
            f"{field.name}, {raw:,} bytes", "bound", "ratio", "bytes", "violations", "largest error",
            "MB/s there", "MB/s back", "setting",
        )
    ]  # fmt: skip
    verdicts = []
    for bound in BOUNDS:
        found = [best(peer, field, bound) for peer in PEERS]
        lines += [_line(kept.peer, field, bound, kept) for kept in found]
        if not settings.peers_only:
            more, judged = _ours(field, bound, found)
            lines, verdicts = [*lines, *more], [*verdicts, *judged]
    return [*lines, "", *verdicts]


def _line(name: str, field: Field, bound: float, kept: Kept) -> str:
    raw = field.coded.nbytes
    return _cells(
        name, bound, raw, kept.size, (kept.violations, kept.most), kept.coded.there, kept.coded.back, kept.setting
    )


def _cells(
    name: str, bound: float, raw: int, size: int, errors: tuple[int, float], there: float, back: float, setting: str
) -> str:
    rates = [f"{raw / 1e6 / seconds:.1f}" for seconds in (there, back)]
    figures = [f"{bound:.0e}", f"{raw / size:.2f}", f"{size:,}", errors[0], f"{errors[1]:.3f}"]
    return table_line(name, *figures, *rates, setting)


@functools.cache
def best(peer: str, field: Field, bound: float) -> Kept:
    """Return the smallest of a peer's layouts and settings that keep the bound, or else break it least often."""
    talk(f"{peer} on {field.name} at {bound:.0e}")
    found = [
        _kept(peer, field, laid, trial, bound * field.span)
        for laid in layouts(field)
        for trial in PEERS[peer](laid, bound * field.span)
    ]
    fewest = min(kept.violations for kept in found)
    return min((kept for kept in found if kept.violations == fewest), key=lambda kept: kept.size)


def _kept(peer: str, field: Field, laid: Laid, trial: Trial, bound: float) -> Kept:
    coded = measured(trial)
    violations, most = errors_of(coded.found[laid.seen], laid.values[laid.seen], bound)
    return Kept(peer, laid, trial, coded, coded.size + field.mask_size, violations, most)


def errors_of(found: Array, true: Array, bound: float) -> tuple[int, float]:
    """Return how many values are beyond the bound, and the largest error in bounds; in float64."""
    errors = np.abs(found.astype(np.float64) - true.astype(np.float64))
    return int(np.count_nonzero(~(errors <= bound))), float(errors.max() / bound)


def _ours(field: Field, bound: float, peers: list[Kept]) -> tuple[list[str], list[str]]:
    """Return our lines, learned on the part before the coded one, and the verdicts."""
    absolute = bound * field.span
    found = run_ours(field.learned, field.coded, max_error=absolute)
    lines, verdicts = [], []
    for name, size, decoded in found.sizes():
        errors = errors_of(decoded[field.sea], field.coded[field.sea], absolute)
        land = "" if np.array_equal(decoded[~field.sea], field.coded[~field.sea]) else ", **LAND DECODED WRONGLY**"
        setting = f"learned in {found.learning:.0f} s{land}"
        lines.append(_cells(name, bound, field.coded.nbytes, size, errors, found.there, found.back, setting))
        verdicts += _verdict(name, field, bound, field.coded.nbytes / size, errors[0], peers)
    return lines, verdicts


def _verdict(name: str, field: Field, bound: float, ratio: float, violations: int, peers: list[Kept]) -> list[str]:
    if field.name == TEMPERATURE:
        target = AT_LEAST[name][bound]
    elif bound == JUDGED_BOUND and (field.learned is not field.coded or name == INSIDE):
        target = SHARE_OF_SZ3 * next(field.coded.nbytes / kept.size for kept in peers if kept.peer == "SZ3")
    else:
        return []
    met = said(ratio >= target and not violations, f"{target - ratio:.2f}")
    return [f"- {name}, {bound:.0e}: ratio {ratio:.2f}, {violations} violations, target at least {target:.2f} {met}"]


def _about() -> str:
    return (
        "Ratio of the raw float32 bytes to the bytes of the file. The bound is absolute: the figure times the range "
        "of the coded values without land. Errors are measured in float64, in bounds, on everything but land. Sea "
        "surface temperature: 12 months are learned, the next 12 coded; peers have the mask of the land counted "
        "(packed bits, lzma). Kuramoto-Sivashinsky is 201 times of 513 places. Whole: ours learns on the very file, "
        "so its figure for the file alone is the one to compare. Second half: ours learns on the first 100 "
        "times, the 101 others are coded. Peers: the best layout, predictor and dimension of those that keep the "
        "bound; zfp is asked for more than the bound as long as it keeps it; QL is quantising, differences along "
        "some axes, and lzma. Axes: t is time, y and x places, p places of the ocean in a row. One thread, one run, "
        "so MB/s are rough: the part `speed` has medians."
    )
