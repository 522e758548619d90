"""Bad input and trouble in a running network: a clear error or none, and in the end no unit is missing."""

from __future__ import annotations

import io
import os
import shutil
import signal
import subprocess
import sys
import time
from collections import defaultdict
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path

import pytest
from rich.console import Console

from mixpay import address as addresses
from mixpay.chain.devchain import DevChain
from mixpay.demo.evidence import Counts, added
from mixpay.demo.network import PERIOD, Network, Usage
from mixpay.demo.processes import Processes
from mixpay.demo.relays import Place, roles
from mixpay.demo.stage import Stage
from mixpay.demo.status import Status
from mixpay.demo.users import Sent, User
from mixpay.keystore import PASSWORD_VARIABLE
from mixpay.network import NetworkView
from mixpay.types import RelayId

Fails = Callable[..., str]
RELAYS = 6
"""Two a layer: with one of them down there is another."""


@dataclass
class World:
    """A network that serves, and what users did in it."""

    network: Network
    devchain: DevChain
    folder: Path
    counts: dict[RelayId, Counts] = field(default_factory=lambda: defaultdict(Counts))
    accepted: int = 0
    users: int = 0

    def user(self) -> User:
        """Somebody new, with nothing but settings."""
        self.users += 1
        user = User(f"user{self.users}", self.folder, self.network.processes)
        user.init(self.network.chain.url, self.network.chain.deployment_file, self.network.sponsor.url)
        return user

    def send(self, user: User, address: str, size: int, meanwhile: Callable[[], None] = lambda: None) -> Sent:
        """Send a file of so many bytes, and count its packets."""
        path = self.folder / f"file-{self.accepted}"
        path.write_bytes(os.urandom(size))
        sent = user.send(address, path, 10, meanwhile)
        for relay, counts in sent.counts.items():
            self.counts[relay] += counts
        self.accepted += sent.packets_accepted
        return sent

    def delivered(self) -> None:
        """Wait until every packet that was ever accepted is in a mailbox."""

        def arrived() -> bool | None:
            statuses = self.network.relays.statuses()
            return None if statuses is None else roles(statuses)["mailbox"] >= self.accepted or None

        self.network.wait("the packets", arrived, limit=30)

    def place(self, relay: RelayId) -> Place:
        """The place of the relay that got this id."""
        statuses = self.network.relays.statuses()
        assert statuses is not None
        found = zip(statuses, self.network.relays.places, strict=True)
        return next(place for status, place in found if status.id == relay)

    def restart(self, place: Place) -> None:
        """Start a relay that was ended, and wait for the network to be whole."""
        self.network.processes.start(place.name, place.command("run"))
        self.network.wait("the relay to be back", self.network.ready)


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> Iterator[World]:
    folder = tmp_path_factory.mktemp("trouble")
    processes, devchain = Processes(folder / "logs"), DevChain(log=folder / "logs" / "anvil.log")
    try:
        network = Network(folder, Stage(Console(file=io.StringIO())), processes, devchain, RELAYS)
        network.begin()
        yield World(network, devchain, folder)
    finally:
        processes.stop()
        devchain.stop()


@pytest.fixture(scope="module")
def bob(world: World) -> tuple[User, str]:
    """Somebody with a mailbox, and the address."""
    user = world.user()
    return user, user.address()


@pytest.fixture
def fails(tmp_path: Path) -> Fails:
    """Runs a command that must end with a status; its last line on stderr, which is an error in one line."""

    def run(status: int, module: str, *arguments: str, environment: Mapping[str, str] | None = None) -> str:
        ended = subprocess.run(
            [sys.executable, "-m", module, *arguments],
            env={**os.environ, "MIXPAY_HOME": str(tmp_path / "home"), **(environment or {})},
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=60,
            check=False,
        )
        assert ended.returncode == status, ended.stderr
        assert "Traceback" not in ended.stderr
        assert ended.stdout == ""
        line = ended.stderr.strip().splitlines()[-1]
        assert line.startswith("Error: ")
        return line

    return run


MIXPAY, RELAY = "mixpay.cli.main", "relay.cli"


