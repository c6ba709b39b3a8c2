"""Several autoencoders of one shape, computed together as batched matrix products."""

from dataclasses import asdict, dataclass
from math import sqrt
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional

from refold._errors import ParameterError

_MOST_MEMBERS, _WIDEST = 64, 1 << 14


@dataclass(frozen=True)
class EnsembleSpec:
    """What decides the shape of an ensemble.

    Parameters
    ----------
    members : int
    width : int
        Units of the hidden layers.
    code : int
        Numbers of the code; it may be wider than a record where the noise of training keeps the network from
        passing records through.
    """

    members: int = 6
    width: int = 64
    code: int = 64

    def to_json(self) -> dict[str, Any]:
        """Return a description that JSON can hold."""
        return asdict(self)

    @classmethod
    def from_json(cls, description: dict[str, Any]) -> "EnsembleSpec":
        """Rebuild a specification; refuses sizes that no honest file has.

        Raises
        ------
        ParameterError
        """
        spec = cls(**description)
        limits = (("members", _MOST_MEMBERS), ("width", _WIDEST), ("code", _WIDEST))
        for name, most in limits:
            value = getattr(spec, name)
            if type(value) is not int or not 1 <= value <= most:
                raise ParameterError(f"{name} of an ensemble must be a whole number from 1 to {most}")
        return spec


class MemberLinear(nn.Module):
    """A linear layer for each member.

    Parameters
    ----------
    members, inputs, outputs : int
    gain : float
        Of the first weights, relative to those that keep the variance.
    """

    def __init__(self, members: int, inputs: int, outputs: int, gain: float = 1.0) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.randn(members, inputs, outputs) * (gain / sqrt(inputs)))
        self.bias = nn.Parameter(torch.zeros(members, 1, outputs))

    def forward(self, input: Tensor) -> Tensor:
        """Return (members, B, outputs) from (members, B, inputs)."""
        return torch.baddbmm(self.bias, input, self.weight)


class MemberBlock(nn.Module):
    """A residual block of every member: two layers with GELU between them, beside a straight path."""

    def __init__(self, members: int, width: int) -> None:
        super().__init__()
        self.first = MemberLinear(members, width, width)
        self.second = MemberLinear(members, width, width, gain=0.1)

    def forward(self, input: Tensor) -> Tensor:
        """Return (members, B, width)."""
        changed: Tensor = self.second(functional.gelu(self.first(input)))
        return input + changed


class Ensemble(nn.Module):
    """Mirrored autoencoders from what the encoder sees to the features, one for each member.

    Parameters
    ----------
    spec : EnsembleSpec
    inputs, outputs : int
        Values of a record before and after.
    """

    def __init__(self, spec: EnsembleSpec, inputs: int, outputs: int) -> None:
        super().__init__()
        members, width, code = spec.members, spec.width, spec.code
        self.members = members
        self.encoder = nn.Sequential(
            MemberLinear(members, inputs, width), MemberBlock(members, width), MemberLinear(members, width, code)
        )
        self.decoder = nn.Sequential(
            MemberLinear(members, code, width),
            MemberBlock(members, width),
            MemberLinear(members, width, outputs, gain=0.1),
        )

    def forward(self, input: Tensor) -> Tensor:
        """Return outputs (members, B, outputs) of inputs (members, B, inputs), or (B, inputs) for all members."""
        each = input if input.dim() == 3 else input.expand(self.members, *input.shape)
        outputs: Tensor = self.decoder(self.encoder(each))
        return outputs

    @property
    def operations(self) -> int:
        """Floating-point operations of one record's way through all members."""
        return 2 * sum(layer.weight.numel() for layer in self.modules() if isinstance(layer, MemberLinear))
