"""A folder for one process at a time."""

import contextlib
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import BinaryIO

from refold._errors import DataError

_LOCK = "watch.lock"


@contextlib.contextmanager
def alone_in(folder: Path | None) -> Iterator[None]:
    """Keep a second watch out of a folder; the system takes the lock away with the process, however that ends.

    The file stays: were it taken away, one process could hold the old file and another one a new file of that name.

    Raises
    ------
    DataError
        If another process is in it.
    """
    if folder is None:
        yield
        return
    with (folder / _LOCK).open("ab") as file:
        try:
            _lock(file)
        except (BlockingIOError, PermissionError):
            raise DataError(
                f"another refold watch writes into {str(folder)!r}; end it, or choose another --out"
            ) from None
        except OSError:  # network folders that know no locks: better watched without one than not at all
            pass
        yield


if sys.platform == "win32":
    import msvcrt

    def _lock(file: BinaryIO) -> None:
        file.seek(0)
        msvcrt.locking(file.fileno(), msvcrt.LK_NBLCK, 1)
else:
    import fcntl

    def _lock(file: BinaryIO) -> None:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
