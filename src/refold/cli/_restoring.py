"""What ``refold denoise`` does: pictures in files to pictures in files of the same kind."""

import errno
import shutil
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from glob import glob
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from refold._atomic import write_whole
from refold._errors import DataError, ModelFileError, ParameterError
from refold.cli._commands import check_options, check_output
from refold.cli._talk import say, working_progress
from refold.data import PictureFile, is_picture, picture_files, read_picture_file, write_picture_file
from refold.estimators import Restoration, Restorer, RestorerParameters, load, pretrained

_SKIPPED = (DataError, OSError, MemoryError, RuntimeError)  # the last one is how torch says that memory is lacking
_NOTHING_CAN_BE_WRITTEN = (errno.ENOSPC, errno.EROFS, errno.EACCES)
_COMPARED = ".compare.png"
_DARK_AND_BRIGHT = (0.005, 0.995)  # quantiles of floats that are shown as black and white
_LEVELS = 255  # noise is told in these, as in the literature
_SHOWN, _SHOWN_SIDE = 12, 640  # pictures on a page, and pixels of their longer side there


@dataclass(frozen=True)
class RestoreWishes:
    """What the user wants of a restoring command.

    Parameters
    ----------
    output : Path
    model : Path or None
        A restorer of the user's own.
    strength : float
    sigma : float or None
        Of 255.
    self_ensemble, compare, overwrite, quiet : bool
    max_memory : int or None
    """

    output: Path
    model: Path | None
    strength: float
    sigma: float | None
    self_ensemble: bool
    compare: bool
    overwrite: bool
    max_memory: int | None
    quiet: bool


@dataclass(frozen=True)
class _Job:
    """One picture: where it is, where it goes, and what it is called."""

    source: Path
    target: Path
    name: str


@dataclass(frozen=True)
class _Shown:
    """One picture of the page that compares."""

    name: str
    before: NDArray[np.uint8]
    after: NDArray[np.uint8]
    said: str


def fit_restorer(
    data: str, output: Path, drop: Sequence[str], parameters: dict[str, Any], quiet: bool
) -> dict[str, Any]:
    """Learn to take a damage off the pictures of a folder, and save the restorer."""
    check_output(output, (".safetensors",))
    check_options(parameters, RestorerParameters, "restore")
    if drop:
        raise ParameterError("--drop names a column of a table, and a restorer learns from pictures")
    model = Restorer(**parameters, verbose=0 if quiet else 1)
    start = time.perf_counter()
    model.fit(data)
    model.save(output)
    if model.checkpoint is not None:
        Path(model.checkpoint).unlink(missing_ok=True)
    seconds = round(time.perf_counter() - start, 1)
    if not quiet:
        say(f"learned to undo {model.corruption} in {model.n_steps_} steps, {seconds} s")
        say(f"wrote {output}; use it with: refold denoise PICTURES -m {output} -o FOLDER")
    return {"model": str(output), "corruption": str(model.corruption), "steps": model.n_steps_, "seconds": seconds}


def restore_files(inputs: Sequence[str], name: str, wishes: RestoreWishes) -> dict[str, Any]:
    """Restore pictures one by one, and return what was done; broken ones are told of and left out."""
    jobs = _jobs(inputs, wishes)
    restorer = _restorer(name, wishes)
    done: list[dict[str, Any]] = []
    shown: list[_Shown] = []
    skipped: dict[str, str] = {}
    for job in jobs:
        try:
            file = read_picture_file(job.source)
            restoration = _restored(restorer, file, job, wishes)
            _write(file, restoration, job)
        except _SKIPPED as error:
            if isinstance(error, OSError) and error.errno in _NOTHING_CAN_BE_WRITTEN:
                raise
            skipped[job.name] = " ".join(str(error).split()) or type(error).__name__
            say(f"skipped {job.name}: {skipped[job.name]}")
            continue
        said = _in_words(restoration, wishes)
        if not wishes.quiet:
            say(f"{job.name}: {said}")
        done.append({"file": str(job.target), "sigma": _sigma(restoration), "changed": restoration.changed})
        if wishes.compare:
            shown += _compared(job, file, restoration, said, len(shown))
    if shown:
        _write_page(name, shown, _page_of(jobs, wishes), len(done), wishes.quiet)
    return {"done": done, "skipped": skipped}


def _restorer(name: str, wishes: RestoreWishes) -> Restorer:
    if wishes.model is None:
        return pretrained(name)
    model = load(wishes.model)
    if not isinstance(model, Restorer):
        raise ModelFileError(
            f"{wishes.model.name!r} is no restorer; make one with: refold fit FOLDER --for restore -o m.safetensors"
        )
    return model


# --- which files ---------------------------------------------------------------------------------------------------


def _jobs(inputs: Sequence[str], wishes: RestoreWishes) -> list[_Job]:
    """Return what is to be done, once it is sure that nothing is overwritten by mistake."""
    found = [(path, base) for text in inputs for path, base in _files_of(text, wishes.output)]
    one = len(inputs) == 1 and Path(inputs[0]).is_file()
    named = _is_file_name(wishes.output, one)
    if named and not one:
        raise ParameterError(
            f"{str(wishes.output)!r} is one picture, and {len(found)} are to be restored; give a folder as --output"
        )
    jobs = []
    for path, base in found:
        name = str(path.relative_to(base))
        jobs.append(_Job(path, wishes.output if named else wishes.output / name, name))
    _check_targets(jobs, wishes)
    return jobs


def _is_file_name(output: Path, one: bool) -> bool:
    """Say whether the output means a picture and no folder; folders may have a point in their names."""
    return not output.is_dir() and (is_picture(output) or (one and bool(output.suffix)))


