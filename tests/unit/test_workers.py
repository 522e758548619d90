"""Worker processes that open packets: real ones."""

from __future__ import annotations

import asyncio
import os
import signal
import subprocess
import sys
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import replace
from pathlib import Path

import pytest

from mixpay.types import Epoch
from opening_samples import DICE, EPOCH, KEY, job
from relay.path.opening import InlineOpener, Job, Verdict, open_all
from relay.path.workers import WorkerPool

KEYS = {EPOCH: KEY}
LIMIT = 20.0


@asynccontextmanager
async def pool(count: int) -> AsyncIterator[WorkerPool]:
    made = WorkerPool(count, InlineOpener(DICE.randbytes))
    await made.start()
    made.use(KEYS)
    try:
        yield made
    finally:
        await made.stop()


def ask(workers: WorkerPool, jobs: Sequence[Job]) -> asyncio.Future[list[Verdict]]:
    """The verdicts, when they come."""
    future: asyncio.Future[list[Verdict]] = asyncio.get_running_loop().create_future()
    workers.open(jobs, lambda verdicts: future.set_result(list(verdicts)))
    return future


@pytest.mark.parametrize("count", [0, 1, 2])
async def test_verdicts_areThoseOfTheDaemonItself(count: int) -> None:
    bursts = [[job() for _ in range(12)] for _ in range(5)]
    bursts[1][3] = replace(bursts[1][3], lock=bytes(20))
    bursts[2][4] = replace(bursts[2][4], epoch=Epoch(9))
    bursts[3][5] = replace(bursts[3][5], hint=bytes(65))
    async with pool(count) as workers:
        assert len(workers.pids) == count
        answers = await asyncio.wait_for(asyncio.gather(*(ask(workers, burst) for burst in bursts)), LIMIT)
    assert answers == [open_all(KEYS, burst, DICE.randbytes) for burst in bursts]


async def test_keysThatAreGone_openNothing() -> None:
    async with pool(1) as workers:
        workers.use({})
        assert await asyncio.wait_for(ask(workers, [job()]), LIMIT) == ["wrong_epoch"]
        workers.use(KEYS)
        (verdict,) = await asyncio.wait_for(ask(workers, [job()]), LIMIT)
        assert not isinstance(verdict, str)


async def test_workerThatDies_losesNothing_andIsReplaced() -> None:
    async with pool(1) as workers:
        (pid,) = workers.pids
        os.kill(pid, signal.SIGSTOP)  # so that it has the packets when it dies
        waiting = [ask(workers, [job() for _ in range(40)]) for _ in range(10)]
        await asyncio.sleep(0)
        assert not any(future.done() for future in waiting)
        os.kill(pid, signal.SIGKILL)
        answers = await asyncio.wait_for(asyncio.gather(*waiting), LIMIT)
        assert not any(isinstance(verdict, str) for answer in answers for verdict in answer)
        async with asyncio.timeout(LIMIT):
            while not workers.pids or pid in workers.pids:
                await asyncio.sleep(0.01)
        assert await asyncio.wait_for(ask(workers, [job()]), LIMIT)


async def test_stop_opensWhatWaits_andLeavesNoProcess() -> None:
    async with pool(2) as workers:
        pids = workers.pids
        waiting = [ask(workers, [job() for _ in range(30)]) for _ in range(6)]
    assert all(future.done() for future in waiting)
    for pid in pids:
        with pytest.raises(ProcessLookupError):
            os.kill(pid, 0)


DAEMON = """
import asyncio, sys
sys.path[:0] = {path!r}
from relay.path.opening import InlineOpener
from relay.path.workers import WorkerPool
async def main():
    pool = WorkerPool(2, InlineOpener(bytes))
    await pool.start()
    print(*pool.pids, flush=True)
    await asyncio.sleep(60)
asyncio.run(main())
"""


def test_workersEnd_whenTheirDaemonIsKilled() -> None:
    command = [sys.executable, "-c", DAEMON.format(path=sys.path)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as daemon:
        assert daemon.stdout is not None
        pids = [int(pid) for pid in daemon.stdout.readline().split()]
        assert len(pids) == 2
        daemon.kill()
    for pid in pids:
        asyncio.run(asyncio.wait_for(_gone(pid), LIMIT))


async def _gone(pid: int) -> None:
    """Wait for the end of a process that is not our child; where nobody reaps it, it stays as a zombie."""
    while True:
        try:
            os.kill(pid, 0)
            stat = Path(f"/proc/{pid}/stat").read_text(encoding="ascii")
        except (ProcessLookupError, FileNotFoundError):
            return
        if stat.rpartition(")")[2].split()[0] == "Z":
            return
        await asyncio.sleep(0.01)
