"""From a specification to a network, with the proof that what goes in comes out in the same shape."""

from dataclasses import asdict, dataclass
from math import ceil, log2, prod
from typing import Any

import numpy as np
import torch
from torch import nn

from refold._errors import ParameterError
from refold.nets._activations import ACTIVATIONS
from refold.nets._candidates import choosing, proposed_size
from refold.nets._conv import conv_decoder, conv_encoder, convolutions
from refold.nets._dense import WithShortcut, dense_decoder, dense_encoder
from refold.nets._net import AutoencoderNet
from refold.nets._operations import OperationCounter
from refold.nets._scale import Scale
from refold.nets._scaling import ColumnScaling, GridScaling, Scaling

_BUILDERS = {"dense": (dense_encoder, dense_decoder), "conv": (conv_encoder, conv_decoder)}
_SMALLEST_PICTURE = 4  # convolutions halve a picture until its longer side is at most this
_MOST_LAYERS, _WIDEST_LAYER, _MOST_CANDIDATES = 64, 1 << 20, 256
_MOST_WEIGHTS = 1 << 57  # torch counts bytes in 63 bits


@dataclass(frozen=True)
class NetSpec:
    """Everything that decides the shape of a network.

    Parameters
    ----------
    kind : {"dense", "conv", "custom"}
    raw_shape : tuple of int
        Shape of one raw record.
    n_categories : tuple of int
        Categories per column where records are rows, else ().
    latent_dim : int
    hidden : tuple of int
        Sizes of the layers between input and code: units (dense) or channels (conv).
    activation, latent_activation, output_activation : str
        Keys of `ACTIVATIONS`.
    normalise : bool
        Layer normalisation in the hidden layers.
    variational : bool
    unit : bool
        Whether features lie in 0 to 1.
    exact : bool
        Whether raw numbers are float64.
    shortcut : bool
        A straight linear path beside the hidden layers of a dense network.
    flags : tuple of int
        Columns in which cells were missing in training.
    front : tuple of int
        Channels of convolutions that take the place of the first hidden layer of a dense encoder.
    candidates : int
        Places from which the encoder chooses the code, 0 for none; see `Likeliest`.
    """

    kind: str
    raw_shape: tuple[int, ...]
    n_categories: tuple[int, ...]
    latent_dim: int
    hidden: tuple[int, ...]
    activation: str
    latent_activation: str
    output_activation: str
    normalise: bool
    variational: bool
    unit: bool
    exact: bool
    shortcut: bool = False
    flags: tuple[int, ...] = ()
    front: tuple[int, ...] = ()
    candidates: int = 0

    def to_json(self) -> dict[str, Any]:
        """Return a description that JSON can hold."""
        return asdict(self)

    @classmethod
    def from_json(cls, description: dict[str, Any]) -> "NetSpec":
        """Rebuild a specification; refuses sizes that no honest file has.

        Raises
        ------
        ParameterError
            If a value is of the wrong type or out of bounds.
        """
        values: dict[str, Any] = {
            name: tuple(value) if isinstance(value, list) else value for name, value in description.items()
        }
        spec = cls(**values)
        _check_bounds(spec)
        return spec


def feature_shape_of(raw_shape: tuple[int, ...], n_categories: tuple[int, ...]) -> tuple[int, ...]:
    """Return the shape of a record's features: one number per column and category, or (C, H, W)."""
    if len(raw_shape) == 1:
        return (sum(max(count, 1) for count in n_categories),)
    return (raw_shape[2] if len(raw_shape) == 3 else 1, *raw_shape[:2])


def default_hidden(kind: str, feature_shape: tuple[int, ...]) -> tuple[int, ...]:
    """Return sizes of hidden layers that suit records of this shape."""
    if kind == "conv":
        side = max(feature_shape[1:], default=1)
        stages = max(1, ceil(log2(side / _SMALLEST_PICTURE)))
        return tuple(_channels(side / 2 ** (stage + 1)) for stage in range(stages))
    size = prod(feature_shape)
    return (512, 256, 128) if size >= 48 else (256, 128)


