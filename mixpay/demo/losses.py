"""I8 where packets were lost: what is signed on each link is the sum of the values of its opened tickets.
Pure.

The value of a ticket follows from its place on the path: 5 hop prices for the entry's tick, then 4, 3, 2, and
1 for the mailbox. Of each link the clients know how many packets they gave it in which place, and how many of
them surely arrived; its payee says how many tickets it was paid for, and its payer has signed their value.
All three must fit: so many tickets, of these values, as many as surely arrived at least, and as were given at
most. A ticket into a killed relay may be lost even of a packet that arrived: the answer may have died with
it. What the pool signed is 5 hop prices for each packet given to the entry, and for each tick that the owner
of a mailbox paid; and every packet that the receivers found was the mailbox's last ticket: no packet may be
paid for that is not one of these.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from itertools import pairwise

from mixpay.accounts import show_account as shown
from mixpay.demo.evidence import Losses
from mixpay.demo.money import Objection
from mixpay.passes import TICK_VALUE
from mixpay.types import HOPS, Account, Amount, RelayId

_Pair = tuple[Account, Account]
_NOBODY = Account(b"")
_LAST = 1
"""Value of the mailbox's ticket."""


@dataclass(frozen=True, slots=True)
class Signed:
    """What payers and campaigns have signed, in token units; `operators`: the relays' accounts."""

    price: Amount
    operators: Mapping[RelayId, Account]
    links: Mapping[tuple[Account, Account], int]
    pool: Mapping[tuple[int, Account], int]


@dataclass(frozen=True, slots=True)
class Given:
    """Tickets of one value on one link: `least` of them must be opened, at most `most` can be."""

    value: int
    least: int
    most: int


def i8_with_losses(
    losses: Losses, signed: Signed, delivered: int, tolls: Mapping[RelayId, int]
) -> Iterator[Objection]:
    """What does not fit. `delivered`: packets that the receivers took out of their mailboxes; `tolls`: ticks
    that they paid for these.
    """
    given, last = _given(losses, signed.operators), 0
    for pair in {*signed.links, *losses.opened, *given}:
        tickets, units = losses.opened.get(pair, 0), signed.links.get(pair, 0)
        opened = split(given.get(pair, ()), tickets, units, signed.price)
        if opened is None:
            link = f"link {shown(pair[0])} to {shown(pair[1])}"
            yield Objection("I8", f"{link}: {units} is signed for {tickets} tickets, which were not given so")
        else:
            last += opened.get(_LAST, 0)
    if last != delivered:
        yield Objection("I8", f"mailboxes were paid for {last} packets, but {delivered} were found in them")
    yield from _pool(losses, signed, tolls)


def split(given: tuple[Given, ...], tickets: int, units: int, price: int) -> dict[int, int] | None:
    """How many tickets of each value make so many tickets of so many units in all; None if nothing does.

    There is one answer at most: a link has two values at most.
    """
    if not given:
        return {} if (tickets, units) == (0, 0) else None
    first, rest = given[0], given[1:]
    for count in range(first.least, min(first.most, tickets) + 1):
        found = split(rest, tickets - count, units - count * first.value * price, price)
        if found is not None:
            return {first.value: count, **found}
    return None


def _given(losses: Losses, operators: Mapping[RelayId, Account]) -> Mapping[_Pair, tuple[Given, ...]]:
    most: Counter[tuple[RelayId, RelayId, int]] = Counter()
    least: Counter[tuple[RelayId, RelayId, int]] = Counter()
    for path in losses.paths:
        for place, (payer, payee) in enumerate(pairwise(path.relays), 1):
            most[payer, payee, HOPS - place] += path.packets
            least[payer, payee, HOPS - place] += 0 if payee in losses.killed else path.arrived
    found: dict[_Pair, tuple[Given, ...]] = {}
    for (payer, payee, value), count in most.items():
        pair = operators.get(payer, _NOBODY), operators.get(payee, _NOBODY)
        found[pair] = (*found.get(pair, ()), Given(value, least[payer, payee, value], count))
    return found


def _pool(losses: Losses, signed: Signed, tolls: Mapping[RelayId, int]) -> Iterator[Objection]:
    ticks: Counter[RelayId] = Counter(tolls)
    for path in losses.paths:
        ticks[path.relays[0]] += path.packets
    for relay, account in signed.operators.items():
        paid = sum(amount for (_, payee), amount in signed.pool.items() if payee == account)
        if paid != signed.price * TICK_VALUE * ticks[relay]:
            yield Objection("I8", f"relay {relay} was signed {paid} for {ticks[relay]} ticks")
