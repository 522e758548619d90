"""What a relay says about itself to its operator, made from its books and its money's last reports. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from prometheus_client import Counter

from mixpay.accounts import show_account
from mixpay.book import PayeeBook, PayerBook
from mixpay.passes import KIND_ENTRY, EntryPassBook
from mixpay.types import Account, Amount, RelayId
from relay.court import CourtReport
from relay.operator.agenda import Item
from relay.operator.answers import (
    ActionAnswer,
    AgendaAnswer,
    Balances,
    CampaignAnswer,
    CaseAnswer,
    DueAnswer,
    Income,
    PayeeAnswer,
    PayerAnswer,
    PoolVoucherAnswer,
    RedeemedAnswer,
    SettleAnswer,
    VoucherAnswer,
)
from relay.operator.dues import Due
from relay.operator.peer_notes import payee_notes, payer_notes, remedy
from relay.path.books import Side
from relay.redeem.redeemer import RedeemReport
from relay.store import StoredPoolVoucher
from relay.treasury import Holdings, Postponed, Subject, TreasuryReport


@dataclass(frozen=True, slots=True)
class Money:
    """The newest reports. `price` of a hop in token units."""

    price: Amount
    treasury: TreasuryReport
    redeemer: RedeemReport


def payer_answer(
    relay: RelayId,
    book: PayeeBook,
    money: Money,
    dues: Sequence[Due],
    *,
    linked: bool,
    since: int | None = None,
) -> PayerAnswer:
    """What one payer owes us, and why it is not paid yet (`dues`). `since`: when it was cut off, in chain
    time.
    """
    totals, channel, state = book.totals(money.price), book.channel, book.state
    notes = payer_notes(book, money.price, since)
    voucher = None
    if state.signature:
        voucher = VoucherAnswer(
            payer=show_account(book.payer),
            payee=show_account(book.payee),
            cumulative=str(state.cumulative),
            upto_batch=state.upto_batch,
            signature=_hex(state.signature),
        )
    return PayerAnswer(
        relay=relay,
        account=show_account(book.payer),
        linked=linked,
        unsettled_value=totals.unsettled,
        proven_value=totals.opened,
        receipts=totals.receipts,
        cumulative=str(totals.cumulative),
        claimed=str(totals.claimed),
        claimable=str(totals.claimable),
        deposit=str(totals.deposit),
        closes_at=channel.closes_at,
        voucher=voucher,
        refused=totals.refused,
        refused_since=since if totals.refused else None,
        remedy=remedy(Side.PAYER, totals.refused) if totals.refused else None,
        notes=notes,
        dues=due_answers(dues),
    )


def payee_answer(
    relay: RelayId,
    book: PayerBook,
    money: Money,
    dues: Sequence[Due],
    *,
    linked: bool,
    waiting: int,
    limit: str | None = None,
    now: float = 0.0,
    since: int | None = None,
) -> PayeeAnswer:
    """What we owe one payee, and why it is not paid yet (`dues`). `waiting`: packets that wait for it, for a
    `limit` if there is a link; `now`: of the books' clock; `since`: when it was cut off, in chain time.
    """
    totals, channel = book.totals(money.price), book.channel
    notes = _unsaid(money.treasury.why_postponed(Subject.PAYEE, relay), dues)
    if waiting:
        why = f"its limits ({limit or 'unknown'})" if linked else "its link"
        notes.append(f"{waiting} packets wait for {why}")
    notes += payee_notes(book, money.price, now, since)
    return PayeeAnswer(
        relay=relay,
        account=show_account(book.payee),
        linked=linked,
        waiting=waiting,
        unsettled_value=totals.unsettled,
        lost=totals.lost,
        cumulative=str(totals.cumulative),
        deposit=str(totals.deposit),
        claimed=str(totals.claimed),
        closes_at=channel.closes_at,
        refused=totals.refused,
        refused_since=since if totals.refused else None,
        remedy=remedy(Side.PAYEE, totals.refused) if totals.refused else None,
        notes=notes,
        dues=due_answers(dues),
    )


def due_answers(dues: Iterable[Due]) -> list[DueAnswer]:
    """Why something is not paid yet, for a program."""
    return [DueAnswer(amount=str(due.amount), why=due.why, follows=due.follows, at=due.at) for due in dues]


def agenda_answers(items: Iterable[Item]) -> list[AgendaAnswer]:
    """What the daemon does next, for a program."""
    return [AgendaAnswer(what=item.what, when=item.when, at=item.at) for item in items]


def _unsaid(notes: Iterable[str], dues: Sequence[Due]) -> list[str]:
    """What the reasons do not say already."""
    return [note for note in notes if not any(note in due.why for due in dues)]


def campaign_answers(
    operator: Account,
    issuers: Mapping[int, str],
    passes: EntryPassBook,
    vouchers: Mapping[int, StoredPoolVoucher],
    at_pool: Mapping[int, Amount],
    money: Money,
    dues: Mapping[int, Sequence[Due]],
) -> list[CampaignAnswer]:
    """Every campaign that is configured, or has given this relay passes, a voucher, or money for passes.

    `at_pool`: what the pool paid for passes; `dues`: why something is not paid yet, by campaign.
    """
    scopes = passes.scopes()
    # Without a voucher, all that the pool has paid was for passes.
    claimed = {**at_pool, **{facts.voucher.campaign: facts.claimed for facts in money.treasury.pool}}
    payable = {facts.voucher.campaign: facts.payable for facts in money.treasury.pool}
    answers = []
    for campaign in sorted({*issuers, *vouchers, *at_pool, *(scope.campaign for scope in scopes)}):
        said = dues.get(campaign, ())
        waiting = [
            f"period {w.period}: {w.why}"
            for w in money.redeemer.waiting
            if w.campaign == campaign and not any(w.why in due.why for due in said)
        ]
        voucher = vouchers.get(campaign)
        ticks = {
            f"{'epoch' if scope.kind == KIND_ENTRY else 'term'} {scope.period}": passes.ticks(scope)
            for scope in scopes
            if scope.campaign == campaign
        }
        answers.append(
            CampaignAnswer(
                campaign=campaign,
                issuer=issuers.get(campaign),
                ticks=ticks,
                claimed=str(claimed[campaign]) if campaign in claimed else None,
                paid_for_passes=str(at_pool.get(campaign, 0)),
                payable=str(payable.get(campaign, 0)),
                voucher=_pool_voucher(operator, voucher) if voucher is not None else None,
                notes=[*waiting, *_unsaid(money.treasury.why_postponed(Subject.CAMPAIGN, campaign), said)],
                dues=due_answers(said),
            )
        )
    return answers


def _pool_voucher(operator: Account, voucher: StoredPoolVoucher) -> PoolVoucherAnswer:
    return PoolVoucherAnswer(
        campaign=voucher.campaign,
        relay=show_account(operator),
        period=voucher.period,
        cumulative=str(voucher.cumulative),
        signature=_hex(voucher.signature),
    )


def income(
    payers: Iterable[PayerAnswer], payees: Iterable[PayeeAnswer], campaigns: Iterable[CampaignAnswer]
) -> Income:
    """Totals over all of them."""
    payers, campaigns = list(payers), list(campaigns)
    # What a voucher says beyond budget and caps is nothing: its issuer can sign any number.
    pool = sum(int(c.claimed or 0) + int(c.payable) for c in campaigns)
    received = sum(int(payer.cumulative) for payer in payers) + pool
    claimed = sum(int(p.claimed) for p in payers) + sum(int(c.claimed or 0) for c in campaigns)
    given = sum(int(payee.cumulative) for payee in payees)
    return Income(
        received=str(received),
        given=str(given),
        earned=str(received - given),
        claimed=str(claimed),
        unclaimed=str(received - claimed),
    )


def balances(holdings: Holdings | None) -> Balances | None:
    """The account as the treasury last saw it."""
    if holdings is None:
        return None
    return Balances(ledger=str(holdings.ledger), tokens=str(holdings.tokens), ether=str(holdings.ether))


def reasons(counter: Counter) -> dict[str, int]:
    """A counter's values by its label `reason`."""
    samples = (sample for metric in counter.collect() for sample in metric.samples)
    return {s.labels["reason"]: int(s.value) for s in samples if s.name.endswith("_total")}


