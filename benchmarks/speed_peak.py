"""The machine's own peak: the fastest large matrix product or convolution, in floating-point operations a second.

Run as a script it prints one line of JSON.
"""

import json
import time
from collections.abc import Callable

import torch
from torch import Tensor
from torch.nn import functional

_SIDE = 2048
_BATCH, _CHANNELS, _PICTURE, _KERNEL = 32, 128, 32, 3
_SECONDS = 0.7  # for each operation and type
_TYPES = {"float32": torch.float32, "bfloat16": torch.bfloat16}


def main() -> None:
    """Print the peaks of the types, what reached them, and what this processor has."""
    figures = {name: _peaks(dtype) for name, dtype in _TYPES.items()}
    peaks = {name: max(rates.values()) for name, rates in figures.items()}
    amx = bool(torch.cpu._is_amx_tile_supported())
    print(json.dumps({**peaks, "all": figures, "amx": amx, "threads": torch.get_num_threads()}))


@torch.inference_mode()
def _peaks(dtype: torch.dtype) -> dict[str, float]:
    return {
        "matrix product": _matrix_product(dtype),
        "convolution": _convolution(dtype, torch.contiguous_format),
        "convolution, channels last": _convolution(dtype, torch.channels_last),
    }


def _matrix_product(dtype: torch.dtype) -> float:
    left, right = torch.randn(2, _SIDE, _SIDE).to(dtype)
    return 2 * _SIDE**3 / _fastest(lambda: left @ right)


def _convolution(dtype: torch.dtype, layout: torch.memory_format) -> float:
    pictures = torch.randn(_BATCH, _CHANNELS, _PICTURE, _PICTURE).to(dtype, memory_format=layout)
    weight = torch.randn(_CHANNELS, _CHANNELS, _KERNEL, _KERNEL).to(dtype, memory_format=layout)
    operations = 2 * _BATCH * _PICTURE**2 * _CHANNELS**2 * _KERNEL**2
    return operations / _fastest(lambda: functional.conv2d(pictures, weight, padding=1))


def _fastest(work: Callable[[], Tensor]) -> float:
    """Return the seconds of the fastest call: a peak is what the machine can do, not what it does on average."""
    work()
    seconds, end = [], time.perf_counter() + _SECONDS
    while not seconds or time.perf_counter() < end:
        start = time.perf_counter()
        work()
        seconds.append(time.perf_counter() - start)
    return min(seconds)


if __name__ == "__main__":
    main()
