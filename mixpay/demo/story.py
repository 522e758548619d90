"""The story, step by step: what happens, in which order, and what it waits for.

Epochs (an hour of chain time each, a term each) pass only when the story moves the chain's clock, always with
no packet in flight:

    epoch 0   deployment; the sponsor sets its keys ahead; relays register
    epoch 1   the relays registered are fixed for epoch 2, and the draw of epoch 2 with them
    epoch 2   the period of the story: passes, packets, tickets
    epoch 3   what was carried in epoch 2 is redeemed and claimed
"""

from __future__ import annotations

import shutil
import tempfile
import time
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TypeVar

from mixpay.chain.devchain import DevChain
from mixpay.demo.chain import DemoChain
from mixpay.demo.evidence import Evidence
from mixpay.demo.parcel import Parcel
from mixpay.demo.processes import DemoFailed, Processes
from mixpay.demo.reader import read_chain
from mixpay.demo.relays import DemoRelays, free_ports, roles
from mixpay.demo.report import Outcome
from mixpay.demo.sponsor import DemoSponsor
from mixpay.demo.stage import Detail, Stage
from mixpay.demo.status import Status
from mixpay.demo.users import Received, Sent, User
from mixpay.demo.verifier import Verdict, verify
from mixpay.passes import TICK_VALUE
from mixpay.types import Epoch

RELAYS = 9
STORY = Epoch(2)
"""The epoch in which packets are carried: the first whose relays can have registered in epoch 0."""

_CLAIM_ROUNDS = 4
"""A payer covers its vouchers in the round after they were signed, at the latest."""
_ARRIVAL_LIMIT = 30.0
_LIMIT = 60.0
_SHOWN_EVERY = 1.0

T = TypeVar("T")


def play(parcel: Parcel, stage: Stage, *, keep: bool) -> Outcome:
    """Perform the story with processes of its own, and end them, whatever happens.

    What they leave behind is removed unless `keep` is set or something did not hold. Raises MixpayError.
    """
    folder = Path(tempfile.mkdtemp(prefix="mixpay-demo-"))
    processes = Processes(folder / "logs")
    chain = DevChain(log=folder / "logs" / "anvil.log")
    held = False
    with processes.watching_signals():
        try:
            outcome = Story(parcel, folder, stage, processes, chain).perform()
            held = not list(outcome.failures())
        finally:
            with stage.step("all processes end"):
                processes.stop()
                chain.stop()
            if held and not keep:
                shutil.rmtree(folder, ignore_errors=True)
            else:
                stage.say(f"logs and everybody's folders: {folder}")
    return replace(outcome, steps=tuple(stage.steps), seconds=stage.seconds)


@dataclass(frozen=True, slots=True)
class _Finding:
    """What a look at chain and relays shows."""

    verdict: Verdict
    statuses: list[Status]

    @property
    def is_final(self) -> bool:
        """Whether another round of claims would change nothing."""
        return not self.verdict.unclaimed and self.verdict.holds("I8")