def account_notes(money: Money, trouble: str | None, court: CourtReport) -> list[str]:
    """What the operator should know: trouble with the chain, what the account lacks, what failed."""
    notes = [f"chain: {trouble}"] if trouble else []
    notes += money.treasury.why_postponed(Subject.ACCOUNT, 0)
    for name, its in (("treasury", money.treasury.trouble), ("court", court.trouble)):
        if its and its != trouble:
            notes.append(f"{name}: {its}")
    tried = [(a.what, a.error) for a in actions(money.treasury)]
    tried += [(result.action.why, result.error) for result in court.results]
    return notes + [f"failed, will be tried again: {what}: {error}" for what, error in tried if error]


def case_answers(court: CourtReport) -> list[CaseAnswer]:
    """Everything that is in court, or on its way there."""
    return [
        CaseAnswer(
            relay=matter.relay,
            against_us=matter.against_us,
            batch=matter.batch,
            amount=str(matter.amount),
            state=matter.state,
            follows=matter.follows,
            at=matter.at,
        )
        for matter in court.matters
    ]


def actions(report: TreasuryReport) -> list[ActionAnswer]:
    """What the treasury tried."""
    return [ActionAnswer(what=result.action.why, error=result.error) for result in report.results]


def settle_answer(
    unsettled: Mapping[RelayId, int], redeemed: RedeemReport, treasury: TreasuryReport, seconds: float
) -> SettleAnswer:
    """What a settlement did, and what is left."""
    waiting = [f"relay {relay} has not settled {value} hop prices" for relay, value in unsettled.items()]
    waiting += [f"campaign {w.campaign}, period {w.period}: {w.why}" for w in redeemed.waiting]
    waiting += _waiting(treasury.postponed)
    if treasury.trouble:
        waiting.append(treasury.trouble)
    tried = actions(treasury)
    return SettleAnswer(
        complete=not waiting and not any(action.error for action in tried),
        seconds=round(seconds, 3),
        unsettled_value={str(relay): value for relay, value in unsettled.items()},
        redeemed=[
            RedeemedAnswer(
                campaign=r.campaign,
                period=r.period,
                passes=r.passes,
                amount=str(r.amount),
                at_pool=r.at_pool,
            )
            for r in redeemed.redeemed
        ],
        actions=tried,
        waiting=waiting,
    )


