"""The model file."""

from refold.files._model_file import ModelFile, read_header, read_model_file, write_model_file

__all__ = ["ModelFile", "read_header", "read_model_file", "write_model_file"]
