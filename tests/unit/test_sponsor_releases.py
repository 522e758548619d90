"""A sponsor in a network that moves: a campaign in each release, one service, all of the money back."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import aiohttp
import pytest
from click.testing import CliRunner, Result

from mixpay.chain.contracts import Contracts
from mixpay.chain.devchain import DevChain
from mixpay.chain.upgrade import create_release, plan_release, release_of
from mixpay.cli.sponsor import sponsor
from mixpay.deployment import Deployment
from mixpay.errors import UserError
from mixpay.parameters import DEMO, TOKEN
from mixpay.sponsor import api, app
from mixpay.sponsor.config import Home
from mixpay.types import Account, Amount, Epoch
from sponsor_world import PASSWORD, World

CAPS = ("--period-cap", "10", "--relay-cap", "5")


@pytest.fixture
def world(chain: DevChain, tmp_path: Path) -> World:
    """A sponsor with a campaign in the first release, and 40 tokens more."""
    world = World(chain, tmp_path)
    world.settle_in(budget=50)
    world.configure(poll_seconds=0.05)
    account = world.contracts.pool.campaign(1).sponsor
    world.deployer.send(world.contracts.token.transfer(account, Amount(40 * TOKEN)))
    return world


def upgrade(world: World) -> tuple[Deployment, Epoch]:
    """A second release, published, and its first epoch: the fourth from now."""
    plan = plan_release(world.rpc, world.deployer.account, world.deployment, DEMO)
    second, epoch = (
        create_release(world.rpc, world.deployer, world.deployment, plan),
        Epoch(world.epoch() + 4),
    )
    # Somebody else has a campaign there already: the sponsor's gets another number than in the first.
    pool = Contracts(world.rpc, second).pool
    world.deployer.send(pool.create_campaign(world.deployer.account, Amount(1), Amount(1)))
    world.deployer.send(world.contracts.network.publish(release_of(second, epoch)))
    return second, epoch


def run(world: World, *words: str) -> Result:
    environ = {"MIXPAY_PASSWORD": PASSWORD, "MIXPAY_SPONSOR_HOME": str(world.home.folder)}
    return CliRunner().invoke(sponsor, list(words), env=environ)


def fault(result: Result) -> str:
    assert isinstance(result.exception, UserError), result.output
    return str(result.exception)


@asynccontextmanager
async def serving(world: World) -> AsyncIterator[Callable[..., Any]]:
    """The running service, and a way to ask it for a campaign."""
    stop, ready = asyncio.Event(), asyncio.get_running_loop().create_future()
    task = asyncio.create_task(app.serve(world.home, PASSWORD, stop, ready.set_result))
    await asyncio.wait({task, ready}, return_when=asyncio.FIRST_COMPLETED)
    if task.done():
        task.result()
    try:
        async with aiohttp.ClientSession() as session:

            async def campaign(pool: Account | None = None) -> dict[str, Any]:
                query = {} if pool is None else {api.POOL_QUERY: f"0x{pool.hex()}"}
                async with session.get(ready.result() + api.CAMPAIGN_PATH, params=query) as answer:
                    found: dict[str, Any] = await answer.json()
                    return found

            yield campaign
    finally:
        stop.set()
        await asyncio.wait_for(task, 20)


async def eventually(condition: Callable[[], Any]) -> None:
    async with asyncio.timeout(20):
        while not await condition():
            await asyncio.sleep(0.02)


async def test_serviceTakesUpACampaignInALaterRelease_withoutARestart(world: World) -> None:
    async with serving(world) as campaign:
        second, epoch = await asyncio.to_thread(upgrade, world)
        assert (await campaign(second.pool))["error"] == "no_campaign"
        assert (await campaign(Account(b"\7" * 20)))["error"] == "no_campaign"
        created = await asyncio.to_thread(run, world, "create", "--release", "1", *CAPS)
        assert (created.exit_code, created.stdout) == (0, "2\n"), created.output
        assert (await asyncio.to_thread(run, world, "fund", "40", "--release", "1")).exit_code == 0

        async def known() -> bool:
            return (await campaign(second.pool)).get("campaign") == 2

        await eventually(known)
        await asyncio.to_thread(world.next_epoch)
        assert (await campaign())["campaign"] == 1, "the first is in force"
        assert (await campaign(world.deployment.pool))["campaign"] == 1
        pools = [Contracts(world.rpc, d).pool for d in (world.deployment, second)]

        async def keyed() -> bool:
            return any(pools[1].key(2, 1, epoch).key_hash)

        await eventually(keyed)
        assert not any(pools[1].key(2, 1, epoch - 1).key_hash), "no keys for epochs of other contracts"
        assert not any(pools[0].key(1, 1, epoch).key_hash)
        assert any(pools[0].key(1, 1, epoch - 1).key_hash)

        await asyncio.to_thread(world.chain.advance_time, to=world.schedule.start(epoch))

        async def moved() -> bool:
            return (await campaign()).get("campaign") == 2

        await eventually(moved)
        assert (await campaign(world.deployment.pool))["campaign"] == 1, "its relays are still paid"
    async with serving(world) as campaign:
        await eventually(moved)
    names = {path.name for path in world.home.folder.iterdir()}
    assert {"issuer.db", "issuer-1.db"} <= names


def test_settingsKeepEachCampaign(world: World) -> None:
    second, _ = upgrade(world)
    before = world.home.config_path.read_text()
    assert fault(run(world, "fund", "1", "--release", "1")).endswith("sponsor create --release 1` first")
    assert "published no release 5" in fault(run(world, "create", "--release", "5", *CAPS))
    created = run(world, "create", "--release", "1", *CAPS, "--json")
    assert json.loads(created.stdout)["campaign"] == 2
    assert "names campaign 2 already" in fault(run(world, "create", "--release", "1", *CAPS))
    assert "names campaign 1 already" in fault(run(world, "create", "--release", "0", *CAPS))
    config = world.home.load()
    assert (config.campaign, config.later_campaigns) == (1, {"1": 2})
    assert (config.campaign_in(None), config.campaign_in(1), config.campaign_in(2)) == (1, 2, 0)
    added = world.home.config_path.read_text().replace("1 = 2\n", "", 1)
    assert added == before
    old = Home(world.home.folder)
    text = before.replace("[later_campaigns]", "")  # settings of an older program
    old.config_path.write_text(text)
    old.remember_campaign(9, 3)
    assert old.load().later_campaigns == {"3": 9}
    assert Contracts(world.rpc, second).pool.campaign(2).sponsor == world.contracts.pool.campaign(1).sponsor


def test_pause_isForTheCampaignsOfAllReleases_orOfTheNamedOne(world: World) -> None:
    """After a move, the deployment file's is not the one that issues."""
    upgrade(world)
    assert run(world, "create", "--release", "1", *CAPS).exit_code == 0

    def paused() -> tuple[bool, ...]:
        found = (run(world, "status", "--json", "--release", number) for number in ("0", "1"))
        return tuple(json.loads(one.stdout)["paused"] for one in found)

    for words, expected in [
        (["pause"], (True, True)),
        (["resume", "--release", "1"], (True, False)),
        (["resume"], (False, False)),
        (["pause", "--release", "0"], (True, False)),
    ]:
        result = run(world, *words)
        assert result.exit_code == 0, result.output
        assert paused() == expected


