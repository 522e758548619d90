"""Threads that decode a type for the first time, all at once. Without `typed` the process dies of it."""

from __future__ import annotations

import subprocess
import sys

PROGRAM = """
import sys, threading
import msgspec
from mixpay.typed import typed
sys.setswitchinterval(1e-6)
for _ in range(300):
    Inner = msgspec.defstruct("Inner", [(f"f{n}", int, 0) for n in range(20)])
    Outer = msgspec.defstruct("Outer", [("one", Inner), ("many", list[Inner]), ("named", dict[str, Inner])])
    start = threading.Barrier(6)
    def decode():
        start.wait()
        data = b'{"one": {"f1": 2}, "many": [{"f2": 1}], "named": {"a": {}}}'
        assert msgspec.json.decode(data, type=typed(Outer)).one.f1 == 2
    threads = [threading.Thread(target=decode) for _ in range(6)]
    for thread in threads: thread.start()
    for thread in threads: thread.join()
"""


def test_firstUseOfAType_byManyThreads_isSafe() -> None:
    done = subprocess.run([sys.executable, "-c", PROGRAM], capture_output=True, text=True, check=False)
    assert (done.returncode, done.stderr) == (0, "")
