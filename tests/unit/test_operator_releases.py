"""Which release an owner's command means, while the network moves from one to the next."""

from __future__ import annotations

import dataclasses
from pathlib import Path

import pytest

from chain_world import User, World
from mixpay import deployment as deployments
from mixpay.accounts import show_account
from mixpay.chain.contracts import Contracts
from mixpay.chain.devchain import DevChain
from mixpay.chain.releases import CannotFollow
from mixpay.chain.upgrade import create_release, plan_release, release_of
from mixpay.deployment import Deployment
from mixpay.errors import UserError
from mixpay.keystore import Kdf
from mixpay.parameters import DEMO, TOKEN
from mixpay.types import Amount, Epoch
from relay import config as configs
from relay.home import initialise, operator_account
from relay.operator.registration import Owner
from relay.operator.releases import OperatorReleases

PASSWORD = "pw"
DEARER = dataclasses.replace(DEMO, stake=Amount(120 * TOKEN))


class Town:
    """An owner's relay, and a network with a second release, in force three epochs from now."""

    def __init__(self, chain: DevChain, folder: Path) -> None:
        self.world = World(chain)
        file = folder / "network.json"
        deployments.save(file, self.world.deployment)
        self.user: User = self.world.user(tokens=500)
        self.folder = folder / "relay"
        text = configs.render(
            rpc_url=self.world.rpc.shown,
            deployment=str(file),
            host="127.0.0.1",
            link_port=9101,
            client_port=9102,
            owner=show_account(self.user.account),
        )
        initialise(self.folder, text, PASSWORD, Kdf.LIGHT)
        self.operator = operator_account(self.folder)
        plan = plan_release(self.world.rpc, self.world.deployer.account, self.world.deployment, DEARER)
        self.second = create_release(self.world.rpc, self.world.deployer, self.world.deployment, plan)
        self.begins = Epoch(self.world.epoch() + 3)
        self.publish(self.second, self.begins)

    def publish(self, deployment: Deployment, epoch: Epoch, **changes: object) -> None:
        release = dataclasses.replace(release_of(deployment, epoch), **changes)
        self.world.deployer.send(self.world.contracts.network.publish(release))

    def owner(self, release: int | None = None) -> Owner:
        return Owner(self.folder, self.user.key, lambda _: None, release)

    def releases(self) -> OperatorReleases:
        return OperatorReleases(self.world.rpc, self.world.deployment, self.operator)

    def enter_second(self) -> None:
        self.world.chain.advance_time(to=self.world.schedule.start(self.begins))


@pytest.fixture
def town(chain: DevChain, tmp_path: Path) -> Town:
    return Town(chain, tmp_path)


def test_register_isInTheReleaseInForce_unlessTold(town: Town) -> None:
    first, second = town.world.deployment.contracts, town.second.contracts
    assert town.releases().to_register(None).contracts == first
    assert town.releases().to_register(1).contracts == second
    with pytest.raises(UserError, match="no release 2"):
        town.releases().to_register(2)
    town.enter_second()
    assert town.releases().to_register(None).contracts == second
    with pytest.raises(UserError, match=f"release 0 of the network was over with epoch {town.begins}"):
        town.releases().to_register(0)


def test_oneOperator_registersInBoth_withOtherPorts(town: Town) -> None:
    first = town.owner().register(PASSWORD, Amount(0), 0)
    with pytest.raises(UserError, match=r"127\.0\.0\.1:9101:9102 is registered .* in release 0"):
        town.owner(1).register(PASSWORD, Amount(0), 0)
    second = town.owner(1).register(PASSWORD, Amount(TOKEN), 0, (9201, 9202))
    assert (second.new, second.endpoint) == (True, "127.0.0.1:9201:9202")
    assert first.operator == second.operator == town.operator
    registry = town.world.contracts.registry
    assert registry.relay(first.relay).operator == town.operator
    there = Contracts(town.world.rpc, town.second)
    found = there.registry.relay(second.relay)
    assert found.owner == town.user.account
    assert there.channels.balance_of(town.operator) == TOKEN, "the capital is in the new ledger"
    assert town.world.contracts.channels.balance_of(town.operator) == 0
    again = town.owner(1).register(PASSWORD, Amount(0), 0, (9201, 9202))
    assert (again.new, again.updated) == (False, False)
    moved = town.owner(1).register(PASSWORD, Amount(0), 0, (9301, 9302))
    assert (moved.new, moved.updated) == (False, True)
    assert there.registry.relay(second.relay).leaf != found.leaf


def test_stakes_areTakenFromTheReleaseThatIsMeant(town: Town) -> None:
    town.owner().register(PASSWORD, Amount(0), 0)
    assert town.owner().leave().new, "there is only one relay: it is meant"
    town.owner(1).register(PASSWORD, Amount(0), 0)  # the port is free again
    with pytest.raises(UserError, match="is bound until"):
        town.owner().withdraw(town.user.account, None)
    left = town.owner().leave()
    assert left.new, "the only one that has not left: that of the second release"
    with pytest.raises(UserError, match="relays in releases 0 and 1: say which with --release"):
        town.owner().withdraw(town.user.account, None)
    town.world.chain.advance_time(DEMO.unbonding)
    assert town.owner(0).withdraw(town.user.account, None).stake == DEMO.stake
    assert town.owner().withdraw(town.user.account, None).stake == DEARER.stake
    with pytest.raises(UserError, match="a key serves one relay only"):
        town.owner(1).register(PASSWORD, Amount(0), 0)


def test_releaseThatIsNotKnown_isNobodysBusiness(town: Town) -> None:
    """The relay in the first is looked after as if there were no third."""
    town.owner().register(PASSWORD, Amount(0), 0)
    town.publish(town.second, Epoch(town.begins + 1), pool=town.world.deployment.pool)
    with pytest.raises(CannotFollow, match="cannot follow release 2"):
        town.releases().to_register(2)
    town.owner(1).register(PASSWORD, Amount(0), 0, (9201, 9202))
    with pytest.raises(UserError, match="releases 0 and 1"):
        town.owner().leave()
    assert town.owner(0).leave().new
