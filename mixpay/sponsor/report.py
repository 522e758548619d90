"""A campaign in figures, for its sponsor: from what chain, database and service say. Pure.

Rules
  * All amounts are integers of the token's smallest unit; what is divided is rounded down.
  * What a period has cost is known when it is over: entries redeem then, and not before, so that the issuer
    does not learn when a pass was in use. So a period that runs has passes issued, and none redeemed.
  * The rate is what was redeemed for the last seven epochs that are over, or for as many as there are; of
    mailbox passes, whose period is a term, the last term's per epoch. "Left" is the budget less a withdrawal
    under notice, for which no relay can rely on, less what vouchers promise that nobody has claimed yet.
  * Passes draw entries evenly. So a relay's share of the money is near 1/relays; one that has many times as
    much, from more than a few passes, has users of its own: somebody farms the campaign there.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping

from mixpay.epochs import Schedule
from mixpay.parameters import DAY
from mixpay.passes import KIND_ENTRY, KIND_MAILBOX, TICK_VALUE, TICKS
from mixpay.sponsor.facts import Books, ChainFacts, PolicyRule
from mixpay.sponsor.keys import Period
from mixpay.sponsor.movements import PAYMENTS, What, total
from mixpay.sponsor.report_records import CampaignReport, Keys, Money, Pace, PeriodFigures, RelayFigures
from mixpay.sponsor.tallies import Redeemed
from mixpay.types import Account, Amount, Epoch, RelayId, Term

RATE_EPOCHS = 7
"""Epochs whose cost says what the next ones will cost."""
SHOWN_PERIODS = 8
"""Periods of a kind that are told one by one: the present one, the next, and some before."""
TOP_RELAYS = 10


def report(
    schedule: Schedule,
    chain: ChainFacts,
    books: Books,
    policies: Iterable[PolicyRule] = (),
    refusals: Mapping[str, int] | None = None,
    release: int | None = None,
) -> CampaignReport:
    """The campaign's figures. `refusals`: since the start of the service that was asked; None: none was."""
    epoch = schedule.epoch_at(chain.now)
    money = _money(chain, books)
    periods = _periods(schedule, epoch, chain, books)
    return CampaignReport(
        campaign=chain.campaign,
        release=release,
        head=chain.head,
        time=chain.now,
        epoch=epoch,
        term=schedule.term_of(epoch),
        epoch_length=schedule.epoch_length,
        relays=chain.relays,
        paused=books.paused,
        serving=refusals is not None,
        money=money,
        pace=_pace(schedule, epoch, chain, money, periods),
        keys=_keys(schedule, epoch, chain),
        periods=_newest(periods),
        top=_top(chain, books),
        policies=tuple(policies),
        refusals=refusals,
    )


