"""Weights that ship with the package: tensors in safetensors files beside this one, made by ``training/``."""

from importlib.resources import files
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from torch import Tensor

__all__ = ["camera_weights"]


def camera_weights() -> "dict[str, Tensor]":
    """Return the state of the `CameraNet` that knows smoke from fixed cameras, float32 on the processor."""
    from safetensors.torch import load

    return load(files(__name__).joinpath("camera.safetensors").read_bytes())
