"""The estimator that reads the residual."""

import os
import warnings
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from numpy.typing import NDArray
from sklearn.base import BaseEstimator, OutlierMixin
from sklearn.utils import Tags, check_random_state
from sklearn.utils.validation import check_is_fitted

from refold._errors import DataError, ParameterError, RefoldWarning
from refold._parameters import check_parameters, documented
from refold.data import Pictures, Source, Stream, TableAdapter, fit_adapter, open_pictures, pictures_in
from refold.estimators._explaining import Explanation, explain_rows
from refold.estimators._judging import Judge, PictureJudge, RowJudge, SmallPictureJudge, judge_of
from refold.estimators._parameters import DetectorParameters
from refold.estimators._preparing import as_fitted, check_enough, check_values
from refold.estimators._reading import ReadsRecords
from refold.estimators._series_judging import SeriesJudge, assembled
from refold.estimators._series_of_detector import (
    Event,
    PointScore,
    explained_series,
    found_events,
    judged_series,
    learned_series,
    series_threshold,
    streamed,
    timeline_of,
)
from refold.estimators._timeline import EntityScale, Timeline
from refold.estimators._trimming import contaminated_share
from refold.scores import SMALLEST_SIDE, Calibration, Threshold, binomial_limits
from refold.train import working_bar

if TYPE_CHECKING:
    from refold.estimators._exporting import ExportReport

Array = NDArray[Any]
Scores = NDArray[np.float64]

_MOST_LEARNED = 20_000  # records: more steps than this have no use for more
_MOST_CALIBRATED = 30_000
_ROUNDS = 2


@dataclass(frozen=True)
class FalseAlarms:
    """Promised beside observed.

    Parameters
    ----------
    promised : float
        Share of normal records that may be flagged.
    observed : float
        Share of these normal records that was flagged.
    lowest, highest : float
        Between which the observed share lies 99 times of 100 if the promise is kept.
    records : int
        Normal records it was observed on.
    """

    promised: float
    observed: float
    lowest: float
    highest: float
    records: int

    @property
    def kept(self) -> bool:
        """Whether what was observed agrees with the promise."""
        return self.observed <= self.highest


