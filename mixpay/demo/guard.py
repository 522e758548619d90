"""Ends what the demo started if the demo is killed and cannot do it: `python -m mixpay.demo.guard`.

It reads lines from its standard input: `+ID` when the demo has started a process group, `-ID` when that has
ended. The input ends with the demo, however that ends; then the groups that are left are ended. Nothing else
is ever signalled. It imports next to nothing, to be there at once.
"""

from __future__ import annotations

import os
import signal
import sys
import time
from collections.abc import Iterable

_GRACE = 5.0
_POLL = 0.05


def left(lines: Iterable[str]) -> set[int]:
    """The process groups that were started and have not ended."""
    groups: set[int] = set()
    for line in lines:
        if line.startswith("+"):
            groups.add(int(line[1:]))
        else:
            groups.discard(int(line[1:]))
    return groups


def end(groups: set[int], grace: float = _GRACE) -> None:
    """Ask the groups to end, and make those that do not within `grace` seconds."""
    alive = {group for group in groups if _signal(group, signal.SIGTERM)}
    deadline = time.monotonic() + grace
    while alive and time.monotonic() < deadline:
        time.sleep(_POLL)
        alive = {group for group in alive if _signal(group, 0)}
    for group in alive:
        _signal(group, signal.SIGKILL)


def _signal(group: int, number: int) -> bool:
    """Whether the group is there."""
    try:
        os.killpg(group, number)
    except OSError:
        return False
    return True


if __name__ == "__main__":
    end(left(sys.stdin))
