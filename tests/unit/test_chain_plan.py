"""Plans of deployments: predicted addresses, the file, and finishing what was interrupted anywhere."""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Callable
from pathlib import Path

import pytest

from chain_world import World
from mixpay.chain import plan as plans
from mixpay.chain.contracts import Network
from mixpay.chain.deploy import carry_out, check_fit, has_begun, randomness_is_constant
from mixpay.chain.devchain import DevChain
from mixpay.chain.plan import Plan, Wanted, created_address, make_plan
from mixpay.chain.records import Call, Receipt
from mixpay.chain.rpc import Rpc
from mixpay.chain.verify import addresses, verify
from mixpay.errors import UserError
from mixpay.parameters import DEMO, PRODUCTION
from mixpay.types import Account
from odd_nodes import odd, without_randomness

GOVERNOR = Account(b"\x77" * 20)


@pytest.mark.parametrize(
    ("nonce", "address"),
    [
        (0, "cd234a471b72ba2f1ccf0a70fcaba648a5eecd8d"),
        (1, "343c43a37d37dff08ae8c4a11544c718abb4fcf8"),
        (2, "f778b86fa74e846c4f0a1fbd1335fe81c00a0c91"),
        (3, "fffd933a0bc612844eaf0c6fe3e5b8e9b6c1d19c"),
    ],
)
def test_createdAddress_isTheKnownOne(nonce: int, address: str) -> None:
    """Of the example that the Solidity community uses since 2016."""
    sender = Account(bytes.fromhex("6ac7ea33f8831ea9dcc53393aaa88b25a785dbf0"))
    assert created_address(sender, nonce).hex() == address


@pytest.mark.parametrize("nonce", [0, 1, 0x7F, 0x80, 0xFF, 0x100, 0xFFFF, 0x10000])
def test_createdAddress_isTheChains(world: World, nonce: int) -> None:
    user = world.user()
    world.rpc.request("anvil_setNonce", f"0x{user.account.hex()}", hex(nonce))
    made = user.send(Call("an empty contract", None, b"\0")).contract
    assert made == created_address(user.account, nonce)


def governed(world: World) -> Plan:
    """A plan with everything in it, of an account of its own."""
    return make_plan(world.rpc, world.user().account, Wanted(DEMO, governor=GOVERNOR))


def test_plan_makesEveryContractInOrder(world: World) -> None:
    plan = governed(world)
    creations = plan.creations()
    names = [
        "Token",
        "TimelockController",
        "Network",
        "Channels",
        "RelayRegistry",
        "ReceiptCourt",
        "SubsidyPool",
    ]
    assert [creation.name for creation in creations] == names
    assert [creation.nonce for creation in creations] == list(range(plan.nonce, plan.nonce + len(names)))
    assert {creation.name: creation.address for creation in creations} == addresses(plan.deployment)
    wanted = Wanted(PRODUCTION, token=world.deployment.token)
    bare = make_plan(world.rpc, plan.deployer, wanted)
    assert [creation.name for creation in bare.creations()] == names[2:]


def test_makePlan_failsWhileTransactionsAreUnderWay(chain: DevChain) -> None:
    world = World(chain)
    user = world.user()
    chain.rpc.request("evm_setAutomine", False)
    try:
        transfer = {"from": f"0x{user.account.hex()}", "to": f"0x{GOVERNOR.hex()}"}
        chain.rpc.request("anvil_impersonateAccount", transfer["from"])
        chain.rpc.request("eth_sendTransaction", transfer)
        with pytest.raises(UserError, match="has transactions under way"):
            make_plan(chain.rpc, user.account, Wanted(DEMO))
    finally:
        chain.mine()
        chain.rpc.request("evm_setAutomine", True)
    assert make_plan(chain.rpc, user.account, Wanted(DEMO)).nonce == 1


# ---------------------------------------------------------------------- on disk


def test_load_returnsWhatWasSaved(world: World, tmp_path: Path) -> None:
    path, plan = plans.plan_path(tmp_path / "new" / "network.json"), governed(world)
    assert path.name == "network.json.unfinished"
    plans.save(path, plan)
    assert plans.load(path) == plan


@pytest.mark.parametrize(
    ("change", "text"),
    [
        (lambda c: c.update(deployer="xyz"), "is not the plan of a deployment"),
        (lambda c: c["deployment"].update(chain_id=0), "is not the plan of a deployment"),
        (lambda c: c["deployment"]["artifacts"].update(Network="0" * 64), "another Network"),
        (lambda c: c["deployment"]["artifacts"].update(Bank="0" * 64), "another Bank"),
    ],
)
def test_load_saysWhatIsWrong(
    world: World, tmp_path: Path, change: Callable[[dict[str, object]], None], text: str
) -> None:
    path = tmp_path / "plan"
    plans.save(path, governed(world))
    content = json.loads(path.read_text())
    change(content)
    path.write_text(json.dumps(content))
    with pytest.raises(UserError, match=text):
        plans.load(path)
    with pytest.raises(UserError, match="cannot read"):
        plans.load(tmp_path)


def test_differences_areNamed(world: World) -> None:
    plan, token = governed(world), world.deployment.token
    same = Wanted(DEMO, governor=GOVERNOR)
    assert plans.differences(plan, same) == []
    assert plans.differences(plan, dataclasses.replace(same, genesis=plan.deployment.genesis)) == []
    assert plans.differences(plan, Wanted(PRODUCTION, token, None, 1)) == [
        "parameters",
        "token",
        "governor",
        "genesis",
    ]


