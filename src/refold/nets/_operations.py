"""How much arithmetic a network is."""

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor
from torch.nn import functional
from torch.overrides import TorchFunctionMode

Count = Callable[[tuple[Any, ...], Tensor], int]


class OperationCounter(TorchFunctionMode):
    """Counts the multiplications and additions of products and convolutions that run inside it.

    Torch's own counter imports a compiler, which takes a second.

    Examples
    --------
    >>> with OperationCounter() as counter:
    ...     _ = torch.nn.Linear(10, 3)(torch.zeros(2, 10))
    >>> counter.total
    120
    """

    def __init__(self) -> None:
        super().__init__()
        self.total = 0

    def __torch_function__(
        self, func: Any, types: Any, args: tuple[Any, ...] = (), kwargs: dict[str, Any] | None = None
    ) -> Any:
        result = func(*args, **(kwargs or {}))
        if func in _COUNTS and len(args) > 1:
            self.total += 2 * _COUNTS[func](args, result)
        return result


def _of_product(args: tuple[Any, ...], result: Tensor) -> int:
    return int(result.numel() * args[0].shape[-1])


def _of_convolution(args: tuple[Any, ...], result: Tensor) -> int:
    return int(result.numel() * args[1][0].numel())


def _of_transposed(args: tuple[Any, ...], result: Tensor) -> int:
    return int(args[0].numel() * args[1][0].numel())


_COUNTS: dict[Any, Count] = {
    **dict.fromkeys((functional.linear, torch.matmul, torch.mm, torch.bmm), _of_product),
    **dict.fromkeys((Tensor.matmul, Tensor.mm, Tensor.bmm, Tensor.__matmul__), _of_product),
    **dict.fromkeys((functional.conv1d, functional.conv2d, functional.conv3d), _of_convolution),
    **dict.fromkeys(
        (functional.conv_transpose1d, functional.conv_transpose2d, functional.conv_transpose3d), _of_transposed
    ),
}
