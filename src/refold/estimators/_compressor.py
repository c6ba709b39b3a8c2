"""The compressor: learns what a kind of data is like, and makes files of it small."""

import io
import os
import platform
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from math import inf
from typing import IO, Any

import numpy as np
import torch
from numpy.typing import NDArray
from sklearn.base import BaseEstimator

import refold
from refold._errors import CompressedFileError, DataError, ParameterError, RefoldWarning
from refold._memory import free_memory
from refold._parameters import check_parameters, documented
from refold.codec import (
    CODE,
    ArrayEntry,
    Bound,
    RefzContents,
    RefzWriter,
    code_of,
    model_of,
    parse_bound,
    read_contents,
    ways_of,
)
from refold.data import array_unfolded
from refold.estimators._code_alone import CodeWish, readers_model
from refold.estimators._compressing import (
    Tally,
    Wish,
    bound_within,
    checked_array,
    fill_of,
    marked,
    read_array,
    rows_of_block,
    ways_for,
    write_array,
)
from refold.estimators._learning_to_compress import learned_ways
from refold.estimators._masked_arrays import MASK, about_mask, split_mask, with_mask
from refold.estimators._parameters import CompressorParameters
from refold.files import ModelFile, write_model_file
from refold.train import working_bar

Array = NDArray[Any]

_RESEMBLES = 0.5  # share of values that go a learned way: with less, data are not like those that were learned
_BESIDE, _INSIDE, _AUTO = "beside", "inside", "auto"


@dataclass(frozen=True)
class CompressionReport:
    """What `Compressor.compress` made of an array.

    Parameters
    ----------
    raw_bytes, compressed_bytes : int
        Of the array, and of the file with all that is in it.
    model_bytes : int
        Of the model; they are in `compressed_bytes` where the model is inside.
    model_inside : bool
    bits_per_value : float
    largest_error : float
        In units of the data.
    learned : float
        The share of values that went a learned way; the others went a plain one, which was shorter.
    mean_squared_error : float
        In squared units of the data; values that are not finite do not count.
    """

    raw_bytes: int
    compressed_bytes: int
    model_bytes: int
    model_inside: bool
    bits_per_value: float
    largest_error: float
    learned: float
    mean_squared_error: float

    @property
    def ratio(self) -> float:
        """How many times smaller the file is."""
        return self.raw_bytes / max(self.compressed_bytes, 1)

    def pays_after(self, plain: int) -> float:
        """Return after how many such arrays the model has paid for its own bytes.

        Parameters
        ----------
        plain : int
            Bytes of this array without a model.
        """
        saved = plain - self.compressed_bytes + (self.model_bytes if self.model_inside else 0)
        return self.model_bytes / saved if saved > 0 else inf


