"""The relay's process: who may have the folder, what signals do, what runs beside. Real chain, one relay."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable
from pathlib import Path

import pytest

from mixpay.chain.devchain import DevChain
from mixpay.errors import UserError
from mixpay.types import Epoch, RelayId, Value
from relay import process as relay_process
from relay.daemon import Daemon
from relay.home_lock import HomeLock
from relay.operator.api_client import ApiClient
from relay.path.arrivals import Outgoing
from relay.process import Signals, serve
from relay.retired import RetiredRelays
from relay.supervisor import Supervisor
from test_supervisor import Street, until

LOST = Outgoing(RelayId(99), bytes(20), bytes(65), Value(1), Epoch(9_999), bytes(10), bytes(8))
"""A packet whose epoch nobody has keys for: it is dropped, and counted, when its time has come."""


class Running:
    """`serve` as a task, and the daemon in it."""

    def __init__(self, street: Street, monkeypatch: pytest.MonkeyPatch) -> None:
        self.signals = Signals()
        self.supervisors: list[Supervisor] = []

        def supervisor(*arguments: object) -> Supervisor:
            made = Supervisor(*arguments)  # type: ignore[arg-type]
            self.supervisors.append(made)
            return made

        monkeypatch.setattr(relay_process, "Supervisor", supervisor)
        nobody = RetiredRelays(street.folder, [])
        self.task = asyncio.create_task(serve(street.home, nobody, self.signals))
        self.folder = street.folder

    async def daemon(self) -> Daemon:
        await until(lambda: self.task.done() or (self.folder / "api.json").exists())
        assert not self.task.done(), self.task.exception()
        return self.supervisors[0].daemons[0]

    async def ended(self) -> None:
        await asyncio.wait_for(asyncio.shield(self.task), 20)


@pytest.fixture
def street(chain: DevChain, tmp_path: Path, unused_tcp_port_factory: Callable[[], int]) -> Street:
    made = Street(chain, tmp_path / "relay", unused_tcp_port_factory)
    made.register(made.first)
    return made


async def test_firstSignal_letsPacketsGoOn_thenStops(street: Street, monkeypatch: pytest.MonkeyPatch) -> None:
    running = Running(street, monkeypatch)
    daemon = await running.daemon()
    daemon.mixer.add(daemon.clock(), 1.0, LOST)
    running.signals.came()
    await running.ended()
    assert len(daemon.mixer) == 0
    drops = daemon.metrics.registry.get_sample_value("mixpay_drops_total", {"reason": "expired_key"})
    assert drops == 1, "it left when its time had come"
    with pytest.raises(OSError):
        await asyncio.open_connection("127.0.0.1", street.first.client_port)


async def test_secondSignal_stopsAtOnce(street: Street, monkeypatch: pytest.MonkeyPatch) -> None:
    running = Running(street, monkeypatch)
    daemon = await running.daemon()
    daemon.mixer.add(daemon.clock(), 3_600.0, LOST)
    running.signals.came()
    await until(lambda: daemon.drain.begun)
    assert not running.task.done()
    running.signals.came()
    await running.ended()
    assert len(daemon.mixer) == 1


async def test_packetThatCannotGoOn_doesNotKeepTheProcess(
    street: Street, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(relay_process, "LONGEST", 0.2)
    running = Running(street, monkeypatch)
    daemon = await running.daemon()
    daemon.mixer.add(daemon.clock(), 3_600.0, LOST)
    running.signals.came()
    await running.ended()
    assert "stopping with packets that could not be sent on" in caplog.text


async def test_drain_isAskedByTheCommandLine_andShownByStatus_andTakenBack(
    street: Street, monkeypatch: pytest.MonkeyPatch
) -> None:
    running = Running(street, monkeypatch)
    daemon = await running.daemon()
    client = ApiClient(street.folder)
    daemon.mixer.add(daemon.clock(), 3_600.0, LOST)
    answer = await asyncio.to_thread(client.drain, 0.1)
    assert (answer.draining, answer.complete, answer.held) == (True, False, 1)
    status = await asyncio.to_thread(client.status)
    assert status.draining is not None and status.draining.held == 1
    daemon.mixer.drain()
    assert (await asyncio.to_thread(client.drain, 10)).complete
    assert not (await asyncio.to_thread(client.resume)).draining
    assert (await asyncio.to_thread(client.status)).draining is None
    assert not daemon.drain.begun
    running.signals.came()
    await running.ended()


async def test_relayThatHasLeft_showsHowFarItIs_andWhenItsCapitalIsBack(
    street: Street, monkeypatch: pytest.MonkeyPatch
) -> None:
    world = street.world
    running = Running(street, monkeypatch)
    daemon = await running.daemon()
    client = ApiClient(street.folder)
    assert (await asyncio.to_thread(client.status)).leaving is None
    world.join()
    await until(lambda: daemon.state.is_member(daemon.state.epoch))
    street.owner.send(world.contracts.registry.leave(daemon.me))
    await until(lambda: daemon.leaving.answer() is not None)
    leaving = (await asyncio.to_thread(client.status)).leaving
    assert leaving is not None
    found = world.contracts.registry.relay(daemon.me)
    assert leaving.stake_back == found.withdrawable_at
    last = daemon.state.epoch + 1
    assert leaving.serves_until == world.schedule.end(Epoch(last))
    assert f"serves to the end of epoch {last}" in leaving.progress
    assert leaving.serves_until < leaving.channels_back < leaving.stake_back
    running.signals.came()
    await running.ended()


def test_folderInUse_isRefused_withTheProcess(tmp_path: Path) -> None:
    in_use = r"is in use by another relay daemon \(process \d+\): stop it"
    with HomeLock(tmp_path), pytest.raises(UserError, match=in_use):
        relay_process.run(tmp_path, "word")
    with HomeLock(tmp_path), pytest.raises(UserError, match=in_use):
        HomeLock(tmp_path).__enter__()


def test_folderThatIsNone_isNamed(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="there is no relay in"), HomeLock(tmp_path / "none"):
        pass


async def test_chainThatSaysNothing_doesNotHoldUpTheLookupOfNames() -> None:
    relay_process._allow_waiting()
    loop, over = asyncio.get_running_loop(), threading.Event()
    waiting = [loop.run_in_executor(None, over.wait) for _ in range(36)]
    try:
        async with asyncio.timeout(10):
            assert await loop.getaddrinfo("localhost", 1)
    finally:
        over.set()
        await asyncio.gather(*waiting)
