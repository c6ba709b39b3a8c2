"""Many files that are meant as one table or array: in a folder, matching a pattern, or listed."""

import os
from collections.abc import Callable, Sequence
from glob import glob
from pathlib import Path
from typing import Any

from refold._errors import DataError
from refold.data._files import ending_of
from refold.data._joining import folder_columns, join_tables
from refold.data._stream_arrays import open_arrays
from refold.data._stream_feather import open_feather
from refold.data._stream_parquet import open_parquet
from refold.data._stream_text import open_texts
from refold.data._streams import Stream
from refold.data._text import TEXT_ENDINGS

TOGETHER = ".csv, .tsv, .txt (also .gz), .parquet, .feather, .arrow, .npy"
_FEATHER_ENDINGS = (".feather", ".arrow")


def is_file_list(data: Any) -> bool:
    """Say whether `data` is a list of paths."""
    return (
        isinstance(data, list | tuple)
        and len(data) > 0
        and all(isinstance(item, str | os.PathLike) and Path(item).suffix for item in data)
    )


def is_pattern(text: str) -> bool:
    """Say whether a text is a pattern such as ``data/*.parquet`` and not the name of a file."""
    return any(sign in text for sign in "*?[") and not Path(text).exists()


def matching_files(pattern: str) -> list[Path]:
    """Return the files that match a pattern, sorted by path; ``**`` stands for any folders.

    Raises
    ------
    DataError
        If there is none.
    """
    files = sorted(path for path in map(Path, glob(pattern, recursive=True)) if path.is_file())
    if not files:
        raise DataError(f"no file matches {pattern!r}; check the path")
    return files


def streamed_files(folder: Path) -> list[Path]:
    """Return the tables or arrays in a folder and the folders below it, sorted by path; () where there is none.

    Texts that stand beside other tables, such as a README.txt, are left aside.

    Raises
    ------
    DataError
        If they are of several kinds.
    """
    inside = [path for path in folder.rglob("*") if path.is_file() and not _is_hidden(path, folder)]
    kinds = {kind_of(path) for path in inside} - {None}
    if len(kinds) > 1:
        inside = [path for path in inside if ending_of(path) != ".txt"]
        kinds = {kind_of(path) for path in inside} - {None}
    if len(kinds) > 1:
        raise DataError(
            f"the folder {folder.name!r} holds files of several kinds ({', '.join(sorted(map(str, kinds)))}); name "
            f"those to read, such as {folder.name}/*{ending_of(_first_known(inside))}"
        )
    return sorted(path for path in inside if kind_of(path) is not None)


def open_files(files: Sequence[Path], folder: Path | None = None) -> Stream:
    """Return files of one kind, one after the other, as a stream.

    Parameters
    ----------
    files : sequence of pathlib.Path
    folder : pathlib.Path, optional
        Where the files were found; folders below it that are called such as ``year=2024`` give columns.

    Raises
    ------
    DataError
        If a file is absent, broken, of another kind than the first, or differs from it in its columns.
    """
    kind = _one_kind(files)
    if kind == "array":
        return open_arrays(files)
    streams = open_texts(files) if kind == "text" else [_OPENERS[kind](path) for path in files]
    said = folder_columns(files, folder) if folder is not None else [{}] * len(files)
    if len(streams) == 1 and not said[0]:
        return streams[0]
    return join_tables(streams, [_short(path, folder) for path in files], said)


def kind_of(path: Path) -> str | None:
    """Return the kind of a file that can be read piece by piece: text, Parquet, Feather or array."""
    ending = ending_of(path)
    if ending in TEXT_ENDINGS:
        return "text"
    if ending in _FEATHER_ENDINGS:
        return "Feather"
    return {".parquet": "Parquet", ".npy": "array"}.get(ending)


def _one_kind(files: Sequence[Path]) -> str:
    for path in files:
        if not path.is_file():
            raise DataError(f"there is no file {str(path)!r}; check the path")
    odd = [path for path in files if kind_of(path) is None or kind_of(path) != kind_of(files[0])]
    if odd:
        raise DataError(
            f"{odd[0].name!r} cannot be read together with {files[0].name!r}; files that are read together must "
            f"all be of one kind ({TOGETHER})"
        )
    return str(kind_of(files[0]))


def _is_hidden(path: Path, folder: Path) -> bool:
    return any(part[0] in "._" for part in path.relative_to(folder).parts)


def _first_known(files: Sequence[Path]) -> Path:
    return next(path for path in files if kind_of(path) is not None)


def _short(path: Path, folder: Path | None) -> str:
    return path.name if folder is None else path.relative_to(folder).as_posix()


_OPENERS: dict[str, Callable[[Path], Stream]] = {"Parquet": open_parquet, "Feather": open_feather}
