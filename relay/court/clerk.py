"""Sends what the court's plan asks for, and waits until it is mined. Blocks; raises ChainError, NoEther."""

from __future__ import annotations

from mixpay.book import PayeeBook
from mixpay.chain.contracts import Contracts
from mixpay.chain.sender import Sender
from mixpay.chain.views import CaseBatch
from mixpay.types import Amount
from relay.court.actions import Answer, Collect, Expire, Finish, Open, Record


class Clerk:
    """One operator's transactions in court."""

    def __init__(self, contracts: Contracts, sender: Sender) -> None:
        self._contracts = contracts
        self._sender = sender

    def open(self, action: Open, book: PayeeBook) -> None:
        """Bring what the book demands to court; nothing if it was settled a moment ago."""
        demand, state, price = book.demand, book.state, book.case_price
        if demand is None or demand.number != action.number or state.upto_batch >= action.number:
            return
        if action.deposit:
            self._deposit(Amount(action.deposit))
        batch = CaseBatch(demand.number, demand.count, demand.value, price, demand.locks_root)
        claim = batch, demand.signature, demand.root, demand.total
        base = state.cumulative, state.upto_batch, state.signature
        if state.is_judged:  # the newest judgement may be one of an earlier batch than the book's newest
            judged = self._contracts.court.judgement(book.payer, self._sender.account)
            base = judged.total, judged.number, b""
        self._sender.send(self._contracts.court.open(book.payer, base, *claim))

    def _deposit(self, amount: Amount) -> None:
        token, channels = self._contracts.token, self._contracts.channels
        if token.allowance(self._sender.account, channels.address) < amount:
            self._sender.send(token.approve(channels.address, amount))
        self._sender.send(channels.deposit(amount))

    def finish(self, action: Finish, book: PayeeBook) -> None:
        """Prove a case by the book's receipts; nothing if it was settled a moment ago."""
        evidence = book.evidence()
        if evidence is not None:
            samples = evidence.samples(action.seed)
            self._sender.send(self._contracts.court.finish(action.case, samples))

    def simple(self, action: Record | Answer | Expire | Collect) -> None:
        """What needs no book."""
        court = self._contracts.court
        match action:
            case Record():
                call = court.record(action.case)
            case Answer():
                voucher = action.voucher
                total = voucher.cumulative, voucher.upto_batch, voucher.signature
                call = court.answer(action.case, *total)
            case Expire():
                call = court.expire(action.case)
            case Collect():
                call = court.collect_stake(action.payer, self._sender.account)
        self._sender.send(call)
