"""The commands. Heavy imports happen inside them, so that ``refold --help`` answers at once."""

import os
import sys
from functools import partial
from pathlib import Path
from typing import Annotated, Any

import typer

from refold._errors import ParameterError, nearest
from refold._parameters import bytes_of
from refold.cli._options import with_parameters
from refold.cli._talk import INTERRUPTED, answer, plain_errors, say
from refold.estimators import (
    AutoencoderParameters,
    CameraParameters,
    CompressorParameters,
    DetectorParameters,
    RestorerParameters,
)

app = typer.Typer(
    name="refold",
    no_args_is_help=True,
    add_completion=False,
    rich_markup_mode=None,
    pretty_exceptions_enable=False,
    help="Fold data small and fold it back: autoencoders for rows, tables and pictures without labels.",
    epilog="Begin with refold demo, then refold fit DATA -o model.safetensors.",
)

_DATA_HELP = (
    "CSV, TSV, Parquet, Feather, .npy, .npz (one array of several as file.npz::name), a picture or a folder of "
    "pictures."
)
Data = Annotated[str, typer.Argument(metavar="DATA", help=_DATA_HELP)]
Model = Annotated[Path, typer.Argument(metavar="MODEL", help="A .safetensors file that refold fit wrote.")]
Quiet = Annotated[bool, typer.Option("--quiet", "-q", help="No progress and no talk.")]
Json = Annotated[bool, typer.Option("--json", help="Print the result as JSON on standard output.")]
MaxMemory = Annotated[
    int | None,
    typer.Option(
        metavar="BYTES",
        parser=bytes_of,
        help="Read data that need more than this (such as 900MB) part by part. [default: half of the free memory]",
    ),
]
Drop = Annotated[
    list[str] | None, typer.Option("--drop", metavar="COLUMN", help="Leave a column out, such as an id or a label.")
]


@app.command()
@with_parameters(
    (AutoencoderParameters, "What to learn and how"),
    (DetectorParameters, "With --for detect"),
    (CameraParameters, "With --for camera"),
    (RestorerParameters, "With --for restore"),
    (CompressorParameters, "With --for compress"),
)
def fit(
    data: Data,
    output: Annotated[Path, typer.Option("--output", "-o", help="Where the model goes; ends in .safetensors.")],
    purpose: Annotated[
        str,
        typer.Option(
            "--for",
            metavar="encode|detect|camera|restore|compress",
            help="encode: a code of a few numbers; detect: what is normal, so that refold detect finds what is not; "
            "camera: the frames of a fixed camera, for refold watch; restore: to take a damage (--corruption) off "
            "pictures, for refold denoise and refold inpaint; of a table, to fill its missing cells, for refold "
            "fill; compress: what makes such data small, for refold compress.",
        ),
    ] = "encode",
    whole: Annotated[
        str | None,
        typer.Option(
            "--whole",
            metavar="FOLDER",
            help="With --for restore: DATA are damaged pictures, and these the same ones without damage.",
        ),
    ] = None,
    drop: Drop = None,
    quiet: Quiet = False,
    json: Json = False,
    parameters: Any = None,
) -> None:
    """Learn a code of a few numbers from data, or what is normal in them, and save the model.

    \b
    Examples:
      refold fit people.csv -o people.safetensors --drop id
      refold fit mnist.npz::x_train -o digits.safetensors --latent-dim 2
      refold fit pictures/ -o pictures.safetensors --image-size 64x64 --latent-dim 32
      refold fit scans.npy -o clean.safetensors --corruption "gaussian(0.2)"
      refold fit 'logs/*.parquet' -o logs.safetensors --max-memory 2GB --checkpoint logs.checkpoint
      refold fit normal.csv --for detect --false-alarm-rate 0.01 -o pump.safetensors
      refold fit readings.csv --for detect --time datetime -o plant.safetensors
      refold fit frames/ --for camera -o ridge.safetensors
      refold fit scans/ --for restore --corruption "noise(0.2)+scratches" -o scans.safetensors
      refold fit faded/ --for restore --whole fresh/ -o faded.safetensors
      refold fit years.npy --for compress --max-error 1e-3rel -o years.safetensors
    """
    with plain_errors():
        result = _fitted(purpose, whole)(data, output, drop or [], parameters, quiet)
        if json:
            answer(result)


