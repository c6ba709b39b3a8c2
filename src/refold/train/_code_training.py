"""Training a code of whole numbers for few bits and small errors together, and turning it into whole numbers.

An autoencoder's code is rounded, and a model of the numbers, each from those before it, says what they cost: the
loss is the squared error and, at some price, the bits (Balle et al. 2017, arXiv 1611.01704; noise in place of
rounding for the bits, rounding with straight gradients for the error: Minnen and Singh 2020, arXiv 2007.08739). The
price is steered towards what is asked for, by what records held out cost.
"""

from dataclasses import dataclass, replace
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
from refold.train._machine import this_machine
from refold.train._optimizers import AdamW, Muon, Optimizer
from refold.train._placement import with_threads
from refold.train._working_bar import Told

Array = NDArray[Any]

_PRICE = 0.018  # of a bit at first, in shares of the variance lost
_FOUND_LATER = 1.1  # what is lost now in parts of what will be, after the search for better codes
_FEW, _MANY = 1_000, 10_000  # records
_FIRST_LOST = 0.1  # where bytes are asked for
_MOST_LEVELS = 1 << 16  # of values
_LEAST_HELD, _MOST_HELD = 64, 1_000
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
    steered_from : float
        Share of the steps after which the price of a bit is steered, where a quality is asked for.
    steered_by : float
        By how much the logarithm of the price changes at once, at most.
    """

    size: int
    encoder: tuple[int, ...] = (512, 512)
    decoder: tuple[int, ...] = (256, 512)
    context: int = 32
    steps: int = 3_600
    batch_size: int = 512
    rate: float = 5e-3
    weight_decay: float = 1e-2
    gain: float = 1.5
    held_out: float = 0.05
    frozen: float = 0.1
    steered_from: float = 0.4
    steered_by: float = 0.02


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
    if (bytes_per_sample is None) == (quality is None):
        raise ValueError("ask for bytes_per_sample or for a quality, and not for both")
    if quality is not None and not 0 < quality < 1:
        raise ValueError(f"quality is the share of the variance that is kept, above 0 and below 1, not {quality}")
    if bytes_per_sample is not None and not bytes_per_sample > 0:
        raise ValueError(f"bytes_per_sample must be above 0, not {bytes_per_sample}")
    kind = np.uint8 if records.dtype == np.uint8 else np.float32
    flat = torch.from_numpy(np.ascontiguousarray(records.reshape(len(records), -1), kind))
    target = _Target(bytes_per_sample, None if quality is None else 1 - quality)
    plans = (plan,) if plan else default_code_plans(flat)
    found = []
    for number, chosen in enumerate(plans):
        with with_threads(1), torch.random.fork_rng(devices=[]):
            torch.manual_seed(seed)
            training = _Training(flat, target, chosen, seed)
            training.run(_part_of(listener, number, len(plans)))
            code = training.code(records.shape[1:], records.dtype)
        found.append(_judged(code, training, records[training.held_places[:_TUNED_ON].numpy()]))
    return min(found, key=lambda judged: judged[0])[1]


def _part_of(listener: Told | None, number: int, count: int) -> Told | None:
    if listener is None:
        return None
    return lambda done, steps: listener(number * steps + done, count * steps)


def _judged(code: LearnedCode, training: "_Training", held: Array) -> tuple[float, LearnedCode]:
    """Return the code tuned to what is asked for, on records held out, and what is bad about it then."""
    target, owned = training.target, len(code.without_encoder().to_bytes()) / len(training.records)
    if target.lost is not None:
        code = code.tuned(held, squared_error=target.lost * training.spread**2)
        return float(code.bits(code.encode(held)).mean()) / 8 + owned, code
    code = code.tuned(held, bytes_per_sample=target.byte_count)
    wrong = code.decode(code.encode(held)).astype(np.float64) - held
    return float(np.square(wrong).mean()), code


@dataclass(frozen=True)
class _Target:
    """What is steered to: bytes a record, or a share of the variance lost."""

    byte_count: float | None
    lost: float | None

    def missed(self, byte_count: float, lost: float) -> float:
        """Return by how much a bit should cost more, as a natural logarithm."""
        if self.lost is not None:
            return 2 * log(_FOUND_LATER * self.lost / max(lost, 1e-9))
        assert self.byte_count is not None
        return log(max(byte_count, 1e-3) / self.byte_count)


def default_code_plans(records: Tensor) -> tuple[CodeTrainingPlan, ...]:
    """Return the plans worth trying for records (n, d): where there are few, a linear one beside a network."""
    count, values = records.shape
    large = CodeTrainingPlan(min(values, 32), steps=3_600)
    if count >= _MANY:
        return (large,)
    batch_size, width = min(256, max(16, count // 4)), 128 if count >= _FEW else 64
    small = replace(
        large,
        encoder=(width,),
        decoder=(width,),
        context=16 if count >= _FEW else 8,
        steps=2_000,
        batch_size=batch_size,
    )
    return small, replace(small, encoder=(), decoder=())


def _quicker() -> torch.autocast:
    """Return what computes in bfloat16 where that is faster."""
    return torch.autocast("cpu", torch.bfloat16, enabled="cpu" in this_machine().bfloat16_on)


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
        self.before: Tensor
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
        numbers: Tensor = self.encoder(scaled).float() * self.log_gain.exp()
        return numbers

    def rebuilt(self, codes: Tensor) -> Tensor:
        """Return what the decoder makes of codes."""
        rebuilt: Tensor = self.decoder(codes / self.log_gain.exp()).float()
        return rebuilt

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


def _linear_price(scaled: Tensor, lost: float) -> float:
    """Return what a bit buys, in shares of the variance, in a linear code of normal numbers that loses so much of it.

    Such a code spends bits only where a component varies more than some level ("reverse water-filling").
    """
    shares = torch.linalg.eigvalsh(scaled.T @ scaled).clamp(min=0)
    shares = shares / shares.sum().clamp(min=1e-12)
    low, high = 0.0, 1.0
    for _ in range(40):
        level = (low + high) / 2
        low, high = (level, high) if float(shares.clamp(max=level).sum()) < lost else (low, level)
    return 2 * log(2) * low


class _Training:
    def __init__(self, records: Tensor, target: _Target, plan: CodeTrainingPlan, seed: int) -> None:
        self.plan, self.target = plan, target
        self.random = torch.Generator().manual_seed(seed)
        order = torch.randperm(len(records), generator=self.random)
        held = min(max(int(len(records) * plan.held_out), _LEAST_HELD), _MOST_HELD, len(records) // 4)
        self.records, self.learned = records, order[held:]
        sample = records[order[:20_000]].double()
        self.mean = sample.mean(0)
        self.spread = float((sample - self.mean).square().mean().sqrt().clamp(min=1e-9))
        self.mean = self.mean.float()
        self.held_places = order[:held]
        self.held = self._scaled(self.held_places)
        self.net = _CodeNet(records.shape[1], plan)
        weights = list(self.net.parameters())
        matrices = [layer.weight for layer in self.net.modules() if isinstance(layer, nn.Linear)]
        others = [weight for weight in weights if not any(weight is matrix for matrix in matrices)]
        self.optimizers: list[Optimizer] = [
            Muon(matrices, plan.weight_decay),
            AdamW([weight for weight in others if weight.ndim > 1], plan.weight_decay),
            AdamW([weight for weight in others if weight.ndim <= 1], 0.0),
        ]
        lost = _FIRST_LOST if target.lost is None else target.lost
        self.log_price = log(max(_PRICE * lost, _linear_price((sample - self.mean) / self.spread, lost)))

    def _scaled(self, places: Tensor) -> Tensor:
        return (self.records[places].float() - self.mean) / self.spread

    def run(self, listener: Told | None) -> None:
        steps = self.plan.steps
        frozen = steps - int(steps * self.plan.frozen)
        for step in range(steps):
            if step == frozen:
                self._freeze()
            rate = self.plan.rate * min(1, (step + 1) / 100) * max((1 + cos(pi * step / steps)) / 2, 0.005)
            with _quicker():
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
        with torch.no_grad(), _quicker():
            return torch.cat([self.net.numbers(self._scaled(part)).round() for part in torch.split(places, 4_096)])

    def _frozen_loss(self) -> Tensor:
        drawn = self._drawn()
        codes = self.codes[drawn]
        error = functional.mse_loss(self.net.rebuilt(codes), self._scaled(self.learned[drawn]))
        return error + exp(self.log_price) * self.net.bits(codes).mean()

    @torch.no_grad()
    def _steer(self, done: float, steers: bool) -> None:
        with _quicker():
            codes = self.net.numbers(self.held).round()
            lost = float(functional.mse_loss(self.net.rebuilt(codes), self.held))
            byte_count = float(self.net.bits(codes).mean()) / 8
        self.found = byte_count, lost
        if steers and (done > self.plan.steered_from or self.target.lost is None):
            self.log_price += self.plan.steered_by * max(-1.0, min(1.0, self.target.missed(byte_count, lost)))

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
        if (most == least).all():
            most[0] += 1  # a number that is never used: a code has one at least
        kept = np.flatnonzero(most > least)
        gone = np.flatnonzero(most == least)
        gain = self.net.log_gain.exp().double().numpy()
        whole = np.issubdtype(dtype, np.integer)
        low, high = float(self.records.min()), float(self.records.max())
        scale = (
            1.0 if whole or low == high else max(self.spread * self.found[1] ** 0.5 / 16, (high - low) / _MOST_LEVELS)
        )
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
        order = list(enumerate(kept.tolist()))
        chances = tuple(
            self._chance(place, number, kept, gone, least, gain, sample, reach) for number, place in order
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
