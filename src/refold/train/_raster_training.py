"""Networks that tell the next pixel of a small picture from those before it: a loop of their own.

The inputs of a chunk of pictures are made by the same walk that coding takes, shuffled and learned in batches; what
is kept is a running mean of the weights, the best one by pictures that were held out. Towards the end weights are
rounded in the forward pass as they will be when they are whole numbers (straight-through gradients), so that few bits
a weight suffice.
"""

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.nn import functional

from refold.codec import (
    RASTER_PARTS,
    TALLIES,
    IntegerLayer,
    IntegerNet,
    LearnedRaster,
    RasterContext,
    integer_net,
    walked,
)

Array = NDArray[Any]

_AT_ONCE = 1_600_000  # pixels of a chunk, whose inputs are in memory
_HELD_OUT = 1000  # pictures at most, and no more than a tenth
_FEW = 4  # of pixels far from others, one in so many is learned
_STEPS = 400  # in an epoch, if the batches need not be smaller than the least or larger than the most
_LEAST_BATCH, _MOST_BATCH = 512, 4096
_INPUT = 1 / 255  # what a step of an input stands for
_WARM = 200  # steps
_ROUNDED = 0.35  # of the steps, the last ones
_MEAN = 0.998  # of the running mean, what stays in a step
# pixels at least, epochs, units of the hidden layers: larger networks would take more bytes than they save
_DEFAULTS: tuple[tuple[int, int, tuple[int, ...]], ...] = (
    (5_000_000, 3, (128, 128, 64)),
    (1_000_000, 12, (64, 64, 32)),
    (250_000, 20, (32, 32)),
    (0, 40, (16, 16)),
)
_MEASURED = 20_000  # pixels by which numbers between layers are scaled
_QUARTER = 4  # tables hold logits in quarters of a nat


@dataclass(frozen=True)
class RasterPlan:
    """How a way of coding pictures is learned.

    Parameters
    ----------
    epochs : int
        Passes over the pictures, at most.
    hidden : tuple of int
        Units of the hidden layers.
    bits : int
        Of a weight, 3 to 8.
    rate : float
        Step size at its largest; it falls as a cosine.
    patience : int
        Passes without a gain on pictures held out, after which it ends.
    """

    epochs: int
    hidden: tuple[int, ...]
    bits: int = 5
    rate: float = 2e-3
    patience: int = 6

    @staticmethod
    def default(pixels: int) -> "RasterPlan":
        """Return a plan for so many pixels in all."""
        return next(RasterPlan(epochs, hidden) for least, epochs, hidden in _DEFAULTS if pixels >= least)


@dataclass(frozen=True)
class _Chunk:
    """Pixels whose window is not all zero: inputs (n, k), levels (n,), how many pixels each stands for (n,)."""

    inputs: Tensor
    levels: Tensor
    counts: Tensor
    tallies: Tensor  # of those that are not zero
    rank: Tensor  # of a pixel among those that are not zero


class _Blank:
    """Counts of pixels whose window is all zero."""

    def __init__(self, context: RasterContext) -> None:
        self._seen = np.zeros((len(context.steps), 2, 2))  # before and after the first ink; zero or not
        self._first = np.zeros(context.levels)

    def note(self, number: int, inked: Array, levels: Array) -> None:
        cells = np.bincount(2 * inked.astype(np.intp) + (levels > 0), minlength=4)
        self._seen[number] += cells.reshape(2, 2)
        self._first += np.bincount(levels, minlength=len(self._first))

    def logits(self) -> tuple[Array, Array]:
        """Return logits of a pixel not being zero, and of its level."""
        no, yes = self._seen[..., 0], self._seen[..., 1]
        overall = (yes.sum() + 0.5) / (self._seen.sum() + 1)
        likely = np.log((yes + 0.5 * overall) / (no + 0.5 * (1 - overall)))
        levels = self._first[1:] + 0.5 * self._first[1:].sum() / len(self._first) + 1e-3
        return _quarters(np.clip(likely, -11, 11)), _quarters(np.log(levels / levels.max()))


