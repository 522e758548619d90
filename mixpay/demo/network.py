"""The demo's network, from nothing to relays that serve, and from the end of a period to claimed money.

Epochs (an hour of chain time each, a term each) pass only when the demo moves the chain's clock, with no
packet in flight:

    epoch 0   deployment; the sponsor sets its keys ahead; relays register
    epoch 1   the relays registered are fixed for epoch 2, and the draw of epoch 2 with them
    epoch 2   the period in which users send: passes, packets, tickets
    epoch 3   what was carried in epoch 2 is redeemed and claimed
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar

from mixpay.chain.devchain import DevChain
from mixpay.demo.chain import DemoChain
from mixpay.demo.evidence import Carried, Counts, Evidence, Losses
from mixpay.demo.ports import free_ports
from mixpay.demo.processes import DemoFailed, Processes
from mixpay.demo.reader import read_chain
from mixpay.demo.relays import CAPITAL, DemoRelays
from mixpay.demo.sponsor import OPEN, WORK, DemoSponsor, Sponsor
from mixpay.demo.stage import Detail, Stage
from mixpay.demo.status import Status
from mixpay.demo.verifier import Verdict, verify
from mixpay.types import Account, Epoch, RelayId

RELAYS = 9
PERIOD = Epoch(2)
"""The epoch in which users send: the first whose relays can have registered in epoch 0."""

_CLAIM_ROUNDS = 4
"""A payer covers its vouchers in the round after they were signed, at the latest."""
_LIMIT = 60.0
_PATIENCE = 86_400.0
"""Seconds for somebody who opens a campaign by hand."""

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Finding:
    """What a look at the chain, the relays' vouchers and the users' counts shows."""

    verdict: Verdict
    statuses: list[Status]

    @property
    def is_final(self) -> bool:
        """Whether another round of claims would change nothing."""
        return not self.verdict.unclaimed and self.verdict.holds("I8")


@dataclass(frozen=True, slots=True)
class Usage:
    """What users did in the period, by their clients' counts; `users`: the accounts their keys would own."""

    counts: Mapping[RelayId, Counts]
    packets_delivered: int
    users: tuple[Account, ...]
    killed: frozenset[RelayId] = frozenset()
    paths: tuple[Carried, ...] = ()
    """Of all packets; needed where relays were killed."""

    def losses(self, statuses: Sequence[Status], operators: Mapping[RelayId, Account]) -> Losses | None:
        """What is known of lost packets, if there may be some."""
        if not self.killed:
            return None
        opened = {
            (payer, operators[status.id]): count
            for status in statuses
            for payer, count in status.opened().items()
        }
        return Losses(self.killed, self.paths, opened)