class Story:
    """One performance. `folder` is where everything is, logs included."""

    def __init__(
        self, parcel: Parcel, folder: Path, stage: Stage, processes: Processes, chain: DevChain
    ) -> None:
        self._parcel, self._folder, self._stage = parcel, folder, stage
        self._processes, self._devchain = processes, chain
        ports = free_ports(2 * RELAYS + 1)
        self._relays = DemoRelays(RELAYS, folder, ports[1:], processes)
        self._sponsor = DemoSponsor(folder, ports[0], processes)
        self._alice, self._bob = (User(name, folder, processes) for name in ("alice", "bob"))

    def perform(self) -> Outcome:
        """Everything. Raises MixpayError; whoever calls it ends the processes."""
        self._open()
        self._enlist()
        self._pass_epochs()
        sent = self._send(self._make_address())
        received = self._receive()
        finding = self._claim(sent, received)
        content = received.path.read_bytes() if received.path is not None else None
        return Outcome(
            verdict=finding.verdict,
            hop_price=self._chain.deployment.parameters.hop_price,
            packets_sent=sent.packets_sent,
            bytes_sent=len(self._parcel.content),
            bytes_equal=content == self._parcel.content,
            proven={status.id: self._proven(status) for status in finding.statuses},
            steps=tuple(self._stage.steps),
            seconds=self._stage.seconds,
        )

    def _proven(self, status: Status) -> int:
        """Tickets settled, and ticks redeemed: one for each packet carried, in whatever role."""
        tick = TICK_VALUE * self._chain.deployment.parameters.hop_price
        return status.receipts + sum(v.message.cumulative // tick for v in status.pool_vouchers())

    def _wait(self, what: str, condition: Callable[[], T | None], limit: float = _LIMIT) -> T:
        return self._processes.wait_for(what, condition, limit=limit)

    # ------------------------------------------------------------------ before the story's epoch

    def _open(self) -> None:
        with self._stage.step("start a local chain"):
            self._devchain.start()
        with self._stage.step("deploy the contracts") as detail:
            self._chain = DemoChain(self._devchain, self._folder, self._checked(detail))
        with self._stage.step("a sponsor opens and funds a campaign, and issues passes"):
            self._sponsor.open(self._chain)
            self._sponsor.serve()

    def _checked(self, detail: Detail) -> Detail:
        """Shows a detail, and is a moment at which Ctrl-C counts."""

        def show(text: str) -> None:
            self._processes.check_interrupted()
            detail(text)

        return show

    def _enlist(self) -> None:
        with self._stage.step(f"{RELAYS} operators set up their relays"):
            self._relays.init(self._chain, self._sponsor.campaign, self._sponsor.url)
        with self._stage.step(f"{RELAYS} relays stake and register themselves"):
            self._relays.register(self._chain)
            self._since = self._chain.head()
        with self._stage.step(f"{RELAYS} relay processes start"):
            self._relays.run()
            self._wait("the relays", self._relays.statuses)

    def _pass_epochs(self) -> None:
        with self._stage.step("epoch 1: the relays of epoch 2 are fixed"):
            self._wait("the sponsor's keys", lambda: self._sponsor.has_keys(self._chain, STORY))
            self._chain.enter(Epoch(1))
            registry = self._chain.contracts.registry
            self._wait("the relays to fix epoch 2", lambda: registry.is_frozen(STORY) or None)
        with self._stage.step("epoch 2: relays exchange keys and connect"):
            self._chain.enter(STORY)
            self._wait("all relays to be ready", lambda: self._relays.ready(self._chain, STORY))

    # ------------------------------------------------------------------ the users

    def _make_address(self) -> str:
        with self._stage.step("Bob, with an empty wallet, makes an address and goes offline"):
            for user in (self._alice, self._bob):
                user.init(self._chain.url, self._chain.deployment_file, self._sponsor.url)
            return self._bob.address()

    def _send(self, address: str) -> Sent:
        parcel = self._parcel
        name = f"Alice, with an empty wallet, sends {len(parcel.content)} bytes"
        with self._stage.step(name) as detail:
            file = parcel.unpack(self._folder / "outgoing")
            sent = self._alice.send(address, file, parcel.packets, self._watch(detail, parcel.packets))
            self._await_packets(sent.packets_accepted)
        return sent

    def _watch(self, detail: Detail, least: int) -> Callable[[], None]:
        """Shows now and then how far the packets are."""
        shown_at = time.monotonic()

        def look() -> None:
            nonlocal shown_at
            self._processes.check()
            if time.monotonic() - shown_at >= _SHOWN_EVERY:
                shown_at = time.monotonic()
                statuses = self._relays.statuses()
                if statuses is not None:
                    carried = roles(statuses)
                    detail(f"{carried['entry']} of {least} packets sent, {carried['mailbox']} in the mailbox")

        return look

    def _await_packets(self, accepted: int) -> None:
        """Wait until all packets have arrived. If some never do, the verdict will say so."""
        deadline = time.monotonic() + _ARRIVAL_LIMIT

        def arrived() -> bool | None:
            statuses = self._relays.statuses()
            if statuses is None:
                return None
            all_there = roles(statuses)["mailbox"] >= accepted
            return True if all_there or time.monotonic() > deadline else None

        self._wait("the packets", arrived)

    def _receive(self) -> Received:
        with self._stage.step("Bob comes online and fetches his mailbox"):
            return self._bob.receive(self._folder / "received")

    # ------------------------------------------------------------------ the money

    def _claim(self, sent: Sent, received: Received) -> _Finding:
        name = "the period ends: receipts are redeemed off chain, vouchers on chain"
        with self._stage.step(name) as detail:
            self._chain.enter(Epoch(STORY + 1))
            self._wait("relays and sponsor to see the new epoch", self._period_over)
            for number in range(1, _CLAIM_ROUNDS + 1):
                detail(f"round {number}")
                self._relays.claim()
                finding = self._look(sent, received)
                if finding.is_final:
                    break
        with self._stage.step("a verifier recomputes the money from chain and users' counts"):
            return self._look(sent, received)

    def _period_over(self) -> bool | None:
        statuses = self._relays.statuses()
        if statuses is None or any(status.epoch <= STORY for status in statuses):
            return None
        return (self._sponsor.epoch() or 0) > STORY or None

    def _look(self, sent: Sent, received: Received) -> _Finding:
        statuses = self._relays.statuses()
        if statuses is None:
            raise DemoFailed(f"a relay does not answer; the logs are in {self._processes.folder}")
        users = (self._bob.account(),)
        record = read_chain(self._chain.rpc, self._chain.deployment, users)
        evidence = Evidence(
            deployment=self._chain.deployment,
            events=record.events,
            answers=record.answers,
            senders=record.senders,
            vouchers=tuple(voucher for status in statuses for voucher in status.vouchers()),
            pool_vouchers=tuple(voucher for status in statuses for voucher in status.pool_vouchers()),
            counts=sent.counts,
            packets_delivered=received.packets,
            users=users,
            since=self._since,
        )
        return _Finding(verify(evidence), statuses)
