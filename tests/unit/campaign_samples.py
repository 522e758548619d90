"""A campaign's facts for tests: in epoch 40 of four-epoch terms, with keys, payments and a database."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from mixpay.chain.views import Campaign
from mixpay.epochs import Schedule
from mixpay.parameters import DAY, TOKEN
from mixpay.passes import KIND_ENTRY, KIND_MAILBOX
from mixpay.sponsor.facts import Books, ChainFacts
from mixpay.sponsor.keys import Period
from mixpay.sponsor.movements import Movement, What
from mixpay.sponsor.tallies import Issued, Redeemed
from mixpay.types import Account, Amount, Epoch, RelayId

SCHEDULE = Schedule(0, DAY, 4)
EPOCH = Epoch(40)
PRICE = Amount(10**12)
ONE, TWO, THREE = (Account(bytes([number]) * 20) for number in (1, 2, 3))
SPONSOR, SIGNER = Account(b"\x0a" * 20), Account(b"\x0b" * 20)
TICK = 5 * PRICE


def movement(what: What, party: Account, amount: int, block: int = 1, **more: Any) -> Movement:
    return Movement(block, bytes([block]) * 32, what, party, Amount(amount), **more)


def terms(**changes: Any) -> Campaign:
    plain = Campaign(
        signer=SIGNER,
        budget=Amount(97 * TOKEN),
        relay_cap=Amount(5 * TOKEN),
        period_cap=Amount(10 * TOKEN),
        withdrawable_at=0,
        sponsor=SPONSOR,
        withdrawal=Amount(0),
    )
    return replace(plain, **changes)


def chain(**changes: Any) -> ChainFacts:
    keys = [Period(KIND_ENTRY, number) for number in range(30, 44)]
    keys += [Period(KIND_MAILBOX, number) for number in range(8, 13)]
    plain = ChainFacts(
        campaign=3,
        head=700,
        now=SCHEDULE.start(EPOCH) + 60,
        terms=terms(),
        relays=4,
        ids={ONE: RelayId(1), TWO: RelayId(2)},
        movements=(
            movement(What.FUNDED, SPONSOR, 100 * TOKEN),
            movement(What.CLAIMED, ONE, 2 * TOKEN, 2, epoch=Epoch(38)),
            movement(What.REDEEMED, TWO, TOKEN, 3, epoch=Epoch(39), kind=1, period=39, ticks=200_000),
        ),
        prices=dict.fromkeys(keys, PRICE),
        hop_price=PRICE,
        signer_wei=10**18,
        registration_wei=10**15,
    )
    return replace(plain, **changes)


def books(**changes: Any) -> Books:
    plain = Books(
        issued=(Issued(1, 38, 10, 20), Issued(1, 39, 10, 25), Issued(1, 40, 5, 5), Issued(2, 9, 3, 3)),
        credited=(
            Redeemed(ONE, 1, 38, 12, 100_000),
            Redeemed(TWO, 1, 39, 3, 200_000),
            Redeemed(ONE, 2, 9, 2, 40_000),
        ),
        owed={ONE: Amount(5 * TOKEN), TWO: Amount(TOKEN)},
    )
    return replace(plain, **changes)
