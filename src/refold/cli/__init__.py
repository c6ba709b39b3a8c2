"""The program ``refold``."""

from refold.cli import _compress_commands, _picture_commands, _table_commands
from refold.cli._app import app, main
from refold.cli._page_of_help import program_page

_picture_commands.add_to(app)
_table_commands.add_to(app)
_compress_commands.add_to(app)

__all__ = ["app", "main", "program_page"]
