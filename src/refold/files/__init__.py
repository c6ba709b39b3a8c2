"""The model file, and the ONNX file."""

from refold.files._model_file import ModelFile, read_header, read_model_file, write_model_file, write_tensor_file
from refold.files._onnx import check_onnx, module_to_onnx, open_onnx, open_onnx_parts, to_onnx, write_onnx

__all__ = [
    "ModelFile",
    "check_onnx",
    "module_to_onnx",
    "open_onnx",
    "open_onnx_parts",
    "read_header",
    "read_model_file",
    "to_onnx",
    "write_model_file",
    "write_onnx",
    "write_tensor_file",
]
