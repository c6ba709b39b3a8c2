"""The one place where the names of corruptions and penalties become objects.

The grammar is ``name``, ``name(0.2)`` or ``name(share=0.2)``, joined with ``+``: ``"gaussian(0.2) + masking(0.1)"``.
Corruptions may also be joined with ``|``, one of which is drawn for every record; ``+`` binds closer. Texts may stand
in quotes.
"""

import re
from collections.abc import Mapping, Sequence
from dataclasses import fields
from functools import reduce
from inspect import Parameter, signature
from typing import Any, cast

from refold._errors import ParameterError, nearest
from refold.objectives._corruptions import Both, Corruption, Either, FeatureSwap, Gaussian, Masking, SaltAndPepper
from refold.objectives._keeping import Keep, KeepDistances, KeepNeighbours, KeepSmooth, Kept
from refold.objectives._penalties import Contractive, Penalty, Sparse, Variational
from refold.objectives._picture_corruptions import Blur, Grey, Holes, Jpeg, MissingPixels, Poisson, Scratches, Text
from refold.objectives._watermark import Watermark

CORRUPTIONS: dict[str, type] = {
    "gaussian": Gaussian,
    "masking": Masking,
    "salt_and_pepper": SaltAndPepper,
    "feature_swap": FeatureSwap,
    "poisson": Poisson,
    "missing_pixels": MissingPixels,
    "holes": Holes,
    "scratches": Scratches,
    "text": Text,
    "jpeg": Jpeg,
    "blur": Blur,
    "grey": Grey,
    "watermark": Watermark,
}
_ALSO = {"noise": "gaussian", "gray": "grey", "neighbors": "neighbours"}  # other names that people give them
KEEPS: dict[str, type] = {"neighbours": KeepNeighbours, "distances": KeepDistances, "smooth": KeepSmooth}
PENALTIES: dict[str, type] = {"variational": Variational, "sparse": Sparse, "contractive": Contractive}

_ARGUMENT = r"""(?:"[^"]*"|'[^']*'|[^()"',])*"""
_NAMED = re.compile(r"\s*\w+\s*=")
_PART = re.compile(rf"\s*([A-Za-z_][\w-]*)\s*(?:\(({_ARGUMENT}(?:,{_ARGUMENT})*)\))?\s*(\+|\||$)")


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
    alternatives = cast(list[list[Corruption]], _parse(text, "corruption", CORRUPTIONS))
    return _one_of([reduce(Both, joined) for joined in alternatives])


def _one_of(parts: Sequence[Corruption]) -> Corruption:
    """Return a corruption that draws one of the parts, each as often as the others."""
    chosen = parts[-1]
    for count, part in enumerate(reversed(parts[:-1]), start=2):
        chosen = Either(part, chosen, 1 / count)
    return chosen


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
    alternatives = cast(list[list[Penalty]], _parse(text, "penalty", PENALTIES))
    if len(alternatives) > 1:
        raise ParameterError(f"penalty={text!r} is not possible; penalties are joined with +")
    penalties = alternatives[0]
    _check_each_once(text, "penalty", penalties, PENALTIES)
    return tuple(penalties)


def parse_keep(text: str | Keep | KeepSmooth | None) -> Kept:
    """Return all that `text` says that a code keeps.

    Raises
    ------
    ParameterError
        If a name or a number is not allowed, or places would be found in two ways.

    Examples
    --------
    >>> parse_keep("neighbours(0.2) + smooth")
    Kept(places=KeepNeighbours(weight=0.2, count=15), smooth=KeepSmooth(weight=0.1))
    """
    if text is None:
        return Kept()
    if isinstance(text, str):
        alternatives = cast(list[list[Keep | KeepSmooth]], _parse(text, "keep", KEEPS))
        if len(alternatives) > 1:
            raise ParameterError(f"keep={text!r} is not possible; what a code keeps is joined with +")
        parts = alternatives[0]
    elif isinstance(text, tuple(KEEPS.values())):
        parts = [text]
    else:
        raise ParameterError(f"keep must be a text such as 'neighbours', got {text!r}")
    _check_each_once(text, "keep", parts, KEEPS)
    smooth = [part for part in parts if isinstance(part, KeepSmooth)]
    places = [part for part in parts if not isinstance(part, KeepSmooth)]
    if len(places) > 1:
        raise ParameterError(f"keep={text!r} is not possible; a code keeps neighbours or distances, not both")
    return Kept(places[0] if places else None, smooth[0] if smooth else None)


