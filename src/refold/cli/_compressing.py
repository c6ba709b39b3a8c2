"""What ``refold compress`` does, once its words are understood."""

import os
import time
from collections.abc import Callable, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, field
from math import ceil
from pathlib import Path
from typing import Any

from refold._atomic import write_whole
from refold._errors import DataError, ModelFileError, ParameterError
from refold._parameters import check_parameters
from refold.cli._commands import check_output
from refold.cli._compression_peers import packed_bytes, peers_of, share_of, some_blocks
from refold.cli._packing_models import (
    PackingModel,
    check_code_suits,
    given_model,
    learned_model,
    say_which_are_whole,
)
from refold.cli._picture_jobs import check_free
from refold.cli._talk import bytes_progress, say
from refold.codec import CODE, Bound, RefzWriter, ways_of
from refold.data import ArraysOfFile, is_picture, open_arrays, open_pictures_as_arrays
from refold.estimators import (
    ArrayToPack,
    Compressor,
    Tally,
    arrays_to_pack,
    load,
    marked,
    pack_array,
    packing_by,
)

ENDING = ".refz"
CODE_ALONE = "none: a code alone"  # what is promised of single values
_WAYS = {
    0: "as they are",
    1: "lzma",
    2: "bz2",
    3: "lzma by bytes",
    16: "in order",
    17: "lattice",
    18: "columns",
    32: "learned field",
    33: "learned pictures",
    34: "learned table",
    35: "code alone",
}


@dataclass(frozen=True)
class CompressWishes:
    """What the user wants of ``refold compress``.

    Parameters
    ----------
    output : Path
    parameters : dict
        Of `Compressor`, those that were given.
    model : Path or None
    model_inside : bool or None
        None where the user said neither.
    learn : bool
    drop : tuple of str
    threads : int or None
    overwrite, quiet : bool
    """

    output: Path
    parameters: dict[str, Any] = field(default_factory=dict)
    model: Path | None = None
    model_inside: bool | None = None
    learn: bool = False
    drop: tuple[str, ...] = ()
    threads: int | None = None
    overwrite: bool = False
    quiet: bool = False


@dataclass
class _Done:
    """What came of one array."""

    job: ArrayToPack
    tally: Tally
    model: PackingModel


def compress_files(texts: Sequence[str], wishes: CompressWishes) -> dict[str, Any]:
    """Compress files into one, and return what came of it."""
    compressor = _compressor(wishes)
    with ExitStack() as closing:
        files = [closing.enter_context(file) for file in open_files(texts, wishes.drop)]
        if not wishes.quiet:
            _say_notes(files)
        jobs = arrays_to_pack(apart(files, compressor._bound()), compressor._bound(), compressor.fill_value)
        start = time.perf_counter()
        done = _write(jobs, compressor, wishes)
        result = _result(done, wishes, time.perf_counter() - start)
        if not wishes.quiet:
            _say_result(result)
    return result


def _compressor(wishes: CompressWishes) -> Compressor:
    """Return the compressor that is asked for, once all that is asked for can be."""
    check_output(wishes.output, (ENDING,))
    if not wishes.overwrite:
        check_free([wishes.output])
    if wishes.model is None and wishes.model_inside is not None:
        raise ParameterError("--model-inside and --model-beside say where --model goes; give one")
    if wishes.model is not None and wishes.learn:
        raise ParameterError("--learn learns a model, and --model is one; leave one of them out")
    compressor = Compressor() if wishes.model is None else load_compressor(wishes.model)
    compressor.set_params(**_replaced(wishes.parameters))
    check_parameters(compressor)
    if wishes.learn:
        compressor._code_wish()
    else:
        compressor._wanted_of(compressor._model())
    return compressor


def _replaced(parameters: dict[str, Any]) -> dict[str, Any]:
    """Return parameters; one that says what is promised stands for all that a model's file says of it."""
    promises = {"max_error": 0.0, "quality": None, "bytes_per_sample": None}
    return {**promises, **parameters} if promises.keys() & parameters.keys() else parameters