def cover_cost(interval_ms: int, hop_price: Amount, passes: int = 1) -> Amount:
    """What a user costs a day who sends a packet every `interval_ms`, real or cover: 86,400 s of packets, a
    tick each, 5 hop prices a tick; at most the ticks of so many passes. In token units.
    """
    ticks = min(DAY * 1_000 // interval_ms, passes * TICKS)
    return Amount(ticks * TICK_VALUE * hop_price)


# ---------------------------------------------------------------------- parts


def _money(chain: ChainFacts, books: Books) -> Money:
    terms, paid = chain.terms, _paid(chain)
    guaranteed = max(0, terms.budget - terms.withdrawal)
    owed = sum(max(0, cumulative - paid[account]) for account, cumulative in books.owed.items())
    share = min(terms.relay_cap, min(terms.period_cap, guaranteed) // max(1, chain.relays))
    return Money(
        budget=terms.budget,
        funded=total(chain.movements, What.FUNDED),
        paid=total(chain.movements, *PAYMENTS),
        withdrawn=total(chain.movements, What.WITHDRAWN),
        withdrawal=terms.withdrawal,
        withdrawable_at=terms.withdrawable_at,
        guaranteed=Amount(guaranteed),
        share=Amount(share),
        owed=Amount(owed),
        left=Amount(max(0, guaranteed - owed)),
        period_cap=terms.period_cap,
        relay_cap=terms.relay_cap,
    )


def _paid(chain: ChainFacts) -> defaultdict[Account, int]:
    paid: defaultdict[Account, int] = defaultdict(int)
    for movement in chain.movements:
        if movement.what in PAYMENTS:
            paid[movement.party] += movement.amount
    return paid


def _value(chain: ChainFacts, redeemed: Redeemed) -> int:
    price = chain.prices.get(Period(redeemed.kind, redeemed.period), chain.hop_price)
    return redeemed.ticks * TICK_VALUE * price


def _periods(
    schedule: Schedule, epoch: Epoch, chain: ChainFacts, books: Books
) -> dict[Period, PeriodFigures]:
    issued = {Period(one.kind, one.period): one for one in books.issued}
    back: defaultdict[Period, list[Redeemed]] = defaultdict(list)
    for one in books.credited:
        back[Period(one.kind, one.period)].append(one)
    found = {}
    for period in sorted({*issued, *back}):
        out, came = issued.get(period), back[period]
        found[period] = PeriodFigures(
            kind=period.kind,
            period=period.number,
            identities=out.identities if out else 0,
            issued=out.passes if out else 0,
            redeemed=sum(one.passes for one in came),
            ticks=sum(one.ticks for one in came),
            value=Amount(sum(_value(chain, one) for one in came)),
            over=period.last_epoch(schedule) < epoch,
        )
    return found


def _newest(periods: Mapping[Period, PeriodFigures]) -> tuple[PeriodFigures, ...]:
    newest = []
    for kind in (KIND_ENTRY, KIND_MAILBOX):
        newest += [figures for period, figures in periods.items() if period.kind == kind][-SHOWN_PERIODS:]
    return tuple(newest)


def _pace(
    schedule: Schedule,
    epoch: Epoch,
    chain: ChainFacts,
    money: Money,
    periods: Mapping[Period, PeriodFigures],
) -> Pace:
    began = min((period.number for period in chain.prices if period.kind == KIND_ENTRY), default=epoch)
    epochs = max(0, min(RATE_EPOCHS, epoch - began))
    window = range(epoch - epochs, epoch)
    entry = [periods[period] for number in window if (period := Period(KIND_ENTRY, number)) in periods]
    mailbox = periods.get(Period(KIND_MAILBOX, schedule.term_of(epoch) - 1))
    spent: int = sum(figures.value for figures in entry)
    if mailbox is not None:
        spent += mailbox.value * epochs // schedule.term_length
    # Without its database an issuer knows what was paid, at least.
    paid = (m.amount for m in chain.movements if m.what in PAYMENTS and m.epoch in window)
    spent = max(spent, sum(paid))
    users = sum(figures.identities for figures in entry)
    passes, ticks = sum(f.redeemed for f in entry), sum(f.ticks for f in entry)
    cap = money.period_cap
    return Pace(
        epochs=epochs,
        spent=Amount(spent),
        seconds_left=money.left * epochs * schedule.epoch_length // spent if spent else None,
        worst_epochs_left=money.left // cap if cap else None,
        user_epoch=Amount(spent // users) if users and spent else None,
        pass_ticks=ticks // passes if passes else None,
        most=Amount(TICKS * TICK_VALUE * chain.hop_price),
    )


def _keys(schedule: Schedule, epoch: Epoch, chain: ChainFacts) -> Keys:
    def until(kind: int, present: int) -> int | None:
        last = present
        while Period(kind, last + 1) in chain.prices:
            last += 1
        return None if last == present else last

    epochs, terms = until(KIND_ENTRY, epoch), until(KIND_MAILBOX, schedule.term_of(epoch))
    cost = chain.registration_wei
    return Keys(
        until_epoch=None if epochs is None else Epoch(epochs),
        until_term=None if terms is None else Term(terms),
        signer_wei=chain.signer_wei,
        registrations=chain.signer_wei // cost if cost else None,
    )


def _top(chain: ChainFacts, books: Books) -> tuple[RelayFigures, ...]:
    paid = _paid(chain)
    passes, ticks, value = (defaultdict[Account, int](int) for _ in range(3))
    for one in books.credited:
        passes[one.relay] += one.passes
        ticks[one.relay] += one.ticks
        value[one.relay] += _value(chain, one)
    # A voucher's total includes what no database remembers.
    worth = {account: max(value[account], paid[account]) for account in {*value, *paid}}
    whole = sum(worth.values())
    order = sorted(worth, key=lambda account: (-worth[account], account))[:TOP_RELAYS]
    return tuple(
        RelayFigures(
            relay=chain.ids.get(account, RelayId(0)),
            account=account,
            passes=passes[account],
            ticks=ticks[account],
            value=Amount(worth[account]),
            paid=Amount(paid[account]),
            share=worth[account] * 1_000 // whole if whole else 0,
            times=worth[account] * chain.relays * 10 // whole if whole else 0,
        )
        for account in order
    )
