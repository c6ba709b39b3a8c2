"""What `refold fit --for detect` and `refold detect` do."""

import contextlib
import heapq
import sys
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from refold._errors import DataError, ModelFileError, ParameterError
from refold._parameters import check_parameters
from refold.cli._commands import check_folder, check_options, check_output, column_of, open_data, without
from refold.cli._detecting_series import SeriesFound, event_rows, events_as_json, judge_series, series_tables
from refold.cli._talk import say, working_progress
from refold.data import (
    Pictures,
    RecordWriter,
    Source,
    Stream,
    open_pictures,
    pictures_in,
    prefetched,
    save_picture,
)
from refold.estimators import (
    Detector,
    DetectorParameters,
    chunk_rows,
    load,
    memory_for_buffers,
    memory_for_records,
)

_ENDINGS = (".parquet", ".csv", ".npy")
_ROWS_AT_ONCE, _PICTURES_AT_ONCE = 1 << 15, 64
_IN_TABLE, _IN_GALLERY = 50, 24
_NORMAL, _ONE, _STRANGE, _MINUS = 0, 1, 2, 3  # what a label says; 1 is an anomaly unless there is -1 beside it
_LABELS = dict.fromkeys(("0", "0.0", "false", "no", "normal"), _NORMAL)
_LABELS |= dict.fromkeys(("1", "1.0"), _ONE) | dict.fromkeys(("true", "yes", "anomaly"), _STRANGE)
_LABELS |= dict.fromkeys(("-1", "-1.0"), _MINUS)
_OWN_COLUMNS = ("score", "p_value", "flagged", "reason")


def fit_detector(
    data: str, output: Path, drop: Sequence[str], parameters: dict[str, Any], quiet: bool
) -> dict[str, Any]:
    """Learn what is normal, save it, and say what is promised."""
    check_output(output, (".safetensors",))
    check_options(parameters, DetectorParameters, "detect")
    model = Detector(**parameters, verbose=0 if quiet else 1)
    check_parameters(model)
    series = any(value is not None for value in (model.window, model.time, model.group))
    opened = (
        without(open_data(data, quiet, None, memory_for_records(model)), drop)
        if series
        else (open_any(model, data, drop, quiet))
    )
    _check_any(opened)
    start = time.perf_counter()
    model.fit(opened)
    model.save(output)
    above = int(model.labels_.sum())
    result = {
        "model": str(output),
        "records": opened.size,
        "seconds": round(time.perf_counter() - start, 1),
        "threshold": model.threshold_,
        "promised_false_alarm_rate": model.promised_false_alarm_rate_,
        "calibrated_by": len(model.calibration_.scores),
        "contamination": model.contamination_,
        "training_records_above": above,
    }
    if not quiet:
        say(f"learned what is normal from {opened.size} records in {result['seconds']} s")
        if model.contamination is not None:
            say(f"{model.contamination_:.1%} of them were thought anomalies and left out")
        say(
            f"threshold {model.threshold_:.4g}: {_promise(model)} ({above} of {len(model.labels_)} training records "
            "lie above, each judged as if it was new)"
        )
        say(f"wrote {output}")
    return result


def open_any(model: Detector, data: str, drop: Sequence[str], quiet: bool) -> Source | Stream | Pictures:
    """Open pictures of any sizes, or anything else."""
    pictures = open_pictures(data, image_size=model.image_size)
    if pictures is None:
        opened = open_data(data, quiet, model.image_size, memory_for_records(model))
        pictures = pictures_in(opened)
        if pictures is None:
            return without(opened, drop)
    if drop:
        raise ParameterError("--drop names a column of a table, and the data are pictures")
    return pictures


def _check_any(opened: Source | Stream | Pictures) -> None:
    if not opened.size:
        raise DataError("the data hold no record; give at least one")


def _promise(model: Detector) -> str:
    """Say what the threshold promises; one of the user's own, or one for suspect data, promises nothing."""
    if model.threshold is not None:
        return "your own, which promises nothing"
    if model.contamination is not None:
        return "from suspect training data, which promises nothing"
    return f"at most {model.promised_false_alarm_rate_:.2%} of normal records are flagged"