def load_compressor(path: Path) -> Compressor:
    """Return the compressor of a model file.

    Raises
    ------
    ModelFileError
        If it is none.
    """
    model = load(path, device="cpu")
    if not isinstance(model, Compressor):
        raise ModelFileError(
            f"{path.name!r} is a model of the kind {type(model).__name__}, which compresses nothing; make one that "
            "does: refold fit DATA --for compress -o m.safetensors"
        )
    return model


def open_files(texts: Sequence[str], drop: Sequence[str]) -> list[ArraysOfFile]:
    """Return the files that are named; pictures among them are one."""
    pictures = [Path(text) for text in texts if is_picture(Path(text)) and Path(text).is_file()]
    together = pictures if len(pictures) > 1 else []
    found = []
    for text in texts:
        if Path(text) not in together:
            found.append(open_arrays(text, drop))
        elif Path(text) == together[0]:
            names = [path.name for path in together]
            if len(set(names)) < len(names):
                raise DataError("two pictures have one name; give the folder that they are in")
            found.append(open_pictures_as_arrays(together, names, "pictures", drop))
    return found


def apart(files: Sequence[ArraysOfFile], bound: Bound) -> list[ArraysOfFile]:
    """Return the files; where each column has its own range, columns of tables stand alone."""
    from dataclasses import replace

    from refold.data import columns_apart

    if bound.kind != "of_range" or bound.lossless:
        return list(files)
    return [replace(file, arrays=columns_apart(file.arrays)) for file in files]


def _say_notes(files: Sequence[ArraysOfFile]) -> None:
    for file in files:
        for note in file.notes:
            say(f"note: {note}")


# --- writing -------------------------------------------------------------------------------------------------------


def _write(jobs: Sequence[ArrayToPack], compressor: Compressor, wishes: CompressWishes) -> list[_Done]:
    total = sum(job.records.nbytes for job in jobs)
    models = _models(jobs, compressor, wishes)
    with (
        write_whole(wishes.output) as temporary,
        open(temporary, "wb") as file,
        bytes_progress(total, wishes.quiet) as progress,
    ):
        writer = RefzWriter(file)
        for needed in dict.fromkeys(model.needed for model in models if model.inside):
            writer.model(needed)
        done = [
            _Done(job, _write_array(writer, job, model, wishes.threads, progress), model)
            for job, model in zip(jobs, models, strict=True)
        ]
        writer.end()
    _warn_if_missed(done, compressor)
    return done


def _models(jobs: Sequence[ArrayToPack], compressor: Compressor, wishes: CompressWishes) -> list[PackingModel]:
    """Return which model packs each array."""
    check_code_suits(jobs, compressor)
    if wishes.learn:
        models = [learned_model(job, compressor, wishes.quiet) for job in jobs]
    else:
        models = [given_model(job, compressor, bool(wishes.model_inside)) for job in jobs]
    if compressor._code_wish() is not None and not wishes.quiet:
        say_which_are_whole(jobs, models)
    return models


