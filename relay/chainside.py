"""The chain's part of the daemon's life: every poll brings time, relays, channels; every epoch its duties.

    refresh      what is new on the chain, in a thread; then, in the event loop:
    keys         packet keys are used in their epochs, and destroyed after their grace
    dial         links to all next hops of this relay, and to relays that it owes
    channels     books learn of deposits, claims and closings of their channels
    beside       what waits for strangers or for blocks, and must not hold up the next look:
      new keys   packet keys are made for epochs that are fixed, once nothing speaks against it
      gossip     other relays' descriptors
      reports    of relays that signed two packet keys for one epoch
      freeze     whoever comes first in an epoch fixes the next one; turns are spread so that not all pay

The data path never waits for any of this. While the RPC endpoint is away, the last state stays in force.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable, Iterable

from mixpay.book.rows import Channel as ChannelRow
from mixpay.chain import events
from mixpay.chain.contracts import Contracts
from mixpay.chain.sender import Sender
from mixpay.crypto.hashing import keccak256
from mixpay.endpoint import EndpointError, parse_endpoint
from mixpay.errors import ChainError, ChainUnavailable, PeerError, UserError
from mixpay.layers import Role
from mixpay.types import Account, Amount, Epoch, RelayId
from relay.keys.epoch_keys import EpochKeys
from relay.keys.gossip import Gossip
from relay.keys.key_desk import KeyDesk
from relay.keys.reporter import Reporter
from relay.links import LinkDialer
from relay.metrics import Metrics
from relay.path.books import Books, Side
from relay.state import State

log = logging.getLogger(__name__)

_CHANNEL_EVENTS = (
    events.Funded,
    events.Claimed,
    events.CloseRequested,
    events.Closed,
    events.Released,
    events.Held,
)
_FREEZE_TURN = 3.0
"""Seconds between one relay's turn to fix the next epoch and the next relay's."""
SEEN_AFTER = 10.0
"""Seconds after which an honest payee has read what we have read of our channel: five usual intervals."""

_LOOKS_A_NOTICE = 8
"""So often within a closing channel's notice each channel is read, whatever events say."""
_LINGER = 60.0
"""Seconds that a link stays after it was needed: the last voucher may have to be repeated on it."""