@dataclass
class _Found:
    """What was found so far: all scores, and the strangest records with what is needed to show them."""

    scores: list[NDArray[np.float64]] = field(default_factory=list)
    strangest: list[tuple[float, int, Any]] = field(default_factory=list)
    labels: list[NDArray[np.int8]] = field(default_factory=list)
    most: int = _IN_TABLE
    series: SeriesFound | None = None

    def add(self, scores: NDArray[np.float64], start: int, records: Any) -> None:
        """Add the scores of some records; `records` gives one by its place among them."""
        self.scores.append(scores)
        for place in np.argsort(-scores)[: self.most]:
            entry = (float(scores[place]), start + int(place), records(int(place)))
            if len(self.strangest) < self.most:
                heapq.heappush(self.strangest, entry)
            elif entry[0] > self.strangest[0][0]:
                heapq.heapreplace(self.strangest, entry)

    def in_order(self) -> list[tuple[float, int, Any]]:
        """Return the strangest records, the strangest first."""
        return sorted(self.strangest, key=lambda entry: (-entry[0], entry[1]))

    def strange(self) -> NDArray[np.bool_]:
        """Return which records their labels call anomalies."""
        labels = np.concatenate(self.labels)
        strange: NDArray[np.bool_] = labels >= (_STRANGE if (labels == _MINUS).any() else _ONE)
        return strange


@dataclass(frozen=True)
class DetectWishes:
    """What the user wants of `refold detect`.

    Parameters
    ----------
    output, report, maps : Path or None
    keep : sequence of str
    labels : str or None
        Column that tells anomalies.
    max_memory : int or None
    quiet : bool
    """

    output: Path | None
    report: Path | None
    maps: Path | None
    keep: Sequence[str]
    labels: str | None
    max_memory: int | None
    quiet: bool


def detect(model_path: Path, data: str, wishes: DetectWishes) -> dict[str, Any]:
    """Judge records part by part and write what was found."""
    _check_wishes(wishes)
    model = load(model_path)
    if not isinstance(model, Detector):
        raise ModelFileError(
            f"{model_path.name!r} is no detector; make one with: refold fit DATA --for detect -o m.safetensors"
        )
    if wishes.max_memory is not None:
        model.set_params(max_memory=wishes.max_memory)
    if model.is_of_series:
        opened: Any = open_data(data, wishes.quiet, None, memory_for_records(model))
    else:
        opened = open_any(model, data, (), wishes.quiet)
    if isinstance(opened, Pictures) and (wishes.keep or wishes.labels):
        raise ParameterError("--keep and --labels name columns of a table, and the data are pictures")
    if wishes.maps is not None and not isinstance(opened, Pictures):
        raise ParameterError("--maps draws heat maps of pictures, and the data are none; rows have their reasons")
    _check_any(opened)
    if wishes.maps is not None and isinstance(opened, Pictures):
        _check_maps(wishes.maps, opened)
    _check_columns(opened, wishes, model.timeline_.columns if model.is_of_series else ())
    if model.is_of_series:
        return _detect_in_series(model, opened, wishes)
    found = _Found()
    if wishes.output is None:
        _to_stdout(table for table, _ in _judged(model, opened, wishes, found))
    else:
        _to_file(model, opened, wishes, found)
    return _told(model, opened, wishes, found)


def _detect_in_series(model: Detector, opened: Any, wishes: DetectWishes) -> dict[str, Any]:
    series = judge_series(model, opened, wishes.quiet)
    tables = series_tables(model, opened, series, wishes.keep)
    if wishes.output is None:
        _to_stdout(tables)
    else:
        with RecordWriter(wishes.output, opened.size) as writer:
            for table in tables:
                as_numbers = wishes.output.suffix.lower() == ".npy"
                writer.write(table["score"].to_numpy() if as_numbers else table)
    found = _Found(scores=[series.scores], series=series)
    if wishes.labels is not None:
        found.labels = [_as_labels(column_of(chunk, wishes.labels)) for chunk in opened.chunks(_ROWS_AT_ONCE)]
    return _told(model, opened, wishes, found) | {"events": events_as_json(series.events)}


