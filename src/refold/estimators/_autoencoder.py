"""The estimator that reads the code."""

import copy
import os
import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from sklearn.base import BaseEstimator, ClassNamePrefixFeaturesOutMixin, TransformerMixin
from sklearn.utils import Tags, check_random_state
from sklearn.utils.validation import check_array, check_is_fitted, validate_data
from torch import Tensor

from refold._errors import DataError, ParameterError, RefoldWarning
from refold._parameters import check_parameters, documented
from refold.data import Source, fit_adapter, open_source
from refold.estimators._parameters import AutoencoderParameters
from refold.estimators._preparing import (
    as_fitted,
    check_any_value,
    check_enough,
    check_same_code,
    check_values,
    draw_held_out,
    missing_columns,
    net_spec,
    plan_of,
    scaling_kind,
)
from refold.nets import AutoencoderNet, build_net, measure_scale, start_from_components
from refold.objectives import ERRORS, Objective, column_errors, mean_error, parse_corruption, parse_penalties
from refold.train import (
    History,
    InMemory,
    Listener,
    Optimizer,
    Plan,
    ProgressBar,
    apply_in_blocks,
    choose_device,
    train,
)
from refold.train import make_optimizer as new_optimizer

Array = NDArray[Any]

_RECORDS_AT_ONCE = 4096


@documented
class Autoencoder(
    AutoencoderParameters,
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
    net_ : torch.nn.Module
        The network, from raw numbers to raw numbers; also ``net_.encode`` and ``net_.decode``.
    history_ : dict of str to list
        One entry per epoch: "epoch", "train_loss", "train_error", "validation_loss", "validation_error",
        "learning_rate", "seconds". Loss is error and penalties together.
    best_epoch_ : int
        The epoch whose weights were kept, counted from 1.
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
        return self._apply(self.net_.encode, self._encode(self._open(X)))

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
        check_is_fitted(self)
        source = self._open(X)
        numbers = self._apply(self.net_, self._encode(source))
        return source.give_back(self.adapter_.decode(numbers))

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

        return self._apply(errors, self._encode(self._open(X)))

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
        numbers = self._encode(self._open(X))
        counts, sums, squares, lost = 0.0, 0.0, 0.0, 0.0
        for start in range(0, len(numbers), _RECORDS_AT_ONCE):
            chunk = numbers[start : start + _RECORDS_AT_ONCE]
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
        return self._features(self._encode(self._open(X)))

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

    # --- inside ------------------------------------------------------------------------------------------------

    @contextmanager
    def _as_before_on_failure(self) -> Iterator[None]:
        """Let a `fit` that fails leave the estimator as it was."""
        before = dict(vars(self))
        try:
            yield
        except BaseException:
            self.__dict__ = before
            raise

    def _fit(self, source: Source, going_on: bool) -> None:
        check_enough(source.size)
        seed = self._draw_seed()
        numbers = self._encode(source, reset=not going_on)
        training, held_out = draw_held_out(len(numbers), self.validation_fraction, seed)
        if going_on:
            check_same_code(self, self.spec_)
            self.net_ = copy.deepcopy(self.net_)
        else:
            self._build(numbers[training], seed, missing_columns(numbers))
        self._optimizer, self._passes = None, 0
        plan = plan_of(self, self.net_, len(training), seed)
        self._train(numbers[training], numbers[held_out] if len(held_out) else None, plan)
        self.held_out_ = held_out

    def _pass_over(self, source: Source) -> None:
        first = not hasattr(self, "net_")
        if first:
            check_enough(source.size)
        numbers = self._encode(source, reset=first)
        seed = self._draw_seed()
        if first:
            self._build(numbers, seed, missing_columns(numbers))
        check_same_code(self, self.spec_)
        plan = plan_of(self, self.net_, len(numbers), seed + self._passes, one_pass=True)
        if self._optimizer is None:
            self._optimizer = new_optimizer(self.net_, plan)
        self._train(numbers, None, plan)
        self._passes += 1

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

    def _open(self, X: Any) -> Source:
        return open_source(X, image_size=self.image_size)

    def _draw_seed(self) -> int:
        return int(check_random_state(self.random_state).randint(2**31 - 1))

    def _encode(self, source: Source, reset: bool = False) -> Array:
        """Return records as numbers; with `reset`, learn first what they look like."""
        self._check_columns(source, reset)
        if reset:
            self.adapter_ = fit_adapter(source.values)
            self.frame_ = source.frame
        numbers = self.adapter_.encode(as_fitted(source.values, self.adapter_))
        check_values(numbers, self.missing, self.value_range, is_table=source.frame is not None)
        return numbers

    def _check_columns(self, source: Source, reset: bool) -> None:
        """Set or check `n_features_in_` and `feature_names_in_`, as scikit-learn does."""
        if source.frame in ("pandas", "polars"):
            validate_data(self, source.original, reset=reset, skip_check_array=True)
        elif isinstance(source.values, np.ndarray) and source.values.ndim == 2:
            validate_data(self, source.values, reset=reset, skip_check_array=True)
        elif reset and source.frame is None:
            self.n_features_in_ = int(np.prod(source.values.shape[1:]))
        elif reset:
            names: list[str] = source.values.column_names
            self.n_features_in_, self.feature_names_in_ = len(names), np.array(names, dtype=np.object_)

    def _check_codes(self, X: Any) -> Array:
        codes: Array = check_array(X, dtype=np.float32, input_name="X")
        if codes.shape[1] != self.net_.latent_dim:
            raise DataError(
                f"X has codes of {codes.shape[1]} numbers, and this model's codes have {self.net_.latent_dim}; "
                "give what transform returned"
            )
        return codes

    def _build(self, numbers: Array, seed: int, flagged: Array) -> None:
        """Measure the scale of the training records and build the network for them."""
        check_any_value(numbers)
        kind = scaling_kind(self, numbers, self.adapter_)
        value_range = self.value_range or (self.adapter_.value_range if kind == "range" else None)
        names = tuple(column.name for column in getattr(self.adapter_, "columns", ()))
        scale = replace(measure_scale(numbers, kind, value_range, self.adapter_.n_categories, names), flagged=flagged)
        self.spec_ = net_spec(self, numbers, self.adapter_, scale)
        self._warn_if_not_smaller()
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(seed)
            net = build_net(self.spec_, scale, copy.deepcopy(self.encoder), copy.deepcopy(self.decoder))
        start_from_components(net, numbers, seed)
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

    def _objective(self) -> Objective:
        return Objective(ERRORS[self.loss], parse_penalties(self.penalty), parse_corruption(self.corruption))

    def _train(self, numbers: Array, held_out: Array | None, plan: Plan) -> None:
        device = self._device
        history = train(
            self.net_,
            self._objective(),
            InMemory(numbers, device),
            None if held_out is None else InMemory(held_out, device),
            plan,
            self._listeners(),
            self._optimizer,
        )
        self._keep(history)

    def _listeners(self) -> list[Listener]:
        return [ProgressBar()] if self.verbose else []

    def _keep(self, history: History) -> None:
        self.history_ = history.as_columns()
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
        outputs: Tensor = self.net_.decoder(self.net_.encode(raw))
        return self.net_.scaling.as_shares(self.net_.activate(outputs)).flatten(1)

    def _apply(self, function: Callable[[Tensor], Tensor], numbers: Array) -> Array:
        return apply_in_blocks(function, numbers, self._device, self.net_.operations)
