"""One declaration of a parameter, from which constructor, check, command line and documentation follow.

A parameter is a dataclass field made by `declare`. What it may be is a `Rule`; rules are joined with ``|``.
"""

import math
import os
import re
from collections.abc import Callable, Iterator
from dataclasses import MISSING, dataclass, field, fields
from numbers import Integral, Real
from textwrap import fill
from typing import Any, TypeVar

from refold._errors import ParameterError, nearest


@dataclass(frozen=True)
class Rule:
    """What a parameter may be.

    Parameters
    ----------
    text : str
        Completes "must be ...".
    accepts : callable
        Says whether a value is allowed.
    parse : callable
        Makes a value from text on the command line, or raises ValueError.
    choices : tuple of str
        The names that are allowed, where they are few.
    """

    text: str
    accepts: Callable[[Any], bool]
    parse: Callable[[str], Any]
    choices: tuple[str, ...] = ()

    def __or__(self, other: "Rule") -> "Rule":
        """Return the rule that allows what either allows."""

        def parse(text: str) -> Any:
            try:
                return self.parse(text)
            except ValueError:
                return other.parse(text)

        return Rule(
            f"{self.text} or {other.text}",
            lambda value: self.accepts(value) or other.accepts(value),
            parse,
            self.choices + other.choices,
        )


@dataclass(frozen=True)
class Parameter:
    """A declared parameter.

    Parameters
    ----------
    name : str
    default : object
    rule : Rule
    doc : str
        What it means, with units and the condition of its use.
    on_command_line : bool
        False for values that no text can give.
    """

    name: str
    default: Any
    rule: Rule
    doc: str
    on_command_line: bool

    def check(self, value: Any, owner: str) -> None:
        """Raise ParameterError unless `value` is allowed."""
        if not self.rule.accepts(value):
            hint = nearest(value, self.rule.choices) if isinstance(value, str) else ""
            raise ParameterError(f"{self.name} of {owner} must be {self.rule.text}, got {value!r}{hint}")


def declare(default: Any, rule: Rule, doc: str, *, on_command_line: bool = True) -> Any:
    """Return a dataclass field that declares a parameter."""
    return field(default=default, metadata={"rule": rule, "doc": doc, "on_command_line": on_command_line})


def parameters_of(owner: type) -> Iterator[Parameter]:
    """Yield the declared parameters of a class, in order."""
    for item in fields(owner):
        if item.default is MISSING or "rule" not in item.metadata:
            continue
        yield Parameter(item.name, item.default, **item.metadata)


def check_parameters(estimator: Any) -> None:
    """Check every declared parameter of an estimator.

    Raises
    ------
    ParameterError
        For the first value that is not allowed.
    """
    for parameter in parameters_of(type(estimator)):
        parameter.check(getattr(estimator, parameter.name), type(estimator).__name__)


Class = TypeVar("Class", bound=type)


def documented(owner: Class) -> Class:
    """Write the declared parameters into the class's docstring, in place of ``{parameters}``."""
    entries = [
        f"    {parameter.name} : {parameter.rule.text}, default={parameter.default!r}\n"
        + fill(parameter.doc, 100, initial_indent=" " * 8, subsequent_indent=" " * 8)
        for parameter in parameters_of(owner)
    ]
    owner.__doc__ = (owner.__doc__ or "").replace("    {parameters}", "\n".join(entries))
    return owner


# --- rules -----------------------------------------------------------------------------------------------------


def choice(*names: str) -> Rule:
    """Allow one of some names."""

    def parse(text: str) -> str:
        if text not in names:
            raise ValueError(text)
        return text

    quoted = [repr(name) for name in names]
    text = quoted[0] if len(names) == 1 else f"{', '.join(quoted[:-1])} or {quoted[-1]}"
    return Rule(text, lambda value: isinstance(value, str) and value in names, parse, names)


def whole(low: int, high: float = math.inf) -> Rule:
    """Allow whole numbers from `low` to `high`."""
    bounds = f"of at least {low}" if high == math.inf else f"from {low} to {high:g}"
    return Rule(f"a whole number {bounds}", lambda value: _is(value, Integral) and low <= value <= high, int)


