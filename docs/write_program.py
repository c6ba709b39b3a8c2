"""Write ``program.md``, the page of every command, from the program's own help: ``python docs/write_program.py``."""

from pathlib import Path

from refold.cli import program_page

if __name__ == "__main__":
    Path(__file__).with_name("program.md").write_text(program_page())