def _fitted(purpose: str, whole: str | None) -> Any:
    """Return what fits for a purpose."""
    if whole is not None and purpose != "restore":
        raise ParameterError("--whole belongs to --for restore")
    if purpose == "encode":
        from refold.cli._commands import fit_model

        return fit_model
    if purpose == "detect":
        from refold.cli._detecting import fit_detector

        return fit_detector
    if purpose == "camera":
        from refold.cli._watching import fit_camera

        return fit_camera
    if purpose == "restore":
        from refold.cli._restoring import fit_restorer

        return partial(fit_restorer, whole=whole)
    if purpose == "compress":
        from refold.cli._learning_to_compress import fit_compressor

        return fit_compressor
    known = nearest(purpose, ("encode", "detect", "camera", "restore", "compress"))
    raise ParameterError(f"--for must be encode, detect, camera, restore or compress, got {purpose!r}{known}")


@app.command()
def detect(
    model: Model,
    data: Data,
    output: Annotated[
        Path | None,
        typer.Option("--output", "-o", help="A .parquet, .csv or .npy file; CSV on standard output without it."),
    ] = None,
    report: Annotated[
        Path | None, typer.Option("--report", help="Write a page of what was found; ends in .html.")
    ] = None,
    maps: Annotated[
        Path | None,
        typer.Option("--maps", metavar="DIR", help="Write a heat map of every flagged picture, NAME.heat.png."),
    ] = None,
    keep: Annotated[
        list[str] | None,
        typer.Option("--keep", metavar="COLUMN", help="Copy a column of the data beside the score, such as an id."),
    ] = None,
    labels: Annotated[
        str | None,
        typer.Option(
            "--labels",
            metavar="COLUMN",
            help="A column that is 1 (or true, or -1 beside +1) for anomalies, to measure by.",
        ),
    ] = None,
    max_memory: MaxMemory = None,
    quiet: Quiet = False,
    json: Json = False,
) -> None:
    """Say of every record how strange it is, whether it is flagged, and why.

    The model is one of refold fit --for detect. The table has the columns score (higher is stranger), p_value (the
    share of normal records as strange or stranger), flagged, and for rows a reason. Data of any size go through part
    by part.

    \b
    Examples:
      refold detect pump.safetensors today.csv -o scores.parquet --report today.html --keep id
      refold detect tiles.safetensors pictures/ -o scores.csv --maps heat/
    """
    with plain_errors():
        from refold.cli._detecting import DetectWishes, detect

        wishes = DetectWishes(output, report, maps, keep or [], labels, max_memory, quiet)
        result = detect(model, data, wishes)
        if json and output is not None:
            answer(result)


@app.command()
def watch(
    source: Annotated[
        str, typer.Argument(metavar="SOURCE", help="A folder that fills, a video file, or a camera's address.")
    ],
    model: Annotated[Path, typer.Option("--model", "-m", help="A .safetensors file of refold fit --for camera.")],
    once: Annotated[bool, typer.Option("--once", help="Judge the frames that are there and stop.")] = False,
    frames: Annotated[
        Path | None, typer.Option("--frames", help="Write one JSON line a frame to this .jsonl file.")
    ] = None,
    out: Annotated[
        Path | None,
        typer.Option("--out", metavar="DIR", help="Pictures of events, and what a later start goes on from."),
    ] = None,
    report: Annotated[
        Path | None, typer.Option("--report", help="Write a page of what was seen at the end; ends in .html.")
    ] = None,
    webhook: Annotated[
        str | None,
        typer.Option("--webhook", metavar="URL", help="POST events as JSON; they wait in DIR while it is down."),
    ] = None,
    every: Annotated[
        float | None, typer.Option("--every", metavar="SECONDS", help="Seconds between frames. [default: as fitted]")
    ] = None,
    quiet: Quiet = False,
) -> None:
    """Watch a fixed camera and tell of what rises there that was not: smoke.

    Events go to standard output, one JSON line when they begin and one when they end: time, score, p-value, box in
    the frame's own pixels, and names of frames. Frames that are late, black, broken or of another size are told of
    and left out; a source that vanishes is waited for. Ctrl-C ends it; with --out the next start goes on.

    \b
    Examples:
      refold watch frames/ -m ridge.safetensors --out ridge/ --webhook https://alarms.example/smoke
      refold watch rtsp://camera/stream -m ridge.safetensors --every 60 --out ridge/
      refold watch yesterday/ -m ridge.safetensors --once --frames found.jsonl --report found.html
    """
    with plain_errors():
        from refold.cli._watching import WatchWishes, watch_camera

        watch_camera(source, model, WatchWishes(once, frames, out, report, webhook, every, quiet))


