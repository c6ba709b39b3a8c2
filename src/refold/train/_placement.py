"""Where the numbers are."""

import torch

from refold._errors import ParameterError


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


def _has_mps() -> bool:
    return torch.backends.mps.is_available()
