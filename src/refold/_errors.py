"""The errors refold raises on purpose; everything else is a bug.

::

    RefoldError
    ├── DataError          (ValueError)       the data cannot be used as it is
    ├── ParameterError     (ValueError)       a parameter has a value that is not allowed
    ├── ModelFileError     (ValueError)       a model file is broken, altered, too new or hostile
    ├── CheckpointError    (ValueError)       a checkpoint is of another training
    ├── CompressedFileError (ValueError)      compressed data are damaged, altered, too new or hostile
    ├── DivergedError      (ArithmeticError)  training left the finite numbers
    └── MissingExtraError  (ImportError)      an optional package is needed and absent

    RefoldWarning          (UserWarning)      worth knowing, not worth stopping for

Every message says in one sentence what was got, what is allowed and what to do.

    try:
        model = refold.load(path)
    except refold.ModelFileError as error:
        print(error)
"""

from collections.abc import Iterable
from difflib import get_close_matches


class RefoldError(Exception):
    """Root of every error that refold raises on purpose."""


class DataError(RefoldError, ValueError):
    """The data cannot be used as it is."""


class ParameterError(RefoldError, ValueError):
    """A parameter has a value that is not allowed."""


class ModelFileError(RefoldError, ValueError):
    """A model file is broken, altered, too new, or not a model file."""


class CheckpointError(RefoldError, ValueError):
    """A checkpoint belongs to other data or other settings, or is no checkpoint."""


class CompressedFileError(RefoldError, ValueError):
    """Compressed data are damaged, altered, too new, or none; or they need a model that was not given."""


class DivergedError(RefoldError, ArithmeticError):
    """Training produced numbers that are not finite."""


class MissingExtraError(RefoldError, ImportError):
    """An optional package is needed and not installed."""


class RefoldWarning(UserWarning):
    """Something worth knowing that does not stop the work."""


def nearest(word: str, known: Iterable[str]) -> str:
    """Return ``", did you mean 'x'?"`` for the nearest known word, or nothing."""
    close = get_close_matches(word, list(known), n=1)
    return f", did you mean {close[0]!r}?" if close else ""
