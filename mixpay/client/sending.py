"""Sending one message: the edge around `mixpay.client.sender`, which has the rules of pace and repetition.

    entry (`mixpay.client.session`) ▶ packet after packet ▶ acks, checked ▶ report

What is known of the packets' ways stays in memory and ends with the message.
"""

from __future__ import annotations

import asyncio
import contextlib
import hmac
from collections import Counter
from collections.abc import Callable, Collection, Sequence

import aiohttp

from mixpay import envelope
from mixpay.address import Address, UnusableAddress
from mixpay.client.entry import EntryLink
from mixpay.client.errors import NotSent, RelayUnavailable
from mixpay.client.profile import Profile
from mixpay.client.report import Report
from mixpay.client.route import Packed, Packer
from mixpay.client.sender import ChangeEntry, Finished, GivenUp, Sender, Transmit, Wait
from mixpay.client.session import Session
from mixpay.client.wallet import CAMPAIGN_LIMIT, LAG_SECONDS, Wallet
from mixpay.network import NetworkView
from mixpay.passes import PassExhausted
from mixpay.types import Random, RelayId
from mixpay.wire.client import Answered, DownStatus

MOST_CHANGES = 8
"""Changes of the entry, reconnections included, before a message is given up."""

MOST_FRUITLESS = 3
"""Connections in a row in which an entry may take nothing, before another pass is taken."""

_LONGEST_PAUSE = 5.0
_CONNECTION_LOST, _WRONG_EPOCH, _PASS_SPENT = "connection_lost", "wrong_epoch", "pass_spent"
_INNOCENT = frozenset((_CONNECTION_LOST, _WRONG_EPOCH, _PASS_SPENT))
"""Reasons to begin again that say nothing against the pass."""

_FAULTS = {
    DownStatus.BAD_TICK: "bad_tick",
    DownStatus.WRONG_EPOCH: _WRONG_EPOCH,
    DownStatus.CAMPAIGN_LIMIT: CAMPAIGN_LIMIT,
}


Leaving = Callable[[int, Packed], None]
"""Is told of each packet that is about to leave, and which fragment is in it."""


