"""The relay process among releases: what it starts, what it says, when it ends. Real chain, one relay."""

from __future__ import annotations

import asyncio
import copy
import socket
from collections.abc import AsyncIterator, Callable
from dataclasses import replace
from pathlib import Path

import pytest
import pytest_asyncio
from msgspec import structs

from chain_world import World
from mixpay.chain.contracts import Contracts
from mixpay.chain.devchain import DevChain
from mixpay.chain.upgrade import create_release, plan_release, release_of
from mixpay.chain.views import Release
from mixpay.deployment import Deployment
from mixpay.endpoint import Endpoint
from mixpay.errors import UserError
from mixpay.parameters import DEMO
from mixpay.types import Account, Amount, Epoch, RelayId
from relay.config import RelayConfig
from relay.home import Home
from relay.keys.directories import decode_descriptor
from relay.supervisor import Supervisor

PAUSE = 0.05


async def until(condition: Callable[[], bool]) -> None:
    async with asyncio.timeout(20):
        while not condition():
            await asyncio.sleep(0.02)


class Street:
    """A chain with contracts, one operator with a folder, and its process."""

    def __init__(self, chain: DevChain, folder: Path, ports: Callable[[], int]) -> None:
        self.world, self.folder, self.ports = World(chain), folder, ports
        self.owner, self.operator = self.world.user(tokens=300), self.world.user()
        self.first = Endpoint("127.0.0.1", ports(), ports())
        config = RelayConfig(
            rpc_url=self.world.rpc.shown,
            deployment="unused",
            host="127.0.0.1",
            listen="127.0.0.1",
            link_port=self.first.link_port,
            client_port=self.first.client_port,
            owner="0x" + self.owner.account.hex(),
            poll_interval=PAUSE,
        )
        folder.mkdir(exist_ok=True)
        self.home = Home(folder, config, self.world.deployment, self.operator.key, b"\7" * 32)
        self.process: Supervisor | None = None

    def second(self) -> Deployment:
        """The contracts of a second release, not published."""
        plan = plan_release(self.world.rpc, self.world.deployer.account, self.world.deployment, DEMO)
        return create_release(self.world.rpc, self.world.deployer, self.world.deployment, plan)

    def publish(self, release: Release) -> None:
        self.world.deployer.send(self.world.contracts.network.publish(release))

    def register(self, endpoint: Endpoint) -> None:
        self.owner.register(self.operator, str(endpoint))

    def register_in(self, deployment: Deployment, endpoint: Endpoint) -> None:
        """In another registry."""
        before = self.owner.world
        self.owner.world = there = copy.copy(before)
        there.deployment, there.contracts = deployment, Contracts(before.rpc, deployment)
        self.owner.send(there.contracts.token.approve(deployment.registry, DEMO.stake))
        self.owner.register(self.operator, str(endpoint))
        self.owner.world = before

    async def run(self) -> Supervisor:
        self.process = Supervisor(self.home)
        await self.process.start()
        return self.process


@pytest_asyncio.fixture
async def street(
    chain: DevChain, tmp_path: Path, unused_tcp_port_factory: Callable[[], int]
) -> AsyncIterator[Street]:
    street = Street(chain, tmp_path / "relay", unused_tcp_port_factory)
    yield street
    if street.process is not None:
        await street.process.stop()


async def test_operatorWithoutARelay_isToldToRegister(street: Street) -> None:
    with pytest.raises(UserError, match="runs no registered relay"):
        await street.run()


async def test_oneRelease_isOneDaemon_onItsRegisteredPorts(street: Street) -> None:
    elsewhere = Endpoint("127.0.0.1", street.ports(), street.ports())
    street.register(elsewhere)
    process = await street.run()
    assert list(process.daemons) == [0]
    status = process.status()
    assert status.endpoint == str(elsewhere), "what the registry says counts, not the settings"
    assert [(r.number, r.state, r.notes) for r in status.releases] == [(0, "serving", [])]
    assert process.status(0) == status
    assert process.metrics().startswith(b"# HELP")
    with pytest.raises(UserError, match="no relay of this operator runs in release 3"):
        process.status(3)
    _, writer = await asyncio.open_connection("127.0.0.1", elsewhere.client_port)
    writer.close()
    assert (await process.settle()).complete


async def test_whatTheDaemonMeasuredAtItsStart_isInItsDescriptors(street: Street) -> None:
    street.register(street.first)
    street.world.join()
    process = await street.run()
    daemon = process.daemons[0]
    epoch = street.world.epoch()
    await until(lambda: daemon.state.directories.knows(epoch, daemon.me))
    said = decode_descriptor(daemon.state.directories.own_descriptor(epoch))
    assert daemon.capacity is not None
    assert said.capacity == daemon.capacity.packets > 0


async def test_payerThatIsBack_isDialledAsAPayee(street: Street, monkeypatch: pytest.MonkeyPatch) -> None:
    street.register(street.first)
    street.world.join()
    daemon = (await street.run()).daemons[0]
    wanted: list[RelayId] = []
    monkeypatch.setattr(daemon.dialer, "want", wanted.extend)
    daemon.desk.payer_is_there(RelayId(77))
    assert RelayId(77) in wanted