def _check_wishes(wishes: DetectWishes) -> None:
    if wishes.output is not None:
        check_output(wishes.output, _ENDINGS)
    if wishes.report is not None:
        check_output(wishes.report, (".html",), "--report")


def _check_maps(folder: Path, pictures: Pictures) -> None:
    """Refuse a folder in which the next run would find heat maps among the pictures."""
    place = folder.resolve()
    if any(place.is_relative_to(file.resolve().parent) for file in pictures.files):
        raise DataError(f"--maps {str(folder)!r} lies in the folder of the pictures; choose another one")
    check_folder(folder, "--maps")


def _check_columns(opened: Any, wishes: DetectWishes, kept: Sequence[str] = ()) -> None:
    """Refuse columns that are absent, that would be overwritten, or whose labels have no meaning."""
    for name in (*wishes.keep, *kept):
        column_of(opened, name)
        if name in (_OWN_COLUMNS if not kept else (*_OWN_COLUMNS, "event")):
            raise ParameterError(f"the column {name} would be overwritten by the result's; rename it in the data")
    if wishes.labels is not None:
        _as_labels(column_of(opened, wishes.labels))


def _to_file(model: Detector, opened: Any, wishes: DetectWishes, found: _Found) -> None:
    assert wishes.output is not None
    with (
        RecordWriter(wishes.output, opened.size) as writer,
        working_progress(opened.size, wishes.quiet) as progress,
    ):
        for table, scores in _judged(model, opened, wishes, found):
            writer.write(scores if wishes.output.suffix.lower() == ".npy" else table)
            progress(len(scores))


def _to_stdout(tables: Iterator[pa.Table]) -> None:
    from pyarrow import csv

    for place, table in enumerate(tables):
        csv.write_csv(table, sys.stdout.buffer, csv.WriteOptions(include_header=place == 0))


def _judged(
    model: Detector, opened: Any, wishes: DetectWishes, found: _Found
) -> Iterator[tuple[pa.Table, NDArray[np.float64]]]:
    """Yield what was found in each part of the data, as a table and as scores."""
    start = 0
    for part in _parts(model, opened):
        if isinstance(part, Pictures):
            table, scores = _judge_pictures(model, part, start, wishes, found)
        else:
            table, scores = _judge_rows(model, part, start, wishes, found)
        start += len(scores)
        yield table, scores


def _parts(model: Detector, opened: Any) -> Iterator[Any]:
    if isinstance(opened, Pictures):
        for start in range(0, opened.size, _PICTURES_AT_ONCE):
            yield opened.at(range(start, min(start + _PICTURES_AT_ONCE, opened.size)))
        return
    chunks = opened.chunks(min(_ROWS_AT_ONCE, chunk_rows(opened, memory_for_buffers(model))))
    if isinstance(opened, Source):
        yield from chunks
        return
    with contextlib.closing(prefetched(chunks)) as ahead:
        yield from ahead


def _judge_rows(
    model: Detector, source: Source, start: int, wishes: DetectWishes, found: _Found
) -> tuple[pa.Table, NDArray[np.float64]]:
    scores = model.anomaly_score(source)
    flagged = scores > model.threshold_
    reasons = [""] * len(scores)
    places = np.flatnonzero(flagged)
    if len(places):
        for place, why in zip(places, model.explain(_rows_at(source, places)), strict=True):
            reasons[place] = why.sentence
    columns: dict[str, Any] = {name: column_of(source, name) for name in wishes.keep}
    columns |= {"score": scores, "p_value": model.p_value_of(scores), "flagged": flagged, "reason": reasons}
    if wishes.labels is not None:
        found.labels.append(_as_labels(column_of(source, wishes.labels)))

    def record(place: int) -> tuple[str, Source]:
        kept = [f"{name} {column_of(source, name)[place]}" for name in wishes.keep]
        return ", ".join(kept) or f"row {start + place}", _rows_at(source, np.array([place]))

    found.add(scores, start, record)
    return pa.table(columns), scores


def _rows_at(source: Source, places: NDArray[np.intp]) -> Source:
    values = source.values
    taken = values.take(pa.array(places)) if isinstance(values, pa.Table) else values[places]
    return Source(taken, frame="pyarrow" if isinstance(values, pa.Table) else None)


