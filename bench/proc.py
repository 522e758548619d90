"""What processes used, as /proc says: CPU time and memory of a process and all its children."""

from __future__ import annotations

import os
from pathlib import Path

_TICK = 1 / os.sysconf("SC_CLK_TCK")
_PAGE = os.sysconf("SC_PAGE_SIZE")
_UTIME, _STIME, _RSS = 11, 12, 21
"""Fields of /proc/PID/stat, counted from behind the name."""


def tree(pid: int) -> list[int]:
    """A process and all that descend from it, as long as they live."""
    found = [pid]
    for task in Path(f"/proc/{pid}/task").glob("*/children"):
        for child in task.read_text().split():
            found += tree(int(child))
    return found


def cpu(pid: int) -> float:
    """Seconds of CPU, user and system, of all threads of one process, those that ended too."""
    fields = _stat(pid)
    return (int(fields[_UTIME]) + int(fields[_STIME])) * _TICK


def cpu_by_process(pid: int) -> dict[int, float]:
    """The same for a process and its children."""
    return {one: cpu(one) for one in tree(pid)}


def rss_mb(pid: int) -> float:
    """Resident memory of a process and its children, in 10⁶ bytes; what they share is counted in each."""
    return sum(int(_stat(one)[_RSS]) for one in tree(pid)) * _PAGE / 1e6


def machine_busy() -> tuple[float, float]:
    """Seconds that all cores together were busy, and were there, since the machine started."""
    times = [int(part) for part in Path("/proc/stat").read_text().splitlines()[0].split()[1:9]]
    idle = times[3] + times[4]
    return (sum(times) - idle) * _TICK, sum(times) * _TICK


def _stat(pid: int) -> list[str]:
    return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
