"""Files of any kind into one compressed file, and back out of it part by part."""

import base64
import json
import os
import zlib
from collections.abc import Iterator, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, replace
from math import isfinite
from pathlib import Path
from typing import IO, Any

import numpy as np
from numpy.typing import NDArray

from refold._errors import CompressedFileError, DataError, ParameterError, nearest
from refold.codec import (
    ArrayEntry,
    Bound,
    RefzContents,
    RefzWriter,
    Ways,
    find_fill,
    read_contents,
)
from refold.data import ArraysOfFile, NamedArray, Records, folded, unfolded
from refold.estimators._compressing import (
    Tally,
    Told,
    Wish,
    bound_within,
    read_one_block,
    rows_of_block,
    ways_for,
    write_array,
)
from refold.estimators._packing_pool import Packing

Array = NDArray[Any]

_LOOKED_AT = 1 << 20  # values that numbers for "nothing here" are looked for in
_LONG = 1 << 12  # letters of JSON that are packed
_MOST_JSON = 1 << 27  # bytes that packed JSON may become
_MOST_PACKED = 1 << 23
_EXACT = Bound(0.0)


# --- into a compressed file ----------------------------------------------------------------------------------------


@dataclass(frozen=True, eq=False)
class ArrayToPack:
    """One array on its way into a compressed file.

    Parameters
    ----------
    name : str
        Unique in the file.
    array : NamedArray
    records : Records
        As they are packed: of numbers, of at most four axes.
    bound : Bound
        In units of the values that are stored.
    fill : tuple of float
    more : dict
    """

    name: str
    array: NamedArray
    records: Records
    bound: Bound
    fill: tuple[float, ...]
    more: dict[str, Any]

    def wish(self, ways: Ways) -> Wish:
        """Return how it is packed."""
        return Wish(self.bound, ways, self.fill)

    @property
    def rows(self) -> int:
        """How many records a block has."""
        return rows_of_block(self.records.shape)

    def within(self) -> Bound:
        """Return the bound that all values together have, after a pass over them where it needs one."""
        return bound_within(self.records, self.bound, self.fill, self.rows)  # type: ignore[arg-type]


def arrays_to_pack(files: Sequence[ArraysOfFile], bound: Bound, fill_value: float | str | None) -> list[ArrayToPack]:
    """Return the arrays of files under the names that they get, each with its own promise.

    Parameters
    ----------
    files : sequence of ArraysOfFile
    bound : Bound
        What is asked for, in the units of the user.
    fill_value : float, "auto" or None
        As of `Compressor`.

    Raises
    ------
    ParameterError
        If the promise has no meaning for an array.
    DataError
    """
    names = _file_names(files)
    found = []
    for number, (file, called) in enumerate(zip(files, names, strict=True)):
        for place, array in enumerate(file.arrays):
            whole = "/".join(part for part in (called if len(files) > 1 else "", array.name) if part)
            about = {"about": {"kind": file.kind, "name": called, **file.about}} if place == 0 else {}
            found.append(_to_pack(whole, array, {"file": number, "name": array.name, **about}, bound, fill_value))
    return found


def _file_names(files: Sequence[ArraysOfFile]) -> list[str]:
    names: list[str] = []
    for file in files:
        path, number = Path(os.fsencode(file.name).decode(errors="replace")), 1  # a name need not be UTF-8, but here
        name = path.name
        while name in names:
            number += 1
            name = f"{path.stem}-{number}{path.suffix}"
        names.append(name)
    return names


def _to_pack(
    name: str, array: NamedArray, told: dict[str, Any], bound: Bound, fill_value: float | str | None
) -> ArrayToPack:
    records, more = folded(array.records, array.shape)
    told |= {"of": array.more} if array.more else {}
    asked = _bound_of(array, name, bound)
    fill = _fill_of(array, records, fill_value)
    if fill and not asked.lossless:
        more["fill"] = list(fill)
    if array.scale != 1.0:
        more["scale"] = array.scale
    return ArrayToPack(name, array, records, asked, fill, {**more, **_packed_json(told, name)})


