"""Write a benchmark's table into ``RESULTS.md``, with the machine that measured it."""

import os
import platform
import re
from collections.abc import Sequence
from datetime import date
from pathlib import Path

import torch

import refold

_FILE = Path(__file__).with_name("RESULTS.md")
_TITLE = "# Results\n\nWritten by the benchmarks themselves; every section names its command and its machine.\n"


def write_section(name: str, title: str, command: str, lines: Sequence[str]) -> None:
    """Replace the section `name` of the results, or append it."""
    body = "\n".join(lines)
    section = f"<!-- {name} -->\n## {title}\n\n`{command}`, {date.today()}, {machine()}\n\n{body}\n<!-- /{name} -->"
    text = _FILE.read_text() if _FILE.exists() else _TITLE
    pattern = re.compile(rf"<!-- {name} -->.*<!-- /{name} -->", re.DOTALL)
    text = pattern.sub(lambda _: section, text) if pattern.search(text) else f"{text.rstrip()}\n\n{section}\n"
    _FILE.write_text(text)


def machine() -> str:
    """Return what measured: processor, cores, versions."""
    return (
        f"{_processor()}, {os.cpu_count()} cores ({torch.get_num_threads()} threads, "
        f"{torch.backends.cpu.get_cpu_capability()}, bfloat16 {torch.cpu._is_avx512_bf16_supported()}), "
        f"Python {platform.python_version()}, torch {torch.__version__}, refold {refold.__version__}"
    )


def _processor() -> str:
    cpuinfo = Path("/proc/cpuinfo")
    found = re.search(r"model name\s*: (.+)", cpuinfo.read_text()) if cpuinfo.exists() else None
    return found[1] if found else platform.processor() or platform.machine()
