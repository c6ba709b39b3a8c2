"""What ``refold verify`` does, once its words are understood."""

from collections.abc import Callable, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from refold._errors import CompressedFileError, DataError
from refold.cli._compressing import kept_text, open_files
from refold.cli._decompressing import open_compressed, promise_in_words, scale_of
from refold.cli._talk import bytes_progress, say
from refold.codec import Bound, find_specials, parse_bound
from refold.data import ArraysOfFile, NamedArray, Records, columns_apart, folded
from refold.estimators import CompressedFiles, Spread, StoredArray, bound_within, is_code_alone

Array = NDArray[Any]

_ROUNDING = 1e-12  # of the largest value: what reckoning in double precision may be off


def verify_file(
    path: Path, against: Sequence[str], model: Path | None, drop: Sequence[str], quiet: bool
) -> dict[str, Any]:
    """Decode all blocks, compare with checksums and, where it is there, with the original.

    Raises
    ------
    CompressedFileError
        If anything is wrong.
    """
    with ExitStack() as closing:
        stored = closing.enter_context(open_compressed(path, model))
        originals = [closing.enter_context(file) for file in open_files(against, drop)] if against else []
        pairs = _pairs(stored, originals)
        total = sum(each.entry.nbytes for each in stored.arrays)
        with bytes_progress(total, quiet) as progress:
            found = [_check(stored, each, pairs, progress) for each in stored.arrays]
    blocks = sum(len(each.entry.blocks) for each in stored.arrays)
    if not quiet:
        _say(found, blocks, against)
    codes = [each for each in found if each.is_code] if against else []
    return {
        "file": str(path),
        "blocks": blocks,
        "bytes": total,
        "largest_errors": {each.name: each.largest for each in found} if against else None,
        "mean_squared_errors": {each.name: each.mean_squared for each in codes},
        "variance_kept": {each.name: each.spread.kept(each.squares) for each in codes},
    }


@dataclass
class _Checked:
    """What came of the comparison of an array, in the units of the user but for sums of squares."""

    name: str
    promise: str
    is_code: bool
    scale: float
    largest: float = 0.0
    squares: float = 0.0  # of errors, in units of what is stored
    values: int = 0
    spread: Spread = field(default_factory=Spread)

    @property
    def mean_squared(self) -> float:
        """The mean squared error."""
        return self.squares / max(self.values, 1) * self.scale**2

    def add_code(self, true: Array, found: Array) -> None:
        """Count a block that was reduced to a code."""
        errors = np.abs(true.astype(np.float64) - found.astype(np.float64))
        self.largest = max(self.largest, float(errors.max(initial=0.0)) * self.scale)
        self.squares += float(np.square(errors).sum())
        self.values += errors.size
        self.spread.add(true)


def _say(found: Sequence[_Checked], blocks: int, against: Sequence[str]) -> None:
    compared = f", and compared with {', '.join(against)}" if against else ""
    arrays = "1 array" if len(found) == 1 else f"{len(found)} arrays"
    verb = "is" if len(found) == 1 else "are"
    say(f"{arrays} of {blocks} block{'s' * (blocks != 1)} {verb} whole{compared}")
    for each in found:
        if each.is_code and against:
            say(kept_text(each.name, each.spread.kept(each.squares), each.mean_squared))
        elif each.largest:
            say(f"largest error of {each.name or 'the array'} {each.largest:.4g}, promised {each.promise}")


def _pairs(stored: CompressedFiles, originals: Sequence[ArraysOfFile]) -> dict[int, NamedArray]:
    """Return the original of every array by the identity of the stored one."""
    if not originals:
        return {}
    if len(originals) != len(stored.files):
        raise DataError(
            f"{stored.path.name!r} was made of {len(stored.files)} files, and --against names {len(originals)}; name "
            "all of them in their order"
        )
    found = {}
    for number, original in enumerate(originals):
        known = {array.name: array for array in (*original.arrays, *columns_apart(original.arrays))}
        file = stored.files[number]
        for array in file.arrays:
            if array.name not in known and not (len(file.arrays) == len(original.arrays) == 1):
                raise CompressedFileError(f"the array {array.name!r} is not in {original.name!r}")
            found[id(array)] = known.get(array.name, original.arrays[0])
    return found


