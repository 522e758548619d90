"""A network in which something is settled at any moment, and what is done to it."""

from __future__ import annotations

import signal
import time
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

from chaos.judge import Paid, RelayFacts
from chaos.stores import Books, read_books, read_counts
from mixpay.chain.devchain import DevChain
from mixpay.demo.chain import DemoChain
from mixpay.demo.evidence import Evidence
from mixpay.demo.network import PERIOD, Network
from mixpay.demo.ports import free_ports
from mixpay.demo.processes import DemoFailed, Processes
from mixpay.demo.reader import read_chain
from mixpay.demo.relays import DemoRelays, Place, roles
from mixpay.demo.stage import Stage
from mixpay.demo.status import NoStatus, Status, read_status
from mixpay.demo.users import User
from mixpay.demo.verifier import Verdict, verify
from mixpay.network import NetworkView
from mixpay.types import Epoch, RelayId
from relay.home import database_name
from relay.operator.answers import SettleAnswer
from relay.operator.api_client import ApiClient

RELAYS = 6
"""Two a layer: with one of them down there is another."""
CAPITAL = "0.9"
"""Tokens: an entry pays for all its packets before the pool pays it, when the epoch is over."""
SETTINGS = {
    # Batches are so small, and settlements so frequent, that there is always one open somewhere.
    "settlement.tickets": "40",
    "settlement.period": "3.0",
    "limits.sign_after": "0.5",
    # The same for vouchers: a claim whenever it is worth a transaction of this chain's.
    "treasury.claim_at": "4_000",
    "treasury.fund": "10_000",
}
_SETTLE_SECONDS = 120.0
"""More than a settlement takes, which a relay ends by itself."""
_BACK_SECONDS = 120.0
_REST_SECONDS = 3.0
_ROUNDS = 6
_CHECKED = ("I1", "I2", "I3", "I5", "users")
"""What the demo's verifier judges here; it knows I8 only where no packet is lost."""


class _Relays(DemoRelays):
    """Relays with other settings."""

    def init_arguments(self, place: Place, chain: DemoChain, issuers: Mapping[int, str]) -> list[str]:
        changed = [part for name, value in SETTINGS.items() for part in ("--set", f"{name}={value}")]
        return [*super().init_arguments(place, chain, issuers), *changed]


