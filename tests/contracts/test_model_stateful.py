"""All contracts together against the plain model of them: any calls, by anybody, in any order (I1 to I6).

Each step does the same to both. Where the model refuses, the contract must, for the same reason; and after
every step all balances, channels, judgements, stakes and budgets must be equal.
"""

from __future__ import annotations

from itertools import product
from typing import Any

import brownie
from brownie import chain, project
from brownie.test import strategy
from hypothesis import HealthCheck
from model.campaigns import POOL, Campaign
from model.cases import COURT, Court
from model.ledger import Ledger
from model.refused import Refused
from model.stakes import Stakes
from scene import (
    ANSWER_WINDOW,
    CLAIM_WINDOW,
    COST,
    FINISH_WINDOW,
    GRACE,
    HOUR,
    NOTICE,
    PENALTY,
    STAKE,
    UNBONDING,
    WITHDRAWAL_NOTICE,
    deploy,
    now,
    person,
)

from mixpay import eip712
from mixpay.court import Evidence, Receipt
from mixpay.crypto import secp256k1
from mixpay.crypto.hashing import keccak256
from mixpay.merkle import SumTree
from mixpay.types import Amount, Value

PEOPLE = 3
RICH = 10**26
CAPS = 4 * 10**19, 3 * 10**19
UNIT = 10**18


def receipts(seed: int) -> tuple[list[Receipt], SumTree]:
    """One to five tickets, all opened."""
    made = []
    for place in range(1 + seed % 5):
        response = secp256k1.scalar_from(keccak256(seed.to_bytes(32, "big") + bytes([place])) + bytes(16))
        made.append(Receipt(secp256k1.base_address(response), Value(1 + place), response))
    return made, SumTree([(receipt.response or b"", receipt.value) for receipt in made])


def compact(signature: bytes) -> tuple[bytes, bytes]:
    """The form of EIP-2098: r, and v with s."""
    vs = int.from_bytes(signature[32:64], "big") | (signature[64] - 27) << 255
    return signature[:32], vs.to_bytes(32, "big")


