"""Training a code of whole numbers for few bits and small errors together, and turning it into whole numbers.

An autoencoder's code is rounded, and a model of the numbers, each from those before it, says what they cost: the
loss is the squared error and, at some price, the bits (Balle et al. 2017, arXiv 1611.01704; noise in place of
rounding for the bits, rounding with straight gradients for the error: Minnen and Singh 2020, arXiv 2007.08739). The
price is steered towards what is asked for, by what records held out cost.
"""

from dataclasses import dataclass
from itertools import pairwise
from math import cos, exp, log, pi
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.nn import functional

from refold.codec import (
    LEAST_WIDTH,
    MEAN_PARTS,
    MOST_SYMBOLS,
    MOST_WIDTH,
    SHARE_PARTS,
    WIDTH_PARTS,
    Encoder,
    IntegerNet,
    LearnedCode,
    integer_net,
)
from refold.train._optimizers import AdamW
from refold.train._placement import with_threads
from refold.train._working_bar import Told

Array = NDArray[Any]

_PRICE = 0.025  # of a bit at first, in shares of the variance lost
_STEER_FROM, _STEER_BY = 0.3, 0.02
_TUNED_ON = 500  # records held out
_MIXED = 2  # logistic distributions a number
_FIRST_WIDTH = -0.7  # of a logistic distribution, a natural logarithm in gains


@dataclass(frozen=True)
class CodeTrainingPlan:
    """How large and how long.

    Parameters
    ----------
    size : int
        Numbers of a code; those that do not pay end as constants and are dropped.
    encoder, decoder : tuple of int
        Hidden widths.
    context : int
        Hidden width of the small networks that foretell a number from those before it.
    steps, batch_size : int
    rate : float
        Highest learning rate.
    weight_decay : float
    gain : float
        Steps a number spans at first.
    held_out : float
        Share of the records that steer and are not learned.
    frozen : float
        Share of the steps, the last, in which the codes stay and only what decodes them learns.
    """

    size: int
    encoder: tuple[int, ...] = (512, 512)
    decoder: tuple[int, ...] = (256, 512)
    context: int = 32
    steps: int = 8_000
    batch_size: int = 512
    rate: float = 2e-3
    weight_decay: float = 1e-2
    gain: float = 4.0
    held_out: float = 0.05
    frozen: float = 0.2


def learn_code(
    records: Array,
    seed: int,
    bytes_per_sample: float | None = None,
    quality: float | None = None,
    listener: Told | None = None,
    plan: CodeTrainingPlan | None = None,
) -> LearnedCode:
    """Learn a code for records like these.

    Parameters
    ----------
    records : ndarray, (n, *shape)
        Whole numbers come back as whole numbers, in their dtype; others as floats, in theirs. Every value weighs the
        same: columns of different units must be standardised before.
    seed : int
    bytes_per_sample : float, optional
        Bytes that a record's code shall take on average.
    quality : float, optional
        Share of the variance, over all values around their means over the records, that shall be kept: 0 to 1.
        Exactly one of the two must be given.
    listener : callable, optional
        Told of steps done and steps in all.
    plan : CodeTrainingPlan, optional
        By default made for the records.
    """
    flat = torch.from_numpy(np.ascontiguousarray(records.reshape(len(records), -1)))
    target = _Target(bytes_per_sample, None if quality is None else 1 - quality)
    with with_threads(1), torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        training = _Training(flat, target, plan or default_code_plan(flat, target), seed)
        training.run(listener)
        code = training.code(records.shape[1:], records.dtype)
    held = records[training.held_places[:_TUNED_ON].numpy()]
    if bytes_per_sample is not None:
        return code.tuned(held, bytes_per_sample=bytes_per_sample)
    return code.tuned(held, squared_error=target.lost * training.spread**2)


