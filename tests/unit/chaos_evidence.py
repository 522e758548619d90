"""A settled network for the judge's tests: six relays, two a layer, and packets of which some were lost."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from itertools import product
from typing import Any

from chaos.judge import Facts, Paid, RelayFacts, TrafficFacts
from chaos.stores import Books, Counts, LinkRows
from mixpay.book.rows import LinkState
from mixpay.passes import TICK_VALUE
from mixpay.types import Amount, RelayId, Value

PRICE = 1_000
LAYERS = {RelayId(n): (n + 1) // 2 for n in range(1, 7)}
MAILBOX_HOP = 4


@dataclass
class _Link:
    acked: int = 0
    receipts: int = 0
    settled: int = 0


@dataclass
class Scene:
    """What was carried; hop 1 to 3 are mixes, hop 4 is the mailbox."""

    links: dict[tuple[RelayId, RelayId], _Link] = field(default_factory=lambda: defaultdict(_Link))
    roles: Counter[tuple[str, RelayId]] = field(default_factory=Counter)

    def carry(self, path: tuple[RelayId, ...], reached: int = MAILBOX_HOP) -> None:
        """A packet from an entry through three mixes to a mailbox, lost behind the hop that it reached."""
        self.roles["entry", path[0]] += 1
        for hop in range(1, reached + 1):
            payer, payee, value = path[hop - 1], path[hop], 5 - hop
            self.roles["mailbox" if hop == MAILBOX_HOP else "mix", payee] += 1
            link = self.links[payer, payee]
            link.acked += value
            if hop in (MAILBOX_HOP, *range(1, reached)):
                link.receipts += 1
                link.settled += value

    def facts(self) -> dict[RelayId, RelayFacts]:
        """Of all relays."""
        return {
            relay: RelayFacts(layer, self._books(relay), self._counts(relay))
            for relay, layer in LAYERS.items()
        }

    def _books(self, relay: RelayId) -> Books:
        owed = {payer: rows(link, payee=True) for (payer, to), link in self.links.items() if to == relay}
        owing = {to: rows(link, payee=False) for (payer, to), link in self.links.items() if payer == relay}
        return Books(owed, owing)

    def _counts(self, relay: RelayId) -> Counts:
        entry, mix, mailbox = (self.roles[role, relay] for role in ("entry", "mix", "mailbox"))
        return Counts(entry, mix, mailbox, mix + mailbox, mix + mailbox, {bytes([relay]): entry})


def rows(link: _Link, *, payee: bool) -> LinkRows:
    """One side of a link on which one batch was settled."""
    receipts = link.receipts if payee else 0
    state = LinkState(Amount(link.settled * PRICE), 1, b"v", Value(link.settled), receipts)
    return LinkRows(state, 0 if payee else link.acked * PRICE)


def paths() -> list[tuple[RelayId, ...]]:
    """Every one there is."""
    layers = [[relay for relay, layer in LAYERS.items() if layer == n] for n in (1, 2, 3)]
    return [
        (entry, *mixes, mailbox)
        for entry, mailbox in product(LAYERS, LAYERS)
        for mixes in product(*layers)
        if entry != mixes[0] and mailbox != mixes[-1]
    ]


def scene() -> Scene:
    """Every path once, and packets lost behind every hop."""
    made = Scene()
    for number, path in enumerate(paths()):
        made.carry(path, MAILBOX_HOP if number % 3 else 1 + number // 3 % 4)
    return made


def traffic(made: Scene) -> TrafficFacts:
    """What users saw of it."""
    firsts = {relay: made.roles["mix", relay] for relay, layer in LAYERS.items() if layer == 1}
    return TrafficFacts(
        sent=sum(made.roles["entry", relay] for relay in LAYERS),
        accepted=firsts,
        fetched={relay: made.roles["mailbox", relay] for relay in LAYERS},
        again=9,
        by_pass={bytes([relay]): made.roles["entry", relay] for relay in LAYERS},
    )


def pool(facts: Facts) -> dict[RelayId, int]:
    """What campaigns signed to each relay."""
    return {relay: TICK_VALUE * PRICE * its.counts.entry for relay, its in facts.items()}


def paid(facts: Facts) -> tuple[Paid, ...]:
    """What the chain shows."""
    result = []
    for relay, its in facts.items():
        got = sum(link.state.cumulative for link in its.books.payers.values()) + pool(facts)[relay]
        net = got - sum(link.state.cumulative for link in its.books.payees.values())
        result.append(Paid(relay, net, net, net))
    return tuple(result)


# ---------------------------------------------------------------------- doctoring

Changed = dict[RelayId, RelayFacts]


def with_link(facts: Facts, payer: int, payee: int, side: str, **changes: Any) -> Changed:
    """One side (`payer` or `payee`) of a link changed: `most`, `placed`, or fields of its state."""
    relay, other = (payer, payee) if side == "payer" else (payee, payer)
    its = facts[RelayId(relay)]
    name = "payees" if side == "payer" else "payers"
    links: Mapping[RelayId, LinkRows] = getattr(its.books, name)
    link = links[RelayId(other)]
    outer = {key: value for key, value in changes.items() if key in ("most", "placed", "cuts")}
    inner = {key: value for key, value in changes.items() if key not in outer}
    changed = replace(link, state=replace(link.state, **inner), **outer)
    books = replace(its.books, **{name: {**links, RelayId(other): changed}})
    return {**facts, RelayId(relay): replace(its, books=books)}


def with_counts(facts: Facts, relay: int, **changes: Any) -> Changed:
    """A relay's counts changed."""
    its = facts[RelayId(relay)]
    return {**facts, RelayId(relay): replace(its, counts=replace(its.counts, **changes))}


def link_state(facts: Facts, payer: int, payee: int, side: str) -> LinkState:
    """The state of one side of a link."""
    books = facts[RelayId(payer if side == "payer" else payee)].books
    return (books.payees[RelayId(payee)] if side == "payer" else books.payers[RelayId(payer)]).state
