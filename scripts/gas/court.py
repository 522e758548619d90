"""What a case before the court costs."""

from __future__ import annotations

import os
from statistics import median_low
from typing import Any

from mixpay import eip712
from mixpay.chain import abi
from mixpay.court import Evidence, Receipt
from mixpay.crypto import secp256k1
from mixpay.merkle import SumTree
from mixpay.types import Amount, Value
from scripts.gas.channels import voucher
from scripts.gas.stage import TOKEN, Person, Stage

TICKETS = 65_536
SEEDS = 9
"""How often a case is proven: chance says how many paths the points of a seed share."""

Figures = dict[str, int]


class Suit:
    """A batch of receipts, all opened, and the case about it."""

    def __init__(self, stage: Stage, count: int, payer: Person, payee: Person) -> None:
        self.stage, self.payer, self.payee = stage, payer, payee
        receipts = [_receipt(place) for place in range(count)]
        self.tree = SumTree([(receipt.response or b"", receipt.value) for receipt in receipts])
        self.evidence = Evidence(receipts, self.tree)
        self.count = count
        self.base = TOKEN // 7
        self.case: Any = None

    def open(self) -> int:
        """The payee opens the case, upon a voucher."""
        stage, price = self.stage, self.stage.deployment.parameters.hop_price
        root = self.evidence.locks_root
        batch = (2, self.count, Value(self.tree.total), Amount(price), root)
        message = eip712.Batch(self.payer.account, self.payee.account, *batch)
        gas = stage.do(
            self.payee, "ReceiptCourt", "open", self.payer.account,
            (self.base, 1, voucher(stage, self.payer, self.payee, self.base, 1)), batch,
            eip712.sign(self.payer.key, message.digest(stage.domain)), self.tree.root, self.tree.total,
        )  # fmt: skip
        opened = abi.artifact("ReceiptCourt").events["CaseOpened"]
        log = next(log for log in stage.logs if log.topics[0] == opened.topic)
        (self.case,) = abi.decode(opened.inputs[2:], log.data)
        return gas

    def prove(self) -> Figures:
        """Record and finish, with several seeds, each on the same state: the costs in the middle."""
        rpc, costs = self.stage.chain.rpc, list[tuple[int, int]]()
        for wait in range(1, SEEDS + 1):
            before = rpc.request("evm_snapshot")
            self.stage.chain.advance_time(wait)  # makes other blocks, and so another seed
            costs.append((self.record(), self.finish()))
            if wait < SEEDS:
                rpc.request("evm_revert", before)
        records, finishes = zip(*costs, strict=True)
        return {"court_record": median_low(records), "court_finish": median_low(finishes)}

    def record(self) -> int:
        """Somebody records the seed."""
        self.stage.chain.mine(5)
        return self.stage.do(self.payee, "ReceiptCourt", "record", self.case)

    def finish(self) -> int:
        """The payee shows its samples, once the payer has had its time."""
        stage = self.stage
        _, seed = stage.read("ReceiptCourt", "openCase", self.payer.account, self.payee.account)
        stage.chain.advance_time(stage.deployment.parameters.answer_window)
        return stage.do(self.payee, "ReceiptCourt", "finish", self.case, self.evidence.samples(seed))


def _receipt(place: int) -> Receipt:
    response = secp256k1.scalar_from(os.urandom(48))
    lock = secp256k1.base_address(response)
    return Receipt(lock, Value(1 + place % 4), response)


def measure(stage: Stage) -> Figures:
    """Every figure of ReceiptCourt."""
    payer, payee = stage.rich(), stage.rich()
    stage.do(payer, "Channels", "fund", payee.account, 10 * TOKEN)
    _leave_bonds(stage)
    suit = Suit(stage, TICKETS, payer, payee)
    figures = {"court_open": suit.open(), **suit.prove()}
    figures["claim_judgement"] = stage.do(payee, "Channels", "claimJudgement", payer.account, payee.account)
    small = Suit(stage, 1_000, payer, stage.rich())
    small.open()
    total = small.base + small.tree.total * stage.deployment.parameters.hop_price
    signed = voucher(stage, payer, small.payee, total, 2)
    figures["court_answer"] = stage.do(payer, "ReceiptCourt", "answer", small.case, total, 2, signed)
    return figures


def _leave_bonds(stage: Stage) -> None:
    """A case that stays open, so that the court's balance is not zero."""
    Suit(stage, 2, stage.rich(), stage.rich()).open()
