"""The program ``refold``."""

from refold.cli._app import app, main

__all__ = ["app", "main"]
