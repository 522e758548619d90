"""Books put back from an older copy: what goes wrong with a naive one, what a restored book does instead."""

from __future__ import annotations

import pytest

from book_helpers import DOMAIN, PAYEE, PAYER, PAYER_KEY, PRICE, Link, honest_voucher, one, only, secrets
from mixpay.book import Limits, PayeeBook, PayerBook, events, limits, rows
from mixpay.book.rows import LinkState


class Loss:
    """A link of which one side loses its disk, and gets an older copy of it."""

    def __init__(self, side: str) -> None:
        self.link = Link()
        self.side = side
        self._copy: dict[object, bytes] = {}

    def copy(self) -> None:
        self._copy = dict(self.link.disks[self.side].table)

    def put_back(self, **changes: int) -> None:
        """As `cp` does; `changes` of the link's state are tried with it."""
        link = self.link
        link.disks[self.side].table = dict(self._copy)
        if changes:
            state = one_row(link, self.side)
            link.disks[self.side].apply([events.Store(rows.LinkState(**{**as_dict(state), **changes}))])
        for wire in link.wires.values():
            wire.clear()
        link.crash(self.side)

    def restore(self) -> None:
        """As `mixpay-relay restore` does."""
        self.put_back()
        link, kept = self.link, self.link.disks[self.side].rows()
        kept = [row for row in kept if not isinstance(row, rows.IssuedTicket)]  # not in a backup
        common = {"rows": kept, "now": link.now, "restored": True}
        if self.side == "payer":
            link.payer = PayerBook(DOMAIN, PAYER_KEY, PAYEE, link.limits, link.dice.randbytes, **common)
        else:
            link.payee = PayeeBook(DOMAIN, PAYER, PAYEE, link.limits, **common)

    def connect(self) -> None:
        link = self.link
        link.turn("payer", link.payer.resend(link.now))
        link.turn("payee", link.payee.resend(link.now))
        link.flow()


def one_row(link: Link, side: str) -> LinkState:
    return (link.disks[side].of(LinkState) or [LinkState()])[0]


def as_dict(state: LinkState) -> dict[str, object]:
    return {name: getattr(state, name) for name in LinkState.__dataclass_fields__}


def settled_round(link: Link, count: int) -> None:
    link.carry(count)
    link.respond_all()
    link.settle()


# ---------------------------------------------------------------------- attacks: a naive copy, the payer's


def test_naivePayer_givesNumbersTwice_andAccusesAnHonestPayee() -> None:
    loss = Loss("payer")
    loss.link.carry(3)
    loss.copy()
    loss.link.carry(3)
    loss.put_back()
    loss.link.issue()
    loss.link.flow()
    assert loss.link.reasons("payer") == [limits.BAD_ACK]
    assert loss.link.payer.refused == limits.BAD_ACK


def test_naivePayer_withNumbersFarAhead_accusesAnHonestPayeeAllTheSame() -> None:
    """No jump of the numbers helps: places in the batch are the payee's to give, and it has given them."""
    loss = Loss("payer")
    loss.link.carry(3)
    loss.copy()
    loss.link.carry(3)
    loss.put_back(floor=10**6)
    loss.connect()
    assert set(loss.link.reasons("payer")) == {limits.UNKNOWN_TICKET}
    assert loss.link.payer.refused == limits.UNKNOWN_TICKET


def test_naivePayer_withNumbersFarAhead_neverPaysForALaterBatch() -> None:
    loss = Loss("payer")
    loss.copy()
    settled_round(loss.link, 3)
    loss.put_back(floor=10**6)
    loss.link.carry(3)
    loss.link.respond_all()
    loss.link.heal()
    assert loss.link.payer.totals(PRICE).cumulative == 0
    assert loss.link.payee.totals(PRICE).unsettled == 12
    assert loss.link.payee.totals(PRICE).opened == 12


# ---------------------------------------------------------------------- attacks: the payee's


def test_naivePayee_refusesTheVoucherThatItIsOwed() -> None:
    loss = Loss("payee")
    loss.copy()
    settled_round(loss.link, 3)
    loss.put_back()
    loss.connect()
    assert loss.link.reasons("payee") == [limits.WRONG_VOUCHER]
    assert loss.link.payee.totals(PRICE).cumulative == 0


def test_naivePayee_givesPlacesTwice_andIsAccused() -> None:
    loss = Loss("payee")
    loss.link.carry(3)
    loss.copy()
    loss.link.carry(3)
    loss.put_back()
    loss.link.issue()
    loss.link.flow()
    assert loss.link.reasons("payer") == [limits.CHANGED_ACK]


# ---------------------------------------------------------------------- the payer restored


@pytest.mark.parametrize("after", [0, 3, 300])
@pytest.mark.parametrize("settled", [False, True])
def test_restoredPayer_promisesNothing_andAccusesNobody(after: int, settled: bool) -> None:
    loss = Loss("payer")
    settled_round(loss.link, 3)
    loss.link.carry(3)
    loss.copy()
    loss.link.carry(after)
    if settled:
        loss.link.respond_all()
        loss.link.settle()
    loss.restore()
    before = loss.link.issued
    assert loss.link.issue() == events.Wait(limits.LINK_REFUSED)
    for _ in range(4):
        loss.connect()
        loss.link.respond_all()
        loss.link.settle()
        loss.link.tick(5.0)
    assert loss.link.reasons("payer") == loss.link.reasons("payee") == []
    assert loss.link.issued == before + 1
    # What it signs is at no time more than the payee's tickets (I11), nor less than what it had signed.
    most = 4 * PRICE * (6 + after)
    assert 12 * PRICE <= loss.link.payer.totals(PRICE).cumulative <= most
    assert loss.link.payee.totals(PRICE).cumulative >= (most if settled else 12 * PRICE)
    assert loss.link.payer.totals(PRICE).refused == limits.RESTORED