def init(world: World, fails: Fails, tmp_path: Path, rpc: str) -> Mapping[str, str]:
    """Settings of a new user with this RPC address; the environment that names them."""
    environment = {"MIXPAY_HOME": str(tmp_path / "user"), PASSWORD_VARIABLE: "word"}
    place = ("--deployment", str(world.network.chain.deployment_file), "--sponsor", world.network.sponsor.url)
    command = [sys.executable, "-m", MIXPAY, "init", "--rpc", rpc, *place]
    subprocess.run(command, env={**os.environ, **environment}, check=True, capture_output=True, timeout=60)
    return environment


# ---------------------------------------------------------------------- bad input


def test_anAbsentRpc_isNamed(world: World, fails: Fails, tmp_path: Path) -> None:
    environment = init(world, fails, tmp_path, "http://127.0.0.1:1")
    line = fails(3, MIXPAY, "address", "--light-keys", environment=environment)
    assert "http://127.0.0.1:1" in line
    assert "cannot connect" in line


def test_anRpcThatIsNone_isNamed(world: World, fails: Fails, tmp_path: Path) -> None:
    environment = init(world, fails, tmp_path, world.network.sponsor.url)
    assert world.network.sponsor.url in fails(3, MIXPAY, "address", "--light-keys", environment=environment)


def test_anotherChain_isRefused(world: World, fails: Fails, tmp_path: Path) -> None:
    with DevChain(chain_id=4_321) as other:
        environment = init(world, fails, tmp_path, other.url)
        line = fails(2, MIXPAY, "address", "--light-keys", environment=environment)
    assert "is on chain 4321" in line


def test_aMalformedAddress_isRefused(fails: Fails) -> None:
    fails(2, MIXPAY, "send", "mix1nonsense", "hello")


def test_anAddressWithATypo_isRefused(fails: Fails, bob: tuple[User, str]) -> None:
    address = bob[1]
    place = len(address) // 2
    other = "q" if address[place] != "q" else "p"
    line = fails(2, MIXPAY, "send", address[:place] + other + address[place + 1 :], "hello")
    assert "address" in line


def test_aFileOverOneMiB_isRefused(fails: Fails, tmp_path: Path, bob: tuple[User, str]) -> None:
    path = tmp_path / "large"
    path.write_bytes(bytes((1 << 20) + 1))
    assert "1 MiB" in fails(2, MIXPAY, "send", bob[1], "--file", str(path))


def test_aWrongPassword_isNamed(world: World, fails: Fails, bob: tuple[User, str]) -> None:
    home = str(world.folder / bob[0].name)
    environment = {"MIXPAY_HOME": home, PASSWORD_VARIABLE: "guess"}
    assert "wrong password" in fails(2, MIXPAY, "receive", "--direct", environment=environment)


def test_aRelaysWrongPassword_isNamed(world: World, fails: Fails, tmp_path: Path) -> None:
    home = world.network.relays.places[0].home
    environment = {"MIXPAY_RELAY_HOME": str(home), PASSWORD_VARIABLE: "guess"}
    assert "is in use by another relay daemon" in fails(2, RELAY, "run", environment=environment)
    shutil.copytree(home / "keys", tmp_path / "copy" / "keys")
    shutil.copy(home / "relay.toml", tmp_path / "copy")
    environment["MIXPAY_RELAY_HOME"] = str(tmp_path / "copy")
    assert "wrong password" in fails(2, RELAY, "run", environment=environment)


def test_anOwnerWithoutTokens_isNamed(world: World, fails: Fails, tmp_path: Path) -> None:
    network = world.network
    place = Place(99, tmp_path / "relay-99", 20_001, 20_002, "word", b"\7" * 32)
    issuers = {1: network.sponsor.url}
    init = place.command("init", *network.relays.init_arguments(place, network.chain, issuers))
    network.processes.run("relay-99-init", init, limit=60)
    place.key_file.touch(mode=0o600)
    place.key_file.write_text(place.owner_key.hex())
    register = place.command("register", "--owner-key-file", str(place.key_file))
    line = fails(2, RELAY, *register.arguments, environment=register.environment)
    assert f"0x{place.owner.hex()}" in line.lower()
    assert "100 to stake" in line
    assert "register" in fails(2, RELAY, "run", environment=register.environment)


# ---------------------------------------------------------------------- trouble