async def test_aCampaignThatIsCreatedAfterAPause_beginsPaused(world: World) -> None:
    """Or the sponsor's word would be lost at a move of the network."""
    second, _ = upgrade(world)
    assert run(world, "pause").exit_code == 0
    assert run(world, "create", "--release", "1", *CAPS).exit_code == 0
    for again in (False, True):
        async with serving(world) as campaign, asyncio.timeout(20):
            while (await campaign(second.pool)).get("campaign") != 2:
                await asyncio.sleep(0.02)
        told = await asyncio.to_thread(run, world, "status", "--json", "--release", "1")
        assert json.loads(told.stdout)["paused"] is not again
        assert (await asyncio.to_thread(run, world, "resume", "--release", "1")).exit_code == 0


def test_settingsThatSomebodyHasWorkedOn_takeTheCampaign_orAreLeftAlone(tmp_path: Path) -> None:
    home = Home(tmp_path / "home")
    home.write_template("http://127.0.0.1:1", tmp_path / "network.json", 0)
    path, plain = home.config_path, home.config_path.read_text()
    path.write_text(plain.replace("[later_campaigns]", "  [ later_campaigns ]  # ours"))
    home.remember_campaign(9, 3)
    home.remember_campaign(8, 4)
    assert home.load().later_campaigns == {"3": 9, "4": 8}
    inline = "later_campaigns = {}\n" + plain.replace("[later_campaigns]", "# [later_campaigns]")
    path.write_text(inline)
    with pytest.raises(UserError, match=r"write  3 = 9  under \[later_campaigns\]"):
        home.remember_campaign(9, 3)
    assert path.read_text() == inline


def test_budget_comesBackAfterItsNotice(world: World) -> None:
    account = world.contracts.pool.campaign(1).sponsor
    noticed = run(world, "withdraw", "--json")
    at = json.loads(noticed.stdout)["withdrawable_at"]
    assert at == world.contracts.pool.campaign(1).withdrawable_at > 0
    assert "can be paid out from" in run(world, "withdraw").stdout
    before = world.contracts.token.balance_of(account)
    world.chain.advance_time(to=at)
    assert run(world, "withdraw", "--release", "0").stdout == "50 tokens paid out\n"
    assert world.contracts.token.balance_of(account) == before + 50 * TOKEN
    assert "has no budget left" in fault(run(world, "withdraw"))
    assert "--to" in fault(run(world, "withdraw", "--to", "nobody"))
