"""The commands that compress and bring back. Heavy imports happen inside them."""

from pathlib import Path
from typing import Annotated, Any

import typer

from refold.cli._options import with_parameters
from refold.cli._talk import answer, plain_errors
from refold.estimators import CompressorParameters

Compressed = Annotated[Path, typer.Argument(metavar="FILE", help="A .refz file that refold compress wrote.")]
Model = Annotated[
    Path | None,
    typer.Option("--model", "-m", help="A .safetensors file of refold fit --for compress."),
]
Drop = Annotated[
    list[str] | None,
    typer.Option("--drop", metavar="NAME", help="Leave out a column, a variable, an array or a picture."),
]
Overwrite = Annotated[bool, typer.Option("--overwrite", help="Replace files that are there already.")]
Quiet = Annotated[bool, typer.Option("--quiet", "-q", help="No progress and no talk.")]
Json = Annotated[bool, typer.Option("--json", help="Print the result as JSON on standard output.")]


def add_to(app: typer.Typer) -> None:
    """Add the commands to the program."""
    app.command()(compress)
    app.command()(decompress)
    app.command("list")(list_arrays)
    app.command()(verify)


@with_parameters((CompressorParameters, "What is promised"))
def compress(
    files: Annotated[
        list[str],
        typer.Argument(
            metavar="FILES...",
            help=".npy, .npz (one array as file.npz::name), Parquet, Feather, CSV, NetCDF, zarr folders, pictures "
            "and folders of pictures.",
        ),
    ],
    output: Annotated[Path, typer.Option("--output", "-o", help="Where the file goes; ends in .refz.")],
    model: Model = None,
    model_inside: Annotated[
        bool | None,
        typer.Option(
            "--model-inside/--model-beside",
            help="Whether the model goes into the file, or is needed again to decompress. [default: beside]",
            show_default=False,
        ),
    ] = None,
    learn: Annotated[
        bool,
        typer.Option("--learn", help="Learn from the data first; the model goes into the file if it pays."),
    ] = False,
    drop: Drop = None,
    threads: Annotated[
        int | None,
        typer.Option(
            "--threads",
            min=1,
            help="Processes that pack at once; the file is the same. [default: one for two processors]",
            show_default=False,
        ),
    ] = None,
    overwrite: Overwrite = False,
    quiet: Quiet = False,
    json: Json = False,
    parameters: Any = None,
) -> None:
    """Make data small, with a promise about what comes back.

    Without --max-error every bit comes back. With it no value is further off than that; what was checked is told at
    the end, beside what lzma and zstd make of the same data.

    \b
    Examples:
      refold compress temperature.nc -o temperature.refz --max-error 0.05
      refold compress scans/ -o scans.refz
      refold compress field.npy -o field.refz --max-error 1e-3rel --learn
      refold compress today.parquet -o today.refz -m sensors.safetensors --drop comment
    """
    with plain_errors():
        from refold.cli._compressing import CompressWishes, compress_files

        wishes = CompressWishes(
            output, parameters, model, model_inside, learn, tuple(drop or ()), threads, overwrite, quiet
        )
        result = compress_files(files, wishes)
        if json:
            answer(result)


def decompress(
    file: Compressed,
    output: Annotated[
        Path,
        typer.Option(
            "--output", "-o", help="A file or folder of the kind that was compressed; of several files a folder."
        ),
    ],
    array: Annotated[
        str | None, typer.Option("--array", metavar="NAME", help="Only this array; refold list names them.")
    ] = None,
    rows: Annotated[
        str | None,
        typer.Option("--rows", metavar="FROM:TO", help="Only these records; blocks without them are not decoded."),
    ] = None,
    model: Model = None,
    overwrite: Overwrite = False,
    quiet: Quiet = False,
    json: Json = False,
) -> None:
    """Bring back what was compressed, as the kind of file that it was.

    It is written part by part, and is there whole or not at all. Any array can be had as .npy, and all of them as
    .npz.

    \b
    Examples:
      refold decompress temperature.refz -o temperature.nc
      refold decompress scans.refz -o scans/
      refold decompress field.refz -o some.npy --rows 100:200
      refold decompress temperature.refz -o t2m.npy --array t2m
    """
    with plain_errors():
        from refold.cli._decompressing import DecompressWishes, decompress_file

        result = decompress_file(file, DecompressWishes(output, array, rows, model, overwrite, quiet))
        if json:
            answer(result)


def list_arrays(file: Compressed, json: Json = False) -> None:
    """Say which arrays are in a compressed file, what was promised, and how large they are.

    \b
    Example:
      refold list temperature.refz
    """
    with plain_errors():
        from refold.cli._decompressing import contents_of, print_contents

        contents = contents_of(file)
        if json:
            answer(contents)
        else:
            print_contents(contents)


def verify(
    file: Compressed,
    against: Annotated[
        list[str] | None,
        typer.Option(
            "--against",
            metavar="ORIGINAL",
            help="Compare with what was compressed, value by value; again for each of several files.",
        ),
    ] = None,
    model: Model = None,
    drop: Drop = None,
    quiet: Quiet = False,
    json: Json = False,
) -> None:
    """Decode a compressed file whole, and compare it with its checksums; and with the original, if it is there.

    The exit code is 1 if anything is wrong.

    \b
    Examples:
      refold verify temperature.refz
      refold verify temperature.refz --against temperature.nc
    """
    with plain_errors():
        from refold.cli._verifying import verify_file

        result = verify_file(file, against or [], model, tuple(drop or ()), quiet)
        if json:
            answer(result)