def real(low: float = -math.inf, high: float = math.inf, *, above: bool = False, below: bool = False) -> Rule:
    """Allow finite numbers from `low` to `high`; `above` and `below` leave the end itself out."""
    lower = "" if low == -math.inf else f" above {low:g}" if above else f" of at least {low:g}"
    upper = "" if high == math.inf else f" and {'below' if below else 'at most'} {high:g}"

    def accepts(value: Any) -> bool:
        return (
            _is_finite(value)
            and (value > low if above else value >= low)
            and (value < high if below else value <= high)
        )

    return Rule(f"a number{lower}{upper}", accepts, float)


def flag() -> Rule:
    """Allow True and False."""
    names = {"true": True, "false": False, "yes": True, "no": False, "1": True, "0": False}

    def parse(text: str) -> bool:
        if text.lower() not in names:
            raise ValueError(text)
        return names[text.lower()]

    return Rule("True or False", lambda value: type(value).__name__ in ("bool", "bool_"), parse)


def nothing() -> Rule:
    """Allow None."""

    def parse(text: str) -> None:
        if text.lower() != "none":
            raise ValueError(text)

    return Rule("None", lambda value: value is None, parse)


def whole_numbers(low: int) -> Rule:
    """Allow a tuple or list of whole numbers, possibly empty; "512,256" on the command line."""

    def accepts(value: Any) -> bool:
        return isinstance(value, tuple | list) and all(_is(item, Integral) and item >= low for item in value)

    def parse(text: str) -> tuple[int, ...]:
        return tuple(int(item) for item in text.split(",") if item.strip())

    return Rule(f"a tuple of whole numbers of at least {low}", accepts, parse)


def low_and_high() -> Rule:
    """Allow two finite numbers, the first the smaller; "0,255" on the command line."""

    def accepts(value: Any) -> bool:
        return (
            isinstance(value, tuple | list)
            and len(value) == 2
            and all(_is_finite(item) for item in value)
            and value[0] < value[1]
        )

    def parse(text: str) -> tuple[float, float]:
        low, high = text.split(",")
        return float(low), float(high)

    return Rule("a pair (low, high) with low < high", accepts, parse)


def height_and_width() -> Rule:
    """Allow two whole numbers; "64x48" on the command line."""

    def accepts(value: Any) -> bool:
        return isinstance(value, tuple | list) and len(value) == 2 and all(_is(v, Integral) and v > 0 for v in value)

    def parse(text: str) -> tuple[int, int]:
        height, width = text.lower().replace(",", "x").split("x")
        return int(height), int(width)

    return Rule("a pair (height, width) of pixels", accepts, parse)


def text(description: str) -> Rule:
    """Allow any text."""
    return Rule(description, lambda value: isinstance(value, str), str)


def path(description: str) -> Rule:
    """Allow texts and path-like objects."""
    return Rule(description, lambda value: isinstance(value, str | os.PathLike), str)


def byte_size() -> Rule:
    """Allow whole numbers of bytes, and texts such as "900MB" or "1.5GiB"."""

    def accepts(value: Any) -> bool:
        return (_is(value, Integral) and value >= 1) or (
            isinstance(value, str) and _BYTES.fullmatch(value) is not None
        )

    return Rule("a number of bytes such as 900000000 or '900MB'", accepts, bytes_of)


_BYTES = re.compile(r"(\d{1,15}(?:\.\d{1,9})?) *([kmgt]i?)?b?", re.IGNORECASE)


def bytes_of(text: str | int) -> int:
    """Return the bytes that a number or a text such as "900MB" stands for.

    Examples
    --------
    >>> bytes_of("900MB"), bytes_of("1.5 GiB"), bytes_of(2048)
    (900000000, 1610612736, 2048)
    """
    found = _BYTES.fullmatch(str(text).strip())
    if found is None:
        raise ValueError(text)
    unit = (found[2] or "").lower()
    base = 1024 if unit.endswith("i") else 1000
    return int(float(found[1]) * base ** ("kmgt".index(unit[0]) + 1 if unit else 0))


def is_iterable(value: Any) -> bool:
    """Say whether a value is a list or tuple."""
    return isinstance(value, list | tuple)


def anything(description: str, accepts: Callable[[Any], bool]) -> Rule:
    """Allow what `accepts` allows; no text can give it."""

    def parse(text: str) -> Any:
        raise ValueError(text)

    return Rule(description, accepts, parse)


def _is(value: Any, kind: type) -> bool:
    return isinstance(value, kind) and type(value).__name__ not in ("bool", "bool_")


def _is_finite(value: Any) -> bool:
    """Say whether a value is a number that float64 can hold."""
    try:
        return _is(value, Real) and math.isfinite(value)
    except OverflowError:
        return False
