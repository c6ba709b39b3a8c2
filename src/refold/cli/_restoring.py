"""What ``refold denoise`` and the other restoring commands do: pictures in files to pictures of the same kind."""

import errno
import shutil
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from refold._atomic import write_whole
from refold._errors import DataError, ModelFileError, ParameterError
from refold.cli._commands import check_options, check_output
from refold.cli._guides import Guide, MaskGuide, no_guide
from refold.cli._picture_jobs import PictureJob, Writing, check_free, mask_path, page_of, picture_jobs, write_mask
from refold.cli._talk import say, working_progress
from refold.data import PictureFile, Source, is_picture, open_source, read_picture_file, write_picture_file
from refold.estimators import DamageKind, Restoration, Restorer, RestorerParameters, load, pretrained

_SKIPPED = (DataError, OSError, MemoryError, RuntimeError)  # the last one is how torch says that memory is lacking
_NOTHING_CAN_BE_WRITTEN = (errno.ENOSPC, errno.EROFS, errno.EACCES)
_DARK_AND_BRIGHT = (0.005, 0.995)  # quantiles of floats that are shown as black and white
_LEVELS = 255  # noise is told in these, as in the literature
_SHOWN, _SHOWN_SIDE = 12, 640  # pictures on a page, and pixels of their longer side there
_VERBS = {"denoise": "taken off", "inpaint": "filled", "colourise": "coloured", "unwatermark": "taken off"}


@dataclass(frozen=True)
class RestoreWishes:
    """What the user wants of a restoring command.

    Parameters
    ----------
    writing : Writing
    model : Path or None
        A restorer of the user's own.
    strength : float
    sigma : float or None
        Of 255.
    self_ensemble, compare, quiet : bool
    max_memory : int or None
    guide : callable
        What is told beside each picture.
    masks : Path or None
        A folder for the masks that were used.
    """

    writing: Writing
    model: Path | None = None
    strength: float = 1.0
    sigma: float | None = None
    self_ensemble: bool = False
    compare: bool = False
    max_memory: int | None = None
    quiet: bool = False
    guide: Guide = no_guide
    masks: Path | None = None


@dataclass(frozen=True)
class _Shown:
    """One picture of the page that compares."""

    name: str
    before: NDArray[np.uint8]
    after: NDArray[np.uint8]
    said: str


def fit_restorer(
    data: str,
    output: Path,
    drop: Sequence[str],
    parameters: dict[str, Any],
    quiet: bool,
    whole: str | None = None,
) -> dict[str, Any]:
    """Learn to take a damage off the pictures of a folder, or to fill a table, and save the restorer.

    With `whole`, a folder of the same pictures without damage, those of `data` are the damaged ones.
    """
    check_output(output, (".safetensors",))
    check_options(parameters, RestorerParameters, "restore")
    table = _table_in(data) if whole is None else None
    if table is not None:
        from refold.cli._filling_tables import fit_table_restorer

        return fit_table_restorer(table, output, drop, parameters, quiet)
    if drop:
        raise ParameterError("--drop names a column of a table, and a restorer learns from pictures")
    model = Restorer(**parameters, verbose=0 if quiet else 1)
    start = time.perf_counter()
    model.fit(data, whole)
    model.save(output)
    if model.stopped_ == "interrupted":
        say("note: training was interrupted; with --checkpoint the same command goes on from where it was")
    elif model.checkpoint is not None:
        Path(model.checkpoint).unlink(missing_ok=True)
    seconds = round(time.perf_counter() - start, 1)
    if not quiet:
        undone = model.corruption if whole is None else "what the pairs differ in"
        say(f"learned to undo {undone} in {model.n_steps_} steps, {seconds} s")
        told = " --mask MASKS" if model.kind_.loses else ""
        say(f"wrote {output}; use it with: refold {_job_of(model.kind_)} PICTURES{told} -m {output} -o FOLDER")
    return {"model": str(output), "corruption": str(model.corruption), "steps": model.n_steps_, "seconds": seconds}


