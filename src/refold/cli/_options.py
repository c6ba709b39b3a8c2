"""Command-line options from the declarations of parameters."""

import inspect
from collections.abc import Callable, Mapping
from functools import wraps
from typing import Annotated, Any

import typer

from refold._parameters import Parameter, choice, parameters_of

_LEFT_OUT = ("verbose",)  # the program has --quiet


def with_parameters(*owners: tuple[type, str]) -> Callable[[Callable[..., None]], Callable[..., None]]:
    """Give a command an option for every declared parameter of some owners, each with the panel it stands in.

    A parameter of several owners is an option once, in the first one's panel. The command gets the values that were
    given as the keyword ``parameters``, a dict.
    """
    panels: dict[str, str] = {}
    declared: list[Parameter] = []
    for owner, panel in owners:
        for item in parameters_of(owner):
            if item.on_command_line and item.name not in (*_LEFT_OUT, *panels):
                panels[item.name] = panel
                declared.append(item)

    def decorate(command: Callable[..., None]) -> Callable[..., None]:
        @wraps(command)
        def wrapper(**values: Any) -> None:
            given = {item.name: values.pop(item.name) for item in declared}
            command(**values, parameters=_changed(given))

        signature = inspect.signature(command)
        own = [item for item in signature.parameters.values() if item.name != "parameters"]
        keyword_only = inspect.Parameter.KEYWORD_ONLY
        options = [
            inspect.Parameter(item.name, keyword_only, default=None, annotation=_annotation(item, panels[item.name]))
            for item in declared
        ]
        own = [item.replace(kind=keyword_only) for item in own]
        wrapper.__signature__ = signature.replace(parameters=[*own, *options])  # type: ignore[attr-defined]
        wrapper.__annotations__ = {item.name: item.annotation for item in [*own, *options]}
        return wrapper

    return decorate


def _changed(given: Mapping[str, Any]) -> dict[str, Any]:
    return {
        name: value[0] if isinstance(value, _Parsed) else value for name, value in given.items() if value is not None
    }


class _Parsed(tuple[Any, ...]):
    """A parsed value in a box, so that None can be told from an option that was not given."""


def _annotation(parameter: Parameter, panel: str) -> Any:
    name = "--" + parameter.name.replace("_", "-")
    about = f"{parameter.doc} [default: {_as_text(parameter.default)}]".replace("`", "")
    if isinstance(parameter.default, bool):
        option = typer.Option(f"{name}/--no-{name[2:]}", help=about, rich_help_panel=panel, show_default=False)
        return Annotated[bool | None, option]
    option = typer.Option(
        name,
        parser=_parser(parameter),
        metavar=_metavar(parameter),
        help=about,
        rich_help_panel=panel,
        show_default=False,
    )
    return Annotated[str | None, option]


def _parser(parameter: Parameter) -> Callable[[str], Any]:
    def parse(text: str) -> Any:
        try:
            value = parameter.rule.parse(text)
        except ValueError:
            value = text
        if not parameter.rule.accepts(value):
            raise typer.BadParameter(f"must be {parameter.rule.text}, got {text!r}")
        return _Parsed((value,))

    return parse


def _metavar(parameter: Parameter) -> str:
    """Return the allowed names where they are all that is allowed and few, else VALUE."""
    names = parameter.rule.choices
    if len(names) > 4 or not names:
        return "VALUE"
    return "|".join(names) if parameter.rule.text == choice(*names).text else f"{'|'.join(names)}|VALUE"


def _as_text(value: Any) -> str:
    return "none" if value is None else str(value)


def sigma_of(text: str) -> float | None:
    """Return a deviation of noise, 0 to 255, or None for "auto"."""
    if text.strip().lower() == "auto":
        return None
    try:
        value = float(text)
    except ValueError:
        value = -1.0
    if not 0 <= value <= 255:
        raise typer.BadParameter(f"must be auto or a number from 0 to 255, got {text!r}")
    return value
