"""How much memory there is."""

import re
from pathlib import Path

_UNKNOWN = 4 << 30


def free_memory() -> int:
    """Return the bytes of main memory that are free, or 4 GiB where the system does not say."""
    meminfo = Path("/proc/meminfo")
    found = re.search(r"MemAvailable:\s+(\d+) kB", meminfo.read_text()) if meminfo.exists() else None
    return int(found[1]) * 1024 if found else _UNKNOWN
