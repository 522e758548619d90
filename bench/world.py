"""A network for one relay: a chain with the contracts, nine registered relays, of which one is to be run.

The others exist on the chain and in the bench's load process only (`bench/peers.py`). The relay under test is
a mix of layer 1; its payers are relays of layer 3 as entries, its payees those of layer 2. All channels are
open and rich, so that no limit of money ends a measurement, and the packet key is in the relay's database
before it starts, so that packets can be made for it.
"""

from __future__ import annotations

import asyncio
import os
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from mixpay import deployment as deployments
from mixpay import eip712, keystore, tls
from mixpay.chain.contracts import Contracts
from mixpay.chain.deploy import deploy
from mixpay.chain.devchain import DevChain
from mixpay.chain.rpc import connect
from mixpay.chain.sender import Sender
from mixpay.crypto import x25519
from mixpay.demo.ports import free_ports
from mixpay.demo.relays import write_secret
from mixpay.keystore import Kdf
from mixpay.network import NetworkView
from mixpay.packet import KeyContext
from mixpay.parameters import DEMO, TOKEN
from mixpay.types import Account, Amount, Epoch, RelayId
from relay import config
from relay.home import LINK_KEY, OPERATOR_KEY, Home, initialise
from relay.store import RelayStore, key_op

RELAYS = 9
EPOCH = Epoch(2)
"""The first epoch in which the relays serve."""
PAYERS = 3
"""Entries that send to the relay under test."""
RICH = Amount(1_000 * TOKEN)
"""What each channel holds."""
_ETHER = 10**18
_PASSWORD = "bench"  # noqa: S105 -- of keys that own play money


@dataclass(frozen=True, slots=True)
class Place:
    """One relay: its folder, id and keys. `key`: the operator's."""

    relay: RelayId
    folder: Path
    key: bytes = field(repr=False)
    seed: bytes = field(repr=False)
    port: int

    @property
    def account(self) -> Account:
        """The operator's."""
        return Account(eip712.account_of(self.key))


