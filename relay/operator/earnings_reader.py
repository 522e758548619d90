"""Reads a relay's earnings from the chain: its events, their times, and the gas of its transactions. Blocks.

Nodes are asked for events that name the operator or its relay, not for the whole network's; and for each
epoch's freezing, which this operator may have paid for. What was read is compared with what the contracts
say now, so that a node that has lost old events is found out.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from itertools import groupby
from pathlib import Path

from mixpay import deployment as deployments
from mixpay.amounts import shown
from mixpay.chain import abi
from mixpay.chain.contracts import Contracts
from mixpay.chain.events import Decoder, Event
from mixpay.chain.history import Query, search
from mixpay.chain.rpc import Rpc, connect
from mixpay.deployment import Deployment
from mixpay.epochs import Schedule
from mixpay.errors import ChainUnavailable
from mixpay.types import Account, Epoch, RelayId
from relay import config as configs
from relay.home import CONFIG, operator_account
from relay.operator.earnings import MONEY, Booking, Us, bookings
from relay.operator.releases import OperatorReleases


@dataclass(frozen=True, slots=True)
class Entry:
    """A booking with its place in time. `gas`: wei of its transaction, with the first entry of that."""

    release: int
    epoch: Epoch
    time: int
    booking: Booking
    gas: int | None


@dataclass(frozen=True, slots=True)
class Earnings:
    """All entries up to block `head`. `transactions`: how many of the operator's there are, and are here."""

    operator: Account
    head: int
    entries: tuple[Entry, ...]
    transactions: tuple[int, int]


def read_earnings(folder: Path, release: int | None, say: Callable[[str], None]) -> Earnings:
    """Everything since the deployment, of all releases or of one.

    Raises UserError for a wrong configuration or chain, ChainError without a chain that knows all of it.
    """
    config = configs.load(folder / CONFIG)
    deployment = deployments.load(folder / config.deployment)
    operator = operator_account(folder)
    rpc = connect(config.rpc_url, deployment)
    reader = _Reader(rpc, operator, rpc.latest().number)
    entries: list[Entry] = []
    for number, known in OperatorReleases(rpc, deployment, operator).all(release):
        say(f"release {number}: reading blocks {known.block} to {reader.head}")
        entries += reader.read(number, known)
    return Earnings(operator, reader.head, tuple(entries), (reader.sent(), len(reader.paid)))


class _Reader:
    """One operator's events up to block `head`."""

    def __init__(self, rpc: Rpc, operator: Account, head: int) -> None:
        self._rpc, self._operator, self.head = rpc, operator, head
        self._times: dict[int, int] = {}
        self.paid: set[bytes] = set()
        """Transactions of the operator's whose gas is in an entry."""

    def sent(self) -> int:
        """Transactions that the operator has sent, of whatever kind."""
        return self._rpc.nonce(self._operator, hex(self.head))

    def read(self, number: int, deployment: Deployment) -> list[Entry]:
        """The entries of a release."""
        contracts = Contracts(self._rpc, deployment, self.head)
        relay = contracts.registry.relay_of(self._operator)
        stake = deployment.parameters.stake
        us = Us(self._operator, relay, stake, deployment.pool, deployment.court)
        booked = list(bookings(us, self._events(deployment, relay)))
        self._check(booked, contracts, relay)
        schedule = Schedule(deployment.genesis, deployment.epoch_length, deployment.term_length)
        entries = []
        for transaction, together in groupby(booked, key=lambda booking: booking.event.transaction):
            gas = self._gas(transaction)
            for booking in _told(list(together), gas is not None):
                time = self._time(booking.event.block)
                entries.append(Entry(number, schedule.epoch_at(time), time, booking, gas))
                gas = None
        return entries

    def _events(self, deployment: Deployment, relay: RelayId) -> Iterable[Event]:
        decoder = Decoder(deployment)
        logs = search(self._rpc, _queries(deployment, self._operator, relay), deployment.block, self.head)
        return [event for event in map(decoder.decode, logs) if event is not None]

    def _check(self, booked: Iterable[Booking], contracts: Contracts, relay: RelayId) -> None:
        """Raise ChainUnavailable if the events do not come to what the contracts say."""
        booked = list(booked)
        stake = contracts.registry.stake_left(relay) if relay else 0
        answers = {"ledger": contracts.channels.balance_of(self._operator), "stake": stake}
        for name, answer in answers.items():
            total = sum(getattr(booking, name) for booking in booked)
            if total != answer:
                raise ChainUnavailable(
                    f"the events that {self._rpc.shown} knows come to {shown(total)} tokens of {name}, but "
                    f"there are {shown(answer)}: it has not kept all of them; use an endpoint that has"
                )

    def _gas(self, transaction: bytes) -> int | None:
        """What a transaction cost us; None if somebody else paid for it, or another release has told it."""
        receipt = self._rpc.receipt(transaction)
        if receipt is None:
            raise ChainUnavailable(f"the chain at {self._rpc.shown} changed while it was read; try again")
        if receipt.sender != self._operator or transaction in self.paid:
            return None
        self.paid.add(transaction)
        return receipt.gas_used * receipt.gas_price

    def _time(self, number: int) -> int:
        if number not in self._times:
            block = self._rpc.block(number)
            if block is None:
                raise ChainUnavailable(f"{self._rpc.shown} has lost block {number}; use another endpoint")
            self._times[number] = block.timestamp
        return self._times[number]


def _told(together: Sequence[Booking], paid: bool) -> Sequence[Booking]:
    """Of a transaction's bookings those that move money; if none does, one for the gas that was paid."""
    moving = [booking for booking in together if any(getattr(booking, name) for name in MONEY)]
    return moving or together[: int(paid)]


def _queries(deployment: Deployment, operator: Account, relay: RelayId) -> list[Query]:
    """What names the operator, at whatever place, or its relay; and when epochs are frozen."""
    account = bytes(12) + operator
    everywhere = Decoder(deployment).addresses
    registry = (deployment.registry,)
    frozen = abi.artifact("RelayRegistry").events["Frozen"].topic
    queries = [Query(everywhere, (None,) * place + (account,)) for place in (1, 2, 3)]
    queries.append(Query(registry, (frozen,)))
    if relay:
        queries.append(Query(registry, (None, relay.to_bytes(32, "big"))))
    return queries
