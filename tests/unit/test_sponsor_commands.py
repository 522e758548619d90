"""`mixpay sponsor`, as a user types it, on a real chain; and the settings file."""

from __future__ import annotations

import json
import os
import re
import signal
import subprocess
import sys
import urllib.request
from pathlib import Path

import click
import pytest
from click.testing import CliRunner, Result

from chain_world import ETHER
from mixpay.accounts import show_account
from mixpay.chain.devchain import DevChain
from mixpay.cli.sponsor import sponsor
from mixpay.errors import UserError
from mixpay.parameters import TOKEN
from mixpay.sponsor.config import Home
from mixpay.sponsor.policies import read_settings
from mixpay.sponsor.policies.api_key import ApiKeyPolicy
from mixpay.sponsor.policy import Quotas
from mixpay.types import Account, Amount
from policy_world import asked, identify
from sponsor_world import PASSWORD, World

SERVE = "from mixpay.cli.sponsor import sponsor; sponsor()"


@pytest.fixture
def world(chain: DevChain, tmp_path: Path) -> World:
    return World(chain, tmp_path)


def run(world: World, *arguments: str, password: str = PASSWORD) -> Result:
    environ = {"MIXPAY_PASSWORD": password, "MIXPAY_SPONSOR_HOME": str(world.home.folder)}
    return CliRunner().invoke(sponsor, list(arguments), env=environ)


def first(world: World) -> list[str]:
    return ["--rpc", world.rpc.shown, "--deployment", str(world.file), "--light-keys", "--port", "0"]


def fault(result: Result) -> str:
    assert isinstance(result.exception, UserError), result.output
    return str(result.exception)


def funded(world: World) -> Account:
    """A home after `init`, its account with ether and tokens."""
    result = run(world, "init", "--json", *first(world))
    assert result.exit_code == 0, result.output
    account = Account(bytes.fromhex(json.loads(result.stdout)["account"][2:]))
    world.chain.fund(account, 10 * ETHER)
    world.deployer.send(world.contracts.token.transfer(account, Amount(500 * TOKEN)))
    return account