@app.command()
def accept(
    model: Annotated[Path, typer.Argument(metavar="MODEL", help="A .safetensors file of refold fit --for camera.")],
    event: Annotated[Path, typer.Argument(metavar="EVENT", help="The folder of an event that was nothing.")],
    output: Annotated[
        Path | None, typer.Option("--output", "-o", help="Where the model goes. [default: MODEL itself]")
    ] = None,
) -> None:
    """Teach a camera's model that what an event showed was normal.

    \b
    Example:
      refold accept ridge.safetensors ridge/event-0003
    """
    with plain_errors():
        from refold.cli._watching import accept_event

        accept_event(model, event, output)


@app.command()
def embed(
    model: Model,
    data: Data,
    output: Annotated[
        Path | None,
        typer.Option("--output", "-o", help="A .parquet, .csv or .npy file; CSV on standard output without it."),
    ] = None,
    keep: Annotated[
        list[str] | None,
        typer.Option("--keep", metavar="COLUMN", help="Copy a column of the data beside the code, such as an id."),
    ] = None,
    errors: Annotated[bool, typer.Option("--errors", help="Add the reconstruction error of every record.")] = False,
    max_memory: MaxMemory = None,
    quiet: Quiet = False,
    json: Json = False,
) -> None:
    """Write the code of every record as a table.

    Its columns are autoencoder0, autoencoder1, ...; pictures have a column "file" besides. Data of any size go
    through part by part.

    \b
    Example:
      refold embed people.safetensors people.csv -o latents.parquet --keep id
    """
    with plain_errors():
        from refold.cli._commands import embed_data

        result = embed_data(model, data, output, keep or [], errors, max_memory, quiet)
        if json and output is not None:
            answer(result)


@app.command()
def reconstruct(
    model: Model,
    data: Data,
    output: Annotated[
        Path, typer.Option("--output", "-o", help="A .parquet, .csv, .npy or .npz file, or a folder for pictures.")
    ],
    max_memory: MaxMemory = None,
    quiet: Quiet = False,
    json: Json = False,
) -> None:
    """Rebuild every record through the code.

    Records come back cleaned if the model was trained with a corruption, and without gaps.

    \b
    Example:
      refold reconstruct clean.safetensors scans/ -o cleaned/
    """
    with plain_errors():
        from refold.cli._commands import reconstruct_data

        result = reconstruct_data(model, data, output, max_memory, quiet)
        if json:
            answer(result)


@app.command()
def generate(
    model: Model,
    output: Annotated[
        Path, typer.Option("--output", "-o", help="A .parquet, .csv, .npy or .npz file, or a folder for pictures.")
    ],
    count: Annotated[int, typer.Option("--count", "-n", min=1, help="How many records.")] = 16,
    like: Annotated[
        str | None,
        typer.Option(metavar="DATA", help="Records that new ones shall be like, of the kind that was fitted."),
    ] = None,
    random_state: Annotated[int | None, typer.Option(min=0, help="Seed: the same seed, the same records.")] = None,
    json: Json = False,
) -> None:
    """Make new records: like given ones, or any of a variational model.

    \b
    Example:
      refold fit digits.npy -o v.safetensors --penalty variational
      refold generate v.safetensors -n 64 -o new-digits/
      refold generate map.safetensors --like digits.npy -n 64 -o new-digits/
    """
    with plain_errors():
        from refold.cli._commands import generate_records

        result = generate_records(model, output, count, like, random_state)
        if json:
            answer(result)


@app.command()
def export(
    model: Model,
    output: Annotated[Path, typer.Option("--output", "-o", help="Where the file goes; ends in .onnx.")],
    part: Annotated[
        str,
        typer.Option(
            metavar="whole|encoder|decoder",
            help="Records to rebuilt records, records to codes, or codes to rebuilt records.",
        ),
    ] = "whole",
    quiet: Quiet = False,
    json: Json = False,
) -> None:
    """Write a model as one ONNX file for other programs.

    The file takes and gives raw values: scaling, missing cells, categories and ranges are inside. It is written only
    if ONNX Runtime gives the same numbers, to 1e-4. Needs the extra onnx.

    \b
    Example:
      refold export digits.safetensors -o encoder.onnx --part encoder
    """
    with plain_errors():
        from refold.cli._exporting import export_model

        result = export_model(model, output, part, quiet)
        if json:
            answer(result)


