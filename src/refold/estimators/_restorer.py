"""The restorer: learns to take damage off pictures, and takes it off."""

import os
import platform
from collections.abc import Callable
from dataclasses import asdict, replace
from importlib.resources import files
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from sklearn.base import BaseEstimator
from sklearn.utils.validation import check_is_fitted

import refold
from refold._errors import DataError, ModelFileError, ParameterError, nearest
from refold._parameters import check_parameters, documented
from refold.data import Source
from refold.estimators._colourising import colourised_picture, count_parts
from refold.estimators._learning_to_restore import (
    DamageKind,
    channels_of,
    checksum,
    colour_examples,
    examples_of,
    kind_of,
    large_side,
    pair_examples,
    pairs_of,
    pictures_of,
)
from refold.estimators._parameters import RestorerParameters
from refold.estimators._picture_restoring import Restoration, Wishes, restored_picture, tiling_of
from refold.estimators._picture_unmarking import OWN, UNKNOWN, unmarked_picture
from refold.estimators._table_learning import TablePlan
from refold.estimators._table_restoring import TableRestoration, TableRestorer, opened_table
from refold.files import ModelFile, read_model_file, write_model_file
from refold.nets import RestorationNet, RestorationSpec
from refold.objectives import describe, parse_corruption
from refold.train import (
    COLOUR_GUIDES,
    DrawExamples,
    PictureCrops,
    RestorationPlan,
    RestorationTraining,
    choose_device,
    working_bar,
)

Array = NDArray[Any]

PRETRAINED = ("denoise", "inpaint", "colourise", "unwatermark")
_ALSO = dict.fromkeys(("colorize", "colourize", "colorise"), "colourise")
_OF_A_RUN = ("checkpoint", "random_state")  # never in a file
_STEPS = 2_000
_FINDING_RATE = 0.3  # times the usual rate: at that, finding marks was unlearned as fast as it was learned