class World:
    """Everything the relay under test needs around it. Raises ChainError, UserError."""

    def __init__(self, chain: DevChain, folder: Path) -> None:
        self.chain = chain
        self.folder = folder
        self.password_file = folder / "password"
        write_secret(self.password_file, _PASSWORD)
        self._rpc = connect(chain.url)
        self._faucet = Sender(self._rpc, os.urandom(32))
        chain.fund(self._faucet.account, 10_000 * _ETHER)
        self._deployment = deploy(self._rpc, self._faucet, DEMO)
        deployments.save(folder / "deployment.json", self._deployment)
        self._contracts = Contracts(self._rpc, self._deployment)
        self.price = DEMO.hop_price
        self.secret = os.urandom(32)
        """The packet key of the relay under test."""
        places = self._register()
        self._enter()
        self._cast(places)
        self._open_channels()
        asyncio.run(self._plant_in_new())

    # ------------------------------------------------------------------ making it

    def _register(self) -> dict[RelayId, Place]:
        token, registry, channels = self._contracts.token, self._contracts.registry, self._contracts.channels
        capital = Amount(4 * RICH)
        for spender, amount in ((registry, RELAYS * DEMO.stake), (channels, RELAYS * capital)):
            self._faucet.send(token.approve(spender.address, Amount(amount)))
        self._faucet.send(channels.deposit(Amount(RELAYS * capital)))
        ports, places = free_ports(2 * RELAYS), {}
        domain = eip712.registry_domain(self._deployment.chain_id, self._deployment.registry)
        for number in range(RELAYS):
            folder, link_port = self.folder / f"relay{number}", ports[2 * number]
            endpoint = f"127.0.0.1:{link_port}:{ports[2 * number + 1]}"
            key, seed = self._make_home(folder, link_port, ports[2 * number + 1])
            operator = Account(eip712.account_of(key))
            consent = eip712.OperatorConsent(operator, self._faucet.account).digest(domain)
            link_key = tls.link_key_of(seed)
            self._faucet.send(registry.register(operator, link_key, endpoint, eip712.sign(key, consent)))
            self._faucet.send(channels.move(operator, capital))
            self.chain.fund(operator, 10 * _ETHER)
            relay = registry.relay_of(operator)
            places[relay] = Place(relay, folder, key, seed, link_port)
        return places

    def _make_home(self, folder: Path, link_port: int, client_port: int) -> tuple[bytes, bytes]:
        text = config.render(
            rpc_url=self.chain.url,
            deployment=str(self.folder / "deployment.json"),
            host="127.0.0.1",
            listen="127.0.0.1",
            link_port=link_port,
            client_port=client_port,
            owner="0x" + self._faucet.account.hex(),
            # What is not needed for channels stays: sweeping it to the owner is no part of a packet's cost.
            settings={"treasury.float": str(8 * RICH // self.price)},
        )
        initialise(folder, text, _PASSWORD, Kdf.LIGHT)
        keys = folder / "keys"
        return keystore.load(keys, OPERATOR_KEY, _PASSWORD), keystore.load(keys, LINK_KEY, _PASSWORD)

    def _enter(self) -> None:
        """Fix epoch 2, and go there."""
        for epoch in (1, 2):
            if epoch == 2:
                self._faucet.send(self._contracts.registry.freeze())
            start = self._deployment.genesis + epoch * self._deployment.epoch_length
            self.chain.advance_time(to=start)

    def _cast(self, places: dict[RelayId, Place]) -> None:
        view = NetworkView(self._rpc, self._deployment)
        view.refresh()
        layers = view.layers(EPOCH)
        self.context: KeyContext = view.key_context(EPOCH)
        self.places = places
        self.me = places[layers.members(1)[0]]
        self.payers = [places[relay] for relay in layers.members(3)[:PAYERS]]
        self.payees = [places[relay] for relay in layers.members(2)]

    def _open_channels(self) -> None:
        channels = self._contracts.channels
        for payer in self.payers:
            Sender(self._rpc, payer.key).send(channels.fund(self.me.account, RICH))
        sender = Sender(self._rpc, self.me.key)
        for payee in self.payees:
            sender.send(channels.fund(payee.account, RICH))

    async def _plant_in_new(self) -> None:
        store = RelayStore(self.home.database)
        await self.plant_key(store)
        await store.close()

    async def plant_key(self, store: RelayStore) -> None:
        """Put the packet key into a database of the relay under test."""
        await store.written([key_op(EPOCH, self.secret)])

    # ------------------------------------------------------------------ using it

    @property
    def public(self) -> bytes:
        """The public packet key of the relay under test."""
        return x25519.public_key(self.secret)

    @property
    def home(self) -> Home:
        """The folder of the relay under test, as the daemon reads it."""
        return Home.open(self.me.folder, _PASSWORD)

    @property
    def domain(self) -> eip712.Domain:
        """Of batches and vouchers."""
        return eip712.channels_domain(self._deployment.chain_id, self._deployment.channels)

    def set(self, name: str, value: str) -> None:
        """Change a setting of the relay under test, for its next start."""
        path = self.me.folder / "relay.toml"
        lines = path.read_text().splitlines()
        found = [n for n, line in enumerate(lines) if line.startswith(f"{name} = ")]
        if len(found) != 1:
            raise ValueError(f"no setting {name!r}, or several")
        lines[found[0]] = f"{name} = {value}"
        path.write_text("\n".join(lines) + "\n")

    def script(self) -> dict[str, Any]:
        """What the load process needs to know; with secrets, for a file that only its owner reads."""

        def shown(place: Place) -> dict[str, Any]:
            return {
                "relay": place.relay,
                "key": place.key.hex(),
                "seed": place.seed.hex(),
                "port": place.port,
            }

        return {
            "chain_id": self._deployment.chain_id,
            "registry": self._deployment.registry.hex(),
            "root": self.context.root.hex(),
            "channels": self.domain.contract.hex(),
            "price": self.price,
            "deposit": RICH,
            "secret": self.secret.hex(),
            "me": shown(self.me),
            "payers": [shown(place) for place in self.payers],
            "payees": [shown(place) for place in self.payees],
        }
