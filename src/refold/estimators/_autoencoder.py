"""The estimator that reads the code."""

import copy
import os
import warnings
from collections.abc import Callable, Iterator
from numbers import Integral
from typing import TYPE_CHECKING, Any

import numpy as np
import pyarrow as pa
import torch
from numpy.typing import NDArray
from sklearn.base import BaseEstimator, ClassNamePrefixFeaturesOutMixin, TransformerMixin
from sklearn.utils import Tags, check_random_state
from sklearn.utils.validation import check_array, check_is_fitted
from torch import Tensor

from refold._errors import DataError, ParameterError, RefoldWarning
from refold._parameters import check_parameters, documented
from refold.data import Source, Stream, fit_adapter
from refold.estimators._keeping import Placing, find_placing, smoothness
from refold.estimators._parameters import AutoencoderParameters
from refold.estimators._preparing import (
    as_fitted,
    check_any_value,
    check_enough,
    check_same_code,
    check_values,
    digest_of,
    listeners_of,
    memory_for_buffers,
    net_spec,
    placement_of,
    plan_of,
    scale_for,
    settings_of,
)
from refold.estimators._reading import ReadsRecords
from refold.estimators._records import Records, Survey, records_in_memory, records_on_disk
from refold.nets import AutoencoderNet, build_net, start_from_components
from refold.objectives import (
    ERRORS,
    Keep,
    Objective,
    Towards,
    column_errors,
    mean_error,
    parse_corruption,
    parse_keep,
    parse_penalties,
)
from refold.train import (
    Checkpoint,
    History,
    InMemory,
    Listener,
    Optimizer,
    Plan,
    ProgressBar,
    apply_in_blocks,
    choose_device,
    seed_of,
    train,
)
from refold.train import make_optimizer as new_optimizer

if TYPE_CHECKING:
    from refold.estimators._exporting import ExportReport

Array = NDArray[Any]

_NO_PLACES = Placing()
_RECORDS_AT_ONCE = 4096
_SOME = 512  # records that tell how much features vary