def _as_labels(column: pa.ChunkedArray) -> NDArray[np.int8]:
    """Return what each label of a column says; which of 1 and -1 is an anomaly shows only when all are known."""
    texts = [str(value).strip().lower() for value in column.to_pylist()]
    unknown = sorted(set(texts) - set(_LABELS))
    if unknown:
        raise DataError(
            f"--labels names a column that holds {unknown[0]!r}; allowed are 1 or true for anomalies and 0 or "
            "false for others, or -1 beside +1"
        )
    return np.array([_LABELS[text] for text in texts], dtype=np.int8)


def _judge_pictures(
    model: Detector, pictures: Pictures, start: int, wishes: DetectWishes, found: _Found
) -> tuple[pa.Table, NDArray[np.float64]]:
    scores = model.anomaly_score(pictures)
    flagged = scores > model.threshold_
    if wishes.maps is not None and flagged.any():
        _draw_maps(model, pictures, np.flatnonzero(flagged), wishes.maps)
    columns = {"file": pictures.names, "score": scores, "p_value": model.p_value_of(scores), "flagged": flagged}
    found.add(scores, start, lambda place: (pictures.names[place], pictures.at([place])))
    return pa.table({name: pa.array(values) for name, values in columns.items()}), scores


def _draw_maps(model: Detector, pictures: Pictures, places: NDArray[np.intp], folder: Path) -> None:
    """Write the heat map of every flagged picture, whole or not at all each."""
    from refold._atomic import write_whole
    from refold.plots import heat_over

    chosen = pictures.at(places)
    for name, picture, heat in zip(chosen.names, chosen, model.heat_maps(chosen), strict=True):
        path = folder / f"{name}.heat.png"
        path.parent.mkdir(parents=True, exist_ok=True)
        with write_whole(path) as temporary:
            save_picture(heat_over(picture, heat, model.heat_limit()), temporary)


def _told(model: Detector, opened: Any, wishes: DetectWishes, found: _Found) -> dict[str, Any]:
    """Say what was found, draw the report, and return the figures."""
    scores = np.concatenate(found.scores)
    flagged = int(np.sum(scores > model.threshold_))
    rate = model.promised_false_alarm_rate_
    result: dict[str, Any] = {
        "records": len(scores),
        "flagged": flagged,
        "share_flagged": flagged / len(scores),
        "threshold": model.threshold_,
        "promised_false_alarm_rate": rate,
    }
    if found.labels:
        result |= _by_labels(model, scores, found.strange())
    if wishes.report is not None:
        _write_report(model, opened, wishes, found, scores, result)
    if not wishes.quiet:
        what = "records" if found.series is None else f"samples, {len(found.series.events)} events"
        say(f"flagged {flagged} of {len(scores)} {what} ({flagged / len(scores):.2%}; threshold: {_promise(model)})")
        if found.labels:
            say(f"labels: {_of_labels(result)}")
        if wishes.maps is not None and not flagged:
            say("no picture is flagged, so no heat map was drawn")
        for path in (wishes.output, wishes.report, wishes.maps if flagged else None):
            if path is not None:
                say(f"wrote {path}")
    return result


def _of_labels(result: dict[str, Any]) -> str:
    parts = []
    if "auroc" in result:
        parts.append(f"AUROC {result['auroc']:.4f}, average precision {result['average_precision']:.4f}")
    if "caught" in result:
        parts.append(f"caught {result['caught']:.1%}")
    if "false_alarms_observed" in result:
        highest = result["false_alarms_expected"][1]
        parts.append(
            f"false alarms {result['false_alarms_observed']:.2%} (at most {highest:.2%} agree with the promise)"
        )
    return ", ".join(parts)


def _by_labels(model: Detector, scores: NDArray[np.float64], strange: NDArray[np.bool_]) -> dict[str, Any]:
    from sklearn.metrics import average_precision_score, roc_auc_score

    above = scores > model.threshold_
    figures: dict[str, Any] = {}
    if strange.any() and not strange.all():
        figures["auroc"] = float(roc_auc_score(strange, scores))
        figures["average_precision"] = float(average_precision_score(strange, scores))
    if strange.any():
        figures["caught"] = float(above[strange].mean())
    if not strange.all():
        normal = int(np.sum(~strange))
        figures["false_alarms_observed"] = float(above[~strange].mean())
        figures["false_alarms_expected"] = model.alarm_limits(normal)
    return figures