def _channels(side: float) -> int:
    """Return how many channels suit a stage whose result has this side: the smaller the picture, the more."""
    return int(min(128, max(8, 2 ** round(log2(512 / side)))))


def build_net(
    spec: NetSpec,
    scale: Scale | None = None,
    encoder: nn.Module | None = None,
    decoder: nn.Module | None = None,
) -> AutoencoderNet:
    """Build the network of `spec`.

    Parameters
    ----------
    spec : NetSpec
    scale : Scale, optional
        Without it the scaling buffers hold placeholders, to be overwritten from a file.
    encoder, decoder : torch.nn.Module, optional
        The user's own halves, used where given.

    Raises
    ------
    ParameterError
        If the halves do not fit the records.
    """
    scale = scale or placeholder_scale(spec.raw_shape, spec.flags, spec.unit)
    scaling = make_scaling(spec.raw_shape, spec.n_categories, scale, spec.exact)
    built_encoder, built_decoder = _halves(spec, scaling)
    net = AutoencoderNet(
        scaling,
        encoder if encoder is not None else built_encoder,
        decoder if decoder is not None else built_decoder,
        ACTIVATIONS[spec.output_activation](),
        spec.latent_dim,
        spec.variational,
        spec.candidates,
    )
    _prove_shapes(net)
    return net


def parameter_count(net: nn.Module) -> int:
    """Return how many numbers a network learns."""
    return sum(parameter.numel() for parameter in net.parameters() if parameter.requires_grad)


def make_scaling(raw_shape: tuple[int, ...], n_categories: tuple[int, ...], scale: Scale, exact: bool) -> Scaling:
    """Return the scaling for records of this shape; see `NetSpec`."""
    if len(raw_shape) == 1:
        return ColumnScaling(scale, n_categories, exact)
    return GridScaling(scale, raw_shape, exact)


def placeholder_scale(raw_shape: tuple[int, ...], flags: tuple[int, ...], unit: bool) -> Scale:
    """Return a scale of the right shape, to be overwritten from a file."""
    shape = raw_shape if len(raw_shape) == 1 else ()
    flagged = np.zeros(shape, dtype=bool)
    if flags:
        flagged[list(flags)] = True
    zeros, ones = np.zeros(shape), np.ones(shape)
    return Scale(zeros, ones, zeros, ones, unit, flagged)


def _halves(spec: NetSpec, scaling: Scaling) -> tuple[nn.Module, nn.Module]:
    kind = "dense" if spec.kind == "custom" else spec.kind
    if kind == "conv" and len(scaling.input_shape) != 3:
        raise ParameterError(
            f"net='conv' needs pictures, and the data are rows of {spec.raw_shape[0]} values; use net='dense' or "
            "give an array of shape (n, H, W) or (n, H, W, C)"
        )
    make_encoder, make_decoder = _BUILDERS[kind]
    activation = ACTIVATIONS[spec.activation]
    code_size = spec.latent_dim * (2 if spec.variational else 1)
    last_size = proposed_size(spec.latent_dim, spec.candidates) or code_size
    front, encoder_input, encoder_hidden = _front(spec, scaling)
    encoder = make_encoder(encoder_input, encoder_hidden, last_size, activation, spec.normalise)
    encoder = nn.Sequential(*front, *encoder)
    if spec.candidates:
        encoder = choosing(encoder, spec.latent_dim, spec.candidates)
    if spec.latent_activation != "identity":
        encoder.append(ACTIVATIONS[spec.latent_activation]())
    decoder = make_decoder(scaling.feature_shape, spec.hidden, spec.latent_dim, activation, spec.normalise)
    if not spec.shortcut:
        return encoder, decoder
    sizes = prod(scaling.input_shape), prod(scaling.feature_shape)
    return (
        WithShortcut(encoder, sizes[0], code_size, (code_size,), spec.candidates),
        WithShortcut(decoder, spec.latent_dim, sizes[1], scaling.feature_shape),
    )