@documented
class Autoencoder(
    AutoencoderParameters,
    ReadsRecords,
    ClassNamePrefixFeaturesOutMixin,  # type: ignore[misc] # scikit-learn's classes are untyped
    TransformerMixin,  # type: ignore[misc]
    BaseEstimator,  # type: ignore[misc]
):
    """Learn a code of a few numbers from which the data can be rebuilt.

    An encoder takes each record to `latent_dim` numbers and a mirrored decoder takes those back; both are trained
    together so that little is lost. Only the input is needed, no labels. Records are rows of an array or a table
    (with texts, truth values, dates and missing cells), grey or colour pictures, or files and folders of these.
    What comes out has the shape, dtype, column names and value range of what went in.

    A model of the literature is a combination of parameters: a variational autoencoder is
    ``penalty="variational"``, a denoising one ``corruption="gaussian(0.2)"``, a convolutional one ``net="conv"``.

    Parameters
    ----------
    {parameters}

    Attributes
    ----------
    placement_ : object
        Where and how the network was trained, with the reasons: device, numbers, memory layout, threads; not kept in
        files.
    net_ : torch.nn.Module
        The network, from raw numbers to raw numbers; also ``net_.encode`` and ``net_.decode``.
    history_ : dict of str to list
        One entry per epoch: "epoch", "train_loss", "train_error", "validation_loss", "validation_error",
        "learning_rate", "seconds". Loss is error and penalties together; with ``keep="neighbours"`` it begins anew
        where places settle, half-way.
    best_epoch_ : int
        The epoch whose weights were kept, counted from 1; one since places settled.
    n_iter_ : int
        Epochs that were run.
    held_out_ : ndarray of int
        Places of the records that `fit` held out of training; not kept in files.
    stopped_ : {"max_epochs", "early", "interrupted"}
        Why training ended.
    adapter_ : object
        How the user's records become numbers and back.
    spec_ : object
        The network's specification.
    code_sizes_ : CodeSizes
        What was measured with ``latent_dim="auto"``; not kept in files.
    n_features_in_ : int
        Columns of the data, or values of a picture.
    feature_names_in_ : ndarray of shape (n_features_in_,)
        Names of the columns, where they have names.

    See Also
    --------
    sklearn.decomposition.PCA : The best linear code of the same size; always look at it beside this one.

    Examples
    --------
    >>> from sklearn.datasets import load_digits
    >>> from refold import Autoencoder
    >>> digits = load_digits().images
    >>> model = Autoencoder(latent_dim=3, max_epochs=3, random_state=0).fit(digits)
    >>> model.transform(digits).shape
    (1797, 3)
    >>> model.inverse_transform([[0.0, 0.0, 0.0]]).shape
    (1, 8, 8)

    One dense layer each way, as in every introduction: 28x28 -> Flatten -> Dense(3, relu) -> Dense(784, sigmoid):

    >>> classic = Autoencoder(
    ...     net="dense", hidden=(), latent_dim=3, latent_activation="relu", output_activation="sigmoid"
    ... )
    """

    net_: AutoencoderNet
    _optimizer: Optimizer | None = None
    sizes_served: tuple[int, ...] = ()  # at which codes may be cut off, see `code_sizes`
    _passes: int = 0

    # --- learning --------------------------------------------------------------------------------------------

    def fit(self, X: Any, y: Any = None) -> "Autoencoder":
        """Learn from records.

        Parameters
        ----------
        X : array-like, table, path or list of paths
            Arrays of shape (n, features), (n, H, W) or (n, H, W, C); tables of pandas, polars or pyarrow; paths of
            CSV, Parquet, ``.npy`` or ``.npz`` files and of folders of pictures.
        y : ignored

        Returns
        -------
        self

        Raises
        ------
        ParameterError
            If a parameter is not allowed, or does not suit the data.
        DataError
            If the data cannot be used.
        DivergedError
            If training leaves the finite numbers; the message says what to try.
        """
        check_parameters(self)
        parse_keep(self.keep)
        self._listeners()  # what cannot be told is refused before anything is read
        with self._as_before_on_failure():
            self._fit(self._open(X), going_on=self.warm_start and hasattr(self, "net_"))
        return self

    def partial_fit(self, X: Any, y: Any = None) -> "Autoencoder":
        """Go on learning with one pass over more records; the first call also learns scale and categories.

        The learning rate stays at `learning_rate`, nothing is held out, and the optimizer keeps its moments from
        call to call (not across files).

        Parameters
        ----------
        X : array-like, table, path or list of paths
            As in `fit`.
        y : ignored

        Returns
        -------
        self
        """
        check_parameters(self)
        with self._as_before_on_failure():
            self._pass_over(self._open(X))
        return self

    # --- the way in and the way back ---------------------------------------------------------------------------

    def transform(self, X: Any) -> Array:
        """Return the codes of records.

        A record gets the same numbers alone or among others.

        Parameters
        ----------
        X : array-like, table, path or list of paths
            Records of the kind that was fitted.

        Returns
        -------
        codes : ndarray of shape (n, latent_dim), float32
        """
        check_is_fitted(self)
        return np.concatenate(list(self.transform_chunks(X)))

    def transform_chunks(self, X: Any) -> Iterator[Array]:
        """Yield the codes of records part by part, so that files of any size can be embedded.

        Parameters
        ----------
        X : array-like, table, path or list of paths
            Records of the kind that was fitted. What needs more than `max_memory` is read as it is used; all else
            is one part.

        Yields
        ------
        codes : ndarray of shape (k, latent_dim), float32
        """
        check_is_fitted(self)
        for _, numbers in self._chunks(X):
            yield self._apply(self.net_.encode, numbers)

    def inverse_transform(self, X: Any) -> Any:
        """Return the records that codes stand for.

        Parameters
        ----------
        X : array-like of shape (n, latent_dim)
            Codes.

        Returns
        -------
        records : ndarray or table
            Of the kind, dtype and column names that were fitted.
        """
        check_is_fitted(self)
        numbers = self._apply(self.net_.decode, self._check_codes(X))
        records = self.adapter_.decode(numbers)
        return records if self.frame_ is None else Source(records, frame=self.frame_).give_back(records)

    def reconstruct(self, X: Any) -> Any:
        """Return records rebuilt through the code: cleaned if trained with a corruption, with missing cells filled.

        Parameters
        ----------
        X : array-like, table, path or list of paths
            Records of the kind that was fitted.

        Returns
        -------
        records : ndarray or table
            Like `X`.
        """
        parts = list(self.reconstruct_chunks(X))
        if len(parts) == 1:
            return parts[0]
        return pa.concat_tables(parts) if isinstance(parts[0], pa.Table) else np.concatenate(parts)

    def reconstruct_chunks(self, X: Any) -> Iterator[Any]:
        """Yield rebuilt records part by part; see `reconstruct` and `transform_chunks`.

        Parameters
        ----------
        X : array-like, table, path or list of paths
            Records of the kind that was fitted.

        Yields
        ------
        records : ndarray or table
        """
        check_is_fitted(self)
        for source, numbers in self._chunks(X):
            yield source.give_back(self.adapter_.decode(self._apply(self.net_, numbers)))

    def reconstruction_error(self, X: Any) -> Array:
        """Return how much of each record is lost: the mean error over its columns or pixels.

        The error is the one named by `loss`, measured on scaled features: pixels of 0 to 1, columns in standard
        deviations. Category columns add their log-loss in nats; missing cells add nothing.

        Parameters
        ----------
        X : array-like, table, path or list of paths
            Records of the kind that was fitted.

        Returns
        -------
        errors : ndarray of shape (n,), float32
        """
        check_is_fitted(self)

        def errors(raw: Tensor) -> Tensor:
            outputs = self.net_.decoder(self.net_.encode(raw))
            targets, seen = self.net_.scaling.targets(raw)
            return mean_error(column_errors(ERRORS[self.loss], self.net_, outputs, targets), seen)

        return np.concatenate([self._apply(errors, numbers) for _, numbers in self._chunks(X)])

    def score(self, X: Any, y: Any = None) -> float:
        """Return the share of the records' variance that survives the code: 1 all of it, 0 no more than a mean.

        It is measured over scaled features, and so compares with the sum of PCA's ``explained_variance_ratio_``.

        Parameters
        ----------
        X : array-like, table, path or list of paths
            Records of the kind that was fitted.
        y : ignored

        Returns
        -------
        score : float
            At most 1.
        """
        check_is_fitted(self)
        counts, sums, squares, lost = 0.0, 0.0, 0.0, 0.0
        for chunk in self._small_chunks(X):
            features = self._features(chunk).astype(np.float64)
            seen = ~np.isnan(features)
            counts += seen.sum(axis=0)
            sums += np.nansum(features, axis=0)
            squares += np.nansum(features**2, axis=0)
            lost += np.nansum((self._apply(self._rebuilt, chunk) - features) ** 2)
        total = float(np.sum(squares - np.square(sums) / np.maximum(counts, 1)))
        return float(1 - lost / total) if total > 0 else float(lost == 0)

    def features(self, X: Any) -> Array:
        """Return records as the network is asked to rebuild them: scaled, categories one-hot, NaN where missing.

        Parameters
        ----------
        X : array-like, table, path or list of paths
            Records of the kind that was fitted.

        Returns
        -------
        features : ndarray of shape (n, features), float32
        """
        check_is_fitted(self)
        return np.concatenate([self._features(numbers) for _, numbers in self._chunks(X)])

    def sample(self, n_samples: int = 1, random_state: Any = None) -> Any:
        """Return new records that look like the fitted ones.

        Parameters
        ----------
        n_samples : int, default=1
        random_state : int, RandomState or None

        Returns
        -------
        records : ndarray or table

        Raises
        ------
        ParameterError
            If the model is not variational: only then are codes known to be normally distributed.
        """
        check_is_fitted(self)
        if not self.net_.variational:
            raise ParameterError(
                "sample needs a code that is normally distributed, and this model was fitted without one; fit with "
                "penalty='variational', or decode codes of your own with inverse_transform"
            )
        if n_samples < 1:
            raise ParameterError(f"n_samples must be at least 1, got {n_samples}")
        codes = check_random_state(random_state).standard_normal((n_samples, self.net_.latent_dim))
        return self.inverse_transform(codes)

    # --- files -------------------------------------------------------------------------------------------------

    def save(self, path: str | os.PathLike[str]) -> None:
        """Write the model to one ``.safetensors`` file, whole or not at all; `refold.load` reads it.

        Parameters
        ----------
        path : path-like
            Must end in ``.safetensors``.
        """
        from refold.estimators._storage import save

        check_is_fitted(self)
        save(self, path)

    def export(self, path: str | os.PathLike[str], part: str = "whole") -> "ExportReport":
        """Write the model, or a half of it, to one ONNX file for other programs; needs the extra ``onnx``.

        The file takes and gives the user's own numbers, and is written only if ONNX Runtime gives the same ones; how
        they are compared says `refold.estimators.export`.

        Parameters
        ----------
        path : path-like
            Must end in ``.onnx``.
        part : {"whole", "encoder", "decoder"}, default="whole"
            From records to rebuilt records, from records to codes, or from codes to rebuilt records.

        Returns
        -------
        report : ExportReport
            With the largest relative difference and the size of the file.

        Raises
        ------
        ModelFileError
            If the network cannot be written as ONNX, or the numbers differ by more than 1e-4; nothing is written.
        """
        from refold.estimators._exporting import export

        check_is_fitted(self)
        return export(self, path, part)

    # --- inside ------------------------------------------------------------------------------------------------

    def _fit(self, opened: Source | Stream, going_on: bool) -> None:
        check_enough(opened.size)
        seed = self._draw_seed()
        records = self._records(opened, seed, self.validation_fraction, reset=not going_on)
        if going_on:
            check_same_code(self, self.spec_)
            self.net_ = copy.deepcopy(self.net_)
        else:
            self._build(records.survey, seed, self._size_for(opened, seed))
        self._optimizer, self._passes = None, 0
        plan = plan_of(self, self.net_, records.size, seed)
        checkpoint = self._checkpoint(records, plan) if self.checkpoint is not None else None
        keep = parse_keep(self.keep).places
        placing = _NO_PLACES if keep is None else self._placing_for(keep, opened, seed)
        self._train(records, plan, checkpoint, placing)
        self.held_out_ = records.held_out_places

    def _placing_for(self, keep: Keep, opened: Source | Stream, seed: int) -> Placing:
        """Return where the codes of all records should be."""
        if isinstance(opened, Stream):
            raise ParameterError(
                f"keep={self.keep!r} compares all records with each other, and these are more than max_memory="
                f"{self.max_memory!r} holds; give more memory, or a part of the records"
            )
        return find_placing(keep, self._features(self._encode(opened)), self.net_.latent_dim, seed)

    def _pass_over(self, opened: Source | Stream) -> None:
        if parse_keep(self.keep).places is not None:
            raise ParameterError(f"partial_fit cannot keep {self.keep!r}: all records must be seen at once; use fit")
        first = not hasattr(self, "net_")
        if first:
            check_enough(opened.size)
        seed = self._draw_seed()
        records = self._records(opened, seed, 0.0, reset=first)
        if first:
            self._build(records.survey, seed, self._size_for(opened, seed))
        check_same_code(self, self.spec_)
        plan = plan_of(self, self.net_, records.size, seed + self._passes, one_pass=True)
        if self._optimizer is None:
            self._optimizer = new_optimizer(self.net_, plan)
        self._train(records, plan, None)
        self._passes += 1

    def _records(self, opened: Source | Stream, seed: int, fraction: float, *, reset: bool) -> Records:
        """Return the records to train on and those held out; with `reset`, learn first what they look like."""
        self._check_columns(opened, reset)
        if reset:
            self.adapter_ = fit_adapter(opened if isinstance(opened, Stream) else opened.values)
            self.frame_ = opened.frame
        if isinstance(opened, Source):
            return records_in_memory(self._encode(opened), fraction, seed)

        def check(numbers: Array, start: int) -> None:
            check_values(numbers, self.missing, self.value_range, is_table=opened.frame is not None, start=start)

        def encode(values: Any) -> Array:
            return self.adapter_.encode(as_fitted(values, self.adapter_))

        return records_on_disk(opened, encode, check, fraction, seed, memory_for_buffers(self))

    def _checkpoint(self, records: Records, plan: Plan) -> Checkpoint:
        identity = {
            "parameters": settings_of(self),
            "seed": plan.seed,
            "device": choose_device(self.device).type,
            "max_memory": records.way_of_reading,
            "data": records.digest,
            "network": digest_of(self.net_),
        }
        return Checkpoint(self.checkpoint, self.checkpoint_seconds, identity)  # type: ignore[arg-type]

    @property
    def _n_features_out(self) -> int:
        return int(self.net_.latent_dim)

    def __sklearn_tags__(self) -> Tags:
        tags = super().__sklearn_tags__()
        tags.input_tags.allow_nan = self.missing == "mask"
        tags.input_tags.three_d_array = True
        tags.transformer_tags.preserves_dtype = ["float32"]
        return tags

    def __sklearn_is_fitted__(self) -> bool:
        return hasattr(self, "net_")

    def _draw_seed(self) -> int:
        """Draw the seed of a fit, or take that of the training that a checkpoint holds, unless one is given."""
        drawn = int(check_random_state(self.random_state).randint(2**31 - 1))
        if self.checkpoint is None or isinstance(self.random_state, Integral):
            return drawn
        begun = seed_of(self.checkpoint)
        return drawn if begun is None else begun

    def _small_chunks(self, X: Any) -> Iterator[Array]:
        for _, numbers in self._chunks(X):
            for start in range(0, len(numbers), _RECORDS_AT_ONCE):
                yield numbers[start : start + _RECORDS_AT_ONCE]

    def _check_codes(self, X: Any) -> Array:
        codes: Array = check_array(X, dtype=np.float32, input_name="X")
        if codes.shape[1] != self.net_.latent_dim:
            raise DataError(
                f"X has codes of {codes.shape[1]} numbers, and this model's codes have {self.net_.latent_dim}; "
                "give what transform returned"
            )
        return codes

    def _size_for(self, opened: Source | Stream, seed: int) -> int:
        """Return how many numbers the code gets, and measure first how many are enough if that is asked for."""
        if self.latent_dim != "auto":
            return int(self.latent_dim)
        if isinstance(opened, Stream):
            raise ParameterError(
                "latent_dim='auto' measures records in memory, and these are more than max_memory="
                f"{self.max_memory!r} holds; find a number with refold.code_sizes on a part of them"
            )
        if self.encoder is not None or self.decoder is not None:
            raise ParameterError(
                "latent_dim='auto' is not possible with an encoder or decoder of your own; name a number"
            )
        from refold.estimators._code_sizes import MEASURED_WITH, code_sizes  # which needs this class

        settings = {name: getattr(self, name) for name in MEASURED_WITH}
        self.code_sizes_ = code_sizes(opened, represent=self.represent, random_state=seed, **settings)
        return self.code_sizes_.recommended

    def _build(self, survey: Survey, seed: int, size: int) -> None:
        """Build the network for the training records that were surveyed."""
        check_any_value(survey)
        scale = scale_for(self, survey, self.adapter_)
        self.spec_ = net_spec(self, survey.sample, self.adapter_, scale, size)
        self._warn_if_not_smaller()
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(seed)
            net = build_net(self.spec_, scale, copy.deepcopy(self.encoder), copy.deepcopy(self.decoder))
        start_from_components(net, survey.sample, seed)
        self.net_ = net.to(choose_device(self.device))

    def _warn_if_not_smaller(self) -> None:
        size = int(np.prod(self.spec_.raw_shape))
        if self.spec_.latent_dim >= size:
            warnings.warn(
                f"latent_dim={self.spec_.latent_dim} is not smaller than the {size} values of a record: the network "
                "can pass records through without learning anything about them; take a smaller latent_dim",
                RefoldWarning,
                stacklevel=4,
            )

    def _objective(self, towards: Towards | None, survey: Survey) -> Objective:
        penalties, corruption = parse_penalties(self.penalty), parse_corruption(self.corruption)
        keep = parse_keep(self.keep).smooth
        smooth = None if keep is None else smoothness(keep, self._features(_some(survey.sample)))
        return Objective(ERRORS[self.loss], penalties, corruption, towards, smooth, self.sizes_served)

    def _train(
        self,
        records: Records,
        plan: Plan,
        checkpoint: Checkpoint | None,
        placing: Placing = _NO_PLACES,
    ) -> None:
        placement = placement_of(self, self.net_, plan.batch_size)
        device = placement.device
        held_out_places = placing.places_of(records.held_out_places)
        history = train(
            self.net_,
            self._objective(placing.towards, records.survey),
            records.deal(device, placing.places),
            InMemory(records.held_out, device, places=held_out_places) if len(records.held_out) else None,
            plan,
            placement,
            self._listeners(),
            self._optimizer,
            checkpoint,
            # where a code is not chosen, nothing was gained by it
            placing.settle_around(records.held_out_places) if self.net_.candidates else None,
        )
        self._keep(history)

    def _listeners(self) -> list[Listener]:
        return [*listeners_of(self.track), *([ProgressBar()] if self.verbose else [])]

    def _keep(self, history: History) -> None:
        self.history_ = history.as_columns()
        self.placement_ = history.placement
        self.best_epoch_ = history.best_epoch
        self.n_iter_ = len(history.epochs)
        self.stopped_ = history.stopped

    @property
    def _device(self) -> torch.device:
        device: torch.device = self.net_.scaling.center.device
        return device

    def _features(self, numbers: Array) -> Array:
        def features(raw: Tensor) -> Tensor:
            targets, seen = self.net_.scaling.targets(raw)
            flat = targets.flatten(1)
            return (
                flat if seen is None else flat.masked_fill(~self.net_.scaling.spread_over_features(seen), torch.nan)
            )

        return self._apply(features, numbers)

    def _rebuilt(self, raw: Tensor) -> Tensor:
        return self.net_.features_of(self.net_.encode(raw))

    def _apply(self, function: Callable[[Tensor], Tensor], numbers: Array) -> Array:
        return apply_in_blocks(function, numbers, self._device, self.net_.operations)


def _some(records: Array) -> Array:
    return records[:: max(1, len(records) // _SOME)]