@app.command()
def info(
    file: Annotated[
        str | None, typer.Argument(metavar="[FILE]", help="A model, or any data that refold can read.")
    ] = None,
    machine: Annotated[
        bool, typer.Option("--machine", help="Say what this machine can do and how it is used.")
    ] = False,
    json: Json = False,
) -> None:
    """Say what a model or a data file holds, or how this machine trains.

    \b
    Examples:
      refold info people.safetensors
      refold info --machine
    """
    with plain_errors():
        from refold.cli._info import describe, print_description

        description = describe(file, machine)
        if json:
            answer(description)
        else:
            print_description(description)


@app.command()
def dims(
    data: Data,
    output: Annotated[
        Path | None,
        typer.Option("--output", "-o", help="Ends in .png, .pdf, .svg, or .html for a page with all figures."),
    ] = None,
    represent: Annotated[
        float, typer.Option(metavar="SHARE", help="Share of the variance that is enough, above 0 and at most 1.")
    ] = 0.95,
    drop: Annotated[
        list[str] | None, typer.Option("--drop", metavar="COLUMN", help="Leave a column out, such as an id.")
    ] = None,
    random_state: Annotated[int, typer.Option(min=0, help="Seed: the same seed gives the same answer.")] = 0,
    quiet: Quiet = False,
    json: Json = False,
) -> None:
    """Say how many numbers a code needs to represent data.

    One autoencoder whose codes can be cut off at any size is measured on records held out, beside principal
    components and two estimates of the intrinsic dimension.

    \b
    Examples:
      refold dims mnist.npz::x_train -o dims.html
      refold dims people.csv --represent 0.9
    """
    with plain_errors():
        from refold.cli._sizing import size_data

        result = size_data(data, output, drop or [], represent, random_state, quiet)
        if json:
            answer(result)


@app.command()
def plot(
    model: Model,
    data: Data,
    output: Annotated[
        Path, typer.Option("--output", "-o", help="Ends in .png, .pdf, .svg, or .html for a whole page.")
    ],
    kind: Annotated[
        str,
        typer.Option(
            metavar="codes|map|rebuilt|history",
            help="Which picture; a page holds all of them, but 'map' is a page of its own.",
        ),
    ] = "codes",
    colour: Annotated[
        list[str] | None,
        typer.Option(
            "--colour",
            "--color",
            metavar="COLUMN",
            help="Colour points by a column of the table, by an array (file.npz::y), by 'folder', or by 'error'; "
            "the page of the map takes several.",
        ),
    ] = None,
    quiet: Quiet = False,
) -> None:
    """Draw a model at work on data.

    Pictures are the map of codes, records before and after, and the course of training. The page of the map fills
    the window: it moves, turns, colours points by any column, shows the record under the pointer, and saves what is
    drawn around as a Parquet file.

    \b
    Examples:
      refold plot digits.safetensors mnist.npz::x_test -o map.html --kind map --colour mnist.npz::y_test
      refold plot digits.safetensors mnist.npz::x_test -o map.pdf --kind map --colour mnist.npz::y_test
      refold plot digits.safetensors mnist.npz::x_test -o digits.html --colour mnist.npz::y_test
      refold plot people.safetensors people.csv -o rebuilt.png --kind rebuilt
    """
    with plain_errors():
        from refold.cli._drawing import draw

        draw(model, data, output, kind, colour or [])
        if not quiet:
            say(f"wrote {output}")


@app.command()
def demo(
    output: Annotated[Path, typer.Option("--output", "-o", help="Folder of the page.")] = Path("refold-demo"),
    quiet: Quiet = False,
) -> None:
    """See an autoencoder learn on real data in under three minutes.

    Writes a page with pictures and numbers, and names it.
    """
    with plain_errors():
        from refold.cli._demo import run_demo

        page = run_demo(output, quiet=quiet)
        typer.echo(f"open {page}")


def _version(wanted: bool) -> None:
    if wanted:
        import refold

        typer.echo(f"refold {refold.__version__}")
        raise typer.Exit


@app.callback()
def _program(
    version: Annotated[
        bool, typer.Option("--version", callback=_version, is_eager=True, help="Print the version and stop.")
    ] = False,
) -> None:
    """Fold data small and fold it back."""


def main() -> None:
    """Run the program."""
    # threads that wait without spinning: on a busy machine they are several times faster, on an idle one as fast
    os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")
    try:
        app()
    except KeyboardInterrupt:
        sys.exit(INTERRUPTED)
