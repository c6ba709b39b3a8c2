"""Mirrored encoder/decoder pairs, built from a specification, raw numbers in and raw numbers out."""

from refold.nets._activations import ACTIVATIONS
from refold.nets._build import NetSpec, build_net, default_hidden, feature_shape_of, parameter_count
from refold.nets._components import start_from_components
from refold.nets._net import AutoencoderNet
from refold.nets._scale import Moments, Scale, measure_scale, scale_of
from refold.nets._scaling import ColumnScaling, GridScaling, Scaling

__all__ = [
    "ACTIVATIONS",
    "AutoencoderNet",
    "ColumnScaling",
    "GridScaling",
    "Moments",
    "NetSpec",
    "Scale",
    "Scaling",
    "build_net",
    "default_hidden",
    "feature_shape_of",
    "measure_scale",
    "parameter_count",
    "scale_of",
    "start_from_components",
]
