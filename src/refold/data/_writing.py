"""Write records to the kind of file that the path's ending names."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from refold._atomic import write_whole
from refold.data._chunk_writing import RecordWriter, as_array
from refold.data._frames import frame_kind, to_arrow


def write_records(records: Any, path: str | Path, names: Sequence[str] = ()) -> None:
    """Write a table or an array of records; each file appears whole or not at all.

    Parameters
    ----------
    records : table, or ndarray of shape (n, ...)
        Tables go to ``.parquet`` or ``.csv``, rows of numbers too (columns are named 0, 1, ...); arrays of any
        shape to ``.npy`` or ``.npz``; pictures to a folder, a PNG each.
    path : path-like
        A path without an ending is a folder.
    names : sequence of str
        File names for the pictures of a folder; numbered where there are none.

    Raises
    ------
    DataError
        If the ending is unknown or does not suit the records.

    Examples
    --------
    >>> import numpy as np, tempfile, pathlib
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     write_records(np.zeros((2, 8, 8), np.uint8), pathlib.Path(folder) / "out")
    ...     sorted(path.name for path in (pathlib.Path(folder) / "out").iterdir())
    ['0.png', '1.png']
    """
    path = Path(path)
    if path.suffix.lower() == ".npz":
        _write_packed(as_array(records, path), path)
        return
    known = to_arrow(records) if frame_kind(records) is not None else records
    with RecordWriter(path, len(known), names) as writer:
        writer.write(known)


def _write_packed(array: NDArray[Any], path: Path) -> None:
    with write_whole(path) as temporary:
        np.savez_compressed(temporary, X=array)
