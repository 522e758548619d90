"""The demo's relays: each initialised, registered and run by the commands that an operator types.

A relay's process knows its folder, the RPC address and the deployment file. The demo plays nine operators: it
keeps their passwords and their owners' keys.
"""

from __future__ import annotations

import asyncio
import os
import secrets
import shlex
import signal
from collections.abc import Callable, Collection, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path

from mixpay import amounts, eip712, keystore
from mixpay.client.directories import collect
from mixpay.client.errors import RelayUnavailable
from mixpay.client.relays import session
from mixpay.demo.chain import DemoChain
from mixpay.demo.processes import Command, Processes
from mixpay.demo.status import NoStatus, Status, read_status
from mixpay.errors import ChainError
from mixpay.layers import Role, TermLayers
from mixpay.network import NetworkView
from mixpay.parameters import TOKEN
from mixpay.types import Account, Amount, Epoch, RelayId

CAPITAL = "0.15"
"""Tokens each operator works with: channels of 0.02 tokens to the next relays, and less than is swept."""

LASTING = "0.6"
"""The same where a network lasts: in time every relay has a channel to every other one."""

GAS = "1"
"""Ether."""

_LIMIT = 120.0
_POLL_INTERVAL = 0.5
"""Seconds between two looks at a chain on this host; every step of the demo waits for some."""
_OWNER_ETHER = 3


@dataclass(frozen=True, slots=True)
class Place:
    """One relay's folder, ports, and the secrets of its operator."""

    number: int
    home: Path
    link_port: int
    client_port: int
    password: str = field(repr=False)
    owner_key: bytes = field(repr=False)

    @property
    def name(self) -> str:
        """Of its log."""
        return f"relay-{self.number}"

    @property
    def owner(self) -> Account:
        """Who holds the stake."""
        return eip712.account_of(self.owner_key)

    @property
    def key_file(self) -> Path:
        """Of the owner, beside the relay's folder."""
        return self.home.with_name(f"{self.name}-owner.key")

    @property
    def password_file(self) -> Path:
        """Of the key store, beside the relay's folder, if somebody shall start the relay by hand."""
        return self.home.with_name(f"{self.name}.password")

    def command(self, *arguments: str) -> Command:
        """`mixpay-relay` in this relay's folder."""
        environment = {"MIXPAY_RELAY_HOME": str(self.home), keystore.PASSWORD_VARIABLE: self.password}
        return Command("relay.cli", arguments, environment)