def test_aSponsorThatIsDown_isNamed_andLaterServes(world: World, fails: Fails, tmp_path: Path) -> None:
    environment = init(world, fails, tmp_path, world.network.chain.url)
    world.network.processes.end("sponsor")
    line = fails(1, MIXPAY, "address", "--light-keys", environment=environment)
    assert world.network.sponsor.url in line
    world.network.sponsor.serve()
    world.network.wait("the sponsor to be back", world.network.sponsor.epoch)
    user = world.user()
    assert addresses.parse(user.address()).relay in range(1, RELAYS + 1)
    for relay, counts in user.tolls().items():
        world.counts[relay] += counts


def test_aChainThatStandsStill_delaysNoPacket(world: World, bob: tuple[User, str]) -> None:
    stopped_at: list[float] = []

    def stop_once() -> None:
        statuses = world.network.relays.statuses()
        if not stopped_at and statuses is not None and roles(statuses)["entry"] > world.accepted + 3:
            assert world.devchain.pid is not None
            os.killpg(world.devchain.pid, signal.SIGSTOP)
            stopped_at.append(time.monotonic())

    try:
        world.send(world.user(), bob[1], 60_000, stop_once)
        world.delivered()
        assert stopped_at, "the message was over before the chain was stopped"
    finally:
        assert world.devchain.pid is not None
        os.killpg(world.devchain.pid, signal.SIGCONT)
    world.network.wait("the relays to go on", world.network.ready)


def _owed(status: Status) -> dict[str, int]:
    """What payers owe; one that owes nothing has a book again only once it has come back."""
    return {payer.account: payer.unsettled_value for payer in status.payers if payer.unsettled_value}


def test_aRelayThatCrashes_comesBackWithItsBooks(world: World, bob: tuple[User, str]) -> None:
    statuses = world.network.relays.statuses()
    assert statuses is not None
    busiest = max(statuses, key=lambda status: sum(payer.unsettled_value for payer in status.payers))
    place = world.place(busiest.id)
    world.network.processes.end(place.name, signal.SIGKILL)
    world.restart(place)
    again = world.network.relays.statuses()
    assert again is not None
    back = next(status for status in again if status.id == busiest.id)
    assert back.roles == busiest.roles
    assert _owed(back) == _owed(busiest)


def test_anEntryThatIsDown_isReplacedByAnotherPass(world: World, bob: tuple[User, str]) -> None:
    alice, entry = _with_entry_outside_layer_1(world, bob[1])
    world.delivered()  # what the relay held as a mix would end with it
    place, log = world.place(entry), world.network.processes.log_path(f"{alice.name}-send")
    world.network.processes.end(place.name, signal.SIGKILL)
    replaced: list[bool] = []

    def come_back() -> None:
        # Before the message is over: for the relay as a mix, packets do not wait long.
        if not replaced and "taking another pass" in log.read_text():
            world.network.processes.start(place.name, place.command("run"))
            replaced.append(True)

    sent = world.send(alice, bob[1], 10_000, come_back)
    assert replaced and sent.counts.get(entry, Counts()).entry == 0
    world.delivered()
    world.network.wait("the relay to be back", world.network.ready)


def _with_entry_outside_layer_1(world: World, address: str) -> tuple[User, RelayId]:
    """A user whose entry is no first mix, so that no packet of hers is ever refused while it is down."""
    chain, mailbox = world.network.chain, addresses.parse(address).relay
    view = NetworkView(chain.rpc, chain.deployment)
    view.refresh()
    while True:
        user = world.user()
        sent = world.send(user, address, 10)
        entry = next(relay for relay, counts in sent.counts.items() if counts.entry)
        if view.layers(PERIOD).layer(entry) != 1 and entry != mailbox:
            return user, entry


# ---------------------------------------------------------------------- and in the end


def test_afterAllThat_everyUnitIsThere(world: World, bob: tuple[User, str]) -> None:
    world.delivered()
    received = bob[0].receive(world.folder / "received")
    assert received.packets == world.accepted
    counts = added((world.counts, bob[0].tolls()))
    usage = Usage(counts, received.packets, (bob[0].account(),))
    verdict = world.network.claim(usage).verdict
    assert verdict.objections == ()
    assert verdict.unclaimed == 0
    assert verdict.packets_carried == world.accepted
