"""A page in one file: no network, no second file, light and dark."""

import base64
import hashlib
import os
from collections.abc import Sequence
from dataclasses import dataclass
from importlib.resources import files

from refold._atomic import write_whole
from refold.plots._markup import escaped
from refold.plots._sections import Section
from refold.plots._turning import TurningScatter

_CONTENTS_FROM = 4


@dataclass(frozen=True, eq=False)
class Page:
    """What a page says: a title, a sentence or two, and its sections from top to bottom.

    Parameters
    ----------
    title, lead : str
        Plain text.
    sections : sequence of Section
        `Text`, `FigureSection`, `NumbersTable`, `TurningScatter`, `Pictures`, `Animation`, or any object
        with a `heading` and a method `html`.
    """

    title: str
    lead: str
    sections: Sequence[Section]


def write_page(page: Page, path: str | os.PathLike[str]) -> None:
    """Write a page as one HTML file that needs nothing else, whole or not at all.

    The file holds its own style, script, figures and pictures; a content security policy inside it forbids
    every request and every script but its own. All texts are escaped.

    Parameters
    ----------
    page : Page
    path : path-like
        Where to write, usually with the suffix .html.

    Examples
    --------
    >>> import pathlib, tempfile
    >>> from refold.plots import Page, Text, write_page
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     path = pathlib.Path(folder, "report.html")
    ...     write_page(Page("Digits", "In 3 numbers.", [Text("Why", ["Because."])]), path)
    ...     path.read_text(encoding="utf-8")[:15]
    '<!doctype html>'
    """
    whole = _document(page)
    with write_whole(path) as temporary:
        temporary.write_text(whole, encoding="utf-8")


def _document(page: Page) -> str:
    script = own_file("_turning_scatter.js") if _has_cloud(page) else ""
    return f"""<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta http-equiv="Content-Security-Policy" content="{policy(script)}">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>{escaped(page.title)}</title>
<style>{own_file("_page.css")}</style>
</head>
<body>
<header><div>
<h1>{escaped(page.title)}</h1>
<p class="lead">{escaped(page.lead)}</p>
{_contents(page.sections)}</div></header>
<main>
{_bodies(page.sections)}
</main>
<footer>Made with refold. This page is one file and asks the network for nothing.</footer>
{f"<script>{script}</script>" if script else ""}
</body>
</html>
"""


def _has_cloud(page: Page) -> bool:
    return any(isinstance(section, TurningScatter) for section in page.sections)


def own_file(name: str) -> str:
    """Return the text of a file that lies beside this one."""
    return files("refold.plots").joinpath(name).read_text(encoding="utf-8")


def policy(script: str) -> str:
    """Allow the page's own script by its hash and no other, pictures inside the file, and nothing else."""
    digest = base64.b64encode(hashlib.sha256(script.encode()).digest()).decode()
    allowed = f"'sha256-{digest}'" if script else "'none'"
    return f"default-src 'none'; img-src data:; style-src 'unsafe-inline'; script-src {allowed}"


def _contents(sections: Sequence[Section]) -> str:
    links = [
        f'<a href="#section-{number}">{escaped(section.heading)}</a>'
        for number, section in enumerate(sections, start=1)
        if section.heading
    ]
    return f"<nav>{''.join(links)}</nav>\n" if len(links) >= _CONTENTS_FROM else ""


def _bodies(sections: Sequence[Section]) -> str:
    return "\n".join(_body(number, section) for number, section in enumerate(sections, start=1))


def _body(number: int, section: Section) -> str:
    heading = f"<h2>{escaped(section.heading)}</h2>\n" if section.heading else ""
    return f'<section id="section-{number}">\n{heading}{section.html()}\n</section>'
