"""What ``refold dims`` does."""

from pathlib import Path
from typing import Any

from refold._errors import ParameterError
from refold.cli._commands import check_output, open_data, without
from refold.cli._talk import say
from refold.estimators import CodeSizes, code_sizes
from refold.plots import FigureSection, NumbersTable, Page, Section, Text, code_size_curves, save_figure, write_page

_PAGES, _PICTURES = (".html", ".htm"), (".png", ".pdf", ".svg")


def size_data(
    data: str,
    output: Path | None,
    drop: list[str],
    represent: float,
    random_state: int,
    quiet: bool,
) -> dict[str, Any]:
    """Say how small a code of the data can be, and draw it if wanted."""
    if not 0 < represent <= 1:
        raise ParameterError(f"--represent {represent} is not possible; it is a share above 0 and at most 1")
    if output is not None:
        check_output(output, (*_PAGES, *_PICTURES))
    source = without(open_data(data, quiet, None), drop)
    sizes = code_sizes(source, represent=represent, random_state=random_state, verbose=0 if quiet else 1)
    if output is not None:
        _draw(sizes, output, Path(data.partition("::")[0]).name)
    if not quiet:
        say(sizes.sentence)
        say(f"intrinsic dimension: {sizes.two_nearest:.1f} (TwoNN), {sizes.likeliest:.1f} (likelihood)")
        if output is not None:
            say(f"wrote {output}")
    return {
        "recommended": sizes.recommended,
        "reason": sizes.sentence,
        "sizes": list(sizes.sizes),
        "represented": list(sizes.represented),
        "components": list(sizes.components),
        "two_nearest": sizes.two_nearest,
        "likeliest": sizes.likeliest,
    }


def _draw(sizes: CodeSizes, output: Path, name: str) -> None:
    intrinsic = [value for value in (sizes.two_nearest, sizes.likeliest) if value == value]
    figure = code_size_curves(
        sizes.sizes, sizes.represented, sizes.components, recommended=sizes.recommended, intrinsic=intrinsic
    )
    if output.suffix.lower() in _PICTURES:
        save_figure(figure, output)
        return
    rows = [
        [str(size), share, components]
        for size, share, components in zip(sizes.sizes, sizes.represented, sizes.components, strict=True)
    ]
    header = ["numbers of the code", "autoencoder", "principal components"]
    note = "Shares of the variance of records held out, which neither has learned from."
    sections: list[Section] = [
        Text("Recommendation", [_as_sentence(sizes.sentence)]),
        FigureSection("Share of the variance represented", figure),
        NumbersTable("In numbers", header, rows, note),
        Text("Intrinsic dimension", [_intrinsic(sizes)]),
    ]
    write_page(Page(f"How small can {name} be?", f"{sizes.columns:,} numbers a record.", sections), output)


def _as_sentence(text: str) -> str:
    return f"{text[0].upper()}{text[1:]}."


def _intrinsic(sizes: CodeSizes) -> str:
    return (
        f"From distances to neighbours alone, the records fill {sizes.two_nearest:.1f} (TwoNN) or "
        f"{sizes.likeliest:.1f} (likelihood of Levina and Bickel) dimensions. A code of about so many numbers can "
        "tell records apart; how many it takes to rebuild them says the curve."
    )