def joined(answers: Mapping[int, SettleAnswer]) -> SettleAnswer:
    """The settlements in several releases as one, told apart by the number of the release."""
    if len(answers) == 1:
        return next(iter(answers.values()))
    return SettleAnswer(
        complete=all(answer.complete for answer in answers.values()),
        seconds=max((answer.seconds for answer in answers.values()), default=0.0),
        unsettled_value={
            f"{relay} in release {number}": value
            for number, answer in answers.items()
            for relay, value in answer.unsettled_value.items()
        },
        redeemed=[redeemed for answer in answers.values() for redeemed in answer.redeemed],
        actions=[
            ActionAnswer(what=f"release {number}: {action.what}", error=action.error)
            for number, answer in answers.items()
            for action in answer.actions
        ],
        waiting=[f"release {number}: {why}" for number, answer in answers.items() for why in answer.waiting],
    )


def _waiting(postponed: Sequence[Postponed]) -> list[str]:
    names = {Subject.PAYER: "payer", Subject.PAYEE: "payee", Subject.CAMPAIGN: "campaign"}
    return [
        f"{names[item.subject]} {item.number}: {item.why}" if item.subject in names else item.why
        for item in postponed
    ]


def _hex(data: bytes) -> str:
    return f"0x{data.hex()}"
