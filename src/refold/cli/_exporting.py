"""What the export command does, once its words are understood."""

from pathlib import Path
from typing import Any

from refold.cli._commands import check_output
from refold.cli._talk import say
from refold.estimators import Detector, ExportReport, export, load


def export_model(model_path: Path, output: Path, part: str, quiet: bool) -> dict[str, Any]:
    """Write an ONNX file, and report how well it agrees with the model."""
    check_output(output, (".onnx",))
    model = load(model_path, device="cpu")
    report = model.export(output) if isinstance(model, Detector) else export(model, output, part)
    if not quiet:
        _report_export(report)
    return {
        "output": str(report.path),
        "part": report.part,
        "largest_difference": report.largest_difference,
        "bytes": report.bytes,
    }


def _report_export(report: ExportReport) -> None:
    say(f"ONNX Runtime and the model differ by at most {report.largest_difference:.1e}, relative to their values")
    say(f"wrote {report.path} ({report.part}, {report.bytes / 1e6:.1f} MB)")
