"""What ``refold fit --for compress`` does, once its words are understood."""

import io
import time
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from refold._errors import DataError, ParameterError
from refold._parameters import check_parameters
from refold.cli._commands import check_options, check_output
from refold.cli._compressing import apart, kept_text, size_text
from refold.cli._packing_models import learner_of, most_values
from refold.cli._talk import say
from refold.codec import CODE, Bound, RefzWriter, ways_of
from refold.data import ArraysOfFile, Records, open_arrays
from refold.estimators import (
    ArrayToPack,
    Compressor,
    CompressorParameters,
    Tally,
    arrays_to_pack,
    marked,
    pack_array,
    readers_model,
)

_FEWEST = 20  # records of which a tenth is held back


def fit_compressor(
    data: str, output: Path, drop: Sequence[str], parameters: dict[str, Any], quiet: bool
) -> dict[str, Any]:
    """Learn from nine tenths of the records, save, and say what the last tenth takes with it and without."""
    check_output(output, (".safetensors",))
    check_options(parameters, CompressorParameters, "compress")
    model = Compressor(**parameters, verbose=0 if quiet else 1)
    check_parameters(model)
    model._code_wish()
    start = time.perf_counter()
    with open_arrays(data, drop) as file:
        _check_together(file, model._bound())
        jobs = [job for job in arrays_to_pack([file], model._bound(), model.fill_value) if not job.array.exact]
        job = _largest(jobs, file.name, quiet)
        values = _records(job)
    held_back = len(values) // 10 if len(values) >= _FEWEST else 0
    learned, judged = values[: len(values) - held_back], values[len(values) - held_back :] if held_back else values
    model.model_ = learner_of(job, model, not quiet).fit(learned)._model()
    model.save(output)
    with_model, tally = _packed(job, judged, model.tuned(judged, model.model_, job.fill))
    is_code = CODE in tally.by_way
    result = {
        "model": str(output),
        "array": job.name,
        "records": len(learned),
        "held_back": held_back,
        "judged_by": "the last tenth, which was not learned from" if held_back else "records that were learned from",
        "model_bytes": len(model.model_),
        "readers_model_bytes": len(readers_model(model.model_)),
        "raw_bytes": judged.nbytes,
        "bytes_with_model": with_model,
        "bytes_without_model": _packed(job, judged, b"")[0],
        "variance_kept": tally.kept if is_code else None,
        "mean_squared_error": tally.squares / max(tally.values, 1) * job.array.scale**2 if is_code else None,
        "seconds": round(time.perf_counter() - start, 1),
    }
    if not quiet:
        _say(result)
    return result


def _check_together(file: ArraysOfFile, bound: Bound) -> None:
    """Refuse a bound with which the columns of a table are compressed one by one: a model of all would never serve.

    Raises
    ------
    ParameterError
    """
    if len(apart([file], bound)[0].arrays) > len(file.arrays):
        raise ParameterError(
            f"with --max-error {bound} each column has its own range and is compressed by itself, so nothing can be "
            "learned of all together; give an absolute bound, a share of each value such as 1e-3pw, or 0"
        )


def _largest(jobs: Sequence[ArrayToPack], name: str, quiet: bool) -> ArrayToPack:
    if not jobs or not max(job.records.size for job in jobs):
        raise DataError(f"{name!r} holds no array to learn from")
    job = max(jobs, key=lambda each: each.records.nbytes)
    if len(jobs) > 1 and not quiet:
        say(f"note: learning from {job.name!r}, the largest of {len(jobs)} arrays; leave arrays out with --drop")
    return job


def _records(job: ArrayToPack) -> NDArray[Any]:
    """Return the records; of an array that memory does not hold some of them, from everywhere."""
    most = most_values(job)
    return np.ascontiguousarray(job.records[:] if job.records.size <= most else job.records.sample(most))


def _packed(job: ArrayToPack, values: NDArray[Any], model: bytes) -> tuple[int, Tally]:
    """Return the bytes of a file of these records, its model beside it, and what came of them."""
    some = replace(job, records=Records(values, values.shape, values.dtype))
    with io.BytesIO() as file:
        writer = RefzWriter(file)
        tally = pack_array(writer, some, ways_of(model), marked(model), None, None)
        writer.end()
        return file.tell(), tally


def _say(result: dict[str, Any]) -> None:
    raw, inside, without = result["raw_bytes"], result["bytes_with_model"], result["bytes_without_model"]
    say(
        f"{result['judged_by']}: {size_text(raw)} become {size_text(inside)} with the model "
        f"({raw / max(inside, 1):.2f}) and {size_text(without)} without it ({raw / max(without, 1):.2f})"
    )
    if result["variance_kept"] is not None:
        say(kept_text(result["array"], result["variance_kept"], result["mean_squared_error"]))
        say(f"of the model readers need {size_text(result['readers_model_bytes'])}: what decodes")
    if not result["model_bytes"]:
        say("nothing was found that is better than the ways which need no model")
    say(f"wrote {result['model']} ({size_text(result['model_bytes'])} of it are learned), {result['seconds']} s")
    say(f"use it with: refold compress DATA -m {result['model']} -o OUT.refz")