@documented
class Compressor(CompressorParameters, BaseEstimator):  # type: ignore[misc] # scikit-learn's classes are untyped
    """Make data small: learned from data of their kind, with a promise about what comes back.

    Without `fit` only what needs no learning is used. Every block goes the shortest of all ways, so that what was
    learned can only make it smaller. Decoding is exact: the same bytes on every machine.

    Parameters
    ----------
    {parameters}

    Attributes
    ----------
    model_ : bytes
        What was learned; empty if no learned way is better than the plain ones.
    report_ : CompressionReport
        Of the last array that was compressed.

    Examples
    --------
    >>> import numpy as np
    >>> from refold import Compressor
    >>> waves = np.sin(np.arange(40_000) / 50).reshape(40, 1000).astype(np.float32)
    >>> compressor = Compressor(max_error=1e-3)
    >>> data = compressor.compress(waves)
    >>> bool(np.abs(compressor.decompress(data) - waves).max() <= 1e-3)
    True
    >>> len(data) < waves.nbytes / 20
    True
    """

    model_: bytes
    report_: CompressionReport

    def fit(self, X: Any, y: Any = None) -> "Compressor":
        """Learn from data of the kind that is to be compressed.

        Parameters
        ----------
        X : ndarray, (n, ...), of whole numbers, bool or floats
            Records along the first axis: pictures, months of a field, rows of a table.
        y : None
            Not used.

        Returns
        -------
        self

        Raises
        ------
        DataError
            If there are no numbers to learn from.
        ParameterError
        """
        bound, wish = self._bound(), self._code_wish()
        values = checked_array(split_mask(X)[0])
        if values.ndim == 0 or values.size == 0:
            raise DataError(f"there is nothing to learn from in an array of shape {values.shape}; give some records")
        fill = self._fill(values)
        within = bound_within(values, bound, fill, rows_of_block(values.shape))
        seed = int(np.random.default_rng(self.random_state).integers(1 << 31))
        epochs = None if self.max_epochs == "auto" else int(self.max_epochs)
        with working_bar(1, bool(self.verbose), "learning to compress") as bar:
            if wish is not None:
                self.model_ = wish.learned(values, fill, seed, bar(0))
                return self
            self.model_ = model_of(learned_ways(values, within, fill, seed, epochs, bar(0)))
        return self

    def compress(self, X: Any, *, model: str = _BESIDE) -> bytes:
        """Return the array as bytes of a ``.refz`` file.

        Parameters
        ----------
        X : ndarray of up to 4 axes, of whole numbers, bool or floats
            A masked array comes back as one; what stands under the mask does not.
        model : {"beside", "inside", "auto"}, default="beside"
            Whether what was learned goes into the file: "beside" needs this compressor, saved or not, to decompress;
            "auto" takes it in where the file becomes smaller than without learning, and else does without it.

        Raises
        ------
        DataError
            If it cannot be compressed.
        """
        with io.BytesIO() as file:
            self.compress_to(file, X, model=model)
            return file.getvalue()

    def compress_to(self, file: IO[bytes], X: Any, *, model: str = _BESIDE) -> CompressionReport:
        """Write what `compress` returns to a file that is open for writing; see there."""
        if model not in (_BESIDE, _INSIDE, _AUTO):
            raise ParameterError(f"model must be 'beside', 'inside' or 'auto', got {model!r}")
        seen, mask = split_mask(X)
        values, learned = checked_array(seen), self._model()
        wish = self.wish(values, learned)
        if model == _AUTO and learned and code_of(wish.ways) is None and not self._pays(values):
            learned, wish = b"", self.wish(values, b"")
        shared = readers_model(learned)
        start = file.tell()
        writer = RefzWriter(file)
        with self._told(values.size) as told:
            tally = write_array(writer, values, wish, more=about_mask(mask), mark=marked(shared), told=told)
            if mask is not None:
                write_array(writer, mask, Wish(Bound(0.0), ways_of(b"")), MASK)
        inside = model != _BESIDE and tally.learned > 0
        if inside:  # at the end, where it is known whether any block needs it
            writer.model(shared)
        writer.end()
        self.report_ = _report(tally, file.tell() - start, len(shared), inside)
        _warn_if_unlike(tally, bool(learned))
        if (wanted := self._code_wish()) is not None:
            wanted.warn_if_missed(tally.kept, tally.packed, len(np.atleast_1d(values)))
        return self.report_

    def decompress(self, data: bytes | str | os.PathLike[str]) -> Any:
        """Return what was compressed.

        Parameters
        ----------
        data : bytes, or path of a ``.refz`` file

        Returns
        -------
        X : ndarray
            In the type and shape that it had; of a file of several arrays a dict of them by name.

        Raises
        ------
        CompressedFileError
            If the data are damaged, or need another model.
        """
        return decompress(data, model=self)

    def save(self, path: str | os.PathLike[str]) -> None:
        """Write the compressor to one ``.safetensors`` file, whole or not at all; `refold.load` reads it."""
        check_parameters(self)
        versions = {"refold": refold.__version__, "torch": torch.__version__, "python": platform.python_version()}
        parameters = {name: value for name, value in self.get_params().items() if name != "random_state"}
        parameters["max_error"] = str(self._bound())
        learned = torch.frombuffer(bytearray(self._model() or b"\0"), dtype=torch.uint8)
        header = {"versions": versions, "parameters": parameters, "learned_bytes": len(self._model())}
        write_model_file(ModelFile(type(self).__name__, header, {"learned": learned}), path)

    def _bound(self) -> Bound:
        check_parameters(self)
        try:
            return parse_bound(self.max_error)
        except ValueError as error:
            raise ParameterError(
                "max_error of Compressor must be a number of at least 0, '1e-3rel' for a share of the range or "
                f"'1e-3pw' for a share of each value, got {self.max_error!r}"
            ) from error

    def _fill(self, values: Array) -> tuple[float, ...]:
        if self.fill_value == "auto":
            return fill_of(values)
        return () if self.fill_value is None else (self.fill_value,)

    def _model(self) -> bytes:
        return getattr(self, "model_", b"")

    def wish(self, values: Array, learned: bytes) -> Wish:
        """Return how an array is compressed by this estimator with a model.

        Raises
        ------
        ParameterError, DataError
            As those of `tuned`.
        """
        fill = None if self.fill_value == "auto" else self._fill(np.zeros(0))
        wanted = self._wanted_of(learned)
        packs = learned if wanted is None else self.tuned(values, learned, self._fill(values))
        return Wish(self._bound(), ways_of(packs), fill)

    def tuned(self, records: Any, learned: bytes, fill: tuple[float, ...]) -> bytes:
        """Return the model that packs records: what was learned, a code alone tuned to the wish on these records.

        Readers need what `readers_model` makes of what was learned, not this.

        Parameters
        ----------
        records : ndarray or Records, (n, ...)
        learned : bytes
        fill : tuple of float
            Numbers that stand for nothing.

        Raises
        ------
        ParameterError
            If a code alone is asked for and none was learned, or the other way round.
        DataError
            If the code is one of other records.
        """
        wanted, code = self._wanted_of(learned), code_of(ways_of(learned))
        return learned if wanted is None or code is None else model_of({CODE: wanted.met(code, records, fill)})

    def _wanted_of(self, learned: bytes) -> CodeWish | None:
        """Return what is asked of a code alone, once it is sure that the model is one, or that neither is."""
        wanted, code = self._code_wish(), code_of(ways_of(learned))
        if wanted is not None and code is None:
            raise ParameterError(
                "quality and bytes_per_sample need a code that was learned for one of them; call fit first (refold "
                "fit DATA --for compress --quality 0.9, or refold compress --learn)"
            )
        if wanted is None and code is not None:
            raise ParameterError("what was learned is a code alone; give quality or bytes_per_sample, not max_error")
        return wanted

    def _code_wish(self) -> CodeWish | None:
        """Return what is asked of a code alone, if that is what is asked for."""
        given = [name for name in ("quality", "bytes_per_sample") if getattr(self, name) is not None]
        if given and not self._bound().lossless:
            given.append("max_error")
        if len(given) > 1:
            raise ParameterError(f"{' and '.join(given)} of Compressor exclude one another; give one of them")
        return CodeWish(self.quality, self.bytes_per_sample) if given else None

    def _pays(self, values: Array) -> bool:
        """Return whether what was learned saves more than its own bytes."""
        sizes = []
        for learned in (b"", self._model()):
            with io.BytesIO() as file:
                writer = RefzWriter(file)
                write_array(writer, values, self.wish(values, learned), mark=marked(learned))
                sizes.append(file.tell() + len(learned))
        return sizes[1] < sizes[0]

    @contextmanager
    def _told(self, size: int) -> Iterator[Any]:
        done = 0
        with working_bar(1, bool(self.verbose), "compressing") as bar:
            listener = bar(0)

            def told(values: int) -> None:
                nonlocal done
                done += values
                if listener is not None:
                    listener(done, size)

            yield told