def _bound_of(array: NamedArray, name: str, bound: Bound) -> Bound:
    """Return the promise in units of what is stored."""
    if array.exact or bound.lossless:
        return _EXACT
    if bound.kind == "absolute":
        return replace(bound, amount=bound.amount / array.scale)
    if bound.kind == "of_value" and array.offset:
        raise ParameterError(
            f"a share of each value means nothing for {name!r}, which is stored with add_offset {array.offset:g}; "
            "give max_error in its units, or as a share of the range such as 1e-3rel"
        )
    return bound


def _fill_of(array: NamedArray, records: Records, fill_value: float | str | None) -> tuple[float, ...]:
    if fill_value is None:
        return ()
    if fill_value != "auto":
        told: tuple[float, ...] = (float(fill_value),)
    elif array.fill:
        told = array.fill
    else:
        return find_fill(records.sample(_LOOKED_AT)) if records.size else ()
    return tuple(value for value in told if _can_be(value, records.dtype))


def _can_be(value: float, dtype: np.dtype[Any]) -> bool:
    """Return whether a number can stand in an array of a type."""
    if dtype.kind == "f":
        return abs(value) <= float(np.finfo(dtype).max)
    if dtype.kind == "b" or not isfinite(value) or value != int(value):
        return False
    return int(np.iinfo(dtype).min) <= int(value) <= int(np.iinfo(dtype).max)


def _packed_json(told: dict[str, Any], name: str) -> dict[str, Any]:
    text = json.dumps(told, separators=(",", ":"))
    if len(text) <= _LONG:
        return {"told": told}
    packed = base64.b64encode(zlib.compress(text.encode(), 9)).decode()
    if len(packed) > _MOST_PACKED or len(text) > _MOST_JSON:
        raise DataError(f"{name!r} has more names and attributes than one array can be told; compress it in parts")
    return {"packed": packed}


def pack_array(
    writer: RefzWriter, job: ArrayToPack, ways: Ways, mark: bytes, told: Told | None, packing: Packing | None
) -> Tally:
    """Write one array."""
    return write_array(writer, job.records, job.wish(ways), job.name, job.more, mark, told, packing)


# --- out of a compressed file --------------------------------------------------------------------------------------


@dataclass(frozen=True, eq=False)
class StoredArray:
    """An array of a compressed file, decoded block by block as it is read."""

    entry: ArrayEntry
    named: NamedArray
    file: int | None  # the number of the file that it was in


class CompressedFiles:
    """What is in a compressed file, as the files that it was made of; a context manager.

    Parameters
    ----------
    path : Path
    models : mapping of bytes to bytes
        Models by their marks, for arrays whose model is not inside.

    Raises
    ------
    CompressedFileError
    DataError
        If there is no such file.
    """

    def __init__(self, path: Path, models: dict[bytes, bytes] | None = None) -> None:
        self._closing = ExitStack()
        try:
            self._file: IO[bytes] = self._closing.enter_context(path.open("rb"))
        except OSError as error:
            raise DataError(f"the file {str(path)!r} cannot be read: {error.strerror}; check the path") from error
        self.path, self._models = path, models or {}
        with self._closing:
            self.contents: RefzContents = read_contents(self._file)
            pairs = [(entry, _told_of(entry)) for entry in self.contents.arrays]
            self.arrays = tuple(self._stored(entry, told) for entry, told in pairs)
            self.files = tuple(self._files([told for _, told in pairs]))
            self._closing = self._closing.pop_all()

    def __enter__(self) -> "CompressedFiles":
        return self

    def __exit__(self, *error: object) -> None:
        self._closing.close()

    def blocks(self, stored: StoredArray) -> Iterator[Array]:
        """Yield the blocks of an array as they are stored, each compared with its checksum."""
        ways = self._ways(stored.entry)
        for block in stored.entry.blocks:
            yield read_one_block(self._file, stored.entry, block, ways)

    def named(self, name: str) -> StoredArray:
        """Return the array of a name.

        Raises
        ------
        DataError
        """
        names = [stored.entry.head.name for stored in self.arrays]
        if name not in names:
            raise DataError(
                f"there is no array {name!r} in {self.path.name!r}{nearest(name, names)}; {_known(names)}"
            )
        return self.arrays[names.index(name)]

    def _ways(self, entry: ArrayEntry) -> Ways:
        return ways_for(entry, self.contents, self._models)

    def _stored(self, entry: ArrayEntry, told: dict[str, Any]) -> StoredArray:
        shape = (1,) if entry.head.scalar else entry.shape
        flat = Records(_Decoded(self, entry), shape, np.dtype(entry.head.dtype))
        try:
            records, true = unfolded(flat, {"shape": []} if entry.head.scalar else entry.head.more)
            number = told.get("file")
            number = number if type(number) is int else None
            more = told.get("of", {})
            if not isinstance(more, dict):
                raise TypeError("no mapping")
            named = NamedArray(str(told.get("name", entry.head.name)), records, true, more=more)
        except (ValueError, TypeError) as error:
            raise _told_wrong(entry, error) from error
        return StoredArray(entry, named, number)

    def _files(self, told: Sequence[dict[str, Any]]) -> Iterator[ArraysOfFile]:
        """Yield the files that the arrays were in; arrays that no file is told of are one."""
        for number in dict.fromkeys(stored.file for stored in self.arrays):
            places = [place for place, stored in enumerate(self.arrays) if stored.file == number]
            arrays = tuple(self.arrays[place].named for place in places)
            about = told[places[0]].get("about", {})
            about = about if isinstance(about, dict) else {}
            plain = "npz" if len(arrays) > 1 or arrays[0].name else "npy"
            kind, name = (str(about.get(key, plain)) for key in ("kind", "name"))
            yield ArraysOfFile(plain if number is None else kind, name, about, arrays)