async def test_contractsThatAreNotKnown_areToldOnce_andNothingElseHappens(
    street: Street, caplog: pytest.LogCaptureFixture
) -> None:
    street.register(street.first)
    process = await street.run()
    foreign = Account(street.world.deployment.network)
    street.publish(Release(foreign, foreign, foreign, 1, Amount(1), Epoch(street.world.epoch() + 2)))
    await until(lambda: len(process.status().releases) == 2)
    assert process.status().releases[1].state == "unknown"
    (note,) = process.status().releases[1].notes
    assert "cannot follow release 1" in note and "Install the newest mixpay" in note
    await asyncio.sleep(20 * PAUSE)
    assert len([record for record in caplog.records if "cannot follow" in record.message]) == 1
    assert list(process.daemons) == [0]


async def test_secondRelease_isTakenUpWhenRegistered_alsoAfterARestart(street: Street) -> None:
    street.register(street.first)
    process = await street.run()
    second = street.second()
    street.publish(release_of(second, Epoch(street.world.epoch() + 3)))
    await until(lambda: len(process.status().releases) == 2)
    assert process.status().releases[1].state == "not registered"
    place = Endpoint("127.0.0.1", street.ports(), street.ports())
    await asyncio.to_thread(street.register_in, second, place)
    await until(lambda: set(process.daemons) == {0, 1})
    assert process.status(1).endpoint == str(place)
    assert process.status().endpoint == str(street.first), "the first is in force"
    assert process.daemons[0].sender is process.daemons[1].sender
    assert {path.name for path in street.folder.glob("*.sqlite")} == {"relay.sqlite", "relay-1.sqlite"}
    assert (await process.settle()).complete

    await process.stop()
    again = await street.run()
    assert set(again.daemons) == {0, 1}


async def test_portThatIsTaken_isTold_andTheFirstServesOn(street: Street) -> None:
    street.register(street.first)
    process = await street.run()
    second = street.second()
    street.publish(release_of(second, Epoch(street.world.epoch() + 3)))
    await asyncio.to_thread(street.register_in, second, street.first)
    await until(lambda: len(process.status().releases) == 2)
    await until(lambda: "cannot serve in release 1" in process.status().releases[1].notes[0])
    assert list(process.daemons) == [0]


async def test_relayThatHasLeft_endsWhenNothingIsLeft_andSoDoesTheProcess(street: Street) -> None:
    street.register(street.first)
    process = await street.run()
    relay = process.daemons[0].me
    street.owner.send(street.world.contracts.registry.leave(relay))
    await asyncio.wait_for(asyncio.shield(process.ended), 20)
    assert process.daemons == {}
    with pytest.raises(UserError, match=r"everything is settled in release 0.*withdraw --release 0"):
        process.status()


async def test_behindANat_innerPortsAreListenedOn_andOuterOnesAreTold(street: Street) -> None:
    street.register(street.first)
    inner = Endpoint("127.0.0.1", street.ports(), street.ports())
    street.home = replace(street.home, config=structs.replace(street.home.config, listen=str(inner)))
    process = await street.run()
    assert process.status().endpoint == str(street.first)
    _, writer = await asyncio.open_connection("127.0.0.1", inner.client_port)
    writer.close()
    with pytest.raises(ConnectionRefusedError):
        await asyncio.open_connection("127.0.0.1", street.first.client_port)


async def test_registeredNameThatThereIsNot_isRefusedAtTheStart(street: Street) -> None:
    street.register(Endpoint("no-such-host.invalid", street.ports(), street.ports()))
    with pytest.raises(UserError, match=r"the host 'no-such-host\.invalid' has no address"):
        await street.run()


async def test_relayThatHasLeft_windsUp_thoughItsNameIsGone(street: Street) -> None:
    street.register(Endpoint("no-such-host.invalid", street.ports(), street.ports()))
    registry = street.world.contracts.registry
    street.owner.send(registry.leave(registry.relay_of(street.operator.account)))
    (street.folder / "relay.sqlite").touch(0o600)
    process = await street.run()
    await asyncio.wait_for(asyncio.shield(process.ended), 20)


async def test_otherHostInTheSettingsThanRegistered_isToldToTheOperator(street: Street) -> None:
    street.register(Endpoint("localhost", street.ports(), street.ports()))
    process = await street.run()
    assert any("`mixpay-relay register` brings them in line" in note for note in process.status().notes)


@pytest.mark.parametrize("what", ["links", "clients"])
async def test_portOfAnotherRelayOfThisHost_isNamed(street: Street, what: str) -> None:
    street.register(street.first)
    port = street.first.link_port if what == "links" else street.first.client_port
    with (
        socket.create_server(("127.0.0.1", port)),
        pytest.raises(
            UserError, match=rf"cannot listen for {what} on 127.0.0.1, port {port}: another program"
        ),
    ):
        await street.run()


async def test_portOfTheOperatorsInterface_isNamed_whenItIsTaken(street: Street) -> None:
    street.register(street.first)
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        street.home = replace(street.home, config=structs.replace(street.home.config, api_port=port))
        with pytest.raises(UserError, match=rf"cannot listen for the operator on 127.0.0.1, port {port}"):
            await street.run()