@documented
class Detector(
    DetectorParameters,
    ReadsRecords,
    OutlierMixin,  # type: ignore[misc] # scikit-learn's classes are untyped
    BaseEstimator,  # type: ignore[misc]
):
    """Learn what is normal, and say what is not, how sure that is, and why.

    Autoencoders learn to clean noisy normal records. A record that they cannot rebuild, or that lies far from every
    normal one in what was seen and in what is left over, gets a high score. Scores of normal records that were not
    learned from tell which score is too high: at most a share `false_alarm_rate` of normal records is flagged.

    Records are rows of an array or a table (with texts, truth values, dates and missing cells), grey or colour
    pictures of any size, or files and folders of these. With `window` or `time` the rows are samples of series: each
    is judged by the windows that hold it, `events` joins what is strange, and `stream` scores samples as they arrive.

    Parameters
    ----------
    {parameters}

    Attributes
    ----------
    threshold_ : float
        Records whose `anomaly_score` is above it are flagged.
    promised_false_alarm_rate_ : float
        The rate that is kept: `false_alarm_rate`, or the smallest that the number of normal records allows.
    calibration_ : torch.nn.Module
        Scores of normal records that were not learned from; from a score to its p-value.
    decision_scores_ : ndarray of shape (n,), float64
        Scores of the training records, each as if it was new; of the first 20,000 drawn where there are more. The
        name is PyOD's.
    labels_ : ndarray of shape (n,), int
        1 where `decision_scores_` are above `threshold_`, else 0, as in PyOD. (`predict` gives -1 and +1 as in
        scikit-learn.)
    learned_places_ : ndarray of int
        Places of these records among all; not kept in files.
    contamination_ : float
        Share of anomalies in the training data, where `contamination` asked for it; else 0.
    offset_ : float
        ``decision_function(X) = score_samples(X) - offset_``.
    adapter_ : object
        How the user's records become numbers.
    timeline_ : object
        For series: columns of times and entities, and the usual step.
    entities_ : dict of str to object
        For series of several entities: what is usual for each; nothing is known of others.
    n_features_in_ : int
        Columns of the data, or values of a picture; 1 for pictures of different sizes.
    feature_names_in_ : ndarray of shape (n_features_in_,)
        Names of the columns, where they have names.

    Notes
    -----
    Rules for what was not there in training: a number outside the range of training counts by its whole distance, up
    to a million spreads of its column; a category never seen counts by its log-loss, the larger the more records were
    learned from; a missing cell adds nothing, and the cells that were seen count for it; a row without any value is a
    usual one, with score 0. Columns of files and of pyarrow tables are found by name, and new ones are left aside;
    tables of pandas and polars must have the fitted columns in the fitted order, as scikit-learn asks. A column that
    is missing is an error.

    For series: a sample's score is known a window later; missing samples add nothing, and after more than a window of
    them a series begins anew. The reference that scores are measured from follows slow drift and refuses to follow
    what is strange. A score of 1 is what normal samples never reached, with a margin.

    The source of the score: denoising autoencoders over a wide range of noise (after Sattarov et al., KDD 2025), and
    the nearest neighbour in (record; residual). The threshold is split-conformal (Bates et al. 2023).

    Examples
    --------
    >>> import numpy as np
    >>> from refold import Detector
    >>> rng = np.random.default_rng(0)
    >>> normal = rng.normal(size=(400, 2)) @ rng.normal(size=(2, 6))
    >>> detector = Detector(steps=100, random_state=0).fit(normal)
    >>> strange = normal[:1] + [0, 0, 5, 0, 0, 0]
    >>> detector.predict(strange)
    array([-1])
    >>> bool(detector.p_value(strange)[0] < 0.01)
    True
    """

    value_range = None  # values outside the range of training are news, not errors
    novelty = True  # scikit-learn's word for: new records are judged, and the training data are thought normal

    judge_: Judge
    calibration_: Calibration
    timeline_: Timeline
    entities_: dict[str, EntityScale]
    threshold_: float

    # --- learning --------------------------------------------------------------------------------------------

    def fit(self, X: Any, y: Any = None) -> "Detector":
        """Learn from normal records, or from suspect ones if `contamination` is given.

        Parameters
        ----------
        X : array-like, table, path or list of paths
            Arrays of shape (n, features), (n, H, W) or (n, H, W, C); lists of pictures of different sizes; tables of
            pandas, polars or pyarrow; paths of CSV, Parquet, ``.npy`` or ``.npz`` files and of folders of pictures.
        y : ignored

        Returns
        -------
        self

        Raises
        ------
        ParameterError
            If a parameter is not allowed.
        DataError
            If the data cannot be used.
        """
        check_parameters(self)
        with self._as_before_on_failure():
            self._fit(X)
        return self

    def fit_predict(self, X: Any, y: Any = None, **ignored: Any) -> NDArray[np.int64]:
        """Learn from records and say which of them are anomalies.

        With `contamination` every record is judged as if it was new; without it the records are thought normal.

        Returns
        -------
        labels : ndarray of shape (n,), int
            -1 for anomalies, +1 for others.
        """
        return self.fit(X).predict(X)

    def calibrate(self, X: Any, y: Any = None) -> "Detector":
        """Set the threshold anew by normal records that were not learned from, and perhaps a few anomalies.

        Parameters
        ----------
        X : array-like, table, path or list of paths
            Records of the kind that was fitted.
        y : array-like of shape (n,), optional
            1, -1 or True where a record is an anomaly: PyOD's 1 and scikit-learn's -1 both mean that, so give
            0 (or +1 beside -1) for normal ones. Without it all are normal.

            The normal ones replace those that the threshold stood on, so that the promise holds for data that have
            drifted since; without normal ones these stay. The threshold never falls below the promised one, and rises
            to just below the weakest anomaly where all that are caught are caught at a higher one too, so that fewer
            normal records are flagged.

        Returns
        -------
        self
        """
        check_is_fitted(self)
        strange = _as_strange(y)
        scores = self.anomaly_score(X)
        if strange is not None and len(strange) != len(scores):
            raise DataError(f"y has {len(strange)} labels for {len(scores)} records; give one for each")
        normal = scores if strange is None else scores[~strange]
        if not len(normal):
            normal = self.calibration_.scores.cpu().numpy().astype(np.float64)
        self._set_threshold(normal)
        if strange is not None and self.threshold is None:
            caught = scores[strange & (scores > self.threshold_)]
            if len(caught):
                below = normal[normal < caught.min()]
                highest = float(below.max()) if len(below) else self.threshold_
                self._place_threshold(max(self.threshold_, (highest + float(caught.min())) / 2))
        return self

    @property
    def is_of_series(self) -> bool:
        """Whether it was fitted on series."""
        return isinstance(getattr(self, "judge_", None), SeriesJudge)

    # --- judging -----------------------------------------------------------------------------------------------

    def anomaly_score(self, X: Any) -> Scores:
        """Return how strange records are: higher is stranger. PyOD calls this ``decision_function``.

        Parameters
        ----------
        X : array-like, table, path or list of paths
            Records of the kind that was fitted.

        Returns
        -------
        scores : ndarray of shape (n,), float64
            For rows, 0 is a usual normal record and 1 a normal deviation stranger.
        """
        check_is_fitted(self)
        if isinstance(self.judge_, SeriesJudge):
            opened = self._open_series(X)
            return assembled(judged_series(self, opened), opened.size)
        return np.concatenate(list(self.score_chunks(X)))

    def score_chunks(self, X: Any) -> Iterator[Scores]:
        """Yield `anomaly_score` part by part, so that files of any size can be judged.

        Parameters
        ----------
        X : array-like, table, path or list of paths
            Records of the kind that was fitted.

        Yields
        ------
        scores : ndarray of shape (k,), float64
        """
        check_is_fitted(self)
        if isinstance(self.judge_, SeriesJudge):
            yield self.anomaly_score(X)
            return
        for chunk in self._judged_chunks(X):
            yield self.judge_.scores(chunk).astype(np.float64)

    def stream(self, samples: Iterable[Any]) -> Iterator[PointScore]:
        """Yield the score of every sample of series that arrive, the same as `anomaly_score` gives for all at once.

        A sample's score is known a window after it, since all windows that hold it judge it; those of the last ones
        come when `samples` end. Memory does not grow with their number.

        Parameters
        ----------
        samples : iterable
            Of single samples (ndarray of shape (columns,), or dicts of columns), or of arrays or tables of some.

        Yields
        ------
        score : PointScore
        """
        check_is_fitted(self)
        return streamed(self, samples)

    def events(self, X: Any) -> list[Event]:
        """Return what is not normal in series: where it starts, ends and peaks, and in which columns.

        Parameters
        ----------
        X : array-like, table, path or list of paths
            Samples of the kind that was fitted.

        Returns
        -------
        events : list of Event
            In the order of their starts.
        """
        check_is_fitted(self)
        return found_events(self, self._open_series(X))

    def score_samples(self, X: Any) -> Scores:
        """Return the opposite of `anomaly_score`, as scikit-learn has it: lower is stranger."""
        return -self.anomaly_score(X)

    def decision_function(self, X: Any) -> Scores:
        """Return how far records are from being flagged: negative for anomalies, as scikit-learn has it."""
        check_is_fitted(self)
        return self.threshold_ - self.anomaly_score(X)

    def predict(self, X: Any) -> NDArray[np.int64]:
        """Return -1 for anomalies and +1 for others, as scikit-learn has it."""
        check_is_fitted(self)
        return np.where(self.anomaly_score(X) > self.threshold_, -1, 1)

    def p_value(self, X: Any) -> Scores:
        """Return the share of normal records that are as strange as each record or stranger.

        The p-value of a normal record is at most r in at most a share r of the cases, for every r.

        Parameters
        ----------
        X : array-like, table, path or list of paths
            Records of the kind that was fitted.

        Returns
        -------
        p_values : ndarray of shape (n,), float64
            Above 0, at most 1.
        """
        return self.p_value_of(self.anomaly_score(X))

    def p_value_of(self, scores: Any) -> Scores:
        """Return the p-values of scores that `anomaly_score` has returned."""
        check_is_fitted(self)
        device = self.calibration_.scores.device
        with torch.inference_mode():
            values = self.calibration_(torch.from_numpy(np.asarray(scores, dtype=np.float32)).to(device))
        return np.asarray(values.cpu().numpy(), dtype=np.float64)

    def reconstruction_error(self, X: Any) -> Scores:
        """Return the reconstruction error alone: the mean over columns, each relative to its usual error.

        Parameters
        ----------
        X : array-like, table, path or list of paths
            Rows of the kind that was fitted.

        Returns
        -------
        errors : ndarray of shape (n,), float64
            1 is usual for normal rows.
        """
        judge = self._row_judge("reconstruction_error")
        return np.concatenate([judge.errors(chunk).astype(np.float64) for chunk in self._judged_chunks(X)])

    def explain(self, X: Any) -> list[Explanation]:
        """Return why each row is as strange as it is.

        Parameters
        ----------
        X : array-like, table, path or list of paths
            Rows of the kind that was fitted; for pictures see `heat_maps`.

        Returns
        -------
        explanations : list of Explanation
            One a row: the shares of its cells in the score, the values expected instead, and a sentence.
        """
        check_is_fitted(self)
        if isinstance(self.judge_, SeriesJudge):
            return explained_series(self, self._open_series(X))
        judge = self._row_judge("explain")
        found: list[Explanation] = []
        for numbers in self._judged_chunks(X):
            found += explain_rows(judge, self.adapter_, self._column_names(), numbers, self.threshold_)
        return found

    def heat_maps(self, X: Any) -> Iterator[NDArray[np.float32]]:
        """Yield for each picture how strange it is at every pixel.

        Parameters
        ----------
        X : array-like, path or list of paths
            Pictures.

        Yields
        ------
        heat : ndarray of shape (H, W), float32
            In the picture's own size.
        """
        judge = self._picture_judge()
        for chunk in self._judged_chunks(X):
            yield from judge.heats(chunk)

    def heat_limit(self) -> float:
        """Return the heat that deserves the brightest colour: a region that hot makes a picture strange."""
        return self._picture_judge().hottest(self.threshold_)

    def false_alarms(self, X: Any) -> FalseAlarms:
        """Return promised beside observed false alarms on normal records that were not learned from.

        Parameters
        ----------
        X : array-like, table, path or list of paths
            Normal records of the kind that was fitted.
        """
        flagged = self.predict(X) == -1
        low, high = self.alarm_limits(len(flagged))
        return FalseAlarms(self.promised_false_alarm_rate_, float(flagged.mean()), low, high, len(flagged))

    def alarm_limits(self, size: int) -> tuple[float, float]:
        """Return between which shares of `size` new normal records the flagged ones lie if the promise is kept.

        99 times of 100. Neighbours in time tell the same and count as one.
        """
        check_is_fitted(self)
        alike, known = self._alike, len(self.calibration_.scores)
        return binomial_limits(max(1, size // alike), self.promised_false_alarm_rate_, max(1, known // alike))

    @property
    def _alike(self) -> int:
        """How many neighbours in time count as one record."""
        return int(self.judge_.spec.level) if isinstance(self.judge_, SeriesJudge) else 1

    def scorer(self) -> Callable[[Any], float]:
        """Return a quick function from one record to its score, for services: it does not check what it gets.

        Returns
        -------
        score : callable
            From an ndarray of shape (n_features_in_,), with numbers in the columns' order (codes for categories, days
            since 1970 for dates, NaN for missing), or from a picture, to its `anomaly_score`.
        """
        check_is_fitted(self)
        return self.judge_.scorer()

    # --- files -------------------------------------------------------------------------------------------------

    def save(self, path: str | os.PathLike[str]) -> None:
        """Write the detector to one ``.safetensors`` file, whole or not at all; `refold.load` reads it.

        Parameters
        ----------
        path : path-like
            Must end in ``.safetensors``.
        """
        from refold.estimators._detector_storage import save_detector

        check_is_fitted(self)
        save_detector(self, path)

    def export(self, path: str | os.PathLike[str]) -> "ExportReport":
        """Write network, score, threshold and p-value to one ONNX file; needs the extra ``onnx``.

        The graph takes the user's own numbers ``records`` (B, columns), with NaN for missing cells and codes for
        categories, and gives ``score``, ``p_value`` and ``flagged``, each (B,). It is written only if ONNX Runtime
        gives the same scores to 1e-4 and flags the same records.

        Parameters
        ----------
        path : path-like
            Must end in ``.onnx``.

        Returns
        -------
        report : ExportReport

        Raises
        ------
        ModelFileError
            If the detector is one of pictures, or the numbers differ; nothing is written.
        """
        from refold.estimators._detector_exporting import export_detector

        check_is_fitted(self)
        return export_detector(self, path)

    # --- inside ------------------------------------------------------------------------------------------------

    def _fit(self, X: Any) -> None:
        seed = int(check_random_state(self.random_state).randint(2**31 - 1))
        if self.window is not None or self.time is not None or self.group is not None:
            self._fit_series(self._open(X), seed)
            return
        opened = self._opened(X)
        if isinstance(opened, Pictures):
            self._fit_pictures(opened, seed)
        else:
            self._fit_rows(opened, seed)

    def _opened(self, X: Any) -> Source | Stream | Pictures:
        """Open pictures, which may differ in size, or rows."""
        pictures = None if _is_rows(X) else open_pictures(X, image_size=self.image_size)
        if pictures is not None:
            return pictures
        opened = self._open(X)
        return pictures_in(opened) or opened

    def _fit_rows(self, opened: Source | Stream, seed: int) -> None:
        check_enough(opened.size)
        self._check_columns(opened, reset=True)
        self.adapter_ = fit_adapter(opened if isinstance(opened, Stream) else opened.values)
        self.frame_ = opened.frame
        learned, others = self._draw_rows(opened, seed)
        self._check_holds_values(learned)
        self._learn(
            lambda told, kept: judge_of(self, self.adapter_, learned[kept], seed, told), learned, others, seed
        )

    def _fit_series(self, opened: Source | Stream, seed: int) -> None:
        if self.contamination is not None:
            raise ParameterError("contamination is for records that stand for themselves; give normal series")
        check_enough(opened.size)
        self._check_columns(opened, reset=True)
        self._refuse_pictures(opened)
        self.frame_, self.contamination_ = opened.frame, 0.0
        self.timeline_ = timeline_of(self, opened)
        with working_bar(1, bool(self.verbose)) as bar:
            self.judge_, self.decision_scores_ = learned_series(self, opened, seed, bar(0))
        self._set_threshold(self.decision_scores_)

    def _open_series(self, X: Any) -> Source | Stream:
        opened = self._open(X)
        self._check_columns(opened, reset=False)
        return opened

    @staticmethod
    def _refuse_pictures(opened: Source | Stream) -> None:
        values = opened.values if isinstance(opened, Source) else opened.head
        if isinstance(values, np.ndarray) and values.ndim != 2:
            raise DataError(
                f"a series is an array (samples, columns), and X has the shape {values.shape}; reshape it"
            )

    def _fit_pictures(self, pictures: Pictures, seed: int) -> None:
        check_enough(pictures.size)
        shape = pictures.same_shape
        self.n_features_in_ = int(np.prod(shape)) if shape is not None else 1
        self.frame_ = None
        if SmallPictureJudge.suits(shape):
            self._fit_small_pictures(pictures, seed)
            return
        self.adapter_ = None  # type: ignore[assignment] # pictures of any size are their own numbers
        places = np.arange(pictures.size)
        self._learn(
            lambda told, kept: PictureJudge.fitted(self, pictures, places[kept], seed, told), pictures, None, seed
        )

    def _fit_small_pictures(self, pictures: Pictures, seed: int) -> None:
        values = pictures.stacked()
        self.adapter_ = fit_adapter(values)
        numbers = self._encode(Source(values))
        self._learn(lambda told, kept: SmallPictureJudge.fitted(self, numbers[kept], seed, told), numbers, None, seed)

    def _learn(
        self,
        fit: Callable[[Any, NDArray[np.intp]], tuple[Judge, Scores]],
        learned: Any,
        others: Array | None,
        seed: int,
    ) -> None:
        """Learn from records, without the strangest ones where the data are suspect, and set the threshold."""
        size = learned.size if isinstance(learned, Pictures) else len(learned)
        kept = np.arange(size)
        scores = np.zeros(size)
        rounds = 1 + (_ROUNDS if self.contamination is not None else 0)
        share = 0.0
        with working_bar(rounds, bool(self.verbose)) as bar:
            for turn in range(rounds):
                self.judge_, scores[kept] = fit(bar(turn), kept)
                left_out = np.setdiff1d(np.arange(size), kept)
                if len(left_out):
                    scores[left_out] = self.judge_.scores(_taken(learned, left_out))
                if self.contamination is not None and turn < _ROUNDS:
                    share = self._share(scores)
                    kept = np.sort(np.argsort(scores, kind="stable")[: max(2, size - round(share * size))])
        self.contamination_ = share
        self.decision_scores_ = scores.copy()
        calibrating = [scores[kept]] if others is None else [self.judge_.scores(others)]
        self._set_threshold(np.concatenate(calibrating))
        if self.contamination is not None:
            self._threshold_of_share(learned, share)

    def _share(self, scores: Scores) -> float:
        return contaminated_share(scores) if self.contamination == "auto" else float(self.contamination or 0)

    def _threshold_of_share(self, learned: Any, share: float) -> None:
        """Flag that share of the training records: those left out of training, judged as new ones."""
        scores = self.judge_.scores(_taken(learned, None))
        self.decision_scores_ = scores.astype(np.float64)
        count = round(share * len(scores))
        ordered = np.sort(scores)[::-1]
        promised = self.threshold is not None or not 0 < count < len(scores)
        self._place_threshold(self.threshold_ if promised else float(ordered[count - 1] + ordered[count]) / 2)

    def _set_threshold(self, scores: Scores) -> None:
        self.calibration_ = Calibration(scores)
        if isinstance(self.judge_, SeriesJudge):
            promise = series_threshold(self.calibration_, self.false_alarm_rate, self.judge_.spec.level)
        else:
            promise = self.calibration_.threshold(self.false_alarm_rate)
        self.promised_false_alarm_rate_ = promise.promised
        if self.threshold is None and self.contamination is None:
            self._warn_of_promise(promise)
        self._place_threshold(promise.value if self.threshold is None else float(self.threshold))

    def _place_threshold(self, value: float) -> None:
        self.threshold_ = value
        self.offset_ = -value
        if hasattr(self, "decision_scores_"):  # not kept in files
            self.labels_ = (self.decision_scores_ > value).astype(np.int64)

    def _warn_of_promise(self, promise: Threshold) -> None:
        if not promise.kept:
            alike = self._alike
            needed = (int(np.ceil(1 / self.false_alarm_rate - 1e-9)) - 1) * alike
            what = "samples in time" if alike > 1 else "records"
            warnings.warn(
                f"{len(self.calibration_.scores)} normal {what} cannot promise a false-alarm rate of "
                f"{self.false_alarm_rate:g}, which needs {needed}; promised is {promise.promised:.2g}",
                RefoldWarning,
                stacklevel=6,
            )

    def _draw_rows(self, opened: Source | Stream, seed: int) -> tuple[Array, Array | None]:
        """Return the rows to learn from, and others to calibrate by where there are more."""
        size = opened.size
        if size <= _MOST_LEARNED:
            self.learned_places_ = np.arange(size)
            return self._rows_at(opened, [self.learned_places_])[0], None
        drawn = np.random.default_rng(seed).permutation(size)[: _MOST_LEARNED + _MOST_CALIBRATED]
        self.learned_places_ = np.sort(drawn[:_MOST_LEARNED])
        learned, others = self._rows_at(opened, [self.learned_places_, np.sort(drawn[_MOST_LEARNED:])])
        return learned, others if len(others) >= _MOST_LEARNED else None

    def _rows_at(self, opened: Source | Stream, choices: list[NDArray[np.intp]]) -> list[Array]:
        """Return encoded rows at several choices of sorted places, in one pass."""
        found: list[list[Array]] = [[] for _ in choices]
        start = 0
        for _, numbers in self._encoded(opened):
            for parts, places in zip(found, choices, strict=True):
                first, last = np.searchsorted(places, (start, start + len(numbers)))
                parts.append(numbers[places[first:last] - start])
            start += len(numbers)
        return [np.concatenate(parts) for parts in found]

    def _encode(self, source: Source, start: int = 0) -> Array:
        """Return records as numbers; a category that is none of the known ones gets the code after the last."""
        values = as_fitted(source.values, self.adapter_)
        if isinstance(self.adapter_, TableAdapter):
            numbers: Array = self.adapter_.encode(values, mark_unseen=True)
        else:
            numbers = self.adapter_.encode(values)
        check_values(numbers, self.missing, None, is_table=source.frame is not None, start=start)
        return numbers

    def _judged_chunks(self, X: Any) -> Iterator[Any]:
        """Yield records as the judge takes them, part by part."""
        check_is_fitted(self)
        if isinstance(self.judge_, RowJudge):
            if isinstance(X, Pictures):
                raise DataError("this detector was fitted on rows and now gets pictures; give rows")
            for _, numbers in self._chunks(X):
                yield numbers
            return
        _refuse_one_picture(X)
        pictures = self._opened(X)
        if not isinstance(pictures, Pictures):
            raise DataError("this detector was fitted on pictures and now gets something else; give pictures")
        if isinstance(self.judge_, SmallPictureJudge):
            yield self._encode(Source(self.judge_.checked(pictures, self.adapter_.shape)))
        else:
            yield pictures

    def _row_judge(self, method: str) -> RowJudge:
        check_is_fitted(self)
        if not isinstance(self.judge_, RowJudge):
            kind = self.judge_.kind
            advice = "; use heat_maps" if kind != SeriesJudge.kind else ""
            raise ParameterError(f"{method} is for rows, and this detector was fitted on {kind}{advice}")
        return self.judge_

    def _picture_judge(self) -> PictureJudge | SmallPictureJudge:
        check_is_fitted(self)
        if not isinstance(self.judge_, PictureJudge | SmallPictureJudge):
            raise ParameterError("heat maps are for pictures, and this detector was fitted on rows; use explain")
        return self.judge_

    def _check_holds_values(self, numbers: Array) -> None:
        if numbers.dtype.kind == "f" and np.isnan(numbers).all():
            raise DataError("X holds no value at all, every cell is missing; give at least one column with values")

    def _measurement_names(self) -> list[str]:
        if isinstance(self.adapter_, TableAdapter):
            return [column.name for column in self.adapter_.columns]
        return self._column_names()

    def _column_names(self) -> list[str]:
        names = getattr(self, "feature_names_in_", None)
        return [str(name) for name in names] if names is not None else [f"x{i}" for i in range(self.n_features_in_)]

    def __sklearn_tags__(self) -> Tags:
        tags = super().__sklearn_tags__()
        tags.input_tags.allow_nan = self.missing == "mask"
        tags.input_tags.three_d_array = True
        return tags

    def __sklearn_is_fitted__(self) -> bool:
        return hasattr(self, "judge_")


def _is_rows(X: Any) -> bool:
    """Say at once that an array or a list holds rows and no pictures."""
    return isinstance(X, np.ndarray) and X.ndim < 3


def _refuse_one_picture(X: Any) -> None:
    """Refuse one colour picture that would be read as many grey ones of three columns."""
    if isinstance(X, np.ndarray) and X.ndim == 3 and X.shape[2] in (3, 4) and X.shape[1] >= SMALLEST_SIDE:
        raise DataError(
            f"X of shape {X.shape} would be {len(X)} grey pictures of {X.shape[1]}x{X.shape[2]} pixels; give one "
            "colour picture as X[None]"
        )


def _taken(learned: Any, places: NDArray[np.intp] | None) -> Any:
    if places is None:
        return learned
    return learned.at(places) if isinstance(learned, Pictures) else learned[places]


def _as_strange(y: Any) -> NDArray[np.bool_] | None:
    """Return which labels mean an anomaly: 1 or True, or -1 where there are such."""
    if y is None:
        return None
    labels = np.asarray(y).reshape(-1)
    if not set(np.unique(labels).tolist()) <= {-1, 0, 1}:
        raise DataError("y must hold 1 for anomalies and 0 for normal records, or -1 and +1 as scikit-learn has it")
    strange: NDArray[np.bool_] = np.equal(labels, -1 if (labels == -1).any() else 1)
    return strange