class Network:
    """Chain, sponsor and relays, in `folder`. Whoever makes one ends its processes.

    `capital`: tokens that each operator works with. `sponsor`: somebody else's, whose campaign is waited for;
    None: one of the network's own. `commons`: there is another campaign, for everybody who works for a pass;
    then the sponsor's is for those who are invited. `opened` is called when the contracts are there.
    """

    chain: DemoChain
    commons: DemoSponsor
    invitation: str
    """A code of the sponsor's, where there are commons."""

    def __init__(
        self,
        folder: Path,
        stage: Stage,
        processes: Processes,
        devchain: DevChain,
        relays: int = RELAYS,
        capital: str = CAPITAL,
        sponsor: Sponsor | None = None,
        commons: bool = False,
        opened: Callable[[], None] = lambda: None,
    ) -> None:
        self._folder, self._stage, self._devchain = folder, stage, devchain
        self.processes = processes
        first, second, *ports = free_ports(2 * relays + 2)
        self._count = relays
        self.relays = DemoRelays(relays, folder, ports, processes, capital)
        policy = "invitation" if commons else OPEN
        self.sponsor = sponsor or DemoSponsor(folder, first, processes, policy=policy)
        self._sponsors = [self.sponsor]
        if commons:
            self.commons = DemoSponsor(folder, second, processes, "commons", WORK)
            self._sponsors.append(self.commons)
        self._since, self._opened = 0, opened

    def wait(self, what: str, condition: Callable[[], T | None], limit: float = _LIMIT) -> T:
        """Wait until `condition` gives something. Raises what `Processes.wait_for` raises."""
        return self.processes.wait_for(what, condition, limit=limit)

    # ------------------------------------------------------------------ the beginning

    def begin(self) -> None:
        """From nothing to relays that serve in the period."""
        self._open()
        self._enlist()
        self._pass_epochs()

    def _open(self) -> None:
        with self._stage.step("start a local chain"):
            self._devchain.start()
        with self._stage.step("deploy the contracts") as detail:
            self.chain = DemoChain(self._devchain, self._folder, self._checked(detail))
        self._opened()
        if isinstance(self.sponsor, DemoSponsor):
            with self._stage.step("a sponsor opens and funds a campaign, and issues passes"):
                self.sponsor.open(self.chain)
                self.sponsor.serve()
            if len(self._sponsors) > 1:
                self._open_commons(self.sponsor)

    def _open_commons(self, giver: DemoSponsor) -> None:
        with self._stage.step("the commons: a campaign for everybody, to which the sponsor gives tokens"):
            self.commons.open(self.chain)
            giver.give(self.commons)
            self.commons.serve()
        self.invitation = giver.invitation

    def _checked(self, detail: Detail) -> Detail:
        """Shows a detail, and is a moment at which Ctrl-C counts."""

        def show(text: str) -> None:
            self.processes.check_interrupted()
            detail(text)

        return show

    def _enlist(self) -> None:
        with self._stage.step(f"{self._count} operators set up their relays"):
            self.relays.init(self.chain, {sponsor.campaign: sponsor.url for sponsor in self._sponsors})
        with self._stage.step(f"{self._count} relays stake and register themselves"):
            self.relays.register(self.chain)
            self._since = self.chain.head()
        with self._stage.step(f"{self._count} relay processes start"):
            self.relays.run()
            self.wait("the relays", self.relays.statuses)

    def _pass_epochs(self) -> None:
        if not isinstance(self.sponsor, DemoSponsor):
            with self._stage.step("your sponsor opens campaign 1 and registers its keys"):
                self._wait_for_keys(_PATIENCE)
        with self._stage.step("epoch 1: the relays of epoch 2 are fixed"):
            self._wait_for_keys(_LIMIT)
            self.chain.enter(Epoch(1))
            registry = self.chain.contracts.registry
            self.wait("the relays to fix epoch 2", lambda: registry.is_frozen(PERIOD) or None)
        with self._stage.step("epoch 2: relays exchange keys and connect"):
            self.chain.enter(PERIOD)
            self.wait("all relays to be ready", self.ready)
            self.wait("the sponsors to see epoch 2", lambda: self._see(PERIOD) or None)

    def _wait_for_keys(self, limit: float) -> None:
        # Of the epoch after it too: relays fix that as soon as the period begins, and then it is too late.
        epochs = PERIOD, Epoch(PERIOD + 1)
        self.wait("the sponsors' keys", lambda: all(map(self._have_keys, epochs)) or None, limit)

    def ready(self, epoch: Epoch = PERIOD) -> bool | None:
        """True when all relays are in this epoch, linked, and know all packet keys; else None."""
        return self.relays.ready(self.chain, epoch)

    def prepared(self, epoch: Epoch) -> bool:
        """Whether an epoch can begin: its relays are fixed, and the sponsor has keys for it."""
        fixed = self.chain.contracts.registry.is_frozen(epoch)
        return fixed and self._have_keys(epoch)

    def _have_keys(self, epoch: Epoch) -> bool:
        return all(sponsor.has_keys(self.chain, epoch) for sponsor in self._sponsors)

    # ------------------------------------------------------------------ the end

    def claim(self, usage: Usage) -> Finding:
        """End the period, have everything redeemed and claimed, and look at the money."""
        with self._stage.step("the period ends: receipts are redeemed, then vouchers on chain") as detail:
            self.chain.enter(Epoch(PERIOD + 1))
            self.wait("relays and sponsor to see the new epoch", self._period_over)
            for number in range(1, _CLAIM_ROUNDS + 1):
                detail(f"round {number}")
                self.relays.claim()
                if self._look(usage).is_final:
                    break
        with self._stage.step("a verifier recomputes the money from chain and users' counts"):
            return self._look(usage)

    def _period_over(self) -> bool | None:
        statuses = self.relays.statuses()
        if statuses is None or any(status.epoch <= PERIOD for status in statuses):
            return None
        return self._see(Epoch(PERIOD + 1)) or None

    def _see(self, epoch: Epoch) -> bool:
        return all((sponsor.epoch() or 0) >= epoch for sponsor in self._sponsors)

    def _look(self, usage: Usage) -> Finding:
        statuses = self.relays.statuses()
        if statuses is None:
            raise DemoFailed(f"a relay does not answer; the logs are in {self.processes.folder}")
        record = read_chain(self.chain.rpc, self.chain.deployment, usage.users)
        evidence = Evidence(
            deployment=self.chain.deployment,
            events=record.events,
            answers=record.answers,
            senders=record.senders,
            vouchers=tuple(voucher for status in statuses for voucher in status.vouchers()),
            pool_vouchers=tuple(voucher for status in statuses for voucher in status.pool_vouchers()),
            counts=usage.counts,
            packets_delivered=usage.packets_delivered,
            users=usage.users,
            losses=usage.losses(statuses, record.operators),
            since=self._since,
        )
        return Finding(verify(evidence), statuses)
