"""What ``refold decompress`` and ``refold list`` do, once their words are understood."""

import re
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

from refold._errors import CompressedFileError, DataError, ParameterError
from refold.cli._commands import check_folder
from refold.cli._compressing import CODE_ALONE, load_compressor, promise_of, size_text, way_name, ways_text
from refold.cli._talk import bytes_progress, say
from refold.data import (
    ArraysOfFile,
    NamedArray,
    Records,
    ending_of,
    endings_for,
    inner_path,
    is_replaceable,
    is_taken,
    write_arrays,
)
from refold.estimators import CompressedFiles, StoredArray, is_code_alone, models_of

_ROWS = re.compile(r"\s*(\d*)\s*:\s*(\d*)\s*")


@dataclass(frozen=True)
class DecompressWishes:
    """What the user wants of ``refold decompress``.

    Parameters
    ----------
    output : Path
    array, rows : str or None
    model : Path or None
    overwrite, quiet : bool
    """

    output: Path
    array: str | None = None
    rows: str | None = None
    model: Path | None = None
    overwrite: bool = False
    quiet: bool = False


def open_compressed(path: Path, model: Path | None) -> CompressedFiles:
    """Open a compressed file, with the model that it may need."""
    compressor = None if model is None else load_compressor(model)
    return CompressedFiles(path, models_of(compressor))


def decompress_file(path: Path, wishes: DecompressWishes) -> dict[str, Any]:
    """Bring back what was compressed, and return what was done."""
    rows = None if wishes.rows is None else _rows_of(wishes.rows)
    start = time.perf_counter()
    with open_compressed(path, wishes.model) as stored:
        files = _wanted(stored, wishes.array)
        if rows is not None:
            files = [_cut(file, rows) for file in files]
        targets = _targets(files, wishes)
        total = sum(array.records.nbytes for file in files for array in file.arrays)
        with bytes_progress(total, wishes.quiet) as progress:
            for target, file in targets:
                write_arrays(target, _watched(file, progress))
    seconds = time.perf_counter() - start
    outputs = [str(target) for target, _ in targets]
    if not wishes.quiet:
        say(f"{size_text(total)} came back, {total / 1e6 / max(seconds, 1e-9):.1f} MB/s")
        for output in outputs:
            say(f"wrote {output}")
    return {"outputs": outputs, "bytes": total, "seconds": round(seconds, 2)}


# --- what ----------------------------------------------------------------------------------------------------------


def _wanted(stored: CompressedFiles, name: str | None) -> list[ArraysOfFile]:
    """Return the files that are asked for; a single array is one that was in none."""
    if name is None:
        if not stored.files:
            raise DataError(f"{stored.path.name!r} holds no arrays")
        return list(stored.files)
    named = stored.named(name).named
    file = next(file for file in stored.files if named in file.arrays)
    kind = file.kind if file.kind == "pictures" else "npy"
    return [ArraysOfFile(kind, name, {}, (named,))]


def _rows_of(text: str) -> tuple[int | None, int | None]:
    found = _ROWS.fullmatch(text)
    if found is None:
        raise ParameterError(f"--rows must be FROM:TO such as 100:200, got {text!r}")
    start, stop = (int(part) if part else None for part in found.groups())
    if start is not None and stop is not None and stop < start:
        raise ParameterError(f"--rows {text!r} ends before it begins; give FROM:TO such as 100:200")
    return start, stop


def _cut(file: ArraysOfFile, rows: tuple[int | None, int | None]) -> ArraysOfFile:
    """Return some records of every array of a file."""
    counts = {len(array.records) for array in file.arrays}
    if file.kind in ("netcdf", "zarr") or len(counts) != 1 or not all(array.shape for array in file.arrays):
        raise ParameterError("--rows cuts arrays of equally many records; name one array with --array")
    count = counts.pop()
    start, stop = (count if end is None else end for end in (rows[0] or 0, rows[1]))
    if start > count or (start == count and count):
        raise DataError(f"there are {count} records, and --rows begins at {start}; give less")
    return replace(file, arrays=tuple(_cut_array(array, start, min(stop, count)) for array in file.arrays))


def _cut_array(array: NamedArray, start: int, stop: int) -> NamedArray:
    names = array.more.get("names")
    more = {**array.more, "names": names[start:stop]} if isinstance(names, list) else array.more
    return replace(array, records=array.records.cut(start, stop), shape=(stop - start, *array.shape[1:]), more=more)


# --- where ---------------------------------------------------------------------------------------------------------


def _targets(files: Sequence[ArraysOfFile], wishes: DecompressWishes) -> list[tuple[Path, ArraysOfFile]]:
    """Return where each file goes, once it is sure that it can and that nothing is overwritten by mistake."""
    if len(files) == 1:
        targets = [(wishes.output, files[0])]
        _check_ending(wishes.output, files[0])
    else:
        targets = [(wishes.output / _inner(file), file) for file in files]
        for target, file in targets:
            _check_ending(target, file)
    for target, file in targets:
        check_folder(target.parent, "--output")
        if not is_taken(target, file):
            continue
        if not wishes.overwrite:
            raise ParameterError(f"{str(target)!r} is there already; give another --output, or --overwrite")
        if not is_replaceable(target, file):
            raise ParameterError(f"{str(target)!r} is a folder of something else, which is not replaced")
    return targets


