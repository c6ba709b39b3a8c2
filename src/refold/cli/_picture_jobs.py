"""Which pictures a command reads, and where what it makes of them goes; nothing is overwritten by mistake."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from glob import glob
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from refold._errors import DataError, ParameterError
from refold.data import PictureFile, is_picture, picture_files, write_picture_file

COMPARED = ".compare.png"


@dataclass(frozen=True)
class PictureJob:
    """One picture.

    Parameters
    ----------
    source, target : Path
    name : str
        What it is called, below the folder that was given.
    """

    source: Path
    target: Path
    name: str

    @property
    def comparison(self) -> Path:
        """Where before and after stand side by side."""
        return self.target.with_name(self.target.name + COMPARED)


@dataclass(frozen=True)
class Writing:
    """How results are written.

    Parameters
    ----------
    output : Path
        A folder, or a picture where there is one.
    overwrite : bool
        Replace files that are there.
    skip_existing : bool
        Leave pictures out whose result is there.
    apart : tuple of Path
        Folders whose pictures are no input, such as those of masks.
    """

    output: Path
    overwrite: bool = False
    skip_existing: bool = False
    apart: tuple[Path, ...] = ()


def picture_jobs(
    inputs: Sequence[str], writing: Writing, besides: Callable[[PictureJob], Sequence[Path]] = lambda job: ()
) -> list[PictureJob]:
    """Return what is to be done, once it is sure that nothing is overwritten by mistake.

    Parameters
    ----------
    inputs : sequence of str
        Paths, folders and patterns.
    writing : Writing
    besides : callable, optional
        From a job to what else will be written for it.

    Raises
    ------
    DataError
        If there is no picture.
    ParameterError
        If two results would be one file, or one is there already.
    """
    found = [(path, base) for text in inputs for path, base in _files_of(text, writing)]
    one = len(inputs) == 1 and Path(inputs[0]).is_file()
    named = _is_file_name(writing.output, one)
    if named and not one:
        raise ParameterError(
            f"{str(writing.output)!r} is one picture, and {len(found)} are to be made; give a folder as --output"
        )
    if named and not is_picture(writing.output):
        raise ParameterError(
            f"{writing.output.name!r} is no kind of picture; give a name such as out.png, or a folder"
        )
    jobs = []
    for path, base in found:
        name = str(path.relative_to(base))
        jobs.append(PictureJob(path, writing.output if named else writing.output / name, name))
    _refuse_two_in_one(jobs, besides)
    if writing.skip_existing:
        jobs = [job for job in jobs if not job.target.exists()]
    if not writing.overwrite:
        check_free([path for job in jobs for path in (job.target, *besides(job))])
    return jobs


def page_of(output: Path, jobs: Sequence[PictureJob]) -> Path:
    """Return where the page that compares goes."""
    named = bool(jobs) and jobs[0].target == output
    return (output.parent if named else output) / "compare.html"


def check_free(paths: Sequence[Path]) -> None:
    """Refuse to write what is there.

    Raises
    ------
    ParameterError
    """
    for path in paths:
        if path.exists():
            raise ParameterError(f"{str(path)!r} is there already; give another --output, or --overwrite")


def mask_path(folder: Path, job: PictureJob) -> Path:
    """Return where a picture's mask goes."""
    return folder / Path(job.name).with_suffix(".png")


def write_mask(mask: NDArray[np.bool_], path: Path) -> None:
    """Write a mask as a picture, white where it is true."""
    path.parent.mkdir(parents=True, exist_ok=True)
    write_picture_file(PictureFile(mask.astype(np.uint8) * np.uint8(255)), path)


def _is_file_name(output: Path, one: bool) -> bool:
    """Say whether the output means a picture and no folder; folders may have a point in their names."""
    return not output.is_dir() and (is_picture(output) or (one and bool(output.suffix)))


def _files_of(text: str, writing: Writing) -> Iterator[tuple[Path, Path]]:
    """Yield the pictures that a path, a folder or a pattern names, each with the folder that its name is told from.

    What an earlier call wrote is none of them: comparisons, and the output where it lies inside the folder; nor are
    masks and hints.
    """
    path = Path(text)
    if path.is_file():
        yield path, path.parent
        return
    found = picture_files(path) if path.is_dir() else [Path(each) for each in sorted(glob(text, recursive=True))]
    found = [each for each in found if each.is_file() and is_picture(each) and not each.name.endswith(COMPARED)]
    for apart in (each.resolve() for each in (writing.output, *writing.apart)):
        if path.is_dir() and path.resolve() in apart.parents:
            found = [each for each in found if not each.resolve().is_relative_to(apart)]
    if not found:
        raise DataError(f"there is no picture {text!r}; give a file, a folder or a pattern such as 'scans/*.png'")
    yield from ((each, path if path.is_dir() else each.parent) for each in found)


def _refuse_two_in_one(jobs: Sequence[PictureJob], besides: Callable[[PictureJob], Sequence[Path]]) -> None:
    seen: dict[Path, Path] = {}
    for job in jobs:
        for path in (job.target, *besides(job)):
            other = seen.setdefault(path, job.source)
            if other != job.source:
                raise ParameterError(f"{str(other)!r} and {str(job.source)!r} would both become {str(path)!r}")
        if len({job.target, *besides(job)}) <= len(besides(job)):
            raise ParameterError(f"the result and the mask of {job.name!r} would be one file; give another folder")
