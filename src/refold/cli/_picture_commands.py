"""The commands from pictures to pictures. Heavy imports happen inside them."""

from pathlib import Path
from typing import Annotated, Any

import typer

from refold._errors import ParameterError
from refold._parameters import bytes_of
from refold.cli._options import sigma_of
from refold.cli._talk import DATA_AT_FAULT, answer, plain_errors

Inputs = Annotated[
    list[str], typer.Argument(metavar="IN...", help="Pictures, folders of them, or patterns: 'scans/*.png'.")
]
Output = Annotated[Path, typer.Option("--output", "-o", help="A folder; or a picture, for one picture.")]
Model = Annotated[
    Path | None,
    typer.Option("--model", "-m", help="A restorer of your own. [default: the one that ships with refold]"),
]
Strength = Annotated[float, typer.Option("--strength", help="Share of the damage that is taken off, 0 to 1.")]
SelfEnsemble = Annotated[
    bool, typer.Option("--tta", help="Mean over eight turned and mirrored ways: slower, a little better.")
]
Compare = Annotated[
    bool, typer.Option("--compare", help="Write before and after side by side, NAME.compare.png, and a page.")
]
Overwrite = Annotated[bool, typer.Option("--overwrite", help="Replace files that are there already.")]
SkipExisting = Annotated[bool, typer.Option("--skip-existing", help="Leave out pictures whose result is there.")]
SaveMasks = Annotated[
    Path | None, typer.Option("--save-masks", metavar="DIR", help="Write the masks that were used, NAME.png.")
]
MaxMemory = Annotated[
    int | None,
    typer.Option(
        metavar="BYTES",
        parser=bytes_of,
        help="Most memory for the network's work, such as 500MB. [default: half of the free memory]",
    ),
]
Quiet = Annotated[bool, typer.Option("--quiet", "-q", help="No progress and no talk.")]
Json = Annotated[bool, typer.Option("--json", help="Print the result as JSON on standard output.")]


def add_to(app: typer.Typer) -> None:
    """Add the commands to the program."""
    for command in (denoise, inpaint, colourise, unwatermark, corrupt):
        app.command()(command)
    app.command("colorize", hidden=True)(colourise)


def denoise(
    inputs: Inputs,
    output: Output,
    model: Model = None,
    strength: Strength = 1.0,
    sigma: Annotated[
        float | None,
        typer.Option(
            "--sigma",
            metavar="auto|N",
            parser=sigma_of,
            help="Deviation of the noise, of 255, where it is known: at most that much is taken off. [default: auto]",
            show_default=False,
        ),
    ] = None,
    self_ensemble: SelfEnsemble = False,
    compare: Compare = False,
    overwrite: Overwrite = False,
    skip_existing: SkipExisting = False,
    max_memory: MaxMemory = None,
    quiet: Quiet = False,
    json: Json = False,
) -> None:
    """Take noise off pictures.

    The strength of the noise is found and told; a picture without noise comes back as it is. Size, depth,
    transparency, EXIF and colour profile stay. 20 % noise is sigma 51 of 255. Files that cannot be read are told of
    and left out, and the exit code is then 1.

    \b
    Examples:
      refold denoise scan.png -o clean.png
      refold denoise scans/ -o clean/ --compare
      refold denoise 'night/*.jpg' -o clean/ --strength 0.7
    """
    with plain_errors():
        from refold.cli._picture_jobs import Writing
        from refold.cli._restoring import RestoreWishes, restore_files

        wishes = RestoreWishes(
            Writing(output, overwrite, skip_existing),
            model,
            strength,
            sigma,
            self_ensemble,
            compare,
            max_memory,
            quiet,
        )
        _answer(restore_files(inputs, "denoise", wishes), json)


