"""Channels against a plain model: any calls, by anybody, in any order (I1, I2, I3)."""

from __future__ import annotations

from itertools import product

from brownie import chain, project
from brownie.test import strategy
from hypothesis import HealthCheck
from scene import NOTICE, deploy, person, reverts

PEOPLE = 3
RICH = 10**24
START = 1000  # in each balance and each channel, so that most steps have something to move


class Machine:
    """Three people pay each other and sign what they like; beside them the interface's rules, in Python."""

    st_who = strategy("uint8", max_value=PEOPLE - 1)
    st_other = strategy("uint8", max_value=PEOPLE - 1)
    st_by = strategy("uint8", max_value=PEOPLE - 1)
    st_amount = strategy("uint96", max_value=1000)
    st_cumulative = strategy("uint96", max_value=3000)
    st_wait = strategy("uint40", max_value=NOTICE)
    st_index = strategy("uint256")

    def __init__(cls, scene, people):  # brownie calls it on the class
        cls.scene = scene
        cls.people = people

    def setup(self):
        self.balance = [START] * PEOPLE
        self.deposit = dict.fromkeys(product(range(PEOPLE), repeat=2), START)
        self.claimed = {}
        self.closes_at = {}
        self.received = {}
        self.highest = {}
        self.vouchers = []

    def call(self, method, who, *args):
        return method(*args, {"from": self.people[who].account})

    def address(self, who):
        return self.people[who].account

    def rule_deposit(self, who="st_who", amount="st_amount"):
        self.call(self.scene.channels.deposit, who, amount)
        self.balance[who] += amount

    def rule_fund(self, who="st_who", other="st_other", amount="st_amount"):
        if amount > self.balance[who]:
            with reverts("InsufficientBalance", self.balance[who], amount):
                self.call(self.scene.channels.fund, who, self.address(other), amount)
            return
        self.call(self.scene.channels.fund, who, self.address(other), amount)
        self.balance[who] -= amount
        self.deposit[who, other] += amount
        self.closes_at.pop((who, other), None)

    def rule_move_or_withdraw(self, who="st_who", other="st_other", amount="st_amount", index="st_index"):
        moves = index % 2 == 0
        method = self.scene.channels.move if moves else self.scene.channels.withdraw
        if amount > self.balance[who]:
            with reverts("InsufficientBalance", self.balance[who], amount):
                self.call(method, who, self.address(other), amount)
            return
        self.call(method, who, self.address(other), amount)
        self.balance[who] -= amount
        if moves:
            self.balance[other] += amount

    def rule_sign_and_claim(self, who="st_who", other="st_other", cumulative="st_cumulative", by="st_by"):
        self.vouchers.append((who, other, cumulative, len(self.vouchers)))
        self.highest[who, other] = max(cumulative, self.highest.get((who, other), 0))
        if by != who:  # else it is kept for later
            self.submit(self.vouchers[-1], by)

    def rule_claim_again(self, index="st_index", by="st_by"):
        if self.vouchers:
            self.submit(self.vouchers[index % len(self.vouchers)], by)

    def submit(self, voucher, by):
        payer, payee, cumulative, batch = voucher
        pair = payer, payee
        claimed = self.claimed.get(pair, 0)
        paid = max(0, min(cumulative, self.deposit[pair]) - claimed)
        transaction = self.scene.claim(
            self.people[payer], self.people[payee], cumulative, batch, by=self.address(by)
        )
        assert transaction.return_value == paid
        self.claimed[pair] = claimed + paid
        self.balance[payee] += paid
        self.received[pair] = self.received.get(pair, 0) + paid

    def rule_request_close(self, who="st_who", other="st_other"):
        pair = who, other
        method = self.scene.channels.requestClose
        if pair in self.closes_at:
            with reverts("CloseAlreadyRequested", self.closes_at[pair]):
                self.call(method, who, self.address(other))
        elif self.deposit[pair] == self.claimed.get(pair, 0):
            with reverts("ChannelEmpty"):
                self.call(method, who, self.address(other))
        else:
            transaction = self.call(method, who, self.address(other))
            self.closes_at[pair] = transaction.timestamp + NOTICE

    def rule_finish_close(self, index="st_index", wait="st_wait", who="st_who", other="st_other"):
        pair = sorted(self.closes_at)[index % len(self.closes_at)] if self.closes_at else (who, other)
        chain.sleep(wait)
        chain.mine()
        method = self.scene.channels.finishClose
        if pair not in self.closes_at:
            with reverts("CloseNotRequested"):
                self.call(method, pair[0], self.address(pair[1]))
        elif chain.time() + 30 < self.closes_at[pair]:
            with reverts("NoticeRunning", self.closes_at[pair]):
                self.call(method, pair[0], self.address(pair[1]))
        else:
            chain.sleep(30)
            self.call(method, pair[0], self.address(pair[1]))
            self.refund(pair)

    def rule_release(self, who="st_who", other="st_other"):
        self.call(self.scene.channels.release, other, self.address(who))
        self.refund((who, other))

    def refund(self, pair):
        self.balance[pair[0]] += self.deposit[pair] - self.claimed.get(pair, 0)
        self.deposit[pair] = self.claimed.get(pair, 0)
        self.closes_at.pop(pair, None)

    def invariant_contract_equals_model(self):
        for who in range(PEOPLE):
            assert self.scene.channels.balanceOf(self.address(who)) == self.balance[who]
        for pair in self.deposit:
            expected = tuple(book.get(pair, 0) for book in (self.deposit, self.claimed, self.closes_at))
            assert self.scene.channels.channel(*map(self.address, pair)) == expected

    def invariant_I1_books_equal_tokens(self):
        unclaimed = sum(self.deposit.values()) - sum(self.claimed.values())
        assert sum(self.balance) + unclaimed == self.scene.token.balanceOf(self.scene.channels)

    def invariant_I2_I3_paid_once_within_deposit_and_voucher(self):
        for pair, claimed in self.claimed.items():
            assert claimed == self.received[pair]
            assert claimed <= self.deposit[pair]
            assert claimed <= self.highest[pair]


def test_channels_followTheModel(state_machine):
    scene = deploy(project.get_loaded_projects()[0])
    people = [person(f"person {number}") for number in range(PEOPLE)]
    for somebody in people:
        scene.give(somebody.account, scene.channels, RICH)
        scene.channels.deposit(START * (PEOPLE + 1), {"from": somebody.account})
        for other in people:
            scene.channels.fund(other.account, START, {"from": somebody.account})
    settings = {
        "derandomize": True,  # the same runs everywhere
        "database": None,
        "suppress_health_check": [HealthCheck.too_slow, HealthCheck.data_too_large],
    }
    state_machine(Machine, scene, people, settings=settings)