def _known(names: Sequence[str]) -> str:
    """Return which arrays there are, in words."""
    if list(names) == [""]:
        return "its only array has no name, and needs none"
    return f"there are {', '.join(map(repr, names[:10])) or 'none'}"


def _told_of(entry: ArrayEntry) -> dict[str, Any]:
    """Return what is told of an array by who wrote it; an empty dict where nothing is.

    Raises
    ------
    CompressedFileError
    """
    more = entry.head.more
    told = more.get("told", {})
    if "packed" in more:
        try:
            unpacking = zlib.decompressobj()
            text = unpacking.decompress(base64.b64decode(more["packed"], validate=True), _MOST_JSON)
            told = json.loads(text)
        except (ValueError, TypeError, zlib.error, RecursionError) as error:
            raise _told_wrong(entry, error) from error
    if not isinstance(told, dict):
        raise _told_wrong(entry, TypeError("no mapping"))
    return told


def _told_wrong(entry: ArrayEntry, error: Exception) -> CompressedFileError:
    reason = (str(error).splitlines() or [type(error).__name__])[0]
    return CompressedFileError(
        f"the compressed data are damaged: what is told of the array {entry.head.name!r} cannot be ({reason}); take "
        "another copy of them"
    )


class _Decoded:
    """The values of an array; only blocks that are asked for are decoded, and the last one is kept."""

    def __init__(self, files: CompressedFiles, entry: ArrayEntry) -> None:
        self._files, self._entry = files, entry
        self._ends = np.cumsum([0, *(block.rows for block in entry.blocks)])
        self._held: tuple[int, Array] | None = None

    def __getitem__(self, part: slice) -> Array:
        head = self._entry.head
        found = np.empty((part.stop - part.start, *head.record), np.dtype(head.dtype))
        place = int(np.searchsorted(self._ends, part.start, "right")) - 1
        while place < len(self._entry.blocks) and self._ends[place] < part.stop:
            begin, end = max(part.start, int(self._ends[place])), min(part.stop, int(self._ends[place + 1]))
            inside = int(self._ends[place])
            found[begin - part.start : end - part.start] = self._block(place)[begin - inside : end - inside]
            place += 1
        return found

    def _block(self, place: int) -> Array:
        if self._held is None or self._held[0] != place:
            ways = self._files._ways(self._entry)
            block = self._entry.blocks[place]
            self._held = (place, read_one_block(self._files._file, self._entry, block, ways))
        return self._held[1]