@documented
class Restorer(RestorerParameters, BaseEstimator):  # type: ignore[misc] # scikit-learn's classes are untyped
    """Learn to take a damage off pictures: whole pictures are damaged on purpose, and a network learns the way back.

    `refold.pretrained` gives one that was trained on photographs already.

    Rows (a table of any library, an array of shape (n, columns), or a file of either) are learned too, to fill their
    missing cells; of the parameters only `steps`, `threads`, `random_state` and `verbose` concern them.

    Parameters
    ----------
    {parameters}

    Attributes
    ----------
    net_ : RestorationNet
        Of pictures.
    table_ : TableRestorer
        Of a table; then there is neither `net_` nor `kind_`.
    kind_ : DamageKind
        What the damage does: whether it is noise, loses pixels, keeps the others.
    n_steps_ : int
    stopped_ : {"steps", "interrupted"}
        Why training ended: all steps are done, or Ctrl-C was pressed. Only after `fit`.

    Examples
    --------
    >>> import numpy as np
    >>> from refold import Restorer
    >>> rng = np.random.default_rng(0)
    >>> stripes = np.sin(np.arange(48) / rng.uniform(2, 6, (20, 1, 1))) * 0.4 + 0.5
    >>> pictures = np.repeat(stripes, 48, axis=1).astype(np.float32)
    >>> restorer = Restorer(corruption="gaussian(0.2)", widths=(8, 8), steps=60, crop=32, random_state=0)
    >>> restorer = restorer.fit(pictures)
    >>> noisy = pictures[0] + 0.2 * rng.normal(size=(48, 48)).astype(np.float32)
    >>> restored = restorer.restore(noisy)
    >>> bool(np.mean((restored - pictures[0]) ** 2) < np.mean((noisy - pictures[0]) ** 2))
    True
    """

    net_: RestorationNet
    kind_: DamageKind
    table_: TableRestorer

    def fit(self, X: Any, y: Any = None) -> "Restorer":
        """Learn from whole pictures, which are damaged on purpose; or from pairs of damaged and whole ones.

        Parameters
        ----------
        X : str, path, ndarray, list of ndarray, or table
            A folder of pictures, or pictures of shape (H, W) or (H, W, 3), of any sizes; uint8, uint16, or floats of
            0 to 1.
        y : str, path, ndarray or list of ndarray, optional
            The same pictures without the damage that they have in `X`: then `corruption` is not used. Of two folders
            those of the same name are a pair.

        Returns
        -------
        self

        Raises
        ------
        DataError
            If there is no picture, or pairs are none.
        ParameterError
            If there is no corruption to undo.
        """
        check_parameters(self)
        table = opened_table(X)
        if table is not None:
            return self._fit_table(table)
        corruption = parse_corruption(self.corruption)
        if y is None and corruption is None:
            raise ParameterError("a restorer needs a corruption to undo, such as corruption='gaussian(0.2)'")
        damaged, whole = ([], pictures_of(X, self.random_state)) if y is None else pairs_of(X, y, self.random_state)
        channels = channels_of(damaged, whole)
        crops = PictureCrops(whole, self.crop, channels)
        kind = kind_of(None if y is not None else corruption, crops)
        if y is not None:
            draw = pair_examples(damaged, whole, self.crop, channels)
        elif kind.colours:
            draw = colour_examples(whole, self.crop)
        else:
            assert corruption is not None
            if kind.finds:
                crops = PictureCrops(whole, large_side(whole, self.crop), channels)
            draw = examples_of(crops, corruption, kind, self.crop)
        return self._learn(draw, self._spec(channels, kind), kind, self._identity(damaged + whole, y is not None))

    def _fit_table(self, table: Source) -> "Restorer":
        defaults = TablePlan()
        plan = TablePlan(
            steps=defaults.steps if self.steps == "auto" else int(self.steps),
            threads=defaults.threads if self.threads == "auto" else int(self.threads),
            seed=int(np.random.default_rng(self.random_state).integers(1 << 31)),
        )
        with working_bar(1, bool(self.verbose), "learning to fill") as bar:
            learned = TableRestorer.learn(table, plan, bar(0))
        self._forget()
        self.table_, self.n_steps_, self.n_features_in_ = learned, plan.steps, learned.adapter.shape[0]
        self.stopped_ = "steps"
        if learned.columns:
            self.feature_names_in_ = np.array(learned.columns, dtype=np.object_)
        return self

    def _forget(self) -> None:
        """Leave nothing of an earlier `fit` to other kinds of data."""
        for name in ("net_", "kind_", "table_", "stopped_", "n_features_in_", "feature_names_in_"):
            self.__dict__.pop(name, None)

    def _spec(self, channels: int, kind: DamageKind) -> RestorationSpec:
        widths = tuple(map(int, self.widths))
        guides = COLOUR_GUIDES if kind.colours else int(kind.loses)
        return RestorationSpec(
            channels,
            widths,
            int(self.blocks),
            guides,
            finds=kind.finds,
            gains=kind.finds,
            bias=kind.finds or kind.colours,
        ).checked()

    def _learn(
        self, draw: DrawExamples, spec: RestorationSpec, kind: DamageKind, identity: dict[str, Any]
    ) -> "Restorer":
        plan = self._plan(kind.finds)
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(plan.seed)
            net = spec.build()
        training = RestorationTraining(net.to(choose_device(self.device)), plan, identity)
        checkpoint = None if self.checkpoint is None else Path(self.checkpoint)
        if checkpoint is not None and checkpoint.exists():
            training.resume(checkpoint)
        with working_bar(1, bool(self.verbose), "learning to restore") as bar:
            training.run(draw, bar(0), checkpoint)
        return self.take(training, kind)

    def take(self, training: RestorationTraining, kind: DamageKind) -> "Restorer":
        """Take over what a training of one's own has learned, as `fit` does at its end.

        Parameters
        ----------
        training : RestorationTraining
            At its end; its network is put into its final state.
        kind : DamageKind
        """
        net = training.finish()
        self._forget()
        self.net_, self.n_steps_, self.kind_ = net, training.step, kind
        self.stopped_ = "interrupted" if training.interrupted else "steps"
        return self

    def _plan(self, finds: bool = False) -> RestorationPlan:
        threads = torch.get_num_threads() if self.threads == "auto" else int(self.threads)
        steps = _STEPS if self.steps == "auto" else int(self.steps)
        seed = int(np.random.default_rng(self.random_state).integers(1 << 31))
        rate = self.learning_rate * (_FINDING_RATE if finds else 1)
        return RestorationPlan(steps, self.batch_size, rate, threads=threads, seed=seed)

    def _identity(self, pictures: list[Array], pairs: bool) -> dict[str, Any]:
        """Return what a checkpoint must be of, in words."""
        corruption = parse_corruption(self.corruption)
        return {
            "pictures": checksum(pictures),
            "corruption": "pairs" if pairs else describe(corruption) or repr(corruption),
            "steps, batch_size, crop, learning_rate": [
                self._plan().steps,
                int(self.batch_size),
                int(self.crop),
                float(self.learning_rate),
            ],
            "random_state": self.random_state,
        }

    def restore(
        self,
        picture: Any,
        mask: Any = None,
        *,
        hints: Any = None,
        strength: float = 1.0,
        noise: float | None = None,
        self_ensemble: bool = False,
        max_memory: int | str | None = None,
    ) -> Any:
        """Return a picture without its damage, or a table without missing cells; see `restoration`."""
        found = self._restoration(picture, Wishes(mask, strength, noise, self_ensemble, max_memory, hints=hints))
        return found.table if isinstance(found, TableRestoration) else found.picture

    def restoration(
        self,
        picture: Any,
        mask: Any = None,
        *,
        hints: Any = None,
        strength: float = 1.0,
        noise: float | None = None,
        self_ensemble: bool = False,
        max_memory: int | str | None = None,
        told: Callable[[], None] | None = None,
    ) -> Any:
        """Take the damage off one picture of any size, or fill the missing cells of a table.

        Parameters
        ----------
        picture : ndarray of shape (H, W) or (H, W, channels)
            Grey, RGB or CMYK; uint8, uint16 or floats. Floats are thought to lie in 0 to 1, or in 0 to their maximum
            where that is larger. Of a restorer that was fitted on a table: a table, or its file, and no wishes.
        mask : ndarray of shape (H, W), bool or integers, optional
            True, or not 0, where pixels are lost; for restorers of damage that loses them. In a picture of floats
            pixels that are NaN are lost too.
        hints : ndarray of shape (H, W, 4), uint8, or list of (row, column, (red, green, blue)), optional
            For restorers that give colours: what colour is where, of which the chroma is taken. In an array all that
            is not transparent counts: pixels, dots, strokes.
        strength : float, default=1.0
            Share of the damage that is taken off, 0 to 1; of colours that are given, 0 to 2.
        noise : float, optional
            Standard deviation of the noise where it is known, as a share of the range: at most that much is taken
            off, and the picture is never thought clean.
        self_ensemble : bool, default=False
            Mean over the eight ways to turn and mirror the picture: a little better, eight times slower.
        max_memory : int or str, optional
            Bytes for the network's work, such as ``"500MB"``; half of what is free by default. Giving colours takes
            little memory beside the pictures, and does not ask.
        told : callable, optional
            Called after every tile.

        Returns
        -------
        restoration : Restoration or TableRestoration
            Of a table: the filled one, and for every filled cell of numbers a standard deviation, of categories the
            probability of the chosen one.

        Raises
        ------
        DataError
            If it is no picture, or has pixels that are not finite.
        ParameterError
            If a wish is not possible.
        """
        return self._restoration(picture, Wishes(mask, strength, noise, self_ensemble, max_memory, told, hints))

    def _restoration(self, picture: Any, wishes: Wishes) -> Restoration | TableRestoration:
        check_is_fitted(self)
        if hasattr(self, "table_"):
            return self._table_restoration(picture, wishes)
        if self.kind_.finds:
            return unmarked_picture(self.net_, picture, wishes, UNKNOWN if self.kind_.blind else OWN)
        if self.kind_.colours:
            return colourised_picture(self.net_, picture, wishes)
        return restored_picture(self.net_, self.kind_, picture, wishes)

    def _table_restoration(self, X: Any, wishes: Wishes) -> TableRestoration:
        if wishes.mask is not None or replace(wishes, mask=None) != Wishes():
            raise ParameterError("mask, strength, noise, self_ensemble, max_memory and told are for pictures only")
        table = opened_table(X)
        if table is None:
            raise DataError("this restorer was fitted on a table; give a table, an array (n, columns) or its file")
        return self.table_.restoration(table)

    def tiles_of(self, picture: Array, max_memory: int | str | None = None) -> int:
        """Return after how many tiles a picture is done."""
        if self.kind_.colours:
            return count_parts(*picture.shape[:2])
        planes = 1 if picture.ndim == 2 else picture.shape[2]
        rounds = 1 if planes == self.net_.spec.channels else planes
        return rounds * tiling_of(self.net_.spec, max_memory).count(*picture.shape[:2])

    def transform(self, X: Any) -> Any:
        """Return pictures without their damage: an array (n, H, W[, 3]) or a list of pictures, as they were given.

        A table comes back in its own container with its missing cells filled; all others are bit for bit the same.
        """
        check_is_fitted(self)
        if hasattr(self, "table_"):
            return self.restore(X)
        restored = [self.restore(picture) for picture in X]
        return np.stack(restored) if isinstance(X, np.ndarray) else restored

    # --- files -----------------------------------------------------------------------------------------------------

    def save(self, path: str | os.PathLike[str], *, half: bool = False) -> None:
        """Write the restorer to one ``.safetensors`` file, whole or not at all; `refold.load` reads it.

        Parameters
        ----------
        path : path-like
        half : bool, default=False
            Weights of two bytes each: half the size, and a difference of about 0.001 dB. Not of tables.
        """
        check_is_fitted(self)
        versions = {"refold": refold.__version__, "torch": torch.__version__, "python": platform.python_version()}
        parameters = {name: value for name, value in self.get_params().items() if name not in _OF_A_RUN}
        parameters["corruption"] = describe(parse_corruption(self.corruption)) or "gaussian(0.2)"
        parameters["widths"] = [int(width) for width in self.widths]
        for name in ("blocks", "batch_size", "crop"):
            parameters[name] = int(parameters[name])
        for name in ("steps", "threads"):
            parameters[name] = value if (value := parameters[name]) == "auto" else int(value)
        if hasattr(self, "table_"):
            fitted = {"fitted": {"n_steps_": self.n_steps_}, "kind_of_data": "table"}
            header = {"versions": versions, "parameters": parameters, **fitted, **self.table_.to_header()}
            write_model_file(ModelFile(type(self).__name__, header, self.table_.net.state_dict()), path)
            return
        parameters["widths"] = list(self.net_.spec.widths)
        header = {
            "versions": versions,
            "parameters": parameters,
            "spec": self.net_.spec.to_json(),
            "fitted": {"kind_": asdict(self.kind_), "n_steps_": self.n_steps_},
        }
        tensors = {name: value.half() if half else value for name, value in self.net_.state_dict().items()}
        write_model_file(ModelFile(type(self).__name__, header, tensors), path)

    def __sklearn_is_fitted__(self) -> bool:
        return hasattr(self, "net_") or hasattr(self, "table_")