def inpaint(
    inputs: Inputs,
    output: Output,
    mask: Annotated[
        str,
        typer.Option(
            "--mask",
            metavar="FILE|FOLDER|COLOUR|alpha",
            help="What is lost: a picture that is bright there, for all of IN; a folder of them, of the same names; "
            "the colour that lost pixels have, such as white or '#ff00ff'; or alpha, for transparent pixels.",
        ),
    ],
    grow: Annotated[
        int | None,
        typer.Option("--grow", min=0, max=100, help="Pixels to widen the mask by. [default: 1 for a colour, else 0]"),
    ] = None,
    tolerance: Annotated[
        int, typer.Option("--tolerance", min=0, max=255, help="How far, of 255, a channel may be from the colour.")
    ] = 16,
    save_masks: SaveMasks = None,
    model: Model = None,
    strength: Strength = 1.0,
    self_ensemble: SelfEnsemble = False,
    compare: Compare = False,
    overwrite: Overwrite = False,
    skip_existing: SkipExisting = False,
    max_memory: MaxMemory = None,
    quiet: Quiet = False,
    json: Json = False,
) -> None:
    """Fill what is lost in pictures: scratches, text, missing pixels, small holes.

    Pixels that are not lost stay bit for bit. What is filled continues what is around it; nothing new is invented, so
    that holes wider than some 30 pixels come out smooth.

    \b
    Examples:
      refold inpaint scan.png --mask scratches.png -o whole.png
      refold inpaint scans/ --mask masks/ -o whole/ --compare
      refold inpaint 'stamped/*.png' --mask red --tolerance 60 --grow 2 -o whole/
    """
    with plain_errors():
        from refold.cli._guides import mask_guide
        from refold.cli._picture_jobs import Writing
        from refold.cli._restoring import RestoreWishes, restore_files

        wishes = RestoreWishes(
            Writing(output, overwrite, skip_existing, _folders(mask, save_masks)),
            model,
            strength,
            None,
            self_ensemble,
            compare,
            max_memory,
            quiet,
            mask_guide(mask, grow, tolerance),
            save_masks,
        )
        _answer(restore_files(inputs, "inpaint", wishes), json)


def colourise(
    inputs: Inputs,
    output: Output,
    hints: Annotated[
        Path | None,
        typer.Option(
            "--hints",
            metavar="FILE|FOLDER",
            help="Colours that are known: a picture of the same size, transparent but for dots or strokes, or grey "
            "but for them; or a folder of such pictures, of the same names.",
        ),
    ] = None,
    model: Model = None,
    strength: Annotated[
        float, typer.Option("--strength", help="How strong the colours are: 0 none, 1 as guessed, up to 2.")
    ] = 1.0,
    self_ensemble: SelfEnsemble = False,
    compare: Compare = False,
    overwrite: Overwrite = False,
    skip_existing: SkipExisting = False,
    quiet: Quiet = False,
    json: Json = False,
) -> None:
    """Give colours to grey pictures, from hints and without (colorize is the same).

    What was light stays light: only colour is added. Without hints the colours are cautious guesses; a few dots of
    the right colour say more than any guess. A picture that has colours already comes back as it is; the tint of an
    old print does not count.

    \b
    Examples:
      refold colourise old.jpg --hints dots.png -o coloured.jpg
      refold colourise album/ -o coloured/ --hints dots/ --compare
    """
    with plain_errors():
        from refold.cli._guides import hint_guide, no_guide
        from refold.cli._picture_jobs import Writing
        from refold.cli._restoring import RestoreWishes, restore_files

        wishes = RestoreWishes(
            Writing(output, overwrite, skip_existing, _folders(hints)),
            model,
            strength,
            self_ensemble=self_ensemble,
            compare=compare,
            quiet=quiet,
            guide=no_guide if hints is None else hint_guide(hints),
        )
        _answer(restore_files(inputs, "colourise", wishes), json)


