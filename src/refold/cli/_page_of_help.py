"""The page of every command, from the program's own help."""

import os

from typer.main import get_command

from refold.cli._app import app

_INTRODUCTION = """# The program

`refold VERB INPUT -o OUTPUT`. Results go to standard output or into files, everything else to standard error. The
exit code is 0 when the work is done, 1 when the data or the model were at fault, 2 for wrong usage.

This page is written by `docs/write_program.py` from the program's own help; a test compares the two.
"""


def program_page() -> str:
    """Return the page as Markdown."""
    import click

    os.environ["COLUMNS"] = "100"
    program = get_command(app)
    context = click.Context(program, info_name="refold", terminal_width=100, max_content_width=100)
    parts = [_INTRODUCTION, _block("refold", program.get_help(context))]
    for name in program.list_commands(context):  # type: ignore[attr-defined]
        command = program.get_command(context, name)  # type: ignore[attr-defined]
        inner = click.Context(command, info_name=name, parent=context, terminal_width=100, max_content_width=100)
        parts.append(_block(f"refold {name}", command.get_help(inner)))
    return "\n".join(parts)


def _block(name: str, text: str) -> str:
    return f"## {name}\n\n```text\n{text.rstrip()}\n```\n"