def describe(part: Corruption | Penalty | Keep | KeepSmooth | tuple[Penalty, ...] | None) -> str | None:
    """Return the text that parses to `part`, or None for nothing and for the user's own objects.

    Examples
    --------
    >>> describe(parse_corruption("masking + gaussian(0.3)"))
    'masking(0.25)+gaussian(0.3)'
    """
    if isinstance(part, tuple):
        return "+".join(text for penalty in part if (text := describe(penalty))) or None
    if isinstance(part, Both | Either):
        both = describe(part.first), describe(part.second)
        if isinstance(part, Both) and any(isinstance(inner, Either) for inner in (part.first, part.second)):
            return None  # there are no brackets in the grammar
        return None if None in both else ("+" if isinstance(part, Both) else "|").join(cast(tuple[str, str], both))
    for name, kind in {**CORRUPTIONS, **PENALTIES, **KEEPS}.items():
        if type(part) is kind:
            values = [getattr(part, field.name) for field in fields(cast(Any, kind))]
            told = [f'"{value}"' if isinstance(value, str) else repr(float(value)) for value in values]
            return f"{name}({', '.join(told)})" if told else name
    return None


def _check_each_once(text: Any, parameter: str, parts: Sequence[Any], known: Mapping[str, type]) -> None:
    for name, kind in known.items():
        if sum(type(part) is kind for part in parts) > 1:
            raise ParameterError(f"{parameter}={text!r} is not possible; {name} occurs more than once")


def _parse(text: str, parameter: str, known: Mapping[str, type]) -> list[list[Any]]:
    """Return the alternatives, each as the parts that are joined."""
    alternatives: list[list[Any]] = [[]]
    place = 0
    while place < len(text) or not alternatives[-1]:
        found = _PART.match(text, place)
        if found is None or (found[3] and found.end() == len(text)):
            raise ParameterError(
                f"{parameter}={text!r} cannot be read at {text[place:]!r}; write name(number), joined with +, with "
                f"names among {', '.join(known)}"
            )
        name = found[1].replace("-", "_")
        alternatives[-1].append(_make(_ALSO.get(name, name), found[2], parameter, known))
        if found[3] == "|":
            alternatives.append([])
        place = found.end()
    return alternatives


def _make(name: str, arguments: str | None, parameter: str, known: Mapping[str, type]) -> Any:
    if name not in known:
        raise ParameterError(
            f"{parameter} {name!r} is not known{nearest(name, known)}; allowed are {', '.join(known)}"
        )
    allowed = signature(known[name]).parameters
    in_order = [key for key, found in allowed.items() if found.kind is not Parameter.KEYWORD_ONLY]
    values: dict[str, float | str] = {}
    for place, argument in enumerate(_arguments(arguments or "")):
        key, _, value = argument.partition("=") if _NAMED.match(argument) else ("", "", argument)
        key = key.strip() or (in_order[place] if place < len(in_order) else "")
        if key not in allowed:
            takes = f"takes {', '.join(allowed)}" if allowed else "takes nothing"
            raise ParameterError(f"{name}({arguments}) is not possible; {name} {takes}")
        is_text = isinstance(allowed[key].default, str)
        values[key] = _unquoted(value.strip()) if is_text else _number(value, f"{name}({arguments})")
    return known[name](**values)


def _arguments(text: str) -> list[str]:
    """Return what stands between the commas that are not in quotes."""
    return [found.strip() for found in re.findall(rf"(?:^|,)({_ARGUMENT})", text)] if text.strip() else []


def _unquoted(text: str) -> str:
    return text[1:-1] if len(text) > 1 and text[0] == text[-1] and text[0] in "'\"" else text


def _number(text: str, context: str) -> float:
    try:
        return float(text)
    except ValueError:
        raise ParameterError(f"{context} is not possible; {text.strip()!r} is not a number") from None
