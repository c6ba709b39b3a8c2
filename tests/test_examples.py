"""Every example that a user may copy runs: docstrings, README, documentation."""

import doctest
import importlib
import pkgutil
import re
from pathlib import Path

import pytest

import refold

ROOT = Path(__file__).parent.parent
MODULES = sorted(
    module.name
    for module in pkgutil.walk_packages(refold.__path__, "refold.")
    if not module.name.endswith("__main__")
)
PAGES = sorted(path for path in [ROOT / "README.md", *(ROOT / "docs").rglob("*.md")] if path.is_file())
# a fence of ``` or ~~~, possibly indented, up to the same fence again
_BLOCK = re.compile(
    r"^(?P<indent>[ \t]*)(?P<fence>```+|~~~+)[ \t]*(?P<language>[\w+-]*)[^\n]*\n"
    r"(?P<code>.*?)^(?P=indent)(?P=fence)[ \t]*$",
    re.MULTILINE | re.DOTALL,
)


def python_blocks(text):
    """Line number and code of every Python block of a page; doctests lose their prompts."""
    for found in _BLOCK.finditer(text):
        if found["language"] in ("python", "py", "pycon"):
            line = text.count("\n", 0, found.start("code")) + 1
            lines = [row.removeprefix(found["indent"]) for row in found["code"].splitlines()]
            if any(row.startswith(">>> ") for row in lines):
                lines = [row[4:] if row.startswith((">>> ", "... ")) else "" for row in lines]
            yield line, "\n".join(lines)


@pytest.mark.parametrize("name", ["refold", *MODULES])
def test_examples_in_docstrings(name, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    failures, _ = doctest.testmod(
        importlib.import_module(name), optionflags=doctest.NORMALIZE_WHITESPACE | doctest.ELLIPSIS
    )
    assert failures == 0


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.relative_to(ROOT).as_posix())
def test_examples_in_pages(page, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("MPLBACKEND", "Agg")
    namespace = {"__name__": "__main__"}
    for line, code in python_blocks(page.read_text(encoding="utf8")):
        # the page's own line numbers in a traceback
        exec(compile("\n" * (line - 1) + code, str(page), "exec"), namespace)  # noqa: S102


def test_the_blocks_of_a_page_are_found():
    page = """Text
```python
a = 1
```
```bash
refold demo
```
~~~py
>>> a + 1
2
~~~
    ```python title="x.py"
    b = 2
    ```
"""
    assert [(line, code.strip()) for line, code in python_blocks(page)] == [(3, "a = 1"), (9, "a + 1"), (13, "b = 2")]


def test_public_names_have_examples_or_are_errors():
    for name in refold.__all__:
        if not name.endswith(("Error", "Warning")):
            assert ">>> " in getattr(refold, name).__doc__