def _check(
    stored: CompressedFiles, each: StoredArray, pairs: dict[int, NamedArray], progress: Callable[[int], None]
) -> _Checked:
    """Decode an array, and compare it with its original where there is one."""
    name, start, original = each.entry.head.name, 0, pairs.get(id(each.named))
    checked = _Checked(name, promise_in_words(each), is_code_alone(each.entry), scale_of(each))
    records, bound = (None, None) if original is None else _comparable(each, original)
    try:
        for block in stored.blocks(each):
            if records is not None and bound is not None:
                true = records[start : start + len(block)]
                if checked.is_code:
                    checked.add_code(true, block)
                else:
                    worst = _compared(true, block, bound, _fill_of(each), name, start)
                    checked.largest = max(checked.largest, worst * checked.scale)
            start += len(block)
            progress(block.nbytes)
    except CompressedFileError as error:
        called = f"the array {name!r} of {stored.path.name!r}" if name else repr(stored.path.name)
        raise CompressedFileError(f"{called}: {error}") from error
    return checked


def _comparable(each: StoredArray, original: NamedArray) -> tuple[Records, Bound]:
    name = each.entry.head.name
    if original.shape != each.named.shape or original.records.dtype != each.named.records.dtype:
        raise CompressedFileError(
            f"the array {name!r} is {each.named.records.dtype} of shape {each.named.shape}, and the original "
            f"{original.records.dtype} of shape {original.shape}"
        )
    records, _ = folded(original.records, original.shape)
    if records.shape != each.entry.shape and not each.entry.head.scalar:
        raise CompressedFileError(f"the array {name!r} has another shape inside than the original")
    try:
        bound = parse_bound(each.entry.head.bound)
    except ValueError as error:
        raise CompressedFileError(f"the promise of the array {name!r} is none: {error}") from error
    return records, bound_within(records, bound, _fill_of(each), max(each.entry.head.rows, 1))  # type: ignore[arg-type]


def _fill_of(each: StoredArray) -> tuple[float, ...]:
    told = each.entry.head.more.get("fill", [])
    values = told if isinstance(told, list) else []
    return tuple(float(value) for value in values if isinstance(value, int | float))


def _compared(true: Array, found: Array, bound: Bound, fill: tuple[float, ...], name: str, start: int) -> float:
    """Return the largest error of a block.

    Raises
    ------
    CompressedFileError
        If it is larger than promised, or a value that is no number is another.
    """
    same = _bits(true) == _bits(found)
    if same.all():
        return 0.0
    try:
        specials = find_specials(true, fill)
    except (ValueError, OverflowError):
        specials = None
    known = np.isfinite(true) if specials is None else specials.known
    with np.errstate(over="ignore", invalid="ignore"):
        error = np.abs(true.astype(np.float64) - found.astype(np.float64))
    allowed = np.broadcast_to(np.asarray(0.0 if bound.lossless else bound.allowed(true)), true.shape)
    slack = 0.0 if bound.lossless else _ROUNDING * float(allowed[known].max(initial=0.0))
    wrong = ~same & (~known | ~(error <= allowed + slack) | bound.lossless)
    if wrong.any():
        place = tuple(int(index) for index in np.argwhere(wrong)[0])
        raise CompressedFileError(
            f"the value at {(start + place[0], *place[1:])} came back as {found[place]}, the original is "
            f"{true[place]}, and {'all bits' if bound.lossless else f'an error of {allowed[place]:g}'} was promised"
        )
    return float(error[~same].max())


def _bits(values: Array) -> Array:
    little = np.ascontiguousarray(values, values.dtype.newbyteorder("<"))
    return little.view(f"u{values.dtype.itemsize}")
