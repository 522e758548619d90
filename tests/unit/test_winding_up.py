"""When a relay may end: not before everything that it owes and is owed is settled and paid."""

from __future__ import annotations

from dataclasses import replace

from mixpay.book.rows import Channel as ChannelRow
from mixpay.mailbox import Created, Mailboxes, mailbox_id_of
from mixpay.parameters import DEMO
from mixpay.types import Account, Amount, Epoch, RelayId
from relay.store import StoredPoolVoucher
from relay.treasury import Holdings, PoolFacts, Postponed, Subject, TreasuryReport
from relay.winding_up import left_to_do
from relay_parts import EPOCH, Node, Parts

NEXT = EPOCH + 1
QUIET = TreasuryReport(holdings=Holdings(Amount(0), Amount(0), 1), winding_up=True)
"""A treasury that has looked, and found nothing to do."""


async def last_hop(parts: Parts) -> tuple[Node, Node]:
    """The third mix and the mailbox's relay, between which a packet has gone."""
    _, *mixes, mailbox = parts.path()
    for payer, payee in zip(parts.path(), parts.path()[1:], strict=False):
        await parts.connect(payer, payee)
    entry = parts.nodes[parts.path()[0]]
    built = parts.packet()
    entry.router.submit(built.first_relay, EPOCH, built.lock, built.hint, built.packet)
    await parts.run(2)
    return parts.nodes[mixes[-1]], parts.nodes[mailbox]


def left(node: Node, treasury: TreasuryReport = QUIET, *vouchers: StoredPoolVoucher) -> list[str]:
    return left_to_do(node.state, node.books, node.passes, node.mailboxes, vouchers, treasury)


def move_on(parts: Parts) -> None:
    """The network works on other contracts from the next epoch on, and its grace is over."""
    parts.chain.publish(NEXT, registry=Account(bytes(20)))
    parts.chain.freeze(NEXT)
    parts.chain.at(NEXT, DEMO.key_grace)


async def test_relayThatServes_goesOn(parts: Parts) -> None:
    node = await parts.node(1)
    assert left(node) == ["it serves"]
    move_on(parts)
    assert left(node) == []
    assert left(node, TreasuryReport()) == ["vouchers and channels are being looked after"]


async def test_whatIsNotSettled_isWaitedFor_onBothSides(parts: Parts) -> None:
    payer, payee = await last_hop(parts)
    move_on(parts)
    assert left(payee) == [f"relay {payer.me} has not settled 1 hop prices"]
    assert f"1 hop prices are not settled with relay {payee.me}" in left(payer)
    for node in parts.nodes.values():
        node.desk.settle()
    await parts.run(parts.limits.response_timeout + 1)
    assert left(payee) == [f"the voucher of relay {payer.me} is not claimed in full"]
    assert f"our voucher to relay {payee.me} is not covered" in left(payer)

    total = payee.books.payees[payer.me].state.cumulative
    covered = ChannelRow(total, Amount(0), 0)
    payer.books.payers[payee.me].on_channel(covered)
    payee.books.payees[payer.me].on_channel(covered, parts.clock())
    assert left(payee) == [f"the voucher of relay {payer.me} is not claimed in full"]
    assert not any(f"relay {payee.me}" in why for why in left(payer))
    payee.books.payees[payer.me].on_channel(replace(covered, claimed=total), parts.clock())
    assert left(payee) == []


async def test_debtsOfOthers_countNoMore_onceTheirStakesAreGone(parts: Parts) -> None:
    _, payee = await last_hop(parts)
    move_on(parts)
    waiting = (
        Postponed(Subject.PAYER, 3, "its channel lacks tokens"),
        Postponed(Subject.PAYEE, 4, "it closes"),
    )
    report = replace(QUIET, postponed=waiting)
    assert len(left(payee, report)) == 3
    epochs = DEMO.unbonding // DEMO.epoch_length + 1
    parts.chain.at(NEXT + epochs, 1)
    assert left(payee, report) == ["it closes"], "our own channels are another matter"


async def test_debtToAPayeeThatIsGone_isWaitedFor_untilOurOwnStakeIsFree(parts: Parts) -> None:
    """The network goes on, only we have left."""
    payer, payee = await last_hop(parts)
    parts.chain.leave(payer.me, parts.view.schedule.start(Epoch(NEXT + 2)))
    for epoch in (NEXT, NEXT + 1):
        parts.chain.freeze(epoch)
        parts.chain.at(epoch, DEMO.key_grace)
    assert payer.state.is_over and not payer.state.is_overdue
    assert f"1 hop prices are not settled with relay {payee.me}" in left(payer)
    parts.chain.freeze(NEXT + 2)
    parts.chain.at(NEXT + 2, DEMO.key_grace)
    assert payer.state.is_overdue and not payer.state.stakes_are_gone
    assert left(payer) == [f"relay {parts.path()[2]} has not settled 2 hop prices"], "whose stake is there"


async def test_debtsOfOthers_countNoMore_onceOurOwnStakeIsFree_butCasesDo(parts: Parts) -> None:
    """A peer that never pays what is not worth a case must not keep a relay that has left for ever."""
    _, payee = await last_hop(parts)
    move_on(parts)
    now = payee.state.chain_time
    ours = (payee.state, payee.books, payee.passes, payee.mailboxes, ())
    assert left_to_do(*ours, QUIET, stake_back=now + 1) != []
    assert left_to_do(*ours, QUIET, stake_back=now) == []
    still = left_to_do(*ours, QUIET, cases=1, stake_back=now)
    assert "1 batches or judgements are a matter of the court" in still and len(still) == 2


async def test_poolVoucher_isPaidBefore(parts: Parts) -> None:
    node = await parts.node(1)
    move_on(parts)
    voucher = StoredPoolVoucher(1, EPOCH, Amount(500), bytes(65))
    facts = PoolFacts(voucher, Amount(400), EPOCH, Amount(0), 2**40, 7200)
    for report in (QUIET, replace(QUIET, pool=(facts,))):
        assert left(node, report, voucher) == ["the voucher of campaign 1 is not claimed in full"]
    assert left(node, replace(QUIET, pool=(replace(facts, claimed=Amount(500)),)), voucher) == []
    newer = replace(voucher, cumulative=Amount(600))
    assert left(node, replace(QUIET, pool=(replace(facts, claimed=Amount(500)),)), newer) != []


async def test_messagesInMailboxes_waitForTheirOwners(parts: Parts) -> None:
    node = await parts.node(1)
    move_on(parts)
    node.mailboxes = Mailboxes(RelayId(1))
    made = node.mailboxes.create(mailbox_id_of(b"\1" * 32), b"\1" * 32, 2**40, 0)
    assert isinstance(made, Created)
    assert left(node) == [], "an empty mailbox keeps nobody"
    node.mailboxes.deliver(mailbox_id_of(b"\1" * 32), bytes(2048), 0)
    assert left(node) == ["1 messages wait in mailboxes for their owners"]


async def test_troubleOfTheTreasury_isToldAndWaitedOut(parts: Parts) -> None:
    node = await parts.node(1)
    move_on(parts)
    assert left(node, replace(QUIET, trouble="no answer from the RPC endpoint")) == [
        "no answer from the RPC endpoint"
    ]
