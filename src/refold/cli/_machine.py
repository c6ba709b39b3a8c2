"""What the machine can do, and how typical networks would be trained on it now."""

from typing import Any

import torch

from refold._memory import free_memory
from refold.nets import NetSpec, build_net
from refold.objectives import ERRORS, Objective
from refold.train import Placement, choose_device, measured, place, this_machine

_BATCH = 256
_TYPICAL = {
    "a table of 30 columns": ((30,), "dense", (256, 128)),
    "grey pictures of 28x28, dense": ((28, 28), "dense", (512, 256, 128)),
    "colour pictures of 64x64": ((64, 64, 3), "conv", (16, 32, 64, 128)),
}
_MANY_STEPS = 10_000


def describe_machine() -> dict[str, Any]:
    """Return what is known of the machine and what is chosen for typical networks, and why."""
    machine = this_machine()
    return {
        "processor": f"{machine.processor}, {machine.cores} cores, {torch.backends.cpu.get_cpu_capability()}",
        "accelerator": machine.accelerator or "none",
        "device": machine.device,
        "bfloat16": "; ".join(f"{device}: {why}" for device, why in machine.bfloat16_on.items()) or "not faster here",
        "free memory": f"{free_memory() / 1e9:.1f} GB, half of it for records unless --max-memory says otherwise",
        "compiled": "no: torch.compile needs a C++ compiler and takes most of a minute",
        **{name: _choice(*kind) for name, kind in _TYPICAL.items()},
    }


def _choice(shape: tuple[int, ...], kind: str, hidden: tuple[int, ...]) -> str:
    """Return the placement of a network in words, after a trial of threads."""
    categories = (0,) * shape[0] if len(shape) == 1 else ()
    spec = NetSpec(kind, shape, categories, 3, hidden, "silu", "identity", "identity", True, False, False, False)
    net = build_net(spec)
    return "; ".join(_tried(net, place(net, _BATCH, choose_device("auto"))).reasons)


def _tried(net: Any, placement: Placement) -> Placement:
    raw, noise = torch.zeros(_BATCH, *net.scaling.raw_shape), torch.Generator()

    def step() -> None:
        with placement.arithmetic():
            error = Objective(ERRORS["squared"]).terms(net, raw, noise)["error"]
        error.backward()  # type: ignore[no-untyped-call]

    placement.lay_out(net)
    return measured(placement, net.operations * _BATCH, _MANY_STEPS, step)
