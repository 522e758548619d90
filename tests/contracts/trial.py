"""Cases before the court, with the library that daemons prove them with."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

from brownie import chain
from scene import ANSWER_WINDOW, HOP_PRICE, Person, Scene, wait

from mixpay import eip712
from mixpay.court import Evidence, Receipt
from mixpay.crypto import secp256k1
from mixpay.crypto.hashing import keccak256
from mixpay.merkle import NO_RESPONSE, SumTree
from mixpay.types import Amount, Value

NOTHING = (0, 0, b"")
"""The base of a first case."""


def tickets(count: int, unopened: Iterable[int] = ()) -> list[Receipt]:
    """So many tickets of values 1 to 4; of those at `unopened` the response never came."""
    missing = set(unopened)
    made = []
    for place in range(count):
        response = secp256k1.scalar_from(keccak256(place.to_bytes(4, "big")) + bytes(16))
        lock = secp256k1.base_address(response)
        made.append(Receipt(lock, Value(1 + place % 4), None if place in missing else response))
    return made


@dataclass(slots=True)
class Trial:
    """What the payee of a batch has in hand, and its case once it is open."""

    scene: Scene
    payer: Person
    payee: Person
    receipts: list[Receipt]
    number: int = 1
    price: int = HOP_PRICE
    case: Any = None

    @property
    def tree(self) -> SumTree:
        """The receipts' tree: what has no response counts nothing."""
        return SumTree([(r.response, r.value) if r.response else (NO_RESPONSE, 0) for r in self.receipts])

    @property
    def evidence(self) -> Evidence:
        """Both trees."""
        return Evidence(self.receipts, self.tree)

    @property
    def amount(self) -> int:
        """In hop prices."""
        return self.tree.total

    @property
    def worth(self) -> int:
        """In the token's smallest unit."""
        return self.amount * self.price

    @property
    def bond(self) -> int:
        """Half of the worth."""
        return (self.worth + 1) // 2

    @property
    def value(self) -> int:
        """Of all tickets, in hop prices."""
        return sum(receipt.value for receipt in self.receipts)

    @property
    def batch(self) -> tuple[int, int, Value, Amount, bytes]:
        """As the contract takes it."""
        named = self.number, len(self.receipts), Value(self.value), Amount(self.price)
        return *named, self.evidence.locks_root

    def signed(self, by: Person | None = None, payee: Person | None = None) -> bytes:
        """The payer's signature over the batch."""
        signer = by or self.payer
        message = eip712.Batch(self.payer.raw, (payee or self.payee).raw, *self.batch)
        return eip712.sign(signer.key, message.digest(self.scene.channels_domain))

    def base(self, total: int, upto: int | None = None) -> tuple[int, int, bytes]:
        """The payer's voucher for all batches before, or up to an earlier one."""
        upto = self.number - 1 if upto is None else upto
        return total, upto, self.scene.voucher(self.payer, self.payee, total, upto)

    def open(self, base: tuple[int, int, bytes] = NOTHING, **changes: Any) -> Any:
        """Open the case, or one that differs in what `changes` names; returns the transaction."""
        words = {
            "payer": self.payer.account,
            "base": base,
            "batch": self.batch,
            "signature": self.signed(),
            "root": self.tree.root,
            "amount": self.amount,
        } | changes
        opened = self.scene.court.open(*words.values(), {"from": self.payee.account})
        self.case = opened.events["CaseOpened"]["case_"]
        return opened

    def draw(self) -> bytes:
        """Mine on and record the seed."""
        chain.mine(4)
        recorded = self.scene.court.record(self.case, {"from": self.payee.account})
        return bytes(recorded.events["SeedDrawn"]["seed"])

    def finish(self, samples: bytes, by: Person | None = None) -> Any:
        """Show samples; returns the transaction."""
        return self.scene.court.finish(self.case, samples, {"from": (by or self.payee).account})

    def try_finish(self, samples: bytes) -> None:
        """Show samples without a transaction: brownie takes seconds to trace one that fails on the walk."""
        self.scene.court.finish.call(self.case, samples, {"from": self.payee.account})

    def answer(self, total: int, upto: int, by: Person | None = None) -> Any:
        """Show a voucher that the payer signs for it; returns the transaction."""
        signature = self.scene.voucher(self.payer, self.payee, total, upto)
        return self.scene.court.answer(
            self.case, total, upto, signature, {"from": (by or self.payer).account}
        )

    def win(self, base: tuple[int, int, bytes] = NOTHING) -> Any:
        """All the way to a judgement; returns the last transaction."""
        self.scene.credit(self.payee.account, self.bond)
        self.open(base)
        seed = self.draw()
        wait(ANSWER_WINDOW)
        return self.finish(self.evidence.samples(seed))


def judge(scene: Scene, payer: Person, payee: Person, total: int) -> Any:
    """A judgement of any total at once, admitted by the payer's own voucher; returns the last transaction.
    The first is of batch 1, the next of 2."""
    number = judgement(scene, payer, payee)[1] + 1
    trial = Trial(scene, payer, payee, tickets(1), number, price=1)
    scene.credit(payee.account, 1)
    trial.open(trial.base(total - 1))
    return trial.answer(total, number)


def judgement(scene: Scene, payer: Person, payee: Person) -> tuple[int, int, int]:
    """Total, batch number, time."""
    return tuple(scene.court.judgement(payer.account, payee.account))


def changed(data: bytes, place: int, flip: int = 1) -> bytes:
    """The same bytes but for one."""
    copy = bytearray(data)
    copy[place] ^= flip
    return bytes(copy)