def decompress(data: bytes | str | os.PathLike[str], *, model: Any = None, max_memory: int | None = None) -> Any:
    """Return what is in compressed data; nothing in them is run.

    Parameters
    ----------
    data : bytes, or path of a ``.refz`` file
    model : Compressor, optional
        The one that it was compressed with, if its model is not inside.
    max_memory : int, optional
        The most bytes that all arrays may need together; by default half of what is free.

    Returns
    -------
    X : ndarray, or dict of str to ndarray
        A dict if there are several arrays, or one that has a name.

    Raises
    ------
    CompressedFileError
        If the data are damaged or hostile, or need a model that was not given.
    DataError
        If there is no such file.

    Examples
    --------
    >>> import numpy as np, refold
    >>> data = refold.Compressor().compress(np.arange(1000))
    >>> bool((refold.decompress(data) == np.arange(1000)).all())
    True
    """
    with opened(data) as file:
        contents = read_contents(file)
        needed = sum(entry.nbytes for entry in contents.arrays)
        if needed > (allowed := free_memory() // 2 if max_memory is None else max_memory):
            raise CompressedFileError(
                f"the arrays need {needed:,} bytes and only {allowed:,} are allowed; give more max_memory, or use "
                "refold decompress, which writes part by part"
            )
        arrays = {entry.head.name: _whole(file, entry, contents, model) for entry in contents.arrays}
        arrays = with_mask(arrays, contents.arrays[0].head.more if contents.arrays else {})
    return arrays[""] if list(arrays) == [""] else arrays


def _whole(file: IO[bytes], entry: ArrayEntry, contents: RefzContents, model: Any) -> Array:
    return array_unfolded(read_array(file, entry, ways_for(entry, contents, models_of(model))), entry.head.more)


def models_of(model: Any) -> dict[bytes, bytes]:
    """Return the model of a compressor by its mark."""
    learned = b"" if model is None else readers_model(model._model())
    return {marked(learned): learned} if learned else {}


@contextmanager
def opened(data: bytes | str | os.PathLike[str]) -> Iterator[IO[bytes]]:
    """Open compressed data for reading.

    Raises
    ------
    DataError
    """
    if isinstance(data, bytes | bytearray | memoryview):
        yield io.BytesIO(bytes(data))
        return
    try:
        file = open(data, "rb")  # noqa: SIM115 - closed below
    except OSError as error:
        raise DataError(f"the file {os.fspath(data)!r} cannot be read: {error.strerror}; check the path") from error
    with file:
        yield file


def rebuild_compressor(file: ModelFile, name: str) -> Compressor:
    """Return the compressor of a model file that was read."""
    known = Compressor().get_params().keys()
    model = Compressor(**{key: value for key, value in file.header["parameters"].items() if key in known})
    model._bound()
    learned, length = file.tensors["learned"], int(file.header["learned_bytes"])
    if learned.dtype != torch.uint8 or learned.ndim != 1 or not 0 <= length <= len(learned):
        raise ValueError("it holds no bytes that were learned")
    model.model_ = learned.numpy().tobytes()[:length]
    ways_of(model.model_)
    return model


def _report(tally: Tally, written: int, model_bytes: int, inside: bool) -> CompressionReport:
    values = max(tally.values, 1)
    return CompressionReport(
        raw_bytes=tally.raw,
        compressed_bytes=written,
        model_bytes=model_bytes,
        model_inside=inside,
        bits_per_value=8 * written / values,
        largest_error=tally.largest_error,
        learned=tally.learned,
        mean_squared_error=tally.squares / values,
    )


def _warn_if_unlike(tally: Tally, learned: bool) -> None:
    if learned and tally.values and tally.learned < _RESEMBLES:
        warnings.warn(
            f"the data do not resemble those that were learned: {1 - tally.learned:.0%} of the values are shorter in "
            "a plain way, and were compressed so",
            RefoldWarning,
            stacklevel=3,
        )