def _write_report(
    model: Detector,
    opened: Any,
    wishes: DetectWishes,
    found: _Found,
    scores: NDArray[np.float64],
    result: dict[str, Any],
) -> None:
    from refold.plots import DetectionReport, detection_page, write_page

    assert wishes.report is not None
    if found.series is not None:
        _write_series_report(model, wishes.report, found.series, result)
        return
    entries = found.in_order()
    pictures = isinstance(opened, Pictures)
    lead = f"{result['flagged']} of {len(scores)} records are flagged as not normal; threshold: {_promise(model)}."
    report = DetectionReport(
        title="What is not normal",
        lead=lead,
        normal_scores=model.calibration_.scores.cpu().numpy(),
        scores=scores,
        threshold=model.threshold_,
        figures=_figures(model, result),
        strangest=[_strange(model, score, name, one, pictures) for score, _, (name, one) in entries],
        gallery=_gallery(model, entries) if pictures else (),
        hottest=model.heat_limit() if pictures else 1.0,
    )
    write_page(detection_page(report), wishes.report)


def _write_series_report(model: Detector, path: Path, series: SeriesFound, result: dict[str, Any]) -> None:
    from refold.plots import SeriesReport, series_page, write_page

    grouped = any(event.entity for event in series.events)
    report = SeriesReport(
        title="What is not normal",
        lead=f"{len(series.events)} events in {len(series.scores)} samples; threshold: {_promise(model)}.",
        normal_scores=model.calibration_.scores.cpu().numpy(),
        scores=series.scores,
        threshold=model.threshold_,
        figures=_figures(model, result),
        events=[(event.start, event.end) for event in series.events],
        header=("start", "end", *(("entity",) if grouped else ()), "score", "p-value", "columns", "why"),
        rows=event_rows(series.events),
    )
    write_page(series_page(report), path)


def _figures(model: Detector, result: dict[str, Any]) -> list[tuple[str, object]]:
    figures: list[tuple[str, object]] = [
        ("records judged", result["records"]),
        ("flagged", f"{result['flagged']} ({result['share_flagged']:.2%})"),
        ("threshold", f"{model.threshold_:.4g}"),
        ("normal records the threshold stands on", len(model.calibration_.scores)),
        ("false alarms promised", _promise(model)),
    ]
    if "false_alarms_observed" in result:
        low, high = result["false_alarms_expected"]
        observed = f"{result['false_alarms_observed']:.2%} (promise kept: {low:.2%} to {high:.2%})"
        figures.append(("false alarms observed", observed))
    elif "caught" not in result:
        figures.append(("false alarms observed", "not known without labels (--labels COLUMN)"))
    if "caught" in result:
        figures.append(("anomalies caught", f"{result['caught']:.1%}"))
    if "auroc" in result:
        figures.append(("AUROC", f"{result['auroc']:.4f}"))
        figures.append(("average precision", f"{result['average_precision']:.4f}"))
    return figures


def _strange(model: Detector, score: float, name: str, one: Any, pictures: bool) -> Any:
    from refold.plots import StrangeRecord

    p_value = float(model.p_value_of([score])[0])
    flagged = score > model.threshold_
    if pictures:
        return StrangeRecord(name, score, p_value, flagged)
    why = model.explain(one)[0]
    return StrangeRecord(name, score, p_value, flagged, why.sentence, why.shares)


def _gallery(model: Detector, entries: Sequence[tuple[float, int, Any]]) -> list[tuple[str, Any, Any]]:
    shown = []
    for score, _, (name, one) in entries[:_IN_GALLERY]:
        p_value = float(model.p_value_of([score])[0])
        mark = "flagged, " if score > model.threshold_ else ""
        caption = f"{name}: {mark}score {score:.2f}, p-value {p_value:.2g}"
        shown.append((caption, one.read(0), next(iter(model.heat_maps(one)))))
    return shown
