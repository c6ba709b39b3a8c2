"""Where the numbers are, and how many threads move them."""

from collections.abc import Iterator
from contextlib import contextmanager

import torch

from refold._errors import ParameterError

# Below this many operations a second thread costs more in waiting than it saves in arithmetic, and on a busy
# machine many times more.
_OPERATIONS_WORTH_THREADS = 200_000_000


def choose_device(name: str) -> torch.device:
    """Return the device that `name` means; "auto" takes an accelerator where there is one.

    Raises
    ------
    ParameterError
        If there is no such device on this machine.
    """
    if name == "auto":
        return torch.device("cuda" if torch.cuda.is_available() else "mps" if _has_mps() else "cpu")
    try:
        device = torch.device(name)
        torch.empty(1, device=device)
    except (RuntimeError, AssertionError, NotImplementedError) as error:
        raise ParameterError(
            f"device={name!r} is not to be had here ({str(error).splitlines()[0]}); use 'cpu' or 'auto'"
        ) from error
    return device


@contextmanager
def fitting_threads(operations: int) -> Iterator[None]:
    """Compute with one thread where a batch is little work, with torch's own number of threads elsewhere.

    The choice depends on the work alone, so that it does not differ from run to run.

    Parameters
    ----------
    operations : int
        Floating-point operations of one forward pass of a batch.
    """
    before = torch.get_num_threads()
    if operations < _OPERATIONS_WORTH_THREADS and before > 1:
        torch.set_num_threads(1)
    try:
        yield
    finally:
        if torch.get_num_threads() != before:
            torch.set_num_threads(before)


def prefers_bfloat16(device: torch.device, operations: int, *, convolutional: bool) -> bool:
    """Say whether the machine multiplies in bfloat16 faster than in float32, and the work is enough to tell.

    Parameters
    ----------
    device : torch.device
    operations : int
        Floating-point operations of one forward pass of a batch.
    convolutional : bool
        Convolutions in bfloat16 were many times slower than in float32 on processors without matrix tiles (AMX).
    """
    if operations < _OPERATIONS_WORTH_THREADS:
        return False
    if device.type == "cuda":
        return bool(torch.cuda.is_bf16_supported(including_emulation=False))
    return device.type == "cpu" and not convolutional and bool(torch.cpu._is_avx512_bf16_supported())


@contextmanager
def quick_arithmetic(device: torch.device, bfloat16: bool) -> Iterator[None]:
    """Multiply matrices in bfloat16 where that is asked for."""
    with torch.autocast(device.type, torch.bfloat16, enabled=bfloat16, cache_enabled=True):
        yield


def _has_mps() -> bool:
    return torch.backends.mps.is_available()