def _inner(file: ArraysOfFile) -> str:
    try:
        return inner_path(file.name)
    except ValueError as error:
        raise CompressedFileError(f"{error}; take each array with --array NAME -o OUT.npy") from error


def _check_ending(path: Path, file: ArraysOfFile) -> None:
    allowed, ending = endings_for(file), ending_of(path)
    folder = "" in allowed and (path.is_dir() or ending not in (".npy", ".npz", *allowed))
    if ending in allowed or folder:
        return
    shown = ", ".join(each or "a folder" for each in allowed)
    raise ParameterError(f"--output {str(path)!r} has an ending that does not suit; allowed are {shown}")


@dataclass(frozen=True)
class _Watched:
    """Records of which it is told how many bytes were read."""

    records: Records
    progress: Callable[[int], None]

    def __getitem__(self, part: slice) -> Any:
        found = self.records[part]
        self.progress(found.nbytes)
        return found


def _watched(file: ArraysOfFile, progress: Callable[[int], None]) -> ArraysOfFile:
    arrays = tuple(
        replace(array, records=replace(array.records, source=_Watched(array.records, progress)))
        for array in file.arrays
    )
    return replace(file, arrays=arrays)


# --- listing -------------------------------------------------------------------------------------------------------


def contents_of(path: Path) -> dict[str, Any]:
    """Return what is in a compressed file; nothing is decoded."""
    with CompressedFiles(path) as stored:
        arrays = [_listed(each) for each in stored.arrays]
        models = [{"mark": mark.hex(), "bytes": len(model)} for mark, model in stored.contents.models.items()]
        files = [{"name": file.name, "kind": file.kind, "arrays": len(file.arrays)} for file in stored.files]
    size, raw = path.stat().st_size, sum(each["raw_bytes"] for each in arrays)
    return {
        "file": str(path),
        "bytes": size,
        "raw_bytes": raw,
        "ratio": raw / max(size, 1),
        "models_inside": models,
        "files": files,
        "arrays": arrays,
    }


def _listed(stored: StoredArray) -> dict[str, Any]:
    head, entry = stored.entry.head, stored.entry
    ways: dict[str, int] = {}
    for block in entry.blocks:
        ways[way_name(block.way)] = ways.get(way_name(block.way), 0) + block.rows
    rows = max(sum(ways.values()), 1)
    return {
        "name": head.name,
        "type": str(stored.named.records.dtype),
        "shape": list(stored.named.shape),
        "promise": promise_in_words(stored),
        "raw_bytes": entry.nbytes,
        "bytes": entry.compressed,
        "ratio": entry.nbytes / max(entry.compressed, 1),
        "blocks": len(entry.blocks),
        "ways": {name: count / rows for name, count in ways.items()},
        "model": head.model.hex() or None,
    }


def scale_of(stored: StoredArray) -> float:
    """Return the units of the user that one step of what is stored is."""
    scale = stored.entry.head.more.get("scale", 1.0)
    return float(scale) if isinstance(scale, int | float) and np.isfinite(scale) and scale > 0 else 1.0


def promise_in_words(stored: StoredArray) -> str:
    """Return what is promised of an array."""
    if is_code_alone(stored.entry):
        return CODE_ALONE
    try:
        return promise_of(stored.entry.head.bound, scale_of(stored))
    except ValueError:
        return "unknown"


def print_contents(contents: dict[str, Any]) -> None:
    """Print what is in a compressed file as a table."""
    from rich.console import Console
    from rich.markup import escape
    from rich.table import Table

    table = Table("name", "type", "shape", "promise", "size", "ratio", "ways")
    for each in contents["arrays"]:
        ways = ways_text(each["ways"])
        shape = "x".join(map(str, each["shape"])) or "one"
        cells = [each["name"] or "-", each["type"], shape, each["promise"], size_text(each["bytes"])]
        table.add_row(*map(escape, [*cells, f"{each['ratio']:.2f}", ways or "-"]))
    console = Console(soft_wrap=True)
    console.print(table)
    inside = ", ".join(f"{each['mark']} ({size_text(each['bytes'])})" for each in contents["models_inside"])
    needed = sorted({each["model"] for each in contents["arrays"]} - {None})
    known = {each["mark"] for each in contents["models_inside"]}
    beside = ", ".join(mark for mark in needed if mark not in known)
    console.print(
        f"{size_text(contents['raw_bytes'])} in {size_text(contents['bytes'])}: ratio {contents['ratio']:.2f}"
        + (f"; model inside: {inside}" if inside else "")
        + (f"; needs the model {beside}" if beside else ""),
        highlight=False,
        markup=False,
    )
