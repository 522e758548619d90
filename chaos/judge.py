"""What must hold when nothing is under way and all is settled. Pure: evidence in, a judgement out.

Let p be the hop price, and v the value of a ticket that pays a relay as mix: 5 less its layer; as mailbox 1.
What a link has settled, a number of receipts and their value, says how many were of which kind.

    lost     a mix must have been paid for each of its tickets whose packet the next relay acknowledged, and a
             mailbox for each packet that it took
    I7       both sides of a link have the same totals, and nothing is left open; the payers of a relay have
             acknowledged tickets for just the packets that it took
    I8       a relay's vouchers, those it got less those it gave, come to p times what it must have been paid,
             less what the next relays were; the pool owes an entry five hop prices for each tick
    I9       a relay has kept one replay tag for each packet that it took, all different; no message lies
             twice in a mailbox, and no packet that was sent again was acknowledged again
    users    what a client was told is not more than what relays have counted, and each packet that a mailbox
             has counted came out of it
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field

from chaos.promises import NOTHING
from chaos.stores import Books, Counts, LinkRows
from mixpay.passes import TICK_VALUE
from mixpay.types import HOPS, MIX_LAYERS, RelayId


@dataclass(frozen=True, slots=True)
class RelayFacts:
    """One relay when all is settled."""

    layer: int
    books: Books
    counts: Counts

    @property
    def value(self) -> int:
        """Of a ticket that pays it as mix, in hop prices."""
        return HOPS - self.layer


@dataclass(frozen=True, slots=True)
class TrafficFacts:
    """What users saw; packets by relay."""

    sent: int = 0
    accepted: Mapping[RelayId, int] = field(default_factory=dict)
    """Acknowledged, by first mix."""
    fetched: Mapping[RelayId, int] = field(default_factory=dict)
    """Messages taken out of mailboxes, by mailbox's relay."""
    repeated: int = 0
    """Of them, those that were there before under another number."""
    strange: int = 0
    """Of them, those that nobody here sent."""
    again: int = 0
    """Packets sent once more after they were acknowledged."""
    accepted_again: int = 0
    """Of them, those that were acknowledged once more."""
    by_pass: Mapping[bytes, int] = field(default_factory=dict)
    """Acknowledged, by the pass that paid: each took a tick."""

    @property
    def delivered(self) -> int:
        """Different packets that came out of mailboxes."""
        return sum(self.fetched.values()) - self.repeated - self.strange

    @property
    def not_delivered(self) -> int:
        """Accepted, and lost on their way: what a relay holds in memory dies with it."""
        return sum(self.accepted.values()) - self.delivered


@dataclass(slots=True)
class Judgement:
    """What was found; all numbers but `receipts` should be 0. `income_error` in token units."""

    receipts: int = 0
    lost: int = 0
    double_processed: int = 0
    book_mismatches: int = 0
    income_error: int = 0
    user_errors: int = 0
    notes: list[str] = field(default_factory=list)

    @property
    def holds(self) -> bool:
        """Whether nothing is wrong."""
        wrong = self.lost, self.double_processed, self.book_mismatches, self.income_error, self.user_errors
        return not any(wrong)

    def note(self, name: str, amount: int, text: str) -> None:
        """Count what is wrong; nothing if the amount is 0."""
        if amount:
            setattr(self, name, getattr(self, name) + abs(amount))
            self.notes.append(f"{name} {abs(amount)}: {text}")


Facts = Mapping[RelayId, RelayFacts]


def judge(relays: Facts, traffic: TrafficFacts, price: int) -> Judgement:
    """Look at everything that can be seen without the chain."""
    found = Judgement()
    found.receipts = sum(
        link.state.receipts for facts in relays.values() for link in facts.books.payers.values()
    )
    for payer, payee in _links(relays):
        _same(found, relays, payer, payee, price)
    for relay in relays:
        _taken(found, relays, relay, price)
        _paid(found, relays, relay, price)
        _income(found, relays, relay, price)
        _once(found, relay, relays[relay].counts)
    _users(found, relays, traffic)
    return found


@dataclass(frozen=True, slots=True)
class Paid:
    """What a verifier found on the chain about one relay, in token units, net of what it paid others."""

    relay: RelayId
    earned: int
    claimed: int
    gained: int


def judge_chain(relays: Facts, price: int, pool: Mapping[RelayId, int], results: Iterable[Paid]) -> Judgement:
    """What the chain has paid. `pool`: what campaigns signed to each relay, in token units."""
    found, shown = Judgement(), {paid.relay: paid for paid in results}
    for relay, facts in relays.items():
        owed = TICK_VALUE * price * sum(facts.counts.ticks.values())
        found.note(
            "income_error", pool.get(relay, 0) - owed, f"relay {relay}: the pool's vouchers, {owed} due"
        )
        given = sum(link.state.cumulative for link in facts.books.payees.values())
        due = sum(link.state.cumulative for link in facts.books.payers.values()) - given + owed
        paid = shown.get(relay, Paid(relay, 0, 0, 0))
        for name, amount in (("signed", paid.earned), ("claimed", paid.claimed), ("gained", paid.gained)):
            found.note("income_error", amount - due, f"relay {relay}: {amount} {name}, {due} due")
    return found


# ---------------------------------------------------------------------- links


def _links(relays: Facts) -> set[tuple[RelayId, RelayId]]:
    """Payer and payee of every link that one of them has a book of."""
    owed = {(payer, relay) for relay, facts in relays.items() for payer in facts.books.payers}
    return owed | {(relay, payee) for relay, facts in relays.items() for payee in facts.books.payees}