class Machine:
    """Three people, each with a relay; the first owns them all and sponsors a campaign."""

    st_who = strategy("uint8", max_value=PEOPLE - 1)
    st_step = strategy("uint8", max_value=PEOPLE - 2)
    st_units = strategy("uint8", max_value=40)
    st_seed = strategy("uint256")
    st_hours = strategy("uint8", max_value=60)

    def __init__(cls, scene: Any, people: Any) -> None:  # brownie calls it on the class
        cls.scene, cls.people = scene, people

    def setup(self) -> None:
        self.ledger = Ledger(NOTICE)
        self.stakes = Stakes(STAKE, UNBONDING, PENALTY)
        self.court = Court(self.ledger, self.stakes, (ANSWER_WINDOW, FINISH_WINDOW, GRACE, COST))
        self.campaign = Campaign(self.ledger, CAPS, CLAIM_WINDOW, WITHDRAWAL_NOTICE)
        self.suits: dict[tuple[int, int], Any] = {}
        self.numbers: dict[tuple[int, int], int] = {}
        self.right: dict[tuple[int, int], int] = {}
        for who in range(PEOPLE):
            self.ledger.deposit(who, RICH)
            self.stakes.register(0, who)

    # ------------------------------------------------------------------ both at once

    def both(self, model: Any, contract: Any, by: int, *arguments: Any) -> Any:
        """Do it to the model and to the contract; the model may refuse."""
        try:
            model()
        except Refused as refused:
            with brownie.reverts(revert_pattern=f"{refused.name}: .*"):
                contract(*arguments, {"from": self.people[by].account})
            return None
        return contract(*arguments, {"from": self.people[by].account})

    def pair(self, who: int, step: int) -> tuple[int, int]:
        return who, (who + 1 + step) % PEOPLE

    def at(self, who: int) -> Any:
        return self.people[who].account

    @property
    def now(self) -> int:
        return now()

    # ------------------------------------------------------------------ ledger and channels

    def rule_money(self, who: int = "st_who", step: int = "st_step", units: int = "st_units") -> None:
        amount = units * UNIT
        other = self.pair(who, step)[1]
        channels = self.scene.channels
        self.both(lambda: self.ledger.move(who, other, amount), channels.move, who, self.at(other), amount)
        self.both(lambda: self.ledger.withdraw(other, amount), channels.withdraw, other, self.at(who), amount)
        self.both(lambda: self.ledger.deposit(who, amount), channels.deposit, who, amount)

    def rule_fund(self, who: int = "st_who", step: int = "st_step", units: int = "st_units") -> None:
        payer, payee = self.pair(who, step)
        parts = [(payee, units * UNIT), (self.pair(who, 1 - step)[1], UNIT)]
        names = [self.at(part[0]) for part in parts]
        amounts = [part[1] for part in parts]
        self.both(lambda: self.ledger.fund(payer, parts), self.scene.channels.fundMany, payer, names, amounts)

    def rule_claim(self, who: int = "st_who", step: int = "st_step", units: int = "st_units") -> None:
        payer, payee = self.pair(who, step)
        total = units * UNIT
        self.right[payer, payee] = max(total, self.right.get((payer, payee), 0))
        signed = self.scene.voucher(self.people[payer], self.people[payee], total, 1)
        self.both(
            lambda: self.ledger.claim(payer, payee, total),
            self.scene.channels.claim, who, self.at(payer), self.at(payee), total, 1, signed,
        )  # fmt: skip

    def rule_close(self, who: int = "st_who", step: int = "st_step", hours: int = "st_hours") -> None:
        payer, payee = self.pair(who, step)
        channels = self.scene.channels
        self.both(
            lambda: self.ledger.request_close(payer, payee, self.now),
            channels.requestClose, payer, self.at(payee),
        )  # fmt: skip
        self.follow_close(payer, payee)
        self.wait(hours)
        self.both(
            lambda: self.ledger.finish_close(payer, payee, self.now),
            channels.finishClose, payer, self.at(payee),
        )  # fmt: skip

    def rule_release(self, who: int = "st_who", step: int = "st_step") -> None:
        payer, payee = self.pair(who, step)
        self.both(
            lambda: self.ledger.release(payer, payee), self.scene.channels.release, payee, self.at(payer)
        )

    def rule_claim_judgement(self, who: int = "st_who", step: int = "st_step") -> None:
        payer, payee = self.pair(who, step)
        self.both(
            lambda: self.ledger.claim_judgement(payer, payee),
            self.scene.channels.claimJudgement, who, self.at(payer), self.at(payee),
        )  # fmt: skip

    # ------------------------------------------------------------------ court

    def rule_open(self, who: int = "st_who", step: int = "st_step", seed: int = "st_seed") -> None:
        pair = self.pair(who, step)
        last = self.numbers.get(pair, 0)
        self.sue(pair, max(1, last + (seed >> 128) % 3), seed)  # the same again, the next, or a later one

    def rule_answered(self, who: int = "st_who", step: int = "st_step", seed: int = "st_seed") -> None:
        """A case that its payee ends at once, by the payer's voucher, and another about the same batch."""
        pair = self.pair(who, step)
        number = self.numbers.get(pair, 0) + 1
        for _ in range(2):
            self.sue(pair, number, seed)
            case = self.court.cases.get(pair)
            if case is not None:
                self.answer(pair, pair[1], case.base + case.worth, number)

    def sue(self, pair: tuple[int, int], number: int, seed: int) -> None:
        payer, payee = pair
        made, tree = receipts(seed)
        evidence = Evidence(made, tree)
        base = self.right.get(pair, 0) if number > 1 else 0
        price = 1 + seed % (5 * UNIT)
        value = tree.total - 1 + (seed >> 64) % 8  # the payer signed for less than is claimed, or for as much
        batch = (number, len(made), Value(value), Amount(price), evidence.locks_root)
        upto = seed % number  # batches between that and the case's are not paid by it
        people = self.people[payer], self.people[payee]
        voucher = self.scene.voucher(*people, base, upto) if number > 1 else b""
        message = eip712.Batch(people[0].raw, people[1].raw, *batch)
        signed = eip712.sign(self.people[payer].key, message.digest(self.scene.channels_domain))
        opened = self.both(
            lambda: self.court.open(
                payer, payee, base, tree.total * price, number, self.now, value * price
            ),
            self.scene.court.open, payee, self.at(payer), (base, upto, voucher), batch, signed,
            tree.root, tree.total,
        )  # fmt: skip
        if opened is not None:
            self.numbers[pair] = number
            case = opened.events["CaseOpened"]["case_"]
            self.court.cases[pair].opened_at = opened.timestamp
            self.follow_close(payer, payee)
            self.suits[pair] = case, evidence

    def rule_record(self, seed: int = "st_seed") -> None:
        pair = self.some_suit(seed)
        if pair is not None:
            chain.mine(5)
            self.both(lambda: self.court.record(*pair), self.scene.court.record, 0, self.suits[pair][0])

    def rule_answer(self, seed: int = "st_seed", units: int = "st_units", who: int = "st_who") -> None:
        pair = self.some_suit(seed)
        if pair is None:
            return
        case = self.court.cases.get(pair)
        total = (case.base + case.worth if case else 0) + (units - 5) * UNIT
        if total < 0:
            return
        self.answer(pair, who, total, self.numbers[pair] + units % 2)

    def answer(self, pair: tuple[int, int], who: int, total: int, upto: int) -> None:
        self.right[pair] = max(total, self.right.get(pair, 0))
        voucher = self.scene.voucher(self.people[pair[0]], self.people[pair[1]], total, upto)
        self.judging(
            pair,
            lambda: self.court.answer(who, *pair, total, upto, self.now),
            self.scene.court.answer, who, self.suits[pair][0], total, upto, voucher,
        )  # fmt: skip

    def rule_finish(self, seed: int = "st_seed", hours: int = "st_hours", who: int = "st_who") -> None:
        pair = self.some_suit(seed)
        if pair is None:
            return
        self.wait(hours % 30)
        case, evidence = self.suits[pair]
        drawn = self.scene.court.openCase(self.at(pair[0]), self.at(pair[1]))[1]
        good = hours % 7 != 0
        samples = evidence.samples(bytes.fromhex(str(drawn)[2:]))
        samples = samples if good else samples[:-1] + bytes([samples[-1] ^ 1])
        model = self.court.cases.get(pair)
        total = model.base + model.worth + (0 if model.admitted else COST) if model else 0
        judged = self.judging(
            pair,
            lambda: self.court.finish(*pair, good, self.now),
            self.scene.court.finish, who, case, samples,
        )  # fmt: skip
        if judged:
            self.right[pair] = max(total, self.right.get(pair, 0))

    def rule_expire(self, seed: int = "st_seed", hours: int = "st_hours", who: int = "st_who") -> None:
        pair = self.some_suit(seed)
        if pair is not None:
            self.wait(hours)
            self.both(
                lambda: self.court.expire(*pair, self.now), self.scene.court.expire, who, self.suits[pair][0]
            )

    def rule_collect(self, who: int = "st_who", step: int = "st_step", hours: int = "st_hours") -> None:
        payer, payee = self.pair(who, step)
        self.wait(hours)
        collected = self.both(
            lambda: self.court.collect(payer, payee, self.now),
            self.scene.court.collectStake, who, self.at(payer), self.at(payee),
        )  # fmt: skip
        self.follow_stake(payer, collected)

    def judging(self, pair: tuple[int, int], model: Any, contract: Any, by: int, *arguments: Any) -> bool:
        before = self.court.judgements[pair]
        done = self.both(model, contract, by, *arguments)
        if self.court.judgements[pair] != before:
            total, number, _ = self.court.judgements[pair]
            self.court.judgements[pair] = total, number, done.timestamp
        return done is not None

    def some_suit(self, seed: int) -> tuple[int, int] | None:
        return sorted(self.suits)[seed % len(self.suits)] if self.suits else None

    # ------------------------------------------------------------------ stakes and campaign

    def rule_leave(self, who: int = "st_who", units: int = "st_units") -> None:
        by = units % 2  # the owner is the first
        left = self.both(lambda: self.stakes.leave(by, who, self.now), self.scene.registry.leave, by, who + 1)
        self.follow_stake(who, left)

    def rule_withdraw_stake(self, who: int = "st_who", hours: int = "st_hours") -> None:
        self.wait(10 * hours)
        self.both(
            lambda: self.stakes.withdraw(0, who, self.now),
            self.scene.registry.withdrawStake, 0, who + 1, self.at(0),
        )  # fmt: skip

    def rule_settle_penalty(self, who: int = "st_who", hours: int = "st_hours") -> None:
        self.wait(10 * hours)

        def settle() -> None:
            bounty = self.stakes.settle(who)
            self.ledger.deposit(self.stakes.relays[who].reporter, bounty)

        self.both(settle, self.scene.registry.settlePenalty, 0, who + 1)

    def rule_condemn(self, who: int = "st_who", step: int = "st_step", seed: int = "st_seed") -> None:
        reporter = self.pair(who, step)[1]
        keys = [keccak256(bytes([n]) + seed.to_bytes(32, "big")) for n in range(2)]
        domain, key = self.scene.registry_domain, self.people[who].key
        signed = [eip712.sign(key, eip712.Descriptor(who + 1, 1, k).digest(domain)) for k in keys]
        shown = self.both(
            lambda: self.stakes.condemn(who, reporter, self.now),
            self.scene.court.proveEquivocation, reporter, who + 1, 1, keys, *signed,
        )  # fmt: skip
        self.follow_stake(who, shown)

    def rule_campaign(self, who: int = "st_who", units: int = "st_units", hours: int = "st_hours") -> None:
        pool, amount = self.scene.pool, units * UNIT
        self.both(lambda: self.campaign.fund(amount), pool.fund, 0, 1, amount)
        self.wait(hours % 3)
        current = self.scene.network.currentEpoch()
        period = max(0, current - hours % 6 + 1)
        total = self.campaign.claimed[who][0] + amount // 2
        signed = self.scene.pool_voucher(self.people[1], 1, self.people[who], period, total)
        ends_at = self.scene.network.epochStart(period + 1)
        self.both(
            lambda: self.campaign.claim(who, period, total, ends_at, current, self.now),
            pool.claim, who, 1, period, total, *compact(signed),
        )  # fmt: skip

    def rule_budget_back(self, units: int = "st_units", hours: int = "st_hours") -> None:
        pool, amount = self.scene.pool, units * UNIT
        asked = self.both(
            lambda: self.campaign.request_withdrawal(amount, self.now), pool.requestWithdrawal, 0, 1, amount
        )
        if asked is not None and amount:
            self.campaign.withdrawable_at = asked.timestamp + WITHDRAWAL_NOTICE
        self.wait(hours % 12)
        self.both(lambda: self.campaign.finish_withdrawal(self.now), pool.finishWithdrawal, 0, 1, self.at(0))

    # ------------------------------------------------------------------ time

    def wait(self, hours: int) -> None:
        """Whole hours and half a minute: every limit is of whole hours, so no step falls upon an edge."""
        chain.sleep(hours * HOUR + 30)
        chain.mine()

    def follow_close(self, payer: int, payee: int) -> None:
        """The second in which a block was made is the chain's to say."""
        ours = self.ledger.channels[payer, payee]
        theirs = self.scene.channels.channel(self.at(payer), self.at(payee))[2]
        assert abs(ours.closes_at - theirs) < 30
        ours.closes_at = theirs

    def follow_stake(self, operator: int, done: Any) -> None:
        if done is not None:
            theirs = self.scene.registry.relay(operator + 1)[4]
            assert abs(self.stakes.relays[operator].withdrawable_at - theirs) < 30
            self.stakes.relays[operator].withdrawable_at = theirs

    # ------------------------------------------------------------------ what must hold

    def invariant_contracts_equal_model(self) -> None:
        scene = self.scene
        for who in range(PEOPLE):
            assert scene.channels.balanceOf(self.at(who)) == self.ledger.balance[who]
            assert scene.registry.stakeLeft(who + 1) == self.stakes.relays[who].left
            claimed = self.campaign.claimed[who]
            assert scene.pool.claimedBy(1, self.at(who))[:3] == claimed
        assert scene.channels.balanceOf(scene.court) == self.ledger.balance[COURT]
        assert scene.channels.balanceOf(scene.pool) == self.ledger.balance[POOL] == self.campaign.budget
        for pair in product(range(PEOPLE), repeat=2):
            accounts = [self.at(who) for who in pair]
            c = self.ledger.channels[pair]
            assert scene.channels.channel(*accounts) == (c.deposit, c.claimed, c.closes_at)
            assert scene.court.judgement(*accounts) == self.court.judgements[pair]

    def invariant_I1_books_equal_tokens(self) -> None:
        open_ = sum(c.deposit - c.claimed for c in self.ledger.channels.values())
        total = sum(self.ledger.balance.values()) + open_
        assert total == self.ledger.tokens == self.scene.token.balanceOf(self.scene.channels)
        stakes = sum(relay.left for relay in self.stakes.relays.values()) + self.stakes.burnt
        assert stakes == self.scene.token.balanceOf(self.scene.registry)

    def invariant_I2_I3_paid_within_deposit_and_right(self) -> None:
        for pair, c in self.ledger.channels.items():
            assert c.claimed <= c.deposit
            assert c.claimed <= self.right.get(pair, 0)


def test_contracts_followTheModel(state_machine: Any) -> None:
    scene = deploy(project.get_loaded_projects()[0])
    people = [person(f"somebody {number}") for number in range(PEOPLE)]
    for somebody in people:
        scene.give(somebody.account, scene.channels, 3 * RICH)
        scene.channels.deposit(RICH, {"from": somebody.account})
    for operator in people:
        scene.register(people[0], operator)
    scene.pool.createCampaign(people[1].account, *CAPS, {"from": people[0].account})
    scene.give(people[0].account, scene.pool, RICH)
    assert scene.registry.count() == PEOPLE
    settings = {
        "derandomize": True,  # the same runs everywhere
        "max_examples": 8,
        "database": None,
        "suppress_health_check": [HealthCheck.too_slow, HealthCheck.data_too_large],
    }
    state_machine(Machine, scene, people, settings=settings)
