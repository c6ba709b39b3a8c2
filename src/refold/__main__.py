"""Run the program with ``python -m refold``."""

from refold.cli import main

if __name__ == "__main__":
    main()
