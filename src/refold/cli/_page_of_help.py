"""The page of every command, from the program's own help."""

from typer.main import get_command
from typer.testing import CliRunner

from refold.cli._app import app

_INTRODUCTION = """# The program

`refold VERB INPUT -o OUTPUT`. Results go to standard output or into files, everything else to standard error. The
exit code is 0 when the work is done, 1 when the data or the model were at fault, 2 for wrong usage.

This page is written by `docs/write_program.py` from the program's own help; a test compares the two.
"""


def program_page() -> str:
    """Return the page as Markdown."""
    names: list[str] = list(get_command(app).commands)  # type: ignore[attr-defined]
    return "\n".join([_INTRODUCTION, _section([]), *[_section([name]) for name in names]])


def _section(words: list[str]) -> str:
    shown = CliRunner().invoke(app, [*words, "--help"], env={"COLUMNS": "100"}, prog_name="refold").output
    return f"## {' '.join(['refold', *words])}\n\n```text\n{shown.rstrip()}\n```\n"
