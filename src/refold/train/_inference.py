"""Run a network over many records so that a record gets the same numbers alone or among others."""

from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from itertools import pairwise
from math import prod
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.nn import functional
from torch.overrides import TorchFunctionMode

from refold.train._placement import with_threads

_VALUES_A_BLOCK = 1 << 20
_LARGEST_BLOCK, _BLOCK_OF_MUCH_WORK = 2048, 256
_OPERATIONS_A_BLOCK = 100_000_000  # a millisecond or two, which a single record waits for
_STRETCHES = 8  # for every thread, so that none waits long for another
_PRODUCTS = (torch.matmul, torch.Tensor.matmul, torch.Tensor.__matmul__)
_ALIGNED = 16  # numbers; a row of float32 that is a multiple of these starts where vector registers load


def apply_in_blocks(
    function: Callable[[Tensor], Tensor],
    records: NDArray[Any],
    device: torch.device,
    operations: int = 0,
    largest: int | None = None,
) -> NDArray[Any]:
    """Return ``function(records)`` computed in blocks of one fixed size, the last one padded.

    The size depends on the network and the shape of a record alone, the rows of matrix products are aligned, and
    every block is the work of one thread: other products are summed in another order, and the same record would get
    slightly different numbers in another company or with another number of threads. Several threads take a block
    each.

    Parameters
    ----------
    function : callable
        From a tensor (block, *record) to a tensor (block, ...).
    records : ndarray of shape (n, *record)
    device : torch.device
    operations : int
        Floating-point operations for one record; blocks of much work are smaller.
    largest : int, optional
        Most records of a block, a power of two; for records that come one at a time.

    Returns
    -------
    results : ndarray of shape (n, ...)
    """
    block = block_size(records.shape[1:], operations)
    block = block if largest is None else min(block, largest)
    starts = range(0, len(records), block)

    def compute(start: int) -> NDArray[Any]:
        part = np.ascontiguousarray(records[start : start + block])
        return function(_padded(part, block, device)).cpu().numpy()[: len(part)]

    threads = min(torch.get_num_threads(), len(starts)) if device.type == "cpu" else 1
    if threads == 1:
        with with_threads(1), torch.inference_mode(), _AlignedRows():
            return np.concatenate([compute(start) for start in starts])
    return np.concatenate(_shared_out(compute, starts, threads))


def _shared_out(compute: Callable[[int], NDArray[Any]], starts: Sequence[int], threads: int) -> list[NDArray[Any]]:
    """Return the results of all blocks, computed by several threads with a stretch of blocks each."""

    def stretch(places: range) -> list[NDArray[Any]]:
        with with_threads(1), torch.inference_mode(), _AlignedRows():
            return [compute(starts[place]) for place in places]

    bounds = np.linspace(0, len(starts), min(len(starts), threads * _STRETCHES) + 1).astype(int)
    with ThreadPoolExecutor(threads) as pool:
        stretches = pool.map(stretch, (range(first, last) for first, last in pairwise(bounds)))
        return [result for results in stretches for result in results]


def block_size(shape: tuple[int, ...], operations: int = 0) -> int:
    """Return how many records of this shape are computed at once: a power of two, for which rows do not matter.

    Examples
    --------
    >>> block_size((30,), 20_000), block_size((28, 28), 1_000_000), block_size((200, 200)), block_size((480, 640, 3))
    (2048, 256, 16, 1)
    """
    largest = max(_BLOCK_OF_MUCH_WORK, min(_LARGEST_BLOCK, _OPERATIONS_A_BLOCK // max(operations, 1)))
    fitting = min(largest, _VALUES_A_BLOCK // prod(shape))
    return 1 << (fitting.bit_length() - 1) if fitting >= 4 else 1


class _AlignedRows(TorchFunctionMode):
    """Let every row that enters or leaves a matrix product start at an aligned address, by columns of zeros.

    A row that starts elsewhere is summed in another order (Intel's MKL, "conditional numerical reproducibility").
    """

    def __torch_function__(
        self, func: Any, types: Any, args: tuple[Any, ...] = (), kwargs: dict[str, Any] | None = None
    ) -> Any:
        if func is functional.linear and len(args) > 1 and (lacking := -args[0].shape[-1] % _ALIGNED):
            inputs, weight, *bias = args
            args = (functional.pad(inputs, (0, lacking)), functional.pad(weight, (0, lacking)), *bias)
        elif func is torch.baddbmm:
            return _aligned_product(lambda bias, left, right: func(bias, left, right, **(kwargs or {})), *args)
        elif func in _PRODUCTS and args[0].dim() == args[1].dim() == 2:
            return _aligned_product(lambda _, left, right: func(left, right), None, *args)
        return func(*args, **(kwargs or {}))


def _aligned_product(product: Callable[..., Tensor], bias: Tensor | None, left: Tensor, right: Tensor) -> Tensor:
    """Return a product of matrices (..., n, k) and (..., k, m) computed with k and m made multiples of `_ALIGNED`."""
    inner, outer = -left.shape[-1] % _ALIGNED, -right.shape[-1] % _ALIGNED
    wide = None if bias is None else functional.pad(bias, (0, outer))
    result = product(wide, functional.pad(left, (0, inner)), functional.pad(right, (0, outer, 0, inner)))
    return result[..., : right.shape[-1]] if outer else result


def _padded(part: NDArray[Any], block: int, device: torch.device) -> Tensor:
    if len(part) < block:
        part = np.concatenate([part, np.repeat(part[-1:], block - len(part), axis=0)])
    elif not part.flags.writeable:
        part = part.copy()
    narrow = device.type == "mps" and part.dtype == np.float64
    return torch.from_numpy(part.astype(np.float32) if narrow else part).to(device)