def _table_in(data: str) -> Source | None:
    """Return opened rows, or None where the data are pictures."""
    if Path(data).is_dir() or is_picture(Path(data)):
        return None
    source = open_source(data)
    return source if source.frame is not None or source.values.ndim == 2 else None


def restore_files(inputs: Sequence[str], name: str, wishes: RestoreWishes) -> dict[str, Any]:
    """Restore pictures one by one, and return what was done; broken ones are told of and left out."""
    jobs = jobs_of(inputs, wishes)
    restorer = _restorer(name, wishes)

    def restore(file: PictureFile, job: PictureJob) -> Restoration:
        return _restored(restorer, file, job, wishes)

    return work_off(jobs, name, wishes, restorer.kind_, restore)


def jobs_of(inputs: Sequence[str], wishes: RestoreWishes) -> list[PictureJob]:
    """Return what is to be done, once it is sure that nothing is overwritten by mistake."""
    jobs = picture_jobs(inputs, wishes.writing, lambda job: _besides(job, wishes))
    if wishes.compare and not (wishes.writing.overwrite or wishes.writing.skip_existing):
        check_free([page_of(wishes.writing.output, jobs)])
    return jobs


def work_off(
    jobs: Sequence[PictureJob],
    name: str,
    wishes: RestoreWishes,
    kind: DamageKind,
    restore: Callable[[PictureFile, PictureJob], Restoration],
) -> dict[str, Any]:
    """Read, restore and write pictures, tell of each, and return what was done."""
    done: list[dict[str, Any]] = []
    shown: list[_Shown] = []
    skipped: dict[str, str] = {}
    for job in jobs:
        try:
            file = read_picture_file(job.source)
            restoration = restore(file, job)
            _write(file, restoration, job, wishes)
        except _SKIPPED as error:
            if isinstance(error, OSError) and error.errno in _NOTHING_CAN_BE_WRITTEN:
                raise
            skipped[job.name] = " ".join(str(error).split()) or type(error).__name__
            say(f"skipped {job.name}: {skipped[job.name]}")
            continue
        said = _in_words(restoration, kind, name, wishes)
        if not wishes.quiet:
            say(f"{job.name}: {said}")
        done.append(_answered(job, restoration, kind))
        if wishes.compare:
            shown += _compared(job, file, restoration, said, len(shown))
    if shown:
        _write_page(name, shown, page_of(wishes.writing.output, jobs), len(done), wishes.quiet)
    return {"done": done, "skipped": skipped}


def _besides(job: PictureJob, wishes: RestoreWishes) -> list[Path]:
    """Return what else is written for a picture."""
    comparison = [job.comparison] if wishes.compare else []
    return comparison + ([mask_path(wishes.masks, job)] if wishes.masks is not None else [])


def _answered(job: PictureJob, restoration: Restoration, kind: DamageKind) -> dict[str, Any]:
    found: dict[str, Any] = {"file": str(job.target), "changed": restoration.changed}
    if kind.noise:
        found["sigma"] = _sigma(restoration)
    if restoration.mask is not None:
        found["damaged_share"] = round(float(restoration.mask.mean()), 6)
    return found


def _restorer(name: str, wishes: RestoreWishes) -> Restorer:
    if wishes.model is None:
        return pretrained(name)
    model = load(wishes.model)
    if not isinstance(model, Restorer) or hasattr(model, "table_"):
        raise ModelFileError(
            f"{wishes.model.name!r} is no restorer of pictures; make one with: refold fit FOLDER --for restore "
            "-o m.safetensors"
        )
    right = _job_of(model.kind_)
    if right != name:
        raise ModelFileError(f"{wishes.model.name!r} is for refold {right}, and not for refold {name}")
    return model


def _job_of(kind: DamageKind) -> str:
    """Return the command that undoes a kind of damage."""
    if kind.loses:
        return "inpaint"
    if kind.colours:
        return "colourise"
    return "unwatermark" if kind.finds else "denoise"


