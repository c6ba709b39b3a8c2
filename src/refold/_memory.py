"""How much memory there is."""

import re
from pathlib import Path

_UNKNOWN = 4 << 30


def free_memory() -> int:
    """Return the bytes of main memory that are free, or 4 GiB where the system does not say."""
    meminfo = Path("/proc/meminfo")
    found = re.search(r"MemAvailable:\s+(\d+) kB", meminfo.read_text()) if meminfo.exists() else None
    of_machine = int(found[1]) * 1024 if found else _UNKNOWN
    return min(of_machine, *(left for limit, used in _GROUPS if (left := _left(limit, used)) is not None), of_machine)


_GROUPS = (
    ("/sys/fs/cgroup/memory.max", "/sys/fs/cgroup/memory.current"),
    ("/sys/fs/cgroup/memory/memory.limit_in_bytes", "/sys/fs/cgroup/memory/memory.usage_in_bytes"),
)


def _left(limit: str, used: str) -> int | None:
    """Return what a container's limit leaves, or None where there is none."""
    try:
        return max(0, int(Path(limit).read_text()) - int(Path(used).read_text()))
    except (OSError, ValueError):  # "max"
        return None