def _same(found: Judgement, relays: Facts, payer: RelayId, payee: RelayId, price: int) -> None:
    ours = relays[payer].books.payees.get(payee, NOTHING)
    theirs = relays[payee].books.payers.get(payer, NOTHING)
    link = f"link from relay {payer} to relay {payee}"
    for name in ("cumulative", "upto_batch", "settled", "refusal"):
        mine, its = getattr(ours.state, name), getattr(theirs.state, name)
        found.note(
            "book_mismatches", mine != its, f"{link}: {name} {mine} for the payer, {its} for the payee"
        )
    for side, book in (("payer", ours), ("payee", theirs)):
        left = len(book.placed) + len(book.cuts)
        found.note(
            "book_mismatches", left > 0, f"{link}: {len(book.placed)} tickets of the {side} not settled"
        )
        due = book.state.settled * price
        found.note(
            "income_error", book.state.cumulative - due, f"{link}: the {side}'s voucher, {due} settled"
        )


def _kinds(link: LinkRows, value: int) -> tuple[int, int]:
    """How many of a link's receipts were for mixing, `value` each, and how many for a mailbox, 1 each."""
    mixed = (link.state.settled - link.state.receipts) // (value - 1)
    return mixed, link.state.receipts - mixed


# ---------------------------------------------------------------------- relays


def _taken(found: Judgement, relays: Facts, relay: RelayId, price: int) -> None:
    """I7, over a relay's whole life: what its payers acknowledge is what it took."""
    counts, value = relays[relay].counts, relays[relay].value
    took = value * counts.mix + counts.mailbox
    acked = sum(facts.books.payees[relay].most for facts in relays.values() if relay in facts.books.payees)
    text = (
        f"relay {relay} took packets for {took} hop prices, its payers have {acked} token units acknowledged"
    )
    found.note("book_mismatches", acked != took * price, text)


def _paid(found: Judgement, relays: Facts, relay: RelayId, price: int) -> None:
    """Each packet that went on must have been paid for, and each that stayed."""
    facts = relays[relay]
    kinds = [_kinds(link, facts.value) for link in facts.books.payers.values()]
    mixed, kept = sum(kind[0] for kind in kinds), sum(kind[1] for kind in kinds)
    passed = _passed_on(relays, relay, price)
    text = f"relay {relay}: {passed} packets it mixed went on, it was paid for {mixed}"
    found.note("lost" if mixed < passed else "income_error", passed - mixed, text)
    text = f"relay {relay}: {facts.counts.mailbox} packets came to mailboxes, it was paid for {kept}"
    found.note("lost" if kept < facts.counts.mailbox else "income_error", facts.counts.mailbox - kept, text)


def _passed_on(relays: Facts, relay: RelayId, price: int) -> int:
    """Packets that a relay has mixed and the next relay acknowledged."""
    layer, total = relays[relay].layer, 0
    for payee, link in relays[relay].books.payees.items():
        facts = relays[payee]
        if layer == MIX_LAYERS:
            # As an entry it pays the same relays, more for each packet. A mailbox's receipts are complete.
            total += _kinds(facts.books.payers.get(relay, NOTHING), facts.value)[1]
        elif facts.layer == layer + 1:
            total += link.most // (facts.value * price)  # nothing but mixing is paid on this link
    return total


def _income(found: Judgement, relays: Facts, relay: RelayId, price: int) -> None:
    facts = relays[relay]
    got = sum(link.state.cumulative for link in facts.books.payers.values())
    gave = sum(link.state.cumulative for link in facts.books.payees.values())
    receipts = facts.value * _passed_on(relays, relay, price) + facts.counts.mailbox
    spent = sum(
        link.state.settled
        for other in relays.values()
        for payer, link in other.books.payers.items()
        if payer == relay
    )
    error = got - gave - price * (receipts - spent)
    found.note(
        "income_error", error, f"relay {relay}: {got} - {gave} signed, {receipts} - {spent} hop prices due"
    )


def _once(found: Judgement, relay: RelayId, counts: Counts) -> None:
    took = counts.mix + counts.mailbox
    text = f"relay {relay} took {took} packets and keeps {counts.tags} tags, {counts.distinct} different ones"
    found.note("double_processed", max(abs(took - counts.distinct), counts.tags - counts.distinct), text)


def _users(found: Judgement, relays: Facts, traffic: TrafficFacts) -> None:
    found.note("double_processed", traffic.repeated, "messages lie in a mailbox twice")
    found.note("double_processed", traffic.accepted_again, "packets that were sent again were taken again")
    for text, amount in _contradictions(relays, traffic):
        found.note("user_errors", amount, text)


def _contradictions(relays: Facts, traffic: TrafficFacts) -> Iterator[tuple[str, int]]:
    yield "messages that nobody sent", traffic.strange
    for relay, facts in relays.items():
        counts = facts.counts
        told = traffic.accepted.get(relay, 0)
        yield (
            f"relay {relay} acknowledged {told} packets, and has mixed {counts.mix}",
            max(0, told - counts.mix),
        )
        came = traffic.fetched.get(relay, 0)
        text = f"relay {relay} took {counts.mailbox} packets for mailboxes, {came} came out"
        yield text, counts.mailbox - came
    held = {key: tick for facts in relays.values() for key, tick in facts.counts.ticks.items()}
    for key, packets in traffic.by_pass.items():
        worth = held.get(key, 0)
        yield f"a pass is worth {worth} ticks and paid for {packets} packets", max(0, packets - worth)