def _front(spec: NetSpec, scaling: Scaling) -> tuple[list[nn.Module], tuple[int, ...], tuple[int, ...]]:
    """Return convolutions before the encoder, and the shape and the hidden layers of what follows them."""
    if not spec.front:
        return [], scaling.input_shape, spec.hidden
    layers, size = convolutions(scaling.input_shape, spec.front, ACTIVATIONS[spec.activation])
    return layers, (size,), spec.hidden[1:]


def _prove_shapes(net: AutoencoderNet) -> None:
    """Run two blank records through the network; whatever goes in must come out in the same shape."""
    device = net.scaling.center.device
    raw = torch.zeros((2, *net.scaling.raw_shape), device=device)
    training = net.training
    net.eval()
    with torch.no_grad(), OperationCounter() as counter:
        inputs = net.scaling.inputs(raw)
        code = _run(net.encoder, inputs, "encoder")
        if tuple(code.shape) != (2, net.encoded_size):
            raise ParameterError(
                f"the encoder gives an output of shape {tuple(code.shape)} for an input of shape "
                f"{tuple(inputs.shape)}; it must be (2, {net.encoded_size}) for latent_dim={net.latent_dim}"
                + (" (means and log-variances)" if net.variational else "")
            )
        outputs = _run(net.decoder, code[:, : net.latent_dim], "decoder")
        if tuple(outputs.shape) != (2, *net.scaling.feature_shape):
            raise ParameterError(
                f"the decoder gives an output of shape {tuple(outputs.shape)}; it must be "
                f"(2, {', '.join(map(str, net.scaling.feature_shape))}), the shape of two inputs"
            )
    net.operations = counter.total // len(raw)
    net.train(training)


def _run(half: nn.Module, inputs: torch.Tensor, name: str) -> torch.Tensor:
    try:
        outputs: torch.Tensor = half(inputs)
    except (RuntimeError, ValueError, TypeError) as error:
        reason = (str(error).splitlines() or [type(error).__name__])[0]
        raise ParameterError(f"the {name} cannot take an input of shape {tuple(inputs.shape)}: {reason}") from error
    return outputs


def _check_bounds(spec: NetSpec) -> None:
    whole = [*spec.raw_shape, *spec.hidden, *spec.front, spec.latent_dim]
    counts = [*spec.n_categories, *spec.flags]
    names = [spec.activation, spec.latent_activation, spec.output_activation]
    flags = [spec.normalise, spec.variational, spec.unit, spec.exact, spec.shortcut]
    sound = (
        spec.kind in ("dense", "conv", "custom")
        and all(type(size) is int and 1 <= size <= _WIDEST_LAYER for size in whole)
        and all(type(count) is int and 0 <= count <= _WIDEST_LAYER for count in counts)
        and 1 <= len(spec.raw_shape) <= 3
        and len(spec.hidden) + len(spec.front) <= _MOST_LAYERS
        and prod(spec.raw_shape) * max(*spec.hidden, *spec.front, spec.latent_dim, 1) ** 2 <= _MOST_WEIGHTS
        and all(type(name) is str and name in ACTIVATIONS for name in names)
        and all(type(flag) is bool for flag in flags)
        and (len(spec.raw_shape) > 1 or len(spec.n_categories) == spec.raw_shape[0])
        and all(place < spec.raw_shape[0] for place in spec.flags)
        and (not spec.front or (spec.kind == "dense" and len(spec.raw_shape) > 1))
        and type(spec.candidates) is int
        and 0 <= spec.candidates <= _MOST_CANDIDATES
        and not (
            spec.candidates and (spec.kind == "custom" or spec.variational or spec.latent_activation != "identity")
        )
    )
    if not sound:
        raise ParameterError("the description of the network is out of bounds")