class World(Network):
    """A network in `folder` that can be hurt, and looked into."""

    def __init__(self, folder: Path, stage: Stage, processes: Processes, devchain: DevChain) -> None:
        super().__init__(folder, stage, processes, devchain, RELAYS, CAPITAL)
        self.relays = _Relays(RELAYS, folder, free_ports(2 * RELAYS), processes, CAPITAL)
        self.folder = folder
        self.places: dict[RelayId, Place] = {}
        self.layers: dict[RelayId, int] = {}

    def begin(self) -> None:
        """From nothing to relays that serve in the period."""
        super().begin()
        statuses = self.relays.statuses()
        if statuses is None:
            raise DemoFailed("a relay does not answer")
        view = NetworkView(self.chain.rpc, self.chain.deployment)
        view.refresh()
        layers = view.layers(PERIOD)
        self.places = {status.id: place for status, place in zip(statuses, self.relays.places, strict=True)}
        self.layers = {relay: layers.layer(relay) for relay in self.places}

    def user(self, name: str) -> User:
        """Somebody with settings, and nothing else."""
        user = User(name, self.folder, self.processes)
        user.init(self.chain.url, self.chain.deployment_file, self.sponsor.url)
        return user

    @property
    def price(self) -> int:
        """Of a hop."""
        return self.chain.deployment.parameters.hop_price

    def check_time(self) -> None:
        """Raise DemoFailed if the epoch, with which replay tags and passes end, is over already."""
        if self.chain.epoch() != PERIOD:
            raise DemoFailed("the epoch ended before the campaign: ask for fewer kills on this machine")

    # ------------------------------------------------------------------ killing

    def kill(self, relay: RelayId) -> None:
        """SIGKILL, and the process is gone."""
        self.processes.end(self.places[relay].name, signal.SIGKILL)

    def start(self, relay: RelayId) -> None:
        """Start a relay again, as its operator would."""
        place = self.places[relay]
        self.processes.start(place.name, place.command("run"))

    def serves(self, relay: RelayId) -> bool:
        """Whether a relay is back: it answers, is in the epoch, and has links again."""
        try:
            status = read_status(self.places[relay].home)
        except NoStatus:
            return False
        return status.epoch == PERIOD and bool(status.links_out)

    # ------------------------------------------------------------------ looking

    def database(self, relay: RelayId) -> Path:
        """What a relay has on its disk."""
        return self.places[relay].home / database_name(0)

    def books(self, relay: RelayId) -> Books:
        """A relay's books on its disk."""
        return read_books(self.database(relay))

    def facts(self) -> dict[RelayId, RelayFacts]:
        """Of all relays, for the judge."""
        return {
            relay: RelayFacts(self.layers[relay], self.books(relay), read_counts(self.database(relay)))
            for relay in self.places
        }

    # ------------------------------------------------------------------ settling

    def settle(self) -> None:
        """Have all relays settle with each other until nothing is left open, or that leads nowhere.

        Nobody sends meanwhile. Raises DemoFailed.
        """
        self.wait("all relays to be back", self.ready, _BACK_SECONDS)
        self._rest()
        for _ in range(_ROUNDS):
            self._settle_once()
            if not any(_is_open(self.books(relay)) for relay in self.places):
                break

    def _rest(self) -> None:
        """Wait until no packet is on its way any more: far longer than one is held."""
        seen: tuple[int, ...] = ()
        since = time.monotonic()

        def rests() -> bool | None:
            nonlocal seen, since
            statuses = self.relays.statuses()
            if statuses is None:
                return None
            now = tuple(roles(statuses).values())
            if now != seen or any(status.waiting for status in statuses):
                seen, since = now, time.monotonic()
            return time.monotonic() - since >= _REST_SECONDS or None

        self.wait("the last packets", rests, _BACK_SECONDS)

    def _settle_once(self) -> list[SettleAnswer]:
        def one(place: Place) -> SettleAnswer:
            return ApiClient(place.home).settle(_SETTLE_SECONDS)

        with ThreadPoolExecutor(RELAYS) as pool:
            return list(pool.map(one, self.places.values()))

    # ------------------------------------------------------------------ the end

    def finish(self) -> Claimed:
        """End the period, have everything redeemed and claimed, and look at the money."""
        self.chain.enter(Epoch(PERIOD + 1))
        self.wait("relays and sponsor to see the new epoch", self._period_over)
        for _ in range(_ROUNDS):
            self._settle_once()
            found = self._claimed()
            if not found.unclaimed:
                break
        return found

    def _claimed(self) -> Claimed:
        statuses = self.relays.statuses()
        if statuses is None:
            raise DemoFailed(f"a relay does not answer; the logs are in {self.processes.folder}")
        record = read_chain(self.chain.rpc, self.chain.deployment, ())
        verdict = verify(
            Evidence(
                deployment=self.chain.deployment,
                events=record.events,
                answers=record.answers,
                senders=record.senders,
                vouchers=tuple(voucher for status in statuses for voucher in status.vouchers()),
                pool_vouchers=tuple(voucher for status in statuses for voucher in status.pool_vouchers()),
                counts={},
                packets_delivered=0,
                users=(),
                losses=None,
                since=self._since,
            )
        )
        return claimed(verdict, statuses)


@dataclass(frozen=True, slots=True)
class Claimed:
    """What chain and signed vouchers show in the end. `pool`: vouchers of campaigns, token units by relay."""

    paid: tuple[Paid, ...]
    pool: Mapping[RelayId, int]
    unclaimed: int
    objections: tuple[str, ...]


def claimed(verdict: Verdict, statuses: list[Status]) -> Claimed:
    """The part of a verdict that holds whatever is lost on its way."""
    pool = {status.id: sum(v.message.cumulative for v in status.pool_vouchers()) for status in statuses}
    paid = tuple(Paid(r.id, r.earned, r.claimed, r.gained) for r in verdict.relays)
    found = tuple(f"{o.invariant}: {o.text}" for o in verdict.objections if o.invariant in _CHECKED)
    return Claimed(paid, pool, verdict.unclaimed, found)


def _is_open(books: Books) -> bool:
    return any(link.placed or link.cuts for link in (*books.payers.values(), *books.payees.values()))