def test_restoredPayer_settlesWhatItKnows() -> None:
    loss = Loss("payer")
    loss.link.carry(5)
    loss.copy()
    loss.restore()
    loss.link.heal()
    assert loss.link.payer.totals(PRICE).cumulative == 20 * PRICE
    assert loss.link.payee.totals(PRICE).cumulative == 20 * PRICE
    assert loss.link.payee.totals(PRICE).unsettled == 0


def test_restoredPayer_admitsWhatItHasSignedAndForgotten() -> None:
    """A case bears our own signatures: a lost one costs more than what it claims."""
    loss = Loss("payer")
    settled_round(loss.link, 3)
    loss.copy()
    settled_round(loss.link, 5)
    owed = loss.link.payee.totals(PRICE).cumulative
    loss.put_back()
    assert not loss.link.payer.admits(3, owed + 4 * PRICE)
    loss.restore()
    assert loss.link.payer.admits(3, owed + 4 * PRICE)
    effects = loss.link.payer.admit(3, owed + 4 * PRICE, 4)
    voucher = one(effects, events.SendVoucher)
    assert (voucher.cumulative, voucher.upto_batch) == (owed + 4 * PRICE, 3)


# ---------------------------------------------------------------------- the payee restored


@pytest.mark.parametrize("rounds", [1, 2, 5])
@pytest.mark.parametrize("more", [0, 3])
def test_restoredPayee_takesTheNewerVoucher_butNoTickets(rounds: int, more: int) -> None:
    loss = Loss("payee")
    loss.link.carry(3)
    loss.copy()
    for _ in range(rounds):
        settled_round(loss.link, 3)
    loss.link.carry(more)
    owed = loss.link.payer.totals(PRICE).cumulative
    loss.restore()
    loss.connect()
    totals = loss.link.payee.totals(PRICE)
    assert (totals.cumulative, totals.upto_batch) == (owed, rounds)
    assert loss.link.payee.state.signature == loss.link.payer.state.signature
    assert loss.link.reasons("payer") == loss.link.reasons("payee") == []
    loss.link.issue()
    loss.link.flow()
    assert [e.reason for _, e in loss.link.events if isinstance(e, events.TicketLost)] == [
        limits.LINK_REFUSED
    ]
    loss.link.tick(6.0)
    loss.connect()
    assert loss.link.reasons("payer") == loss.link.reasons("payee") == []
    assert loss.link.payee.totals(PRICE).refused == limits.RESTORED


def test_restoredPayee_settlesWhatItKnows() -> None:
    loss = Loss("payee")
    loss.link.carry(5)
    loss.link.respond_all()
    loss.copy()
    loss.restore()
    loss.link.heal()
    assert loss.link.payee.totals(PRICE).cumulative == 20 * PRICE


def voucher_to(payee: PayeeBook, cumulative: int, upto: int, **options: bytes) -> tuple[events.Effect, ...]:
    sent = honest_voucher(cumulative, upto, **options)
    return payee.on_voucher(sent.cumulative, sent.upto_batch, sent.signature, 0.0)


def test_restoredPayee_takesNoVoucherBelowWhatItCanProve() -> None:
    loss = Loss("payee")
    loss.link.carry(5)
    loss.link.respond_all()
    loss.link.tick(2.0)
    loss.link.flow()  # signed
    loss.copy()
    loss.restore()
    payee = loss.link.payee
    assert payee.provable()[1] == 20 * PRICE
    assert voucher_to(payee, 20 * PRICE - 1, 1) == ()
    assert voucher_to(payee, 20 * PRICE - 1, 7) == ()
    assert payee.totals(PRICE).unsettled == 20
    assert only(voucher_to(payee, 20 * PRICE, 7), events.BatchSettled)
    assert payee.totals(PRICE).upto_batch == 7


def test_restoredPayee_takesNoForgedVoucher_norOneTooLarge() -> None:
    loss = Loss("payee")
    loss.copy()
    loss.restore()
    payee = loss.link.payee
    assert voucher_to(payee, 10, 3, key=bytes(31) + b"\1") == ()
    assert voucher_to(payee, 2**95, 3) == ()
    assert (payee.totals(PRICE).upto_batch, payee.refused) == (0, None)
    assert only(voucher_to(payee, 2**95 - 1, 3), events.BatchSettled)


def test_restoredPayee_takesVouchersForWhatIsSettledAsEver() -> None:
    loss = Loss("payee")
    settled_round(loss.link, 3)
    loss.copy()
    loss.restore()
    payee = loss.link.payee
    assert voucher_to(payee, 12 * PRICE, 1) == ()
    assert only(voucher_to(payee, 13 * PRICE, 1), events.Store)
    assert payee.totals(PRICE).cumulative == 13 * PRICE


def test_restoredPayee_claimsAtOnceWhenTheChannelCloses() -> None:
    loss = Loss("payee")
    loss.copy()
    loss.restore()
    payee = loss.link.payee
    payee.on_channel(rows.Channel(deposit=10**20, closes_at=7), 0.0)
    assert only(voucher_to(payee, 10, 3), events.ClaimDue)


def test_restoredBook_refusesTickets_thoughItsLimitsHaveRoom() -> None:
    payee = PayeeBook(DOMAIN, PAYER, PAYEE, Limits(), restored=True)
    _, lock, ack, _ = secrets(0)
    (refused,) = payee.accept(1, lock, ack, 4, price=PRICE, now=0.0)
    assert refused == events.SendRefuseTicket(1, limits.LINK_REFUSED)
