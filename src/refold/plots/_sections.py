"""What a page is made of. Every section is a frozen value with a heading and one method, `html`."""

import io
import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

from refold.plots._look import IN_THE_DARK
from refold.plots._markup import caption_line, data_uri, escaped
from refold.plots._static import Figure

_LARGEST_SVG = 2_000_000
_DOTS_PER_INCH = 104
# On a telephone a figure is scrolled sideways rather than shrunk until its words cannot be read.
_NARROWEST = 540


class Section(Protocol):
    """Anything with a heading that can write itself as HTML."""

    @property
    def heading(self) -> str:
        """Plain text; empty for none."""

    def html(self) -> str:
        """Return the section's body, every text in it escaped."""


@dataclass(frozen=True)
class Text:
    """Paragraphs of plain text.

    Examples
    --------
    >>> from refold.plots import Text
    >>> Text("Why", ("Fewer numbers.", "1 < 2.")).html()
    '<p>Fewer numbers.</p>\\n<p>1 &lt; 2.</p>'
    """

    heading: str
    paragraphs: Sequence[str]

    def html(self) -> str:
        """Return one <p> per paragraph."""
        return "\n".join(f"<p>{escaped(paragraph)}</p>" for paragraph in self.paragraphs)


@dataclass(frozen=True)
class FigureSection:
    """A matplotlib figure, drawn once for light and once for dark pages.

    Parameters
    ----------
    heading : str
    figure : matplotlib.figure.Figure
        Drawn as SVG in which ink and paper change places on a dark page; as PNG on white if the SVG would be
        larger than 2 MB.
    caption : str, default=""
    alt : str, default=""
        What the figure shows, for readers who cannot see it; empty takes the caption, then the heading.
    """

    heading: str
    figure: Figure
    caption: str = ""
    alt: str = ""

    def html(self) -> str:
        """Return the figure in a card."""
        return f'<div class="card drawing">{self._drawing()}</div>{caption_line(self.caption)}'

    def _drawing(self) -> str:
        alt = escaped(self.alt or self.caption or self.heading)
        wide = round(self.figure.get_size_inches()[0] * _DOTS_PER_INCH)
        size = f'width="{wide}" style="--least:{min(wide, _NARROWEST)}px"'
        light = _saved(self.figure, "svg")
        if len(light) > _LARGEST_SVG:
            address = data_uri("image/png", _saved(self.figure, "png"))
            return f'<img class="on-white" src="{address}" {size} alt="{alt}">'
        return (
            '<picture><source media="(prefers-color-scheme: dark)" '
            f'srcset="{data_uri("image/svg+xml", _darkened(light))}">'
            f'<img src="{data_uri("image/svg+xml", light)}" {size} alt="{alt}"></picture>'
        )


def _saved(figure: Figure, kind: str) -> bytes:
    file = io.BytesIO()
    if kind == "svg":
        nothing = dict.fromkeys(("Date", "Creator", "Format", "Type"))
        figure.savefig(file, format="svg", transparent=True, metadata=nothing)
    else:
        figure.savefig(file, format=kind)
    return file.getvalue()


def _darkened(svg: bytes) -> bytes:
    """Swap the house's ink and paper. SVG leaves black fills unsaid, so the root says the light ink."""
    colours = {**IN_THE_DARK, "#000000": "#e8ebef"}
    pattern = re.compile("|".join(colours), re.IGNORECASE)
    text = pattern.sub(lambda found: colours[found[0].lower()], svg.decode())
    return text.replace("<svg ", '<svg fill="#e8ebef" ', 1).encode()