class _Net(nn.Module):
    def __init__(self, inputs: int, hidden: tuple[int, ...], levels: int) -> None:
        super().__init__()
        sizes = (inputs, *hidden)
        body = [nn.Linear(before, after) for before, after in zip(sizes, hidden, strict=False)]
        self.some = nn.Linear(sizes[-1], 1)
        self.level = nn.Linear(sizes[-1], levels - 1 + TALLIES - 1)
        for layer in body:
            nn.init.kaiming_normal_(layer.weight, nonlinearity="relu")
            nn.init.zeros_(layer.bias)
        nn.init.zeros_(self.level.weight)
        self.stack = nn.ModuleList([*body, self.some, self.level])

    @property
    def layers(self) -> list[nn.Linear]:
        """Hidden layers, then the two heads."""
        return [layer for layer in self.stack if isinstance(layer, nn.Linear)]

    def loss(self, chunk: _Chunk, rows: Tensor, bits: int | None) -> Tensor:
        """Return the nats of pixels `rows`; weights have so many bits, or are not rounded."""
        hidden = self._hidden(chunk.inputs.index_select(0, rows), bits)
        levels, counts = chunk.levels[rows], chunk.counts[rows]
        inked = torch.nonzero(levels)[:, 0]
        some = _linear(hidden, self.some, bits)[:, 0].float()
        loss = functional.binary_cross_entropy_with_logits(some, (levels > 0).float(), counts, reduction="sum")
        if len(inked):
            tallies = chunk.tallies.index_select(0, chunk.rank[rows[inked]])
            logits = self._logits(hidden.index_select(0, inked), tallies, bits)
            each = functional.cross_entropy(logits, levels[inked] - 1, reduction="none")
            loss = loss + (each * counts[inked]).sum()
        return loss

    def _hidden(self, inputs: Tensor, bits: int | None) -> Tensor:
        flowing = inputs.to(torch.bfloat16)
        for number, layer in enumerate(self.layers[:-2]):
            flowing = torch.relu(_linear(flowing, layer, bits, 1.0 if number else _INPUT))
        return flowing

    def _logits(self, hidden: Tensor, tallies: Tensor, bits: int | None) -> Tensor:
        answers = _linear(hidden, self.level, bits).float()
        levels = tallies.shape[1]
        repeated = functional.pad(answers[:, levels:], (1, 0))
        return answers[:, :levels] + repeated.gather(1, tallies.long())


