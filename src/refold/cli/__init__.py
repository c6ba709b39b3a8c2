"""The program ``refold``."""

from refold.cli._app import app, main
from refold.cli._page_of_help import program_page

__all__ = ["app", "main", "program_page"]
