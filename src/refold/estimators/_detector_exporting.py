"""Detectors of rows to ONNX files that give the same scores and flag the same records."""

import copy
import os
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

import refold
from refold._errors import ModelFileError
from refold.estimators._detector import Detector
from refold.estimators._exporting import ExportReport
from refold.estimators._judging import RowJudge
from refold.files import check_onnx, module_to_onnx, open_onnx_parts, write_onnx
from refold.scores import Calibration, RowScorer

Array = NDArray[Any]

_MOST_DIFFERENCE = 1e-4
_COMPARED = 256
_OUTSIDE = 0.5  # of the range of training, beyond either end, are compared too


class _ScoreGraph(nn.Module):
    """From raw rows to score, p-value and whether they are flagged."""

    threshold: Tensor

    def __init__(self, scorer: RowScorer, calibration: Calibration, threshold: float) -> None:
        super().__init__()
        self.scorer = scorer
        self.calibration = calibration
        self.register_buffer("threshold", torch.tensor(threshold, dtype=torch.float32))

    def forward(self, records: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """Return score, p-value and flag, (B,) each."""
        scores = self.scorer(records)
        # ONNX has no searchsorted: count the normal scores that are as high or higher
        higher = (self.calibration.scores >= scores.unsqueeze(1)).to(torch.float32).sum(1)
        return scores, (higher + 1) / (len(self.calibration.scores) + 1), scores > self.threshold


def export_detector(model: Detector, path: str | os.PathLike[str]) -> ExportReport:
    """Write a detector of rows to one ONNX file, once ONNX Runtime has given the same numbers."""
    check_onnx(path, "whole")
    judge = model.judge_
    if not isinstance(judge, RowJudge):
        raise ModelFileError(
            f"a detector of {judge.kind} cannot be written as ONNX: what its network gives is joined outside of it; "
            "use refold itself"
        )
    scorer, calibration = copy.deepcopy(judge.module).cpu().eval(), copy.deepcopy(model.calibration_).cpu()
    graph = _ScoreGraph(scorer, calibration, model.threshold_).eval()
    records = torch.from_numpy(_records(judge, scorer))
    content = module_to_onnx(graph, records[:4], "records", ("score", "p_value", "flagged"), _header(model))
    difference = _difference(graph, records, open_onnx_parts(content))
    if not difference <= _MOST_DIFFERENCE:
        raise ModelFileError(
            f"ONNX Runtime gives scores that differ by {difference:.1e} from the detector's, and the most allowed is "
            f"{_MOST_DIFFERENCE:g}; nothing was written: use refold itself"
        )
    write_onnx(content, path)
    return ExportReport(Path(path), "whole", difference, len(content))


def _records(judge: RowJudge, scorer: RowScorer) -> Array:
    """Draw rows from the range of training and beyond it, with missing and unseen values where they may occur."""
    rng = np.random.default_rng(0)
    scaling = scorer.rebuilding.scaling
    low, high = scaling.low.double().numpy(), scaling.high.double().numpy()
    shares = rng.uniform(-_OUTSIDE, 1 + _OUTSIDE, (_COMPARED, *judge.spec.raw_shape))
    numbers = low + (high - low) * shares
    for place, count in enumerate(judge.spec.n_categories):
        if count:
            numbers[:, place] = rng.integers(0, count + 1, _COMPARED)
    if judge.spec.takes_missing:
        numbers[rng.random(numbers.shape) < 0.1] = np.nan
    records: Array = numbers.astype(np.float64 if judge.spec.exact else np.float32)
    return records


def _header(model: Detector) -> dict[str, Any]:
    names = [str(name) for name in getattr(model, "feature_names_in_", ())]
    return {
        "refold": refold.__version__,
        "kind": "Detector",
        "threshold": model.threshold_,
        "promised_false_alarm_rate": model.promised_false_alarm_rate_,
        "columns": model.adapter_.to_json().get("columns", [{"name": name, "kind": "number"} for name in names]),
    }


def _difference(graph: nn.Module, records: Tensor, run: Any) -> float:
    """Return the largest difference of scores, relative to 1 or to the score; infinite if flags differ by more."""
    with torch.inference_mode():
        ours = [part.numpy() for part in graph(records)]
    theirs = run(records.numpy())
    apart = np.abs(ours[0] - theirs[0]) / np.maximum(np.abs(ours[0]), 1)
    near = apart.max() <= _MOST_DIFFERENCE and np.abs(ours[1] - theirs[1]).max() <= 0.01
    unsure = np.abs(ours[0] - float(graph.threshold)) <= _MOST_DIFFERENCE  # type: ignore[arg-type]
    same = bool(((ours[2] == theirs[2]) | unsure).all())
    return float(apart.max()) if near and same else float("inf")