def _write_array(
    writer: RefzWriter, job: ArrayToPack, model: PackingModel, threads: int | None, progress: Callable[[int], None]
) -> Tally:
    size = job.records.dtype.itemsize
    blocks = -(-len(job.records) // max(job.rows, 1))
    processes = min(threads or max(1, (os.cpu_count() or 1) // 2), max(blocks, 1))
    ways, mark = ways_of(model.packs), marked(model.needed)
    with packing_by(processes, model.packs) as packing:
        return pack_array(writer, job, ways, mark, lambda values: progress(values * size), packing)


def _warn_if_missed(done: Sequence[_Done], compressor: Compressor) -> None:
    wanted = compressor._code_wish()
    for each in done:
        if wanted is not None and CODE in each.tally.by_way:
            wanted.warn_if_missed(each.tally.kept, each.tally.packed, len(each.job.records))


# --- telling -------------------------------------------------------------------------------------------------------


def _result(done: Sequence[_Done], wishes: CompressWishes, seconds: float) -> dict[str, Any]:
    raw = sum(each.tally.raw for each in done)
    size = wishes.output.stat().st_size
    values = sum(each.tally.values for each in done)
    models = {each.model.needed: each.model.inside for each in done if each.model.needed}
    inside = sum(len(model) for model, is_inside in models.items() if is_inside)
    beside = sum(map(len, models)) - inside
    peers = peers_of([each.job for each in done])
    plain = size if not models else _plain(done, size - inside)
    saved = plain - (size - inside)
    pays = max(1, ceil((inside + beside) / saved)) if models and saved > 0 else None
    return {
        "output": str(wishes.output),
        "raw_bytes": raw,
        "compressed_bytes": size,
        "ratio": raw / max(size, 1),
        "bits_per_value": 8 * size / max(values, 1),
        "model_bytes": inside + beside,
        "model_inside": bool(inside),
        "model_needed": any(each.model.needed and each.tally.learned for each in done),
        "seconds": round(seconds, 2),
        "megabytes_per_second": raw / 1e6 / max(seconds, 1e-9),
        "without_model_bytes": plain,
        "model_pays_after_files": pays,
        "others_bytes": peers.sizes,
        "others_measured_on": peers.share,
        "ways": _ways([each.tally for each in done]),
        "arrays": [_array(each) for each in done],
    }


def _plain(done: Sequence[_Done], size: int) -> int:
    """Return how large the file would be without models; of large arrays from some of their blocks."""
    for each in done:
        if each.model.needed:
            places = some_blocks(each.job)
            saved = packed_bytes(each.job, places, b"") - sum(each.tally.sizes[place] for place in places)
            size += round(saved / max(share_of(each.job, places), 1e-9))
    return size


def _array(done: _Done) -> dict[str, Any]:
    job, tally = done.job, done.tally
    is_code = CODE in tally.by_way
    return {
        "name": job.name,
        "type": str(job.array.records.dtype),
        "shape": list(job.array.shape),
        "promise": CODE_ALONE if is_code else promise_of(str(job.bound), job.array.scale),
        "largest_error": tally.largest_error * job.array.scale,
        "allowed_error": None if is_code else _allowed(tally, job),
        "mean_squared_error": tally.squares / max(tally.values, 1) * job.array.scale**2,
        "variance_kept": tally.kept if is_code else None,
        "raw_bytes": tally.raw,
        "compressed_bytes": tally.packed,
        "ways": _ways([tally]),
    }


def _allowed(tally: Tally, job: ArrayToPack) -> float | None:
    """Return the largest error that was allowed, in the units of the user; None where it is a share of each value."""
    if tally.bound is None or tally.bound.kind != "absolute":
        return None
    return tally.bound.amount * job.array.scale


def promise_of(bound: str, scale: float = 1.0) -> str:
    """Return a promise in words."""
    from refold.codec import parse_bound

    told = parse_bound(bound)
    if told.lossless:
        return "all bits"
    if told.kind == "of_range":
        return f"{told.amount:g} of the range"
    return f"{told.amount:g} of each value" if told.kind == "of_value" else f"{told.amount * scale:g}"


def way_name(way: int) -> str:
    """Return what a way is called."""
    return _WAYS.get(way, f"learned ({way})")


def _ways(tallies: Sequence[Tally]) -> dict[str, float]:
    """Return the share of values that went each way."""
    counts: dict[str, int] = {}
    for tally in tallies:
        for way, count in tally.by_way.items():
            counts[way_name(way)] = counts.get(way_name(way), 0) + count
    total = max(sum(counts.values()), 1)
    return {name: count / total for name, count in sorted(counts.items(), key=lambda item: -item[1])}


def ways_text(ways: dict[str, float]) -> str:
    """Return which share of values went which way, in words."""
    return ", ".join(f"{name} {share:.0%}" if share >= 0.005 else f"{name} <1%" for name, share in ways.items())


def size_text(count: float) -> str:
    """Return bytes in words."""
    for unit in ("bytes", "kB", "MB"):
        if count < 1000:
            return f"{count:,.0f} {unit}" if unit == "bytes" else f"{count:.1f} {unit}"
        count /= 1000
    return f"{count:,.1f} GB"


def _say_result(result: dict[str, Any]) -> None:
    raw, size = result["raw_bytes"], result["compressed_bytes"]
    if not raw:
        say(f"there are no values: only names and shapes, {size_text(size)}")
        say(f"wrote {result['output']}")
        return
    smaller = f"{raw / size:.2f} times smaller" if size <= raw else f"{size / raw:.2f} times larger"
    say(
        f"{size_text(raw)} became {size_text(size)}: {smaller}, {result['bits_per_value']:.2f} bits a value, "
        f"{result['megabytes_per_second']:.1f} MB/s"
    )
    for line in _promises(result["arrays"]):
        say(line)
    if result["model_bytes"]:
        say(_model_sentence(result))
    others = [f"{name} {raw / max(count, 1):.2f}" for name, count in result["others_bytes"].items()]
    part = result["others_measured_on"]
    measured = "" if part >= 1 else f" (measured on {part:.1%} of the data)"
    say(f"beside it, without loss: {', '.join(others)}{measured}")
    say("values went: " + ways_text(result["ways"]))
    say(f"wrote {result['output']}")


def _promises(arrays: Sequence[dict[str, Any]]) -> list[str]:
    """Return a line for each promise, with the worst that came of it."""
    lossy = [each for each in arrays if each["promise"] != "all bits"]
    if not lossy:
        return ["every bit comes back"]
    if len(lossy) > 6:
        found = {each["promise"] for each in lossy}
        return [f"{len(lossy)} of {len(arrays)} arrays keep their promise ({', '.join(sorted(found)[:3])}); "
                "refold list and --json tell of each"]  # fmt: skip
    lines = [_promise_line(each) for each in lossy]
    return lines + (["every bit of all others comes back"] if len(lossy) < len(arrays) else [])


def _promise_line(array: dict[str, Any]) -> str:
    if array["variance_kept"] is not None:
        each = array["compressed_bytes"] / max(array["shape"][0], 1)
        return (
            f"{kept_text(array['name'], array['variance_kept'], array['mean_squared_error'])}, {each:.2f} bytes a "
            f"record; the largest error {array['largest_error']:.4g}, nothing was promised of it"
        )
    return (
        f"largest error{' of ' + array['name'] if array['name'] else ''} {array['largest_error']:.4g}, "
        f"promised {array['promise']}{_in_units(array)}"
    )


def kept_text(name: str, kept: float, squared: float) -> str:
    """Return what a code alone keeps of an array, in words."""
    return f"{kept:.4f} of the variance{' of ' + name if name else ''} is kept, mean squared error {squared:.4g}"


def _in_units(array: dict[str, Any]) -> str:
    is_share = array["allowed_error"] is not None and "range" in array["promise"]
    return f" = {array['allowed_error']:.4g}" if is_share else ""


def _model_sentence(result: dict[str, Any]) -> str:
    pays = result["model_pays_after_files"]
    needed = "needed to decompress" if result["model_needed"] else "not needed: the plain ways are shorter"
    where = "inside the file" if result["model_inside"] else f"beside it, and {needed}"
    plain = f"without it {size_text(result['without_model_bytes'])}"
    after = "it does not pay" if pays is None else f"it has paid for itself after {pays} such file{'s' * (pays > 1)}"
    return f"the model of {size_text(result['model_bytes'])} is {where}; {plain}: {after}"
