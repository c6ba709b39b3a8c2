"""Optional packages: imported at the point of use, with the line that installs them."""

from importlib import import_module
from types import ModuleType

from refold._errors import MissingExtraError


def require(module: str, *, extra: str, purpose: str) -> ModuleType:
    """Import `module`, or say which extra brings it.

    Parameters
    ----------
    module : str
        Dotted name, such as ``"skimage.data"``.
    extra : str
        The extra of refold that installs it.
    purpose : str
        What it is needed for; completes "... is needed ``to <purpose>``".

    Raises
    ------
    MissingExtraError
        If the package is not installed.
    """
    try:
        return import_module(module)
    except ImportError as error:
        package = module.partition(".")[0]
        raise MissingExtraError(
            f"{package} is needed to {purpose} and is not installed; pip install 'refold[{extra}]'"
        ) from error
