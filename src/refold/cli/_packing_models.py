"""Which model packs an array: none, one that was given, one that is learned first, or a code tuned to its records."""

from collections.abc import Sequence
from dataclasses import dataclass

from refold._errors import DataError
from refold._memory import free_memory
from refold.cli._compression_peers import packed_bytes, share_of, some_blocks
from refold.cli._talk import say
from refold.codec import code_of, ways_of
from refold.estimators import ArrayToPack, Compressor, readers_model

_FEWEST_TO_LEARN_FROM = 20  # records
_PART_OF_MEMORY = 16  # of the free memory records to learn from take one part


@dataclass(frozen=True)
class PackingModel:
    """A model as it packs an array, and what of it readers need; both may be nothing."""

    packs: bytes = b""
    needed: bytes = b""
    inside: bool = False


def most_values(job: ArrayToPack) -> int:
    """Return how many values of an array are learned from at most."""
    return free_memory() // _PART_OF_MEMORY // job.records.dtype.itemsize


def learner_of(job: ArrayToPack, compressor: Compressor, verbose: bool) -> Compressor:
    """Return a compressor that learns from an array as it is stored: its bound, its gaps."""
    fill = job.fill[0] if job.fill else None
    given = {"max_error": str(job.within()), "fill_value": fill, "verbose": int(verbose)}
    return Compressor(**{**compressor.get_params(), **given})


def given_model(job: ArrayToPack, compressor: Compressor, inside: bool) -> PackingModel:
    """Return the model of a compressor for an array; of a code alone only where the array has such records."""
    learned = compressor._model()
    code = code_of(ways_of(learned))
    if code is not None and not _suits(job, tuple(code.shape)):
        return PackingModel()
    return _tuned(job, compressor, learned, inside)


def _tuned(job: ArrayToPack, compressor: Compressor, learned: bytes, inside: bool) -> PackingModel:
    try:
        packs = compressor.tuned(job.records, learned, job.fill)
    except DataError as error:
        raise DataError(f"{job.name or 'the array'}: {error}") from error
    return PackingModel(packs, readers_model(learned), inside and bool(learned))


def _suits(job: ArrayToPack, shape: tuple[int, ...]) -> bool:
    return not job.array.exact and job.records.shape[1:] == shape


def check_code_suits(jobs: Sequence[ArrayToPack], compressor: Compressor) -> None:
    """Refuse a code alone that is one for none of the arrays.

    Raises
    ------
    DataError
    """
    code = code_of(ways_of(compressor._model()))
    if code is None or any(_suits(job, tuple(code.shape)) for job in jobs):
        return
    raise DataError(
        f"the code was learned from records of shape {tuple(code.shape)}, and no array has such; records "
        f"are of shape {', '.join(sorted({str(job.records.shape[1:]) for job in jobs}))}"
    )


def learned_model(job: ArrayToPack, compressor: Compressor, quiet: bool) -> PackingModel:
    """Return what was learned from an array, if it saves more than its own bytes; else nothing."""
    is_code = compressor._code_wish() is not None
    if job.array.exact or len(job.records) < _FEWEST_TO_LEARN_FROM or (is_code and job.records.ndim < 2):
        return PackingModel()
    learner = learner_of(job, compressor, not quiet)
    try:
        learned = learner.fit(job.records.sample(most_values(job)))._model()
    except DataError as error:
        raise DataError(f"{job.name or 'the array'}: {error}") from error
    found = _tuned(job, learner, learned, True)
    places = some_blocks(job)
    saved = packed_bytes(job, places, b"") - packed_bytes(job, places, found.packs)
    return found if saved / share_of(job, places) > len(found.needed) else PackingModel()


def say_which_are_whole(jobs: Sequence[ArrayToPack], models: Sequence[PackingModel]) -> None:
    """Say which arrays go without loss although a code alone is asked for."""
    for job, model in zip(jobs, models, strict=True):
        if not model.packs and not job.array.exact:
            say(f"note: every bit of {job.name or 'the array'} comes back: no code suits it, or it takes more bytes")