def test_init_create_fund(world: World) -> None:
    account = funded(world)
    result = run(world, "create", "--period-cap", "12.5", "--relay-cap", "1", "--json")
    assert result.exit_code == 0, result.output
    created = json.loads(result.stdout)
    campaign = world.contracts.pool.campaign(created["campaign"])
    assert (campaign.sponsor, show_account(campaign.signer)) == (account, created["signer"])
    assert (campaign.period_cap, campaign.relay_cap) == (125 * TOKEN // 10, TOKEN)
    assert world.rpc.balance(campaign.signer) == ETHER // 20
    assert world.home.load().campaign == created["campaign"]
    for budget in ("100.5", "201"):
        result = run(world, "fund", "100.5")
        assert result.stdout == f"{budget} tokens in the budget\n"
    assert world.contracts.pool.campaign(created["campaign"]).budget == 201 * TOKEN
    assert "has 299 tokens: send it at least 300" in fault(run(world, "fund", "300"))
    assert "names campaign 1 already" in fault(run(world, "create"))


def test_fund_givesToAnotherCampaign_withoutOneOfItsOwn(world: World, tmp_path: Path) -> None:
    """Anybody can give to the commons."""
    commons = world.settle_in(budget=10)
    world.home = Home(tmp_path / "donor")
    funded(world)
    result = run(world, "fund", "2.5", "--campaign", str(commons), "--json")
    assert json.loads(result.stdout) == {"budget": str(125 * TOKEN // 10)}
    assert world.contracts.pool.campaign(commons).budget == 125 * TOKEN // 10
    assert "no campaign 99" in fault(run(world, "fund", "1", "--campaign", "99"))


def test_create_alone_saysWhatIsMissing(world: World) -> None:
    assert "--rpc URL --deployment FILE" in fault(run(world, "create"))
    assert "ether" in fault(run(world, "create", *first(world)))
    assert "sponsor create" in fault(run(world, "fund", "1"))
    assert "wrong password" in fault(run(world, "create", password="other"))
    assert "MIXPAY_PASSWORD" in fault(run(world, "create", password=""))


def test_create_takesUpTheCampaignOfAnInterruptedCall(world: World) -> None:
    funded(world)
    run(world, "create", "--period-cap", "12.5", "--relay-cap", "1")
    world.configure(campaign=0)
    result = run(world, "create", "--period-cap", "7")
    assert (result.exit_code, result.stdout) == (0, "1\n")
    assert "its caps: 12.5 tokens for a period, 1 for a relay" in result.stderr
    assert world.contracts.pool.campaign_count() == 1


def test_init_writesNothing_whenWhatItIsToldIsWrong(world: World, tmp_path: Path) -> None:
    absent = str(tmp_path / "absent.json")
    assert absent in fault(run(world, "init", "--rpc", world.rpc.shown, "--deployment", absent))
    assert "nowhere" in fault(run(world, "init", "--rpc", "nowhere", "--deployment", str(world.file)))
    assert "no password" in fault(run(world, "init", *first(world), password=""))
    assert not world.home.config_path.exists()


def test_init_writesThePolicies_thatItIsTold(world: World) -> None:
    chosen = ["--policy", "work,difficulty=64,raise_after=0", "--policy", "api-key,name=ours,entry_passes=2"]
    wrong = [("weather", "there is no kind 'weather'"), ("work,difficulty=much", "difficulty")]
    for text, says in [*wrong, ("work,difficulty", "it reads KIND,NAME=VALUE"), ("work,x=1", "x")]:
        assert says in fault(run(world, "init", *first(world), "--policy", text))
        assert not world.home.config_path.exists()
    assert run(world, "init", *first(world), *chosen).exit_code == 0
    work, key = read_settings(world.home.load().policy)
    assert (work.kind, work.own.difficulty, work.own.raise_after) == ("work", 64, 0)
    assert (key.name, key.kind, key.quotas) == ("ours", "api-key", Quotas(entry=2, mailbox=4))
    assert "edit its [[policy]] tables" in fault(run(world, "init", *chosen))


def test_init_and_create_keepSettings_andSaySoWhenOthersAreNamed(world: World, tmp_path: Path) -> None:
    funded(world)
    assert run(world, "init", *first(world)).exit_code == 0
    other = tmp_path / "other.json"
    other.write_bytes(world.file.read_bytes())
    options = [("--rpc", "http://127.0.0.1:9"), ("--deployment", str(other)), ("--port", "8851")]
    for option in options:
        for command in ("init", "create"):
            text = fault(run(world, command, *option))
            assert f"{world.home.config_path} is there already: edit it, or choose another folder" in text


def test_init_failsForAFolderInUse(world: World) -> None:
    funded(world)
    world.home.keystore.chmod(0o755)
    assert "chmod 700" in fault(run(world, "init", *first(world)))


@pytest.mark.parametrize("amount", ["0", "-1", "x", "nan", "inf", "1e-19", "1e30", ""])
def test_fund_failsForNoAmount(world: World, amount: str) -> None:
    result = run(world, "fund", "--", amount)
    assert result.exit_code == 2 and "Error" in result.output


def test_invite_addsCodes(world: World) -> None:
    funded(world)
    codes = run(world, "invite", "--count", "3").stdout.split()
    codes += run(world, "invite").stdout.split()
    path = world.home.folder / "invitations.txt"
    assert path.read_text().split() == codes and len(set(codes)) == 4
    assert path.stat().st_mode & 0o777 == 0o600


def test_invite_beginsALine_afterTextOfAnEditorThatEndsNone(world: World) -> None:
    funded(world)
    path = world.home.folder / "invitations.txt"
    path.write_text("written-by-hand")
    code = run(world, "invite").stdout.strip()
    assert path.read_text().split() == ["written-by-hand", code]


def test_apiKey_isShownOnce_andKnownByItsHash(world: World) -> None:
    funded(world)
    path = world.home.folder / "api-keys.txt"
    key = run(world, "api-key", "shop").stdout.strip()
    assert path.stat().st_mode & 0o777 == 0o600
    assert key not in path.read_text()
    policy = ApiKeyPolicy(path, Quotas(), Quotas(0, 0))
    shown = json.dumps({"key": key, "user": "7"})
    assert identify(policy, asked(shown)).identity == b"user:shop\0" + b"7"
    assert "cannot be a name" in fault(run(world, "api-key", "My Shop"))


def test_everyCommand_showsAnExample() -> None:
    names = ["init", "create", "fund", "invite", "api-key", "serve", "openapi"]
    names += ["status", "invoice", "pause", "resume", "withdraw"]
    assert sponsor.list_commands(click.Context(sponsor)) == names
    help_text = CliRunner().invoke(sponsor, ["--help"]).output
    assert re.findall(r"^  ([\w-]+)  +\S", help_text.split("Commands:")[1], re.MULTILINE) == names
    for name in names:
        result = CliRunner().invoke(sponsor, [name, "--help"])
        assert result.exit_code == 0 and "Example: " in result.output


def test_serve_asAProcess_endsWithASignal(world: World) -> None:
    world.settle_in()
    environ = os.environ | {"MIXPAY_PASSWORD": PASSWORD, "PYTHONPATH": os.pathsep.join(sys.path)}
    command = [sys.executable, "-c", SERVE, "serve", "--home", str(world.home.folder)]
    with subprocess.Popen(
        command, env=environ, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    ) as process:
        assert process.stdout is not None and process.stderr is not None
        url = process.stdout.readline().strip()
        assert json.loads(world.home.service_file.read_text()) == {"url": url, "database": ""}
        with urllib.request.urlopen(f"{url}/v1/campaign", timeout=5) as response:  # noqa: S310 our own
            assert json.load(response)["campaign"] == 1
        process.send_signal(signal.SIGTERM)
        assert process.wait(20) == 0
        said = process.stderr.read()
    assert "Traceback" not in said and PASSWORD not in said.split()
    assert not world.home.service_file.exists()


def test_config_namesTheWrongSetting(tmp_path: Path) -> None:
    home = Home(tmp_path / "home")
    with pytest.raises(UserError, match="run `mixpay sponsor init --rpc URL --deployment FILE` first"):
        home.load()
    config = home.write_template('http://"quoted":1', tmp_path / "network.json", 0)
    assert config.rpc_url == 'http://"quoted":1' and config.campaign == 0
    with pytest.raises(UserError, match="is there already"):
        home.write_template("http://other", tmp_path, 0)
    home.remember_campaign(7)
    text = home.config_path.read_text()
    assert home.load().campaign == 7 and text.count("campaign = ") == 1 and "# The campaign's number" in text
    for line, says in [
        ("keys_ahead = 1", "keys_ahead"),
        ("surprise = 1", "surprise"),
        ("x x", "sponsor.toml"),
    ]:
        home.config_path.write_text(text.replace("keys_ahead = 3", line))
        with pytest.raises(UserError, match=says):
            home.load()
