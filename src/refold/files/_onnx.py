"""The ONNX file: a network, or a half of it, for other programs and other machines.

One file that needs no other. Its graph takes the user's own numbers and gives them back: scaling, missing cells,
categories, ranges and whole numbers are nodes of the graph. Its metadata have a single entry ``refold``, a JSON
object.
"""

import json
import logging
import os
import warnings
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from refold._atomic import write_whole
from refold._errors import ModelFileError, ParameterError, nearest
from refold._extras import require
from refold.nets import AutoencoderNet

Array = NDArray[Any]

ONNX_PARTS = {"whole": ("records", "rebuilt"), "encoder": ("records", "code"), "decoder": ("code", "rebuilt")}
_ENTRY = "refold"
_OPSET = 18  # the oldest that torch writes; every runtime since 2023 reads it
_MOST_BYTES = (2 << 30) - (1 << 20)  # a protobuf message ends at 2 GB
_EXAMPLES = 4  # torch takes sizes of 0 and 1 for fixed ones


def to_onnx(net: AutoencoderNet, part: str, dtype: np.dtype[Any], header: dict[str, Any]) -> bytes:
    """Return the content of an ONNX file.

    Its graph has one input and one output, whose first dimension is free: ``records`` (B, *raw_shape) and
    ``rebuilt``, both of `dtype`, and ``code`` (B, latent_dim), float32.

    Parameters
    ----------
    net : AutoencoderNet
        On the CPU, in evaluation mode.
    part : {"whole", "encoder", "decoder"}
        From records to rebuilt records, from records to codes, or from codes to rebuilt records.
    dtype : numpy.dtype
        Of the records. Whole numbers are rounded and held inside the dtype.
    header : dict
        Goes into the metadata as JSON.

    Raises
    ------
    ModelFileError
        If ONNX has no words for the network, or it is larger than an ONNX file can be.
    """
    model = _graph(_Part(net, part, dtype), _example(net, part, dtype), *ONNX_PARTS[part])
    _strip(model)
    model.metadata_props[_ENTRY] = json.dumps(header)
    return _serialized(model)


def module_to_onnx(
    module: nn.Module, example: Tensor, given: str, results: Sequence[str], header: dict[str, Any]
) -> bytes:
    """Return the content of an ONNX file with any module's graph.

    Parameters
    ----------
    module : torch.nn.Module
        On the CPU, in evaluation mode; from (B, ...) to a tensor (B, ...) for each of `results`.
    example : Tensor
        What the module takes; its first dimension is free in the graph.
    given : str
        Name of the input.
    results : sequence of str
        Names of the outputs.
    header : dict
        Goes into the metadata as JSON.

    Raises
    ------
    ModelFileError
        If ONNX has no words for the module.
    """
    model = _graph(module, example, given, *results)
    _strip(model)
    model.metadata_props[_ENTRY] = json.dumps(header)
    return _serialized(model)


def open_onnx_parts(content: bytes) -> Callable[[Array], list[Array]]:
    """Return what ONNX Runtime makes of a file's content: a function from the graph's input to its outputs."""
    session = _session(content)
    name = session.get_inputs()[0].name

    def run(values: Array) -> list[Array]:
        with _runtime_errors():
            return [np.asarray(result) for result in session.run(None, {name: values})]

    return run


def check_onnx(path: str | os.PathLike[str], part: str) -> None:
    """Refuse what could not be written, before any work is done.

    Raises
    ------
    ParameterError
        If `part` is none of the three.
    ModelFileError
        If the path does not end in ``.onnx``.
    MissingExtraError
        If a package of the extra ``onnx`` is not installed.
    """
    if part not in ONNX_PARTS:
        allowed = ", ".join(ONNX_PARTS)
        raise ParameterError(f"part={part!r} is not allowed; choose from {allowed}{nearest(str(part), ONNX_PARTS)}")
    if Path(path).suffix != ".onnx":
        raise ModelFileError(f"{Path(path).name!r} must end in .onnx, as every reader of ONNX files expects")
    for package in ("onnx", "onnxscript", "onnxruntime"):
        require(package, extra="onnx", purpose="write ONNX files")


def write_onnx(content: bytes, path: str | os.PathLike[str]) -> None:
    """Write an ONNX file; it appears whole or not at all."""
    with write_whole(path) as temporary:
        temporary.write_bytes(content)


def open_onnx(content: bytes) -> Callable[[Array], Array]:
    """Return what ONNX Runtime makes of a file's content: a function from the graph's input to its output.

    Raises
    ------
    ModelFileError
        If ONNX Runtime cannot run the graph; the function raises it too.
    """
    run = open_onnx_parts(content)
    return lambda values: run(values)[0]


def _session(content: bytes) -> Any:
    runtime = require("onnxruntime", extra="onnx", purpose="run ONNX files")
    options = runtime.SessionOptions()
    options.intra_op_num_threads = 1
    options.log_severity_level = 4
    with _runtime_errors():
        return runtime.InferenceSession(content, options, providers=["CPUExecutionProvider"])


@contextmanager
def _runtime_errors() -> Iterator[None]:
    try:
        yield
    except Exception as error:  # ONNX Runtime's errors have no root of their own
        raise ModelFileError(
            f"ONNX Runtime cannot run this network: {_first_line(error)}; use refold itself"
        ) from error


# --- the graph ---------------------------------------------------------------------------------------------------