class DemoRelays:
    """All relays of the demo."""

    def __init__(
        self, count: int, folder: Path, ports: Sequence[int], processes: Processes, capital: str = CAPITAL
    ) -> None:
        self._processes, self._capital = processes, capital
        self.places = [
            Place(
                number,
                folder / f"relay-{number}",
                ports[2 * number - 2],
                ports[2 * number - 1],
                secrets.token_urlsafe(12),
                secrets.token_bytes(32),
            )
            for number in range(1, count + 1)
        ]

    # ------------------------------------------------------------------ commands

    def init(self, chain: DemoChain, issuers: Mapping[int, str]) -> None:
        """`mixpay-relay init` for all. `issuers`: URLs by campaign."""
        self._all("init", lambda place: self.init_arguments(place, chain, issuers))

    def init_arguments(self, place: Place, chain: DemoChain, issuers: Mapping[int, str]) -> list[str]:
        """What an operator gives to `init`."""
        taken = [part for campaign, url in issuers.items() for part in ("--issuer", f"{campaign}={url}")]
        ports = ["--link-port", str(place.link_port), "--client-port", str(place.client_port)]
        where = ["--host", "127.0.0.1", "--set", "listen=127.0.0.1", *ports]
        pace = ["--set", f"poll_interval={_POLL_INTERVAL}"]
        network = ["--rpc", chain.url, "--deployment", str(chain.deployment_file)]
        owner = ["--owner", f"0x{place.owner.hex()}", *taken]
        kept = amounts.parse(self._capital) // chain.deployment.parameters.hop_price
        money = ["--set", f"treasury.float={kept}"]
        return [*network, *where, *pace, *owner, *money, "--light-keys"]

    def register(self, chain: DemoChain) -> None:
        """Give the owners stake, capital and gas, then `mixpay-relay register` for all."""
        tokens = Amount(chain.deployment.parameters.stake + TOKEN)
        for place in self.places:
            chain.give(place.owner, _OWNER_ETHER, tokens)
            write_secret(place.key_file, place.owner_key.hex())
        self._all(
            "register",
            lambda place: ["--owner-key-file", str(place.key_file), "--capital", self._capital, "--gas", GAS],
        )

    def run(self) -> None:
        """Start all daemons."""
        for place in self.places:
            self._processes.start(place.name, place.command("run"))

    def kill(self, place: Place) -> None:
        """End a daemon as a power cut does."""
        self._processes.end(place.name, signal.SIGKILL)

    def run_again(self, place: Place) -> None:
        """Start a daemon that was killed."""
        self._processes.start(place.name, place.command("run"))

    def write_passwords(self) -> None:
        """For those who start a relay by hand."""
        for place in self.places:
            write_secret(place.password_file, place.password)

    def by_hand(self) -> Mapping[str, str]:
        """What starts each relay by hand, by its name, once its password is written."""
        return {p.name: by_hand("mixpay-relay run", p.home, p.password_file) for p in self.places}

    def claim(self) -> None:
        """`mixpay-relay claim` for all. One that says that something still waits (1) is asked again later."""
        self._all("claim", lambda place: [], expect=(0, 1))

    def _all(
        self, command: str, arguments: Callable[[Place], Sequence[str]], *, expect: Collection[int] = (0,)
    ) -> None:
        jobs = {f"{p.name}-{command}": p.command(command, *arguments(p)) for p in self.places}
        self._processes.run_all(jobs, limit=_LIMIT, expect=expect)

    # ------------------------------------------------------------------ looking

    def statuses(self, but: Place | None = None) -> list[Status] | None:
        """What all relays say (`but`: all except this one), None as long as one says nothing."""
        homes = [place.home for place in self.places if place != but]
        with ThreadPoolExecutor(len(homes)) as pool:
            try:
                return list(pool.map(read_status, homes))
            except NoStatus:
                return None

    def ready(self, chain: DemoChain, epoch: Epoch) -> bool | None:
        """True when all relays are in this epoch, linked, and know all packet keys; else None."""
        statuses = self.statuses()
        if statuses is None or any(status.epoch != epoch for status in statuses):
            return None
        view = NetworkView(chain.rpc, chain.deployment)
        try:
            view.refresh()
        except ChainError:
            return None
        layers = view.layers(epoch)
        if any(next_hops(layers, status.id) - set(status.links_out) for status in statuses):
            return None
        return asyncio.run(_know_all_keys(view, epoch)) or None


def next_hops(layers: TermLayers, relay: RelayId) -> set[RelayId]:
    """Whom a relay may have to forward to: as entry, and as mix of its layer."""
    roles = Role.ENTRY, Role(layers.layer(relay))
    return {hop for role in roles for hop in layers.successors(relay, role)} - {relay}


async def _know_all_keys(view: NetworkView, epoch: Epoch) -> bool:
    """Whether every relay's directory, checked as a client does, has every relay's packet key."""
    snapshot = view.snapshot(epoch)
    async with session() as http:
        try:
            found = [
                await collect(http, snapshot, view.registry_domain, relay, ()) for relay in snapshot.relays
            ]
        except RelayUnavailable:
            return False
    return all(len(directory.descriptors) == len(snapshot.relays) for directory in found)


def roles(statuses: Sequence[Status]) -> Mapping[str, int]:
    """Packets carried by role, all relays together, as they say: to know when to go on."""
    names = ("entry", "mix", "mailbox")
    return {name: sum(getattr(status.roles, name) for status in statuses) for name in names}


def by_hand(program: str, home: Path, password_file: Path) -> str:
    """A command for another terminal."""
    return shlex.join([*program.split(), "--home", str(home), "--password-file", str(password_file)])


def write_secret(path: Path, text: str) -> None:
    """A new file that only its owner can read."""
    with os.fdopen(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w") as file:
        file.write(text)
