"""The story: a network begins; Alice sends Bob a file while he is offline; the relays are paid; all ends."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

from mixpay.demo.evidence import added
from mixpay.demo.ground import ground
from mixpay.demo.network import Finding, Network, Usage
from mixpay.demo.parcel import Parcel
from mixpay.demo.relays import roles
from mixpay.demo.report import Outcome
from mixpay.demo.stage import Detail, Stage
from mixpay.demo.status import Status
from mixpay.demo.users import Received, Sent, User
from mixpay.passes import TICK_VALUE

_ARRIVAL_LIMIT = 30.0
"""Seconds: a packet that is still not there by then was dropped on its way, after 20 at the longest."""
_SHOWN_EVERY = 1.0


def play(
    parcel: Parcel, stage: Stage, *, keep: bool, program: str = "anvil", story: type[Story] | None = None
) -> Outcome:
    """Perform the story with processes of its own, and end them, whatever happens. `program`: of the chain;
    `story`: another one.

    What they leave behind is removed unless `keep` is set or something did not hold. Raises MixpayError.
    """
    with ground(stage, "demo", program) as place:
        network = Network(place.folder, stage, place.processes, place.chain, commons=True)
        outcome = (story or Story)(parcel, place.folder, stage, network).perform()
        place.keep = keep or bool(list(outcome.failures()))
    return replace(outcome, steps=tuple(stage.steps), seconds=stage.seconds)


class Story:
    """One performance, in `folder`."""

    def __init__(self, parcel: Parcel, folder: Path, stage: Stage, network: Network) -> None:
        self.parcel, self.folder, self.stage, self.network = parcel, folder, stage, network
        self.alice, self.bob = (User(name, folder, network.processes) for name in ("alice", "bob"))

    def perform(self) -> Outcome:
        """Everything. Raises MixpayError; whoever calls it ends the processes."""
        self.network.begin()
        sent = self._send(self.make_address())
        received = self._receive()
        counts = added((sent.counts, self.bob.tolls()))
        finding = self.network.claim(Usage(counts, received.packets, (self.bob.account(),)))
        return self.outcome(sent, received, finding)

    def make_address(self) -> str:
        """Both have a folder, Bob a mailbox; its address. The sponsor invites Alice; Bob works for passes."""
        chain, sponsor = self.network.chain, self.network.sponsor
        place = chain.url, chain.deployment_file
        with self.stage.step("Bob, with an empty wallet, makes an address and goes offline"):
            self.alice.init(*place, sponsor.url, "--invitation", self.network.invitation)
            self.bob.init(*place, self.network.commons.url)
            return self.bob.address()

    def _send(self, address: str) -> Sent:
        parcel = self.parcel
        name = f"Alice, with an empty wallet, sends {len(parcel.content)} bytes"
        with self.stage.step(name) as detail:
            file = parcel.unpack(self.folder / "outgoing")
            sent = self.alice.send(address, file, parcel.packets, self._watch(detail))
            self._await_packets(sent.packets_accepted)
        return sent

    def _watch(self, detail: Detail) -> Callable[[], None]:
        """Shows now and then how far the packets are."""
        shown_at = time.monotonic()

        def look() -> None:
            nonlocal shown_at
            if time.monotonic() - shown_at < _SHOWN_EVERY:
                return
            shown_at = time.monotonic()
            statuses = self.network.relays.statuses()
            if statuses is not None:
                detail(f"{roles(statuses)['mailbox']} of {self.parcel.packets} packets arrived")

        return look

    def _await_packets(self, accepted: int) -> None:
        """Wait until all packets have arrived. If some never do, the verdict will say so."""
        deadline = time.monotonic() + _ARRIVAL_LIMIT

        def arrived() -> bool | None:
            statuses = self.network.relays.statuses()
            if statuses is None:
                return None
            return roles(statuses)["mailbox"] >= accepted or time.monotonic() > deadline or None

        self.network.wait("the packets", arrived)

    def _receive(self) -> Received:
        with self.stage.step("Bob comes online and fetches his mailbox"):
            return self.bob.receive(self.folder / "received")

    def outcome(self, sent: Sent, received: Received, finding: Finding) -> Outcome:
        """What is shown at the end."""
        content = received.path.read_bytes() if received.path is not None else None
        return Outcome(
            verdict=finding.verdict,
            hop_price=self.network.chain.deployment.parameters.hop_price,
            packets_sent=sent.packets_sent,
            bytes_sent=len(self.parcel.content),
            bytes_equal=content == self.parcel.content,
            proven={status.id: self._proven(status) for status in finding.statuses},
            drops={status.id: status.drops for status in finding.statuses if status.drops},
            steps=tuple(self.stage.steps),
            seconds=self.stage.seconds,
        )

    def _proven(self, status: Status) -> int:
        """Tickets settled, and ticks redeemed: one for each packet carried, in whatever role, and those of
        mailboxes.
        """
        tick = TICK_VALUE * self.network.chain.deployment.parameters.hop_price
        return status.receipts + sum(v.message.cumulative // tick for v in status.pool_vouchers())