# ---------------------------------------------------------------------- interrupted


class Interruption(Exception):
    """Of a deployment, by this test."""


class Interrupted:
    """A wallet that is cut off at its `allowed`-th transaction, before it is sent or after."""

    def __init__(self, world: World, allowed: int, *, after: bool) -> None:
        self._user = world.user()
        self.account = self._user.account
        self._allowed, self._after, self.armed, self.sent = allowed, after, True, 0

    def send(self, call: Call) -> Receipt:
        """Sends, or does not."""
        last = self.armed and self.sent == self._allowed
        if last and not self._after:
            raise Interruption
        receipt = self._user.send(call)
        self.sent += 1
        if last:
            raise Interruption
        return receipt


@pytest.mark.parametrize("after", [False, True])
@pytest.mark.parametrize("allowed", range(11))
def test_carryOut_finishesWhatWasInterruptedAnywhere(world: World, allowed: int, after: bool) -> None:
    wallet = Interrupted(world, allowed, after=after)
    plan = make_plan(world.rpc, wallet.account, Wanted(DEMO, governor=GOVERNOR))
    assert not has_begun(world.rpc, plan)
    with pytest.raises(Interruption):
        carry_out(world.rpc, wallet, plan)
    assert has_begun(world.rpc, plan) == (allowed > 0 or after)
    wallet.armed = False
    assert carry_out(world.rpc, wallet, plan) == plan.deployment
    assert world.rpc.nonce(wallet.account) - plan.nonce == wallet.sent == 11
    verify(world.rpc, plan.deployment)
    carry_out(world.rpc, wallet, plan)
    assert wallet.sent == 11


def test_carryOut_saysWhenItCannotBeFinishedAnyMore(world: World) -> None:
    wallet = Interrupted(world, 3, after=False)
    plan = make_plan(world.rpc, wallet.account, Wanted(DEMO))
    with pytest.raises(Interruption):
        carry_out(world.rpc, wallet, plan)
    wallet.armed = False
    wallet.send(Call("something else", GOVERNOR, b""))
    with pytest.raises(UserError, match="has to begin anew") as caught:
        carry_out(world.rpc, wallet, plan)
    for name in ("Token 0x", "Network 0x", "Channels 0x"):
        assert name in str(caught.value)
    assert wallet.sent == 4


class Clumsy(Interrupted):
    """Sends something else first, unseen."""

    def send(self, call: Call) -> Receipt:
        """Both."""
        self._user.send(Call("something else", GOVERNOR, b""))
        return self._user.send(call)


def test_carryOut_failsIfAContractStandsElsewhere(world: World) -> None:
    wallet = Clumsy(world, 99, after=False)
    plan = make_plan(world.rpc, wallet.account, Wanted(DEMO))
    with pytest.raises(UserError, match="has to begin anew"):
        carry_out(world.rpc, wallet, plan)


def test_carryOut_failsWithAnotherKey_orOnAnotherChain(world: World) -> None:
    wallet = world.user()
    plan = make_plan(world.rpc, wallet.account, Wanted(DEMO))
    with pytest.raises(UserError, match="needs that account's key"):
        carry_out(world.rpc, world.deployer, plan)
    with DevChain(chain_id=5) as other, pytest.raises(UserError, match="begun on chain 31337, not 5"):
        carry_out(other.rpc, wallet, plan)


def test_publish_triesAgainWhenAnEpochBegins(world: World) -> None:
    """Between asking for the epoch and sending."""
    wallet = Late(world)
    plan = make_plan(world.rpc, wallet.account, Wanted(DEMO))
    carry_out(world.rpc, wallet, plan)
    assert Network(world.rpc, plan.deployment.network).release().activation_epoch == 1


class Late(Interrupted):
    """Sends the first release an epoch late."""

    def __init__(self, world: World) -> None:
        super().__init__(world, 99, after=False)
        self._world, self._waits = world, True

    def send(self, call: Call) -> Receipt:
        """An hour passes first."""
        if call.what == "Network.publish" and self._waits:
            self._waits = False
            self._world.chain.advance_time(DEMO.epoch_length)
        return super().send(call)


# ---------------------------------------------------------------------- fit for real money


def test_checkFit_namesEverythingThatIsNot(world: World) -> None:
    world.chain.mine(2)
    fit = Wanted(PRODUCTION, token=world.deployment.token, governor=GOVERNOR)
    check_fit(world.rpc, make_plan(world.rpc, world.user().account, fit).deployment)
    with pytest.raises(UserError, match="not fit for real money") as caught:
        check_fit(world.rpc, make_plan(world.rpc, world.user().account, Wanted(DEMO)).deployment)
    for text in ("notice is 7200", "no governor", "no token"):
        assert text in str(caught.value)
    assert "randomness" not in str(caught.value)


def test_randomnessIsConstant_untilTwoBlocksDiffer() -> None:
    with DevChain() as young:
        for _ in range(2):
            assert randomness_is_constant(young.rpc)
            young.mine()
        assert not randomness_is_constant(young.rpc)


def test_checkFit_refusesAChainWithoutRandomness(world: World) -> None:
    with (
        odd(world.chain.url, without_randomness) as url,
        pytest.raises(UserError, match="chain 31337 has no randomness"),
    ):
        check_fit(Rpc(url), world.deployment)