def learn_raster(
    images: Array,
    *,
    seed: int = 0,
    plan: RasterPlan | None = None,
    tell: Callable[[float, float], None] | None = None,
) -> LearnedRaster:
    """Return a way of coding pictures like these.

    Parameters
    ----------
    images : ndarray, (n, rows, columns[, channels]), integer
        Two pictures or more with pixels of 0 to 255, not all of them zero.
    seed : int
        Of all that is drawn.
    plan : RasterPlan, optional
        How it is learned; by default as long and with as many units as the pictures deserve.
    tell : callable, optional
        Is told, after every chunk, the share done and the bits a pixel of that chunk.

    Returns
    -------
    LearnedRaster
        The way; what it costs is to be measured on other pictures.
    """
    plan = plan or RasterPlan.default(images.size)
    context = RasterContext.of(images)
    levels = context.level_of(images.reshape(len(images), -1).astype(np.uint8))
    generator = np.random.default_rng(seed)
    torch.manual_seed(seed)
    levels = levels[generator.permutation(len(levels))]
    held, blank = min(len(levels) // 10, _HELD_OUT, _pictures_at_once(context)), _Blank(context)
    judge = _chunk(context, levels[: max(held, 1)], generator, _Blank(context))
    net = _Net(judge.inputs.shape[1], plan.hidden, context.levels)
    _begin(net, judge, context)
    _Training(net, context, plan, judge, blank, generator, tell).run(levels[held:])
    return frozen(net, context, plan.bits, judge, blank)


class _Training:
    def __init__(
        self,
        net: _Net,
        context: RasterContext,
        plan: RasterPlan,
        judge: _Chunk,
        blank: _Blank,
        generator: np.random.Generator,
        tell: Callable[[float, float], None] | None,
    ) -> None:
        self._net, self._context, self._plan, self._judge = net, context, plan, judge
        self._blank, self._generator, self._tell = blank, generator, tell
        self._optimizer = torch.optim.Adam(net.parameters(), lr=plan.rate, betas=(0.9, 0.99))
        self._mean = {name: value.clone() for name, value in net.state_dict().items()}
        self._done = 0

    def run(self, levels: Array) -> None:
        """Learn, and leave the best mean in the network."""
        best, kept, since = math.inf, dict(self._mean), 0
        for epoch in range(self._plan.epochs):
            for begin in range(0, len(levels), _pictures_at_once(self._context)):
                self._learn(levels, epoch, begin)
            judged = self._judged()
            if judged < best:
                best, kept, since = judged, {name: value.clone() for name, value in self._mean.items()}, 0
            else:
                since += 1
            if since >= self._plan.patience:
                break
            levels = levels[self._generator.permutation(len(levels))]
        self._net.load_state_dict(kept)

    def _learn(self, levels: Array, epoch: int, begin: int) -> None:
        """Learn from a chunk; the step size depends on how much of everything was seen."""
        at_once = _pictures_at_once(self._context)
        chunk = _chunk(self._context, levels[begin : begin + at_once], self._generator, self._blank)
        order = torch.from_numpy(self._generator.permutation(len(chunk.levels)))
        part = min(at_once, len(levels) - begin) / len(levels)
        size = int(np.clip(len(order) / part / _STEPS, _LEAST_BATCH, _MOST_BATCH))
        batches, nats = torch.split(order, size) if len(order) else (), 0.0
        for number, rows in enumerate(batches):
            share = (epoch + begin / len(levels) + part * number / len(batches)) / self._plan.epochs
            nats += self._step(chunk, rows, share)
        if self._tell:
            self._tell(
                (epoch + begin / len(levels) + part) / self._plan.epochs, nats / math.log(2) / (part * len(levels))
            )

    def _step(self, chunk: _Chunk, rows: Tensor, share: float) -> float:
        warm = min(1.0, (self._done + 1) / _WARM)
        self._optimizer.param_groups[0]["lr"] = self._plan.rate * warm * (0.505 + 0.495 * math.cos(math.pi * share))
        loss = self._net.loss(chunk, rows, self._plan.bits if share > 1 - _ROUNDED else None)
        self._optimizer.zero_grad(set_to_none=True)
        torch.autograd.backward(loss / chunk.counts[rows].sum())
        self._optimizer.step()
        self._done += 1
        fresh = 1 - min(_MEAN, self._done / (self._done + 9))
        with torch.no_grad():
            for name, value in self._net.state_dict().items():
                self._mean[name].lerp_(value, fresh)
        return float(loss.detach())

    def _judged(self) -> float:
        """Return the nats that pixels held out take with the mean weights."""
        now = {name: value.clone() for name, value in self._net.state_dict().items()}
        self._net.load_state_dict(self._mean)
        rows = torch.split(torch.arange(len(self._judge.levels)), _MOST_BATCH)
        with torch.no_grad():
            nats = sum(float(self._net.loss(self._judge, part, self._plan.bits)) for part in rows)
        self._net.load_state_dict(now)
        return nats


def _pictures_at_once(context: RasterContext) -> int:
    return max(1, _AT_ONCE // len(context.steps))


def _chunk(context: RasterContext, levels: Array, generator: np.random.Generator, blank: _Blank) -> _Chunk:
    """Return what is seen before every pixel near others, and before one in `_FEW` of those that are not."""
    inputs, found, tallies, counts = [], [], [], []
    levels = levels.astype(np.int64)
    for number, step, walk in walked(context, levels):
        near, active = walk.near(step), walk.active(step)
        standing = np.where(near, 1, np.where(generator.random(len(near)) < 1 / _FEW, _FEW, 0))
        at = np.flatnonzero(active & (standing > 0))
        inputs.append(walk.inputs(step, at))
        counts.append(standing[at])
        found.append((levels[at, number] - walk.guessed(step, at)) % context.levels)
        tallies.append(walk.tallies[at[found[-1] > 0], 1:])
        blank.note(number, walk.inked()[~active], levels[~active, number])
    targets = torch.from_numpy(np.concatenate(found))
    return _Chunk(
        torch.from_numpy(np.concatenate(inputs)),
        targets,
        torch.from_numpy(np.concatenate(counts)).float(),
        torch.from_numpy(np.concatenate(tallies)),
        torch.cumsum(targets > 0, 0) - 1,
    )


def _begin(net: _Net, chunk: _Chunk, context: RasterContext) -> None:
    """Begin with what is likely everywhere."""
    counted = torch.bincount(chunk.levels, minlength=context.levels).float() + 0.5
    with torch.no_grad():
        net.some.bias.copy_(torch.log(counted[1:].sum() / counted[0]))
        net.level.bias[: context.levels - 1] = torch.log(counted[1:] / counted[1:].sum())


def frozen(net: _Net, context: RasterContext, bits: int, chunk: _Chunk, blank: _Blank) -> LearnedRaster:
    """Return the way, in whole numbers; what flows between layers is scaled for the pixels of `chunk`."""
    inputs = chunk.inputs.numpy()[:: max(1, len(chunk.inputs) // _MEASURED)]
    inputs = inputs if len(inputs) else np.zeros((1, inputs.shape[1]), inputs.dtype)
    weights = [layer.weight.detach().double().numpy().T for layer in net.layers]
    biases = [layer.bias.detach().double().numpy() for layer in net.layers]
    heads = [np.concatenate(both, -1) for both in (weights[-2:], biases[-2:])]
    whole = integer_net(
        [weights[0] * _INPUT, *weights[1:-2], heads[0]], [*biases[:-2], heads[1]], inputs, 1 / RASTER_PARTS, bits=bits
    )
    *body, last = whole.layers
    some, level = (
        IntegerLayer(last.weight[:, at], last.bias[at], last.scale[at]) for at in (slice(1), slice(1, None))
    )
    return LearnedRaster(context, IntegerNet(tuple(body)), IntegerNet((some,)), IntegerNet((level,)), *blank.logits())


def _linear(inputs: Tensor, layer: nn.Linear, bits: int | None, scale: float = 1.0) -> Tensor:
    weight = layer.weight if bits is None else _rounded(layer.weight, bits)
    return functional.linear(inputs, (weight * scale).to(torch.bfloat16), layer.bias.to(torch.bfloat16))


def _rounded(weight: Tensor, bits: int) -> Tensor:
    """Return weights (m, k) as whole numbers will have them, with the gradients of those that are not rounded."""
    exact = weight.detach()
    fine = ((1 << (bits - 1)) - 1) / exact.abs().amax(1, keepdim=True).clamp_min(1e-12)
    return weight + (torch.round(exact * fine) / fine - exact)


def _quarters(logits: Array) -> Array:
    return np.asarray(np.rint(logits * _QUARTER), np.int64)
