"""The one place where the names of corruptions and penalties become objects.

The grammar is ``name``, ``name(0.2)`` or ``name(share=0.2)``, joined with ``+``:
``"gaussian(0.2) + masking(0.1)"``.
"""

import re
from collections.abc import Mapping
from dataclasses import fields
from functools import reduce
from typing import Any, cast

from refold._errors import ParameterError, nearest
from refold.objectives._corruptions import Both, Corruption, FeatureSwap, Gaussian, Masking, SaltAndPepper
from refold.objectives._penalties import Contractive, Penalty, Sparse, Variational

CORRUPTIONS: dict[str, type] = {
    "gaussian": Gaussian,
    "masking": Masking,
    "salt_and_pepper": SaltAndPepper,
    "feature_swap": FeatureSwap,
}
PENALTIES: dict[str, type] = {"variational": Variational, "sparse": Sparse, "contractive": Contractive}

_PART = re.compile(r"\s*([A-Za-z_][\w-]*)\s*(?:\(([^()]*)\))?\s*(\+|$)")


def parse_corruption(text: str | Corruption | None) -> Corruption | None:
    """Return the corruption that `text` names; objects and None pass through.

    Raises
    ------
    ParameterError
        If a name or a number is not allowed.

    Examples
    --------
    >>> parse_corruption("gaussian(0.2) + masking(share=0.1)")
    Both(first=Gaussian(share=0.2), second=Masking(share=0.1))
    """
    if text is None or not isinstance(text, str):
        if text is not None and not callable(text):
            raise ParameterError(f"corruption must be a text such as 'gaussian(0.2)' or an object, got {text!r}")
        return text
    return reduce(Both, cast(list[Corruption], _parse(text, "corruption", CORRUPTIONS)))


def parse_penalties(text: str | Penalty | None) -> tuple[Penalty, ...]:
    """Return the penalties that `text` names.

    Raises
    ------
    ParameterError
        If a name or a number is not allowed.

    Examples
    --------
    >>> parse_penalties("variational(beta=4) + sparse(0.01)")
    (Variational(beta=4.0), Sparse(weight=0.01))
    """
    if text is None:
        return ()
    if not isinstance(text, str):
        if not callable(text):
            raise ParameterError(f"penalty must be a text such as 'sparse(0.001)' or an object, got {text!r}")
        return (text,)
    penalties = cast(list[Penalty], _parse(text, "penalty", PENALTIES))
    for name, kind in PENALTIES.items():
        if sum(type(penalty) is kind for penalty in penalties) > 1:
            raise ParameterError(f"penalty={text!r} is not possible; {name} occurs more than once")
    return tuple(penalties)


def describe(part: Corruption | Penalty | tuple[Penalty, ...] | None) -> str | None:
    """Return the text that parses to `part`, or None for nothing and for the user's own objects.

    Examples
    --------
    >>> describe(parse_corruption("masking + gaussian(0.3)"))
    'masking(0.25)+gaussian(0.3)'
    """
    if isinstance(part, tuple):
        return "+".join(text for penalty in part if (text := describe(penalty))) or None
    if isinstance(part, Both):
        both = describe(part.first), describe(part.second)
        return None if None in both else "+".join(cast(tuple[str, str], both))
    for name, kind in {**CORRUPTIONS, **PENALTIES}.items():
        if type(part) is kind:
            numbers = [float(getattr(part, field.name)) for field in fields(cast(Any, kind))]
            return f"{name}({', '.join(map(repr, numbers))})"
    return None


def _parse(text: str, parameter: str, known: Mapping[str, type]) -> list[Any]:
    parts: list[Any] = []
    place = 0
    while place < len(text) or not parts:
        found = _PART.match(text, place)
        if found is None or (found[3] == "+" and found.end() == len(text)):
            raise ParameterError(
                f"{parameter}={text!r} cannot be read at {text[place:]!r}; write name(number), joined with +, with "
                f"names among {', '.join(known)}"
            )
        parts.append(_make(found[1].replace("-", "_"), found[2], parameter, known))
        place = found.end()
    return parts


def _make(name: str, arguments: str | None, parameter: str, known: Mapping[str, type]) -> Any:
    if name not in known:
        raise ParameterError(
            f"{parameter} {name!r} is not known{nearest(name, known)}; allowed are {', '.join(known)}"
        )
    allowed = [field.name for field in fields(known[name])]
    values: dict[str, float] = {}
    for place, argument in enumerate((arguments or "").split(",") if (arguments or "").strip() else ()):
        key, _, number = argument.rpartition("=")
        key = key.strip() or (allowed[place] if place < len(allowed) else "")
        if key not in allowed:
            raise ParameterError(f"{name}({arguments}) is not possible; {name} takes {', '.join(allowed)}")
        values[key] = _number(number, f"{name}({arguments})")
    return known[name](**values)


def _number(text: str, context: str) -> float:
    try:
        return float(text)
    except ValueError:
        raise ParameterError(f"{context} is not possible; {text.strip()!r} is not a number") from None