# --- one picture ---------------------------------------------------------------------------------------------------


def _restored(restorer: Restorer, file: PictureFile, job: PictureJob, wishes: RestoreWishes) -> Restoration:
    tiles = restorer.tiles_of(file.pixels, wishes.max_memory)
    with working_progress(tiles, wishes.quiet or tiles == 1) as advance:
        restoration: Restoration = restorer.restoration(
            file.pixels,
            strength=wishes.strength,
            noise=None if wishes.sigma is None else wishes.sigma / _LEVELS,
            self_ensemble=wishes.self_ensemble,
            max_memory=wishes.max_memory,
            told=lambda: advance(1),
            **wishes.guide(job.name, file),
        )
        return restoration


def _write(file: PictureFile, restoration: Restoration, job: PictureJob, wishes: RestoreWishes) -> None:
    """Write a picture; one that is as it was, byte for byte where the kind stays."""
    if restoration.mask is not None:
        if wishes.masks is not None:
            write_mask(restoration.mask, mask_path(wishes.masks, job))
        if isinstance(wishes.guide, MaskGuide) and wishes.guide.transparent and file.alpha is not None:
            file = replace(file, alpha=np.where(restoration.mask, np.iinfo(file.alpha.dtype).max, file.alpha))
    if restoration.changed or job.source.suffix.lower() != job.target.suffix.lower():
        write_picture_file(file.with_pixels(restoration.picture), job.target)
        return
    with write_whole(job.target) as unfinished:
        shutil.copyfile(job.source, unfinished)


def _sigma(restoration: Restoration) -> float | None:
    return None if restoration.noise is None else round(restoration.noise * _LEVELS, 1)


def _in_words(restoration: Restoration, kind: DamageKind, name: str, wishes: RestoreWishes) -> str:
    """Return what was found and done."""
    share = "" if wishes.strength == 1 or not restoration.changed else f" by {wishes.strength:.0%}"
    done = f"{_VERBS[name]}{share}" if restoration.changed else "left as it is"
    if kind.noise:
        return f"{_noise_in_words(restoration)}, {done}"
    if kind.finds and not restoration.changed:
        return "no mark was found, left as it is"
    if kind.colours and not restoration.changed:
        return "it has colours already, left as it is"
    if restoration.mask is not None:
        what = "a mark on" if kind.finds else "damaged:"
        return f"{what} {restoration.mask.mean():.2%} of the pixels, {done}"
    return f"restored{share}" if name == "denoise" and restoration.changed else done


def _noise_in_words(restoration: Restoration) -> str:
    if restoration.noise is None:
        return "too small to tell its noise"
    return f"noise of sigma {_sigma(restoration)} of 255 ({restoration.noise:.1%} of the range)"


# --- before and after ----------------------------------------------------------------------------------------------


def _compared(job: PictureJob, file: PictureFile, restoration: Restoration, said: str, count: int) -> list[_Shown]:
    """Write before and after side by side, and return them for the page while it has room."""
    before, after = _as_seen(file.pixels, file.pixels), _as_seen(restoration.picture, file.pixels)
    if before.ndim != after.ndim:
        before = np.repeat(before[..., None], 3, axis=2)
    side_by_side = np.concatenate([before, after], axis=1)
    write_picture_file(PictureFile(side_by_side), job.comparison)
    if count >= _SHOWN:
        return []
    return [_Shown(job.name, _middle_of(before), _middle_of(after), said)]


def _as_seen(pixels: NDArray[Any], before: NDArray[Any]) -> NDArray[np.uint8]:
    """Return grey or RGB pixels of 8 bits, floats from black to white by what they were before."""
    if pixels.dtype.kind == "f":
        low, high = np.nanquantile(before, _DARK_AND_BRIGHT)
        pixels = np.nan_to_num(np.clip((pixels - low) / max(high - low, 1e-12), 0, 1)) * _LEVELS
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