_AWAY = (
    "while the chain does not answer, packets go on within the limits, and money waits: nothing is lost. If "
    "it takes long, set another rpc_url in relay.toml and start the relay again"
)


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
        dialer: LinkDialer,
        keys: KeyDesk,
        gossip: Gossip,
        reporter: Reporter,
        metrics: Metrics,
        clock: Callable[[], float],
    ) -> None:
        self._state = state
        self._contracts = contracts
        self._sender = sender
        self._account = account
        self._accounts = accounts
        self._books = books
        self._dialer = dialer
        self._keys = keys
        self._gossip = gossip
        self._reporter = reporter
        self._metrics = metrics
        self._clock = clock
        self._read: dict[tuple[Side, RelayId], int] = {}
        """Books that know their channels, and since when (chain time)."""
        self._good_news: dict[RelayId, float | None] = {}
        """Payees whose channels we looked at, and since when they may not know that theirs got better."""
        self.seen_after = SEEN_AFTER
        self._read_again = max(1, state.view.deployment.parameters.notice // _LOOKS_A_NOTICE)
        self._epoch_seen: tuple[Epoch, float] | None = None
        self._spare_since: dict[RelayId, float] = {}
        self._beside: dict[str, asyncio.Task[None]] = {}
        self._troubles: dict[str, str] = {}
        self.read_at: float | None = None
        """When the chain was last read without an error, by the clock."""
        self._away: set[str] = set()
        """What waits for an endpoint that does not answer."""

    @property
    def trouble(self) -> str | None:
        """What failed the last time it was tried, and why, for the operator; None if nothing did."""
        return "; ".join(dict.fromkeys(self._troubles.values())) or None

    def notes(self) -> list[str]:
        """What the operator can do about it."""
        return [_AWAY] if self._away else []

    async def run(self, interval: float) -> None:
        """Look, every `interval` seconds, until cancelled."""
        try:
            while True:
                await self._try("chain", self.once)
                await asyncio.sleep(interval)
        finally:
            for task in self._beside.values():
                task.cancel()
            await asyncio.gather(*self._beside.values(), return_exceptions=True)

    async def once(self) -> None:
        """One look. Raises ChainError, UserError; what was done stays done."""
        await self._refresh()
        self._accounts.learn(self._state)
        await self._try("packet keys", self._keys.use)
        self.dial()
        self._begin("new packet keys", self._keys.make)
        self._begin("gossip", self._gossip.run_once)
        self._begin("reports", self._reporter.run_once)
        self._begin("fixing the next epoch", self._freeze_in_turn)
        await self._update_channels()
        self._state.check_releases()  # at last: what is wrong with a release is no trouble for what is owed

    def _begin(self, what: str, work: Callable[[], Awaitable[object]]) -> None:
        """Do something beside, unless it is still being done."""
        task = self._beside.get(what)
        if task is None or task.done():
            if task is not None:
                task.result()  # a mistake of ours must not stay unseen
            self._beside[what] = asyncio.create_task(self._try(what, work))

    async def _try(self, what: str, work: Callable[[], Awaitable[object]]) -> None:
        try:
            await work()
        except (ChainError, UserError) as error:
            if self._troubles.get(what) != str(error):
                log.warning("%s: %s", what, error)
            self._troubles[what] = str(error)
            self._metrics.troubles.labels(what).inc()
            (self._away.add if isinstance(error, ChainUnavailable) else self._away.discard)(what)
        else:
            self._away.discard(what)
            if self._troubles.pop(what, None) is not None:
                log.info("%s: works again", what)

    # ------------------------------------------------------------------ channels

    async def _refresh(self) -> None:
        """Read what is new, and forget what is not true any more of channels."""
        try:
            batches = await asyncio.to_thread(self._state.view.refresh)
        except ChainError:
            self._read.clear()  # what it found before it failed, nobody will tell us
            raise
        self.read_at = self._clock()
        self._metrics.chain_height.set(batches[-1].head)
        for batch in batches:
            if batch.reverted_to is not None:
                self._read.clear()
            found = [event for event in batch.events if isinstance(event, _CHANNEL_EVENTS)]
            changed = {(event.payer, event.payee) for event in found}
            if changed:
                self._read = {b: at for b, at in self._read.items() if self._pair(*b) not in changed}

    async def _update_channels(self) -> None:
        """Tell books of their channels: new books, those whose channel changed, and those not asked for long:
        a node that keeps an event from us must not cost us the notice of a closing.
        """
        now = self._state.chain_time
        for side, peer in self._all_books():
            if now - self._read.get((side, peer), -self._read_again) >= self._read_again:
                found = await asyncio.to_thread(self._contracts.channels.channel, *self._pair(side, peer))
                channel = ChannelRow(found.deposit, found.claimed, found.closes_at)
                counted = channel if side is Side.PAYER else self._surely_seen(peer, channel)
                self._tell(side, peer, counted)
                if counted == channel:
                    self._read[side, peer] = now

    def _all_books(self) -> list[tuple[Side, RelayId]]:
        payers = [(Side.PAYER, peer) for peer in self._books.payees]
        return payers + [(Side.PAYEE, peer) for peer in self._books.payers]

    def _pair(self, side: Side, peer: RelayId) -> tuple[Account, Account]:
        other = self._accounts.of(peer)
        return (other, self._account) if side is Side.PAYER else (self._account, other)

    def _surely_seen(self, payee: RelayId, channel: ChannelRow) -> ChannelRow:
        """What of our channel its payee knows by now. It reads the chain by itself, perhaps after us: under a
        deposit that it has not seen it refuses tickets, and their packets are lost. So good news is counted
        on `seen_after` seconds later; but at once what was there when we looked first. A first deposit ends
        the credit: one below that is bad news.
        """
        now, book = self._clock(), self._books.payer(payee)
        known = book.channel
        had = known.deposit or book.limits.credit_limit * self._state.hop_price
        deposit = channel.deposit if channel.deposit <= had else known.deposit
        worse = ChannelRow(deposit, channel.claimed, channel.closes_at or known.closes_at)
        if worse == channel or payee not in self._good_news:
            self._good_news[payee] = None
            return channel
        since = self._good_news[payee]
        if since is not None and now - since >= self.seen_after:
            self._good_news[payee] = None
            return channel
        self._good_news[payee] = now if since is None else since
        return worse

    def _tell(self, side: Side, peer: RelayId, channel: ChannelRow) -> None:
        with self._books.step() as step:
            if side is Side.PAYER:
                step.add(side, peer, self._books.payee(peer).on_channel(channel, self._clock()))
            else:
                step.add(side, peer, self._books.payer(peer).on_channel(channel))

    # ------------------------------------------------------------------ epochs

    async def _freeze_in_turn(self) -> None:
        """Fix the next epoch, if nobody else has when our turn comes."""
        state = self._state
        epoch = state.epoch
        if self._epoch_seen is None or self._epoch_seen[0] != epoch:
            self._epoch_seen = (epoch, self._clock())
        following = Epoch(epoch + 1)
        if state.view.is_frozen(following) or not state.view.works_in(following):
            return  # nobody needs an epoch in which the network works on other contracts
        if self._clock() - self._epoch_seen[1] < self._turn(epoch) * _FREEZE_TURN:
            return
        if await asyncio.to_thread(self._contracts.registry.is_frozen, following):
            return  # somebody was faster, and we shall read of it
        log.info("fixing epoch %d", following)
        await asyncio.to_thread(self._sender.send, self._contracts.registry.freeze())

    def freeze_in(self) -> float | None:
        """Seconds until it is our turn to fix the next epoch; None if it is fixed."""
        epoch = self._state.epoch
        if self._state.view.is_frozen(Epoch(epoch + 1)):
            return None
        seen = self._epoch_seen[1] if self._epoch_seen is not None else self._clock()
        return max(0.0, seen + self._turn(epoch) * _FREEZE_TURN - self._clock())

    def _turn(self, epoch: Epoch) -> int:
        """This relay's place in the epoch's order, which is another in each."""
        if not self._state.view.is_frozen(epoch):
            return self._state.me % 8
        relays = [record.id for record in self._state.view.snapshot(epoch).relays]
        before = _rank(epoch, self._state.me)
        return sum(_rank(epoch, relay) < before for relay in relays)

    # ------------------------------------------------------------------ links

    def dial(self) -> None:
        """Keep links to the next hops of every living epoch, and to relays that we owe; to no others."""
        needed: set[RelayId] = set()
        for keys in self._state.epoch_keys().values():
            needed |= next_hops(self._state.me, keys)
        needed -= {relay for relay, book in self._books.payers.items() if book.refused}  # for good
        creditors = self._creditors()
        for relay in needed | creditors:
            record = self._state.record(relay)
            if record is None and relay in creditors:
                record = self._state.view.last_record(relay)
            if record is None:
                continue
            needed.add(relay)
            try:
                endpoint = parse_endpoint(record.endpoint)
            except EndpointError:
                continue  # registered with nonsense: unreachable until it is updated
            self._dialer.dial(relay, endpoint.host, endpoint.link_port, record.link_key)
        self._hang_up_spare(needed)

    def _creditors(self) -> set[RelayId]:
        """Relays whose tickets no voucher covers yet. Epochs end, debts do not.

        Once we serve no more, also those that have not claimed their newest voucher: it may have been lost.
        """
        found = set()
        for relay, book in self._books.payers.items():
            totals = book.totals(Amount(1))
            unpaid = self._state.is_over and totals.claimed < totals.cumulative
            if not book.refused and (totals.unsettled or unpaid):
                found.add(relay)
        return found

    def _hang_up_spare(self, needed: set[RelayId]) -> None:
        now, spare = self._clock(), set(self._dialer.links) - needed
        self._spare_since = {relay: self._spare_since.get(relay, now) for relay in spare}
        for relay, since in list(self._spare_since.items()):
            if now - since >= _LINGER:
                del self._spare_since[relay]
                self._dialer.hang_up(relay)


def next_hops(me: RelayId, keys: EpochKeys) -> set[RelayId]:
    """All relays this one may have to forward to in an epoch: as entry, and as mix of its layer."""
    layers = keys.layers
    hops = {*layers.successors(me, Role.ENTRY), *layers.successors(me, Role(layers.layer(me)))}
    return hops - {me}


def _rank(epoch: Epoch, relay: RelayId) -> bytes:
    return keccak256(epoch.to_bytes(4, "big") + relay.to_bytes(4, "big"))
