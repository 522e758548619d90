"""Nine relays in one process, with real sockets, databases and a real chain: quick to look into."""

from __future__ import annotations

import asyncio
import os
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path

from mixpay import deployment as deployments
from mixpay import eip712, tls
from mixpay.chain.contracts import Contracts
from mixpay.chain.deploy import deploy
from mixpay.chain.devchain import DevChain
from mixpay.chain.rpc import connect
from mixpay.chain.sender import Sender
from mixpay.crypto import blind_rsa
from mixpay.crypto.blind_rsa import SecretKey
from mixpay.demo.ports import free_ports
from mixpay.layers import TermLayers
from mixpay.packet import Built, Hop, ReplyBlock, ReplyKeys, build, build_surb
from mixpay.parameters import DEMO, TOKEN
from mixpay.passes import KIND_ENTRY, KIND_MAILBOX, OwnedPass, PassRequest, Scope, drawn_position
from mixpay.types import Account, Amount, Epoch, RelayId
from relay.config import RelayConfig, TreasuryRules
from relay.daemon import Daemon, assemble
from relay.home import Home

RELAYS = 9
EPOCH = Epoch(2)
"""The first epoch in which the relays serve."""
ETHER = 10**18
CAMPAIGN = 1
START = 120.0
"""Seconds for nine relays to meet, on a machine that has other work."""
NO_ISSUER = "http://127.0.0.1:9"
"""Nobody redeems passes here: periods do not end in these tests."""


async def until(condition: Callable[[], bool], what: str, limit: float = 90.0) -> None:
    """Wait for a condition."""
    deadline = asyncio.get_running_loop().time() + limit
    while not condition():
        if asyncio.get_running_loop().time() > deadline:
            raise TimeoutError(f"waited {limit} s for {what}")
        await asyncio.sleep(0.02)