def pretrained(name: str = "denoise", *, device: str = "auto") -> Restorer:
    """Return a restorer that ships with the package; nothing is downloaded.

    Parameters
    ----------
    name : str
        "denoise": noise of every strength off grey and colour pictures; "inpaint": scratches, text, missing pixels
        and small holes filled, where a mask says so; "colourise" (or "colorize"): colours for grey pictures, from
        hints and without; "unwatermark": marks that are half transparent found and taken off, wholly or in part.
    device : str, default="auto"

    Raises
    ------
    ParameterError
        If there is none of that name.

    Examples
    --------
    >>> import numpy as np, refold
    >>> flat = np.full((64, 64), 0.5) + 0.1 * np.random.default_rng(0).normal(size=(64, 64))
    >>> bool(refold.pretrained("denoise").restore(flat).std() < 0.02)
    True
    """
    name = _ALSO.get(name, name)
    if name not in PRETRAINED:
        raise ParameterError(
            f"there is no pretrained {name!r}{nearest(name, PRETRAINED)}; there are {', '.join(PRETRAINED)}"
        )
    path = Path(str(files("refold.weights").joinpath(f"{name}.safetensors")))
    return rebuild_restorer(read_model_file(path), path.name, device)


def rebuild_restorer(file: ModelFile, name: str, device: str) -> Restorer:
    """Return the restorer of a model file that was read."""
    known = Restorer().get_params().keys() - set(_OF_A_RUN)
    parameters = {key: value for key, value in file.header["parameters"].items() if key in known}
    parameters["widths"] = tuple(parameters["widths"])
    model = Restorer(**parameters)
    check_parameters(model)
    if file.header.get("kind_of_data") == "table":
        return _with_table(model, file, name)
    spec = RestorationSpec.from_json(file.header["spec"])
    with torch.device("meta"):
        net = spec.build()
    own, tensors = net.state_dict(), file.tensors
    fits = own.keys() == tensors.keys() and all(
        own[key].shape == tensors[key].shape
        and tensors[key].dtype in (torch.float32, torch.float16)
        and bool(torch.isfinite(tensors[key]).all())
        for key in own
    )
    if not fits:
        raise ModelFileError(f"{name!r} does not hold the weights of the network that it describes")
    net.load_state_dict({key: value.float() for key, value in tensors.items()}, assign=True)
    model.net_ = net.to(choose_device(device)).eval()
    fitted = file.header["fitted"]
    kind = fitted.get("kind_", {"noise": fitted.get("noise_", False)})  # the second form is of version 0.1
    model.kind_, model.n_steps_ = DamageKind(**{key: bool(kind[key]) for key in kind}), int(fitted["n_steps_"])
    return model


def _with_table(model: Restorer, file: ModelFile, name: str) -> Restorer:
    table = TableRestorer.from_file(file.header, file.tensors, name)
    model.table_, model.n_features_in_ = table, table.adapter.shape[0]
    model.n_steps_ = int(file.header["fitted"]["n_steps_"])
    if table.columns:
        model.feature_names_in_ = np.array(table.columns, dtype=np.object_)
    return model
