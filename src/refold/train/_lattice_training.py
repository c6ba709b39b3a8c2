"""Learn the network of `LearnedLattice` from fields: from rounded values, then from what the coder makes of them."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.nn.functional import softplus

from refold.codec import (
    CENTRE,
    DIFFERENCES,
    INPUTS,
    MOST_INPUT,
    MOST_SKIP,
    PARTS,
    SKIP_PARTS,
    BitWriter,
    Layout,
    LearnedLattice,
    Slice,
    as_slices,
    integer_net,
    look,
    shortened,
)

Array = NDArray[Any]

_HIDDEN = 32
_STEPS = (1500, 2000)  # of the first and the second training
_BATCH, _RATE = 2048, 5e-3
_MOST_PLACES = 600_000  # that are learned from; four times as many are looked at, the last ones
_SMOOTH = {1: -1 / 16, 0: 9 / 16}  # cubic interpolation: far, near


@dataclass(frozen=True)
class LatticePlan:
    """How long is trained, and how large the network is."""

    hidden: int = _HIDDEN
    steps: tuple[int, int] = _STEPS
    bits: tuple[int, ...] = (6, 7, 8)  # of a weight; the one that takes fewest bytes in all is taken
    batch: int = _BATCH


def learn_lattice(
    true: Array,
    known: Array,
    shift: int,
    seed: int,
    listener: Callable[[int, int], None] | None = None,
    plan: LatticePlan | None = None,
) -> LearnedLattice:
    """Return a way of coding fields like these, at steps like these.

    Parameters
    ----------
    true : ndarray, (n, ...), float64
        Values in units; slices follow one another along the first axis. Some must be known.
    known : ndarray, the same shape, bool
        Where there are values.
    shift : int
        A step is ``2**shift`` units.
    seed : int
        Of everything random.
    listener : callable, optional
        Is told the number of steps made and of all steps.
    plan : LatticePlan, optional
    """
    plan = LatticePlan() if plan is None else plan
    shape = as_slices(true.shape)
    last = slice(-max(3, 4 * _MOST_PLACES // max(1, shape[1] * shape[2])), None)
    known = known.reshape(shape)[last]
    true = np.where(known, true.reshape(shape)[last], 0.0)
    step = 1 << shift
    training = _Training(plan, seed, listener)
    examples = _examples(np.rint(true / step) * step, None, true, known, step, seed)
    training.prepare(examples)
    training.run(examples, plan.steps[0])
    way = training.whole(examples, max(plan.bits))
    found = way.code(BitWriter(), known, shift, true)
    examples = _examples(found.astype(np.float64), way, true, known, step, seed)
    training.run(examples, plan.steps[1])
    few = slice(0, max(1, _MOST_PLACES // max(1, known[0].size)))
    ways = [training.whole(examples, bits) for bits in plan.bits]
    return min(ways, key=lambda way: len(way.to_bytes()) + _length(way, known[few], shift, true[few]))


def _length(way: LearnedLattice, known: Array, shift: int, true: Array) -> int:
    writer = BitWriter()
    way.code(writer, known, shift, true)
    return len(writer.to_bytes())


@dataclass(frozen=True)
class _Examples:
    inputs: Tensor  # (n, INPUTS)
    differences: Tensor  # (n, DIFFERENCES), in local scales
    target: Tensor  # (n,) what is to be found, less the base, in local scales
    ratio: Tensor  # (n,) local scales to a step
    turned: Tensor  # (n,) 0 or 1

    def __len__(self) -> int:
        return len(self.target)


def _examples(found: Array, way: LearnedLattice | None, true: Array, known: Array, step: int, seed: int) -> _Examples:
    parts: list[tuple[Array, ...]] = []
    rng = np.random.default_rng(seed)
    share = min(1.0, _MOST_PLACES / max(1, int(known.sum())))
    before: tuple[Slice | None, Slice | None] = (None, None)
    layout = Layout(known[0])
    for number in range(len(found)):
        if not np.array_equal(known[number], layout.known):
            layout = Layout(known[number])
        now = Slice(layout, np.where(known[number], found[number], 0.0), np.zeros(layout.known.shape))
        aim = true[number].reshape(-1)
        for stage in layout.stages:
            for sight in look(stage, now, before, step):
                if way is not None:
                    centre, _ = way.expect(stage, sight, step)
                    sizes = np.abs(np.rint((aim[sight.places] - centre) / step))
                    now.sizes.reshape(-1)[sight.places] = np.minimum(sizes, 1 << 10)
                keep = np.flatnonzero(rng.random(len(sight.places)) < share) if share < 1 else slice(None)
                differences = np.clip(sight.differences[:, keep] / sight.scale[keep], -1e3, 1e3)
                target = (aim[sight.places] - sight.base)[keep] / sight.scale[keep]
                ratio = sight.scale[keep] / step
                turned = np.full(len(ratio), int(stage.turned))
                parts.append((sight.inputs.T[keep], differences.T, target, ratio, turned))
        before = (now, before[0])
    joined = [np.concatenate(column) for column in zip(*parts, strict=True)]
    tensors = [torch.from_numpy(np.ascontiguousarray(column, np.float32)) for column in joined[:4]]
    return _Examples(tensors[0], tensors[1], tensors[2], tensors[3], torch.from_numpy(joined[4]))


class _Net(nn.Module):
    def __init__(self, hidden: int) -> None:
        super().__init__()
        self.first, self.second = nn.Linear(INPUTS, hidden), nn.Linear(hidden, hidden)
        self.last = nn.Linear(hidden, 2)
        self.skip = nn.Parameter(torch.zeros(2, DIFFERENCES))
        with torch.no_grad():
            for number, (down, right) in enumerate(CENTRE):
                self.skip[:, number] = _SMOOTH[abs(down) // 2] * _SMOOTH[abs(right) // 2]
            self.last.weight.mul_(0.1)
            self.last.bias.zero_()

    @property
    def layers(self) -> tuple[nn.Linear, nn.Linear, nn.Linear]:
        """From inputs to answers."""
        return self.first, self.second, self.last

    def forward(self, inputs: Tensor, differences: Tensor, turned: Tensor) -> tuple[Tensor, Tensor]:
        flowing = torch.relu(self.second(torch.relu(self.first(inputs / 64))))
        answers = self.last(flowing)
        return answers[:, 0] + (self.skip[turned] * differences).sum(1), answers[:, 1]


class _Training:
    def __init__(self, plan: LatticePlan, seed: int, listener: Callable[[int, int], None] | None) -> None:
        self.plan, self.listener = plan, listener
        self.generator = torch.Generator().manual_seed(seed)
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(seed)
            self.net = _Net(plan.hidden)
        self.done = 0

    def prepare(self, examples: _Examples) -> None:
        """Set the spread to about what the linear form leaves over."""
        with torch.no_grad():
            centre, _ = self.net(examples.inputs[:50_000], examples.differences[:50_000], examples.turned[:50_000])
            left = (examples.target[:50_000] - centre).abs().median().clamp(1e-3, 1e3)
            self.net.last.bias[1] = torch.log2(left)

    def run(self, examples: _Examples, steps: int) -> None:
        """Train with a rate that rises quickly and falls to nothing."""
        optimizer = torch.optim.Adam(self.net.parameters(), lr=_RATE, betas=(0.9, 0.99))
        for step in range(steps):
            for group in optimizer.param_groups:
                group["lr"] = _RATE * min(1, (step + 1) / 50) * (1 + np.cos(np.pi * step / steps)) / 2
            rows = torch.randint(len(examples), (min(self.plan.batch, 4 * len(examples)),), generator=self.generator)
            optimizer.zero_grad()
            loss = self._bits(examples, rows)
            loss.backward()  # type: ignore[no-untyped-call]
            nn.utils.clip_grad_norm_(self.net.parameters(), 1.0)
            optimizer.step()
            self.done += 1
            if self.listener is not None:
                self.listener(self.done, sum(self.plan.steps))

    def _bits(self, examples: _Examples, rows: Tensor) -> Tensor:
        """Return the mean length of a number: that of the bin around what was missed, of a logistic distribution."""
        centre, spread = self.net(examples.inputs[rows], examples.differences[rows], examples.turned[rows])
        ratio = examples.ratio[rows]
        missed = (examples.target[rows] - centre).abs() * ratio
        scale = torch.exp2((spread + torch.log2(ratio)).clamp(-4.5, 12))
        high, low = (missed + 0.5) / scale, (missed - 0.5) / scale
        # log(F(high) - F(low)) of the logistic F, in a form that neither over- nor underflows
        inner = torch.log(-torch.expm1(-1 / scale))
        nats: Tensor = softplus(-high) + softplus(-low) + low - inner
        return nats.mean() / float(np.log(2))

    def whole(self, examples: _Examples, bits: int) -> LearnedLattice:
        """Return the network in whole numbers."""
        weights = [layer.weight.detach().double().numpy().T for layer in self.net.layers]
        biases = [layer.bias.detach().double().numpy() for layer in self.net.layers]
        weights[0] = weights[0] / 64
        sample = examples.inputs[:: max(1, len(examples) // 20_000)].numpy()
        net = integer_net(weights, biases, sample, 1 / PARTS, bits=bits, most=MOST_INPUT)
        skip = np.rint(self.net.skip.detach().double().numpy() * SKIP_PARTS)
        return LearnedLattice(shortened(net), np.clip(skip, -MOST_SKIP, MOST_SKIP).astype(np.int16))