class Sending:
    """Sends one message, or some of its fragments, to one address.

    `tell`: lines for the user; `progress`: fragments accepted, and all; `avoided`: relays that are no mixes
    if there are others.
    """

    def __init__(
        self,
        http: aiohttp.ClientSession,
        view: NetworkView,
        wallet: Wallet,
        receiver: Address,
        profile: Profile,
        random: Random,
        *,
        tell: Callable[[str], None] = lambda _: None,
        progress: Callable[[int, int], None] = lambda _done, _all: None,
        leaving: Leaving = lambda _fragment, _packed: None,
        avoided: Collection[RelayId] = (),
    ) -> None:
        self._session = Session(http, view, wallet, random, tell)
        self._view, self._wallet, self._random = view, wallet, random
        self._receiver, self._profile, self._tell, self._progress = receiver, profile, tell, progress
        self._leaving, self._avoided = leaving, avoided
        self.report = Report(b"", 0)
        """What it took so far, if it fails too."""
        self._link: EntryLink | None = None
        self._packer: Packer | None = None
        self._listener: asyncio.Task[None] | None = None
        self._on_way: dict[int, tuple[int, Packed]] = {}
        self._wake = asyncio.Event()
        self._changes = 0
        self._fruitless: Counter[tuple[int, int]] = Counter()
        """Connections that ended so, by the pass's row and the fragments that were left."""

    async def run(self, message: envelope.Message) -> Report:
        """Send a message: see `run_pieces`."""
        return await self.run_pieces(envelope.fragments(message, self._random))

    async def run_pieces(self, pieces: Sequence[envelope.Fragment]) -> Report:
        """Returns when every fragment was accepted by its first mix.

        Raises NotSent, NoPath, NoPass, BudgetSpent, IssuerUnavailable, UserError, ChainError.
        """
        self.report = Report(pieces[0].message_id, len(pieces))
        self._sender = Sender(len(pieces), self._profile, self._random, _now())
        try:
            await self._enter()
            self._sender.entry_changed(_now())
            await self._send_all(pieces)
            await self._drain()
        finally:
            await self._leave()
            self.report.packets_sent = self._sender.sent
        return self.report

    async def _send_all(self, pieces: Sequence[envelope.Fragment]) -> None:
        while True:
            self._progress(len(pieces) - self._sender.remaining, len(pieces))
            if self._listener is not None and self._listener.done():
                self._listener.result()  # raises what is our own mistake; a lost connection was noted
            match self._sender.step(_now()):
                case Finished():
                    return
                case Transmit() as step:
                    await self._transmit(step.number, pieces[step.fragment])
                case Wait() as step:
                    await self._pause(step.until)
                case ChangeEntry() as step:
                    await self._change(step.reason)
                case GivenUp() as step:
                    raise self._not_sent(step.reason)

    async def _drain(self) -> None:
        """Wait for the answers that are still out: a copy was relayed and paid for like the first."""
        deadline = _now() + self._profile.ack_timeout
        while self._on_way and self._listening() and _now() < deadline:
            await self._pause(deadline)

    async def _pause(self, until: float) -> None:
        self._wake.clear()
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout_at(until):
                await self._wake.wait()

    # ------------------------------------------------------------------ packets

    async def _transmit(self, number: int, piece: envelope.Fragment) -> None:
        if self._packer is None or self._link is None:
            raise RuntimeError("no packet is sent without an entry")
        packed = self._packer.pack(piece, self._random)
        self._leaving(piece.index, packed)
        try:
            await self._link.send(number, packed)
        except PassExhausted:
            self._sender.unusable(_PASS_SPENT)
        except RelayUnavailable:
            self._sender.unusable(_CONNECTION_LOST)
        else:
            self.report.ticks += 1
            self._on_way[number] = piece.index, packed

    async def _listen(self, link: EntryLink) -> None:
        try:
            while True:
                for answered in (await link.answer()).answers:
                    self._answered(answered)
                self._wake.set()
        except RelayUnavailable:
            self._sender.unusable(_CONNECTION_LOST)
        finally:
            self._wake.set()

    def _answered(self, answered: Answered) -> None:
        if answered.status is DownStatus.NOTHING or answered.seq not in self._on_way:
            return
        fragment, packed = self._on_way.pop(answered.seq)
        match answered.status:
            case DownStatus.ACKNOWLEDGED:
                if not hmac.compare_digest(answered.ack, packed.built.first_ack):
                    self._sender.unusable("forged_ack")
                elif self._sender.accepted(answered.seq, _now()):
                    self.report.accept(fragment, packed)
            case DownStatus.BUSY:
                self._sender.busy(answered.seq, _now())
            case DownStatus.BAD_TICK | DownStatus.WRONG_EPOCH | DownStatus.CAMPAIGN_LIMIT:
                self._sender.unusable(_FAULTS[answered.status])
            case _:
                if answered.status is DownStatus.MIX_UNREACHABLE and self._packer is not None:
                    self._packer.avoid(packed.built.first_relay)
                self._sender.failed(answered.seq, answered.status.name.lower())

    # ------------------------------------------------------------------ entries

    async def _enter(self) -> None:
        """Find an entry that answers, and be ready to send through it."""
        entered = await self._session.enter(self._check_receiver)
        self._link = entered.link
        self._packer = Packer(entered.paths(self._profile), entered.relay, self._receiver)
        for relay in self._avoided:
            self._packer.avoid(relay)
        self._listener = asyncio.create_task(self._listen(self._link))

    def _check_receiver(self, two_faced: frozenset[RelayId]) -> None:
        if self._receiver.relay in two_faced:
            raise UnusableAddress(
                f"relay {self._receiver.relay}, which keeps the receiver's mailbox, signed two packet keys "
                "to tell users apart: ask the receiver for a new address"
            )

    async def _change(self, reason: str) -> None:
        await self._drain()
        link, epoch = self._link, self._view.epoch
        await self._leave()
        self._changes += 1
        if self._changes > MOST_CHANGES:
            raise self._not_sent(reason)
        await self._wallet.look_again()
        if not self._view.works_in(self._view.epoch):
            raise self._not_sent("the network has moved to a new release: ask the receiver for a new address")
        if self._view.epoch != epoch:
            self._tell("a new epoch has begun: going on with a new pass")
        elif link is not None and reason == CAMPAIGN_LIMIT:
            self._wallet.full(link.drawn)
        elif link is not None and reason not in _INNOCENT:
            self._wallet.condemn(link.drawn, reason)
        elif link is not None and reason != _PASS_SPENT and self._is_fruitless(link):
            self._wallet.set_aside(link.drawn, f"relay {link.drawn.relay.id} takes nothing ({reason})")
        elif self._changes > 1:
            await asyncio.sleep(min(LAG_SECONDS * 2 ** (self._changes - 2), _LONGEST_PAUSE))
        await self._enter()
        self._sender.entry_changed(_now())

    def _is_fruitless(self, link: EntryLink) -> bool:
        """Whether an entry has taken nothing for too long. Any relay may lose a connection; one that always
        does, having taken a tick, would keep its users from sending.
        """
        state = link.drawn.stored.row, self._sender.remaining
        self._fruitless[state] += 1
        return self._fruitless[state] >= MOST_FRUITLESS

    async def _leave(self) -> None:
        listener, self._listener = self._listener, None
        if listener is not None:
            listener.cancel()
            await asyncio.gather(listener, return_exceptions=True)
        link, self._link = self._link, None
        if link is not None:
            await link.close()
        self._on_way.clear()

    def _listening(self) -> bool:
        return self._listener is not None and not self._listener.done()

    def _not_sent(self, reason: str) -> NotSent:
        total, missing = self.report.fragments, self._sender.remaining
        return NotSent(
            f"the message was not sent: {missing} of its {total} pieces were not taken ({reason}); try again"
        )


def _now() -> float:
    return asyncio.get_running_loop().time()
