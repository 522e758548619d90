"""The story with a relay that is killed: Alice's file arrives all the same, and the relay loses nothing.

While Alice sends, one mix is killed, with packets that nobody else has. Bob comes online, acknowledges what
he found, and Alice sends the rest again, by other relays. Then the relay starts again, and what it holds
receipts for is redeemed and claimed as if nothing had been.
"""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass, field, replace

from mixpay import address as addresses
from mixpay.demo.evidence import added
from mixpay.demo.network import PERIOD, Usage
from mixpay.demo.processes import DemoFailed
from mixpay.demo.relays import Place, roles
from mixpay.demo.report import Killing, Outcome
from mixpay.demo.status import NoStatus, Status, read_status
from mixpay.demo.story import Story
from mixpay.demo.users import Received, Sent
from mixpay.network import NetworkView
from mixpay.types import HOPS, Account, RelayId

_QUIET = 3.0
"""Seconds without any packet's arrival, after which none is on its way."""
_LIMIT = 60.0
_SHARE = 24
"""It is killed once it holds a receipt, and one more for so many packets: a third of them go through it."""
_TOO_SHORT = "the file had arrived before a mix could be killed: name a larger one with --file"
_LAYERS = (2, 3)
"""The first mix's death would be the entry's to notice, not the receiver's."""


@dataclass(frozen=True, slots=True)
class Victim:
    """A relay that was killed, and what its books said a moment before."""

    place: Place
    status: Status
    in_flight: int


@dataclass(slots=True)
class _Rounds:
    """What Bob's looks into his mailbox brought, and Alice's last one."""

    found: list[Received] = field(default_factory=list)

    @property
    def received(self) -> Received:
        """All of it as one."""
        paths = [received.path for received in self.found if received.path is not None]
        acks = tuple(sent for received in self.found for sent in received.acks)
        return Received(paths[0] if paths else None, sum(each.packets for each in self.found), acks)


def _can_be_missed(relay: RelayId, layers: dict[RelayId, int], busy: set[RelayId]) -> bool:
    """Whether its layer has another mix for both users: paths avoid their entries and mailboxes (`busy`)."""
    others = {other for other, layer in layers.items() if layer == layers[relay] and other != relay}
    return bool(others - busy)


class KillStory(Story):
    """One performance of it."""

    _victim: Victim | None = None

    def perform(self) -> Outcome:
        """Everything. Raises MixpayError; whoever calls it ends the processes."""
        self.network.begin()
        to = self.make_address()
        rounds = _Rounds()
        sent = self._send_through_death(to, self.alice.address(), rounds)
        victim = self._victim
        if victim is None:
            raise DemoFailed(_TOO_SHORT)
        with self.stage.step(f"relay {victim.status.id} starts again"):
            self.network.relays.run_again(victim.place)
            self.network.wait("the relay", self.network.ready)
        with self.stage.step("what is still in the mailboxes is fetched"):
            self._fetch_rest(rounds)
        received = rounds.received
        finding = self.network.claim(self._usage(victim, sent, received))
        both = replace(sent, packets_sent=sent.packets_sent + sum(ack.packets_sent for ack in received.acks))
        after = next(status for status in finding.statuses if status.id == victim.status.id)
        killing = self._killing(victim, sent.repeated, after)
        return replace(self.outcome(both, received, finding), killing=killing)

    # ------------------------------------------------------------------ the transfer

    def _send_through_death(self, to: str, own: str, rounds: _Rounds) -> Sent:
        spared = {addresses.parse(text).relay for text in (to, own)}
        size = len(self.parcel.content)
        name = f"Alice sends {size} bytes; a mix is killed meanwhile; she sends again what Bob lacks"
        with self.stage.step(name) as detail:
            file = self.parcel.unpack(self.folder / "outgoing")
            layers = self._layers()

            def meanwhile() -> None:
                if self._victim is None:
                    self._victim = self._kill(layers, spared)
                elif self._is_handed_in(self._victim):
                    detail(f"relay {self._victim.status.id} is dead; Bob looks into his mailbox")
                    rounds.found.append(self.bob.receive(self.folder / "received"))

            return self.alice.send_acknowledged(to, file, self.parcel.packets, meanwhile)

    def _layers(self) -> dict[RelayId, int]:
        view = NetworkView(self.network.chain.rpc, self.network.chain.deployment)
        view.refresh()
        layers = view.layers(PERIOD)
        return {relay.id: layers.layer(relay.id) for relay in view.snapshot(PERIOD).relays}

    def _kill(self, layers: dict[RelayId, int], spared: set[RelayId]) -> Victim | None:
        """Kill a mix that holds receipts, and packets under way; None if there is none now.

        Raises DemoFailed if there will be none any more.
        """
        statuses = list(self._statuses())
        if sum(status.roles.mailbox for _, status in statuses) >= self.parcel.packets:
            raise DemoFailed(_TOO_SHORT)
        busy = spared | {status.id for _, status in statuses if status.roles.entry}
        for place, status in statuses:
            layer = layers[status.id]
            value = HOPS - layer
            if layer not in _LAYERS or status.id in busy or not _can_be_missed(status.id, layers, busy):
                continue
            if status.unproven and status.proven >= value * (1 + self.parcel.packets // _SHARE):
                self.network.relays.kill(place)
                return Victim(place, status, status.unproven // value)
        return None

    def _statuses(self) -> Iterator[tuple[Place, Status]]:
        for place in self.network.relays.places:
            with suppress(NoStatus):
                yield place, read_status(place.home)

    def _is_handed_in(self, victim: Victim) -> bool:
        """Whether Alice has handed in every piece once."""
        statuses = self.network.relays.statuses(but=victim.place)
        return statuses is not None and roles(statuses)["entry"] >= self.parcel.packets

    # ------------------------------------------------------------------ the end

    def _fetch_rest(self, rounds: _Rounds) -> None:
        """Late packets, and acknowledgements: nothing is acknowledged any more, or it would not end."""
        since, seen = time.monotonic(), -1

        def quiet() -> bool | None:
            nonlocal since, seen
            statuses = self.network.relays.statuses()
            if statuses is None:
                return None
            carried = sum(roles(statuses).values()) + sum(status.waiting for status in statuses)
            if carried != seen or any(status.waiting for status in statuses):
                since, seen = time.monotonic(), carried
            return time.monotonic() - since >= _QUIET or None

        self.network.wait("the last packets", quiet, limit=_LIMIT)
        for user in (self.bob, self.alice):
            rounds.found.append(user.receive(self.folder / "received", silent=True))

    def _usage(self, victim: Victim, sent: Sent, received: Received) -> Usage:
        everything = (sent, *received.acks)
        return Usage(
            counts=added((*(each.counts for each in everything), self.bob.tolls(), self.alice.tolls())),
            packets_delivered=received.packets + sent.fetched,
            users=(self.bob.account(), self.alice.account()),
            killed=frozenset((victim.status.id,)),
            paths=tuple(path for each in everything for path in each.paths),
        )

    def _killing(self, victim: Victim, repeated: int, after: Status) -> Killing:
        price = self.network.chain.deployment.parameters.hop_price
        held = victim.status.due(price)
        signed: dict[Account, int] = {
            voucher.message.payer: voucher.message.cumulative for voucher in after.vouchers()
        }
        paid = all(signed.get(payer, 0) >= due for payer, due in held.items())
        return Killing(victim.status.id, victim.in_flight, repeated, sum(held.values()), paid)