def _files_of(text: str, output: Path) -> Iterator[tuple[Path, Path]]:
    """Yield the pictures that a path, a folder or a pattern names, each with the folder that its name is told from.

    What an earlier call wrote is none of them: comparisons, and the output where it lies inside the folder.

    Raises
    ------
    DataError
        If there is none.
    """
    path = Path(text)
    if path.is_file():
        yield path, path.parent
        return
    found = picture_files(path) if path.is_dir() else [Path(each) for each in sorted(glob(text, recursive=True))]
    found = [each for each in found if each.is_file() and is_picture(each) and not each.name.endswith(_COMPARED)]
    if path.is_dir() and output.resolve() != path.resolve():
        found = [each for each in found if not each.resolve().is_relative_to(output.resolve())]
    if not found:
        raise DataError(f"there is no picture {text!r}; give a file, a folder or a pattern such as 'scans/*.png'")
    yield from ((each, path if path.is_dir() else each.parent) for each in found)


def _check_targets(jobs: Sequence[_Job], wishes: RestoreWishes) -> None:
    seen: dict[Path, Path] = {}
    for job in jobs:
        other = seen.setdefault(job.target, job.source)
        if other != job.source:
            raise ParameterError(f"{str(other)!r} and {str(job.source)!r} would both become {str(job.target)!r}")
    targets = list(seen)
    if wishes.compare:
        targets += [*map(_comparison_of, seen), _page_of(jobs, wishes)]
    for target in targets:
        if target.exists() and not wishes.overwrite:
            raise ParameterError(f"{str(target)!r} is there already; give another --output, or --overwrite")


def _comparison_of(target: Path) -> Path:
    return target.with_name(target.name + _COMPARED)


def _page_of(jobs: Sequence[_Job], wishes: RestoreWishes) -> Path:
    named = jobs[0].target == wishes.output
    return (wishes.output.parent if named else wishes.output) / "compare.html"


# --- one picture ---------------------------------------------------------------------------------------------------


def _restored(restorer: Restorer, file: PictureFile, job: _Job, wishes: RestoreWishes) -> Restoration:
    tiles = restorer.tiles_of(file.pixels, wishes.max_memory)
    with working_progress(tiles, wishes.quiet or tiles == 1) as advance:
        return restorer.restoration(
            file.pixels,
            strength=wishes.strength,
            noise=None if wishes.sigma is None else wishes.sigma / _LEVELS,
            self_ensemble=wishes.self_ensemble,
            max_memory=wishes.max_memory,
            told=lambda: advance(1),
        )


def _write(file: PictureFile, restoration: Restoration, job: _Job) -> None:
    """Write a picture; one that is as it was, byte for byte where the kind stays."""
    if restoration.changed or job.source.suffix.lower() != job.target.suffix.lower():
        write_picture_file(file.with_pixels(restoration.picture), job.target)
        return
    with write_whole(job.target) as unfinished:
        shutil.copyfile(job.source, unfinished)


def _sigma(restoration: Restoration) -> float | None:
    return None if restoration.noise is None else round(restoration.noise * _LEVELS, 1)


def _in_words(restoration: Restoration, wishes: RestoreWishes) -> str:
    if restoration.noise is None:
        found = "too small to tell its noise"
    else:
        found = f"noise of sigma {_sigma(restoration)} of 255 ({restoration.noise:.1%} of the range)"
    if not restoration.changed:
        return f"{found}, left as it is"
    return f"{found}, taken off" + ("" if wishes.strength == 1 else f" by {wishes.strength:.0%}")


# --- before and after ----------------------------------------------------------------------------------------------


def _compared(job: _Job, file: PictureFile, restoration: Restoration, said: str, count: int) -> list[_Shown]:
    """Write before and after side by side, and return them for the page while it has room."""
    before, after = _as_seen(file.pixels, file.pixels), _as_seen(restoration.picture, file.pixels)
    side_by_side = np.concatenate([before, after], axis=1)
    write_picture_file(PictureFile(side_by_side), _comparison_of(job.target))
    if count >= _SHOWN:
        return []
    return [_Shown(job.name, _middle_of(before), _middle_of(after), said)]


def _as_seen(pixels: NDArray[Any], before: NDArray[Any]) -> NDArray[np.uint8]:
    """Return grey or RGB pixels of 8 bits, floats from black to white by what they were before."""
    if pixels.dtype.kind == "f":
        low, high = np.quantile(before, _DARK_AND_BRIGHT)
        pixels = np.clip((pixels - low) / max(high - low, 1e-12), 0, 1) * _LEVELS
    elif pixels.dtype == np.uint16:
        pixels = pixels / 257
    seen = np.rint(pixels).astype(np.uint8)
    if seen.ndim == 3 and seen.shape[2] == 4:  # CMYK
        seen = (255 - np.minimum(255, seen[..., :3].astype(np.int32) + seen[..., 3:])).astype(np.uint8)
    return np.asarray(seen)


def _middle_of(pixels: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """Return the middle of a picture that is too large for a page: shrunk, its noise could not be seen."""
    starts = [max(0, (length - _SHOWN_SIDE) // 2) for length in pixels.shape[:2]]
    return pixels[starts[0] : starts[0] + _SHOWN_SIDE, starts[1] : starts[1] + _SHOWN_SIDE]


def _write_page(name: str, shown: Sequence[_Shown], path: Path, count: int, quiet: bool) -> None:
    from refold.plots import Page, Pictures, write_page

    sections = [Pictures(each.name, [each.before, each.after], ["before", f"after: {each.said}"]) for each in shown]
    lead = f"{count} pictures" + (f", {len(shown)} of them shown" if len(shown) < count else "")
    write_page(Page(f"refold {name}", f"{lead}. Large pictures show their middle.", sections), path)
    if not quiet:
        say(f"wrote {path}")