class _Part(nn.Module):
    """A network, or a half of it, between the user's own dtype and the code."""

    lowest: Tensor
    highest: Tensor

    def __init__(self, net: AutoencoderNet, part: str, dtype: np.dtype[Any]) -> None:
        super().__init__()
        self.net = net
        self.part = part
        self.dtype = torch.from_numpy(np.zeros(1, dtype)).dtype
        # as tensors, because the exporter writes Python's numbers as float32
        lowest, highest = _limits(dtype)
        self.register_buffer("lowest", torch.tensor(lowest, dtype=self.net.scaling.center.dtype))
        self.register_buffer("highest", torch.tensor(highest, dtype=self.net.scaling.center.dtype))
        self.eval()

    def forward(self, values: Tensor) -> Tensor:
        """Return the code or the rebuilt records."""
        code = values if self.part == "decoder" else self.net.encode(values.to(self.net.scaling.center.dtype))
        return code if self.part == "encoder" else self._in_own_dtype(self.net.decode(code))

    def _in_own_dtype(self, numbers: Tensor) -> Tensor:
        if self.dtype == torch.bool:
            return numbers > 0.5
        if self.dtype.is_floating_point:
            return numbers.to(self.dtype)
        return torch.minimum(torch.maximum(numbers.round(), self.lowest), self.highest).to(self.dtype)


def _limits(dtype: np.dtype[Any]) -> tuple[float, float]:
    """Return the smallest and the largest number of a dtype that float64 can tell apart from what lies outside."""
    if dtype.kind not in "iu":
        return -np.inf, np.inf
    lowest, highest = int(np.iinfo(dtype).min), int(np.iinfo(dtype).max)
    return float(lowest), float(highest) if highest < 2**53 else float(np.nextafter(float(highest), 0))


def _example(net: AutoencoderNet, part: str, dtype: np.dtype[Any]) -> Tensor:
    if part == "decoder":
        return torch.zeros(_EXAMPLES, net.latent_dim)
    return torch.from_numpy(np.zeros((_EXAMPLES, *net.scaling.raw_shape), dtype))


def _graph(part: nn.Module, example: Tensor, given: str, *results: str) -> Any:
    """Return the graph as onnx-ir has it."""
    try:
        with torch.no_grad(), _without_chatter():
            program: Any = torch.onnx.export(
                part,
                (example,),
                input_names=[given],
                output_names=list(results),
                dynamic_shapes=({0: torch.export.Dim("batch")},),
                opset_version=_OPSET,
                custom_translation_table={torch.ops.aten.nan_to_num.default: _nan_to_num},
                verbose=False,
            )
    except torch.onnx.OnnxExporterError as error:
        raise ModelFileError(
            f"this network cannot be written as ONNX: {_first_line(_root(error))}; give modules that "
            "torch.export can follow"
        ) from error
    return program.model


def _nan_to_num(self: Any, nan: float | None = None, posinf: float | None = None, neginf: float | None = None) -> Any:
    """Write `torch.nan_to_num` in few nodes; torch's own writing has no room for the limits of float64."""
    ir = require("onnx_ir", extra="onnx", purpose="write ONNX files")
    op = require("onnxscript", extra="onnx", purpose="write ONNX files").opset18
    limits = np.finfo(self.dtype.numpy())
    filled = self
    for place, value, otherwise in (
        (op.IsNaN(self), nan, 0.0),
        (op.IsInf(self, detect_negative=0), posinf, limits.max),
        (op.IsInf(self, detect_positive=0), neginf, limits.min),
    ):
        number = np.asarray(otherwise if value is None else value, limits.dtype)
        filled = op.Where(place, op.Constant(value=ir.tensor(number)), filled)
    return filled


@contextmanager
def _without_chatter() -> Iterator[None]:
    """Keep from the user what torch says to itself."""
    registry = logging.getLogger("torch.onnx._internal.exporter._registration")
    registry.addFilter(_is_not_about_torchvision)
    folding = logging.getLogger("onnxscript.optimizer._constant_folding")
    folding.addFilter(_is_not_about_folding)
    try:
        with warnings.catch_warnings():
            warnings.filterwarnings("ignore", r"`isinstance\(treespec, LeafSpec\)` is deprecated", FutureWarning)
            yield
    finally:
        registry.removeFilter(_is_not_about_torchvision)
        folding.removeFilter(_is_not_about_folding)


def _is_not_about_torchvision(record: logging.LogRecord) -> bool:
    return "torchvision is not installed" not in record.getMessage()


def _is_not_about_folding(record: logging.LogRecord) -> bool:
    return "Evaluation failed" not in record.getMessage()  # a node that stays as it is


def _root(error: BaseException) -> BaseException:
    while error.__cause__ is not None:
        error = error.__cause__
    return error


def _first_line(error: BaseException) -> str:
    return (str(error).strip().splitlines() or [type(error).__name__])[0]


# --- the file ----------------------------------------------------------------------------------------------------


def _strip(model: Any) -> None:
    """Take out what torch notes at every node: stack traces with the paths of this machine."""
    passes = require("onnx_ir.passes.common", extra="onnx", purpose="write ONNX files")
    passes.ClearMetadataAndDocStringPass()(model)
    model.metadata_props.clear()
    model.doc_string = None


def _serialized(model: Any) -> bytes:
    weights = sum(value.const_value.nbytes for value in model.graph.initializers.values())
    if weights > _MOST_BYTES:
        raise ModelFileError(
            f"this network has {weights / 2**30:.1f} GB of weights, and an ONNX file holds at most 2 GB; export "
            "encoder and decoder on their own, or use refold itself"
        )
    ir = require("onnx_ir", extra="onnx", purpose="write ONNX files")
    content: bytes = ir.to_proto(model).SerializeToString()
    return content