def unwatermark(
    inputs: Inputs,
    output: Output,
    same_mark: Annotated[
        bool,
        typer.Option(
            "--same-mark",
            help="All pictures (eight at least, of one size) have one mark at one place: it is told from all of "
            "them and taken off, and what lies below it stays.",
        ),
    ] = False,
    logo: Annotated[
        list[Path] | None,
        typer.Option(
            "--logo",
            metavar="FILE",
            help="The mark itself, a picture with transparency or on a plain background: it is found at any place, "
            "size and opacity, also tiled, and taken off exactly. Again for another that pictures may have.",
        ),
    ] = None,
    mask: Annotated[
        str | None,
        typer.Option(
            "--mask",
            metavar="FILE|FOLDER",
            help="Where the mark is, bright; nothing else is changed. [default: it is found]",
        ),
    ] = None,
    save_masks: SaveMasks = None,
    model: Model = None,
    strength: Strength = 1.0,
    self_ensemble: SelfEnsemble = False,
    compare: Compare = False,
    overwrite: Overwrite = False,
    skip_existing: SkipExisting = False,
    max_memory: MaxMemory = None,
    quiet: Quiet = False,
    json: Json = False,
) -> None:
    """Take a half transparent mark, such as a logo, off your own pictures.

    With --logo, the mark itself, it is found in each picture and taken off exactly, which is best; with --same-mark
    it is told from all pictures; else the network that ships, or a restorer of your own mark (--model), finds it in
    each. Other pixels stay bit for bit, and a picture in which no mark is found comes back as it is. For pictures
    that are yours, or that you may change.

    \b
    Examples:
      refold unwatermark stamped.png -o clean.png --compare
      refold unwatermark shop/ -o clean/ --logo logo.png
      refold unwatermark album/ -o clean/ --same-mark
      refold fit photos/ --for restore --corruption "watermark('logo.png')" -o logo.safetensors   # your own mark
      refold unwatermark stamped/ -m logo.safetensors -o clean/
    """
    with plain_errors():
        from refold.cli._guides import mask_guide, no_guide
        from refold.cli._picture_jobs import Writing
        from refold.cli._restoring import RestoreWishes, restore_files

        if same_mark and (mask is not None or model is not None):
            raise ParameterError("--same-mark finds the mark by itself; leave --mask and --model out")
        if logo and (same_mark or mask is not None or model is not None):
            raise ParameterError("--logo finds the mark by itself; leave --same-mark, --mask and --model out")
        wishes = RestoreWishes(
            Writing(output, overwrite, skip_existing, _folders(mask, save_masks)),
            model,
            strength,
            None,
            self_ensemble,
            compare,
            max_memory,
            quiet,
            no_guide if mask is None else mask_guide(mask, None, 16),
            save_masks,
        )
        if logo:
            from refold.cli._known_logo import unwatermark_logo

            _answer(unwatermark_logo(inputs, logo, wishes), json)
            return
        if same_mark:
            from refold.cli._same_mark import unwatermark_together

            _answer(unwatermark_together(inputs, wishes), json)
            return
        _answer(restore_files(inputs, "unwatermark", wishes), json)


def corrupt(
    inputs: Inputs,
    output: Output,
    corruption: Annotated[
        str,
        typer.Option(
            "--corruption",
            "-c",
            help="What shall happen, as in refold fit: 'noise(0.2)', 'noise(sigma=25)', 'scratches(0.15)', "
            "'jpeg(20)', joined with + for all of them or | for one of them.",
        ),
    ],
    seed: Annotated[int, typer.Option("--seed", min=0, help="The same seed damages in the same way.")] = 0,
    lost: Annotated[
        str, typer.Option("--lost", metavar="COLOUR", help="The colour that lost pixels get.")
    ] = "magenta",
    masks: Annotated[
        Path | None, typer.Option("--masks", metavar="DIR", help="Write which pixels were lost, NAME.png.")
    ] = None,
    overwrite: Overwrite = False,
    skip_existing: SkipExisting = False,
    quiet: Quiet = False,
    json: Json = False,
) -> None:
    """Damage pictures on purpose: to see what a corruption does, or to test a restorer.

    It is the same damage that refold fit --for restore trains on.

    \b
    Examples:
      refold corrupt photo.jpg -o damaged.png -c "noise(0.2)"
      refold corrupt photos/ -o damaged/ -c "scratches(0.15)+jpeg(30)" --masks masks/
      refold inpaint damaged/ --mask masks/ -o whole/
    """
    with plain_errors():
        from refold.cli._corrupting import CorruptWishes, corrupt_files
        from refold.cli._picture_jobs import Writing

        writing = Writing(output, overwrite, skip_existing, _folders(masks))
        _answer(corrupt_files(inputs, CorruptWishes(writing, corruption, seed, lost, masks, quiet)), json)


def _folders(*told: Path | str | None) -> tuple[Path, ...]:
    """Return which folders hold something else than pictures to work on."""
    return tuple(Path(each) for each in told if each is not None and not Path(each).is_file())


def _answer(result: dict[str, Any], json: bool) -> None:
    """Print the result if it is wanted, and end with the exit code of files that could not be read."""
    if json:
        answer(result)
    if result["skipped"]:
        raise typer.Exit(DATA_AT_FAULT)
