"""What the machine can do, as far as it decides how networks are trained."""

import os
import platform
import re
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path

import torch

from refold._memory import free_memory


@dataclass(frozen=True)
class Machine:
    """What is known of a machine.

    Parameters
    ----------
    processor : str
        Its name.
    cores : int
        Processors that this process may run on.
    threads : int
        How many torch computes with unless told otherwise.
    device : {"cpu", "cuda", "mps"}
        The fastest.
    accelerator : str
        Its name, or "".
    bfloat16_on : dict of str to str
        Devices that multiply faster in bfloat16 than in float32, each with the reason.
    memory : int
        Bytes of main memory that are free now.
    """

    processor: str
    cores: int
    threads: int
    device: str
    accelerator: str = ""
    bfloat16_on: dict[str, str] = field(default_factory=dict)
    memory: int = 0


@cache
def this_machine() -> Machine:
    """Return what is known of this machine."""
    device = "cuda" if torch.cuda.is_available() else "mps" if torch.backends.mps.is_available() else "cpu"
    return Machine(
        processor=_processor(),
        cores=len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1,
        threads=torch.get_num_threads(),
        device=device,
        accelerator=torch.cuda.get_device_name() if device == "cuda" else "",
        bfloat16_on=_bfloat16_on(),
        memory=free_memory(),
    )


def _bfloat16_on() -> dict[str, str]:
    faster = {}
    if torch.cpu._is_amx_tile_supported():
        faster["cpu"] = "the processor multiplies tiles of it (AMX)"
    elif torch.cpu._is_avx512_bf16_supported():
        faster["cpu"] = "the processor multiplies pairs of it (AVX512-BF16)"
    if torch.cuda.is_available() and torch.cuda.is_bf16_supported(including_emulation=False):
        faster["cuda"] = "the accelerator multiplies faster in it"
    return faster


def _processor() -> str:
    cpuinfo = Path("/proc/cpuinfo")
    found = re.search(r"model name\s*: (.+)", cpuinfo.read_text()) if cpuinfo.exists() else None
    return found[1] if found else platform.processor() or platform.machine()
