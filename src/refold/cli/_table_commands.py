"""The command that fills tables. Heavy imports happen inside it."""

from pathlib import Path
from typing import Annotated

import typer

from refold.cli._talk import answer, plain_errors


def add_to(app: typer.Typer) -> None:
    """Add the command to the program."""
    app.command()(fill)


def fill(
    table: Annotated[
        str, typer.Argument(metavar="TABLE", help="CSV, TSV, Parquet, Feather, or an array of rows (.npy, .npz).")
    ],
    output: Annotated[Path, typer.Option("--output", "-o", help="A .parquet, .csv, .npy or .npz file.")],
    model: Annotated[
        Path | None,
        typer.Option(
            "--model",
            "-m",
            help="A .safetensors file of refold fit --for restore. [default: learned from TABLE itself]",
        ),
    ] = None,
    drop: Annotated[
        list[str] | None,
        typer.Option("--drop", metavar="COLUMN", help="Do not learn from a column, such as an id; it stays."),
    ] = None,
    uncertainty: Annotated[
        Path | None,
        typer.Option(
            "--uncertainty",
            metavar="FILE",
            help="Write, for every filled cell, its standard deviation, or the probability of the chosen category; "
            "a .parquet or .csv file.",
        ),
    ] = None,
    draws: Annotated[
        int,
        typer.Option("--draws", min=0, help="Write so many tables with drawn values besides, OUTPUT.1 and so on."),
    ] = 0,
    random_state: Annotated[int, typer.Option(min=0, help="Seed: the same seed fills the same.")] = 0,
    overwrite: Annotated[bool, typer.Option("--overwrite", help="Replace files that are there already.")] = False,
    quiet: Annotated[bool, typer.Option("--quiet", "-q", help="No progress and no talk.")] = False,
    json: Annotated[bool, typer.Option("--json", help="Print the result as JSON on standard output.")] = False,
) -> None:
    """Fill the missing cells of a table of numbers, texts, truth values and dates.

    Cells that hold a value keep it. A column without any value stays empty, and so do texts that hardly repeat.

    \b
    Examples:
      refold fill patients.csv -o filled.csv
      refold fill patients.csv -o filled.parquet --uncertainty sure.parquet --draws 5
      refold fill today.csv -m patients.safetensors -o today-filled.csv
    """
    with plain_errors():
        from refold.cli._filling_tables import FillWishes, fill_table

        wishes = FillWishes(output, model, tuple(drop or ()), draws, uncertainty, random_state, overwrite, quiet)
        result = fill_table(table, wishes)
        if json:
            answer(result)
