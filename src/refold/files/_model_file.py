"""The model file: safetensors with one JSON header. Text and tensors; loading it runs no code.

Layout: an ordinary ``.safetensors`` file whose metadata has a single entry ``refold``, a JSON object with

``format``    version of this layout, a whole number
``kind``      the estimator's name
``sha256``    digest of every tensor and of the header without this entry
...           whatever the estimator needs to be whole again
"""

import hashlib
import json
import os
import re
import struct
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file
from torch import Tensor

from refold._atomic import write_whole
from refold._errors import ModelFileError

FORMAT = 1
_ENTRY = "refold"
_LARGEST_HEADER = 32 << 20
_DEEPEST = 32
# the closing quote is optional and nothing is tried twice: a text without an end costs one pass, not one a quote
_TEXTS = re.compile(rb'"(?:[^"\\]++|\\.)*+"?', re.DOTALL)
_BRACKETS = re.compile(rb"[\[{\]}]")


@dataclass(frozen=True)
class ModelFile:
    """What a model file holds.

    Parameters
    ----------
    kind : str
        Name of the estimator.
    header : dict
        Everything but the tensors; values that JSON can hold.
    tensors : dict of str to Tensor
    """

    kind: str
    header: dict[str, Any]
    tensors: dict[str, Tensor]


def write_model_file(model: ModelFile, path: str | os.PathLike[str]) -> None:
    """Write a model; the file appears whole or not at all.

    Raises
    ------
    ModelFileError
        If the path does not end in ``.safetensors``.
    """
    if Path(path).suffix != ".safetensors":
        raise ModelFileError(f"{Path(path).name!r} must end in .safetensors, the only kind of model file")
    write_tensor_file(model, path)


def write_tensor_file(model: ModelFile, path: str | os.PathLike[str]) -> None:
    """Write what a model file holds to a file of any name, such as a checkpoint; whole or not at all."""
    header = {"format": FORMAT, "kind": model.kind, **model.header}
    tensors = {name: tensor.detach().cpu().contiguous() for name, tensor in model.tensors.items()}
    header["sha256"] = _digest(header, tensors)
    with write_whole(path) as temporary:
        save_file(tensors, temporary, {_ENTRY: json.dumps(header, allow_nan=True)})


def read_model_file(path: str | os.PathLike[str]) -> ModelFile:
    """Read and check a model file.

    Raises
    ------
    ModelFileError
        If it is absent, truncated, altered, of a newer format, or no model file.
    """
    header = read_header(path)
    name = Path(path).name
    try:
        with safe_open(path, framework="pt") as file:
            tensors = {key: file.get_tensor(key) for key in file.keys()}  # noqa: SIM118 - not a mapping
    except (SafetensorError, OSError, ValueError, RuntimeError, KeyError, AttributeError, TypeError) as error:
        raise ModelFileError(f"{name!r} is damaged: {_first_line(error)}; save the model again") from error
    if header.get("sha256") != _digest(header, tensors):
        raise ModelFileError(
            f"{name!r} has been altered since it was saved (its sha256 does not match); do not use it"
        )
    return ModelFile(str(header["kind"]), header, tensors)


def read_header(path: str | os.PathLike[str]) -> dict[str, Any]:
    """Read the JSON header of a model file without its tensors; the digest is not checked.

    Raises
    ------
    ModelFileError
        If it is absent, truncated, of a newer format, or no model file.
    """
    name = Path(path).name
    outer = _json(_header_bytes(Path(path)), name)
    metadata = outer.get("__metadata__")
    if not isinstance(metadata, dict) or not isinstance(metadata.get(_ENTRY), str):
        raise ModelFileError(f"{name!r} is a safetensors file but not one that refold wrote")
    header = _json(metadata[_ENTRY].encode(errors="replace"), name)
    if type(header.get("format")) is not int or not isinstance(header.get("kind"), str):
        raise ModelFileError(f"{name!r} is damaged: its header names no format and kind; save the model again")
    if header["format"] > FORMAT:
        raise ModelFileError(
            f"{name!r} has format {header['format']}, and this version of refold reads formats up to {FORMAT}; "
            "install a newer refold"
        )
    return header


def _header_bytes(path: Path) -> bytes:
    try:
        size = path.stat().st_size
        with open(path, "rb") as file:
            beginning = file.read(8)
            length = struct.unpack("<Q", beginning)[0] if len(beginning) == 8 else 0
            if not 2 <= length <= min(size - 8, _LARGEST_HEADER):
                raise ModelFileError(
                    f"{path.name!r} is not a model file or is cut short ({size} bytes); give a .safetensors file "
                    "that refold saved"
                )
            return file.read(length)
    except OSError as error:
        raise ModelFileError(
            f"the model file {str(path)!r} cannot be read: {error.strerror}; check the path"
        ) from error


def _json(content: bytes, name: str) -> dict[str, Any]:
    if _depth(content) > _DEEPEST:
        raise ModelFileError(f"{name!r} is not an honest model file: its header is nested too deeply")
    try:
        parsed = json.loads(content)
    except (ValueError, RecursionError) as error:
        raise ModelFileError(f"{name!r} is not a model file or is damaged: its header is not JSON") from error
    if not isinstance(parsed, dict):
        raise ModelFileError(f"{name!r} is not a model file or is damaged: its header is not a JSON object")
    return parsed


def _depth(content: bytes) -> int:
    """Return how deeply brackets are nested outside of texts."""
    depth = deepest = 0
    for bracket in _BRACKETS.findall(_TEXTS.sub(b"", content)):
        depth += 1 if bracket in b"[{" else -1
        deepest = max(deepest, depth)
    return deepest


def _digest(header: dict[str, Any], tensors: dict[str, Tensor]) -> str:
    digest = hashlib.sha256()
    signed = {key: value for key, value in header.items() if key != "sha256"}
    digest.update(json.dumps(signed, sort_keys=True).encode())
    for name in sorted(tensors):
        tensor = tensors[name].contiguous()
        digest.update(f"{name} {tensor.dtype} {tuple(tensor.shape)}".encode())
        digest.update(tensor.reshape(-1).view(torch.uint8).numpy().data if tensor.numel() else b"")
    return digest.hexdigest()


def _first_line(error: Exception) -> str:
    return (str(error).splitlines() or [type(error).__name__])[0]
