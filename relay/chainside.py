"""The chain's part of the daemon's life: every poll brings time, relays, channels; every epoch its duties.

    refresh      what is new on the chain, in a thread; then, in the event loop:
    channels     books learn of deposits, claims and closings of their channels
    keys         packet keys are made for epochs that are fixed, and destroyed after their grace
    freeze       whoever comes first in an epoch fixes the next one; turns are spread so that not all pay
    gossip       other relays' descriptors
    dial         links to all next hops of this relay

The data path never waits for any of this. While the RPC endpoint is away, the last state stays in force.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Iterable

from mixpay.book.rows import Channel as ChannelRow
from mixpay.chain import events
from mixpay.chain.contracts import Contracts
from mixpay.chain.follower import Batch
from mixpay.chain.sender import Sender
from mixpay.chain.views import Channel
from mixpay.crypto.hashing import keccak256
from mixpay.endpoint import EndpointError, parse_endpoint
from mixpay.errors import ChainError, PeerError, UserError
from mixpay.layers import Role
from mixpay.types import Account, Epoch, RelayId
from relay.books import Books, Side
from relay.epoch_keys import EpochKeys
from relay.gossip import Gossip
from relay.links import LinkDialer
from relay.metrics import Metrics
from relay.router import Router
from relay.state import State
from relay.store import RelayStore, forget_epoch_ops, key_op

log = logging.getLogger(__name__)

_CHANNEL_EVENTS = (
    events.Funded,
    events.Claimed,
    events.CloseRequested,
    events.Closed,
    events.Released,
)
_FREEZE_TURN = 3.0
"""Seconds between one relay's turn to fix the next epoch and the next relay's."""


class Accounts:
    """Operator accounts by relay id. An id keeps its operator for ever, so nothing here grows old."""

    def __init__(self, contracts: Contracts) -> None:
        self._contracts = contracts
        self._known: dict[RelayId, Account] = {}

    def learn(self, state: State) -> None:
        """Take the relays of all living epochs."""
        for epoch in state.living_epochs():
            for record in state.view.snapshot(epoch).relays:
                self._known[record.id] = record.operator

    def look_up(self, relays: Iterable[RelayId]) -> None:
        """Ask the chain for relays that are in no living epoch any more. Blocks; raises ChainError."""
        for relay in relays:
            if relay not in self._known:
                self._known[relay] = self._contracts.registry.relay(relay).operator

    def of(self, relay: RelayId) -> Account:
        """A relay's operator account. Raises PeerError `unknown_relay`."""
        account = self._known.get(relay)
        if account is None:
            raise PeerError("unknown_relay", f"relay {relay} is in no living epoch")
        return account


