"""Mirrored encoder/decoder pairs, built from a specification, raw numbers in and raw numbers out."""

from refold.nets._activations import ACTIVATIONS
from refold.nets._build import (
    NetSpec,
    build_net,
    default_hidden,
    feature_shape_of,
    make_scaling,
    parameter_count,
    placeholder_scale,
)
from refold.nets._camera_net import CameraNet
from refold.nets._candidates import Candidates
from refold.nets._components import start_from_components
from refold.nets._ensemble import Ensemble, EnsembleSpec
from refold.nets._factors import Factors, fit_factors
from refold.nets._filling import filled_smoothly
from refold.nets._imputation_net import ImputationNet, ImputationSpec, Neighbours
from refold.nets._net import AutoencoderNet
from refold.nets._picture_net import PictureNet, SmallPictureNet
from refold.nets._restoration_net import RestorationNet, RestorationSpec
from refold.nets._scale import Moments, Scale, measure_scale, scale_of
from refold.nets._scaling import ColumnScaling, GridScaling, Scaling
from refold.nets._sequence import SequenceEnsemble

__all__ = [
    "ACTIVATIONS",
    "AutoencoderNet",
    "CameraNet",
    "Candidates",
    "ColumnScaling",
    "Ensemble",
    "EnsembleSpec",
    "Factors",
    "GridScaling",
    "ImputationNet",
    "ImputationSpec",
    "Moments",
    "Neighbours",
    "NetSpec",
    "PictureNet",
    "RestorationNet",
    "RestorationSpec",
    "Scale",
    "Scaling",
    "SequenceEnsemble",
    "SmallPictureNet",
    "build_net",
    "default_hidden",
    "feature_shape_of",
    "filled_smoothly",
    "fit_factors",
    "make_scaling",
    "measure_scale",
    "parameter_count",
    "placeholder_scale",
    "scale_of",
    "start_from_components",
]