class RelayWorld:
    """A chain with contracts, and relays that are registered and serve."""

    treasury = TreasuryRules()
    """Of all relays."""

    def __init__(self, chain: DevChain, folder: Path, relays: int = RELAYS) -> None:
        self.chain = chain
        self.folder = folder
        self.count = relays
        self.rpc = connect(chain.url)
        self.owner_key = os.urandom(32)
        self.faucet = Sender(self.rpc, self.owner_key)
        chain.fund(self.faucet.account, 10_000 * ETHER)
        self.deployment = deploy(self.rpc, self.faucet, DEMO)
        deployments.save(folder / "deployment.json", self.deployment)
        self.contracts = Contracts(self.rpc, self.deployment)
        self.homes: list[Home] = []
        self.daemons: list[Daemon] = []
        self.key: SecretKey | None = None
        """The key of the campaign's passes in epoch 2, if there is a campaign."""

    def _home(self, number: int, ports: list[int]) -> Home:
        path = self.folder / f"relay{number}"
        path.mkdir()
        config = RelayConfig(
            rpc_url=self.chain.url,
            deployment=str(self.folder / "deployment.json"),
            host="127.0.0.1",
            listen="127.0.0.1",
            link_port=ports[0],
            client_port=ports[1],
            owner="0x" + self.faucet.account.hex(),
            poll_interval=0.1,
            treasury=self.treasury,
            issuers={} if self.key is None else {str(CAMPAIGN): NO_ISSUER},
        )
        return Home(path, config, self.deployment, os.urandom(32), os.urandom(32))

    def open_campaign(self) -> None:
        """A rich campaign with keys for epoch 2; before relays register, so that they serve it."""
        pool, budget = self.contracts.pool, Amount(1_000 * TOKEN)
        self.faucet.send(self.contracts.token.approve(pool.address, budget))
        self.faucet.send(pool.create_campaign(self.faucet.account, budget, budget))
        self.faucet.send(pool.fund(CAMPAIGN, budget))
        self.key = SecretKey.generate()
        for kind in (KIND_ENTRY, KIND_MAILBOX):  # a term is an epoch here
            self.faucet.send(pool.set_key(CAMPAIGN, kind, 2, self.key.public.key_hash()))

    def register(self) -> None:
        """Register all relays, with the faucet as their owner, and working capital."""
        token, registry, channels = self.contracts.token, self.contracts.registry, self.contracts.channels
        stake, capital = Amount(self.count * DEMO.stake), Amount(self.count * TOKEN)
        self.faucet.send(token.approve(registry.address, stake))
        self.faucet.send(token.approve(channels.address, capital))
        self.faucet.send(channels.deposit(capital))
        ports = free_ports(2 * self.count)
        domain = eip712.registry_domain(self.deployment.chain_id, self.deployment.registry)
        for number in range(self.count):
            home = self._home(number, ports[2 * number :])
            operator = Account(eip712.account_of(home.operator_key))
            consent = eip712.OperatorConsent(operator, self.faucet.account).digest(domain)
            signature = eip712.sign(home.operator_key, consent)
            endpoint = home.config.endpoint
            self.faucet.send(
                registry.register(operator, tls.link_key_of(home.link_seed), endpoint, signature)
            )
            self.faucet.send(channels.move(operator, Amount(TOKEN)))
            self.chain.fund(operator, 10 * ETHER)
            self.homes.append(home)

    def to_epoch(self, epoch: int) -> None:
        """Move the chain's clock to the beginning of an epoch."""
        self.chain.advance_time(to=self.deployment.genesis + epoch * self.deployment.epoch_length)

    def _assemble(self, home: Home) -> Daemon:
        """A daemon that is not started yet."""
        return assemble(home)

    async def start(self) -> None:
        """Start the daemons; bring the network to epoch 2, the first in which they serve."""
        for home in self.homes:
            self.daemons.append(self._assemble(home))
            await self.daemons[-1].start()
        self.to_epoch(1)
        await until(lambda: self.contracts.registry.is_frozen(Epoch(2)), "epoch 2 to be fixed")
        self.to_epoch(2)
        await until(self._ready, "all relays to be ready", START)

    def _ready(self) -> bool:
        return all(
            daemon.state.epoch == 2
            and not daemon.state.directories.missing(Epoch(2))
            and len(daemon.dialer.links) > 0
            and all(link.is_open for link in daemon.dialer.links.values())
            for daemon in self.daemons
        )

    async def restart(self, relay: RelayId) -> Daemon:
        """Stop a daemon, and make it again from its folder."""
        before = self.relay(relay)
        await before.stop()
        place = self.daemons.index(before)
        self.daemons[place] = self._assemble(before.home)
        await self.daemons[place].start()
        await until(self._ready, "all relays to be ready again", START)
        return self.daemons[place]

    async def stop(self) -> None:
        """Stop all daemons, as a program that ends does: a thread that waits for a transaction, of which the
        chain will never tell, would keep the loop's executor from ending.
        """
        for daemon in self.daemons:
            daemon.sender.stop()
        await asyncio.gather(*(daemon.stop() for daemon in self.daemons))

    # ------------------------------------------------------------------ passes

    def issue(self, kind: int) -> tuple[OwnedPass, Daemon]:
        """A pass of the campaign for epoch 2, and the relay it draws."""
        assert self.key is not None
        scope = Scope(self.deployment.chain_id, self.deployment.pool, CAMPAIGN, kind, 2)
        request = PassRequest.new(scope, self.key.public, os.urandom)
        owned = request.finish(blind_rsa.blind_sign(self.key, request.blinded, os.urandom))
        snapshot = self.daemons[0].view.snapshot(Epoch(2))
        drawn = snapshot.at(drawn_position(owned.signature, snapshot.beacon, snapshot.count))
        assert drawn is not None
        return owned, self.relay(drawn.id)

    # ------------------------------------------------------------------ packets

    def relay(self, number: RelayId) -> Daemon:
        """A relay by its id."""
        return next(daemon for daemon in self.daemons if daemon.me == number)

    def layers(self, epoch: Epoch = EPOCH) -> TermLayers:
        """Layers of an epoch."""
        return self.daemons[0].view.layers(epoch)

    def packet(
        self,
        path: tuple[RelayId, ...],
        mailbox: RelayId,
        box: bytes,
        delay_ms: int = 5,
        epoch: Epoch = EPOCH,
    ) -> Built:
        """A packet through three mixes to a mailbox."""
        mixes = [self._hop(relay, delay_ms, epoch) for relay in path]
        context, last = self.daemons[0].view.key_context(epoch), self._hop(mailbox, 0, epoch)
        return build(context, mixes, last, box, 0, os.urandom(2048), os.urandom)

    def block(self, path: tuple[RelayId, ...], last: RelayId, box: bytes) -> tuple[ReplyBlock, ReplyKeys]:
        """A reply block through three mixes to a passing mailbox."""
        mixes, context = [self._hop(relay, 5) for relay in path], self.daemons[0].view.key_context(EPOCH)
        return build_surb(context, EPOCH, mixes, self._hop(last, 0), box, os.urandom)

    def _hop(self, relay: RelayId, delay_ms: int, epoch: Epoch = EPOCH) -> Hop:
        return Hop(relay, self.relay(relay).state.epoch_keys()[epoch].public, delay_ms)


@asynccontextmanager
async def running(folder: Path, *, campaign: bool = False) -> AsyncIterator[RelayWorld]:
    """A world that serves, on a chain of its own; with a campaign, if asked for."""
    with DevChain() as chain:
        world = RelayWorld(chain, folder)
        if campaign:
            world.open_campaign()
        world.register()
        try:
            await world.start()
            if campaign:
                await until(lambda: all(d.state.campaigns for d in world.daemons), "the campaign to be known")
            yield world
        finally:
            await world.stop()