@dataclass(frozen=True)
class _Target:
    """What is steered to: bytes a record, or a share of the variance lost."""

    byte_count: float | None
    lost: float | None

    def missed(self, byte_count: float, lost: float) -> float:
        """Return by how much a bit should cost more, as a natural logarithm."""
        if self.lost is not None:
            return 2 * log(self.lost / max(lost, 1e-9))
        assert self.byte_count is not None
        return log(max(byte_count, 1e-3) / self.byte_count)


def default_code_plan(records: Tensor, target: _Target) -> CodeTrainingPlan:
    """Return a plan for records (n, d)."""
    count, values = records.shape
    size = min(values, 32)
    steps = int(min(max(count / 5, 3_000), 9_000))
    return CodeTrainingPlan(size, steps=steps, batch_size=min(512, max(16, count // 4)))


class _Chances(nn.Module):
    """For every number of a code a small network from those before it to a mixture of logistic distributions."""

    def __init__(self, size: int, width: int) -> None:
        super().__init__()
        self.size, self.width = size, width
        self.first = nn.Parameter(torch.randn(size, size, width) * (2 / size) ** 0.5)
        self.first_bias = nn.Parameter(torch.zeros(size * width))
        self.second = nn.Parameter(torch.randn(size, width, 3 * _MIXED) * 0.3 / width**0.5)
        bias = torch.zeros(size, 1, 3 * _MIXED)
        bias[:, :, :_MIXED] = torch.linspace(-0.5, 0.5, _MIXED)
        bias[:, :, _MIXED : 2 * _MIXED] = _FIRST_WIDTH
        self.second_bias = nn.Parameter(bias)
        self.register_buffer("before", torch.ones(size, size).triu(1)[:, :, None])

    def forward(self, codes: Tensor) -> Tensor:
        """Return means, logarithms of widths and of shares, (n, k, 3 m), of codes (n, k) in gains."""
        hidden = functional.relu(codes @ (self.first * self.before).reshape(self.size, -1) + self.first_bias)
        hidden = hidden.reshape(-1, self.size, self.width).transpose(0, 1)
        return (torch.bmm(hidden, self.second) + self.second_bias).transpose(0, 1).float()


class _CodeNet(nn.Module):
    """Encoder, decoder and chances; codes are whole numbers, of which `gain` are a unit of the networks."""

    def __init__(self, values: int, plan: CodeTrainingPlan) -> None:
        super().__init__()
        self.encoder = _dense((values, *plan.encoder, plan.size))
        self.decoder = _dense((plan.size, *plan.decoder, values))
        self.chances = _Chances(plan.size, plan.context)
        self.log_gain = nn.Parameter(torch.full((plan.size,), log(plan.gain)))

    def numbers(self, scaled: Tensor) -> Tensor:
        """Return what rounding makes a code of."""
        return self.encoder(scaled).float() * self.log_gain.exp()

    def rebuilt(self, codes: Tensor) -> Tensor:
        return self.decoder(codes / self.log_gain.exp()).float()

    def bits(self, codes: Tensor) -> Tensor:
        """Return what codes (n, k) cost, (n,)."""
        gain = self.log_gain.exp()
        means, widths, shares = self.chances(codes / gain).split(_MIXED, -1)
        widths = (widths + self.log_gain[:, None]).clamp(LEAST_WIDTH, MOST_WIDTH)
        away, narrow = codes[..., None] - means * gain[:, None], (-widths).exp()
        chances = torch.sigmoid((away + 0.5) * narrow) - torch.sigmoid((away - 0.5) * narrow)
        chance = (functional.softmax(shares, -1) * chances).sum(-1)
        return -torch.log2(chance + 2e-5).sum(-1)


def _dense(sizes: tuple[int, ...]) -> nn.Sequential:
    layers: list[nn.Module] = []
    for number, (inner, outer) in enumerate(pairwise(sizes)):
        linear = nn.Linear(inner, outer)
        last = number == len(sizes) - 2
        nn.init.kaiming_normal_(linear.weight, nonlinearity="linear" if last else "relu")
        nn.init.zeros_(linear.bias)
        layers += [linear] if last else [linear, nn.ReLU()]
    return nn.Sequential(*layers)


class _Training:
    def __init__(self, records: Tensor, target: _Target, plan: CodeTrainingPlan, seed: int) -> None:
        self.plan, self.target = plan, target
        self.random = torch.Generator().manual_seed(seed)
        order = torch.randperm(len(records), generator=self.random)
        held = min(max(int(len(records) * plan.held_out), 16), 1_000, len(records) // 3)
        self.records, self.learned = records, order[held:]
        sample = records[order[:20_000]].double()
        self.mean = sample.mean(0)
        self.spread = float((sample - self.mean).square().mean().sqrt().clamp(min=1e-9))
        self.mean = self.mean.float()
        self.held_places = order[:held]
        self.held = self._scaled(self.held_places)
        self.net = _CodeNet(records.shape[1], plan)
        weights = list(self.net.parameters())
        self.optimizers = [
            AdamW([weight for weight in weights if weight.ndim > 1], plan.weight_decay),
            AdamW([weight for weight in weights if weight.ndim <= 1], 0.0),
        ]
        self.log_price = log(_PRICE * (0.1 if target.lost is None else target.lost))

    def _scaled(self, places: Tensor) -> Tensor:
        return (self.records[places].float() - self.mean) / self.spread

    def run(self, listener: Told | None) -> None:
        steps = self.plan.steps
        frozen = steps - int(steps * self.plan.frozen)
        for step in range(steps):
            if step == frozen:
                self._freeze()
            rate = self.plan.rate * min(1, (step + 1) / 100) * max((1 + cos(pi * step / steps)) / 2, 0.005)
            with torch.autocast("cpu", torch.bfloat16):
                loss = self._frozen_loss() if step >= frozen else self._loss()
            loss.backward()  # type: ignore[no-untyped-call]
            for optimizer in self.optimizers:
                optimizer.step(rate)
            if step % 25 == 24:
                self._steer(step / steps, step < frozen)
                if listener is not None:
                    listener(step + 1, steps)

    def _drawn(self) -> Tensor:
        return torch.randint(len(self.learned), (self.plan.batch_size,), generator=self.random)

    def _loss(self) -> Tensor:
        scaled = self._scaled(self.learned[self._drawn()])
        numbers = self.net.numbers(scaled)
        noise = torch.rand(numbers.shape, generator=self.random) - 0.5
        rebuilt = self.net.rebuilt(numbers + (numbers.round() - numbers).detach())
        return functional.mse_loss(rebuilt, scaled) + exp(self.log_price) * self.net.bits(numbers + noise).mean()

    @torch.no_grad()
    def _freeze(self) -> None:
        """From here codes and gains stay."""
        for weight in (*self.net.encoder.parameters(), self.net.log_gain):
            weight.requires_grad_(False)
        self.codes = self._codes(self.learned)

    def _codes(self, places: Tensor) -> Tensor:
        with torch.no_grad(), torch.autocast("cpu", torch.bfloat16):
            return torch.cat([self.net.numbers(self._scaled(part)).round() for part in places.split(4_096)])

    def _frozen_loss(self) -> Tensor:
        drawn = self._drawn()
        codes = self.codes[drawn]
        error = functional.mse_loss(self.net.rebuilt(codes), self._scaled(self.learned[drawn]))
        return error + exp(self.log_price) * self.net.bits(codes).mean()

    @torch.no_grad()
    def _steer(self, done: float, steers: bool) -> None:
        with torch.autocast("cpu", torch.bfloat16):
            codes = self.net.numbers(self.held).round()
            lost = float(functional.mse_loss(self.net.rebuilt(codes), self.held))
            byte_count = float(self.net.bits(codes).mean()) / 8
        self.found = byte_count, lost
        if steers and (done > _STEER_FROM or self.target.lost is None):
            self.log_price += _STEER_BY * max(-1.0, min(1.0, self.target.missed(byte_count, lost)))

    def code(self, shape: tuple[int, ...], dtype: np.dtype[Any]) -> LearnedCode:
        """Return what was learned, in whole numbers."""
        with torch.no_grad():
            return self._code(shape, dtype)

    def _code(self, shape: tuple[int, ...], dtype: np.dtype[Any]) -> LearnedCode:
        codes = self.codes.numpy().astype(np.int64)
        least, most = codes.min(0), codes.max(0)
        middle = np.rint(np.median(codes, axis=0)).astype(np.int64)
        least = np.maximum(least, middle - MOST_SYMBOLS // 2 + 1)
        most = np.minimum(most, middle + MOST_SYMBOLS // 2 - 1)
        codes = np.clip(codes, least, most)
        kept = np.flatnonzero(most > least)
        gone = np.flatnonzero(most == least)
        gain = self.net.log_gain.exp().double().numpy()
        whole = np.issubdtype(dtype, np.integer)
        low, high = float(self.records.min()), float(self.records.max())
        scale = 1.0 if whole else self.spread * self.found[1] ** 0.5 / 16
        levels = int(np.ceil((high - low) / scale))
        weights, biases = _layers(self.net.decoder)
        first = weights[0] / gain[:, None]
        biases[0] = biases[0] + least[gone] @ first[gone]
        weights = [first[kept], *weights[1:]]
        weights[-1], biases[-1] = (
            weights[-1] * self.spread,
            biases[-1] * self.spread + self.mean.double().numpy() - low,
        )
        sample = codes[np.linspace(0, len(codes) - 1, min(len(codes), 20_000)).astype(int)]
        reach = int(max(np.abs(least).max(), np.abs(most).max(), 1))
        decoder = integer_net(weights, biases, sample[:, kept], scale, most=reach)
        chances = tuple(
            self._chance(place, number, kept, gone, least, gain, sample, reach) for number, place in enumerate(kept)
        )
        return LearnedCode(
            tuple(shape),
            dtype.str,
            least[kept],
            most[kept],
            decoder,
            chances,
            low,
            scale,
            levels,
            exp(self.log_price) * (self.spread / scale) ** 2 * self.records.shape[1],
            self._encoder(kept, gain),
        )

    def _encoder(self, kept: Array, gain: Array) -> Encoder:
        weights, biases = _layers(self.net.encoder)
        biases[0] = biases[0] - self.mean.double().numpy() @ weights[0] / self.spread
        weights[0] = weights[0] / self.spread
        weights[-1], biases[-1] = (weights[-1] * gain)[:, kept], (biases[-1] * gain)[kept]
        return Encoder(
            tuple(weight.astype(np.float32) for weight in weights), tuple(bias.astype(np.float32) for bias in biases)
        )

    def _chance(
        self, place: int, number: int, kept: Array, gone: Array, least: Array, gain: Array, sample: Array, reach: int
    ) -> IntegerNet:
        chances, width = self.net.chances, self.plan.context
        first = chances.first[:, place].double().numpy() / gain[:, None]
        bias = chances.first_bias[place * width : (place + 1) * width].double().numpy()
        unmade = gone[gone < place]
        bias = bias + least[unmade] @ first[unmade]
        before = kept[:number]
        inputs = sample[:, before] if number else np.zeros((len(sample), 1), np.int64)
        first = first[before] if number else np.zeros((1, width))
        second, last = chances.second[place].double().numpy(), chances.second_bias[place, 0].double().numpy()
        units = np.repeat([MEAN_PARTS * gain[place], WIDTH_PARTS, SHARE_PARTS], _MIXED)
        shift = np.repeat([0, np.log(gain[place]), 0], _MIXED)
        return integer_net([first, second * units], [bias, (last + shift) * units], inputs, 1.0, most=reach)


def _layers(net: nn.Sequential) -> tuple[list[Array], list[Array]]:
    linear = [layer for layer in net if isinstance(layer, nn.Linear)]
    weights = [layer.weight.double().numpy().T for layer in linear]
    return weights, [layer.bias.double().numpy() for layer in linear]