class ChainSide:
    """One relay's look at the chain, and what follows from it."""

    def __init__(
        self,
        state: State,
        contracts: Contracts,
        sender: Sender,
        account: Account,
        accounts: Accounts,
        books: Books,
        router: Router,
        dialer: LinkDialer,
        gossip: Gossip,
        store: RelayStore,
        metrics: Metrics,
        clock: Callable[[], float],
    ) -> None:
        self._state = state
        self._contracts = contracts
        self._sender = sender
        self._account = account
        self._accounts = accounts
        self._books = books
        self._router = router
        self._dialer = dialer
        self._gossip = gossip
        self._store = store
        self._metrics = metrics
        self._clock = clock
        self._read: set[tuple[Side, RelayId]] = set()
        self._epoch_seen: tuple[Epoch, float] | None = None
        self.trouble: str | None = None
        """Why the last look at the chain failed, for the operator; None if it did not."""

    async def run(self, interval: float) -> None:
        """Look, every `interval` seconds, until cancelled."""
        while True:
            try:
                await self.once()
                self.trouble = None
            except (ChainError, UserError) as error:
                if str(error) != self.trouble:
                    log.warning("chain: %s", error)
                self.trouble = str(error)
            await asyncio.sleep(interval)

    async def once(self) -> None:
        """One look. Raises ChainError; what was done stays done."""
        batches = await asyncio.to_thread(self._state.view.refresh)
        self._metrics.chain_height.set(batches[-1].head)
        self._accounts.learn(self._state)
        await self.update_keys()
        await self._update_channels(batches)
        await self._freeze_in_turn()
        await self._gossip.run_once()
        self._dial()

    # ------------------------------------------------------------------ keys

    async def update_keys(self) -> None:
        """Make the keys of new epochs, destroy those of old ones, and let the router know."""
        state, ops = self._state, []
        for epoch in state.keys.expire(state.floor):
            ops += forget_epoch_ops(epoch)
        for epoch in state.living_epochs():
            secret = state.keys.need(epoch) if state.is_member(epoch) else None
            if secret is not None:
                ops.append(key_op(epoch, secret))
        if ops:
            await self._store.written(ops)
        self._router.use_epochs(state.epoch_keys(), state.floor)
        state.publish()

    # ------------------------------------------------------------------ channels

    async def _update_channels(self, batches: Iterable[Batch]) -> None:
        changed: set[tuple[Account, Account]] = set()
        for batch in batches:
            if batch.reverted_to is not None:
                self._read.clear()
            changed |= {
                (event.payer, event.payee) for event in batch.events if isinstance(event, _CHANNEL_EVENTS)
            }
        for side, peer in self._all_books():
            pair = self._pair(side, peer)
            if (side, peer) in self._read and pair not in changed:
                continue
            channel = await asyncio.to_thread(self._contracts.channels.channel, *pair)
            self._tell(side, peer, channel)
            self._read.add((side, peer))

    def _all_books(self) -> list[tuple[Side, RelayId]]:
        payers = [(Side.PAYER, peer) for peer in self._books.payees]
        return payers + [(Side.PAYEE, peer) for peer in self._books.payers]

    def _pair(self, side: Side, peer: RelayId) -> tuple[Account, Account]:
        other = self._accounts.of(peer)
        return (other, self._account) if side is Side.PAYER else (self._account, other)

    def _tell(self, side: Side, peer: RelayId, channel: Channel) -> None:
        row = ChannelRow(channel.deposit, channel.claimed, channel.closes_at)
        with self._books.step() as step:
            if side is Side.PAYER:
                step.add(side, peer, self._books.payee(peer).on_channel(row, self._clock()))
            else:
                step.add(side, peer, self._books.payer(peer).on_channel(row))

    # ------------------------------------------------------------------ epochs

    async def _freeze_in_turn(self) -> None:
        """Fix the next epoch, if nobody else has when our turn comes."""
        state = self._state
        epoch = state.epoch
        if self._epoch_seen is None or self._epoch_seen[0] != epoch:
            self._epoch_seen = (epoch, self._clock())
        following = Epoch(epoch + 1)
        if state.view.is_frozen(following):
            return
        if self._clock() - self._epoch_seen[1] < self._turn(epoch) * _FREEZE_TURN:
            return
        if await asyncio.to_thread(self._contracts.registry.is_frozen, following):
            return  # somebody was faster, and we shall read of it
        log.info("fixing epoch %d", following)
        await asyncio.to_thread(self._sender.send, self._contracts.registry.freeze())

    def _turn(self, epoch: Epoch) -> int:
        """This relay's place in the epoch's order, which is another in each."""
        if not self._state.view.is_frozen(epoch):
            return self._state.me % 8
        relays = [record.id for record in self._state.view.snapshot(epoch).relays]
        before = _rank(epoch, self._state.me)
        return sum(_rank(epoch, relay) < before for relay in relays)

    # ------------------------------------------------------------------ links

    def _dial(self) -> None:
        """Keep links to the next hops of every living epoch, and to no others."""
        wanted: set[RelayId] = set()
        for keys in self._state.epoch_keys().values():
            wanted |= next_hops(self._state.me, keys)
        for relay in wanted:
            record = self._state.view.relay(relay)
            if record is None:
                continue
            try:
                endpoint = parse_endpoint(record.endpoint)
            except EndpointError:
                continue  # registered with nonsense: unreachable until it is updated
            self._dialer.dial(relay, endpoint.host, endpoint.link_port, record.link_key)
        for relay in set(self._dialer.links) - wanted:
            self._dialer.hang_up(relay)


def next_hops(me: RelayId, keys: EpochKeys) -> set[RelayId]:
    """All relays this one may have to forward to in an epoch: as entry, and as mix of its layer."""
    layers = keys.layers
    hops = {*layers.successors(me, Role.ENTRY), *layers.successors(me, Role(layers.layer(me)))}
    return hops - {me}


def _rank(epoch: Epoch, relay: RelayId) -> bytes:
    return keccak256(epoch.to_bytes(4, "big") + relay.to_bytes(4, "big"))
